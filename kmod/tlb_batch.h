/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: tlb_batch - many pages, one shootdown
 *
 * The permission map has been written (tlb_queue.c).  A batch makes each address
 * space follow, for all calls that are queued:
 *
 * 1. The map.  Since it was written every new fault is refused what it forbids.
 *    Pages whose content is dropped are taken out of the region: who faults there
 *    gets others.
 * 2. Settle.  A fault that was admitted by the old map holds its page's lock
 *    until its PTE stands: take and drop the lock of each page.
 * 3. PTEs.  In each mm, under mmap_lock for reading, those that the map forbids
 *    lose their write and their dirty bit.  (A dirty PTE lets a plain mprotect()
 *    make it writable again without asking us.)  Those that may not be read, or have
 *    a page that was taken out, are removed (tlb_zap.c).
 * 4. Shootdown.  Still under that lock and with a flush announced as pending, the
 *    guard page, which nobody ever populates, is unmapped: mm/mmu_gather.c finds
 *    that another flush is under way and flushes the whole mm, with all that the
 *    kernel knows of PCIDs, lazy CPUs, hypervisors and broadcasts.  One round,
 *    whatever the number of ranges.  Outside the lock a racing munmap() would have
 *    taken the mapping off the list of the file before its own flush, and we
 *    would announce too early.
 * 5. Pages with more references than mappings are told: who holds them may write
 *    through the kernel's own mapping, or a device.  Those that were taken out are
 *    freed, or kept for the region's next faults.
 *
 * No round is left out because PTEs look right already: somebody else's flush of
 * them (NUMA balancing, madvise) may be pending.
 *
 * An mm whose last user is gone has no CPU that runs in it, and is left out.
 *
 * Nobody is waited for who waits for user space.  Where mmap_lock cannot be had for
 * a while, or munmap() has taken the mapping from the mm's tree already, PTEs are
 * removed by rmap, range by range, which needs no lock of the mm's.  A mapping that
 * is on the file's list afterwards was on it all the time: that has flushed it, also
 * what munmap() had removed and not flushed, for then two flushes are pending.  One
 * that is not was taken off by munmap() in the middle of a flush: that has ended
 * when none is pending, or .close has come.
 */
#ifndef FOS_TLB_BATCH_H
#define FOS_TLB_BATCH_H

#include <linux/list.h>

struct fos_owned;

/* How an mm is told: by the above; range by range, as secondary MMUs need; */
#define FOS_TLB_BY_GUARD	0
#define FOS_TLB_BY_RANGE	1
/* so, and without its mmap_lock, or while munmap() has it. */
#define FOS_TLB_UNLOCKED	2

void fos_tlb_batch(struct fos_owned *o, struct list_head *ops);

#endif
