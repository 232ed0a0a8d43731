// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients and servers killed at random points: the other side learns it, and
 * nothing stays behind.
 *
 * budget: 600 s
 */
#include <sys/socket.h>

#include "peers.h"
#include "kselftest_harness.h"

#define KILLS		2000

/* What the rounds are spread over. */
static const uint32_t modes[] = {
	FOS_SPIN_BLOCK, FOS_SPIN_DEFAULT, FOS_SPIN_ALWAYS,
};

static const size_t sizes[] = { 8, 32, 2000, 20000 };

static bool is_death(int err)
{
	return err == EPIPE || err == ECONNRESET;
}

static int call_for_ever(int fd, size_t size)
{
	char *buf = calloc(1, size);

	while (fos_call(fd, buf, size, buf, size, NULL) == (ssize_t)size)
		;
	return is_death(errno) ? 0 : errno;
}

static int send_for_ever(int fd, size_t size)
{
	char *buf = calloc(1, size);

	while (fos_send(fd, buf, size, 0) == (ssize_t)size)
		;
	return is_death(errno) ? 0 : errno;
}

static int receive_for_ever(int fd, size_t size)
{
	char *buf = calloc(1, size);

	while (fos_recv(fd, buf, size, 0) == (ssize_t)size)
		;
	return is_death(errno) ? 0 : errno;
}

static int serve_for_ever(int fd, size_t size)
{
	return serve_echo(fd, malloc(size), size);
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

/* Without the module: the mark on a socket that is in use. */
static bool is_marked(int fd)
{
	socklen_t len = sizeof(int);
	int mark = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, &len) && mark == 2;
}

/* Until both sides are attached: only then can they die with copies about. */
static bool wait_attached(int fd, int other)
{
	uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	char text[1024];

	do {
		if (is_marked(fd) && is_marked(other))
			return true;
		if (fdinfo_of(fd, text, sizeof(text)))
			return false;
		if (strstr(text, "side0:\tattached") &&
		    strstr(text, "side1:\tattached"))
			return true;
		nap_us(100);
	} while (now_ns() < end && !strstr(text, "dead"));
	printf("# not attached: %s\n", text);
	return false;
}

/* Every other round has an heir; there the sides keep their copies too. */
static int begin(struct round *r, uint64_t *seed)
{
	const int pair = rnd_below(seed, ARRAY_SIZE(pairs));
	const size_t size = sizes[rnd_below(seed, ARRAY_SIZE(sizes))];
	const uint32_t depth = 2 << rnd_below(seed, 5);
	const bool heir = rnd_below(seed, 2);
	int i;

	if (channel_with(r->fd, modes[rnd_below(seed, ARRAY_SIZE(modes))],
			 depth, 65536))
		return -1;
	for (i = 0; i < 2; i++) {
		r->pid[i] = spawn();
		if (!r->pid[i]) {
			if (!heir)
				close(r->fd[!i]);
			_exit(pairs[pair].side[i](r->fd[i], size));
		}
	}
	r->heir = heir ? spawn_heir() : 0;
	r->victim = rnd_below(seed, 2);
	if (heir && !wait_attached(r->fd[0], r->fd[1])) {
		printf("# ended with %d and %d\n", reap(r->pid[0]),
		       reap(r->pid[1]));
		return -2;
	}
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
	return victim == REAP_SIGNAL(SIGKILL) ? survivor : -victim;
}

TEST(before_anything_nothing_is_there)
{
	NEEDS_THE_MODULE();
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
	long before = objects_settled();
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
	long before = objects_settled();
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
		ASSERT_TRUE(wait_poll(fd[0], 0) & POLLHUP);
		ASSERT_EQ(-EPIPE, RESULT(fos_call(fd[0], "ping", 4, in, 64,
						  NULL)));
		ASSERT_EQ(0, fos_close(fd[0]));
		close(fd[1]);
		reap(pid);
	}
	EXPECT_EQ(before, objects_left(before));
}

TEST_HARNESS_MAIN
