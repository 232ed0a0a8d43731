// SPDX-License-Identifier: GPL-2.0-only
/*
 * The server's side of calls: which requests can be answered, and where replies
 * go when there is little room.
 *
 * gates: asan tsan
 */
#include "calls.h"
#include "slow.h"

/* ---- tokens ----------------------------------------------------------- */

TEST_F(call, each_request_is_answered_once)
{
	struct async c = a_call(self->fd[0], "ask", self->in);
	uint64_t token, seed = 1;
	char got[8];
	int i;

	EXPECT_EQ(-ESTALE, RESULT(fos_reply(self->fd[1], 0, "x", 1)));
	EXPECT_EQ(-ESTALE, RESULT(fos_reply(self->fd[1], 32, "x", 1)));
	start(&c);
	EXPECT_EQ(3, take(self->fd[1], &token, got, 8, HANG_MS));
	for (i = 0; i < 1000; i++)
		EXPECT_EQ(-ESTALE, RESULT(fos_reply(self->fd[1],
						    token + 1 + rnd(&seed) / 2,
						    "x", 1)));
	EXPECT_EQ(0, fos_reply(self->fd[1], token, "good", 4));
	EXPECT_EQ(-ESTALE, RESULT(fos_reply(self->fd[1], token, "bad", 3)));
	EXPECT_EQ(4, finish(&c));
	EXPECT_EQ(0, memcmp(self->in, "good", 4));
	EXPECT_EQ(-ESTALE, RESULT(fos_reply(self->fd[1], token, "bad", 3)));
}

TEST_F(call, a_stale_reply_receives_nothing)
{
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "told",
			   .out_len = 4 };
	uint64_t token = 12345;
	char got[8];

	start(&s);
	EXPECT_EQ(POLLIN, wait_poll(self->fd[1], POLLIN));
	EXPECT_EQ(-ESTALE, RESULT(fos_reply_recv(self->fd[1], &token, "x", 1,
						 got, 8, NULL)));
	EXPECT_EQ(0, token);
	EXPECT_FALSE(is_done(&s));
	EXPECT_EQ(4, RESULT(fos_reply_recv(self->fd[1], &token, "x", 1, got, 8,
					   NULL)));
	EXPECT_EQ(4, finish(&s));
}

static int ask_often(int fd, long n)
{
	const struct timespec deadline = deadline_in(HANG_MS);
	char in[8];

	for (; n; n--)
		if (fos_call(fd, "ask", 3, in, 8, &deadline) != 3)
			return errno;
	return 0;
}

/* However closely: what is taken when the deadline passes is a request, too. */
TEST_F(call, a_request_that_comes_with_the_deadline_can_be_answered)
{
	const struct timespec past = { 0 };
	long n = rounds(20000), ret, bad = 0;
	uint64_t token = 0;
	char got[8];
	pid_t pid = spawn();

	if (!pid)
		_exit(close(self->fd[1]) || ask_often(self->fd[0], n));
	close(self->fd[0]);
	do {
		ret = RESULT(fos_reply_recv(self->fd[1], &token, "yes", 3, got,
					    8, &past));
		bad += ret >= 0 && !token;
	} while ((ret >= 0 && !bad) || ret == -ETIMEDOUT);
	EXPECT_EQ(0, bad);
	EXPECT_TRUE(bad || ret == -EPIPE) TH_LOG("%ld", ret);
	if (bad)
		kill(pid, SIGKILL);
	EXPECT_EQ(0, reap(pid));
}

/* ---- no room for replies ---------------------------------------------- */

/* Two threads call with @fd until the server is gone. */
static int two_calls(int fd)
{
	static char in[2][4096];
	struct async c[2];
	int i;

	for (i = 0; i < 2; i++) {
		c[i] = a_call(fd, "ask", in[i]);
		c[i].cap = 4096;
		start(&c[i]);
	}
	return (finish(&c[0]) != 3000) + 2 * (finish(&c[1]) != 3000);
}

TEST_F(call, a_client_that_lets_replies_lie_is_enobufs)
{
	uint64_t token[2];
	char got[8];
	int fd[2], i;
	pid_t pid;

	ASSERT_EQ(0, channel_with(fd, variant->spin, 4, 4096));
	pid = spawn();
	if (!pid)
		_exit(two_calls(fd[0]));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(3, take(fd[1], &token[i], got, 8, HANG_MS));
	ASSERT_TRUE(stop(pid));
	EXPECT_EQ(0, fos_reply(fd[1], token[0], self->out, 3000));
	EXPECT_EQ(-ENOBUFS, RESULT(fos_reply(fd[1], token[1], self->out,
					     3000)));
	EXPECT_EQ(-ENOBUFS, RESULT(fos_reply(fd[1], token[1], self->out,
					     3000)));
	kill(pid, SIGCONT);
	while (RESULT(fos_reply(fd[1], token[1], self->out, 3000)) == -ENOBUFS)
		nap_us(200);
	EXPECT_EQ(0, reap(pid));
}

TEST_F(call, a_reply_never_waits_behind_messages_that_lie)
{
	struct async s[2], c;
	uint64_t token;
	char in[64], got[8];
	int fd[2], i;

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 4096));
	c = a_call(fd[0], "ask", in);
	start(&c);
	EXPECT_EQ(3, take(fd[1], &token, got, 8, HANG_MS));
	for (i = 0; i < 2; i++) {
		s[i] = (struct async) { .fn = do_send, .fd = fd[1],
					.out = "told", .out_len = 4 };
		start(&s[i]);
	}
	/* Nobody receives: sooner or later they have both slots. */
	EXPECT_EQ(POLLIN, wait_poll(fd[0], POLLIN));
	nap_us(20000);
	EXPECT_EQ(0, fos_reply(fd[1], token, "yes", 3));
	EXPECT_EQ(3, finish(&c));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(4, RESULT(fos_recv(fd[0], got, 8, 0)));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(4, finish(&s[i]));
}

TEST_F(call, the_block_of_a_reply_is_free_when_it_was_read)
{
	struct async c = a_call(self->fd[0], "ask", self->in);
	uint64_t token;
	char in[4096], got[8];
	int fd[2], i;

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 4096));
	c.fd = fd[0];
	c.in = in;
	for (i = 0; i < 20; i++) {
		/* Read, too long for the caller, or given up. */
		c.cap = i % 3 == 1 ? 100 : 4096;
		c.deadline_ms = i % 3 == 2 ? 300 : 0;
		start(&c);
		EXPECT_EQ(3, take(fd[1], &token, got, 8, HANG_MS));
		if (c.deadline_ms) {
			EXPECT_EQ(-ETIMEDOUT, finish(&c));
			EXPECT_EQ(-ESTALE, RESULT(fos_reply(fd[1], token,
							    self->out, 4096)));
			continue;
		}
		EXPECT_EQ(0, fos_reply(fd[1], token, self->out, 4096));
		EXPECT_EQ(c.cap == 100 ? -EMSGSIZE : 4096, finish(&c));
	}
}

TEST_F(call, requests_given_up_leave_the_server_room_for_more)
{
	struct async c = a_call(self->fd[0], "ask", self->in);
	uint64_t lost, token;
	char got[8];
	int i;

	/* More than there are slots, and none of them is ever answered. */
	for (i = 0; i < 100; i++) {
		c.deadline_ms = 10;
		start(&c);
		while (take(self->fd[1], &lost, got, 8, 1000) != 3)
			if (is_done(&c))
				break;
		EXPECT_EQ(-ETIMEDOUT, finish(&c));
	}
	c.deadline_ms = 0;
	start(&c);
	EXPECT_EQ(3, take(self->fd[1], &token, got, 8, HANG_MS));
	EXPECT_EQ(-ESTALE, RESULT(fos_reply(self->fd[1], lost, "late", 4)));
	EXPECT_EQ(0, fos_reply(self->fd[1], token, "good", 4));
	EXPECT_EQ(4, finish(&c));
}

/* ---- while a reply is being copied ------------------------------------ */

#define HALF		2048

static long do_reply(struct async *a, const struct timespec *deadline UNUSED)
{
	return RESULT(fos_reply(a->fd, a->token, a->out, a->out_len));
}

/*
 * His caller gives up in the middle of the copy: he is told, and until he has
 * done with it nobody else gets the room that he writes to.
 */
TEST_F(call, a_late_reply_leaves_the_others_alone)
{
	struct async late = { .fn = do_reply }, first, second;
	uint64_t token;
	char in[64], got[8];
	int fd[2];

	ASSERT_EQ(0, channel_with(fd, variant->spin, 4, 4096));
	ASSERT_EQ(0, make_slow());
	first = a_call(fd[0], "ask", in);
	first.deadline_ms = 1500;
	start(&first);
	EXPECT_EQ(3, take(fd[1], &late.token, got, 8, HANG_MS));
	second = a_call(fd[0], "ask", self->in);
	second.cap = 4096;
	start(&second);
	EXPECT_EQ(3, take(fd[1], &token, got, 8, HANG_MS));
	late.fd = fd[1];
	late.out = slow.buf + 4096 - HALF;
	late.out_len = 2 * HALF;
	start(&late);
	EXPECT_TRUE(wait_for(&slow.reached, 1));
	EXPECT_EQ(-ETIMEDOUT, finish(&first));
	EXPECT_EQ(1, first.delivered);

	fill(self->out, 4096, 5);
	EXPECT_EQ(-ENOBUFS, RESULT(fos_reply(fd[1], token, self->out, 4096)));
	let_through();
	EXPECT_EQ(-ESTALE, finish(&late));
	EXPECT_EQ(0, fos_reply(fd[1], token, self->out, 4096));
	EXPECT_EQ(4096, finish(&second));
	EXPECT_TRUE(is_filled(self->in, 4096, 5));
}

TEST_HARNESS_MAIN
