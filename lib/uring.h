/* SPDX-License-Identifier: MIT */
/* uring: bells that wait for the caller to submit his ring. */
#ifndef FOS_URING_ROOM_H
#define FOS_URING_ROOM_H

#include "internal.h"

struct io_uring;

/* This thread's; NULL: bells do not wait. */
extern __thread struct io_uring *fos__bells
	__attribute__((tls_model("initial-exec")));

/* It is to be rung by the ring.  False: ring it now. */
bool fos__bell_later(const struct fos_ep *ep, int fd, uint32_t bell);

void fos__submit_bells(void);

/* Before this thread waits, or closes. */
static inline void fos__ring_late_bells(void)
{
	if (fos_unlikely(fos__bells))
		fos__submit_bells();
}

#endif
