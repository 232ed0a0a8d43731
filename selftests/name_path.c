// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose a path is: files that were left behind, servers that start at once,
 * servers that are killed in the middle of anything, and what comes after.
 *
 * gates: asan
 */
#include <sys/file.h>

#include "names.h"
#include "kselftest_harness.h"

FIXTURE(path) {
	struct place at;
	char lock[64];
};

FIXTURE_SETUP(path)
{
	ASSERT_TRUE(make_place(&self->at));
	snprintf(self->lock, sizeof(self->lock), "%s.lock", self->at.path);
}

FIXTURE_TEARDOWN(path)
{
	remove_place(&self->at);
}

/* ---- what lies there -------------------------------------------------- */

TEST_F(path, a_file_left_behind_is_replaced)
{
	pid_t server, client;
	int i, lfd;

	for (i = 0; i < 3; i++) {
		server = spawn_server(self->at.path);
		EXPECT_EQ(0, visit(self->at.path, NULL));
		EXPECT_EQ(REAP_SIGNAL(SIGKILL), kill_and_reap(server));
		EXPECT_EQ(0, access(self->at.path, F_OK));
		EXPECT_EQ(ECONNREFUSED, visit(self->at.path, NULL));
	}
	lfd = fos_listen(self->at.path, 4);
	ASSERT_LE(0, lfd);
	client = spawn_visit(self->at.path);
	EXPECT_EQ(0, serve_visit(lfd, NULL));
	EXPECT_EQ(0, reap(client));
	EXPECT_EQ(1, entries(self->at.dir, false));
}

/* Also when its backlog is full, or it listens for something else. */
TEST_F(path, a_live_server_is_eaddrinuse)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };
	int lfd, i;

	lfd = fos_listen(self->at.path, 4);
	ASSERT_LE(0, lfd);
	EXPECT_EQ(-EADDRINUSE, RESULT(fos_listen(self->at.path, 4)));
	EXPECT_EQ(0, fos_close(lfd));
	for (i = 0; i < 2; i++) {
		lfd = raw_listen(self->at.path, types[i], 1);
		ASSERT_LE(0, lfd);
		while (types[i] == SOCK_SEQPACKET &&
		       raw_connect(self->at.path, NULL, 0) >= 0)
			;
		EXPECT_EQ(-EADDRINUSE, RESULT(fos_listen(self->at.path, 4)));
		EXPECT_EQ(1, entries(self->at.dir, false));
		ASSERT_EQ(0, unlink(self->at.path));
	}
}

TEST_F(path, what_is_no_socket_is_left_alone)
{
	char target[64];
	int fd, lfd;

	fd = open(self->at.path, O_CREAT | O_RDWR, 0600);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EADDRINUSE, RESULT(fos_listen(self->at.path, 4)));
	EXPECT_EQ(0, unlink(self->at.path));
	ASSERT_EQ(0, mkdir(self->at.path, 0700));
	EXPECT_EQ(-EADDRINUSE, RESULT(fos_listen(self->at.path, 4)));
	EXPECT_EQ(0, rmdir(self->at.path));
	/* Not even a link to a socket on which nobody listens. */
	snprintf(target, sizeof(target), "%s/target", self->at.dir);
	lfd = raw_listen(target, SOCK_SEQPACKET, 0);
	ASSERT_LE(0, lfd);
	close(lfd);
	ASSERT_EQ(0, symlink(target, self->at.path));
	EXPECT_EQ(-EADDRINUSE, RESULT(fos_listen(self->at.path, 4)));
	EXPECT_EQ(2, entries(self->at.dir, false));
}

TEST_F(path, a_close_removes_only_what_was_made)
{
	int old, new, client;

	old = fos_listen(self->at.path, 4);
	ASSERT_LE(0, old);
	/* Somebody was of the opinion that it can go. */
	ASSERT_EQ(0, unlink(self->at.path));
	new = fos_listen(self->at.path, 4);
	ASSERT_LE(0, new);
	EXPECT_EQ(0, fos_close(old));
	EXPECT_EQ(0, access(self->at.path, F_OK));
	client = spawn_visit(self->at.path);
	EXPECT_EQ(0, serve_visit(new, NULL));
	EXPECT_EQ(0, reap(client));
	EXPECT_EQ(0, fos_close(new));
	EXPECT_EQ(0, entries(self->at.dir, false));
}

/* ---- the lock --------------------------------------------------------- */

TEST_F(path, a_lock_file_left_behind_locks_nobody_out)
{
	int fd = open(self->lock, O_CREAT | O_RDWR, 0600);

	close(fd);
	fd = fos_listen(self->at.path, 4);
	EXPECT_LE(0, fd);
	EXPECT_EQ(1, entries(self->at.dir, false));
}

static int stop_with_the_lock(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	if (fd < 0 || flock(fd, LOCK_EX))
		return 1;
	raise(SIGSTOP);
	return 0;
}

TEST_F_TIMEOUT(path, who_is_stopped_with_the_lock_is_not_waited_for_for_ever,
	       300)
{
	int status, lfd;
	pid_t pid;

	lfd = fos_listen(self->at.path, 4);
	ASSERT_LE(0, lfd);
	pid = spawn();
	if (!pid)
		_exit(stop_with_the_lock(self->lock));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	EXPECT_EQ(-EADDRINUSE, RESULT(fos_listen(self->at.path, 4)));
	/* It stays there, for the next one to replace. */
	EXPECT_EQ(0, fos_close(lfd));
	EXPECT_EQ(0, access(self->at.path, F_OK));
	kill_and_reap(pid);
	EXPECT_LE(0, fos_listen(self->at.path, 4));
}

/* A foot in the door: a link where the lock will be leads nowhere. */
TEST_F(path, the_lock_follows_no_link)
{
	char target[64];

	snprintf(target, sizeof(target), "%s/target", self->at.dir);
	ASSERT_EQ(0, symlink(target, self->lock));
	EXPECT_EQ(-ELOOP, RESULT(fos_listen(self->at.path, 4)));
	EXPECT_EQ(-1, access(target, F_OK));
}

/* ---- many at once ----------------------------------------------------- */

#define RIVALS		6

/**
 * struct race - what rivals share
 * @go: the round
 * @done: how many are through with it
 * @owners: how many hold the path
 * @bad: results that should not be
 */
struct race {
	uint64_t go;
	uint64_t done;
	uint64_t owners;
	uint64_t bad;
};

static void bad(struct race *r)
{
	__atomic_fetch_add(&r->bad, 1, __ATOMIC_SEQ_CST);
}

static void drain(int lfd)
{
	int fd;

	while ((fd = accept(lfd, NULL, NULL)) >= 0)
		close(fd);
}

/* When the others are through, who has the path is who is found there. */
static void check_owner(struct race *r, const char *path, int lfd)
{
	const uint64_t others = r->go * RIVALS - 1;
	int fd;

	if (__atomic_add_fetch(&r->owners, 1, __ATOMIC_SEQ_CST) != 1)
		bad(r);
	if (!wait_for(&r->done, others))
		bad(r);
	/* Those who asked whether he lives. */
	set_nonblock(lfd);
	drain(lfd);
	fd = raw_connect(path, NULL, 0);
	if (fd < 0 || accept(lfd, NULL, NULL) < 0)
		bad(r);
	__atomic_fetch_sub(&r->owners, 1, __ATOMIC_SEQ_CST);
}

static void compete_once(struct race *r, const char *path)
{
	int lfd = fos_listen(path, 64);

	if (lfd >= 0) {
		check_owner(r, path, lfd);
		/* As if killed: the file stays. */
		close(lfd);
	} else if (errno != EADDRINUSE) {
		bad(r);
	}
}

static int compete(struct race *r, const char *path, uint64_t n)
{
	uint64_t i;

	for (i = 1; i <= n; i++) {
		if (!wait_for(&r->go, i))
			return 1;
		compete_once(r, path);
		__atomic_fetch_add(&r->done, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

TEST_F_TIMEOUT(path, of_servers_that_start_at_once_one_gets_the_path, 300)
{
	const uint64_t n = rounds(200);
	struct race *r = shared(4096);
	pid_t pid[RIVALS];
	uint64_t i;
	int j;

	for (j = 0; j < RIVALS; j++) {
		pid[j] = spawn();
		if (!pid[j])
			_exit(compete(r, self->at.path, n));
	}
	for (i = 1; i <= n; i++) {
		__atomic_store_n(&r->go, i, __ATOMIC_RELEASE);
		ASSERT_TRUE(wait_for(&r->done, i * RIVALS));
	}
	for (j = 0; j < RIVALS; j++)
		EXPECT_EQ(0, reap(pid[j]));
	EXPECT_EQ(0, r->bad);
	EXPECT_EQ(1, entries(self->at.dir, false));
}

/* Listen and close, so often. */
static int come_and_go_so_often(struct race *r, const char *path, long n)
{
	int lfd;

	for (; n; n--) {
		lfd = fos_listen(path, 4);
		if (lfd < 0 && errno != EADDRINUSE)
			bad(r);
		if (lfd < 0)
			continue;
		if (__atomic_add_fetch(&r->owners, 1, __ATOMIC_SEQ_CST) != 1)
			bad(r);
		__atomic_fetch_sub(&r->owners, 1, __ATOMIC_SEQ_CST);
		if (n & 1 ? fos_close(lfd) : close(lfd))
			bad(r);
	}
	return 0;
}

TEST_F_TIMEOUT(path, servers_that_come_and_go_never_share_the_path, 300)
{
	const long n = rounds(3000);
	struct race *r = shared(4096);
	pid_t pid[RIVALS];
	int j;

	for (j = 0; j < RIVALS; j++) {
		pid[j] = spawn();
		if (!pid[j])
			_exit(come_and_go_so_often(r, self->at.path, n));
	}
	for (j = 0; j < RIVALS; j++)
		EXPECT_EQ(0, reap(pid[j]));
	EXPECT_EQ(0, r->bad);
	EXPECT_EQ(-1, access(self->lock, F_OK));
}

/* Listen and close, for ever. */
static int come_and_go(const char *path, uint64_t *turns)
{
	int lfd;

	for (;;) {
		lfd = fos_listen(path, 4);
		if (lfd < 0 && errno != EADDRINUSE)
			return errno;
		__atomic_fetch_add(turns, 1, __ATOMIC_RELAXED);
		if (lfd >= 0)
			fos_close(lfd);
	}
}

/* Whatever they were doing: the next one gets the path. */
TEST_F_TIMEOUT(path, servers_killed_anywhere_are_no_obstacle, 300)
{
	const int n = rounds(40);
	uint64_t *turns = shared(4096), seed = rnd_seed("killed anywhere");
	pid_t pid[3];
	int i, j, lfd;

	for (i = 0; i < n; i++) {
		*turns = 0;
		for (j = 0; j < 3; j++) {
			pid[j] = spawn();
			if (!pid[j])
				_exit(come_and_go(self->at.path, turns));
		}
		ASSERT_TRUE(wait_for(turns, 1 + rnd_below(&seed, 6)));
		nap_us(rnd_below(&seed, 500));
		for (j = 0; j < 3; j++)
			kill(pid[j], SIGKILL);
		for (j = 0; j < 3; j++)
			EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid[j]));
		lfd = fos_listen(self->at.path, 4);
		ASSERT_LE(0, lfd);
		EXPECT_EQ(1, entries(self->at.dir, false));
		EXPECT_EQ(0, fos_close(lfd));
		EXPECT_EQ(0, entries(self->at.dir, false));
	}
}

/* ---- restart ---------------------------------------------------------- */

static bool is_death(long ret)
{
	return ret == -EPIPE || ret == -ECONNRESET;
}

TEST_F(path, after_a_restart_old_ends_are_dead_and_new_ones_work)
{
	pid_t server;
	int old = -1, fd, i;
	long ret;

	for (i = 0; i < 5; i++) {
		server = spawn_server(self->at.path);
		fd = fos_connect(self->at.path, NULL);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, say(fd, i));
		if (old >= 0) {
			ret = say(old, i);
			EXPECT_TRUE(is_death(ret)) TH_LOG("%ld", ret);
			EXPECT_TRUE(hangs_up(old));
			EXPECT_EQ(0, fos_close(old));
		}
		old = fd;
		kill_and_reap(server);
	}
	ret = say(old, i);
	EXPECT_TRUE(is_death(ret)) TH_LOG("%ld", ret);
}

/* Who waits for a server that dies is told. */
TEST_F(path, a_server_that_dies_before_it_accepts_refuses)
{
	uint64_t *ready = shared(4096);
	pid_t server, client;

	server = spawn();
	if (!server) {
		int lfd = fos_listen(self->at.path, 4);

		__atomic_store_n(ready, lfd >= 0 ? 1 : 0, __ATOMIC_RELEASE);
		pause();
		_exit(0);
	}
	ASSERT_TRUE(wait_for(ready, 1));
	client = spawn_visit(self->at.path);
	EXPECT_TRUE(wait_asleep(client));
	kill_and_reap(server);
	EXPECT_EQ(ECONNREFUSED, reap(client));
}

/* Visits, again and again: what he may be told when servers come and go. */
static int keep_visiting(const char *path, uint64_t *visits, uint64_t n)
{
	int ret;

	while (__atomic_load_n(visits, __ATOMIC_ACQUIRE) < n) {
		ret = visit(path, NULL);
		if (!ret)
			__atomic_fetch_add(visits, 1, __ATOMIC_SEQ_CST);
		else if (ret != ENOENT && ret != ECONNREFUSED &&
			 ret != EPIPE && ret != ECONNRESET)
			return ret;
	}
	return 0;
}

TEST_F_TIMEOUT(path, clients_outlive_servers_killed_in_the_middle, 300)
{
	const uint64_t n = rounds(100);
	uint64_t *visits = shared(4096), seed = rnd_seed("killed servers");
	uint64_t life = 20000;
	pid_t client[4], server;
	int i;

	for (i = 0; i < 4; i++) {
		client[i] = spawn();
		if (!client[i])
			_exit(keep_visiting(self->at.path, visits, n));
	}
	while (__atomic_load_n(visits, __ATOMIC_ACQUIRE) < n) {
		server = spawn_server(self->at.path);
		nap_us(rnd_below(&seed, life));
		EXPECT_EQ(REAP_SIGNAL(SIGKILL), kill_and_reap(server));
		/* Where everything is slow a visit takes longer than that. */
		life += life / 16;
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, reap(client[i]));
}

TEST_HARNESS_MAIN
