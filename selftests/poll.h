/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs about fos_poll() share. */
#ifndef FOS_SELFTESTS_POLL_H
#define FOS_SELFTESTS_POLL_H

#include "peers.h"
#include "kselftest_harness.h"

FIXTURE(poll) {
	int fd[2];
	int pipe[2];
};

FIXTURE_VARIANT(poll) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(poll, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(poll, by_default) { .spin = FOS_SPIN_DEFAULT };
FIXTURE_VARIANT_ADD(poll, spin) { .spin = FOS_SPIN_ALWAYS };

FIXTURE_SETUP(poll)
{
	ASSERT_EQ(0, channel_with(self->fd, variant->spin, 0, 0));
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
}

FIXTURE_TEARDOWN(poll)
{
}

static inline struct pollfd in(int fd)
{
	return (struct pollfd) { .fd = fd, .events = POLLIN, .revents = 0x55 };
}

static inline long poll_for(struct pollfd *p, nfds_t n, long ms)
{
	const struct timespec deadline = deadline_in(ms);

	return RESULT(fos_poll(p, n, &deadline));
}

/* What is there now of one descriptor; -errno. */
static inline long look(int fd, short events)
{
	const struct timespec past = { 0 };
	struct pollfd p = { .fd = fd, .events = events };
	const long ret = RESULT(fos_poll(&p, 1, &past));

	return ret < 0 ? ret : p.revents;
}

/* Has each end come, and been seen by the other?  Nothing but messages is news then. */
static inline bool have_met(const int fd[2])
{
	return !look(fd[0], POLLIN) && !look(fd[1], POLLIN) && !look(fd[0], POLLIN);
}

static inline long do_poll(struct async *a, const struct timespec *deadline)
{
	return RESULT(fos_poll(a->in, a->cap, deadline));
}

static inline struct async a_poll(struct pollfd *p, nfds_t n)
{
	return (struct async) { .fn = do_poll, .in = p, .cap = n };
}

/* The next message, which is there. */
static inline long take_8(int fd, void *to)
{
	return RESULT(fos_recv(fd, to, 8, FOS_NONBLOCK));
}

/* Sends as soon as somebody is there who would take it. */
static inline long send_to_a_taker(int fd)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	long ret;

	do {
		ret = RESULT(fos_send(fd, "hi", 2, FOS_NONBLOCK));
	} while (ret == -EAGAIN && now_ns() < end);
	return ret;
}

#endif
