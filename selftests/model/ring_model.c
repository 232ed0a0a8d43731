// SPDX-License-Identifier: GPL-2.0-only
/* lib/ring.c as it is, on the model's memory. */
#include "atomics.h"

#include "../../lib/ring.c"
