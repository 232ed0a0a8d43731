// SPDX-License-Identifier: MIT
#include "in.h"

#include <string.h>

#include "out.h"

/* Copy and claim; false: another thread or a withdrawal was faster. */
static bool take_body(struct op *op, const struct fos_scan *s,
		      const struct fos_found *f, void *buf)
{
	if (!(f->meta & FOS_META_AREA)) {
		fos__copy(buf, f->body, f->len);
		return fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_DONE,
				      &op->bell);
	}
	if (!fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_TAKEN, &op->bell))
		return false;
	memcpy(buf, f->body, f->len);
	fos_ring_done(op->r, f->seq, &op->bell);
	return true;
}

/*
 * A request that cannot be served here is answered with an errno; without room
 * for the answer it is left where it lies.
 */
static void refuse_call(struct op *op, const struct fos_scan *s,
			const struct fos_found *f, int32_t why)
{
	struct out out = {
		.buf = &why,
		.len = sizeof(why),
		.meta = FOS_META_REPLY | FOS_META_REFUSED,
	};

	if (out_place_reply(op, &out))
		return;
	/* The position must be published: token 0 is nobody's reply. */
	if (fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_DONE, &op->bell))
		out.token = f->seq;
	out_publish(op, &out);
}

static FOS_COLD void refuse(struct op *op, const struct fos_scan *s,
			    const struct fos_found *f, int32_t why)
{
	if ((f->meta & FOS_META_KIND) == FOS_META_CALL)
		refuse_call(op, s, f, why);
	else
		fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_REFUSED, &op->bell);
}

static bool is_abandoned(void *ring, uint64_t token)
{
	return fos_ring_is_abandoned(ring, token);
}

/* Owed before it is taken, so that a reply can be given at once. */
static bool owe(struct op *op, uint64_t token)
{
	struct fos_owed *owed = &op->ep->owed;

	if (fos__owed_add(owed, token))
		return true;
	fos__owed_sweep(owed, is_abandoned, op->r);
	return fos__owed_add(owed, token);
}

/* What a refusal says; only what we would say is believed. */
static ssize_t refusal_of(const struct fos_found *f)
{
	int32_t why = 0;

	if (f->len == sizeof(why))
		memcpy(&why, f->body, sizeof(why));
	return why == ENOBUFS ? -ENOBUFS : -E2BIG;
}

/*
 * Copy a reply to whoever waits for it.  -E2BIG: the request did not fit there;
 * -EMSGSIZE: the reply does not fit here.
 */
static void route_reply(struct op *op, const struct fos_scan *s,
			const struct fos_found *f)
{
	struct fos_call *call = fos__call_find(&op->ep->calls, f->token);
	ssize_t result = f->len;

	if (!call) {
		fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_REFUSED, &op->bell);
		return;
	}
	if (!fos__call_route(call, f->token))
		return;
	if ((f->meta & FOS_META_REFUSED) || f->len > call->cap) {
		result = f->meta & FOS_META_REFUSED ? refusal_of(f) : -EMSGSIZE;
		if (!fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_DONE,
				    &op->bell))
			goto lost;
	} else if (!take_body(op, s, f, call->buf)) {
		goto lost;
	}
	fos__call_finish(call, f->token, result);
	return;
lost:
	fos__call_unroute(call, f->token);
}

static bool take(struct op *op, const struct fos_scan *s,
		 const struct fos_found *f, struct in *in)
{
	in->token = 0;
	if ((f->meta & FOS_META_KIND) != FOS_META_CALL)
		return take_body(op, s, f, in->buf);
	if (!owe(op, f->seq)) {
		refuse(op, s, f, ENOBUFS);
		return false;
	}
	in->token = f->seq;
	if (take_body(op, s, f, in->buf))
		return true;
	fos__owed_remove(&op->ep->owed, f->seq);
	return false;
}

/*
 * Take the next message of these kinds; -EAGAIN: there is none.  Replies are
 * handed on to their callers: one that nobody waits for would lie for ever.
 */
static ssize_t take_next(struct op *op, struct in *in, uint64_t seen)
{
	struct fos_found f;
	struct fos_scan s;
	int ret;

	fos_ring_scan_begin(op->r, &s, seen);
	while ((ret = fos_ring_scan(op->r, &s,
				    in->kinds | KIND_BIT(FOS_META_REPLY),
				    &f))) {
		if (ret < 0) {
			if (fos_ring_claim(op->r, &s, f.seq, FOS_CLAIM_REFUSED,
					   &op->bell))
				return ret;
			continue;
		}
		if ((f.meta & FOS_META_KIND) == FOS_META_REPLY) {
			route_reply(op, &s, &f);
			continue;
		}
		if (f.len > in->cap) {
			refuse(op, &s, &f, EMSGSIZE);
			continue;
		}
		if (!take(op, &s, &f, in))
			continue;
		if (op_polls(op))
			op_begin_turn(op);
		return f.len;
	}
	return -EAGAIN;
}

/* Look everywhere; death first, so that what was published before is taken. */
static ssize_t take_any(struct op *op, struct in *in, uint64_t *seen)
{
	const bool dead = fos_ring_peer_dead(op->r);
	ssize_t ret = -EAGAIN;

	*seen = fos_ring_seen(op->r);
	if (!fos_ring_is_idle(op->r, *seen))
		ret = take_next(op, in, *seen);
	return ret == -EAGAIN && dead ? -EPIPE : ret;
}

/* All that poll() calls readable, whatever the peer's counters say. */
static ssize_t take_anywhere(struct op *op, struct in *in)
{
	const bool dead = fos_ring_peer_dead(op->r);
	ssize_t ret = take_next(op, in, FOS_SEEN_ALL);

	return ret == -EAGAIN && dead ? -EPIPE : ret;
}

static ssize_t receive_wait(struct op *op, struct in *in)
{
	uint64_t seen;
	ssize_t ret;

	for (;;) {
		ret = take_any(op, in, &seen);
		if (ret != -EAGAIN)
			return ret;
		/* A want for each kind of message, in the same order. */
		ret = op_wait(op, in->kinds * FOS_WANT_MSG, seen);
		if (ret)
			return ret;
		if (fos_ring_peek(op->r)) {
			ret = take_next(op, in, 0);
			if (ret != -EAGAIN)
				return ret;
		}
	}
}

/*
 * The bell that woke us was for one thread and one message; we may have taken
 * another one.
 */
static void wake_next(struct op *op)
{
	const uint32_t others = fos_ring_left_behind(op->r);

	if (fos_unlikely(others) && !op_check(op))
		op->ep->backend->bell_self(op->fd, others);
}

ssize_t in_receive(struct op *op, struct in *in, int flags)
{
	ssize_t ret;

	/* First a look at one line; the peer's counters cost another. */
	if (fos_ring_peek(op->r)) {
		ret = take_next(op, in, 0);
		if (ret != -EAGAIN)
			return ret;
	}
	if (flags & FOS_NONBLOCK)
		return take_anywhere(op, in);
	fos_ring_enter_wait(op->r, &op->bell);
	ret = receive_wait(op, in);
	fos_ring_leave_wait(op->r);
	if (op->waits)
		wake_next(op);
	return ret;
}

int in_replies(struct op *op, struct fos_call *call, uint64_t seen)
{
	struct fos_found f;
	struct fos_scan s;
	int ret;

	fos_ring_scan_begin(op->r, &s, seen);
	while ((ret = fos_ring_scan(op->r, &s, KIND_BIT(FOS_META_REPLY), &f))) {
		if (ret < 0) {
			if (fos_ring_claim(op->r, &s, f.seq, FOS_CLAIM_REFUSED,
					   &op->bell))
				return ret;
			continue;
		}
		route_reply(op, &s, &f);
		if (fos__call_is_routed(call))
			return 1;
	}
	return fos__call_is_routed(call);
}

