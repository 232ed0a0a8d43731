/* SPDX-License-Identifier: MIT */
/* in: messages of the peer, and whom they are for. */
#ifndef FOS_IN_H
#define FOS_IN_H

#include "op.h"

#define KIND_BIT(meta)	(1U << (meta))

/**
 * struct in - where a message goes
 * @kinds: KIND_BIT() of what is taken
 * @buf: buffer
 * @cap: room there
 * @token: out: of the request, 0 of a one-way message
 */
struct in {
	unsigned int kinds;
	void *buf;
	size_t cap;
	uint64_t token;
};

/**
 * in_receive() - take one message, wait for it if need be
 * @flags: 0 or FOS_NONBLOCK
 *
 * Return: its length; -EAGAIN, -EPIPE, -EPROTO, errors of op_wait().
 */
ssize_t in_receive(struct op *op, struct in *in, int flags);

/**
 * in_replies() - hand out the replies that are there
 * @call: is its reply among them?
 * @seen: see fos_ring_scan_begin()
 *
 * Return: 1: it is; 0; -EPROTO.
 */
int in_replies(struct op *op, struct fos_call *call, uint64_t seen);

#endif
