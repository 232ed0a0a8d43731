// SPDX-License-Identifier: GPL-2.0-only
/*
 * Servers and clients that meet under a path: who the other is, what they agree
 * on, whose the path is, and what happens when one of them goes.
 *
 * gates: asan
 */
#include <sys/epoll.h>

#include "names.h"
#include "kselftest_harness.h"

FIXTURE(name) {
	struct place at;
	int lfd;
	char in[64];
};

FIXTURE_SETUP(name)
{
	ASSERT_TRUE(make_place(&self->at));
	self->lfd = fos_listen(self->at.path, 16);
	ASSERT_LE(0, self->lfd);
}

FIXTURE_TEARDOWN(name)
{
	remove_place(&self->at);
}

/* ---- who -------------------------------------------------------------- */

TEST_F(name, a_client_and_a_server_meet)
{
	struct fos_peer peer = { 0 };
	pid_t pid = spawn_visit(self->at.path);

	EXPECT_EQ(POLLIN, wait_poll(self->lfd, POLLIN));
	EXPECT_EQ(0, serve_visit(self->lfd, &peer));
	EXPECT_EQ(pid, peer.pid);
	EXPECT_EQ(getuid(), peer.uid);
	EXPECT_EQ(getgid(), peer.gid);
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, poll_now(self->lfd, POLLIN));
}

static int visit_as(const char *path, uid_t uid, gid_t gid)
{
	if (setgid(gid) || setuid(uid))
		return 98;
	/* Not who made the socket: who connects. */
	return visit(path, NULL);
}

TEST_F(name, the_kernel_says_who_the_client_is)
{
	struct fos_peer peer = { 0 };
	uid_t uid;
	pid_t pid;

	if (getuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, chmod(self->at.path, 0777));
	for (uid = 4001; uid < 4004; uid++) {
		pid = spawn();
		if (!pid)
			_exit(visit_as(self->at.path, uid, uid + 100));
		/* What he is later, or has been, does not count. */
		EXPECT_EQ(0, serve_visit(self->lfd, &peer));
		EXPECT_EQ(uid, peer.uid);
		EXPECT_EQ(uid + 100, peer.gid);
		EXPECT_EQ(pid, peer.pid);
		EXPECT_EQ(0, reap(pid));
	}
}

TEST_F(name, who_may_not_write_the_file_may_not_connect)
{
	pid_t pid;

	if (getuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, chmod(self->at.path, 0700));
	pid = spawn();
	if (!pid)
		_exit(visit_as(self->at.path, 4001, 4001));
	EXPECT_EQ(EACCES, reap(pid));
}

/* He has no right to the module, and needs none. */
TEST_F(name, the_channel_stands_on_what_the_server_does)
{
	static const char *const kinds[] = { "kernel", "posix" };
	struct fos_peer peer = { 0 };
	char text[256];
	int i, fd;
	pid_t pid;

	if (getuid())
		SKIP(return, "needs root");
	unsetenv("FOS_BACKEND");
	NEEDS_THE_MODULE();
	ASSERT_EQ(0, chmod(self->at.path, 0777));
	for (i = 0; i < 2; i++) {
		pid = spawn();
		if (!pid)
			_exit(visit_as(self->at.path, 4001, 4001));
		setenv("FOS_BACKEND", kinds[i], 1);
		fd = fos_accept(self->lfd, &peer);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, serve_echo(fd, self->in, 8));
		/* Only the module's say more than any file. */
		ASSERT_EQ(0, fdinfo_of(fd, text, sizeof(text)));
		EXPECT_EQ(!i, !!strstr(text, "side"));
		EXPECT_EQ(0, fos_close(fd));
		EXPECT_EQ(0, reap(pid));
	}
}

/* ---- what they agree on ----------------------------------------------- */

struct agreement {
	struct fos_chan_attr ask, limit, get;
};

#define A(d, a, s, ns) { .depth = d, .area_bytes = a, .spin = s, .spin_ns = ns }
#define BLOCK	FOS_SPIN_BLOCK
#define FIXED	FOS_SPIN_FIXED
#define ALWAYS	FOS_SPIN_ALWAYS

static const struct agreement agreements[] = {
	/* By default nobody gets more than fos_channel() gives. */
	{ A(0, 0, 0, 0), A(0, 0, 0, 0), A(32, 2 << 20, 0, 0) },
	{ A(256, 8 << 20, ALWAYS, 0), A(0, 0, 0, 0), A(32, 2 << 20, 0, 0) },
	{ A(2, 1, BLOCK, 0), A(0, 0, 0, 0), A(2, 4096, BLOCK, 0) },
	/* The lesser of each. */
	{ A(64, 8192, FIXED, 70), A(128, 65536, FIXED, 50),
	  A(64, 8192, FIXED, 50) },
	{ A(64, 65536, FIXED, 30), A(16, 8192, FIXED, 50),
	  A(16, 8192, FIXED, 30) },
	{ A(0, 0, ALWAYS, 0), A(4, 4096, FIXED, 9), A(4, 4096, FIXED, 9) },
	{ A(0, 0, FIXED, 9), A(4, 4096, BLOCK, 0), A(4, 4096, BLOCK, 0) },
	{ A(0, 0, 0, 0), A(256, 4096, ALWAYS, 0), A(32, 4096, 0, 0) },
	{ A(256, 64 << 20, ALWAYS, 0), A(256, 64 << 20, ALWAYS, 0),
	  A(256, 64 << 20, ALWAYS, 0) },
};

static bool same_attr(const struct fos_chan_attr *a,
		      const struct fos_chan_attr *b)
{
	return a->depth == b->depth && a->area_bytes == b->area_bytes &&
	       a->spin == b->spin && a->spin_ns == b->spin_ns && !a->flags;
}

/* The first size that does not fit, in pages, found from either end. */
static long area_of(int fd)
{
	static char buf[FOS_MSG_MAX];
	size_t n;

	for (n = 4096; n <= FOS_MSG_MAX; n += 4096)
		if (RESULT(fos_send(fd, buf, n, FOS_NONBLOCK)) == -EMSGSIZE)
			return n - 4096;
	return FOS_MSG_MAX;
}

static int measure(const char *path, const struct agreement *a)
{
	int fd = fos_connect(path, &a->ask);
	long want = a->get.area_bytes;

	if (fd < 0)
		return errno;
	if (want > FOS_MSG_MAX)
		want = FOS_MSG_MAX;
	return area_of(fd) == want ? 0 : 97;
}

TEST_F(name, both_get_the_lesser_of_wish_and_limit)
{
	const struct agreement *a;
	struct fos_peer peer;
	size_t i;
	int fd;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(agreements); i++) {
		a = &agreements[i];
		pid = spawn();
		if (!pid)
			_exit(measure(self->at.path, a));
		peer = (struct fos_peer) { .limit = a->limit };
		fd = fos_accept(self->lfd, &peer);
		ASSERT_LE(0, fd);
		EXPECT_TRUE(same_attr(&a->get, &peer.attr))
			TH_LOG("%zu: %u %llu %u %llu", i, peer.attr.depth,
			       (unsigned long long)peer.attr.area_bytes,
			       peer.attr.spin,
			       (unsigned long long)peer.attr.spin_ns);
		/* Unchanged, for the next one. */
		EXPECT_TRUE(same_attr(&a->limit, &peer.limit));
		EXPECT_EQ(a->get.area_bytes > FOS_MSG_MAX ? FOS_MSG_MAX :
			  a->get.area_bytes, area_of(fd));
		EXPECT_EQ(0, reap(pid));
		EXPECT_EQ(0, fos_close(fd));
	}
}

/* ---- arguments -------------------------------------------------------- */

TEST_F(name, bad_arguments_are_refused)
{
	static const struct fos_chan_attr bad[] = {
		{ .flags = 1 }, { .depth = 3 }, { .depth = 512 },
		{ .area_bytes = (64 << 20) + 1 }, { .spin = 4 },
		{ .spin_ns = 5 }, { .spin_share = 100 }, { .resv = { 0, 0, 0, 1 } },
		{ .spin = FOS_SPIN_FIXED, .spin_ns = 1ULL << 48 },
	};
	struct fos_peer peer;
	char path[200];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, RESULT(fos_connect(self->at.path, &bad[i])));
		peer = (struct fos_peer) { .limit = bad[i] };
		EXPECT_EQ(-EINVAL, RESULT(fos_accept(self->lfd, &peer)));
	}
	peer = (struct fos_peer) { .resv0 = 1 };
	EXPECT_EQ(-EINVAL, RESULT(fos_accept(self->lfd, &peer)));
	EXPECT_EQ(-EINVAL, RESULT(fos_listen(self->at.path, 0)));
	for (i = 0; i < 3; i++) {
		const char *p = i ? i == 1 ? "" : "@" : NULL;

		EXPECT_EQ(-EINVAL, RESULT(fos_listen(p, 1)));
		EXPECT_EQ(-EINVAL, RESULT(fos_connect(p, NULL)));
	}
	memset(path, 'x', sizeof(path));
	path[108] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, RESULT(fos_listen(path, 1)));
	EXPECT_EQ(-ENAMETOOLONG, RESULT(fos_connect(path, NULL)));
	EXPECT_EQ(-ENOENT, RESULT(fos_listen("/tmp/no-such-dir/x", 1)));
	EXPECT_EQ(-ENOENT, RESULT(fos_connect("/tmp/no-such-dir/x", NULL)));
	snprintf(path, sizeof(path), "%s/x", self->at.path);
	EXPECT_EQ(-ENOTDIR, RESULT(fos_listen(path, 1)));
	EXPECT_EQ(-ENOTDIR, RESULT(fos_connect(path, NULL)));
}

TEST_F(name, only_a_listener_accepts)
{
	int other[5], i, p[2];

	ASSERT_EQ(0, pipe(p));
	other[0] = p[0];
	other[1] = -1;
	other[2] = socket(AF_INET, SOCK_STREAM, 0);
	/* The debug kernel has none. */
	if (other[2] < 0)
		other[2] = p[1];
	else
		ASSERT_EQ(0, listen(other[2], 1));
	remove_place(&self->at);
	ASSERT_TRUE(make_place(&self->at));
	other[3] = raw_listen(self->at.path, SOCK_STREAM, 1);
	ASSERT_LE(0, other[3]);
	other[4] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(-EBADF, RESULT(fos_accept(other[i], NULL)));
		EXPECT_EQ(-EBADF, RESULT(fos_close(other[i])));
		EXPECT_TRUE(i == 1 || fcntl(other[i], F_GETFD) >= 0);
	}
}

static bool is_cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

TEST_F(name, descriptors_are_close_on_exec)
{
	int fd;
	pid_t pid = spawn();

	if (!pid) {
		fd = fos_connect(self->at.path, NULL);
		_exit(fd < 0 || !is_cloexec(fd));
	}
	fd = fos_accept(self->lfd, NULL);
	EXPECT_TRUE(is_cloexec(self->lfd));
	EXPECT_TRUE(is_cloexec(fd));
	EXPECT_EQ(0, reap(pid));
}

/* ---- waiting ---------------------------------------------------------- */

TEST_F(name, with_o_nonblock_nobody_there_is_eagain)
{
	pid_t pid;

	ASSERT_TRUE(set_nonblock(self->lfd));
	EXPECT_EQ(-EAGAIN, RESULT(fos_accept(self->lfd, NULL)));
	pid = spawn_visit(self->at.path);
	EXPECT_EQ(POLLIN, wait_poll(self->lfd, POLLIN));
	EXPECT_EQ(0, serve_visit(self->lfd, NULL));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(-EAGAIN, RESULT(fos_accept(self->lfd, NULL)));
}

TEST_F(name, epoll_tells_of_clients)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	pid_t pid;

	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->lfd, &ev));
	EXPECT_EQ(0, epoll_wait(epoll, &ev, 1, 0));
	pid = spawn_visit(self->at.path);
	EXPECT_EQ(1, epoll_wait(epoll, &ev, 1, HANG_MS));
	EXPECT_EQ(0, epoll_wait(epoll, &ev, 1, 0));
	EXPECT_EQ(0, serve_visit(self->lfd, NULL));
	EXPECT_EQ(0, reap(pid));
}

static long do_accept(struct async *a,
		      const struct timespec *deadline UNUSED)
{
	return RESULT(fos_accept(a->fd, NULL));
}

static long do_connect(struct async *a,
		       const struct timespec *deadline UNUSED)
{
	return RESULT(fos_connect(a->out, NULL));
}

TEST_F(name, a_signal_ends_both_waits)
{
	struct async a = { .fn = do_accept, .fd = self->lfd };
	struct async c = { .fn = do_connect, .out = self->at.path };

	on_signal(SIGUSR1, 0, ignore_it);
	start(&a);
	EXPECT_TRUE(asleep(&a));
	interrupt(&a, SIGUSR1);
	EXPECT_EQ(-EINTR, finish(&a));
	start(&c);
	EXPECT_EQ(POLLIN, wait_poll(self->lfd, POLLIN));
	EXPECT_TRUE(asleep(&c));
	interrupt(&c, SIGUSR1);
	EXPECT_EQ(-EINTR, finish(&c));
	/* He has gone: nobody is there. */
	ASSERT_TRUE(set_nonblock(self->lfd));
	EXPECT_EQ(-EAGAIN, RESULT(fos_accept(self->lfd, NULL)));
}

TEST_F(name, a_handler_with_sa_restart_ends_neither)
{
	struct async a = { .fn = do_accept, .fd = self->lfd };
	struct async c = { .fn = do_connect, .out = self->at.path };

	on_signal(SIGUSR1, SA_RESTART, ignore_it);
	start(&a);
	EXPECT_TRUE(asleep(&a));
	pthread_kill(a.thread, SIGUSR1);
	nap_us(20000);
	EXPECT_FALSE(is_done(&a));
	start(&c);
	EXPECT_LE(0, finish(&c));
	EXPECT_LE(0, finish(&a));
	start(&c);
	EXPECT_EQ(POLLIN, wait_poll(self->lfd, POLLIN));
	EXPECT_TRUE(asleep(&c));
	pthread_kill(c.thread, SIGUSR1);
	nap_us(20000);
	EXPECT_FALSE(is_done(&c));
	EXPECT_LE(0, fos_accept(self->lfd, NULL));
	EXPECT_LE(0, finish(&c));
}

/* More than the backlog holds: the rest wait in connect(). */
TEST_F(name, a_full_backlog_makes_clients_wait)
{
	pid_t pid[20];
	int i, lfd;

	EXPECT_EQ(0, fos_close(self->lfd));
	lfd = fos_listen(self->at.path, 2);
	ASSERT_LE(0, lfd);
	for (i = 0; i < 20; i++)
		pid[i] = spawn_visit(self->at.path);
	for (i = 0; i < 20; i++)
		EXPECT_TRUE(wait_asleep(pid[i]));
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, serve_visit(lfd, NULL));
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, reap(pid[i]));
}

/* ---- descriptors of the listener -------------------------------------- */

static int accept_in_child(int lfd)
{
	pid_t pid = spawn();

	if (!pid)
		_exit(serve_visit(lfd, NULL) || fos_close(lfd));
	return pid;
}

TEST_F(name, a_child_serves_too_and_its_close_leaves_the_path)
{
	pid_t server = accept_in_child(self->lfd);
	pid_t client = spawn_visit(self->at.path);

	EXPECT_EQ(0, reap(server));
	EXPECT_EQ(0, reap(client));
	EXPECT_EQ(0, access(self->at.path, F_OK));
	client = spawn_visit(self->at.path);
	EXPECT_EQ(0, serve_visit(self->lfd, NULL));
	EXPECT_EQ(0, reap(client));
}

TEST_F(name, close_removes_the_path_with_the_last_descriptor)
{
	int copy = dup(self->lfd);

	EXPECT_EQ(0, chdir("/"));
	EXPECT_EQ(0, fos_close(self->lfd));
	EXPECT_EQ(0, access(self->at.path, F_OK));
	EXPECT_EQ(0, fos_close(copy));
	EXPECT_EQ(-1, access(self->at.path, F_OK));
	EXPECT_EQ(-EBADF, RESULT(fos_close(copy)));
	EXPECT_EQ(-ENOENT, RESULT(fos_connect(self->at.path, NULL)));
	EXPECT_EQ(0, entries(self->at.dir, false));
}

TEST_F(name, close_removes_a_relative_path_after_chdir)
{
	int lfd;

	ASSERT_EQ(0, chdir(self->at.dir));
	lfd = fos_listen("relative", 1);
	ASSERT_LE(0, lfd);
	ASSERT_EQ(0, chdir("/"));
	EXPECT_EQ(2, entries(self->at.dir, false));
	EXPECT_EQ(0, fos_close(lfd));
	EXPECT_EQ(1, entries(self->at.dir, false));
}

TEST_F(name, waiting_clients_are_refused_at_close)
{
	pid_t pid = spawn();

	if (!pid)
		_exit(close(self->lfd) ? 98 : visit(self->at.path, NULL));
	EXPECT_EQ(POLLIN, wait_poll(self->lfd, POLLIN));
	EXPECT_TRUE(wait_asleep(pid));
	EXPECT_EQ(0, fos_close(self->lfd));
	EXPECT_EQ(ECONNREFUSED, reap(pid));
}

TEST_F(name, a_name_with_an_at_sign_has_no_file)
{
	char name[64];
	int lfd;
	pid_t pid;

	snprintf(name, sizeof(name), "@fos-name-%d", getpid());
	EXPECT_EQ(-ECONNREFUSED, RESULT(fos_connect(name, NULL)));
	lfd = fos_listen(name, 1);
	ASSERT_LE(0, lfd);
	EXPECT_EQ(-EADDRINUSE, RESULT(fos_listen(name, 1)));
	pid = spawn_visit(name);
	EXPECT_EQ(0, serve_visit(lfd, NULL));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, fos_close(lfd));
	EXPECT_EQ(-ECONNREFUSED, RESULT(fos_connect(name, NULL)));
	EXPECT_EQ(1, entries(self->at.dir, false));
}

TEST_HARNESS_MAIN
