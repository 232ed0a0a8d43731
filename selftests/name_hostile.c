// SPDX-License-Identifier: GPL-2.0-only
/*
 * Strangers, liars and the shortage of descriptors: whoever comes to a server,
 * the next honest client is served, and nothing is left behind; whatever a server
 * answers, its client gets an endpoint or an error.
 *
 * gates: asan
 */
#include "names.h"
#include "kselftest_harness.h"

/* What a client's socket is named, and what the server answers, learnt from them. */
struct words {
	char hello[108];
	size_t hello_len;
	char welcome[64];
	ssize_t welcome_len;
};

FIXTURE(stranger) {
	struct place at;
	struct words say;
	int lfd;
	int before;
};

static bool learn_hello(const char *path, struct words *w)
{
	const size_t base = offsetof(struct sockaddr_un, sun_path) + 1;
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	int lfd = raw_listen(path, SOCK_SEQPACKET, 1), fd;
	pid_t pid = spawn_visit(path);

	fd = accept(lfd, (void *)&a, &len);
	w->hello_len = len - base;
	memcpy(w->hello, a.sun_path + 1, w->hello_len);
	close(fd);
	close(lfd);
	return reap(pid) == ECONNREFUSED && !unlink(path) &&
	       w->hello_len < 100;
}

/* A connection under a name that is right, and nobody else's. */
static int say_hello(const char *path, const struct words *w)
{
	static unsigned int n;
	char hello[108], text[9];

	snprintf(text, sizeof(text), "%08x", ++n);
	memcpy(hello, w->hello, w->hello_len);
	memcpy(hello + w->hello_len - 8, text, 8);
	return raw_connect(path, hello, w->hello_len);
}

static ssize_t answer(int fd, void *buf, size_t len)
{
	return wait_poll(fd, POLLIN) < 0 ? -1 : recv(fd, buf, len, 0);
}

static bool learn_welcome(const char *path, int lfd, struct words *w)
{
	int fd = say_hello(path, w);
	int end = fos_accept(lfd, NULL);

	w->welcome_len = answer(fd, w->welcome, sizeof(w->welcome));
	close(fd);
	return end >= 0 && !fos_close(end) && w->welcome_len > 8;
}

/* What a process opens once. */
static bool warm_up(void)
{
	int fd[2];
	char byte;

	return !fos_channel(fd, NULL) &&
	       RESULT(fos_recv(fd[0], &byte, 1, FOS_NONBLOCK)) == -EAGAIN &&
	       !fos_close(fd[0]) && !fos_close(fd[1]);
}

FIXTURE_SETUP(stranger)
{
	ASSERT_TRUE(make_place(&self->at));
	ASSERT_TRUE(learn_hello(self->at.path, &self->say));
	self->lfd = fos_listen(self->at.path, 256);
	ASSERT_LE(0, self->lfd);
	ASSERT_TRUE(learn_welcome(self->at.path, self->lfd, &self->say));
	ASSERT_TRUE(set_nonblock(self->lfd));
	ASSERT_TRUE(warm_up());
	self->before = count_open();
}

FIXTURE_TEARDOWN(stranger)
{
	remove_place(&self->at);
}

/* The server as it should be: still there, and for the next one. */
static bool is_well(int lfd, const char *path)
{
	pid_t pid = spawn_visit(path);
	int ret = EAGAIN;

	while (ret == EAGAIN && wait_poll(lfd, POLLIN) == POLLIN)
		ret = serve_visit(lfd, NULL);
	return !ret && !reap(pid);
}

/* What the server told whom he turned away, in the same words as a welcome. */
static int error_told(int fd, const struct words *w)
{
	char buf[64] = "";
	uint32_t error;

	if (answer(fd, buf, sizeof(buf)) != w->welcome_len ||
	    memcmp(buf, w->welcome, 8))
		return -1;
	memcpy(&error, buf + 8, sizeof(error));
	return error;
}

/* ---- who comes to a server -------------------------------------------- */

TEST_F(stranger, who_says_nothing_or_nonsense_is_turned_away)
{
	const struct words *w = &self->say;
	char name[108];
	size_t len;
	int fd;

	memcpy(name, w->hello, sizeof(name));
	/* Without a name, with half of one, with more than one. */
	for (len = 0; len <= 107; len++) {
		if (len == w->hello_len)
			continue;
		fd = raw_connect(self->at.path, name, len);
		ASSERT_LE(0, fd) TH_LOG("%zu", len);
		EXPECT_EQ(-EAGAIN, RESULT(fos_accept(self->lfd, NULL)));
		EXPECT_EQ(EPROTO, error_told(fd, w));
		close(fd);
	}
	EXPECT_TRUE(is_well(self->lfd, self->at.path));
	EXPECT_EQ(self->before, count_open());
}

/* Of the right length: nonsense is turned away, wishes are granted or not. */
TEST_F_TIMEOUT(stranger, any_byte_of_a_hello_may_be_wrong, 300)
{
	const struct words *w = &self->say;
	const size_t random = 32, said = w->hello_len - random;
	uint64_t seed = rnd_seed("hello"), i;
	int fd, end, granted = 0;
	char name[108];

	for (i = 0; i < 2000; i++) {
		memcpy(name, w->hello, w->hello_len);
		memcpy(name + said, &i, sizeof(i));
		if (i < said * 8)
			name[i / 8] ^= 1 << i % 8;
		else
			name[rnd_below(&seed, said)] ^= rnd(&seed);
		fd = raw_connect(self->at.path, name, w->hello_len);
		ASSERT_LE(0, fd);
		end = fos_accept(self->lfd, NULL);
		EXPECT_TRUE(end >= 0 || errno == EAGAIN);
		/* The first eight say the version. */
		EXPECT_TRUE(i >= 64 || end < 0);
		EXPECT_EQ(end < 0 ? EPROTO : 0, error_told(fd, w));
		granted += end >= 0;
		close(fd);
		if (end >= 0)
			EXPECT_EQ(0, fos_close(end));
	}
	EXPECT_LT(0, granted);
	EXPECT_GT(2000, granted);
	EXPECT_EQ(self->before, count_open());
}

TEST_F(stranger, what_a_client_sends_is_not_read)
{
	const struct words *w = &self->say;
	int fd, i, end;

	for (i = 0; i < 8; i++) {
		fd = i & 1 ? say_hello(self->at.path, w) :
			     raw_connect(self->at.path, NULL, 0);
		ASSERT_LE(0, fd);
		/* A thousand descriptors, or as much data as goes. */
		while (send_copies(fd, w->hello, 48, 2, i & 2 ? 250 : 0) > 0)
			;
		end = fos_accept(self->lfd, NULL);
		EXPECT_EQ(i & 1, end >= 0);
		EXPECT_EQ(self->before + 1 + 2 * (end >= 0), count_open());
		EXPECT_TRUE(is_well(self->lfd, self->at.path));
		close(fd);
		if (end >= 0)
			EXPECT_EQ(0, fos_close(end));
	}
	EXPECT_EQ(self->before, count_open());
}

/* Said hello, and then went, hung up one way, or never looks. */
TEST_F(stranger, who_leaves_or_never_listens_delays_nobody)
{
	const struct words *w = &self->say;
	int fd[4], i, end;

	for (i = 0; i < 4; i++) {
		fd[i] = say_hello(self->at.path, w);
		ASSERT_LE(0, fd[i]);
	}
	close(fd[0]);
	shutdown(fd[1], SHUT_RD);
	shutdown(fd[2], SHUT_RDWR);
	/* Only the last is there to be welcomed. */
	end = fos_accept(self->lfd, NULL);
	ASSERT_LE(0, end);
	EXPECT_EQ(-EAGAIN, RESULT(fos_accept(self->lfd, NULL)));
	EXPECT_TRUE(is_well(self->lfd, self->at.path));
	EXPECT_FALSE(hung_up(end));
	/* His end dies with him, on its way. */
	close(fd[3]);
	EXPECT_TRUE(hangs_up(end));
	EXPECT_EQ(-EPIPE, say(end, 1));
	EXPECT_EQ(0, fos_close(end));
}

static long do_accept(struct async *a,
		      const struct timespec *deadline UNUSED)
{
	return RESULT(fos_accept(a->fd, NULL));
}

TEST_F(stranger, strangers_do_not_end_a_wait)
{
	struct async a = { .fn = do_accept, .fd = self->lfd };
	pid_t pid;
	int i, fd[100];

	ASSERT_EQ(0, fcntl(self->lfd, F_SETFL, O_RDWR));
	start(&a);
	for (i = 0; i < 100; i++) {
		fd[i] = raw_connect(self->at.path, NULL, 0);
		ASSERT_LE(0, fd[i]);
		EXPECT_EQ(EPROTO, error_told(fd[i], &self->say));
	}
	EXPECT_FALSE(is_done(&a));
	pid = spawn_visit(self->at.path);
	EXPECT_LE(0, finish(&a));
	EXPECT_EQ(0, fos_close(a.ret));
	/* His call was under way, or not yet. */
	i = reap(pid);
	EXPECT_TRUE(i == EPIPE || i == ECONNRESET);
}

/* However many: who does not wait looks up now and then. */
TEST_F(stranger, a_crowd_of_strangers_does_not_hold_who_will_not_wait)
{
	int i, fd[200], calls = 0, waited = 0;

	for (i = 0; i < 200; i++) {
		fd[i] = raw_connect(self->at.path, NULL, 0);
		ASSERT_LE(0, fd[i]);
	}
	while (poll_now(self->lfd, POLLIN)) {
		ASSERT_EQ(-EAGAIN, RESULT(fos_accept(self->lfd, NULL)));
		calls++;
	}
	for (i = 0; i < 200; i++)
		waited += error_told(fd[i], &self->say) == EPROTO;
	EXPECT_EQ(200, waited);
	EXPECT_LE(3, calls);
	EXPECT_TRUE(is_well(self->lfd, self->at.path));
}

/* ---- short of descriptors --------------------------------------------- */

/* So many numbers are free from now on. */
static void leave_free(int n)
{
	struct rlimit limit;
	int fd = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	for (; n || fcntl(fd, F_GETFD) >= 0; fd++)
		n -= fcntl(fd, F_GETFD) < 0;
	limit.rlim_cur = fd;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void free_all(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_F(stranger, a_server_short_of_descriptors_says_so_and_loses_none)
{
	int n, end, told, worked = 0, failed = 0;
	pid_t pid;

	for (n = 0; n < 7; n++) {
		pid = spawn_visit(self->at.path);
		EXPECT_EQ(POLLIN, wait_poll(self->lfd, POLLIN));
		leave_free(n);
		end = RESULT(fos_accept(self->lfd, NULL));
		free_all();
		failed += end < 0;
		worked += end >= 0;
		EXPECT_TRUE(end >= 0 || end == -EMFILE) TH_LOG("%d", end);
		EXPECT_EQ(self->before + 2 * (end >= 0), count_open());
		/* He waits on, is told to come again, or is served. */
		if (poll_now(self->lfd, POLLIN)) {
			EXPECT_EQ(0, serve_visit(self->lfd, NULL));
			EXPECT_EQ(0, reap(pid));
			continue;
		}
		if (end >= 0) {
			uint64_t buf;

			EXPECT_EQ(0, serve_echo(end, &buf, 8));
			EXPECT_EQ(0, fos_close(end));
		}
		told = reap(pid);
		EXPECT_EQ(end >= 0 ? 0 : EAGAIN, told);
	}
	EXPECT_LT(1, failed);
	EXPECT_LT(1, worked);
}

static int connect_with_few(const char *path, int n)
{
	const int before = count_open();
	int ret, got;

	leave_free(n);
	ret = RESULT(fos_connect(path, NULL));
	free_all();
	got = ret >= 0;
	if (count_open() != before + 2 * got)
		return 97;
	return ret < 0 ? -ret : 0;
}

TEST_F(stranger, a_client_short_of_descriptors_says_so_and_loses_none)
{
	pid_t server, pid;
	int n, ret, worked = 0, failed = 0;

	EXPECT_EQ(0, fos_close(self->lfd));
	server = spawn_server(self->at.path);
	for (n = 0; n < 5; n++) {
		pid = spawn();
		if (!pid)
			_exit(connect_with_few(self->at.path, n));
		ret = reap(pid);
		EXPECT_TRUE(ret == 0 || ret == EMFILE) TH_LOG("%d", ret);
		worked += !ret;
		failed += !!ret;
	}
	EXPECT_EQ(2, failed);
	EXPECT_EQ(3, worked);
	EXPECT_EQ(0, visit(self->at.path, NULL));
	kill_and_reap(server);
}

/*
 * Ends on their way to who never takes them: a user has only so many (root as
 * many as he likes).  When they are through it goes on.
 */
#define UNDER_WAY	40

static int serve_the_deaf(int lfd, uint64_t *refused, uint64_t *serve)
{
	const struct rlimit limit = { UNDER_WAY, UNDER_WAY };
	int fd;

	if (setgid(4001) || setuid(4001) ||
	    setrlimit(RLIMIT_NOFILE, &limit))
		return 98;
	for (;;) {
		if (wait_poll(lfd, POLLIN) < 0)
			return 96;
		fd = fos_accept(lfd, NULL);
		if (fd >= 0 && __atomic_load_n(serve, __ATOMIC_ACQUIRE))
			_exit(start_serving(fd) || pause());
		if (fd >= 0)
			fos_close(fd);
		else if (errno == ENFILE)
			__atomic_store_n(refused, 1, __ATOMIC_RELEASE);
		else if (errno != EAGAIN)
			return errno;
	}
}

TEST_F(stranger, who_does_not_take_his_end_uses_up_what_one_may_have_under_way)
{
	uint64_t *words = shared(4096);
	int fd[UNDER_WAY + 10], i;
	pid_t pid;

	if (getuid())
		SKIP(return, "needs root");
	setenv("FOS_BACKEND", "posix", 1);
	pid = spawn();
	if (!pid)
		_exit(serve_the_deaf(self->lfd, &words[0], &words[1]));
	for (i = 0; i < UNDER_WAY + 10; i++) {
		fd[i] = say_hello(self->at.path, &self->say);
		ASSERT_LE(0, fd[i]);
	}
	EXPECT_TRUE(wait_for(&words[0], 1));
	EXPECT_EQ(EAGAIN, visit(self->at.path, NULL));
	__atomic_store_n(&words[1], 1, __ATOMIC_RELEASE);
	for (i = 0; i < UNDER_WAY + 10; i++)
		close(fd[i]);
	EXPECT_EQ(0, visit(self->at.path, NULL));
	kill_and_reap(pid);
}

/* ---- what a server answers -------------------------------------------- */

/**
 * struct lie - an answer
 * @len: of the packet, 0: none, he hangs up
 * @copies: of a descriptor that come with it
 * @what: which: of a channel, or of something else
 * @at: a byte that is changed, or -1
 * @by: ... by this
 * @want: what the client makes of it
 */
enum what { AN_END, A_PIPE, A_SOCKET };
struct lie {
	size_t len;
	int copies;
	enum what what;
	int at;
	char by;
	int want;
};

static const struct lie lies[] = {
	{ 16, 1, AN_END, -1, 0, 0 },		/* the truth */
	{ 0, 0, AN_END, -1, 0, ECONNREFUSED },
	{ 16, 0, AN_END, -1, 0, EPROTO },
	{ 16, 1, A_PIPE, -1, 0, EPROTO },
	{ 16, 1, A_SOCKET, -1, 0, EPROTO },
	{ 16, 253, AN_END, -1, 0, 0 },
	{ 16, 253, A_PIPE, -1, 0, EPROTO },
	{ 15, 1, AN_END, -1, 0, EPROTO },
	{ 17, 1, AN_END, -1, 0, EPROTO },
	{ 1, 1, AN_END, -1, 0, EPROTO },
	{ 4096, 253, AN_END, -1, 0, EPROTO },
	{ 16, 1, AN_END, 0, 1, EPROTO },
	{ 16, 1, AN_END, 7, 1, EPROTO },	/* another version */
	{ 16, 1, AN_END, 8, EAGAIN, EAGAIN },
	{ 16, 0, AN_END, 8, EPROTO, EPROTO },
	{ 16, 1, AN_END, 8, ENOENT, EPROTO },	/* not for him to say */
	{ 16, 0, AN_END, 11, -128, EPROTO },
};

static void tell(int conn, const struct lie *l, const struct words *w,
		 const int what[])
{
	char buf[4096] = "";

	memcpy(buf, w->welcome, 16);
	if (l->at >= 0)
		buf[l->at] ^= l->by;
	if (l->len)
		send_copies(conn, buf, l->len, what[l->what], l->copies);
	close(conn);
}

/* The end that he gets works as far as it goes, and nothing else is left. */
static int believe(const char *path)
{
	const int before = count_open();
	int fd = RESULT(fos_connect(path, NULL));
	int got = fd >= 0;

	if (count_open() != before + 2 * got)
		return 97;
	if (fd < 0)
		return -fd;
	return fos_close(fd) || count_open() != before ? 96 : 0;
}

TEST_F(stranger, whatever_a_server_answers_is_an_end_or_an_error)
{
	int what[3], fd[2], p[2], lfd, conn;
	size_t i;
	pid_t pid;

	EXPECT_EQ(16, self->say.welcome_len);
	EXPECT_EQ(0, fos_close(self->lfd));
	lfd = raw_listen(self->at.path, SOCK_SEQPACKET, 1);
	ASSERT_LE(0, lfd);
	ASSERT_EQ(0, fos_channel(fd, NULL));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	what[AN_END] = fd[0];
	what[A_PIPE] = p[0];
	what[A_SOCKET] = lfd;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		pid = spawn();
		if (!pid) {
			/* The end is to be the only one that he has of it. */
			close(fd[0]);
			_exit(believe(self->at.path));
		}
		conn = accept(lfd, NULL, NULL);
		ASSERT_LE(0, conn);
		tell(conn, &lies[i], &self->say, what);
		EXPECT_EQ(lies[i].want, reap(pid)) TH_LOG("lie %zu", i);
	}
}

TEST_F(stranger, a_server_of_another_kind_is_eproto)
{
	EXPECT_EQ(0, fos_close(self->lfd));
	ASSERT_LE(0, raw_listen(self->at.path, SOCK_STREAM, 1));
	EXPECT_EQ(-EPROTO, RESULT(fos_connect(self->at.path, NULL)));
	EXPECT_EQ(self->before, count_open());
}

TEST_HARNESS_MAIN
