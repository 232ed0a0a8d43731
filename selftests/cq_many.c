// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion queues, and many calls from processes: one that is not told of is a hang.
 *
 * gates: asan tsan
 */
#include "cq.h"

#define CALLS		20000

static int call_many(int fd, long n)
{
	return failed_calls(fd, n) ? 1 : 0;
}

/* Answer all that wait there; false: the client is gone. */
static bool serve(int fd)
{
	const struct timespec past = { 0 };
	uint64_t token = 0, x = 0;

	while (fos_reply_recv(fd, &token, &x, 8, &x, 8, &past) == 8)
		;
	return errno == ETIMEDOUT;
}

TEST_F_TIMEOUT(cq, clients_are_served_as_they_come, 300)
{
	const long n = rounds(CALLS);
	struct fos_cq_event ev[PLACES];
	int fd[CLIENTS][2], left = CLIENTS, i;
	pid_t pid[CLIENTS];
	long got;

	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, fos_channel(fd[i], NULL));
		pid[i] = spawn();
		if (!pid[i])
			_exit(fos_close(fd[i][0]) || call_many(fd[i][1], n));
		fos_close(fd[i][1]);
	}
	for (i = 0; i < CLIENTS; i++)
		ASSERT_EQ(0, fos_cq_add(self->cq, fd[i][0], i));
	while (left) {
		got = wait_ms(self->cq, ev, 1, PLACES, HANG_MS);
		ASSERT_LT(0, got);
		for (i = 0; i < got; i++) {
			if (serve(fd[ev[i].user_data][0]))
				continue;
			fos_close(fd[ev[i].user_data][0]);
			left--;
		}
	}
	for (i = 0; i < CLIENTS; i++)
		EXPECT_EQ(0, reap(pid[i]));
}

static int answer_many(int fd, long n)
{
	while (n--)
		if (answer_one(fd))
			return 1;
	return 0;
}

/* One request at each server at a time: a reply that is not told is a hang. */
TEST_F_TIMEOUT(cq, no_reply_is_left_behind, 300)
{
	const long n = rounds(CALLS / 4);
	struct fos_cq_event ev[PLACES];
	long left = CLIENTS * n, sent[CLIENTS] = { 0 }, got, i;
	uint64_t token;
	pid_t pid[CLIENTS];
	int fd[CLIENTS][2];
	char byte;

	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, fos_channel(fd[i], NULL));
		pid[i] = spawn();
		if (!pid[i])
			_exit(fos_close(fd[i][0]) || answer_many(fd[i][1], n));
		fos_close(fd[i][1]);
	}
	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, fos_cq_add(self->cq, fd[i][0], i));
		ASSERT_NE(0, request_one(fd[i][0]));
		sent[i]++;
	}
	while (left) {
		got = wait_ms(self->cq, ev, 1, PLACES, HANG_MS);
		ASSERT_LT(0, got);
		while (got--) {
			i = ev[got].user_data;
			token = 0;
			if (!(ev[got].events & FOS_CQ_REPLY))
				continue;
			ASSERT_EQ(1, fos_collect(fd[i][0], &token, &byte, 1,
						 FOS_NONBLOCK, NULL));
			left--;
			if (sent[i]++ < n)
				ASSERT_NE(0, request_one(fd[i][0]));
		}
	}
	for (i = 0; i < CLIENTS; i++) {
		EXPECT_EQ(0, reap(pid[i]));
		fos_close(fd[i][0]);
	}
}

static long poll_on(struct async *a, const struct timespec *deadline UNUSED)
{
	const struct timespec soon = deadline_in(HANG_MS);
	struct pollfd p = { .fd = a->fd, .events = POLLIN };

	/* Until the message that says it is over. */
	return RESULT(fos_poll(&p, 1, &soon));
}

/* Without the module one byte tells both of it. */
TEST_F_TIMEOUT(cq, who_polls_does_not_take_the_news_of_replies, 150)
{
	const long n = rounds(300);
	struct fos_cq_event ev[PLACES];
	struct async a = { .fn = poll_on };
	uint64_t token;
	int fd[2];
	pid_t pid;
	char byte;
	long i;

	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 4, 0));
	pid = spawn();
	if (!pid) {
		fos_close(fd[0]);
		for (i = 0; i < n; i++) {
			nap_us(500);
			if (answer_one(fd[1]))
				_exit(1);
		}
		_exit(fos_send(fd[1], "x", 1, 0) != 1);
	}
	fos_close(fd[1]);
	a.fd = fd[0];
	ASSERT_EQ(0, fos_cq_add(self->cq, fd[0], 7));
	ASSERT_NE(0, request_one(fd[0]));
	start(&a);
	for (i = 0;;) {
		token = 0;
		ASSERT_LT(0, wait_ms(self->cq, ev, 1, PLACES, HANG_MS));
		if (RESULT(fos_collect(fd[0], &token, &byte, 1, FOS_NONBLOCK,
				       NULL)) != 1)
			continue;
		if (++i == n)
			break;
		EXPECT_FALSE(is_done(&a));
		ASSERT_NE(0, request_one(fd[0]));
	}
	EXPECT_EQ(1, finish(&a));
	EXPECT_EQ(1, RESULT(fos_recv(fd[0], &byte, 1, 0)));
	EXPECT_EQ(0, reap(pid));
	fos_close(fd[0]);
}

/* ---- who takes the byte that told of a reply --------------------------- */

/* One that is answered, and told of nowhere yet. */
static int answered(int here, int there)
{
	return !request_one(here) || answer_one(there);
}

TEST_F(cq, who_begins_to_poll_does_not_take_it_either)
{
	struct fos_cq_event ev[PLACES];
	struct pollfd p = { .fd = self->here[0], .events = POLLIN };
	const struct timespec past = { 0 };
	char byte;

	ASSERT_EQ(0, fos_cq_add(self->cq, self->here[0], 7));
	EXPECT_EQ(0, only(self->cq));
	/* He who waits in a call is no poller any more. */
	ASSERT_EQ(1, post_one(self->there[0]));
	ASSERT_EQ(1, RESULT(fos_recv(self->here[0], &byte, 1, 0)));
	EXPECT_LE(0, only(self->cq));
	ASSERT_EQ(0, answered(self->here[0], self->there[0]));
	EXPECT_EQ(0, RESULT(fos_poll(&p, 1, &past)));
	EXPECT_EQ(1, wait_ms(self->cq, ev, 1, PLACES, HANG_MS));
	EXPECT_EQ(FOS_CQ_REPLY, ev[0].events);
}

TEST_F(cq, who_has_room_for_one_leaves_the_others_to_others)
{
	struct fos_cq_event ev[PLACES];
	int i;

	ASSERT_EQ(0, add_all(self->cq, self->here));
	EXPECT_EQ(0, only(self->cq));
	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, answered(self->here[i], self->there[i]));
		EXPECT_EQ(-EAGAIN, take_one(self->here[i]));
	}
	EXPECT_EQ(1, wait_ms(self->cq, ev, 1, 1, HANG_MS));
	EXPECT_EQ(POLLIN, wait_poll(self->cq, POLLIN));
}

TEST_F(cq, what_was_told_of_is_not_new_after_a_receive)
{
	struct pollfd p = { .fd = self->cq, .events = POLLIN };
	struct fos_cq_event ev[PLACES];

	ASSERT_EQ(0, fos_cq_add(self->cq, self->here[0], 7));
	EXPECT_EQ(0, only(self->cq));
	ASSERT_EQ(0, answered(self->here[0], self->there[0]));
	EXPECT_EQ(1, wait_ms(self->cq, ev, 1, PLACES, HANG_MS));
	EXPECT_EQ(-EAGAIN, take_one(self->here[0]));
	EXPECT_EQ(7, only(self->cq));
	EXPECT_EQ(-EAGAIN, take_one(self->here[0]));
	EXPECT_EQ(0, poll(&p, 1, 0));
}

static long wait_for_one(struct async *a, const struct timespec *deadline)
{
	struct fos_cq_event ev[1];

	return RESULT(fos_cq_wait(a->fd, ev, 1, 1, deadline));
}

TEST_F(cq, who_comes_with_a_reply_wakes_who_sleeps_there)
{
	struct async a = {
		.fn = wait_for_one, .fd = self->cq, .deadline_ms = HANG_MS,
	};

	ASSERT_EQ(0, answered(self->here[0], self->there[0]));
	start(&a);
	ASSERT_TRUE(asleep(&a));
	ASSERT_EQ(0, fos_cq_add(self->cq, self->here[0], 7));
	EXPECT_EQ(1, finish(&a));
}

TEST_HARNESS_MAIN
