// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages: fos_send() and fos_recv() between threads and processes, blocking
 * and not, in every mode of waiting.
 *
 * gates: asan
 */
#include <sys/epoll.h>

#include "peers.h"
#include "kselftest_harness.h"

#define MIB		(1 << 20)

FIXTURE(chan) {
	int fd[2];
	char *in;
	char *out;
};

FIXTURE_VARIANT(chan) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(chan, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(chan, by_default) { .spin = FOS_SPIN_DEFAULT };
FIXTURE_VARIANT_ADD(chan, spin) { .spin = FOS_SPIN_ALWAYS };

FIXTURE_SETUP(chan)
{
	ASSERT_EQ(0, channel_with(self->fd, variant->spin, 0, 0));
	self->in = malloc(2 * MIB);
	self->out = malloc(2 * MIB);
	ASSERT_TRUE(self->in && self->out);
}

FIXTURE_TEARDOWN(chan)
{
}

/* ---- what arrives ----------------------------------------------------- */

TEST_F(chan, messages_of_all_sizes_arrive_as_they_were)
{
	static const size_t sizes[] = {
		0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 96, 97,
		4095, 4096, 4097, 65536, MIB - 1, MIB,
	};
	struct async s = { .fn = do_send, .fd = self->fd[1] };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fill(self->out, sizes[i], i);
		memset(self->in, 0, sizes[i] + 1);
		s.out = self->out;
		s.out_len = sizes[i];
		start(&s);
		EXPECT_EQ(sizes[i], RESULT(fos_recv(self->fd[0], self->in,
						    2 * MIB, 0)));
		EXPECT_EQ(sizes[i], finish(&s));
		EXPECT_TRUE(is_filled(self->in, sizes[i], i))
			TH_LOG("size %zu", sizes[i]);
		EXPECT_EQ(0, self->in[sizes[i]]);
	}
}

TEST_F(chan, a_message_longer_than_the_longest_is_emsgsize)
{
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_send(self->fd[0], self->out,
					     FOS_MSG_MAX + 1, 0)));
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_send(self->fd[0], self->out,
					     FOS_MSG_MAX + 1, FOS_NONBLOCK)));
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_send(self->fd[0], self->out,
					     SIZE_MAX, 0)));
}

TEST_F(chan, a_message_longer_than_the_area_is_emsgsize)
{
	struct async r = { .fn = do_recv, .in = self->in, .cap = MIB };
	int fd[2];

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 4096));
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_send(fd[0], self->out, 4097, 0)));
	r.fd = fd[1];
	start(&r);
	EXPECT_EQ(4096, RESULT(fos_send(fd[0], self->out, 4096, 0)));
	EXPECT_EQ(4096, finish(&r));
}

TEST_F(chan, what_does_not_fit_the_receiver_is_refused_and_he_waits_on)
{
	static const size_t caps[] = { 0, 10, 31, 100, 5000 };
	struct async r = { .fn = do_recv, .fd = self->fd[1], .in = self->in };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(caps); i++) {
		r.cap = caps[i];
		start(&r);
		EXPECT_EQ(-EMSGSIZE, RESULT(fos_send(self->fd[0], self->out,
						     caps[i] + 1, 0)));
		EXPECT_EQ(-EMSGSIZE, RESULT(fos_send(self->fd[0], self->out,
						     MIB, 0)));
		EXPECT_EQ(caps[i], RESULT(fos_send(self->fd[0], self->out,
						   caps[i], 0)));
		EXPECT_EQ(caps[i], finish(&r));
	}
}

/* ---- rendezvous ------------------------------------------------------- */

TEST_F(chan, send_returns_when_the_message_is_taken_and_not_before)
{
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "now",
			   .out_len = 3 };
	int i;

	for (i = 0; i < 20; i++) {
		start(&s);
		EXPECT_EQ(POLLIN, wait_poll(self->fd[1], POLLIN));
		nap_us(5000);
		EXPECT_FALSE(is_done(&s));
		EXPECT_EQ(3, RESULT(fos_recv(self->fd[1], self->in, 8, 0)));
		EXPECT_EQ(3, finish(&s));
	}
}

/* Send the numbers 0 .. @n - 1 with @tag above them. */
struct stream {
	int fd;
	uint32_t tag;
	uint32_t n;
	pthread_t thread;
	long errors;
};

static void *send_stream(void *arg)
{
	struct stream *s = arg;
	uint64_t message;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		message = (uint64_t)s->tag << 32 | i;
		s->errors += fos_send(s->fd, &message, 8, 0) != 8;
	}
	return NULL;
}

/* Receive @total numbers; how many came out of their sender's order. */
static long receive_streams(int fd, uint32_t senders, uint32_t total)
{
	uint32_t next[16] = {};
	uint64_t message;
	long wrong = 0;

	for (; total; total--) {
		if (fos_recv(fd, &message, 8, 0) != 8 ||
		    message >> 32 >= senders)
			return -1;
		wrong += next[message >> 32]++ != (uint32_t)message;
	}
	return wrong;
}

TEST_F_TIMEOUT(chan, each_senders_messages_come_in_order, 120)
{
	struct stream s[6];
	uint32_t senders, i;

	for (senders = 1; senders <= ARRAY_SIZE(s); senders += 5) {
		for (i = 0; i < senders; i++) {
			s[i] = (struct stream) {
				.fd = self->fd[0],
				.tag = i,
				.n = 300,
			};
			pthread_create(&s[i].thread, NULL, send_stream, &s[i]);
		}
		EXPECT_EQ(0, receive_streams(self->fd[1], senders,
					     senders * 300));
		for (i = 0; i < senders; i++) {
			pthread_join(s[i].thread, NULL);
			EXPECT_EQ(0, s[i].errors);
		}
	}
}

TEST_F_TIMEOUT(chan, several_receivers_share_the_messages, 120)
{
	struct async r[4], s[40];
	size_t i, taken = 0;
	char in[4][8];

	for (i = 0; i < ARRAY_SIZE(s); i++) {
		s[i] = (struct async) { .fn = do_send, .fd = self->fd[0],
					.out = "one", .out_len = 3 };
		start(&s[i]);
	}
	while (taken < ARRAY_SIZE(s)) {
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			r[i] = (struct async) { .fn = do_recv, .in = in[i],
						.fd = self->fd[1], .cap = 8 };
			start(&r[i]);
		}
		for (i = 0; i < ARRAY_SIZE(r); i++)
			taken += finish(&r[i]) == 3;
	}
	for (i = 0; i < ARRAY_SIZE(s); i++)
		EXPECT_EQ(3, finish(&s[i]));
	EXPECT_EQ(ARRAY_SIZE(s), taken);
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[1], in[0], 8,
					   FOS_NONBLOCK)));
}

/* ---- without waiting -------------------------------------------------- */

TEST_F(chan, a_nonblocking_receive_takes_what_is_there)
{
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "now",
			   .out_len = 3 };

	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[1], self->in, 8,
					   FOS_NONBLOCK)));
	start(&s);
	EXPECT_EQ(3, recv_when_readable(self->fd[1], self->in, 8));
	EXPECT_EQ(3, finish(&s));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[1], self->in, 8,
					   FOS_NONBLOCK)));
}

/* Where POLLOUT promises it, at once. */
static long send_when_wanted(int fd, const void *buf, size_t len)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	long ret;

	do {
		ret = RESULT(fos_send(fd, buf, len, FOS_NONBLOCK));
	} while (ret == -EAGAIN && !has_cap(FOS_CAP_POLL_EXACT) &&
		 now_ns() < end);
	return ret;
}

TEST_F(chan, a_nonblocking_send_needs_somebody_who_waits)
{
	struct async r = { .fn = do_recv, .fd = self->fd[1], .in = self->in,
			   .cap = 8 };
	int i;

	EXPECT_EQ(-EAGAIN, RESULT(fos_send(self->fd[0], "now", 3,
					   FOS_NONBLOCK)));
	EXPECT_EQ(0, poll_now(self->fd[1], 0));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[1], self->in, 8,
					   FOS_NONBLOCK)));
	for (i = 0; i < 20; i++) {
		start(&r);
		EXPECT_EQ(POLLOUT, wait_poll(self->fd[0], POLLOUT));
		EXPECT_EQ(3, send_when_wanted(self->fd[0], "now", 3));
		EXPECT_EQ(3, finish(&r));
	}
	EXPECT_EQ(-EAGAIN, RESULT(fos_send(self->fd[0], "now", 3,
					   FOS_NONBLOCK)));
}

TEST_F(chan, a_peer_that_polls_is_room_for_a_ring_full)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	int fd[2], n;

	ASSERT_EQ(0, channel_with(fd, variant->spin, 4, 4096));
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd[1], &ev));
	announce_poll(fd[1]);
	for (n = 0; n < 4; n++)
		EXPECT_EQ(8, RESULT(fos_send(fd[0], "a message", 8,
					     FOS_NONBLOCK)));
	EXPECT_EQ(-EAGAIN, RESULT(fos_send(fd[0], "a message", 8,
					   FOS_NONBLOCK)));
	for (n = 0; n < 4; n++)
		EXPECT_EQ(8, RESULT(fos_recv(fd[1], self->in, 8,
					     FOS_NONBLOCK)));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(fd[1], self->in, 8,
					   FOS_NONBLOCK)));
	/* One page of area: a second long message has to wait. */
	EXPECT_EQ(3000, RESULT(fos_send(fd[0], self->out, 3000,
					FOS_NONBLOCK)));
	EXPECT_EQ(-EAGAIN, RESULT(fos_send(fd[0], self->out, 3000,
					   FOS_NONBLOCK)));
	EXPECT_EQ(8, RESULT(fos_send(fd[0], "a message", 8, FOS_NONBLOCK)));
	EXPECT_EQ(3000, RESULT(fos_recv(fd[1], self->in, 4096, 0)));
	EXPECT_EQ(8, RESULT(fos_recv(fd[1], self->in, 4096, 0)));
	announce_poll(fd[1]);
	EXPECT_EQ(3000, RESULT(fos_send(fd[0], self->out, 3000,
					FOS_NONBLOCK)));
}

/* ---- full ------------------------------------------------------------- */

TEST_F_TIMEOUT(chan, senders_wait_for_slots_and_for_room, 120)
{
	static const size_t sizes[] = { 8, 3000, 4096 };
	struct async s[12];
	size_t i, j;
	int fd[2];

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 4096));
	for (j = 0; j < ARRAY_SIZE(sizes); j++) {
		fill(self->out, sizes[j], j);
		for (i = 0; i < ARRAY_SIZE(s); i++) {
			s[i] = (struct async) { .fn = do_send, .fd = fd[0],
						.out = self->out,
						.out_len = sizes[j] };
			start(&s[i]);
		}
		for (i = 0; i < ARRAY_SIZE(s); i++) {
			EXPECT_EQ(sizes[j], RESULT(fos_recv(fd[1], self->in,
							    4096, 0)));
			EXPECT_TRUE(is_filled(self->in, sizes[j], j));
		}
		for (i = 0; i < ARRAY_SIZE(s); i++)
			EXPECT_EQ(sizes[j], finish(&s[i]));
	}
}

TEST_F(chan, room_is_given_back_when_its_slot_is_used_again)
{
	struct async s = { .fn = do_send, .out = self->out, .out_len = 4096 };
	int fd[2], i;

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 4096));
	s.fd = fd[0];
	for (i = 0; i < 20; i++) {
		/* The first takes all the room, the others slots only. */
		s.out_len = i % 5 ? 8 : 4096;
		start(&s);
		ASSERT_EQ(s.out_len, RESULT(fos_recv(fd[1], self->in, 4096,
						     0)));
		ASSERT_EQ(s.out_len, finish(&s));
	}
}

/* ---- the end ---------------------------------------------------------- */

TEST_F(chan, a_closed_peer_is_epipe)
{
	EXPECT_EQ(0, fos_close(self->fd[1]));
	EXPECT_EQ(-EPIPE, RESULT(fos_send(self->fd[0], "x", 1, 0)));
	EXPECT_EQ(-EPIPE, RESULT(fos_send(self->fd[0], "x", 1, FOS_NONBLOCK)));
	EXPECT_EQ(-EPIPE, RESULT(fos_recv(self->fd[0], self->in, 8, 0)));
	EXPECT_EQ(-EPIPE, RESULT(fos_recv(self->fd[0], self->in, 8,
					  FOS_NONBLOCK)));
	EXPECT_EQ(0, fos_close(self->fd[0]));
}

TEST_F(chan, a_peer_that_closes_ends_the_wait_with_epipe)
{
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "x",
			   .out_len = 1 };
	struct async r = { .fn = do_recv, .fd = self->fd[0], .in = self->in,
			   .cap = 8 };

	start(&s);
	start(&r);
	EXPECT_EQ(POLLIN, wait_poll(self->fd[1], POLLIN));
	EXPECT_EQ(POLLOUT, wait_poll(self->fd[1], POLLOUT));
	EXPECT_EQ(0, fos_close(self->fd[1]));
	EXPECT_EQ(-EPIPE, finish(&s));
	EXPECT_EQ(-EPIPE, finish(&r));
}

static int send_some_and_exit(int fd, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (fos_send(fd, &i, sizeof(i), FOS_NONBLOCK) != sizeof(i))
			return 1;
	return 0;
}

TEST_F(chan, what_was_published_before_death_is_delivered)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int i, message = -1;
	pid_t pid;

	/* Polled, so that its messages have somebody to go to. */
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd[0], &ev));
	announce_poll(self->fd[0]);
	pid = spawn();
	if (!pid)
		_exit(send_some_and_exit(self->fd[1], 10));
	EXPECT_EQ(0, reap(pid));
	EXPECT_TRUE(hangs_up(self->fd[0]));
	EXPECT_TRUE(poll_now(self->fd[0], POLLIN) & POLLIN);
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(sizeof(message),
			  RESULT(fos_recv(self->fd[0], &message,
					  sizeof(message), 0)));
		EXPECT_EQ(i, message);
	}
	EXPECT_EQ(-EPIPE, RESULT(fos_recv(self->fd[0], &message,
					  sizeof(message), 0)));
	EXPECT_TRUE(hung_up(self->fd[0]));
}

TEST_F(chan, the_message_of_a_sender_that_was_killed_is_delivered)
{
	pid_t pid;

	fill(self->out, 100000, 3);
	pid = spawn();
	if (!pid) {
		fos_send(self->fd[1], self->out, 100000, 0);
		_exit(1);
	}
	EXPECT_EQ(POLLIN, wait_poll(self->fd[0], POLLIN));
	/* Where POLLIN may come too early. */
	if (!has_cap(FOS_CAP_POLL_EXACT))
		nap_us(100000);
	kill(pid, SIGKILL);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
	EXPECT_EQ(100000, RESULT(fos_recv(self->fd[0], self->in, MIB, 0)));
	EXPECT_TRUE(is_filled(self->in, 100000, 3));
	EXPECT_EQ(-EPIPE, RESULT(fos_recv(self->fd[0], self->in, MIB, 0)));
}

/* ---- signals ---------------------------------------------------------- */

static uint64_t signals_seen;

static void count_it(int sig UNUSED)
{
	__atomic_fetch_add(&signals_seen, 1, __ATOMIC_RELEASE);
}

TEST_F(chan, a_signal_that_restarts_calls_changes_nothing)
{
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "x",
			   .out_len = 1 };
	uint64_t i;

	on_signal(SIGUSR1, SA_RESTART, count_it);
	start(&s);
	EXPECT_EQ(POLLIN, wait_poll(self->fd[1], POLLIN));
	for (i = 1; i <= 10; i++) {
		pthread_kill(s.thread, SIGUSR1);
		EXPECT_TRUE(wait_for(&signals_seen, i));
	}
	EXPECT_FALSE(is_done(&s));
	EXPECT_EQ(1, RESULT(fos_recv(self->fd[1], self->in, 8, 0)));
	EXPECT_EQ(1, finish(&s));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[1], self->in, 8,
					   FOS_NONBLOCK)));
}

/* ---- arguments -------------------------------------------------------- */

TEST_F(chan, what_is_no_endpoint_is_ebadf)
{
	int bad[] = { -1, 1023, INT32_MAX, INT32_MIN, 0, 0, 0 };
	int p[2];
	size_t i;

	ASSERT_EQ(0, pipe(p));
	bad[4] = p[0];
	bad[5] = open("/dev/null", O_RDWR);
	bad[6] = open("/dev/fastos", O_RDWR);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EBADF, RESULT(fos_send(bad[i], "x", 1, 0)));
		EXPECT_EQ(-EBADF, RESULT(fos_recv(bad[i], self->in, 1, 0)));
		if (bad[i] < 0 || bad[i] >= 1023)
			EXPECT_EQ(-EBADF, RESULT(fos_close(bad[i])));
	}
}

TEST_F(chan, bad_arguments_are_einval)
{
	unsigned int flag;

	for (flag = 2; flag; flag <<= 1) {
		if (flag != FOS_POST)
			EXPECT_EQ(-EINVAL, RESULT(fos_send(self->fd[0], "x", 1,
							   flag)));
		EXPECT_EQ(-EINVAL, RESULT(fos_recv(self->fd[0], self->in, 1,
						   flag)));
	}
	EXPECT_EQ(-EINVAL, RESULT(fos_send(self->fd[0], NULL, 1, 0)));
	EXPECT_EQ(-EINVAL, RESULT(fos_recv(self->fd[0], NULL, 1, 0)));
	EXPECT_EQ(-EAGAIN, RESULT(fos_send(self->fd[0], NULL, 0,
					   FOS_NONBLOCK)));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[0], NULL, 0,
					   FOS_NONBLOCK)));
}

/* ---- who sleeps for sure ---------------------------------------------- */

FIXTURE(sleeping) {
	int fd[2];
};

FIXTURE_SETUP(sleeping)
{
	ASSERT_EQ(0, channel_with(self->fd, FOS_SPIN_BLOCK, 0, 0));
}

FIXTURE_TEARDOWN(sleeping)
{
}

TEST_F(sleeping, one_receiver_is_room_for_one_nonblocking_send)
{
	struct async r = { .fn = do_recv, .fd = self->fd[1], .cap = 8 };
	int sent = 0, i;
	char in[8];

	r.in = in;
	start(&r);
	ASSERT_TRUE(asleep(&r));
	for (i = 0; i < 5; i++)
		sent += fos_send(self->fd[0], "now", 3, FOS_NONBLOCK) == 3;
	EXPECT_EQ(3, finish(&r));
	EXPECT_LE(1, sent);
	EXPECT_GE(2, sent);
	while (sent-- > 1)
		EXPECT_EQ(3, RESULT(fos_recv(self->fd[1], in, 8,
					     FOS_NONBLOCK)));
}

TEST_F(sleeping, a_signal_withdraws_the_message)
{
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "x",
			   .out_len = 1 };
	struct async r = { .fn = do_recv, .fd = self->fd[0], .cap = 8 };
	char in[8];

	r.in = in;
	on_signal(SIGUSR1, 0, ignore_it);
	start(&s);
	EXPECT_TRUE(asleep(&s));
	interrupt(&s, SIGUSR1);
	EXPECT_EQ(-EINTR, finish(&s));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(self->fd[1], in, 8,
					   FOS_NONBLOCK)));
	start(&r);
	EXPECT_TRUE(asleep(&r));
	interrupt(&r, SIGUSR1);
	EXPECT_EQ(-EINTR, finish(&r));
}

TEST_HARNESS_MAIN
