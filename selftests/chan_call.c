// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests and replies: fos_call(), fos_reply_recv(), fos_reply(), and what
 * becomes of a call when something comes between.
 *
 * gates: asan tsan
 */
#include "calls.h"

/* ---- it works --------------------------------------------------------- */

TEST_F(call, requests_of_all_sizes_are_answered)
{
	static const size_t sizes[] = {
		0, 1, 8, 31, 32, 33, 64, 65, 96, 97, 4095, 4096, 65536, MIB,
	};
	pid_t pid = spawn_echo(self->fd[1], MIB);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fill(self->out, sizes[i], i);
		memset(self->in, 0, sizes[i]);
		EXPECT_EQ(sizes[i], RESULT(fos_call(self->fd[0], self->out,
						    sizes[i], self->in, MIB,
						    NULL)));
		EXPECT_TRUE(is_filled(self->in, sizes[i], i))
			TH_LOG("size %zu", sizes[i]);
	}
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(call, a_request_longer_than_the_longest_is_emsgsize)
{
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_call(self->fd[0], self->out,
					     FOS_MSG_MAX + 1, self->in, 8,
					     NULL)));
	EXPECT_EQ(0, fos_delivered());
}

TEST_F(call, replies_may_come_in_any_order)
{
	static const char * const request[] = { "a", "b", "c", "d" };
	struct async c[4];
	uint64_t token[4];
	char in[4][64], name[4];
	int i;

	for (i = 0; i < 4; i++) {
		c[i] = a_call(self->fd[0], request[i], in[i]);
		start(&c[i]);
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1, take(self->fd[1], &token[i], &name[i], 1,
				  HANG_MS));
	for (i = 3; i >= 0; i--)
		EXPECT_EQ(0, fos_reply(self->fd[1], token[i], &name[i], 1));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(1, finish(&c[i]));
		EXPECT_EQ(request[i][0], in[i][0]);
	}
}

#define CLIENTS		12
#define SERVERS		3
#define CALLS		150

/* Answer with the square; stop at a request of nothing. */
static void *square_server(void *arg)
{
	int fd = *(int *)arg;
	uint64_t token = 0, number = 0;
	ssize_t n;

	while ((n = serve_once(fd, &token, &number, 8, &number, 8)) == 8)
		number *= number;
	return (void *)(long)n;
}

static void *square_client(void *arg)
{
	int fd = *(int *)arg;
	uint64_t seed = my_tid(), number, square;
	long wrong = 0;
	int i;

	for (i = 0; i < CALLS; i++) {
		number = rnd(&seed) >> 33;
		square = 0;
		wrong += fos_call(fd, &number, 8, &square, 8, NULL) != 8 ||
			 square != number * number;
	}
	return (void *)wrong;
}

static long wrong_squares(int fd[2])
{
	pthread_t client[CLIENTS], server[SERVERS];
	long wrong = 0;
	void *ret;
	int i;

	for (i = 0; i < SERVERS; i++)
		pthread_create(&server[i], NULL, square_server, &fd[1]);
	for (i = 0; i < CLIENTS; i++)
		pthread_create(&client[i], NULL, square_client, &fd[0]);
	for (i = 0; i < CLIENTS; i++) {
		pthread_join(client[i], &ret);
		wrong += (long)ret;
	}
	fos_close(fd[0]);
	for (i = 0; i < SERVERS; i++) {
		pthread_join(server[i], &ret);
		wrong += (long)ret != -1;
	}
	return wrong;
}

TEST_F_TIMEOUT(call, every_reply_goes_to_its_caller, 120)
{
	EXPECT_EQ(0, wrong_squares(self->fd));
}

TEST_F_TIMEOUT(call, more_threads_call_than_the_channel_is_deep, 120)
{
	int fd[2];

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 4096));
	EXPECT_EQ(0, wrong_squares(fd));
}

TEST_F(call, both_sides_may_call_at_once)
{
	struct async c[2];
	uint64_t token[2];
	char in[2][64], name;
	int i, round;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < 2; i++) {
			c[i] = a_call(self->fd[i], i ? "1" : "0", in[i]);
			start(&c[i]);
		}
		for (i = 0; i < 2; i++) {
			EXPECT_EQ(1, take(self->fd[!i], &token[i], &name, 1,
					  HANG_MS));
			EXPECT_EQ('0' + i, name);
		}
		for (i = 0; i < 2; i++)
			EXPECT_EQ(0, fos_reply(self->fd[!i], token[i],
					       i ? "B" : "A", 1));
		for (i = 0; i < 2; i++) {
			EXPECT_EQ(1, finish(&c[i]));
			EXPECT_EQ('A' + i, in[i][0]);
		}
	}
}

TEST_F(call, a_server_gets_messages_too)
{
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "told",
			   .out_len = 4 };
	struct async c = a_call(self->fd[0], "asked", self->in);
	uint64_t token = 77;
	char got[8];

	start(&s);
	EXPECT_EQ(4, take(self->fd[1], &token, got, 8, HANG_MS));
	EXPECT_EQ(0, token);
	EXPECT_EQ(4, finish(&s));
	start(&c);
	EXPECT_EQ(5, take(self->fd[1], &token, got, 8, HANG_MS));
	EXPECT_NE(0, token);
	/* Answer and take in one, then nothing to answer. */
	start(&s);
	EXPECT_EQ(4, RESULT(fos_reply_recv(self->fd[1], &token, "yes", 3, got,
					   8, NULL)));
	EXPECT_EQ(0, token);
	EXPECT_EQ(4, finish(&s));
	EXPECT_EQ(3, finish(&c));
}

TEST_F(call, requests_are_not_for_fos_recv)
{
	struct async c = a_call(self->fd[0], "asked", self->in);
	uint64_t token;
	char got[8];

	start(&c);
	EXPECT_EQ(POLLIN, wait_poll(self->fd[1], POLLIN));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[1], got, 8,
					   FOS_NONBLOCK)));
	EXPECT_EQ(5, take(self->fd[1], &token, got, 8, HANG_MS));
	EXPECT_EQ(0, fos_reply(self->fd[1], token, NULL, 0));
	EXPECT_EQ(0, finish(&c));
}

/* ---- too long --------------------------------------------------------- */

TEST_F(call, a_request_that_does_not_fit_the_server_is_emsgsize)
{
	struct async r = { .fn = do_reply_recv, .fd = self->fd[1],
			   .in = self->in, .cap = 16 };
	struct async c = a_call(self->fd[0], "fits", self->out);
	size_t n;

	start(&r);
	for (n = 17; n <= MIB; n *= 16) {
		EXPECT_EQ(-EMSGSIZE, RESULT(fos_call(self->fd[0], self->out, n,
						     NULL, 0, NULL)));
		EXPECT_EQ(0, fos_delivered());
	}
	EXPECT_FALSE(is_done(&r));
	start(&c);
	EXPECT_EQ(4, finish(&r));
	EXPECT_EQ(0, fos_reply(self->fd[1], r.token, "ok", 2));
	EXPECT_EQ(2, finish(&c));
}

TEST_F(call, a_reply_that_does_not_fit_the_client_is_emsgsize)
{
	static const size_t sizes[] = { 9, 97, 100000 };
	struct async c = a_call(self->fd[0], "ask", self->in);
	uint64_t token;
	char got[8];
	size_t i;

	c.cap = 8;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		start(&c);
		EXPECT_EQ(3, take(self->fd[1], &token, got, 8, HANG_MS));
		EXPECT_EQ(0, fos_reply(self->fd[1], token, self->out,
				       sizes[i]));
		EXPECT_EQ(-EMSGSIZE, finish(&c));
		EXPECT_EQ(1, c.delivered);
	}
}

TEST_F(call, a_reply_longer_than_the_area_can_be_made_shorter)
{
	struct async c;
	uint64_t token, before;
	int fd[2];
	char got[8];

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 4096));
	c = a_call(fd[0], "ask", self->in);
	c.cap = 4096;
	start(&c);
	EXPECT_EQ(3, take(fd[1], &token, got, 8, HANG_MS));
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_reply(fd[1], token, self->out, 4097)));
	before = token;
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_reply_recv(fd[1], &token, self->out,
						   4097, got, 8, NULL)));
	EXPECT_EQ(before, token);
	EXPECT_EQ(0, fos_reply(fd[1], token, self->out, 4096));
	EXPECT_EQ(4096, finish(&c));
}

/* ---- deadlines -------------------------------------------------------- */

TEST_F(call, a_deadline_before_delivery_leaves_nothing)
{
	struct timespec soon = deadline_in(20);
	uint64_t token;
	char got[8];

	EXPECT_EQ(-ETIMEDOUT, RESULT(fos_call(self->fd[0], "ask", 3, self->in,
					      8, &soon)));
	EXPECT_EQ(0, fos_delivered());
	EXPECT_EQ(-ETIMEDOUT, take(self->fd[1], &token, got, 8, 20));
	EXPECT_EQ(0, token);
}

TEST_F(call, a_deadline_after_delivery_makes_the_reply_stale)
{
	struct async c = a_call(self->fd[0], "ask", self->in);
	uint64_t token;
	char got[8];

	c.deadline_ms = 1000;
	start(&c);
	EXPECT_EQ(3, take(self->fd[1], &token, got, 8, HANG_MS));
	EXPECT_EQ(-ETIMEDOUT, finish(&c));
	EXPECT_EQ(1, c.delivered);
	EXPECT_EQ(-ESTALE, RESULT(fos_reply(self->fd[1], token, "late", 4)));
	/* Nothing of it is in the way of the next. */
	c.deadline_ms = 0;
	start(&c);
	EXPECT_EQ(3, take(self->fd[1], &token, got, 8, HANG_MS));
	EXPECT_EQ(0, fos_reply(self->fd[1], token, "good", 4));
	EXPECT_EQ(4, finish(&c));
	EXPECT_EQ(0, c.delivered);
}

TEST_F(call, a_deadline_is_kept_though_other_calls_went_on)
{
	struct async slow, quick;
	uint64_t lost, token;
	char in[2][64], got[8];
	int fd[2], i;

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 4096));
	slow = a_call(fd[0], "slow", in[0]);
	slow.deadline_ms = 1500;
	start(&slow);
	EXPECT_EQ(4, take(fd[1], &lost, got, 8, HANG_MS));
	quick = a_call(fd[0], "quick", in[1]);
	/* Its slot is used again and again meanwhile. */
	for (i = 0; i < 5; i++) {
		start(&quick);
		EXPECT_EQ(5, take(fd[1], &token, got, 8, HANG_MS));
		EXPECT_EQ(0, fos_reply(fd[1], token, "ok", 2));
		EXPECT_EQ(2, finish(&quick));
	}
	EXPECT_EQ(-ETIMEDOUT, finish(&slow));
	EXPECT_EQ(1, slow.delivered);
	EXPECT_EQ(-ESTALE, RESULT(fos_reply(fd[1], lost, "late", 4)));
}

TEST_F(call, deadlines_may_be_long_past_or_far_away)
{
	struct timespec past = {}, far = { .tv_sec = INT64_MAX };
	struct timespec bad[] = {
		{ .tv_nsec = -1 }, { .tv_nsec = 1000000000 }, { .tv_sec = -1 },
	};
	uint64_t token = 0;
	size_t i;
	pid_t pid;

	/* First: a child of threads may find malloc() of a sanitizer locked. */
	pid = spawn_echo(self->fd[1], 64);
	EXPECT_EQ(3, RESULT(fos_call(self->fd[0], "ask", 3, self->in, 8,
				     &far)));
	fos_close(self->fd[0]);
	EXPECT_EQ(0, reap(pid));
	ASSERT_EQ(0, fos_channel(self->fd, NULL));
	EXPECT_EQ(-ETIMEDOUT, RESULT(fos_call(self->fd[0], "ask", 3, self->in,
					      8, &past)));
	EXPECT_EQ(-ETIMEDOUT, RESULT(fos_reply_recv(self->fd[1], &token, NULL,
						    0, self->in, 8, &past)));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, RESULT(fos_call(self->fd[0], "ask", 3,
						   self->in, 8, &bad[i])));
		EXPECT_EQ(-EINVAL, RESULT(fos_reply_recv(self->fd[1], &token,
							 NULL, 0, self->in, 8,
							 &bad[i])));
	}
}

/* ---- the end ---------------------------------------------------------- */

TEST_F(call, returns_epipe_when_the_server_closes_before_it_takes)
{
	struct async c = a_call(self->fd[0], "ask", self->in);

	start(&c);
	EXPECT_EQ(POLLIN, wait_poll(self->fd[1], POLLIN));
	EXPECT_EQ(0, fos_close(self->fd[1]));
	EXPECT_EQ(-EPIPE, finish(&c));
	EXPECT_EQ(0, c.delivered);
	EXPECT_EQ(-EPIPE, RESULT(fos_call(self->fd[0], "ask", 3, self->in, 8,
					  NULL)));
}

static int take_and_wait(int fd, int told)
{
	uint64_t token;
	char got[8];

	if (take(fd, &token, got, 8, HANG_MS) != 3 ||
	    write(told, "t", 1) != 1)
		return 1;
	pause();
	return 2;
}

TEST_F(call, returns_econnreset_when_the_server_dies)
{
	struct async c = a_call(self->fd[0], "ask", self->in);
	int told[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(told));
	pid = spawn();
	if (!pid)
		_exit(take_and_wait(self->fd[1], told[1]));
	start(&c);
	EXPECT_EQ(1, read(told[0], &byte, 1));
	EXPECT_FALSE(is_done(&c));
	kill(pid, SIGKILL);
	EXPECT_EQ(-ECONNRESET, finish(&c));
	EXPECT_EQ(1, c.delivered);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
}

TEST_F(call, a_reply_that_was_given_before_death_arrives)
{
	struct async c = a_call(self->fd[0], "ask", self->in);
	uint64_t token;
	char got[8];
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, channel_with(self->fd, variant->spin, 0, 0));
		c.fd = self->fd[0];
		start(&c);
		EXPECT_EQ(3, take(self->fd[1], &token, got, 8, HANG_MS));
		EXPECT_EQ(0, fos_reply(self->fd[1], token, "last", 4));
		EXPECT_EQ(0, fos_close(self->fd[1]));
		EXPECT_EQ(4, finish(&c));
		EXPECT_EQ(0, fos_close(self->fd[0]));
	}
}

TEST_F(call, a_server_whose_client_is_gone_gets_epipe)
{
	uint64_t token = 0;
	char got[8];
	pid_t pid;

	pid = spawn();
	if (!pid) {
		fos_call(self->fd[0], "ask", 3, self->in, 8, NULL);
		_exit(1);
	}
	EXPECT_EQ(3, take(self->fd[1], &token, got, 8, HANG_MS));
	kill(pid, SIGKILL);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
	EXPECT_TRUE(hangs_up(self->fd[1]));
	EXPECT_EQ(-EPIPE, RESULT(fos_reply(self->fd[1], token, "x", 1)));
	token = 0;
	EXPECT_EQ(-EPIPE, RESULT(fos_reply_recv(self->fd[1], &token, NULL, 0,
						got, 8, NULL)));
}

TEST_HARNESS_MAIN
