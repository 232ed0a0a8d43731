/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/* Completion queues: part of <linux/fastos.h>, which includes it. */
#ifndef _UAPI_LINUX_FASTOS_CQ_H
#define _UAPI_LINUX_FASTOS_CQ_H

#define FOS_CQ_ENTRIES_MIN		2
#define FOS_CQ_ENTRIES_MAX		65536

/**
 * struct fos_cq_create - make a completion queue
 * @flags:	in: must be 0
 * @entries:	in: places, a power of two, FOS_CQ_ENTRIES_MIN .. _MAX
 * @fd:		out: it, O_CLOEXEC
 *
 * On /dev/fastos.  EMFILE/ENFILE, ENOMEM; EDQUOT when the user has too many
 * objects or pages.
 */
struct fos_cq_create {
	__u64 flags;
	__u32 entries;
	__u32 fd;
};
#define FOS_CQ_CREATE_SIZE_VER0		16

/**
 * struct fos_cq_wait - sleep until entries were posted
 * @flags:	must be 0
 * @tail:	until so many were, since the queue was made; or until one of an eventfd lies
 *		there unread (struct fos_cq_hear), which may stand for many
 * @deadline_ns: absolute CLOCK_MONOTONIC, or FOS_DEADLINE_NONE
 *
 * On a queue.  Idempotent: restarted after a signal with SA_RESTART.  0;
 * ETIMEDOUT; EINTR.
 */
struct fos_cq_wait {
	__u64 flags;
	__u64 tail;
	__u64 deadline_ns;
};
#define FOS_CQ_WAIT_SIZE_VER0		24

/**
 * struct fos_cq_notify - an eventfd that hears of entries
 * @flags:	must be 0
 * @fd:		an eventfd, in the place of the one before; ~0: none
 * @resv:	must be 0
 *
 * On a queue.  It is signalled for each entry that is posted, and at once if entries
 * lie there unread.  EBADF, EINVAL: no eventfd; EEXIST: the queue hears of one.
 */
struct fos_cq_notify {
	__u64 flags;
	__u32 fd;
	__u32 resv;
};
#define FOS_CQ_NOTIFY_SIZE_VER0		16

/**
 * struct fos_cq_hear - tell a queue when an eventfd is signalled
 * @user_data:	of its entries
 * @flags:	must be 0
 * @fd:		the eventfd; ~0: hear of none any more
 *
 * On a queue.  It has one place of the queue: while its entry lies there unread no
 * other is made.  It is not read, so its count does not matter, but that one is made
 * at once if it is not 0.  EBADF, EINVAL: no eventfd; EEXIST: the queue hears of one
 * already, or notifies one; EBUSY: all places are taken.
 */
struct fos_cq_hear {
	__u64 user_data;
	__u32 flags;
	__u32 fd;
};
#define FOS_CQ_HEAR_SIZE_VER0		16

/**
 * struct fos_chan_cq - tell a queue when an endpoint is ready
 * @flags:	must be 0
 * @fd:		the queue, after which the one before is left; ~0: none
 * @want:	FOS_WANT_* to tell of; the death of either side is always
 * @resv:	must be 0
 * @user_data:	of its entries
 *
 * On an endpoint.  It has one place of the queue: while its entry lies there unread
 * no other is made.  So the reader moves fos_cq_head.head, executes a full fence,
 * and then looks at the endpoint; what happens later makes a new entry.  The peer
 * owes a bell for each thing that is wanted.
 *
 * EBUSY: all places are taken; EBADF: no queue; EPERM: the endpoint is not mapped by
 * this process; ESHUTDOWN: it is dead.
 */
struct fos_chan_cq {
	__u32 flags;
	__u32 fd;
	__u32 want;
	__u32 resv;
	__u64 user_data;
};
#define FOS_CHAN_CQ_SIZE_VER0		24

/*
 * A queue is mapped whole, MAP_SHARED, read-write, at offset 0:
 *
 *   [head][entries][guard]
 *
 * User space may store to the head page only; the guard is out of bounds: any other
 * access raises SIGSEGV.  The mapping is not inherited by fork() and cannot be
 * split or moved.
 */

/**
 * struct fos_cq_head - what the reader says
 * @head: how many entries he has read.  The entry of position p, counted from 0, lies
 *	in slot p % entries, and has been posted when its seq is p + 1.
 * @resv: 0
 *
 * A nonsense number costs its writer entries, nobody else anything.
 */
struct fos_cq_head {
	__u64 head;
	__u64 resv[7];
};

/**
 * struct fos_cq_entry - something has happened
 * @seq:	position plus one; stored last, with release
 * @user_data:	whose it is
 * @posted_ns:	when, CLOCK_MONOTONIC of the host, if somebody slept; else 0
 * @res:	0 or -errno
 * @flags:	0
 */
struct fos_cq_entry {
	__u64 seq;
	__u64 user_data;
	__u64 posted_ns;
	__s32 res;
	__u32 flags;
};

#define FOS_CQ_OFF_ENTRIES		FOS_PAGE_BYTES
#define FOS_CQ_OFF_GUARD(entries) \
	(FOS_CQ_OFF_ENTRIES + FOS_PAGE_ALIGN(32ULL * (entries)))
#define FOS_CQ_MAP_BYTES(entries)	(FOS_CQ_OFF_GUARD(entries) + FOS_PAGE_BYTES)

/* On /dev/fastos. */
#define FOS_IOC_CQ_CREATE	_IOWR(FOS_IOC_MAGIC, 0x80, struct fos_cq_create)
/* On a queue. */
#define FOS_IOC_CQ_WAIT		_IOW(FOS_IOC_MAGIC, 0x81, struct fos_cq_wait)
#define FOS_IOC_CQ_NOTIFY	_IOW(FOS_IOC_MAGIC, 0x82, struct fos_cq_notify)
#define FOS_IOC_CQ_HEAR		_IOW(FOS_IOC_MAGIC, 0x83, struct fos_cq_hear)
/* On an endpoint. */
#define FOS_IOC_CHAN_CQ		_IOW(FOS_IOC_MAGIC, 0x23, struct fos_chan_cq)

#endif /* _UAPI_LINUX_FASTOS_CQ_H */
