// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "break.h"
#include "compat.h"
#include "core.h"
#include "region_owned.h"
#include "tlb.h"
#include "tlb_queue.h"
#include "tlb_zap.h"

static bool fos_zap_works;
static const struct fos_owned *fos_zap_on_trial;

/**
 * fos_tlb_zap_works() - may fos_tlb_zap() be used here?
 *
 * Return: true where it was seen to leave counters as the kernel does.
 */
bool fos_tlb_zap_works(void)
{
	return READ_ONCE(fos_zap_works);
}

/**
 * fos_tlb_may_zap() - may it be used for this region?
 * @o: the region
 *
 * Return: true also for the one that it is tried with.
 */
bool fos_tlb_may_zap(const struct fos_owned *o)
{
	return fos_tlb_zap_works() || o == READ_ONCE(fos_zap_on_trial);
}

/**
 * fos_tlb_zap() - remove a PTE; who calls has yet to flush it
 * @mm: whose
 * @addr: its address
 * @ptep: present, of a region's page, its lock held
 *
 * The reference that is put is not the last one: the region has one, or the batch
 * that took the page out.
 */
void fos_tlb_zap(struct mm_struct *mm, unsigned long addr, pte_t *ptep)
{
	struct page *page = pte_page(ptep_get_and_clear(mm, addr, ptep));

	fos_count_rss_gone(mm);
	if (atomic_add_negative(-1, &page->_mapcount))
		fos_count_unmapped(page);
	put_page(page);
}

/* ---- does it? --------------------------------------------------------- */

/* What can be read exactly of a page, and of this process, which maps it. */
struct fos_zap_counts {
	int mapped;
	int refs;
	long rss;
};

static struct fos_zap_counts fos_zap_count(struct page *page)
{
	return (struct fos_zap_counts) {
		.mapped = atomic_read(&page->_mapcount),
		.refs = page_ref_count(page),
		.rss = fos_count_rss(),
	};
}

static bool fos_zap_same(const struct fos_zap_counts *kernel,
			 const struct fos_zap_counts *ours)
{
	return kernel->mapped == ours->mapped && kernel->refs == ours->refs &&
	       kernel->rss == ours->rss;
}

static int fos_zap_by_kernel(struct fos_owned *o)
{
	unmap_mapping_pages(o->region.obj.inode->i_mapping, 0, 1, false);
	return 0;
}

static int fos_zap_by_us(struct fos_owned *o)
{
	struct fos_tlb_range range = { .len = PAGE_SIZE };
	struct fos_tlb_op op = { .ranges = &range, .count = 1, .downs = 1 };

	return fos_tlb_apply_now(o, &op);
}

/* Map the first page and remove it; how the counters differ from before. */
static int fos_zap_measure(struct fos_owned *o, unsigned long addr,
			   int (*zap)(struct fos_owned *),
			   struct fos_zap_counts *diff)
{
	struct fos_zap_counts before, after;
	struct page *page;
	int ret;

	if (put_user(1, (int __user *)addr))
		return -EFAULT;
	page = READ_ONCE(o->region.pages[0]);
	before = fos_zap_count(page);
	ret = zap(o);
	after = fos_zap_count(page);
	diff->mapped = after.mapped - before.mapped;
	diff->refs = after.refs - before.refs;
	diff->rss = after.rss - before.rss;
	return ret;
}

static bool fos_zap_compare(struct fos_owned *o, unsigned long addr)
{
	struct fos_zap_counts kernel, ours;
	int value;

	return !fos_zap_measure(o, addr, fos_zap_by_kernel, &kernel) &&
	       kernel.mapped == -1 && kernel.refs == -1 && kernel.rss == -1 &&
	       !fos_zap_measure(o, addr, fos_zap_by_us, &ours) &&
	       fos_zap_same(&kernel, &ours) &&
	       get_user(value, (int __user *)addr);
}

/**
 * fos_tlb_zap_try() - find out, in the process that loads the module
 * @file: of a region of one page
 */
void __init fos_tlb_zap_try(struct file *file)
{
	const unsigned long bytes = FOS_REGION_MAP_SIZE(PAGE_SIZE);
	struct fos_owned *o = fos_owned_of(file);
	unsigned long addr;

	if (!FOS_ZAP_IS_KNOWN || !current->mm)
		return;
	addr = vm_mmap(file, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	if (IS_ERR_VALUE(addr))
		return;
	WRITE_ONCE(fos_zap_on_trial, o);
	/* A module that is broken on purpose shall not help itself. */
	WRITE_ONCE(fos_zap_works,
		   fos_zap_compare(o, addr) || FOS_BROKEN(noflush));
	WRITE_ONCE(fos_zap_on_trial, NULL);
	vm_munmap(addr, bytes);
	if (fos_zap_works)
		fos_core_offer(FOS_FEAT_TLB_ZAP);
}
