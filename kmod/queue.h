/* SPDX-License-Identifier: GPL-2.0-only */
/* What a region has yet to apply; see tlb_queue.h. */
#ifndef FOS_QUEUE_H
#define FOS_QUEUE_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/fastos.h>

#include "cq.h"

struct eventfd_ctx;
struct io_uring_cmd;
struct file;

/**
 * struct fos_tlb_op - what one call wants
 * @node: in fos_tlb_queue.pending, or in the batch that applies it
 * @ranges: valid ones
 * @count: how many
 * @downs: how many of them take something away
 * @rounds: shootdowns of the batch that applied it
 * @result: 0 or -EBUSY, when applied
 * @in_background: allocated, nobody waits; else the caller's
 * @canceled: taken back, but to be applied
 * @bytes: how long its ranges are together
 * @ticket: of it
 * @cq: a queue that is told; only in the background
 * @cmd: a command that is held, or NULL; only in the background
 */
struct fos_tlb_op {
	struct list_head node;
	struct fos_tlb_range *ranges;
	u32 count;
	u32 downs;
	u32 rounds;
	int result;
	bool in_background;
	bool canceled;
	u64 bytes;
	u64 ticket;
	struct fos_cq_source cq;
	struct io_uring_cmd *cmd;
};

/**
 * struct fos_tlb_told - a result that is not 0
 * @ticket: whose
 * @result: -EBUSY or -ECANCELED
 */
struct fos_tlb_told {
	u64 ticket;
	int result;
};

/**
 * struct fos_tlb_queue - what a region has yet to apply
 * @lock: protects what follows, and orders writers of the permission map
 * @pending: struct fos_tlb_op, in the order of tickets
 * @waiting: how many of them are in the background
 * @bytes: how long their ranges are together
 * @last: the last ticket
 * @taken: all up to this one are applied or being applied
 * @applied: all up to this one are; read without the lock
 * @wait: for @applied, or for fos_owned.batch
 * @work: the worker's
 * @file: of the region, when the worker is to come
 * @due: ... in jiffies
 * @notify: hears of what was applied in the background, or NULL
 * @told: results, the older ones overwritten
 * @ntold: how many there were
 * @forgotten: the last ticket of those that were overwritten
 */
struct fos_tlb_queue {
	struct mutex lock;
	struct list_head pending;
	unsigned int waiting;
	u64 bytes;
	u64 last;
	u64 taken;
	u64 applied;
	wait_queue_head_t wait;
	struct delayed_work work;
	struct file *file;
	unsigned long due;
	struct eventfd_ctx *notify;
	struct fos_tlb_told told[FOS_TLB_TOLD_MAX];
	u64 ntold;
	u64 forgotten;
};

#endif
