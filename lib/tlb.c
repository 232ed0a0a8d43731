// SPDX-License-Identifier: MIT
/* tlb: changing the permissions of a region's pages. */
#include "internal.h"

#include <sys/mman.h>

/*
 * What others than fastos answer to our numbers, and a module that is older; EINVAL has
 * two meanings.  0: ask the other backend.
 */
static FOS_COLD int others(int rfd, int why)
{
	struct fos_core_query q;

	if (why != -ENOTTY && why != -EINVAL)
		return why;
	if (fos__backend_kernel.region_query(rfd, &q))
		return 0;
	return why == -ENOTTY ? -EOPNOTSUPP : why;
}

/* The module first, without asking whether it is its: one trap is the budget. */
FOS_API int fos_mprotectv(int rfd, struct fos_range *ranges, unsigned int n,
			  unsigned int flags)
{
	int ret;

	if (fos_unlikely(!n || flags))
		return fos__ret(-EINVAL);
	if (fos_unlikely(n > FOS_RANGES_MAX))
		return fos__ret(-E2BIG);
	ret = fos__backend_kernel.region_protectv(rfd, ranges, n);
	if (fos_unlikely(ret)) {
		ret = others(rfd, ret);
		if (!ret)
			ret = fos__backend_posix.region_protectv(rfd, ranges, n);
	}
	return fos__ret(ret);
}

FOS_API int fos_mprotect(void *addr, size_t len, int prot)
{
	struct fos_range r = { .len = FOS_PAGE_ALIGN(len), .prot = prot };
	const struct fos_region_map *m;
	int ret;

	if ((uintptr_t)addr % FOS_PAGE_BYTES)
		return fos__ret(-EINVAL);
	if (!len)
		return 0;
	m = r.len < len ? NULL : fos__region_get(addr, r.len);
	if (!m)
		return fos__ret(-ENOMEM);
	r.offset = (char *)addr - m->addr;
	ret = m->backend->region_protectv(m->fd, &r, 1);
	fos__region_put();
	return fos__ret(ret);
}

/* ---- in the background ------------------------------------------------ */

FOS_API int fos_mprotectv_async(int rfd, struct fos_range *ranges,
				unsigned int n, unsigned int flags,
				uint64_t within_ns, uint64_t *ticket)
{
	int ret;

	if (!n || flags || !ticket)
		return fos__ret(-EINVAL);
	if (n > FOS_RANGES_MAX)
		return fos__ret(-E2BIG);
	ret = fos__backend_kernel.region_submit(rfd, ranges, n, within_ns,
						ticket);
	if (fos_unlikely(ret)) {
		ret = others(rfd, ret);
		if (!ret)
			ret = fos__backend_posix.region_submit(rfd, ranges, n,
							       within_ns,
							       ticket);
	}
	return fos__ret(ret);
}

static int fence(int rfd, uint64_t ticket, uint64_t deadline_ns, bool look)
{
	int ret = fos__backend_kernel.region_fence(rfd, ticket, deadline_ns,
						   look);

	if (!ret || ret == -EBUSY)
		return ret;
	ret = others(rfd, ret);
	return ret ? ret : fos__backend_posix.region_fence(rfd, ticket,
							   deadline_ns, look);
}

FOS_API int fos_fence(int rfd, uint64_t ticket, const struct timespec *deadline)
{
	uint64_t ns;
	int ret = fos__deadline(deadline, &ns);

	return fos__ret(ret ? ret : fence(rfd, ticket, ns, false));
}

FOS_API int fos_ticket_status(int rfd, uint64_t ticket)
{
	return fos__ret(fence(rfd, ticket, 0, true));
}

FOS_API int fos_cancel(int rfd, uint64_t ticket)
{
	int ret = fos__backend_kernel.region_cancel(rfd, ticket);

	if (ret) {
		ret = others(rfd, ret);
		if (!ret)
			ret = fos__backend_posix.region_cancel(rfd, ticket);
	}
	return fos__ret(ret);
}

FOS_API int fos_ticket_notify(int rfd, int efd)
{
	int ret;

	if (efd < -1)
		return fos__ret(-EBADF);
	ret = fos__backend_kernel.region_notify(rfd, efd);
	if (ret) {
		ret = others(rfd, ret);
		if (!ret)
			ret = fos__backend_posix.region_notify(rfd, efd);
	}
	return fos__ret(ret);
}

/* ---- written pages ---------------------------------------------------- */

FOS_API int fos_dirty_scan(int rfd, uint64_t offset, uint64_t len,
			   struct fos_range *ranges, unsigned int max,
			   uint64_t *next)
{
	struct fos_tlb_scan a = {
		.offset = offset,
		.len = len,
		.ranges = (uintptr_t)ranges,
		.count = max,
	};
	int ret;

	if (!max)
		return fos__ret(-EINVAL);
	if (max > FOS_RANGES_MAX)
		a.count = FOS_RANGES_MAX;
	ret = fos__backend_kernel.region_scan(rfd, &a);
	/* Who holds a page may store to it unseen: its range says so. */
	if (ret == -EBUSY)
		ret = 0;
	if (ret) {
		ret = others(rfd, ret);
		if (!ret)
			ret = fos__backend_posix.region_scan(rfd, &a);
	}
	if (ret)
		return fos__ret(ret);
	if (next)
		*next = a.next;
	return a.count;
}
