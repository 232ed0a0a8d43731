// SPDX-License-Identifier: MIT
/*
 * A key-value store in memory that is written on every CPU, and consistent
 * snapshots of it on disk: by fork(), mprotect(), userfaultfd and fastos, which
 * take turns.  How long do writers stand still for a snapshot?
 *
 *	kvsnap --mib 64
 *
 * Writers move amounts from key to key (kvsnap_store.c, kvsnap_writers.c).  For a
 * snapshot they are held between two operations while what is dirty is protected
 * (kvsnap_point.c).  Then they go on, and whoever stores to a page that is not on
 * disk yet copies it first (kvsnap_pages.c).  Each snapshot is read back and must be
 * the store at that point in time (kvsnap_save.c).
 */
#include "kvsnap.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kvsnap_report.h"

static const struct arm *const arms[] = {
	&kv_none, &kv_fork, &kv_mprotect, &kv_uffd, &kv_fastos,
	&kv_fastos_async,
};

#define ARMS		(sizeof(arms) / sizeof(arms[0]))

/* ---- a snapshot ------------------------------------------------------- */

static void sleep_until(uint64_t ns)
{
	const struct timespec ts = {
		.tv_sec = ns / 1000000000,
		.tv_nsec = ns % 1000000000,
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
	       EINTR)
		;
}

/* Beside what the store needs without snapshots. */
static uint64_t extra_bytes(const struct store *s)
{
	if (s->sample.extra_bytes)
		return s->sample.extra_bytes;
	return s->ncopies * PAGE + s->pages * (sizeof(*s->states) +
					       sizeof(*s->copy_of));
}

static void check(struct result *r)
{
	char why[WHY_LEN];

	r->checked++;
	if (!kv_check(option.path, why))
		return;
	if (!r->wrong++)
		snprintf(r->why, sizeof(r->why), "%s", why);
}

static int take(struct store *s)
{
	if (kv_hold(s))
		return kv_fail(s, "the point in time");
	if (s->arm->save(s))
		return kv_fail(s, option.path);
	s->sample.extra_bytes = extra_bytes(s);
	return 0;
}

/* From one snapshot to the next; the first is of a store that is all dirty. */
static int one_snapshot(struct result *r, struct store *s, bool first)
{
	const uint64_t before = kv_operations(s), began = kv_now();

	if (s->arm->save && take(s))
		return -1;
	sleep_until(began + option.every_ms * 1000000ULL);
	if (!first) {
		r->operations += kv_operations(s) - before;
		r->seconds += (kv_now() - began) / 1e9;
	}
	if (!s->arm->save)
		return 0;
	kv_add(r, &s->sample, first);
	check(r);
	return 0;
}

/* ---- an arm ----------------------------------------------------------- */

static int snapshots(struct result *r, struct store *s)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i <= option.snapshots; i++) {
		kv_progress(r->arm->name);
		ret = one_snapshot(r, s, !i);
	}
	return ret;
}

static int run_store(struct result *r, struct store *s)
{
	int ret;

	if (kv_pages_open(s))
		return kv_fail(s, "memory");
	kv_fill(s);
	if (kv_writers_start(s))
		return kv_fail(s, "pthread_create");
	ret = snapshots(r, s);
	kv_writers_stop(s);
	return ret;
}

/* A store of its own each time. */
static void run_arm(struct result *r)
{
	struct store s = {
		.arm = r->arm,
		.pages = option.mib * MIB_PAGES,
		.writers = option.writers,
	};

	if (s.arm->open(&s)) {
		r->skipped = true;
	} else {
		sem_init(&s.taken, 0, 0);
		r->failed = run_store(r, &s);
		kv_pages_close(&s);
		s.arm->close(&s);
	}
	if (r->skipped || r->failed)
		memcpy(r->why, s.why, sizeof(r->why));
}

/* ---- all -------------------------------------------------------------- */

/* Those that were asked for; a name that is none is told. */
static size_t choose(struct result *r)
{
	size_t i, n = 0, names = option.arms ? 1 : ARMS;

	for (const char *at = option.arms; at && *at; at++)
		names += *at == ',';
	for (i = 0; i < ARMS; i++)
		if (kv_is_asked_for(arms[i]->name))
			r[n++].arm = arms[i];
	if (n != names)
		errx(EXIT_FAILURE, "not all of them are arms: %s", option.arms);
	return n;
}

int main(int argc, char **argv)
{
	static struct result result[ARMS];
	size_t i, n;

	if (kv_arguments(argc, argv))
		return EXIT_FAILURE;
	n = choose(result);
	kv_progress_begin(n * option.rounds * (option.snapshots + 1));
	for (unsigned int round = 0; round < option.rounds; round++)
		for (i = 0; i < n; i++)
			if (!result[i].skipped && !result[i].failed)
				run_arm(&result[i]);
	kv_progress_end();
	unlink(option.path);
	return kv_report(result, n);
}
