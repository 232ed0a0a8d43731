/* SPDX-License-Identifier: MIT */
/*
 * op: one call of the public API under way.  It looks at the ring, and if there
 * is nothing to do polls for a while, then sleeps, and looks again.  A bell
 * that the peer must get is owed until the next trap, and is rung on its own
 * only if no sleep follows.
 */
#ifndef FOS_OP_H
#define FOS_OP_H

#include "internal.h"

/**
 * struct op - one call of the public API under way
 * @ep: the endpoint
 * @r: its ring
 * @fd: the descriptor that the caller used
 * @bell: what the peer must be rung for, FOS_WANT_*
 * @waits: how often it has waited
 * @waited: the last time is to be learnt from
 * @delivered: the request was taken though the call fails
 * @told: the peer knows my CPU, for I have polled there
 * @state: of my side when @fd was last known to be @ep
 * @deadline_ns: absolute CLOCK_MONOTONIC or FOS_DEADLINE_NONE
 * @wait: that, if @waited
 * @slept_from: when it began, if it slept
 */
struct op {
	struct fos_ep *ep;
	struct fos_ring *r;
	int fd;
	uint32_t bell;
	uint32_t waits;
	bool waited;
	bool delivered;
	bool told;
	uint64_t state;
	uint64_t deadline_ns;
	struct fos_spin_wait wait;
	uint64_t slept_from;
};

int op_begin(struct op *op, int fd, const struct timespec *deadline);
/* The same, but what former calls owe stays owed, until op_take_owed(). */
int op_begin_owing(struct op *op, int fd, const struct timespec *deadline);
/* Ring what is owed, leave; the public result. */
ssize_t op_end(struct op *op, ssize_t ret);

/*
 * Before a trap in the middle of a call: has this process closed descriptors
 * of the endpoint meanwhile, ours among them, so that it is somebody else's?
 */
static inline int op_check(struct op *op)
{
	if (fos_unlikely(fos_ring_my_state(op->r) != op->state))
		return fos__ep_recheck(op->fd, op->ep, &op->state);
	return 0;
}

/* The caller's descriptor, or if that was closed another one; -1: none. */
static inline int op_fd(struct op *op)
{
	if (fos_unlikely(op_check(op)))
		return fos__ep_other_fd(op->ep, op->fd);
	return op->fd;
}

static inline bool op_polls(const struct op *op)
{
	return op->ep->spin.mode != FOS_SPIN_BLOCK;
}

/*
 * Is the clock read for the policy?  Not while nobody may poll, and nothing is
 * learnt.
 */
static inline bool op_is_timed(const struct op *op)
{
	return fos_spin_is_timed(&op->ep->spin) &&
	       !__atomic_load_n(&op->ep->beside, __ATOMIC_RELAXED);
}

/*
 * The backend's part beside waiting for that: without the module a peer may have come,
 * or gone, or only poll(), and it was not noticed yet.
 */
static inline void op_attend(struct op *op, uint32_t want, uint64_t arg)
{
	if (op->ep->backend->attend)
		op->ep->backend->attend(op->ep, op->fd, want, arg);
}

/* What was waited for was found; with the peer's hint, or 0. */
void op_learn(struct op *op, uint64_t hint);

static inline void op_found(struct op *op, uint64_t hint)
{
	if (fos_unlikely(op->waited))
		op_learn(op, hint);
}

uint64_t op_make_hint(struct op *op);

/* For one who sleeps, or of one who slept. */
static inline uint64_t op_hint(struct op *op)
{
	if (op_is_timed(op) &&
	    fos_unlikely(fos_ring_peer_sleeps(op->r) ||
			 __atomic_load_n(&op->ep->late_ns, __ATOMIC_RELAXED)))
		return op_make_hint(op);
	return 0;
}

/* Ring the peer for what is owed; or leave that to the endpoint's next call. */
void op_ring(struct op *op);
void op_owe(struct op *op);

static inline void op_take_owed(struct op *op)
{
	uint32_t *owed = &op->ep->owed_bell;

	if (fos_unlikely(__atomic_load_n(owed, __ATOMIC_RELAXED)))
		op->bell |= __atomic_exchange_n(owed, 0, __ATOMIC_SEQ_CST);
}

/**
 * op_wait() - ring what is owed and wait
 * @want: FOS_WANT_REPLY, _TAKE, _ROOM, _CLAIMS, _REPLIES, or some of _PUBLISHED
 * @arg: the token; the entry; or the sum of claims or of replies or the count of
 *	events, loaded before the ring was examined
 *
 * Return: 0: look again; -ETIMEDOUT, -EINTR; -EBADF: closed by another thread.
 */
int op_wait(struct op *op, uint32_t want, uint64_t arg);

/*
 * Ask the kernel to take back an entry of mine.  1: it was; 0: the peer has
 * decided; -EPROTO, -EBADF.
 */
int op_withdraw(struct op *op, uint64_t seq);

void op_tell_cpu(struct op *op);

/* A message was picked up: the peer, who may poll, is told where. */
static inline void op_picked_up(struct op *op)
{
	if (op_polls(op) && !op->told)
		op_tell_cpu(op);
}

#endif
