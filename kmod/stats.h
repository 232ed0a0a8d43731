/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: stats - counters and debugfs
 *
 * Per-CPU event counters and the number of live objects, read by root in
 * /sys/kernel/debug/fastos/{stats,objects}.
 */
#ifndef FOS_STATS_H
#define FOS_STATS_H

#include <linux/atomic.h>
#include <linux/percpu.h>

#define FOS_STATS(x) \
	x(chan_creates)		/* channels made */		\
	x(chan_attaches)	/* endpoints mapped */		\
	x(chan_deaths)		/* endpoints hung up */		\
	x(chan_bells)		/* times the peer was rung */	\
	x(chan_wakes)		/* sleepers woken by a bell */	\
	x(chan_poll_wakes)	/* bells that went to pollers */ \
	x(chan_waits)		/* calls that wanted to sleep */ \
	x(chan_sleeps)		/* ... and did */		\
	x(chan_timeouts)	/* sleeps ended by a deadline */ \
	x(chan_signals)		/* sleeps ended by a signal */	\
	x(chan_withdrawn)	/* withdrawals that won */	\
	x(chan_withdraw_late)	/* withdrawals that came too late */ \
	x(region_creates)	/* regions made */		\
	x(region_maps)		/* ... and mapped */		\
	x(tlb_batches)		/* batches */			\
	x(tlb_ranges)		/* ... their ranges */		\
	x(tlb_pages)		/* ... PTEs that were changed */ \
	x(tlb_rounds)		/* ... shootdowns */		\
	x(tlb_rounds_avoided)	/* ... those that a loop would have had besides */ \
	x(tlb_by_range)		/* address spaces that were told range by range */ \
	x(tlb_unlocked)		/* ... so without their mmap_lock */ \
	x(tlb_submits)		/* batches in the background */	\
	x(tlb_fences)		/* fences that had to wait, or to work */ \
	x(tlb_busy)		/* ranges with foreign references */ \
	x(cq_creates)		/* queues made */		\
	x(cq_posts)		/* entries that queues were told */ \
	x(cq_coalesced)		/* ... and those that an unread one tells */ \
	x(cq_wakes)		/* times that somebody slept there */ \
	x(cq_sleeps)		/* sleeps there */

#define FOS_STAT_FIELD(name) u64 name;
struct fos_stats {
	FOS_STATS(FOS_STAT_FIELD)
};

DECLARE_PER_CPU(struct fos_stats, fos_stats);
#define fos_count(name) this_cpu_inc(fos_stats.name)
#define fos_count_add(name, n) this_cpu_add(fos_stats.name, n)

/* What lives right now; all zero means that nothing was leaked. */
extern atomic_long_t fos_live_chans;
extern atomic_long_t fos_live_cqs;
extern atomic_long_t fos_live_pages;
extern atomic_long_t fos_live_regions;
extern atomic_long_t fos_live_users;

void fos_stats_init(void);
void fos_stats_exit(void);

#endif
