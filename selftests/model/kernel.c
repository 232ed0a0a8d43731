// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kmod/chan_wait.c and kmod/chan.c do with a channel: function by
 * function, under the same names, on the model's memory.
 */
#include "world.h"

#define WANT_SEQ	(FOS_WANT_TAKE | FOS_WANT_ROOM)
#define WANT_CLAIM	(WANT_SEQ | FOS_WANT_CLAIMS)
#define WANT_ONE	(FOS_WANT_MSG | FOS_WANT_CALL)

#define EPOLL_IN	1U
#define EPOLL_OUT	2U
#define EPOLL_HUP	4U

static struct control *control_of(int side)
{
	return &world.mem[side];
}

static int64_t claim_ahead(uint64_t word, uint64_t seq)
{
	return (int64_t)((word & ~FOS_CLAIM_FATE) - (seq << 2));
}

static bool is_dead(int side)
{
	return LOAD(&control_of(side)->kstate) & FOS_STATE_DEAD;
}

/* ---- wait sets -------------------------------------------------------- */

static void update_wants(int side)
{
	struct wait_set *set = &world.set[side];
	uint32_t wants = set->armed;
	int i;

	for (i = 0; i < set->waiters; i++)
		wants |= world.waiter[set->waiting[i]].want;
	if (wants == set->wants)
		return;
	set->wants = wants;
	STORE(&control_of(side)->need_wakeup, wants);
}

static uint64_t claims_sum(int side)
{
	uint64_t sum = 0;
	uint32_t slot;

	for (slot = 0; slot < the_depth(); slot++)
		sum += LOAD(&control_of(side)->claims[slot]) +
		       LOAD(&control_of(side)->released[slot]) +
		       LOAD(&control_of(side)->returned[slot]);
	return sum;
}

static uint64_t replies_sum(int side)
{
	uint64_t sum = 0;
	uint32_t slot;

	for (slot = 0; slot < the_depth(); slot++)
		sum += LOAD(&control_of(side)->replies[slot].seq);
	return sum;
}

static bool entry_over(int peer, const struct waiter *w)
{
	const uint64_t word =
		LOAD(&control_of(peer)->claims[w->seq % the_depth()]);
	const int64_t ahead = claim_ahead(word, w->seq);

	if (ahead)
		return ahead > 0;
	return (w->want & FOS_WANT_TAKE) ||
	       (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN;
}

static bool wait_over(const struct waiter *w)
{
	const int peer = !w->side;
	struct control *c = control_of(peer);

	if ((w->want & FOS_WANT_PUBLISHED) &&
	    LOAD(&c->line.events) != w->seen)
		return true;
	if ((w->want & FOS_WANT_REPLY) &&
	    LOAD(&c->replies[FOS_TOKEN_SLOT(w->seq)].seq) >= w->seq)
		return true;
	if ((w->want & WANT_SEQ) && entry_over(peer, w))
		return true;
	if ((w->want & FOS_WANT_CLAIMS) && claims_sum(peer) != w->seen)
		return true;
	if ((w->want & FOS_WANT_REPLIES) && replies_sum(peer) != w->seen)
		return true;
	return is_dead(w->side) || is_dead(peer);
}

static void leave_set(int thread)
{
	struct wait_set *set = &world.set[world.waiter[thread].side];
	int from, to = 0;

	for (from = 0; from < set->waiters; from++)
		if (set->waiting[from] != thread)
			set->waiting[to++] = set->waiting[from];
	set->waiting[to] = 0;
	set->waiters = to;
}

static void waiter_wake(int thread)
{
	leave_set(thread);
	world.waiter[thread].woken = 1;
	model_wake(thread);
}

static void wake_poller(struct wait_set *set)
{
	set->ready = 1;
	if (!set->poller_sleeps)
		return;
	set->poller_sleeps = 0;
	model_wake(set->poller - 1);
}

static void bell(int side, uint32_t what)
{
	struct wait_set *set = &world.set[side];
	uint32_t left = what, one;
	int i, thread;
	bool poll;

	model_note("bell side %d for %#x", side, what);
	model_lock(side);
	for (i = 0; i < set->waiters && left;) {
		thread = set->waiting[i];
		if (!(world.waiter[thread].want & left) ||
		    !wait_over(&world.waiter[thread])) {
			i++;
			continue;
		}
		one = world.waiter[thread].want & left & WANT_ONE;
		left &= ~(one & -one);
		waiter_wake(thread);
	}
	poll = set->poller && (set->armed & what);
	if (set->reader && (set->armed & what))
		queue_post(side);
	update_wants(side);
	model_unlock(side);
	/* The poll queue has a lock of its own: the model's is the side's. */
	if (poll) {
		model_lock(side);
		wake_poller(set);
		model_unlock(side);
	}
}

static void wake_all(int side)
{
	struct wait_set *set = &world.set[side];

	model_lock(side);
	while (set->waiters)
		waiter_wake(set->waiting[0]);
	update_wants(side);
	if (set->poller)
		wake_poller(set);
	if (set->reader)
		queue_post(side);
	model_unlock(side);
}

enum { SLEEPS_ON, LATE, KILLED };

/* How this sleep ends, unless by a bell. */
static int sleep_until(bool timed, bool mortal)
{
	int how = SLEEPS_ON;

	if (timed || mortal)
		how = model_choose(1 + timed + mortal);
	if (how == LATE && !timed)
		how = KILLED;
	if (how == SLEEPS_ON)
		model_sleep(timed);
	return how;
}

/* Called with the lock and in the wait set, left without. */
static int ep_sleep(int side, struct waiter *w, bool timed)
{
	const bool mortal = config->mortal & (1U << model_self);
	int how = SLEEPS_ON, ret = 0;
	bool over = false;

	for (;;) {
		if (broken == BREAK_FENCE)
			over = wait_over(w);
		update_wants(side);
		if (broken != BREAK_FENCE) {
			model_fence();
			over = broken != BREAK_RECHECK && wait_over(w);
		}
		if (over)
			break;
		ret = how == SLEEPS_ON ? 0 : -ETIMEDOUT;
		if (ret)
			break;
		model_unlock(side);
		how = sleep_until(timed, mortal);
		if (how == SLEEPS_ON)
			return 0;
		model_lock(side);
		if (w->woken)
			break;
	}
	if (!w->woken) {
		leave_set(model_self);
		update_wants(side);
	}
	model_unlock(side);
	if (how == KILLED)
		thread_dies();
	return ret;
}

static int kernel_bell_wait(int side, uint32_t what, uint32_t want,
			    uint64_t arg, bool timed)
{
	struct waiter *w = &world.waiter[model_self];
	struct wait_set *set = &world.set[side];
	int ret;

	world.in_kernel[model_self] = 1;
	what &= FOS_WANT_ALL;
	if (what)
		bell(!side, what);
	if (!want) {
		world.in_kernel[model_self] = 0;
		return 0;
	}
	model_note("wait for %#x, %llu", want, (unsigned long long)arg);
	*w = (struct waiter) {
		.side = side, .want = want, .seen = arg, .seq = arg,
	};
	if (want & FOS_WANT_REPLY)
		w->want |= FOS_WANT_SLOT(arg);
	model_lock(side);
	set->waiting[set->waiters++] = model_self;
	ret = ep_sleep(side, w, timed);
	*w = (struct waiter) { 0 };
	/* The library comes back until it sees it, too. */
	if (is_dead(!side))
		model_await(&control_of(!side)->state,
			    sizeof(control_of(!side)->state),
			    FOS_STATE_DEAD, true);
	world.in_kernel[model_self] = 0;
	model_note("wait returns %d", ret);
	return ret;
}

static void kernel_bell_self(int side, uint32_t what)
{
	world.in_kernel[model_self] = 1;
	bell(side, what);
	world.in_kernel[model_self] = 0;
}

/* ---- withdrawal and death --------------------------------------------- */

static int ep_withdraw(int side, uint64_t seq, uint64_t *word)
{
	uint64_t *claim = &control_of(!side)->claims[seq % the_depth()];
	const uint64_t mine = FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN);
	const int64_t round = (int64_t)the_depth() << 2;
	int64_t ahead;

	*word = __atomic_load_n(claim, __ATOMIC_ACQUIRE);
	for (;;) {
		ahead = claim_ahead(*word, seq);
		if (ahead >= 0) {
			if (broken == BREAK_WITHDRAW)
				*word = mine;
			return ahead & (round - 1) ? -EPROTO : 0;
		}
		if (ahead != -round ||
		    (*word & FOS_CLAIM_FATE) == FOS_CLAIM_TAKEN)
			return -EPROTO;
		if (!__atomic_compare_exchange_n(claim, word, mine, false,
						 __ATOMIC_SEQ_CST,
						 __ATOMIC_ACQUIRE))
			continue;
		*word = mine;
		bell(side, WANT_CLAIM);
		return 0;
	}
}

static int kernel_withdraw(int side, uint64_t seq, uint64_t *word)
{
	int ret;

	world.in_kernel[model_self] = 1;
	if (config->by_user) {
		ret = fos_ring_withdraw(&world.ring[side], seq, word);
		if (*word == FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN))
			bell(side, WANT_CLAIM);
	} else {
		ret = ep_withdraw(side, seq, word);
	}
	world.in_kernel[model_self] = 0;
	return ret;
}

static void kernel_die(int side)
{
	struct control *c = control_of(side);

	world.in_kernel[model_self] = 1;
	model_lock(side);
	STORE(&c->kstate, FOS_STATE_DEAD);
	__atomic_store_n(&c->state, FOS_STATE_DEAD, __ATOMIC_RELEASE);
	model_unlock(side);
	wake_all(side);
	if (broken != BREAK_WAKE_ALL)
		wake_all(!side);
	world.in_kernel[model_self] = 0;
}

const struct sleeper kernel_sleeper = {
	.bell_wait = kernel_bell_wait,
	.bell_self = kernel_bell_self,
	.withdraw = kernel_withdraw,
	.die = kernel_die,
};

/* ---- poll ------------------------------------------------------------- */

static void arm(int side, uint32_t wants)
{
	struct wait_set *set = &world.set[side];
	uint32_t fresh;

	model_lock(side);
	fresh = wants & ~set->armed;
	set->armed |= wants;
	if (fresh & FOS_WANT_PUBLISHED)
		STORE(&control_of(side)->armed, 1);
	update_wants(side);
	model_unlock(side);
	if (broken != BREAK_FENCE)
		model_fence();
	if (fresh & FOS_WANT_PUBLISHED)
		bell(!side, FOS_WANT_RECEIVER);
}

static uint32_t undecided(int from, uint64_t *last)
{
	uint64_t word, seq;
	uint32_t slot, n = 0;

	*last = the_depth() - 1;
	for (slot = 0; slot < the_depth(); slot++) {
		word = LOAD(&control_of(!from)->claims[slot]);
		seq = LOAD(&control_of(from)->entries[slot].seq);
		if (*last < seq)
			*last = seq;
		n += seq == FOS_CLAIM_SEQ(word) + the_depth() &&
		     (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN;
	}
	return n;
}

static bool writable(int side)
{
	struct control *peer = control_of(!side);
	uint64_t takers = FOS_RECEIVERS(LOAD(&peer->line.receivers));
	uint64_t last, word;

	if (LOAD(&peer->armed))
		takers += the_depth();
	if (takers > the_depth())
		takers = the_depth();
	if (undecided(side, &last) >= takers)
		return false;
	word = LOAD(&peer->claims[(last + 1) % the_depth()]);
	return (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN;
}

static uint32_t ep_poll(int side, uint32_t wants)
{
	uint32_t mask = 0;
	uint64_t last;

	arm(side, wants);
	if (is_dead(side) || is_dead(!side))
		mask |= EPOLL_HUP;
	if ((wants & FOS_WANT_PUBLISHED) && undecided(!side, &last))
		mask |= EPOLL_IN;
	if ((wants & FOS_WANT_RECEIVER) && !(mask & EPOLL_HUP) &&
	    writable(side))
		mask |= EPOLL_OUT;
	return mask;
}

/* As arm(), and what is there already is told of. */
void queue_arm(int side)
{
	struct wait_set *set = &world.set[side];

	model_lock(side);
	set->armed |= FOS_WANT_PUBLISHED;
	STORE(&control_of(side)->armed, 1);
	update_wants(side);
	queue_post(side);
	model_unlock(side);
	bell(!side, FOS_WANT_RECEIVER);
}

void epoll_add(uint32_t wants)
{
	struct wait_set *set = &world.set[my_side()];

	world.in_kernel[model_self] = 1;
	model_lock(my_side());
	set->poller = model_self + 1;
	model_unlock(my_side());
	if (ep_poll(my_side(), wants)) {
		model_lock(my_side());
		set->ready = 1;
		model_unlock(my_side());
	}
	world.in_kernel[model_self] = 0;
}

uint32_t epoll_wait_edge(void)
{
	struct wait_set *set = &world.set[my_side()];
	const uint32_t wants = set->armed;
	uint32_t mask;

	world.in_kernel[model_self] = 1;
	do {
		model_lock(my_side());
		if (!set->ready) {
			set->poller_sleeps = 1;
			model_unlock(my_side());
			model_sleep(false);
			model_lock(my_side());
		}
		set->ready = 0;
		model_unlock(my_side());
		mask = ep_poll(my_side(), wants);
	} while (!mask);
	world.in_kernel[model_self] = 0;
	return mask;
}
