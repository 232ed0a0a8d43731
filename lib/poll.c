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
#include "post.h"

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

/**
 * struct watched - an endpoint among them
 * @ep: the endpoint
 * @state: of my side when its descriptor was known to be @ep
 * @seen: the peer's count of events when it was last looked at closely
 * @at: its index
 * @fd: its number
 * @wrong: how often in turn the kernel was wrong
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

/* The policy of each thread: what it waits for is not one endpoint's. */
static __thread struct fos_spin policy;

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
	short said;

	look(q);
	for (w = q->eps; w < q->eps + q->neps; w++) {
		said = q->kernel[w->at].revents & IN;
		if (!at_once)
			w->wrong = 0;
		if (!said || w->found)
			continue;
		/* A reply is none of ours, but has been rung for. */
		if (w->ep->backend->drain && (fos__post_is_ready(w->ep) ||
					      w->wrong++ < WRONG_MAX)) {
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

/* ---- what is learnt --------------------------------------------------- */

/* Set up with the first endpoint that this thread polls for. */
static struct fos_spin *my_policy(const struct poll *q)
{
	const struct fos_ep *ep = q->eps[0].ep;
	struct fos_caps caps = { .wake_ns = ep->spin.least_ns };

	if (fos_unlikely(!policy.least_ns)) {
		if (!caps.wake_ns)
			ep->backend->probe(&caps);
		fos_spin_unpack(&policy, fos_spin_pack(FOS_SPIN_DEFAULT, 0, 0),
				caps.wake_ns);
	}
	return &policy;
}

/* What the sender of the first message says of itself. */
static uint64_t hint_of(struct fos_ep *ep)
{
	struct fos_found f;
	struct fos_scan s;

	fos_ring_scan_begin(&ep->ring, &s, FOS_SEEN_ALL);
	return fos_ring_scan(&ep->ring, &s, ~0U, &f) == 1 ? f.hint : 0;
}

/* The wait is over: @slept, or while we polled. */
static void learn(const struct poll *q, bool slept)
{
	struct fos_spin_wait wait = { .budget_ns = q->budget_ns };
	uint64_t now, posted_at, hint = 0;
	struct watched *w = q->eps;

	if (!q->began)
		return;
	now = fos__now_ns();
	posted_at = now;
	while (w < q->eps + q->neps && !w->found)
		w++;
	if (w < q->eps + q->neps)
		hint = hint_of(w->ep);
	if (slept)
		posted_at = fos__posted_at(&policy, q->began, hint, now);
	wait.ns = posted_at - q->began;
	wait.woke_ns = slept && hint ? now - posted_at : 0;
	wait.late_ns = fos_spin_late_ns(hint);
	fos_spin_note(&policy, &wait);
	/* To be told to him who woke us. */
	if (w < q->eps + q->neps)
		__atomic_store_n(&w->ep->late_ns, now - posted_at,
				 __ATOMIC_RELAXED);
}

/* ---- polling ---------------------------------------------------------- */

/* Those who would poll; of their peers one on my CPU counts, else any that runs. */
static struct fos_spin_sample sample(const struct poll *q, bool me)
{
	const uint32_t my_cpu = fos__my_cpu();
	uint32_t peer_cpu = 0, cpu;
	struct watched *w;

	for (w = q->eps; w < q->eps + q->neps; w++) {
		cpu = fos_ring_peer_cpu(&w->ep->ring);
		if (cpu && w->ep->spin.mode != FOS_SPIN_BLOCK &&
		    peer_cpu != my_cpu)
			peer_cpu = cpu;
	}
	return fos__sample(my_cpu, peer_cpu, me);
}

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
static int poll_until(struct poll *q, uint64_t until)
{
	uint64_t now = q->began, before, asked_at = 0;
	struct fos_spin_sample s;
	unsigned int looks;
	bool news;
	int ret;

	while (q->neps && now < until) {
		s = sample(q, true);
		if (!fos_spin_may_poll(&policy, &s)) {
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
		if (fos__was_away(&policy, looks, now - before)) {
			fos_spin_robbed(&policy);
			q->began = 0;
			return 0;
		}
	}
	return 0;
}

/* Of several shares the least is kept. */
static uint32_t share_of(const struct poll *q)
{
	uint32_t share = 0;
	unsigned int i;

	for (i = 0; i < q->neps; i++)
		if (q->eps[i].ep->spin.share &&
		    (!share || q->eps[i].ep->spin.share < share))
			share = q->eps[i].ep->spin.share;
	return share;
}

/* The same, from the decision on. */
static int poll_first(struct poll *q)
{
	struct fos_spin *spin = my_policy(q);
	struct fos_spin_sample s = sample(q, false);
	int ret;

	if (!fos_spin_may_poll(spin, &s))
		return 0;
	spin->share = share_of(q);
	s.now_ns = fos__now_ns();
	q->budget_ns = fos_spin_decide(spin, &s);
	q->began = s.now_ns;
	if (!q->budget_ns)
		return 0;
	__atomic_fetch_add(&fos__pollers, 1, __ATOMIC_RELAXED);
	ret = poll_until(q, fos__earlier(q->began + q->budget_ns,
					 q->deadline_ns));
	__atomic_fetch_sub(&fos__pollers, 1, __ATOMIC_RELAXED);
	if (ret > 0)
		learn(q, false);
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
		learn(q, true);
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
		if (!fos__ep_try(w.fd, &w.ep, &w.state)) {
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
