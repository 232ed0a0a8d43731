// SPDX-License-Identifier: GPL-2.0-only
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "break.h"
#include "compat.h"
#include "region.h"
#include "stats.h"

/* Zeroed: no byte of anybody else is ever seen. */
#define FOS_REGION_GFP (GFP_USER | __GFP_ACCOUNT | __GFP_ZERO)

static struct page *fos_region_born(struct fos_region *region,
				    struct page *page)
{
	if (page) {
		atomic_long_inc(&region->alive);
		atomic_long_inc(&fos_live_pages);
	}
	return page;
}

/* Two faults may race for a page: one wins, the other's page was never seen. */
static struct page *fos_region_add(struct fos_region *region, pgoff_t idx,
				   struct page *page)
{
	struct page *old = cmpxchg(&region->pages[idx], NULL, page);

	if (!old)
		return page;
	fos_region_drop(region, page);
	return old;
}

static struct page *fos_region_pop(struct fos_region *region)
{
	struct page *page = list_first_entry_or_null(&region->spare,
						     struct page, lru);

	if (page)
		list_del(&page->lru);
	return page;
}

/* Whether it may is asked, and it is done, under one lock: see settle_spare(). */
static struct page *fos_region_add_spare(struct fos_region *region, pgoff_t idx)
{
	struct page *page = NULL;

	if (list_empty(&region->spare))
		return NULL;
	guard(spinlock)(&region->lock);
	if (region->ops->may_reuse(region, idx))
		page = fos_region_pop(region);
	return page ? fos_region_add(region, idx, page) : NULL;
}

static struct page *fos_region_new(struct fos_region *region,
				   struct vm_fault *vmf)
{
	struct page *page = fos_region_add_spare(region, vmf->pgoff);

	if (page)
		return page;
	page = alloc_page_vma(FOS_REGION_GFP, vmf->vma, vmf->address);
	page = fos_region_born(region, page);
	return page ? fos_region_add(region, vmf->pgoff, page) : NULL;
}

/*
 * The page, with a reference.  It may be taken out and freed at any time, and be
 * somebody else's: as in the page cache one that is not here any more is let go of.
 */
static struct page *fos_region_get(struct fos_region *region,
				   struct vm_fault *vmf)
{
	struct page **slot = &region->pages[vmf->pgoff];
	struct page *page;

	for (;;) {
		page = READ_ONCE(*slot) ?: fos_region_new(region, vmf);
		if (!page)
			return NULL;
		if (!get_page_unless_zero(page))
			continue;
		if (READ_ONCE(*slot) == page)
			return page;
		put_page(page);
	}
}

static vm_fault_t fos_region_fault(struct vm_fault *vmf)
{
	struct fos_region *region = fos_region_of(vmf->vma->vm_file);
	struct page *page;
	vm_fault_t ret;

	ret = region->ops->access(vmf->vma, vmf->pgoff,
				  vmf->flags & FAULT_FLAG_WRITE);
	if (ret)
		return ret;
	page = fos_region_get(region, vmf);
	if (!page)
		return VM_FAULT_OOM;
	lock_page(page);
	/* Taken out meanwhile: the next fault finds another one. */
	ret = VM_FAULT_NOPAGE;
	if (READ_ONCE(region->pages[vmf->pgoff]) != page)
		goto err_page;
	/* The kernel would look for its other mappings in page->mapping. */
	ret = VM_FAULT_HWPOISON;
	if (PageHWPoison(page))
		goto err_page;
	/* A batch that came between has waited for the lock, or we see its map. */
	ret = region->ops->access(vmf->vma, vmf->pgoff,
				  vmf->flags & FAULT_FLAG_WRITE);
	if (ret)
		goto err_page;
	vmf->page = page;
	return VM_FAULT_LOCKED;

err_page:
	unlock_page(page);
	put_page(page);
	return ret;
}

static vm_fault_t fos_region_page_mkwrite(struct vm_fault *vmf)
{
	struct fos_region *region = fos_region_of(vmf->vma->vm_file);
	vm_fault_t ret;

	lock_page(vmf->page);
	ret = VM_FAULT_NOPAGE;
	if (READ_ONCE(region->pages[vmf->pgoff]) == vmf->page)
		ret = region->ops->access(vmf->vma, vmf->pgoff, true);
	if (ret) {
		unlock_page(vmf->page);
		return ret;
	}
	/* Who does not wait for the lock has time to overtake. */
	if (FOS_BROKEN(nosettle))
		fsleep(300);
	/* Without LOCKED a page that has no mapping is faulted for ever. */
	return VM_FAULT_LOCKED;
}

static void fos_region_vma_open(struct vm_area_struct *vma)
{
	fos_region_of(vma->vm_file)->ops->open(vma);
}

static void fos_region_vma_close(struct vm_area_struct *vma)
{
	fos_region_of(vma->vm_file)->ops->close(vma);
}

/* A mapping stays whole, so that the guard cannot be cut off. */
static int fos_region_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int fos_region_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static const struct vm_operations_struct fos_region_vm_ops = {
	.open		= fos_region_vma_open,
	.close		= fos_region_vma_close,
	.may_split	= fos_region_may_split,
	.mremap		= fos_region_mremap,
	.fault		= fos_region_fault,
	.page_mkwrite	= fos_region_page_mkwrite,
};

/**
 * fos_region_mmap() - the owner's .mmap, once it has agreed
 * @region: the region
 * @vma: as the caller of mmap() wants it
 * @access: VM_READ and VM_WRITE as they must be set
 *
 * Return: 0; -EINVAL if it is not the whole region, guard included, shared, not
 * executable, and with that access.
 */
int fos_region_mmap(struct fos_region *region, struct vm_area_struct *vma,
		    unsigned long access)
{
	const unsigned long want = VM_SHARED | access;

	if (vma->vm_pgoff || vma_pages(vma) != region->npages ||
	    (vma->vm_flags & (want | VM_EXEC)) != want)
		return -EINVAL;
	/* DONTEXPAND also keeps userfaultfd, mlock and khugepaged away. */
	fos_vma_flags(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP,
		      VM_MAYEXEC);
	vma->vm_ops = &fos_region_vm_ops;
	return 0;
}

/**
 * fos_region_init() - prepare a region without pages
 * @region: zeroed
 * @npages: its size, guard included
 * @ops: the owner's rules
 *
 * Return: 0 or -ENOMEM.
 */
int fos_region_init(struct fos_region *region, unsigned long npages,
		    const struct fos_region_ops *ops)
{
	region->pages = kvcalloc(npages, sizeof(*region->pages),
				 GFP_KERNEL_ACCOUNT);
	if (!region->pages)
		return -ENOMEM;
	region->npages = npages;
	region->ops = ops;
	spin_lock_init(&region->lock);
	INIT_LIST_HEAD(&region->spare);
	return 0;
}

/**
 * fos_region_take() - take a page out; who faults there gets another one
 * @region: the region
 * @idx: which
 *
 * Return: it, or NULL; for fos_region_drop() or fos_region_reuse() when no PTE has
 * it and no CPU can reach it.  Until then it is the caller's, lru included.
 */
struct page *fos_region_take(struct fos_region *region, pgoff_t idx)
{
	return READ_ONCE(region->pages[idx]) ?
	       xchg(&region->pages[idx], NULL) : NULL;
}

/**
 * fos_region_drop() - free a page that is not in the region
 * @region: whose it was
 * @page: it; who else has a reference keeps it
 */
void fos_region_drop(struct fos_region *region, struct page *page)
{
	put_page(page);
	atomic_long_dec(&region->alive);
	atomic_long_dec(&fos_live_pages);
}

/**
 * fos_region_reuse() - keep a page that was taken out for a fault that may reuse it
 * @region: the region
 * @page: it
 *
 * Unless the region has as many pages as are paid for.
 */
void fos_region_reuse(struct fos_region *region, struct page *page)
{
	if (atomic_long_read(&region->alive) > region->npages) {
		fos_region_drop(region, page);
		return;
	}
	guard(spinlock)(&region->lock);
	list_add(&page->lru, &region->spare);
}

/**
 * fos_region_settle_spare() - ops->may_reuse answers otherwise now
 * @region: the region
 *
 * Who was told the old answer has put his page into the region.
 */
void fos_region_settle_spare(struct fos_region *region)
{
	spin_lock(&region->lock);
	spin_unlock(&region->lock);
}

/**
 * fos_region_destroy() - free the pages of a region that nobody maps
 * @region: initialised
 */
void fos_region_destroy(struct fos_region *region)
{
	struct page *page;
	unsigned long idx;

	for (idx = 0; idx < region->npages; idx++) {
		if (!(idx % 1024))
			cond_resched();
		if (region->pages[idx])
			fos_region_drop(region, region->pages[idx]);
	}
	while ((page = fos_region_pop(region)))
		fos_region_drop(region, page);
	kvfree(region->pages);
}

/**
 * fos_region_populate() - allocate the first pages, for the kernel's own use
 * @region: not yet open
 * @npages: how many
 *
 * Return: 0 or -ENOMEM; what was allocated stays for fos_region_destroy().
 */
int fos_region_populate(struct fos_region *region, unsigned long npages)
{
	unsigned long idx;
	struct page *page;

	for (idx = 0; idx < npages; idx++) {
		page = fos_region_born(region, alloc_page(FOS_REGION_GFP));
		if (!page)
			return -ENOMEM;
		fos_region_add(region, idx, page);
	}
	return 0;
}

static void fos_region_free(struct fos_obj *obj)
{
	struct fos_region *region = container_of(obj, struct fos_region, obj);

	fos_region_destroy(region);
	region->ops->free(region);
}

static const struct fos_obj_ops fos_region_obj_ops = {
	.free = fos_region_free,
};

/**
 * fos_region_open() - make the region's first file
 * @region: initialised; freed with its last file if this succeeds
 * @fops: of the file
 *
 * Return: the file; -ENOMEM, -ENFILE.
 */
struct file *fos_region_open(struct fos_region *region,
			     const struct file_operations *fops)
{
	return fos_obj_create(&region->obj, &fos_region_obj_ops, fops);
}
