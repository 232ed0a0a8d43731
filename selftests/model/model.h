/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * model: all executions of a few threads over a weak memory.
 *
 * Memory.  A location is a list of messages in modification order, each with a
 * value and a view.  A view says, for each location, which message is the
 * oldest that may still be read.  A thread's load picks any message that its
 * view allows; an acquire load joins the message's view to the thread's, a
 * release store attaches the thread's to the message; a read-modify-write
 * takes the place right behind what it read.  This is C11's memory without
 * load buffering: a load never sees a store that has yet to be executed, so an
 * acquire that keeps later stores behind it is checked by clocks instead
 * (model_tick, model_knows).
 *
 * Search.  Threads are coroutines on stacks of fixed addresses.  A thread
 * runs until something is to be chosen: which message to read, or to "decline"
 * all that are there and be resumed when there is a new one; or until it comes
 * to a full fence or a lock, whose order is chosen when nobody can run.  A step that
 * depends on no other thread's choice is executed at once, a load as early as
 * what it reads exists: of executions that differ in the order of independent
 * steps, one is explored.  Executions in which a thread waits in vain for a
 * message it declined for are discarded.  A state is the memory, the views,
 * the stacks and the world; one that was met before is not explored again.
 */
#ifndef FOS_MODEL_H
#define FOS_MODEL_H

#include <linux/fastos.h>

/* The model's rings are small; this makes struct fos_ring so, too. */
#undef FOS_CHAN_DEPTH_MAX
#define FOS_CHAN_DEPTH_MAX	2

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_THREADS	5
#define MODEL_LOCS	50
#define MODEL_MSGS	24
#define MODEL_LOCKS	3

/* ---- sites: every atomic access of the source is numbered ------------- */

enum model_op { MODEL_LOAD, MODEL_STORE, MODEL_RMW, MODEL_CAS };

/* What is done to a site to see whether that is noticed. */
enum model_change {
	MODEL_AS_IS,
	MODEL_WEAKEN,		/* its order */
	MODEL_WEAKEN_FAIL,	/* that of an exchange which found another value */
	MODEL_DROP,
	MODEL_BLIND,		/* exchanged without comparing */
};

/**
 * struct model_site - an atomic access in the source
 * @file: where
 * @func: in which function
 * @what: is accessed, as written
 * @line: of @file
 * @op: what it does
 * @order: __ATOMIC_* as written
 * @order_fail: ... of an exchange that fails
 * @change: what is done to it
 * @weaker: the order that it has then
 * @reached: was it executed on more than one thread's memory?
 */
struct model_site {
	const char *file;
	const char *func;
	const char *what;
	int line;
	int op;
	int order;
	int order_fail;
	int change;
	int weaker;
	int reached;
} __attribute__((aligned(64)));

#define MODEL_SITE(kind, on, mo, mo_fail) ({				\
	static struct model_site site_					\
	__attribute__((section("model_sites"), used)) = {		\
		.file = __FILE__, .func = __func__, .line = __LINE__,	\
		.what = (on), .op = (kind),				\
		.order = (mo), .order_fail = (mo_fail),			\
	};								\
	&site_; })

/* Locked instructions are full fences; else as C11 says. */
extern bool model_x86;

/* ---- memory ----------------------------------------------------------- */

uint64_t model_load(const void *p, unsigned int size, int order,
		    struct model_site *site);
void model_store(void *p, unsigned int size, uint64_t value, int order,
		 struct model_site *site);
/* The new value is (old & @keep) + @add. */
uint64_t model_rmw(void *p, unsigned int size, uint64_t keep, uint64_t add,
		   int order, struct model_site *site);
bool model_cas(void *p, unsigned int size, void *expected, uint64_t desired,
	       int order, int order_fail, struct model_site *site);
/* A full fence, as smp_mb() or a sequentially consistent one. */
void model_fence(void);

/* The last value of a word, when all is over. */
uint64_t model_final(const uint64_t *p);

/* Wait until this value, or another one, is seen: a loop that asks, cut short. */
void model_await(const void *p, unsigned int size, uint64_t value, bool equal);

void model_lock(int lock);
void model_unlock(int lock);

/*
 * Clocks, to check that what one thread did is over for another one.  A tick is
 * made before a release; who acquired it knows the time.
 */
uint8_t model_tick(void);
bool model_knows(int thread, uint8_t time);

/* ---- threads ---------------------------------------------------------- */

extern int model_self;

/* One of @n, 0 .. n - 1; all are tried. */
int model_choose(int n);
/*
 * Sleep until somebody calls model_wake(); his view becomes ours.  @timed: it
 * cannot be for ever.
 */
void model_sleep(bool timed);
void model_wake(int thread);
/* From now on this thread stores to no word that is @planned. */
void model_over(void);
_Noreturn void model_exit(void);
/* Something that must never happen has happened. */
_Noreturn void model_fail(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
/* Shown when an execution is. */
void model_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- the search ------------------------------------------------------- */

/**
 * struct model_world - what the threads share, beside the atomic locations
 * @base: memory that all atomic locations and all other state lie in
 * @bytes: of it; a multiple of 8
 * @threads: how many
 * @body: of a thread
 * @init: fill in @base
 * @writers: bits of the threads that may write a word; 0: constant
 * @users: bits of those that may read or write it
 * @awaited: a load of this word may wait for a value that is not there yet
 * @planned: threads store to this word only until they call model_over()
 * @name: of a word, for people
 * @at_end: nothing happens any more, and these threads (bits) sleep for ever:
 *	NULL, or what is wrong with it
 * @before_store: the thread is about to change what others see
 */
struct model_world {
	void *base;
	size_t bytes;
	int threads;
	void (*body)(int thread);
	void (*init)(void);
	unsigned int (*writers)(const void *p);
	unsigned int (*users)(const void *p);
	bool (*awaited)(const void *p);
	bool (*planned)(const void *p);
	void (*name)(const void *p, char *buf, size_t n);
	const char *(*at_end)(unsigned int asleep);
	void (*before_store)(void);
};

/**
 * struct model_result - of a search
 * @states: different states at which something was to be chosen
 * @steps: transitions between them
 * @ends: complete executions
 * @truncated: a bound was hit, not all was explored
 * @failed: something is wrong; @why
 * @depth: of the longest execution, in choices
 */
struct model_result {
	uint64_t states;
	uint64_t steps;
	uint64_t ends;
	bool truncated;
	bool failed;
	char why[200];
	uint64_t depth;
	double seconds;
};

/* @show: print the execution that fails, step by step. */
void model_explore(const struct model_world *w, uint64_t max_states, bool show,
		   struct model_result *res);

/* Called now and then, for a progress line. */
extern void (*model_progress)(const struct model_result *res);

#endif
