/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls that are posted and collected; for a program of its own. */
#ifndef FOS_SELFTESTS_POST_H
#define FOS_SELFTESTS_POST_H

#include <sys/uio.h>

#include "peers.h"
#include "kselftest_harness.h"

#define DEPTH		8

FIXTURE(post) {
	int fd[2];
};

FIXTURE_VARIANT(post) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(post, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(post, by_default) { .spin = FOS_SPIN_DEFAULT };
FIXTURE_VARIANT_ADD(post, spin) { .spin = FOS_SPIN_ALWAYS };

FIXTURE_SETUP(post)
{
	ASSERT_EQ(0, channel_with(self->fd, variant->spin, DEPTH, 1 << 16));
}

FIXTURE_TEARDOWN(post)
{
	fos_close(self->fd[0]);
	fos_close(self->fd[1]);
}

/* Post a request of one number; its token, or -errno. */
static inline long post_with(int fd, uint64_t number, int flags)
{
	const struct timespec deadline = deadline_in(HANG_MS);
	uint64_t token;

	return fos_post(fd, &number, sizeof(number), &token, flags, &deadline) ?
	       -errno : (long)token;
}

static inline long post(int fd, uint64_t number)
{
	return post_with(fd, number, 0);
}

/* Collect the reply to @token, or to any and say which; its length or -errno. */
static inline long collect_by(int fd, uint64_t *token, void *buf, size_t cap,
			      int flags, long ms)
{
	const struct timespec deadline = deadline_in(ms);

	return RESULT(fos_collect(fd, token, buf, cap, flags, &deadline));
}

/* The number in the reply, or -errno. */
static inline long collect(int fd, uint64_t token)
{
	uint64_t number = 0;
	long ret = collect_by(fd, &token, &number, sizeof(number), 0, HANG_MS);

	return ret == sizeof(number) ? (long)number : ret;
}

static inline long collect_any(int fd, uint64_t *token, int flags)
{
	uint64_t number = 0;
	long ret;

	*token = 0;
	ret = collect_by(fd, token, &number, sizeof(number), flags, HANG_MS);
	return ret == sizeof(number) ? (long)number : ret;
}

/* As a server: the number of the next request, or -errno. */
static inline long take(int fd, uint64_t *token)
{
	const struct timespec deadline = deadline_in(HANG_MS);
	uint64_t number = 0;
	long ret;

	*token = 0;
	ret = RESULT(fos_reply_recv(fd, token, NULL, 0, &number, sizeof(number),
				    &deadline));
	return ret == sizeof(number) ? (long)number : ret;
}

static inline long answer(int fd, uint64_t token, uint64_t number)
{
	return RESULT(fos_reply(fd, token, &number, sizeof(number)));
}

#endif
