/* SPDX-License-Identifier: GPL-2.0-only */
/* The ring target: a channel in private memory, one end of it the library's. */
#ifndef FUZZ_RING_WORLD_H
#define FUZZ_RING_WORLD_H

#include "fuzz.h"

#include "internal.h"

/* Its descriptor; only the backend knows that there is no such file. */
#define FD		7

/* Calls inside each other: what another thread does while one sleeps. */
#define LEVELS		3

/**
 * struct part - a piece of shared memory; around it ASan lets nobody
 * @words: there
 * @n: 64-bit words
 */
struct part {
	uint64_t *words;
	uint64_t n;
};

enum {
	LINE, ENTRIES, REPLIES, RELEASED, RETURNED, CLAIMS, AREA, KSIDE, PARTS
};

/**
 * struct world - one run
 * @open: the descriptor is an endpoint
 * @mapped: the library has it attached
 * @posix: the peer can write my verdicts, too
 * @lied: ... and has
 * @depth, @area_bytes, @cookie: of the channel
 * @mine, @peers: the parts of the two sides; CLAIMS are by their owner
 * @tail: next position of the peer
 * @countdown: loads from the peer's memory until he acts again, 0: never
 * @fickle: what he has said he changes as soon as it was looked at
 * @level: calls under way
 * @replying: one of them waits for room for a reply
 * @nonblock: one of them must not sleep
 * @sleeps: sleeps since the input last moved on
 * @ep: the endpoint, while attached
 */
struct world {
	bool open;
	bool mapped;
	bool posix;
	bool lied;
	uint32_t depth;
	uint64_t area_bytes;
	uint64_t cookie;
	struct part mine[PARTS];
	struct part peers[PARTS];
	uint64_t tail;
	uint32_t countdown;
	bool fickle;
	uint32_t level;
	uint32_t replying;
	bool nonblock;
	uint64_t sleeps;
	struct fos_ep *ep;
};

extern struct world w;

#define MINE(part)	((void *)w.mine[part].words)
#define PEERS(part)	((void *)w.peers[part].words)

/* ring_peer.c: the memory, and what the peer does with it */
void world_make(void);
void world_unmake(void);
struct fos_ring_mem world_mem(void);
void peer_step(void);

/* In, out: of exactly the size that is told, so that ASan sees more. */
struct buffer {
	unsigned char *at;
	size_t n;
};

/**
 * struct fuzz_call - one that the input can ask for
 * @call: does it
 * @now: it must not sleep
 * @receives: it can wait for a reply that another thread of mine is writing;
 *	here that thread would have to wait for us
 */
struct fuzz_call {
	void (*call)(void);
	bool now;
	bool receives;
};

/* ring.c: a call of mine, and what it is made of */
void my_step(void);
struct buffer take_buffer(void);
const struct timespec *take_deadline(struct timespec *ts);
void check_result(long ret, size_t max, const int *errors);

/* ring_post.c */
extern const struct fuzz_call post_calls[8];
void post_begin(void);

/* ring_check.c: what must hold when no call of mine is under way */
void check_begin(void);
void check_mine(void);

#endif
