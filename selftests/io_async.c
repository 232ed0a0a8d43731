// SPDX-License-Identifier: GPL-2.0-only
/*
 * File I/O in the background: several at a time, threads that end and processes that
 * fork in the middle of it.
 *
 * gates: asan tsan
 */
#include "io.h"

/* ---- asynchronous ----------------------------------------------------- */

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

TEST_HARNESS_MAIN
