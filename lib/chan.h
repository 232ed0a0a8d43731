/* SPDX-License-Identifier: MIT */
/* chan: what chan.c and msg.c have in common: the operations of an op begun. */
#ifndef FOS_CHAN_H
#define FOS_CHAN_H

#include "in.h"
#include "out.h"

#define CHAN_REQUESTS	(KIND_BIT(FOS_META_MSG) | KIND_BIT(FOS_META_CALL))

/* Return: @out->len or -errno. */
ssize_t chan_send(struct op *op, struct out *out, int flags);
int chan_reply(struct op *op, struct out *out);

/* *@token is 0 as soon as there is nothing to answer any more. */
ssize_t chan_reply_recv(struct op *op, uint64_t *token, struct out *rsp,
			struct in *in);

/* What fos_delivered() says is of this call. */
void chan_begin_call(void);
ssize_t chan_call(struct op *op, struct out *req, struct in *rsp);

#endif
