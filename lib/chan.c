// SPDX-License-Identifier: MIT
/* chan: what people call. */
#include "bells.h"
#include "internal.h"

#include "buf.h"
#include "chan.h"
#include "post.h"

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

void chan_published(struct op *op)
{
	int fd;

	if (!op->ep->backend->published)
		return;
	/* Mine may be closed by now: then another one of the endpoint. */
	fd = op_fd(op);
	if (fd >= 0)
		op->ep->backend->published(op->ep, fd);
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
		chan_published(op);
		return out->len;
	}
	ret = send_give_up(op, out->seq, -EAGAIN);
	return ret ? ret : (ssize_t)out->len;
}

ssize_t chan_send(struct op *op, struct out *out, int flags)
{
	ssize_t ret;

	if (!out_fits(op, out))
		ret = -EMSGSIZE;
	else if (fos_ring_peer_dead(op->r))
		ret = -EPIPE;
	else if (!flags)
		ret = send_blocking(op, out);
	else if (flags & FOS_POST)
		ret = post_send(op, out, flags);
	else
		ret = send_nonblock(op, out);
	buf_lent(op, out, ret >= 0);
	return ret;
}

FOS_HOT FOS_API ssize_t fos_send(int fd, const void *buf, size_t len, int flags)
{
	struct out out = { .buf = buf, .len = len, .meta = FOS_META_MSG };
	struct op op;
	ssize_t ret;

	if (!chan_flags_ok(flags) || (!buf && len))
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, NULL);
	if (ret)
		return fos__ret(ret);
	return op_end(&op, chan_send(&op, &out, flags));
}

/* ---- reply ------------------------------------------------------------ */

/* Looks at a caller who is about to go, with naps between them: 2 ms. */
#define GOING_LOOKS	40

/*
 * My reply is published: has the caller gone without it?  One who is about to go
 * looks for it once more and then says.  If he is stopped there, it passes for taken:
 * when he goes on he may leave without it, but gives its buffers back.
 */
static FOS_COLD bool does_give_up(struct op *op, uint64_t token)
{
	int looks = 0;

	while (fos_ring_is_given_up(op->r, token, FOS_RELEASED_GIVING_UP) &&
	       looks++ < GOING_LOOKS)
		fos__nap();
	return fos_ring_is_given_up(op->r, token, FOS_RELEASED_GIVEN_UP);
}

static int try_answer(struct op *op, struct out *out)
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
	/* Of this token or a later one; mostly not even of this one. */
	if (fos_unlikely(fos_ring_is_stale(op->r, out->token)) &&
	    does_give_up(op, out->token))
		return -ESTALE;
	return 0;
}

/* A request that is owed. */
static int answer(struct op *op, struct out *out)
{
	struct fos_owed *owed = &op->ep->owed;
	int ret = try_answer(op, out);

	/* EBADF: another descriptor may do. */
	if (fos_unlikely(ret) && (ret == -ENOBUFS || ret == -EBADF))
		fos__owed_keep(owed, out->token);
	else
		fos__owed_end(owed, out->token);
	return ret;
}

int chan_reply(struct op *op, struct out *out)
{
	int ret = -EMSGSIZE;

	if (out_fits(op, out))
		ret = fos__owed_begin(&op->ep->owed, out->token) ? answer(op, out) :
							  -ESTALE;
	buf_lent(op, out, !ret);
	return ret;
}

#define REPLY(to, bytes, n)						\
	{ .meta = FOS_META_REPLY, .token = (to), .buf = (bytes), .len = (n) }

FOS_API int fos_reply(int fd, uint64_t token, const void *rsp, size_t n)
{
	struct out out = REPLY(token, rsp, n);
	struct op op;
	int ret;

	if (!rsp && n)
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, NULL);
	if (ret)
		return fos__ret(ret);
	return op_end(&op, chan_reply(&op, &out));
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
static int reply_first(struct op *op, uint64_t *token, struct out *out)
{
	int ret = chan_reply(op, out);

	if (!ret || (ret != -EMSGSIZE && ret != -ENOBUFS))
		*token = 0;
	return ret;
}

ssize_t chan_reply_recv(struct op *op, uint64_t *token, struct out *rsp,
			struct in *in)
{
	ssize_t ret;

	if (in_is_there(op)) {
		ret = *token ? reply_first(op, token, rsp) : 0;
		return ret ? ret : in_receive_there(op, in);
	}
	/* Before the reply: whoever got it finds us waiting for his next one. */
	in_enter(op, in);
	ret = *token ? reply_first(op, token, rsp) : 0;
	if (!ret)
		ret = in_receive_entered(op, in);
	return in_leave(op, in, ret);
}

FOS_HOT FOS_API ssize_t fos_reply_recv(int fd, uint64_t *token, const void *rsp,
				       size_t n, void *req, size_t cap,
				       const struct timespec *deadline)
{
	struct in in = {
		.kinds = CHAN_REQUESTS,
		.buf = req,
		.cap = cap,
	};
	struct out out;
	struct op op;
	ssize_t ret;

	if (!token || (!rsp && n && *token) || (!req && cap))
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	out = (struct out)REPLY(*token, rsp, n);
	ret = chan_reply_recv(&op, token, &out, &in);
	if (ret >= 0)
		*token = in.token;
	return op_end(&op, ret);
}

/* ---- call ------------------------------------------------------------- */

/*
 * Leave with @why unless the reply is there after all.  A request that was
 * delivered is released, so that its reply is stale.
 */
FOS_COLD ssize_t chan_give_up(struct op *op, uint64_t token, struct in *rsp,
			      int why)
{
	const uint64_t seq = FOS_TOKEN_SEQ(token);
	ssize_t ret = op_withdraw(op, seq);

	if (ret == 1)
		return why;
	op->delivered = !ret || fos_ring_fate(op->r, seq) != FOS_FATE_NONE;
	if (!fos_ring_give_up(op->r, token, &op->bell)) {
		ret = in_reply(op, token, rsp);
		/* Its sender waits to be told. */
		fos_ring_release(op->r, token, &op->bell);
		return ret;
	}
	in_late_reply(op, token);
	if (ret < 0)
		return ret;
	return why == -EPIPE ? -ECONNRESET : why;
}

static ssize_t call_wait(struct op *op, const struct out *out, struct in *rsp)
{
	bool dead;
	int ret;

	/* Wait, then look: nobody answers before he was asked. */
	for (;;) {
		ret = op_wait(op, FOS_WANT_REPLY, out->token);
		/* Death first: what was replied before it counts. */
		dead = fos_ring_peer_dead(op->r);
		if (fos_ring_has_reply(op->r, out->token))
			return in_reply(op, out->token, rsp);
		if (!ret && dead)
			ret = -EPIPE;
		/* The slot is mine: nobody asked for that. */
		if (!ret && fos_ring_is_answered(op->r, out->token))
			ret = -EPROTO;
		if (fos_unlikely(ret))
			return chan_give_up(op, out->token, rsp, ret);
	}
}

/* So often it is looked whether there is a peer, and a descriptor. */
#define SLOT_WAIT_NS	20000000

/*
 * Those who have the slots may be calls that are posted: they end by what wakes
 * only who collects them.  What is owed is rung, for whom we wait may wait for it.
 */
static FOS_COLD int wait_slot(struct op *op)
{
	uint64_t now;
	int ret;

	op_ring(op);
	fos__bells_before_waiting();
	do {
		if (fos_ring_peer_dead(op->r))
			return -EPIPE;
		ret = op_check(op);
		if (ret)
			return ret;
		now = fos__now_ns();
		ret = fos__call_begin(&op->ep->calls,
				      op->deadline_ns - now < SLOT_WAIT_NS ?
				      op->deadline_ns : now + SLOT_WAIT_NS);
	} while (ret == -ETIMEDOUT && fos__now_ns() < op->deadline_ns);
	return ret;
}

static ssize_t call(struct op *op, struct out *out, struct in *rsp)
{
	int slot = fos__call_try(&op->ep->calls);
	ssize_t ret;

	if (fos_unlikely(slot < 0))
		slot = wait_slot(op);
	if (slot < 0)
		return slot;
	ret = out_place_wait(op, out);
	if (!ret) {
		out->token = FOS_TOKEN(out->seq, slot);
		out_publish(op, out);
		ret = call_wait(op, out, rsp);
		op_picked_up(op);
	}
	fos__call_end(&op->ep->calls, slot);
	return ret;
}

void chan_begin_call(void)
{
	last_delivered = 0;
}

ssize_t chan_end_call(const struct op *op, ssize_t ret)
{
	if (fos_unlikely(ret < 0))
		last_delivered = op->delivered || ret == -EMSGSIZE;
	return ret == -E2BIG ? -EMSGSIZE : ret;
}

ssize_t chan_call(struct op *op, struct out *req, struct in *rsp)
{
	ssize_t ret;

	if (!out_fits(op, req))
		ret = -E2BIG;
	else if (fos_ring_peer_dead(op->r))
		ret = -EPIPE;
	else
		ret = call(op, req, rsp);
	ret = chan_end_call(op, ret);
	buf_lent(op, req, ret >= 0 || last_delivered);
	return ret;
}

FOS_HOT FOS_API ssize_t fos_call(int fd, const void *req, size_t n, void *rsp,
				 size_t cap, const struct timespec *deadline)
{
	struct out out = { .buf = req, .len = n, .meta = FOS_META_CALL };
	struct in in = { .buf = rsp, .cap = cap };
	struct op op;
	ssize_t ret;

	chan_begin_call();
	if ((!req && n) || (!rsp && cap))
		return fos__ret(-EINVAL);
	ret = op_begin(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	return op_end(&op, chan_call(&op, &out, &in));
}

FOS_API int fos_delivered(void)
{
	return last_delivered;
}

/* ---- waiting ---------------------------------------------------------- */

FOS_API int fos_spin_stats(int fd, struct fos_spin_stats *stats, size_t size)
{
	struct fos_spin_stats s;
	struct op op;
	int ret;

	if (!stats || !size)
		return fos__ret(-EINVAL);
	ret = fos__cq_spin(fd, &s);
	if (ret == -EBADF) {
		ret = op_begin(&op, fd, NULL);
		if (ret)
			return fos__ret(ret);
		fos_spin_count(&op.ep->spin, &s);
		op_end(&op, 0);
	}
	if (!ret)
		fos__tell(stats, size, &s, sizeof(s));
	return fos__ret(ret);
}

/* ---- creation --------------------------------------------------------- */

FOS_API int fos_channel(int fd[2], const struct fos_chan_attr *attr)
{
	struct fos_chan_attr a;
	int ret;

	ret = fd ? fos__attr_complete(&a, attr) : -EINVAL;
	return fos__ret(ret ? ret : fos__create(&a, fd));
}
