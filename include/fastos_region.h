/* SPDX-License-Identifier: MIT */
/*
 * Regions: shared memory whose pages are made read-only by the batch. Included
 * by <fastos.h>, whose rules for descriptors, errors and threads hold here.
 */
#ifndef FASTOS_REGION_H
#define FASTOS_REGION_H

#include <stddef.h>
#include <stdint.h>

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

/**
 * struct fos_range - pages of a region, and what becomes of them
 * @offset:	in: bytes from the region's beginning, a multiple of the page size
 * @len:	in: bytes, a multiple of the page size, not 0
 * @prot:	in: PROT_READ, or PROT_READ|PROT_WRITE
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
 * A downgrade (to PROT_READ) is done when the call returns: no thread of any
 * process that has the region mapped can store to these pages, whatever its
 * processor had cached; a store raises SIGSEGV, a system call that wants to write
 * gets EFAULT.  All ranges together cost one shootdown of each such process's
 * TLBs, where as many mprotect() calls cost as many.  An upgrade costs none: the
 * next store finds out.  With FOS_CAP_REGION_WIDE the permission is the region's:
 * it holds in every process, and mprotect() does not undo it.  Without, it is
 * that of this process's mapping.
 *
 * Two calls at once take turns; the later one counts.
 *
 * Return: 0; -1 with
 * EINVAL: @n, @flags, or a range is not pages of the region or its @prot unknown:
 * its @result is EINVAL, that of the others ECANCELED, and nothing was done;
 * EBUSY: all was done, but the ranges whose @result is EBUSY have pages that the
 * kernel or a device was handed before (direct I/O, splice, a pinned buffer), and
 * may still write: end that, and ask again;
 * ENOMEM: nothing was done; without the module, where each run of equal pages is a
 * mapping of its own (vm.max_map_count), @result is ENOMEM where it failed, that of
 * the others ECANCELED, and for a moment some may have been changed;
 * E2BIG: @n, or all ranges together are longer than FOS_REGION_MAX (then each
 * @result is ECANCELED); EFAULT: @ranges (without the module only NULL is told);
 * EPERM: @rfd is from fos_region_share(); EBADF: not a region; EINTR: a deadly
 * signal.
 */
int fos_mprotectv(int rfd, struct fos_range *ranges, unsigned int n,
		  unsigned int flags);

/**
 * fos_mprotect() - fos_mprotectv() of one range, by address
 * @addr:	in a mapping by fos_mmap(), at a page
 * @len:	bytes, rounded up to pages
 * @prot:	PROT_READ, or PROT_READ|PROT_WRITE
 *
 * Like mprotect(), but of the region, not only of this mapping; with the rights of
 * the descriptor that was mapped.  0 bytes are nothing to do.
 *
 * Return: 0; -1 with ENOMEM: not pages of a mapping by fos_mmap(); EINVAL: @addr
 * is not at a page, or @prot; and as fos_mprotectv().
 */
int fos_mprotect(void *addr, size_t len, int prot);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_REGION_H */
