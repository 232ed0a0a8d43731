// SPDX-License-Identifier: GPL-2.0-only
/* lib/in.c, said again. */
#include "world.h"

struct in {
	unsigned int kinds;
	unsigned int flags;
	int id;
	uint64_t token;
};

static uint64_t read_body(const struct fos_found *f)
{
	return LOAD((const uint64_t *)f->body);
}

static void took(struct in *in, const struct fos_found *f, uint64_t body)
{
	const int id = f->len - FOS_LEN(0);
	struct message *m = &world.message[id];
	uint8_t *last;

	if (id < 1 || id >= MESSAGES || body != FOS_BODY(id))
		model_fail("garbage: length %u, body %#llx", f->len,
			   (unsigned long long)body);
	if (f->meta != m->meta || f->token != m->token)
		model_fail("message %d with the header of another one", id);
	model_note("message %d is taken", id);
	if (m->taken++)
		model_fail("message %d was taken twice", id);
	last = &world.last_from[model_self][m->thread];
	if (*last > id)
		model_fail("message %d after %d", id, *last);
	*last = id;
	in->id = id;
	in->token = f->token;
	if (f->meta & FOS_META_CALL)
		fos__owed_add(&world.owed[my_side()], f->token);
}

static bool claim(struct op *op, const struct fos_scan *s,
		  const struct fos_found *f, unsigned int fate)
{
	const int slot = f->seq % the_depth();
	const bool known = fate_is_known(READ_FATE(slot));
	bool won;

	won = fos_ring_claim(op->r, s, f->seq, fate, &op->bell);
	if (won && !known)
		model_fail("a refusal was overwritten before it was seen");
	return won;
}

static void note_taker(int id, int what)
{
	if (id < 1 || id >= MESSAGES)
		return;
	world.message[id].taker = model_self;
	world.message[id].tick = world.reading[model_self][what].tick;
}

static bool take_inline(struct op *op, const struct fos_scan *s,
			const struct fos_found *f, struct in *in)
{
	const int what = READ_ENTRY(f->seq % the_depth());
	const uint64_t body = read_body(f);
	bool won;

	reading_begins(what, false);
	note_taker(f->len - FOS_LEN(0), what);
	won = claim(op, s, f, FOS_CLAIM_DONE);
	reading_counts(what, won);
	if (won)
		took(in, f, body);
	return won;
}

static bool take_area(struct op *op, const struct fos_scan *s,
		      const struct fos_found *f, struct in *in)
{
	const int what = READ_BLOCK((f->body - op->r->m.peer_area) /
				    BLOCK_BYTES);
	uint64_t body;
	bool won;

	reading_begins(what, true);
	won = claim(op, s, f, FOS_CLAIM_TAKEN);
	reading_counts(what, won);
	if (!won)
		return false;
	body = read_body(f);
	took(in, f, body);
	reading_is_over(what);
	fos_ring_done(op->r, f->seq, &op->bell);
	return true;
}

static bool take(struct op *op, const struct fos_scan *s,
		 const struct fos_found *f, struct in *in)
{
	const bool won = f->meta & FOS_META_AREA ? take_area(op, s, f, in) :
						   take_inline(op, s, f, in);

	if (won)
		one_of_plan();
	return won;
}

static void refuse(struct op *op, const struct fos_scan *s,
		   const struct fos_found *f)
{
	const int id = f->len - FOS_LEN(0);

	if (!claim(op, s, f, FOS_CLAIM_REFUSED))
		return;
	model_note("message %d is refused", id);
	world.message[id].refused = 1;
}

static int take_next(struct op *op, struct in *in, uint64_t seen)
{
	struct fos_found f;
	struct fos_scan s;
	int ret;

	fos_ring_scan_begin(op->r, &s, seen);
	while ((ret = fos_ring_scan(op->r, &s, in->kinds, &f))) {
		if (ret < 0) {
			if (fos_ring_claim(op->r, &s, f.seq, FOS_CLAIM_REFUSED,
					   &op->bell))
				model_fail("the scan returns %d", ret);
			continue;
		}
		if ((f.meta & FOS_META_CALL) && broken != BREAK_FORGET)
			fos__owed_forget(&world.owed[my_side()], f.token);
		if ((in->flags & RECV_REFUSES) &&
		    f.len == FOS_LEN(MESSAGES - 1)) {
			refuse(op, &s, &f);
			continue;
		}
		if (take(op, &s, &f, in))
			return 0;
	}
	return -EAGAIN;
}

static int take_any(struct op *op, struct in *in, uint64_t *seen)
{
	bool dead = fos_ring_peer_dead(op->r);
	int ret = -EAGAIN;

	*seen = fos_ring_seen(op->r);
	if (!fos_ring_is_idle(op->r, *seen))
		ret = take_next(op, in, *seen);
	if (broken == BREAK_DEATH_FIRST)
		dead = fos_ring_peer_dead(op->r);
	return ret == -EAGAIN && dead ? -EPIPE : ret;
}

static int take_anywhere(struct op *op, struct in *in)
{
	const bool dead = fos_ring_peer_dead(op->r);
	int ret = take_next(op, in, FOS_SEEN_ALL);

	return ret == -EAGAIN && dead ? -EPIPE : ret;
}

static int receive_wait(struct op *op, struct in *in)
{
	uint64_t seen;
	int ret;

	for (;;) {
		ret = take_any(op, in, &seen);
		if (ret != -EAGAIN)
			return ret;
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

static void wake_next(struct op *op)
{
	const uint32_t others = fos_ring_left_behind(op->r);

	if (others && broken != BREAK_WAKE_NEXT)
		sleeper->bell_self(op->side, others);
}

static int receive_now(struct op *op, struct in *in)
{
	const uint64_t seen = fos_ring_seen(op->r);
	int ret = take_anywhere(op, in);

	if (ret == -EAGAIN && seen != fos_ring_seen(op->r))
		ret = take_anywhere(op, in);
	return ret;
}

static int take_first(struct op *op, struct in *in)
{
	return fos_ring_peek(op->r) ? take_next(op, in, 0) : -EAGAIN;
}

static int last_look(struct op *op, struct in *in, int why)
{
	const int ret = take_next(op, in, FOS_SEEN_ALL);

	return ret == -EAGAIN ? why : ret;
}

static int receive(struct op *op, struct in *in)
{
	int ret;

	if (in->flags & RECV_NONBLOCK)
		return receive_now(op, in);
	ret = take_first(op, in);
	if (ret != -EAGAIN)
		return ret;
	fos_ring_enter_wait(op->r, in->kinds & KIND_CALL, &op->bell);
	ret = receive_wait(op, in);
	fos_ring_leave_wait(op->r, in->kinds & KIND_CALL);
	if (op->waited) {
		if (ret == -ETIMEDOUT)
			ret = last_look(op, in, ret);
		wake_next(op);
	}
	return ret;
}

int receive_message(unsigned int kinds, unsigned int flags, uint64_t *token)
{
	struct in in = { .kinds = kinds, .flags = flags };
	struct op op;
	int ret;

	op_begin(&op, flags & RECV_TIMED);
	ret = receive(&op, &in);
	if (!ret && token)
		*token = in.token;
	ret = ret ? ret : in.id;
	model_note("receive returns %d", ret);
	return op_end(&op, ret);
}
