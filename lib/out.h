/* SPDX-License-Identifier: MIT */
/* out: a message on its way to the peer. */
#ifndef FOS_OUT_H
#define FOS_OUT_H

#include "op.h"

/**
 * struct lending - buffers and descriptors on their way with a message
 * @n: how many buffers
 * @error: 0, or why the descriptors could not be sent: the message is not one
 * @lent: what the entry says of the buffers
 * @sent: ... and of the descriptors
 */
struct lending {
	uint32_t n;
	int error;
	struct fos_lent lent[FOS_LENT_MAX];
	struct fos_sent sent;
};

/**
 * struct out - a message on its way out
 * @buf, @len: the bytes, unless @msg
 * @msg: has them, @len in all; or NULL
 * @lending: its buffers and descriptors
 * @meta: FOS_META_MSG, _CALL or _REPLY, and _REFUSED and _LENT
 * @token: of a request or a reply
 * @seq: its position, once placed; a reply has none
 * @offset: of its block, if it needs one
 */
struct out {
	const void *buf;
	size_t len;
	const struct fos_msg *msg;
	struct lending *lending;
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

/* How long may it be to need no block? */
static inline size_t out_inline_max(const struct out *out)
{
	if (!fos_unlikely(out->meta & FOS_META_LENT))
		return FOS_INLINE_BYTES;
	return FOS_INLINE_BYTES - fos_lents(out->meta) * sizeof(struct fos_lent);
}

/* Is it short enough for this channel?  And does it need a block? */
static inline bool out_fits(const struct op *op, struct out *out)
{
	if (out->len <= out_inline_max(out))
		return true;
	if (out->len > FOS_MSG_MAX || out->len > op->r->m.area_bytes)
		return false;
	out->meta |= FOS_META_AREA;
	return true;
}

/*
 * Take a position, and a block if out_fits() said so; both or neither, for
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

/* Beside the slot of a buffer: what owns its block. */
#define OUT_BUFFER		(1ULL << 62)

/* With the area's lock: find out which blocks the peer has let go of. */
void out_sweep(struct op *op);

/* Wait for room: for another sum of claims than @sum.  As op_wait(). */
int out_wait_claims(struct op *op, uint64_t sum);

/* Fill in a placed message or reply and let the peer see it. */
void out_publish(struct op *op, const struct out *out);
void out_publish_reply(struct op *op, const struct out *out);

#endif
