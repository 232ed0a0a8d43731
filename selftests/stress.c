// SPDX-License-Identifier: GPL-2.0-only
/*
 * Races, many times: deadlines and signals against delivery, bells against
 * sleep, threads against threads.  What must hold is counted: each message is
 * taken once or its sender is told, and no call comes near its generous
 * deadline.
 *
 * budget: 900 s
 */
#include <sys/epoll.h>
#include <sys/time.h>

#include "peers.h"
#include "kselftest_harness.h"

/* Busy for up to @limit_ns. */
static void dither(uint64_t *seed, uint64_t limit_ns)
{
	uint64_t end = now_ns() + rnd_below(seed, limit_ns + 1);

	while (now_ns() < end)
		;
}

FIXTURE(stress) {
	int fd[2];
};

FIXTURE_VARIANT(stress) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(stress, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(stress, by_default) { .spin = FOS_SPIN_DEFAULT };

FIXTURE_SETUP(stress)
{
	ASSERT_EQ(0, channel_with(self->fd, variant->spin, 4, 65536));
}

FIXTURE_TEARDOWN(stress)
{
}

/* ---- who got what ----------------------------------------------------- */

/* Shared by two processes; message i is a number. */
struct ledger {
	uint64_t n;
	uint64_t ready;
	uint8_t taken[];
};

/* How often a test may go over its rounds until chance has shown both. */
#define PATIENCE	50

static struct ledger *ledger_new(uint64_t n)
{
	struct ledger *l = shared(sizeof(*l) + n);

	l->n = n;
	return l;
}

/* n rounds, and as many more as it takes until some failed and some did not. */
static bool more_to_do(const struct ledger *l, uint64_t i, uint64_t n,
		       uint64_t failed)
{
	return i < n || (i < l->n && (!failed || failed == i));
}

/* What the sender was told, a bit for each, to be compared with taken. */
enum { NEVER, TAKEN, UNKNOWN };

static long count_lies(const struct ledger *l, const uint8_t *told)
{
	long lies = 0;
	uint64_t i;

	for (i = 0; i < l->n; i++) {
		if (l->taken[i] <= 1 &&
		    (told[i] == UNKNOWN || told[i] == l->taken[i]))
			continue;
		lies++;
		printf("# %llu was taken %u times, its sender was told %u\n",
		       (long long)i, l->taken[i], told[i]);
	}
	return lies;
}

/* ---- deadlines -------------------------------------------------------- */

static int serve_ledger(int fd, struct ledger *l)
{
	uint64_t token = 0, i = 0, seed = 3;
	ssize_t n = 0;

	for (;;) {
		n = serve_once(fd, &token, &i, n, &i, 8);
		if (n == 8) {
			l->taken[i]++;
			if (!rnd_below(&seed, 4))
				dither(&seed, 20000);
		} else if (errno == EPIPE) {
			return 0;
		} else if (errno != ESTALE) {
			return errno;
		} else {
			n = 0;
		}
	}
}

/* What a call with a deadline too short tells; or -errno. */
static int call_in_time(int fd, uint64_t i, uint64_t ns)
{
	struct timespec deadline = deadline_in_ns(ns);
	uint64_t in = ~i;
	long ret = RESULT(fos_call(fd, &i, 8, &in, 8, &deadline));

	if (ret >= 0)
		return ret == 8 && in == i ? TAKEN : -EBADMSG;
	if (ret != -ETIMEDOUT)
		return ret;
	return fos_delivered() ? TAKEN : NEVER;
}

TEST_F_TIMEOUT(stress, deadlines_race_with_delivery, 3600)
{
	uint64_t seed = rnd_seed("deadlines"), limit = 20000, i;
	const uint64_t n = rounds(50000);
	struct ledger *l = ledger_new(PATIENCE * n);
	uint8_t *told = calloc(1, l->n);
	uint64_t never = 0;
	pid_t pid;
	int ret;

	pid = spawn();
	if (!pid)
		_exit(serve_ledger(self->fd[1], l));
	for (i = 0; more_to_do(l, i, n, never); i++) {
		ret = call_in_time(self->fd[0], i, rnd_below(&seed, limit));
		ASSERT_LE(0, ret) TH_LOG("round %llu", (long long)i);
		told[i] = ret;
		/* Half of them should be in time. */
		never += ret == NEVER;
		limit += ret == NEVER ? limit / 64 : -(limit / 64);
		limit = limit < 100 ? 100 : limit;
	}
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
	printf("# %llu of %llu were not delivered\n", (long long)never,
	       (long long)i);
	EXPECT_EQ(0, count_lies(l, told));
	EXPECT_LT(0, never);
	EXPECT_LT(never, i);
}

struct caller {
	int fd;
	uint64_t first;
	uint64_t n;
	uint8_t *told;
	pthread_t thread;
	int error;
};

static void *call_range(void *arg)
{
	struct caller *c = arg;
	uint64_t seed = c->first, i;
	int ret;

	for (i = c->first; i < c->first + c->n && !c->error; i++) {
		ret = call_in_time(c->fd, i, rnd_below(&seed, 400000));
		if (ret < 0)
			c->error = -ret;
		else
			c->told[i] = ret;
	}
	return NULL;
}

TEST_F_TIMEOUT(stress, deadlines_of_many_threads_race_with_delivery, 3600)
{
	struct ledger *l = ledger_new(rounds(4 * 2500));
	uint8_t *told = calloc(1, l->n);
	struct caller c[4];
	pid_t pid;
	int i;

	pid = spawn();
	if (!pid)
		_exit(serve_ledger(self->fd[1], l));
	for (i = 0; i < 4; i++) {
		c[i] = (struct caller) { .fd = self->fd[0], .told = told,
					 .first = i * (l->n / 4),
					 .n = l->n / 4 };
		pthread_create(&c[i].thread, NULL, call_range, &c[i]);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_EQ(0, c[i].error);
	}
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, count_lies(l, told));
}

/* ---- signals ---------------------------------------------------------- */

static int receive_ledger(int fd, struct ledger *l)
{
	uint64_t i, seed = 5;

	on_signal(SIGUSR1, 0, ignore_it);
	__atomic_store_n(&l->ready, 1, __ATOMIC_RELEASE);
	for (;;) {
		dither(&seed, 30000);
		if (fos_recv(fd, &i, 8, 0) == 8)
			l->taken[i]++;
		else if (errno == EPIPE)
			return 0;
		else if (errno != EINTR)
			return errno;
	}
}

struct kicker {
	pthread_t target;
	pid_t other;
	uint64_t stop;
};

static void *kick(void *arg)
{
	struct kicker *k = arg;
	uint64_t seed = 11;

	while (!__atomic_load_n(&k->stop, __ATOMIC_ACQUIRE)) {
		nap_us(rnd_below(&seed, 200));
		pthread_kill(k->target, SIGUSR1);
		if (!rnd_below(&seed, 4))
			kill(k->other, SIGUSR1);
	}
	return NULL;
}

TEST_F_TIMEOUT(stress, signals_race_with_sending, 3600)
{
	const uint64_t n = rounds(20000);
	struct ledger *l = ledger_new(PATIENCE * n);
	uint8_t *told = calloc(1, l->n);
	struct kicker k = { .target = pthread_self() };
	uint64_t interrupted = 0;
	pthread_t thread;
	uint64_t i;
	long ret;

	on_signal(SIGUSR1, 0, ignore_it);
	k.other = spawn();
	if (!k.other)
		_exit(receive_ledger(self->fd[1], l));
	ASSERT_TRUE(wait_for(&l->ready, 1));
	pthread_create(&thread, NULL, kick, &k);
	for (i = 0; more_to_do(l, i, n, interrupted); i++) {
		ret = RESULT(fos_send(self->fd[0], &i, 8, 0));
		ASSERT_TRUE(ret == 8 || ret == -EINTR) TH_LOG("%ld", ret);
		told[i] = ret == 8 ? TAKEN : NEVER;
		interrupted += ret == -EINTR;
	}
	__atomic_store_n(&k.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(k.other));
	printf("# %llu of %llu were interrupted\n", (long long)interrupted,
	       (long long)i);
	EXPECT_EQ(0, count_lies(l, told));
	EXPECT_LT(0, interrupted);
	EXPECT_LT(interrupted, i);
}

static int serve_signalled(int fd, struct ledger *l)
{
	uint64_t token = 0, i = 0, seed = 7;
	ssize_t n = 0;

	on_signal(SIGUSR1, 0, ignore_it);
	__atomic_store_n(&l->ready, 1, __ATOMIC_RELEASE);
	for (;;) {
		n = serve_once(fd, &token, &i, n, &i, 8);
		if (n == 8) {
			l->taken[i]++;
			dither(&seed, 30000);
		} else if (errno == EPIPE) {
			return 0;
		} else if (errno != ESTALE && errno != EINTR) {
			return errno;
		} else {
			n = 0;
		}
	}
}

TEST_F_TIMEOUT(stress, signals_race_with_calling, 3600)
{
	struct ledger *l = ledger_new(rounds(20000));
	uint8_t *told = calloc(1, l->n);
	struct kicker k = { .target = pthread_self() };
	pthread_t thread;
	uint64_t i, in;
	long ret;

	on_signal(SIGUSR1, 0, ignore_it);
	k.other = spawn();
	if (!k.other)
		_exit(serve_signalled(self->fd[1], l));
	ASSERT_TRUE(wait_for(&l->ready, 1));
	pthread_create(&thread, NULL, kick, &k);
	for (i = 0; i < l->n; i++) {
		ret = RESULT(fos_call(self->fd[0], &i, 8, &in, 8, NULL));
		ASSERT_TRUE((ret == 8 && in == i) || ret == -EINTR)
			TH_LOG("%ld", ret);
		told[i] = ret == 8 || fos_delivered() ? TAKEN : NEVER;
	}
	__atomic_store_n(&k.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(k.other));
	EXPECT_EQ(0, count_lies(l, told));
}

/* ---- wake-ups --------------------------------------------------------- */

static int serve_dithering(int fd, uint64_t limit_ns)
{
	uint64_t token = 0, i = 0, seed = 13;
	ssize_t n = 0;

	for (;;) {
		n = serve_once(fd, &token, &i, n, &i, 8);
		if (n < 0)
			return errno == EPIPE ? 0 : errno;
		dither(&seed, limit_ns);
	}
}

TEST_F_TIMEOUT(stress, no_wakeup_is_lost, 3600)
{
	uint64_t seed = rnd_seed("wakeups"), n = rounds(50000), i, in;
	struct timespec deadline;
	pid_t pid;

	pid = spawn();
	if (!pid) {
		pin_to(1);
		_exit(serve_dithering(self->fd[1], 10000));
	}
	pin_to(0);
	for (i = 0; i < n; i++) {
		deadline = deadline_in(10000);
		ASSERT_EQ(8, RESULT(fos_call(self->fd[0], &i, 8, &in, 8,
					     &deadline)))
			TH_LOG("round %llu", (long long)i);
		ASSERT_EQ(i, in);
		dither(&seed, 10000);
	}
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

static void *serve_in_thread(void *fd)
{
	return (void *)(long)serve_dithering(*(int *)fd, 10000);
}

static int serve_from_threads(int fd)
{
	pthread_t thread[3];
	void *ret;
	long bad = 0;
	int i;

	for (i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, serve_in_thread, &fd);
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], &ret);
		bad |= (long)ret;
	}
	return bad;
}

static void *call_at_ease(void *arg)
{
	struct caller *c = arg;
	uint64_t seed = c->first, i, in;
	struct timespec deadline;

	for (i = 0; i < c->n && !c->error; i++) {
		deadline = deadline_in(10000);
		if (fos_call(c->fd, &i, 8, &in, 8, &deadline) != 8)
			c->error = errno;
		dither(&seed, 10000);
	}
	return NULL;
}

TEST_F_TIMEOUT(stress, no_wakeup_of_many_threads_is_lost, 3600)
{
	struct caller c[6];
	pid_t pid;
	size_t i;

	pid = spawn();
	if (!pid)
		_exit(serve_from_threads(self->fd[1]));
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		c[i] = (struct caller) { .fd = self->fd[0], .first = i,
					 .n = rounds(2500) };
		pthread_create(&c[i].thread, NULL, call_at_ease, &c[i]);
	}
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_EQ(0, c[i].error);
	}
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

/* ---- epoll ------------------------------------------------------------ */

/* Mostly without waiting for anybody but a sign of room. */
static int send_numbers(int fd, uint64_t n)
{
	uint64_t seed = 17, i = 0;
	int flags;

	while (i < n) {
		flags = rnd_below(&seed, 8) ? FOS_NONBLOCK : 0;
		if (fos_send(fd, &i, 8, flags) == 8)
			i++;
		else if (errno != EAGAIN)
			return errno;
		else if (wait_poll(fd, POLLOUT) < 0)
			return ETIMEDOUT;
		if (!rnd_below(&seed, 4))
			dither(&seed, 20000);
	}
	return 0;
}

/* Take all there is; the next number expected. */
static uint64_t drain(int fd, uint64_t next)
{
	uint64_t i;

	while (fos_recv(fd, &i, 8, FOS_NONBLOCK) == 8)
		if (i != next++)
			return UINT64_MAX;
	return errno == EAGAIN || errno == EPIPE ? next : UINT64_MAX;
}

TEST_F_TIMEOUT(stress, an_edge_triggered_reader_loses_nothing, 3600)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	uint64_t n = rounds(20000), next = 0, seed = 19;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	pid_t pid;

	pid = spawn();
	if (!pid)
		_exit(send_numbers(self->fd[1], n));
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd[0], &ev));
	while (next < n) {
		ASSERT_EQ(1, epoll_wait(epoll, &ev, 1, HANG_MS))
			TH_LOG("after %llu", (long long)next);
		next = drain(self->fd[0], next);
		ASSERT_NE(UINT64_MAX, next);
		if (!rnd_below(&seed, 4))
			dither(&seed, 20000);
	}
	EXPECT_EQ(n, next);
	EXPECT_EQ(0, reap(pid));
}

TEST_HARNESS_MAIN
