/* SPDX-License-Identifier: MIT */
/* poll: one call of fos_poll(), and what its waits teach. */
#ifndef FOS_LIB_POLL_SET_H
#define FOS_LIB_POLL_SET_H

#include <poll.h>

#include "internal.h"

/**
 * struct watched - an endpoint among them
 * @ep: the endpoint
 * @state: of my side when its descriptor was known to be @ep
 * @seen: the peer's count of events when it was last looked at closely
 * @at: its index
 * @fd: its number
 * @wrong: how often in turn the kernel was wrong
 * @replies: what has been rung for
 * @found: of what was asked for, IN if there is a message
 * @dead: the peer is
 * @armed: its backend knows that we sleep
 */
struct watched {
	struct fos_ep *ep;
	uint64_t state;
	uint64_t seen;
	nfds_t at;
	int fd;
	unsigned int wrong;
	uint64_t replies;
	short found;
	bool dead;
	bool armed;
};

/**
 * struct poll - one call
 * @fds: the caller's
 * @kernel: the same, for the kernel to fill in
 * @eps: those that are endpoints
 * @nfds, @neps: how many
 * @asks: there is something that only the kernel knows
 * @late: the deadline has passed
 * @deadline_ns: or FOS_DEADLINE_NONE
 * @ask_ns: how long it takes to ask it; learnt from asking
 * @budget_ns: of the polling
 * @began: when that did, ns; 0: nothing is learnt from this wait
 */
struct poll {
	struct pollfd *fds;
	struct pollfd *kernel;
	struct watched *eps;
	nfds_t nfds;
	unsigned int neps;
	bool asks;
	bool late;
	uint64_t deadline_ns;
	uint64_t ask_ns;
	uint64_t budget_ns;
	uint64_t began;
};

/* ---- poll_learn.c: the policy of each thread --------------------------- */

/* Set up with the first endpoint that this thread polls for; for these now. */
struct fos_spin *fos__poll_policy(const struct poll *q);

/* Those who would poll; of their peers one on my CPU counts, else any that runs. */
struct fos_spin_sample fos__poll_sample(const struct poll *q, bool me);

/* The wait is over: @slept, or while we polled. */
void fos__poll_learn(const struct poll *q, bool slept);

#endif
