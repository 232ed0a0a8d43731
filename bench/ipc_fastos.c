// SPDX-License-Identifier: MIT
/* Engines on fastos channels: fos_call() and fos_reply_recv(). */
#include <errno.h>
#include <fastos.h>
#include <string.h>

#include "bench.h"

#define FIXED_NS	50000	/* where the kernel does not know its cost */

/* How long fastos-fixed polls before it sleeps: the cost of sleeping. */
uint64_t ipc_fastos_fixed_ns(void)
{
	struct fos_caps caps;

	if (fos_query(&caps, sizeof(caps)) || !caps.wake_ns)
		return FIXED_NS;
	return caps.wake_ns;
}

static int chan_absent(struct ipc *c, int reason)
{
	char why[WHY_LEN];

	snprintf(why, sizeof(why), "%s (%s)", reason == ENOENT ? "no module" :
		 "no fastos here", strerrorname_np(reason));
	return ipc_skip(c, why);
}

static int chan_open(struct ipc *c)
{
	struct fos_chan_attr attr = { .spin = c->e->arg };
	struct fos_caps caps;

	if (fos_query(&caps, sizeof(caps)))
		return ipc_fail(c, "fos_query");
	if (caps.backend == FOS_BACKEND_NONE)
		return chan_absent(c, caps.reason);
	if (attr.spin == FOS_SPIN_FIXED)
		attr.spin_ns = ipc_fastos_fixed_ns();
	if (fos_channel(c->fd, &attr))
		return ipc_fail(c, "fos_channel");
	return 0;
}

static int chan_join(struct ipc *c, int side)
{
	c->in = c->fd[side];
	return 0;
}

static void chan_close(struct ipc *c)
{
	for (int i = 0; i < 2; i++) {
		if (c->fd[i] >= 0)
			fos_close(c->fd[i]);
	}
}

/* A message of another length than asked for is a failure too. */
static int length(struct ipc *c, const char *what, ssize_t n)
{
	if (n >= 0)
		errno = EBADMSG;
	return ipc_fail(c, what);
}

static int chan_call(struct ipc *c)
{
	ssize_t n = fos_call(c->in, c->tx, c->size, c->rx, c->size, NULL);

	if (n != (ssize_t)c->size)
		return length(c, "fos_call", n);
	return 0;
}

static int chan_call_deadline(struct ipc *c)
{
	struct timespec deadline;
	ssize_t n;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec++;
	n = fos_call(c->in, c->tx, c->size, c->rx, c->size, &deadline);
	if (n != (ssize_t)c->size)
		return length(c, "fos_call", n);
	return 0;
}

static int chan_reply_recv(struct ipc *c)
{
	ssize_t n = fos_reply_recv(c->in, &c->token, c->tx, c->size, c->rx,
				   c->size, NULL);

	if (n != (ssize_t)c->size)
		return length(c, "fos_reply_recv", n);
	return 0;
}

static int chan_reply(struct ipc *c)
{
	if (fos_reply(c->in, c->token, c->tx, c->size))
		return ipc_fail(c, "fos_reply");
	return 0;
}

#define CHAN_OPERATIONS							\
	.open = chan_open,						\
	.join = chan_join,						\
	.recv = chan_reply_recv,	/* token 0: nothing to answer */ \
	.reply_recv = chan_reply_recv,					\
	.reply = chan_reply,						\
	.close = chan_close

const struct ipc_engine ipc_fastos_spin = {
	.name = "fastos-spin",
	.what = "channel that polls; sleeps only beside a peer on its CPU",
	.flags = IPC_FASTOS | IPC_POLLS,
	.arg = FOS_SPIN_ALWAYS,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_fastos_fixed = {
	.name = "fastos-fixed",
	.what = "channel that polls for the cost of one sleep, then sleeps",
	.flags = IPC_FASTOS | IPC_POLLS,
	.arg = FOS_SPIN_FIXED,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_fastos_block = {
	.name = "fastos-block",
	.what = "channel that sleeps at once",
	.flags = IPC_FASTOS,
	.arg = FOS_SPIN_BLOCK,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_fastos_block_deadline = {
	.name = "fastos-block-deadline",
	.what = "the same, each call with a deadline 1 s ahead",
	.flags = IPC_FASTOS,
	.arg = FOS_SPIN_BLOCK,
	.call = chan_call_deadline,
	CHAN_OPERATIONS,
};
