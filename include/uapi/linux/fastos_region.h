/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Regions, and the batch that changes their permissions: part of <linux/fastos.h>,
 * which includes it.
 */
#ifndef _UAPI_LINUX_FASTOS_REGION_H
#define _UAPI_LINUX_FASTOS_REGION_H

/* ---- region ----------------------------------------------------------- */

#define FOS_REGION_BYTES_MAX		(1ULL << 36)
/* Processes that have it mapped; the last one only by a descriptor that owns it. */
#define FOS_REGION_MAPS_MAX		64

/*
 * A region is mapped whole, MAP_SHARED, at offset 0, once in each process, with
 * the guard page behind it.  The mapping is not inherited by fork() and cannot be
 * split, moved or grown; a guard page that is touched raises SIGSEGV.
 *
 * mmap() fails with EBUSY (the process has it mapped), EACCES (more than the
 * descriptor's rights), EINVAL (not the whole, not shared, executable), EMFILE
 * (FOS_REGION_MAPS_MAX) and ENOMEM.
 */
#define FOS_REGION_MAP_SIZE(bytes)	((bytes) + FOS_PAGE_BYTES)

/* What a descriptor of a region may: map it for reading, also for writing, ... */
#define FOS_RIGHT_READ			(1U << 0)
#define FOS_RIGHT_WRITE			(1U << 1)
/* ... and change permissions. */
#define FOS_RIGHT_OWN			(1U << 2)

/**
 * struct fos_region_create - make a region
 * @flags:	in: must be 0
 * @bytes:	in: a multiple of FOS_PAGE_BYTES, 1 page .. FOS_REGION_BYTES_MAX
 * @fd:		out: it, O_CLOEXEC, with all rights
 * @resv:	must be 0
 *
 * On /dev/fastos.  EMFILE/ENFILE, ENOMEM; EDQUOT when the user has too many
 * objects or pages.
 */
struct fos_region_create {
	__u64 flags;
	__u64 bytes;
	__u32 fd;
	__u32 resv;
};
#define FOS_REGION_CREATE_SIZE_VER0	24

/**
 * struct fos_region_share - one more descriptor of a region
 * @flags:	in: must be 0
 * @rights:	in: FOS_RIGHT_READ, perhaps with FOS_RIGHT_WRITE
 * @fd:		out: it, O_CLOEXEC
 *
 * On a region.  EPERM: more than this descriptor's rights; EMFILE/ENFILE, ENOMEM.
 */
struct fos_region_share {
	__u64 flags;
	__u32 rights;
	__u32 fd;
};
#define FOS_REGION_SHARE_SIZE_VER0	16

/* ---- tlb -------------------------------------------------------------- */

#define FOS_TLB_RANGES_MAX		65536
/* All ranges together may be as long as the region, and always as long as this. */
#define FOS_TLB_BYTES_MIN		(256ULL << 20)

/* fos_tlb_range.rights: FOS_RIGHT_READ, WRITE, none of both; and one of these. */
/* The first store gets the right to write, and the page counts as written. */
#define FOS_TLB_TRACK			(1U << 16)	/* without WRITE */
/* Content is dropped, pages are freed after the shootdown and then read zero. */
#define FOS_TLB_DISCARD			(1U << 17)
/* ... are reused, without being zeroed, for pages of this region that are recycled. */
#define FOS_TLB_RECYCLE			(1U << 18)

/**
 * struct fos_tlb_range - pages of a region, and what becomes of them
 * @offset:	in: in bytes, a multiple of FOS_PAGE_BYTES
 * @len:	in: the same, not 0
 * @rights:	in: as above; out: of fos_tlb_scan
 * @result:	out: 0 or an errno
 */
struct fos_tlb_range {
	__u64 offset;
	__u64 len;
	__u32 rights;
	__u32 result;
};

/**
 * struct fos_tlb_protectv - change permissions, one shootdown for each process
 * @flags:	in: must be 0
 * @ranges:	in: address of struct fos_tlb_range[]
 * @count:	in: 1 .. FOS_TLB_RANGES_MAX, else EINVAL for 0, or E2BIG
 * @rounds:	out: shootdowns that were paid, one for each process, or for each range
 *		where a process has secondary MMUs, cannot be waited for, or pages
 *		are to be out of reach on a kernel whose PTEs are not known (see
 *		FOS_FEAT_TLB_ZAP)
 *
 * On a region, with FOS_RIGHT_OWN (else EPERM).  0: the batch is applied in every
 * process; no access through an old translation succeeds.  So are those that were
 * submitted before, unless this one takes nothing away.  EBUSY: so it is, but @result
 * of some ranges is EBUSY: their pages have other references (I/O, pins).  EINVAL with
 * a @result of EINVAL: that range is none, nothing was done, @result of the others is
 * ECANCELED.  E2BIG with a @result of ECANCELED: together they are longer than the
 * region and FOS_TLB_BYTES_MIN.  EFAULT, ENOMEM, E2BIG, other EINVAL: nothing was done,
 * no @result told; but EFAULT also when @ranges or this struct cannot be written after
 * all was done.
 */
struct fos_tlb_protectv {
	__u64 flags;
	__u64 ranges;
	__u32 count;
	__u32 rounds;
};
#define FOS_TLB_PROTECTV_SIZE_VER0	24

/* Batches that may wait for a worker; one more is applied by who submits it. */
#define FOS_TLB_PENDING_MAX		64
/* Longest @within_ns; a longer one is shortened. */
#define FOS_TLB_WITHIN_MAX		1000000000ULL

/**
 * struct fos_tlb_submit - the same, but in the background
 * @flags:	in: 0 or FOS_TLB_SUBMIT_CQ
 * @ranges:	in: as above; no @result is told
 * @count:	in: as above
 * @cq:		in: with FOS_TLB_SUBMIT_CQ a queue that is told when the ticket is
 *		applied or canceled, with the result that a fence has; else 0
 * @within_ns:	in: when a worker begins, at the latest; until then others may come
 *		and share the shootdown
 * @ticket:	out: of the batch; tickets of a region grow
 * @user_data:	in: of the queue's entry; else 0
 *
 * On a region, with FOS_RIGHT_OWN (else EPERM).  From here on new faults see the
 * new permissions; CPUs may use old translations until the ticket is applied.
 * Errors as above, all before anything was done; but EFAULT also when this struct
 * cannot be written.  EBADF: @cq is no queue; EBUSY: all its places are taken.
 */
struct fos_tlb_submit {
	__u64 flags;
	__u64 ranges;
	__u32 count;
	__u32 cq;
	__u64 within_ns;
	__u64 ticket;
	__u64 user_data;
};
#define FOS_TLB_SUBMIT_SIZE_VER0	40
#define FOS_TLB_SUBMIT_SIZE_VER1	48	/* @user_data */
#define FOS_TLB_SUBMIT_CQ		(1ULL << 0)

/* fos_tlb_fence.flags: only look, EINPROGRESS if it is not applied. */
#define FOS_TLB_FENCE_LOOK		(1ULL << 0)
/* Results other than 0 that a region remembers. */
#define FOS_TLB_TOLD_MAX		64

/**
 * struct fos_tlb_fence - until a ticket is applied
 * @flags:	in: 0 or FOS_TLB_FENCE_LOOK
 * @ticket:	in: from fos_tlb_submit; all up to this one are applied together, here
 *		and now unless somebody is about to
 * @deadline_ns: in: absolute CLOCK_MONOTONIC, or FOS_DEADLINE_NONE, for waiting for
 *		somebody else
 *
 * On a region, with FOS_RIGHT_OWN (else EPERM).  0: no CPU can use an old
 * translation.  EBUSY: so it is, but pages have other references.  ECANCELED: it
 * was.  ESTALE: applied, but what else there was to tell is forgotten, for
 * FOS_TLB_TOLD_MAX later ones had something to tell.  EINVAL: no such ticket yet;
 * ETIMEDOUT, EINPROGRESS: not yet applied; EINTR: killed.
 */
struct fos_tlb_fence {
	__u64 flags;
	__u64 ticket;
	__u64 deadline_ns;
};
#define FOS_TLB_FENCE_SIZE_VER0		24

/**
 * struct fos_tlb_cancel - take a batch back before it is begun
 * @flags:	in: must be 0
 * @ticket:	in: from fos_tlb_submit
 *
 * On a region, with FOS_RIGHT_OWN (else EPERM).  0: pages that no later call has
 * touched have the permissions from before, and no CPU has more.  EALREADY: it has begun, or was
 * canceled; EINVAL: no such ticket yet.
 */
struct fos_tlb_cancel {
	__u64 flags;
	__u64 ticket;
};
#define FOS_TLB_CANCEL_SIZE_VER0	16

/**
 * struct fos_tlb_scan - which pages were written, and track them anew
 * @flags:	in: must be 0
 * @offset:	in: where to look, a multiple of FOS_PAGE_BYTES
 * @len:	in: the same, not 0
 * @ranges:	in: address of struct fos_tlb_range[], written
 * @count:	in: how many fit, 1 .. FOS_TLB_RANGES_MAX; out: how many there are
 * @rounds:	out: as of fos_tlb_protectv
 * @next:	out: where to go on; @offset + @len: all was seen
 *
 * On a region, with FOS_RIGHT_OWN (else EPERM).  Runs of pages under FOS_TLB_TRACK
 * that were written since they came under it, or since the last scan.  When it
 * returns they are tracked anew: whatever is stored then, the next scan tells.
 * EBUSY as of fos_tlb_protectv: what others store through their references is not
 * seen.  EINVAL, E2BIG, EFAULT, ENOMEM: nothing was done; but EFAULT also when
 * results cannot be written, and are lost.
 */
struct fos_tlb_scan {
	__u64 flags;
	__u64 offset;
	__u64 len;
	__u64 ranges;
	__u32 count;
	__u32 rounds;
	__u64 next;
};
#define FOS_TLB_SCAN_SIZE_VER0		48

/**
 * struct fos_tlb_notify - an eventfd that hears of tickets that are applied
 * @flags:	in: must be 0
 * @fd:		in: an eventfd, in the place of the one before; ~0: none
 * @resv:	must be 0
 *
 * On a region, with FOS_RIGHT_OWN (else EPERM).  It is signalled each time when
 * submitted batches were applied or canceled, once for all of them.  EBADF, EINVAL:
 * no eventfd.
 */
struct fos_tlb_notify {
	__u64 flags;
	__u32 fd;
	__u32 resv;
};
#define FOS_TLB_NOTIFY_SIZE_VER0	16

/* On /dev/fastos. */
#define FOS_IOC_REGION_CREATE	_IOWR(FOS_IOC_MAGIC, 0x40, struct fos_region_create)
/* On a region. */
#define FOS_IOC_REGION_SHARE	_IOWR(FOS_IOC_MAGIC, 0x41, struct fos_region_share)
#define FOS_IOC_TLB_PROTECTV	_IOWR(FOS_IOC_MAGIC, 0x60, struct fos_tlb_protectv)
#define FOS_IOC_TLB_SUBMIT	_IOWR(FOS_IOC_MAGIC, 0x61, struct fos_tlb_submit)
#define FOS_IOC_TLB_FENCE	_IOW(FOS_IOC_MAGIC, 0x62, struct fos_tlb_fence)
#define FOS_IOC_TLB_CANCEL	_IOW(FOS_IOC_MAGIC, 0x63, struct fos_tlb_cancel)
#define FOS_IOC_TLB_SCAN	_IOWR(FOS_IOC_MAGIC, 0x64, struct fos_tlb_scan)
#define FOS_IOC_TLB_NOTIFY	_IOW(FOS_IOC_MAGIC, 0x65, struct fos_tlb_notify)

#endif /* _UAPI_LINUX_FASTOS_REGION_H */
