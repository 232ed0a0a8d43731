// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is registered for file I/O: what is read and written is the same, only
 * what lies all in one piece goes by it, and nobody else's calls do.
 *
 * gates: asan tsan
 * not under asan: a_child_has_none_registered (it forks beside a thread)
 * not under tsan: a_child_has_none_registered (the same)
 */
#include <sys/resource.h>

#include "io.h"

static long reg(void *buf, size_t n)
{
	return RESULT(fos_io_register(buf, n));
}

static long unreg(void *buf)
{
	return RESULT(fos_io_unregister(buf));
}

/* By the ring, whatever the policy says. */
static long read_async(int fd, void *buf, size_t n, off_t offset)
{
	uint64_t io;

	return fos_pread_async(fd, buf, n, offset, &io) ? -errno : end_of(io);
}

static char *fresh(void *at, size_t n)
{
	return mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		    (at ? MAP_FIXED : 0), -1, 0);
}

TEST_F(io, what_is_read_is_the_same)
{
	size_t n, at;
	off_t offset;
	long i, ret;

	ASSERT_EQ(0, reg(self->in + BLOCK, BYTES / 2));
	ASSERT_EQ(0, reg(self->in + BYTES / 2 + 2 * BLOCK, 4 * BLOCK));
	for (i = 0; i < rounds(2000); i++) {
		forget_cache(self->fd, i);
		somewhere(&self->seed, variant->flags, &n, &offset);
		/* Within a piece, beside it, over its edges. */
		at = rnd_below(&self->seed, BLOCKS - 5) * BLOCK;
		ret = RESULT(pread(self->fd, self->same + at, n, offset));
		ASSERT_EQ(ret, i % 2 ?
			  RESULT(fos_pread(self->fd, self->in + at, n, offset)) :
			  read_async(self->fd, self->in + at, n, offset));
		if (ret > 0)
			ASSERT_EQ(0, memcmp(self->in + at, self->same + at, ret));
	}
	EXPECT_EQ(0, unreg(self->in + BLOCK));
	EXPECT_EQ(BLOCK, read_async(self->fd, self->in + BLOCK, BLOCK, 0));
	EXPECT_EQ(0, memcmp(self->in + BLOCK, self->out, BLOCK));
}

TEST_F(io, what_is_written_is_the_same)
{
	uint64_t io;
	long i;

	ASSERT_EQ(0, reg(self->out, BYTES));
	for (i = 0; i < BLOCKS; i++) {
		memset(self->out + i * BLOCK, i + 1, BLOCK);
		ASSERT_EQ(BLOCK, fos_pwrite(self->fd, self->out + i * BLOCK, BLOCK,
					    i * BLOCK));
		ASSERT_EQ(BLOCK, pread(self->fd, self->in, BLOCK, i * BLOCK));
		ASSERT_EQ(0, memcmp(self->in, self->out + i * BLOCK, BLOCK));
		memset(self->out + i * BLOCK, -i, BLOCK);
		ASSERT_EQ(0, fos_pwrite_async(self->fd, self->out + i * BLOCK,
					      BLOCK, i * BLOCK, &io));
		ASSERT_EQ(BLOCK, end_of(io));
		ASSERT_EQ(BLOCK, pread(self->fd, self->in, BLOCK, i * BLOCK));
		ASSERT_EQ(0, memcmp(self->in, self->out + i * BLOCK, BLOCK));
	}
}

/* What takes its place does not see what is read: so it really is by the piece. */
TEST_F(io, it_is_the_memory_that_was_registered)
{
	char *p = fresh(NULL, 4 * BLOCK);

	if (!variant->flags)
		SKIP(return, "about calls that want a ring");
	/* The ring is made, which the piece is registered with. */
	ASSERT_EQ(BLOCK, read_async(self->fd, p, BLOCK, 0));
	ASSERT_EQ(0, reg(p, 2 * BLOCK));
	ASSERT_EQ(p, fresh(p, 4 * BLOCK));
	ASSERT_EQ(2 * BLOCK, read_async(self->fd, p, 2 * BLOCK, 0));
	EXPECT_NE(0, memcmp(p, self->out, BLOCK));
	EXPECT_NE(0, memcmp(p + BLOCK, self->out + BLOCK, BLOCK));
	/* Over its edge it is not. */
	ASSERT_EQ(2 * BLOCK, read_async(self->fd, p + BLOCK, 2 * BLOCK, 0));
	EXPECT_EQ(0, memcmp(p + BLOCK, self->out, 2 * BLOCK));
	ASSERT_EQ(0, unreg(p));
	ASSERT_EQ(BLOCK, read_async(self->fd, p, BLOCK, BLOCK));
	EXPECT_EQ(0, memcmp(p, self->out + BLOCK, BLOCK));
	/* Again, elsewhere. */
	ASSERT_EQ(0, reg(p + BLOCK, BLOCK));
	ASSERT_EQ(BLOCK, read_async(self->fd, p + BLOCK, BLOCK, 0));
	EXPECT_EQ(0, memcmp(p + BLOCK, self->out, BLOCK));
}

TEST_F(io, nonsense_is_not_registered)
{
	char *nowhere = mmap(NULL, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	int i;

	EXPECT_EQ(-EINVAL, reg(NULL, BLOCK));
	EXPECT_EQ(-EINVAL, reg(self->in, 0));
	EXPECT_EQ(-EINVAL, reg(self->in, (1UL << 30) + 1));
	EXPECT_EQ(-EFAULT, reg(nowhere, BLOCK));
	EXPECT_EQ(-ENOENT, unreg(NULL));
	EXPECT_EQ(-ENOENT, unreg(self->in));
	ASSERT_EQ(0, reg(self->in + BLOCK, BLOCK));
	EXPECT_EQ(-EEXIST, reg(self->in, BLOCK + 1));
	EXPECT_EQ(-EEXIST, reg(self->in + 2 * BLOCK - 1, BLOCK));
	EXPECT_EQ(-ENOENT, unreg(self->in + BLOCK + 1));
	for (i = 1; i < FOS_IO_PIECES; i++)
		ASSERT_EQ(0, reg(self->in + (1 + 2 * i) * BLOCK, BLOCK));
	EXPECT_EQ(-EBUSY, reg(self->in, BLOCK));
	ASSERT_EQ(0, unreg(self->in + BLOCK));
	EXPECT_EQ(-ENOENT, unreg(self->in + BLOCK));
	EXPECT_EQ(0, reg(self->in, 2 * BLOCK));
	/* Memory of what could not be registered is read into as any other. */
	EXPECT_EQ(-EFAULT, read_async(self->fd, nowhere, BLOCK, 0));
}

struct reader {
	int fd;
	char *in;
	long n;
};

static void *read_one(void *arg)
{
	struct reader *r = arg;

	r->n = read_async(r->fd, r->in, BLOCK, 0);
	if (r->n == BLOCK && fos_io_register(r->in, BLOCK))
		r->n = -errno;
	return NULL;
}

TEST_F(io, it_is_for_one_thread)
{
	struct reader r = { .fd = self->fd, .in = fresh(NULL, BLOCK) };
	pthread_t t;

	ASSERT_EQ(0, reg(r.in, BLOCK));
	ASSERT_EQ(r.in, fresh(r.in, BLOCK));
	ASSERT_EQ(0, pthread_create(&t, NULL, read_one, &r));
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_EQ(BLOCK, r.n);
	EXPECT_EQ(0, memcmp(r.in, self->out, BLOCK));
	EXPECT_EQ(0, unreg(r.in));
}

TEST_F(io, a_child_has_none_registered)
{
	char *p = fresh(NULL, BLOCK);
	pid_t pid;

	ASSERT_EQ(0, reg(p, BLOCK));
	pid = spawn();
	if (!pid) {
		if (unreg(p) != -ENOENT)
			_exit(1);
		if (fresh(p, BLOCK) != p ||
		    read_async(self->fd, p, BLOCK, BLOCK) != BLOCK ||
		    memcmp(p, self->out + BLOCK, BLOCK))
			_exit(2);
		_exit(reg(p, BLOCK) || unreg(p) ? 3 : 0);
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(BLOCK, read_async(self->fd, p, BLOCK, 0));
	EXPECT_EQ(0, memcmp(p, self->out, BLOCK));
}

TEST_HARNESS_MAIN
