/* SPDX-License-Identifier: MIT */
/*
 * bells: those that a thread holds until it asks for all of them (fos_prep_bells()).
 * Nobody waits while the one he waits for has not been rung: whatever may wait for a
 * peer, or closes an endpoint, rings them before.
 */
#ifndef FOS_BELLS_H
#define FOS_BELLS_H

#include "internal.h"

#define BELLS_MOST	64

/**
 * struct fos_bell - a side that is to be rung
 * @who: the endpoint that owes it
 * @bell: FOS_WANT_*
 */
struct fos_bell {
	struct fos_ep_name who;
	uint32_t bell;
};

/**
 * struct fos_bells - what a thread holds
 * @n: how many
 * @bell: they
 */
struct fos_bells {
	unsigned int n;
	struct fos_bell bell[BELLS_MOST];
};

/* This thread's; NULL: it rings at once. */
extern __thread struct fos_bells *fos__bells
	__attribute__((tls_model("initial-exec")));

/* With fos__bells: @ep's owner has to be rung; @fd is it. */
void fos__bells_hold(struct fos_ep *ep, int fd, uint32_t bell);

/* By a system call of its own. */
void fos__bell_ring(struct fos_bell *b);
void fos__bells_ring(void);

/* Before this thread waits for a peer, or closes. */
static inline void fos__bells_before_waiting(void)
{
	if (fos_unlikely(fos__bells) && fos__bells->n)
		fos__bells_ring();
}

#endif
