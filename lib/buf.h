/* SPDX-License-Identifier: MIT */
/* buf: buffers of my area: what is said of them when they go with a message. */
#ifndef FOS_BUF_H
#define FOS_BUF_H

#include "out.h"

/*
 * Check the buffers of @out->msg, if there are any, and take them from the program:
 * they become @lending and that of @out.  -EINVAL: they are not his to send.
 */
int buf_lend(struct op *op, struct out *out, struct lending *lending);

void buf_lent_now(struct op *op, const struct lending *lending, bool gone);

/* They went with it; or they are the program's again, as after its error. */
static inline void buf_lent(struct op *op, const struct out *out, bool gone)
{
	if (fos_unlikely(out->lending))
		buf_lent_now(op, out->lending, gone);
}

#endif
