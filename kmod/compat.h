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
