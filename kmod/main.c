// SPDX-License-Identifier: GPL-2.0-only
/* The device, and the order in which the rooms come up and go down. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "chan.h"
#include "core.h"
#include "cq.h"
#include "region_fd.h"
#include "stats.h"
#include "tlb_queue.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static_assert(sizeof(struct fos_core_query) == FOS_CORE_QUERY_SIZE_VER0);

static long fos_node_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	static const struct fos_core_query node = { .kind = FOS_KIND_NODE };
	void __user *uargs = (void __user *)arg;

	switch (FOS_IOC_ID(cmd)) {
	case FOS_IOC_ID(FOS_IOC_CORE_QUERY):
		return fos_core_query(cmd, uargs, &node);
	case FOS_IOC_ID(FOS_IOC_CHAN_CREATE):
		return fos_chan_create(cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_CQ_CREATE):
		return fos_cq_create(cmd, uargs);
	case FOS_IOC_ID(FOS_IOC_REGION_CREATE):
		return fos_region_create(cmd, uargs);
	}
	return -ENOTTY;
}

static const struct file_operations fos_node_fops = {
	.owner		= THIS_MODULE,
	.llseek		= noop_llseek,
	.unlocked_ioctl	= fos_node_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice fos_node = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "fastos",
	.fops	= &fos_node_fops,
	.mode	= 0660,
};

static int __init fos_init(void)
{
	int ret;

	ret = fos_core_init();
	if (ret)
		return ret;
	ret = fos_tlb_queue_start();
	if (ret)
		return ret;
	fos_stats_init();
	/* From here on we have users. */
	ret = misc_register(&fos_node);
	if (ret)
		goto err_stats;
	/* Nothing can fail any more. */
	fos_region_try();
	pr_info("fastos: version " FOS_VERSION "\n");
	return 0;

err_stats:
	fos_stats_exit();
	fos_tlb_queue_stop();
	return ret;
}

static void __exit fos_exit(void)
{
	misc_deregister(&fos_node);
	fos_stats_exit();
	fos_tlb_queue_stop();
}

module_init(fos_init);
module_exit(fos_exit);
MODULE_LICENSE("GPL");
MODULE_VERSION(FOS_VERSION);
MODULE_DESCRIPTION("Zero-copy rendezvous IPC channels, batched TLB shootdown");
