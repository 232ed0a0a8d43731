/* SPDX-License-Identifier: MIT */
/*
 * io_ring: the rings of a thread.  The kernel writes completions into memory, so a
 * look is a load; asleep it is one system call.
 */
#ifndef FOS_IO_RING_H
#define FOS_IO_RING_H

#include <liburing.h>

#include "io.h"
#include "spin.h"

/* What waits are told apart by: sets of a table, in each the latest. */
#define FOS_IO_SETS	16
#define FOS_IO_WAYS	4

/*
 * Three, for each can do what the others cannot.  One is looked at, and has nothing
 * under way between calls.  What goes on between calls must not interrupt what the
 * thread sleeps in, and is only brought in when it is asked for.  The last polls the
 * device itself, as long as it is waited for.
 */
enum { LOOKED_AT, BACKGROUND, POLLED, RINGS };

/**
 * struct call - one that the kernel is at
 * @done: it is over
 * @res: ... and how
 * @polled_ns: what was polled for it
 * @name: of an asynchronous one; 0: free
 * @request: ... with @iov
 * @iov: ... where it has one
 */
struct call {
	bool done;
	int res;
	uint64_t polled_ns;
	uint64_t name;
	struct fos_io_request request;
	struct iovec iov;
};

/**
 * struct class - waits that are alike
 * @name: which; 0: none
 * @used: when, in calls
 * @asleep: how many slept at once
 * @born: so many do, whatever comes
 * @unpolled: the device was not to be polled
 * @spin: what is learnt of them
 */
struct class {
	uint64_t name;
	uint64_t used;
	uint32_t asleep;
	uint32_t born;
	bool unpolled;
	struct fos_spin spin;
};

/**
 * struct piece - registered memory
 * @at: where; NULL: none
 * @n: bytes
 */
struct piece {
	char *at;
	size_t n;
};

/**
 * struct io - of a thread
 * @forks: of @forks, when it was made
 * @wake_ns: what a sleep costs
 * @uses: of classes
 * @retry: calls until a ring is tried again
 * @has: the ring is there
 * @ring: made when they are first needed
 * @pieces: registered memory
 * @has_table: the ring has room for them
 * @registered: which of them are so with the ring
 * @calls: asynchronous ones
 * @classes: of waits
 */
struct io {
	uint32_t forks;
	uint32_t wake_ns;
	uint64_t uses;
	uint32_t retry[RINGS];
	bool has[RINGS];
	struct io_uring ring[RINGS];
	struct piece pieces[FOS_IO_PIECES];
	bool has_table[RINGS];
	uint32_t registered[RINGS];
	struct call calls[FOS_IO_MAX];
	struct class classes[FOS_IO_SETS][FOS_IO_WAYS];
};

/* Of this thread; NULL: there is no memory for it. */
struct io *fos__io_mine(void);

/* Is the ring there, or can it be made? */
bool fos__io_has(struct io *io, int which);

/* The request is the call's; one element at most. */
static inline void fos__io_keep(struct call *call, const struct fos_io_request *r)
{
	call->request = *r;
	if (!r->count)
		return;
	call->iov = *r->iov;
	call->request.iov = &call->iov;
}

/* With a new ring all that can be. */
void fos__io_register_all(struct io *io, int which);

/* The piece that all of it is in, plus one; 0: none of the ring. */
unsigned int fos__io_piece(const struct io *io, int which,
			   const struct fos_io_request *r);

/*
 * What the kernel has not taken must never be; false: it has not.  @piece: as above, or 0.
 */
bool fos__io_submit(struct io_uring *ring, const struct fos_io_request *r,
		    struct call *call, unsigned int piece);

/* Of a parent: not mapped here. */
void fos__io_ring_forget(struct io_uring *ring);

/* Nothing is under way.  Its descriptor may be another's by now. */
void fos__io_ring_end(struct io_uring *ring);

void fos__io_reap(struct io_uring *ring);

/* What was done at once may be without a ring. */
static inline bool fos__io_look(struct io_uring *ring, const struct call *call)
{
	if (call->done)
		return true;
	if (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_TASKRUN)
		io_uring_get_events(ring);
	if (io_uring_cq_ready(ring))
		fos__io_reap(ring);
	return call->done;
}

/*
 * 0: it is over; -ETIME, -EINTR.  Somebody may have closed the ring's descriptor; what
 * is under way comes to its end nevertheless, and that must be waited for, for the
 * memory is the caller's.
 */
int fos__io_sleep(struct io_uring *ring, const struct call *call,
		  uint64_t deadline_ns);

#endif
