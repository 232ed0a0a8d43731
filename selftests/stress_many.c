// SPDX-License-Identifier: GPL-2.0-only
/*
 * So many messages that what goes wrong once in a million does: FOS_MESSAGES,
 * natively ten million, with delays that make each side wait for the other now
 * a little and now long enough to sleep.
 *
 * budget: 900 s
 */
#include "peers.h"
#include "kselftest_harness.h"

/* Mostly nothing, at times as long as an instant or as a wake-up. */
static void delay(uint64_t *seed)
{
	const uint64_t dice = rnd(seed) & 1023;
	uint64_t end;

	if (dice >= 64)
		return;
	end = now_ns() + (dice < 2 ? rnd_below(seed, 60000) :
				     rnd_below(seed, 600));
	while (now_ns() < end)
		;
}

static int send_all(int fd, uint64_t n)
{
	uint64_t seed = 23, i;

	for (i = 0; i < n; i++) {
		if (fos_send(fd, &i, sizeof(i), 0) != sizeof(i))
			return errno;
		delay(&seed);
	}
	return 0;
}

FIXTURE(many) {
	int fd[2];
};

FIXTURE_SETUP(many)
{
	ASSERT_EQ(0, fos_channel(self->fd, NULL));
}

FIXTURE_TEARDOWN(many)
{
}

TEST_F_TIMEOUT(many, none_is_lost_and_none_is_doubled, 3600)
{
	const uint64_t n = env_number("FOS_MESSAGES", rounds(100000));
	uint64_t seed = 29, i, got;
	pid_t pid;

	pid = spawn();
	if (!pid) {
		pin_to(1);
		_exit(send_all(self->fd[1], n));
	}
	pin_to(0);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(8, RESULT(fos_recv(self->fd[0], &got, 8, 0)));
		ASSERT_EQ(i, got);
		delay(&seed);
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(-EPIPE, RESULT(fos_recv(self->fd[0], &got, 8,
					  FOS_NONBLOCK)));
	printf("# %llu messages\n", (unsigned long long)n);
}

TEST_HARNESS_MAIN
