// SPDX-License-Identifier: GPL-2.0-only
/* lib/lend.c as it is, on the model's memory; what the model sends has no buffers. */
#include "atomics.h"

#include "../../lib/lend.c"
