/* SPDX-License-Identifier: MIT */
/*
 * calls: which reply slots my own calls use, and which requests of the peer I
 * have yet to answer.
 */
#ifndef FOS_CALLS_H
#define FOS_CALLS_H

#include <linux/fastos.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#define FOS_CALLS_WORDS		(FOS_CHAN_DEPTH_MAX / 64)

/**
 * struct fos_calls - an endpoint's reply slots, as many as its depth
 * @busy: a bit each; those beyond the depth are set for ever
 * @waiters: threads that wait for a free one
 * @freed: posted for them
 * @posted: tokens of calls that no thread waits in; 0: none
 * @next: where to look first for one that is answered: they mostly are in turn
 */
struct fos_calls {
	uint64_t busy[FOS_CALLS_WORDS];
	uint32_t waiters;
	sem_t freed;
	uint64_t posted[FOS_CHAN_DEPTH_MAX];
	uint32_t next;
};

void fos__calls_init(struct fos_calls *c, uint32_t depth);

/**
 * fos__call_begin() - get a reply slot, wait for one if need be
 * @deadline_ns: absolute CLOCK_MONOTONIC or FOS_DEADLINE_NONE
 *
 * Return: the slot; -ETIMEDOUT; -EINTR.
 */
int fos__call_begin(struct fos_calls *c, uint64_t deadline_ns);
/* The same at once; -EAGAIN: all are busy. */
int fos__call_try(struct fos_calls *c);
void fos__call_end(struct fos_calls *c, uint32_t slot);

/**
 * struct fos_owed - requests that were taken and not yet answered
 * @token: per reply slot; 0: none
 *
 * A caller who gave up may use his slot again while one of my threads still
 * writes the late reply there: the next one must wait for that.
 */
struct fos_owed {
	uint64_t token[FOS_CHAN_DEPTH_MAX];
};

void fos__owed_init(struct fos_owed *o);

/*
 * @token is about to be taken: its caller has finished with the older request of
 * this slot.  Nobody begins to answer that one any more, and who is at it is waited
 * for: whether it was given up is told only until @token is decided.
 */
void fos__owed_forget(struct fos_owed *o, uint64_t token);

/* @token was taken. */
void fos__owed_add(struct fos_owed *o, uint64_t token);

/* Before writing its reply; false: it is not owed (any more). */
bool fos__owed_begin(struct fos_owed *o, uint64_t token);
/* Is its reply being written? */
bool fos__owed_is_writing(const struct fos_owed *o, uint64_t token);
/* It was replied to, or cannot be; or: it is still owed. */
void fos__owed_end(struct fos_owed *o, uint64_t token);
void fos__owed_keep(struct fos_owed *o, uint64_t token);

#endif
