/* SPDX-License-Identifier: MIT */
/* post: messages and calls that nobody waits in. */
#ifndef FOS_POST_H
#define FOS_POST_H

#include "in.h"
#include "out.h"

/*
 * Publish and go on, a message or a call, whose @out->token is told.  -EAGAIN: no
 * room (FOS_NONBLOCK), or as many calls are outstanding as the channel is deep.
 */
ssize_t post_send(struct op *op, struct out *out, int flags);

/**
 * post_collect() - take the reply to a call that was posted
 * @token: in: which, 0: any; out: which it was, also if it failed
 *
 * Return: its length; -ENOMSG: no such call; -EAGAIN, errors of op_wait(): it is
 * still outstanding; other errors: what became of it, op->delivered tells more.
 */
ssize_t post_collect(struct op *op, struct in *in, uint64_t *token, int flags);

/* Can a call be collected? */
bool fos__post_is_ready(struct fos_ep *ep);

/* A call of mine that was posted, but void: unless somebody has collected it. */
void post_abandon(struct op *op, uint64_t token);

#endif
