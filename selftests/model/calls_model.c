// SPDX-License-Identifier: GPL-2.0-only
/* lib/calls.c as it is, on the model's memory. */
#include <time.h>

#include "atomics.h"

#define __atomic_add_fetch(p, v, mo)	(__atomic_fetch_add((p), (v), (mo)) + (v))
#define __atomic_sub_fetch(p, v, mo)	(__atomic_fetch_sub((p), (v), (mo)) - (v))
/* Of what waits for a free slot, which is not modelled. */
#define __atomic_fetch_and(p, v, mo)	__atomic_exchange_n((p), *(p) & (v), (mo))

/* With two slots the table of busy ones, which is not modelled, is empty. */
#pragma GCC diagnostic ignored "-Wtype-limits"
#pragma GCC diagnostic ignored "-Wunused-value"
#pragma GCC diagnostic ignored "-Wzero-length-bounds"

#include "../../lib/calls.c"

/* No event: the next look comes when there is something new to see. */
void fos__nap(void)
{
}
