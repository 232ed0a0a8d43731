/* SPDX-License-Identifier: GPL-2.0-only */
/* What a state of the model consists of: for memory.c, trim.c, thread.c, explore.c. */
#ifndef FOS_MODEL_STATE_H
#define FOS_MODEL_STATE_H

#include "model.h"

/* Index of a thread's clock in a view. */
#define CLOCK(thread)	(MODEL_LOCS + (thread))
/* 16 bytes at a time; MODEL_LOCS and the clocks fit. */
#define VIEW_WIDTH	64

/* The oldest message of each location that may be read; and clocks. */
struct view {
	uint8_t at[VIEW_WIDTH];
};

/**
 * struct msg - a store
 * @value: what was stored
 * @view: what its reader learns by acquire
 * @rmw: it came right behind its predecessor, nothing can go between
 * @declined: bits of threads that wait for another one
 */
struct msg {
	uint64_t value;
	struct view view;
	uint8_t rmw;
	uint8_t declined;
	uint8_t resv[6];
};

enum status {
	RUNNABLE,
	CHOOSING,	/* one of @options */
	AT_FENCE,	/* resumed in any order */
	DECLINED,	/* until a new message */
	AWAITING,	/* the same, in model_await(): perhaps for ever */
	AT_LOCK,	/* resumed in any order while it is free */
	ASLEEP,		/* until woken, or (@on) until time is over */
	DONE,
};

/**
 * struct thread - a coroutine
 * @sp: its stack while it does not run
 * @status: why it does not
 * @on: location or lock that it waits for
 * @options: how many
 * @over: it has done all that it planned
 * @cur: what it has seen
 * @acq: what it would have seen if its loads had acquired; for fences
 * @rel: what it had seen at its last fence
 * @wake: what its waker had seen
 */
struct thread {
	void *sp;
	uint8_t status;
	uint8_t on;
	uint8_t options;
	uint8_t over;
	uint8_t resv[4];
	struct view cur;
	struct view acq;
	struct view rel;
	struct view wake;
};

/**
 * struct lock - a spinlock
 * @view: what its last holder had seen
 * @held: now
 */
struct lock {
	struct view view;
	uint8_t held;
	uint8_t resv[7];
};

/* Saved and restored whole; of the messages, what is in use. */
struct state {
	struct thread thread[MODEL_THREADS];
	struct view sc;
	struct lock lock[MODEL_LOCKS];
	uint8_t messages[MODEL_LOCS];
	uint8_t resv[6];
};

/**
 * struct loc - a word that several threads use; numbered when first met
 * @initial: its value
 * @writers: bits of the threads that may store to it
 * @users: bits of those that may read or write it
 * @awaited: a load may wait for a value that is not there yet
 * @planned: written only until model_over()
 */
struct loc {
	uint64_t initial;
	uint32_t writers;
	uint32_t users;
	bool awaited;
	bool planned;
};

extern struct loc locs[MODEL_LOCS];
extern int nlocs;
extern struct state now;
extern struct msg memory[MODEL_LOCS][MODEL_MSGS];
extern const struct model_world *world_ops;
extern bool showing;
/* By the thread that runs, since it was resumed. */
extern unsigned int accesses;

/* What model_choose() will return. */
extern int choice;

unsigned char *stack_top(int t);
void make_thread(int t);
/* Until it has reason to wait. */
void run(int t);
_Noreturn void leave_for_good(void);
/* Give the processor back until there is reason to go on. */
void yield_as(enum status why);
_Noreturn void bound_hit(const char *what);
static inline unsigned int live_threads(void)
{
	unsigned int bits = 0;
	int t;

	for (t = 0; t < world_ops->threads; t++)
		if (now.thread[t].status != DONE)
			bits |= 1U << t;
	return bits;
}

void join(struct view *to, const struct view *from);
/* Numbers outlive a restored state in which they were not given yet. */
void begin_location(int loc);
/* Live threads that may yet store to this location. */
unsigned int memory_writers(int loc);

void memory_init(void);
/* Forget what nobody can read any more, and count from there. */
void memory_trim(void);

#endif
