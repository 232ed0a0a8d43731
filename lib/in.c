// SPDX-License-Identifier: MIT
#include "in.h"

#include <string.h>

#include "msg_fds.h"
#include "out.h"

/* Of a receive that does not wait. */
#define LOOKS_NOW	4

/* Without descriptors though it announces some it is none. */
static FOS_APART bool has_room(const struct in *in, const struct fos_found *f)
{
	const struct fos_msg *m = in->msg;

	if (!m || fos_buffers(f->meta) > m->nbufs)
		return false;
	return !fos_has_fds(f->meta) ||
	       (f->sent.count && f->sent.count <= m->nfds);
}

static inline bool fits(const struct in *in, const struct fos_found *f)
{
	return f->len <= in->cap &&
	       (!(f->meta & FOS_META_LENT) || has_room(in, f));
}

static inline void deliver(const struct in *in, const struct fos_found *f)
{
	if (fos_unlikely(in->msg))
		fos__scatter(in->msg, f->body, f->len);
	else
		fos__copy(in->buf, f->body, f->len);
}

/* The buffers of a message that was taken, and what else there is to say of it. */
static FOS_APART int take_buffers(struct op *op, const struct fos_found *f,
				  struct fos_msg *m)
{
	uint32_t i;

	m->nbufs = fos_buffers(f->meta);
	m->nfds = fos_has_fds(f->meta) ? f->sent.count : 0;
	m->path = fos__path(f->meta, f->len);
	for (i = 0; i < m->nbufs; i++) {
		if (fos_lend_hold(&op->ep->lend, op->r, &f->lent[i]))
			return -EPROTO;
		m->bufs[i] = (struct iovec) {
			/* Read-only there. */
			.iov_base = (void *)(op->r->m.peer_area +
					     f->lent[i].offset),
			.iov_len = f->lent[i].len,
		};
	}
	return 0;
}

/* Of a message whose descriptors have been taken.  1; -EPROTO. */
static inline int take_rest(struct op *op, const struct fos_found *f,
			    struct fos_msg *m)
{
	if (!take_buffers(op, f, m))
		return 1;
	fds_close(m->fds, m->nfds);
	return -EPROTO;
}

static FOS_COLD void refuse_buffers(struct op *op, const struct fos_found *f)
{
	uint32_t i;

	for (i = 0; i < fos_buffers(f->meta); i++)
		fos_lend_give_back(op->r, f->lent[i].handle, &op->bell);
	if (fos_has_fds(f->meta))
		fds_drop(op);
}

/* Copy and claim; false: another thread or a withdrawal was faster. */
static bool take_body(struct op *op, const struct fos_scan *s,
		      const struct fos_found *f, const struct in *in)
{
	if (!(f->meta & FOS_META_AREA)) {
		deliver(in, f);
		return fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_DONE,
				      &op->bell);
	}
	if (!fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_TAKEN, &op->bell))
		return false;
	deliver(in, f);
	fos_ring_done(op->r, f->seq, &op->bell);
	return true;
}

/*
 * It does not fit here: its sender is told, by its claim or, if it is a
 * request, by its reply.
 */
static FOS_COLD void refuse(struct op *op, const struct fos_scan *s,
			    const struct fos_found *f)
{
	const bool call = f->meta & FOS_META_CALL;
	const struct out out = {
		.meta = FOS_META_REPLY | FOS_META_REFUSED,
		.token = f->token,
	};

	if (!fos_ring_claim(op->r, s, f->seq,
			    call ? FOS_CLAIM_DONE : FOS_CLAIM_REFUSED,
			    &op->bell))
		return;
	if (f->meta & FOS_META_LENT)
		refuse_buffers(op, f);
	if (!call)
		return;
	fos__owed_add(&op->ep->owed, f->token);
	if (!fos__owed_begin(&op->ep->owed, f->token))
		return;
	out_publish_reply(op, &out);
	fos__owed_end(&op->ep->owed, f->token);
}

static bool take(struct op *op, const struct fos_scan *s,
		 const struct fos_found *f, struct in *in)
{
	if (!take_body(op, s, f, in))
		return false;
	in->token = 0;
	if (f->meta & FOS_META_CALL) {
		in->token = f->token;
		fos__owed_add(&op->ep->owed, f->token);
	}
	return true;
}

/*
 * The descriptors first: while they are not here the message is not taken, and
 * can be taken later.  1: taken; 0: another thread or a withdrawal was faster.
 */
static int take_with_fds(struct op *op, const struct fos_scan *s,
			 const struct fos_found *f, struct in *in)
{
	const struct fds_name name = {
		.kind = FOS_META_MSG,
		.name = f->seq,
		.sent = f->sent,
	};
	int ret;

	fds_lock(op);
	ret = fds_find(op, &name);
	if (!ret && take(op, s, f, in)) {
		fds_take(op, &name, in->msg->fds);
		ret = 1;
	}
	fds_unlock(op);
	/* Announced, but never sent; unless it is not there any more either. */
	if (ret == -EPROTO && !fos_ring_claim(op->r, s, f->seq,
					      FOS_CLAIM_REFUSED, &op->bell))
		ret = 0;
	return ret;
}

static FOS_APART int take_msg(struct op *op, const struct fos_scan *s,
			      const struct fos_found *f, struct in *in)
{
	int ret;

	if (fos_has_fds(f->meta))
		ret = take_with_fds(op, s, f, in);
	else
		ret = take(op, s, f, in);
	return ret > 0 ? take_rest(op, f, in->msg) : ret;
}

static inline int take_one(struct op *op, const struct fos_scan *s,
			   const struct fos_found *f, struct in *in)
{
	return fos_unlikely(in->msg) ? take_msg(op, s, f, in) :
				       take(op, s, f, in);
}

/* Take the next message of these kinds; -EAGAIN: there is none. */
static ssize_t take_next(struct op *op, struct in *in, uint64_t seen)
{
	uint32_t refused = 0;
	struct fos_found f;
	struct fos_scan s;
	int ret;

	fos_ring_scan_begin(op->r, &s, seen);
	while ((ret = fos_ring_scan(op->r, &s, in->kinds, &f))) {
		if (ret < 0) {
			if (fos_ring_claim(op->r, &s, f.seq, FOS_CLAIM_REFUSED,
					   &op->bell))
				return ret;
			continue;
		}
		if (f.meta & FOS_META_CALL)
			fos__owed_forget(&op->ep->owed, f.token);
		if (fos_unlikely(!fits(in, &f))) {
			refuse(op, &s, &f);
			/* A peer who goes on so does not stop the clock. */
			if (++refused > op->r->m.depth)
				return -EAGAIN;
			continue;
		}
		ret = take_one(op, &s, &f, in);
		if (fos_unlikely(ret < 0))
			return ret;
		if (!ret)
			continue;
		op_found(op, f.hint);
		op_picked_up(op);
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

	if (fos_unlikely(others))
		op->ep->backend->bell_self(op->ep, op_fd(op), others);
}

/* The backend's part at the end of a receiving call; true: look again. */
static inline bool received(struct op *op, bool waits, bool nothing)
{
	const struct fos_backend *backend = op->ep->backend;
	bool again;

	if (!backend->received)
		return false;
	again = backend->received(op->ep, op_fd(op), waits, nothing);
	fos__cq_look_again(op->ep);
	return again;
}

/*
 * Once more, if something came while the backend did its part, which it does after
 * each; but a peer who sends what others of mine take does not keep us.
 */
static ssize_t receive_now(struct op *op, struct in *in)
{
	unsigned int looks = 0;
	uint64_t seen;
	ssize_t ret;
	bool again;

	do {
		seen = fos_ring_seen(op->r);
		ret = take_anywhere(op, in);
		again = received(op, false, ret == -EAGAIN) ||
			seen != fos_ring_seen(op->r);
	} while (ret == -EAGAIN && again && ++looks < LOOKS_NOW);
	return ret;
}

static inline bool serves(const struct in *in)
{
	return in->kinds & KIND_BIT(FOS_META_CALL);
}

void in_enter(struct op *op, const struct in *in)
{
	fos_ring_enter_wait(op->r, serves(in), &op->bell);
}

/* A sender that counted on one who leaves without a message has published it. */
static FOS_COLD ssize_t last_look(struct op *op, struct in *in, ssize_t why)
{
	const ssize_t ret = take_next(op, in, FOS_SEEN_ALL);

	return ret == -EAGAIN ? why : ret;
}

ssize_t in_leave(struct op *op, struct in *in, ssize_t ret)
{
	fos_ring_leave_wait(op->r, serves(in));
	if (op->waits) {
		if (fos_unlikely(ret == -ETIMEDOUT || ret == -EINTR))
			ret = last_look(op, in, ret);
		wake_next(op);
	}
	received(op, true, false);
	return ret;
}

/* First a look at one line; the peer's counters cost another. */
static inline ssize_t take_first(struct op *op, struct in *in)
{
	return fos_ring_peek(op->r) ? take_next(op, in, 0) : -EAGAIN;
}

ssize_t in_receive_entered(struct op *op, struct in *in)
{
	const ssize_t ret = take_first(op, in);

	return ret == -EAGAIN ? receive_wait(op, in) : ret;
}

ssize_t in_receive(struct op *op, struct in *in, int flags)
{
	ssize_t ret;

	if (flags & FOS_NONBLOCK)
		return receive_now(op, in);
	ret = take_first(op, in);
	if (ret != -EAGAIN) {
		received(op, true, false);
		return ret;
	}
	in_enter(op, in);
	return in_leave(op, in, receive_wait(op, in));
}

ssize_t in_receive_there(struct op *op, struct in *in)
{
	const ssize_t ret = take_next(op, in, 0);

	return ret == -EAGAIN ? in_receive(op, in, 0) : ret;
}

/* What comes with a reply, before it is released. */
static FOS_APART int take_reply(struct op *op, uint64_t token,
				const struct fos_found *f, struct fos_msg *m)
{
	const struct fds_name name = {
		.kind = FOS_META_REPLY,
		.name = token,
		.sent = f->sent,
	};
	int ret = 0;

	if (fos_has_fds(f->meta)) {
		fds_lock(op);
		ret = fds_find(op, &name);
		if (!ret)
			fds_take(op, &name, m->fds);
		fds_unlock(op);
	}
	return ret ? ret : take_rest(op, f, m);
}

FOS_COLD void in_late_reply(struct op *op, uint64_t token)
{
	struct fos_found f;

	if (fos_ring_has_reply(op->r, token) &&
	    fos_ring_read_reply(op->r, token, &f) && (f.meta & FOS_META_LENT))
		refuse_buffers(op, &f);
}

ssize_t in_reply(struct op *op, uint64_t token, struct in *in)
{
	struct fos_found f;
	int ret = 1;
	bool ok;

	if (!fos_ring_read_reply(op->r, token, &f))
		return -EPROTO;
	op_found(op, f.hint);
	if (f.meta & FOS_META_REFUSED)
		return -E2BIG;
	ok = fits(in, &f);
	if (ok)
		deliver(in, &f);
	if (fos_unlikely(in->msg) && ok)
		ret = take_reply(op, token, &f, in->msg);
	if (f.meta & (FOS_META_AREA | FOS_META_FDS))
		fos_ring_release(op->r, token, &op->bell);
	if (fos_unlikely(!ok || ret < 0)) {
		refuse_buffers(op, &f);
		return ok ? ret : -EMSGSIZE;
	}
	return f.len;
}
