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
 * @under_way: by the ring
 * @done: what was over without it, @ndone of them
 * @again: what is to be done once more, @nagain of them
 */
struct fos_cq_io {
	pthread_mutex_t submitting;
	struct io_uring ring;
	bool has_ring;
	uint32_t retry;
	int efd;
	struct call *calls;
	uint32_t under_way;
	struct fos_cq_news *done;
	uint32_t ndone;
	struct call **again;
	uint32_t nagain;
};

static void signal_queue(const struct fos_cq_io *io)
{
	const uint64_t one = 1;

	syscall(SYS_write, io->efd, &one, sizeof(one));
}

/* ---- news ------------------------------------------------------------- */

/*
 * A thread that ends takes its workers along: what they were at ends anyhow.  At the
 * end of a file there is nothing more to read, which is soon found.
 */
static bool was_cut_short(const struct call *call)
{
	const struct fos_io_request *r = &call->request;

	return fos__io_was_refused(call->res) || call->res == -EFAULT ||
	       call->res == -EINTR ||
	       (r->op == FOS_IO_READ && call->res > 0 &&
		(size_t)call->res < r->iov->iov_len);
}

/* Of the ring, and not to be done again; NULL: there is nothing. */
static struct call *next_over(struct fos_cq_io *io)
{
	struct io_uring_cqe *cqe;
	struct call *call;

	while (!io_uring_peek_cqe(&io->ring, &cqe)) {
		call = io_uring_cqe_get_data(cqe);
		if (call)
			call->res = cqe->res;
		io_uring_cqe_seen(&io->ring, cqe);
		if (!call)
			continue;
		io->under_way--;
		if (!was_cut_short(call))
			return call;
		io->again[io->nagain++] = call;
	}
	return NULL;
}

static void be_over(struct fos_cq_io *io, const struct call *call, ssize_t res)
{
	io->done[io->ndone++] = (struct fos_cq_news) { call->name, res };
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
	for (; n < max && io->has_ring && (call = next_over(io)); n++)
		news[n] = (struct fos_cq_news) { call->name, call->res };
	return n;
}

void fos__cq_io_pass_on(struct fos_cq *cq)
{
	const struct fos_cq_io *io = cq->io;

	if (io && (io->ndone || io->nagain ||
		   (io->has_ring && io_uring_cq_ready(&io->ring))))
		signal_queue(io);
}

/* What is missing: bytes in all, or -errno. */
static ssize_t do_again(const struct call *call)
{
	const size_t had = call->res > 0 ? call->res : 0;
	struct fos_io_request r = call->request;
	struct iovec rest;
	ssize_t ret;

	if (had) {
		rest.iov_base = (char *)r.iov->iov_base + had;
		rest.iov_len = r.iov->iov_len - had;
		r.iov = &rest;
		r.offset += had;
	}
	do
		ret = fos__io_plain(&r);
	while (ret == -EINTR);
	return !had ? ret : ret > 0 ? (ssize_t)had + ret : (ssize_t)had;
}

bool fos__cq_io_redo(struct fos_cq *cq)
{
	struct fos_cq_io *io = cq->io;
	struct call *call;
	ssize_t res;

	if (!io || !io->nagain)
		return false;
	call = io->again[--io->nagain];
	pthread_mutex_unlock(&cq->lock);
	res = do_again(call);
	pthread_mutex_lock(&cq->lock);
	be_over(io, call, res);
	return true;
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
	io->again = calloc(cq->entries, sizeof(*io->again));
	if (!io->calls || !io->done || !io->again)
		goto err_free;
	io->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = io->efd < 0 ? -errno : fos__place_hear(cq, io->efd);
	/* It is notified: see fos_cq_notify(). */
	if (ret == -EEXIST)
		ret = -EBUSY;
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
	ret = fos__io_submit(&io->ring, &call->request, call, 0);
	pthread_mutex_unlock(&io->submitting);
	return ret;
}

/* 0: it is; else it has to be done without. */
static int start_by_ring(struct fos_cq *cq, struct call *call)
{
	struct fos_cq_io *io = cq->io;
	bool has_ring;

	pthread_mutex_lock(&cq->lock);
	has_ring = io->has_ring;
	io->under_way += has_ring;
	pthread_mutex_unlock(&cq->lock);
	if (!has_ring)
		return -EAGAIN;
	if (submit(io, call))
		return 0;
	pthread_mutex_lock(&cq->lock);
	io->under_way--;
	pthread_mutex_unlock(&cq->lock);
	return -EAGAIN;
}

static int begin_in(struct fos_cq *cq, struct fos_io_request *r,
		    uint64_t user_data)
{
	struct call *call;
	ssize_t res;
	int ret;

	pthread_mutex_lock(&cq->lock);
	ret = reserve(cq, r, user_data, &call);
	pthread_mutex_unlock(&cq->lock);
	if (ret)
		return ret;
	res = fos__io_start(r, false);
	if (res == -EAGAIN) {
		if (!start_by_ring(cq, call))
			return 0;
		res = fos__io_plain(r);
	}
	pthread_mutex_lock(&cq->lock);
	be_over(cq->io, call, res);
	pthread_mutex_unlock(&cq->lock);
	signal_queue(cq->io);
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

/* Whoever waits in the queue may take what is over, so nobody can be slept for. */
void fos__cq_io_drain(struct fos_cq *cq)
{
	struct fos_cq_io *io;
	struct call *call;

	pthread_mutex_lock(&cq->lock);
	io = cq->io;
	while (io && io->under_way) {
		call = next_over(io);
		if (call) {
			be_over(io, call, call->res);
			continue;
		}
		pthread_mutex_unlock(&cq->lock);
		fos__nap();
		pthread_mutex_lock(&cq->lock);
	}
	pthread_mutex_unlock(&cq->lock);
}

void fos__cq_io_end(struct fos_cq *cq)
{
	struct fos_cq_io *io = cq->io;

	if (!io)
		return;
	fos__cq_io_drain(cq);
	if (io->has_ring)
		fos__io_ring_end(&io->ring);
	fos__close_fd(io->efd);
}

void fos__cq_io_forget(struct fos_cq *cq)
{
	struct fos_cq_io *io = cq->io;

	if (io && io->has_ring)
		fos__io_ring_forget(&io->ring);
}

void fos__cq_io_free(struct fos_cq *cq)
{
	struct fos_cq_io *io = cq->io;

	if (!io)
		return;
	pthread_mutex_destroy(&io->submitting);
	free(io->calls);
	free(io->done);
	free(io->again);
	free(io);
	cq->io = NULL;
}
