// SPDX-License-Identifier: MIT
/* fos_mprotectv(): all runs of dirty pages at once. */
#include "kvsnap.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <fastos.h>

int kv_region_open(struct store *s)
{
	s->priv = calloc(s->pages / 2 + 1, sizeof(struct fos_range));
	s->fd = s->priv ? fos_region_create(s->pages * PAGE, 0) : -1;
	s->area = s->fd < 0 ? MAP_FAILED :
		  fos_mmap(s->fd, PROT_READ | PROT_WRITE);
	if (s->area != MAP_FAILED)
		return 0;
	kv_fail(s, "a region");
	if (s->fd >= 0)
		fos_close(s->fd);
	free(s->priv);
	return -1;
}

void kv_region_close(struct store *s)
{
	fos_munmap(s->area);
	fos_close(s->fd);
	free(s->priv);
}

struct fos_range *kv_region_ranges(struct store *s)
{
	struct fos_range *range = s->priv;

	for (size_t i = 0; i < s->nruns; i++)
		range[i] = (struct fos_range) {
			.offset = s->runs[i].first * PAGE,
			.len = (s->runs[i].end - s->runs[i].first) * PAGE,
			.prot = PROT_READ,
		};
	return range;
}

static int fastos_protect(struct store *s)
{
	struct fos_range *range = kv_region_ranges(s);
	size_t i, n;

	for (i = 0; i < s->nruns; i += n) {
		n = s->nruns - i;
		if (n > FOS_RANGES_MAX)
			n = FOS_RANGES_MAX;
		if (fos_mprotectv(s->fd, range + i, n, 0))
			return -1;
	}
	return 0;
}

/* One range by descriptor: with the module a single system call. */
int kv_region_unprotect(struct store *s, size_t page)
{
	struct fos_range range = {
		.offset = page * PAGE,
		.len = PAGE,
		.prot = PROT_READ | PROT_WRITE,
	};

	return fos_mprotectv(s->fd, &range, 1, 0);
}

const struct arm kv_fastos = {
	.name = "fastos",
	.signal = SIGSEGV,
	.open = kv_region_open,
	.protect = fastos_protect,
	.unprotect = kv_region_unprotect,
	.save = kv_save,
	.close = kv_region_close,
};
