// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the default learns from its waits: to poll, and to let it be, and that it
 * does neither for ever; its share of the time; and what it tells of it.
 *
 * gates: asan tsan
 * not under asan: a_child_has_no_pollers (it forks beside a thread)
 * not under tsan: a_child_has_no_pollers (the same)
 */
#include "peers.h"
#include "kselftest_harness.h"

#define CALLS	200

FIXTURE(learn) {
	int fd[2];
	uint32_t *nap;		/* us, that the server takes for a request */
	pid_t server;
};

FIXTURE_SETUP(learn)
{
	self->nap = shared(sizeof(*self->nap));
	ASSERT_TRUE(self->nap);
}

FIXTURE_TEARDOWN(learn)
{
	if (!self->server)
		return;
	fos_close(self->fd[0]);
	EXPECT_EQ(0, reap(self->server));
}

static int serve_at_leisure(int fd, const uint32_t *nap)
{
	uint64_t token = 0, x = 0;

	while (fos_reply_recv(fd, &token, &x, 8, &x, 8, NULL) == 8)
		if (__atomic_load_n(nap, __ATOMIC_RELAXED))
			nap_us(*nap);
	return errno != EPIPE;
}

/* A server on the nth CPU; this process on the first. */
static pid_t serve_on(int fd[2], const uint32_t *nap, unsigned int nth,
		      const struct fos_chan_attr *attr)
{
	pid_t pid;

	if (fos_channel(fd, attr))
		return -1;
	pid = spawn();
	if (!pid) {
		if (pin_to(nth))
			_exit(98);
		fos_close(fd[0]);
		_exit(serve_at_leisure(fd[1], nap));
	}
	fos_close(fd[1]);
	return pin_to(0) ? -1 : pid;
}

/* What the calls since @was came to. */
static struct fos_spin_stats since(int fd, struct fos_spin_stats *was)
{
	struct fos_spin_stats now = { 0 }, diff;

	fos_spin_stats(fd, &now, sizeof(now));
	diff = now;
	diff.found -= was->found;
	diff.missed -= was->missed;
	diff.slept -= was->slept;
	diff.robbed -= was->robbed;
	diff.polled_ns -= was->polled_ns;
	*was = now;
	return diff;
}

/* What is long is told by the price of a wake-up, which on a busy machine is some ms. */
TEST_F_TIMEOUT(learn, what_takes_long_is_not_polled_for, 150)
{
	struct fos_spin_stats was = { 0 }, s;

	if (usable_cpus() < 2)
		SKIP(return, "one CPU");
	*self->nap = 10000;
	self->server = serve_on(self->fd, self->nap, 1, NULL);
	ASSERT_LT(0, self->server);
	do {
		*self->nap *= 2;
		EXPECT_EQ(0, failed_calls(self->fd[0], CALLS / 4));
		s = since(self->fd[0], &was);
		EXPECT_EQ(FOS_SPIN_DEFAULT, s.spin);
		EXPECT_LT(0, s.wake_ns);
		EXPECT_GE(CALLS / 4, s.slept + s.missed + s.found);
	} while (s.slept < CALLS / 4 - 5 && *self->nap < 320000);
	EXPECT_LE(CALLS / 4 - 5, s.slept);
}

/*
 * Both slept for each call, and wait for each other's wake-ups.  On a busy machine
 * it may take some time until polling is let be.
 */
TEST_F_TIMEOUT(learn, two_who_slept_come_to_poll_again, 150)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	struct fos_spin_stats was = { 0 }, s;

	if (usable_cpus() < 2)
		SKIP(return, "one CPU");
	*self->nap = 20000;
	self->server = serve_on(self->fd, self->nap, 1, NULL);
	ASSERT_LT(0, self->server);
	EXPECT_EQ(0, failed_calls(self->fd[0], CALLS / 4));
	since(self->fd[0], &was);
	__atomic_store_n(self->nap, 0, __ATOMIC_RELAXED);
	do {
		EXPECT_EQ(0, failed_calls(self->fd[0], CALLS));
		s = since(self->fd[0], &was);
	} while (s.found < CALLS * 9 / 10 && now_ns() < end);
	EXPECT_LE(CALLS * 9 / 10, s.found);
}

TEST_F_TIMEOUT(learn, beside_the_peer_nothing_is_polled, 150)
{
	struct fos_spin_stats s = { 0 };

	self->server = serve_on(self->fd, self->nap, 0, NULL);
	ASSERT_LT(0, self->server);
	EXPECT_EQ(0, failed_calls(self->fd[0], CALLS));
	s = since(self->fd[0], &s);
	EXPECT_EQ(0, s.found + s.missed + s.slept + s.polled_ns);
}

/*
 * A hundredth; what was saved up, and the wait that used it up, come on top.  On
 * a busy machine it may take some time until polling is tried at all.
 */
TEST_F_TIMEOUT(learn, a_share_of_the_time_is_kept, 150)
{
	const struct fos_chan_attr attr = { .spin_share = 1 };
	struct fos_spin_stats s = { 0 };
	uint64_t began, took;

	if (usable_cpus() < 2)
		SKIP(return, "one CPU");
	self->server = serve_on(self->fd, self->nap, 1, &attr);
	ASSERT_LT(0, self->server);
	began = now_ns();
	do {
		EXPECT_EQ(0, failed_calls(self->fd[0], CALLS));
		took = now_ns() - began;
		ASSERT_EQ(0, fos_spin_stats(self->fd[0], &s, sizeof(s)));
	} while (took < 2000000000 ||
		 (!s.found && took < HANG_MS * 1000000ULL));
	EXPECT_EQ(1, s.spin_share);
	EXPECT_LT(0, s.found);
	EXPECT_LT(0, s.slept);
	EXPECT_GE(took / 100 + 10000000 + 4 * s.wake_ns, s.polled_ns);
}

static void *receive_for_ever(void *fd)
{
	char buf[8];

	pin_to(0);
	while (fos_recv(*(int *)fd, buf, sizeof(buf), 0) == 8)
		;
	return NULL;
}

/* Did one of them count? */
static int waits_of_a_child(int fd[2], const uint32_t *nap)
{
	struct fos_spin_stats s = { 0 };
	pid_t pid = serve_on(fd, nap, 1, NULL);

	if (pid < 0 || failed_calls(fd[0], CALLS))
		return 99;
	s = since(fd[0], &s);
	fos_close(fd[0]);
	return reap(pid) ? 98 : !!(s.found + s.missed + s.slept);
}

TEST_F_TIMEOUT(learn, a_child_has_no_pollers, 150)
{
	pthread_t thread;
	pid_t sender, child;
	int fd[2];

	if (usable_cpus() < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_ALWAYS, 0, 0));
	sender = spawn();
	if (!sender) {
		fos_close(fd[0]);
		_exit(pin_to(1) || fos_send(fd[1], "one CPU ", 8, 0) < 0 ||
		      pause());
	}
	fos_close(fd[1]);
	ASSERT_EQ(0, pthread_create(&thread, NULL, receive_for_ever, &fd[0]));
	nap_us(50000);
	child = spawn();
	if (!child)
		_exit(waits_of_a_child(self->fd, self->nap));
	EXPECT_EQ(1, reap(child));
	kill(sender, SIGKILL);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(sender));
	pthread_join(thread, NULL);
	fos_close(fd[0]);
}

TEST(other_modes_learn_nothing)
{
	const struct fos_chan_attr attr = {
		.spin = FOS_SPIN_FIXED, .spin_ns = 1000,
	};
	struct fos_spin_stats s;
	int fd[2];

	ASSERT_EQ(0, fos_channel(fd, &attr));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(fd[0], &s, sizeof(s), FOS_NONBLOCK)));
	ASSERT_EQ(0, fos_spin_stats(fd[0], &s, sizeof(s)));
	EXPECT_EQ(FOS_SPIN_FIXED, s.spin);
	EXPECT_EQ(0, s.found + s.missed + s.slept + s.robbed + s.polled_ns);
}

TEST(statistics_are_as_long_as_the_caller_knows)
{
	struct {
		struct fos_spin_stats s;
		uint64_t more;
	} big;
	uint32_t spin = 77;
	int fd[2];

	ASSERT_EQ(0, fos_channel(fd, NULL));
	memset(&big, 0x55, sizeof(big));
	EXPECT_EQ(0, fos_spin_stats(fd[0], &big.s, sizeof(big)));
	EXPECT_EQ(0, big.more);
	EXPECT_EQ(0, fos_spin_stats(fd[0], (void *)&spin, sizeof(spin)));
	EXPECT_EQ(FOS_SPIN_DEFAULT, spin);
	EXPECT_EQ(-EINVAL, RESULT(fos_spin_stats(fd[0], NULL, sizeof(big))));
	EXPECT_EQ(-EINVAL, RESULT(fos_spin_stats(fd[0], &big.s, 0)));
	EXPECT_EQ(-EBADF, RESULT(fos_spin_stats(-1, &big.s, sizeof(big))));
	EXPECT_EQ(-EBADF, RESULT(fos_spin_stats(0, &big.s, sizeof(big))));
}

TEST_HARNESS_MAIN
