// SPDX-License-Identifier: GPL-2.0-only
/*
 * One server, one thread, a thousand clients: they connect, call, and die when it
 * suits them or not.  All are served, and nothing of them is left.
 *
 * gates: asan
 * budget: 600 s
 */
#include <sys/epoll.h>

#include "names.h"
#include "kselftest_harness.h"

#define CALLS		12

/**
 * struct client - as the server knows him
 * @fd: his channel, or -1
 * @pid: from fos_accept()
 * @served: his calls so far
 * @kill_at: he is killed while he waits for the answer to this one
 */
struct client {
	int fd;
	pid_t pid;
	uint64_t served;
	uint64_t kill_at;
};

/**
 * struct server - what it counts
 * @lfd, @epoll: what it waits on
 * @client: in the order in which they were accepted
 * @n: how many were
 * @open: how many have not gone
 * @killed: by it
 * @seed: of random fates
 * @failed: calls that should not have
 */
struct server {
	int lfd;
	int epoll;
	struct client *client;
	uint64_t n;
	uint64_t open;
	uint64_t killed;
	uint64_t seed;
	uint64_t failed;
};

FIXTURE(many) {
	struct place at;
	struct server s;
};

FIXTURE_SETUP(many)
{
	ASSERT_TRUE(make_place(&self->at));
	self->s.lfd = fos_listen(self->at.path, 4096);
	ASSERT_LE(0, self->s.lfd);
	ASSERT_TRUE(set_nonblock(self->s.lfd));
}

FIXTURE_TEARDOWN(many)
{
	remove_place(&self->at);
}

static bool may_open(uint64_t n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return false;
	if (limit.rlim_cur < n)
		limit.rlim_cur = n;
	return !setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the server ------------------------------------------------------- */

static void watch(struct server *s, int fd, uint64_t who)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = who };

	s->failed += !!epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev);
}

#define LISTENER	UINT64_MAX

static void accept_one(struct server *s)
{
	struct client *c = &s->client[s->n];
	struct fos_peer peer = { 0 };

	c->fd = fos_accept(s->lfd, &peer);
	if (c->fd < 0) {
		s->failed += errno != EAGAIN;
		return;
	}
	c->pid = peer.pid;
	c->kill_at = rnd_below(&s->seed, 4) ? UINT64_MAX :
		     rnd_below(&s->seed, CALLS);
	watch(s, c->fd, s->n++);
	s->open++;
}

static void lose(struct server *s, struct client *c)
{
	s->failed += !!fos_close(c->fd);
	c->fd = -1;
	s->open--;
}

/* At most one request of his, then it is another one's turn. */
static void serve_one(struct server *s, struct client *c)
{
	const struct timespec now = { 0 };
	uint64_t token = 0, value;
	long ret;

	ret = RESULT(fos_reply_recv(c->fd, &token, NULL, 0, &value,
				    sizeof(value), &now));
	if (ret == -ETIMEDOUT)
		return;
	if (ret == -EPIPE) {
		lose(s, c);
		return;
	}
	if (ret != sizeof(value) || !token || value != c->served)
		s->failed++;
	if (c->kill_at == c->served++) {
		kill(c->pid, SIGKILL);
		s->killed++;
	}
	ret = RESULT(fos_reply(c->fd, token, &value, sizeof(value)));
	s->failed += ret && ret != -EPIPE && ret != -ESTALE;
}

/**
 * struct children - how clients have ended
 * @left: still there
 * @fine: exited with 0
 * @by_kill: SIGKILL
 * @bad: otherwise; @code the last one's
 */
struct children {
	uint64_t left;
	uint64_t fine;
	uint64_t by_kill;
	uint64_t bad;
	int code;
};

static void reap_some(struct children *c)
{
	int status;

	while (c->left && waitpid(-1, &status, WNOHANG) > 0) {
		c->left--;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
			c->by_kill++;
		} else if (WIFEXITED(status) && !WEXITSTATUS(status)) {
			c->fine++;
		} else {
			c->bad++;
			c->code = status;
		}
	}
}

/* Until all clients have ended and their channels, too; false: a hang. */
static bool serve(struct server *s, struct children *children)
{
	uint64_t end = now_ns() + 3 * HANG_MS * 1000000ULL;
	struct epoll_event ev[64];
	int i, n;

	while (children->left || s->open) {
		n = epoll_wait(s->epoll, ev, 64, 100);
		for (i = 0; i < n; i++) {
			if (ev[i].data.u64 == LISTENER)
				accept_one(s);
			else
				serve_one(s, &s->client[ev[i].data.u64]);
		}
		reap_some(children);
		if (now_ns() > end)
			return false;
	}
	return true;
}

/* ---- the clients ------------------------------------------------------ */

static const struct fos_chan_attr small = {
	.depth = 2,
	.area_bytes = 4096,
	.spin = FOS_SPIN_BLOCK,
};

/* Every third one does not say good-bye. */
static int live(const char *path, int lfd, uint64_t who)
{
	uint64_t i;
	long ret;
	int fd;

	close(lfd);
	fd = fos_connect(path, &small);
	if (fd < 0)
		return errno;
	for (i = 0; i < CALLS; i++) {
		ret = say(fd, i);
		if (ret)
			return -ret;
	}
	return who % 3 && fos_close(fd) ? errno : 0;
}

/* Also a thread, and a descriptor or two. */
static bool warm_up(const struct place *at, struct server *s)
{
	struct children one = { .left = 1 };
	pid_t pid = spawn();

	if (!pid)
		_exit(live(at->path, s->lfd, 1));
	s->client = calloc(4096, sizeof(*s->client));
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	watch(s, s->lfd, LISTENER);
	serve(s, &one);
	s->seed = rnd_seed("fates");
	s->client[0].served = 0;
	s->killed = 0;
	s->n = 0;
	return !s->failed && !one.bad;
}

/* ---- tests ------------------------------------------------------------ */

TEST_F_TIMEOUT(many, a_thousand_clients_call_and_die, 580)
{
	struct server *s = &self->s;
	const uint64_t n = rounds(1000);
	struct children c = { .left = n };
	uint64_t i, served = 0, whole = 0, early = 0;
	int fds, mappings;
	long objects;
	pid_t pid;

	if (!may_open(3 * n + 100))
		SKIP(return, "RLIMIT_NOFILE is too low");
	ASSERT_TRUE(warm_up(&self->at, s));
	objects = objects_settled();
	fds = count_open();
	mappings = count_mappings();
	for (i = 0; i < n; i++) {
		pid = spawn();
		if (!pid)
			_exit(live(self->at.path, s->lfd, i));
		ASSERT_LT(0, pid);
		/* Some do not even live to be accepted. */
		if (i % 20 == 19) {
			kill(pid, SIGKILL);
			early++;
		}
	}
	ASSERT_TRUE(serve(s, &c));
	for (i = 0; i < s->n; i++) {
		served += s->client[i].served;
		whole += s->client[i].served == CALLS;
		EXPECT_EQ(-1, s->client[i].fd);
	}
	printf("# %llu clients, %llu accepted, %llu calls, %llu killed\n",
	       (unsigned long long)n, (unsigned long long)s->n,
	       (unsigned long long)served, (unsigned long long)c.by_kill);
	/* Each has had all his calls, but for those who were killed. */
	EXPECT_EQ(0, s->failed);
	EXPECT_EQ(0, c.bad) TH_LOG("status %x", c.code);
	EXPECT_EQ(s->killed + early, c.by_kill);
	EXPECT_EQ(n - early - s->killed, c.fine);
	EXPECT_LE(n - early, s->n);
	EXPECT_LE(c.fine, whole);
	EXPECT_EQ(fds, count_open());
	EXPECT_EQ(mappings, count_mappings());
	EXPECT_EQ(objects, objects_left(objects));
}

/* Who came first is first; strangers between them change nothing. */
TEST_F(many, clients_are_accepted_in_the_order_in_which_they_came)
{
	const int n = rounds(60);
	struct fos_peer peer;
	pid_t pid[n];
	int i, fd;

	for (i = 0; i < n; i++) {
		pid[i] = spawn();
		if (!pid[i])
			_exit(live(self->at.path, self->s.lfd, 0));
		EXPECT_TRUE(wait_asleep(pid[i]));
		if (i % 3 == 0)
			EXPECT_LE(0, raw_connect(self->at.path, NULL, 0));
	}
	for (i = 0; i < n; i++) {
		peer = (struct fos_peer) { 0 };
		fd = fos_accept(self->s.lfd, &peer);
		ASSERT_LE(0, fd);
		EXPECT_EQ(pid[i], peer.pid);
		EXPECT_EQ(small.depth, peer.attr.depth);
		EXPECT_EQ(0, start_serving(fd));
	}
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, reap(pid[i]));
}

/* ---- fairness --------------------------------------------------------- */

#define EQUALS		30
#define GREED		16

static void *call_for_ever(void *arg)
{
	const struct timespec deadline = deadline_in(2 * HANG_MS);
	int fd = *(int *)arg;
	uint64_t value = 0;

	while (fos_call(fd, &value, 8, &value, 8, &deadline) == 8)
		;
	return (void *)(long)errno;
}

/* With so many threads, until the server hangs up. */
static int call_by_threads(const char *path, int threads)
{
	const struct fos_chan_attr attr = { .spin = FOS_SPIN_BLOCK };
	int fd = fos_connect(path, &attr), i, bad = 0;
	pthread_t thread[GREED];
	void *ret;

	if (fd < 0)
		return errno;
	for (i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, call_for_ever, &fd);
	for (i = 0; i < threads; i++) {
		pthread_join(thread[i], &ret);
		if ((long)ret != EPIPE && (long)ret != ECONNRESET)
			bad = (long)ret;
	}
	return bad;
}

static uint64_t least_served(const struct server *s)
{
	uint64_t i, least = s->n <= EQUALS ? 0 : UINT64_MAX;

	for (i = 0; i < s->n; i++)
		if (s->client[i].served < least)
			least = s->client[i].served;
	return least;
}

static void serve_any(struct server *s, struct client *c)
{
	const struct timespec now = { 0 };
	uint64_t token = 0, value;

	if (fos_reply_recv(c->fd, &token, NULL, 0, &value, 8, &now) != 8) {
		s->failed += errno != ETIMEDOUT;
		return;
	}
	c->served++;
	s->failed += !!fos_reply(c->fd, token, &value, 8);
}

/*
 * One who calls from many threads, and others from one: nobody is forgotten, and
 * while each of them is served so often, all together are not ten times as often.
 */
TEST_F_TIMEOUT(many, who_calls_most_does_not_keep_others_from_being_served, 280)
{
	const uint64_t each = rounds(200);
	struct server *s = &self->s;
	struct epoll_event ev[64];
	uint64_t total = 0;
	pid_t pid[EQUALS + 1];
	int i, n;

	ASSERT_TRUE(warm_up(&self->at, s));
	for (i = 0; i <= EQUALS; i++) {
		pid[i] = spawn();
		if (!pid[i])
			_exit(call_by_threads(self->at.path, i ? 1 : GREED));
	}
	while (least_served(s) < each) {
		n = epoll_wait(s->epoll, ev, 64, HANG_MS);
		ASSERT_LT(0, n);
		for (i = 0; i < n; i++) {
			if (ev[i].data.u64 == LISTENER)
				accept_one(s);
			else
				serve_any(s, &s->client[ev[i].data.u64]);
		}
	}
	EXPECT_EQ(0, s->failed);
	for (i = 0; i <= EQUALS; i++) {
		total += s->client[i].served;
		lose(s, &s->client[i]);
	}
	for (i = 0; i <= EQUALS; i++)
		EXPECT_EQ(0, reap(pid[i]));
	printf("# %llu calls until each had %llu of %d\n",
	       (unsigned long long)total, (unsigned long long)each, EQUALS + 1);
	EXPECT_GE(10 * each * (EQUALS + 1), total);
}

TEST_HARNESS_MAIN
