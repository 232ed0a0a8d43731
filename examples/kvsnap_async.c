// SPDX-License-Identifier: MIT
/*
 * fos_mprotectv_async(): what fastos does at once, in two steps.  The writers are
 * held until the fence: one that went on before might store by a translation that
 * its CPU still has, without a fault, and the snapshot would have it.
 */
#include "kvsnap.h"

#include <signal.h>

#include <fastos.h>

/* Begin at once; the last ticket is that of all. */
static int async_protect(struct store *s)
{
	struct fos_range *range = kv_region_ranges(s);
	size_t i, n;

	for (i = 0; i < s->nruns; i += n) {
		n = s->nruns - i;
		if (n > FOS_RANGES_MAX)
			n = FOS_RANGES_MAX;
		if (fos_mprotectv_async(s->fd, range + i, n, 0, 0, &s->ticket))
			return -1;
	}
	return 0;
}

static int async_settle(struct store *s)
{
	return s->nruns ? fos_fence(s->fd, s->ticket, NULL) : 0;
}

const struct arm kv_fastos_async = {
	.name = "fastos-async",
	.signal = SIGSEGV,
	.open = kv_region_open,
	.protect = async_protect,
	.settle = async_settle,
	.unprotect = kv_region_unprotect,
	.save = kv_save,
	.close = kv_region_close,
};
