// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "stats.h"

DEFINE_PER_CPU(struct fos_stats, fos_stats);
atomic_long_t fos_live_chans;
atomic_long_t fos_live_cqs;
atomic_long_t fos_live_pages;
atomic_long_t fos_live_regions;
atomic_long_t fos_live_users;

static struct dentry *fos_debugfs;

static int stats_show(struct seq_file *m, void *unused)
{
	struct fos_stats sum = {};
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct fos_stats *s = per_cpu_ptr(&fos_stats, cpu);
#define FOS_STAT_ADD(name) sum.name += READ_ONCE(s->name);
		FOS_STATS(FOS_STAT_ADD)
	}
#define FOS_STAT_SHOW(name) seq_printf(m, #name ":\t%llu\n", sum.name);
	FOS_STATS(FOS_STAT_SHOW)
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int objects_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "chans:\t%ld\n", atomic_long_read(&fos_live_chans));
	seq_printf(m, "cqs:\t%ld\n", atomic_long_read(&fos_live_cqs));
	seq_printf(m, "pages:\t%ld\n", atomic_long_read(&fos_live_pages));
	seq_printf(m, "regions:\t%ld\n", atomic_long_read(&fos_live_regions));
	seq_printf(m, "users:\t%ld\n", atomic_long_read(&fos_live_users));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(objects);

void __init fos_stats_init(void)
{
	/* debugfs is a convenience: without it the module works as well. */
	fos_debugfs = debugfs_create_dir("fastos", NULL);
	debugfs_create_file("stats", 0400, fos_debugfs, NULL, &stats_fops);
	debugfs_create_file("objects", 0400, fos_debugfs, NULL, &objects_fops);
}

void fos_stats_exit(void)
{
	debugfs_remove_recursive(fos_debugfs);
}
