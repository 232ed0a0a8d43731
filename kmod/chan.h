/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: chan - channels
 *
 * A channel is a region with two files, the endpoints.  Messages never enter
 * the kernel: they lie in the sender's entries and area.  The kernel does what
 * user space cannot: it puts a side to sleep and wakes it (chan_wait.c),
 * settles whether a message was withdrawn before it was taken (chan_withdraw.c),
 * enforces who may write which page, and notices death (chan.c).
 *
 * Lives.  An endpoint is unattached until it is mapped; attached, it belongs
 * to that mm; dead, it stays so.  Death is the end of the mapping in that mm
 * (munmap, exec, exit), the close of that process's last descriptor, or the
 * release of the file.  The struct fos_chan holds both endpoints and lives as
 * long as any file or mapping of either.
 *
 * Trust.  Control, claims and area pages are written by user space at any
 * time.  The kernel reads single words of them and compares; it writes claims
 * by compare-and-exchange, and the kernel page from its own copies.
 *
 * Locks.  fos_ep.lock protects the wait set, need_wakeup, armed, state and
 * the attachment.  The locks of the two sides are never held together.  Inside
 * it: the run queue's locks.  Outside: mmap_lock (map, unmap).
 */
#ifndef FOS_CHAN_H
#define FOS_CHAN_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/fastos.h>

#include "cq.h"
#include "region.h"

struct fos_chan;
struct fos_user;

/**
 * struct fos_ep - one end of a channel
 * @chan: the channel
 * @side: 0 or 1
 * @lock: see above
 * @waiters: on-stack struct fos_waiter, oldest first
 * @wants: what need_wakeup says
 * @armed: FOS_WANT_* that pollers wait for
 * @state: FOS_STATE_DEAD and the count of closes, as published
 * @tag: FOS_ADVICE_TAG()
 * @pollq: poll and epoll
 * @cq: a queue that is told
 * @cq_want: of which FOS_WANT_*
 * @control: where its control block lies in the region
 * @line: its line, in the control pages
 * @kside: its part of the kernel page
 * @claims: its verdicts on the peer's entries
 * @mm: where it is attached; a reference to the struct, compared only
 * @files: descriptor table of that process, compared only
 * @maps: mappings in @mm: one, or two while mremap() is being refused
 */
struct fos_ep {
	struct fos_chan *chan;
	u32 side;
	spinlock_t lock;
	struct hlist_head waiters;
	u32 wants;
	u32 armed;
	u64 state;
	u32 tag;
	u32 control;
	struct fos_line *line;
	struct fos_kside *kside;
	u64 *claims;
	wait_queue_head_t pollq;
	struct fos_cq_source cq;
	u32 cq_want;
	struct mm_struct *mm;
	void *files;
	unsigned int maps;
} ____cacheline_aligned_in_smp;

struct fos_chan {
	struct fos_region region;
	struct fos_user *user;
	u32 depth;
	u64 area_bytes;
	u64 cookie;
	struct fos_ep ep[2];
};

/* The fate of an entry; and all that the peer's claims can end. */
#define FOS_WANT_SEQ	(FOS_WANT_TAKE | FOS_WANT_ROOM)
#define FOS_WANT_CLAIM	(FOS_WANT_SEQ | FOS_WANT_CLAIMS)

long fos_chan_create(unsigned int cmd, void __user *uargs);
long fos_chan_withdraw(struct fos_ep *ep, unsigned int cmd,
		       void __user *uargs);

/* ---- the shared pages ------------------------------------------------- */

static inline struct fos_ep *fos_ep_peer(struct fos_ep *ep)
{
	return &ep->chan->ep[!ep->side];
}

static inline u32 fos_ep_slot(struct fos_ep *ep, u64 seq)
{
	return seq & (ep->chan->depth - 1);
}

/* A byte of @ep's control block. */
static inline void *fos_ep_control(struct fos_ep *ep, u64 offset)
{
	return fos_region_addr(&ep->chan->region, ep->control + offset);
}

/* Side @ep's verdict on the peer's entry @seq. */
static inline u64 *fos_ep_claim(struct fos_ep *ep, u64 seq)
{
	return &ep->claims[fos_ep_slot(ep, seq)];
}

static inline struct fos_entry *fos_ep_entry(struct fos_ep *ep, u64 seq)
{
	return fos_ep_control(ep, FOS_CHAN_ENTRIES +
			      fos_ep_slot(ep, seq) * sizeof(struct fos_entry));
}

/* Where @ep replies to the peer's request @token. */
static inline struct fos_entry *fos_ep_reply(struct fos_ep *ep, u64 token)
{
	return fos_ep_control(ep, FOS_CHAN_REPLIES(ep->chan->depth) +
			      fos_ep_slot(ep, FOS_TOKEN_SLOT(token)) *
			      sizeof(struct fos_entry));
}

/* The last token of that slot that @ep has finished with. */
static inline u64 *fos_ep_released(struct fos_ep *ep, u32 slot)
{
	return fos_ep_control(ep, FOS_CHAN_RELEASED(ep->chan->depth) +
			      slot * sizeof(u64));
}

/* The last buffer of the peer's slot that @ep gave back. */
static inline u64 *fos_ep_returned(struct fos_ep *ep, u32 slot)
{
	return fos_ep_control(ep, FOS_CHAN_RETURNED(ep->chan->depth) +
			      slot * sizeof(u64));
}

/* How far a claim word is ahead of entry @seq; < 0: @seq is undecided. */
static inline s64 fos_claim_ahead(u64 word, u64 seq)
{
	return (s64)((word & ~FOS_CLAIM_FATE) - (seq << 2));
}

static inline bool fos_ep_dead(struct fos_ep *ep)
{
	return READ_ONCE(ep->state) & FOS_STATE_DEAD;
}

/* ---- chan_wait.c ------------------------------------------------------ */

/**
 * struct fos_waiter - a sleeping thread, on its own stack
 * @node: in fos_ep.waiters
 * @task: the thread
 * @want: FOS_WANT_*, and FOS_WANT_SLOT()
 * @woken: taken off the list by a bell
 * @tag: FOS_ADVICE_TAG() and FOS_ADVICE_CLOSES() of the caller; 0: he did not say
 * @seen: the peer's events, or the sum of its claims or replies, when it last
 *	looked
 * @seq: the entry whose fate, or the token whose reply it waits for
 * @reply: where that reply will be
 */
struct fos_waiter {
	struct hlist_node node;
	struct task_struct *task;
	u32 want;
	bool woken;
	u32 tag;
	u64 seen;
	u64 seq;
	const struct fos_entry *reply;
};

/* Once attached, a copy in another process may ring, and nothing else. */
static inline bool fos_ep_is_mine(struct fos_ep *ep)
{
	const struct mm_struct *mm = READ_ONCE(ep->mm);

	return !mm || mm == current->mm;
}

void fos_ep_init_wait(struct fos_ep *ep);
struct file *fos_ep_set_cq(struct fos_ep *ep, const struct fos_cq_source *cq,
			   u32 want);
bool fos_ep_bell(struct fos_ep *ep, u32 what);
void fos_ep_wake_sleepers(struct fos_ep *ep);
void fos_ep_wake_all(struct fos_ep *ep);
bool fos_bell_wait_ok(u32 bell, u32 want);
bool fos_want_is_simple(u32 want);
long fos_ep_bell_wait(struct fos_ep *ep, struct fos_ep *rung, u32 bell,
		      struct fos_waiter *w, u64 deadline_ns);
__poll_t fos_ep_poll(struct fos_ep *ep, struct file *file,
		     struct poll_table_struct *pt);

#endif
