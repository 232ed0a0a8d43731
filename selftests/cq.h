/* SPDX-License-Identifier: GPL-2.0-only */
/* A completion queue, and channels whose two ends are here. */
#ifndef FOS_SELFTESTS_CQ_H
#define FOS_SELFTESTS_CQ_H

#include <poll.h>

#include "peers.h"
#include "kselftest_harness.h"

#define PLACES		8
#define CLIENTS		3

FIXTURE(cq) {
	int cq;
	int here[CLIENTS];
	int there[CLIENTS];
};

FIXTURE_SETUP(cq)
{
	int fd[2], i;

	self->cq = fos_cq_create(PLACES, 0);
	ASSERT_LE(0, self->cq);
	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 4, 0));
		self->here[i] = fd[0];
		self->there[i] = fd[1];
	}
}

FIXTURE_TEARDOWN(cq)
{
	int i;

	for (i = 0; i < CLIENTS; i++) {
		fos_close(self->here[i]);
		fos_close(self->there[i]);
	}
	EXPECT_EQ(0, fos_close(self->cq));
}

static inline long wait_ms(int cq, struct fos_cq_event *ev, unsigned int min,
			   unsigned int max, long ms)
{
	const struct timespec deadline = deadline_in(ms);

	return RESULT(fos_cq_wait(cq, ev, min, max, &deadline));
}

/* The user_data of the only event there is; 0: none; -1: more. */
static inline long only(int cq)
{
	struct fos_cq_event ev[PLACES];
	long n = wait_ms(cq, ev, 0, PLACES, 0);

	return n > 1 ? -1 : n ? (long)ev[0].user_data : 0;
}

static inline long post_one(int fd)
{
	return RESULT(fos_send(fd, "m", 1, FOS_POST));
}

static inline long take_one(int fd)
{
	char byte;

	return RESULT(fos_recv(fd, &byte, 1, FOS_NONBLOCK));
}

static inline int add_all(int cq, const int *fd)
{
	int i, failed = 0;

	for (i = 0; i < CLIENTS; i++)
		failed += !!fos_cq_add(cq, fd[i], i + 1);
	return failed;
}

static inline uint64_t request_one(int fd)
{
	const struct timespec deadline = deadline_in(HANG_MS);
	uint64_t token = 0;

	return fos_post(fd, "r", 1, &token, 0, &deadline) ? 0 : token;
}

/* As a server: answer the next one. */
static inline long answer_one(int fd)
{
	const struct timespec deadline = deadline_in(HANG_MS);
	uint64_t token = 0;
	char byte;

	if (fos_reply_recv(fd, &token, NULL, 0, &byte, 1, &deadline) != 1)
		return -errno;
	return RESULT(fos_reply(fd, token, "a", 1));
}

#endif
