// SPDX-License-Identifier: MIT
/* The engine that transfers nothing: what the measuring loop itself costs. */
#include "bench.h"

static int null_open(struct ipc *c)
{
	(void)c;
	return 0;
}

static int null_call(struct ipc *c)
{
	*(uint64_t *)c->rx = *(uint64_t *)c->tx;
	return 0;
}

static int null_recv(struct ipc *c)
{
	++*(uint64_t *)c->rx;
	return 0;
}

static int null_reply(struct ipc *c)
{
	(void)c;
	return 0;
}

static void null_close(struct ipc *c)
{
	(void)c;
}

const struct ipc_engine ipc_null = {
	.name = "null",
	.what = "no transfer, no waiting: the cost of the measuring loop",
	.flags = IPC_NULL,
	.open = null_open,
	.call = null_call,
	.recv = null_recv,
	.reply_recv = null_recv,
	.reply = null_reply,
	.close = null_close,
};
