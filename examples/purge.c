// SPDX-License-Identifier: MIT
/*
 * An allocator that gives back what is free: threads on every CPU allocate pages,
 * write to them and free them; whoever frees the last one of a batch gives all of it
 * back to the kernel, scattered as it is, while the others go on.
 *
 *	cc purge.c -o purge -pthread $(pkg-config --cflags --libs fastos)
 *	purge --batch 128
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "interrupts.h"
#include "purge_args.h"
#include "purge.h"
#include "purge_report.h"

#define SAMPLES_MAX	(1U << 16)	/* of a thread; then the oldest go */
#define STRIDE		2654435761U	/* a prime: neighbours are far apart */

/* ---- pages ------------------------------------------------------------ */

static struct {
	struct area area;
	const struct way *way;
	pthread_mutex_t lock;
	struct queue clean;
	struct queue dirty;
	atomic_bool stop;
} arena = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct thread {
	pthread_t id;
	unsigned int nth;
	uint64_t allocated;
	uint64_t wrong;
	uint64_t batches;
	double *sample;
};

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static void make_queues(uint32_t pages)
{
	if (queue_open(&arena.clean, pages) || queue_open(&arena.dirty, pages))
		err(EXIT_FAILURE, "purge");
	for (uint64_t i = 0; i < pages; i++)
		put(&arena.clean, &(uint32_t){ i * STRIDE % pages }, 1);
}

/* ---- a thread --------------------------------------------------------- */

static int allocate(uint32_t *page)
{
	unsigned int n;

	pthread_mutex_lock(&arena.lock);
	n = get(&arena.clean, page, 1);
	pthread_mutex_unlock(&arena.lock);
	return n;
}

static void purge(struct thread *t, const uint32_t *page, unsigned int n)
{
	const double began = now_us();

	if (!option.break_it && arena.way->purge(&arena.area, page, n))
		err(EXIT_FAILURE, "%s", arena.way->name);
	t->sample[t->batches++ % SAMPLES_MAX] = now_us() - began;
	pthread_mutex_lock(&arena.lock);
	put(&arena.clean, page, n);
	pthread_mutex_unlock(&arena.lock);
}

static void release(struct thread *t, uint32_t page)
{
	uint32_t batch[BATCH_MAX];
	unsigned int n;

	pthread_mutex_lock(&arena.lock);
	put(&arena.dirty, &page, 1);
	n = get(&arena.dirty, batch, option.batch);
	pthread_mutex_unlock(&arena.lock);
	if (n)
		purge(t, batch, n);
}

/* A CPU that still had the page of before would see what was written there. */
static void use(struct thread *t, uint32_t page)
{
	volatile uint64_t *word = (uint64_t *)(arena.area.at + page * PAGE);
	uint64_t was = 0;

	for (size_t i = 0; i < PAGE / sizeof(*word); i += 8) {
		was |= word[i];
		word[i] = ~0ULL;
	}
	t->wrong += was != 0;
	t->allocated++;
}

static void *work(void *arg)
{
	struct thread *t = arg;
	uint32_t page;

	pin_to(t->nth);
	while (!atomic_load_explicit(&arena.stop, memory_order_relaxed)) {
		if (!allocate(&page)) {
			sched_yield();
			continue;
		}
		use(t, page);
		release(t, page);
	}
	return NULL;
}

/* ---- a turn ----------------------------------------------------------- */

static void add(struct result *r, const struct thread *t)
{
	const size_t n = t->batches < SAMPLES_MAX ? t->batches : SAMPLES_MAX;

	r->allocated += t->allocated;
	r->wrong += t->wrong;
	r->batches += t->batches;
	r->sample = realloc(r->sample, (r->samples + n) * sizeof(*r->sample) + 1);
	if (!r->sample)
		err(EXIT_FAILURE, "purge");
	memcpy(r->sample + r->samples, t->sample, n * sizeof(*r->sample));
	r->samples += n;
	free(t->sample);
}

static void run(struct result *r)
{
	struct thread thread[THREADS_MAX] = { 0 };
	const int64_t tlb = tlb_interrupts();
	const double began = now_us();
	unsigned int i;

	arena.stop = false;
	for (i = 0; i < option.threads; i++) {
		thread[i].nth = i;
		thread[i].sample = calloc(SAMPLES_MAX, sizeof(double));
		if (!thread[i].sample ||
		    pthread_create(&thread[i].id, NULL, work, &thread[i]))
			err(EXIT_FAILURE, "purge");
	}
	usleep(option.time_ms * 1000);
	arena.stop = true;
	for (i = 0; i < option.threads; i++) {
		pthread_join(thread[i].id, NULL);
		add(r, &thread[i]);
	}
	r->seconds += (now_us() - began) / 1e6;
	r->tlb += tlb < 0 ? NAN : tlb_interrupts() - tlb;
}

static void turn(struct result *r, const struct way *way)
{
	arena.way = way;
	arena.area.bytes = option.mib << 20;
	if (way->open(&arena.area)) {
		r->skipped = strerror(errno);
		return;
	}
	/* As if it had been in use for long. */
	memset(arena.area.at, 0, arena.area.bytes);
	make_queues(arena.area.bytes / PAGE);
	run(r);
	free(arena.clean.page);
	free(arena.dirty.page);
	way->close(&arena.area);
}

/* On a terminal. */
static void show_progress(unsigned int round, size_t way)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%3zu %%  %s\033[K", 100 * (round * WAYS + way) /
			(option.rounds * WAYS), ways[way].name);
}

int main(int argc, char **argv)
{
	static struct result result[WAYS];

	if (parse_arguments(argc, argv))
		return EXIT_FAILURE;
	for (unsigned int round = 0; round < option.rounds; round++)
		for (size_t i = 0; i < WAYS; i++) {
			show_progress(round, i);
			if (!result[i].skipped)
				turn(&result[i], &ways[i]);
		}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	return report(result);
}
