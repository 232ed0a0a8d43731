// SPDX-License-Identifier: MIT
/* tlb: changing the permissions of a region's pages. */
#include "internal.h"

#include <sys/mman.h>

/* What others than fastos answer to our number; EINVAL has two meanings. */
static FOS_COLD int refused(int rfd, struct fos_range *ranges, unsigned int n,
			    int why)
{
	struct fos_core_query q;

	if (why != -ENOTTY &&
	    (why != -EINVAL || !fos__backend_kernel.region_query(rfd, &q)))
		return why;
	return fos__backend_posix.region_protectv(rfd, ranges, n);
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
	if (fos_unlikely(ret))
		ret = refused(rfd, ranges, n, ret);
	return fos__ret(ret);
}

FOS_API int fos_mprotect(void *addr, size_t len, int prot)
{
	struct fos_range r = { .len = FOS_PAGE_ALIGN(len), .prot = prot };
	const struct fos_region_map *m;
	int ret;

	if ((uintptr_t)addr % FOS_PAGE_BYTES ||
	    (prot != PROT_READ && prot != (PROT_READ | PROT_WRITE)))
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
