/* SPDX-License-Identifier: GPL-2.0-only */
/* A message that is stuck while it is copied, until the test lets it go on. */
#ifndef FOS_SELFTESTS_SLOW_H
#define FOS_SELFTESTS_SLOW_H

#include <sys/mman.h>

#include "helpers.h"

/* Two pages, the second one of which cannot be read until it is let through. */
static struct {
	char *buf;
	uint64_t reached;
	uint64_t let_through;
} slow;

static void wait_in_the_middle(int sig UNUSED)
{
	__atomic_store_n(&slow.reached, 1, __ATOMIC_RELEASE);
	wait_for(&slow.let_through, 1);
	mprotect(slow.buf, 8192, PROT_READ | PROT_WRITE);
}

static inline int make_slow(void)
{
	slow.reached = 0;
	slow.let_through = 0;
	slow.buf = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slow.buf == MAP_FAILED)
		return -1;
	memset(slow.buf, 's', 8192);
	on_signal(SIGSEGV, 0, wait_in_the_middle);
	return mprotect(slow.buf + 4096, 4096, PROT_NONE);
}

static inline void let_through(void)
{
	__atomic_store_n(&slow.let_through, 1, __ATOMIC_RELEASE);
}

#endif
