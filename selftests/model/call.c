// SPDX-License-Identifier: GPL-2.0-only
/* Requests and replies: the other half of lib/chan.c, said again. */
#include "world.h"

/* Each thread has a reply slot of its own: calls.c hands them out. */
static int my_slot(void)
{
	int t, slot = 0;

	for (t = 0; t < model_self; t++)
		slot += config->side[t] == my_side();
	return slot;
}

static int read_reply(struct op *op, int id, uint64_t token)
{
	int what = READ_REPLY(FOS_TOKEN_SLOT(token));
	struct fos_found f;
	uint64_t body;

	if (!fos_ring_read_reply(op->r, token, &f))
		model_fail("the reply to %d is nonsense", id);
	body = LOAD((const uint64_t *)f.body);
	if (body != FOS_REPLY_BODY(id) || f.len != FOS_LEN(id))
		model_fail("the reply to %d is %#llx, length %u", id,
			   (unsigned long long)body, f.len);
	reading_begins(what, false);
	reading_counts(what, true);
	world.message[id].replied = 1;
	if (!(f.meta & FOS_META_AREA))
		return 0;
	what = READ_BLOCK((f.body - op->r->m.peer_area) / BLOCK_BYTES);
	reading_begins(what, false);
	reading_counts(what, true);
	fos_ring_release(op->r, token, &op->bell);
	return 0;
}

/* Then its buffers are given back, if it has any. */
static void late_reply(struct op *op, int id, uint64_t token)
{
	const int what = READ_REPLY(FOS_TOKEN_SLOT(token));
	struct fos_found f;

	if (broken == BREAK_LATE_REPLY || !fos_ring_has_reply(op->r, token))
		return;
	if (!fos_ring_read_reply(op->r, token, &f))
		model_fail("the late reply to %d is nonsense", id);
	reading_begins(what, false);
	reading_counts(what, true);
	world.message[id].given_back = 1;
}

static int call_give_up(struct op *op, int id, uint64_t seq, uint64_t token,
			int why)
{
	int ret = op_withdraw(op, seq);

	if (ret == 1) {
		world.message[id].outcome = UNDELIVERED;
		return why;
	}
	world.message[id].outcome = SENT;
	if (broken == BREAK_LAST_LOOK) {
		fos_ring_release(op->r, token, &op->bell);
		if (fos_ring_has_reply(op->r, token))
			return read_reply(op, id, token);
	} else if (!fos_ring_give_up(op->r, token, &op->bell)) {
		ret = read_reply(op, id, token);
		fos_ring_release(op->r, token, &op->bell);
		return ret;
	}
	late_reply(op, id, token);
	return why == -EPIPE ? -ECONNRESET : why;
}

/* For any: what was seen is loaded before the last look. */
static int wait_reply(struct op *op, uint64_t token)
{
	uint64_t sum;

	if (!config->collects)
		return op_wait(op, FOS_WANT_REPLY, token);
	sum = fos_ring_replies_sum(op->r);
	if (broken != BREAK_SUM && fos_ring_has_reply(op->r, token))
		return 0;
	return op_wait(op, FOS_WANT_REPLIES, sum);
}

static int call_wait(struct op *op, int id, uint64_t seq, uint64_t token)
{
	bool dead;
	int ret;

	for (;;) {
		ret = wait_reply(op, token);
		dead = fos_ring_peer_dead(op->r);
		if (fos_ring_has_reply(op->r, token)) {
			world.message[id].outcome = SENT;
			return read_reply(op, id, token);
		}
		if (!ret && dead)
			ret = -EPIPE;
		if (ret)
			return call_give_up(op, id, seq, token, ret);
	}
}

int call_peer(int id, unsigned int flags)
{
	struct message *m = &world.message[id];
	uint64_t token, seq;
	struct op op;
	int ret;

	m->thread = model_self;
	op_begin(&op, flags & SEND_TIMED);
	op.late = flags & SEND_LATE;
	if (fos_ring_peer_dead(op.r)) {
		m->outcome = UNDELIVERED;
		return op_end(&op, -EPIPE);
	}
	ret = place_call(&op, &seq);
	if (ret) {
		m->outcome = UNDELIVERED;
		return op_end(&op, ret);
	}
	token = FOS_TOKEN(seq, my_slot());
	m->token = token;
	m->meta = FOS_META_CALL;
	publish_call(&op, id, seq, token);
	ret = call_wait(&op, id, seq, token);
	model_note("call %d returns %d", id, ret);
	return op_end(&op, ret);
}

/* ---- replies ---------------------------------------------------------- */

static int publish_reply(struct op *op, uint64_t token, int id)
{
	struct fos_entry *e = fos_ring_reply_entry(op->r, token);
	uint64_t *body = (uint64_t *)e->body;
	uint32_t meta = FOS_META_REPLY;
	uint64_t offset;
	int ret;

	if (config->area_replies) {
		ret = place_reply(op, token, &offset);
		if (ret)
			return ret;
		meta |= FOS_META_AREA;
		body = (uint64_t *)(op->r->m.my_area + offset);
	}
	writing_begins(READ_REPLY(FOS_TOKEN_SLOT(token)));
	STORE(&e->token, token);
	STORE(&e->len, FOS_LEN(id));
	STORE(&e->meta, meta);
	if (config->area_replies)
		STORE(&e->offset, offset);
	STORE(body, FOS_REPLY_BODY(id));
	op->bell |= fos_ring_reply(op->r, e, token);
	world.message[id].answered = 1;
	return 0;
}

static int answer(struct op *op, uint64_t token, int id)
{
	int ret;

	if (fos_ring_is_stale(op->r, token))
		return -ESTALE;
	if (fos_ring_peer_dead(op->r))
		return -EPIPE;
	ret = publish_reply(op, token, id);
	if (ret)
		return ret;
	if (!fos_ring_is_given_up(op->r, token, FOS_RELEASED_GIVEN_UP))
		return 0;
	world.message[id].stale = 1;
	return -ESTALE;
}

int reply_to(uint64_t token, int id)
{
	struct fos_owed *owed = &world.owed[my_side()];
	struct op op;
	int ret;

	op_begin(&op, false);
	if (!fos__owed_begin(owed, token))
		return op_end(&op, -ESTALE);
	ret = answer(&op, token, id);
	fos__owed_end(owed, token);
	model_note("reply to %d returns %d", id, ret);
	return op_end(&op, ret);
}
