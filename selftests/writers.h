/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that store to scattered pages of a region, each on a CPU of its own. */
#ifndef FOS_SELFTESTS_WRITERS_H
#define FOS_SELFTESTS_WRITERS_H

#include <pthread.h>
#include <sched.h>

#include "abi_region.h"

#define STEP		3
#define PAGES_MAX	64
#define REGION_PAGES	(STEP * PAGES_MAX)
#define REGION		(REGION_PAGES * PAGE)
#define WRITERS_MAX	8

/* How a writer stores. */
enum way { IN_A_LOOP, BY_READ, SLEEPING, MIGRATING };

/* Shared by all processes of a test. */
struct stage {
	uint64_t stop;
	uint64_t ready;
	uint64_t on[WRITERS_MAX];	/* laps of each */
	uint64_t refused[WRITERS_MAX];
};

struct writer {
	struct stage *stage;
	char *base;
	int nth;
	int pages;
	enum way way;
	pthread_t thread;
};

/* Unlike pin_to(), not relative to where the thread is now. */
static inline void pin_cpu(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static inline int online_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static inline char *page_at(char *base, int i)
{
	return base + i * STEP * PAGE;
}

/* Each writer has a word of its own in each page. */
static inline volatile uint64_t *word_at(char *base, int i, int nth)
{
	return (volatile uint64_t *)page_at(base, i) + nth;
}

/* False: it was refused. */
static inline bool store_once(struct writer *w, int i, int values)
{
	volatile uint64_t *word = word_at(w->base, i, w->nth);

	if (w->way == BY_READ) {
		/* A value that is another one each time. */
		uint64_t lap = w->stage->on[w->nth];

		if (pwrite(values, &lap, 8, 8 * w->nth) != 8)
			abort();
		return pread(values, (void *)word, 8, 8 * w->nth) == 8;
	}
	return !TOUCH(++*word);
}

static inline void *write_on(void *arg)
{
	struct writer *w = arg;
	struct stage *s = w->stage;
	int fd = -1, cpu = w->nth + 1, i;

	pin_cpu(cpu);
	if (w->way == BY_READ)
		fd = memfd_create("values", MFD_CLOEXEC);
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < w->pages; i++)
			if (!store_once(w, i, fd))
				__atomic_fetch_add(&s->refused[w->nth], 1,
						   __ATOMIC_RELAXED);
		__atomic_fetch_add(&s->on[w->nth], 1, __ATOMIC_RELAXED);
		if (w->way == SLEEPING)
			nap_us(300);
		if (w->way == MIGRATING)
			pin_cpu(1 + ++cpu % (online_cpus() - 1));
	}
	close(fd);
	return NULL;
}

/* A writer on each CPU but the first, where the batches are made. */
static inline int start_writers(struct writer *w, struct stage *s, char *base,
				int pages, enum way way)
{
	int n = online_cpus() - 1, i;

	n = n > WRITERS_MAX ? WRITERS_MAX : n;
	pin_cpu(0);
	for (i = 0; i < n; i++) {
		w[i] = (struct writer) { s, base, i, pages, way, 0 };
		pthread_create(&w[i].thread, NULL, write_on, &w[i]);
	}
	return n;
}

static inline void stop_writers(struct writer *w, int n)
{
	int i;

	__atomic_store_n(&w->stage->stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
}

/* Each of them has gone twice through the pages. */
static inline bool are_under_way(struct stage *s, int n)
{
	uint64_t from[WRITERS_MAX], end = in_ms(HANG_MS);
	int i;

	for (i = 0; i < n; i++)
		from[i] = __atomic_load_n(&s->on[i], __ATOMIC_ACQUIRE);
	for (i = 0; i < n; i++)
		while (__atomic_load_n(&s->on[i], __ATOMIC_ACQUIRE) < from[i] + 2)
			if (now_ns() > end)
				return false;
			else
				nap_us(200);
	return true;
}

/* How many words change though nobody may store. */
static inline int count_stores(char *base, int pages, int writers, long ms)
{
	uint64_t then[PAGES_MAX][WRITERS_MAX];
	int i, k, moved = 0;

	for (i = 0; i < pages; i++)
		for (k = 0; k < writers; k++)
			then[i][k] = *word_at(base, i, k);
	nap_us(ms * 1000);
	for (i = 0; i < pages; i++)
		for (k = 0; k < writers; k++)
			moved += then[i][k] != *word_at(base, i, k);
	return moved;
}

static inline void raise_ceiling(void)
{
	write_text("/sys/kernel/debug/x86/tlb_single_page_flush_ceiling",
		   "10000");
}

/* A region, mapped; NULL if there is none. */
static inline struct stage *set_stage(int *fd, char **base)
{
	catch_faults();
	raise_ceiling();
	*fd = make_region(REGION);
	*base = map_region(*fd, REGION, RW);
	return *base == MAP_FAILED ? NULL : shared(sizeof(struct stage));
}

/*
 * Pages that somebody faults at this very moment may be told as busy: it was
 * done all the same.
 */
static inline bool make_read_only(int fd, int pages)
{
	int ret = protect_scattered(fd, 0, STEP, pages, RIGHTS_RO, NULL);

	return !ret || ret == -EBUSY;
}

static inline bool make_writable(int fd, int pages)
{
	return !protect_scattered(fd, 0, STEP, pages, RIGHTS_RW, NULL);
}

/* The sum over all CPUs of a row of /proc/interrupts. */
static inline long interrupts(const char *row)
{
	char line[4096], *p, *end;
	FILE *f = fopen("/proc/interrupts", "r");
	long sum = 0, n;

	while (f && fgets(line, sizeof(line), f)) {
		p = strstr(line, row);
		if (!p || strspn(line, " ") != (size_t)(p - line))
			continue;
		for (p += strlen(row);; p = end) {
			n = strtol(p, &end, 10);
			if (end == p)
				break;
			sum += n;
		}
	}
	if (f)
		fclose(f);
	return sum;
}

/* Writers of nothing, that only keep the other CPUs in this address space. */
static inline int start_spinners(struct writer *w, struct stage *s)
{
	int n = start_writers(w, s, NULL, 0, IN_A_LOOP), i;

	for (i = 0; i < n; i++)
		wait_for(&s->on[i], 1);
	return n;
}

#endif
