// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stand-in for hardware that a guest has not: it takes pages as direct I/O
 * does, and watches an address space as KVM does. Only for a virtual machine.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "outsider.h"

struct outsider {
	struct mmu_notifier mn;
	bool watches;
	unsigned long base;
	atomic64_t forgotten;
	struct page *page;
};

static int outsider_forget(struct mmu_notifier *mn,
			   const struct mmu_notifier_range *range)
{
	struct outsider *o = container_of(mn, struct outsider, mn);
	u64 bits = 0;
	int i;

	for (i = 0; i < 64; i++)
		if (o->base + i * PAGE_SIZE < range->end &&
		    o->base + (i + 1) * PAGE_SIZE > range->start)
			bits |= 1ULL << i;
	atomic64_or(bits, &o->forgotten);
	return 0;
}

static const struct mmu_notifier_ops outsider_mn_ops = {
	.invalidate_range_start = outsider_forget,
};

static int outsider_watch(struct outsider *o, unsigned long base)
{
	int ret;

	if (o->watches)
		return -EBUSY;
	o->base = base;
	o->mn.ops = &outsider_mn_ops;
	ret = mmu_notifier_register(&o->mn, current->mm);
	o->watches = !ret;
	return ret;
}

static void outsider_put(struct outsider *o)
{
	if (o->page)
		put_page(o->page);
	o->page = NULL;
}

static int outsider_take(struct outsider *o, unsigned long addr)
{
	int ret;

	outsider_put(o);
	ret = get_user_pages_fast(addr & PAGE_MASK, 1, FOLL_WRITE, &o->page);
	return ret == 1 ? 0 : ret ?: -EFAULT;
}

static int outsider_hold(unsigned long ms)
{
	mmap_write_lock(current->mm);
	msleep_interruptible(ms);
	mmap_write_unlock(current->mm);
	return 0;
}

static long outsider_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	struct outsider *o = file->private_data;
	u64 word = 0;

	if (_IOC_DIR(cmd) == _IOC_WRITE &&
	    copy_from_user(&word, (void __user *)arg, sizeof(word)))
		return -EFAULT;
	switch (cmd) {
	case OUTSIDER_TAKE:
		return outsider_take(o, word);
	case OUTSIDER_POKE:
		if (!o->page)
			return -ENXIO;
		*(u8 *)page_address(o->page) = word;
		return 0;
	case OUTSIDER_PUT:
		outsider_put(o);
		return 0;
	case OUTSIDER_WATCH:
		return outsider_watch(o, word);
	case OUTSIDER_HOLD:
		return outsider_hold(word);
	}
	return -ENOTTY;
}

static ssize_t outsider_read(struct file *file, char __user *buf, size_t n,
			     loff_t *pos)
{
	struct outsider *o = file->private_data;
	u64 bits = atomic64_xchg(&o->forgotten, 0);

	if (n < sizeof(bits) || copy_to_user(buf, &bits, sizeof(bits)))
		return -EFAULT;
	return sizeof(bits);
}

static int outsider_open(struct inode *inode, struct file *file)
{
	struct outsider *o = kzalloc(sizeof(*o), GFP_KERNEL);

	file->private_data = o;
	return o ? 0 : -ENOMEM;
}

static int outsider_release(struct inode *inode, struct file *file)
{
	struct outsider *o = file->private_data;

	outsider_put(o);
	if (o->watches)
		mmu_notifier_unregister(&o->mn, o->mn.mm);
	kfree(o);
	return 0;
}

static const struct file_operations outsider_fops = {
	.owner		= THIS_MODULE,
	.open		= outsider_open,
	.release	= outsider_release,
	.read		= outsider_read,
	.unlocked_ioctl	= outsider_ioctl,
};

static struct miscdevice outsider = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "outsider",
	.fops	= &outsider_fops,
};

module_misc_device(outsider);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Memory of processes, seen from the kernel; for tests");
