// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors of calls that are posted: out and back, in whatever order, and of
 * those that cannot be sent.
 *
 * gates: asan tsan
 */
#include "msg_fds.h"
#include "kselftest_harness.h"

FIXTURE(msg_fds_post) {
	int fd[2];
	int before;
};

FIXTURE_SETUP(msg_fds_post)
{
	ASSERT_TRUE(meet(self->fd, FOS_SPIN_DEFAULT));
	ASSERT_TRUE(attach_both(self->fd));
	self->before = settled();
}

FIXTURE_TEARDOWN(msg_fds_post)
{
	fos_close(self->fd[0]);
	fos_close(self->fd[1]);
}

static long post(int fd, uint64_t n, uint64_t *token)
{
	struct parcel out;
	long ret;

	to_send(&out, &n, sizeof(n));
	with_fd(&out, numbered(n));
	ret = RESULT(fos_postmsg(fd, &out.m, FOS_NONBLOCK, NULL));
	*token = out.m.token;
	close(out.fds[0]);
	return ret;
}

/* A request, its number, and what it wants to be answered. */
static uint64_t serve(int fd, uint64_t *token)
{
	struct parcel in;

	if (take(fd, &in) != 8 || in.m.nfds != 1)
		return ~0ULL;
	*token = in.m.token;
	return number(in.fds[0]);
}

static long answer(int fd, uint64_t token, uint64_t n)
{
	struct parcel out;
	long ret;

	to_send(&out, NULL, 0);
	with_fd(&out, numbered(n));
	out.m.token = token;
	ret = put_in(fd, &out, 0);
	close(out.fds[0]);
	return ret;
}

TEST_F(msg_fds_post, each_reply_has_its_own)
{
	uint64_t token[DEPTH], asked[DEPTH];
	struct parcel got;
	int i, k;

	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(8, post(self->fd[0], i, &token[i]));
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(i, serve(self->fd[1], &asked[i]));
	for (i = DEPTH; i--;)
		ASSERT_EQ(0, answer(self->fd[1], asked[i], 100 + i));
	for (i = 0; i < DEPTH; i++) {
		ASSERT_EQ(0, RESULT(fos_collectmsg(self->fd[0], to_receive(&got),
						   0, NULL)));
		ASSERT_EQ(1, got.m.nfds);
		for (k = 0; token[k] != got.m.token; k++)
			;
		EXPECT_EQ(100 + k, number(got.fds[0]));
	}
	to_receive(&got);
	EXPECT_EQ(-ENOMSG, RESULT(fos_collectmsg(self->fd[0], &got.m, 0, NULL)));
	ASSERT_EQ(8, post(self->fd[0], 50, &token[0]));
	ASSERT_EQ(50, serve(self->fd[1], &asked[0]));
	ASSERT_EQ(0, answer(self->fd[1], asked[0], 51));
	ASSERT_EQ(0, RESULT(fos_collectmsg(self->fd[0], to_receive(&got), 0,
					   NULL)));
	EXPECT_EQ(51, number(got.fds[0]));
	EXPECT_EQ(self->before, count_open());
}

TEST_F(msg_fds_post, what_was_put_by_is_closed_at_the_end)
{
	uint64_t token, asked;
	struct parcel out, got;
	int p[2];

	ASSERT_EQ(8, post(self->fd[0], 1, &token));
	ASSERT_EQ(1, serve(self->fd[1], &asked));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	to_send(&out, "x", 1);
	with_fd(&out, p[1]);
	ASSERT_EQ(1, RESULT(fos_sendmsg(self->fd[1], &out.m, FOS_POST, NULL)));
	close(p[1]);
	ASSERT_EQ(0, answer(self->fd[1], asked, 2));
	/* What came before the reply's is for a message that nobody takes. */
	ASSERT_EQ(0, RESULT(fos_collectmsg(self->fd[0], to_receive(&got), 0,
					   NULL)));
	EXPECT_EQ(2, number(got.fds[0]));
	EXPECT_EQ(self->before + 2, count_open());
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, fos_close(self->fd[1]));
	EXPECT_TRUE(ended(p[0]));
	close(p[0]);
}

TEST_F(msg_fds_post, what_cannot_be_sent_is_no_call)
{
	struct parcel out, got;
	uint64_t token, asked;
	long ret = -ETIMEDOUT;
	int i;

	/* Until the socket is full. */
	for (i = 0; i < 100000 && ret == -ETIMEDOUT; i++) {
		to_send(&out, "x", 1);
		with_fd(&out, 0);
		ret = put_in(self->fd[0], &out, 0);
	}
	EXPECT_TRUE(ret == -ENOBUFS || ret == -ETOOMANYREFS);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(ret, post(self->fd[0], i, &token));
	EXPECT_EQ(-ENOMSG, RESULT(fos_collectmsg(self->fd[0], to_receive(&got), 0,
						 NULL)));
	EXPECT_EQ(-ETIMEDOUT, take_in(self->fd[1], &got, 0));
	EXPECT_EQ(8, post(self->fd[0], 7, &token));
	EXPECT_EQ(7, serve(self->fd[1], &asked));
	EXPECT_EQ(0, answer(self->fd[1], asked, 8));
	EXPECT_EQ(0, RESULT(fos_collectmsg(self->fd[0], to_receive(&got), 0, NULL)));
	EXPECT_EQ(token, got.m.token);
	EXPECT_EQ(8, number(got.fds[0]));
	EXPECT_EQ(self->before, count_open());
}

TEST_HARNESS_MAIN
