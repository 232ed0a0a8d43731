// SPDX-License-Identifier: GPL-2.0-only
/*
 * fos_poll(): what it might overlook, or take for something else, because of what
 * other threads, peers and numbers do at the same time.
 *
 * gates: asan tsan
 */
#include "poll.h"

#define CHANNELS	100
#define DYING		40

/* A thread of the peer's sends in vain so often: nobody looks meanwhile. */
static int withdraw(int fd, int times)
{
	struct timespec soon;
	char buf[8];

	while (times--) {
		soon = deadline_in(1);
		if (RESULT(fos_call(fd, "hi", 2, buf, sizeof(buf), &soon)) !=
		    -ETIMEDOUT)
			return 1;
	}
	return 0;
}

TEST_F(poll, a_message_in_the_place_of_what_was_withdrawn_is_found)
{
	struct pollfd p[2];
	int fd[2];

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 0));
	EXPECT_TRUE(have_met(fd));
	ASSERT_EQ(0, withdraw(fd[0], 2));
	ASSERT_EQ(2, RESULT(fos_send(fd[0], "hi", 2, FOS_POST)));
	EXPECT_EQ(POLLIN, look(fd[1], POLLIN));
	/* The kernel need not be asked: there is another one. */
	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "ho", 2, FOS_POST)));
	p[0] = in(fd[1]);
	p[1] = in(self->fd[1]);
	EXPECT_EQ(2, poll_for(p, 2, HANG_MS));
}

/* However often: who receives goes where the message is at once. */
TEST_F(poll, what_lies_rounds_ahead_is_received_at_once)
{
	struct async a = { .fn = do_recv };
	char buf[8];
	int fd[2];

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 0));
	EXPECT_TRUE(have_met(fd));
	ASSERT_EQ(0, withdraw(fd[0], 40));
	ASSERT_EQ(2, RESULT(fos_send(fd[0], "hi", 2, FOS_POST)));
	EXPECT_EQ(POLLIN, look(fd[1], POLLIN));
	EXPECT_EQ(2, take_8(fd[1], buf));
	ASSERT_EQ(0, withdraw(fd[0], 40));
	ASSERT_EQ(2, RESULT(fos_send(fd[0], "ho", 2, FOS_POST)));
	a.fd = fd[1];
	a.in = buf;
	a.cap = sizeof(buf);
	start(&a);
	EXPECT_EQ(2, finish(&a));
}

/* Once it has slept it sleeps on, whoever receives beside it. */
TEST_F(poll, a_nonblocking_send_finds_it_after_a_receiver_has_left)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	struct pollfd p = in(self->fd[1]);
	struct async a = a_poll(&p, 1);
	char buf[8];
	struct async b = {
		.fn = do_recv, .fd = self->fd[1], .in = buf, .cap = sizeof(buf),
	};
	long ret = 0;

	EXPECT_TRUE(have_met(self->fd));
	start(&a);
	ASSERT_TRUE(variant->spin != FOS_SPIN_BLOCK || asleep(&a));
	start(&b);
	ASSERT_TRUE(variant->spin != FOS_SPIN_BLOCK || asleep(&b));
	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2, 0)));
	ASSERT_EQ(2, finish(&b));
	while (!is_done(&a) && now_ns() < end) {
		ret = RESULT(fos_send(self->fd[0], "ho", 2, FOS_NONBLOCK));
		if (ret != -EAGAIN)
			break;
	}
	/* It may have seen the first one before that was taken. */
	EXPECT_TRUE(ret == 2 || is_done(&a));
	EXPECT_EQ(1, finish(&a));
}

/* Takes two requests, the second only when it is told of; exit status. */
static int serve_two(int fd)
{
	uint64_t token = 0, other = 0;
	char buf[8];

	return serve_once(fd, &token, NULL, 0, buf, 8) != 2 ||
	       wait_poll(fd, POLLIN) != POLLIN ||
	       serve_once(fd, &other, NULL, 0, buf, 8) != 2 ||
	       fos_reply(fd, token, "ho", 2) || fos_reply(fd, other, "ho", 2);
}

/* Both are for one who is there, who takes one of them and leaves. */
TEST_F(poll, what_a_receiver_left_behind_is_readable)
{
	char buf[2][8];
	struct async a[2];
	pid_t pid = spawn();
	int i;

	if (!pid) {
		fos_close(self->fd[0]);
		_exit(fos_recv(self->fd[1], buf[0], 8, 0) != 3 ||
		      serve_two(self->fd[1]));
	}
	fos_close(self->fd[1]);
	ASSERT_EQ(3, RESULT(fos_send(self->fd[0], "hey", 3, 0)));
	nap_us(20000);
	ASSERT_TRUE(variant->spin != FOS_SPIN_BLOCK || wait_asleep(pid));
	kill(pid, SIGSTOP);
	for (i = 0; i < 2; i++) {
		a[i] = (struct async) {
			.fn = do_call, .fd = self->fd[0], .out = "hi", .out_len = 2,
			.in = buf[i], .cap = 8,
		};
		start(&a[i]);
		ASSERT_TRUE(variant->spin != FOS_SPIN_BLOCK || asleep(&a[i]));
	}
	kill(pid, SIGCONT);
	EXPECT_EQ(0, reap(pid));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(2, finish(&a[i]));
}

/* Of each a packet comes, without the module, that is for the library. */
TEST_F(poll, many_peers_that_come_are_no_messages)
{
	struct pollfd p[CHANNELS];
	int fd[CHANNELS][2], i;
	struct async a = a_poll(p, CHANNELS);

	for (i = 0; i < CHANNELS; i++) {
		ASSERT_EQ(0, channel_with(fd[i], variant->spin, 2, 0));
		p[i] = in(fd[i][1]);
	}
	start(&a);
	ASSERT_TRUE(variant->spin != FOS_SPIN_BLOCK || asleep(&a));
	for (i = 0; i < CHANNELS; i++)
		EXPECT_EQ(0, look(fd[i][0], POLLIN));
	nap_us(20000);
	EXPECT_FALSE(is_done(&a));
	ASSERT_EQ(2, RESULT(fos_send(fd[70][0], "hi", 2, FOS_POST)));
	EXPECT_EQ(1, finish(&a));
	EXPECT_EQ(POLLIN, p[70].revents);
}

/* By dup2() the library is not told; it finds out. */
TEST_F(poll, a_number_that_was_a_pipe_can_become_a_copy)
{
	struct pollfd p = in(self->pipe[0]);
	struct async a = a_poll(&p, 1);
	struct pollfd two[2] = { p, in(open("/dev/null", O_RDWR | O_CLOEXEC)) };
	int i;

	/* Beside another one, which is none. */
	ASSERT_LE(0, two[1].fd);
	two[1].events = 0;
	EXPECT_EQ(0, poll_for(two, 2, 0));
	ASSERT_EQ(self->pipe[0], dup2(self->fd[1], self->pipe[0]));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(0, poll_for(two, 2, 0));
	start(&a);
	EXPECT_EQ(2, send_to_a_taker(self->fd[0]));
	EXPECT_EQ(1, finish(&a));
}

/* Who asks for more than messages, beside one that has one. */
TEST_F(poll, the_last_words_of_a_peer_come_with_its_death)
{
	struct pollfd p[2] = { in(self->fd[1]) };
	int fd[2], i;
	pid_t pid;

	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2, FOS_POST)));
	for (i = 0; i < DYING; i++) {
		ASSERT_EQ(0, channel_with(fd, variant->spin, 0, 0));
		EXPECT_EQ(0, look(fd[1], POLLIN));
		pid = spawn();
		if (!pid) {
			fos_close(fd[1]);
			nap_us(i * 100);
			_exit(fos_send(fd[0], "ho", 2, FOS_POST) != 2);
		}
		fos_close(fd[0]);
		p[1] = in(fd[1]);
		p[1].events |= POLLRDHUP;
		do {
			ASSERT_LT(0, poll_for(p, 2, HANG_MS));
		} while (!(p[1].revents & POLLHUP));
		EXPECT_EQ(POLLIN, p[1].revents & POLLIN);
		EXPECT_EQ(0, reap(pid));
		fos_close(fd[1]);
	}
}

TEST_F(poll, what_was_left_for_later_is_rung_though_there_is_something)
{
	struct pollfd p[2] = { in(self->fd[0]) };
	pid_t pid = spawn();
	char buf[8];
	int fd[2];

	if (!pid) {
		fos_close(self->fd[0]);
		_exit(fos_recv(self->fd[1], buf, 8, 0) != 3 ||
		      fos_recv(self->fd[1], buf, 8, 0) != 2);
	}
	fos_close(self->fd[1]);
	ASSERT_EQ(0, channel_with(fd, variant->spin, 0, 0));
	ASSERT_EQ(2, RESULT(fos_send(fd[0], "hi", 2, FOS_POST)));
	p[1] = in(fd[1]);
	/* Who has just come would look again for that. */
	ASSERT_EQ(3, RESULT(fos_send(self->fd[0], "hey", 3, 0)));
	nap_us(20000);
	ASSERT_TRUE(variant->spin != FOS_SPIN_BLOCK || wait_asleep(pid));
	ASSERT_EQ(2, RESULT(fos_send(self->fd[0], "hi", 2,
				     FOS_POST | FOS_MORE)));
	EXPECT_LT(0, poll_for(p, 2, HANG_MS));
	EXPECT_EQ(0, reap(pid));
}

TEST_HARNESS_MAIN
