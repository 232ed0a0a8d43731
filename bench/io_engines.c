// SPDX-License-Identifier: MIT
/* Ways to read a piece of a file: system calls, io_uring in its modes, fastos. */
#include "io.h"

#include <errno.h>
#include <fastos.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ENTRIES	4

/* Linux 6.13; this liburing may be older. */
#ifndef IORING_SETUP_HYBRID_IOPOLL
#define IORING_SETUP_HYBRID_IOPOLL	(1U << 17)
#endif

struct io_file io_file;

/* Of the process that measures. */
static struct io_uring ring;

static int file_open(struct ipc *c)
{
	c->fd[0] = open(io_file.path, O_RDONLY | O_CLOEXEC |
			(io_file.direct ? O_DIRECT : 0));
	return c->fd[0] < 0 ? ipc_fail(c, io_file.path) : 0;
}

static void file_close(struct ipc *c)
{
	close(c->fd[0]);
}

/* Pieces in no order, the same for all. */
static off_t piece(const struct ipc *c)
{
	const uint64_t mixed = (*(uint64_t *)c->tx + 1) * 0x9e3779b97f4a7c15ULL;

	return (mixed >> 33) % (io_file.bytes / c->size) * c->size;
}

/* What the loop wants to see in a reply. */
static int done(struct ipc *c, ssize_t n)
{
	if (n < 0)
		errno = -n;
	if (n != (ssize_t)c->size)
		return ipc_fail(c, n < 0 ? "read" : "a short read");
	*(uint64_t *)c->rx = *(uint64_t *)c->tx;
	return 0;
}

#define IO(n, w)							\
	.name = n,							\
	.what = w,							\
	.close = file_close

/* ---- the system call, and ours ---------------------------------------- */

static int pread_call(struct ipc *c)
{
	const ssize_t n = pread(c->fd[0], c->rx, c->size, piece(c));

	return done(c, n < 0 ? -errno : n);
}

static const struct ipc_engine io_pread = {
	IO("pread", "pread(2), which sleeps"),
	.flags = IPC_ALONE | IPC_POSIX | IPC_BASE,
	.open = file_open,
	.call = pread_call,
};

static int fastos_call(struct ipc *c)
{
	const ssize_t n = fos_pread(c->fd[0], c->rx, c->size, piece(c));

	return done(c, n < 0 ? -errno : n);
}

static const struct ipc_engine io_fastos = {
	IO("fastos", "fos_pread(3), which polls as long as that has paid"),
	.flags = IPC_ALONE | IPC_FASTOS,
	.open = file_open,
	.call = fastos_call,
};

/* ---- io_uring --------------------------------------------------------- */

/* 1: the device of the file has queues that can be polled. */
static int poll_queues(void)
{
	char path[96];
	struct stat st;
	char word = '0';
	int fd;

	if (stat(io_file.path, &st))
		return 0;
	if (!S_ISBLK(st.st_mode))
		st.st_rdev = st.st_dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/io_poll",
		 major(st.st_rdev), minor(st.st_rdev));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &word, 1) != 1)
		word = '0';
	close(fd);
	return word == '1';
}

static int ring_open(struct ipc *c)
{
	const bool polled = c->e->arg & IORING_SETUP_IOPOLL;
	char why[WHY_LEN];
	int ret;

	if (polled && !(io_file.direct && poll_queues()))
		return ipc_skip(c, "wants --direct and a device with poll queues");
	ret = io_uring_queue_init(ENTRIES, &ring, c->e->arg);
	if (ret) {
		snprintf(why, sizeof(why), "no such io_uring here (%s)",
			 strerrorname_np(-ret));
		return ipc_skip(c, why);
	}
	io_uring_queue_exit(&ring);
	return file_open(c);
}

static int register_memory(struct ipc *c, int side)
{
	(void)side;
	return fos_io_register(c->rx, c->size) ? ipc_fail(c, "fos_io_register") :
						 0;
}

static const struct ipc_engine io_fastos_fixed = {
	IO("fastos-fixed", "the same, into memory that is registered"),
	.flags = IPC_ALONE | IPC_FASTOS,
	.open = ring_open,
	.join = register_memory,
	.call = fastos_call,
};

static int ring_join(struct ipc *c, int side)
{
	const int ret = io_uring_queue_init(ENTRIES, &ring, c->e->arg);

	(void)side;
	errno = -ret;
	return ret ? ipc_fail(c, "io_uring") : 0;
}

static void begin(struct ipc *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_read(sqe, c->fd[0], c->rx, c->size, piece(c));
}

static int end(struct ipc *c, int ret)
{
	struct io_uring_cqe *cqe;

	if (ret >= 0)
		ret = io_uring_wait_cqe(&ring, &cqe);
	if (ret < 0)
		return done(c, ret);
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return done(c, ret);
}

static int sleep_call(struct ipc *c)
{
	begin(c);
	return end(c, io_uring_submit_and_wait(&ring, 1));
}

static int poll_call(struct ipc *c)
{
	int ret;

	begin(c);
	ret = io_uring_submit(&ring);
	while (ret >= 0 && !io_uring_cq_ready(&ring))
		__builtin_ia32_pause();
	return end(c, ret);
}

#define RING								\
	.flags = IPC_ALONE | IPC_POSIX,					\
	.open = ring_open,						\
	.join = ring_join

static const struct ipc_engine io_uring_sleeps = {
	IO("uring", "io_uring, asleep until it is done"),
	RING,
	.call = sleep_call,
};

const struct ipc_engine io_uring_polls = {
	IO("uring-poll", "io_uring, looked at until it is done"),
	RING,
	.call = poll_call,
};

static const struct ipc_engine io_uring_iopoll = {
	IO("iopoll", "io_uring that polls the device (IORING_SETUP_IOPOLL)"),
	RING,
	.arg = IORING_SETUP_IOPOLL,
	.call = sleep_call,
};

static const struct ipc_engine io_uring_hybrid = {
	IO("hybrid", "io_uring that sleeps half of it (IORING_SETUP_HYBRID_IOPOLL)"),
	RING,
	.arg = IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL,
	.call = sleep_call,
};

const struct ipc_engine *const io_engines[] = {
	&io_fastos, &io_fastos_fixed, &io_pread, &io_uring_sleeps, &io_uring_polls,
	&io_uring_iopoll, &io_uring_hybrid, NULL
};
