/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: cq - completion queues
 *
 * A queue is a region: a page where its reader says how far he has read, and a ring
 * of entries that only the kernel writes.  Nothing is lost: whoever will post has
 * reserved a place before (struct fos_cq_source), and has at most one unread entry.
 *
 *	something happens		reader (user space)
 *	  store it			  store head
 *	  full fence			  full fence
 *	  head: was my entry read?	  look at what happened
 *
 * So who finds his entry unread need not post: the reader will see.  Readers poll
 * the next entry's seq and cost nobody anything; only who sleeps is woken.
 *
 * Trust.  The reader's head is read once for each decision.  A lie loses entries of
 * the liar: slots are bounded by the ring.
 *
 * Lives.  A source holds the queue's file; the queue knows no source but one, an
 * eventfd, which is heard of until the queue's file is released.
 *
 * Locks.  Sources post with their owner's lock, the eventfd that is heard of with its
 * own.  fos_cq.lock is a leaf but for the wait queue's own, and is dropped before an
 * eventfd is signalled.
 */
#ifndef FOS_CQ_H
#define FOS_CQ_H

#include <linux/types.h>

struct file;

/**
 * struct fos_cq_source - who has a place in a queue; locked by its owner
 * @file: of the queue; NULL: none
 * @user_data: of its entries
 * @end: position behind its last entry; 0: it had none
 */
struct fos_cq_source {
	struct file *file;
	u64 user_data;
	u64 end;
};

long fos_cq_create(unsigned int cmd, void __user *uargs);
int fos_cq_join(struct fos_cq_source *src, u32 fd, u64 user_data);
void fos_cq_post(struct fos_cq_source *src, s32 res);
struct file *fos_cq_part(struct fos_cq_source *src);

#endif
