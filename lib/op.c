// SPDX-License-Identifier: MIT
#include "op.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Looks at one word between two looks at everything. */
#define POLLS_PER_CHECK	64

/* ... of which so many are as long as what a peer does between two calls. */
#define CHECKS_PER_ATTEND	32

/* Waits in one call after which the deadline is looked at here as well. */
#define MANY_WAITS	64

uint64_t fos__now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void fos__nap(void)
{
	const struct timespec nap = { .tv_nsec = 50000 };

	syscall(SYS_nanosleep, &nap, NULL);
}

int fos__deadline(const struct timespec *ts, uint64_t *ns)
{
	*ns = FOS_DEADLINE_NONE;
	if (!ts)
		return 0;
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= 1000000000)
		return -EINVAL;
	/* Beyond what the kernel's clock counts: for ever. */
	if (ts->tv_sec < INT64_MAX / 1000000000)
		*ns = ts->tv_sec * 1000000000ULL + ts->tv_nsec;
	return 0;
}

int op_begin(struct op *op, int fd, const struct timespec *deadline)
{
	int ret;

	ret = fos__deadline(deadline, &op->deadline_ns);
	if (ret)
		return ret;
	ret = fos__ep_get(fd, &op->ep, &op->state);
	if (ret)
		return ret;
	op->r = &op->ep->ring;
	op->fd = fd;
	op->bell = 0;
	if (fos_unlikely(__atomic_load_n(&op->ep->owed_bell, __ATOMIC_RELAXED)))
		op->bell = __atomic_exchange_n(&op->ep->owed_bell, 0,
					       __ATOMIC_RELAXED);
	op->waits = 0;
	op->delivered = false;
	return 0;
}

void op_owe(struct op *op)
{
	if (op->bell)
		__atomic_fetch_or(&op->ep->owed_bell, op->bell,
				  __ATOMIC_RELAXED);
	op->bell = 0;
}

static int ring_by(struct op *op, int fd)
{
	return op->ep->backend->bell_wait(op->ep, fd, op->bell, 0, 0, 0);
}

/*
 * The caller's descriptor was closed under him, but the endpoint may live on:
 * by another one that is known, or by whoever next uses one that is not.
 */
static FOS_COLD void ring_otherwise(struct op *op)
{
	const int fd = fos__ep_other_fd(op->ep, op->fd);

	if (fd < 0 || ring_by(op, fd) == -EBADF)
		op_owe(op);
}

void op_ring(struct op *op)
{
	if (!op->bell)
		return;
	if (op_check(op) || ring_by(op, op->fd) == -EBADF)
		ring_otherwise(op);
	op->bell = 0;
}

ssize_t op_end(struct op *op, ssize_t ret)
{
	op_ring(op);
	fos__ep_put(op->ep);
	return fos__ret(ret);
}

/* Tell the peer where we run: it does not poll beside us. */
static void op_hint(struct op *op)
{
	fos_ring_set_hints(op->r, sched_getcpu(),
			   __atomic_load_n(&op->ep->spin.turn_ns,
					   __ATOMIC_RELAXED));
}

static uint64_t op_budget(const struct op *op)
{
	const struct fos_spin_sample s = {
		.my_cpu = sched_getcpu() + 1,
		.peer_cpu = fos_ring_peer_cpu(op->r),
		.online_cpus = fos__online_cpus(),
		.peer_turn_ns = fos_ring_peer_turn(op->r),
	};
	return fos_spin_decide(&op->ep->spin, &s);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Poll until it may be over; false: time to sleep.  A message is awaited at
 * the head of the ring, one line, unless one that is not for us lies there.
 */
static __attribute__((noinline)) bool op_poll(struct op *op, uint32_t want, uint64_t arg)
{
	const bool peek = (want & FOS_WANT_PUBLISHED) && !fos_ring_peek(op->r);
	uint64_t budget = op_budget(op);
	uint64_t until = FOS_DEADLINE_NONE;
	unsigned int i, checks = 0;

	if (!budget)
		return false;
	op_ring(op);
	if (budget != FOS_SPIN_FOREVER)
		until = fos__now_ns() + budget;
	until = earlier(until, op->deadline_ns);
	for (;;) {
		for (i = 0; i < POLLS_PER_CHECK; i++) {
			if (peek ? fos_ring_peek(op->r) :
				   fos_ring_wait_over(op->r, want, arg))
				return true;
			__builtin_ia32_pause();
		}
		if (fos_ring_wait_over(op->r, want, arg) || op_check(op) ||
		    fos_ring_peer_dead(op->r))
			return true;
		if (until != FOS_DEADLINE_NONE && fos__now_ns() >= until)
			return false;
		if (!(++checks % CHECKS_PER_ATTEND) && op->ep->backend->attend)
			op->ep->backend->attend(op->ep, op->fd, want, arg);
		if (!op_budget(op))
			return false;
	}
}

/* A peer that keeps us busy with nothing does not stop the clock. */
static FOS_COLD bool op_is_late(const struct op *op)
{
	return op->deadline_ns != FOS_DEADLINE_NONE &&
	       fos__now_ns() >= op->deadline_ns;
}

int op_wait(struct op *op, uint32_t want, uint64_t arg)
{
	uint32_t bell;
	int ret = op_check(op);

	if (ret)
		return ret;
	if (fos_unlikely(++op->waits > MANY_WAITS) && op_is_late(op))
		return -ETIMEDOUT;
	if (op_polls(op)) {
		op_hint(op);
		if (op_poll(op, want, arg))
			return 0;
	}
	bell = op->bell;
	op->bell = 0;
	ret = op->ep->backend->bell_wait(op->ep, op->fd, bell, want, arg,
					 op->deadline_ns);
	if (fos_unlikely(ret == -EBADF))
		op->bell |= bell;
	return ret;
}

int op_withdraw(struct op *op, uint64_t seq)
{
	uint64_t word;
	int ret;

	ret = op->ep->backend->withdraw(op->ep, op_fd(op), seq, &word);
	if (ret)
		return ret;
	return word == FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN);
}

/* ---- turns ------------------------------------------------------------ */

/* My turn ends: how long was it? */
__attribute__((noinline)) uint64_t op_end_turn(struct op *op)
{
	struct fos_ep *ep = op->ep;
	uint64_t now = fos__now_ns();
	uint64_t picked;

	picked = __atomic_exchange_n(&ep->picked_at, 0, __ATOMIC_RELAXED);
	if (picked)
		fos_spin_turn(&ep->spin, now - picked);
	return now;
}

void op_begin_turn(struct op *op)
{
	op_hint(op);
	if (fos_spin_is_timed(&op->ep->spin))
		__atomic_store_n(&op->ep->picked_at, fos__now_ns(),
				 __ATOMIC_RELAXED);
}

