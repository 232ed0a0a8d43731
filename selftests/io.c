// SPDX-License-Identifier: GPL-2.0-only
/*
 * File I/O: what the calls return and do is what pread(2) and pwrite(2) would.
 *
 * gates: asan tsan
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "io.h"

/* ---- what comes of it ------------------------------------------------- */

TEST_F(io, reads_are_those_of_pread)
{
	ssize_t n;
	off_t at;
	size_t len;
	long i;

	for (i = rounds(2000); i; i--) {
		somewhere(&self->seed, variant->flags, &len, &at);
		n = pread(self->fd, self->same, len, at);
		forget_cache(self->fd, i);
		ASSERT_EQ(n, fos_pread(self->fd, self->in, len, at));
		ASSERT_EQ(0, memcmp(self->in, self->same, n));
	}
}

TEST_F(io, vectors_are_those_of_preadv)
{
	struct iovec a[3], b[3];
	size_t len, used;
	ssize_t n;
	off_t at;
	long i;
	int v;

	for (i = rounds(1000); i; i--) {
		for (v = 0, used = 0; v < 3; v++, used += len) {
			somewhere(&self->seed, variant->flags, &len, &at);
			a[v] = (struct iovec) { self->same + used, len };
			b[v] = (struct iovec) { self->in + used, len };
		}
		n = preadv(self->fd, a, 3, at);
		forget_cache(self->fd, i);
		ASSERT_EQ(n, fos_preadv(self->fd, b, 3, at));
		ASSERT_EQ(0, memcmp(self->in, self->same, n));
	}
}

TEST_F(io, writes_are_those_of_pwrite)
{
	struct iovec v[2];
	size_t len;
	off_t at;
	long i;

	for (i = rounds(500); i; i--) {
		somewhere(&self->seed, variant->flags, &len, &at);
		if (at + len > BYTES)
			at = 0;
		memset(self->out + at, i, len);
		v[0] = (struct iovec) { self->out + at, 0 };
		v[1] = (struct iovec) { self->out + at, len };
		ASSERT_EQ((ssize_t)len, i % 2 ?
			  fos_pwrite(self->fd, self->out + at, len, at) :
			  fos_pwritev(self->fd, v, 2, at));
	}
	EXPECT_EQ(0, fos_fsync(self->fd));
	ASSERT_EQ(BYTES, pread(self->fd, self->in, BYTES, 0));
	EXPECT_EQ(0, memcmp(self->in, self->out, BYTES));
}

#define SAME(call, other) do { \
	const long want = RESULT(other); \
	EXPECT_EQ(want, RESULT(call)); \
} while (0)

TEST_F(io, errors_are_the_same)
{
	char *nowhere = mmap(NULL, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	struct iovec v = { nowhere, BLOCK };
	/* Or the compiler knows what is wrong with it. */
	struct iovec *volatile null[] = { NULL };
	const volatile int none[] = { -1 };
	int p[2], fds[5], *fd;

	ASSERT_EQ(0, pipe(p));
	fds[0] = self->fd;
	fds[1] = -1;
	fds[2] = p[0];
	fds[3] = open("/proc/self", O_PATH | O_CLOEXEC);
	fds[4] = open("/", O_RDONLY | O_CLOEXEC);
	for (fd = fds; fd < fds + ARRAY_SIZE(fds); fd++) {
		SAME(fos_pread(*fd, self->in, 10, -1), pread(*fd, self->in, 10, -1));
		SAME(fos_pread(*fd, self->in, 10, -10), pread(*fd, self->in, 10, -10));
		SAME(fos_pwrite(*fd, self->in, 10, -1), pwrite(*fd, self->in, 10, -1));
		SAME(fos_pread(*fd, nowhere, BLOCK, 0), pread(*fd, nowhere, BLOCK, 0));
		SAME(fos_pread(*fd, self->in, 0, 0), pread(*fd, self->in, 0, 0));
		SAME(fos_preadv(*fd, &v, 1, 0), preadv(*fd, &v, 1, 0));
		SAME(fos_preadv(*fd, &v, 0, 0), preadv(*fd, &v, 0, 0));
		SAME(fos_preadv(*fd, &v, *none, 0), preadv(*fd, &v, *none, 0));
		SAME(fos_preadv(*fd, *null, 2, 0), preadv(*fd, *null, 2, 0));
		SAME(fos_pwritev(*fd, &v, 1, 0), pwritev(*fd, &v, 1, 0));
		/* With O_DIRECT only. */
		SAME(fos_pread(*fd, self->in + 1, BLOCK, 0),
		     pread(*fd, self->in + 1, BLOCK, 0));
		SAME(fos_pread(*fd, self->in, BLOCK, 3),
		     pread(*fd, self->in, BLOCK, 3));
		SAME(fos_pwrite(*fd, self->out, BLOCK, BLOCK + 1),
		     pwrite(*fd, self->out, BLOCK, BLOCK + 1));
		SAME(fos_fsync(*fd), fsync(*fd));
	}
	close(fds[3]);
	close(fds[4]);
}

TEST_F(io, a_file_that_may_not_be_written_or_read_says_so)
{
	char link[64];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->fd);
	fd = open(link, O_RDONLY | O_CLOEXEC | variant->flags);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, RESULT(fos_pwrite(fd, self->out, BLOCK, 0)));
	EXPECT_EQ(BLOCK, fos_pread(fd, self->in, BLOCK, 0));
	close(fd);
	fd = open(link, O_WRONLY | O_CLOEXEC | variant->flags);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, RESULT(fos_pread(fd, self->in, BLOCK, 0)));
	EXPECT_EQ(BLOCK, fos_pwrite(fd, self->out, BLOCK, 0));
	close(fd);
}

/* io_uring would say EAGAIN where it had to wait. */
TEST_F(io, nonblock_is_nothing_to_a_file)
{
	long i;

	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK | variant->flags));
	for (i = 0; i < BLOCKS; i++) {
		forget_cache(self->fd, i);
		ASSERT_EQ(BLOCK, fos_pread(self->fd, self->in, BLOCK, i * BLOCK));
		ASSERT_EQ(0, memcmp(self->in, self->out + i * BLOCK, BLOCK));
	}
}

/* The number is remembered, and what it was. */
TEST_F(io, a_number_used_again_is_the_new_file)
{
	int p[2], number = self->fd;
	long i;

	for (i = 0; i < 40; i++)
		ASSERT_EQ(BLOCK, fos_pread(number, self->in, BLOCK, 0));
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(number, dup2(p[0], number));
	for (i = 0; i < 40; i++)
		EXPECT_EQ(-ESPIPE, RESULT(fos_pread(number, self->in, BLOCK, 0)));
	ASSERT_EQ(number, dup2(open_file(0), number));
	ASSERT_EQ(BLOCK, pwrite(number, self->out, BLOCK, 0));
	for (i = 0; i < 40; i++)
		EXPECT_EQ(BLOCK, fos_pread(number, self->in, BLOCK, 0));
	EXPECT_EQ(0, memcmp(self->in, self->out, BLOCK));
}

static void no_op(int sig UNUSED)
{
}

TEST_F(io, signals_end_nothing)
{
	const struct sigaction act = { .sa_handler = no_op };
	const struct itimerval often = { { 0, 300 }, { 0, 300 } };
	const struct itimerval never = { 0 };
	size_t len;
	off_t at;
	long i;

	ASSERT_EQ(0, sigaction(SIGALRM, &act, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	for (i = rounds(2000); i; i--) {
		somewhere(&self->seed, variant->flags, &len, &at);
		if (at + len > BYTES)
			at = 0;
		forget_cache(self->fd, i);
		ASSERT_EQ((ssize_t)len, RESULT(fos_pread(self->fd, self->in,
							 len, at)));
		ASSERT_EQ(0, memcmp(self->in, self->out + at, len));
	}
	setitimer(ITIMER_REAL, &never, NULL);
}

/* ---- without io_uring ------------------------------------------------- */

static int forbid_io_uring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { ARRAY_SIZE(filter), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

TEST_F(io, where_io_uring_is_forbidden_calls_are_plain)
{
	struct fos_io_stats s;
	uint64_t io;
	long i;

	ASSERT_EQ(0, forbid_io_uring());
	for (i = 0; i < BLOCKS; i++) {
		forget_cache(self->fd, 0);
		ASSERT_EQ(BLOCK, fos_pread(self->fd, self->in, BLOCK, i * BLOCK));
		ASSERT_EQ(0, memcmp(self->in, self->out + i * BLOCK, BLOCK));
	}
	ASSERT_EQ(0, fos_pread_async(self->fd, self->in, BLOCK, 0, &io));
	EXPECT_EQ(BLOCK, end_of(io));
	s = stats_now();
	/* Else all may be in the cache, and nothing wants a ring. */
	if (variant->flags) {
		EXPECT_EQ(EPERM, s.error);
		EXPECT_LT(0, s.plain);
	}
	EXPECT_EQ(0, s.found + s.missed + s.slept);
}

TEST_F(io, a_ring_that_could_not_be_made_is_tried_again)
{
	struct rlimit old, few = { 0 };
	long i;

	if (!variant->flags)
		SKIP(return, "about calls that want a ring");
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	few.rlim_max = old.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	EXPECT_EQ(BLOCK, fos_pread(self->fd, self->in, BLOCK, 0));
	EXPECT_EQ(EMFILE, stats_now().error);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	for (i = 0; i < 2000 && stats_now().error; i++)
		ASSERT_EQ(BLOCK, fos_pread(self->fd, self->in, BLOCK, 0));
	EXPECT_EQ(0, stats_now().error);
}

/* ---- counts ----------------------------------------------------------- */

TEST_F(io, each_read_is_counted_once)
{
	struct fos_io_stats s;
	long i;

	for (i = 0; i < 200; i++) {
		forget_cache(self->fd, i);
		ASSERT_EQ(BLOCK, fos_pread(self->fd, self->in, BLOCK,
					   i % BLOCKS * BLOCK));
	}
	s = stats_now();
	/* What the ring found in the cache, or at once, has not waited. */
	EXPECT_GE(200, s.cached + s.plain + s.found + s.missed + s.slept);
	if (variant->flags) {
		EXPECT_EQ(0, s.cached);
		EXPECT_LT(0, s.found + s.missed + s.slept);
	}
	EXPECT_EQ(-EINVAL, RESULT(fos_io_stats(NULL, sizeof(s))));
	EXPECT_EQ(-EINVAL, RESULT(fos_io_stats(&s, 0)));
}

/* Many that take turns are not polled for by what was learnt of others. */
TEST_F(io, where_polling_never_pays_it_ends)
{
	char link[64];
	int fd[16], i;
	long n;

	if (!env_number("FOS_IO_SLOW", 0) || !variant->flags)
		SKIP(return, "about a slow device");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->fd);
	for (i = 0; i < 16; i++)
		fd[i] = open(link, O_RDONLY | O_CLOEXEC | O_DIRECT);
	for (n = 0; n < 20; n++)
		for (i = 0; i < 16; i++)
			ASSERT_EQ(BLOCK, fos_pread(fd[i], self->in, BLOCK, 0));
	EXPECT_GT(80, stats_now().missed);
	EXPECT_LT(200, stats_now().slept);
	for (i = 0; i < 16; i++)
		close(fd[i]);
}

TEST_HARNESS_MAIN
