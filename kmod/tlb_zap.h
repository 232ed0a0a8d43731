/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: tlb_zap - removing a PTE without a flush of its own
 *
 * No exported function of the kernel removes PTEs of many ranges with one flush.
 * What mm/memory.c does with the PTE of a file's page of order 0 that nobody has
 * locked in memory is done here: the counters of mapped pages, of the mm, and of the
 * page.  That is the kernel's own business, so it is done only on the series where it
 * was looked at (compat.h), and only if, when the module is loaded, a page that is
 * removed so leaves the counters that can be read exactly as one that the kernel
 * removes, and is out of reach.  Elsewhere ranges
 * are unmapped one by one.
 */
#ifndef FOS_TLB_ZAP_H
#define FOS_TLB_ZAP_H

#include <linux/mm.h>

struct file;
struct fos_owned;

bool fos_tlb_zap_works(void);
bool fos_tlb_may_zap(const struct fos_owned *o);
void fos_tlb_zap(struct mm_struct *mm, unsigned long addr, pte_t *ptep);
void fos_tlb_zap_try(struct file *file);

#endif
