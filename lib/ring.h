/* SPDX-License-Identifier: MIT */
/*
 * ring: the shared-memory protocol of one endpoint.  Pure: no system call, no
 * clock, no backend; it is compiled as it is into the library, the model
 * checker, the fuzzers and the tests.
 *
 * Each side writes its own entries (two cache lines a message) and its own
 * claims, a word per slot of the peer's entries that says what became of the
 * message there.  Positions are 64-bit numbers that start at depth; position s
 * lies in slot s % depth.  A sender takes a position when its slot is free,
 * that is when the claim word carries s - depth and is not TAKEN, and then
 * always publishes it.  A message is decided by one compare-and-exchange on
 * its claim word: by a receiver, or by the kernel for a sender that gives up.
 * There is no shared head or tail.
 *
 * Replies are no messages: a request says in which reply slot its answer is
 * awaited, and there it is published, without a claim.
 *
 * Nothing that the peer can write is trusted: an entry is copied once, the
 * copy is checked, the copy is used.
 */
#ifndef FOS_RING_H
#define FOS_RING_H

#include <linux/fastos.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct fos_ring_mem - where the parts lie; a backend fills it in
 * @my_line .. @my_claims: of my control block, and my claims
 * @my_wants: FOS_WANT_* of my sleepers and pollers
 * @my_state: FOS_STATE_DEAD and the count of closes of my side
 * @my_area: bodies of my longer messages
 * @peer_line .. @peer_claims: the same of the peer, who may write anything there
 * @peer_wants: what he must be rung for
 * @peer_armed: 1: he polls for messages
 * @peer_state: of his side; a backend may point it elsewhere when he dies
 * @peer_area: bodies of his
 * @depth: slots
 * @area_bytes: of each area
 */
struct fos_ring_mem {
	struct fos_line *my_line;
	struct fos_entry *my_entries;
	struct fos_entry *my_replies;
	uint64_t *my_released;
	uint64_t *my_returned;
	uint64_t *my_claims;
	unsigned char *my_area;
	const uint32_t *my_wants;
	const __u64 *my_state;
	const struct fos_line *peer_line;
	const struct fos_entry *peer_entries;
	const struct fos_entry *peer_replies;
	const uint64_t *peer_released;
	const uint64_t *peer_returned;
	uint64_t *peer_claims;
	const unsigned char *peer_area;
	const uint32_t *peer_wants;
	const uint32_t *peer_armed;
	const __u64 *peer_state;
	uint32_t depth;
	uint64_t area_bytes;
};

/**
 * struct fos_ring - one endpoint as its process sees it
 * @m: the shared parts
 * @mask: depth - 1
 * @tail: next position to take
 * @free_to: positions below are known to have a free slot
 * @awaited: per slot, the entry whose sender will ask for its fate, or 0
 * @head: all positions below are decided
 */
struct fos_ring {
	struct fos_ring_mem m;
	uint64_t mask;
	uint64_t tail;
	uint64_t free_to;
	uint64_t awaited[FOS_CHAN_DEPTH_MAX];
	uint64_t head __attribute__((aligned(64)));
};

/* What fos_ring_fate() says of an undecided entry. */
#define FOS_FATE_NONE		(-1)

void fos_ring_init(struct fos_ring *r, const struct fos_ring_mem *m);

/* How many fos_lent, and of descriptors a fos_sent, begin an entry's body? */
static inline uint32_t fos_lents(uint32_t meta)
{
	return (meta & FOS_META_LENT) >> FOS_META_LENT_SHIFT;
}

/* Do descriptors go with it?  (The bit alone says nothing.) */
static inline bool fos_has_fds(uint32_t meta)
{
	return (meta & FOS_META_FDS) && (meta & FOS_META_LENT);
}

/* How many buffers does it lend? */
static inline uint32_t fos_buffers(uint32_t meta)
{
	return fos_lents(meta) - fos_has_fds(meta);
}

/* ---- sending ---------------------------------------------------------- */

/**
 * fos_ring_reserve() - take the next position
 * @r: the ring
 * @seq: out: the position; it must be published.  With -EAGAIN: the entry
 *	whose slot is needed, to wait for (FOS_WANT_ROOM)
 *
 * Return: 0; -EAGAIN: the ring is full; -EPROTO: the peer's claims are
 * nonsense.
 */
int fos_ring_reserve(struct fos_ring *r, uint64_t *seq);

/* The entry of a reserved position, to be filled in (all but seq). */
struct fos_entry *fos_ring_entry(struct fos_ring *r, uint64_t seq);

/**
 * fos_ring_publish() - let the peer see a reserved, filled-in entry
 * @r: the ring
 * @e: the entry, all but its seq
 * @seq: its position
 *
 * Return: what the peer must be rung for, FOS_WANT_* or 0.
 */
uint32_t fos_ring_publish(struct fos_ring *r, struct fos_entry *e,
			  uint64_t seq);

/*
 * Between these two, around publishing, fos_ring_fate() is exact even if other
 * threads go on sending: a refusal is not overwritten before it was read.
 */
void fos_ring_await(struct fos_ring *r, uint64_t seq);
void fos_ring_end_await(struct fos_ring *r, uint64_t seq);

/**
 * fos_ring_fate() - what became of an entry of mine
 *
 * Return: FOS_FATE_NONE, FOS_CLAIM_TAKEN, _DONE, _WITHDRAWN, _REFUSED;
 * -EPROTO.
 */
int fos_ring_fate(const struct fos_ring *r, uint64_t seq);

/* Has the peer let go of @seq and its block in my area? */
bool fos_ring_is_free(const struct fos_ring *r, uint64_t seq);

/**
 * fos_ring_withdraw() - take back an entry of mine that nobody took
 * @word: out: the claim word afterwards; the withdrawal won exactly if it is
 *	(seq << 2 | FOS_CLAIM_WITHDRAWN)
 *
 * For a backend without a kernel that does it.
 *
 * Return: 0; -EPROTO: the peer's word is nonsense.
 */
int fos_ring_withdraw(struct fos_ring *r, uint64_t seq, uint64_t *word);

/* The position that the next fos_ring_reserve() would try. */
static inline uint64_t fos_ring_next(const struct fos_ring *r)
{
	return __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
}

/*
 * Changes when any entry, reply or buffer of mine is decided or let go of; for
 * WANT_CLAIMS.
 */
uint64_t fos_ring_claims_sum(const struct fos_ring *r);

/* Is there somebody at the peer to take every undecided entry up to @seq? */
bool fos_ring_has_taker(const struct fos_ring *r, uint64_t seq);

/* ---- receiving -------------------------------------------------------- */

/**
 * struct fos_found - a message of the peer: a private copy of its header
 * @seq: position
 * @token: of a request, checked to be of this entry
 * @len: bytes; checked to lie in the entry or the area
 * @meta: FOS_META_*; checked
 * @hint: the peer's, 0: none
 * @body: in shared memory: may change under the reader, and until the claim
 *	may be another message's
 * @lent: checked copies of the buffers lent, fos_buffers() of them
 * @sent: of the descriptors, if there are any
 */
struct fos_found {
	uint64_t seq;
	uint64_t token;
	uint32_t len;
	uint32_t meta;
	uint64_t hint;
	const unsigned char *body;
	struct fos_lent lent[FOS_LENT_MAX];
	struct fos_sent sent;
};

/**
 * struct fos_scan - a walk over what the peer has published
 * @pos: next position to look at
 * @end: where the peer's count of events says it ends
 * @checked: up to here, what lies behind a gap has been looked at twice
 * @steps: positions looked at
 * @gap: an unpublished position was passed
 * @word: claim word of the entry last returned, for fos_ring_claim()
 */
struct fos_scan {
	uint64_t pos;
	uint64_t end;
	uint64_t checked;
	uint64_t word;
	uint32_t steps;
	bool gap;
};

/* Has the peer published at the head of the ring?  Touches one line. */
bool fos_ring_peek(const struct fos_ring *r);

/* The peer's count of events; load it before scanning, sleep on it after. */
uint64_t fos_ring_seen(const struct fos_ring *r);

/* Is everything decided that was counted in @seen? */
bool fos_ring_is_idle(const struct fos_ring *r, uint64_t seen);

/* Is nothing of any kind published and undecided?  Looks at every slot. */
bool fos_ring_is_empty(const struct fos_ring *r);

/* A count that makes the walk go through the whole ring. */
#define FOS_SEEN_ALL	(UINT64_MAX / 2)

void fos_ring_scan_begin(const struct fos_ring *r, struct fos_scan *s,
			 uint64_t seen);

/**
 * fos_ring_scan() - next published, undecided entry of the given kinds
 * @r: the ring
 * @s: the walk
 * @kinds: 1 << FOS_META_MSG | ...
 * @f: out
 *
 * Return: 1: found; 0: no more; -EPROTO: @f->seq is nonsense.
 */
int fos_ring_scan(struct fos_ring *r, struct fos_scan *s, unsigned int kinds,
		  struct fos_found *f);

/**
 * fos_ring_claim() - decide the entry that fos_ring_scan() just returned
 *
 * An inline body is copied before it is DONE: then the slot is the sender's.
 *
 * @r: the ring
 * @s: the walk
 * @seq: the entry
 * @fate: FOS_CLAIM_TAKEN (fos_ring_done() follows), _DONE or _REFUSED
 * @bell: what the peer must be rung for is added here
 *
 * Return: false: somebody else decided it first.
 */
bool fos_ring_claim(struct fos_ring *r, const struct fos_scan *s, uint64_t seq,
		    unsigned int fate, uint32_t *bell);

/* A TAKEN entry has been read. */
void fos_ring_done(struct fos_ring *r, uint64_t seq, uint32_t *bell);

/*
 * What threads of my side sleep for though messages are there: a thread that
 * was woken for one and took another wakes the next.
 */
uint32_t fos_ring_left_behind(const struct fos_ring *r);

/*
 * Announce that a thread of mine waits for a message, or for requests too, or no
 * longer.
 */
void fos_ring_enter_wait(struct fos_ring *r, bool serves, uint32_t *bell);
void fos_ring_leave_wait(struct fos_ring *r, bool serves);

/* ---- calls ------------------------------------------------------------ */

/* Is there a reply to my request @token?  Touches one line. */
bool fos_ring_has_reply(const struct fos_ring *r, uint64_t token);

/*
 * The same, or there is one to a later request of that slot: another thread has had
 * this one's, or the peer lies.  Relaxed: who takes it asks fos_ring_has_reply().
 */
bool fos_ring_is_answered(const struct fos_ring *r, uint64_t token);

/* Then: what is it?  False: nonsense. */
bool fos_ring_read_reply(const struct fos_ring *r, uint64_t token,
			 struct fos_found *f);

/* I have read the reply to @token, or shall never look for it. */
void fos_ring_release(struct fos_ring *r, uint64_t token, uint32_t *bell);

/*
 * I shall not wait for the reply to @token.  False: it is there after all, to be
 * read and released.  True: its sender is told; if it is there by now, he may not
 * have waited for that.
 */
bool fos_ring_give_up(struct fos_ring *r, uint64_t token, uint32_t *bell);

/* Has the peer finished with it?  Then its reply's block is mine again. */
bool fos_ring_is_released(const struct fos_ring *r, uint64_t token);

/* Is a reply to it of no use any more? */
bool fos_ring_is_stale(const struct fos_ring *r, uint64_t token);
/* FOS_RELEASED_GIVEN_UP: did he go without one?  _GIVING_UP: is he about to? */
bool fos_ring_is_given_up(const struct fos_ring *r, uint64_t token,
			  uint64_t how);

/* Where my reply to the peer's request @token goes: to be filled in, all but seq. */
struct fos_entry *fos_ring_reply_entry(struct fos_ring *r, uint64_t token);

/*
 * Who waits for a reply, and a bell for one, say for which, as far as a bit goes:
 * a backend can wake just those who wait for it.
 */
#define FOS_BELL_REPLY(token)	(FOS_WANT_REPLY | FOS_WANT_SLOT(token))

/* Let the peer see it.  Return: what he must be rung for. */
uint32_t fos_ring_reply(struct fos_ring *r, struct fos_entry *e,
			uint64_t token);

/* Changes with every reply to a request of mine; for WANT_REPLIES. */
uint64_t fos_ring_replies_sum(const struct fos_ring *r);

/* ---- waiting ---------------------------------------------------------- */

/**
 * fos_ring_wait_over() - may what is waited for have happened?
 * @want: FOS_WANT_REPLY, _TAKE, _ROOM, _CLAIMS, _REPLIES, or some of _PUBLISHED
 * @arg: the token; the entry; the sum of claims or of replies or the count of
 *	events that was loaded before the ring was examined
 */
static inline bool fos_ring_wait_over(const struct fos_ring *r, uint32_t want,
				      uint64_t arg)
{
	if (want & FOS_WANT_REPLY)
		return fos_ring_is_answered(r, arg);
	if (want & FOS_WANT_TAKE)
		return fos_ring_fate(r, arg) != FOS_FATE_NONE;
	if (want & FOS_WANT_ROOM)
		return fos_ring_is_free(r, arg);
	if (want & FOS_WANT_CLAIMS)
		return fos_ring_claims_sum(r) != arg;
	if (want & FOS_WANT_REPLIES)
		return fos_ring_replies_sum(r) != arg;
	return fos_ring_seen(r) != arg;
}

/* ---- hints and death -------------------------------------------------- */

#define FOS_RING_LOAD(p)	__atomic_load_n((p), __ATOMIC_RELAXED)
#define FOS_RING_STORE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)

/* CPUs are published plus one; 0 is unknown. */
static inline void fos_ring_set_cpu(struct fos_ring *r, uint32_t cpu)
{
	if (FOS_RING_LOAD(&r->m.my_line->cpu) != cpu + 1)
		FOS_RING_STORE(&r->m.my_line->cpu, cpu + 1);
}

static inline uint32_t fos_ring_peer_cpu(const struct fos_ring *r)
{
	return FOS_RING_LOAD(&r->m.peer_line->cpu);
}

/* Does he sleep, or poll() in the kernel?  In one order with what I exchanged before. */
static inline bool fos_ring_peer_sleeps(const struct fos_ring *r)
{
	return __atomic_load_n(r->m.peer_wants, __ATOMIC_SEQ_CST);
}

static inline bool fos_ring_peer_dead(const struct fos_ring *r)
{
	/* Acquire: what it published before is seen by the next scan. */
	return __atomic_load_n(FOS_RING_LOAD(&r->m.peer_state),
			       __ATOMIC_ACQUIRE) & FOS_STATE_DEAD;
}

/* Does a thread of the peer wait for a message, or for a request? */
static inline bool fos_ring_is_attended(const struct fos_ring *r, bool call)
{
	const uint32_t word = FOS_RING_LOAD(&r->m.peer_line->receivers);

	return call ? FOS_SERVERS(word) : FOS_RECEIVERS(word);
}

/* My side's state word, FOS_STATE_DEAD and the count of closes. */
static inline uint64_t fos_ring_my_state(const struct fos_ring *r)
{
	return __atomic_load_n(r->m.my_state, __ATOMIC_ACQUIRE);
}

#endif
