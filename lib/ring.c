// SPDX-License-Identifier: MIT
#include "ring.h"

#include <errno.h>

#include "fastos.h"
#include "lend.h"
#include "race.h"

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define LOAD_ACQ(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define LOAD_SC(p)	__atomic_load_n((p), __ATOMIC_SEQ_CST)
#define STORE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define STORE_REL(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

#define KIND(meta)	((meta) & FOS_META_KIND)

/* Of a position that a token can carry. */
#define SEQ_BITS	54

/* Of one walk: through the ring, again from the head for each gap, and room. */
#define STEPS_PER_SLOT	16

static inline uint32_t slot_of(const struct fos_ring *r, uint64_t seq)
{
	return seq & r->mask;
}

/* How far a claim word is ahead of @seq; < 0: that is undecided. */
static inline int64_t ahead_of(uint64_t word, uint64_t seq)
{
	return (int64_t)((word & ~FOS_CLAIM_FATE) - (seq << 2));
}

static inline uint32_t peer_wants(const struct fos_ring *r)
{
	/* With the exchange before it, a full fence between the two. */
	return __atomic_load_n(r->m.peer_wants, __ATOMIC_SEQ_CST);
}

void fos_ring_init(struct fos_ring *r, const struct fos_ring_mem *m)
{
	*r = (struct fos_ring) {
		.m = *m,
		.mask = m->depth - 1,
		.tail = m->depth,
		.free_to = m->depth,
		.head = m->depth,
	};
}

/* ---- sending ---------------------------------------------------------- */

/*
 * Is the slot of entry @seq free for the next one?  Not while the peer reads
 * it, and not while a refusal is there that its sender has yet to see.
 */
static bool slot_is_free(const struct fos_ring *r, uint64_t seq)
{
	uint64_t word = LOAD_ACQ(&r->m.peer_claims[slot_of(r, seq)]);

	if (word == FOS_CLAIM(seq, FOS_CLAIM_DONE))
		return true;
	/* 0 is nobody's: no entry of mine has it, but the peer may say so. */
	if (word == FOS_CLAIM(seq, FOS_CLAIM_REFUSED))
		return !seq || LOAD_ACQ(&r->awaited[slot_of(r, seq)]) != seq;
	return word == FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN);
}

/*
 * Free positions from @from on, up to half a ring: the peer writes these words
 * at every take, so look at them rarely and at several at once.
 */
static uint64_t count_free(const struct fos_ring *r, uint64_t from)
{
	const uint64_t depth = r->m.depth;
	uint64_t seq = from;

	while (seq < from + (depth + 1) / 2 && slot_is_free(r, seq - depth))
		HANDED_BACK(&r->m.my_entries[slot_of(r, seq++)]);
	return seq - from;
}

int fos_ring_reserve(struct fos_ring *r, uint64_t *seq)
{
	/* Acquire: who moved it had seen the slots before it become free. */
	uint64_t tail = LOAD_ACQ(&r->tail);
	uint64_t n;

	for (;;) {
		if (tail >= LOAD_ACQ(&r->free_to)) {
			n = count_free(r, tail);
			if (n)
				STORE_REL(&r->free_to, tail + n);
		} else {
			n = 1;
		}
		if (!n) {
			*seq = tail - r->m.depth;
			/* Another thread may have moved on meanwhile. */
			if (tail != LOAD(&r->tail)) {
				tail = LOAD_ACQ(&r->tail);
				continue;
			}
			return fos_ring_fate(r, *seq) == -EPROTO ? -EPROTO :
								   -EAGAIN;
		}
		if (__atomic_compare_exchange_n(&r->tail, &tail, tail + 1, true,
						__ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			*seq = tail;
			return 0;
		}
	}
}

struct fos_entry *fos_ring_entry(struct fos_ring *r, uint64_t seq)
{
	return &r->m.my_entries[slot_of(r, seq)];
}

uint32_t fos_ring_publish(struct fos_ring *r, struct fos_entry *e,
			  uint64_t seq)
{
	/* Now: once it is published the slot may soon be another thread's. */
	const uint32_t kind = FOS_WANT_MSG << KIND(e->meta);
	uint32_t wants;

	HANDED_OUT(e);
	/* The entry before its seq: pairs with the acquire in the scan. */
	STORE_REL(&e->seq, seq);
	/*
	 * Also the full fence between publishing and reading need_wakeup;
	 * pairs with the kernel's between need_wakeup and events.
	 */
	__atomic_fetch_add(&r->m.my_line->events, 1, __ATOMIC_SEQ_CST);
	wants = peer_wants(r);
	if (!wants)
		return 0;
	/*
	 * Other threads have taken later positions: a receiver may have passed
	 * over their messages because of the gap that was here.
	 */
	if (LOAD(&r->tail) != seq + 1)
		return wants & FOS_WANT_PUBLISHED;
	return wants & kind;
}

void fos_ring_await(struct fos_ring *r, uint64_t seq)
{
	STORE(&r->awaited[slot_of(r, seq)], seq);
}

void fos_ring_end_await(struct fos_ring *r, uint64_t seq)
{
	/* Not if the slot has a new entry that is awaited. */
	__atomic_compare_exchange_n(&r->awaited[slot_of(r, seq)], &seq, 0,
				    false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

int fos_ring_fate(const struct fos_ring *r, uint64_t seq)
{
	/* Acquire: what is freed by it was read before. */
	uint64_t word = LOAD_ACQ(&r->m.peer_claims[slot_of(r, seq)]);
	int64_t ahead = ahead_of(word, seq);

	if (!ahead)
		return word & FOS_CLAIM_FATE;
	if (ahead == -4 * (int64_t)r->m.depth &&
	    (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN)
		return FOS_FATE_NONE;
	/* Decided, and its slot used again by another thread of mine. */
	if (ahead > 0 && !(ahead & (4 * (int64_t)r->m.depth - 1)) &&
	    FOS_CLAIM_SEQ(word) < LOAD(&r->tail))
		return FOS_CLAIM_DONE;
	return -EPROTO;
}

bool fos_ring_is_free(const struct fos_ring *r, uint64_t seq)
{
	uint64_t word = LOAD_ACQ(&r->m.peer_claims[slot_of(r, seq)]);
	int64_t ahead = ahead_of(word, seq);

	HANDED_BACK(&r->m.my_entries[slot_of(r, seq)]);
	return ahead > 0 ||
	       (!ahead && (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN);
}

/*
 * Whoever moves the word on first decides.  It is one round behind and not
 * TAKEN, or rounds ahead when other threads of mine went on with the slot;
 * anything else is a lie.  The peer may change it while we look, but not for
 * ever.
 */
int fos_ring_withdraw(struct fos_ring *r, uint64_t seq, uint64_t *word)
{
	uint64_t *claim = &r->m.peer_claims[slot_of(r, seq)];
	const uint64_t mine = FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN);
	const int64_t round = 4 * (int64_t)r->m.depth;
	int64_t ahead;

	*word = LOAD_ACQ(claim);
	for (int tries = 0; tries < 100; tries++) {
		ahead = ahead_of(*word, seq);
		if (ahead >= 0)
			return ahead & (round - 1) ? -EPROTO : 0;
		if (ahead != -round ||
		    (*word & FOS_CLAIM_FATE) == FOS_CLAIM_TAKEN)
			return -EPROTO;
		if (__atomic_compare_exchange_n(claim, word, mine, false,
						__ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			*word = mine;
			return 0;
		}
	}
	return -EPROTO;
}

/* Relaxed: whoever waits for another sum looks at the words again. */
uint64_t fos_ring_claims_sum(const struct fos_ring *r)
{
	uint64_t sum = 0;

	for (uint32_t slot = 0; slot < r->m.depth; slot++)
		sum += LOAD(&r->m.peer_claims[slot]) +
		       LOAD(&r->m.peer_released[slot]) +
		       LOAD(&r->m.peer_returned[slot]);
	return sum;
}

bool fos_ring_has_taker(const struct fos_ring *r, uint64_t seq)
{
	uint64_t takers = FOS_RECEIVERS(LOAD(&r->m.peer_line->receivers));
	uint64_t undecided = 0, i;

	if (LOAD(r->m.peer_armed))
		takers += r->m.depth;
	for (i = seq - r->m.depth + 1; i <= seq; i++)
		undecided += fos_ring_fate(r, i) == FOS_FATE_NONE;
	return undecided <= takers;
}

/* ---- receiving -------------------------------------------------------- */

bool fos_ring_peek(const struct fos_ring *r)
{
	const uint64_t head = LOAD(&r->head);

	/* Relaxed: the scan looks again. */
	return LOAD(&r->m.peer_entries[slot_of(r, head)].seq) == head;
}

uint64_t fos_ring_seen(const struct fos_ring *r)
{
	return LOAD_ACQ(&r->m.peer_line->events);
}

/*
 * Below the head all is decided, hence published: if that is as many as were
 * counted, whatever else is published has yet to be counted.
 */
bool fos_ring_is_idle(const struct fos_ring *r, uint64_t seen)
{
	return LOAD(&r->head) == seen + r->m.depth;
}

void fos_ring_scan_begin(const struct fos_ring *r, struct fos_scan *s,
			 uint64_t seen)
{
	*s = (struct fos_scan) {
		.pos = LOAD(&r->head),
		.end = seen + r->m.depth,
	};
}

/* @seq is decided: if it is the lowest such, the head moves on. */
static void move_head(struct fos_ring *r, uint64_t seq)
{
	/* By exchange: a slow thread must not put it back. */
	if (seq == LOAD(&r->head))
		__atomic_compare_exchange_n(&r->head, &seq, seq + 1, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/*
 * The lowest undecided position, by all words at once: other threads have gone
 * on by a round or more, or the peer, where he can write here, has lied.
 */
static void jump_head(struct fos_ring *r)
{
	uint64_t head = LOAD(&r->head);
	uint64_t low = UINT64_MAX, next;

	for (uint32_t slot = 0; slot < r->m.depth; slot++) {
		next = FOS_CLAIM_SEQ(LOAD(&r->m.my_claims[slot])) + r->m.depth;
		if (next < low)
			low = next;
	}
	if (low > head)
		__atomic_compare_exchange_n(&r->head, &head, low, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/*
 * May @seq be decided now?  Not if it has been, and not while a thread of mine
 * still reads its slot.
 */
static bool is_open(struct fos_ring *r, uint64_t seq, uint64_t word)
{
	const uint64_t ahead = word - FOS_CLAIM(seq - r->m.depth, 0);

	if (ahead <= FOS_CLAIM_FATE)
		return ahead != FOS_CLAIM_TAKEN;
	if (word - FOS_CLAIM(seq, 0) <= FOS_CLAIM_FATE)
		move_head(r, seq);
	else if (ahead_of(word, seq) > 0)
		jump_head(r);
	return false;
}

/* Each field is read once; what follows uses the copy. */
static bool copy_header(const struct fos_ring *r, const struct fos_entry *e,
			struct fos_found *f)
{
	uint64_t offset;

	f->len = LOAD(&e->len);
	f->meta = LOAD(&e->meta);
	f->hint = LOAD(&e->hint);
	f->body = e->body;
	if (!(f->meta & (FOS_META_LENT | FOS_META_AREA)))
		return f->len <= FOS_INLINE_BYTES;
	if ((f->meta & FOS_META_LENT) && !fos_lend_copy(r, f))
		return false;
	if (!(f->meta & FOS_META_AREA))
		return f->len <= e->body + FOS_INLINE_BYTES - f->body;
	offset = LOAD((const uint64_t *)f->body);
	if (f->len > FOS_MSG_MAX || offset > r->m.area_bytes ||
	    f->len > r->m.area_bytes - offset)
		return false;
	f->body = r->m.peer_area + offset;
	return true;
}

/* The same of an entry that is no reply; a request's token must be its own. */
static bool copy_message(const struct fos_ring *r, const struct fos_entry *e,
			 struct fos_found *f)
{
	f->token = LOAD(&e->token);
	if (!copy_header(r, e, f) ||
	    (f->meta & ~(FOS_META_ALL ^ (FOS_META_REPLY | FOS_META_REFUSED))))
		return false;
	/* Above that are marks; nobody comes so far by counting. */
	if (f->seq >> SEQ_BITS)
		return false;
	return !(f->meta & FOS_META_CALL) ||
	       f->token - FOS_TOKEN(f->seq, 0) < r->m.depth;
}

/*
 * The walk ends at the first unpublished position that the count of events
 * does not promise: the peer's other threads may be between taking a position
 * and publishing it, and will ring again.  A message behind such a gap is
 * returned only if, seen once more from the head, the gap is still there:
 * messages that one thread sent come in their order.
 */
int fos_ring_scan(struct fos_ring *r, struct fos_scan *s, unsigned int kinds,
		  struct fos_found *f)
{
	const struct fos_entry *e;
	const uint64_t *claim;
	uint64_t head;
	bool ok;

	/*
	 * After so many steps all that was there at the beginning has been seen;
	 * a peer who writes faster than we read does not keep us.
	 */
	for (; s->steps < STEPS_PER_SLOT * r->m.depth; s->pos++) {
		head = LOAD(&r->head);
		s->steps++;
		if (s->pos < head)
			s->pos = head;
		else if (s->pos != head && s->pos - head >= r->m.depth)
			return 0;
		e = &r->m.peer_entries[slot_of(r, s->pos)];
		claim = &r->m.my_claims[slot_of(r, s->pos)];
		s->word = LOAD(claim);
		if (!is_open(r, s->pos, s->word))
			continue;
		if (LOAD_ACQ(&e->seq) != s->pos) {
			if (s->pos >= s->end)
				return 0;
			s->gap = true;
			continue;
		}
		if (s->gap && s->pos > s->checked) {
			s->checked = s->pos;
			s->gap = false;
			s->pos = LOAD(&r->head) - 1;
			continue;
		}
		f->seq = s->pos;
		ok = copy_message(r, e, f);
		/* Taken, and the slot filled again, while we copied? */
		if (LOAD(claim) != s->word)
			continue;
		if (ok && !(kinds & (1U << KIND(f->meta))))
			continue;
		s->pos++;
		return ok ? 1 : -EPROTO;
	}
	return 0;
}

bool fos_ring_is_empty(const struct fos_ring *r)
{
	uint64_t pos = LOAD(&r->head), seq, word;
	const uint64_t end = pos + r->m.depth;

	/* Mostly all is old.  The head may lag, and slots have been used again. */
	for (; pos < end; pos++) {
		seq = LOAD(&r->m.peer_entries[slot_of(r, pos)].seq);
		if (seq < pos)
			continue;
		word = LOAD(&r->m.my_claims[slot_of(r, pos)]);
		if (seq == FOS_CLAIM_SEQ(word) + r->m.depth &&
		    (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN)
			return false;
	}
	return true;
}

bool fos_ring_claim(struct fos_ring *r, const struct fos_scan *s, uint64_t seq,
		    unsigned int fate, uint32_t *bell)
{
	uint64_t *claim = &r->m.my_claims[slot_of(r, seq)];
	uint64_t word = s->word;
	uint32_t wants;

	/* Sequentially consistent: the fence before reading need_wakeup. */
	if (!__atomic_compare_exchange_n(claim, &word, FOS_CLAIM(seq, fate),
					 false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		return false;
	move_head(r, seq);
	wants = peer_wants(r);
	if (wants)
		*bell |= wants & (FOS_WANT_TAKE | FOS_WANT_CLAIMS |
				  (fate == FOS_CLAIM_TAKEN ? 0 : FOS_WANT_ROOM));
	return true;
}

void fos_ring_done(struct fos_ring *r, uint64_t seq, uint32_t *bell)
{
	__atomic_store_n(&r->m.my_claims[slot_of(r, seq)],
			 FOS_CLAIM(seq, FOS_CLAIM_DONE), __ATOMIC_SEQ_CST);
	*bell |= peer_wants(r) & (FOS_WANT_ROOM | FOS_WANT_CLAIMS);
}

uint32_t fos_ring_left_behind(const struct fos_ring *r)
{
	const uint32_t others = LOAD(r->m.my_wants) & FOS_WANT_PUBLISHED;

	if (!others || fos_ring_is_idle(r, fos_ring_seen(r)))
		return 0;
	return others;
}

static inline uint32_t receiver(bool serves)
{
	return serves ? 1 + FOS_RECEIVER_SERVES : 1;
}

void fos_ring_enter_wait(struct fos_ring *r, bool serves, uint32_t *bell)
{
	__atomic_fetch_add(&r->m.my_line->receivers, receiver(serves),
			   __ATOMIC_SEQ_CST);
	*bell |= peer_wants(r) & FOS_WANT_RECEIVER;
}

void fos_ring_leave_wait(struct fos_ring *r, bool serves)
{
	/*
	 * The fence before a last look for what was left behind: a sender that
	 * counted on us published before it.
	 */
	__atomic_fetch_sub(&r->m.my_line->receivers, receiver(serves),
			   __ATOMIC_SEQ_CST);
}

/* ---- calls ------------------------------------------------------------ */

static inline uint32_t reply_slot(const struct fos_ring *r, uint64_t token)
{
	return slot_of(r, FOS_TOKEN_SLOT(token));
}

bool fos_ring_has_reply(const struct fos_ring *r, uint64_t token)
{
	/* In one order with what I and the peer exchanged before; see give_up. */
	return LOAD_SC(&r->m.peer_replies[reply_slot(r, token)].seq) == token;
}

bool fos_ring_is_answered(const struct fos_ring *r, uint64_t token)
{
	return LOAD(&r->m.peer_replies[reply_slot(r, token)].seq) >= token;
}

bool fos_ring_read_reply(const struct fos_ring *r, uint64_t token,
			 struct fos_found *f)
{
	return copy_header(r, &r->m.peer_replies[reply_slot(r, token)], f) &&
	       (f->meta & (FOS_META_KIND | ~FOS_META_ALL)) == FOS_META_REPLY;
}

static void set_released(struct fos_ring *r, uint64_t token, uint64_t how,
			 uint32_t *bell)
{
	/* The fence before reading need_wakeup, and a last look for a reply. */
	__atomic_exchange_n(&r->m.my_released[reply_slot(r, token)],
			    token | how, __ATOMIC_SEQ_CST);
	*bell |= peer_wants(r) & FOS_WANT_CLAIMS;
}

void fos_ring_release(struct fos_ring *r, uint64_t token, uint32_t *bell)
{
	set_released(r, token, 0, bell);
}

/*
 * I say so, then look; the peer replies, then looks: not both miss the other.  So it
 * is with GIVEN_UP, after which the caller looks again.
 */
bool fos_ring_give_up(struct fos_ring *r, uint64_t token, uint32_t *bell)
{
	set_released(r, token, FOS_RELEASED_GIVING_UP, bell);
	if (fos_ring_has_reply(r, token))
		return false;
	set_released(r, token, FOS_RELEASED_GIVEN_UP, bell);
	return true;
}

static uint64_t released(const struct fos_ring *r, uint64_t token)
{
	/* The same, on the other side. */
	return LOAD_SC(&r->m.peer_released[reply_slot(r, token)]);
}

bool fos_ring_is_released(const struct fos_ring *r, uint64_t token)
{
	const uint64_t word = released(r, token);

	HANDED_BACK(&r->m.my_replies[reply_slot(r, token)]);
	return FOS_RELEASED_TOKEN(word) > token ||
	       (FOS_RELEASED_TOKEN(word) == token &&
		!(word & FOS_RELEASED_GIVING_UP));
}

bool fos_ring_is_stale(const struct fos_ring *r, uint64_t token)
{
	return FOS_RELEASED_TOKEN(released(r, token)) >= token;
}

bool fos_ring_is_given_up(const struct fos_ring *r, uint64_t token, uint64_t how)
{
	return released(r, token) == (token | how);
}

struct fos_entry *fos_ring_reply_entry(struct fos_ring *r, uint64_t token)
{
	return &r->m.my_replies[reply_slot(r, token)];
}

uint32_t fos_ring_reply(struct fos_ring *r, struct fos_entry *e,
			uint64_t token)
{
	uint32_t wants;

	HANDED_OUT(e);
	/* Also the full fence before reading need_wakeup. */
	__atomic_exchange_n(&e->seq, token, __ATOMIC_SEQ_CST);
	wants = peer_wants(r);
	if (!wants)
		return 0;
	wants &= FOS_BELL_REPLY(token) | FOS_WANT_REPLIES;
	/* Else another reply is awaited. */
	return (wants & FOS_BELL_REPLY(token)) == FOS_BELL_REPLY(token) ? wants :
	       wants & FOS_WANT_REPLIES;
}

uint64_t fos_ring_replies_sum(const struct fos_ring *r)
{
	uint64_t sum = 0;

	for (uint32_t slot = 0; slot < r->m.depth; slot++)
		sum += LOAD(&r->m.peer_replies[slot].seq);
	return sum;
}
