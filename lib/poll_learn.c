// SPDX-License-Identifier: MIT
/* poll: what a thread learns of its waits, whichever endpoints they were for. */
#include "look.h"
#include "poll_set.h"

/* What it waits for is not one endpoint's. */
static __thread struct fos_spin policy;

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

struct fos_spin *fos__poll_policy(const struct poll *q)
{
	const struct fos_ep *ep = q->eps[0].ep;
	struct fos_caps caps = { .wake_ns = ep->spin.least_ns / ep->spin.times };

	if (fos_unlikely(!policy.least_ns)) {
		if (!caps.wake_ns)
			ep->backend->probe(&caps);
		fos_spin_unpack(&policy, fos_spin_pack(FOS_SPIN_DEFAULT, 0, 0),
				caps.wake_ns);
		fos_spin_for_peer(&policy);
	}
	policy.share = share_of(q);
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

void fos__poll_learn(const struct poll *q, bool slept)
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

struct fos_spin_sample fos__poll_sample(const struct poll *q, bool me)
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
