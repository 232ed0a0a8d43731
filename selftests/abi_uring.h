/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands of io_uring by hand, for the tests of the ABI. */
#ifndef FOS_SELFTESTS_ABI_URING_H
#define FOS_SELFTESTS_ABI_URING_H

#include <liburing.h>

#include "abi_tickets.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define PAGES		256
#define BYTES		(PAGES * PAGE)
#define BELL(want)	FOS_ADVICE(want, 0)

/* What came of a command that has not completed within HANG_MS, or was not taken. */
#define NEVER		1000
#define NOT_TAKEN	1001

/* What a ring can be like: each is another way through io_uring. */
struct kind {
	unsigned int setup;	/* IORING_SETUP_* */
	unsigned int flags;	/* IOSQE_* of each command */
};

static inline bool open_ring(struct io_uring *ring, const struct kind *k)
{
	return !io_uring_queue_init(128, ring, k->setup);
}

/* With SQE128 one takes two places, but liburing knows. */
static inline struct io_uring_sqe *command(struct io_uring *ring, int fd,
					   uint32_t op, const void *payload)
{
	struct io_uring_sqe *sqe;

	/* Full: until the thread that polls has taken some. */
	while (!(sqe = io_uring_get_sqe(ring)))
		if (io_uring_sqring_wait(ring) < 0)
			return NULL;
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
	sqe->off = op;	/* cmd_op and padding */
	memcpy(sqe->cmd, payload, 16);
	return sqe;
}

static inline struct io_uring_sqe *
ring_bell(struct io_uring *ring, int fd, uint32_t advice)
{
	const struct fos_uring_bell a = { .advice = advice };

	return command(ring, fd, FOS_URING_CHAN_BELL, &a);
}

static inline struct io_uring_sqe *
ring_ioctl(struct io_uring *ring, int fd, uint32_t op, const void *args)
{
	const struct fos_uring_ioctl a = { .args = (uintptr_t)args };

	return command(ring, fd, op, &a);
}

/* Its result, when it is there; the name it was given. */
static inline int completed(struct io_uring *ring, uint64_t *name)
{
	struct __kernel_timespec ts = { .tv_sec = HANG_MS / 1000 };
	struct io_uring_cqe *cqe;
	int res = io_uring_wait_cqe_timeout(ring, &cqe, &ts);

	if (res)
		return NEVER;
	res = cqe->res;
	if (name)
		*name = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

/* None has completed, and none does when it is asked. */
static inline bool none_completed(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	return io_uring_get_events(ring) >= 0 &&
	       io_uring_peek_cqe(ring, &cqe) == -EAGAIN;
}

static inline int submit_one(struct io_uring *ring, struct io_uring_sqe *sqe,
			     unsigned int flags)
{
	if (!sqe)
		return NOT_TAKEN;
	sqe->flags |= flags;
	/* The thread that polls for them may not have taken the last one. */
	return io_uring_submit(ring) > 0 ? 0 : NOT_TAKEN;
}

/* The result of one that completes. */
static inline int ask(struct io_uring *ring, struct io_uring_sqe *sqe,
		      unsigned int flags)
{
	return submit_one(ring, sqe, flags) ?: completed(ring, NULL);
}

/* ---- a ring of each kind, a channel and a region ----------------------- */

FIXTURE(ring) {
	struct io_uring ring;
	const struct kind *kind;
	struct raw a;
	struct raw b;
	int fd;
	char *base;
};

FIXTURE_VARIANT(ring) {
	struct kind kind;
};

FIXTURE_VARIANT_ADD(ring, plain) {
	.kind = { .setup = 0 },
};

FIXTURE_VARIANT_ADD(ring, large) {
	.kind = { .setup = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 },
};

FIXTURE_VARIANT_ADD(ring, deferred) {
	.kind = { .setup = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN },
};

FIXTURE_VARIANT_ADD(ring, polled) {
	.kind = { .setup = IORING_SETUP_SQPOLL },
};

FIXTURE_VARIANT_ADD(ring, by_a_worker) {
	.kind = { .flags = IOSQE_ASYNC },
};

FIXTURE_SETUP(ring)
{
	struct raw r[2];

	catch_faults();
	self->kind = &variant->kind;
	ASSERT_TRUE(open_ring(&self->ring, self->kind));
	ASSERT_EQ(0, raw_pair(r, DEPTH, 0));
	self->a = r[0];
	self->b = r[1];
	self->fd = make_region(BYTES);
	ASSERT_LE(0, self->fd);
	self->base = map_region(self->fd, BYTES, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	memset(self->base, 7, BYTES);
}

FIXTURE_TEARDOWN(ring)
{
	io_uring_queue_exit(&self->ring);
}

static inline struct fos_tlb_submit
batch(const struct fos_tlb_range *r, uint32_t n, uint64_t within_ns)
{
	return (struct fos_tlb_submit) {
		.ranges = (uintptr_t)r,
		.count = n,
		.within_ns = within_ns,
	};
}

/* The ticket of a command that was submitted, in whatever thread. */
static inline uint64_t ticket_of(const struct fos_tlb_submit *a)
{
	const uint64_t end = in_ms(HANG_MS);
	uint64_t ticket;

	while (!(ticket = __atomic_load_n(&a->ticket, __ATOMIC_ACQUIRE)) &&
	       now_ns() < end)
		nap_us(100);
	return ticket;
}

#endif
