// SPDX-License-Identifier: GPL-2.0-only
/* The search: coroutines, states that were met, what is left to be chosen. */
#include "state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Choices of one execution; a longer one goes round in circles. */
#define DEPTH_MAX	5000
#define STEPS_PER_LOOK	65536

const struct model_world *world_ops;
bool showing;
void (*model_progress)(const struct model_result *res);

static struct model_result *result;

/* ---- failure ---------------------------------------------------------- */

static void stop_search(const char *fmt, va_list ap)
{
	result->failed = true;
	vsnprintf(result->why, sizeof(result->why), fmt, ap);
}

_Noreturn void model_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	stop_search(fmt, ap);
	va_end(ap);
	model_note("FAIL: %s", result->why);
	leave_for_good();
}

/* At the end of an execution there is no thread to leave. */
static __attribute__((format(printf, 1, 2))) void fail_at_end(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	stop_search(fmt, ap);
	va_end(ap);
}

_Noreturn void bound_hit(const char *what)
{
	result->truncated = true;
	model_fail("a bound of the model was hit: %s", what);
}

void model_note(const char *fmt, ...)
{
	va_list ap;

	if (!showing)
		return;
	printf("#   thread %d  ", model_self);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- states that were met --------------------------------------------- */

static uint64_t *met;
static uint64_t met_size, met_used;

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	const unsigned __int128 m = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15) *
				    (b ^ 0xe7037ed1a0b428db);

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* In two lanes: the processor multiplies them side by side. */
static uint64_t mix_bytes(uint64_t h, const void *p, size_t n)
{
	const uint64_t *w = p;
	uint64_t a = h, b = ~h;

	for (; n >= 32; n -= 32, w += 4) {
		a = mix(a ^ w[0], w[1]) + h;
		b = mix(b ^ w[2], w[3]) + h;
	}
	for (; n >= 8; n -= 8)
		a = mix(a ^ *w++, n);
	return mix(a, b);
}

static uint64_t hash_now(void)
{
	uint64_t h = 0x243f6a8885a308d3ULL;
	unsigned char *sp;
	int i;

	h = mix_bytes(h, &now.sc, sizeof(now) - offsetof(struct state, sc));
	h = mix_bytes(h, now.thread,
		      world_ops->threads * sizeof(now.thread[0]));
	for (i = 0; i < MODEL_LOCS; i++)
		h = mix_bytes(h, memory[i],
			      now.messages[i] * sizeof(struct msg));
	h = mix_bytes(h, world_ops->base, world_ops->bytes);
	for (i = 0; i < world_ops->threads; i++) {
		sp = now.thread[i].sp;
		h = mix_bytes(h + i, sp, stack_top(i) - sp);
	}
	return h ? h : 1;
}

static void met_insert(uint64_t *table, uint64_t size, uint64_t h)
{
	uint64_t at = h & (size - 1);

	while (table[at])
		at = (at + 1) & (size - 1);
	table[at] = h;
}

static void met_grow(void)
{
	const uint64_t size = met_size ? met_size * 2 : 1 << 16;
	uint64_t *table = calloc(size, sizeof(*table));
	uint64_t i;

	if (!table) {
		perror("model");
		exit(1);
	}
	for (i = 0; i < met_size; i++)
		if (met[i])
			met_insert(table, size, met[i]);
	free(met);
	met = table;
	met_size = size;
}

/* Returns false if the state was met before. */
static bool is_new(void)
{
	const uint64_t h = hash_now();
	uint64_t at;

	if (met_used * 3 >= met_size * 2)
		met_grow();
	for (at = h & (met_size - 1); met[at]; at = (at + 1) & (met_size - 1))
		if (met[at] == h)
			return false;
	met[at] = h;
	met_used++;
	return true;
}

/* ---- saved states ----------------------------------------------------- */

/**
 * struct fork - where an execution can go on in several ways
 * @saved: the state, in the heap of saved ones
 * @taken: the way it goes now
 * @ways: how many
 * @who: the thread that chooses; or -1: which of @fenced goes first
 */
struct fork {
	size_t saved;
	int taken;
	int ways;
	int who;
	uint8_t fenced[MODEL_THREADS];
};

static struct fork forks[DEPTH_MAX];
static int depth;
static unsigned char *heap;
static size_t heap_size, heap_used;

static void *heap_take(size_t n)
{
	void *p;

	if (heap_used + n > heap_size) {
		heap_size = heap_size * 2 + n + (1 << 20);
		heap = realloc(heap, heap_size);
		if (!heap) {
			perror("model");
			exit(1);
		}
	}
	p = heap + heap_used;
	heap_used += n;
	return p;
}

static void put(const void *p, size_t n)
{
	memcpy(heap_take(n), p, n);
}

static size_t get(size_t at, void *p, size_t n)
{
	memcpy(p, heap + at, n);
	return at + n;
}

static void save(void)
{
	unsigned char *sp;
	int i;

	put(&now, sizeof(now));
	for (i = 0; i < MODEL_LOCS; i++)
		put(memory[i], now.messages[i] * sizeof(struct msg));
	put(world_ops->base, world_ops->bytes);
	for (i = 0; i < world_ops->threads; i++) {
		sp = now.thread[i].sp;
		put(sp, stack_top(i) - sp);
	}
}

static void restore(size_t at)
{
	unsigned char *sp;
	int i;

	at = get(at, &now, sizeof(now));
	for (i = 0; i < MODEL_LOCS; i++)
		at = get(at, memory[i],
			 now.messages[i] * sizeof(struct msg));
	at = get(at, world_ops->base, world_ops->bytes);
	for (i = 0; i < world_ops->threads; i++) {
		sp = now.thread[i].sp;
		at = get(at, sp, stack_top(i) - sp);
	}
}

/* ---- the search ------------------------------------------------------- */

static unsigned int threads_that(enum status s)
{
	unsigned int bits = 0;
	int t;

	for (t = 0; t < world_ops->threads; t++)
		if (now.thread[t].status == s)
			bits |= 1U << t;
	return bits;
}

/* Run until something is to be chosen, by the thread that is returned. */
static int settle(void)
{
	unsigned int ready;

	while (!result->failed) {
		ready = threads_that(CHOOSING);
		if (ready)
			return __builtin_ctz(ready);
		ready = threads_that(RUNNABLE);
		if (!ready)
			return -1;
		run(__builtin_ctz(ready));
	}
	return -1;
}

/* Does one of those that can go on end what this thread waits for? */
static bool is_hopeful(int t, unsigned int going)
{
	switch (now.thread[t].status) {
	case DONE:
		return false;
	case DECLINED:
	case AWAITING:
		return going & memory_writers(now.thread[t].on);
	case ASLEEP:
		return going;
	case AT_LOCK:
		return going || !now.lock[now.thread[t].on].held;
	default:
		return true;
	}
}

/*
 * Is there a thread that waits for a message which nobody will store, or that
 * sleeps on though its time is over?  No execution ends like this.
 */
static bool waits_in_vain(void)
{
	unsigned int going = 0, before;
	int t;

	do {
		before = going;
		for (t = 0; t < world_ops->threads; t++)
			if (is_hopeful(t, going & ~(1U << t)))
				going |= 1U << t;
	} while (going != before);
	for (t = 0; t < world_ops->threads; t++)
		if (!(going & (1U << t)) &&
		    (now.thread[t].status == DECLINED ||
		     (now.thread[t].status == ASLEEP && now.thread[t].on)))
			return true;
	return false;
}

static void end_of_execution(void)
{
	const unsigned int asleep = threads_that(ASLEEP) |
				    threads_that(AWAITING);
	const char *wrong;

	if (result->failed || waits_in_vain())
		return;
	if (threads_that(AT_LOCK)) {
		fail_at_end("a lock is never released");
		return;
	}
	result->ends++;
	wrong = world_ops->at_end(asleep);
	if (wrong)
		fail_at_end("%s", wrong);
}

/* The ways on from here; 0: none. */
static int ways_on(struct fork *f)
{
	const int who = settle();
	int t;

	f->who = who;
	f->taken = 0;
	if (result->failed)
		return f->ways = 0;
	if (who >= 0)
		return f->ways = now.thread[who].options;
	f->ways = 0;
	for (t = 0; t < world_ops->threads; t++)
		if (now.thread[t].status == AT_FENCE ||
		    (now.thread[t].status == AT_LOCK &&
		     !now.lock[now.thread[t].on].held))
			f->fenced[f->ways++] = t;
	return f->ways;
}

static void go(const struct fork *f)
{
	const int t = f->who >= 0 ? f->who : f->fenced[f->taken];

	result->steps++;
	choice = f->taken;
	run(t);
}

static void begin(const struct model_world *w)
{
	int t;

	memset(&now, 0, sizeof(now));
	memset(w->base, 0, w->bytes);
	w->init();
	for (t = 0; t < w->threads; t++)
		make_thread(t);
}

/* The failing execution once more, aloud. */
static void show(const struct model_world *w)
{
	struct model_result again = { 0 };
	struct model_result *first = result;
	struct fork f;
	int i;

	result = &again;
	showing = true;
	begin(w);
	for (i = 0; i < depth; i++) {
		if (!ways_on(&f))
			break;
		memory_trim();
		f.taken = forks[i].taken;
		go(&f);
	}
	ways_on(&f);
	if (!again.failed)
		end_of_execution();
	showing = false;
	result = first;
	fflush(stdout);
}

static bool go_back(void)
{
	struct fork *f;

	while (depth) {
		f = &forks[depth - 1];
		if (++f->taken < f->ways) {
			restore(f->saved);
			return true;
		}
		heap_used = f->saved;
		depth--;
	}
	return false;
}

static void look(uint64_t max_states)
{
	if (max_states && result->states >= max_states)
		result->truncated = true;
	if (model_progress && !(result->steps % STEPS_PER_LOOK))
		model_progress(result);
}

static void search(uint64_t max_states)
{
	struct fork *f;

	for (;;) {
		f = &forks[depth];
		if (depth + 1 == DEPTH_MAX) {
			fail_at_end("an execution goes on for ever");
		} else if (ways_on(f)) {
			memory_trim();
			if (!waits_in_vain() && is_new()) {
				result->states++;
				f->saved = heap_used;
				save();
				if (++depth > (int)result->depth)
					result->depth = depth;
				go(f);
				look(max_states);
				if (!result->failed && !result->truncated)
					continue;
			}
		} else if (!result->failed) {
			end_of_execution();
		}
		if (result->failed || result->truncated || !go_back())
			return;
		go(&forks[depth - 1]);
	}
}

void model_explore(const struct model_world *w, uint64_t max_states,
		   bool show_it, struct model_result *res)
{
	struct timespec from, to;

	memset(res, 0, sizeof(*res));
	result = res;
	world_ops = w;
	depth = 0;
	heap_used = 0;
	if (met)
		memset(met, 0, met_size * sizeof(*met));
	met_used = 0;
	clock_gettime(CLOCK_MONOTONIC, &from);
	memory_init();
	begin(w);
	search(max_states);
	clock_gettime(CLOCK_MONOTONIC, &to);
	res->seconds = to.tv_sec - from.tv_sec +
		       (to.tv_nsec - from.tv_nsec) / 1e9;
	if (res->failed && show_it)
		show(w);
}
