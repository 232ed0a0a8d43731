/* SPDX-License-Identifier: GPL-2.0-only */
/* cq: what a queue is made of, for its own files; see cq.h. */
#ifndef FOS_CQ_RING_H
#define FOS_CQ_RING_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <linux/fastos.h>

#include "cq.h"
#include "region.h"

struct eventfd_ctx;

/**
 * struct fos_cq_ear - a source that is an eventfd
 * @entry: waits there
 * @head: there
 * @ctx: the eventfd, whose @head is; NULL: none
 * @cq: the queue
 * @src: has a place, but no file: the queue's own
 */
struct fos_cq_ear {
	struct wait_queue_entry entry;
	wait_queue_head_t *head;
	struct eventfd_ctx *ctx;
	struct fos_cq *cq;
	struct fos_cq_source src;
};

/**
 * struct fos_cq - a completion queue
 * @region: the head page, the entries, the guard
 * @user: who pays
 * @entries: places, a power of two
 * @head: the reader's, in the head page
 * @lock: protects what follows, to @hears; an eventfd may be signalled anywhere,
 *	so it is taken with interrupts off
 * @tail: entries posted
 * @reserved: places that sources have
 * @past: entries that were seen to have been read
 * @ownerless: slots whose entry, not before @past, is of no source any more
 * @nownerless: how many they are
 * @hears: of an eventfd, whose lock may be around ours
 * @notify_lock: protects @notify
 * @notify: hears of each entry; may be NULL
 * @ear: what is heard of
 * @setting: protects @ear, and that there are not both
 * @wait: sleepers and pollers
 */
struct fos_cq {
	struct fos_region region;
	struct fos_user *user;
	u32 entries;
	struct fos_cq_head *head;
	spinlock_t lock;
	u64 tail;
	u32 reserved;
	u64 past;
	unsigned long *ownerless;
	u32 nownerless;
	bool hears;
	spinlock_t notify_lock;
	struct eventfd_ctx *notify;
	struct fos_cq_ear ear;
	struct mutex setting;
	wait_queue_head_t wait;
};

static inline u32 fos_cq_slot(const struct fos_cq *cq, u64 pos)
{
	return pos & (cq->entries - 1);
}

static inline bool fos_cq_is_empty(const struct fos_cq *cq)
{
	return READ_ONCE(cq->tail) == READ_ONCE(cq->head->head);
}

/* ---- cq_ring.c: places and entries ------------------------------------ */

int fos_cq_reserve(struct fos_cq *cq);
void fos_cq_unreserve(struct fos_cq *cq, const struct fos_cq_source *src);
bool fos_cq_has_unread(const struct fos_cq *cq, const struct fos_cq_source *src);
bool fos_cq_post_once(struct fos_cq *cq, struct fos_cq_source *src, s32 res,
		      __poll_t how);

/* ---- cq_eventfd.c ----------------------------------------------------- */

void fos_cq_signal(struct fos_cq *cq);
long fos_cq_notify(struct fos_cq *cq, unsigned int cmd, void __user *uargs);
long fos_cq_hear(struct fos_cq *cq, unsigned int cmd, void __user *uargs);
void fos_cq_forget_eventfds(struct fos_cq *cq);

#endif
