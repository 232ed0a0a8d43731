// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads post and collect on one endpoint, many serve on the other: in
 * fos_reply_recv(), or one that receives and hands tokens to workers, who answer
 * when it suits them.  Each call is answered once, to whomever; and when the
 * server is killed, each ends, as it was.
 *
 * gates: asan tsan
 * budget: 300 s
 */
#include "post.h"

#define POSTERS		4
#define SERVERS		4

/**
 * struct crowd - what all of them share, also across fork()
 * @fd: the channel
 * @calls: how many are to be posted
 * @next: the next one's number
 * @ended: how each one did, by number: 1 answered, 2 not taken, 3 reset
 * @wrong: what should not have been
 */
struct crowd {
	int fd[2];
	uint64_t calls;
	uint64_t next;
	uint64_t wrong;
	unsigned char ended[1 << 20];
};

FIXTURE(crowd) {
	struct crowd *c;
};

FIXTURE_VARIANT(crowd) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(crowd, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(crowd, by_default) { .spin = FOS_SPIN_DEFAULT };

FIXTURE_SETUP(crowd)
{
	self->c = shared(sizeof(*self->c));
	ASSERT_TRUE(self->c);
	self->c->calls = rounds(20000);
	if (self->c->calls > sizeof(self->c->ended))
		self->c->calls = sizeof(self->c->ended);
	ASSERT_EQ(0, channel_with(self->c->fd, variant->spin, 2 * DEPTH, 1 << 16));
}

FIXTURE_TEARDOWN(crowd)
{
	fos_close(self->c->fd[0]);
	munmap(self->c, sizeof(*self->c));
}

static void is_wrong(struct crowd *c, const char *what, long ret)
{
	fprintf(stderr, "# %s: %ld\n", what, ret);
	__atomic_fetch_add(&c->wrong, 1, __ATOMIC_RELAXED);
}

/* ---- who posts and collects ------------------------------------------- */

/* The answer says which call it answers: whoever collects it notes that. */
static void note(struct crowd *c, uint64_t number, unsigned char how)
{
	if (number >= c->calls ||
	    __atomic_exchange_n(&c->ended[number], how, __ATOMIC_RELAXED))
		is_wrong(c, "ended twice, or never posted", number);
}

/* All, or with FOS_NONBLOCK what is there.  -ENOMSG: nothing is left. */
static long collect_some(struct crowd *c, int flags)
{
	uint64_t which;
	long ret;

	do {
		ret = collect_any(c->fd[0], &which, flags);
		if (ret >= 0)
			note(c, ret, 1);
	} while (ret >= 0);
	if (ret != -ENOMSG && ret != -EAGAIN)
		is_wrong(c, "collect", ret);
	return ret;
}

/* False: there is nobody any more to post to. */
static bool post_some(struct crowd *c, uint64_t *seed)
{
	uint64_t n = 1 + rnd_below(seed, DEPTH), number;
	long ret = 0;

	while (n-- && ret >= 0) {
		number = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED);
		if (number >= c->calls)
			return true;
		while ((ret = post_with(c->fd[0], number, n ? FOS_MORE : 0)) ==
		       -EAGAIN)
			collect_some(c, FOS_NONBLOCK);
		if (ret == -EPIPE)
			note(c, number, 2);
		else if (ret < 0)
			is_wrong(c, "post", ret);
	}
	return ret >= 0;
}

static uint64_t posted_so_far(const struct crowd *c)
{
	return __atomic_load_n(&c->next, __ATOMIC_RELAXED);
}

static bool is_over(const struct crowd *c)
{
	return posted_so_far(c) >= c->calls;
}

/*
 * Post in windows that others, too, collect from: who would wait for a full ring
 * to become free collects instead.
 */
static void *poster(void *arg)
{
	struct crowd *c = arg;
	uint64_t seed = my_tid();
	long ret;

	do {
		if (!is_over(c) && !post_some(c, &seed))
			break;
		ret = collect_some(c, rnd_below(&seed, 2) ? FOS_NONBLOCK : 0);
	} while (!is_over(c) || ret != -ENOMSG);
	return NULL;
}

/* ---- who serves ------------------------------------------------------- */

static void *server(void *arg)
{
	struct crowd *c = arg;
	uint64_t token = 0, number = 0;
	ssize_t n;

	do {
		n = fos_reply_recv(c->fd[1], &token, &number, 8, &number, 8, NULL);
	} while (n == 8);
	if (errno != EPIPE)
		is_wrong(c, "reply_recv", errno);
	return NULL;
}

/**
 * struct desk - where one thread leaves requests for others
 * @token, @number: of requests that lie there
 * @n: how many
 * @closed: no more come
 */
struct desk {
	struct crowd *c;
	pthread_mutex_t lock;
	pthread_cond_t some;
	uint64_t token[2 * DEPTH];
	uint64_t number[2 * DEPTH];
	uint32_t n;
	bool closed;
};

/* The youngest first: out of order. */
static bool next_at_desk(struct desk *d, uint64_t *token, uint64_t *number)
{
	bool found;

	pthread_mutex_lock(&d->lock);
	while (!d->n && !d->closed)
		pthread_cond_wait(&d->some, &d->lock);
	found = d->n;
	if (found) {
		*token = d->token[--d->n];
		*number = d->number[d->n];
	}
	pthread_mutex_unlock(&d->lock);
	return found;
}

static void *worker(void *arg)
{
	struct desk *d = arg;
	uint64_t token, number;

	while (next_at_desk(d, &token, &number)) {
		if (number % 64 == 0)
			nap_us(100);
		if (answer(d->c->fd[1], token, number))
			is_wrong(d->c, "reply", errno);
	}
	return NULL;
}

static void *receiver(void *arg)
{
	struct desk *d = arg;
	uint64_t number;
	struct iovec iov = { &number, sizeof(number) };
	struct fos_msg m = { .iov = &iov, .iovlen = 1 };
	ssize_t n;

	while ((n = fos_recvmsg(d->c->fd[1], &m, 0, NULL)) == 8) {
		pthread_mutex_lock(&d->lock);
		d->token[d->n] = m.token;
		d->number[d->n++] = number;
		pthread_cond_signal(&d->some);
		pthread_mutex_unlock(&d->lock);
	}
	if (errno != EPIPE)
		is_wrong(d->c, "recvmsg", errno);
	pthread_mutex_lock(&d->lock);
	d->closed = true;
	pthread_cond_broadcast(&d->some);
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void serve_by_threads(struct crowd *c)
{
	pthread_t thread[SERVERS];
	int i;

	for (i = 0; i < SERVERS; i++)
		pthread_create(&thread[i], NULL, server, c);
	for (i = 0; i < SERVERS; i++)
		pthread_join(thread[i], NULL);
}

static void serve_by_desk(struct crowd *c)
{
	static struct desk d = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.some = PTHREAD_COND_INITIALIZER,
	};
	pthread_t thread[SERVERS];
	int i;

	d.c = c;
	for (i = 0; i < SERVERS; i++)
		pthread_create(&thread[i], NULL, i ? worker : receiver, &d);
	for (i = 0; i < SERVERS; i++)
		pthread_join(thread[i], NULL);
}

/* ---- the tests -------------------------------------------------------- */

static pid_t spawn_servers(struct crowd *c, void (*serve)(struct crowd *c))
{
	pid_t pid = spawn();

	if (pid) {
		fos_close(c->fd[1]);
		return pid;
	}
	close(c->fd[0]);
	serve(c);
	_exit(c->wrong != 0);
}

static void post_all(struct crowd *c, int posters)
{
	pthread_t thread[POSTERS];
	int i;

	for (i = 0; i < posters; i++)
		pthread_create(&thread[i], NULL, poster, c);
	for (i = 0; i < posters; i++)
		pthread_join(thread[i], NULL);
}

static uint64_t count(const struct crowd *c, unsigned char how)
{
	uint64_t i, n = 0;

	for (i = 0; i < c->calls; i++)
		n += c->ended[i] == how;
	return n;
}

TEST_F_TIMEOUT(crowd, each_call_is_answered_once_by_several_threads, 150)
{
	const pid_t pid = spawn_servers(self->c, serve_by_threads);

	post_all(self->c, POSTERS);
	EXPECT_EQ(0, self->c->wrong);
	EXPECT_EQ(self->c->calls, count(self->c, 1));
	fos_close(self->c->fd[0]);
	EXPECT_EQ(0, reap(pid));
}

TEST_F_TIMEOUT(crowd, tokens_are_answered_by_other_threads_in_any_order, 150)
{
	const pid_t pid = spawn_servers(self->c, serve_by_desk);

	post_all(self->c, POSTERS);
	EXPECT_EQ(0, self->c->wrong);
	EXPECT_EQ(self->c->calls, count(self->c, 1));
	fos_close(self->c->fd[0]);
	EXPECT_EQ(0, reap(pid));
}

/* ---- killed ----------------------------------------------------------- */

/**
 * struct alone - one who posts and collects, and knows which number is which
 * @number: by the token's slot
 */
struct alone {
	struct crowd *c;
	uint64_t number[2 * DEPTH];
};

/* -ENOMSG, -EAGAIN: nothing has ended; else what has. */
static long end_one(struct alone *a, int flags)
{
	uint64_t which;
	long ret = collect_any(a->c->fd[0], &which, flags);

	if (ret == -EAGAIN || ret == -ENOMSG)
		return ret;
	if (ret >= 0 && (uint64_t)ret != a->number[which & 0xff])
		is_wrong(a->c, "another call's answer", ret);
	if (ret < 0 && ret != -EPIPE && ret != -ECONNRESET)
		is_wrong(a->c, "end", ret);
	note(a->c, a->number[which & 0xff], ret >= 0 ? 1 : ret == -EPIPE ? 2 : 3);
	return 0;
}

static void post_until_the_end(struct alone *a)
{
	struct crowd *c = a->c;
	long ret;

	do {
		ret = post_with(c->fd[0], c->next, c->next % 3 ? FOS_MORE : 0);
		if (ret >= 0)
			a->number[ret & 0xff] = c->next++;
		else if (ret == -EAGAIN)
			end_one(a, 0);
		else if (ret != -EPIPE)
			is_wrong(c, "post", ret);
	} while (ret != -EPIPE);
	while (end_one(a, 0) != -ENOMSG)
		;
}

/* At any moment, but mostly (@late) when some were answered. */
static pid_t spawn_killer(struct crowd *c, pid_t server, bool late, uint64_t us)
{
	const pid_t pid = spawn();

	if (pid)
		return pid;
	close(c->fd[0]);
	while (late && posted_so_far(c) <= 2 * DEPTH)
		nap_us(100);
	nap_us(us);
	kill(server, SIGKILL);
	_exit(0);
}

static void post_to_one_who_is_killed(struct crowd *c, uint64_t n, uint64_t us)
{
	struct alone a = { .c = c };
	const pid_t server = spawn_servers(c, n % 2 ? serve_by_threads :
						      serve_by_desk);
	const pid_t killer = spawn_killer(c, server, n % 4, us);
	int ret;

	post_until_the_end(&a);
	ret = reap(killer);
	if (ret)
		is_wrong(c, "killer", ret);
	ret = reap(server);
	if (ret != REAP_SIGNAL(SIGKILL))
		is_wrong(c, "server", ret);
}

/*
 * Each time in a process of its own: who has posted has a watcher, and the
 * thread sanitizer ends a child of his that starts threads.
 */
TEST_F_TIMEOUT(crowd, each_call_ends_when_the_server_is_killed, 150)
{
	uint64_t seed = rnd_seed("kills"), n, kills = rounds(60), total[4] = { 0 };
	unsigned char how;
	pid_t pid;

	self->c->calls = sizeof(self->c->ended);
	fos_close(self->c->fd[1]);
	for (n = 0; n < kills; n++) {
		const uint64_t us = rnd_below(&seed, 20000);

		fos_close(self->c->fd[0]);
		self->c->next = 0;
		memset(self->c->ended, 0, sizeof(self->c->ended));
		ASSERT_EQ(0, channel_with(self->c->fd, variant->spin, 2 * DEPTH, 0));
		pid = spawn();
		if (!pid) {
			post_to_one_who_is_killed(self->c, n, us);
			_exit(0);
		}
		fos_close(self->c->fd[1]);
		ASSERT_EQ(0, reap(pid));
		ASSERT_EQ(0, self->c->wrong);
		EXPECT_EQ(self->c->next, count(self->c, 1) + count(self->c, 2) +
					 count(self->c, 3));
		for (how = 1; how < 4; how++)
			total[how] += count(self->c, how);
	}
	TH_LOG("%llu answered, %llu not taken, %llu taken and not answered",
	       (long long)total[1], (long long)total[2], (long long)total[3]);
	EXPECT_NE(0, total[1]);
}

TEST_HARNESS_MAIN
