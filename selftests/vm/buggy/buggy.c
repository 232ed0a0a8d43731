// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that misbehaves on demand, to show that the guest runner sees it.
 * Only for a virtual machine.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *mode = "none";
module_param(mode, charp, 0444);
MODULE_PARM_DESC(mode, "none, oops, warn, panic, hang, sleep_atomic, use_after_free, overflow, leakref");

static DEFINE_SPINLOCK(buggy_lock);

static int buggy_oops(void)
{
	int *volatile p = (int *)8;

	return *p;
}

/* Interrupts off and for ever: only an NMI from outside gets in. */
static int buggy_hang(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
	return 0;
}

static int buggy_sleep_atomic(void)
{
	spin_lock(&buggy_lock);
	msleep(20);
	spin_unlock(&buggy_lock);
	return 0;
}

/*
 * One byte at @offset of a freed object, or of one that is freed afterwards: slub
 * looks when it hands an object out and when it takes it back, and newer kernels
 * choose the cache by the caller's address.
 */
static int buggy_write(int offset, bool freed)
{
	int i;

	for (i = 0; i < 2; i++) {
		char *volatile p = kmalloc(64, GFP_KERNEL);

		if (!p)
			return -ENOMEM;
		if (!freed)
			p[offset] = 1;
		kfree(p);
		if (freed && !i)
			p[offset] = 1;
	}
	return 0;
}

/* A reference that nobody drops: rmmod must fail. */
static int buggy_leakref(void)
{
	__module_get(THIS_MODULE);
	return 0;
}

static int __init buggy_init(void)
{
	if (!strcmp(mode, "none"))
		return 0;
	if (!strcmp(mode, "oops"))
		return buggy_oops();
	if (!strcmp(mode, "warn"))
		return WARN_ON(1), 0;
	if (!strcmp(mode, "panic"))
		panic("buggy: asked to");
	if (!strcmp(mode, "hang"))
		return buggy_hang();
	if (!strcmp(mode, "sleep_atomic"))
		return buggy_sleep_atomic();
	if (!strcmp(mode, "use_after_free"))
		return buggy_write(8, true);
	if (!strcmp(mode, "overflow"))
		return buggy_write(64, false);
	if (!strcmp(mode, "leakref"))
		return buggy_leakref();
	return -EINVAL;
}

static void __exit buggy_exit(void)
{
}

module_init(buggy_init);
module_exit(buggy_exit);
MODULE_DESCRIPTION("Misbehaves on demand, to test the guest runner");
MODULE_LICENSE("GPL");
