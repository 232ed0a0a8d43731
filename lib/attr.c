// SPDX-License-Identifier: MIT
#include "attr.h"

#include <errno.h>
#include <linux/fastos.h>

#define DEFAULT_DEPTH	32
#define DEFAULT_AREA	(2ULL << 20)

static int attr_check(const struct fos_chan_attr *a)
{
	uint64_t resv = 0;
	size_t i;

	for (i = 0; i < sizeof(a->resv) / sizeof(a->resv[0]); i++)
		resv |= a->resv[i];
	if (a->flags || resv || a->spin > FOS_SPIN_FIXED ||
	    a->area_bytes > FOS_CHAN_AREA_MAX || (a->spin_ns >> 48) ||
	    (a->spin_ns && a->spin != FOS_SPIN_FIXED) ||
	    a->spin_share > 99 ||
	    (a->spin_share && a->spin != FOS_SPIN_DEFAULT) ||
	    a->depth < FOS_CHAN_DEPTH_MIN || a->depth > FOS_CHAN_DEPTH_MAX ||
	    (a->depth & (a->depth - 1)))
		return -EINVAL;
	return 0;
}

int fos__attr_complete(struct fos_chan_attr *to,
		       const struct fos_chan_attr *from)
{
	int ret;

	*to = from ? *from : (struct fos_chan_attr) { 0 };
	if (!to->depth)
		to->depth = DEFAULT_DEPTH;
	if (!to->area_bytes)
		to->area_bytes = DEFAULT_AREA;
	ret = attr_check(to);
	if (!ret)
		to->area_bytes = FOS_PAGE_ALIGN(to->area_bytes);
	return ret;
}

/* From the least polling to the most; of two FIXED ones @spin_ns decides. */
static unsigned int rank(uint32_t spin)
{
	static const unsigned char ranks[] = {
		[FOS_SPIN_BLOCK] = 0,
		[FOS_SPIN_DEFAULT] = 1,
		[FOS_SPIN_FIXED] = 2,
		[FOS_SPIN_ALWAYS] = 3,
	};

	return ranks[spin];
}

void fos__attr_limit(struct fos_chan_attr *attr,
		     const struct fos_chan_attr *limit)
{
	if (attr->depth > limit->depth)
		attr->depth = limit->depth;
	if (attr->area_bytes > limit->area_bytes)
		attr->area_bytes = limit->area_bytes;
	if (rank(attr->spin) > rank(limit->spin) ||
	    (attr->spin == limit->spin && attr->spin_ns > limit->spin_ns)) {
		attr->spin = limit->spin;
		attr->spin_ns = limit->spin_ns;
		attr->spin_share = limit->spin_share;
	} else if (attr->spin == limit->spin && limit->spin_share &&
		   (!attr->spin_share ||
		    attr->spin_share > limit->spin_share)) {
		attr->spin_share = limit->spin_share;
	}
}
