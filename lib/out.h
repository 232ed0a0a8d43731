/* SPDX-License-Identifier: MIT */
/* out: a message on its way to the peer. */
#ifndef FOS_OUT_H
#define FOS_OUT_H

#include "op.h"

/**
 * struct out - a message on its way out
 * @meta: FOS_META_MSG, _CALL or _REPLY, and _REFUSED
 * @token: of a request or a reply
 * @seq: its position, once placed; a reply has none
 * @offset: of its block, if it needs one
 */
struct out {
	const void *buf;
	size_t len;
	uint32_t meta;
	uint64_t token;
	uint64_t seq;
	uint64_t offset;
};

/**
 * struct room - what to wait for when there is no room
 * @want: FOS_WANT_ROOM: for a slot; FOS_WANT_CLAIMS: for a block, any will do
 * @arg: as op_wait() takes it
 */
struct room {
	uint32_t want;
	uint64_t arg;
};

/* Is it short enough for this channel? */
static inline bool out_fits(const struct op *op, size_t len)
{
	return len <= FOS_INLINE_BYTES ||
	       (len <= FOS_MSG_MAX && len <= op->r->m.area_bytes);
}

/*
 * Take a position, and a block if the message needs one; both or neither, for
 * a position must be published.  -EAGAIN: @room says what to wait for.
 */
int out_place(struct op *op, struct out *out, struct room *room);
/* The same, and wait.  -EPIPE, and errors of op_wait(). */
int out_place_wait(struct op *op, struct out *out);

/*
 * A block for a reply that needs one, else nothing: a reply has its slot.
 * Waits only briefly.  -ENOBUFS: the area is full; -EPIPE, -EBADF.
 */
int out_place_reply(struct op *op, struct out *out);

/* Fill in a placed message or reply and let the peer see it. */
void out_publish(struct op *op, const struct out *out);
void out_publish_reply(struct op *op, const struct out *out);

#endif
