// SPDX-License-Identifier: MIT
/*
 * poll: poll(2) that waits as the other calls do.  Endpoints are looked at in
 * memory; the kernel is asked about the rest, and for what else a caller wants to
 * know of an endpoint, and sleeps for us at last.
 *
 * While we look the kernel need not know of endpoints that are waited for: one it
 * was told of costs its peer a trap with the next message.
 */
#include "internal.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "bells.h"
#include "look.h"
#include "op.h"
#include "poll_set.h"

/* So many descriptors need no memory but the stack. */
#define FEW		64

/* What a message is, for those who ask. */
#define IN		(POLLIN | POLLRDNORM)

/* Looks between two at the clock. */
#define LOOKS_PER_CHECK	64

/*
 * So many times in turn poll(2) may return at once with a message that is none.
 * Then it is believed: a peer who makes it so must not keep us here.
 */
#define WRONG_MAX	64
#define AT_ONCE_NS	1000000

/* Who makes copies without us changes what a number is: so often it is asked. */
#define CALLS_PER_CHECK	32

/* ---- looking ---------------------------------------------------------- */

static short wanted(const struct poll *q, const struct watched *w)
{
	return q->kernel[w->at].events & IN;
}

/* Closed by another thread: from now on its number is any. */
static bool is_closed(struct watched *w)
{
	return fos_ring_my_state(&w->ep->ring) != w->state &&
	       fos__ep_recheck(w->fd, w->ep, &w->state);
}

static void disarm(struct watched *w)
{
	if (w->armed)
		w->ep->backend->disarm(w->ep);
	w->armed = false;
}

static void forget(struct poll *q, struct watched *w)
{
	q->kernel[w->at].fd = w->fd;
	q->asks = true;
	disarm(w);
	fos__ep_put(w->ep);
	*w = q->eps[--q->neps];
}

/* Closely: at each slot.  Death first, so that what was sent before it is found. */
static bool look_at(const struct poll *q, struct watched *w)
{
	struct fos_ring *r = &w->ep->ring;

	w->dead = fos_ring_peer_dead(r);
	w->seen = fos_ring_seen(r);
	w->found = 0;
	if (wanted(q, w) && !fos_ring_is_empty(r))
		w->found = wanted(q, w);
	return w->found || w->dead;
}

/* At all of them; true: there is something to report, or to ask the kernel about. */
static bool look(struct poll *q)
{
	bool any = false;
	unsigned int i = 0;

	while (i < q->neps) {
		if (fos_unlikely(is_closed(&q->eps[i]))) {
			forget(q, &q->eps[i]);
			any = true;
			continue;
		}
		any |= look_at(q, &q->eps[i++]);
	}
	return any;
}

/* At two lines each: is a closer look worth while? */
static bool glance(const struct poll *q)
{
	const struct watched *w;

	for (w = q->eps; w < q->eps + q->neps; w++) {
		const struct fos_ring *r = &w->ep->ring;

		if ((wanted(q, w) && fos_ring_peek(r)) ||
		    fos_ring_seen(r) != w->seen || fos_ring_peer_dead(r) ||
		    fos_ring_my_state(r) != w->state)
			return true;
	}
	__builtin_ia32_pause();
	return false;
}

/* ---- the kernel ------------------------------------------------------- */

/* Not of endpoints that are only waited for, unless it is to be about @all. */
static void choose(struct poll *q, bool all)
{
	struct watched *w;
	struct pollfd *k;

	for (w = q->eps; w < q->eps + q->neps; w++) {
		k = &q->kernel[w->at];
		k->fd = all || w->dead || (k->events & ~IN) ? w->fd : -1;
	}
}

/* By system call: ppoll() of libc is a cancellation point. */
static int ask(struct poll *q, struct timespec *timeout)
{
	const int ret = syscall(SYS_ppoll, q->kernel, q->nfds, timeout, NULL, 0);

	return ret < 0 ? -errno : ret;
}

/* A signal is for those who sleep. */
static int ask_now(struct poll *q)
{
	struct timespec at_once = { 0 };
	int ret;

	choose(q, false);
	ret = ask(q, &at_once);
	return ret == -EINTR ? 0 : ret;
}

/* What was found and what the kernel said of the rest. */
static int report(struct poll *q)
{
	struct watched *w;
	short *said;
	nfds_t i;
	int n = 0;

	for (w = q->eps; w < q->eps + q->neps; w++) {
		said = &q->kernel[w->at].revents;
		*said = (*said & ~IN) | w->found | (w->dead ? POLLHUP : 0);
	}
	for (i = 0; i < q->nfds; i++) {
		q->fds[i].revents = q->kernel[i].revents;
		n += !!q->fds[i].revents;
	}
	return n;
}

/* Of an endpoint the kernel may say what was, or nothing but that it was rung. */
static void settle(struct poll *q, bool at_once)
{
	struct watched *w;
	uint64_t replies;
	short said;

	look(q);
	for (w = q->eps; w < q->eps + q->neps; w++) {
		said = q->kernel[w->at].revents & IN;
		if (!at_once)
			w->wrong = 0;
		if (!said || w->found)
			continue;
		/* A reply is none of ours, but has been rung for, too. */
		replies = fos_ring_replies_sum(&w->ep->ring);
		if (w->ep->backend->drain && (replies != w->replies ||
					      w->wrong++ < WRONG_MAX)) {
			w->replies = replies;
			w->ep->backend->drain(w->ep, w->fd);
			fos__cq_look_again(w->ep);
			look_at(q, w);
		} else {
			w->found = said;
		}
	}
}

/* After a look that found something, which must not hide what else there is. */
static int collect(struct poll *q)
{
	bool asks = q->asks;
	unsigned int i;
	int ret;

	for (i = 0; i < q->neps && !asks; i++)
		asks = q->eps[i].dead;
	ret = asks ? ask_now(q) : 0;
	/* Who it says is dead may have left something since we looked. */
	if (ret > 0)
		settle(q, true);
	return ret < 0 ? ret : report(q);
}

/* ---- polling ---------------------------------------------------------- */

/* What the kernel alone knows: it is asked as long as we look. */
static int ask_between(struct poll *q, uint64_t *asked_at, uint64_t now)
{
	int ret;

	if (!q->asks || now - *asked_at < q->ask_ns)
		return 0;
	ret = ask_now(q);
	*asked_at = fos__now_ns();
	q->ask_ns = *asked_at - now;
	if (ret <= 0)
		return ret;
	settle(q, true);
	return report(q);
}

/* How many looks at an endpoint that was. */
static unsigned int glance_on(const struct poll *q, bool *news)
{
	unsigned int looks;

	*news = false;
	for (looks = 0; looks < LOOKS_PER_CHECK && !*news; looks += q->neps)
		*news = glance(q);
	return looks;
}

/* What there is, 0: time to sleep. */
static int poll_until(struct poll *q, struct fos_spin *spin, uint64_t until)
{
	uint64_t now = q->began, before, asked_at = 0;
	struct fos_spin_sample s;
	unsigned int looks;
	bool news;
	int ret;

	while (q->neps && now < until) {
		s = fos__poll_sample(q, true);
		if (!fos_spin_may_poll(spin, &s)) {
			q->began = 0;
			return 0;
		}
		ret = ask_between(q, &asked_at, now);
		if (ret)
			return ret;
		before = fos__now_ns();
		looks = glance_on(q, &news);
		now = fos__now_ns();
		if (news && look(q)) {
			ret = collect(q);
			if (ret)
				return ret;
		}
		if (fos__was_away(spin, looks, now - before)) {
			fos_spin_robbed(spin);
			q->began = 0;
			return 0;
		}
	}
	return 0;
}

/* The same, from the decision on. */
static int poll_first(struct poll *q)
{
	struct fos_spin *spin = fos__poll_policy(q);
	struct fos_spin_sample s = fos__poll_sample(q, false);
	int ret;

	if (!fos_spin_may_poll(spin, &s))
		return 0;
	s.now_ns = fos__now_ns();
	q->budget_ns = fos_spin_decide(spin, &s);
	q->began = s.now_ns;
	if (!q->budget_ns)
		return 0;
	__atomic_fetch_add(&fos__pollers, 1, __ATOMIC_RELAXED);
	ret = poll_until(q, spin, fos__earlier(q->began + q->budget_ns,
					       q->deadline_ns));
	__atomic_fetch_sub(&fos__pollers, 1, __ATOMIC_RELAXED);
	if (ret > 0)
		fos__poll_learn(q, false);
	return ret;
}

/* ---- sleeping --------------------------------------------------------- */

/* What is owed to the peers since FOS_MORE. */
static void ring_owed(const struct poll *q)
{
	struct watched *w;
	struct op op;

	for (w = q->eps; w < q->eps + q->neps; w++)
		if (__atomic_load_n(&w->ep->owed_bell, __ATOMIC_RELAXED) &&
		    !op_begin(&op, w->fd, NULL))
			op_end(&op, 0);
}

/* Tell the peers where we are. */
static bool announce(struct poll *q)
{
	bool polls = false;
	struct watched *w;

	for (w = q->eps; w < q->eps + q->neps; w++) {
		if (w->ep->spin.mode == FOS_SPIN_BLOCK)
			continue;
		fos_ring_set_cpu(&w->ep->ring, sched_getcpu());
		polls = true;
	}
	return polls;
}

/* True: look again. */
static bool arm(struct poll *q)
{
	bool again = false;
	struct watched *w;

	for (w = q->eps; w < q->eps + q->neps; w++)
		if (wanted(q, w) && w->ep->backend->arm) {
			w->armed = true;
			again |= w->ep->backend->arm(w->ep, w->fd);
			fos__cq_look_again(w->ep);
		}
	return again;
}

/* As poll(2); 0 also when it was woken for nothing. */
static int sleep_armed(struct poll *q)
{
	const bool for_ever = q->deadline_ns == FOS_DEADLINE_NONE;
	const uint64_t before = fos__now_ns();
	struct timespec left = fos__time_left(q->deadline_ns, before);
	uint64_t now;
	int ret;

	choose(q, true);
	ret = ask(q, for_ever ? NULL : &left);
	now = fos__now_ns();
	q->late = now >= q->deadline_ns;
	if (ret <= 0)
		return ret;
	settle(q, now - before < AT_ONCE_NS);
	ret = report(q);
	if (ret > 0)
		fos__poll_learn(q, true);
	return ret;
}

static int sleep_once(struct poll *q)
{
	const int ret = arm(q) && look(q) ? collect(q) : sleep_armed(q);
	unsigned int i;

	for (i = 0; i < q->neps; i++)
		disarm(&q->eps[i]);
	return ret;
}

static int wait_for_any(struct poll *q)
{
	int ret;

	ring_owed(q);
	ret = look(q) ? collect(q) : 0;

	while (!ret && !q->late) {
		bool polls;

		q->began = 0;
		polls = announce(q);
		fos__bells_before_waiting();
		if (polls && fos__now_ns() < q->deadline_ns)
			ret = poll_first(q);
		if (!ret)
			ret = sleep_once(q);
	}
	return ret;
}

/* ---- what people call ------------------------------------------------- */

static int make_room(struct poll *q)
{
	struct rlimit most;

	if (!getrlimit(RLIMIT_NOFILE, &most) && q->nfds > most.rlim_cur)
		return -EINVAL;
	q->kernel = calloc(q->nfds, sizeof(*q->kernel));
	q->eps = calloc(q->nfds, sizeof(*q->eps));
	return q->kernel && q->eps ? 0 : -ENOMEM;
}

/* Which of them are endpoints?  What cannot be attached is for poll(2). */
static void sort_out(struct poll *q)
{
	static __thread unsigned int calls;
	const bool ask = !(++calls % CALLS_PER_CHECK);
	struct watched w = { 0 };
	struct pollfd *k;
	nfds_t i;

	for (i = 0; i < q->nfds; i++) {
		k = &q->kernel[i];
		*k = (struct pollfd) {
			.fd = q->fds[i].fd,
			.events = q->fds[i].events,
		};
		if (k->fd < 0)
			continue;
		w.at = i;
		w.fd = k->fd;
		if (!fos__ep_try(w.fd, ask, &w.ep, &w.state)) {
			q->eps[q->neps++] = w;
			q->asks |= k->events & ~IN;
		} else {
			q->asks = true;
		}
	}
}

FOS_API int fos_poll(struct pollfd *fds, nfds_t nfds,
		     const struct timespec *deadline)
{
	struct pollfd kernel[FEW];
	struct watched eps[FEW];
	struct poll q = {
		.fds = fds,
		.kernel = nfds > FEW ? NULL : kernel,
		.eps = nfds > FEW ? NULL : eps,
		.nfds = nfds,
	};
	nfds_t i;
	int ret;

	ret = fos__deadline(deadline, &q.deadline_ns);
	if (!ret && nfds && !fds)
		ret = -EFAULT;
	if (!ret && nfds > FEW)
		ret = make_room(&q);
	if (!ret) {
		sort_out(&q);
		ret = wait_for_any(&q);
		/* Nothing: not what was there when it was last filled in. */
		for (i = 0; ret <= 0 && i < nfds; i++)
			fds[i].revents = 0;
	}
	while (q.neps)
		fos__ep_put(q.eps[--q.neps].ep);
	if (nfds > FEW) {
		free(q.kernel);
		free(q.eps);
	}
	return fos__ret(ret);
}
