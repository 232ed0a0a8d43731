// SPDX-License-Identifier: MIT
/* Engines whose payload goes through the kernel: pipe, sockets, queues. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

/* What a pipe may have; larger messages go through it bit by bit. */
#define ROOM_MAX	(1UL << 20)

void ipc_close_fds(struct ipc *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->fd); i++) {
		if (c->fd[i] >= 0)
			close(c->fd[i]);
	}
}

/* ---- pipe and sockets: read() and write() ----------------------------- */

static int put(struct ipc *c)
{
	const char *p = c->tx;
	size_t left = c->out_len;

	while (left) {
		ssize_t n = write(c->out, p, left);

		if (n < 0)
			return ipc_fail(c, "write");
		p += n;
		left -= n;
	}
	return 0;
}

static int get(struct ipc *c)
{
	char *p = c->rx;
	size_t left = c->in_len;

	while (left) {
		ssize_t n = read(c->in, p, left);

		if (n <= 0) {
			if (!n)
				errno = EPIPE;
			return ipc_fail(c, "read");
		}
		p += n;
		left -= n;
	}
	return 0;
}

/* The client's call and the server's reply_recv. */
static int fd_call(struct ipc *c)
{
	return put(c) ? -1 : get(c);
}

static int fd_post(struct ipc *c, unsigned int nth)
{
	(void)nth;
	return put(c);
}

static int fd_collect(struct ipc *c, unsigned int nth)
{
	(void)nth;
	return get(c);
}

static int pipe_open(struct ipc *c)
{
	int want = c->size < ROOM_MAX ? c->size : ROOM_MAX;

	if (pipe2(c->fd, O_CLOEXEC) || pipe2(c->fd + 2, O_CLOEXEC))
		return ipc_fail(c, "pipe2");
	/* A message fits, so that its writer never waits halfway. */
	for (int i = 1; i < 4; i += 2) {
		int room = fcntl(c->fd[i], F_GETPIPE_SZ);

		if (room >= 0 && room < want &&
		    fcntl(c->fd[i], F_SETPIPE_SZ, want) < 0)
			return ipc_fail(c, "F_SETPIPE_SZ");
	}
	return 0;
}

static int pipe_join(struct ipc *c, int side)
{
	c->in = c->fd[side == CLIENT ? 2 : 0];
	c->out = c->fd[side == CLIENT ? 1 : 3];
	return 0;
}

const struct ipc_engine ipc_pipe = {
	.name = "pipe",
	.what = "two pipes, write() and read()",
	.flags = IPC_POSIX | IPC_BASE,
	.copies = 2,
	.open = pipe_open,
	.join = pipe_join,
	.call = fd_call,
	.post = fd_post,
	.collect = fd_collect,
	.recv = get,
	.reply_recv = fd_call,
	.reply = put,
	.close = ipc_close_fds,
};

static int unix_open(struct ipc *c)
{
	/* The limit counts the kernel's bookkeeping too. */
	int room = 2 * (int)(c->size < ROOM_MAX ? c->size : ROOM_MAX) + 65536;

	if (socketpair(AF_UNIX, c->e->arg | SOCK_CLOEXEC, 0, c->fd))
		return ipc_fail(c, "socketpair");
	for (int i = 0; i < 2; i++) {
		int have = 0;
		socklen_t len = sizeof(have);

		if (getsockopt(c->fd[i], SOL_SOCKET, SO_SNDBUF, &have, &len))
			return ipc_fail(c, "getsockopt");
		if (have >= room)
			continue;
		if (setsockopt(c->fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &room,
			       sizeof(room)) &&
		    setsockopt(c->fd[i], SOL_SOCKET, SO_SNDBUF, &room,
			       sizeof(room)))
			return ipc_fail(c, "SO_SNDBUF");
	}
	return 0;
}

static int unix_join(struct ipc *c, int side)
{
	c->in = c->fd[side];
	c->out = c->fd[side];
	return 0;
}

const struct ipc_engine ipc_unix_stream = {
	.name = "unix-stream",
	.what = "AF_UNIX SOCK_STREAM pair, write() and read()",
	.flags = IPC_POSIX,
	.arg = SOCK_STREAM,
	.copies = 2,
	.open = unix_open,
	.join = unix_join,
	.call = fd_call,
	.post = fd_post,
	.collect = fd_collect,
	.recv = get,
	.reply_recv = fd_call,
	.reply = put,
	.close = ipc_close_fds,
};

const struct ipc_engine ipc_unix_seqpacket = {
	.name = "unix-seqpacket",
	.what = "AF_UNIX SOCK_SEQPACKET pair, write() and read()",
	.flags = IPC_POSIX,
	.arg = SOCK_SEQPACKET,
	.copies = 2,
	.open = unix_open,
	.join = unix_join,
	.call = fd_call,
	.post = fd_post,
	.collect = fd_collect,
	.recv = get,
	.reply_recv = fd_call,
	.reply = put,
	.close = ipc_close_fds,
};

/* ---- POSIX message queues --------------------------------------------- */

static mqd_t mq_make(const struct ipc *c, int i)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = c->size };
	char name[64];
	mqd_t mq;

	snprintf(name, sizeof(name), "/fosbench-%d-%d", getpid(), i);
	mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
	if (mq >= 0)
		mq_unlink(name);
	return mq;
}

/* Sets the size limit of the system's queues, returns the old one or 0. */
static unsigned long mq_limit(unsigned long size)
{
	FILE *f = fopen("/proc/sys/fs/mqueue/msgsize_max", "r+e");
	unsigned long old = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%lu", &old) != 1)
		old = 0;
	rewind(f);
	fprintf(f, "%lu\n", size);
	return fclose(f) ? 0 : old;
}

static int mq_open_pair(struct ipc *c)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned long old = 0;

	/* May be refused; then the queues show whether it matters. */
	(void)setrlimit(RLIMIT_MSGQUEUE, &lim);
	c->fd[0] = mq_make(c, 0);
	if (c->fd[0] < 0 && errno == EINVAL) {
		/* Root without CAP_SYS_RESOURCE: only for this moment. */
		old = mq_limit(c->size);
		if (!old)
			return ipc_skip(c, "over fs.mqueue.msgsize_max, "
					"which root can raise");
		c->fd[0] = mq_make(c, 0);
	}
	if (c->fd[0] >= 0)
		c->fd[1] = mq_make(c, 1);
	if (old)
		mq_limit(old);
	if (c->fd[1] >= 0)
		return 0;
	if (errno == ENOSYS)
		return ipc_skip(c, "kernel without POSIX message queues");
	if (errno == EMFILE)
		return ipc_skip(c, "over RLIMIT_MSGQUEUE");
	return ipc_fail(c, "mq_open");
}

static int mq_join(struct ipc *c, int side)
{
	c->in = c->fd[side == CLIENT];
	c->out = c->fd[side != CLIENT];
	return 0;
}

static int mq_put(struct ipc *c)
{
	if (mq_send(c->out, c->tx, c->size, 0))
		return ipc_fail(c, "mq_send");
	return 0;
}

static int mq_get(struct ipc *c)
{
	ssize_t n = mq_receive(c->in, c->rx, c->size, NULL);

	if (n != (ssize_t)c->size)
		return ipc_fail(c, "mq_receive");
	return 0;
}

static int mq_call(struct ipc *c)
{
	return mq_put(c) ? -1 : mq_get(c);
}

const struct ipc_engine ipc_mq = {
	.name = "posix-mq",
	.what = "two POSIX message queues, mq_send() and mq_receive()",
	.flags = IPC_POSIX,
	.copies = 2,
	.open = mq_open_pair,
	.join = mq_join,
	.call = mq_call,
	.recv = mq_get,
	.reply_recv = mq_call,
	.reply = mq_put,
	.close = ipc_close_fds,
};
