// SPDX-License-Identifier: MIT
#include "post.h"

#include "chan.h"

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define STORE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)

/* ---- sending ---------------------------------------------------------- */

static int place(struct op *op, struct out *out, int flags)
{
	struct room room;

	return flags & FOS_NONBLOCK ? out_place(op, out, &room) :
				      out_place_wait(op, out);
}

static int post_call(struct op *op, struct out *out, int flags)
{
	struct fos_calls *calls = &op->ep->calls;
	int slot = fos__call_try(calls);
	int ret;

	/* Who waited for a slot here would wait for himself to collect. */
	if (slot < 0)
		return slot;
	ret = place(op, out, flags);
	if (ret) {
		fos__call_end(calls, slot);
		return ret;
	}
	out->token = FOS_TOKEN(out->seq, slot);
	STORE(&calls->posted[slot], out->token);
	out_publish(op, out);
	return 0;
}

static int post_msg(struct op *op, struct out *out, int flags)
{
	int ret = place(op, out, flags);

	if (!ret)
		out_publish(op, out);
	return ret;
}

ssize_t post_send(struct op *op, struct out *out, int flags)
{
	int ret = out->meta & FOS_META_CALL ? post_call(op, out, flags) :
					      post_msg(op, out, flags);

	if (fos_unlikely(ret))
		return ret;
	chan_published(op);
	if (flags & FOS_MORE)
		op_owe(op);
	return out->len;
}

/* ---- collecting ------------------------------------------------------- */

/* Of two threads that want it, one gets it. */
static bool take(struct fos_calls *calls, uint64_t token)
{
	uint64_t was = token;

	return __atomic_compare_exchange_n(
		&calls->posted[FOS_TOKEN_SLOT(token)], &was, 0, false,
		__ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/**
 * struct search - for a call that can be collected
 * @token: which, 0: any
 * @found: out: taken from those outstanding, or 0
 * @left: out: there are some that will not do
 */
struct search {
	uint64_t token;
	uint64_t found;
	bool left;
};

static void look_at(struct op *op, struct search *s, uint32_t slot, bool dead)
{
	const uint64_t token = LOAD(&op->ep->calls.posted[slot]);

	if (!token || (s->token && s->token != token))
		return;
	if (!dead && !fos_ring_is_answered(op->r, token))
		s->left = true;
	/* Else another thread has it, who will not leave it to us. */
	else if (take(&op->ep->calls, token))
		s->found = token;
}

static void look_at_all(struct op *op, struct search *s, bool dead)
{
	struct fos_calls *calls = &op->ep->calls;
	const uint32_t depth = op->r->m.depth, from = LOAD(&calls->next);
	uint32_t i, slot;

	for (i = 0; i < depth && !s->found; i++) {
		slot = (from + i) & (depth - 1);
		look_at(op, s, slot, dead);
		if (s->found)
			STORE(&calls->next, slot + 1);
	}
}

/* What was answered comes before what is lost. */
static void look(struct op *op, struct search *s)
{
	/* Death first: what was replied before it counts. */
	const bool dead = fos_ring_peer_dead(op->r);

	s->left = false;
	if (s->token) {
		look_at(op, s, FOS_TOKEN_SLOT(s->token), dead);
		return;
	}
	look_at_all(op, s, false);
	if (fos_unlikely(dead && !s->found))
		look_at_all(op, s, true);
}

/* -EAGAIN: all that are outstanding have yet to be answered. */
static int find(struct op *op, struct search *s, uint64_t *sum, int flags)
{
	look(op, s);
	if (!s->found && s->left) {
		/* What we shall wait on, and then one more look. */
		if (flags & FOS_NONBLOCK)
			op_attend(op, FOS_WANT_REPLIES, 0);
		else if (!s->token)
			*sum = fos_ring_replies_sum(op->r);
		look(op, s);
	}
	if (s->found)
		return 0;
	return s->left ? -EAGAIN : -ENOMSG;
}

/* *@token: in: which, 0: any; out: which it was. */
static FOS_APART int find_wait(struct op *op, uint64_t *token, int flags)
{
	struct search s = { .token = *token };
	uint64_t sum = 0;
	int ret;

	for (;;) {
		ret = find(op, &s, &sum, flags);
		if (!ret)
			*token = s.found;
		if (ret != -EAGAIN || (flags & FOS_NONBLOCK))
			return ret;
		ret = s.token ? op_wait(op, FOS_WANT_REPLY, s.token) :
				op_wait(op, FOS_WANT_REPLIES, sum);
		if (ret)
			return ret;
	}
}

ssize_t post_collect(struct op *op, struct in *in, uint64_t *token, int flags)
{
	uint64_t which = *token;
	bool there;
	ssize_t ret;

	chan_begin_call();
	if (FOS_TOKEN_SLOT(which) >= op->r->m.depth)
		return -ENOMSG;
	there = which && fos_ring_has_reply(op->r, which) &&
		take(&op->ep->calls, which);
	if (!there) {
		ret = find_wait(op, token, flags);
		if (ret)
			return ret;
		which = *token;
		there = fos_ring_has_reply(op->r, which);
	}
	if (there)
		ret = in_reply(op, which, in);
	else
		ret = chan_give_up(op, which, in, fos_ring_peer_dead(op->r) ?
				   -EPIPE : -EPROTO);
	fos__call_end(&op->ep->calls, FOS_TOKEN_SLOT(which));
	op_picked_up(op);
	return chan_end_call(op, ret);
}

bool fos__post_is_ready(struct fos_ep *ep)
{
	const uint32_t depth = ep->ring.m.depth;
	uint64_t token;
	uint32_t slot;

	for (slot = 0; slot < depth; slot++) {
		token = LOAD(&ep->calls.posted[slot]);
		if (token && fos_ring_is_answered(&ep->ring, token))
			return true;
	}
	return false;
}

void post_abandon(struct op *op, uint64_t token)
{
	struct in nowhere = { .cap = 0 };

	if (!take(&op->ep->calls, token))
		return;
	/* A reply that is there goes the way of one that has no room. */
	chan_give_up(op, token, &nowhere, -EPROTO);
	fos__call_end(&op->ep->calls, FOS_TOKEN_SLOT(token));
}

/* ---- what people call ------------------------------------------------- */

FOS_HOT FOS_API int fos_post(int fd, const void *req, size_t n, uint64_t *token,
			     int flags, const struct timespec *deadline)
{
	struct out out = { .buf = req, .len = n, .meta = FOS_META_CALL };
	struct op op;
	ssize_t ret;

	if ((flags & ~(FOS_NONBLOCK | FOS_MORE)) || !token || (!req && n))
		return fos__ret(-EINVAL);
	ret = op_begin_owing(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	ret = chan_send(&op, &out, FOS_POST | flags);
	/* An error may last until the peer has been told of those before. */
	if (ret < 0 || !(flags & FOS_MORE))
		op_take_owed(&op);
	if (ret >= 0) {
		*token = out.token;
		ret = 0;
	}
	return op_end(&op, ret);
}

FOS_HOT FOS_API ssize_t fos_collect(int fd, uint64_t *token, void *rsp,
				    size_t cap, int flags,
				    const struct timespec *deadline)
{
	struct in in = { .buf = rsp, .cap = cap };
	struct op op;
	int ret;

	if ((flags & ~FOS_NONBLOCK) || !token || (!rsp && cap))
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	return op_end(&op, post_collect(&op, &in, token, flags));
}
