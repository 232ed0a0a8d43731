// SPDX-License-Identifier: MIT
/* chan: what people call. */
#include "internal.h"

#include "in.h"
#include "op.h"
#include "out.h"

static __thread int last_delivered;

/* ---- send ------------------------------------------------------------- */

/* Nobody has taken it yet and we leave with @why: or did somebody just now? */
static FOS_COLD int send_give_up(struct op *op, uint64_t seq, int why)
{
	int ret = op_withdraw(op, seq);

	if (ret < 0)
		return ret;
	return ret ? why : 0;
}

static int send_wait(struct op *op, uint64_t seq)
{
	bool dead;
	int fate, ret;

	for (;;) {
		dead = fos_ring_peer_dead(op->r);
		fate = fos_ring_fate(op->r, seq);
		if (fate == -EPROTO || fate == FOS_CLAIM_WITHDRAWN)
			return -EPROTO;
		if (fate == FOS_CLAIM_REFUSED)
			return -EMSGSIZE;
		if (fate != FOS_FATE_NONE)
			return 0;
		ret = dead ? -EPIPE : op_wait(op, FOS_WANT_TAKE, seq);
		if (!ret)
			continue;
		ret = send_give_up(op, seq, ret);
		if (ret)
			return ret;
	}
}

static ssize_t send_blocking(struct op *op, struct out *out)
{
	int ret;

	ret = out_place_wait(op, out);
	if (ret)
		return ret;
	fos_ring_await(op->r, out->seq);
	out_publish(op, out);
	ret = send_wait(op, out->seq);
	fos_ring_end_await(op->r, out->seq);
	return ret ? ret : (ssize_t)out->len;
}

/*
 * Somebody must be there for it now; he may leave while we publish, so look
 * again afterwards.
 */
static ssize_t send_nonblock(struct op *op, struct out *out)
{
	struct room room;
	int ret;

	if (!fos_ring_has_taker(op->r, fos_ring_next(op->r)))
		return -EAGAIN;
	ret = out_place(op, out, &room);
	if (ret)
		return ret;
	out_publish(op, out);
	if (fos_ring_has_taker(op->r, out->seq)) {
		if (op->ep->backend->published && !op_check(op))
			op->ep->backend->published(op->ep, op->fd);
		return out->len;
	}
	ret = send_give_up(op, out->seq, -EAGAIN);
	return ret ? ret : (ssize_t)out->len;
}

FOS_HOT FOS_API ssize_t fos_send(int fd, const void *buf, size_t len, int flags)
{
	struct out out = { .buf = buf, .len = len, .meta = FOS_META_MSG };
	struct op op;
	ssize_t ret;

	if ((flags & ~FOS_NONBLOCK) || (!buf && len))
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, NULL);
	if (ret)
		return fos__ret(ret);
	if (!out_fits(&op, len))
		ret = -EMSGSIZE;
	else if (fos_ring_peer_dead(op.r))
		ret = -EPIPE;
	else if (flags & FOS_NONBLOCK)
		ret = send_nonblock(&op, &out);
	else
		ret = send_blocking(&op, &out);
	return op_end(&op, ret);
}

/* ---- reply ------------------------------------------------------------ */

static int answer(struct op *op, struct out *out)
{
	int ret;

	if (fos_ring_is_stale(op->r, out->token))
		return -ESTALE;
	if (fos_ring_peer_dead(op->r))
		return -EPIPE;
	ret = out_place_reply(op, out);
	if (ret)
		return ret;
	out_publish_reply(op, out);
	return fos_ring_is_given_up(op->r, out->token) ? -ESTALE : 0;
}

static int reply(struct op *op, uint64_t token, const void *rsp, size_t n)
{
	struct out out = {
		.buf = rsp,
		.len = n,
		.meta = FOS_META_REPLY,
		.token = token,
	};
	struct fos_owed *owed = &op->ep->owed;
	int ret;

	if (!out_fits(op, n))
		return -EMSGSIZE;
	if (!fos__owed_begin(owed, token))
		return -ESTALE;
	ret = answer(op, &out);
	/* EBADF: another descriptor may do. */
	if (fos_unlikely(ret == -ENOBUFS || ret == -EBADF))
		fos__owed_keep(owed, token);
	else
		fos__owed_end(owed, token);
	return ret;
}

FOS_API int fos_reply(int fd, uint64_t token, const void *rsp, size_t n)
{
	struct op op;
	int ret;

	if (!rsp && n)
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, NULL);
	if (ret)
		return fos__ret(ret);
	return op_end(&op, reply(&op, token, rsp, n));
}

/* ---- receive ---------------------------------------------------------- */

FOS_HOT FOS_API ssize_t fos_recv(int fd, void *buf, size_t len, int flags)
{
	struct in in = {
		.kinds = KIND_BIT(FOS_META_MSG),
		.buf = buf,
		.cap = len,
	};
	struct op op;
	int ret;

	if ((flags & ~FOS_NONBLOCK) || (!buf && len))
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, NULL);
	if (ret)
		return fos__ret(ret);
	return op_end(&op, in_receive(&op, &in, flags));
}

/* *@token is 0 as soon as there is nothing to answer any more. */
static int reply_first(struct op *op, uint64_t *token, const void *rsp,
		       size_t n)
{
	int ret = reply(op, *token, rsp, n);

	if (ret != -EMSGSIZE && ret != -ENOBUFS)
		*token = 0;
	return ret;
}

FOS_HOT FOS_API ssize_t fos_reply_recv(int fd, uint64_t *token, const void *rsp,
				       size_t n, void *req, size_t cap,
				       const struct timespec *deadline)
{
	struct in in = {
		.kinds = KIND_BIT(FOS_META_MSG) | KIND_BIT(FOS_META_CALL),
		.buf = req,
		.cap = cap,
	};
	struct op op;
	ssize_t ret;

	if (!token || (!rsp && n && *token) || (!req && cap))
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	/* Before the reply: whoever got it finds us waiting for his next one. */
	in_enter(&op, &in);
	ret = *token ? reply_first(&op, token, rsp, n) : 0;
	if (!ret)
		ret = in_receive_entered(&op, &in);
	/* It may still take one when the deadline has passed. */
	ret = in_leave(&op, &in, ret);
	if (ret >= 0)
		*token = in.token;
	return op_end(&op, ret);
}

/* ---- call ------------------------------------------------------------- */

/**
 * struct call - a call under way
 * @token: what its reply will carry
 * @rsp: where that goes
 * @cap: room there
 */
struct call {
	uint64_t token;
	void *rsp;
	size_t cap;
};

static ssize_t call_reply(struct op *op, const struct call *c)
{
	return in_reply(op, c->token, c->rsp, c->cap);
}

/*
 * Leave with @why unless the reply is there after all.  A request that was
 * delivered is released, so that its reply is stale.
 */
static FOS_COLD ssize_t call_give_up(struct op *op, const struct call *c,
				     uint64_t seq, int why)
{
	int ret = op_withdraw(op, seq);

	if (ret == 1)
		return why;
	op->delivered = !ret || fos_ring_fate(op->r, seq) != FOS_FATE_NONE;
	if (!fos_ring_give_up(op->r, c->token, &op->bell))
		return call_reply(op, c);
	if (ret < 0)
		return ret;
	return why == -EPIPE ? -ECONNRESET : why;
}

static ssize_t call_wait(struct op *op, const struct call *c, uint64_t seq)
{
	bool dead;
	int ret;

	/* Wait, then look: nobody answers before he was asked. */
	for (;;) {
		ret = op_wait(op, FOS_WANT_REPLY, c->token);
		/* Death first: what was replied before it counts. */
		dead = fos_ring_peer_dead(op->r);
		if (fos_ring_has_reply(op->r, c->token))
			return call_reply(op, c);
		if (!ret && dead)
			ret = -EPIPE;
		if (fos_unlikely(ret))
			return call_give_up(op, c, seq, ret);
	}
}

static ssize_t call(struct op *op, struct out *out, struct call *c)
{
	int slot = fos__call_begin(&op->ep->calls, op->deadline_ns);
	ssize_t ret;

	if (slot < 0)
		return slot;
	ret = out_place_wait(op, out);
	if (!ret) {
		c->token = FOS_TOKEN(out->seq, slot);
		out->token = c->token;
		out_publish(op, out);
		ret = call_wait(op, c, out->seq);
		if (op_polls(op))
			op_begin_turn(op);
	}
	fos__call_end(&op->ep->calls, slot);
	return ret;
}

FOS_HOT FOS_API ssize_t fos_call(int fd, const void *req, size_t n, void *rsp,
				 size_t cap, const struct timespec *deadline)
{
	struct out out = { .buf = req, .len = n, .meta = FOS_META_CALL };
	struct call c = { .rsp = rsp, .cap = cap };
	struct op op;
	ssize_t ret;

	last_delivered = 0;
	if ((!req && n) || (!rsp && cap))
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	if (!out_fits(&op, n))
		ret = -E2BIG;
	else if (fos_ring_peer_dead(op.r))
		ret = -EPIPE;
	else
		ret = call(&op, &out, &c);
	if (fos_unlikely(ret < 0))
		last_delivered = op.delivered || ret == -EMSGSIZE;
	return op_end(&op, ret == -E2BIG ? -EMSGSIZE : ret);
}

FOS_API int fos_delivered(void)
{
	return last_delivered;
}

/* ---- creation --------------------------------------------------------- */

FOS_API int fos_channel(int fd[2], const struct fos_chan_attr *attr)
{
	struct fos_chan_attr a;
	int ret;

	ret = fd ? fos__attr_complete(&a, attr) : -EINVAL;
	return fos__ret(ret ? ret : fos__create(&a, fd));
}
