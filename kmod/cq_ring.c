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
	if (cq->nownerless && head - cq->past >= cq->entries) {
		bitmap_zero(cq->ownerless, cq->entries);
		cq->nownerless = 0;
	}
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
	/* A reader who lies makes entries of two of them share a slot. */
	if (src->end > cq->past)
		cq->nownerless += !__test_and_set_bit(fos_cq_slot(cq, src->end - 1),
						      cq->ownerless);
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
	/* Pairs with fos_cq_append(). */
	const u64 end = smp_load_acquire(&src->end);

	if (FOS_BROKEN(cqlost))
		return end;
	return end && (s64)(end - READ_ONCE(cq->head->head)) > 0;
}

/*
 * Pollers, and those sleepers who have waited for so many.  A poller may signal an
 * eventfd in turn (aio, io_uring), and that may be the one that is heard of: he is told
 * as by an eventfd, and then does it later.
 */
static void fos_cq_wake(struct fos_cq *cq, __poll_t how)
{
	const bool was = current->in_eventfd;

	if (FOS_BROKEN(nowake))
		return;
	fos_count(cq_wakes);
	current->in_eventfd = was || (cq->hears && !FOS_BROKEN(circle));
	wake_up_poll(&cq->wait, EPOLLIN | EPOLLRDNORM | how);
	current->in_eventfd = was;
}

static void fos_cq_append(struct fos_cq *cq, struct fos_cq_source *src, s32 res,
			  __poll_t how)
{
	struct fos_cq_entry *e = fos_cq_entry(cq, cq->tail);
	const u64 end = cq->tail + 1;

	fos_cq_own(cq, cq->tail);
	e->user_data = src->user_data;
	e->res = res;
	/* No fence: who comes just now will not have slept. */
	e->posted_ns = waitqueue_active(&cq->wait) ? ktime_get_ns() : 0;
	/* Pairs with the reader's acquire. */
	smp_store_release(&e->seq, end);
	/* Who sees it finds the entry; pairs with fos_cq_has_unread(). */
	smp_store_release(&src->end, end);
	/* The same; pairs with fos_cq_has_come(). */
	smp_store_release(&cq->tail, end);
	fos_count(cq_posts);
	/* The new tail before this look; its fence pairs with prepare_to_wait(). */
	if (wq_has_sleeper(&cq->wait))
		fos_cq_wake(cq, how);
}

/**
 * fos_cq_post_once() - make an entry, unless one of the source lies there unread
 * @cq: the queue
 * @src: has a place there
 * @res: 0 or -errno
 * @how: EPOLL_URING_WAKE, if that was heard: io_uring ends circles by it
 *
 * In any context.
 *
 * Return: was it made?
 */
bool fos_cq_post_once(struct fos_cq *cq, struct fos_cq_source *src, s32 res,
		      __poll_t how)
{
	guard(spinlock_irqsave)(&cq->lock);
	/* What is told of before head; pairs with the reader's fence. */
	smp_mb();
	if (fos_cq_has_unread(cq, src)) {
		fos_count(cq_coalesced);
		return false;
	}
	fos_cq_append(cq, src, res, how);
	return true;
}
