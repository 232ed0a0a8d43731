// SPDX-License-Identifier: GPL-2.0-only
/*
 * cq: an eventfd that hears of a queue, or is heard of.  Not both: two queues could
 * make one another's eventfds signal for ever, with their locks.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>

#include "compat.h"
#include "core.h"
#include "cq_ring.h"

static_assert(sizeof(struct fos_cq_notify) == FOS_CQ_NOTIFY_SIZE_VER0);
static_assert(sizeof(struct fos_cq_hear) == FOS_CQ_HEAR_SIZE_VER0);

/* ---- it is notified --------------------------------------------------- */

/**
 * fos_cq_signal() - an entry was posted
 * @cq: where
 */
void fos_cq_signal(struct fos_cq *cq)
{
	/* After the fence of fos_cq_append(): it is seen, or there the entry is. */
	if (!READ_ONCE(cq->notify))
		return;
	guard(spinlock)(&cq->notify_lock);
	if (cq->notify)
		fos_eventfd_signal(cq->notify);
}

static int fos_cq_set_notify(struct fos_cq *cq, struct eventfd_ctx **ctx)
{
	guard(mutex)(&cq->setting);
	if (*ctx && cq->ear.ctx)
		return -EEXIST;
	guard(spinlock)(&cq->notify_lock);
	swap(cq->notify, *ctx);
	/* Pairs with that of fos_cq_append(). */
	smp_mb();
	if (cq->notify && !fos_cq_is_empty(cq))
		fos_eventfd_signal(cq->notify);
	return 0;
}

/**
 * fos_cq_notify() - FOS_IOC_CQ_NOTIFY
 * @cq: the queue
 * @cmd: the ioctl
 * @uargs: the caller's struct fos_cq_notify
 *
 * Return: as struct fos_cq_notify says.
 */
long fos_cq_notify(struct fos_cq *cq, unsigned int cmd, void __user *uargs)
{
	struct eventfd_ctx *ctx;
	struct fos_cq_notify a;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_CQ_NOTIFY_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (a.flags || a.resv)
		return -EINVAL;
	ret = fos_eventfd_get(a.fd, &ctx);
	if (ret)
		return ret;
	ret = fos_cq_set_notify(cq, &ctx);
	fos_eventfd_put(ctx);
	return ret;
}

/* ---- it is heard ------------------------------------------------------ */

/* With the eventfd's lock, in any context: nothing but the entry. */
static int fos_cq_heard(struct wait_queue_entry *entry, unsigned int mode,
			int flags, void *key)
{
	struct fos_cq_ear *ear = container_of(entry, struct fos_cq_ear, entry);

	const __poll_t events = key_to_poll(key);

	if (events & EPOLLIN)
		fos_cq_post_once(ear->cq, &ear->src, 0,
				 events & EPOLL_URING_WAKE);
	return 0;
}

/**
 * struct fos_cq_listening - a poll of an eventfd
 * @pt: of vfs_poll()
 * @ear: who is to wait there
 */
struct fos_cq_listening {
	struct poll_table_struct pt;
	struct fos_cq_ear *ear;
};

static void fos_cq_hook(struct file *file, wait_queue_head_t *head,
			poll_table *pt)
{
	struct fos_cq_ear *ear = container_of(pt, struct fos_cq_listening,
					      pt)->ear;

	ear->head = head;
	add_wait_queue(head, &ear->entry);
}

/* Before and after: else somebody may be on his way from us to the eventfd. */
static void fos_cq_set_hears(struct fos_cq *cq, bool hears)
{
	guard(spinlock_irqsave)(&cq->lock);
	cq->hears = hears;
}

static void fos_cq_unhear(struct fos_cq *cq)
{
	struct fos_cq_ear *ear = &cq->ear;

	if (!ear->ctx)
		return;
	/* Behind this nobody is in fos_cq_heard(). */
	remove_wait_queue(ear->head, &ear->entry);
	eventfd_ctx_put(ear->ctx);
	ear->ctx = NULL;
	fos_cq_unreserve(cq, &ear->src);
	WRITE_ONCE(ear->src.end, 0);
	fos_cq_set_hears(cq, false);
}

static int fos_cq_listen(struct fos_cq *cq, struct file *file, u64 user_data)
{
	struct fos_cq_listening l = { .ear = &cq->ear };
	struct fos_cq_ear *ear = l.ear;
	struct eventfd_ctx *ctx;
	int ret;

	if (cq->ear.ctx || READ_ONCE(cq->notify))
		return -EEXIST;
	ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	ret = fos_cq_reserve(cq);
	if (ret) {
		eventfd_ctx_put(ctx);
		return ret;
	}
	*ear = (struct fos_cq_ear) {
		.ctx = ctx,
		.cq = cq,
		.src.user_data = user_data,
	};
	fos_cq_set_hears(cq, true);
	init_waitqueue_func_entry(&ear->entry, fos_cq_heard);
	init_poll_funcptr(&l.pt, fos_cq_hook);
	if (vfs_poll(file, &l.pt) & EPOLLIN)
		fos_cq_post_once(cq, &ear->src, 0, 0);
	return 0;
}

static int fos_cq_hear_fd(struct fos_cq *cq, u32 fd, u64 user_data)
{
	struct file *file = fget(fd);
	int ret;

	if (!file)
		return -EBADF;
	ret = fos_cq_listen(cq, file, user_data);
	fput(file);
	return ret;
}

/**
 * fos_cq_hear() - FOS_IOC_CQ_HEAR
 * @cq: the queue
 * @cmd: the ioctl
 * @uargs: the caller's struct fos_cq_hear
 *
 * Return: as struct fos_cq_hear says.
 */
long fos_cq_hear(struct fos_cq *cq, unsigned int cmd, void __user *uargs)
{
	struct fos_cq_hear a;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_CQ_HEAR_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (a.flags)
		return -EINVAL;
	guard(mutex)(&cq->setting);
	if (a.fd != ~0U)
		return fos_cq_hear_fd(cq, a.fd, a.user_data);
	fos_cq_unhear(cq);
	return 0;
}

/**
 * fos_cq_forget_eventfds() - neither, any more
 * @cq: nobody uses it; its pages are there
 */
void fos_cq_forget_eventfds(struct fos_cq *cq)
{
	fos_cq_unhear(cq);
	fos_eventfd_put(cq->notify);
}
