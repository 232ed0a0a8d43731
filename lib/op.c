// SPDX-License-Identifier: MIT
#include "op.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "bells.h"
#include "look.h"

/* Looks at one word between two looks at everything. */
#define POLLS_PER_CHECK	64

/* ... of which so many are as long as what a peer does between two calls. */
#define CHECKS_PER_ATTEND	32

/* What these find says when it was posted. */
#define WANT_POSTED	(FOS_WANT_PUBLISHED | FOS_WANT_REPLY | FOS_WANT_REPLIES)

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

int op_begin_owing(struct op *op, int fd, const struct timespec *deadline)
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
	op->waits = 0;
	op->waited = false;
	op->delivered = false;
	op->told = false;
	return 0;
}

int op_begin(struct op *op, int fd, const struct timespec *deadline)
{
	const int ret = op_begin_owing(op, fd, deadline);

	if (!ret)
		op_take_owed(op);
	return ret;
}

void op_owe(struct op *op)
{
	uint32_t *owed = &op->ep->owed_bell;

	/* In one order with its exchange: who takes it rings after I published. */
	if (op->bell & ~__atomic_load_n(owed, __ATOMIC_SEQ_CST))
		__atomic_fetch_or(owed, op->bell, __ATOMIC_SEQ_CST);
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
	if (op->bell) {
		if (fos_unlikely(fos__bells))
			fos__bells_hold(op->ep, op->fd, op->bell);
		else
			op_ring(op);
	}
	fos__ep_put(op->ep);
	return fos__ret(ret);
}

/* ---- polling ---------------------------------------------------------- */

/**
 * struct polling - for what, and since when
 * @want, @arg: as in op_wait()
 * @peek: a message is awaited at the head of the ring, one line
 * @budget_ns: as decided
 * @began: ns, known when the clock was read
 */
struct polling {
	uint32_t want;
	uint64_t arg;
	bool peek;
	uint64_t budget_ns;
	uint64_t began;
};

static struct fos_spin_sample op_sample(const struct op *op, bool me)
{
	return fos__sample(fos__my_cpu(), fos_ring_peer_cpu(op->r), me);
}

/* So many looks; which one found something, 0: none. */
static unsigned int op_look(const struct op *op, const struct polling *p,
			    unsigned int looks)
{
	unsigned int i;

	for (i = 1; i <= looks; i++) {
		if (p->peek ? fos_ring_peek(op->r) :
			      fos_ring_wait_over(op->r, p->want, p->arg))
			return i;
		__builtin_ia32_pause();
	}
	return 0;
}

/* It is over, and will be learnt from when it is known what was found. */
static void op_waited(struct op *op, const struct polling *p, uint64_t ns)
{
	op->waited = fos_spin_is_timed(&op->ep->spin);
	op->wait.ns = ns;
	op->wait.budget_ns = p->budget_ns;
}

/* The same of one that is going to sleep. */
static void op_sleeps(struct op *op, const struct polling *p)
{
	op_waited(op, p, 0);
	op->slept_from = p->began;
}

/* What looks took, unless the CPU was away; false: then it is time to sleep. */
static bool op_time_looks(struct op *op, uint64_t took_ns)
{
	const uint64_t old = fos__time_of_looks(1);
	struct fos_spin *spin = &op->ep->spin;
	uint64_t ns = took_ns / POLLS_PER_CHECK;

	if (fos__was_away(spin, POLLS_PER_CHECK, took_ns)) {
		if (!fos_spin_is_timed(spin))
			return true;
		fos_spin_robbed(spin);
		return false;
	}
	/* A disturbance is no look. */
	ns = fos__earlier(ns, 2 * old + 1);
	__atomic_store_n(&fos__look_ns, fos__later(1, (7 * old + ns + 4) / 8),
			 __ATOMIC_RELAXED);
	return true;
}

/* Beyond the first looks; @now is after those.  False: time to sleep. */
static bool op_look_on(struct op *op, struct polling *p, uint64_t now)
{
	const uint64_t wake_ns = fos_spin_wake_ns(&op->ep->spin);
	/* A peer who only poll()s is told as early as if sleeping cost one wake-up. */
	uint64_t attend_at = wake_ns ? p->began + wake_ns : FOS_DEADLINE_NONE;
	uint64_t until = FOS_DEADLINE_NONE, before;
	unsigned int i, checks = 0;
	struct fos_spin_sample s;

	if (p->budget_ns != FOS_SPIN_FOREVER)
		until = p->began + p->budget_ns;
	until = fos__earlier(until, op->deadline_ns);
	for (;;) {
		if (fos_ring_wait_over(op->r, p->want, p->arg)) {
			op_waited(op, p, now - p->began);
			return true;
		}
		if (op_check(op) || fos_ring_peer_dead(op->r))
			return true;
		if (until != FOS_DEADLINE_NONE && now >= until) {
			op_sleeps(op, p);
			return false;
		}
		if (!(++checks % CHECKS_PER_ATTEND) || now >= attend_at) {
			attend_at = FOS_DEADLINE_NONE;
			op_attend(op, p->want, p->arg);
		}
		s = op_sample(op, true);
		fos_ring_set_cpu(op->r, s.my_cpu - 1);
		if (!fos_spin_may_poll(&op->ep->spin, &s))
			return false;
		i = op_look(op, p, POLLS_PER_CHECK);
		if (i) {
			op_waited(op, p, now - p->began + fos__time_of_looks(i));
			return true;
		}
		before = now;
		now = fos__now_ns();
		if (!op_time_looks(op, now - before))
			return false;
	}
}

static __attribute__((noinline)) bool op_poll_on(struct op *op,
						 struct polling *p,
						 unsigned int looks)
{
	const uint64_t now = fos__now_ns();
	bool over;

	fos__look_around_by(now);
	p->began = now - fos__time_of_looks(looks);
	__atomic_fetch_add(&fos__pollers, 1, __ATOMIC_RELAXED);
	over = op_look_on(op, p, now);
	__atomic_fetch_sub(&fos__pollers, 1, __ATOMIC_RELAXED);
	return over;
}

/* The first looks need no clock, if they find something. */
static bool op_poll_for(struct op *op, struct polling *p)
{
	const unsigned int looks =
		fos__earlier(p->budget_ns / fos__time_of_looks(1) + 1,
			     POLLS_PER_CHECK);
	const unsigned int i = op_look(op, p, looks);

	if (!i)
		return op_poll_on(op, p, looks);
	op_waited(op, p, fos__time_of_looks(i));
	return true;
}

/* Poll until it may be over; false: time to sleep. */
static __attribute__((noinline)) bool op_poll(struct op *op, uint32_t want,
					      uint64_t arg)
{
	struct fos_spin *spin = &op->ep->spin;
	struct fos_spin_sample s = op_sample(op, false);
	const bool beside = !fos_spin_may_poll(spin, &s);
	struct polling p = { .want = want, .arg = arg };

	op->waited = false;
	op->slept_from = 0;
	if (__atomic_load_n(&op->ep->beside, __ATOMIC_RELAXED) != beside)
		__atomic_store_n(&op->ep->beside, beside, __ATOMIC_RELAXED);
	if (beside)
		return false;
	if (spin->share)
		s.now_ns = fos__now_ns();
	p.budget_ns = fos_spin_decide(spin, &s);
	if (p.budget_ns) {
		op_ring(op);
		/* Unless one lies there that is not for us. */
		p.peek = (want & FOS_WANT_PUBLISHED) && !fos_ring_peek(op->r);
		return op_poll_for(op, &p);
	}
	if (fos_spin_is_timed(spin)) {
		p.began = fos__now_ns();
		fos__look_around_by(p.began);
		op_sleeps(op, &p);
	}
	return false;
}

static FOS_COLD void op_time_sleep(struct op *op, uint64_t hint)
{
	const uint64_t now = fos__now_ns();
	const uint64_t posted_at = fos__posted_at(&op->ep->spin, op->slept_from,
						  hint, now);

	op->wait.ns = posted_at - op->slept_from;
	op->wait.woke_ns = hint ? now - posted_at : 0;
	__atomic_store_n(&op->ep->late_ns, now - posted_at, __ATOMIC_RELAXED);
}

__attribute__((noinline)) void op_learn(struct op *op, uint64_t hint)
{
	op->waited = false;
	op->wait.woke_ns = 0;
	op->wait.late_ns = fos_spin_late_ns(hint);
	if (op->slept_from)
		op_time_sleep(op, hint);
	else if (__atomic_load_n(&op->ep->late_ns, __ATOMIC_RELAXED))
		__atomic_store_n(&op->ep->late_ns, 0, __ATOMIC_RELAXED);
	fos_spin_note(&op->ep->spin, &op->wait);
}

FOS_COLD uint64_t op_make_hint(struct op *op)
{
	return fos_spin_hint(fos__now_ns(),
			     __atomic_exchange_n(&op->ep->late_ns, 0,
						 __ATOMIC_RELAXED));
}

void op_tell_cpu(struct op *op)
{
	fos_ring_set_cpu(op->r, sched_getcpu());
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
	fos__bells_before_waiting();
	if (fos_unlikely(++op->waits > MANY_WAITS) && op_is_late(op))
		return -ETIMEDOUT;
	if (op_polls(op)) {
		op_tell_cpu(op);
		op->told = true;
		if (op_poll(op, want, arg)) {
			if (!(want & WANT_POSTED))
				op_found(op, 0);
			return 0;
		}
	}
	op->told = false;
	bell = op->bell;
	op->bell = 0;
	ret = op->ep->backend->bell_wait(op->ep, op->fd, bell, want, arg,
					 op->deadline_ns);
	if (fos_unlikely(ret == -EBADF))
		op->bell |= bell;
	if (ret)
		op->waited = false;
	else if (!(want & WANT_POSTED))
		op_found(op, 0);
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
