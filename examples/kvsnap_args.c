// SPDX-License-Identifier: MIT
/* What kvsnap is asked for. */
#include "kvsnap_report.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"

/* A store, what is copied of it, its file in memory, and as much again. */
#define MEMORY_FACTOR	4
#define MIB_DEFAULT	256
#define MIB_MAX		65536

struct kv_options option = {
	.dirty = 5, .rounds = 3, .snapshots = 10, .every_ms = 500,
};

enum key { ROUNDS = 'r', SYNC = 256, BREAK_IT };

static unsigned long number(const char *text, unsigned long max,
			    struct argp_state *state)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || !n || n > max)
		argp_error(state, "not a number from 1 to %lu: %s", max, text);
	return n;
}

/* ---- what is good for this machine ------------------------------------ */

static unsigned long available_mib(void)
{
	unsigned long kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib >> 10;
}

static unsigned long mib_that_fits(void)
{
	const unsigned long there = available_mib() / MEMORY_FACTOR;
	unsigned long mib = MIB_DEFAULT;

	while (mib > 4 && mib > there)
		mib /= 2;
	return mib;
}

static void complete(struct argp_state *state)
{
	const char *dir = getenv("TMPDIR");

	if (!option.mib)
		option.mib = mib_that_fits();
	if (!option.writers)
		option.writers = count_cpus(WRITERS_MAX);
	if (!option.path &&
	    asprintf(&option.path, "%s/kvsnap.%d", dir ? dir : "/tmp",
		     getpid()) < 0)
		argp_failure(state, EXIT_FAILURE, 0, "no memory");
}

/* Whole words of the list. */
bool kv_is_asked_for(const char *arm)
{
	const size_t len = strlen(arm);
	const char *at = option.arms;

	while (at && (strncmp(at, arm, len) || (at[len] && at[len] != ','))) {
		at = strchr(at, ',');
		if (at)
			at++;
	}
	return !option.arms || at;
}

/* ---- arguments -------------------------------------------------------- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'm':
		option.mib = number(arg, MIB_MAX, state);
		return 0;
	case 'w':
		option.writers = number(arg, WRITERS_MAX, state);
		return 0;
	case 'd':
		option.dirty = number(arg, 100, state);
		return 0;
	case ROUNDS:
		option.rounds = number(arg, 1000, state);
		return 0;
	case 's':
		option.snapshots = number(arg, SNAPSHOTS_MAX, state);
		return 0;
	case 't':
		option.every_ms = number(arg, 60000, state);
		return 0;
	case 'a':
		option.arms = arg;
		return 0;
	case 'f':
		option.path = arg;
		return 0;
	case 'j':
		option.json = arg;
		return 0;
	case SYNC:
	case BREAK_IT:
		*(key == SYNC ? &option.sync : &option.break_it) = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_usage(state);
		return 0;
	case ARGP_KEY_END:
		complete(state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
	{ "mib", 'm', "N", 0, "MiB of the store (256, or what fits)", 0 },
	{ "writers", 'w', "N", 0, "Threads that write (one for each CPU)", 0 },
	{ "dirty", 'd', "PERCENT", 0,
	  "Pages that are written between two snapshots (5)", 0 },
	{ "rounds", ROUNDS, "N", 0, "Every arm takes its turn so often (3)", 0 },
	{ "snapshots", 's', "N", 0,
	  "In each round, after one of a store that is all dirty (10)", 0 },
	{ "every", 't', "MS", 0,
	  "From one snapshot to the next, if it is on disk by then (500)", 0 },
	{ "arms", 'a', "NAME,...", 0,
	  "Only these of none, fork, mprotect, uffd, fastos, fastos-async", 0 },
	{ "file", 'f', "FILE", 0,
	  "The snapshot; removed when it has been read back ($TMPDIR/kvsnap.PID)",
	  0 },
	{ "json", 'j', "FILE", 0, "Write the figures to FILE as well", 0 },
	{ "sync", SYNC, NULL, 0, "Wait until the disk has it", 0 },
	{ "break-it", BREAK_IT, NULL, 0,
	  "Protect nothing: snapshots are wrong, which must be found", 0 },
	{ 0 }
};

int kv_arguments(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL,
		"Take consistent snapshots of a store in memory that is written "
		"all the time, in several ways, and tell how long its writers "
		"stood still for it."
		"\vA pause lasts from when all writers are held, each between two "
		"operations, until no store can change the snapshot.  Each is read "
		"back; the exit status is 1 if one of them is not the store at that "
		"point in time.",
		NULL, NULL, NULL
	};

	return argp_parse(&argp, argc, argv, 0, NULL, NULL);
}
