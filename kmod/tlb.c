// SPDX-License-Identifier: GPL-2.0-only
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "core.h"
#include "region_owned.h"
#include "stats.h"
#include "tlb.h"
#include "tlb_queue.h"
#include "uring.h"

static_assert(sizeof(struct fos_tlb_range) == 24);
static_assert(sizeof(struct fos_tlb_protectv) == FOS_TLB_PROTECTV_SIZE_VER0);
static_assert(offsetof(struct fos_tlb_submit, user_data) ==
	      FOS_TLB_SUBMIT_SIZE_VER0);
static_assert(sizeof(struct fos_tlb_submit) == FOS_TLB_SUBMIT_SIZE_VER1);
static_assert(sizeof(struct fos_tlb_fence) == FOS_TLB_FENCE_SIZE_VER0);
static_assert(sizeof(struct fos_tlb_cancel) == FOS_TLB_CANCEL_SIZE_VER0);
static_assert(sizeof(struct fos_tlb_notify) == FOS_TLB_NOTIFY_SIZE_VER0);
static_assert(sizeof(struct fos_tlb_scan) == FOS_TLB_SCAN_SIZE_VER0);

/* ---- ranges ----------------------------------------------------------- */

/* Nothing, read, both; read and track; dropping, and then any of these. */
static bool fos_tlb_rights_ok(u32 rights)
{
	if (rights & FOS_TLB_DISCARD)
		rights &= ~FOS_TLB_DISCARD;
	else if (rights & FOS_TLB_RECYCLE)
		rights &= ~FOS_TLB_RECYCLE;
	return !rights || rights == FOS_RIGHT_READ || rights == FOS_RIGHT_RW ||
	       rights == (FOS_RIGHT_READ | FOS_TLB_TRACK);
}

static bool fos_tlb_span_ok(const struct fos_owned *o, u64 offset, u64 len)
{
	const u64 bytes = fos_owned_bytes(o);

	return PAGE_ALIGNED(offset) && PAGE_ALIGNED(len) && len &&
	       offset < bytes && len <= bytes - offset;
}

static bool fos_tlb_range_ok(const struct fos_owned *o,
			     const struct fos_tlb_range *r)
{
	return fos_tlb_span_ok(o, r->offset, r->len) &&
	       fos_tlb_rights_ok(r->rights);
}

/* Our own copy of the ranges: what results were. */
static int fos_tlb_check(const struct fos_owned *o, struct fos_tlb_op *op)
{
	struct fos_tlb_range *r;
	int ret = 0;

	for (r = op->ranges; r < op->ranges + op->count; r++) {
		r->result = 0;
		op->downs += fos_range_is_down(r);
		if (!fos_tlb_range_ok(o, r)) {
			r->result = EINVAL;
			ret = -EINVAL;
		} else {
			op->bytes += r->len;
		}
	}
	if (!ret && op->bytes > fos_tlb_bytes_max(o))
		ret = -E2BIG;
	for (r = op->ranges; ret && r < op->ranges + op->count; r++)
		r->result = r->result ?: ECANCELED;
	return ret;
}

static int fos_tlb_count_ok(u32 count)
{
	if (!count)
		return -EINVAL;
	return count > FOS_TLB_RANGES_MAX ? -E2BIG : 0;
}

/* As many as lie on the stack, the usual ones, need no allocation. */
#define FOS_TLB_FEW	8

static struct fos_tlb_range *fos_tlb_ranges_get(struct fos_tlb_range *few,
						u32 count)
{
	return count <= FOS_TLB_FEW ? few :
	       kvmalloc_array(count, sizeof(*few), GFP_KERNEL_ACCOUNT);
}

static void fos_tlb_ranges_put(struct fos_tlb_range *few,
			       struct fos_tlb_range *ranges)
{
	if (ranges != few)
		kvfree(ranges);
}

/* ---- now -------------------------------------------------------------- */

static long fos_tlb_protect_ranges(struct fos_owned *o, struct fos_tlb_op *op,
				   void __user *uranges)
{
	const size_t bytes = op->count * sizeof(*op->ranges);
	int ret;

	if (copy_from_user(op->ranges, uranges, bytes))
		return -EFAULT;
	ret = fos_tlb_check(o, op);
	if (!ret)
		ret = fos_tlb_apply_now(o, op);
	if (copy_to_user(uranges, op->ranges, bytes))
		return -EFAULT;
	return ret;
}

static long fos_tlb_protectv(struct fos_owned *o, unsigned int cmd,
			     void __user *uargs)
{
	struct fos_tlb_range few[FOS_TLB_FEW];
	struct fos_tlb_protectv a;
	struct fos_tlb_op op = {};
	long ret;

	ret = fos_args_get(&a, sizeof(a), FOS_TLB_PROTECTV_SIZE_VER0, cmd,
			   uargs);
	if (ret)
		return ret;
	if (a.flags)
		return -EINVAL;
	ret = fos_tlb_count_ok(a.count);
	if (ret)
		return ret;
	op.count = a.count;
	op.ranges = fos_tlb_ranges_get(few, a.count);
	if (!op.ranges)
		return -ENOMEM;
	ret = fos_tlb_protect_ranges(o, &op, u64_to_user_ptr(a.ranges));
	fos_tlb_ranges_put(few, op.ranges);
	a.rounds = op.rounds;
	if ((!ret || ret == -EBUSY) && fos_args_put(&a, sizeof(a), cmd, uargs))
		return -EFAULT;
	return ret;
}

/* ---- later ------------------------------------------------------------ */

static int fos_tlb_fill(const struct fos_owned *o, struct fos_tlb_op *op,
			const struct fos_tlb_submit *a)
{
	op->in_background = true;
	op->count = a->count;
	op->ranges = kvmalloc_array(a->count, sizeof(*op->ranges),
				    GFP_KERNEL_ACCOUNT);
	if (!op->ranges)
		return -ENOMEM;
	if (copy_from_user(op->ranges, u64_to_user_ptr(a->ranges),
			   a->count * sizeof(*op->ranges)))
		return -EFAULT;
	return fos_tlb_check(o, op);
}

/* @c: if it is a command, which ends when the ticket is applied. */
static long fos_tlb_submit(struct file *file, unsigned int cmd,
			   void __user *uargs, const struct fos_command *c)
{
	struct fos_tlb_submit a;
	struct fos_tlb_op *op;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_TLB_SUBMIT_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if ((a.flags & ~FOS_TLB_SUBMIT_CQ) ||
	    (!a.flags && (a.cq || a.user_data)))
		return -EINVAL;
	ret = fos_tlb_count_ok(a.count);
	if (ret)
		return ret;
	op = kzalloc(sizeof(*op), GFP_KERNEL_ACCOUNT);
	if (!op)
		return -ENOMEM;
	ret = fos_tlb_fill(fos_owned_of(file), op, &a);
	if (!ret && a.flags)
		ret = fos_cq_join(&op->cq, a.cq, a.user_data);
	if (ret) {
		kvfree(op->ranges);
		kfree(op);
		return ret;
	}
	if (c) {
		op->cmd = c->cmd;
		fos_command_hold(c);
	}
	a.ticket = fos_tlb_apply_later(file, op, a.within_ns);
	ret = fos_args_put(&a, sizeof(a), cmd, uargs);
	if (!c)
		return ret;
	fos_command_held(c, ret);
	return -EIOCBQUEUED;
}

static long fos_tlb_fence(struct fos_owned *o, unsigned int cmd,
			  void __user *uargs)
{
	struct fos_tlb_fence a;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_TLB_FENCE_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (a.flags & ~FOS_TLB_FENCE_LOOK)
		return -EINVAL;
	ret = fos_tlb_look(o, a.ticket);
	if (ret != -EINPROGRESS || a.flags)
		return ret;
	fos_count(tlb_fences);
	return fos_tlb_wait(o, a.ticket, a.deadline_ns);
}

static long fos_tlb_cancel(struct fos_owned *o, unsigned int cmd,
			   void __user *uargs)
{
	struct fos_tlb_cancel a;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_TLB_CANCEL_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	return a.flags ? -EINVAL : fos_tlb_recall(o, a.ticket);
}

/* ---- who is told ------------------------------------------------------ */

static long fos_tlb_notify(struct fos_owned *o, unsigned int cmd,
			   void __user *uargs)
{
	struct eventfd_ctx *ctx;
	struct fos_tlb_notify a;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_TLB_NOTIFY_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (a.flags || a.resv)
		return -EINVAL;
	ret = fos_eventfd_get(a.fd, &ctx);
	if (ret)
		return ret;
	mutex_lock(&o->queue.lock);
	swap(o->queue.notify, ctx);
	mutex_unlock(&o->queue.lock);
	fos_eventfd_put(ctx);
	return 0;
}

/* ---- what was written ------------------------------------------------- */

static long fos_tlb_scan_ranges(struct fos_owned *o, struct fos_tlb_op *op,
				struct fos_tlb_scan *a)
{
	pgoff_t idx = a->offset >> PAGE_SHIFT;
	int ret;

	ret = fos_tlb_scan_pages(o, op, a->count, &idx,
				 (a->offset + a->len) >> PAGE_SHIFT);
	a->count = op->count;
	a->rounds = op->rounds;
	a->next = (u64)idx << PAGE_SHIFT;
	if (copy_to_user(u64_to_user_ptr(a->ranges), op->ranges,
			 op->count * sizeof(*op->ranges)))
		return -EFAULT;
	return ret;
}

static long fos_tlb_scan(struct fos_owned *o, unsigned int cmd,
			 void __user *uargs)
{
	struct fos_tlb_range few[FOS_TLB_FEW];
	struct fos_tlb_op op = {};
	struct fos_tlb_scan a;
	long ret;

	ret = fos_args_get(&a, sizeof(a), FOS_TLB_SCAN_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (a.flags || !fos_tlb_span_ok(o, a.offset, a.len))
		return -EINVAL;
	ret = fos_tlb_count_ok(a.count);
	if (ret)
		return ret;
	op.ranges = fos_tlb_ranges_get(few, a.count);
	if (!op.ranges)
		return -ENOMEM;
	ret = fos_tlb_scan_ranges(o, &op, &a);
	fos_tlb_ranges_put(few, op.ranges);
	if ((!ret || ret == -EBUSY) && fos_args_put(&a, sizeof(a), cmd, uargs))
		return -EFAULT;
	return ret;
}

/**
 * fos_tlb_ioctl() - FOS_IOC_TLB_* on a region
 * @file: the region's, with FOS_RIGHT_OWN
 * @cmd: the ioctl
 * @uargs: the caller's struct
 *
 * Return: as the structs say; -ENOTTY: another ioctl.
 */
long fos_tlb_ioctl(struct file *file, unsigned int cmd, void __user *uargs)
{
	struct fos_owned *o = fos_owned_of(file);

	switch (FOS_IOC_ID(cmd)) {
	case FOS_IOC_ID(FOS_IOC_TLB_PROTECTV):
		return fos_tlb_protectv(o, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_TLB_SUBMIT):
		return fos_tlb_submit(file, cmd, uargs, NULL);
	case FOS_IOC_ID(FOS_IOC_TLB_FENCE):
		return fos_tlb_fence(o, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_TLB_CANCEL):
		return fos_tlb_cancel(o, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_TLB_SCAN):
		return fos_tlb_scan(o, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_TLB_NOTIFY):
		return fos_tlb_notify(o, cmd, uargs);
	}
	return -ENOTTY;
}

/**
 * fos_tlb_command() - FOS_IOC_TLB_* as commands of io_uring
 * @c: of a region's file with FOS_RIGHT_OWN
 *
 * Never -EAGAIN, which means "again, where you may wait": on 6.12 the command may be
 * another one by then.  Too many are applied here, as for an ioctl.
 *
 * Return: as the structs say; -EIOCBQUEUED: later; -ENOTTY: no command.
 */
long fos_tlb_command(const struct fos_command *c)
{
	void __user *uargs = u64_to_user_ptr(c->arg[0]);

	switch (FOS_IOC_ID(c->op)) {
	case FOS_IOC_ID(FOS_IOC_TLB_SUBMIT):
		return fos_tlb_submit(c->file, c->op, uargs, c);
	case FOS_IOC_ID(FOS_IOC_TLB_CANCEL):
		return fos_tlb_cancel(fos_owned_of(c->file), c->op, uargs);
	}
	return -ENOTTY;
}
