// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "break.h"
#include "chan.h"
#include "core.h"
#include "stats.h"
#include "trace.h"
#include "uring.h"

static_assert(sizeof(struct fos_chan_create) == FOS_CHAN_CREATE_SIZE_VER0);
static_assert(sizeof(struct fos_chan_bell_wait) ==
	      FOS_CHAN_BELL_WAIT_SIZE_VER0);
static_assert(sizeof(struct fos_chan_cq) == FOS_CHAN_CQ_SIZE_VER0);
static_assert(sizeof(struct fos_uring_bell) == 2 * sizeof(u64));
static_assert(sizeof(struct fos_line) == 128);
static_assert(sizeof(struct fos_entry) == 128);
static_assert(sizeof(struct fos_kside) == 128);
static_assert(PAGE_SIZE == FOS_PAGE_BYTES);
static_assert(FOS_CHAN_DEPTH_MAX * sizeof(u64) <= FOS_CHAN_CLAIMS_BYTES);

static struct fos_chan *fos_chan_of(struct fos_region *region)
{
	return container_of(region, struct fos_chan, region);
}

/* ---- death ------------------------------------------------------------ */

/* Set state from the kernel's own copy: what user space reads is for it. */
static void fos_ep_set_state(struct fos_ep *ep, u64 state)
{
	lockdep_assert_held(&ep->lock);
	WRITE_ONCE(ep->state, state);
	/* What the dead side published is seen before its death is. */
	smp_store_release(&ep->kside->state, state);
}

static void fos_ep_die(struct fos_ep *ep)
{
	struct file *cq;
	bool was_dead;

	spin_lock(&ep->lock);
	was_dead = ep->state & FOS_STATE_DEAD;
	fos_ep_set_state(ep, ep->state | FOS_STATE_DEAD);
	spin_unlock(&ep->lock);
	if (was_dead)
		return;
	fos_count(chan_deaths);
	trace_chan_dead(ep->chan->region.obj.id, ep->side);
	fos_ep_wake_all(ep);
	fos_ep_wake_all(fos_ep_peer(ep));
	cq = fos_ep_set_cq(ep, NULL, 0);
	if (cq)
		fput(cq);
}

static int fos_is_file(const void *file, struct file *other, unsigned int fd)
{
	return other == file;
}

/*
 * Every close() of every copy comes here; only those of the process that is
 * attached count, and only its last one hangs up.
 */
static int fos_chan_flush(struct file *file, fl_owner_t id)
{
	struct fos_ep *ep = file->private_data;
	bool attached, last;

	spin_lock(&ep->lock);
	attached = ep->mm && ep->mm == current->mm && ep->files == id;
	if (attached)
		fos_ep_set_state(ep, ep->state + 2);
	spin_unlock(&ep->lock);
	if (!attached)
		return 0;
	last = !iterate_fd(current->files, 0, fos_is_file, file);
	if (last)
		fos_ep_die(ep);
	else
		/* One of them may sleep on the descriptor that is gone. */
		fos_ep_wake_sleepers(ep);
	return 0;
}

static int fos_chan_release(struct inode *inode, struct file *file)
{
	fos_ep_die(file->private_data);
	fos_obj_release();
	return 0;
}

/* ---- the mapping ------------------------------------------------------ */

/* Whose page is it?  2: nobody's but the kernel's; 3: the guard. */
static unsigned int fos_chan_writer(const struct fos_chan *chan, pgoff_t idx)
{
	u64 offset = (u64)idx << PAGE_SHIFT;
	u32 depth = chan->depth;

	if (offset >= FOS_CHAN_OFF_GUARD(depth, chan->area_bytes))
		return 3;
	if (offset >= FOS_CHAN_OFF_AREA(depth, chan->area_bytes, 0))
		return offset >= FOS_CHAN_OFF_AREA(depth, chan->area_bytes, 1);
	if (offset >= FOS_CHAN_OFF_KERNEL(depth))
		return 2;
	if (offset >= FOS_CHAN_OFF_CLAIMS(depth, 0))
		return offset >= FOS_CHAN_OFF_CLAIMS(depth, 1);
	return offset >= FOS_CHAN_OFF_CONTROL(depth, 1);
}

static vm_fault_t fos_chan_access(struct vm_area_struct *vma, pgoff_t idx,
				  bool write)
{
	struct fos_ep *ep = vma->vm_file->private_data;
	unsigned int writer = fos_chan_writer(ep->chan, idx);

	/* A copy that MADV_DOFORK and fork() made is nobody's. */
	if (vma->vm_mm != ep->mm)
		return VM_FAULT_SIGBUS;
	if (writer == 3 || (write && writer != ep->side))
		return VM_FAULT_SIGSEGV;
	return 0;
}

static void fos_chan_vma_open(struct vm_area_struct *vma)
{
	struct fos_ep *ep = vma->vm_file->private_data;

	spin_lock(&ep->lock);
	if (vma->vm_mm == ep->mm)
		ep->maps++;
	spin_unlock(&ep->lock);
}

static void fos_chan_vma_close(struct vm_area_struct *vma)
{
	struct fos_ep *ep = vma->vm_file->private_data;
	bool last;

	spin_lock(&ep->lock);
	last = vma->vm_mm == ep->mm && !--ep->maps;
	spin_unlock(&ep->lock);
	if (last && !FOS_BROKEN(nodeath))
		fos_ep_die(ep);
}

static int fos_ep_attach(struct fos_ep *ep)
{
	guard(spinlock)(&ep->lock);
	if (ep->state & FOS_STATE_DEAD)
		return -ESHUTDOWN;
	if (ep->mm)
		return -EBUSY;
	mmgrab(current->mm);
	ep->mm = current->mm;
	ep->files = current->files;
	ep->maps = 1;
	return 0;
}

static int fos_chan_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct fos_ep *ep = file->private_data;
	int ret;

	ret = fos_region_mmap(&ep->chan->region, vma, VM_READ | VM_WRITE);
	if (ret)
		return ret;
	ret = fos_ep_attach(ep);
	if (ret)
		return ret;
	/* Who slept here before it was somebody's has no business here now. */
	fos_ep_wake_sleepers(ep);
	fos_count(chan_attaches);
	trace_chan_attach(ep->chan->region.obj.id, ep->side);
	return 0;
}

static void fos_chan_free(struct fos_region *region)
{
	struct fos_chan *chan = fos_chan_of(region);
	int side;

	for (side = 0; side < 2; side++)
		if (chan->ep[side].mm)
			mmdrop(chan->ep[side].mm);
	fos_user_uncharge(chan->user, region->npages);
	kfree(chan);
	atomic_long_dec(&fos_live_chans);
}

static const struct fos_region_ops fos_chan_region_ops = {
	.access	= fos_chan_access,
	.open	= fos_chan_vma_open,
	.close	= fos_chan_vma_close,
	.free	= fos_chan_free,
};

/* ---- ioctls on an endpoint -------------------------------------------- */

static long fos_chan_query(struct fos_ep *ep, unsigned int cmd,
			   void __user *uargs)
{
	const struct fos_chan *chan = ep->chan;
	const struct fos_core_query q = {
		.kind = FOS_KIND_CHAN,
		.id = chan->region.obj.id,
		.side = ep->side,
		.depth = chan->depth,
		.area_bytes = chan->area_bytes,
		.cookie = chan->cookie,
	};

	return fos_core_query(cmd, uargs, &q);
}

/*
 * Nor may a worker of io_uring, which has ->fadvise too: it would hand out the
 * request to restart as a result.
 */
static bool fos_ep_may_sleep(struct fos_ep *ep)
{
	return fos_ep_is_mine(ep) && !(current->flags & PF_IO_WORKER);
}

static long fos_chan_bell_wait(struct fos_ep *ep, unsigned int cmd,
			       void __user *uargs)
{
	struct fos_chan_bell_wait a;
	struct fos_waiter w;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_CHAN_BELL_WAIT_SIZE_VER0, cmd,
			   uargs);
	if (ret)
		return ret;
	if ((a.flags & ~FOS_BELL_SELF) || a.resv ||
	    !fos_bell_wait_ok(a.bell, a.want))
		return -EINVAL;
	if (a.want && !fos_ep_may_sleep(ep))
		return -EPERM;
	w = (struct fos_waiter) {
		.want = a.want,
		.seen = a.seen,
		.seq = a.seq,
	};
	return fos_ep_bell_wait(ep, a.flags & FOS_BELL_SELF ?
				ep : fos_ep_peer(ep), a.bell, &w,
				a.deadline_ns);
}

/* BELL_WAIT in registers; any other advice is none that we take. */
static int fos_chan_fadvise(struct file *file, loff_t offset, loff_t len,
			    int advice)
{
	const u32 self = advice & FOS_ADVICE_SELF;
	const u32 tag = advice & (FOS_ADVICE_TAG_MASK | FOS_ADVICE_CLOSES_MASK);
	const u32 what = advice ^ (FOS_ADVICE_BELL_WAIT | self | tag);
	struct fos_ep *ep = file->private_data;
	const u32 bell = what & FOS_WANT_ALL;
	struct fos_waiter w __uninitialized;

	w.want = what >> 8;
	if ((what & ~(FOS_WANT_ALL << 8 | FOS_WANT_ALL)) ||
	    !fos_want_is_simple(w.want))
		return -EINVAL;
	if (tag && (tag & FOS_ADVICE_TAG_MASK) != ep->tag)
		return -EBADF;
	if (w.want && !fos_ep_may_sleep(ep))
		return -EPERM;
	w.woken = false;
	w.tag = tag;
	w.seen = offset;
	w.seq = offset;
	return fos_ep_bell_wait(ep, self ? ep : fos_ep_peer(ep), bell, &w, len);
}

static long fos_chan_cq(struct fos_ep *ep, unsigned int cmd,
			void __user *uargs)
{
	struct fos_cq_source cq;
	struct fos_chan_cq a;
	struct file *old;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_CHAN_CQ_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (a.flags || a.resv || (a.want & ~FOS_WANT_ALL))
		return -EINVAL;
	if (!fos_ep_is_mine(ep))
		return -EPERM;
	if (a.fd != ~0U) {
		ret = fos_cq_join(&cq, a.fd, a.user_data);
		if (ret)
			return ret;
		old = fos_ep_set_cq(ep, &cq, a.want);
		if (IS_ERR(old))
			fput(fos_cq_part(&cq));
	} else {
		old = fos_ep_set_cq(ep, NULL, 0);
	}
	if (IS_ERR(old))
		return PTR_ERR(old);
	if (old)
		fput(old);
	return 0;
}

static long fos_chan_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	struct fos_ep *ep = file->private_data;
	void __user *uargs = (void __user *)arg;

	switch (FOS_IOC_ID(cmd)) {
	case FOS_IOC_ID(FOS_IOC_CHAN_BELL_WAIT):
		return fos_chan_bell_wait(ep, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_CHAN_WITHDRAW):
		return fos_chan_withdraw(ep, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_CHAN_CQ):
		return fos_chan_cq(ep, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_CORE_QUERY):
		return fos_chan_query(ep, cmd, uargs);
	}
	return -ENOTTY;
}

#ifdef CONFIG_IO_URING
/* Only a bell: who waits would keep the ring from everything else. */
static int fos_chan_uring_cmd(struct io_uring_cmd *cmd,
			      unsigned int issue_flags)
{
	struct fos_command c;
	u32 advice;

	fos_command_get(&c, cmd);
	if (c.op != FOS_URING_CHAN_BELL)
		return -ENOTTY;
	advice = c.arg[0];
	if (c.arg[0] != advice || c.arg[1] || (advice & (FOS_WANT_ALL << 8)))
		return -EINVAL;
	return fos_chan_fadvise(c.file, 0, 0, advice);
}
#endif

static __poll_t fos_chan_poll(struct file *file, poll_table *pt)
{
	return fos_ep_poll(file->private_data, file, pt);
}

static void fos_ep_show(struct seq_file *m, struct fos_ep *ep)
{
	struct hlist_node *pos;
	unsigned int waiters = 0;

	spin_lock(&ep->lock);
	hlist_for_each(pos, &ep->waiters)
		waiters++;
	seq_printf(m, "side%u:\t%s closes=%llu waiters=%u wants=0x%x polled=0x%x cq=0x%x\n",
		   ep->side,
		   ep->state & FOS_STATE_DEAD ? "dead" :
		   ep->mm ? "attached" : "unattached",
		   ep->state >> 1, waiters, ep->wants, ep->armed,
		   ep->cq_want);
	spin_unlock(&ep->lock);
}

static void fos_chan_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct fos_ep *ep = file->private_data;
	struct fos_chan *chan = ep->chan;

	seq_puts(m, "fastos:\tchannel\n");
	seq_printf(m, "id:\t%llu\n", chan->region.obj.id);
	seq_printf(m, "side:\t%u\n", ep->side);
	seq_printf(m, "depth:\t%u\n", chan->depth);
	seq_printf(m, "area:\t%llu\n", chan->area_bytes);
	fos_ep_show(m, &chan->ep[0]);
	fos_ep_show(m, &chan->ep[1]);
}

static const struct file_operations fos_chan_fops = {
	.owner		= THIS_MODULE,
	.llseek		= noop_llseek,
	.unlocked_ioctl	= fos_chan_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.fadvise	= fos_chan_fadvise,
#ifdef CONFIG_IO_URING
	.uring_cmd	= fos_chan_uring_cmd,
#endif
	.mmap		= fos_chan_mmap,
	.poll		= fos_chan_poll,
	.flush		= fos_chan_flush,
	.release	= fos_chan_release,
	.show_fdinfo	= fos_chan_show_fdinfo,
};

/* ---- creation --------------------------------------------------------- */

static void *fos_chan_addr(struct fos_chan *chan, u64 offset)
{
	return fos_region_addr(&chan->region, offset);
}

static void fos_chan_init_ep(struct fos_chan *chan, u32 side)
{
	struct fos_ep *ep = &chan->ep[side];
	u32 slot;

	ep->chan = chan;
	ep->side = side;
	ep->control = FOS_CHAN_OFF_CONTROL(chan->depth, side);
	ep->line = fos_ep_control(ep, 0);
	ep->claims = fos_chan_addr(chan, FOS_CHAN_OFF_CLAIMS(chan->depth, side));
	ep->kside = fos_chan_addr(chan, FOS_CHAN_OFF_KERNEL(chan->depth));
	ep->kside += side;
	fos_ep_init_wait(ep);
	for (slot = 0; slot < chan->depth; slot++)
		*fos_ep_claim(ep, slot) = FOS_CLAIM(slot, FOS_CLAIM_DONE);
}

static int fos_chan_populate(struct fos_chan *chan)
{
	int ret;

	ret = fos_region_populate(&chan->region,
				  FOS_CHAN_OFF_AREA(chan->depth, 0, 0) >>
				  PAGE_SHIFT);
	if (ret)
		return ret;
	fos_chan_init_ep(chan, 0);
	fos_chan_init_ep(chan, 1);
	return 0;
}

static struct fos_chan *fos_chan_alloc(const struct fos_chan_create *a)
{
	const unsigned long npages =
		FOS_CHAN_MAP_BYTES(a->depth, a->area_bytes) >> PAGE_SHIFT;
	struct fos_chan *chan;
	int ret = -ENOMEM;

	chan = kzalloc(sizeof(*chan), GFP_KERNEL_ACCOUNT);
	if (!chan)
		return ERR_PTR(-ENOMEM);
	chan->depth = a->depth;
	chan->area_bytes = a->area_bytes;
	chan->cookie = a->cookie;
	chan->user = fos_user_charge(npages);
	if (IS_ERR(chan->user)) {
		ret = PTR_ERR(chan->user);
		goto err_free;
	}
	ret = fos_region_init(&chan->region, npages, &fos_chan_region_ops);
	if (ret)
		goto err_uncharge;
	ret = fos_chan_populate(chan);
	if (ret)
		goto err_region;
	atomic_long_inc(&fos_live_chans);
	return chan;

err_region:
	fos_region_destroy(&chan->region);
err_uncharge:
	fos_user_uncharge(chan->user, npages);
err_free:
	kfree(chan);
	return ERR_PTR(ret);
}

static void fos_chan_discard(struct fos_chan *chan)
{
	fos_region_destroy(&chan->region);
	fos_chan_free(&chan->region);
}

/* Two files, one inode: the channel lives until both are gone. */
static int fos_chan_open(struct fos_chan *chan, struct file *file[2])
{
	u32 side;

	file[0] = fos_region_open(&chan->region, &fos_chan_fops);
	if (IS_ERR(file[0])) {
		fos_chan_discard(chan);
		return PTR_ERR(file[0]);
	}
	file[0]->private_data = &chan->ep[0];
	file[1] = fos_obj_open(&chan->region.obj, &fos_chan_fops);
	if (IS_ERR(file[1])) {
		fput(file[0]);
		return PTR_ERR(file[1]);
	}
	file[1]->private_data = &chan->ep[1];
	for (side = 0; side < 2; side++)
		chan->ep[side].tag = FOS_ADVICE_TAG(chan->region.obj.id, side);
	return 0;
}

/**
 * fos_chan_create() - FOS_IOC_CHAN_CREATE
 * @cmd: the ioctl
 * @uargs: the caller's struct fos_chan_create
 *
 * Return: 0; -EINVAL, -EFAULT, -E2BIG; -EDQUOT over the user's limits;
 * -EMFILE, -ENFILE, -ENOMEM.
 */
long fos_chan_create(unsigned int cmd, void __user *uargs)
{
	struct fos_chan_create a;
	struct fos_chan *chan;
	struct file *file[2];
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_CHAN_CREATE_SIZE_VER0, cmd,
			   uargs);
	if (ret)
		return ret;
	if (a.flags || a.resv || !is_power_of_2(a.depth) ||
	    a.depth < FOS_CHAN_DEPTH_MIN || a.depth > FOS_CHAN_DEPTH_MAX ||
	    a.area_bytes > FOS_CHAN_AREA_MAX || !PAGE_ALIGNED(a.area_bytes))
		return -EINVAL;
	chan = fos_chan_alloc(&a);
	if (IS_ERR(chan))
		return PTR_ERR(chan);
	ret = fos_chan_open(chan, file);
	if (ret)
		return ret;
	fos_count(chan_creates);
	trace_chan_create(chan->region.obj.id, a.depth, a.area_bytes);
	ret = fos_obj_install(file, a.fd, 2, &a, sizeof(a), cmd, uargs);
	if (ret) {
		fput(file[0]);
		fput(file[1]);
	}
	return ret;
}
