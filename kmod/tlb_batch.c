// SPDX-License-Identifier: GPL-2.0-only
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>

#include "break.h"
#include "compat.h"
#include "region_owned.h"
#include "stats.h"
#include "tlb.h"
#include "tlb_batch.h"
#include "tlb_zap.h"
#include "trace.h"

/**
 * struct fos_tlb_batch - what is to be done
 * @o: the region
 * @ops: for whom: struct fos_tlb_op
 * @ranges: of all of them
 * @downs: ... those that take something away
 * @zaps: ... those whose PTEs are to go
 * @rounds: shootdowns so far
 * @pages: PTEs changed so far
 * @steps: pages looked at, for making way now and then
 * @unmapped: PTEs are gone everywhere already
 * @dropped: pages that were taken out, to be freed
 * @recycled: ... to be used again
 */
struct fos_tlb_batch {
	struct fos_owned *o;
	struct list_head *ops;
	u32 ranges;
	u32 downs;
	u32 zaps;
	u32 rounds;
	u64 pages;
	u32 steps;
	bool unmapped;
	struct list_head dropped;
	struct list_head recycled;
};

/* The next range of an op that takes something away, from @r on. */
static struct fos_tlb_range *fos_op_down(const struct fos_tlb_op *op,
					 struct fos_tlb_range *r)
{
	for (; r < op->ranges + op->count; r++)
		if (fos_range_is_down(r))
			return r;
	return NULL;
}

/* The same of all ops: behind @r, which is one of @op, or from the first one on. */
static struct fos_tlb_range *fos_batch_down(const struct fos_tlb_batch *b,
					    struct fos_tlb_op **op,
					    struct fos_tlb_range *r)
{
	struct list_head *node = b->ops->next;

	if (r) {
		r = fos_op_down(*op, r + 1);
		if (r)
			return r;
		node = (*op)->node.next;
	}
	for (; !r && node != b->ops; node = node->next) {
		*op = list_entry(node, struct fos_tlb_op, node);
		r = fos_op_down(*op, (*op)->ranges);
	}
	return r;
}

static void fos_tlb_make_way(struct fos_tlb_batch *b)
{
	if (!(++b->steps % 256))
		cond_resched();
}

/* The next page of a range that may not be stored to, or NULL. */
static struct page *fos_range_next(struct fos_tlb_batch *b,
				   const struct fos_tlb_range *r, pgoff_t *idx)
{
	const struct fos_owned *o = b->o;
	struct page *page;

	for (; *idx < fos_range_end(r); ++*idx) {
		fos_tlb_make_way(b);
		page = READ_ONCE(o->region.pages[*idx]);
		if (page && !fos_owned_may(o, *idx, FOS_RIGHT_WRITE))
			return page;
	}
	return NULL;
}

/* ---- 1, 2: content, and faults that are under way --------------------- */

static void fos_tlb_take_out(struct fos_tlb_batch *b,
			     const struct fos_tlb_range *r)
{
	struct list_head *to = r->rights & FOS_TLB_RECYCLE ? &b->recycled :
							     &b->dropped;
	struct page *page;
	pgoff_t idx;

	for (idx = fos_range_first(r); idx < fos_range_end(r); idx++) {
		fos_tlb_make_way(b);
		page = fos_region_take(&b->o->region, idx);
		if (page)
			list_add(&page->lru, to);
	}
}

static void fos_tlb_take_all_out(struct fos_tlb_batch *b)
{
	struct fos_tlb_range *r = NULL;
	struct fos_tlb_op *op;

	/* The map before their answers. */
	fos_region_settle_spare(&b->o->region);
	while ((r = fos_batch_down(b, &op, r)))
		if (fos_range_drops(r))
			fos_tlb_take_out(b, r);
}

/* Who has it locked was admitted by the old map, and makes a PTE. */
static void fos_tlb_settle_page(struct page *page)
{
	lock_page(page);
	unlock_page(page);
}

static void fos_tlb_settle(struct fos_tlb_batch *b)
{
	struct fos_tlb_range *r = NULL;
	struct fos_tlb_op *op;
	struct page *page;
	pgoff_t idx;

	/* The map before their locks; pairs with the second look of a fault. */
	smp_mb();
	list_for_each_entry(page, &b->dropped, lru)
		fos_tlb_settle_page(page);
	list_for_each_entry(page, &b->recycled, lru)
		fos_tlb_settle_page(page);
	while ((r = fos_batch_down(b, &op, r))) {
		idx = fos_range_first(r);
		for (; (page = fos_range_next(b, r, &idx)); idx++)
			fos_tlb_settle_page(page);
	}
}

/* ---- 3: PTEs ---------------------------------------------------------- */

struct fos_strip {
	struct fos_tlb_batch *b;
	struct mm_struct *mm;
	unsigned long start;
	u64 pages;
};

static int fos_strip_pte(pte_t *ptep, unsigned long addr, void *data)
{
	struct fos_strip *s = data;
	const struct fos_owned *o = s->b->o;
	const pgoff_t idx = (addr - s->start) >> PAGE_SHIFT;
	pte_t pte = *ptep;

	if (!pte_present(pte))
		return 0;
	if (s->b->zaps && (!fos_owned_may(o, idx, FOS_RIGHT_READ) ||
			   READ_ONCE(o->region.pages[idx]) != pte_page(pte))) {
		fos_tlb_zap(s->mm, addr, ptep);
		s->pages++;
		return 0;
	}
	if (!(pte_write(pte) || pte_dirty(pte)) ||
	    fos_owned_may(o, idx, FOS_RIGHT_WRITE))
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

/*
 * Where the next run of pages begins that may have PTEs to be changed, and ends.  A
 * page that was never populated has none; one that was taken out is not there now.
 */
static bool fos_strip_run(struct fos_strip *s, const struct fos_tlb_range *r,
			  pgoff_t *idx, pgoff_t *end)
{
	const bool all = fos_range_drops(r);

	if (all ? *idx >= fos_range_end(r) : !fos_range_next(s->b, r, idx))
		return false;
	for (*end = *idx + 1; *end < fos_range_end(r); ++*end)
		if (*end - *idx == FOS_STRIP_RUN ||
		    (!all && !READ_ONCE(s->b->o->region.pages[*end])))
			break;
	return true;
}

static int fos_strip_range(struct fos_strip *s, const struct fos_tlb_range *r)
{
	pgoff_t idx = fos_range_first(r), end;
	int ret;

	for (; fos_strip_run(s, r, &idx, &end); idx = end) {
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

static int fos_strip_all(struct fos_strip *s)
{
	struct fos_tlb_range *r = NULL;
	struct fos_tlb_op *op;
	int ret;

	while ((r = fos_batch_down(s->b, &op, r))) {
		ret = fos_strip_range(s, r);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- 4: shootdown ----------------------------------------------------- */

static struct address_space *fos_owned_mapping(const struct fos_owned *o)
{
	return o->region.obj.inode->i_mapping;
}

static void fos_tlb_unmap(struct fos_owned *o, pgoff_t first, pgoff_t n)
{
	unmap_mapping_pages(fos_owned_mapping(o), first, n, false);
}

/*
 * PTEs of all processes go, with a round and a notification for each range.  It
 * needs nothing that can fail, or that must be held.
 */
static void fos_tlb_unmap_all(struct fos_tlb_batch *b)
{
	struct fos_tlb_range *r = NULL;
	struct fos_tlb_op *op;

	if (b->unmapped)
		return;
	b->unmapped = true;
	while ((r = fos_batch_down(b, &op, r))) {
		fos_tlb_unmap(b->o, fos_range_first(r),
			      fos_range_end(r) - fos_range_first(r));
		cond_resched();
	}
	b->rounds += b->downs;
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

/* ---- an mm ------------------------------------------------------------ */

static bool fos_tlb_needs_unmap(const struct fos_tlb_batch *b,
				const struct mm_struct *mm)
{
	return b->unmapped || mm_has_notifiers((struct mm_struct *)mm) ||
	       (b->zaps && !fos_tlb_may_zap(b->o));
}

/* With mmap_lock: PTEs and shootdown, or what else is to be done without. */
static u32 fos_tlb_in_mm(struct fos_tlb_batch *b, struct fos_map *map)
{
	struct fos_strip s = { .b = b, .mm = map->mm, .start = map->start };
	int ret;

	if (fos_tlb_needs_unmap(b, map->mm))
		return FOS_TLB_BY_RANGE;
	inc_tlb_flush_pending(map->mm);
	ret = fos_strip_all(&s);
	b->pages += s.pages;
	if (FOS_BROKEN(nolockflush))
		mmap_read_unlock(map->mm);
	fos_tlb_shoot(b, map->mm);
	if (FOS_BROKEN(nolockflush))
		mmap_read_lock(map->mm);
	dec_tlb_flush_pending(map->mm);
	return ret ? FOS_TLB_BY_RANGE : FOS_TLB_BY_GUARD;
}

/* Is it on the file's list of mappings?  A listed one has no file for a moment. */
static bool fos_map_is_linked(struct fos_owned *o, const struct fos_map *map)
{
	struct address_space *mapping = fos_owned_mapping(o);
	const struct vm_area_struct *vma;
	struct rb_node *node;
	bool linked = false;

	i_mmap_lock_read(mapping);
	for (node = rb_first_cached(&mapping->i_mmap); node && !linked;
	     node = rb_next(node)) {
		vma = rb_entry(node, struct vm_area_struct, shared.rb);
		linked = vma->vm_private_data == map && vma->vm_mm == map->mm;
	}
	i_mmap_unlock_read(mapping);
	return linked;
}

/* How long to nap between looks at a flush of munmap(), in us, and how often. */
#define FOS_MUNMAP_NAP		50
#define FOS_MUNMAP_NAPS		1000

/*
 * Others of that mm may flush on and on.  Who can wait no longer may be sure of this:
 * PTEs that could be stored through were dirty, and flushed before munmap() took the
 * mapping off the list, and pages that may still be loaded from have references, which
 * is told as EBUSY.
 */
static void fos_tlb_await_munmap(struct fos_owned *o, const struct fos_map *map)
{
	int naps;

	for (naps = 0; naps < FOS_MUNMAP_NAPS; naps++) {
		if (!mm_tlb_flush_pending(map->mm) || !fos_owned_lists(o, map))
			return;
		fsleep(FOS_MUNMAP_NAP);
	}
}

static void fos_tlb_without_lock(struct fos_tlb_batch *b, struct fos_map *map)
{
	if (!fos_owned_lists(b->o, map))
		return;
	fos_tlb_unmap_all(b);
	if (!fos_map_is_linked(b->o, map))
		fos_tlb_await_munmap(b->o, map);
}

/* How often mmap_lock is tried, and how long a nap is, in us. */
#define FOS_MMAP_TRIES	100
#define FOS_MMAP_NAP	100

static bool fos_tlb_lock_mm(struct mm_struct *mm)
{
	int tries;

	for (tries = 0; !mmap_read_trylock(mm); tries++) {
		if (tries == FOS_MMAP_TRIES)
			return false;
		fsleep(FOS_MMAP_NAP);
	}
	return true;
}

static u32 fos_tlb_visit_mm(struct fos_tlb_batch *b, struct fos_map *map)
{
	struct vm_area_struct *vma;
	u32 how = FOS_TLB_UNLOCKED;

	if (fos_tlb_lock_mm(map->mm)) {
		vma = vma_lookup(map->mm, map->start);
		if (vma && vma->vm_private_data == map)
			how = fos_tlb_in_mm(b, map);
		mmap_read_unlock(map->mm);
	}
	if (how != FOS_TLB_BY_GUARD)
		fos_tlb_without_lock(b, map);
	return how;
}

static void fos_tlb_visit(struct fos_tlb_batch *b, struct fos_map *map)
{
	const u64 pages = b->pages;
	u32 how;

	if (!mmget_not_zero(map->mm))
		return;
	how = fos_tlb_visit_mm(b, map);
	if (how == FOS_TLB_BY_RANGE)
		fos_count(tlb_by_range);
	else if (how == FOS_TLB_UNLOCKED)
		fos_count(tlb_unlocked);
	trace_tlb_space(b->o->region.obj.id, how, b->pages - pages);
	/* We may be the last, and must not tear it down here. */
	mmput_async(map->mm);
}

static void fos_tlb_visit_all(struct fos_tlb_batch *b)
{
	const unsigned int n = fos_owned_turn(b->o);
	unsigned int i;

	for (i = 0; i < n; i++) {
		fos_tlb_visit(b, b->o->turn[i]);
		fos_map_put(b->o->turn[i]);
	}
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

static bool fos_range_is_busy(struct fos_tlb_batch *b,
			      const struct fos_tlb_range *r, int *naps)
{
	pgoff_t idx = fos_range_first(r);
	struct page *page;

	for (; (page = fos_range_next(b, r, &idx)); idx++)
		if (fos_page_is_busy(page, naps))
			return true;
	return false;
}

static void fos_tlb_find_busy(struct fos_tlb_batch *b)
{
	/* Pages that are being unmapped have references until they are flushed. */
	int naps = FOS_BROKEN(nolockflush) ? 0 : FOS_BUSY_NAPS;
	struct fos_tlb_range *r = NULL;
	struct fos_tlb_op *op;

	while ((r = fos_batch_down(b, &op, r))) {
		if (fos_range_drops(r) || !fos_range_is_busy(b, r, &naps))
			continue;
		r->result = EBUSY;
		op->result = -EBUSY;
		b->o->done.busy++;
		fos_count(tlb_busy);
	}
}

/* Who still has a reference keeps the page, and nobody else gets it. */
static void fos_tlb_free(struct fos_tlb_batch *b)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &b->recycled, lru)
		if (page_ref_count(page) == 1 && !PageHWPoison(page))
			fos_region_reuse(&b->o->region, page);
		else
			fos_region_drop(&b->o->region, page);
	list_for_each_entry_safe(page, next, &b->dropped, lru) {
		fos_tlb_make_way(b);
		fos_region_drop(&b->o->region, page);
	}
}

/* ---- a batch ---------------------------------------------------------- */

static void fos_tlb_sum_up(struct fos_tlb_batch *b)
{
	struct fos_tlb_range *r;
	struct fos_tlb_op *op;

	list_for_each_entry(op, b->ops, node) {
		b->ranges += op->count;
		b->downs += op->downs;
		for (r = op->ranges; (r = fos_op_down(op, r)); r++)
			b->zaps += fos_range_zaps(r);
	}
}

static void fos_tlb_account(struct fos_tlb_batch *b, u64 ns)
{
	struct fos_batches *done = &b->o->done;
	const u64 loop = (u64)b->downs * b->o->nmaps;
	const u64 avoided = loop > b->rounds ? loop - b->rounds : 0;
	struct fos_tlb_op *op;

	list_for_each_entry(op, b->ops, node)
		op->rounds = b->rounds;
	done->count++;
	done->ranges += b->ranges;
	done->pages += b->pages;
	done->rounds += b->rounds;
	done->avoided += avoided;
	done->worst_ns = max(done->worst_ns, ns);
	fos_count(tlb_batches);
	fos_count_add(tlb_ranges, b->ranges);
	fos_count_add(tlb_pages, b->pages);
	fos_count_add(tlb_rounds, b->rounds);
	fos_count_add(tlb_rounds_avoided, avoided);
	trace_tlb_batch(b->o->region.obj.id, b->ranges, b->pages, b->rounds,
			ns);
}

/**
 * fos_tlb_batch() - make all processes follow the permission map
 * @o: the region; fos_owned.batch is held
 * @ops: struct fos_tlb_op; each is told its result and the rounds
 */
void fos_tlb_batch(struct fos_owned *o, struct list_head *ops)
{
	struct fos_tlb_batch b = { .o = o, .ops = ops };
	const u64 begin = ktime_get_ns();

	lockdep_assert_held(&o->batch);
	INIT_LIST_HEAD(&b.dropped);
	INIT_LIST_HEAD(&b.recycled);
	fos_tlb_sum_up(&b);
	if (!b.downs)
		return;
	if (b.zaps)
		fos_tlb_take_all_out(&b);
	if (!FOS_BROKEN(nosettle))
		fos_tlb_settle(&b);
	fos_tlb_visit_all(&b);
	fos_tlb_find_busy(&b);
	fos_tlb_free(&b);
	fos_tlb_account(&b, ktime_get_ns() - begin);
}
