/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: region_owned - regions whose pages have permissions
 *
 * What FOS_IOC_REGION_CREATE makes: a region with a word for each page that says
 * what may be done with it, in all processes alike, and a list of its mappings.  The
 * owner writes the words (tlb_queue.c); faults read them, and may mark a page as
 * written.
 *
 * A mapping is listed from .mmap to .close, at most one in each mm.  A copy that
 * MADV_DOFORK and fork() made is not: its faults raise SIGBUS, so it has no PTEs.
 * Nor is the one that mremap() makes and drops, both under mmap_lock for writing.
 *
 * Lock order: fos_owned.batch -> mmap_lock -> page lock; mmap_lock ->
 * fos_owned.lock.  A batch has no page locked when it takes mmap_lock, and takes it
 * only if it is free: its holder may wait for user space.  mmap_lock -> i_mmap ->
 * PTL are the kernel's.
 */
#ifndef FOS_REGION_OWNED_H
#define FOS_REGION_OWNED_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/fastos.h>

#include "perm.h"
#include "queue.h"
#include "region.h"

struct fos_user;

/**
 * struct fos_map - the mapping of a region in one address space
 * @refs: its VMA, copies of that, and batches that look at it
 * @node: in fos_owned.maps, until .close
 * @mm: a reference to the struct
 * @start: address; a mapping cannot be moved
 */
struct fos_map {
	struct kref refs;
	struct list_head node;
	struct mm_struct *mm;
	unsigned long start;
};

/**
 * struct fos_batches - what batches have done and cost
 * @count: batches
 * @ranges: ... their ranges
 * @pages: ... PTEs that were changed
 * @rounds: ... shootdowns
 * @avoided: ... those that a loop over the ranges would have had besides
 * @busy: ranges that were told EBUSY
 * @worst_ns: the longest one
 */
struct fos_batches {
	u64 count;
	u64 ranges;
	u64 pages;
	u64 rounds;
	u64 avoided;
	u64 busy;
	u64 worst_ns;
};

/**
 * struct fos_owned - a region with permissions
 * @region: the pages
 * @user: who pays
 * @perm: of each page, see perm.h
 * @lock: protects @maps and @nmaps
 * @maps: struct fos_map
 * @nmaps: how many, FOS_REGION_MAPS_MAX at most
 * @batch: one batch at a time; protects @turn and @done
 * @turn: the mappings that a batch visits
 * @done: counters
 * @queue: what batches have yet to do
 */
struct fos_owned {
	struct fos_region region;
	struct fos_user *user;
	u32 *perm;
	spinlock_t lock;
	struct list_head maps;
	unsigned int nmaps;
	struct mutex batch;
	struct fos_map *turn[FOS_REGION_MAPS_MAX];
	struct fos_batches done;
	struct fos_tlb_queue queue;
};

struct fos_owned *fos_owned_alloc(u64 bytes);
void fos_owned_discard(struct fos_owned *o);
int fos_owned_mmap(struct fos_owned *o, struct vm_area_struct *vma, u32 rights);
unsigned int fos_owned_turn(struct fos_owned *o);
bool fos_owned_lists(struct fos_owned *o, const struct fos_map *map);
void fos_map_put(struct fos_map *map);

static inline struct fos_owned *fos_owned_of(const struct file *file)
{
	return container_of(fos_region_of(file), struct fos_owned, region);
}

/* The page behind the last one. */
static inline pgoff_t fos_owned_guard(const struct fos_owned *o)
{
	return o->region.npages - 1;
}

static inline u64 fos_owned_bytes(const struct fos_owned *o)
{
	return (u64)fos_owned_guard(o) << PAGE_SHIFT;
}

/* Has it now any of these rights? */
static inline bool fos_owned_may(const struct fos_owned *o, pgoff_t idx,
				 u32 right)
{
	return READ_ONCE(o->perm[idx]) & right;
}

#endif
