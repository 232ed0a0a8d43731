// SPDX-License-Identifier: MIT
#include "area.h"

#include <string.h>

/* Blocks begin on cache lines: a copy never shares one with its neighbour. */
#define LINE		64ULL
#define ALIGN(n, to)	(((n) + (to) - 1) & ~((uint64_t)(to) - 1))

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

bool fos_area_find(const struct fos_area *a, uint64_t len, uint64_t align,
		   uint64_t *offset, uint32_t *at)
{
	uint64_t begin = 0, end;
	uint32_t i;

	if (a->n == a->max)
		return false;
	for (i = 0; i <= a->n; i++) {
		end = i < a->n ? a->block[i].offset : a->bytes;
		begin = ALIGN(begin, align < LINE ? LINE : align);
		if (begin <= end && len <= end - begin) {
			*offset = begin;
			*at = i;
			return true;
		}
		if (i < a->n)
			begin = a->block[i].offset + a->block[i].len;
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

const struct fos_block *fos_area_at(const struct fos_area *a, uint64_t offset)
{
	uint32_t i;

	for (i = 0; i < a->n && a->block[i].offset <= offset; i++)
		if (offset - a->block[i].offset < a->block[i].len)
			return &a->block[i];
	return NULL;
}

void fos_area_remove(struct fos_area *a, const struct fos_block *block)
{
	const uint32_t at = block - a->block;

	a->n--;
	memmove(&a->block[at], &a->block[at + 1],
		(a->n - at) * sizeof(a->block[0]));
}
