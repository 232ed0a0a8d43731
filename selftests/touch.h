/* SPDX-License-Identifier: GPL-2.0-only */
/* Touching memory that may not be there, from any thread. */
#ifndef FOS_SELFTESTS_TOUCH_H
#define FOS_SELFTESTS_TOUCH_H

#include <setjmp.h>

#include "helpers.h"

static __thread sigjmp_buf touch_env;
static __thread volatile sig_atomic_t is_touching;

static inline void touch_failed(int sig)
{
	if (is_touching)
		siglongjmp(touch_env, sig);
	signal(sig, SIG_DFL);
}

/* In the setup of a test. */
static inline void catch_faults(void)
{
	on_signal(SIGSEGV, SA_NODEFER, touch_failed);
	on_signal(SIGBUS, SA_NODEFER, touch_failed);
}

/* Under the thread sanitizer SA_NODEFER is without effect; else a trap is spared. */
#ifdef __SANITIZE_THREAD__
#define TOUCH_SAVES_MASK	1
#else
#define TOUCH_SAVES_MASK	0
#endif

/* 0, or the signal that the statement raised. */
#define TOUCH(statement) ({ \
	int sig_ = sigsetjmp(touch_env, TOUCH_SAVES_MASK); \
	is_touching = !sig_; \
	if (!sig_) \
		statement; \
	is_touching = 0; \
	sig_; \
})

static inline int load_at(const void *p)
{
	return TOUCH((void)*(const volatile char *)p);
}

static inline int store_at(void *p)
{
	return TOUCH(*(volatile char *)p = 0x5a);
}

#endif
