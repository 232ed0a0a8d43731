// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bitmap.h>
#include <linux/ktime.h>
#include <linux/poll.h>

#include "break.h"
#include "cq_ring.h"
#include "stats.h"

static struct fos_cq_entry *fos_cq_entry(struct fos_cq *cq, u64 pos)
{
	return fos_region_addr(&cq->region, FOS_CQ_OFF_ENTRIES +
			       fos_cq_slot(cq, pos) *
			       sizeof(struct fos_cq_entry));
}

static void fos_cq_own(struct fos_cq *cq, u64 pos)
{
	cq->nownerless -= __test_and_clear_bit(fos_cq_slot(cq, pos),
					       cq->ownerless);
}

/* Each entry once, so that a reader who lies cannot keep us here. */
static void fos_cq_note_read(struct fos_cq *cq)
{
	const u64 head = READ_ONCE(cq->head->head);

	lockdep_assert_held(&cq->lock);
	if (head - cq->past > cq->tail - cq->past)
		return;
	while (cq->nownerless && cq->past != head)
		fos_cq_own(cq, cq->past++);
	cq->past = head;
}

/**
 * fos_cq_reserve() - one more source
 * @cq: the queue
 *
 * Sources' places and ownerless entries together are never more than there are.
 *
 * Return: 0; -EBUSY.
 */
int fos_cq_reserve(struct fos_cq *cq)
{
	guard(spinlock_irqsave)(&cq->lock);
	fos_cq_note_read(cq);
	if (cq->reserved + cq->nownerless >= cq->entries)
		return -EBUSY;
	cq->reserved++;
	return 0;
}

/**
 * fos_cq_unreserve() - one source less; its entry stays if it is unread
 * @cq: the queue
 * @src: has a place there
 */
void fos_cq_unreserve(struct fos_cq *cq, const struct fos_cq_source *src)
{
	guard(spinlock_irqsave)(&cq->lock);
	cq->reserved--;
	fos_cq_note_read(cq);
	if (src->end > cq->past) {
		__set_bit(fos_cq_slot(cq, src->end - 1), cq->ownerless);
		cq->nownerless++;
	}
}

/**
 * fos_cq_has_unread() - does an entry of a source lie there?
 * @cq: where
 * @src: whose
 *
 * Return: does it, if the reader tells the truth?
 */
bool fos_cq_has_unread(const struct fos_cq *cq, const struct fos_cq_source *src)
{
	const u64 end = READ_ONCE(src->end);

	if (FOS_BROKEN(cqlost))
		return end;
	return end && (s64)(end - READ_ONCE(cq->head->head)) > 0;
}

/* Pollers, and those sleepers who have waited for so many. */
static void fos_cq_wake(struct fos_cq *cq)
{
	if (FOS_BROKEN(nowake))
		return;
	fos_count(cq_wakes);
	wake_up_poll(&cq->wait, EPOLLIN | EPOLLRDNORM);
}

static void fos_cq_append(struct fos_cq *cq, struct fos_cq_source *src, s32 res)
{
	struct fos_cq_entry *e = fos_cq_entry(cq, cq->tail);

	fos_cq_own(cq, cq->tail);
	WRITE_ONCE(src->end, cq->tail + 1);
	e->user_data = src->user_data;
	e->res = res;
	/* No fence: who comes just now will not have slept. */
	e->posted_ns = waitqueue_active(&cq->wait) ? ktime_get_ns() : 0;
	/* Pairs with the reader's acquire. */
	smp_store_release(&e->seq, src->end);
	/* Who sees it finds the entry; pairs with fos_cq_has_come(). */
	smp_store_release(&cq->tail, src->end);
	fos_count(cq_posts);
	/* The new tail before this look; its fence pairs with prepare_to_wait(). */
	if (wq_has_sleeper(&cq->wait))
		fos_cq_wake(cq);
}

/**
 * fos_cq_post_once() - make an entry, unless one of the source lies there unread
 * @cq: the queue
 * @src: has a place there
 * @res: 0 or -errno
 *
 * In any context.
 *
 * Return: was it made?
 */
bool fos_cq_post_once(struct fos_cq *cq, struct fos_cq_source *src,
			     s32 res)
{
	guard(spinlock_irqsave)(&cq->lock);
	/* What is told of before head; pairs with the reader's fence. */
	smp_mb();
	if (fos_cq_has_unread(cq, src)) {
		fos_count(cq_coalesced);
		return false;
	}
	fos_cq_append(cq, src, res);
	return true;
}
