// SPDX-License-Identifier: MIT
#include "lend.h"

#include <errno.h>
#include <string.h>

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define LOAD_ACQ(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)

void fos_lend_init(struct fos_lend *l)
{
	memset(l, 0, sizeof(*l));
}

/* ---- mine ------------------------------------------------------------- */

/* The lowest: the peer looks for his in as few slots as possible. */
int fos_lend_take(struct fos_lend *l, uint32_t depth)
{
	uint32_t slot;

	for (slot = 0; slot < depth; slot++) {
		if (l->mine[slot].handle)
			continue;
		l->mine[slot].handle = ++l->count << 8 | slot;
		l->mine[slot].state = FOS_BUF_OWN;
		return slot;
	}
	return -EAGAIN;
}

void fos_lend_drop(struct fos_lend *l, uint32_t slot)
{
	l->mine[slot].handle = 0;
}

bool fos_lend_is_back(const struct fos_lend *l, const struct fos_ring *r,
		      uint32_t slot)
{
	const struct fos_mine *mine = &l->mine[slot];

	return LOAD_ACQ(&mine->state) == FOS_BUF_LENT &&
	       LOAD_ACQ(&r->m.peer_returned[slot]) == mine->handle;
}

bool fos_lend_is_early(const struct fos_lend *l, const struct fos_ring *r,
		       uint32_t slot)
{
	const struct fos_mine *mine = &l->mine[slot];
	const uint64_t handle = LOAD(&mine->handle);

	/* Or noted by now: look again. */
	return handle && LOAD_ACQ(&mine->state) != FOS_BUF_OWN &&
	       LOAD_ACQ(&r->m.peer_returned[slot]) == handle;
}

/* ---- the peer's ------------------------------------------------------- */

static bool copy(const struct fos_ring *r, const struct fos_lent *from,
		 struct fos_lent *to)
{
	to->handle = LOAD(&from->handle);
	to->offset = LOAD(&from->offset);
	to->len = LOAD(&from->len);
	return FOS_LENT_SLOT(to->handle) < r->m.depth && to->len &&
	       to->offset <= r->m.area_bytes &&
	       to->len <= r->m.area_bytes - to->offset;
}

static bool copy_sent(const struct fos_sent *from, struct fos_sent *to)
{
	to->stamp = LOAD(&from->stamp);
	to->count = LOAD(&from->count);
	return to->count <= FOS_SENT_MAX;
}

/* Apart from what has no buffers. */
__attribute__((noinline))
bool fos_lend_copy(const struct fos_ring *r, struct fos_found *f)
{
	const struct fos_lent *from = (const void *)f->body;
	const uint32_t n = fos_buffers(f->meta);
	uint32_t i;

	if (n > FOS_LENT_MAX)
		return false;
	for (i = 0; i < n; i++)
		if (!copy(r, &from[i], &f->lent[i]))
			return false;
	f->body = (const void *)&from[n];
	if (!fos_has_fds(f->meta))
		return true;
	f->body += sizeof(struct fos_sent);
	return copy_sent((const void *)&from[n], &f->sent);
}

int fos_lend_hold(struct fos_lend *l, const struct fos_ring *r,
		  const struct fos_lent *lent)
{
	const uint32_t slot = FOS_LENT_SLOT(lent->handle);
	struct fos_held *held = &l->held[slot];
	uint32_t to = LOAD(&l->held_to);
	uintptr_t none = 0;

	while (slot >= to &&
	       !__atomic_compare_exchange_n(&l->held_to, &to, slot + 1, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	if (!__atomic_compare_exchange_n(&held->at, &none,
					 (uintptr_t)r->m.peer_area + lent->offset,
					 false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return -EPROTO;
	/* Whoever releases it was told of it by whoever took it. */
	STORE(&held->handle, lent->handle);
	return 0;
}

void fos_lend_give_back(struct fos_ring *r, uint64_t handle, uint32_t *bell)
{
	uint64_t *word = &r->m.my_returned[FOS_LENT_SLOT(handle)];
	uint64_t was = LOAD(word);

	/*
	 * What was read before; and the fence before reading need_wakeup.  Not
	 * over a later handle: that of a reply which came too late may be given
	 * back when its sender was told so, has sent the buffer again, and has it
	 * back.
	 */
	do {
		if (was >= handle)
			return;
	} while (!__atomic_compare_exchange_n(word, &was, handle, false,
					      __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	*bell |= __atomic_load_n(r->m.peer_wants, __ATOMIC_SEQ_CST) &
		 FOS_WANT_CLAIMS;
}

int fos_lend_return(struct fos_lend *l, struct fos_ring *r, const void *at,
		    uint32_t *bell)
{
	const uint32_t to = LOAD(&l->held_to);
	uintptr_t was = (uintptr_t)at;
	uint64_t handle;
	uint32_t slot;

	for (slot = 0; at && slot < to; slot++) {
		if (LOAD(&l->held[slot].at) != was)
			continue;
		handle = LOAD(&l->held[slot].handle);
		if (!__atomic_compare_exchange_n(&l->held[slot].at, &was, 0,
						 false, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			return -EINVAL;
		fos_lend_give_back(r, handle, bell);
		return 0;
	}
	return -EINVAL;
}
