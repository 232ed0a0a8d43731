// SPDX-License-Identifier: GPL-2.0-only
#include <linux/delay.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "break.h"
#include "compat.h"
#include "core.h"
#include "region_owned.h"
#include "stats.h"
#include "tlb.h"
#include "tlb_batch.h"
#include "tlb_queue.h"
#include "trace.h"
#include "uring.h"

static struct workqueue_struct *fos_tlb_workers;

static struct fos_owned *fos_owned_of_queue(struct fos_tlb_queue *q)
{
	return container_of(q, struct fos_owned, queue);
}

/* ---- the permission map ----------------------------------------------- */

static void fos_perm_set_range(struct fos_owned *o,
			       const struct fos_tlb_range *r, u64 ticket)
{
	/* Whether content is recycled is told only where it is dropped. */
	const u32 keep = fos_range_drops(r) ? 0 : FOS_PERM_STALE;
	const u32 now = fos_range_perm(r);
	pgoff_t idx;

	for (idx = fos_range_first(r); idx < fos_range_end(r); idx++) {
		fos_perm_set(&o->perm[idx], now, keep, ticket);
		if (!(idx % 4096))
			cond_resched();
	}
}

/* ---- the queue -------------------------------------------------------- */

static void fos_tlb_number(struct fos_tlb_queue *q, struct fos_tlb_op *op)
{
	lockdep_assert_held(&q->lock);
	op->ticket = ++q->last;
	INIT_LIST_HEAD(&op->node);
}

/* From here on new faults see it.  With the queue's lock. */
static void fos_tlb_enqueue(struct fos_owned *o, struct fos_tlb_op *op)
{
	const struct fos_tlb_range *r;

	fos_tlb_number(&o->queue, op);
	for (r = op->ranges; r < op->ranges + op->count; r++)
		fos_perm_set_range(o, r, op->ticket);
	/* Who stores next will ask: there is nothing to apply. */
	if (!op->downs && !op->in_background)
		return;
	list_add_tail(&op->node, &o->queue.pending);
	o->queue.waiting += op->in_background;
	o->queue.bytes += op->bytes;
}

static void fos_tlb_tell(struct fos_tlb_queue *q, u64 ticket, int result)
{
	struct fos_tlb_told *t = &q->told[q->ntold % FOS_TLB_TOLD_MAX];

	lockdep_assert_held(&q->lock);
	if (q->ntold++ >= FOS_TLB_TOLD_MAX)
		q->forgotten = max(q->forgotten, t->ticket);
	*t = (struct fos_tlb_told) { ticket, result };
}

static void fos_tlb_op_free(struct fos_tlb_op *op)
{
	kvfree(op->ranges);
	kfree(op);
}

/* Who gave it is told, once. */
static void fos_tlb_answer(struct fos_tlb_op *op, int result)
{
	if (op->cq.file) {
		fos_cq_post(&op->cq, result);
		fput(fos_cq_part(&op->cq));
	}
	if (op->cmd) {
		fos_command_end(op->cmd, result);
		op->cmd = NULL;
	}
}

/* @told: those in the background; the callers of the others may go from here on. */
static void fos_tlb_finish(struct fos_tlb_queue *q, struct fos_tlb_op *op,
			   struct list_head *told)
{
	list_del_init(&op->node);
	if (!op->in_background)
		return;
	if (op->canceled)
		op->result = -ECANCELED;
	if (op->result)
		fos_tlb_tell(q, op->ticket, op->result);
	list_add_tail(&op->node, told);
}

/* With fos_owned.batch: all that is queued, at one price. */
static void fos_tlb_drain(struct fos_owned *o)
{
	struct fos_tlb_queue *q = &o->queue;
	struct fos_tlb_op *op, *next;
	LIST_HEAD(ops);
	LIST_HEAD(told);
	unsigned int waiting;
	u64 last;

	lockdep_assert_held(&o->batch);
	mutex_lock(&q->lock);
	list_splice_init(&q->pending, &ops);
	last = q->last;
	q->taken = last;
	waiting = q->waiting;
	q->waiting = 0;
	q->bytes = 0;
	mutex_unlock(&q->lock);

	if (FOS_BROKEN(early)) {
		/* Pairs with fos_tlb_is_applied(), too early. */
		smp_store_release(&q->applied, last);
		usleep_range(1000, 2000);
	}
	fos_tlb_batch(o, &ops);
	mutex_lock(&q->lock);
	list_for_each_entry_safe(op, next, &ops, node)
		fos_tlb_finish(q, op, &told);
	/* What it did comes first for those who read it without a lock. */
	smp_store_release(&q->applied, last);
	list_for_each_entry_safe(op, next, &told, node) {
		fos_tlb_answer(op, op->result);
		fos_tlb_op_free(op);
	}
	if (waiting && q->notify)
		fos_eventfd_signal(q->notify);
	mutex_unlock(&q->lock);
}

static bool fos_tlb_is_applied(const struct fos_tlb_queue *q, u64 ticket)
{
	/* Pairs with fos_tlb_drain(). */
	return smp_load_acquire(&q->applied) >= ticket;
}

/* A worker who is to come so soon is let come: the next submit needs no timer. */
#define FOS_TLB_SOON	HZ

/* There is nothing to do for the worker: he need not keep the region so long. */
static void fos_tlb_dismiss(struct fos_tlb_queue *q)
{
	struct file *file = NULL;

	mutex_lock(&q->lock);
	if (!q->waiting && cancel_delayed_work(&q->work))
		swap(file, q->file);
	mutex_unlock(&q->lock);
	/* Not the last: ours calls. */
	if (file)
		fput(file);
}

/* By who has a file of the region. */
static void fos_tlb_drain_to(struct fos_owned *o, u64 ticket)
{
	struct fos_tlb_queue *q = &o->queue;

	if (fos_tlb_is_applied(q, ticket))
		return;
	fos_tlb_drain(o);
	if (READ_ONCE(q->file) &&
	    time_after(READ_ONCE(q->due), jiffies + FOS_TLB_SOON))
		fos_tlb_dismiss(q);
}

/* Those at a fence, and pollers. */
static void fos_tlb_wake(struct fos_tlb_queue *q)
{
	if (wq_has_sleeper(&q->wait))
		wake_up_all(&q->wait);
}

/* Those at a fence find their ticket applied, or the mutex free. */
static void fos_tlb_let_go(struct fos_owned *o)
{
	mutex_unlock(&o->batch);
	fos_tlb_wake(&o->queue);
}

/*
 * Who is killed waits, too: his ranges are in use, and whoever applies them waits for
 * nobody who waits for user space.
 */
static void fos_tlb_apply_to(struct fos_owned *o, u64 ticket)
{
	mutex_lock(&o->batch);
	fos_tlb_drain_to(o, ticket);
	fos_tlb_let_go(o);
}

static int fos_tlb_apply(struct fos_owned *o, struct fos_tlb_op *op)
{
	fos_tlb_apply_to(o, op->ticket);
	return op->result;
}

/**
 * fos_tlb_apply_now() - apply a batch, and all that is queued before it
 * @o: the region
 * @op: valid
 *
 * What only gives rights is not waited for, nor anything with it.
 *
 * Return: 0; -EBUSY as the ranges tell.
 */
int fos_tlb_apply_now(struct fos_owned *o, struct fos_tlb_op *op)
{
	mutex_lock(&o->queue.lock);
	fos_tlb_enqueue(o, op);
	mutex_unlock(&o->queue.lock);
	return op->downs ? fos_tlb_apply(o, op) : 0;
}

/* ---- in the background ------------------------------------------------ */

/* With the queue's lock: the worker comes by then. */
static void fos_tlb_expect(struct file *file, struct fos_tlb_queue *q,
			   u64 within_ns)
{
	/* Rounded down: not later. */
	const unsigned long delay =
		nsecs_to_jiffies(min_t(u64, within_ns, FOS_TLB_WITHIN_MAX));
	const unsigned long due = jiffies + delay;

	if (q->file && !time_before(due, q->due))
		return;
	if (!q->file)
		q->file = get_file(file);
	WRITE_ONCE(q->due, due);
	mod_delayed_work(fos_tlb_workers, &q->work, delay);
}

static void fos_tlb_work(struct work_struct *work)
{
	struct fos_tlb_queue *q = container_of(to_delayed_work(work),
					       struct fos_tlb_queue, work);
	struct fos_owned *o = fos_owned_of_queue(q);
	struct file *file = NULL;

	mutex_lock(&o->batch);
	if (!list_empty(&q->pending))
		fos_tlb_drain(o);
	fos_tlb_let_go(o);

	mutex_lock(&q->lock);
	if (q->waiting) {
		queue_delayed_work(fos_tlb_workers, &q->work, 0);
	} else {
		/* Perhaps called again meanwhile, but there is nothing to do. */
		cancel_delayed_work(&q->work);
		swap(file, q->file);
	}
	mutex_unlock(&q->lock);
	if (file)
		fput(file);
}

/**
 * fos_tlb_apply_later() - queue a batch for the worker
 * @file: of the region
 * @op: valid, in the background; from here on the queue's
 * @within_ns: when he comes
 *
 * When too many wait it is applied here and now.
 *
 * Return: its ticket.
 */
u64 fos_tlb_apply_later(struct file *file, struct fos_tlb_op *op,
			u64 within_ns)
{
	struct fos_owned *o = fos_owned_of(file);
	struct fos_tlb_queue *q = &o->queue;
	bool full;
	u64 ticket;

	mutex_lock(&q->lock);
	fos_tlb_enqueue(o, op);
	if (FOS_BROKEN(uringearly))
		fos_tlb_answer(op, 0);
	ticket = op->ticket;
	full = q->waiting > FOS_TLB_PENDING_MAX || q->bytes > fos_tlb_bytes_max(o);
	fos_tlb_expect(file, q, full ? 0 : within_ns);
	mutex_unlock(&q->lock);
	fos_count(tlb_submits);
	if (full)
		fos_tlb_apply_to(o, ticket);
	return ticket;
}

/* With the queue's lock. */
static bool fos_tlb_has_applied_all(const struct fos_tlb_queue *q)
{
	return list_empty(&q->pending) && q->taken <= q->applied;
}

/**
 * fos_tlb_is_idle() - is all that was queued applied?
 * @o: the region
 */
bool fos_tlb_is_idle(struct fos_owned *o)
{
	struct fos_tlb_queue *q = &o->queue;

	guard(mutex)(&q->lock);
	return fos_tlb_has_applied_all(q);
}

/* ---- tickets ---------------------------------------------------------- */

/* With the queue's lock: -EINVAL, what is known of it, or 0. */
static int fos_tlb_outcome(const struct fos_tlb_queue *q, u64 ticket)
{
	const struct fos_tlb_told *t;

	if (!ticket || ticket > q->last)
		return -EINVAL;
	for (t = q->told; t < q->told + min_t(u64, q->ntold, FOS_TLB_TOLD_MAX);
	     t++)
		if (t->ticket == ticket)
			return t->result;
	return ticket <= q->forgotten ? -ESTALE : 0;
}

/* With the queue's lock: is it yet to be applied? */
static bool fos_tlb_waits(const struct fos_tlb_queue *q, u64 ticket)
{
	const struct fos_tlb_op *op;

	if (ticket <= q->taken)
		return ticket > q->applied;
	list_for_each_entry(op, &q->pending, node)
		if (op->ticket == ticket)
			return true;
	return false;
}

/**
 * fos_tlb_look() - what has become of a ticket
 * @o: the region
 * @ticket: of it, or any number
 *
 * Return: as of a fence that only looks.
 */
int fos_tlb_look(struct fos_owned *o, u64 ticket)
{
	struct fos_tlb_queue *q = &o->queue;
	int ret;

	guard(mutex)(&q->lock);
	ret = fos_tlb_outcome(q, ticket);
	/* Later ones may have been told, and forgotten, before. */
	if ((!ret || ret == -ESTALE) && fos_tlb_waits(q, ticket))
		ret = -EINPROGRESS;
	return ret;
}

/* 0: applied; 1: not, and it is the caller's turn to. */
static int fos_tlb_turn(struct fos_owned *o, u64 ticket, u64 deadline_ns)
{
	bool in_time = true;
	DEFINE_WAIT(wait);
	int ret;

	for (;;) {
		/* Pairs with wq_has_sleeper() in fos_tlb_wake(). */
		prepare_to_wait(&o->queue.wait, &wait, TASK_KILLABLE);
		ret = !fos_tlb_is_applied(&o->queue, ticket);
		if (!ret || mutex_trylock(&o->batch))
			break;
		ret = !in_time ? -ETIMEDOUT :
		      fatal_signal_pending(current) ? -EINTR : 0;
		if (ret)
			break;
		in_time = fos_sleep_until(deadline_ns);
	}
	finish_wait(&o->queue.wait, &wait);
	return ret;
}

/**
 * fos_tlb_wait() - until a ticket is applied, by whomever
 * @o: the region
 * @ticket: of it
 * @deadline_ns: absolute CLOCK_MONOTONIC; above KTIME_MAX: none
 *
 * Return: as of a fence.
 */
int fos_tlb_wait(struct fos_owned *o, u64 ticket, u64 deadline_ns)
{
	int ret = fos_tlb_turn(o, ticket, deadline_ns);

	if (ret < 0)
		return ret;
	if (ret) {
		fos_tlb_drain_to(o, ticket);
		fos_tlb_let_go(o);
	}
	return fos_tlb_look(o, ticket);
}

static struct fos_tlb_op *fos_tlb_find(struct fos_tlb_queue *q, u64 ticket)
{
	struct fos_tlb_op *op;

	list_for_each_entry(op, &q->pending, node)
		if (op->ticket == ticket && op->in_background && !op->canceled)
			return op;
	return NULL;
}

/* false: PTEs may have more than the map says. */
static bool fos_tlb_undo(struct fos_owned *o, struct fos_tlb_op *op)
{
	struct fos_tlb_range *r;
	bool all = true;
	pgoff_t idx;

	for (r = op->ranges; r < op->ranges + op->count; r++) {
		for (idx = fos_range_first(r); idx < fos_range_end(r); idx++) {
			all &= fos_perm_restore(&o->perm[idx], op->ticket);
			if (!(idx % 4096))
				cond_resched();
		}
		/* What may yet have to be done is what the map says. */
		r->rights = 0;
	}
	op->downs = op->count;
	return all;
}

/* 0; 1: it is yet to be applied that it is not, and to be told. */
static int fos_tlb_take_back(struct fos_owned *o, u64 ticket)
{
	struct fos_tlb_queue *q = &o->queue;
	struct fos_tlb_op *op;

	if (!ticket || ticket > q->last)
		return -EINVAL;
	op = fos_tlb_find(q, ticket);
	if (!op)
		return -EALREADY;
	op->canceled = true;
	if (FOS_BROKEN(hasty))
		fos_tlb_answer(op, -ECANCELED);
	if (!fos_tlb_undo(o, op))
		return 1;
	list_del(&op->node);
	q->waiting--;
	q->bytes -= op->bytes;
	fos_tlb_tell(q, ticket, -ECANCELED);
	fos_tlb_answer(op, -ECANCELED);
	fos_tlb_op_free(op);
	if (q->notify)
		fos_eventfd_signal(q->notify);
	/* Perhaps nothing waits any more. */
	fos_tlb_wake(q);
	return 0;
}

/**
 * fos_tlb_recall() - take a ticket back before it is begun
 * @o: the region
 * @ticket: of it, or any number
 *
 * Return: as of a cancellation.
 */
int fos_tlb_recall(struct fos_owned *o, u64 ticket)
{
	int ret;

	mutex_lock(&o->queue.lock);
	ret = fos_tlb_take_back(o, ticket);
	mutex_unlock(&o->queue.lock);
	if (ret <= 0)
		return ret;
	fos_tlb_apply_to(o, ticket);
	return 0;
}

/* ---- written pages ---------------------------------------------------- */

static void fos_tlb_add_page(struct fos_tlb_op *op, pgoff_t idx)
{
	struct fos_tlb_range *r = op->ranges + op->count - 1;

	if (op->count && fos_range_end(r) == idx) {
		r->len += PAGE_SIZE;
		return;
	}
	op->ranges[op->count++] = (struct fos_tlb_range) {
		.offset = (u64)idx << PAGE_SHIFT,
		.len = PAGE_SIZE,
		.rights = FOS_RIGHT_READ | FOS_TLB_TRACK,
	};
}

static bool fos_tlb_has_room(const struct fos_tlb_op *op, u32 max, pgoff_t idx)
{
	return op->count < max ||
	       fos_range_end(&op->ranges[max - 1]) == idx;
}

/**
 * fos_tlb_scan_pages() - find what was written, and track it anew
 * @o: the region
 * @op: has room for @max ranges
 * @max: at least 1
 * @idx: in: where to begin; out: where it stopped
 * @end: where to stop
 *
 * Return: as fos_tlb_apply_now().
 */
int fos_tlb_scan_pages(struct fos_owned *o, struct fos_tlb_op *op, u32 max,
		       pgoff_t *idx, pgoff_t end)
{
	struct fos_tlb_queue *q = &o->queue;
	bool must;

	mutex_lock(&q->lock);
	for (; *idx < end && fos_tlb_has_room(op, max, *idx); ++*idx) {
		if (fos_perm_take_written(&o->perm[*idx]))
			fos_tlb_add_page(op, *idx);
		if (!(*idx % 4096))
			cond_resched();
	}
	op->downs = op->count;
	fos_tlb_number(q, op);
	if (op->downs)
		list_add_tail(&op->node, &q->pending);
	/* Also what others have yet to apply: PTEs of these pages are old. */
	must = op->downs || !fos_tlb_has_applied_all(q);
	mutex_unlock(&q->lock);
	return must ? fos_tlb_apply(o, op) : 0;
}

/* ---- life ------------------------------------------------------------- */

/**
 * fos_tlb_queue_init() - an empty queue
 * @q: zeroed
 */
void fos_tlb_queue_init(struct fos_tlb_queue *q)
{
	mutex_init(&q->lock);
	INIT_LIST_HEAD(&q->pending);
	init_waitqueue_head(&q->wait);
	INIT_DELAYED_WORK(&q->work, fos_tlb_work);
}

/**
 * fos_tlb_queue_start() - before there are regions
 *
 * Return: 0 or -ENOMEM.
 */
int __init fos_tlb_queue_start(void)
{
	fos_tlb_workers = alloc_workqueue("fastos", WQ_UNBOUND, 0);
	return fos_tlb_workers ? 0 : -ENOMEM;
}

/**
 * fos_tlb_queue_stop() - when there are none any more
 */
void fos_tlb_queue_stop(void)
{
	destroy_workqueue(fos_tlb_workers);
}
