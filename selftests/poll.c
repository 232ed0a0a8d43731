// SPDX-License-Identifier: GPL-2.0-only
/*
 * fos_poll(): endpoints and other descriptors together, with each mode of waiting;
 * what it reports, what ends its sleep, and that it misses nothing.
 *
 * gates: asan tsan
 */
#include <sys/resource.h>

#include "poll.h"

#define PINGS	2000
#define MANY	70

/* Takes one message, so that it owns its end, and then does nothing. */
static pid_t spawn_idler(int fd[2])
{
	pid_t pid = spawn();
	char buf[8];

	if (!pid) {
		fos_close(fd[0]);
		_exit(fos_recv(fd[1], buf, sizeof(buf), 0) < 0 || pause());
	}
	fos_close(fd[1]);
	return pid;
}

/* ---- what it reports -------------------------------------------------- */

TEST_F(poll, a_message_is_pollin_until_it_is_taken)
{
	struct pollfd p = in(self->fd[1]);
	char buf[8];

	EXPECT_EQ(0, look(self->fd[1], POLLIN));
	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2, FOS_POST)));
	EXPECT_EQ(1, poll_for(&p, 1, HANG_MS));
	EXPECT_EQ(POLLIN, p.revents);
	EXPECT_EQ(POLLIN, look(self->fd[1], POLLIN));
	EXPECT_EQ(0, look(self->fd[1], 0));
	EXPECT_EQ(2, take_8(self->fd[1], buf));
	EXPECT_EQ(0, look(self->fd[1], POLLIN));
}

TEST_F(poll, a_request_is_pollin_and_a_reply_is_none)
{
	uint64_t token, theirs = 0;
	char buf[8];

	ASSERT_EQ(0, fos_post(self->fd[0], "hi", 2, &token, 0, NULL));
	EXPECT_EQ(POLLIN, look(self->fd[1], POLLIN));
	EXPECT_EQ(2, RESULT(fos_reply_recv(self->fd[1], &theirs, NULL, 0, buf,
					   sizeof(buf), NULL)));
	EXPECT_EQ(0, look(self->fd[1], POLLIN));
	EXPECT_EQ(0, fos_reply(self->fd[1], theirs, "ho", 2));
	EXPECT_EQ(0, look(self->fd[0], POLLIN));
	EXPECT_EQ(2, RESULT(fos_collect(self->fd[0], &token, buf, sizeof(buf),
					FOS_NONBLOCK, NULL)));
}

TEST_F(poll, nothing_in_time_is_0_and_not_early)
{
	struct pollfd p[2] = { in(self->fd[1]), in(self->pipe[0]) };
	struct timespec deadline;
	uint64_t end;
	int n;

	for (n = 0; n <= 2; n++) {
		end = now_ns() + 20000000;
		deadline = to_timespec(end);
		p[0].revents = POLLIN;
		EXPECT_EQ(0, RESULT(fos_poll(p, n, &deadline)));
		EXPECT_LE(end, now_ns());
		EXPECT_EQ(n ? 0 : POLLIN, p[0].revents);
	}
}

TEST_F(poll, a_busy_endpoint_does_not_hide_a_pipe)
{
	struct pollfd p[2] = { in(self->fd[1]), in(self->pipe[0]) };

	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2, FOS_POST)));
	EXPECT_EQ(1, poll_for(p, 2, HANG_MS));
	EXPECT_EQ(0, p[1].revents);
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	EXPECT_EQ(2, poll_for(p, 2, HANG_MS));
	EXPECT_EQ(POLLIN, p[0].revents);
	EXPECT_EQ(POLLIN, p[1].revents);
}

TEST_F(poll, negative_numbers_are_ignored_and_bad_ones_told)
{
	struct pollfd p[4] = {
		in(-1), in(self->fd[1]), in(1023), in(self->pipe[0]),
	};

	EXPECT_EQ(1, poll_for(p, 4, HANG_MS));
	EXPECT_EQ(0, p[0].revents | p[1].revents | p[3].revents);
	EXPECT_EQ(POLLNVAL, p[2].revents);
}

/* Without the module it is always set. */
TEST_F(poll, pollout_is_told_of_endpoints)
{
	struct async r = { .fn = do_recv, .fd = self->fd[1], .cap = 8 };
	struct pollfd p = { .fd = self->fd[0], .events = POLLIN | POLLOUT };
	char buf[8];

	if (on_the_module())
		EXPECT_EQ(0, look(self->fd[0], POLLOUT));
	r.in = buf;
	start(&r);
	EXPECT_EQ(1, poll_for(&p, 1, HANG_MS));
	EXPECT_EQ(POLLOUT, p.revents);
	EXPECT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2, 0)));
	EXPECT_EQ(2, finish(&r));
}

TEST_F(poll, many_descriptors_and_one_message)
{
	struct pollfd p[MANY];
	int i;

	for (i = 0; i < MANY; i++)
		p[i] = in(self->pipe[0]);
	p[MANY - 1].fd = self->fd[1];
	EXPECT_EQ(0, poll_for(p, MANY, 10));
	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2, FOS_POST)));
	EXPECT_EQ(1, poll_for(p, MANY, HANG_MS));
	EXPECT_EQ(POLLIN, p[MANY - 1].revents);
}

TEST_F(poll, what_makes_no_sense_is_an_error)
{
	const struct timespec bad = { .tv_nsec = 1000000000 };
	const struct rlimit few = { MANY - 1, MANY - 1 };
	struct pollfd p[MANY] = { in(self->fd[1]) };

	EXPECT_EQ(-EINVAL, RESULT(fos_poll(p, 1, &bad)));
	EXPECT_EQ(-EFAULT, poll_for(NULL, 1, 0));
	EXPECT_EQ(0, poll_for(NULL, 0, 0));
	EXPECT_EQ(-EINVAL, poll_for(p, ~(nfds_t)0, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	EXPECT_EQ(-EINVAL, poll_for(p, MANY, 0));
}

TEST_F(poll, a_number_that_was_a_pipe_can_become_an_endpoint)
{
	int fd[2];
	char buf[8];

	EXPECT_EQ(0, look(self->pipe[0], POLLIN));
	EXPECT_EQ(0, look(self->pipe[1], POLLIN));
	close(self->pipe[0]);
	close(self->pipe[1]);
	ASSERT_EQ(0, channel_with(fd, variant->spin, 0, 0));
	/* The first may have been the device's for a moment. */
	ASSERT_TRUE(fd[0] == self->pipe[0] || fd[0] == self->pipe[1]);
	ASSERT_EQ(2, RESULT(fos_send(fd[1], "hi", 2, FOS_POST)));
	EXPECT_EQ(POLLIN, look(fd[0], POLLIN));
	EXPECT_EQ(2, take_8(fd[0], buf));
	EXPECT_EQ(0, look(fd[0], POLLIN));
}

/* ---- what ends its sleep ---------------------------------------------- */

TEST_F(poll, a_pipe_among_endpoints_ends_it)
{
	struct pollfd p[2] = { in(self->fd[1]), in(self->pipe[0]) };
	struct async a = a_poll(p, 2);

	start(&a);
	nap_us(20000);
	EXPECT_FALSE(is_done(&a));
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	EXPECT_EQ(1, finish(&a));
	EXPECT_EQ(0, p[0].revents);
	EXPECT_EQ(POLLIN, p[1].revents);
}

TEST_F(poll, an_endpoint_among_pipes_ends_it)
{
	struct pollfd p[3] = {
		in(self->pipe[0]), in(self->fd[1]), in(self->pipe[0]),
	};
	struct async a = a_poll(p, 3);
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "hi",
			   .out_len = 2 };
	char buf[8];

	start(&a);
	nap_us(20000);
	EXPECT_FALSE(is_done(&a));
	start(&s);
	EXPECT_EQ(1, finish(&a));
	EXPECT_EQ(POLLIN, p[1].revents);
	EXPECT_EQ(2, take_8(self->fd[1], buf));
	EXPECT_EQ(2, finish(&s));
}

TEST_F(poll, a_peer_that_is_killed_is_pollhup)
{
	pid_t pid = spawn_idler(self->fd);
	struct pollfd p[2] = { in(self->fd[0]), in(self->pipe[0]) };
	struct async a = a_poll(p, 2);

	ASSERT_LT(0, pid);
	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2, 0)));
	start(&a);
	nap_us(20000);
	EXPECT_FALSE(is_done(&a));
	kill(pid, SIGKILL);
	EXPECT_EQ(1, finish(&a));
	EXPECT_EQ(POLLHUP, p[0].revents & (POLLHUP | POLLIN));
	EXPECT_EQ(POLLHUP, look(self->fd[0], 0) & POLLHUP);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
}

TEST_F(poll, what_the_dead_have_sent_is_pollin)
{
	struct pollfd p = in(self->fd[0]);
	pid_t pid = spawn();
	char buf[8];

	if (!pid)
		_exit(fos_send(self->fd[1], "bye", 3, FOS_POST) != 3);
	fos_close(self->fd[1]);
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(1, poll_for(&p, 1, HANG_MS));
	EXPECT_EQ(POLLIN, p.revents & POLLIN);
	EXPECT_EQ(3, take_8(self->fd[0], buf));
	EXPECT_EQ(1, poll_for(&p, 1, HANG_MS));
	EXPECT_EQ(POLLHUP, p.revents & (POLLHUP | POLLIN));
}

TEST_F(poll, closing_the_endpoint_ends_it)
{
	struct pollfd p = in(self->fd[1]);
	struct async a = a_poll(&p, 1);

	start(&a);
	nap_us(20000);
	EXPECT_FALSE(is_done(&a));
	EXPECT_EQ(0, fos_close(self->fd[1]));
	EXPECT_EQ(1, finish(&a));
	EXPECT_TRUE(p.revents & (POLLHUP | POLLNVAL));
}

TEST_F(poll, a_signal_ends_it)
{
	struct pollfd p[2] = { in(self->fd[1]), in(self->pipe[0]) };
	struct async a = a_poll(p, 2);

	on_signal(SIGUSR1, SA_RESTART, ignore_it);
	start(&a);
	interrupt(&a, SIGUSR1);
	EXPECT_EQ(-EINTR, finish(&a));
	/* Not what was there before. */
	EXPECT_EQ(0, p[0].revents);
	EXPECT_EQ(0, p[1].revents);
}

/* Else both would wait for ever. */
TEST_F(poll, what_was_left_for_later_is_rung_before_the_sleep)
{
	struct pollfd p = in(self->fd[0]);
	pid_t pid = spawn();
	char buf[8];

	if (!pid) {
		fos_close(self->fd[0]);
		_exit(fos_recv(self->fd[1], buf, 8, 0) != 3 ||
		      fos_recv(self->fd[1], buf, 8, 0) != 2 ||
		      fos_send(self->fd[1], buf, 2, 0) != 2);
	}
	fos_close(self->fd[1]);
	/* Who has just come would look again for that. */
	ASSERT_EQ(3, RESULT(fos_send(self->fd[0], "hey", 3, 0)));
	nap_us(20000);
	ASSERT_TRUE(variant->spin != FOS_SPIN_BLOCK || wait_asleep(pid));
	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2,
				     FOS_POST | FOS_MORE)));
	EXPECT_EQ(1, poll_for(&p, 1, HANG_MS));
	EXPECT_EQ(2, take_8(self->fd[0], buf));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(poll, a_nonblocking_send_finds_who_sleeps_in_it)
{
	struct pollfd p = in(self->fd[1]);
	struct async a = a_poll(&p, 1);

	start(&a);
	EXPECT_EQ(2, send_to_a_taker(self->fd[0]));
	EXPECT_EQ(1, finish(&a));
	EXPECT_EQ(POLLIN, p.revents);
}

/* ---- that it misses nothing, and makes nothing up --------------------- */

/* POLLIN, and then the message of that number. */
static bool takes(struct pollfd *p, nfds_t n, uint64_t number)
{
	uint64_t got = 0;

	return poll_for(p, n, HANG_MS) == 1 && p->revents == POLLIN &&
	       take_8(p->fd, &got) == 8 && got == number;
}

/* Messages there and back, each in its turn; the first of @p is the endpoint. */
static int play(struct pollfd *p, nfds_t n, bool serves, uint64_t turns)
{
	uint64_t i;

	for (i = 1; i <= turns; i++) {
		if (serves && fos_send(p->fd, &i, 8, 0) != 8)
			return 1;
		if (!takes(p, n, i))
			return 2;
		if (!serves && fos_send(p->fd, &i, 8, 0) != 8)
			return 3;
	}
	return 0;
}

TEST_F_TIMEOUT(poll, no_message_is_lost_between_the_look_and_the_sleep, 150)
{
	struct pollfd p[2] = { in(self->fd[0]), in(self->pipe[0]) };
	const uint64_t turns = rounds(PINGS);
	nfds_t n;
	pid_t pid = spawn();

	if (!pid) {
		fos_close(self->fd[0]);
		p[0].fd = self->fd[1];
		for (n = 1; n <= 2; n++)
			if (play(p, n, false, turns))
				_exit(n);
		_exit(0);
	}
	fos_close(self->fd[1]);
	for (n = 1; n <= 2; n++)
		EXPECT_EQ(0, play(p, n, true, turns));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(poll, what_was_taken_otherwise_is_not_told)
{
	struct pollfd p = in(self->fd[1]);
	char buf[8];
	int i;

	announce_poll(self->fd[1]);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2, FOS_POST)));
	EXPECT_EQ(POLLIN, look(self->fd[1], POLLIN));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(2, RESULT(fos_recv(self->fd[1], buf, 8, 0)));
	EXPECT_EQ(0, look(self->fd[1], POLLIN));
	EXPECT_EQ(0, poll_for(&p, 1, 20));
}

/* Of which, without the module, a packet tells that is for the library. */
TEST_F(poll, a_peer_that_has_come_is_no_message)
{
	struct pollfd p = in(self->fd[1]);

	EXPECT_EQ(0, look(self->fd[1], POLLIN));
	EXPECT_EQ(0, look(self->fd[0], POLLIN));
	EXPECT_EQ(0, poll_for(&p, 1, 20));
}

/* The library is never told of such bytes, and does not take them. */
TEST_F(poll, a_peer_that_rings_for_nothing_keeps_nobody)
{
	struct pollfd p = in(self->fd[1]);
	struct async a = a_poll(&p, 1);

	if (on_the_module())
		SKIP(return, "about sockets");
	EXPECT_TRUE(have_met(self->fd));
	ASSERT_EQ(1, send(self->fd[0], "x", 1, 0));
	start(&a);
	EXPECT_EQ(1, finish(&a));
	EXPECT_EQ(POLLIN, p.revents);
}

/* Nor if there is a reply as well, which is not his to tell of. */
TEST_F(poll, beside_a_reply_it_keeps_nobody_either)
{
	struct pollfd p = in(self->fd[1]);
	struct async a = a_poll(&p, 1);
	uint64_t token, theirs = 0;
	char buf[8];

	if (on_the_module())
		SKIP(return, "about sockets");
	ASSERT_EQ(0, fos_post(self->fd[1], "hi", 2, &token, 0, NULL));
	ASSERT_EQ(2, RESULT(fos_reply_recv(self->fd[0], &theirs, NULL, 0, buf,
					   sizeof(buf), NULL)));
	ASSERT_EQ(0, fos_reply(self->fd[0], theirs, "ho", 2));
	EXPECT_EQ(0, look(self->fd[1], POLLIN));
	ASSERT_EQ(1, send(self->fd[0], "x", 1, 0));
	start(&a);
	EXPECT_EQ(1, finish(&a));
	EXPECT_EQ(POLLIN, p.revents);
}

TEST_HARNESS_MAIN
