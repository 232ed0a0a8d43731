/* SPDX-License-Identifier: MIT */
/*
 * lend: buffers in the transmit areas that are handed over in place.  Mine lie in
 * my area, where fos_buf_alloc() finds room for them; the peer reads them there,
 * and says in a word of his own that he has finished.  His, that I was lent, are
 * held until fos_buf_release().  Pure, but for the addresses it compares.
 */
#ifndef FOS_LEND_H
#define FOS_LEND_H

#include "ring.h"

/**
 * struct fos_mine - a buffer of mine
 * @handle: while it is in use; 0: free
 * @state: FOS_BUF_*
 *
 * Where it lies, the area knows.
 */
struct fos_mine {
	uint64_t handle;
	uint32_t state;
};

enum {
	FOS_BUF_OWN,		/* the program's, to fill in and to send */
	FOS_BUF_SENDING,	/* of a message whose fate is not known */
	FOS_BUF_LENT,		/* the peer's, until he gives it back */
};

/**
 * struct fos_held - a buffer that the peer lent me
 * @at: its address, 0: none
 * @handle: what he called it
 */
struct fos_held {
	uintptr_t at;
	uint64_t handle;
};

/**
 * struct fos_lend - all of an endpoint
 * @count: of buffers so far: no two handles are the same
 * @held_to: slots from here on were never held
 */
struct fos_lend {
	uint64_t count;
	struct fos_mine mine[FOS_CHAN_DEPTH_MAX];
	uint32_t held_to;
	struct fos_held held[FOS_CHAN_DEPTH_MAX];
};

void fos_lend_init(struct fos_lend *l);

/* ---- mine; the caller has the area's lock ----------------------------- */

/* Take a slot; -EAGAIN: all of them are in use. */
int fos_lend_take(struct fos_lend *l, uint32_t depth);
void fos_lend_drop(struct fos_lend *l, uint32_t slot);
/* Has the peer had the buffer of @slot and given it back? */
bool fos_lend_is_back(const struct fos_lend *l, const struct fos_ring *r,
		      uint32_t slot);

/* ... and given it back, but it is not known yet that he has had it? */
bool fos_lend_is_early(const struct fos_lend *l, const struct fos_ring *r,
		       uint32_t slot);

/* ---- the peer's ------------------------------------------------------- */

/*
 * Copy and check what @f lends, and says of descriptors, at its body, and step over
 * it; false: nonsense.
 */
bool fos_lend_copy(const struct fos_ring *r, struct fos_found *f);

/* I have taken the message with this buffer; -EPROTO: and its slot before. */
int fos_lend_hold(struct fos_lend *l, const struct fos_ring *r,
		  const struct fos_lent *lent);
/* I have finished with the one at @at; -EINVAL: there is none. */
int fos_lend_return(struct fos_lend *l, struct fos_ring *r, const void *at,
		    uint32_t *bell);
/* The same of one that was never held; its handle has been checked. */
void fos_lend_give_back(struct fos_ring *r, uint64_t handle, uint32_t *bell);

#endif
