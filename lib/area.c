// SPDX-License-Identifier: MIT
#include "area.h"

#include <string.h>

/* Blocks begin on cache lines: a copy never shares one with its neighbour. */
#define ALIGN(n)	(((n) + 63) & ~63ULL)

void fos_area_init(struct fos_area *a, uint64_t bytes, uint32_t max)
{
	a->bytes = bytes;
	a->n = 0;
	a->max = max;
}

void fos_area_sweep(struct fos_area *a, bool (*is_free)(void *arg, uint64_t owner),
		    void *arg)
{
	uint32_t i, kept = 0;

	for (i = 0; i < a->n; i++)
		if (!is_free(arg, a->block[i].owner))
			a->block[kept++] = a->block[i];
	a->n = kept;
}

bool fos_area_find(const struct fos_area *a, uint64_t len, uint64_t *offset,
		   uint32_t *at)
{
	uint64_t begin = 0, end;
	uint32_t i;

	if (a->n == a->max)
		return false;
	for (i = 0; i <= a->n; i++) {
		end = i < a->n ? a->block[i].offset : a->bytes;
		if (begin <= end && len <= end - begin) {
			*offset = begin;
			*at = i;
			return true;
		}
		if (i < a->n)
			begin = ALIGN(a->block[i].offset + a->block[i].len);
	}
	return false;
}

void fos_area_insert(struct fos_area *a, uint32_t at, uint64_t offset,
		     uint64_t len, uint64_t owner)
{
	memmove(&a->block[at + 1], &a->block[at],
		(a->n - at) * sizeof(a->block[0]));
	a->block[at] = (struct fos_block) {
		.offset = offset,
		.len = len,
		.owner = owner,
	};
	a->n++;
}
