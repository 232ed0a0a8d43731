// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once: many threads of two processes that send, call and serve
 * in both directions, with messages of all sizes, on a small channel.
 *
 * budget: 600 s
 *
 * gates: asan tsan
 */
#include "peers.h"
#include "kselftest_harness.h"

#define DEPTH		8
#define AREA		65536
#define LONGEST		9000

FIXTURE(mix) {
	int fd[2];
};

FIXTURE_VARIANT(mix) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(mix, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(mix, by_default) { .spin = FOS_SPIN_DEFAULT };

FIXTURE_SETUP(mix)
{
	ASSERT_EQ(0, channel_with(self->fd, variant->spin, DEPTH, AREA));
}

FIXTURE_TEARDOWN(mix)
{
}

/* ---- every kind of thread --------------------------------------------- */

enum { SEND, CALL, SERVE, KINDS };
#define EACH		2
#define THREADS		(KINDS * EACH)

/* What the two processes count together. */
struct tally {
	uint64_t sent[2];
	uint64_t received[2];
	uint64_t finished;
};

struct worker {
	int side;
	int fd;
	int kind;
	long n;
	uint64_t seed;
	struct tally *tally;
	pthread_t thread;
	int error;
};

/* A message knows what it holds: its first byte is the seed of the rest. */
static size_t compose(char *buf, uint64_t *seed)
{
	size_t len = 1 + (rnd_below(seed, 2) ? rnd_below(seed, 40) :
			  rnd_below(seed, LONGEST));

	fill(buf, len, rnd(seed) & 0xff);
	return len;
}

/* The pattern begins with 31 times the seed, modulo 256; 223 undoes that. */
static bool is_intact(const char *buf, size_t len)
{
	return is_filled(buf, len, (unsigned char)buf[0] * 223 & 0xff);
}

static int send_once(struct worker *w, char *buf)
{
	size_t len = compose(buf, &w->seed);

	if (fos_send(w->fd, buf, len, 0) != (ssize_t)len)
		return errno;
	__atomic_fetch_add(&w->tally->sent[w->side], 1, __ATOMIC_RELAXED);
	return 0;
}

static int call_once(struct worker *w, char *buf, char *reply)
{
	struct timespec deadline = deadline_in(HANG_MS);
	size_t len = compose(buf, &w->seed);
	ssize_t n = fos_call(w->fd, buf, len, reply, LONGEST, &deadline);

	if (n < 0)
		return errno;
	return n == (ssize_t)len && !memcmp(buf, reply, len) ? 0 : EBADMSG;
}

/* Never drop a reply: there will be room. */
static int answer(struct worker *w, uint64_t token, const char *buf, size_t n)
{
	while (fos_reply(w->fd, token, buf, n)) {
		if (errno != ENOBUFS)
			return errno;
		sched_yield();
	}
	return 0;
}

static int serve_one(struct worker *w, char *buf)
{
	uint64_t token = 0;
	ssize_t n = fos_reply_recv(w->fd, &token, NULL, 0, buf, LONGEST, NULL);

	if (n < 0)
		return errno;
	if (!is_intact(buf, n))
		return EBADMSG;
	if (token)
		return answer(w, token, buf, n);
	__atomic_fetch_add(&w->tally->received[w->side], 1, __ATOMIC_RELAXED);
	return 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	char *buf = malloc(LONGEST), *reply = malloc(LONGEST);
	long i;

	for (i = 0; !w->error && (w->kind == SERVE || i < w->n); i++)
		w->error = w->kind == SEND ? send_once(w, buf) :
			   w->kind == CALL ? call_once(w, buf, reply) :
			   serve_one(w, buf);
	__atomic_fetch_add(&w->tally->finished, w->kind != SERVE,
			   __ATOMIC_RELEASE);
	free(buf);
	free(reply);
	return NULL;
}

/* One process: 0, or the first error; servers end with the channel. */
static int run_side(int side, int fd, struct tally *tally, long n)
{
	struct worker w[THREADS];
	int i, error = 0;

	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker) {
			.side = side, .fd = fd, .kind = i % KINDS, .n = n,
			.seed = side * THREADS + i, .tally = tally,
		};
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	while (__atomic_load_n(&tally->finished, __ATOMIC_ACQUIRE) <
	       2 * EACH * (KINDS - 1))
		nap_us(1000);
	fos_close(fd);
	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		if (w[i].kind == SERVE &&
		    (w[i].error == EBADF || w[i].error == EPIPE))
			continue;
		error = error ? error : w[i].error;
	}
	return error;
}

TEST_F_TIMEOUT(mix, threads_of_both_sides_do_everything_at_once, 3600)
{
	struct tally *tally = shared(sizeof(*tally));
	long n = rounds(5000);
	pid_t pid;
	int side;

	pid = spawn();
	if (!pid)
		_exit(run_side(1, self->fd[1], tally, n));
	EXPECT_EQ(0, run_side(0, self->fd[0], tally, n));
	EXPECT_EQ(0, reap(pid));
	for (side = 0; side < 2; side++) {
		EXPECT_EQ(EACH * n, tally->sent[side]);
		EXPECT_EQ(tally->sent[!side], tally->received[side]);
	}
}

/* ---- room for replies ------------------------------------------------- */

#define LONG_REPLY	60000

/* Answer requests of one byte at length, others in short. */
static int serve_long_and_short(int fd)
{
	char *out = calloc(1, LONG_REPLY);
	uint64_t token = 0;
	ssize_t n = 0;
	char in[8];

	for (;;) {
		n = fos_reply_recv(fd, &token, out, n, in, 8, NULL);
		if (n < 0)
			return errno == EPIPE ? 0 : errno;
		n = n == 1 ? LONG_REPLY : 1;
	}
}

struct caller {
	int fd;
	long n;
	pthread_t thread;
	int error;
};

static void *call_short(void *arg)
{
	struct caller *c = arg;
	char in[8];
	long i;

	for (i = 0; i < c->n && !c->error; i++)
		if (fos_call(c->fd, "ab", 2, in, 8, NULL) != 1)
			c->error = errno;
	return NULL;
}

/* Both take their replies as fast as they can; one has more to copy. */
TEST_F_TIMEOUT(mix, a_client_that_takes_its_replies_costs_no_enobufs, 600)
{
	struct caller c = { .n = rounds(5000) };
	char *in = malloc(LONG_REPLY);
	int fd[2], error = 0;
	pid_t pid;

	ASSERT_EQ(0, channel_with(fd, variant->spin, 2, 65536));
	pid = spawn();
	if (!pid)
		_exit(serve_long_and_short(fd[1]));
	c.fd = fd[0];
	pthread_create(&c.thread, NULL, call_short, &c);
	while (!error && !c.error &&
	       pthread_tryjoin_np(c.thread, NULL))
		if (fos_call(fd[0], "a", 1, in, LONG_REPLY, NULL) < 0)
			error = errno;
	EXPECT_EQ(0, error);
	EXPECT_EQ(0, c.error);
	EXPECT_EQ(0, fos_close(fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_HARNESS_MAIN
