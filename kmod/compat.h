/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that knows kernel versions.  Floor 6.1 as Debian keeps it (it
 * has linux/cleanup.h, which 6.1.0 had not), ceiling 7.3.  Each shim names the
 * kernel that forced it, so that it can go when the floor passes it.  What a
 * point release may backport is not decided by the version: Kbuild tries to
 * compile it and defines FOS_HAVE_*.
 */
#ifndef FOS_COMPAT_H
#define FOS_COMPAT_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "fastos needs Linux 6.1 or later"
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 4, 0)
#warning "fastos has not been tested on kernels after 7.3"
#endif

/* 6.3 made vma->vm_flags read-only and added vm_flags_mod() and others. */
static inline void fos_vma_flags(struct vm_area_struct *vma,
				 unsigned long set, unsigned long clear)
{
#ifdef FOS_HAVE_VM_FLAGS_MOD
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

struct eventfd_ctx;

/* 6.8 took the number away: it was always 1. */
#ifdef FOS_HAVE_EVENTFD_SIGNAL_ONE
#define fos_eventfd_signal(ctx)	eventfd_signal(ctx)
#else
#define fos_eventfd_signal(ctx)	eventfd_signal(ctx, 1)
#endif

/*
 * The series where it was looked at what the kernel counts when a PTE of a file's
 * page of order 0 goes: see tlb_zap.h.
 */
#if LINUX_VERSION_CODE >> 8 == KERNEL_VERSION(6, 1, 0) >> 8
#define FOS_ZAP_IS_KNOWN true
#elif LINUX_VERSION_CODE >> 8 == KERNEL_VERSION(6, 12, 0) >> 8
#define FOS_ZAP_IS_KNOWN true
#elif LINUX_VERSION_CODE >> 8 == KERNEL_VERSION(7, 3, 0) >> 8
#define FOS_ZAP_IS_KNOWN true
#else
#define FOS_ZAP_IS_KNOWN false
#endif

/*
 * Pages that are mapped: by page in 6.1, by folio since 6.4; 6.19 renamed the
 * function.  Where none is exported nothing is known, either.
 */
static inline void fos_count_unmapped(struct page *page)
{
#if defined(FOS_HAVE_MOD_LRUVEC_PAGE)
	__mod_lruvec_page_state(page, NR_FILE_MAPPED, -1);
#elif defined(FOS_HAVE_LRUVEC_STAT_NOIRQ)
	__lruvec_stat_mod_folio(page_folio(page), NR_FILE_MAPPED, -1);
#elif defined(FOS_HAVE_LRUVEC_STAT)
	lruvec_stat_mod_folio(page_folio(page), NR_FILE_MAPPED, -1);
#endif
}

/* What dec_mm_counter() does besides calling a function that is not exported. */
static inline void fos_count_rss_gone(struct mm_struct *mm)
{
#ifdef FOS_HAVE_RSS_ATOMIC
	atomic_long_dec(&mm->rss_stat.count[MM_FILEPAGES]);
#else
	percpu_counter_dec(&mm->rss_stat[MM_FILEPAGES]);
#endif
}

/* To the page: it is spread over threads, and since 6.2 over CPUs. */
static inline long fos_count_rss(void)
{
#ifdef FOS_HAVE_RSS_ATOMIC
	return atomic_long_read(&current->mm->rss_stat.count[MM_FILEPAGES]) +
	       current->rss_stat.count[MM_FILEPAGES];
#else
	return percpu_counter_sum(&current->mm->rss_stat[MM_FILEPAGES]);
#endif
}

#ifndef FOS_HAVE_APPLY_TO_EXISTING
static inline bool fos_has_ptes(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		return false;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return false;
	pud = pud_offset(p4d, addr);
	return !pud_none(*pud) && !pmd_none(*pmd_offset(pud, addr));
}
#endif

/*
 * 7.3 does not export apply_to_existing_page_range() any more, and the other one
 * makes page tables where there are none: look first.  With mmap_lock, and the
 * mapping in the tree, none goes.
 */
static inline int fos_apply_to_ptes(struct mm_struct *mm, unsigned long addr,
				    unsigned long bytes, pte_fn_t fn, void *data)
{
#ifdef FOS_HAVE_APPLY_TO_EXISTING
	return apply_to_existing_page_range(mm, addr, bytes, fn, data);
#else
	const unsigned long end = addr + bytes;
	unsigned long next;
	int ret = 0;

	for (; addr < end && !ret; addr = next) {
		next = min(end, (addr & PMD_MASK) + PMD_SIZE);
		if (fos_has_ptes(mm, addr))
			ret = apply_to_page_range(mm, addr, next - addr, fn,
						  data);
	}
	return ret;
#endif
}

#endif
