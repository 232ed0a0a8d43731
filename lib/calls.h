/* SPDX-License-Identifier: MIT */
/*
 * calls: who waits for which reply, and which requests are to be answered.
 *
 * Any thread that finds a reply takes it and hands it to the thread whose call
 * it answers: a thread that sleeps long must not leave its reply in a slot
 * that others need.  One word a call says whose it is and how far it is, so
 * that handing over is one compare-and-exchange.
 */
#ifndef FOS_CALLS_H
#define FOS_CALLS_H

#include <linux/fastos.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct fos_call - a call of mine that waits for its reply
 * @word: token << 2 | state; 0: free
 * @buf: where the reply goes
 * @cap: room there
 * @result: its length or -errno, once ROUTED
 */
struct fos_call {
	uint64_t word;
	void *buf;
	size_t cap;
	ssize_t result;
};

#define FOS_CALL_WAITING	0ULL
#define FOS_CALL_ROUTING	1ULL	/* a thread copies the reply */
#define FOS_CALL_CONTENDED	2ULL	/* ... and the caller sleeps for it */
#define FOS_CALL_ROUTED		3ULL	/* the result is there */
#define FOS_CALL_STATE		3ULL

/**
 * struct fos_calls - an endpoint's outstanding calls, as many as its depth
 * @waiters: threads that wait for a free one
 * @freed: posted for them
 */
struct fos_calls {
	uint32_t depth;
	uint32_t waiters;
	sem_t freed;
	struct fos_call call[FOS_CHAN_DEPTH_MAX];
};

void fos__calls_init(struct fos_calls *c, uint32_t depth);

/**
 * fos__call_begin() - get a free call, wait for one if need be
 * @deadline_ns: absolute CLOCK_MONOTONIC or FOS_DEADLINE_NONE
 *
 * Return: 0; -ETIMEDOUT; -EINTR.
 */
int fos__call_begin(struct fos_calls *c, uint64_t deadline_ns,
		    struct fos_call **call);
void fos__call_end(struct fos_calls *c, struct fos_call *call);

/* The request is about to be published as @token; its reply goes to @buf. */
void fos__call_expect(struct fos_call *call, uint64_t token, void *buf,
		      size_t cap);

/* Is the reply there?  Sleeps while another thread is copying it. */
bool fos__call_is_routed(struct fos_call *call);

/* Give up; false: too late, the reply is there. */
bool fos__call_abandon(struct fos_call *call, uint64_t token);

/* Whose is @token?  NULL: nobody's, or he gave up. */
struct fos_call *fos__call_find(struct fos_calls *c, uint64_t token);
/* Become the one who copies its reply; false: another thread is. */
bool fos__call_route(struct fos_call *call, uint64_t token);
/* The reply could not be taken after all. */
void fos__call_unroute(struct fos_call *call, uint64_t token);
void fos__call_finish(struct fos_call *call, uint64_t token, ssize_t result);

/**
 * struct fos_owed - requests that were taken and not yet answered
 * @slots: twice the depth, for those whose callers have given up
 * @token: 0: free
 */
struct fos_owed {
	uint32_t slots;
	uint64_t token[2 * FOS_CHAN_DEPTH_MAX];
};

void fos__owed_init(struct fos_owed *o, uint32_t depth);
/* False: there are too many. */
bool fos__owed_add(struct fos_owed *o, uint64_t token);
/* Drop those that @gone says nobody waits for any more. */
void fos__owed_sweep(struct fos_owed *o, bool (*gone)(void *arg, uint64_t token),
		     void *arg);
/* False: it is not owed. */
bool fos__owed_remove(struct fos_owed *o, uint64_t token);

#endif
