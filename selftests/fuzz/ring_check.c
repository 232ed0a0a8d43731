// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must hold whatever the peer does: between the rooms of the library, by
 * functions that the linker puts before theirs (--wrap), and at rest.
 */
#include "ring_world.h"

int __real_fos_ring_reserve(struct fos_ring *r, uint64_t *seq);
int __wrap_fos_ring_reserve(struct fos_ring *r, uint64_t *seq);
uint32_t __real_fos_ring_publish(struct fos_ring *r, struct fos_entry *e,
				 uint64_t seq);
uint32_t __wrap_fos_ring_publish(struct fos_ring *r, struct fos_entry *e,
				 uint64_t seq);
uint32_t __real_fos_ring_reply(struct fos_ring *r, struct fos_entry *e,
			       uint64_t token);
uint32_t __wrap_fos_ring_reply(struct fos_ring *r, struct fos_entry *e,
			       uint64_t token);
int __real_fos_ring_scan(struct fos_ring *r, struct fos_scan *s,
			 unsigned int kinds, struct fos_found *f);
int __wrap_fos_ring_scan(struct fos_ring *r, struct fos_scan *s,
			 unsigned int kinds, struct fos_found *f);
bool __real_fos_ring_read_reply(const struct fos_ring *r, uint64_t token,
				struct fos_found *f);
bool __wrap_fos_ring_read_reply(const struct fos_ring *r, uint64_t token,
				struct fos_found *f);
bool __real_fos_ring_claim(struct fos_ring *r, const struct fos_scan *s,
			   uint64_t seq, unsigned int fate, uint32_t *bell);
bool __wrap_fos_ring_claim(struct fos_ring *r, const struct fos_scan *s,
			   uint64_t seq, unsigned int fate, uint32_t *bell);
void __real_fos_area_insert(struct fos_area *a, uint32_t at, uint64_t offset,
			    uint64_t len, uint64_t owner);
void __wrap_fos_area_insert(struct fos_area *a, uint32_t at, uint64_t offset,
			    uint64_t len, uint64_t owner);

/* As they were when last looked at. */
static struct {
	uint64_t head;
	uint64_t published;
	uint64_t claims[FOS_CHAN_DEPTH_MAX];
	uint64_t released[FOS_CHAN_DEPTH_MAX];
} last;

void check_begin(void)
{
	memcpy(last.claims, MINE(CLAIMS), 8 * w.depth);
	memset(last.released, 0, sizeof(last.released));
	last.head = w.depth;
	last.published = 0;
}

/* ---- between rooms ---------------------------------------------------- */

/* Is it @len bytes of the entry @e or of the peer's area? */
static void check_body(const struct fos_found *f, const struct fos_entry *e)
{
	const unsigned char *area = PEERS(AREA);
	const uint64_t offset = f->body - area;

	if (f->meta & FOS_META_AREA)
		CHECK(f->len <= FOS_MSG_MAX && offset <= w.area_bytes &&
		      f->len <= w.area_bytes - offset);
	else
		CHECK(f->body == e->body + 16 * fos_lents(f->meta) &&
		      f->body + f->len <= e->body + FOS_INLINE_BYTES);
	CHECK(!fos_has_fds(f->meta) || f->sent.count <= FOS_SENT_MAX);
}

int __wrap_fos_ring_reserve(struct fos_ring *r, uint64_t *seq)
{
	const uint64_t next = fos_ring_next(r);
	const int ret = __real_fos_ring_reserve(r, seq);

	CHECK(!ret || ret == -EAGAIN || ret == -EPROTO);
	CHECK(*seq == (ret ? next - w.depth : next));
	CHECK(fos_ring_next(r) == next + !ret);
	return ret;
}

static void check_mine_filled(const struct fos_entry *e)
{
	CHECK(!(e->meta & ~FOS_META_ALL));
	if (e->meta & FOS_META_AREA)
		CHECK(e->offset <= w.area_bytes &&
		      e->len <= w.area_bytes - e->offset);
	else
		CHECK(e->len <= FOS_INLINE_BYTES);
}

uint32_t __wrap_fos_ring_publish(struct fos_ring *r, struct fos_entry *e,
				 uint64_t seq)
{
	struct fos_entry *entries = MINE(ENTRIES);

	CHECK(e == &entries[seq & (w.depth - 1)] && seq < fos_ring_next(r));
	CHECK(e->seq < seq);
	check_mine_filled(e);
	last.published++;
	return __real_fos_ring_publish(r, e, seq);
}

uint32_t __wrap_fos_ring_reply(struct fos_ring *r, struct fos_entry *e,
			       uint64_t token)
{
	struct fos_entry *replies = MINE(REPLIES);
	const uint32_t bell = __real_fos_ring_reply(r, e, token);

	CHECK(e == &replies[FOS_TOKEN_SLOT(token)] &&
	      FOS_TOKEN_SLOT(token) < w.depth);
	check_mine_filled(e);
	return bell;
}

int __wrap_fos_ring_scan(struct fos_ring *r, struct fos_scan *s,
			 unsigned int kinds, struct fos_found *f)
{
	const int ret = __real_fos_ring_scan(r, s, kinds, f);
	const struct fos_entry *entries = PEERS(ENTRIES);
	uint32_t meta;

	CHECK(!ret || ret == 1 || ret == -EPROTO);
	CHECK(s->steps <= 16 * w.depth);
	if (ret != 1)
		return ret;
	check_body(f, &entries[f->seq & (w.depth - 1)]);
	meta = f->meta & ~(FOS_META_LENT | FOS_META_FDS);
	CHECK(meta == FOS_META_MSG || meta == FOS_META_CALL ||
	      meta == (FOS_META_MSG | FOS_META_AREA) ||
	      meta == (FOS_META_CALL | FOS_META_AREA));
	CHECK(kinds & 1U << (f->meta & FOS_META_KIND));
	if (f->meta & FOS_META_CALL)
		CHECK(FOS_TOKEN_SEQ(f->token) == (f->seq & ~0ULL >> 8) &&
		      FOS_TOKEN_SLOT(f->token) < w.depth);
	return ret;
}

bool __wrap_fos_ring_read_reply(const struct fos_ring *r, uint64_t token,
				struct fos_found *f)
{
	const struct fos_entry *replies = PEERS(REPLIES);

	if (!__real_fos_ring_read_reply(r, token, f))
		return false;
	CHECK(FOS_TOKEN_SLOT(token) < w.depth);
	check_body(f, &replies[FOS_TOKEN_SLOT(token)]);
	CHECK((f->meta & FOS_META_KIND) == FOS_META_REPLY);
	return true;
}

/* Of those that only this side and its kernel write. */
bool __wrap_fos_ring_claim(struct fos_ring *r, const struct fos_scan *s,
			   uint64_t seq, unsigned int fate, uint32_t *bell)
{
	const uint64_t *claims = MINE(CLAIMS);
	const uint32_t slot = seq & (w.depth - 1);
	const uint64_t before = claims[slot];
	const bool won = __real_fos_ring_claim(r, s, seq, fate, bell);

	if (won && !w.posix) {
		/* Or already more: the next one there was withdrawn. */
		CHECK(claims[slot] >= FOS_CLAIM(seq, fate));
		CHECK(FOS_CLAIM_SEQ(before) == seq - w.depth &&
		      (before & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN);
	}
	return won;
}

static void check_area(const struct fos_area *a)
{
	uint64_t end = 0;
	uint32_t i;

	CHECK(a->n <= a->max && a->max == 3 * w.depth);
	for (i = 0; i < a->n; i++) {
		CHECK(a->block[i].offset >= end &&
		      a->block[i].offset <= a->bytes &&
		      a->block[i].len <= a->bytes - a->block[i].offset);
		end = a->block[i].offset + a->block[i].len;
	}
}

void __wrap_fos_area_insert(struct fos_area *a, uint32_t at, uint64_t offset,
			    uint64_t len, uint64_t owner)
{
	CHECK(at <= a->n && a->n < a->max);
	__real_fos_area_insert(a, at, offset, len, owner);
	CHECK(a->block[at].offset == offset && a->block[at].len == len);
	check_area(a);
}

/* ---- at rest ---------------------------------------------------------- */

static void check_claims(void)
{
	const uint64_t *claims = MINE(CLAIMS);
	uint32_t i;

	for (i = 0; i < w.depth && !w.lied; i++) {
		CHECK((FOS_CLAIM_SEQ(claims[i]) & (w.depth - 1)) == i);
		CHECK(claims[i] >= last.claims[i]);
		CHECK((claims[i] & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN);
		last.claims[i] = claims[i];
	}
}

static void check_released(void)
{
	const uint64_t *released = MINE(RELEASED);
	uint32_t i;

	for (i = 0; i < w.depth; i++) {
		CHECK(FOS_RELEASED_TOKEN(released[i]) >=
		      FOS_RELEASED_TOKEN(last.released[i]));
		last.released[i] = released[i];
	}
}

/* Each slot has the last position that was taken for it. */
static void check_entries(uint64_t tail)
{
	const struct fos_entry *e = MINE(ENTRIES);
	uint64_t seq;

	for (seq = tail - w.depth; seq < tail; seq++)
		CHECK(e[seq & (w.depth - 1)].seq == (seq < w.depth ? 0 : seq));
}

/* Busy with a call that is posted, or not. */
static void check_calls(void)
{
	const struct fos_calls *c = &w.ep->calls;
	uint32_t i;

	CHECK(!c->waiters);
	for (i = 0; i < w.depth; i++) {
		CHECK((c->busy[i / 64] >> (i & 63) & 1) == !!c->posted[i]);
		CHECK(!c->posted[i] || FOS_TOKEN_SLOT(c->posted[i]) == i);
	}
	for (i = 0; i < FOS_CHAN_DEPTH_MAX; i++) {
		CHECK(!(w.ep->owed.token[i] >> 63));
		CHECK(i < w.depth || !w.ep->owed.token[i]);
		CHECK(!w.ep->ring.awaited[i]);
	}
}

void check_mine(void)
{
	const struct fos_line *line = MINE(LINE);
	const struct fos_kside *kside = MINE(KSIDE);
	uint64_t tail;

	if (!w.mapped)
		return;
	tail = fos_ring_next(&w.ep->ring);
	CHECK(w.ep->users == 1);
	CHECK(!line->receivers && !kside->need_wakeup);
	CHECK(line->events == last.published &&
	      line->events == tail - w.depth);
	CHECK(w.ep->ring.head >= last.head);
	last.head = w.ep->ring.head;
	check_entries(tail);
	check_claims();
	check_released();
	check_calls();
	check_area(&w.ep->area);
}
