// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bitmap.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "break.h"
#include "core.h"
#include "cq_ring.h"
#include "stats.h"

static_assert(sizeof(struct fos_cq_create) == FOS_CQ_CREATE_SIZE_VER0);
static_assert(sizeof(struct fos_cq_wait) == FOS_CQ_WAIT_SIZE_VER0);
static_assert(sizeof(struct fos_cq_entry) == 32);

/**
 * struct fos_cq_sleeper - a sleeping thread, on its own stack
 * @entry: in fos_cq.wait
 * @cq: the queue
 * @tail: until so many were posted
 */
struct fos_cq_sleeper {
	struct wait_queue_entry entry;
	struct fos_cq *cq;
	u64 tail;
};

static const struct file_operations fos_cq_fops;

static struct fos_cq *fos_cq_of(const struct file *file)
{
	return container_of(fos_region_of(file), struct fos_cq, region);
}

/* ---- sources ---------------------------------------------------------- */

/**
 * fos_cq_join() - reserve a place in a queue
 * @src: has none
 * @fd: the queue
 * @user_data: of the entries
 *
 * Return: 0; -EBADF: @fd is no queue; -EBUSY: all places are taken.
 */
int fos_cq_join(struct fos_cq_source *src, u32 fd, u64 user_data)
{
	struct file *file = fget(fd);
	int ret = -EBADF;

	if (!file)
		return -EBADF;
	if (file->f_op == &fos_cq_fops)
		ret = fos_cq_reserve(fos_cq_of(file));
	if (ret) {
		fput(file);
		return ret;
	}
	*src = (struct fos_cq_source) { .file = file, .user_data = user_data };
	return 0;
}

/**
 * fos_cq_post() - tell the reader
 * @src: has a place, and its owner's lock
 * @res: 0 or -errno
 */
void fos_cq_post(struct fos_cq_source *src, s32 res)
{
	struct fos_cq *cq = fos_cq_of(src->file);

	if (fos_cq_post_once(cq, src, res, 0))
		fos_cq_signal(cq);
}

/**
 * fos_cq_part() - give the place back; an entry that is unread stays
 * @src: may have none
 *
 * Return: for fput(), without a lock; or NULL.
 */
struct file *fos_cq_part(struct fos_cq_source *src)
{
	struct file *file = src->file;

	if (!file)
		return NULL;
	fos_cq_unreserve(fos_cq_of(file), src);
	src->file = NULL;
	return file;
}

/* ---- the reader ------------------------------------------------------- */

/* So many, or one that may stand for many. */
static bool fos_cq_has_come(const struct fos_cq *cq, u64 tail)
{
	/* Pairs with fos_cq_append(). */
	return (s64)(smp_load_acquire(&cq->tail) - tail) >= 0 ||
	       (!FOS_BROKEN(deaf) && fos_cq_has_unread(cq, &cq->ear.src));
}

static int fos_cq_wake_sleeper(struct wait_queue_entry *entry,
			       unsigned int mode, int flags, void *key)
{
	struct fos_cq_sleeper *s = container_of(entry, struct fos_cq_sleeper,
						entry);

	if (!fos_cq_has_come(s->cq, s->tail))
		return 0;
	return autoremove_wake_function(entry, mode, flags, key);
}

static int fos_cq_sleep(struct fos_cq *cq, u64 tail, u64 deadline_ns)
{
	struct fos_cq_sleeper s = { .cq = cq, .tail = tail };
	bool in_time = true;
	int ret;

	init_wait(&s.entry);
	s.entry.func = fos_cq_wake_sleeper;
	for (;;) {
		/* Pairs with fos_cq_append(). */
		prepare_to_wait(&cq->wait, &s.entry, TASK_INTERRUPTIBLE);
		ret = 0;
		if (fos_cq_has_come(cq, tail))
			break;
		ret = !in_time ? -ETIMEDOUT :
		      signal_pending(current) ? -ERESTARTSYS : 0;
		if (ret)
			break;
		fos_count(cq_sleeps);
		in_time = fos_sleep_until(deadline_ns);
	}
	finish_wait(&cq->wait, &s.entry);
	return ret;
}

static long fos_cq_wait(struct fos_cq *cq, unsigned int cmd, void __user *uargs)
{
	struct fos_cq_wait a;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_CQ_WAIT_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (a.flags)
		return -EINVAL;
	if (fos_cq_has_come(cq, a.tail))
		return 0;
	return fos_cq_sleep(cq, a.tail, a.deadline_ns);
}

/* ---- the descriptor --------------------------------------------------- */

static __poll_t fos_cq_poll(struct file *file, poll_table *pt)
{
	struct fos_cq *cq = fos_cq_of(file);

	poll_wait(file, &cq->wait, pt);
	/* In the queue before the look; pairs with fos_cq_append(). */
	smp_mb();
	return fos_cq_is_empty(cq) ? 0 : EPOLLIN | EPOLLRDNORM;
}

static long fos_cq_query(struct fos_cq *cq, unsigned int cmd,
			 void __user *uargs)
{
	const struct fos_core_query q = {
		.kind = FOS_KIND_CQ,
		.id = cq->region.obj.id,
		.depth = cq->entries,
	};

	return fos_core_query(cmd, uargs, &q);
}

static long fos_cq_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct fos_cq *cq = fos_cq_of(file);
	void __user *uargs = (void __user *)arg;

	switch (FOS_IOC_ID(cmd)) {
	case FOS_IOC_ID(FOS_IOC_CQ_WAIT):
		return fos_cq_wait(cq, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_CQ_NOTIFY):
		return fos_cq_notify(cq, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_CQ_HEAR):
		return fos_cq_hear(cq, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_CORE_QUERY):
		return fos_cq_query(cq, cmd, uargs);
	}
	return -ENOTTY;
}

static int fos_cq_mmap(struct file *file, struct vm_area_struct *vma)
{
	return fos_region_mmap(fos_region_of(file), vma, VM_READ | VM_WRITE);
}

static int fos_cq_release(struct inode *inode, struct file *file)
{
	fos_cq_forget_eventfds(fos_cq_of(file));
	fos_obj_release();
	return 0;
}

static void fos_cq_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct fos_cq *cq = fos_cq_of(file);

	seq_puts(m, "fastos:\tcompletion queue\n");
	seq_printf(m, "id:\t%llu\n", cq->region.obj.id);
	seq_printf(m, "entries:\t%u\n", cq->entries);
	seq_printf(m, "reserved:\t%u\n", READ_ONCE(cq->reserved));
	seq_printf(m, "posted:\t%llu\n", READ_ONCE(cq->tail));
	seq_printf(m, "read:\t%llu\n", READ_ONCE(cq->head->head));
}

static const struct file_operations fos_cq_fops = {
	.owner		= THIS_MODULE,
	.llseek		= noop_llseek,
	.unlocked_ioctl	= fos_cq_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap		= fos_cq_mmap,
	.poll		= fos_cq_poll,
	.release	= fos_cq_release,
	.show_fdinfo	= fos_cq_show_fdinfo,
};

/* ---- life ------------------------------------------------------------- */

static vm_fault_t fos_cq_access(struct vm_area_struct *vma, pgoff_t idx,
				bool write)
{
	const struct fos_cq *cq = fos_cq_of(vma->vm_file);

	return idx >= FOS_CQ_OFF_GUARD(cq->entries) >> PAGE_SHIFT ||
	       (write && idx) ? VM_FAULT_SIGSEGV : 0;
}

/* Whoever has it mapped: it is no owner. */
static void fos_cq_mapped(struct vm_area_struct *vma)
{
}

static void fos_cq_free(struct fos_region *region)
{
	struct fos_cq *cq = container_of(region, struct fos_cq, region);

	fos_user_uncharge(cq->user, region->npages);
	bitmap_free(cq->ownerless);
	kfree(cq);
	atomic_long_dec(&fos_live_cqs);
}

static const struct fos_region_ops fos_cq_region_ops = {
	.access	= fos_cq_access,
	.open	= fos_cq_mapped,
	.close	= fos_cq_mapped,
	.free	= fos_cq_free,
};

static int fos_cq_populate(struct fos_cq *cq, unsigned long npages)
{
	int ret;

	ret = fos_region_init(&cq->region, npages, &fos_cq_region_ops);
	if (ret)
		return ret;
	ret = fos_region_populate(&cq->region, npages - 1);
	if (ret)
		fos_region_destroy(&cq->region);
	else
		cq->head = fos_region_addr(&cq->region, 0);
	return ret;
}

static struct fos_cq *fos_cq_alloc(u32 entries)
{
	const unsigned long npages = FOS_CQ_MAP_BYTES(entries) >> PAGE_SHIFT;
	struct fos_cq *cq;
	int ret = -ENOMEM;

	cq = kzalloc(sizeof(*cq), GFP_KERNEL_ACCOUNT);
	if (!cq)
		return ERR_PTR(-ENOMEM);
	cq->entries = entries;
	spin_lock_init(&cq->lock);
	spin_lock_init(&cq->notify_lock);
	mutex_init(&cq->setting);
	init_waitqueue_head(&cq->wait);
	cq->ownerless = bitmap_zalloc(entries, GFP_KERNEL_ACCOUNT);
	if (!cq->ownerless)
		goto err_free;
	cq->user = fos_user_charge(npages);
	if (IS_ERR(cq->user)) {
		ret = PTR_ERR(cq->user);
		goto err_bitmap;
	}
	ret = fos_cq_populate(cq, npages);
	if (ret)
		goto err_uncharge;
	atomic_long_inc(&fos_live_cqs);
	return cq;

err_uncharge:
	fos_user_uncharge(cq->user, npages);
err_bitmap:
	bitmap_free(cq->ownerless);
err_free:
	kfree(cq);
	return ERR_PTR(ret);
}

/**
 * fos_cq_create() - FOS_IOC_CQ_CREATE
 * @cmd: the ioctl
 * @uargs: the caller's struct fos_cq_create
 *
 * Return: as struct fos_cq_create says.
 */
long fos_cq_create(unsigned int cmd, void __user *uargs)
{
	struct fos_cq_create a;
	struct file *file;
	struct fos_cq *cq;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_CQ_CREATE_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (a.flags || !is_power_of_2(a.entries) ||
	    a.entries < FOS_CQ_ENTRIES_MIN || a.entries > FOS_CQ_ENTRIES_MAX)
		return -EINVAL;
	cq = fos_cq_alloc(a.entries);
	if (IS_ERR(cq))
		return PTR_ERR(cq);
	file = fos_region_open(&cq->region, &fos_cq_fops);
	if (IS_ERR(file)) {
		fos_region_destroy(&cq->region);
		fos_cq_free(&cq->region);
		return PTR_ERR(file);
	}
	fos_count(cq_creates);
	ret = fos_obj_install(&file, &a.fd, 1, &a, sizeof(a), cmd, uargs);
	if (ret)
		fput(file);
	return ret;
}
