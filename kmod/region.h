/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: region - memory that the kernel and processes share
 *
 * A region is an object whose files are mapped whole, MAP_SHARED, once.  Its
 * pages are zeroed, unevictable, charged to the memory cgroup, allocated at
 * first touch or beforehand (fos_region_populate) and freed with the region, or
 * when the owner has taken them out (fos_region_take) and no CPU can reach them any
 * more.  The last page is the guard: it is never populated.
 *
 * Who may read and write which page is the owner's rule, asked at every fault:
 * PTEs start clean and read-only, so a store always asks first.
 *
 * Lock order: mmap_lock -> page lock.  The owner's callbacks run under
 * mmap_lock and must not sleep on anything that waits for user space.
 */
#ifndef FOS_REGION_H
#define FOS_REGION_H

#include <linux/mm.h>

#include "obj.h"

struct fos_region;

/**
 * struct fos_region_ops - the owner's rules
 * @access: may this mapping read (@write false) or write page @idx?  Return 0
 *	or a VM_FAULT_* error.  What it answers with the page's lock counts.
 * @may_reuse: may page @idx have what another page of the region had?  NULL: none
 * @open: a copy of a mapping came to be (fork after MADV_DOFORK, mremap)
 * @close: a mapping is gone
 * @free: the region is gone, its pages are freed; free the rest
 */
struct fos_region_ops {
	vm_fault_t (*access)(struct vm_area_struct *vma, pgoff_t idx,
			     bool write);
	bool (*may_reuse)(struct fos_region *region, pgoff_t idx);
	void (*open)(struct vm_area_struct *vma);
	void (*close)(struct vm_area_struct *vma);
	void (*free)(struct fos_region *region);
};

struct fos_region {
	struct fos_obj obj;
	const struct fos_region_ops *ops;
	unsigned long npages;		/* the guard included */
	struct page **pages;
	atomic_long_t alive;		/* pages, taken out or not */
	spinlock_t lock;		/* protects spare */
	struct list_head spare;		/* pages that were taken out, by lru */
};

int fos_region_init(struct fos_region *region, unsigned long npages,
		    const struct fos_region_ops *ops);
void fos_region_destroy(struct fos_region *region);
int fos_region_populate(struct fos_region *region, unsigned long npages);
struct page *fos_region_take(struct fos_region *region, pgoff_t idx);
void fos_region_drop(struct fos_region *region, struct page *page);
void fos_region_reuse(struct fos_region *region, struct page *page);
void fos_region_settle_spare(struct fos_region *region);
struct file *fos_region_open(struct fos_region *region,
			     const struct file_operations *fops);
int fos_region_mmap(struct fos_region *region, struct vm_area_struct *vma,
		    unsigned long access);

static inline struct fos_region *fos_region_of(const struct file *file)
{
	return container_of(fos_obj_of(file), struct fos_region, obj);
}

/* The kernel's view of a populated page's byte. */
static inline void *fos_region_addr(struct fos_region *region, u64 offset)
{
	return page_address(region->pages[offset >> PAGE_SHIFT]) +
	       offset_in_page(offset);
}

#endif
