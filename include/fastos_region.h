/* SPDX-License-Identifier: MIT */
/*
 * Regions: shared memory whose pages are made read-only by the batch. Included
 * by <fastos.h>, whose rules for descriptors, errors and threads hold here.
 */
#ifndef FASTOS_REGION_H
#define FASTOS_REGION_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bits of fos_caps.features: regions work. */
#define FOS_CAP_REGION		(1ULL << 5)
/*
 * A region's permissions hold in every process that has it mapped, and no call
 * but fos_mprotectv() changes them; pages that the kernel or a device was handed
 * before are told; no descriptor gets more rights than it was made with.  Without:
 * permissions are those of the calling process's mapping, and begin, in a forked
 * child, as its parent's were; rights are for honest holders.
 */
#define FOS_CAP_REGION_WIDE	(1ULL << 6)
/* fos_mprotectv() costs one shootdown a process.  Without: one for each run. */
#define FOS_CAP_ONE_ROUND	(1ULL << 7)
/* ... also where pages are to be out of reach, or dropped. */
#define FOS_CAP_ZAP_ONE_ROUND	(1ULL << 8)
/* PROT_NONE, FOS_DISCARD and FOS_RECYCLE, and tickets, are known. */
#define FOS_CAP_DISCARD		(1ULL << 9)
/*
 * fos_mprotectv_async() works in the background.  Without: before it returns, all
 * tickets are applied, and none can be canceled.
 */
#define FOS_CAP_ASYNC		(1ULL << 10)
/* FOS_TRACK and fos_dirty_scan(). */
#define FOS_CAP_TRACK		(1ULL << 11)

/* Largest region, in bytes. */
#define FOS_REGION_MAX		(1ULL << 36)
/*
 * What fos_mmap() maps: a guard page follows that may not be touched.
 * mbind(), mprotect() and the like take the whole mapping or nothing.
 */
#define FOS_REGION_MAP_BYTES(bytes)	((bytes) + 4096)

/**
 * fos_region_create() - make a region of shared memory
 * @bytes:	its size, rounded up to pages, FOS_REGION_MAX at most
 * @flags:	0
 *
 * Its pages are zero, readable and writable, charged to the memory cgroup of
 * whoever touches them first, with the module never swapped, and live as long as a
 * descriptor or a mapping of the region does.  fstat() tells its size.  This
 * descriptor owns the region: who holds it may change permissions.
 *
 * Return: a descriptor, O_CLOEXEC; -1 with EINVAL: @bytes is 0 or too large, or
 * @flags; EMFILE, ENFILE: too many descriptors; EDQUOT: this user has too many
 * objects or pages; ENOENT, EACCES: FOS_BACKEND=kernel, but no module loaded, or
 * no permission for /dev/fastos; ENOMEM.
 */
int fos_region_create(uint64_t bytes, unsigned int flags);

/**
 * fos_region_share() - a weaker descriptor of a region, for somebody else
 * @rfd:	the region
 * @prot:	what mappings of the new one may have: PROT_READ, or
 *		PROT_READ|PROT_WRITE
 *
 * It maps the region and changes no permissions.
 *
 * Return: a descriptor, O_CLOEXEC; -1 with EINVAL: @prot; EPERM: @rfd has not that
 * much itself; EBADF: not a region; EMFILE, ENFILE, ENOMEM; EOPNOTSUPP: no module,
 * and no /proc.
 */
int fos_region_share(int rfd, int prot);

/**
 * fos_mmap() - map a region
 * @rfd:	the region
 * @prot:	PROT_NONE, PROT_READ or PROT_READ|PROT_WRITE
 *
 * Once in each process, as a whole, shared.  The mapping outlives @rfd, for it
 * keeps a descriptor of its own; it is not inherited by fork() (@rfd is), cannot be
 * moved, split or grown, and is left out of core dumps.
 *
 * Return: its address; MAP_FAILED with EBUSY: this process has it mapped; EACCES:
 * @prot is more than @rfd may; EINVAL: @prot; EBADF: not a region; EMFILE: 64
 * processes have it mapped, or too many descriptors; ENOMEM.
 */
void *fos_mmap(int rfd, int prot);

/**
 * fos_munmap() - undo fos_mmap()
 * @addr:	what it returned
 *
 * A plain munmap() leaves the mapping's descriptor open; without the module the
 * region also counts as mapped.
 *
 * Return: 0; -1 with EINVAL: nothing of fos_mmap() begins there.
 */
int fos_munmap(void *addr);

/**
 * fos_populate() - allocate and map pages before they are needed
 * @addr:	in a mapping by fos_mmap(), at a page
 * @len:	bytes, rounded up to pages
 *
 * Pages that may be written are mapped for writing, so that the first store costs
 * no fault.
 *
 * Return: 0; -1 with EINVAL: not pages of a mapping by fos_mmap(), or one with
 * PROT_NONE; ENOMEM: some of them may be there.
 */
int fos_populate(void *addr, size_t len);

/*
 * Bits of fos_range.prot besides PROT_NONE, PROT_READ and PROT_READ|PROT_WRITE.
 * With PROT_READ: the first store goes through, without a signal, and the page is
 * told by the next fos_dirty_scan(); EOPNOTSUPP without FOS_CAP_TRACK.
 */
#define FOS_TRACK		(1U << 16)
/*
 * The content is dropped, in all processes: it reads zero, and its memory is freed
 * when no processor can reach it any more.
 */
#define FOS_DISCARD		(1U << 17)
/*
 * The same, but the memory is kept for pages of this region that were recycled and
 * are touched again, and is not zeroed: what is read there is anything that the
 * region has held, until they are discarded.  Without the module the content
 * simply stays.
 */
#define FOS_RECYCLE		(1U << 18)

/**
 * struct fos_range - pages of a region, and what becomes of them
 * @offset:	in: bytes from the region's beginning, a multiple of the page size
 * @len:	in: bytes, a multiple of the page size, not 0
 * @prot:	in: PROT_NONE, PROT_READ or PROT_READ|PROT_WRITE, and one of the above
 * @result:	out: 0 or an errno
 */
struct fos_range {
	uint64_t offset;
	uint64_t len;
	uint32_t prot;
	int32_t result;
};

/* Most ranges of one call. */
#define FOS_RANGES_MAX		65536

/**
 * fos_mprotectv() - change the permissions of many pages at once
 * @rfd:	the region, with the right to change it
 * @ranges:	which pages, and how; where they overlap, the last one counts
 * @n:		how many, 1 .. FOS_RANGES_MAX
 * @flags:	0
 *
 * A downgrade (to PROT_READ, or PROT_NONE) is done when the call returns: no thread
 * of any process that has the region mapped can store to these pages (or load from
 * them), whatever its processor had cached; it raises SIGSEGV, a system call that
 * wants to gets EFAULT.  Content that is dropped is gone.  All ranges together
 * cost one shootdown of each such process's TLBs, where as many mprotect() calls
 * cost as many.  An upgrade costs none: the next store finds out.  With
 * FOS_CAP_REGION_WIDE the permission is the region's: it holds in every process,
 * and mprotect() does not undo it.  Without, it is that of this process's mapping.
 *
 * Two calls at once take turns; the later one counts.
 *
 * Return: 0; -1 with
 * EINVAL: @n, @flags, or a range is not pages of the region or its @prot unknown,
 * also to a module that is older: its @result is EINVAL, that of the others
 * ECANCELED, and nothing was done;
 * EBUSY: all was done, but the ranges whose @result is EBUSY have pages that the
 * kernel or a device was handed before (direct I/O, splice, a pinned buffer), and
 * may still write: end that, and ask again;
 * ENOMEM: nothing was done; without the module, where each run of equal pages is a
 * mapping of its own (vm.max_map_count), @result is ENOMEM where it failed, that of
 * the others ECANCELED, and for a moment some may have been changed;
 * EOPNOTSUPP: FOS_TRACK without FOS_CAP_TRACK, and nothing was done;
 * E2BIG: @n, or all ranges together are longer than the region, and than 256 MiB
 * (then each @result is ECANCELED); EFAULT: @ranges (without the module only NULL
 * is told);
 * EPERM: @rfd is from fos_region_share(); EBADF: not a region.
 */
int fos_mprotectv(int rfd, struct fos_range *ranges, unsigned int n,
		  unsigned int flags);

/**
 * fos_mprotect() - fos_mprotectv() of one range, by address
 * @addr:	in a mapping by fos_mmap(), at a page
 * @len:	bytes, rounded up to pages
 * @prot:	as fos_range.prot
 *
 * Like mprotect(), but of the region, not only of this mapping; with the rights of
 * the descriptor that was mapped.  0 bytes are nothing to do.
 *
 * Return: 0; -1 with ENOMEM: not pages of a mapping by fos_mmap(); EINVAL: @addr
 * is not at a page, or @prot; and as fos_mprotectv().
 */
int fos_mprotect(void *addr, size_t len, int prot);

/**
 * fos_mprotectv_async() - the same in the background
 * @rfd:	the region, with the right to change it
 * @ranges:	as of fos_mprotectv(); no @result is told, but where nothing was
 * done
 * @n:		how many
 * @flags:	0
 * @within_ns:	when it begins at the latest, a second at most: until then
 * others may
 *		come and share the shootdown; 0: at once
 * @ticket:	where the batch's number is told; those of a region grow
 *
 * When it returns new faults see the new permissions, and processors may use what
 * they had cached until the ticket is applied: see fos_fence().  Content that is
 * dropped goes then.  The work is done even if this process closes the region or
 * dies.  A synchronous call that takes something away applies all tickets before
 * its own; when 64 wait, or their ranges are longer than the region and than 256
 * MiB, who submits one more applies them.
 *
 * Return: 0; -1 as fos_mprotectv(), except EBUSY, which the fence tells; with
 * EINVAL also for @ticket; EOPNOTSUPP: the module is older.
 */
int fos_mprotectv_async(int rfd, struct fos_range *ranges, unsigned int n,
			unsigned int flags, uint64_t within_ns,
			uint64_t *ticket);

/**
 * fos_fence() - apply a ticket, and all before it, or wait for who does
 * @rfd:	the region, with the right to change it
 * @ticket:	the last one that matters
 * @deadline:	of the wait for somebody else; NULL or absolute CLOCK_MONOTONIC
 *
 * For any number of tickets it is one shootdown a process, in the caller unless
 * somebody is about to.  Afterwards no processor uses what it had cached.  It can
 * be called by several threads at once.
 *
 * Return: 0; -1 with EBUSY: applied, but pages were handed to the kernel or a
 * device before, see fos_mprotectv(); ECANCELED: it was; ESTALE: applied, but
 * whether one of these two was to be told is forgotten (64 are remembered);
 * ETIMEDOUT; EINVAL: no such ticket yet, or @deadline; EPERM: @rfd is from
 * fos_region_share(); EBADF: not a region; EOPNOTSUPP: the module is older; EINTR:
 * a deadly signal.
 */
int fos_fence(int rfd, uint64_t ticket, const struct timespec *deadline);

/**
 * fos_ticket_status() - is a ticket applied?
 * @rfd:	the region, with the right to change it
 * @ticket:	which
 *
 * It does not wait.
 *
 * Return: 0: it is; -1 with EINPROGRESS: not yet; and as fos_fence().
 */
int fos_ticket_status(int rfd, uint64_t ticket);

/**
 * fos_cancel() - take a ticket back before it is begun
 * @rfd:	the region, with the right to change it
 * @ticket:	which
 *
 * Pages that no later call has touched have the permissions from before, and no
 * processor has more.
 *
 * Return: 0; -1 with EALREADY: it has begun, or was canceled; EINVAL: no such
 * ticket yet; EPERM, EBADF, EOPNOTSUPP as fos_fence().
 */
int fos_cancel(int rfd, uint64_t ticket);

/**
 * fos_ticket_notify() - let an eventfd hear of tickets that are applied
 * @rfd:	the region, with the right to change it
 * @efd:	an eventfd, in the place of the one before; -1: none
 *
 * It counts one each time that tickets were applied or canceled, one for all of
 * them; not for synchronous calls.  fos_ticket_status() says which.
 *
 * Return: 0; -1 with EBADF: @rfd is not a region, or @efd not open; EINVAL: @efd is
 * not an eventfd (not told without the module); EMFILE (without the module),
 * EPERM, EOPNOTSUPP as fos_fence().
 */
int fos_ticket_notify(int rfd, int efd);

/**
 * fos_dirty_scan() - which pages were written, and track them anew
 * @rfd:	the region, with the right to change it
 * @offset:	where to look, a multiple of the page size
 * @len:	bytes, the same, not 0
 * @ranges:	where they are told, runs of pages, in order
 * @max:	how many fit; FOS_RANGES_MAX at most are told
 * @next:	NULL, or where it is told how far was looked: @offset + @len, or less if
 *		they did not fit
 *
 * Of the pages under FOS_TRACK those that were stored to since they came under it,
 * or since the last scan, by any process or system call.  One shootdown a process
 * for all of them, none if there are none.  What is stored after it returns the
 * next scan tells.  What was submitted before is applied, too.  A range whose
 * @result is EBUSY has pages that the kernel or a device was handed before, who
 * may store to them unseen.
 *
 * Return: how many ranges; -1 with EINVAL: @offset, @len or @max; EFAULT: @ranges
 * (and then what was written is lost); ENOMEM; EOPNOTSUPP: no FOS_CAP_TRACK;
 * EPERM, EBADF as fos_fence().
 */
int fos_dirty_scan(int rfd, uint64_t offset, uint64_t len,
		   struct fos_range *ranges, unsigned int max, uint64_t *next);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_REGION_H */
