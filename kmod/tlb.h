/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: tlb - calls that change what may be done with a region's pages
 *
 * Here they are checked, on a private copy; tlb_queue.c writes the permission map
 * and decides who applies what together; tlb_batch.c makes processes follow.
 */
#ifndef FOS_TLB_H
#define FOS_TLB_H

#include <linux/mm.h>
#include <linux/fastos.h>

#include "region_owned.h"

struct fos_command;

static inline pgoff_t fos_range_first(const struct fos_tlb_range *r)
{
	return r->offset >> PAGE_SHIFT;
}

static inline pgoff_t fos_range_end(const struct fos_tlb_range *r)
{
	return (r->offset + r->len) >> PAGE_SHIFT;
}

#define FOS_RIGHT_RW	(FOS_RIGHT_READ | FOS_RIGHT_WRITE)
#define FOS_TLB_DROPS	(FOS_TLB_DISCARD | FOS_TLB_RECYCLE)

/* Does it drop content? */
static inline bool fos_range_drops(const struct fos_tlb_range *r)
{
	return r->rights & FOS_TLB_DROPS;
}

/* Are PTEs to go, not only their right to write? */
static inline bool fos_range_zaps(const struct fos_tlb_range *r)
{
	return (r->rights & (FOS_TLB_DROPS | FOS_RIGHT_READ)) != FOS_RIGHT_READ;
}

/* Does it take anything away? */
static inline bool fos_range_is_down(const struct fos_tlb_range *r)
{
	return (r->rights & (FOS_TLB_DROPS | FOS_RIGHT_RW)) != FOS_RIGHT_RW;
}

/* What the permission map says of its pages. */
static inline u32 fos_range_perm(const struct fos_tlb_range *r)
{
	return (r->rights & (FOS_RIGHT_READ | FOS_RIGHT_WRITE)) |
	       (r->rights & FOS_TLB_TRACK ? FOS_PERM_TRACK : 0) |
	       (r->rights & FOS_TLB_RECYCLE ? FOS_PERM_STALE : 0);
}

/*
 * How long ranges may be together, in one call, and about so in one batch: their
 * pages are walked with mmap_lock.
 */
static inline u64 fos_tlb_bytes_max(const struct fos_owned *o)
{
	return max_t(u64, fos_owned_bytes(o), FOS_TLB_BYTES_MIN);
}

long fos_tlb_ioctl(struct file *file, unsigned int cmd, void __user *uargs);
long fos_tlb_command(const struct fos_command *c);

#endif
