// SPDX-License-Identifier: MIT
/*
 * io: which way a call goes.  Reads are first looked for in the cache, where the
 * kernel would not wait; a wait for a device goes by the ring.  Everything else is
 * the plain call: writes into the cache hardly wait, and a flush takes so long that
 * the worker it would need in the ring is only one more switch.
 */
#include "io.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "internal.h"

/* Descriptors whose way is known, and for how many calls. */
#define HINTS		16
#define HINT_CALLS	4096

/* As much as one system call moves. */
#define BYTES_MAX	0x7ffff000

/*
 * Asking for what is cached only costs 6 % more than pread(): after so many reads
 * that were, all but one of as many as PLAIN_OF are not asked.
 */
#define CACHED_MANY	16
#define PLAIN_OF	16

enum way { PLAIN, CACHED, DIRECT };

/**
 * struct hint - what a descriptor was; it can be another's since
 * @fd: the number, plus one
 * @left: calls until it is looked at again
 * @cached: reads in turn that were
 * @way: how to go
 * @polled: as in struct fos_io_request
 */
struct hint {
	unsigned int fd;
	uint16_t left;
	uint16_t cached;
	enum way way;
	bool polled;
};

static __thread struct hint hints[HINTS];

/* Has the device queues that are polled?  Of a partition, that of the disk. */
static bool has_poll_queues(const struct stat *st)
{
	static const char *const where[] = { "queue", "../queue" };
	const dev_t dev = S_ISBLK(st->st_mode) ? st->st_rdev : st->st_dev;
	char path[96], word = '0';
	size_t i;
	int fd;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/io_poll",
			 major(dev), minor(dev), where[i]);
		fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (syscall(SYS_read, fd, &word, 1) != 1)
			word = '0';
		fos__close_fd(fd);
	}
	return word == '1';
}

bool fos__io_is_direct(int fd)
{
	const long flags = syscall(SYS_fcntl, fd, F_GETFL);

	return flags >= 0 && (flags & O_DIRECT);
}

/* What can be read by a ring. */
static bool is_file(int fd, struct stat *st)
{
	return !fstat(fd, st) && (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode));
}

static FOS_COLD void learn_way(struct hint *h, int fd)
{
	struct stat st;

	*h = (struct hint) { .fd = fd + 1U, .left = HINT_CALLS };
	if (is_file(fd, &st))
		h->way = fos__io_is_direct(fd) ? DIRECT : CACHED;
	h->polled = h->way == DIRECT && has_poll_queues(&st);
}

static inline struct hint *hint_of(int fd)
{
	struct hint *h = &hints[(unsigned int)fd % HINTS];

	if (fos_unlikely(h->fd != fd + 1U || !h->left))
		learn_way(h, fd);
	h->left--;
	return h;
}

/* What the ring and preadv2() take for something else than pread() does. */
static bool is_odd(const struct fos_io_request *r)
{
	return r->offset < 0 || (r->op != FOS_IO_READV && r->op != FOS_IO_WRITEV &&
				 r->iov->iov_len - 1 >= BYTES_MAX);
}

/* Of a read or a write. */
static enum way way_of(struct fos_io_request *r, struct hint **hint)
{
	struct hint *h = hint_of(r->fd);

	r->direct = h->way == DIRECT;
	r->polled = h->polled;
	*hint = h;
	return is_odd(r) ? PLAIN : h->way;
}

/* ---- the plain calls, none of which is a cancellation point ------------- */

static ssize_t ret_of(long ret)
{
	return ret < 0 ? -errno : ret;
}

ssize_t fos__io_do(const struct fos_io_request *r)
{
	switch (r->op) {
	case FOS_IO_READ:
		return ret_of(syscall(SYS_pread64, r->fd, r->iov->iov_base,
				      r->iov->iov_len, r->offset));
	case FOS_IO_WRITE:
		return ret_of(syscall(SYS_pwrite64, r->fd, r->iov->iov_base,
				      r->iov->iov_len, r->offset));
	case FOS_IO_READV:
		return ret_of(syscall(SYS_preadv, r->fd, r->iov, (long)r->count,
				      r->offset, 0L));
	case FOS_IO_WRITEV:
		return ret_of(syscall(SYS_pwritev, r->fd, r->iov, (long)r->count,
				      r->offset, 0L));
	default:
		return ret_of(syscall(SYS_fsync, r->fd));
	}
}

ssize_t fos__io_plain(const struct fos_io_request *r)
{
	fos__io_stats.plain++;
	return fos__io_do(r);
}

/* ---- reading ---------------------------------------------------------- */

static size_t bytes_of(const struct fos_io_request *r)
{
	size_t n = 0;
	int i;

	for (i = 0; i < r->count; i++)
		n += r->iov[i].iov_len;
	return n;
}

/* Without waiting; -EAGAIN: not all of it, or not so. */
static ssize_t read_cached(const struct fos_io_request *r, struct hint *h)
{
	ssize_t ret = ret_of(syscall(SYS_preadv2, r->fd, r->iov, (long)r->count,
				     r->offset, 0L, (long)RWF_NOWAIT));

	if (ret == -EOPNOTSUPP) {
		h->way = PLAIN;
		return fos__io_plain(r);
	}
	/* At the end of the file, perhaps; the ring will say. */
	if (ret >= 0 && (size_t)ret < bytes_of(r))
		ret = -EAGAIN;
	h->cached = ret == -EAGAIN ? 0 : h->cached + 1;
	fos__io_stats.cached += ret >= 0;
	return ret;
}

static ssize_t do_read(struct fos_io_request *r)
{
	struct hint *h;
	const enum way way = way_of(r, &h);
	ssize_t ret = -EAGAIN;

	if (way == CACHED)
		ret = read_cached(r, h);
	else if (way == PLAIN)
		ret = fos__io_plain(r);
	return ret == -EAGAIN ? fos__io_call(r) : ret;
}

static FOS_APART ssize_t read_one(int fd, void *buf, size_t n, off_t offset)
{
	const struct iovec iov = { buf, n };
	struct fos_io_request r = FOS_IO_REQUEST(FOS_IO_READ, &iov, 1);

	return do_read(&r);
}

/* Of what has been in the cache all the time most is read without a question. */
static inline bool need_not_ask(const struct hint *h, int fd)
{
	return h->fd == fd + 1U && h->way == CACHED &&
	       h->cached >= CACHED_MANY && h->left % PLAIN_OF;
}

/*
 * Not by syscall(): a return more costs after a system call, for the kernel leaves
 * nothing in the CPU's return stack (4 % of a cached read).
 */
static inline ssize_t pread_now(int fd, void *buf, size_t n, off_t offset)
{
	register off_t arg4 asm("r10") = offset;
	long ret = SYS_pread64;

	asm volatile("syscall" : "+a" (ret) : "D" ((long)fd), "S" (buf),
		     "d" (n), "r" (arg4) : "rcx", "r11", "memory");
	return ret;
}

FOS_API ssize_t fos_pread(int fd, void *buf, size_t n, off_t offset)
{
	struct hint *h = &hints[(unsigned int)fd % HINTS];

	if (fos_unlikely(!need_not_ask(h, fd)))
		return fos__ret(read_one(fd, buf, n, offset));
	h->left--;
	fos__io_stats.cached++;
	return fos__ret(pread_now(fd, buf, n, offset));
}

FOS_API ssize_t fos_preadv(int fd, const struct iovec *iov, int count,
			   off_t offset)
{
	struct fos_io_request r = FOS_IO_REQUEST(FOS_IO_READV, iov, count);

	return fos__ret(do_read(&r));
}

/* ---- writing ---------------------------------------------------------- */

static ssize_t do_write(struct fos_io_request *r)
{
	struct hint *h;

	return way_of(r, &h) == DIRECT ? fos__io_call(r) : fos__io_plain(r);
}

FOS_API ssize_t fos_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	const struct iovec iov = { (void *)buf, n };
	struct fos_io_request r = FOS_IO_REQUEST(FOS_IO_WRITE, &iov, 1);

	return fos__ret(do_write(&r));
}

FOS_API ssize_t fos_pwritev(int fd, const struct iovec *iov, int count,
			    off_t offset)
{
	struct fos_io_request r = FOS_IO_REQUEST(FOS_IO_WRITEV, iov, count);

	return fos__ret(do_write(&r));
}

FOS_API int fos_fsync(int fd)
{
	const struct fos_io_request r = { .op = FOS_IO_FSYNC, .fd = fd };

	return fos__ret(fos__io_plain(&r));
}

/* ---- asynchronous ----------------------------------------------------- */

/* Signals are for those who sleep in fos_io_wait(). */
static ssize_t do_now(const struct fos_io_request *r)
{
	ssize_t ret;

	do
		ret = fos__io_plain(r);
	while (ret == -EINTR);
	return ret;
}

ssize_t fos__io_start(struct fos_io_request *r, bool look)
{
	struct hint *h;
	struct stat st;
	enum way way;

	if (r->op == FOS_IO_FSYNC)
		return is_file(r->fd, &st) ? -EAGAIN : do_now(r);
	way = way_of(r, &h);
	if (way == DIRECT && fos__io_is_direct(r->fd))
		return -EAGAIN;
	if (way != CACHED || r->op != FOS_IO_READ)
		return do_now(r);
	/* A look finds out what has become of the number. */
	if (look)
		return read_cached(r, h);
	return is_file(r->fd, &st) ? -EAGAIN : do_now(r);
}

static int begin(struct fos_io_request *r, uint64_t *io)
{
	struct call *call;
	const int ret = io ? fos__io_reserve(&call, io) : -EINVAL;
	ssize_t res;

	if (ret)
		return ret;
	res = fos__io_start(r, true);
	if (res == -EAGAIN)
		fos__io_begin(call, r);
	else
		fos__io_over(call, res);
	return 0;
}

FOS_API int fos_pread_async(int fd, void *buf, size_t n, off_t offset,
			    uint64_t *io)
{
	const struct iovec iov = { buf, n };
	struct fos_io_request r = FOS_IO_REQUEST(FOS_IO_READ, &iov, 1);

	return fos__ret(begin(&r, io));
}

FOS_API int fos_pwrite_async(int fd, const void *buf, size_t n, off_t offset,
			     uint64_t *io)
{
	const struct iovec iov = { (void *)buf, n };
	struct fos_io_request r = FOS_IO_REQUEST(FOS_IO_WRITE, &iov, 1);

	return fos__ret(begin(&r, io));
}

FOS_API int fos_fsync_async(int fd, uint64_t *io)
{
	struct fos_io_request r = { .op = FOS_IO_FSYNC, .fd = fd };

	return fos__ret(begin(&r, io));
}

FOS_API ssize_t fos_io_wait(uint64_t io, const struct timespec *deadline)
{
	uint64_t deadline_ns;
	int ret = fos__deadline(deadline, &deadline_ns);

	return fos__ret(ret ? ret : fos__io_end(io, deadline_ns));
}

FOS_API int fos_io_stats(struct fos_io_stats *stats, size_t size)
{
	if (!stats || !size)
		return fos__ret(-EINVAL);
	fos__tell(stats, size, &fos__io_stats, sizeof(fos__io_stats));
	return 0;
}
