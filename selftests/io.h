/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of file I/O share.  The files are in the working directory, or
 * FOS_IO_DEVICE is a block device that may be written; FOS_IO_SLOW=1: it takes ten
 * milliseconds for each.
 */
#ifndef FOS_SELFTESTS_IO_H
#define FOS_SELFTESTS_IO_H

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

static inline const char *device(void)
{
	return getenv("FOS_IO_DEVICE");
}

/* Without a name, so that nothing is left behind. */
static inline int open_file(int flags)
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
static inline void somewhere(uint64_t *seed, int flags, size_t *n, off_t *offset)
{
	const size_t unit = flags & O_DIRECT ? BLOCK : 1;

	*n = rnd_below(seed, 5 * BLOCK / unit) * unit;
	*offset = rnd_below(seed, (BYTES + BLOCK) / unit) * unit;
	/* A device goes on there. */
	if (device() && *offset + *n > BYTES)
		*offset = 0;
}

/* Reads that have to wait come in between. */
static inline void forget_cache(int fd, long i)
{
	if (i % 16 == 0)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static inline struct fos_io_stats stats_now(void)
{
	struct fos_io_stats s;

	fos_io_stats(&s, sizeof(s));
	return s;
}

static inline int open_descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static inline ssize_t end_of(uint64_t io)
{
	const struct timespec deadline = deadline_in(HANG_MS);
	long ret;

	do
		ret = RESULT(fos_io_wait(io, &deadline));
	while (ret == -EINTR);
	return ret;
}

#endif
