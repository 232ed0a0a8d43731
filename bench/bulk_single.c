// SPDX-License-Identifier: MIT
/* Engines that copy a body once: vmsplice(), process_vm_readv(). */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"

/* As much as anybody may have. */
#define PIPE_BYTES	(1 << 20)

static int short_of(struct ipc *c, const char *what, ssize_t n)
{
	if (n >= 0)
		errno = EPIPE;
	return ipc_fail(c, what);
}

/* ---- pages lent to a pipe --------------------------------------------- */

static int splice_open(struct ipc *c)
{
	if (pipe2(c->fd, O_CLOEXEC) || pipe2(c->fd + 2, O_CLOEXEC))
		return ipc_fail(c, "pipe2");
	for (int i = 1; i < 4; i += 2) {
		if (fcntl(c->fd[i], F_SETPIPE_SZ, PIPE_BYTES) < 0)
			return ipc_fail(c, "F_SETPIPE_SZ");
	}
	return 0;
}

static int splice_join(struct ipc *c, int side)
{
	c->in = c->fd[side == CLIENT ? 2 : 0];
	c->out = c->fd[side == CLIENT ? 1 : 3];
	return 0;
}

/* The peer's next message says that it has read all of it. */
static int splice_put(struct ipc *c)
{
	struct iovec left = { .iov_base = c->tx, .iov_len = c->out_len };

	while (left.iov_len) {
		ssize_t n = vmsplice(c->out, &left, 1, 0);

		if (n <= 0)
			return short_of(c, "vmsplice", n);
		left.iov_base = (char *)left.iov_base + n;
		left.iov_len -= n;
	}
	return 0;
}

static int splice_get(struct ipc *c)
{
	for (size_t have = 0; have < c->in_len; ) {
		ssize_t n = read(c->in, c->rx + have, c->in_len - have);

		if (n <= 0)
			return short_of(c, "read", n);
		have += n;
	}
	return 0;
}

static int splice_call(struct ipc *c)
{
	return splice_put(c) ? -1 : splice_get(c);
}

const struct ipc_engine bulk_vmsplice = {
	.name = "vmsplice",
	.what = "two pipes of 1 MiB, vmsplice() and read()",
	.flags = IPC_POSIX,
	.copies = 1,
	.open = splice_open,
	.join = splice_join,
	.call = splice_call,
	.recv = splice_get,
	.reply_recv = splice_call,
	.reply = splice_put,
	.close = ipc_close_fds,
};

/* ---- the peer's memory, by its address -------------------------------- */

/* Where each side has its message, and how many it has read of the other. */
struct whereabouts {
	pid_t pid;
	void *tx;
	_Atomic uint64_t taken;
};

static struct whereabouts *where(struct ipc *c, int side)
{
	return (struct whereabouts *)c->shm + side;
}

static int readv_open(struct ipc *c)
{
	char from = 1, to = 0;
	struct iovec src = { &from, 1 }, dst = { &to, 1 };

	if (process_vm_readv(getpid(), &dst, 1, &src, 1, 0) != 1)
		return ipc_skip(c, errno == ENOSYS ?
				"kernel without process_vm_readv()" :
				"process_vm_readv() is forbidden here");
	c->shm_len = SIDES * sizeof(struct whereabouts);
	c->shm = mmap(NULL, c->shm_len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->shm == MAP_FAILED) {
		c->shm = NULL;
		return ipc_fail(c, "mmap");
	}
	c->fd[CLIENT] = eventfd(0, EFD_CLOEXEC);
	c->fd[SERVER] = eventfd(0, EFD_CLOEXEC);
	if (c->fd[CLIENT] < 0 || c->fd[SERVER] < 0)
		return ipc_fail(c, "eventfd");
	return 0;
}

/* Who reads this has been told by the eventfd. */
static int readv_join(struct ipc *c, int side)
{
	where(c, side)->pid = getpid();
	where(c, side)->tx = c->tx;
	/* Yama wants it; without Yama it is EINVAL. */
	(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	c->in = c->fd[!side];
	c->out = c->fd[side];
	return 0;
}

/* The eventfd carries the first word: all of an acknowledgement. */
static int readv_put(struct ipc *c)
{
	ssize_t n = write(c->out, c->tx, sizeof(uint64_t));

	return n == sizeof(uint64_t) ? 0 : short_of(c, "write to eventfd", n);
}

static int readv_get(struct ipc *c)
{
	const struct whereabouts *peer = where(c, !c->side);
	struct iovec src, dst = { c->rx, c->in_len };
	ssize_t n = read(c->in, c->rx, sizeof(uint64_t));

	if (n != sizeof(uint64_t))
		return short_of(c, "read from eventfd", n);
	if (c->in_len == sizeof(uint64_t))
		return 0;
	src = (struct iovec) { peer->tx, c->in_len };
	n = process_vm_readv(peer->pid, &dst, 1, &src, 1, 0);
	if (n != (ssize_t)c->in_len)
		return short_of(c, "process_vm_readv", n);
	where(c, c->side)->taken = c->seq;
	return 0;
}

static int readv_call(struct ipc *c)
{
	return readv_put(c) ? -1 : readv_get(c);
}

/* The last one: stay until it has been read. */
static int readv_reply(struct ipc *c)
{
	if (readv_put(c))
		return -1;
	while (c->out_len > sizeof(uint64_t) &&
	       where(c, !c->side)->taken != c->seq)
		usleep(100);
	return 0;
}

static void readv_close(struct ipc *c)
{
	ipc_close_fds(c);
	if (c->shm)
		munmap(c->shm, c->shm_len);
}

const struct ipc_engine bulk_vm_readv = {
	.name = "process_vm_readv",
	.what = "two eventfds, process_vm_readv() of the peer's memory",
	.flags = IPC_POSIX,
	.copies = 1,
	.open = readv_open,
	.join = readv_join,
	.call = readv_call,
	.recv = readv_get,
	.reply_recv = readv_call,
	.reply = readv_reply,
	.close = readv_close,
};
