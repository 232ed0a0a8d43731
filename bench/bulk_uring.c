// SPDX-License-Identifier: MIT
/* AF_UNIX through io_uring: what goes out and what comes in, in one trap. */
#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"

#define ENTRIES	4

enum { SEND, RECV, WAYS };

/* Of the side that this process is. */
static struct io_uring ring;

static int no_ring(struct ipc *c, int err)
{
	errno = -err;
	return ipc_fail(c, "io_uring");
}

static int uring_open(struct ipc *c)
{
	char why[WHY_LEN];
	int ret = io_uring_queue_init(ENTRIES, &ring, 0);

	if (ret) {
		snprintf(why, sizeof(why), "no io_uring here (%s)",
			 strerrorname_np(-ret));
		return ipc_skip(c, why);
	}
	io_uring_queue_exit(&ring);
	return ipc_unix_stream.open(c);
}

static int uring_join(struct ipc *c, int side)
{
	int ret = io_uring_queue_init(ENTRIES, &ring, 0);

	if (ret)
		return no_ring(c, ret);
	return ipc_unix_stream.join(c, side);
}

/* What is left of each way; they go on until both are done. */
struct transfer {
	char *at[WAYS];
	size_t left[WAYS];
};

static void prepare(struct ipc *c, const struct transfer *t, int way)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (way == SEND)
		io_uring_prep_send(sqe, c->out, t->at[SEND], t->left[SEND],
				   MSG_WAITALL);
	else
		io_uring_prep_recv(sqe, c->in, t->at[RECV], t->left[RECV],
				   MSG_WAITALL);
	io_uring_sqe_set_data64(sqe, way);
}

static int reap(struct ipc *c, struct transfer *t)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&ring, &cqe)) {
		int way = io_uring_cqe_get_data64(cqe), n = cqe->res;

		io_uring_cqe_seen(&ring, cqe);
		if (n <= 0)
			return no_ring(c, n ? n : -EPIPE);
		t->at[way] += n;
		t->left[way] -= n;
		if (t->left[way])
			prepare(c, t, way);
	}
	return 0;
}

static int transfer(struct ipc *c, size_t out, size_t in)
{
	struct transfer t = {
		.at = { c->tx, c->rx },
		.left = { out, in },
	};

	for (int way = SEND; way < WAYS; way++) {
		if (t.left[way])
			prepare(c, &t, way);
	}
	while (t.left[SEND] || t.left[RECV]) {
		int ret = io_uring_submit_and_wait(&ring, !!t.left[SEND] +
						   !!t.left[RECV]);

		if (ret < 0 && ret != -EINTR)
			return no_ring(c, ret);
		if (reap(c, &t))
			return -1;
	}
	return 0;
}

static int uring_call(struct ipc *c)
{
	return transfer(c, c->out_len, c->in_len);
}

static int uring_recv(struct ipc *c)
{
	return transfer(c, 0, c->in_len);
}

static int uring_reply(struct ipc *c)
{
	return transfer(c, c->out_len, 0);
}

const struct ipc_engine bulk_uring = {
	.name = "io_uring",
	.what = "AF_UNIX SOCK_STREAM pair, io_uring's send and receive",
	.flags = IPC_POSIX,
	.arg = SOCK_STREAM,		/* to ipc_unix_stream.open */
	.copies = 2,
	.open = uring_open,
	.join = uring_join,
	.call = uring_call,
	.recv = uring_recv,
	.reply_recv = uring_call,
	.reply = uring_reply,
	.close = ipc_close_fds,
};
