// SPDX-License-Identifier: GPL-2.0-only
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "break.h"
#include "compat.h"
#include "core.h"
#include "region_owned.h"
#include "stats.h"
#include "tlb.h"
#include "trace.h"

static_assert(sizeof(struct fos_tlb_range) == 24);
static_assert(sizeof(struct fos_tlb_protectv) == FOS_TLB_PROTECTV_SIZE_VER0);

static bool fos_range_is_down(const struct fos_tlb_range *r)
{
	return !(r->rights & FOS_RIGHT_WRITE);
}

static pgoff_t fos_range_first(const struct fos_tlb_range *r)
{
	return r->offset >> PAGE_SHIFT;
}

static pgoff_t fos_range_end(const struct fos_tlb_range *r)
{
	return (r->offset + r->len) >> PAGE_SHIFT;
}

/* The next page of a range that is to be made read-only, or NULL. */
static struct page *fos_range_next(struct fos_tlb_batch *b,
				   const struct fos_tlb_range *r, pgoff_t *idx)
{
	const struct fos_owned *o = b->o;
	struct page *page;

	for (; *idx < fos_range_end(r); ++*idx) {
		if (!(++b->steps % 256))
			cond_resched();
		page = READ_ONCE(o->region.pages[*idx]);
		if (page && !fos_owned_may_write(o, *idx))
			return page;
	}
	return NULL;
}

/* The next range that takes a right away, from @r on. */
static struct fos_tlb_range *fos_tlb_down(const struct fos_tlb_batch *b,
					  struct fos_tlb_range *r)
{
	for (; r < b->ranges + b->count; r++)
		if (fos_range_is_down(r))
			return r;
	return NULL;
}

/* ---- 1, 2: the map, and faults that it finds under way ---------------- */

static void fos_tlb_write_map(struct fos_tlb_batch *b)
{
	const struct fos_tlb_range *r;

	for (r = b->ranges; r < b->ranges + b->count; r++) {
		memset(&b->o->perm[fos_range_first(r)], r->rights,
		       r->len >> PAGE_SHIFT);
		cond_resched();
	}
	/* Pairs with the page's lock in faults, or with its publication there. */
	smp_mb();
}

static void fos_tlb_settle(struct fos_tlb_batch *b)
{
	struct fos_tlb_range *r;
	struct page *page;
	pgoff_t idx;

	for (r = b->ranges; (r = fos_tlb_down(b, r)); r++) {
		idx = fos_range_first(r);
		for (; (page = fos_range_next(b, r, &idx)); idx++) {
			lock_page(page);
			unlock_page(page);
		}
	}
}

/* ---- 3, 4: in an mm --------------------------------------------------- */

struct fos_strip {
	struct fos_tlb_batch *b;
	struct mm_struct *mm;
	unsigned long start;
	u64 pages;
};

static int fos_strip_pte(pte_t *ptep, unsigned long addr, void *data)
{
	struct fos_strip *s = data;
	pte_t pte = *ptep;

	if (!pte_present(pte) || !(pte_write(pte) || pte_dirty(pte)) ||
	    fos_owned_may_write(s->b->o, (addr - s->start) >> PAGE_SHIFT))
		return 0;
	pte = pte_wrprotect(ptep_get_and_clear(s->mm, addr, ptep));
	if (!FOS_BROKEN(noclean))
		pte = pte_mkclean(pte);
	set_pte_at(s->mm, addr, ptep, pte);
	s->pages++;
	return 0;
}

/* So many pages at most without a look at who else wants the CPU. */
#define FOS_STRIP_RUN	4096

/* Runs of pages that were populated; the rest cannot have a PTE. */
static int fos_strip_range(struct fos_strip *s, const struct fos_tlb_range *r)
{
	pgoff_t idx = fos_range_first(r), end;
	int ret;

	for (; fos_range_next(s->b, r, &idx); idx = end) {
		for (end = idx + 1; end < fos_range_end(r); end++)
			if (end - idx == FOS_STRIP_RUN ||
			    !READ_ONCE(s->b->o->region.pages[end]))
				break;
		ret = fos_apply_to_ptes(s->mm, s->start + (idx << PAGE_SHIFT),
					(end - idx) << PAGE_SHIFT,
					fos_strip_pte, s);
		if (ret)
			return ret;
		if (end - idx > 1)
			cond_resched();
	}
	return 0;
}

static void fos_tlb_unmap(struct fos_owned *o, pgoff_t first, pgoff_t n)
{
	unmap_mapping_pages(o->region.obj.inode->i_mapping, first, n, false);
}

/*
 * PTEs of all processes go, with a round and a notification for each range.  It
 * needs nothing that can fail or be waited for.
 */
static void fos_tlb_unmap_ranges(struct fos_tlb_batch *b)
{
	struct fos_tlb_range *r;

	if (b->unmapped)
		return;
	b->unmapped = true;
	for (r = b->ranges; (r = fos_tlb_down(b, r)); r++) {
		fos_tlb_unmap(b->o, fos_range_first(r),
			      fos_range_end(r) - fos_range_first(r));
		b->rounds++;
	}
}

/* Time for others between PTEs and shootdown, until one has left the list. */
static void fos_tlb_tarry(struct fos_tlb_batch *b, struct mm_struct *mm)
{
	const atomic_t *n = &b->o->region.obj.inode->i_mapping->i_mmap_writable;
	const int before = atomic_read(n);
	int us;

	/* Nobody who tries that does it to himself. */
	if (mm == current->mm)
		return;
	for (us = 0; us < 20000 && atomic_read(n) == before; us += 5) {
		udelay(5);
		cond_resched();
	}
}

static void fos_tlb_shoot(struct fos_tlb_batch *b, struct mm_struct *mm)
{
	if (FOS_BROKEN(slowflush) || FOS_BROKEN(nolockflush))
		fos_tlb_tarry(b, mm);
	if (!FOS_BROKEN(noflush))
		fos_tlb_unmap(b->o, fos_owned_guard(b->o), 1);
	b->rounds++;
}

/* With mmap_lock: PTEs and shootdown. */
static u32 fos_tlb_in_mm(struct fos_tlb_batch *b, struct fos_map *map)
{
	struct fos_strip s = { .b = b, .mm = map->mm, .start = map->start };
	struct fos_tlb_range *r;
	int ret = 0;

	if (b->unmapped || mm_has_notifiers(map->mm)) {
		fos_tlb_unmap_ranges(b);
		return FOS_TLB_BY_RANGE;
	}
	inc_tlb_flush_pending(map->mm);
	for (r = b->ranges; !ret && (r = fos_tlb_down(b, r)); r++)
		ret = fos_strip_range(&s, r);
	b->pages += s.pages;
	if (FOS_BROKEN(nolockflush))
		mmap_read_unlock(map->mm);
	fos_tlb_shoot(b, map->mm);
	if (FOS_BROKEN(nolockflush))
		mmap_read_lock(map->mm);
	dec_tlb_flush_pending(map->mm);
	if (!ret)
		return FOS_TLB_BY_GUARD;
	fos_tlb_unmap_ranges(b);
	return FOS_TLB_BY_RANGE;
}

/* munmap() will have flushed it when we can be the only one. */
static int fos_tlb_await_munmap(struct mm_struct *mm)
{
	int ret = mmap_write_lock_killable(mm);

	if (!ret)
		mmap_write_unlock(mm);
	return ret;
}

static int fos_tlb_visit_mm(struct fos_tlb_batch *b, struct fos_map *map)
{
	struct vm_area_struct *vma;
	u64 pages = b->pages;
	u32 how;
	int ret;

	ret = mmap_read_lock_killable(map->mm);
	if (ret)
		return ret;
	vma = vma_lookup(map->mm, map->start);
	if (vma && vma->vm_private_data == map) {
		how = fos_tlb_in_mm(b, map);
		mmap_read_unlock(map->mm);
	} else {
		how = FOS_TLB_UNMAPPING;
		mmap_read_unlock(map->mm);
		ret = fos_tlb_await_munmap(map->mm);
		fos_count(tlb_unmapping);
	}
	if (how == FOS_TLB_BY_RANGE)
		fos_count(tlb_by_range);
	trace_tlb_space(b->o->region.obj.id, how, b->pages - pages);
	return ret;
}

static int fos_tlb_visit(struct fos_tlb_batch *b, struct fos_map *map)
{
	int ret;

	if (!mmget_not_zero(map->mm))
		return 0;
	ret = fos_tlb_visit_mm(b, map);
	/* We may be the last, and must not tear it down here. */
	mmput_async(map->mm);
	return ret;
}

static int fos_tlb_visit_all(struct fos_tlb_batch *b)
{
	const unsigned int n = fos_owned_turn(b->o);
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n; i++) {
		if (!ret)
			ret = fos_tlb_visit(b, b->o->turn[i]);
		fos_map_put(b->o->turn[i]);
	}
	/* Killed: the map holds, and what we did not come to see must follow. */
	if (ret)
		fos_tlb_unmap_ranges(b);
	return ret;
}

/* ---- 5: who else holds pages ------------------------------------------ */

/* How often a page is looked at, and how long a batch naps for all, in us. */
#define FOS_BUSY_TRIES		20
#define FOS_BUSY_NAP		100
#define FOS_BUSY_NAPS		100

/*
 * One reference is the region's, and each mapping has one, taken before it counts
 * and put after: while their number stands still, what is more is somebody else's.
 */
static bool fos_page_has_others(struct page *page)
{
	const int mapped = atomic_read(&page->_mapcount);
	int refs;

	/* Between two looks at the number of mappings; faults and zaps order. */
	smp_rmb();
	refs = page_ref_count(page);
	/* As above. */
	smp_rmb();
	return refs > 2 + mapped || mapped != atomic_read(&page->_mapcount);
}

/*
 * Who faults has a reference for a moment, too, and those who are refused come
 * again and again; who unmaps has it until he has flushed.
 */
static bool fos_page_is_busy(struct page *page, int *naps)
{
	int tries;

	for (tries = 0; fos_page_has_others(page); tries++) {
		if (tries == FOS_BUSY_TRIES || !*naps)
			return true;
		--*naps;
		fsleep(FOS_BUSY_NAP);
	}
	return false;
}

static int fos_tlb_find_busy(struct fos_tlb_batch *b)
{
	/* Pages that are being unmapped have references until they are flushed. */
	int naps = FOS_BROKEN(nolockflush) ? 0 : FOS_BUSY_NAPS;
	struct fos_tlb_range *r;
	struct page *page;
	int ret = 0;
	pgoff_t idx;

	for (r = b->ranges; (r = fos_tlb_down(b, r)); r++) {
		idx = fos_range_first(r);
		for (; (page = fos_range_next(b, r, &idx)); idx++) {
			if (!fos_page_is_busy(page, &naps))
				continue;
			r->result = EBUSY;
			b->o->done.busy++;
			fos_count(tlb_busy);
			ret = -EBUSY;
			break;
		}
	}
	return ret;
}

/* ---- a batch ---------------------------------------------------------- */

static void fos_tlb_account(struct fos_tlb_batch *b, u64 ns)
{
	struct fos_batches *done = &b->o->done;
	const u64 loop = (u64)b->downs * b->o->nmaps;
	const u64 avoided = loop > b->rounds ? loop - b->rounds : 0;

	done->count++;
	done->ranges += b->count;
	done->pages += b->pages;
	done->rounds += b->rounds;
	done->avoided += avoided;
	done->worst_ns = max(done->worst_ns, ns);
	fos_count(tlb_batches);
	fos_count_add(tlb_ranges, b->count);
	fos_count_add(tlb_pages, b->pages);
	fos_count_add(tlb_rounds, b->rounds);
	fos_count_add(tlb_rounds_avoided, avoided);
	trace_tlb_batch(b->o->region.obj.id, b->count, b->pages, b->rounds, ns);
}

static int fos_tlb_run(struct fos_tlb_batch *b)
{
	const u64 begin = ktime_get_ns();
	int ret;

	if (mutex_lock_killable(&b->o->batch))
		return -EINTR;
	fos_tlb_write_map(b);
	if (b->downs) {
		if (!FOS_BROKEN(nosettle))
			fos_tlb_settle(b);
		ret = fos_tlb_visit_all(b);
		if (!ret)
			ret = fos_tlb_find_busy(b);
	} else {
		/* Who stores next will ask. */
		ret = 0;
	}
	fos_tlb_account(b, ktime_get_ns() - begin);
	mutex_unlock(&b->o->batch);
	return ret;
}

/* ---- the call --------------------------------------------------------- */

static bool fos_tlb_range_ok(const struct fos_owned *o,
			     const struct fos_tlb_range *r)
{
	const u64 bytes = fos_owned_bytes(o);

	return PAGE_ALIGNED(r->offset) && PAGE_ALIGNED(r->len) && r->len &&
	       r->offset < bytes && r->len <= bytes - r->offset &&
	       (r->rights == FOS_RIGHT_READ ||
		r->rights == (FOS_RIGHT_READ | FOS_RIGHT_WRITE));
}

/* Our own copy of the ranges: what results were. */
static int fos_tlb_check(struct fos_tlb_batch *b)
{
	struct fos_tlb_range *r;
	u64 bytes = 0;
	int ret = 0;

	for (r = b->ranges; r < b->ranges + b->count; r++) {
		r->result = 0;
		b->downs += fos_range_is_down(r);
		if (!fos_tlb_range_ok(b->o, r)) {
			r->result = EINVAL;
			ret = -EINVAL;
		} else {
			bytes += r->len;
		}
	}
	/* Or mmap_lock is held for ever. */
	if (!ret && bytes > FOS_REGION_BYTES_MAX)
		ret = -E2BIG;
	for (r = b->ranges; ret && r < b->ranges + b->count; r++)
		r->result = r->result ?: ECANCELED;
	return ret;
}

static long fos_tlb_protect_ranges(struct fos_tlb_batch *b, void __user *uranges)
{
	const size_t bytes = b->count * sizeof(*b->ranges);
	int ret;

	if (copy_from_user(b->ranges, uranges, bytes))
		return -EFAULT;
	ret = fos_tlb_check(b);
	if (!ret)
		ret = fos_tlb_run(b);
	if (copy_to_user(uranges, b->ranges, bytes))
		return -EFAULT;
	return ret;
}

/* As many as lie on the stack, the usual ones, need no allocation. */
#define FOS_TLB_FEW	8

/**
 * fos_tlb_protectv() - FOS_IOC_TLB_PROTECTV
 * @o: the region; the caller has the right
 * @cmd: the ioctl
 * @uargs: the caller's struct fos_tlb_protectv
 *
 * Return: as struct fos_tlb_protectv says.
 */
long fos_tlb_protectv(struct fos_owned *o, unsigned int cmd, void __user *uargs)
{
	struct fos_tlb_range few[FOS_TLB_FEW];
	struct fos_tlb_batch b = { .o = o, .ranges = few };
	struct fos_tlb_protectv a;
	long ret;

	ret = fos_args_get(&a, sizeof(a), FOS_TLB_PROTECTV_SIZE_VER0, cmd,
			   uargs);
	if (ret)
		return ret;
	if (a.flags || !a.count)
		return -EINVAL;
	if (a.count > FOS_TLB_RANGES_MAX)
		return -E2BIG;
	b.count = a.count;
	if (a.count > FOS_TLB_FEW)
		b.ranges = kvmalloc_array(a.count, sizeof(*b.ranges),
					  GFP_KERNEL_ACCOUNT);
	if (!b.ranges)
		return -ENOMEM;
	ret = fos_tlb_protect_ranges(&b, u64_to_user_ptr(a.ranges));
	if (b.ranges != few)
		kvfree(b.ranges);
	a.rounds = b.rounds;
	if ((!ret || ret == -EBUSY) && fos_args_put(&a, sizeof(a), cmd, uargs))
		return -EFAULT;
	return ret;
}
