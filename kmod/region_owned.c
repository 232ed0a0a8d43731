// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "core.h"
#include "region_owned.h"
#include "stats.h"

static_assert(FOS_REGION_MAP_SIZE(0) == PAGE_SIZE);

static struct fos_owned *fos_owned_of_vma(const struct vm_area_struct *vma)
{
	return fos_owned_of(vma->vm_file);
}

/* ---- mappings --------------------------------------------------------- */

static void fos_map_free(struct kref *refs)
{
	struct fos_map *map = container_of(refs, struct fos_map, refs);

	mmdrop(map->mm);
	kfree(map);
}

/**
 * fos_map_put() - undo a reference that fos_owned_turn() took
 * @map: a mapping
 */
void fos_map_put(struct fos_map *map)
{
	kref_put(&map->refs, fos_map_free);
}

/* Is it the mapping itself, not a copy in a child or of mremap()? */
static bool fos_map_is(const struct fos_map *map,
		       const struct vm_area_struct *vma)
{
	return vma->vm_mm == map->mm && vma->vm_start == map->start;
}

static vm_fault_t fos_owned_access(struct vm_area_struct *vma, pgoff_t idx,
				   bool write)
{
	struct fos_owned *o = fos_owned_of_vma(vma);

	if (!fos_map_is(vma->vm_private_data, vma))
		return VM_FAULT_SIGBUS;
	if (idx >= fos_owned_guard(o) ||
	    !fos_owned_may(o, idx, FOS_RIGHT_READ) ||
	    (write && !fos_perm_store(&o->perm[idx])))
		return VM_FAULT_SIGSEGV;
	return 0;
}

static bool fos_owned_may_reuse(struct fos_region *region, pgoff_t idx)
{
	const struct fos_owned *o = container_of(region, struct fos_owned,
						 region);

	return fos_owned_may(o, idx, FOS_PERM_STALE);
}

static void fos_owned_vma_open(struct vm_area_struct *vma)
{
	struct fos_map *map = vma->vm_private_data;

	kref_get(&map->refs);
}

static void fos_owned_vma_close(struct vm_area_struct *vma)
{
	struct fos_owned *o = fos_owned_of_vma(vma);
	struct fos_map *map = vma->vm_private_data;

	if (fos_map_is(map, vma)) {
		spin_lock(&o->lock);
		list_del_init(&map->node);
		o->nmaps--;
		spin_unlock(&o->lock);
	}
	fos_map_put(map);
}

/* Once in each mm, and @max in all; -EBUSY, -EMFILE. */
static int fos_owned_list(struct fos_owned *o, struct fos_map *map,
			  unsigned int max)
{
	const struct fos_map *other;

	guard(spinlock)(&o->lock);
	list_for_each_entry(other, &o->maps, node)
		if (other->mm == map->mm)
			return -EBUSY;
	if (o->nmaps >= max)
		return -EMFILE;
	list_add_tail(&map->node, &o->maps);
	o->nmaps++;
	return 0;
}

/**
 * fos_owned_mmap() - map a region
 * @o: the region
 * @vma: as the caller of mmap() wants it
 * @rights: of the file
 *
 * Return: 0; errors of fos_region_mmap(); -EACCES more than @rights; -EBUSY this
 * mm has it mapped; -EMFILE too many have; -ENOMEM.
 */
int fos_owned_mmap(struct fos_owned *o, struct vm_area_struct *vma, u32 rights)
{
	const bool write = rights & FOS_RIGHT_WRITE;
	/* Others leave room for an owner. */
	const unsigned int max = FOS_REGION_MAPS_MAX -
				 !(rights & FOS_RIGHT_OWN);
	struct fos_map *map;
	int ret;

	if (!write && vma->vm_flags & VM_WRITE)
		return -EACCES;
	ret = fos_region_mmap(&o->region, vma, 0);
	if (ret)
		return ret;
	if (!write)
		fos_vma_flags(vma, 0, VM_MAYWRITE);
	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	kref_init(&map->refs);
	map->mm = vma->vm_mm;
	map->start = vma->vm_start;
	mmgrab(map->mm);
	ret = fos_owned_list(o, map, max);
	if (ret) {
		fos_map_put(map);
		return ret;
	}
	vma->vm_private_data = map;
	fos_count(region_maps);
	return 0;
}

/**
 * fos_owned_turn() - note which mappings there are
 * @o: the region; fos_owned.batch is held
 *
 * Return: how many are in fos_owned.turn, each with a reference.
 */
unsigned int fos_owned_turn(struct fos_owned *o)
{
	struct fos_map *map;
	unsigned int n = 0;

	lockdep_assert_held(&o->batch);
	guard(spinlock)(&o->lock);
	list_for_each_entry(map, &o->maps, node) {
		kref_get(&map->refs);
		o->turn[n++] = map;
	}
	return n;
}

/**
 * fos_owned_lists() - is it still a mapping?
 * @o: the region
 * @map: from fos_owned_turn()
 *
 * Return: false when .close has been called: all of it is flushed.
 */
bool fos_owned_lists(struct fos_owned *o, const struct fos_map *map)
{
	guard(spinlock)(&o->lock);
	return !list_empty(&map->node);
}

/* ---- life ------------------------------------------------------------- */

static void fos_owned_free(struct fos_region *region)
{
	struct fos_owned *o = container_of(region, struct fos_owned, region);

	fos_user_uncharge(o->user, region->npages);
	fos_eventfd_put(o->queue.notify);
	kvfree(o->perm);
	kfree(o);
	atomic_long_dec(&fos_live_regions);
}

static const struct fos_region_ops fos_owned_ops = {
	.access		= fos_owned_access,
	.may_reuse	= fos_owned_may_reuse,
	.open		= fos_owned_vma_open,
	.close		= fos_owned_vma_close,
	.free		= fos_owned_free,
};

/**
 * fos_owned_alloc() - a region with all permissions, without a file yet
 * @bytes: its size, in pages; the guard comes on top
 *
 * Its queue is the caller's to make ready.
 *
 * Return: the region; -EDQUOT, -ENOMEM.
 */
struct fos_owned *fos_owned_alloc(u64 bytes)
{
	const unsigned long npages = FOS_REGION_MAP_SIZE(bytes) >> PAGE_SHIFT;
	struct fos_owned *o;
	int ret = -ENOMEM;

	o = kzalloc(sizeof(*o), GFP_KERNEL_ACCOUNT);
	if (!o)
		return ERR_PTR(-ENOMEM);
	o->user = fos_user_charge(npages);
	if (IS_ERR(o->user)) {
		ret = PTR_ERR(o->user);
		goto err_free;
	}
	o->perm = kvmalloc_array(npages, sizeof(*o->perm), GFP_KERNEL_ACCOUNT);
	if (!o->perm)
		goto err_uncharge;
	memset32(o->perm, FOS_RIGHT_READ | FOS_RIGHT_WRITE, npages);
	ret = fos_region_init(&o->region, npages, &fos_owned_ops);
	if (ret)
		goto err_perm;
	spin_lock_init(&o->lock);
	mutex_init(&o->batch);
	INIT_LIST_HEAD(&o->maps);
	atomic_long_inc(&fos_live_regions);
	return o;

err_perm:
	kvfree(o->perm);
err_uncharge:
	fos_user_uncharge(o->user, npages);
err_free:
	kfree(o);
	return ERR_PTR(ret);
}

/**
 * fos_owned_discard() - undo fos_owned_alloc(), if no file came of it
 * @o: the region
 */
void fos_owned_discard(struct fos_owned *o)
{
	fos_region_destroy(&o->region);
	fos_owned_free(&o->region);
}
