// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile peer.  He writes any word that he may, or does what an honest
 * peer would do but for a detail, and he does it between two of our looks: the
 * compiler calls us before each load of the library (-fsanitize-coverage=
 * trace-loads), which finds what is read twice.
 */
#include "ring_world.h"

#include <sanitizer/asan_interface.h>

#define ARENA_BYTES	65536
#define GAP_BYTES	64

struct world w;

/* Mine, the peer's. */
static unsigned char arena[2][ARENA_BYTES] __attribute__((aligned(64)));

/* Of his, what the library has looked at last. */
static uint64_t *seen;

/* ---- memory ----------------------------------------------------------- */

static void part_make(struct part *p, unsigned char *base, size_t *at,
		      size_t bytes)
{
	p->words = (uint64_t *)(base + *at);
	p->n = bytes / 8;
	ASAN_UNPOISON_MEMORY_REGION(p->words, bytes);
	memset(p->words, 0, bytes);
	*at += (bytes + GAP_BYTES + 63) & ~63UL;
	CHECK(*at <= ARENA_BYTES);
}

static void side_make(struct part *parts, unsigned char *base)
{
	const size_t bytes[PARTS] = {
		[LINE] = sizeof(struct fos_line),
		[ENTRIES] = sizeof(struct fos_entry) * w.depth,
		[REPLIES] = sizeof(struct fos_entry) * w.depth,
		[RELEASED] = 8 * w.depth,
		[RETURNED] = 8 * w.depth,
		[CLAIMS] = 8 * w.depth,
		[AREA] = w.area_bytes,
		[KSIDE] = sizeof(struct fos_kside),
	};
	uint64_t *claims;
	size_t at = GAP_BYTES;
	uint32_t i;

	for (i = 0; i < PARTS; i++)
		part_make(&parts[i], base, &at, bytes[i]);
	claims = parts[CLAIMS].words;
	for (i = 0; i < w.depth; i++)
		claims[i] = FOS_CLAIM(i, FOS_CLAIM_DONE);
}

void world_make(void)
{
	world_unmake();
	side_make(w.mine, arena[0]);
	side_make(w.peers, arena[1]);
	seen = NULL;
	w.tail = w.depth;
}

/* Unmapped: whoever still looks there is found. */
void world_unmake(void)
{
	ASAN_POISON_MEMORY_REGION(arena, sizeof(arena));
}

struct fos_ring_mem world_mem(void)
{
	struct fos_kside *mine = MINE(KSIDE), *peers = PEERS(KSIDE);

	return (struct fos_ring_mem) {
		.my_line = MINE(LINE),
		.my_entries = MINE(ENTRIES),
		.my_replies = MINE(REPLIES),
		.my_released = MINE(RELEASED),
		.my_returned = MINE(RETURNED),
		.my_claims = MINE(CLAIMS),
		.my_area = MINE(AREA),
		.my_wants = &mine->need_wakeup,
		.my_state = &mine->state,
		.peer_line = PEERS(LINE),
		.peer_entries = PEERS(ENTRIES),
		.peer_replies = PEERS(REPLIES),
		.peer_released = PEERS(RELEASED),
		.peer_returned = PEERS(RETURNED),
		.peer_claims = PEERS(CLAIMS),
		.peer_area = PEERS(AREA),
		.peer_wants = &peers->need_wakeup,
		.peer_armed = &peers->armed,
		.peer_state = &peers->state,
		.depth = w.depth,
		.area_bytes = w.area_bytes,
	};
}

/* ---- what he does ----------------------------------------------------- */

static uint64_t *any_word(struct part *p)
{
	return p->n ? &p->words[take8() % p->n] : NULL;
}

/* Any word of his; without a kernel also of my verdicts. */
static void scribble(void)
{
	const uint8_t which = take8();
	struct part *to = &w.peers[which % PARTS];
	uint64_t *word, *other;

	if (w.posix && which >= 224) {
		to = &w.mine[CLAIMS];
		w.lied = true;
	}
	word = any_word(to);
	other = any_word(&w.mine[(which >> 4) % PARTS]);
	if (word)
		*word = take_value(*word, other ? *other : w.tail);
}

static void fill(struct fos_entry *e, uint32_t meta, uint64_t token)
{
	const uint8_t how = take8();

	e->meta = meta;
	e->token = token;
	e->len = take(how & 1 ? 2 : 1);
	if (meta & FOS_META_AREA)
		e->offset = take(how & 2 ? 2 : 1);
	if (how & 4)
		e->len = take_value(e->len, w.area_bytes - e->offset);
	if (how & 8)
		e->offset = take_value(e->offset, w.area_bytes - e->len);
	if (how & 16)
		e->meta = take8();
	if (how & 32)
		e->token = take_value(token, e->seq);
}

static void publish(void)
{
	const uint8_t how = take8();
	struct fos_line *line = PEERS(LINE);
	struct fos_entry *e = PEERS(ENTRIES);
	uint32_t meta = FOS_META_MSG;
	uint64_t seq = w.tail;

	if (how & 1)
		meta = FOS_META_CALL;
	if (how & 2)
		meta |= FOS_META_AREA;
	/* Another thread of his was faster: there is a gap. */
	if (how & 4)
		seq += how >> 6;
	e += seq & (w.depth - 1);
	fill(e, meta, meta & FOS_META_CALL ?
	     FOS_TOKEN(seq, (how >> 4) & (w.depth - 1)) : 0);
	e->seq = seq;
	if (!(how & 8))
		line->events++;
	if (seq == w.tail || how & 32)
		w.tail++;
}

/* A verdict on an entry of mine. */
static void decide(void)
{
	const uint8_t how = take8();
	const uint32_t slot = (how >> 3) & (w.depth - 1);
	const struct fos_entry *e = MINE(ENTRIES);
	uint64_t *claims = PEERS(CLAIMS);
	uint64_t seq = e[slot].seq;

	if (how & 4)
		seq += w.depth * (int8_t)take8();
	claims[slot] = FOS_CLAIM(seq, how & 3);
}

static void reply(void)
{
	const uint8_t how = take8();
	const uint32_t slot = (how >> 3) & (w.depth - 1);
	const struct fos_entry *e = MINE(ENTRIES);
	const uint64_t token = e[slot].token;
	struct fos_entry *r = PEERS(REPLIES);
	uint64_t *claims = PEERS(CLAIMS);

	r += FOS_TOKEN_SLOT(token) & (w.depth - 1);
	fill(r, FOS_META_REPLY | (how & 1 ? FOS_META_AREA : 0) |
	     (how & 2 ? FOS_META_REFUSED : 0), token);
	r->seq = token;
	if (!(how & 4))
		claims[slot] = FOS_CLAIM(e[slot].seq, FOS_CLAIM_DONE);
}

/* He has finished with a reply of mine, or has given up. */
static void release(void)
{
	const uint8_t how = take8();
	const uint32_t slot = (how >> 3) & (w.depth - 1);
	const struct fos_entry *r = MINE(REPLIES);
	uint64_t *released = PEERS(RELEASED);

	released[slot] = (r[slot].seq + (how & 4)) | (uint64_t)(how & 3) << 62;
}

static void announce(void)
{
	const uint8_t how = take8();
	struct fos_line *line = PEERS(LINE);
	struct fos_kside *kside = PEERS(KSIDE);

	if (how & 1)
		kside->need_wakeup = take8();
	if (how & 2)
		kside->armed ^= 1;
	if (how & 4)
		line->receivers += (int8_t)take8();
	if (how & 8)
		line->events += (int8_t)take8();
	if (how & 16)
		line->cpu = how >> 6;
	if ((how & 0xe0) == 0xe0)
		kside->state |= FOS_STATE_DEAD;
}

/* His kernel takes back what nobody has taken: it writes among my verdicts. */
static void withdraw(void)
{
	const uint32_t slot = take8() & (w.depth - 1);
	const struct fos_entry *e = PEERS(ENTRIES);
	const uint64_t seq = e[slot].seq;
	uint64_t *claims = MINE(CLAIMS);
	const uint64_t word = claims[slot];

	if (FOS_CLAIM_SEQ(word) == seq - w.depth &&
	    (word & FOS_CLAIM_FATE) != FOS_CLAIM_TAKEN)
		claims[slot] = FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN);
}

void peer_step(void)
{
	static void (*const steps[])(void) = {
		scribble, scribble, publish, decide, reply, release, announce,
		publish, withdraw,
	};

	if (w.mapped && input.left)
		steps[take8() % COUNT(steps)]();
}

/* ---- between two looks ------------------------------------------------ */

static void count_down(void)
{
	if (--w.countdown)
		return;
	peer_step();
	w.countdown = take8() & 15;
}

void fuzz_before_exchange(void);
void __sanitizer_cov_load1(uint8_t *at);
void __sanitizer_cov_load2(uint16_t *at);
void __sanitizer_cov_load4(uint32_t *at);
void __sanitizer_cov_load8(uint64_t *at);
void __sanitizer_cov_load16(__uint128_t *at);

/* Of a fickle peer, the second look at a word sees another. */
static void look_at(uint64_t *word)
{
	if (w.fickle && word == seen)
		*word = take_value(*word, w.area_bytes);
	seen = word;
}

static void before_load(const void *at)
{
	const uintptr_t offset = (uintptr_t)at - (uintptr_t)arena;

	if (offset >= sizeof(arena))
		return;
	if (w.countdown)
		count_down();
	if (offset >= ARENA_BYTES)
		look_at((void *)((uintptr_t)at & ~7UL));
}

void fuzz_before_exchange(void)
{
	if (w.countdown)
		count_down();
}

void __sanitizer_cov_load1(uint8_t *at)
{
	before_load(at);
}

void __sanitizer_cov_load2(uint16_t *at)
{
	before_load(at);
}

void __sanitizer_cov_load4(uint32_t *at)
{
	before_load(at);
}

void __sanitizer_cov_load8(uint64_t *at)
{
	before_load(at);
}

void __sanitizer_cov_load16(__uint128_t *at)
{
	before_load(at);
}
