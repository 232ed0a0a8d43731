// SPDX-License-Identifier: MIT
#include "out.h"

#include <string.h>

#include "msg_fds.h"

/* How long a reply waits for a block; also in fos_reply(3). */
#define PATIENCE_NS	100000000

/* A block's owner is an entry or, with this bit, a token, or an OUT_BUFFER. */
#define OWNER_TOKEN	(1ULL << 63)

static inline bool is_reply(const struct out *out)
{
	return (out->meta & FOS_META_KIND) == FOS_META_REPLY;
}

/*
 * A caller who gave up releases the block of his reply, but not before it has
 * been written: we may be at it just now.
 */
static bool owner_is_done(void *arg, uint64_t owner)
{
	struct fos_ep *ep = arg;

	if (owner & OUT_BUFFER) {
		owner &= ~OUT_BUFFER;
		if (!fos_lend_is_back(&ep->lend, &ep->ring, owner))
			return false;
		fos_lend_drop(&ep->lend, owner);
		return true;
	}
	if (owner & OWNER_TOKEN)
		return fos_ring_is_released(&ep->ring, owner & ~OWNER_TOKEN) &&
		       !fos__owed_is_writing(&ep->owed, owner & ~OWNER_TOKEN);
	return fos_ring_is_free(&ep->ring, owner);
}

static int place_slot(struct op *op, struct out *out, struct room *room)
{
	int ret = fos_ring_reserve(op->r, &out->seq);

	room->want = FOS_WANT_ROOM;
	room->arg = out->seq;
	return ret;
}

void out_sweep(struct op *op)
{
	fos_area_sweep(&op->ep->area, owner_is_done, op->ep);
}

static bool find_block(struct op *op, struct out *out, uint32_t *at)
{
	out_sweep(op);
	return fos_area_find(&op->ep->area, out->len, 1, &out->offset, at);
}

static __attribute__((noinline)) int
place_block(struct op *op, struct out *out, struct room *room)
{
	uint64_t owner = out->token | OWNER_TOKEN;
	uint32_t at;
	int ret;

	if (!find_block(op, out, &at)) {
		/* What we shall wait on, and then one more look. */
		room->want = FOS_WANT_CLAIMS;
		room->arg = fos_ring_claims_sum(op->r);
		if (!find_block(op, out, &at))
			return -EAGAIN;
	}
	if (!is_reply(out)) {
		ret = place_slot(op, out, room);
		if (ret)
			return ret;
		owner = out->seq;
	}
	fos_area_insert(&op->ep->area, at, out->offset, out->len, owner);
	if (is_reply(out))
		__atomic_store_n(&op->ep->stuck, false, __ATOMIC_RELAXED);
	return 0;
}

int out_place(struct op *op, struct out *out, struct room *room)
{
	int ret;

	if (!(out->meta & FOS_META_AREA))
		return is_reply(out) ? 0 : place_slot(op, out, room);
	pthread_mutex_lock(&op->ep->area_lock);
	ret = place_block(op, out, room);
	pthread_mutex_unlock(&op->ep->area_lock);
	return ret;
}

static bool returns_early(struct op *op)
{
	const struct fos_lend *l = &op->ep->lend;
	bool early = false;
	uint32_t slot;

	pthread_mutex_lock(&op->ep->area_lock);
	for (slot = 0; slot < op->r->m.depth && !early; slot++)
		early = fos_lend_is_early(l, op->r, slot);
	pthread_mutex_unlock(&op->ep->area_lock);
	return early;
}

/*
 * The peer may have given a buffer back whose sender, a thread of mine, has yet to
 * note that it went: @sum tells of it already, the sweep does not take it.  Then
 * another sum is waited for, which ends at once; unless it is too late.
 */
int out_wait_claims(struct op *op, uint64_t sum)
{
	if (fos_unlikely(returns_early(op))) {
		fos__nap();
		sum = ~sum;
	}
	return op_wait(op, FOS_WANT_CLAIMS, sum);
}

/*
 * No room: wait for it.  A slot that was refused is free for the kernel, but
 * not before its sender, another thread of mine, has seen it: let him run.
 */
static FOS_COLD int out_wait_room(struct op *op, struct out *out,
				  struct room *room)
{
	int ret;

	op_take_owed(op);
	do {
		if (fos_ring_peer_dead(op->r))
			return -EPIPE;
		ret = room->want == FOS_WANT_CLAIMS ?
		      out_wait_claims(op, room->arg) :
		      op_wait(op, room->want, room->arg);
		if (ret)
			return ret;
		ret = out_place(op, out, room);
		if (ret == -EAGAIN && room->want == FOS_WANT_ROOM &&
		    fos_ring_is_free(op->r, room->arg))
			fos__nap();
	} while (ret == -EAGAIN);
	return ret;
}

int out_place_wait(struct op *op, struct out *out)
{
	struct room room;
	int ret;

	ret = out_place(op, out, &room);
	if (fos_unlikely(ret == -EAGAIN))
		ret = out_wait_room(op, out, &room);
	return ret;
}

/*
 * The area is full of what the peer has yet to read, perhaps because its
 * readers were preempted.  They get a few time slices, once until a block has
 * found room again: a client that is stopped, or releases nothing of use, must
 * not cost as much for each of its replies.
 */
static FOS_COLD int out_wait_briefly(struct op *op, struct out *out,
				     struct room *room)
{
	const uint64_t deadline_ns = op->deadline_ns;
	int ret;

	if (__atomic_load_n(&op->ep->stuck, __ATOMIC_RELAXED))
		return -ENOBUFS;
	op->deadline_ns = fos__now_ns() + PATIENCE_NS;
	do {
		ret = out_wait_room(op, out, room);
	} while (ret == -EINTR);
	op->deadline_ns = deadline_ns;
	if (ret != -ETIMEDOUT)
		return ret;
	__atomic_store_n(&op->ep->stuck, true, __ATOMIC_RELAXED);
	return -ENOBUFS;
}

int out_place_reply(struct op *op, struct out *out)
{
	struct room room;
	int ret;

	ret = out_place(op, out, &room);
	if (fos_unlikely(ret == -EAGAIN))
		ret = out_wait_briefly(op, out, &room);
	return ret;
}

static FOS_APART void fill_msg(struct op *op, const struct out *out,
			       unsigned char *body)
{
	const size_t lent = fos_buffers(out->meta) * sizeof(struct fos_lent);

	if (lent)
		memcpy(body, out->lending->lent, lent);
	body += lent;
	if (out->meta & FOS_META_FDS) {
		if (!is_reply(out))
			fds_go(op, out);
		memcpy(body, &out->lending->sent, sizeof(struct fos_sent));
		body += sizeof(struct fos_sent);
	}
	if (out->meta & FOS_META_AREA) {
		memcpy(body, &out->offset, sizeof(out->offset));
		body = op->r->m.my_area + out->offset;
	}
	fos__gather(body, out->msg);
}

/* All but its seq. */
static inline void fill(struct op *op, const struct out *out,
			struct fos_entry *e)
{
	e->token = out->token;
	e->len = out->len;
	e->meta = out->meta;
	e->hint = op_hint(op);
	if (fos_unlikely(out->msg)) {
		fill_msg(op, out, e->body);
	} else if (out->meta & FOS_META_AREA) {
		e->offset = out->offset;
		memcpy(op->r->m.my_area + out->offset, out->buf, out->len);
	} else {
		fos__copy(e->body, out->buf, out->len);
	}
}

void out_publish(struct op *op, const struct out *out)
{
	struct fos_entry *e = fos_ring_entry(op->r, out->seq);

	fill(op, out, e);
	op->bell |= fos_ring_publish(op->r, e, out->seq);
}

void out_publish_reply(struct op *op, const struct out *out)
{
	struct fos_entry *e = fos_ring_reply_entry(op->r, out->token);

	fill(op, out, e);
	op->bell |= fos_ring_reply(op->r, e, out->token);
}
