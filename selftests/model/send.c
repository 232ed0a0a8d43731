// SPDX-License-Identifier: GPL-2.0-only
/* lib/op.c, out.c and the sending half of chan.c, said again. */
#include "world.h"

void op_begin(struct op *op, bool timed)
{
	*op = (struct op) {
		.r = &world.ring[my_side()],
		.side = my_side(),
		.timed = timed,
	};
}

int op_end(struct op *op, int ret)
{
	if (op->bell)
		sleeper->bell_wait(op->side, op->bell, 0, 0, false);
	return ret;
}

int op_wait(struct op *op, uint32_t want, uint64_t arg)
{
	const uint32_t bell = op->bell;

	op->bell = 0;
	op->waited = true;
	if (op->late)
		return -ETIMEDOUT;
	return sleeper->bell_wait(op->side, bell, want, arg, op->timed);
}

int op_withdraw(struct op *op, uint64_t seq)
{
	uint64_t word;
	int ret = sleeper->withdraw(op->side, seq, &word);

	if (ret)
		model_fail("withdraw says %d of an honest peer", ret);
	return word == FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN);
}

/* ---- a place for it --------------------------------------------------- */

struct out {
	int id;
	uint32_t meta;
	uint64_t token;
	uint64_t seq;
	uint64_t offset;
	uint32_t room_want;
	uint64_t room_arg;
};

static int place_slot(struct op *op, struct out *out)
{
	int ret = fos_ring_reserve(op->r, &out->seq);

	if (ret == -EPROTO)
		model_fail("no place: %d", ret);
	out->room_want = FOS_WANT_ROOM;
	out->room_arg = out->seq;
	return ret;
}

/* A block's owner is an entry or, with this bit, a token. */
#define OWNER_TOKEN	(1ULL << 63)

static bool owner_is_done(struct op *op, uint64_t owner)
{
	if (owner & OWNER_TOKEN) {
		owner &= ~OWNER_TOKEN;
		return fos_ring_is_released(op->r, owner) &&
		       !fos__owed_is_writing(&world.owed[op->side], owner);
	}
	return fos_ring_is_free(op->r, owner);
}

static int find_block(struct op *op)
{
	const int blocks = config->blocks ? config->blocks : BLOCKS;
	uint64_t *owner = world.owner[op->side];
	int i;

	for (i = 0; i < blocks; i++) {
		if (owner[i] && owner_is_done(op, owner[i]))
			owner[i] = 0;
		if (!owner[i])
			return i;
	}
	return -1;
}

/* One thread with an area only: its lock is not modelled. */
static int place_block(struct op *op, struct out *out)
{
	int i = find_block(op), ret;

	if (i < 0) {
		out->room_want = FOS_WANT_CLAIMS;
		out->room_arg = fos_ring_claims_sum(op->r);
		i = find_block(op);
		if (i < 0)
			return -EAGAIN;
	}
	if ((out->meta & FOS_META_KIND) == FOS_META_REPLY) {
		world.owner[op->side][i] = out->token | OWNER_TOKEN;
	} else {
		ret = place_slot(op, out);
		if (ret)
			return ret;
		world.owner[op->side][i] = out->seq;
	}
	out->offset = i * BLOCK_BYTES;
	writing_begins(READ_BLOCK(i));
	return 0;
}

static int place(struct op *op, struct out *out)
{
	return out->meta & FOS_META_AREA ? place_block(op, out) :
					   place_slot(op, out);
}

void look_for_slot(void)
{
	struct out out;
	struct op op;

	op_begin(&op, false);
	place_slot(&op, &out);
}

static int place_wait(struct op *op, struct out *out)
{
	int ret = place(op, out);

	while (ret == -EAGAIN) {
		if (fos_ring_peer_dead(op->r))
			return -EPIPE;
		ret = op_wait(op, out->room_want, out->room_arg);
		if (ret)
			return ret;
		ret = place(op, out);
		/* A nap: it will be free when its sender has seen its fate. */
		if (ret == -EAGAIN && out->room_want == FOS_WANT_ROOM &&
		    fos_ring_is_free(op->r, out->room_arg))
			model_await(&op->r->awaited[out->room_arg % the_depth()],
				    sizeof(op->r->awaited[0]), out->room_arg,
				    false);
	}
	return ret;
}

static void fill(struct op *op, const struct out *out)
{
	struct fos_entry *e = fos_ring_entry(op->r, out->seq);
	uint64_t *body = (uint64_t *)e->body;

	writing_begins(READ_ENTRY(out->seq % the_depth()));
	STORE(&e->token, out->token);
	STORE(&e->len, FOS_LEN(out->id));
	STORE(&e->meta, out->meta);
	/* fos_ring_publish() looks at this, its own, without more ado. */
	e->meta = out->meta;
	if (out->meta & FOS_META_AREA) {
		STORE(&e->offset, out->offset);
		body = (uint64_t *)(op->r->m.my_area + out->offset);
	}
	STORE(body, FOS_BODY(out->id));
}

static void publish(struct op *op, const struct out *out)
{
	fill(op, out);
	op->bell |= fos_ring_publish(op->r, fos_ring_entry(op->r, out->seq),
				     out->seq);
	one_of_plan();
	world.message[out->id].counted = 1;
	world.message[out->id].seq = out->seq;
	model_note("message %d is published as %llu", out->id,
		   (unsigned long long)out->seq);
}

/* ---- send ------------------------------------------------------------- */

static int send_give_up(struct op *op, uint64_t seq, int why)
{
	return op_withdraw(op, seq) ? why : 0;
}

static int send_wait(struct op *op, uint64_t seq)
{
	bool dead;
	int fate, ret;

	for (;;) {
		dead = fos_ring_peer_dead(op->r);
		fate = fos_ring_fate(op->r, seq);
		if (fate == -EPROTO || fate == FOS_CLAIM_WITHDRAWN)
			model_fail("fate %d of an honest peer", fate);
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

static int send_blocking(struct op *op, struct out *out)
{
	const int what = READ_FATE(0);
	int ret;

	ret = place_wait(op, out);
	if (ret)
		return ret;
	fos_ring_await(op->r, out->seq);
	publish(op, out);
	ret = send_wait(op, out->seq);
	if (ret == -EMSGSIZE) {
		reading_begins(what + out->seq % the_depth(), false);
		reading_counts(what + out->seq % the_depth(), true);
	}
	fos_ring_end_await(op->r, out->seq);
	return ret;
}

/* Of several it is not known yet who has won it. */
static bool is_only_receiver(int thread)
{
	int t, n = 0;

	for (t = 0; config->side[t] >= 0; t++)
		n += config->side[t] == config->side[thread];
	return n == 1;
}

/* Who is told that it was taken sees what the taker did before. */
static void check_rendezvous(const struct message *m)
{
	if (is_only_receiver(m->taker) && m->tick &&
	    !model_knows(m->taker, m->tick))
		model_fail("a rendezvous that does not order");
}

static int send_nonblock(struct op *op, struct out *out)
{
	int ret;

	if (!fos_ring_has_taker(op->r, fos_ring_next(op->r)))
		return -EAGAIN;
	ret = place(op, out);
	if (ret)
		return ret;
	publish(op, out);
	if (fos_ring_has_taker(op->r, out->seq))
		return 0;
	ret = send_give_up(op, out->seq, -EAGAIN);
	if (!ret)
		check_rendezvous(&world.message[out->id]);
	return ret;
}

/* Not offered by the library yet: publish, and do not ask what became of it. */
static int send_push(struct op *op, struct out *out)
{
	int ret = place_wait(op, out);

	if (ret)
		return ret;
	if (out->meta & FOS_META_CALL)
		out->token = FOS_TOKEN(out->seq, 0);
	world.message[out->id].token = out->token;
	publish(op, out);
	return 0;
}

int send_message(int id, unsigned int flags)
{
	struct out out = { .id = id, .meta = FOS_META_MSG };
	struct message *m = &world.message[id];
	struct op op;
	int ret;

	m->thread = model_self;
	if (flags & SEND_AREA)
		out.meta |= FOS_META_AREA;
	if (flags & SEND_REQUEST)
		out.meta |= FOS_META_CALL;
	m->meta = out.meta;
	m->counted = 0;
	m->outcome = UNKNOWN;
	op_begin(&op, flags & SEND_TIMED);
	op.late = flags & SEND_LATE;
	if (fos_ring_peer_dead(op.r))
		ret = -EPIPE;
	else if (flags & SEND_NONBLOCK)
		ret = send_nonblock(&op, &out);
	else if (flags & SEND_PUSH)
		ret = send_push(&op, &out);
	else
		ret = send_blocking(&op, &out);
	if (!ret && !(flags & (SEND_NONBLOCK | SEND_PUSH)))
		check_rendezvous(m);
	model_note("send of message %d returns %d", id, ret);
	m->outcome = !ret ? SENT : ret == -EMSGSIZE ? UNWANTED : UNDELIVERED;
	/* It lies there; a later receive takes it. */
	if (!ret && (flags & (SEND_NONBLOCK | SEND_PUSH)))
		m->outcome = MAYBE;
	return op_end(&op, ret);
}

int place_reply(struct op *op, uint64_t token, uint64_t *offset)
{
	struct out out = {
		.meta = FOS_META_REPLY | FOS_META_AREA, .token = token,
	};
	int ret = place_wait(op, &out);

	*offset = out.offset;
	return ret;
}

int place_call(struct op *op, uint64_t *seq)
{
	struct out out = { .meta = FOS_META_CALL };
	int ret = place_wait(op, &out);

	*seq = out.seq;
	return ret;
}

void publish_call(struct op *op, int id, uint64_t seq, uint64_t token)
{
	const struct out out = {
		.id = id, .meta = FOS_META_CALL, .token = token, .seq = seq,
	};

	publish(op, &out);
}

void hang_up(void)
{
	world.dead[my_side()] = 1;
	sleeper->die(my_side());
}
