// SPDX-License-Identifier: MIT
/* cq: places, and the line; see cq.h. */
#include "internal.h"

uint64_t fos__place_name(const struct fos_cq *cq, const struct fos_cq_place *p)
{
	return (uint64_t)p->generation << 32 | (p - cq->places);
}

struct fos_cq_place *fos__place_of(struct fos_cq *cq, uint64_t name)
{
	struct fos_cq_place *p;

	if ((uint32_t)name >= cq->entries)
		return NULL;
	p = &cq->places[(uint32_t)name];
	return p->kind != FOS_CQ_FREE && p->generation == name >> 32 ? p : NULL;
}

struct fos_cq_place *fos__place_take(struct fos_cq *cq, enum fos_cq_kind kind,
				     uint64_t user_data)
{
	struct fos_cq_place *p;

	if (cq->free == cq->entries)
		return NULL;
	p = &cq->places[cq->free];
	cq->free = p->next;
	p->kind = kind;
	p->done = false;
	p->user_data = user_data;
	p->told = 0;
	return p;
}

void fos__place_free(struct fos_cq *cq, struct fos_cq_place *p)
{
	p->kind = FOS_CQ_FREE;
	p->generation++;
	p->next = cq->free;
	cq->free = p - cq->places;
}

void fos__line_up(struct fos_cq *cq, struct fos_cq_place *p)
{
	if (p->in_line)
		return;
	p->in_line = true;
	cq->line[(cq->first + cq->length++) & (cq->entries - 1)] =
		p - cq->places;
}

struct fos_cq_place *fos__line_next(struct fos_cq *cq)
{
	struct fos_cq_place *p = &cq->places[cq->line[cq->first]];

	cq->first = (cq->first + 1) & (cq->entries - 1);
	cq->length--;
	p->in_line = false;
	return p;
}
