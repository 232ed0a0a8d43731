/* SPDX-License-Identifier: GPL-2.0-only */
/* Touching memory that may not be there, from any thread. */
#ifndef FOS_SELFTESTS_TOUCH_H
#define FOS_SELFTESTS_TOUCH_H

#include <setjmp.h>

#include "helpers.h"

static __thread sigjmp_buf touch_env;

static inline void touch_failed(int sig)
{
	siglongjmp(touch_env, sig);
}

static inline void catch_faults(void)
{
	on_signal(SIGSEGV, SA_NODEFER, touch_failed);
	on_signal(SIGBUS, SA_NODEFER, touch_failed);
}

/* 0, or the signal that the access raised. */
static inline int load_at(const void *p)
{
	int sig = sigsetjmp(touch_env, 0);

	if (!sig)
		(void)*(const volatile char *)p;
	return sig;
}

static inline int store_at(void *p)
{
	int sig = sigsetjmp(touch_env, 0);

	if (!sig)
		*(volatile char *)p = 0x5a;
	return sig;
}

#endif
