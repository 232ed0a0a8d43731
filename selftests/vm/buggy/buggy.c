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
MODULE_PARM_DESC(mode, "see buggy_modes, or none");

static DEFINE_SPINLOCK(buggy_lock);
static DEFINE_SPINLOCK(buggy_other_lock);
static void *buggy_kept;

static int buggy_warn(void)
{
	WARN_ON(1);
	return 0;
}

static int buggy_panic(void)
{
	panic("buggy: asked to");
	return 0;
}

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

/* It need not sleep, and hardly ever will: only a debug kernel says so. */
static int buggy_alloc_atomic(void)
{
	void *p;

	spin_lock(&buggy_lock);
	p = kmalloc(64, GFP_KERNEL);
	spin_unlock(&buggy_lock);
	kfree(p);
	return 0;
}

/* Nobody else is there to deadlock with. */
static int buggy_lock_inversion(void)
{
	spin_lock(&buggy_lock);
	spin_lock(&buggy_other_lock);
	spin_unlock(&buggy_other_lock);
	spin_unlock(&buggy_lock);

	spin_lock(&buggy_other_lock);
	spin_lock(&buggy_lock);
	spin_unlock(&buggy_lock);
	spin_unlock(&buggy_other_lock);
	return 0;
}

/* The last pointer to it goes with the module. */
static int buggy_leak(void)
{
	buggy_kept = kmalloc(100, GFP_KERNEL);
	return 0;
}

static int buggy_shift(void)
{
	volatile int by = 33;

	return (1 << by) < 0;
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

static int buggy_use_after_free(void)
{
	return buggy_write(8, true);
}

static int buggy_overflow(void)
{
	return buggy_write(64, false);
}

/* A reference that nobody drops: rmmod must fail. */
static int buggy_leakref(void)
{
	__module_get(THIS_MODULE);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} buggy_modes[] = {
	{ "warn", buggy_warn },
	{ "oops", buggy_oops },
	{ "panic", buggy_panic },
	{ "hang", buggy_hang },
	{ "sleep_atomic", buggy_sleep_atomic },
	{ "alloc_atomic", buggy_alloc_atomic },
	{ "lock_inversion", buggy_lock_inversion },
	{ "use_after_free", buggy_use_after_free },
	{ "overflow", buggy_overflow },
	{ "shift", buggy_shift },
	{ "leak", buggy_leak },
	{ "leakref", buggy_leakref },
};

static int __init buggy_init(void)
{
	int i;

	if (!strcmp(mode, "none"))
		return 0;
	for (i = 0; i < ARRAY_SIZE(buggy_modes); i++) {
		if (!strcmp(mode, buggy_modes[i].name))
			return buggy_modes[i].run();
	}
	return -EINVAL;
}

static void __exit buggy_exit(void)
{
}

module_init(buggy_init);
module_exit(buggy_exit);
MODULE_DESCRIPTION("Misbehaves on demand, to test the guest runner");
MODULE_LICENSE("GPL");
