// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: wait sets
 *
 * A side's wait set is the list of its sleeping threads with what they want.
 * need_wakeup in the kernel page is the union of their wants and the pollers':
 * the peer publishes, then reads it, and traps only if its bit is there.
 *
 *	publisher (user space)		sleeper (here)
 *	  store entry, events		  store need_wakeup
 *	  full fence			  full fence
 *	  read need_wakeup		  read events, claims
 *
 * At least one of the two sees the other's store, so no wake-up is lost.
 */
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "break.h"
#include "chan.h"
#include "core.h"
#include "stats.h"
#include "trace.h"

/* One message is for one thread. */
#define FOS_WANT_ONE	(FOS_WANT_MSG | FOS_WANT_CALL)

void fos_ep_init_wait(struct fos_ep *ep)
{
	spin_lock_init(&ep->lock);
	INIT_HLIST_HEAD(&ep->waiters);
	init_waitqueue_head(&ep->pollq);
}

/* Publish the union of what the sleepers and the pollers want. */
static void fos_ep_update_wants(struct fos_ep *ep)
{
	struct fos_waiter *w;
	u32 wants = ep->armed | ep->cq_want;

	lockdep_assert_held(&ep->lock);
	hlist_for_each_entry(w, &ep->waiters, node)
		wants |= w->want;
	if (wants == ep->wants)
		return;
	ep->wants = wants;
	WRITE_ONCE(ep->kside->need_wakeup, wants);
}

/* Not inlined: who waits for anything else should not save registers for it. */
static noinline u64 fos_ep_claims_sum(struct fos_ep *ep)
{
	u64 sum = 0;
	u32 slot;

	for (slot = 0; slot < ep->chan->depth; slot++)
		sum += READ_ONCE(ep->claims[slot]) +
		       READ_ONCE(*fos_ep_released(ep, slot)) +
		       READ_ONCE(*fos_ep_returned(ep, slot));
	return sum;
}

static noinline u64 fos_ep_replies_sum(struct fos_ep *ep)
{
	u64 sum = 0;
	u32 slot;

	for (slot = 0; slot < ep->chan->depth; slot++)
		sum += READ_ONCE(fos_ep_reply(ep, slot)->seq);
	return sum;
}

/* Is entry @w->seq decided, or, if only room is wanted, let go of? */
static bool fos_entry_over(struct fos_ep *peer, const struct fos_waiter *w)
{
	const u64 word = READ_ONCE(*fos_ep_claim(peer, w->seq));
	const s64 ahead = fos_claim_ahead(word, w->seq);

	if (ahead)
		return ahead > 0;
	return (w->want & FOS_WANT_TAKE) ||
	       (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN;
}

/* Has something happened that @w wants, or will nothing happen any more? */
static bool fos_wait_over(struct fos_ep *ep, const struct fos_waiter *w)
{
	struct fos_ep *peer = fos_ep_peer(ep);

	if ((w->want & FOS_WANT_PUBLISHED) &&
	    READ_ONCE(peer->line->events) != w->seen)
		return true;
	/* A later one: another thread has had his, and asked again. */
	if ((w->want & FOS_WANT_REPLY) && READ_ONCE(w->reply->seq) >= w->seq)
		return true;
	if ((w->want & FOS_WANT_SEQ) && fos_entry_over(peer, w))
		return true;
	if ((w->want & FOS_WANT_CLAIMS) && fos_ep_claims_sum(peer) != w->seen)
		return true;
	if ((w->want & FOS_WANT_REPLIES) && fos_ep_replies_sum(peer) != w->seen)
		return true;
	return fos_ep_dead(ep) || fos_ep_dead(peer);
}

/*
 * Behind the others: first come, first served.  Not a list_head: its checks of
 * each change (CONFIG_DEBUG_LIST) are 70 of 7,400 instructions of a round trip.
 */
static void fos_waiter_queue(struct fos_ep *ep, struct fos_waiter *w)
{
	struct hlist_node *pos, *last = NULL;

	hlist_for_each(pos, &ep->waiters)
		last = pos;
	if (last)
		hlist_add_behind(&w->node, last);
	else
		hlist_add_head(&w->node, &ep->waiters);
}

/* Returns the thread, which is to be woken and may have left @w by now. */
static struct task_struct *fos_waiter_take(struct fos_waiter *w)
{
	struct task_struct *task = w->task;

	hlist_del(&w->node);
	/* It does not take our lock to see this, lest it meets us there. */
	smp_store_release(&w->woken, true);
	fos_count(chan_wakes);
	return task;
}

/*
 * It stays: who may not be preempted is a reader of RCU.  Should it have come back by
 * itself, the wake-up is spurious, as any may be.  True: on this CPU.
 */
static bool fos_waiter_wake(struct task_struct *task)
{
	if (!FOS_BROKEN(nowake))
		wake_up_process(task);
	return task_cpu(task) == raw_smp_processor_id();
}

static __poll_t fos_poll_key(u32 what)
{
	__poll_t key = 0;

	if (what & FOS_WANT_PUBLISHED)
		key |= EPOLLIN | EPOLLRDNORM;
	if (what & (FOS_WANT_CLAIM | FOS_WANT_RECEIVER))
		key |= EPOLLOUT | EPOLLWRNORM;
	return key;
}

/* Does anybody wait for messages who is in no call? */
static bool fos_ep_is_polled(const struct fos_ep *ep)
{
	return (READ_ONCE(ep->armed) | READ_ONCE(ep->cq_want)) &
	       FOS_WANT_PUBLISHED;
}

static void fos_ep_set_armed(struct fos_ep *ep, u32 armed)
{
	lockdep_assert_held(&ep->lock);
	WRITE_ONCE(ep->armed, armed);
	WRITE_ONCE(ep->kside->armed, fos_ep_is_polled(ep));
}

/* Pollers to wake for @what; nobody queues any more: disarm instead. */
static __poll_t fos_ep_poll_wakes(struct fos_ep *ep, u32 what)
{
	lockdep_assert_held(&ep->lock);
	if (!(ep->armed & what))
		return 0;
	/* Who queues meanwhile arms after us: fos_ep_poll() queues first. */
	if (!waitqueue_active(&ep->pollq)) {
		fos_ep_set_armed(ep, 0);
		return 0;
	}
	return fos_poll_key(what);
}

static void fos_ep_tell_cq(struct fos_ep *ep, u32 what)
{
	lockdep_assert_held(&ep->lock);
	if (ep->cq.file && (ep->cq_want & what))
		fos_cq_post(&ep->cq, 0);
}

/**
 * fos_ep_bell() - wake those of a side who want what just happened
 * @ep: the side
 * @what: FOS_WANT_*
 *
 * One sleeper for a message or a request, all of them for the rest; the
 * pollers always.  Spurious bells wake nobody: the sleeper's condition is
 * checked here.
 *
 * Return: was one of them woken on this CPU?
 */
bool fos_ep_bell(struct fos_ep *ep, u32 what)
{
	struct task_struct *task = NULL;
	struct hlist_node *next;
	struct fos_waiter *w;
	u32 left = what, one;
	bool here = false;
	__poll_t key;

	fos_count(chan_bells);
	trace_chan_bell(ep->chan->region.obj.id, ep->side, what);
	/* fos_waiter_wake() is to be a reader of RCU. */
	preempt_disable();
	spin_lock(&ep->lock);
	hlist_for_each_entry_safe(w, next, &ep->waiters, node) {
		if (!(w->want & left) || !fos_wait_over(ep, w))
			continue;
		one = w->want & left & FOS_WANT_ONE;
		/* It will take one message: of what else, others are told. */
		left &= ~(one & -one);
		if (task)
			here |= fos_waiter_wake(task);
		task = fos_waiter_take(w);
		if (!left)
			break;
	}
	key = fos_ep_poll_wakes(ep, what);
	fos_ep_tell_cq(ep, what);
	fos_ep_update_wants(ep);
	spin_unlock(&ep->lock);
	/*
	 * Most often the only one, and without the lock: another CPU that is sent an
	 * interrupt can be here before that was sent, where there is a hypervisor.
	 */
	if (task)
		here |= fos_waiter_wake(task);
	preempt_enable();
	if (key) {
		fos_count(chan_poll_wakes);
		wake_up_poll(&ep->pollq, key);
	}
	return here;
}

/**
 * fos_ep_wake_sleepers() - wake every sleeper of a side, to look again
 * @ep: the side
 */
void fos_ep_wake_sleepers(struct fos_ep *ep)
{
	struct fos_waiter *w;
	struct hlist_node *next;

	spin_lock(&ep->lock);
	hlist_for_each_entry_safe(w, next, &ep->waiters, node)
		fos_waiter_wake(fos_waiter_take(w));
	fos_ep_update_wants(ep);
	spin_unlock(&ep->lock);
}

/**
 * fos_ep_wake_all() - wake every sleeper and poller of a side, tell its queue
 * @ep: the side; it or its peer has just died
 *
 * io_uring takes what pollers are told for the result of its poll: nothing less
 * than a death is told so.
 */
void fos_ep_wake_all(struct fos_ep *ep)
{
	fos_ep_wake_sleepers(ep);
	spin_lock(&ep->lock);
	if (ep->cq.file)
		fos_cq_post(&ep->cq, 0);
	spin_unlock(&ep->lock);
	/* All of them, the exclusive ones too: nothing comes after this. */
	__wake_up(&ep->pollq, TASK_NORMAL, 0,
		  poll_to_key(EPOLLHUP | EPOLLERR | EPOLLIN | EPOLLOUT));
}

/*
 * Arm, look again, sleep; until it is over.  Called with the lock and in the
 * wait set, left without.
 */
static long fos_ep_sleep(struct fos_ep *ep, struct fos_waiter *w,
			 u64 deadline_ns)
{
	bool in_time = true;
	long ret = 0;
	bool over;

	for (;;) {
		__set_current_state(TASK_INTERRUPTIBLE);
		over = FOS_BROKEN(nofence) && fos_wait_over(ep, w);
		fos_ep_update_wants(ep);
		/*
		 * Our state and our wants before the look; pairs with the
		 * fence between publishing and reading need_wakeup.
		 */
		smp_mb();
		if (!FOS_BROKEN(nofence))
			over = fos_wait_over(ep, w);
		if (over)
			break;
		ret = !in_time ? -ETIMEDOUT :
		      signal_pending(current) ? -ERESTARTSYS : 0;
		if (ret)
			break;
		spin_unlock(&ep->lock);
		fos_count(chan_sleeps);
		in_time = fos_sleep_until(deadline_ns);
		/* Pairs with the waker's release: it has done with @w. */
		if (smp_load_acquire(&w->woken))
			return 0;
		spin_lock(&ep->lock);
		if (w->woken)
			break;
	}
	__set_current_state(TASK_RUNNING);
	if (!w->woken) {
		hlist_del(&w->node);
		fos_ep_update_wants(ep);
	}
	spin_unlock(&ep->lock);
	return ret;
}

static void fos_count_wait(long ret)
{
	if (ret == -ETIMEDOUT)
		fos_count(chan_timeouts);
	else if (ret)
		fos_count(chan_signals);
}

/* May that be rung for, and that be waited for at once? */
bool fos_bell_wait_ok(u32 bell, u32 want)
{
	const u32 seen = want & (FOS_WANT_CLAIMS | FOS_WANT_REPLIES);

	return !(bell & ~FOS_WANT_ALL) &&
	       !(want & ~(FOS_WANT_ALL & ~FOS_WANT_RECEIVER)) &&
	       !(seen & (seen - 1)) && !(seen && (want & FOS_WANT_PUBLISHED)) &&
	       !((want & FOS_WANT_REPLY) && (want & FOS_WANT_SEQ));
}

/*
 * Was another descriptor closed, or the endpoint attached elsewhere, since the
 * caller was let in?  Who slept by then was woken to look again.
 */
static bool fos_waiter_is_late(struct fos_ep *ep, const struct fos_waiter *w)
{
	const u32 closes = FOS_ADVICE_CLOSES(ep->state);

	lockdep_assert_held(&ep->lock);
	if (FOS_BROKEN(late))
		return false;
	return (w->tag && (w->tag & FOS_ADVICE_CLOSES_MASK) != closes) ||
	       !fos_ep_is_mine(ep);
}

/* Is one argument enough to wait for it? */
bool fos_want_is_simple(u32 want)
{
	return !(want & ~FOS_WANT_PUBLISHED) || want == FOS_WANT_REPLY ||
	       !(want & ~FOS_WANT_SEQ) || want == FOS_WANT_CLAIMS ||
	       want == FOS_WANT_REPLIES;
}

/**
 * fos_ep_bell_wait() - ring, then sleep
 * @ep: the caller's side
 * @rung: the side to ring
 * @bell: FOS_WANT_* to ring it for, or 0
 * @w: want (or 0), seen and seq, checked
 * @deadline_ns: absolute CLOCK_MONOTONIC; above KTIME_MAX: none
 *
 * Return: 0: look again; -ETIMEDOUT; -ERESTARTSYS.  A sleeper that was woken
 * gets 0 whatever else happened: the bell for one thread must not be lost.
 */
long fos_ep_bell_wait(struct fos_ep *ep, struct fos_ep *rung, u32 bell,
		      struct fos_waiter *w, u64 deadline_ns)
{
	bool here = false;
	long ret;

	if (bell)
		here = fos_ep_bell(rung, bell);
	if (!w->want)
		return 0;
	fos_count(chan_waits);
	if (w->want & FOS_WANT_REPLY) {
		w->reply = fos_ep_reply(fos_ep_peer(ep), w->seq);
		w->want |= FOS_WANT_SLOT(w->seq);
	}
	/*
	 * Let a peer that was woken on this CPU run before we go to sleep: its
	 * answer is often here when we come back, and we were never dequeued.
	 * Not only if the wake-up asks for it (need_resched): whether it does
	 * hangs on which of the two has used more CPU time, and costs the call
	 * 2,200 of 9,850 instructions on 6.1.  It is no yield(): we keep our
	 * place in the queue.
	 */
	if (here || need_resched()) {
		schedule();
		if (fos_wait_over(ep, w))
			return 0;
	}

	trace_chan_sleep(ep->chan->region.obj.id, ep->side, w->want);
	w->task = current;
	spin_lock(&ep->lock);
	if (fos_waiter_is_late(ep, w)) {
		spin_unlock(&ep->lock);
		return 0;
	}
	fos_waiter_queue(ep, w);
	ret = fos_ep_sleep(ep, w, deadline_ns);
	fos_count_wait(ret);
	trace_chan_woken(ep->chan->region.obj.id, ep->side, ret);
	return ret;
}

/* ---- poll ------------------------------------------------------------- */

static u32 fos_poll_wants(__poll_t events)
{
	u32 wants = 0;

	if (events & (EPOLLIN | EPOLLRDNORM))
		wants |= FOS_WANT_PUBLISHED;
	if (events & (EPOLLOUT | EPOLLWRNORM))
		wants |= FOS_WANT_CLAIM | FOS_WANT_RECEIVER;
	return wants;
}

/*
 * Always, also when there is something to report: an edge-triggered reader
 * asks once and then drains without us.
 */
static void fos_ep_arm(struct fos_ep *ep, u32 wants)
{
	u32 fresh;

	spin_lock(&ep->lock);
	fresh = wants & ~ep->armed;
	fos_ep_set_armed(ep, ep->armed | wants);
	fos_ep_update_wants(ep);
	spin_unlock(&ep->lock);
	/* Pairs with the fence between publishing and need_wakeup. */
	smp_mb();
	if (fresh & FOS_WANT_PUBLISHED)
		fos_ep_bell(fos_ep_peer(ep), FOS_WANT_RECEIVER);
}

/**
 * fos_ep_set_cq() - tell another queue, or none
 * @ep: the side
 * @cq: joined; from here on @ep's; or NULL
 * @want: FOS_WANT_* to tell of
 *
 * What is there already is told at once.
 *
 * Return: the file of the queue before, for fput(); with @cq, which is the caller's
 * then: ERR_PTR(-ESHUTDOWN): the side is dead, ERR_PTR(-EPERM): not mapped here.
 */
struct file *fos_ep_set_cq(struct fos_ep *ep, const struct fos_cq_source *cq,
			   u32 want)
{
	struct file *old;
	int ret;

	spin_lock(&ep->lock);
	ret = !cq ? 0 : fos_ep_dead(ep) ? -ESHUTDOWN :
	      ep->mm != current->mm ? -EPERM : 0;
	if (ret) {
		spin_unlock(&ep->lock);
		return ERR_PTR(ret);
	}
	old = fos_cq_part(&ep->cq);
	if (cq)
		ep->cq = *cq;
	WRITE_ONCE(ep->cq_want, want);
	fos_ep_set_armed(ep, ep->armed);
	fos_ep_update_wants(ep);
	/* Wants before the look; pairs with the fence of who publishes. */
	smp_mb();
	if (cq)
		fos_cq_post(&ep->cq, 0);
	spin_unlock(&ep->lock);
	if (want & FOS_WANT_PUBLISHED)
		fos_ep_bell(fos_ep_peer(ep), FOS_WANT_RECEIVER);
	return old;
}

/*
 * How many entries @from has published that its peer has not decided, and the
 * last position it has used; not counting what cannot be decided because the
 * peer still reads its slot.
 */
static u32 fos_ep_undecided(struct fos_ep *from, u64 *last)
{
	struct fos_ep *to = fos_ep_peer(from);
	u32 depth = from->chan->depth;
	u32 slot, n = 0;
	u64 word, seq;

	*last = depth - 1;
	for (slot = 0; slot < depth; slot++) {
		word = READ_ONCE(*fos_ep_claim(to, slot));
		seq = READ_ONCE(fos_ep_entry(from, slot)->seq);
		*last = max(*last, seq);
		n += seq == FOS_CLAIM_SEQ(word) + depth &&
		     (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN;
	}
	return n;
}

/* Would a FOS_NONBLOCK send find a slot and somebody who takes it? */
static bool fos_ep_writable(struct fos_ep *ep)
{
	struct fos_ep *peer = fos_ep_peer(ep);
	u64 takers = FOS_RECEIVERS(READ_ONCE(peer->line->receivers));
	u32 depth = ep->chan->depth;
	u64 last, word;

	if (fos_ep_is_polled(peer))
		takers += depth;
	if (fos_ep_undecided(ep, &last) >= min_t(u64, takers, depth))
		return false;
	word = READ_ONCE(*fos_ep_claim(peer, last + 1));
	return (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN;
}

__poll_t fos_ep_poll(struct fos_ep *ep, struct file *file,
		     struct poll_table_struct *pt)
{
	struct fos_ep *peer = fos_ep_peer(ep);
	__poll_t mask = 0;
	u64 last;

	poll_wait(file, &ep->pollq, pt);
	fos_ep_arm(ep, fos_poll_wants(poll_requested_events(pt)));

	if (fos_ep_dead(peer) || fos_ep_dead(ep))
		mask |= EPOLLHUP | EPOLLERR;
	if (fos_ep_undecided(peer, &last))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (!(mask & EPOLLHUP) && fos_ep_writable(ep))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}
