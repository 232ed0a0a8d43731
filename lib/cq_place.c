// SPDX-License-Identifier: MIT
/* cq: places, and the line; see cq.h. */
#include "internal.h"
#include "post.h"

#define NEWS	64

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

static struct fos_cq_place *place_take(struct fos_cq *cq, enum fos_cq_kind kind,
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

bool fos__line_up_missed(struct fos_cq *cq)
{
	struct fos_cq_place *p;

	if (!__atomic_exchange_n(&cq->missed, false, __ATOMIC_SEQ_CST))
		return false;
	for (p = cq->places; p < cq->places + cq->entries; p++)
		if (p->kind == FOS_CQ_ENDPOINT &&
		    __atomic_exchange_n(&p->who.ep->posix.missed, false,
					__ATOMIC_RELAXED))
			fos__line_up(cq, p);
	return true;
}

struct fos_cq_place *fos__line_next(struct fos_cq *cq)
{
	struct fos_cq_place *p = &cq->places[cq->line[cq->first]];

	cq->first = (cq->first + 1) & (cq->entries - 1);
	cq->length--;
	p->in_line = false;
	return p;
}

/* ---- who comes and goes ----------------------------------------------- */

/* Places of endpoints that were closed without a word. */
static void sweep(struct fos_cq *cq)
{
	struct fos_cq_place *p;

	for (p = cq->places; p < cq->places + cq->entries; p++)
		if (p->kind == FOS_CQ_ENDPOINT) {
			if (fos__ep_again(&p->who))
				fos__ep_put(p->who.ep);
			else
				fos__place_free(cq, p);
		}
}

struct fos_cq_place *fos__place_make(struct fos_cq *cq, enum fos_cq_kind kind,
				     uint64_t user_data)
{
	struct fos_cq_place *p = place_take(cq, kind, user_data);

	if (p)
		return p;
	sweep(cq);
	return place_take(cq, kind, user_data);
}

/* News of those who left need not be told: it takes their places with the module. */
static void make_room(struct fos_cq *cq)
{
	struct fos_cq_news news[NEWS];
	struct fos_cq_place *p;
	unsigned int i, n;

	do {
		n = cq->backend->cq_news(cq, news, NEWS);
		for (i = 0; i < n; i++) {
			p = fos__place_of(cq, news[i].name);
			if (p && p->kind == FOS_CQ_TICKET) {
				p->done = true;
				p->res = news[i].res;
			}
			if (p)
				fos__line_up(cq, p);
		}
	} while (n);
	fos__cq_io_pass_on(cq);
}

static int join(struct fos_cq *cq, struct fos_cq_place *p)
{
	int ret = cq->backend->cq_join(cq, p, fos__place_name(cq, p));

	if (ret != -EBUSY)
		return ret;
	make_room(cq);
	return cq->backend->cq_join(cq, p, fos__place_name(cq, p));
}

int fos__place_add(struct fos_cq *cq, int fd, struct fos_ep *ep,
		   uint64_t user_data)
{
	struct fos_cq_place *p = fos__place_make(cq, FOS_CQ_ENDPOINT, user_data);
	int ret;

	if (!p)
		return -EBUSY;
	p->who = (struct fos_ep_name) { ep, ep->id, ep->side, fd };
	p->joined = fd;
	ret = join(cq, p);
	if (ret) {
		fos__place_free(cq, p);
		return ret;
	}
	__atomic_store_n(&ep->cq, cq, __ATOMIC_RELAXED);
	fos__line_up(cq, p);
	/* Without the module no byte tells of replies that lie there. */
	if (ep->backend == &fos__backend_posix && fos__post_is_ready(ep))
		fos__posix_cq_wake(cq);
	return 0;
}

int fos__place_hear(struct fos_cq *cq, int efd)
{
	int ret = cq->backend->cq_hear(cq, efd);

	if (ret != -EBUSY)
		return ret;
	make_room(cq);
	return cq->backend->cq_hear(cq, efd);
}

static struct fos_cq_place *place_of_ep(struct fos_cq *cq, const struct fos_ep *ep)
{
	struct fos_cq_place *p;

	for (p = cq->places; p < cq->places + cq->entries; p++)
		if (p->kind == FOS_CQ_ENDPOINT && fos__is_named(ep, &p->who))
			return p;
	return NULL;
}

int fos__place_remove(struct fos_cq *cq, int fd, struct fos_ep *ep)
{
	struct fos_cq_place *p = ep->cq == cq ? place_of_ep(cq, ep) : NULL;

	if (!p)
		return -ENOENT;
	p->who.fd = fd;
	cq->backend->cq_part(cq, p);
	__atomic_store_n(&ep->cq, NULL, __ATOMIC_RELAXED);
	fos__place_free(cq, p);
	return 0;
}
