/* SPDX-License-Identifier: MIT */
/* attr: how a channel is made. Pure. */
#ifndef FOS_ATTR_H
#define FOS_ATTR_H

#include "fastos.h"

/**
 * fos__attr_complete() - check, and put in what zero stands for
 * @to: every field as the channel will have it
 * @from: the caller's, or NULL
 *
 * Return: 0; -EINVAL.
 */
int fos__attr_complete(struct fos_chan_attr *to,
		       const struct fos_chan_attr *from);

/* No more of anything than @limit has; both complete. */
void fos__attr_limit(struct fos_chan_attr *attr,
		     const struct fos_chan_attr *limit);

#endif
