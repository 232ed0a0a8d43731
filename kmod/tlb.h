/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: tlb - many pages made read-only with one shootdown
 *
 * A batch writes the permission map, then makes each address space follow:
 *
 * 1. The map.  From here on every new fault is refused what the map forbids.  Where
 *    PTEs cannot be changed they are removed, also when the caller is killed.
 * 2. Settle.  A fault that was admitted by the old map holds its page's lock
 *    until its PTE stands: take and drop the lock of each page.
 * 3. PTEs.  In each mm, under mmap_lock for reading, those that the map forbids
 *    lose their write and their dirty bit.  (A dirty PTE lets a plain mprotect()
 *    make it writable again without asking us.)
 * 4. Shootdown.  Still under that lock and with a flush announced as pending, the
 *    guard page, which nobody ever populates, is unmapped: mm/mmu_gather.c finds
 *    that another flush is under way and flushes the whole mm, with all that the
 *    kernel knows of PCIDs, lazy CPUs, hypervisors and broadcasts.  One round,
 *    whatever the number of ranges.  Outside the lock a racing munmap() would have
 *    taken the mapping off the list of the file before its own flush, and we
 *    would announce too early.
 * 5. Pages with more references than mappings are told: who holds them may write
 *    through the kernel's own mapping, or a device.
 *
 * No round is left out because PTEs look right already: somebody else's flush of
 * them (NUMA balancing, madvise) may be pending.
 *
 * An mm whose last user is gone has no CPU that runs in it, and is left out.  A
 * mapping that munmap() has taken from the tree already is flushed by it, which
 * has happened when mmap_lock can be had for writing.
 */
#ifndef FOS_TLB_H
#define FOS_TLB_H

#include <linux/fastos.h>

struct fos_owned;

/* How an mm is told: by the above; range by range, as secondary MMUs need; */
#define FOS_TLB_BY_GUARD	0
#define FOS_TLB_BY_RANGE	1
/* it was unmapping the region. */
#define FOS_TLB_UNMAPPING	2

/**
 * struct fos_tlb_batch - what is to be done
 * @o: the region
 * @ranges: valid ones
 * @count: how many
 * @downs: how many of them take the right to write away
 * @rounds: shootdowns so far
 * @pages: PTEs changed so far
 * @steps: pages looked at, for making way now and then
 * @unmapped: PTEs are gone everywhere already
 */
struct fos_tlb_batch {
	struct fos_owned *o;
	struct fos_tlb_range *ranges;
	u32 count;
	u32 downs;
	u32 rounds;
	u64 pages;
	u32 steps;
	bool unmapped;
};

long fos_tlb_protectv(struct fos_owned *o, unsigned int cmd, void __user *uargs);

#endif
