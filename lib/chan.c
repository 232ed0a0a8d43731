/* SPDX-License-Identifier: MIT */
/*
 * chan: messages and calls.  Each call is a struct op: look at the ring, and
 * if there is nothing to do poll for a while, then sleep, and look again.  A
 * bell that the peer must get is owed until the next trap, and is rung on its
 * own only if no sleep follows.
 */
#include "internal.h"

#include <sched.h>
#include <string.h>
#include <time.h>

/* Looks at one word between two looks at everything. */
#define POLLS_PER_CHECK	64

/* Waits in one call after which the deadline is looked at here as well. */
#define MANY_WAITS	64

#define KIND_BIT(meta)	(1U << (meta))

static __thread int last_delivered;

/* Small ones without a call: two moves that overlap. */
static inline void copy(void *to, const void *from, size_t n)
{
	typedef struct { uint64_t w[2]; } __attribute__((packed)) u128;
	typedef struct { uint64_t w; } __attribute__((packed)) u64;

	if (n > 32 || n < 8) {
		if (n)
			memcpy(to, from, n);
	} else if (n >= 16) {
		u128 a = *(const u128 *)from;
		u128 b = *(const u128 *)((const char *)from + n - 16);

		*(u128 *)to = a;
		*(u128 *)((char *)to + n - 16) = b;
	} else {
		u64 a = *(const u64 *)from;
		u64 b = *(const u64 *)((const char *)from + n - 8);

		*(u64 *)to = a;
		*(u64 *)((char *)to + n - 8) = b;
	}
}

/**
 * struct op - one call of the public API under way
 * @ep: the endpoint
 * @r: its ring
 * @fd: the descriptor that the caller used
 * @bell: what the peer must be rung for, FOS_WANT_*
 * @waits: how often it has waited
 * @delivered: the request was taken though the call fails
 * @state: of my side when @fd was last known to be @ep
 * @deadline_ns: absolute CLOCK_MONOTONIC or FOS_DEADLINE_NONE
 */
struct op {
	struct fos_ep *ep;
	struct fos_ring *r;
	int fd;
	uint32_t bell;
	uint32_t waits;
	bool delivered;
	uint64_t state;
	uint64_t deadline_ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int deadline_of(const struct timespec *ts, uint64_t *ns)
{
	*ns = FOS_DEADLINE_NONE;
	if (!ts)
		return 0;
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= 1000000000)
		return -EINVAL;
	/* Beyond what the kernel's clock counts: for ever. */
	if (ts->tv_sec < INT64_MAX / 1000000000)
		*ns = ts->tv_sec * 1000000000ULL + ts->tv_nsec;
	return 0;
}

static int op_begin(struct op *op, int fd, const struct timespec *deadline)
{
	int ret;

	ret = deadline_of(deadline, &op->deadline_ns);
	if (ret)
		return ret;
	ret = fos__ep_get(fd, &op->ep);
	if (ret)
		return ret;
	op->r = &op->ep->ring;
	op->fd = fd;
	op->bell = 0;
	op->waits = 0;
	op->delivered = false;
	op->state = fos_ring_my_state(op->r);
	return 0;
}

/*
 * Before a trap in the middle of a call: this process has closed descriptors
 * of the endpoint meanwhile.  Is ours among them, or even somebody else's now?
 */
static FOS_COLD int op_recheck(struct op *op)
{
	struct fos_ep *ep;
	int ret;

	op->state = fos_ring_my_state(op->r);
	if (op->state & FOS_STATE_DEAD)
		return -EBADF;
	ret = fos__ep_get(op->fd, &ep);
	if (ret)
		return ret;
	fos__ep_put(ep);
	return ep == op->ep ? 0 : -EBADF;
}

static int op_check(struct op *op)
{
	if (fos_unlikely(fos_ring_my_state(op->r) != op->state))
		return op_recheck(op);
	return 0;
}

/* ---- ringing and waiting ---------------------------------------------- */

static void op_ring(struct op *op)
{
	if (op->bell && !op_check(op))
		op->ep->backend->bell_wait(op->fd, op->bell, 0, 0, 0);
	op->bell = 0;
}

static ssize_t op_end(struct op *op, ssize_t ret)
{
	op_ring(op);
	fos__ep_put(op->ep);
	return fos__ret(ret);
}

static inline bool op_polls(const struct op *op)
{
	return op->ep->spin.mode != FOS_SPIN_BLOCK;
}

/* Tell the peer where we run: it does not poll beside us. */
static void op_hint(struct op *op)
{
	fos_ring_set_hints(op->r, sched_getcpu(), op->ep->spin.turn_ns);
}

static uint64_t op_budget(const struct op *op)
{
	const struct fos_spin_sample s = {
		.my_cpu = sched_getcpu() + 1,
		.peer_cpu = fos_ring_peer_cpu(op->r),
		.online_cpus = fos__online_cpus(),
		.peer_turn_ns = fos_ring_peer_turn(op->r),
	};
	return fos_spin_decide(&op->ep->spin, &s);
}

static bool wait_over(const struct op *op, uint32_t want, uint64_t arg)
{
	if (want & FOS_WANT_TAKE)
		return fos_ring_fate(op->r, arg) != FOS_FATE_NONE;
	if (want & FOS_WANT_ROOM)
		return fos_ring_is_free(op->r, arg);
	return fos_ring_seen(op->r) != arg;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Poll until it may be over; false: time to sleep.  A message is awaited at
 * the head of the ring, one line, unless one that is not for us lies there.
 */
static __attribute__((noinline)) bool op_poll(struct op *op, uint32_t want, uint64_t arg)
{
	const bool peek = (want & FOS_WANT_PUBLISHED) && !fos_ring_peek(op->r);
	uint64_t budget = op_budget(op);
	uint64_t until = FOS_DEADLINE_NONE;
	unsigned int i;

	if (!budget)
		return false;
	op_ring(op);
	if (budget != FOS_SPIN_FOREVER)
		until = now_ns() + budget;
	until = earlier(until, op->deadline_ns);
	for (;;) {
		for (i = 0; i < POLLS_PER_CHECK; i++) {
			if (peek ? fos_ring_peek(op->r) :
				   wait_over(op, want, arg))
				return true;
			__builtin_ia32_pause();
		}
		if (wait_over(op, want, arg) || op_check(op) ||
		    fos_ring_peer_dead(op->r))
			return true;
		if (until != FOS_DEADLINE_NONE && now_ns() >= until)
			return false;
		if (!op_budget(op))
			return false;
	}
}

/* A peer that keeps us busy with nothing does not stop the clock. */
static FOS_COLD bool op_is_late(const struct op *op)
{
	return op->deadline_ns != FOS_DEADLINE_NONE &&
	       now_ns() >= op->deadline_ns;
}

/**
 * op_wait() - ring what is owed and wait
 * @want: FOS_WANT_TAKE, _ROOM, or some of _PUBLISHED
 * @arg: the entry; or the peer's events, loaded before the ring was examined
 *
 * Return: 0: look again; -ETIMEDOUT, -EINTR; -EBADF: closed by another thread.
 */
static int op_wait(struct op *op, uint32_t want, uint64_t arg)
{
	uint32_t bell;
	int ret = op_check(op);

	if (ret)
		return ret;
	if (fos_unlikely(++op->waits > MANY_WAITS) && op_is_late(op))
		return -ETIMEDOUT;
	if (op_polls(op)) {
		op_hint(op);
		if (op_poll(op, want, arg))
			return 0;
	}
	bell = op->bell;
	op->bell = 0;
	return op->ep->backend->bell_wait(op->fd, bell, want, arg,
					  op->deadline_ns);
}

/*
 * Ask the kernel to take back an entry of mine.  1: it was; 0: the peer has
 * decided; -EPROTO.
 */
static int op_withdraw(struct op *op, uint64_t seq)
{
	uint64_t word;
	int ret = op_check(op);

	if (ret)
		return ret;
	ret = op->ep->backend->withdraw(op->fd, seq, &word);
	if (ret)
		return ret;
	return word == FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN);
}

/* ---- publishing ------------------------------------------------------- */

/**
 * struct out - a message on its way out
 * @meta: FOS_META_MSG, _CALL or _REPLY, and _REFUSED
 * @token: of a reply
 * @seq: its position, once placed
 * @offset: of its block, if it needs one
 */
struct out {
	const void *buf;
	size_t len;
	uint32_t meta;
	uint64_t token;
	uint64_t seq;
	uint64_t offset;
};

static bool out_fits(const struct op *op, size_t len)
{
	return len <= FOS_INLINE_BYTES ||
	       (len <= FOS_MSG_MAX && len <= op->r->m.area_bytes);
}

static bool seq_is_free(void *ring, uint64_t seq)
{
	return fos_ring_is_free(ring, seq);
}

static __attribute__((noinline)) int place_block(struct op *op, struct out *out, uint64_t *wait_seq)
{
	struct fos_area *area = &op->ep->area;
	uint32_t at;
	int ret;

	fos_area_sweep(area, seq_is_free, op->r);
	if (!fos_area_find(area, out->len, &out->offset, &at)) {
		*wait_seq = fos_area_oldest(area);
		return -EAGAIN;
	}
	ret = fos_ring_reserve(op->r, wait_seq);
	if (ret)
		return ret;
	out->seq = *wait_seq;
	fos_area_insert(area, at, out->offset, out->len, out->seq);
	return 0;
}

/*
 * Take a position, and a block if the message needs one; both or neither, for
 * a position must be published.  -EAGAIN: wait for @wait_seq to become free.
 */
static int out_place(struct op *op, struct out *out, uint64_t *wait_seq)
{
	int ret;

	if (out->len <= FOS_INLINE_BYTES) {
		ret = fos_ring_reserve(op->r, wait_seq);
		out->seq = *wait_seq;
		return ret;
	}
	out->meta |= FOS_META_AREA;
	pthread_mutex_lock(&op->ep->area_lock);
	ret = place_block(op, out, wait_seq);
	pthread_mutex_unlock(&op->ep->area_lock);
	return ret;
}

/* No room: wait for it. */
static FOS_COLD int out_wait_room(struct op *op, struct out *out,
				  uint64_t wait_seq)
{
	int ret;

	do {
		if (fos_ring_peer_dead(op->r))
			return -EPIPE;
		ret = op_wait(op, FOS_WANT_ROOM, wait_seq);
		if (ret)
			return ret;
		ret = out_place(op, out, &wait_seq);
	} while (ret == -EAGAIN);
	return ret;
}

static int out_place_wait(struct op *op, struct out *out)
{
	uint64_t wait_seq;
	int ret;

	ret = out_place(op, out, &wait_seq);
	if (fos_unlikely(ret == -EAGAIN))
		ret = out_wait_room(op, out, wait_seq);
	return ret;
}

/* My turn ends: how long was it? */
static __attribute__((noinline)) uint64_t end_turn(struct op *op)
{
	struct fos_ep *ep = op->ep;
	uint64_t now = now_ns();
	uint64_t picked;

	picked = __atomic_exchange_n(&ep->picked_at, 0, __ATOMIC_RELAXED);
	if (picked)
		fos_spin_turn(&ep->spin, now - picked);
	return now;
}

static void begin_turn(struct op *op)
{
	op_hint(op);
	if (fos_spin_is_timed(&op->ep->spin))
		__atomic_store_n(&op->ep->picked_at, now_ns(),
				 __ATOMIC_RELAXED);
}

/* Fill in a placed message and let the peer see it. */
static void out_publish(struct op *op, const struct out *out)
{
	struct fos_entry *e = fos_ring_entry(op->r, out->seq);

	e->token = out->token;
	e->len = out->len;
	e->meta = out->meta;
	e->posted_at = 0;
	if (fos_spin_is_timed(&op->ep->spin))
		e->posted_at = end_turn(op);
	if (out->meta & FOS_META_AREA) {
		e->offset = out->offset;
		memcpy(op->r->m.my_area + out->offset, out->buf, out->len);
	} else {
		copy(e->body, out->buf, out->len);
	}
	op->bell |= fos_ring_publish(op->r, e, out->seq);
}

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
	uint64_t wait_seq;
	int ret;

	if (!fos_ring_has_taker(op->r, fos_ring_next(op->r)))
		return -EAGAIN;
	ret = out_place(op, out, &wait_seq);
	if (ret)
		return ret;
	out_publish(op, out);
	if (fos_ring_has_taker(op->r, out->seq))
		return out->len;
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

/* Publish an answer if there is room; it never waits. */
static int reply_publish(struct op *op, struct out *out)
{
	uint64_t wait_seq;
	int ret;

	ret = out_place(op, out, &wait_seq);
	if (ret)
		return ret == -EAGAIN ? -ENOBUFS : ret;
	out_publish(op, out);
	return 0;
}

static int reply(struct op *op, uint64_t token, const void *rsp, size_t n)
{
	struct out out = {
		.buf = rsp,
		.len = n,
		.meta = FOS_META_REPLY,
		.token = token,
	};
	int ret;

	if (!out_fits(op, n))
		return -EMSGSIZE;
	if (!fos__owed_remove(&op->ep->owed, token) ||
	    fos_ring_is_abandoned(op->r, token))
		return -ESTALE;
	if (fos_ring_peer_dead(op->r))
		return -EPIPE;
	ret = reply_publish(op, &out);
	if (ret == -ENOBUFS)
		fos__owed_add(&op->ep->owed, token);
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

/* Copy and claim; false: another thread or a withdrawal was faster. */
static bool take_body(struct op *op, const struct fos_scan *s,
		      const struct fos_found *f, void *buf)
{
	if (!(f->meta & FOS_META_AREA)) {
		copy(buf, f->body, f->len);
		return fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_DONE,
				      &op->bell);
	}
	if (!fos_ring_claim(op->r, s, f->seq, FOS_CLAIM_TAKEN, &op->bell))
		return false;
	memcpy(buf, f->body, f->len);
	fos_ring_done(op->r, f->seq, &op->bell);
	return true;
}

/* A request cannot be served here: say so, if its caller leaves us room. */
static void refuse_call(struct op *op, uint64_t token)
{
	struct out out = {
		.meta = FOS_META_REPLY | FOS_META_REFUSED,
		.token = token,
	};

	reply_publish(op, &out);
}

static FOS_COLD void refuse(struct op *op, const struct fos_scan *s,
		   const struct fos_found *f)
{
	const bool is_call = (f->meta & FOS_META_KIND) == FOS_META_CALL;

	if (fos_ring_claim(op->r, s, f->seq,
			   is_call ? FOS_CLAIM_DONE : FOS_CLAIM_REFUSED,
			   &op->bell) && is_call)
		refuse_call(op, f->seq);
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
		result = f->meta & FOS_META_REFUSED ? -E2BIG : -EMSGSIZE;
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

/* Where a message goes. */
struct in {
	unsigned int kinds;
	void *buf;
	size_t cap;
	uint64_t token;
};

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
			fos_ring_claim(op->r, &s, f.seq, FOS_CLAIM_REFUSED,
				       &op->bell);
			return ret;
		}
		if ((f.meta & FOS_META_KIND) == FOS_META_REPLY) {
			route_reply(op, &s, &f);
			continue;
		}
		if (f.len > in->cap) {
			refuse(op, &s, &f);
			continue;
		}
		if (!take_body(op, &s, &f, in->buf))
			continue;
		in->token = 0;
		if ((f.meta & FOS_META_KIND) == FOS_META_CALL) {
			if (!fos__owed_add(&op->ep->owed, f.seq)) {
				refuse_call(op, f.seq);
				continue;
			}
			in->token = f.seq;
		}
		if (op_polls(op))
			begin_turn(op);
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

static ssize_t receive(struct op *op, struct in *in, int flags)
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
	return ret;
}

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
	return op_end(&op, receive(&op, &in, flags));
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
	if (*token) {
		ret = reply(&op, *token, rsp, n);
		if (ret == -EMSGSIZE)
			return op_end(&op, ret);
		if (ret == -ENOBUFS)
			fos__owed_remove(&op.ep->owed, *token);
		*token = 0;
		if (ret)
			return op_end(&op, ret);
	}
	ret = receive(&op, &in, 0);
	if (ret >= 0)
		*token = in.token;
	return op_end(&op, ret);
}

/* ---- call ------------------------------------------------------------- */

/* Hand out all replies that are there; is mine among them? */
static int take_replies(struct op *op, struct fos_call *call, uint64_t seen)
{
	struct fos_found f;
	struct fos_scan s;
	int ret;

	fos_ring_scan_begin(op->r, &s, seen);
	while ((ret = fos_ring_scan(op->r, &s, KIND_BIT(FOS_META_REPLY), &f))) {
		if (ret < 0) {
			fos_ring_claim(op->r, &s, f.seq, FOS_CLAIM_REFUSED,
				       &op->bell);
			return ret;
		}
		route_reply(op, &s, &f);
		if (fos__call_is_routed(call))
			return 1;
	}
	return fos__call_is_routed(call);
}

/*
 * Leave with @why unless the reply is there after all.  A request that was
 * delivered is announced as abandoned, so that its reply is stale.
 */
static FOS_COLD ssize_t call_give_up(struct op *op, struct fos_call *call,
			    const struct out *out, int why)
{
	int ret = op_withdraw(op, out->seq);

	if (ret == 1) {
		fos__call_abandon(call, out->seq);
		return why;
	}
	op->delivered = true;
	fos_ring_abandon(op->r, out->seq);
	if (take_replies(op, call, fos_ring_seen(op->r)) == 1 ||
	    !fos__call_abandon(call, out->seq))
		return call->result;
	if (ret < 0)
		return ret;
	return why == -EPIPE ? -ECONNRESET : why;
}

static ssize_t call_wait(struct op *op, struct fos_call *call,
			 const struct out *out)
{
	uint64_t seen;
	bool dead;
	int ret;

	for (;;) {
		/* One line, where the reply most likely is. */
		ret = fos_ring_peek(op->r) ? take_replies(op, call, 0) : 0;
		if (ret == 1)
			return call->result;
		/* Before sleeping: death, then the count, then the ring. */
		dead = fos_ring_peer_dead(op->r);
		seen = fos_ring_seen(op->r);
		if (!ret && !fos_ring_is_idle(op->r, seen))
			ret = take_replies(op, call, seen);
		if (ret == 1 || fos__call_is_routed(call))
			return call->result;
		if (!ret)
			ret = dead ? -EPIPE :
				     op_wait(op, FOS_WANT_REPLY, seen);
		if (ret)
			return call_give_up(op, call, out, ret);
	}
}

static ssize_t call(struct op *op, struct out *out, void *rsp, size_t cap)
{
	struct fos_call *call;
	ssize_t ret;

	ret = fos__call_begin(&op->ep->calls, op->deadline_ns, &call);
	if (ret)
		return ret;
	ret = out_place_wait(op, out);
	if (!ret) {
		fos__call_expect(call, out->seq, rsp, cap);
		out_publish(op, out);
		ret = call_wait(op, call, out);
		if (op_polls(op))
			begin_turn(op);
	}
	fos__call_end(&op->ep->calls, call);
	return ret;
}

FOS_HOT FOS_API ssize_t fos_call(int fd, const void *req, size_t n, void *rsp,
			 size_t cap, const struct timespec *deadline)
{
	struct out out = { .buf = req, .len = n, .meta = FOS_META_CALL };
	struct op op;
	ssize_t ret;

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
		ret = call(&op, &out, rsp, cap);
	if (fos_unlikely(ret < 0))
		last_delivered = op.delivered || ret == -EMSGSIZE;
	return op_end(&op, ret == -E2BIG ? -EMSGSIZE : ret);
}

FOS_API int fos_delivered(void)
{
	return last_delivered;
}

/* ---- creation --------------------------------------------------------- */

#define DEFAULT_DEPTH	32
#define DEFAULT_AREA	(2ULL << 20)

static int attr_check(const struct fos_chan_attr *a)
{
	uint64_t resv = a->resv0;
	size_t i;

	for (i = 0; i < sizeof(a->resv) / sizeof(a->resv[0]); i++)
		resv |= a->resv[i];
	if (a->flags || resv || a->spin > FOS_SPIN_FIXED ||
	    a->area_bytes > FOS_CHAN_AREA_MAX || (a->spin_ns >> 48) ||
	    (a->spin_ns && a->spin != FOS_SPIN_FIXED))
		return -EINVAL;
	return 0;
}

FOS_API int fos_channel(int fd[2], const struct fos_chan_attr *attr)
{
	struct fos_chan_attr a = { 0 };
	int ret;

	if (attr)
		a = *attr;
	ret = fd ? attr_check(&a) : -EINVAL;
	if (ret)
		return fos__ret(ret);
	if (!a.depth)
		a.depth = DEFAULT_DEPTH;
	if (!a.area_bytes)
		a.area_bytes = DEFAULT_AREA;
	return fos__ret(fos__backend_kernel.create(a.depth,
				FOS_PAGE_ALIGN(a.area_bytes),
				fos_spin_pack(a.spin, a.spin_ns), fd));
}
