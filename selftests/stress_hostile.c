// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library against a peer that writes anything into every page it may: the
 * victim gets documented errors in time, its memory stays whole, and other
 * channels do not notice.
 *
 * budget: 400 s
 *
 * gates: asan
 */
#include <sys/time.h>

#include "peers.h"
#include "kselftest_harness.h"

#define PAGE		4096
#define AREA		16384
#define DEPTH		4
#define ROUND_MS	40

/* ---- the scribbler ---------------------------------------------------- */

static bool may_write(char *page, int zero)
{
	return read(zero, page + PAGE - 1, 1) == 1;
}

/* The pages of the endpoint that this process may write; how many. */
static int find_pages(uint64_t *pages[], int max)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int zero = open("/dev/zero", O_RDONLY);
	char line[256];
	char *from, *to;
	int n = 0;

	while (fgets(line, sizeof(line), maps)) {
		if ((!strstr(line, "[fastos]") &&
		     !strstr(line, "/memfd:fastos")) ||
		    sscanf(line, "%p-%p", (void **)&from, (void **)&to) != 2)
			continue;
		for (; from < to && n < max; from += PAGE)
			if (may_write(from, zero))
				pages[n++] = (uint64_t *)from;
	}
	fclose(maps);
	close(zero);
	return n;
}

/* Bits flipped, small numbers, and what is elsewhere: almost right is worst. */
static uint64_t scribble_word(uint64_t old, uint64_t other, uint64_t *seed)
{
	switch (rnd_below(seed, 6)) {
	case 0:
		return rnd(seed);
	case 1:
		return rnd(seed) >> rnd_below(seed, 64);
	case 2:
		return old + rnd_below(seed, 33) - 16;
	case 3:
		return old ^ 1ULL << rnd_below(seed, 64);
	case 4:
		return other;
	default:
		return other << 2 | rnd_below(seed, 4);
	}
}

/* Ready when it has written once, then on and on until it is killed. */
static int scribble(int fd, uint64_t *ready, uint64_t seed)
{
	uint64_t *pages[64], *page;
	char in[8];
	int n, at;

	fos_recv(fd, in, sizeof(in), FOS_NONBLOCK);
	n = find_pages(pages, 64);
	/* Without the module the second is where he says that he is gone. */
	if (!on_the_module() && n > 2)
		pages[1] = pages[--n];
	/* Control, claims and area at least. */
	if (n < 3)
		return 1;
	for (;;) {
		/* The first two are where most is read. */
		page = pages[rnd_below(&seed, 3) ? rnd_below(&seed, 2) :
			     rnd_below(&seed, n)];
		at = rnd_below(&seed, rnd_below(&seed, 4) ? 160 : PAGE / 8);
		page[at] = scribble_word(page[at],
					 page[rnd_below(&seed, 160)], &seed);
		__atomic_store_n(ready, 1, __ATOMIC_RELEASE);
		/* Leave what was written for a while, or not. */
		for (at = rnd_below(&seed, 300); at; at--)
			__asm__ volatile("" ::: "memory");
	}
}

/* ---- the victim ------------------------------------------------------- */

/* A buffer with something behind it that must not change. */
struct guarded {
	char buf[64];
	char after[64];
};

static bool is_whole(const struct guarded *g)
{
	size_t i;

	for (i = 0; i < sizeof(g->after); i++)
		if (g->after[i] != 0x5a)
			return false;
	return true;
}

static const int documented[] = {
	EAGAIN, ETIMEDOUT, EINTR, EPROTO, EMSGSIZE, ESTALE, ENOBUFS,
};

static bool is_documented(long ret)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(documented); i++)
		if (ret == -documented[i])
			return true;
	return ret >= 0 && ret <= 64;
}

static char out[AREA];

static long victim_call(int fd, struct guarded *g, uint64_t *token,
			uint64_t *seed)
{
	struct timespec deadline = deadline_in_ns(rnd_below(seed, 500000));
	size_t n = rnd_below(seed, 2) ? rnd_below(seed, 33) :
		   rnd_below(seed, sizeof(out));

	switch (rnd_below(seed, 7)) {
	case 0:
		return RESULT(fos_call(fd, out, n, g->buf, 64, &deadline));
	case 1:
		return RESULT(fos_reply_recv(fd, token, out, n, g->buf, 64,
					     &deadline));
	case 2:
		return RESULT(fos_reply(fd, rnd(seed) >> rnd_below(seed, 64),
					out, n));
	case 3:
		return RESULT(fos_recv(fd, g->buf, 64, FOS_NONBLOCK));
	case 4:
		return RESULT(fos_recv(fd, g->buf, 64, 0));
	case 5:
		n = RESULT(fos_send(fd, out, n, 0));
		return (long)n < 0 ? (long)n : 0;
	default:
		n = RESULT(fos_send(fd, out, n, FOS_NONBLOCK));
		return (long)n < 0 ? (long)n : 0;
	}
}

static bool third_party_works(int fd[2])
{
	struct async c = { .fn = do_call, .fd = fd[0], .out = "third",
			   .out_len = 5, .deadline_ms = HANG_MS };
	char in[8], reply[8] = "";
	uint64_t token = 0;

	c.in = reply;
	c.cap = 8;
	start(&c);
	while (fos_reply_recv(fd[1], &token, NULL, 0, in, 8, NULL) < 0)
		if (errno != EINTR)
			return false;
	if (fos_reply(fd[1], token, in, 5) || memcmp(in, "third", 5))
		return false;
	return finish(&c) == 5 && !memcmp(reply, "third", 5);
}

struct victim {
	int fd;
	uint64_t seed;
	uint64_t until;
	pthread_t thread;
	uint64_t done;
	long steps;
	long bad;
};

static void *suffer(void *arg)
{
	struct victim *v = arg;
	struct guarded g;
	uint64_t token = 0;
	long ret;

	memset(&g, 0x5a, sizeof(g));
	while (!v->bad && now_ns() < v->until) {
		ret = victim_call(v->fd, &g, &token, &v->seed);
		if (!is_documented(ret))
			v->bad = ret;
		if (!is_whole(&g))
			v->bad = -EFAULT;
		v->steps++;
	}
	__atomic_store_n(&v->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

FIXTURE(hostile) {
	int third[2];
};

FIXTURE_SETUP(hostile)
{
	ASSERT_EQ(0, fos_channel(self->third, NULL));
	/* Whatever blocks for ever is interrupted now and then. */
	on_signal(SIGUSR1, 0, ignore_it);
}

FIXTURE_TEARDOWN(hostile)
{
}

/* The victims' calls without a deadline are interrupted until they end. */
static bool wait_victims(struct victim v[2])
{
	uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	int i, left;

	do {
		nap_us(100);
		for (left = 0, i = 0; i < 2; i++) {
			if (__atomic_load_n(&v[i].done, __ATOMIC_ACQUIRE))
				continue;
			pthread_kill(v[i].thread, SIGUSR1);
			left++;
		}
		if (now_ns() > end)
			return false;
	} while (left);
	for (i = 0; i < 2; i++)
		pthread_join(v[i].thread, NULL);
	return true;
}

TEST_F_TIMEOUT(hostile, a_scribbling_peer_gets_documented_errors_only, 3600)
{
	static const uint32_t modes[] = {
		FOS_SPIN_BLOCK, FOS_SPIN_DEFAULT, FOS_SPIN_ALWAYS,
	};
	uint64_t seed = rnd_seed("scribbler");
	uint64_t *ready = shared(sizeof(*ready));
	long n = rounds(100), steps = 0, i;
	struct victim v[2];
	pid_t pid;
	int fd[2], j;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, channel_with(fd, modes[i % 3], DEPTH, AREA));
		*ready = 0;
		pid = spawn();
		if (!pid)
			_exit(scribble(fd[1], ready, seed + i));
		ASSERT_TRUE(wait_for(ready, 1));
		for (j = 0; j < 2; j++) {
			v[j] = (struct victim) {
				.fd = fd[0],
				.seed = rnd(&seed),
				.until = now_ns() + ROUND_MS * 1000000ULL,
			};
			pthread_create(&v[j].thread, NULL, suffer, &v[j]);
		}
		ASSERT_TRUE(third_party_works(self->third));
		ASSERT_TRUE(wait_victims(v)) TH_LOG("hung in round %ld", i);
		for (j = 0; j < 2; j++) {
			EXPECT_EQ(0, v[j].bad) TH_LOG("round %ld", i);
			steps += v[j].steps;
		}
		kill(pid, SIGKILL);
		EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
		EXPECT_EQ(0, fos_close(fd[0]));
		close(fd[1]);
	}
	printf("# %ld calls in %ld rounds\n", steps, n);
	fos_close(self->third[0]);
	fos_close(self->third[1]);
	if (on_the_module())
		EXPECT_EQ(0, objects_left(0));
}

TEST_HARNESS_MAIN
