/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: tlb_queue - batches that wait, and who pays for them
 *
 * Each call writes the permission map and queues what is to follow under one lock,
 * so that the last call wins, and has a ticket, the next number.  Whoever then has
 * fos_owned.batch, be it a synchronous caller, one at a fence or the worker, applies
 * all that is queued with one shootdown for each process: group commit.  A later
 * caller may find that his batch was applied while he waited for his turn.
 *
 * A synchronous caller's fos_tlb_op lies on his stack.  He does not leave while it is
 * queued or being applied.
 *
 * A batch that is taken back stays in the queue if PTEs may have more than the map
 * says then: it had given rights, or later calls have touched its pages.
 *
 * The worker holds a file of the region: the last descriptor may be closed, and the
 * module stays, until its work is done.
 *
 * Lock order: fos_owned.batch -> fos_tlb_queue.lock.
 */
#ifndef FOS_TLB_QUEUE_H
#define FOS_TLB_QUEUE_H

#include <linux/types.h>

#include "queue.h"

struct file;
struct fos_owned;

void fos_tlb_queue_init(struct fos_tlb_queue *q);
int fos_tlb_apply_now(struct fos_owned *o, struct fos_tlb_op *op);
u64 fos_tlb_apply_later(struct file *file, struct fos_tlb_op *op,
			u64 within_ns);
bool fos_tlb_is_idle(struct fos_owned *o);
int fos_tlb_scan_pages(struct fos_owned *o, struct fos_tlb_op *op, u32 max,
		       pgoff_t *idx, pgoff_t end);
int fos_tlb_look(struct fos_owned *o, u64 ticket);
int fos_tlb_wait(struct fos_owned *o, u64 ticket, u64 deadline_ns);
int fos_tlb_recall(struct fos_owned *o, u64 ticket);

int fos_tlb_queue_start(void);
void fos_tlb_queue_stop(void);

#endif
