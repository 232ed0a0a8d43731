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

/*
 * 7.3 does not export apply_to_existing_page_range() any more: page tables may come to be
 * where there are none, or not for lack of memory.
 */
static inline int fos_apply_to_ptes(struct mm_struct *mm, unsigned long addr,
				    unsigned long bytes, pte_fn_t fn, void *data)
{
#ifdef FOS_HAVE_APPLY_TO_EXISTING
	return apply_to_existing_page_range(mm, addr, bytes, fn, data);
#else
	return apply_to_page_range(mm, addr, bytes, fn, data);
#endif
}

#endif
