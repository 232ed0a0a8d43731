// SPDX-License-Identifier: MIT
/*
 * cq_io: file I/O that a queue is told of.  It goes by a ring of the queue, which all
 * threads use, and whose eventfd is a source of the queue.  Completions are not brought
 * in when somebody asks, as in io_ring.h, for he need not be the one who began.
 */
#include "internal.h"
#include "io_ring.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#define ENTRIES		64

/* Calls until a ring that could not be made is tried again. */
#define TRY_AGAIN	1000

/**
 * struct fos_cq_io - of a queue, with its lock
 * @submitting: protects the ring's submissions; the queue's lock is not taken inside
 * @ring: if @has_ring
 * @retry: calls until it is tried again
 * @efd: is signalled by the ring, and by those who need none
 * @calls: one for each place
 * @done: what was over at once, @ndone of them
 */
struct fos_cq_io {
	pthread_mutex_t submitting;
	struct io_uring ring;
	bool has_ring;
	uint32_t retry;
	int efd;
	struct call *calls;
	struct fos_cq_news *done;
	uint32_t ndone;
};

static void signal_queue(const struct fos_cq_io *io)
{
	const uint64_t one = 1;

	syscall(SYS_write, io->efd, &one, sizeof(one));
}

/* ---- news ------------------------------------------------------------- */

/* Of the ring; NULL: there is nothing. */
static struct call *next_over(struct fos_cq_io *io)
{
	struct io_uring_cqe *cqe;
	struct call *call = NULL;

	while (!call && !io_uring_peek_cqe(&io->ring, &cqe)) {
		call = io_uring_cqe_get_data(cqe);
		if (call) {
			call->res = cqe->res;
			call->done = true;
		}
		io_uring_cqe_seen(&io->ring, cqe);
	}
	return call;
}

/*
 * A thread that ends takes its workers along: what they were at ends anyhow.  (So do
 * short files: those are read twice.)
 */
static bool was_cut_short(const struct call *call)
{
	const struct fos_io_request *r = &call->request;

	return fos__io_was_refused(call->res) || call->res == -EFAULT ||
	       call->res == -EINTR ||
	       (call->res > 0 && (size_t)call->res < r->iov->iov_len);
}

static void do_again(struct call *call)
{
	do
		call->res = fos__io_plain(&call->request);
	while (call->res == -EINTR);
}

unsigned int fos__cq_io_news(struct fos_cq *cq, struct fos_cq_news *news,
			     unsigned int max)
{
	struct fos_cq_io *io = cq->io;
	struct call *call;
	unsigned int n;

	if (!io)
		return 0;
	for (n = 0; n < max && io->ndone; n++)
		news[n] = io->done[--io->ndone];
	for (; n < max && io->has_ring && (call = next_over(io)); n++) {
		if (was_cut_short(call))
			do_again(call);
		news[n] = (struct fos_cq_news) { call->name, call->res };
	}
	return n;
}

void fos__cq_io_pass_on(struct fos_cq *cq)
{
	const struct fos_cq_io *io = cq->io;

	if (io && (io->ndone || (io->has_ring && io_uring_cq_ready(&io->ring))))
		signal_queue(io);
}

/* ---- calls ------------------------------------------------------------ */

/* False: not now. */
static bool make_ring(struct fos_cq_io *io, uint32_t entries)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
		.cq_entries = entries < ENTRIES ? ENTRIES : entries,
	};
	int ret;

	if (io->retry && --io->retry)
		return false;
	io->retry = TRY_AGAIN;
	ret = io_uring_queue_init_params(ENTRIES, &io->ring, &p);
	fos__io_stats.error = -ret;
	if (ret)
		return false;
	if (io_uring_register_eventfd(&io->ring, io->efd)) {
		io_uring_queue_exit(&io->ring);
		return false;
	}
	io_uring_ring_dontfork(&io->ring);
	return true;
}

static int make_io(struct fos_cq *cq)
{
	struct fos_cq_io *io = calloc(1, sizeof(*io));
	int ret = -ENOMEM;

	if (!io)
		return -ENOMEM;
	pthread_mutex_init(&io->submitting, NULL);
	cq->io = io;
	io->calls = calloc(cq->entries, sizeof(*io->calls));
	io->done = calloc(cq->entries, sizeof(*io->done));
	if (!io->calls || !io->done)
		goto err_free;
	io->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = io->efd < 0 ? -errno : fos__place_hear(cq, io->efd);
	if (!ret)
		return 0;
	if (io->efd >= 0)
		fos__close_fd(io->efd);
err_free:
	fos__cq_io_free(cq);
	return ret;
}

/* A place, and its call. */
static int reserve(struct fos_cq *cq, const struct fos_io_request *r,
		   uint64_t user_data, struct call **call)
{
	struct fos_cq_place *p;
	int ret = cq->io ? 0 : make_io(cq);

	if (ret)
		return ret;
	p = fos__place_make(cq, FOS_CQ_FILE, user_data);
	if (!p)
		return -EBUSY;
	if (!cq->io->has_ring)
		cq->io->has_ring = make_ring(cq->io, cq->entries);
	*call = &cq->io->calls[p - cq->places];
	**call = (struct call) { .name = fos__place_name(cq, p) };
	fos__io_keep(*call, r);
	return 0;
}

static bool submit(struct fos_cq_io *io, struct call *call)
{
	bool ret;

	pthread_mutex_lock(&io->submitting);
	ret = fos__io_submit(&io->ring, &call->request, call);
	pthread_mutex_unlock(&io->submitting);
	return ret;
}

static void be_over(struct fos_cq *cq, struct call *call, ssize_t res)
{
	pthread_mutex_lock(&cq->lock);
	call->done = true;
	cq->io->done[cq->io->ndone++] = (struct fos_cq_news) { call->name, res };
	pthread_mutex_unlock(&cq->lock);
	signal_queue(cq->io);
}

static int begin_in(struct fos_cq *cq, struct fos_io_request *r,
		    uint64_t user_data)
{
	struct call *call;
	bool has_ring;
	ssize_t res;
	int ret;

	pthread_mutex_lock(&cq->lock);
	ret = reserve(cq, r, user_data, &call);
	has_ring = !ret && cq->io->has_ring;
	pthread_mutex_unlock(&cq->lock);
	if (ret)
		return ret;
	res = fos__io_start(r, false);
	if (res == -EAGAIN) {
		if (has_ring && submit(cq->io, call))
			return 0;
		res = fos__io_plain(r);
	}
	be_over(cq, call, res);
	return 0;
}

static int begin(int fd, struct fos_io_request *r, uint64_t user_data)
{
	struct fos_cq *cq = fos__cq_get(fd);
	int ret;

	if (!cq)
		return -EBADF;
	ret = begin_in(cq, r, user_data);
	fos__cq_put(cq);
	return ret;
}

FOS_API int fos_pread_cq(int fd, void *buf, size_t n, off_t offset, int cq,
			 uint64_t user_data)
{
	const struct iovec iov = { buf, n };
	struct fos_io_request r = FOS_IO_REQUEST(FOS_IO_READ, &iov, 1);

	return fos__ret(begin(cq, &r, user_data));
}

FOS_API int fos_pwrite_cq(int fd, const void *buf, size_t n, off_t offset,
			  int cq, uint64_t user_data)
{
	const struct iovec iov = { (void *)buf, n };
	struct fos_io_request r = FOS_IO_REQUEST(FOS_IO_WRITE, &iov, 1);

	return fos__ret(begin(cq, &r, user_data));
}

FOS_API int fos_fsync_cq(int fd, int cq, uint64_t user_data)
{
	struct fos_io_request r = { .op = FOS_IO_FSYNC, .fd = fd };

	return fos__ret(begin(cq, &r, user_data));
}

/* ---- life ------------------------------------------------------------- */

static void wait_for(struct fos_cq_io *io, const struct call *call)
{
	int ret;

	do
		ret = fos__io_sleep(&io->ring, call, FOS_DEADLINE_NONE);
	while (ret == -EINTR);
}

void fos__cq_io_end(struct fos_cq *cq)
{
	struct fos_cq_io *io = cq->io;
	uint32_t i;

	if (!io)
		return;
	for (i = 0; i < cq->entries; i++)
		if (cq->places[i].kind == FOS_CQ_FILE)
			wait_for(io, &io->calls[i]);
	if (io->has_ring)
		fos__io_ring_end(&io->ring);
	fos__close_fd(io->efd);
}

void fos__cq_io_free(struct fos_cq *cq)
{
	struct fos_cq_io *io = cq->io;

	if (!io)
		return;
	pthread_mutex_destroy(&io->submitting);
	free(io->calls);
	free(io->done);
	free(io);
	cq->io = NULL;
}
