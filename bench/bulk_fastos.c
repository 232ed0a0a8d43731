// SPDX-License-Identifier: MIT
/*
 * Bodies in place on fastos channels: fos_buf_alloc(), fos_callmsg() and
 * fos_reply_recvmsg(), fos_buf_release().
 *
 * The next buffer is taken as soon as the last one is back, so that the
 * measuring loop finds where to write; a body that came is released when the
 * next round trip begins, after it was read.  That is one of each a body, as
 * a program would.
 */
#include <errno.h>
#include <fastos.h>

#include "bench.h"
#include "body.h"

#define AREA_MAX	(64UL << 20)
#define AREA_MORE	(64UL << 10)

/* What is no more than this goes as bytes: the acknowledgment. */
#define IN_PLACE_MIN	64UL

static int place_open(struct ipc *c)
{
	uint64_t area = 2 * c->size + AREA_MORE;

	return ipc_chan_open(c, area < AREA_MAX ? area : AREA_MAX);
}

/* A message and room for one, of the side that this process is. */
static struct {
	struct iovec out;
	struct iovec in;
	struct fos_msg tx;
	struct fos_msg rx;
} x;

/* In place or, if it is short, as bytes. */
static void describe(struct fos_msg *m, struct iovec *iov, size_t len)
{
	iov->iov_len = len;
	if (len < IN_PLACE_MIN)
		*m = (struct fos_msg) { .iov = iov, .iovlen = 1 };
	else
		*m = (struct fos_msg) { .bufs = iov, .nbufs = 1 };
}

/* Room for the next body; where it was before, the body still is. */
static int next_buffer(struct ipc *c)
{
	void *buf;

	if (c->out_len < IN_PLACE_MIN)
		return 0;
	buf = fos_buf_alloc(c->in, c->out_len, 0, NULL);
	/* The peer may leave after the last message; if not, the next fails. */
	if (!buf)
		return errno == EPIPE ? 0 : ipc_fail(c, "fos_buf_alloc");
	c->tx = buf;
	x.out.iov_base = buf;
	if (buf != c->area[0])
		body_write(buf, c->out_len, c->side, 0);
	c->area[0] = buf;
	return 0;
}

/* What came in place goes back. */
static int release(struct ipc *c)
{
	if (c->area[1] && fos_buf_release(c->in, c->area[1]))
		return ipc_fail(c, "fos_buf_release");
	c->area[1] = NULL;
	return 0;
}

static int place_join(struct ipc *c, int side)
{
	describe(&x.tx, &x.out, c->out_len);
	describe(&x.rx, &x.in, c->in_len);
	x.in.iov_base = c->rx;
	x.out.iov_base = c->tx;
	if (x.tx.nbufs)
		x.tx.flags = FOS_NOCOPY;
	return ipc_chan_join(c, side) ? -1 : next_buffer(c);
}

/* What has come, and that it came as it should. */
static int took(struct ipc *c, const char *what, ssize_t n)
{
	if (n < 0)
		return ipc_fail(c, what);
	if (x.rx.nbufs) {
		c->rx = x.in.iov_base;
		c->area[1] = c->rx;
	}
	if ((size_t)n != (x.rx.nbufs ? 0 : c->in_len) ||
	    x.in.iov_len != c->in_len) {
		errno = EBADMSG;
		return ipc_fail(c, what);
	}
	return 0;
}

static int place_call(struct ipc *c)
{
	ssize_t n;

	if (release(c))
		return -1;
	n = fos_callmsg(c->in, &x.tx, &x.rx, NULL);
	return took(c, "fos_callmsg", n) ? -1 : next_buffer(c);
}

static int place_recv(struct ipc *c)
{
	ssize_t n = fos_recvmsg(c->in, &x.rx, 0, NULL);

	return took(c, "fos_recvmsg", n);
}

static int place_reply_recv(struct ipc *c)
{
	ssize_t n;

	if (release(c))
		return -1;
	x.tx.token = x.rx.token;
	n = fos_reply_recvmsg(c->in, &x.tx, &x.rx, NULL);
	return took(c, "fos_reply_recvmsg", n) ? -1 : next_buffer(c);
}

static int place_reply(struct ipc *c)
{
	if (release(c))
		return -1;
	x.tx.token = x.rx.token;
	if (fos_sendmsg(c->in, &x.tx, 0, NULL) < 0)
		return ipc_fail(c, "fos_sendmsg");
	return 0;
}

#define PLACE_OPERATIONS						\
	.open = place_open,						\
	.join = place_join,						\
	.call = place_call,						\
	.recv = place_recv,						\
	.reply_recv = place_reply_recv,					\
	.reply = place_reply,						\
	.close = backend_close

const struct ipc_engine bulk_fastos_spin = {
	.name = "fastos-spin",
	.what = "in place, on a channel that polls",
	.flags = IPC_FASTOS | IPC_MODULE | IPC_POLLS,
	.arg = FOS_SPIN_ALWAYS,
	PLACE_OPERATIONS,
};

const struct ipc_engine bulk_fastos_block = {
	.name = "fastos-block",
	.what = "in place, on a channel that sleeps at once",
	.flags = IPC_FASTOS | IPC_MODULE,
	.arg = FOS_SPIN_BLOCK,
	PLACE_OPERATIONS,
};

const struct ipc_engine bulk_posix_spin = {
	.name = "fastos-posix-spin",
	.what = "fastos-spin without the module",
	.flags = IPC_FASTOS | IPC_POLLS,
	.arg = FOS_SPIN_ALWAYS,
	PLACE_OPERATIONS,
};

const struct ipc_engine bulk_posix_block = {
	.name = "fastos-posix-block",
	.what = "fastos-block without the module",
	.flags = IPC_FASTOS,
	.arg = FOS_SPIN_BLOCK,
	PLACE_OPERATIONS,
};
