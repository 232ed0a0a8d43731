// SPDX-License-Identifier: MIT
#include "io_ring.h"

#include <stdio.h>
#include <stdlib.h>

#include "internal.h"
#include "look.h"

#define ENTRIES		(2 * FOS_IO_MAX)

/* Calls until a ring that could not be made is tried again. */
#define TRY_AGAIN	1000

/* Naps of 50 us for what a ring owes whose descriptor was closed. */
#define NAPS		200000

static const unsigned int ring_flags[RINGS] = {
	[BACKGROUND] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		       IORING_SETUP_TASKRUN_FLAG,
	[POLLED] = IORING_SETUP_IOPOLL,
};

__thread struct fos_io_stats fos__io_stats;

static __thread struct io *mine;
static __thread bool is_over;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;
static uint32_t forks;

/* ---- the rings -------------------------------------------------------- */

/* Programs close numbers that are not theirs, and use them again. */
static bool is_ring(int fd)
{
	char path[40], text[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, text, sizeof(text));
	return n == sizeof("anon_inode:[io_uring]") - 1 &&
	       !memcmp(text, "anon_inode:[io_uring]", n);
}

static FOS_COLD int make_ring(struct io *io, int which)
{
	struct io_uring *ring = &io->ring[which];
	int ret = io_uring_queue_init(ENTRIES, ring, IORING_SETUP_CLAMP |
				      ring_flags[which]);

	/* Before Linux 6.1. */
	if (ret == -EINVAL && which == BACKGROUND)
		ret = io_uring_queue_init(ENTRIES, ring, IORING_SETUP_CLAMP);
	io->has[which] = !ret;
	if (ret)
		return ret;
	io_uring_ring_dontfork(ring);
	/* Only this thread uses it.  31 to 41 instructions less a call. */
	io_uring_register_ring_fd(ring);
	fos__io_register_all(io, which);
	return 0;
}

bool fos__io_has(struct io *io, int which)
{
	int ret;

	if (io->has[which])
		return true;
	if (io->retry[which] && --io->retry[which])
		return false;
	io->retry[which] = TRY_AGAIN;
	ret = make_ring(io, which);
	if (which != POLLED)
		fos__io_stats.error = -ret;
	return !ret;
}

static struct io_uring_sqe *get_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (sqe)
		return sqe;
	/* Of what was refused before. */
	io_uring_submit(ring);
	return io_uring_get_sqe(ring);
}

static void prepare_in_piece(struct io_uring_sqe *sqe,
			     const struct fos_io_request *r, unsigned int piece)
{
	const struct iovec *iov = r->iov;

	if (r->op == FOS_IO_READ)
		io_uring_prep_read_fixed(sqe, r->fd, iov->iov_base, iov->iov_len,
					 r->offset, piece - 1);
	else
		io_uring_prep_write_fixed(sqe, r->fd, iov->iov_base, iov->iov_len,
					  r->offset, piece - 1);
}

static void prepare(struct io_uring_sqe *sqe, const struct fos_io_request *r)
{
	const struct iovec *iov = r->iov;

	switch (r->op) {
	case FOS_IO_READ:
		io_uring_prep_read(sqe, r->fd, iov->iov_base, iov->iov_len,
				   r->offset);
		break;
	case FOS_IO_WRITE:
		io_uring_prep_write(sqe, r->fd, iov->iov_base, iov->iov_len,
				    r->offset);
		break;
	case FOS_IO_READV:
		io_uring_prep_readv(sqe, r->fd, iov, r->count, r->offset);
		break;
	case FOS_IO_WRITEV:
		io_uring_prep_writev(sqe, r->fd, iov, r->count, r->offset);
		break;
	default:
		io_uring_prep_fsync(sqe, r->fd, 0);
	}
}

bool fos__io_submit(struct io_uring *ring, const struct fos_io_request *r,
		    struct call *call, unsigned int piece)
{
	struct io_uring_sqe *sqe = get_sqe(ring);

	if (!sqe)
		return false;
	if (piece)
		prepare_in_piece(sqe, r, piece);
	else
		prepare(sqe, r);
	io_uring_sqe_set_data(sqe, call);
	io_uring_submit(ring);
	if (!io_uring_sq_ready(ring))
		return true;
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, NULL);
	return false;
}

void fos__io_reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	struct call *call;

	io_uring_for_each_cqe(ring, head, cqe) {
		call = io_uring_cqe_get_data(cqe);
		if (call) {
			call->res = cqe->res;
			call->done = true;
		}
		n++;
	}
	io_uring_cq_advance(ring, n);
}

/* By one system call: 0: something is there; -ETIME, -EINTR, or it is no ring. */
static int sleep_once(struct io_uring *ring, uint64_t deadline_ns)
{
	const uint64_t now = fos__now_ns();
	const struct timespec left = fos__time_left(deadline_ns, now);
	struct __kernel_timespec ts = {
		.tv_sec = left.tv_sec,
		.tv_nsec = left.tv_nsec,
	};
	struct io_uring_cqe *cqe;

	if (deadline_ns == FOS_DEADLINE_NONE)
		return io_uring_wait_cqe(ring, &cqe);
	return now >= deadline_ns ? -ETIME :
				    io_uring_wait_cqe_timeout(ring, &cqe, &ts);
}

int fos__io_sleep(struct io_uring *ring, const struct call *call,
		  uint64_t deadline_ns)
{
	unsigned int naps = 0;
	int ret = 0;

	while (!fos__io_look(ring, call) && (!ret || naps)) {
		ret = sleep_once(ring, deadline_ns);
		if (ret == -ETIME || ret == -EINTR)
			break;
		if (ret && ++naps > NAPS)
			break;
		if (ret)
			fos__nap();
	}
	return fos__io_look(ring, call) ? 0 : ret;
}

/* ---- life ------------------------------------------------------------- */

void fos__io_forget(void)
{
	__atomic_add_fetch(&forks, 1, __ATOMIC_RELAXED);
}

void fos__io_ring_forget(struct io_uring *ring)
{
	if (is_ring(ring->ring_fd))
		fos__close_fd(ring->ring_fd);
}

static void forget_rings(struct io *io)
{
	int i;

	for (i = 0; i < RINGS; i++)
		if (io->has[i])
			fos__io_ring_forget(&io->ring[i]);
}

void fos__io_ring_end(struct io_uring *ring)
{
	if (!is_ring(ring->ring_fd))
		ring->ring_fd = -1;
	io_uring_queue_exit(ring);
}

static void end_rings(struct io *io)
{
	struct io_uring *ring = &io->ring[BACKGROUND];
	struct call *call;
	int i, ret;

	/* Until the kernel has done with the memory. */
	for (call = io->calls; call < io->calls + FOS_IO_MAX; call++) {
		ret = call->name ? -EINTR : 0;
		while (ret == -EINTR)
			ret = fos__io_sleep(ring, call, FOS_DEADLINE_NONE);
	}
	for (i = 0; i < RINGS; i++)
		if (io->has[i])
			fos__io_ring_end(&io->ring[i]);
}

static bool is_parents(const struct io *io)
{
	return io->forks != __atomic_load_n(&forks, __ATOMIC_RELAXED);
}

static void drop(struct io *io)
{
	if (is_parents(io))
		forget_rings(io);
	else
		end_rings(io);
	free(io);
	mine = NULL;
}

/* Destructors of other keys may come after this, with calls. */
static void end_thread(void *io)
{
	drop(io);
	is_over = true;
}

static void make_key(void)
{
	has_key = !pthread_key_create(&key, end_thread);
}

static FOS_COLD struct io *make_mine(void)
{
	struct fos_caps caps = { 0 };

	if (mine)
		drop(mine);
	pthread_once(&once, make_key);
	mine = has_key && !is_over ? calloc(1, sizeof(*mine)) : NULL;
	if (!mine)
		return NULL;
	mine->forks = __atomic_load_n(&forks, __ATOMIC_RELAXED);
	if (pthread_setspecific(key, mine)) {
		drop(mine);
		return NULL;
	}
	fos_query(&caps, sizeof(caps));
	mine->wake_ns = caps.wake_ns;
	return mine;
}

struct io *fos__io_mine(void)
{
	if (fos__enter())
		return NULL;
	return mine && !is_parents(mine) ? mine : make_mine();
}
