// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients and servers killed at random points: the other side learns it, and
 * nothing stays behind.
 *
 * budget: 600 s
 */
#include "peers.h"
#include "kselftest_harness.h"

#define KILLS		2000

/* What the rounds are spread over. */
static const uint32_t modes[] = {
	FOS_SPIN_BLOCK, FOS_SPIN_DEFAULT, FOS_SPIN_ALWAYS,
};

static const size_t sizes[] = { 8, 32, 2000, 20000 };

/* Exit code of a side that did not learn of the death as it should. */
#define WRONG		90

static bool is_death(int err)
{
	return err == EPIPE || err == ECONNRESET;
}

static int call_for_ever(int fd, size_t size)
{
	char *buf = calloc(1, size);

	while (fos_call(fd, buf, size, buf, size, NULL) == (ssize_t)size)
		;
	return is_death(errno) ? 0 : WRONG;
}

static int send_for_ever(int fd, size_t size)
{
	char *buf = calloc(1, size);

	while (fos_send(fd, buf, size, 0) == (ssize_t)size)
		;
	return is_death(errno) ? 0 : WRONG;
}

static int receive_for_ever(int fd, size_t size)
{
	char *buf = calloc(1, size);

	while (fos_recv(fd, buf, size, 0) == (ssize_t)size)
		;
	return is_death(errno) ? 0 : WRONG;
}

static int serve_for_ever(int fd, size_t size)
{
	return serve_echo(fd, malloc(size), size) ? WRONG : 0;
}

static void *call_in_thread(void *arg)
{
	const int *a = arg;

	return (void *)(long)call_for_ever(a[0], a[1]);
}

static int call_from_threads(int fd, size_t size)
{
	int a[2] = { fd, size };
	pthread_t thread[3];
	long bad = 0;
	void *ret;
	int i;

	for (i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, call_in_thread, a);
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], &ret);
		bad |= (long)ret;
	}
	return bad;
}

/* What the two sides do. */
static const struct {
	int (*side[2])(int fd, size_t size);
} pairs[] = {
	{ { call_for_ever, serve_for_ever } },
	{ { send_for_ever, receive_for_ever } },
	{ { call_from_threads, serve_for_ever } },
};

struct round {
	int fd[2];
	pid_t pid[2];
	pid_t heir;
	int victim;
};

/*
 * Both sides hold copies of both ends; every other time a third process holds
 * copies as well, and outlives them all.
 */
static int begin(struct round *r, uint64_t *seed)
{
	const int pair = rnd_below(seed, ARRAY_SIZE(pairs));
	const size_t size = sizes[rnd_below(seed, ARRAY_SIZE(sizes))];
	const uint32_t depth = 2 << rnd_below(seed, 5);
	int i;

	if (channel_with(r->fd, modes[rnd_below(seed, ARRAY_SIZE(modes))],
			 depth, 65536))
		return -1;
	for (i = 0; i < 2; i++) {
		r->pid[i] = spawn();
		if (!r->pid[i])
			_exit(pairs[pair].side[i](r->fd[i], size));
	}
	r->heir = 0;
	if (rnd_below(seed, 2)) {
		r->heir = spawn();
		if (!r->heir) {
			pause();
			_exit(0);
		}
	}
	r->victim = rnd_below(seed, 2);
	close(r->fd[0]);
	close(r->fd[1]);
	return 0;
}

/* Kill one; what became of the other. */
static int end(struct round *r)
{
	int victim, survivor;

	kill(r->pid[r->victim], SIGKILL);
	victim = reap(r->pid[r->victim]);
	survivor = reap(r->pid[!r->victim]);
	if (r->heir) {
		kill(r->heir, SIGKILL);
		reap(r->heir);
	}
	/* Too late only if it had ended by itself, and why should it. */
	return victim == REAP_SIGNAL(SIGKILL) ? survivor : WRONG + 1;
}

TEST(before_anything_nothing_is_there)
{
	EXPECT_EQ(0, objects_live());
}

FIXTURE(kill) {
	long left;
};

FIXTURE_SETUP(kill)
{
}

FIXTURE_TEARDOWN(kill)
{
}

TEST_F_TIMEOUT(kill, whoever_is_killed_the_other_learns_it_and_nothing_stays,
	       7200)
{
	long n = rounds(env_number("FOS_KILLS", KILLS)), i;
	uint64_t seed = rnd_seed("kills");
	long before = objects_live();
	struct round r;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, begin(&r, &seed));
		/* Often at once, when they have hardly begun. */
		nap_us(rnd_below(&seed, 4) ? rnd_below(&seed, 4000) : 0);
		ASSERT_EQ(0, end(&r)) TH_LOG("round %ld", i);
	}
	EXPECT_EQ(before, objects_left(before));
}

TEST_F_TIMEOUT(kill, a_side_that_is_killed_asleep_is_noticed_at_once, 300)
{
	uint64_t seed = rnd_seed("asleep");
	long before = objects_live();
	char in[64];
	int fd[2], i;
	pid_t pid;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 0, 0));
		pid = spawn_echo(fd[1], 64);
		ASSERT_EQ(4, RESULT(fos_call(fd[0], "ping", 4, in, 64, NULL)));
		if (rnd_below(&seed, 2))
			ASSERT_TRUE(wait_asleep(pid));
		kill(pid, SIGKILL);
		ASSERT_EQ(POLLHUP, wait_poll(fd[0], POLLIN));
		ASSERT_EQ(-EPIPE, RESULT(fos_call(fd[0], "ping", 4, in, 64,
						  NULL)));
		ASSERT_EQ(0, fos_close(fd[0]));
		close(fd[1]);
		reap(pid);
	}
	EXPECT_EQ(before, objects_left(before));
}

TEST_HARNESS_MAIN
