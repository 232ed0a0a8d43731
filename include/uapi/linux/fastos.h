/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The contract between fastos.ko and user space: ioctls, the layout of a
 * channel's mapping, and who may write which word of it.
 *
 * Rules.  Fields are __u32 and __u64 without holes; flags come first; reserved
 * fields must be zero.  A struct may grow at its end: its size travels in the
 * ioctl number, a shorter one is read as if zero-extended, a longer one is
 * accepted while the unknown tail is zero (E2BIG otherwise).  ENOTTY is an
 * unknown ioctl, EINVAL an unknown flag or a reserved field in use, EFAULT a
 * bad pointer.
 */
#ifndef _UAPI_LINUX_FASTOS_H
#define _UAPI_LINUX_FASTOS_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Level of this contract; it changes when an old binary would go wrong. */
#define FOS_ABI				3

/* The mapping is counted in pages of this size, whatever the kernel's. */
#define FOS_PAGE_BYTES			4096ULL

/* ---- core ------------------------------------------------------------- */

#define FOS_KIND_NODE			0	/* /dev/fastos itself */
#define FOS_KIND_CHAN			1	/* an endpoint of a channel */
#define FOS_KIND_REGION			2	/* a region */
#define FOS_KIND_CQ			3	/* a completion queue */

#define FOS_FEAT_CHAN			(1ULL << 0)
/* A message's fate is settled by the kernel, not by the peer's good will. */
#define FOS_FEAT_CLAIMS_KERNEL		(1ULL << 1)
#define FOS_FEAT_REGION			(1ULL << 2)
/* SUBMIT and what belongs to it, no rights at all, TRACK, DISCARD, RECYCLE. */
#define FOS_FEAT_TLB_ASYNC		(1ULL << 3)
/* Taking all rights away, and content, costs one shootdown for each process, too. */
#define FOS_FEAT_TLB_ZAP		(1ULL << 4)
/* Queues, of endpoints and of tickets. */
#define FOS_FEAT_CQ			(1ULL << 5)
/* Commands of io_uring. */
#define FOS_FEAT_URING			(1ULL << 6)

/**
 * struct fos_core_query - what this kernel offers and what this fd is
 * @flags:	in: must be 0
 * @features:	out: FOS_FEAT_* bits
 * @abi:	out: FOS_ABI of the module
 * @kind:	out: FOS_KIND_* of the fd
 * @depth_max:	out: largest channel depth
 * @wake_ns:	out: cost of one sleep and wake-up on this machine, in ns,
 *		measured when the module was loaded
 * @area_max:	out: largest transmit area, in bytes
 * @id:		out: identity of the object, never reused; 0 for the node
 * @side:	out: 0 or 1, the end of the channel; of a region FOS_RIGHT_*
 * @depth:	out: slots in each direction; places of the queue
 * @area_bytes:	out: bytes of each side's transmit area; of the region
 * @cookie:	out: what the creator passed, not interpreted by the kernel
 */
struct fos_core_query {
	__u64 flags;
	__u64 features;
	__u32 abi;
	__u32 kind;
	__u32 depth_max;
	__u32 wake_ns;
	__u64 area_max;
	__u64 id;
	__u32 side;
	__u32 depth;
	__u64 area_bytes;
	__u64 cookie;
};
#define FOS_CORE_QUERY_SIZE_VER0	72

/* ---- chan: ioctls ----------------------------------------------------- */

#define FOS_CHAN_DEPTH_MIN		2
#define FOS_CHAN_DEPTH_MAX		256
#define FOS_CHAN_AREA_MAX		(64ULL << 20)

/**
 * struct fos_chan_create - make a channel, two connected endpoints
 * @flags:	in: must be 0
 * @area_bytes:	in: transmit area of each side; a multiple of FOS_PAGE_BYTES,
 *		0 .. FOS_CHAN_AREA_MAX
 * @cookie:	in: a word kept for the library, see fos_core_query
 * @depth:	in: slots in each direction, a power of two,
 *		FOS_CHAN_DEPTH_MIN .. FOS_CHAN_DEPTH_MAX
 * @resv:	must be 0
 * @fd:		out: the two endpoints, O_CLOEXEC
 *
 * On /dev/fastos.  EMFILE/ENFILE, ENOMEM; EDQUOT when the user has too many
 * channels or pages.
 */
struct fos_chan_create {
	__u64 flags;
	__u64 area_bytes;
	__u64 cookie;
	__u32 depth;
	__u32 resv;
	__u32 fd[2];
};
#define FOS_CHAN_CREATE_SIZE_VER0	40

/*
 * What can be wanted, and rung for.  A side's need_wakeup word is the union of
 * what its sleepers and pollers want; the peer that makes one of these happen
 * and sees its bit there owes a bell.
 */
#define FOS_WANT_MSG			(1U << 0)	/* a one-way message */
#define FOS_WANT_CALL			(1U << 1)	/* a request */
#define FOS_WANT_REPLY			(1U << 2)	/* the reply to my request */
#define FOS_WANT_TAKE			(1U << 3)	/* my message decided */
#define FOS_WANT_ROOM			(1U << 4)	/* ... and let go of */
#define FOS_WANT_RECEIVER		(1U << 5)	/* the peer waits; pollers only */
#define FOS_WANT_CLAIMS			(1U << 6)	/* any claim or release */
#define FOS_WANT_REPLIES		(1U << 7)	/* a reply to any request */
#define FOS_WANT_PUBLISHED		(FOS_WANT_MSG | FOS_WANT_CALL)
#define FOS_WANT_ALL			((1U << 8) - 1)
/*
 * In need_wakeup, beside FOS_WANT_REPLY: whose.  A server with many requests of
 * one sleeper rings for the reply that he awaits, hardly for the others.
 */
#define FOS_WANT_SLOT(token)		(0x100U << (FOS_TOKEN_SLOT(token) & 15))

#define FOS_DEADLINE_NONE		(~0ULL)

/* fos_chan_bell_wait.flags: ring my own side's sleepers instead of the peer's */
#define FOS_BELL_SELF			(1U << 0)

/**
 * struct fos_chan_bell_wait - ring the peer and sleep, in one trap
 * @flags:	0 or FOS_BELL_SELF
 * @bell:	FOS_WANT_* that just happened; wakes the peer's matching
 *		pollers and sleepers, but for a MSG or a CALL one sleeper: ring
 *		once for each.  0: do not ring.
 * @want:	FOS_WANT_* (not RECEIVER) to sleep for.  0: do not sleep.
 * @resv:	must be 0
 * @seen:	with FOS_WANT_PUBLISHED: the peer's events word, loaded before the
 *		ring was examined; with FOS_WANT_CLAIMS: the sum of its claims and
 *		releases; with FOS_WANT_REPLIES: that of its replies' seqs; the
 *		sleep ends when it differs.  At most one of the three
 * @seq:	with FOS_WANT_TAKE: an entry of mine; the sleep ends when it is
 *		decided.  With FOS_WANT_ROOM: ... and no longer TAKEN.  With
 *		FOS_WANT_REPLY, but then with neither of the two: a token
 * @deadline_ns: absolute CLOCK_MONOTONIC, or FOS_DEADLINE_NONE
 *
 * On an endpoint.  Idempotent: restarted after a signal with SA_RESTART.
 * 0 when what was wanted may have happened or either side is dead (look
 * again); ETIMEDOUT; EINTR; EPERM: another process has mapped the endpoint,
 * sleeping is for it.
 */
struct fos_chan_bell_wait {
	__u32 flags;
	__u32 bell;
	__u32 want;
	__u32 resv;
	__u64 seen;
	__u64 seq;
	__u64 deadline_ns;
};
#define FOS_CHAN_BELL_WAIT_SIZE_VER0	40

/*
 * The same in registers, for the fast path: fadvise64(fd, arg, deadline_ns,
 * FOS_ADVICE(bell, want)), arg being @seen or @seq; @want is within
 * FOS_WANT_PUBLISHED, or one of CLAIMS and REPLIES, or within the rest.  It copies no
 * struct and passes no ioctl hook of a security module: 650 of 8,100
 * instructions of a round trip on 6.1.  64-bit callers only; others lose half
 * of the deadline.
 */
#define FOS_ADVICE_BELL_WAIT		(1 << 30)
#define FOS_ADVICE_SELF			(1 << 29)	/* FOS_BELL_SELF */
#define FOS_ADVICE(bell, want) \
	(FOS_ADVICE_BELL_WAIT | (bell) | (want) << 8)
/*
 * May be added: which endpoint is meant (see QUERY).  A descriptor number that
 * another thread has closed can mean another one by now; then it is EBADF.
 */
#define FOS_ADVICE_TAG_SHIFT		16
#define FOS_ADVICE_TAG_MASK		(0x1ff << FOS_ADVICE_TAG_SHIFT)
#define FOS_ADVICE_TAG(id, side) \
	((int)(1 + ((id) * 2 + (side)) % 0x1ff) << FOS_ADVICE_TAG_SHIFT)
/*
 * And to that, the caller's own state as he last read it.  A close() wakes who
 * sleeps by the descriptor, but not who is on the way there; he gets 0 at once
 * if there was one since.
 */
#define FOS_ADVICE_CLOSES_SHIFT		25
#define FOS_ADVICE_CLOSES_MASK		(0xf << FOS_ADVICE_CLOSES_SHIFT)
#define FOS_ADVICE_CLOSES(state) \
	((int)((state) >> 1 & 0xf) << FOS_ADVICE_CLOSES_SHIFT)

/**
 * struct fos_chan_withdraw - take back a message that nobody took
 * @flags:	in: must be 0
 * @id:		in: the channel's (see QUERY): a descriptor number may mean another
 *		one by now, whose messages must not be withdrawn; else EBADF
 * @seq:	in: the entry of mine
 * @word:	out: the claim word of its slot afterwards.  The withdrawal won
 *		exactly if it is (seq << 2 | FOS_CLAIM_WITHDRAWN); else the
 *		entry was decided before, and the word may be that of a later
 *		one in the same slot.
 * @side:	in: the endpoint's
 * @resv:	must be 0
 *
 * On an endpoint.  EPERM: another process has mapped it.  EPROTO: the peer left
 * a word there that no honest peer writes; the message's fate is unknown.
 */
struct fos_chan_withdraw {
	__u64 flags;
	__u64 id;
	__u64 seq;
	__u64 word;
	__u32 side;
	__u32 resv;
};
#define FOS_CHAN_WITHDRAW_SIZE_VER0	40

#define FOS_IOC_MAGIC			0xFA
/* On every fastos fd. */
#define FOS_IOC_CORE_QUERY	_IOWR(FOS_IOC_MAGIC, 0x00, struct fos_core_query)
/* On /dev/fastos. */
#define FOS_IOC_CHAN_CREATE	_IOWR(FOS_IOC_MAGIC, 0x20, struct fos_chan_create)
/* On an endpoint. */
#define FOS_IOC_CHAN_BELL_WAIT	_IOW(FOS_IOC_MAGIC, 0x21, struct fos_chan_bell_wait)
#define FOS_IOC_CHAN_WITHDRAW	_IOWR(FOS_IOC_MAGIC, 0x22, struct fos_chan_withdraw)

/* ---- chan: the mapping ------------------------------------------------ */

/*
 * An endpoint is mapped once, whole, MAP_SHARED, read-write, at offset 0:
 *
 *   [control 0][control 1][claims 0][claims 1][kernel page][area 0][area 1]
 *   [guard]
 *
 * Side X may store to control X, claims X and area X only; the kernel page
 * and what belongs to the peer are read-only, the guard is out of bounds: any
 * other access raises SIGSEGV.  The mapping is not inherited by fork() and
 * cannot be split or moved.  Unmapping it, exec and exit hang up the channel,
 * and so does the close of the last descriptor in the descriptor table that
 * the process had when it mapped it.
 *
 * mmap() fails with EBUSY (it was mapped before, by whomever), ESHUTDOWN (it is
 * dead), EINVAL (not the whole, not shared, not read-write) and ENOMEM.
 */

#define FOS_PAGE_ALIGN(n) \
	(((n) + FOS_PAGE_BYTES - 1) & ~(FOS_PAGE_BYTES - 1))

/**
 * struct fos_line - the head of a control block, written by its side: a cache
 *	line for what changes with every message, and one for what the peer reads
 *	before every wait and seldom changes
 * @events:	how many entries this side has published, replies not counted
 * @receivers:	FOS_RECEIVERS(): threads of this side that wait for a message;
 *		FOS_SERVERS(): those of them who take requests too
 * @cpu:	CPU this side was last seen on, a hint
 * @left_over:	packets of descriptors that this side sent in vain, a hint
 * @resv:	0
 * @resv2:	0
 * @resv3:	0
 * @resv4:	0
 */
struct fos_line {
	__u64 events;
	__u32 receivers;
	__u32 resv[13];
	__u32 cpu;
	__u32 resv2;
	__u64 resv4;
	__u64 left_over;
	__u64 resv3[5];
};

#define FOS_RECEIVERS(word)		((word) & 0xffffU)
#define FOS_SERVERS(word)		((word) >> 16)
#define FOS_RECEIVER_SERVES		(1U << 16)

#define FOS_INLINE_BYTES		96

/* fos_entry.meta */
#define FOS_META_KIND			0x3U
#define FOS_META_MSG			0x0U	/* one-way */
#define FOS_META_CALL			0x1U	/* wants a reply to its token */
#define FOS_META_REPLY			0x2U	/* only in replies[] */
#define FOS_META_AREA			0x4U	/* body in the area at @offset */
#define FOS_META_REFUSED		0x8U	/* reply: an errno, 4 bytes */
#define FOS_META_LENT			0x70U	/* how many fos_lent begin @body */
#define FOS_META_LENT_SHIFT		4
#define FOS_META_FDS			0x80U	/* the last of them is a fos_sent */
#define FOS_META_ALL			0xffU

/* Buffers of a message. */
#define FOS_LENT_MAX			4

/**
 * struct fos_lent - a buffer in the sender's area that is handed over in place
 * @handle:	never the same again; its low byte is the sender's slot, below
 *		depth, where the receiver says that he has finished with it
 * @offset:	where it begins in the sender's area
 * @len:	bytes, at least 1
 */
struct fos_lent {
	__u64 handle;
	__u32 offset;
	__u32 len;
};

#define FOS_LENT_SLOT(handle)		((handle) & 0xffU)

/* Descriptors of a message. */
#define FOS_SENT_MAX			8

/**
 * struct fos_sent - descriptors that went ahead of a message, by SCM_RIGHTS on
 *	the socket that the libraries at both ends keep beside the channel.  The
 *	module knows nothing of them.  Their packet, a struct fos_packet, was sent
 *	before the entry is published: it never has to be waited for.
 * @stamp:	as in their packet
 * @count:	how many, 1 .. FOS_SENT_MAX; 0: they could not be sent, the message
 *		is to be refused
 * @resv:	0
 */
struct fos_sent {
	__u64 stamp;
	__u32 count;
	__u32 resv;
};

/**
 * struct fos_packet - what is sent with the descriptors of one message
 * @magic:	FOS_PACKET_MAGIC
 * @kind:	FOS_META_MSG, also of a request, or FOS_META_REPLY
 * @name:	seq of the entry, or token of the reply
 * @stamp:	never the same again in a packet of this kind from this side
 * @count:	how many descriptors, 1 .. FOS_SENT_MAX
 * @resv:	0
 *
 * Of an entry that has been decided it is left over: it can be dropped.
 */
struct fos_packet {
	__u32 magic;
	__u32 kind;
	__u64 name;
	__u64 stamp;
	__u32 count;
	__u32 resv;
};

#define FOS_PACKET_MAGIC		0x31736466U	/* "fds1" */

/**
 * struct fos_entry - one message, two cache lines, written by the sender;
 *	up to 32 bytes need only the first
 * @seq:	position; stored last, with release.  Entry s lies in slot
 *		s % depth; the first one is s = depth.
 * @token:	of a FOS_META_CALL: FOS_TOKEN(); else 0
 * @hint:	for how the receiver waits, nobody else's business; 0: none
 * @len:	bytes of the message
 * @meta:	FOS_META_*
 * @body:	buffers that are lent, then the message, if it fits
 * @offset:	else, in its place, where it begins in the sender's area
 */
struct fos_entry {
	__u64 seq;
	__u64 token;
	__u64 hint;
	__u32 len;
	__u32 meta;
	union {
		__u8 body[FOS_INLINE_BYTES];
		__u64 offset;
	};
};

/*
 * A request names the slot that its reply goes to, below depth; the caller has
 * one request outstanding for each.  So a reply always has a place, which
 * nobody else needs, and its reader knows where.
 */
#define FOS_TOKEN(seq, slot)		((__u64)(seq) << 8 | (slot))
#define FOS_TOKEN_SEQ(token)		((__u64)(token) >> 8)
#define FOS_TOKEN_SLOT(token)		((token) & 0xffU)

/*
 * A control block: the line; entries[depth]; replies[depth], entries whose seq
 * is the token they answer; released[depth], u64 each: the last token of that
 * slot that the caller has finished with: he has read the reply, or has given up
 * (GIVEN_UP), or is about to but will look for it once more (GIVING_UP); never a
 * token whose request can still be taken.  A reply in my area is let go of when the
 * peer has released its token, and not while he is giving up; one that he finds
 * after he gave up he does not read, but gives its buffers back.  Who replied looks
 * here afterwards, and before he takes a later request of that slot: then the word
 * still tells.  Then returned[depth], u64 each: the handle of the buffer of
 * that slot that this side had from the peer and gave back last.
 */
#define FOS_RELEASED_GIVING_UP		(1ULL << 63)
#define FOS_RELEASED_GIVEN_UP		(1ULL << 62)
#define FOS_RELEASED_TOKEN(word) \
	((word) & ~(FOS_RELEASED_GIVING_UP | FOS_RELEASED_GIVEN_UP))
#define FOS_CHAN_ENTRIES		128ULL
#define FOS_CHAN_REPLIES(depth)		(FOS_CHAN_ENTRIES + 128ULL * (depth))
#define FOS_CHAN_RELEASED(depth)	(FOS_CHAN_REPLIES(depth) + 128ULL * (depth))
#define FOS_CHAN_RETURNED(depth)	(FOS_CHAN_RELEASED(depth) + 8ULL * (depth))
#define FOS_CHAN_CONTROL_BYTES(depth) \
	FOS_PAGE_ALIGN(FOS_CHAN_RETURNED(depth) + 8ULL * (depth))

/*
 * Claims: a word for each slot of the PEER's ring, seq << 2 | fate, written by
 * the receiving side and, to withdraw, by the kernel; always by
 * compare-and-exchange from a word that carries seq - depth and is not TAKEN.
 * Slot i starts as (i, DONE).
 */
#define FOS_CLAIM_FATE			3ULL
#define FOS_CLAIM_TAKEN			0ULL	/* being read */
#define FOS_CLAIM_DONE			1ULL	/* read */
#define FOS_CLAIM_WITHDRAWN		2ULL	/* by its sender */
#define FOS_CLAIM_REFUSED		3ULL	/* by its receiver, unread */
#define FOS_CLAIM(seq, fate)		((__u64)(seq) << 2 | (fate))
#define FOS_CLAIM_SEQ(word)		((__u64)(word) >> 2)
#define FOS_CHAN_CLAIMS_BYTES		FOS_PAGE_BYTES

/**
 * struct fos_kside - what the kernel says of a side, in the kernel page
 * @need_wakeup: FOS_WANT_* that this side's sleepers and pollers wait for, and
 *	FOS_WANT_SLOT()
 * @armed:	1 while somebody polls this side for messages, or a queue is told of
 *		them; for pollers it stays until the next bell finds nobody
 * @state:	FOS_STATE_DEAD | number of closes seen << 1
 * @resv:	0
 */
struct fos_kside {
	__u32 need_wakeup;
	__u32 armed;
	__u64 state;
	__u64 resv[14];
};

#define FOS_STATE_DEAD			1ULL

#define FOS_CHAN_OFF_CONTROL(depth, side) \
	((side) * FOS_CHAN_CONTROL_BYTES(depth))
#define FOS_CHAN_OFF_CLAIMS(depth, side) \
	(2 * FOS_CHAN_CONTROL_BYTES(depth) + (side) * FOS_CHAN_CLAIMS_BYTES)
#define FOS_CHAN_OFF_KERNEL(depth) \
	FOS_CHAN_OFF_CLAIMS(depth, 2)
#define FOS_CHAN_OFF_AREA(depth, area_bytes, side) \
	(FOS_CHAN_OFF_KERNEL(depth) + FOS_PAGE_BYTES + (side) * (area_bytes))
#define FOS_CHAN_OFF_GUARD(depth, area_bytes) \
	FOS_CHAN_OFF_AREA(depth, area_bytes, 2)
#define FOS_CHAN_MAP_BYTES(depth, area_bytes) \
	(FOS_CHAN_OFF_GUARD(depth, area_bytes) + FOS_PAGE_BYTES)

#include <linux/fastos_cq.h>
#include <linux/fastos_region.h>
#include <linux/fastos_uring.h>

#endif /* _UAPI_LINUX_FASTOS_H */
