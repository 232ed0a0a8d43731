// SPDX-License-Identifier: GPL-2.0-only
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>

#include "core.h"
#include "region_fd.h"
#include "region_owned.h"
#include "stats.h"
#include "tlb.h"
#include "tlb_queue.h"
#include "tlb_zap.h"
#include "trace.h"
#include "uring.h"

static_assert(sizeof(struct fos_region_create) ==
	      FOS_REGION_CREATE_SIZE_VER0);
static_assert(sizeof(struct fos_region_share) == FOS_REGION_SHARE_SIZE_VER0);

#define FOS_RIGHT_ALL	(FOS_RIGHT_READ | FOS_RIGHT_WRITE | FOS_RIGHT_OWN)

static const struct file_operations fos_region_fops;

static u32 fos_file_rights(const struct file *file)
{
	return (unsigned long)file->private_data;
}

static void fos_file_set_rights(struct file *file, u32 rights)
{
	file->private_data = (void *)(unsigned long)rights;
}

/* ---- on a region ------------------------------------------------------ */

static long fos_region_query(struct file *file, unsigned int cmd,
			     void __user *uargs)
{
	const struct fos_owned *o = fos_owned_of(file);
	const struct fos_core_query q = {
		.kind = FOS_KIND_REGION,
		.id = o->region.obj.id,
		.side = fos_file_rights(file),
		.area_bytes = fos_owned_bytes(o),
	};

	return fos_core_query(cmd, uargs, &q);
}

static long fos_region_share(struct file *file, unsigned int cmd,
			     void __user *uargs)
{
	struct fos_region_share a;
	struct file *other;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_REGION_SHARE_SIZE_VER0, cmd,
			   uargs);
	if (ret)
		return ret;
	if (a.flags || !(a.rights & FOS_RIGHT_READ) ||
	    (a.rights & ~(FOS_RIGHT_READ | FOS_RIGHT_WRITE)))
		return -EINVAL;
	if (a.rights & ~fos_file_rights(file))
		return -EPERM;
	other = fos_obj_open(fos_obj_of(file), &fos_region_fops);
	if (IS_ERR(other))
		return PTR_ERR(other);
	fos_file_set_rights(other, a.rights);
	ret = fos_obj_install(&other, &a.fd, 1, &a, sizeof(a), cmd, uargs);
	if (ret)
		fput(other);
	return ret;
}

static long fos_region_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	void __user *uargs = (void __user *)arg;

	switch (FOS_IOC_ID(cmd)) {
	case FOS_IOC_ID(FOS_IOC_TLB_PROTECTV):
	case FOS_IOC_ID(FOS_IOC_TLB_SUBMIT):
	case FOS_IOC_ID(FOS_IOC_TLB_FENCE):
	case FOS_IOC_ID(FOS_IOC_TLB_CANCEL):
	case FOS_IOC_ID(FOS_IOC_TLB_SCAN):
	case FOS_IOC_ID(FOS_IOC_TLB_NOTIFY):
		if (!(fos_file_rights(file) & FOS_RIGHT_OWN))
			return -EPERM;
		return fos_tlb_ioctl(file, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_REGION_SHARE):
		return fos_region_share(file, cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_CORE_QUERY):
		return fos_region_query(file, cmd, uargs);
	}
	return -ENOTTY;
}

#ifdef CONFIG_IO_URING
static int fos_region_uring_cmd(struct io_uring_cmd *cmd,
				unsigned int issue_flags)
{
	struct fos_command c;

	fos_command_get(&c, cmd);
	if (c.arg[1])
		return -EINVAL;
	if (!(fos_file_rights(c.file) & FOS_RIGHT_OWN))
		return -EPERM;
	return fos_tlb_command(&c);
}
#endif

/* Readable: nothing that was submitted waits. */
static __poll_t fos_region_poll(struct file *file, poll_table *pt)
{
	struct fos_owned *o = fos_owned_of(file);

	poll_wait(file, &o->queue.wait, pt);
	return fos_tlb_is_idle(o) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int fos_region_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	return fos_owned_mmap(fos_owned_of(file), vma, fos_file_rights(file));
}

static int fos_region_release(struct inode *inode, struct file *file)
{
	fos_obj_release();
	return 0;
}

static void fos_region_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct fos_owned *o = fos_owned_of(file);
	const struct fos_batches *done = &o->done;
	const u32 rights = fos_file_rights(file);

	seq_puts(m, "fastos:\tregion\n");
	seq_printf(m, "id:\t%llu\n", o->region.obj.id);
	seq_printf(m, "bytes:\t%llu\n", fos_owned_bytes(o));
	seq_printf(m, "rights:\t%s%s%s\n", "read",
		   rights & FOS_RIGHT_WRITE ? ",write" : "",
		   rights & FOS_RIGHT_OWN ? ",own" : "");
	seq_printf(m, "maps:\t%u\n", READ_ONCE(o->nmaps));
	seq_printf(m, "batches:\t%llu\n", READ_ONCE(done->count));
	seq_printf(m, "ranges:\t%llu\n", READ_ONCE(done->ranges));
	seq_printf(m, "pages:\t%llu\n", READ_ONCE(done->pages));
	seq_printf(m, "rounds:\t%llu\n", READ_ONCE(done->rounds));
	seq_printf(m, "avoided:\t%llu\n", READ_ONCE(done->avoided));
	seq_printf(m, "busy:\t%llu\n", READ_ONCE(done->busy));
	seq_printf(m, "worst_ns:\t%llu\n", READ_ONCE(done->worst_ns));
	seq_printf(m, "last_ticket:\t%llu\n", READ_ONCE(o->queue.last));
	seq_printf(m, "applied:\t%llu\n", READ_ONCE(o->queue.applied));
	seq_printf(m, "waiting:\t%u\n", READ_ONCE(o->queue.waiting));
	seq_printf(m, "zap:\t%s\n",
		   fos_tlb_zap_works() ? "one round" : "range by range");
}

static const struct file_operations fos_region_fops = {
	.owner		= THIS_MODULE,
	.llseek		= noop_llseek,
	.unlocked_ioctl	= fos_region_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
#ifdef CONFIG_IO_URING
	.uring_cmd	= fos_region_uring_cmd,
#endif
	.poll		= fos_region_poll,
	.mmap		= fos_region_file_mmap,
	.release	= fos_region_release,
	.show_fdinfo	= fos_region_show_fdinfo,
};

/* ---- creation --------------------------------------------------------- */

/* A region of whole pages and its first file, with all rights. */
static struct file *fos_region_new(u64 bytes)
{
	struct fos_owned *o = fos_owned_alloc(bytes);
	struct file *file;

	if (IS_ERR(o))
		return ERR_CAST(o);
	fos_tlb_queue_init(&o->queue);
	file = fos_region_open(&o->region, &fos_region_fops);
	if (IS_ERR(file)) {
		fos_owned_discard(o);
		return file;
	}
	fos_file_set_rights(file, FOS_RIGHT_ALL);
	i_size_write(file_inode(file), bytes);
	return file;
}

/**
 * fos_region_create() - FOS_IOC_REGION_CREATE
 * @cmd: the ioctl
 * @uargs: the caller's struct fos_region_create
 *
 * Return: 0; -EINVAL, -EFAULT, -E2BIG; -EDQUOT over the user's limits;
 * -EMFILE, -ENFILE, -ENOMEM.
 */
long fos_region_create(unsigned int cmd, void __user *uargs)
{
	struct fos_region_create a;
	struct file *file;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_REGION_CREATE_SIZE_VER0, cmd,
			   uargs);
	if (ret)
		return ret;
	if (a.flags || a.resv || !a.bytes ||
	    a.bytes > FOS_REGION_BYTES_MAX || !PAGE_ALIGNED(a.bytes))
		return -EINVAL;
	file = fos_region_new(a.bytes);
	if (IS_ERR(file))
		return PTR_ERR(file);
	fos_count(region_creates);
	trace_region_create(fos_obj_of(file)->id, a.bytes);
	ret = fos_obj_install(&file, &a.fd, 1, &a, sizeof(a), cmd, uargs);
	if (ret)
		fput(file);
	return ret;
}

/**
 * fos_region_try() - find out what can be done with a region here
 *
 * To be called when loading cannot fail any more: what it makes is freed when this
 * process returns to user space.
 */
void __init fos_region_try(void)
{
	struct file *file = fos_region_new(PAGE_SIZE);

	if (IS_ERR(file))
		return;
	fos_tlb_zap_try(file);
	fput(file);
}
