// SPDX-License-Identifier: GPL-2.0-only
/*
 * File I/O: what the calls return and do is what pread(2) and pwrite(2) would.  The
 * files are in the working directory, or FOS_IO_DEVICE is a block device that may be
 * written; FOS_IO_SLOW=1: it takes ten milliseconds for each.
 *
 * gates: asan tsan
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "peers.h"
#include "kselftest_harness.h"

#define BLOCK		4096
#define BLOCKS		64
#define BYTES		(BLOCK * BLOCKS)

FIXTURE(io) {
	int fd;
	char *in;
	char *same;
	char *out;
	uint64_t seed;
};

FIXTURE_VARIANT(io) {
	int flags;
};

FIXTURE_VARIANT_ADD(io, cached) { .flags = 0 };
FIXTURE_VARIANT_ADD(io, direct) { .flags = O_DIRECT };

static const char *device(void)
{
	return getenv("FOS_IO_DEVICE");
}

/* Without a name, so that nothing is left behind. */
static int open_file(int flags)
{
	char path[] = "io.XXXXXX";
	int fd, named;

	if (device())
		return open(device(), O_RDWR | O_CLOEXEC | flags);
	named = mkstemp(path);
	if (named < 0)
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC | flags);
	unlink(path);
	close(named);
	return fd;
}

FIXTURE_SETUP(io)
{
	size_t i;

	self->seed = rnd_seed("io");
	self->in = aligned_alloc(BLOCK, BYTES);
	self->same = aligned_alloc(BLOCK, BYTES);
	self->out = aligned_alloc(BLOCK, BYTES);
	ASSERT_TRUE(self->in && self->same && self->out);
	for (i = 0; i < BYTES; i++)
		self->out[i] = rnd(&self->seed);
	self->fd = open_file(variant->flags);
	if (self->fd < 0 && errno == EINVAL)
		SKIP(return, "no O_DIRECT in this file system");
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(BYTES, pwrite(self->fd, self->out, BYTES, 0));
}

FIXTURE_TEARDOWN(io)
{
	close(self->fd);
	free(self->in);
	free(self->same);
	free(self->out);
}

/* Anywhere, also over the end; with O_DIRECT blocks. */
static void somewhere(uint64_t *seed, int flags, size_t *n, off_t *offset)
{
	const size_t unit = flags & O_DIRECT ? BLOCK : 1;

	*n = rnd_below(seed, 5 * BLOCK / unit) * unit;
	*offset = rnd_below(seed, (BYTES + BLOCK) / unit) * unit;
	/* A device goes on there. */
	if (device() && *offset + *n > BYTES)
		*offset = 0;
}

/* Reads that have to wait come in between. */
static void forget_cache(int fd, long i)
{
	if (i % 16 == 0)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static struct fos_io_stats stats_now(void)
{
	struct fos_io_stats s;

	fos_io_stats(&s, sizeof(s));
	return s;
}

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

/* ---- asynchronous ----------------------------------------------------- */

static ssize_t end_of(uint64_t io)
{
	const struct timespec deadline = deadline_in(HANG_MS);
	long ret;

	do
		ret = RESULT(fos_io_wait(io, &deadline));
	while (ret == -EINTR);
	return ret;
}

TEST_F(io, as_many_as_there_may_be_are_under_way)
{
	static char zeroes[BLOCK] __attribute__((aligned(BLOCK)));
	uint64_t io[FOS_IO_MAX], one;
	long i, n;

	for (n = rounds(50); n; n--) {
		memset(self->in, 0, BYTES);
		forget_cache(self->fd, n);
		for (i = 0; i < FOS_IO_MAX; i++)
			ASSERT_EQ(0, fos_pread_async(self->fd, self->in + i * BLOCK,
						     BLOCK, i * BLOCK, &io[i]));
		EXPECT_EQ(-EBUSY, RESULT(fos_fsync_async(self->fd, &one)));
		/* Nor is it done. */
		EXPECT_EQ(-EBUSY, RESULT(fos_pwrite_async(self->fd, zeroes, BLOCK,
							  0, &one)));
		for (i = 0; i < FOS_IO_MAX; i++)
			ASSERT_EQ(BLOCK, end_of(io[n % 2 ? i : FOS_IO_MAX - 1 - i]));
		ASSERT_EQ(0, memcmp(self->in, self->out, BYTES));
		for (i = 0; i < FOS_IO_MAX; i++)
			ASSERT_EQ(-EINVAL, end_of(io[i]));
	}
}

TEST_F(io, what_was_written_is_read)
{
	uint64_t io[2];
	long i;

	for (i = 0; i < BLOCKS; i++) {
		memset(self->out + i * BLOCK, i + 1, BLOCK);
		ASSERT_EQ(0, fos_pwrite_async(self->fd, self->out + i * BLOCK,
					      BLOCK, i * BLOCK, &io[0]));
		ASSERT_EQ(BLOCK, end_of(io[0]));
		ASSERT_EQ(0, fos_fsync_async(self->fd, &io[0]));
		ASSERT_EQ(0, fos_pread_async(self->fd, self->in, BLOCK,
					     i * BLOCK, &io[1]));
		ASSERT_EQ(0, end_of(io[0]));
		ASSERT_EQ(BLOCK, end_of(io[1]));
		ASSERT_EQ(0, memcmp(self->in, self->out + i * BLOCK, BLOCK));
	}
}

TEST_F(io, errors_come_when_it_is_waited_for)
{
	char *nowhere = mmap(NULL, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	uint64_t io;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, fos_pread_async(-1, self->in, BLOCK, 0, &io));
	EXPECT_EQ(-EBADF, end_of(io));
	ASSERT_EQ(0, fos_pread_async(p[0], self->in, BLOCK, 0, &io));
	EXPECT_EQ(-ESPIPE, end_of(io));
	ASSERT_EQ(0, fos_pread_async(self->fd, self->in, BLOCK, -1, &io));
	EXPECT_EQ(-EINVAL, end_of(io));
	ASSERT_EQ(0, fos_pread_async(self->fd, nowhere, BLOCK, 0, &io));
	EXPECT_EQ(-EFAULT, end_of(io));
	EXPECT_EQ(-EINVAL, RESULT(fos_pread_async(self->fd, self->in, BLOCK, 0,
						  NULL)));
	EXPECT_EQ(-EINVAL, end_of(0));
	EXPECT_EQ(-EINVAL, end_of(UINT64_MAX));
}

TEST_F(io, a_deadline_ends_the_wait_and_not_the_call)
{
	const struct timespec past = { 0 };
	const struct timespec nonsense = { .tv_nsec = -1 };
	long ret, n, timed_out = 0;
	uint64_t io;

	for (n = 0; n < 100; n++) {
		memset(self->in, 0, BLOCK);
		forget_cache(self->fd, 0);
		ASSERT_EQ(0, fos_pread_async(self->fd, self->in, BLOCK, 0, &io));
		EXPECT_EQ(-EINVAL, RESULT(fos_io_wait(io, &nonsense)));
		while ((ret = RESULT(fos_io_wait(io, &past))) == -ETIMEDOUT)
			timed_out++;
		ASSERT_EQ(BLOCK, ret);
		ASSERT_EQ(0, memcmp(self->in, self->out, BLOCK));
	}
	if (env_number("FOS_IO_SLOW", 0))
		EXPECT_LE(n, timed_out);
}

/* A completion is no signal. */
TEST_F(io, what_is_under_way_interrupts_no_other_call)
{
	struct pollfd none = { .fd = -1 };
	uint64_t io;
	long i;

	for (i = 0; i < 20; i++) {
		forget_cache(self->fd, 0);
		ASSERT_EQ(0, fos_pread_async(self->fd, self->in, BLOCK, 0, &io));
		EXPECT_EQ(0, poll(&none, 1, 20)) TH_LOG("errno %d", errno);
		EXPECT_EQ(BLOCK, end_of(io));
	}
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

/* ---- threads and processes -------------------------------------------- */

static void *read_one(void *arg)
{
	const int fd = *(int *)arg;
	char *in = aligned_alloc(BLOCK, BLOCK);
	uint64_t io;
	ssize_t n = -1;

	if (!fos_pread_async(fd, in, BLOCK, 0, &io))
		n = end_of(io);
	free(in);
	return (void *)n;
}

static int open_descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

TEST_F(io, a_thread_that_ends_gives_its_ring_back)
{
	const int before = open_descriptors();
	pthread_t thread;
	void *ret;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, read_one, &self->fd));
		ASSERT_EQ(0, pthread_join(thread, &ret));
		EXPECT_EQ(BLOCK, (long)ret);
	}
	EXPECT_EQ(before, open_descriptors());
}

#define LARGE	(BYTES / 4)

/* Leaves them under way. */
static void *begin_many(void *arg)
{
	char *in = ((void **)arg)[0];
	uint64_t io;
	int i;

	for (i = 0; i < FOS_IO_MAX; i++)
		fos_pread_async(*(int *)((void **)arg)[1], in + i * LARGE, LARGE,
				i % 4 * LARGE, &io);
	return NULL;
}

TEST_F(io, the_memory_is_let_alone_when_the_thread_has_ended)
{
	const size_t all = FOS_IO_MAX * LARGE;
	char *in = aligned_alloc(BLOCK, all);
	void *arg[] = { in, &self->fd };
	pthread_t thread;

	forget_cache(self->fd, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, begin_many, arg));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	memset(in, 0, all);
	nap_us(300000);
	EXPECT_EQ(0, in[0]);
	EXPECT_EQ(0, memcmp(in, in + 1, all - 1));
	free(in);
}

static void *close_all(void *arg)
{
	const int fd = *(int *)arg;
	int i, *there = (int *)arg + 1;

	if ((long)read_one(arg) != BLOCK)
		return (void *)1;
	for (i = 3; i < 64; i++)
		if (i != fd)
			close(i);
	for (i = 3; i < 64; i++)
		there[i] = i == fd ? fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
	return NULL;
}

/* A program may close what it does not know, and the numbers are others' then. */
TEST_F(io, a_number_that_was_the_ring_s_is_not_closed)
{
	int arg[65] = { self->fd };
	pthread_t thread;
	pid_t pid = spawn();
	void *ret;
	int i;

	if (!pid) {
		pthread_create(&thread, NULL, close_all, arg);
		pthread_join(thread, &ret);
		for (i = 3; i < 64 && !ret; i++)
			if (fcntl(arg[1 + i], F_GETFD) < 0)
				_exit(2);
		_exit(!!ret);
	}
	EXPECT_EQ(0, reap(pid));
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

TEST_F(io, a_name_is_the_thread_s_that_made_it)
{
	pthread_t thread;
	uint64_t io;
	void *ret;

	ASSERT_EQ(0, fos_pread_async(self->fd, self->in, BLOCK, 0, &io));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_one, &self->fd));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(BLOCK, (long)ret);
	EXPECT_EQ(BLOCK, end_of(io));
}

TEST_F(io, a_child_begins_anew)
{
	uint64_t io, own;
	pid_t pid;

	ASSERT_EQ(0, fos_pread_async(self->fd, self->in, BLOCK, 0, &io));
	pid = spawn();
	if (!pid) {
		if (fos_pread_async(self->fd, self->same, BLOCK, 0, &own) ||
		    end_of(io) != -EINVAL || end_of(own) != BLOCK)
			_exit(1);
		if (fos_pread(self->fd, self->same, BLOCK, BLOCK) != BLOCK ||
		    memcmp(self->same, self->out + BLOCK, BLOCK))
			_exit(2);
		if (fos_pread_async(self->fd, self->same, BLOCK, 0, &io) ||
		    end_of(io) != BLOCK)
			_exit(3);
		_exit(0);
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(BLOCK, end_of(io));
	EXPECT_EQ(0, memcmp(self->in, self->out, BLOCK));
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

TEST_HARNESS_MAIN
