/* SPDX-License-Identifier: MIT */
/*
 * msg_fds: descriptors that go with messages, by the companion socket (comp.h).
 *
 * They go first: when an entry is seen its packet is there, so nobody ever waits
 * for one.  A packet names the entry, which is sent once, or the token of the
 * reply.  Of a message that was withdrawn, refused or never published it is left
 * over: an entry that has been decided, or a call that is over.  Whoever next looks
 * into the socket drops it there, without receiving what is in it.
 *
 * A receiver fetches before he claims.  What he meets on the way and is of messages
 * that others may take is put by, one parcel for each slot.
 *
 * One-way messages and requests send theirs when they have their place: if that
 * fails they are void, and must be published nevertheless, so they say 0
 * descriptors, which every receiver refuses, and do not wait.
 */
#ifndef FOS_MSG_FDS_H
#define FOS_MSG_FDS_H

#include "out.h"

/* ---- sending ---------------------------------------------------------- */

/*
 * Can those of @m be sent?  0; -EOPNOTSUPP: there is no companion; -EBADF: one is
 * none.
 */
int fds_check(struct op *op, const struct fos_msg *m);

/* An entry is being filled in: send them, or else it is void and does not wait. */
void fds_go(struct op *op, const struct out *out);

/*
 * The same before a reply, if that can be sent at all.  0; -ENOBUFS: too many that
 * nobody took lie there; -ETOOMANYREFS, -EBADF, -EPIPE, -EOPNOTSUPP, -ENOMEM.
 */
int fds_go_first(struct op *op, struct out *out);

/* The message has failed: what the peer has of it is left over. */
void fds_fail(struct op *op);

/* ---- receiving -------------------------------------------------------- */

/**
 * struct fds_name - whose descriptors
 * @kind: FOS_META_MSG or _REPLY
 * @name: entry or token
 * @sent: what that says
 */
struct fds_name {
	uint32_t kind;
	uint64_t name;
	struct fos_sent sent;
};

void fds_lock(struct op *op);
void fds_unlock(struct op *op);

/* Locked: fetch them.  -EPROTO: they are not there; -EMFILE: now they cannot be. */
int fds_find(struct op *op, const struct fds_name *name);
/* Locked: they are the caller's. */
void fds_take(struct op *op, const struct fds_name *name, int *fds);

/* Drop what is left over; the second, if there is reason to think so. */
void fds_drop(struct op *op);
void fds_look(struct op *op);

void fds_close(const int *fds, uint32_t n);

#endif
