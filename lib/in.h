/* SPDX-License-Identifier: MIT */
/* in: messages of the peer, and whom they are for. */
#ifndef FOS_IN_H
#define FOS_IN_H

#include "op.h"

#define KIND_BIT(meta)	(1U << (meta))

/**
 * struct in - where a message goes
 * @kinds: KIND_BIT() of what is taken
 * @buf: buffer, unless @msg
 * @cap: room there
 * @msg: has the room, @cap in all, and takes buffers and descriptors too; or
 *	NULL
 * @token: out: of the request, 0 of a one-way message
 */
struct in {
	unsigned int kinds;
	void *buf;
	size_t cap;
	struct fos_msg *msg;
	uint64_t token;
};

/**
 * in_receive() - take one message, wait for it if need be
 * @flags: 0 or FOS_NONBLOCK
 *
 * Return: its length; -EAGAIN, -EPIPE, -EPROTO, -EMFILE, errors of op_wait().
 */
ssize_t in_receive(struct op *op, struct in *in, int flags);

/*
 * One is there, unless it was withdrawn or another thread is at it: nobody needs to be
 * told that somebody waits for it.  But without the module who is about to sleep is to
 * see that he need not wake a poller.
 */
static inline bool in_is_there(const struct op *op)
{
	return !op->ep->backend->received && fos_ring_peek(op->r);
}

/* Take that one; or wait, if another thread was faster. */
ssize_t in_receive_there(struct op *op, struct in *in);

/*
 * The same in three steps, to do something else once the peer can see that
 * somebody waits for him.  in_leave() returns @ret; if that was in vain, perhaps
 * the length of a message after all.
 */
void in_enter(struct op *op, const struct in *in);
ssize_t in_receive_entered(struct op *op, struct in *in);
ssize_t in_leave(struct op *op, struct in *in, ssize_t ret);

/**
 * in_reply() - take the reply to my request, which is there
 *
 * Return: its length; -EMSGSIZE: it does not fit here; -E2BIG: the request did
 * not fit there; -EPROTO; -EMFILE.
 */
ssize_t in_reply(struct op *op, uint64_t token, struct in *in);

/*
 * I have given up: a reply that has come nevertheless is in vain, but its sender may
 * not have waited to be told.  So its buffers are given back.
 */
void in_late_reply(struct op *op, uint64_t token);

#endif
