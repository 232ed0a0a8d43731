/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * world: a channel as the model's threads see it.  The rings are those of
 * lib/ring.c; the kernel (kernel.c) and what lib/op.c, in.c, out.c and chan.c
 * do with the rings (send.c, receive.c, call.c) are said again here, without
 * polling, clocks and descriptors.
 */
#ifndef FOS_MODEL_WORLD_H
#define FOS_MODEL_WORLD_H

#include "atomics.h"
#include "../../lib/calls.h"
#include "../../lib/ring.h"

#include <errno.h>

#define DEPTH		FOS_CHAN_DEPTH_MAX
#define BLOCK_BYTES	16
#define BLOCKS		2
#define MESSAGES	6

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define STORE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)

/* What is read and must not be overwritten before its reading is over. */
#define READ_ENTRY(slot)	(slot)
#define READ_REPLY(slot)	(DEPTH + (slot))
#define READ_BLOCK(block)	(2 * DEPTH + (block))
#define READ_FATE(slot)		(2 * DEPTH + BLOCKS + (slot))
#define READINGS		(3 * DEPTH + BLOCKS)

/* A side's shared memory. */
struct control {
	struct fos_line line;
	struct fos_entry entries[DEPTH];
	struct fos_entry replies[DEPTH];
	uint64_t released[DEPTH];
	uint64_t returned[DEPTH];
	uint64_t claims[DEPTH];
	uint8_t area[BLOCKS * BLOCK_BYTES];
	uint32_t need_wakeup;
	uint32_t armed;
	__u64 state;
	/* fos_ep.state: the kernel's own copy. */
	__u64 kstate;
};

/**
 * struct queue - a completion queue that a side's endpoint is in
 * @head: entries that its reader has read
 * @tail: entries posted
 * @seq: of the entries
 * @asleep: its reader is in the wait queue
 */
struct queue {
	uint64_t head;
	uint64_t tail;
	uint64_t seq[DEPTH];
	uint64_t asleep;
};

/**
 * struct waiter - a thread in a wait set
 * @side: whose
 * @woken: taken out by a bell
 * @want: FOS_WANT_*
 * @seen: the peer's events, or the sum of its claims
 * @seq: the entry or token
 */
struct waiter {
	uint8_t side;
	uint8_t woken;
	uint8_t resv[2];
	uint32_t want;
	uint64_t seen;
	uint64_t seq;
};

/**
 * struct wait_set - what the kernel has of a side, under its lock
 * @wants: what need_wakeup says
 * @armed: FOS_WANT_* of pollers
 * @waiting: threads, oldest first
 * @waiters: how many
 * @poller: thread that epoll reports to, plus one
 * @ready: epoll has something to report to it
 * @poller_sleeps: it waits for that
 * @reader: thread that reads the side's queue, plus one; 0: it is in none
 * @queue_woken: it is not to sleep
 * @queue_end: position behind the side's last entry there
 */
struct wait_set {
	uint32_t wants;
	uint32_t armed;
	uint8_t waiting[MODEL_THREADS];
	uint8_t waiters;
	uint8_t poller;
	uint8_t ready;
	uint8_t poller_sleeps;
	uint8_t reader;
	uint8_t queue_woken;
	uint8_t resv[5];
	uint64_t queue_end;
};

enum outcome { UNKNOWN, SENT, UNDELIVERED, UNWANTED, MAYBE };

/**
 * struct message - what is known of one, for the checks
 * @token: of a request
 * @meta: FOS_META_*
 * @thread: that sends it
 * @outcome: what its sender was told
 * @taken: how many took it
 * @counted: its publication was complete
 * @refused: its receiver did not want it
 * @answered: a reply to it was published
 * @replied: ... and was read
 * @stale: ... and was said to be in vain
 * @given_back: ... and its buffers were given back, for it came too late
 * @taker: who took it
 * @tick: of his clock, before that; 0: not noted
 * @seq: its last position
 */
struct message {
	uint64_t token;
	uint8_t meta;
	uint8_t thread;
	uint8_t outcome;
	uint8_t taken;
	uint8_t counted;
	uint8_t refused;
	uint8_t answered;
	uint8_t replied;
	uint8_t stale;
	uint8_t taker;
	uint8_t tick;
	uint8_t given_back;
	uint8_t resv[4];
	uint64_t seq;
};

/**
 * struct reading - a thread's last look at a slot or block of the peer
 * @tick: of its clock when it was over; 0: none, READS: not over
 * @won: and it counts, for it decided the entry
 * @overwritten: while it was not known whether it would
 */
struct reading {
	uint8_t tick;
	uint8_t won;
	uint8_t overwritten;
	uint8_t resv;
};

#define READS		255

struct world {
	struct control mem[2];
	struct fos_ring ring[2];
	struct fos_owed owed[2];
	uint64_t owner[2][BLOCKS];
	struct wait_set set[2];
	struct queue queue[2];
	struct waiter waiter[MODEL_THREADS];
	/* For the checks only. */
	struct message message[MESSAGES];
	struct reading reading[MODEL_THREADS][READINGS];
	uint8_t last_from[MODEL_THREADS][MODEL_THREADS];
	uint8_t in_kernel[MODEL_THREADS];
	uint8_t left[MODEL_THREADS];
	uint8_t dead[2];
	uint8_t resv[24];
};

extern struct world world;

enum level { QUICK, FULL, SOAK };

/**
 * struct config - what the threads do
 * @name: one word
 * @what: for people
 * @side: of each thread, -1 ends the list
 * @body: what each does
 * @mortal: bits of threads that may be killed at any moment
 * @dies: a side may die
 * @polls: bits of sides that poll, or are in a queue
 * @posts: sends without waiting, or waits for a receiver
 * @withdraws: senders may give up; also when a peer dies
 * @refuses: a receiver may refuse a message
 * @torn: entries may be overwritten while they are read, see world.c
 * @by_user: who withdraws does it himself, by fos_ring_withdraw()
 * @area_replies: replies lie in blocks
 * @collects: callers wait for any reply, as fos_collect() does
 * @depth: of the rings, if not DEPTH
 * @blocks: of each area, if not BLOCKS
 * @varied: not all messages have the same token and the same meta
 * @x86: relies on locked instructions being full fences, see configs.c
 * @level: QUICK, FULL or SOAK
 */
struct config {
	const char *name;
	const char *what;
	int8_t side[MODEL_THREADS + 1];
	void (*body[MODEL_THREADS])(void);
	uint8_t mortal;
	bool dies;
	bool posts;
	bool withdraws;
	bool refuses;
	bool torn;
	bool by_user;
	bool area_replies;
	bool collects;
	uint8_t depth;
	uint8_t blocks;
	bool varied;
	uint8_t polls;
	bool x86;
	uint8_t level;
	const char *(*at_end)(unsigned int asleep);
};

extern const struct config *config;

static inline uint32_t the_depth(void)
{
	return config->depth ? config->depth : DEPTH;
}

static inline int my_side(void)
{
	return config->side[model_self];
}

/* ---- what sleeps and wakes: the kernel, or one day a futex ------------ */

/**
 * struct sleeper - as struct fos_backend, of a side in place of a descriptor
 * @bell_wait: 0, -ETIMEDOUT (only if @timed, then it may happen at any time)
 * @bell_self: ring my own side
 * @withdraw: as FOS_IOC_CHAN_WITHDRAW
 * @die: the side's process is gone
 */
struct sleeper {
	int (*bell_wait)(int side, uint32_t bell, uint32_t want, uint64_t arg,
			 bool timed);
	void (*bell_self)(int side, uint32_t bell);
	int (*withdraw)(int side, uint64_t seq, uint64_t *word);
	void (*die)(int side);
};

extern const struct sleeper kernel_sleeper;
extern const struct sleeper *sleeper;

/* epoll, edge-triggered: begin to watch; sleep until there is an event. */
void epoll_add(uint32_t wants);
uint32_t epoll_wait_edge(void);

/* kernel.c: from now on the side's queue is told of messages. */
void queue_arm(int side);
/* queue.c: it is; with the side's lock. */
void queue_post(int side);
/* For the reader: join; sleep until so many were posted; how many there are. */
void queue_join(void);
void queue_wait(uint64_t tail);
uint64_t queue_read(uint64_t read);
/* So many were read. */
void queue_advance(uint64_t read);

/* The thread was killed; the last of its side: it does not come back. */
_Noreturn void thread_dies(void);

/* ---- what the library does with a ring -------------------------------- */

/**
 * struct op - as in lib/op.h
 * @timed: has a deadline, which may pass whenever it sleeps
 * @late: ... and has passed before that
 */
struct op {
	struct fos_ring *r;
	int side;
	uint32_t bell;
	bool waited;
	bool timed;
	bool late;
};

void op_begin(struct op *op, bool timed);
int op_end(struct op *op, int ret);
int op_wait(struct op *op, uint32_t want, uint64_t arg);
int op_withdraw(struct op *op, uint64_t seq);

#define SEND_NONBLOCK	1
#define SEND_AREA	2
#define SEND_TIMED	4
#define SEND_PUSH	8
#define SEND_REQUEST	16	/* that nobody waits for */
#define SEND_LATE	32	/* the deadline is over before the first sleep */

/* Without waiting, and without a message for it. */
void look_for_slot(void);
/* Message @id, 1 .. MESSAGES - 1. */
int send_message(int id, unsigned int flags);

#define KIND_MSG	(1U << FOS_META_MSG)
#define KIND_CALL	(1U << FOS_META_CALL)
#define RECV_NONBLOCK	1
#define RECV_TIMED	2
#define RECV_REFUSES	4	/* the message with the highest number */

/* Return: the message's number, -errno. */
int receive_message(unsigned int kinds, unsigned int flags, uint64_t *token);

/* A block for the reply to @token: 0, and where it begins; or an error. */
int place_reply(struct op *op, uint64_t token, uint64_t *offset);
int place_call(struct op *op, uint64_t *seq);
void publish_call(struct op *op, int id, uint64_t seq, uint64_t token);
int call_peer(int id, unsigned int flags);
int reply_to(uint64_t token, int id);

void hang_up(void);

/*
 * This thread sends or takes so many messages, and withdraws none: the search
 * need not wait for more.
 */
void plan(int n);
void one_of_plan(void);

/* ---- checks ----------------------------------------------------------- */

enum broken {
	BREAK_NOTHING,
	BREAK_RECHECK,
	BREAK_FENCE,
	BREAK_WAKE_NEXT,
	BREAK_LAST_LOOK,
	BREAK_WAKE_ALL,
	BREAK_WITHDRAW,
	BREAK_DEATH_FIRST,
	BREAK_SUM,
	BREAK_FORGET,
	BREAK_LATE_REPLY,
	BREAK_QUEUE_FENCE,
	BREAK_QUEUE_HEAD,
	BREAKS,
};

extern enum broken broken;
extern const char *const break_names[BREAKS];

#define FOS_BODY(id)		(0x0101010101010101ULL * (id))
#define FOS_REPLY_BODY(id)	(0x0101010101010101ULL * ((id) + 0x10))
#define FOS_LEN(id)		(8U + (id))

void reading_begins(int what, bool taken);
void reading_is_over(int what);
void reading_counts(int what, bool won);
void writing_begins(int what);
bool fate_is_known(int what);

void world_begin(const struct config *c, struct model_world *w);

extern const struct config configs[];
extern const int nconfigs;

#endif
