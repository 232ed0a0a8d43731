/* SPDX-License-Identifier: MIT */
/* chan: what chan.c and msg.c have in common: the operations of an op begun. */
#ifndef FOS_CHAN_H
#define FOS_CHAN_H

#include "in.h"
#include "out.h"

#define CHAN_REQUESTS	(KIND_BIT(FOS_META_MSG) | KIND_BIT(FOS_META_CALL))

/* Of a message to send: FOS_MORE goes with FOS_POST only. */
static inline bool chan_flags_ok(int flags)
{
	return !(flags & ~(FOS_NONBLOCK | FOS_POST | FOS_MORE)) &&
	       (!(flags & FOS_MORE) || (flags & FOS_POST));
}

/* Return: @out->len or -errno. */
ssize_t chan_send(struct op *op, struct out *out, int flags);
int chan_reply(struct op *op, struct out *out);

/* *@token is 0 as soon as there is nothing to answer any more. */
ssize_t chan_reply_recv(struct op *op, uint64_t *token, struct out *rsp,
			struct in *in);

/* What fos_delivered() says is of this call. */
void chan_begin_call(void);
ssize_t chan_call(struct op *op, struct out *req, struct in *rsp);
/* It returns @ret; -E2BIG within is EMSGSIZE of the request, not of the reply. */
ssize_t chan_end_call(const struct op *op, ssize_t ret);

/* My request was published and I leave with @why, unless it is answered after all. */
ssize_t chan_give_up(struct op *op, uint64_t token, struct in *rsp, int why);

/* A message is on its way that no thread of mine waits for. */
void chan_published(struct op *op);

#endif
