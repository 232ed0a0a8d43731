// SPDX-License-Identifier: MIT
/* Engines on fastos channels: fos_call() and fos_reply_recv(). */
#include <errno.h>
#include <fastos.h>
#include <stdio.h>
#include <stdlib.h>
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

static int chan_make(struct ipc *c)
{
	struct fos_chan_attr attr = {
		.spin = c->e->arg,
		.depth = c->depth > 32 ? MAX_WINDOW : 0,
		.area_bytes = c->shm_len,
	};

	if (attr.spin == FOS_SPIN_FIXED)
		attr.spin_ns = ipc_fastos_fixed_ns();
	return fos_channel(c->fd, &attr);
}

int ipc_chan_open(struct ipc *c, uint64_t area_bytes)
{
	c->shm_len = area_bytes;
	return backend_open(c, FOS_CAP_CHAN, "fos_channel", chan_make);
}

static int chan_open(struct ipc *c)
{
	return ipc_chan_open(c, 0);
}

int ipc_chan_join(struct ipc *c, int side)
{
	c->in = c->fd[side];
	return 0;
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
	ssize_t n = fos_call(c->in, c->tx, c->out_len, c->rx, c->in_len, NULL);

	if (n != (ssize_t)c->in_len)
		return length(c, "fos_call", n);
	return 0;
}

static int chan_call_deadline(struct ipc *c)
{
	struct timespec deadline;
	ssize_t n;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec++;
	n = fos_call(c->in, c->tx, c->out_len, c->rx, c->in_len, &deadline);
	if (n != (ssize_t)c->in_len)
		return length(c, "fos_call", n);
	return 0;
}

static int chan_reply_recv(struct ipc *c)
{
	ssize_t n = fos_reply_recv(c->in, &c->token, c->tx, c->out_len,
				   c->rx, c->in_len, NULL);

	if (n != (ssize_t)c->in_len)
		return length(c, "fos_reply_recv", n);
	return 0;
}

static int chan_reply(struct ipc *c)
{
	if (fos_reply(c->in, c->token, c->tx, c->out_len))
		return ipc_fail(c, "fos_reply");
	return 0;
}

/* Whoever then waits for a reply wakes the server for all. */
static int chan_post(struct ipc *c, unsigned int nth)
{
	if (fos_post(c->in, c->tx, c->size, &c->window[nth], FOS_MORE, NULL))
		return ipc_fail(c, "fos_post");
	return 0;
}

static int chan_collect(struct ipc *c, unsigned int nth)
{
	ssize_t n = fos_collect(c->in, &c->window[nth], c->rx, c->size, 0, NULL);

	if (n != (ssize_t)c->size)
		return length(c, "fos_collect", n);
	return 0;
}

#define CHAN_OPERATIONS							\
	.post = chan_post,						\
	.collect = chan_collect,					\
	.copies = 2,							\
	.most = FOS_MSG_MAX,						\
	.open = chan_open,						\
	.join = ipc_chan_join,						\
	.recv = chan_reply_recv,	/* token 0: nothing to answer */ \
	.reply_recv = chan_reply_recv,					\
	.reply = chan_reply,						\
	.close = backend_close

/* ---- channels of the module ------------------------------------------- */

const struct ipc_engine ipc_fastos_spin = {
	.name = "fastos-spin",
	.what = "channel that polls; sleeps only beside a peer on its CPU",
	.flags = IPC_FASTOS | IPC_TOKENS | IPC_MODULE | IPC_POLLS,
	.arg = FOS_SPIN_ALWAYS,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_fastos = {
	.name = "fastos",
	.what = "channel as it is by default: polls while that has paid",
	.flags = IPC_FASTOS | IPC_TOKENS | IPC_MODULE | IPC_POLLS,
	.arg = FOS_SPIN_DEFAULT,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_fastos_fixed = {
	.name = "fastos-fixed",
	.what = "channel that polls for the cost of one sleep, then sleeps",
	.flags = IPC_FASTOS | IPC_TOKENS | IPC_MODULE | IPC_POLLS,
	.arg = FOS_SPIN_FIXED,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_fastos_block = {
	.name = "fastos-block",
	.what = "channel that sleeps at once",
	.flags = IPC_FASTOS | IPC_TOKENS | IPC_MODULE,
	.arg = FOS_SPIN_BLOCK,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_fastos_block_deadline = {
	.name = "fastos-block-deadline",
	.what = "the same, each call with a deadline 1 s ahead",
	.flags = IPC_FASTOS | IPC_TOKENS | IPC_MODULE,
	.arg = FOS_SPIN_BLOCK,
	.call = chan_call_deadline,
	CHAN_OPERATIONS,
};

/* For bulk, where the names without "copy" are taken. */
const struct ipc_engine bulk_copy_spin = {
	.name = "fastos-copy-spin",
	.what = "fos_call() and a channel that polls: copied in and out",
	.flags = IPC_FASTOS | IPC_MODULE | IPC_POLLS,
	.arg = FOS_SPIN_ALWAYS,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine bulk_copy_block = {
	.name = "fastos-copy-block",
	.what = "fos_call() and a channel that sleeps at once: the same",
	.flags = IPC_FASTOS | IPC_MODULE,
	.arg = FOS_SPIN_BLOCK,
	.call = chan_call,
	CHAN_OPERATIONS,
};

/* ---- the same without the module -------------------------------------- */

const struct ipc_engine ipc_posix_spin = {
	.name = "fastos-posix-spin",
	.what = "fastos-spin without the module, by FOS_BACKEND=posix",
	.flags = IPC_FASTOS | IPC_TOKENS | IPC_POLLS,
	.arg = FOS_SPIN_ALWAYS,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_posix = {
	.name = "fastos-posix",
	.what = "fastos without the module",
	.flags = IPC_FASTOS | IPC_TOKENS | IPC_POLLS,
	.arg = FOS_SPIN_DEFAULT,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_posix_fixed = {
	.name = "fastos-posix-fixed",
	.what = "fastos-fixed without the module",
	.flags = IPC_FASTOS | IPC_TOKENS | IPC_POLLS,
	.arg = FOS_SPIN_FIXED,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine ipc_posix_block = {
	.name = "fastos-posix-block",
	.what = "fastos-block without the module",
	.flags = IPC_FASTOS | IPC_TOKENS,
	.arg = FOS_SPIN_BLOCK,
	.call = chan_call,
	CHAN_OPERATIONS,
};

const struct ipc_engine bulk_posix_copy_spin = {
	.name = "fastos-posix-copy-spin",
	.what = "fastos-copy-spin without the module",
	.flags = IPC_FASTOS | IPC_POLLS,
	.arg = FOS_SPIN_ALWAYS,
	.call = chan_call,
	CHAN_OPERATIONS,
};
