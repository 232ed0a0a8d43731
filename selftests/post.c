// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that no thread waits in: posted, answered in any order, collected; and
 * messages that are posted.
 *
 * gates: asan tsan
 */
#include "post.h"

/* ---- in any order ----------------------------------------------------- */

TEST_F(post, what_is_answered_can_be_collected)
{
	uint64_t token, which;
	long posted = post(self->fd[0], 7);

	ASSERT_GT(posted, 0);
	EXPECT_EQ(-EAGAIN, collect_any(self->fd[0], &which, FOS_NONBLOCK));
	EXPECT_EQ(0, which);
	EXPECT_EQ(7, take(self->fd[1], &token));
	EXPECT_EQ(posted, (long)token);
	EXPECT_EQ(0, answer(self->fd[1], token, 77));
	EXPECT_EQ(77, collect_any(self->fd[0], &which, FOS_NONBLOCK));
	EXPECT_EQ(posted, (long)which);
	EXPECT_EQ(-ENOMSG, collect_any(self->fd[0], &which, 0));
}

TEST_F(post, replies_come_in_any_order_each_to_its_call)
{
	static const int order[DEPTH] = { 5, 0, 7, 2, 1, 6, 4, 3 };
	uint64_t token[DEPTH], which;
	long posted[DEPTH];
	int i;

	for (i = 0; i < DEPTH; i++)
		ASSERT_GT(posted[i] = post(self->fd[0], i), 0);
	for (i = 0; i < DEPTH; i++)
		EXPECT_EQ(i, take(self->fd[1], &token[i]));
	for (i = 0; i < DEPTH; i++) {
		EXPECT_EQ(0, answer(self->fd[1], token[order[i]],
				    100 + order[i]));
		EXPECT_EQ(100 + order[i], collect_any(self->fd[0], &which, 0));
		EXPECT_EQ(posted[order[i]], (long)which);
	}
}

TEST_F(post, one_call_is_collected_by_its_token)
{
	uint64_t token[3];
	long posted[3];
	int i;

	for (i = 0; i < 3; i++)
		posted[i] = post(self->fd[0], i);
	for (i = 0; i < 3; i++) {
		take(self->fd[1], &token[i]);
		EXPECT_EQ(0, answer(self->fd[1], token[i], 10 + i));
	}
	EXPECT_EQ(11, collect(self->fd[0], posted[1]));
	EXPECT_EQ(-ENOMSG, collect(self->fd[0], posted[1]));
	EXPECT_EQ(12, collect(self->fd[0], posted[2]));
	EXPECT_EQ(10, collect(self->fd[0], posted[0]));
	EXPECT_EQ(-ENOMSG, collect(self->fd[0], posted[0]));
	EXPECT_EQ(-ENOMSG, collect(self->fd[0], 0xff));
	EXPECT_EQ(-ENOMSG, collect(self->fd[0], ~0UL));
}

/* Any reply ends the sleep of who waits for any, and no other that for one. */
static long do_collect(struct async *a, const struct timespec *deadline UNUSED)
{
	uint64_t which = 0;

	return a->token ? collect(a->fd, a->token) :
			  collect_any(a->fd, &which, 0);
}

TEST_F(post, whoever_waits_is_woken_by_what_he_waits_for)
{
	struct async any = { .fn = do_collect, .fd = self->fd[0] };
	struct async one = any;
	uint64_t token[3];
	int i;

	for (i = 0; i < 3; i++) {
		one.token = post(self->fd[0], i);
		ASSERT_EQ(i, take(self->fd[1], &token[i]));
	}
	start(&any);
	start(&one);
	if (variant->spin == FOS_SPIN_BLOCK)
		EXPECT_TRUE(asleep(&any) && asleep(&one));
	EXPECT_EQ(0, answer(self->fd[1], token[1], 11));
	EXPECT_EQ(11, finish(&any));
	EXPECT_FALSE(is_done(&one));
	EXPECT_EQ(0, answer(self->fd[1], token[2], 12));
	EXPECT_EQ(12, finish(&one));
	EXPECT_EQ(0, answer(self->fd[1], token[0], 10));
	EXPECT_EQ(10, collect_any(self->fd[0], &token[0], 0));
}

TEST_F(post, calls_that_wait_and_calls_that_do_not_share_an_endpoint)
{
	char in[8];
	struct async c = { .fn = do_call, .fd = self->fd[0], .out = "12345678",
			   .out_len = 8, .in = in, .cap = sizeof(in) };
	uint64_t token[2], which;
	long posted;

	start(&c);
	take(self->fd[1], &token[0]);
	posted = post(self->fd[0], 5);
	EXPECT_EQ(5, take(self->fd[1], &token[1]));
	EXPECT_EQ(0, answer(self->fd[1], token[1], 55));
	EXPECT_EQ(0, answer(self->fd[1], token[0], 1));
	EXPECT_EQ(8, finish(&c));
	EXPECT_EQ(55, collect_any(self->fd[0], &which, 0));
	EXPECT_EQ(posted, (long)which);
}

/* ---- limits ----------------------------------------------------------- */

TEST_F(post, as_many_are_outstanding_as_the_channel_is_deep)
{
	uint64_t token, which;
	int i, round;

	for (i = 0; i < DEPTH; i++)
		ASSERT_GT(post(self->fd[0], i), 0);
	EXPECT_EQ(-EAGAIN, post(self->fd[0], 8));
	for (round = 0; round < 3 * DEPTH; round++) {
		EXPECT_EQ(round, take(self->fd[1], &token));
		EXPECT_EQ(-EAGAIN, post(self->fd[0], 8));
		EXPECT_EQ(0, answer(self->fd[1], token, round));
		EXPECT_EQ(round, collect_any(self->fd[0], &which, 0));
		EXPECT_GT(post(self->fd[0], DEPTH + round), 0);
	}
}

TEST_F(post, flags_that_make_no_sense)
{
	struct fos_msg m = { .token = 0 };
	const int fd = self->fd[0];
	uint64_t token = 0;

	EXPECT_EQ(-EINVAL, RESULT(fos_send(fd, "x", 1, FOS_MORE)));
	EXPECT_EQ(-EINVAL, RESULT(fos_send(fd, "x", 1, FOS_POST | 8)));
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(fd, &m, FOS_MORE, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_recvmsg(fd, &m, FOS_POST, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_postmsg(fd, &m, FOS_POST, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_postmsg(fd, NULL, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_collectmsg(fd, &m, FOS_MORE, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_collectmsg(fd, NULL, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_post(fd, NULL, 1, &token, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_post(fd, "x", 1, NULL, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_post(fd, "x", 1, &token, FOS_POST, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_collect(fd, &token, NULL, 1, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_collect(fd, NULL, &m, 1, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_collect(fd, &token, &m, 1, FOS_MORE, NULL)));
	m.token = 5;
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &m, FOS_POST, NULL)));
}

TEST_F(post, waiting_ends_in_time_and_ends_nothing_else)
{
	const uint64_t posted = post(self->fd[0], 3);
	uint64_t token, which = posted, number;

	EXPECT_EQ(-ETIMEDOUT, collect_by(self->fd[0], &which, &number, 8, 0, 20));
	EXPECT_EQ(posted, which);
	which = 0;
	EXPECT_EQ(-ETIMEDOUT, collect_by(self->fd[0], &which, &number, 8, 0, 20));
	EXPECT_EQ(3, take(self->fd[1], &token));
	EXPECT_EQ(0, answer(self->fd[1], token, 33));
	EXPECT_EQ(33, collect(self->fd[0], posted));
}

TEST_F(post, a_request_or_a_reply_that_is_too_long_ends_one_call)
{
	char big[64] = "big";
	struct iovec iov = { big, sizeof(big) };
	struct fos_msg m = { .iov = &iov, .iovlen = 1 };
	uint64_t first, token, which;

	ASSERT_EQ(64, fos_postmsg(self->fd[0], &m, 0, NULL));
	first = m.token;
	ASSERT_GT(post(self->fd[0], 4), 0);
	EXPECT_EQ(4, take(self->fd[1], &token));
	EXPECT_EQ(-EMSGSIZE, collect_any(self->fd[0], &which, 0));
	EXPECT_EQ(first, which);
	EXPECT_EQ(0, fos_delivered());
	EXPECT_EQ(0, RESULT(fos_reply(self->fd[1], token, big, sizeof(big))));
	EXPECT_EQ(-EMSGSIZE, collect_any(self->fd[0], &which, 0));
	EXPECT_EQ(token, which);
	EXPECT_EQ(1, fos_delivered());
	EXPECT_EQ(-ENOMSG, collect_any(self->fd[0], &which, 0));
	iov.iov_len = FOS_MSG_MAX;
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_postmsg(self->fd[0], &m, 0, NULL)));
}

/* ---- messages --------------------------------------------------------- */

TEST_F(post, a_message_is_posted_before_anybody_wants_it)
{
	char got[8];
	int i;

	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(1, fos_send(self->fd[0], &i, 1, FOS_POST));
	EXPECT_EQ(-EAGAIN, RESULT(fos_send(self->fd[0], "x", 1,
					   FOS_POST | FOS_NONBLOCK)));
	EXPECT_EQ(1, recv_when_readable(self->fd[1], got, 8));
	EXPECT_EQ(0, got[0]);
	for (i = 1; i < DEPTH; i++) {
		EXPECT_EQ(1, fos_recv(self->fd[1], got, 8, 0));
		EXPECT_EQ(i, got[0]);
	}
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[1], got, 8, FOS_NONBLOCK)));
}

TEST_F(post, a_full_ring_is_waited_for)
{
	const struct timespec deadline = deadline_in(20);
	struct fos_msg m = { .token = 0 };
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "last",
			   .out_len = 4 };
	char got[8];
	int i;

	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(1, fos_send(self->fd[0], "x", 1, FOS_POST));
	EXPECT_EQ(-ETIMEDOUT, RESULT(fos_sendmsg(self->fd[0], &m, FOS_POST,
						 &deadline)));
	start(&s);
	for (i = 0; i < DEPTH; i++)
		EXPECT_EQ(1, fos_recv(self->fd[1], got, 8, 0));
	EXPECT_EQ(4, fos_recv(self->fd[1], got, 8, 0));
	EXPECT_EQ(4, finish(&s));
}

/* A message each way.  Without the module, that both come wakes everybody. */
static bool meet(const int fd[2])
{
	char got[8];

	return fos_send(fd[0], "x", 1, FOS_POST) == 1 &&
	       fos_recv(fd[1], got, 8, 0) == 1 &&
	       fos_send(fd[1], "x", 1, FOS_POST) == 1 &&
	       fos_recv(fd[0], got, 8, 0) == 1;
}

/* The bell is owed, and whatever is called next pays. */
TEST_F(post, more_wakes_nobody_and_the_next_call_does)
{
	char got[8];
	struct async r = { .fn = do_recv, .fd = self->fd[1], .in = got,
			   .cap = sizeof(got) };

	if (variant->spin != FOS_SPIN_BLOCK)
		SKIP(return, "about one who sleeps");
	EXPECT_TRUE(meet(self->fd));
	start(&r);
	ASSERT_TRUE(asleep(&r));
	EXPECT_EQ(1, fos_send(self->fd[0], "a", 1, FOS_POST | FOS_MORE));
	nap_us(20000);
	EXPECT_FALSE(is_done(&r));
	EXPECT_EQ(-ENOMSG, collect(self->fd[0], 0));
	EXPECT_EQ(1, finish(&r));
	EXPECT_EQ('a', got[0]);
}

static long do_serve(struct async *a, const struct timespec *deadline UNUSED)
{
	uint64_t token = 0;

	return RESULT(serve_once(a->fd, &token, NULL, 0, a->in, a->cap));
}

/* Nobody may call again after an error. */
TEST_F(post, what_is_owed_is_rung_by_one_that_fails)
{
	static char big[FOS_MSG_MAX + 1];
	char got[8];
	struct async r = { .fn = do_serve, .fd = self->fd[1], .in = got,
			   .cap = sizeof(got) };
	uint64_t token;

	EXPECT_TRUE(meet(self->fd));
	start(&r);
	ASSERT_TRUE(variant->spin != FOS_SPIN_BLOCK || asleep(&r));
	EXPECT_LT(0, post_with(self->fd[0], 7, FOS_MORE));
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_post(self->fd[0], big, sizeof(big), &token,
					     FOS_MORE, NULL)));
	EXPECT_EQ(8, finish(&r));
}

/* ---- beside calls that wait ------------------------------------------- */

/* All places are posted calls', whose bell is owed: a call rings it, and waits. */
TEST_F(post, a_call_that_waits_for_a_place_wakes_the_server_for_the_others)
{
	char in[8];
	struct async c = { .fn = do_call, .fd = self->fd[0], .out = "12345678",
			   .out_len = 8, .in = in, .cap = sizeof(in) };
	const pid_t server = spawn_echo(self->fd[1], 64);
	uint64_t token;
	int i;

	fos_close(self->fd[1]);
	EXPECT_GT(token = post(self->fd[0], 0), 0);
	EXPECT_EQ(0, collect(self->fd[0], token));
	nap_us(20000);
	for (i = 0; i < DEPTH; i++)
		ASSERT_GT(token = post_with(self->fd[0], i, FOS_MORE), 0);
	start(&c);
	nap_us(20000);
	EXPECT_FALSE(is_done(&c));
	EXPECT_EQ(DEPTH - 1, collect(self->fd[0], token));
	EXPECT_EQ(8, finish(&c));
	fos_close(self->fd[0]);
	EXPECT_EQ(0, reap(server));
}

static void wait_for_a_place(struct async *c, int fd)
{
	static char in[8];
	int i;

	*c = (struct async) { .fn = do_call, .fd = fd, .out = "12345678",
			      .out_len = 8, .in = in, .cap = sizeof(in) };
	for (i = 0; i < DEPTH; i++)
		post(fd, i);
	start(c);
	nap_us(20000);
}

TEST_F(post, a_call_that_waits_for_a_place_ends_with_the_peer)
{
	struct async c;

	wait_for_a_place(&c, self->fd[0]);
	EXPECT_FALSE(is_done(&c));
	fos_close(self->fd[1]);
	EXPECT_EQ(-EPIPE, finish(&c));
}

TEST_F(post, a_call_that_waits_for_a_place_ends_with_its_descriptor)
{
	struct async c;

	wait_for_a_place(&c, self->fd[0]);
	EXPECT_FALSE(is_done(&c));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(-EBADF, finish(&c));
}

/* Without the module: what told of the first message was the peer's coming. */
TEST_F(post, who_polls_is_told_of_what_was_posted_before_he_came)
{
	char got[8];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(1, fos_send(self->fd[0], &i, 1, FOS_POST));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(1, recv_when_readable(self->fd[1], got, 8));
		EXPECT_EQ(i, got[0]);
	}
}

/* ---- buffers ---------------------------------------------------------- */

TEST_F(post, buffers_go_with_posted_calls_and_come_back)
{
	struct iovec buf, got;
	struct fos_msg m, in = { .bufs = &got };
	int i;

	for (i = 0; i < 4 * DEPTH; i++) {
		buf.iov_len = 1 << 15;
		buf.iov_base = fos_buf_alloc(self->fd[0], buf.iov_len, 0, NULL);
		ASSERT_TRUE(buf.iov_base);
		fill(buf.iov_base, 100, i);
		m = (struct fos_msg) { .bufs = &buf, .nbufs = 1 };
		ASSERT_EQ(0, fos_postmsg(self->fd[0], &m, 0, NULL));
		EXPECT_EQ(FOS_PATH_LEND, m.path);
		in.nbufs = 1;
		ASSERT_EQ(0, fos_recvmsg(self->fd[1], &in, 0, NULL));
		EXPECT_TRUE(is_filled(got.iov_base, 100, i));
		EXPECT_EQ(0, fos_buf_release(self->fd[1], got.iov_base));
		EXPECT_EQ(0, fos_reply(self->fd[1], in.token, "ok", 0));
		EXPECT_EQ(0, fos_collectmsg(self->fd[0], &m, 0, NULL));
	}
}

/* ---- death ------------------------------------------------------------ */

TEST_F(post, the_end_of_the_peer_ends_all_calls_each_as_it_was)
{
	uint64_t token[3], which;
	long posted[4];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_GT(posted[i] = post(self->fd[0], i), 0);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i, take(self->fd[1], &token[i]));
	EXPECT_EQ(0, answer(self->fd[1], token[1], 11));
	fos_close(self->fd[1]);
	EXPECT_EQ(11, collect_any(self->fd[0], &which, 0));
	EXPECT_EQ(posted[1], (long)which);
	EXPECT_EQ(-ECONNRESET, collect(self->fd[0], posted[2]));
	EXPECT_EQ(1, fos_delivered());
	EXPECT_EQ(-EPIPE, collect(self->fd[0], posted[3]));
	EXPECT_EQ(0, fos_delivered());
	EXPECT_EQ(-ECONNRESET, collect_any(self->fd[0], &which, 0));
	EXPECT_EQ(posted[0], (long)which);
	EXPECT_EQ(-ENOMSG, collect_any(self->fd[0], &which, 0));
	EXPECT_EQ(-EPIPE, post(self->fd[0], 5));
}

TEST_F(post, a_thread_that_waits_for_any_is_told_of_the_end)
{
	struct async any = { .fn = do_collect, .fd = self->fd[0] };

	ASSERT_GT(post(self->fd[0], 1), 0);
	start(&any);
	if (variant->spin == FOS_SPIN_BLOCK)
		EXPECT_TRUE(asleep(&any));
	fos_close(self->fd[1]);
	EXPECT_EQ(-EPIPE, finish(&any));
}

TEST_HARNESS_MAIN
