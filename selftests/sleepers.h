/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that sleep in a raw BELL_WAIT. */
#ifndef FOS_SELFTESTS_SLEEPERS_H
#define FOS_SELFTESTS_SLEEPERS_H

#include <pthread.h>

#include "abi.h"

#define NONE		FOS_DEADLINE_NONE

static inline uint64_t events_of(const struct fos_line *line)
{
	return __atomic_load_n(&line->events, __ATOMIC_ACQUIRE);
}

/* Until so many threads of the side sleep. */
static inline bool wait_sleepers(const struct raw *r, long n)
{
	uint64_t end = in_ms(HANG_MS);
	char text[1024], side[8], *at;

	snprintf(side, sizeof(side), "side%u:", r->side);
	do {
		fdinfo_of(r->fd, text, sizeof(text));
		at = strstr(text, side);
		at = at ? strstr(at, "waiters=") : NULL;
		if (at && strtol(at + 8, NULL, 0) == n)
			return true;
		nap_us(200);
	} while (now_ns() < end);
	return false;
}

struct sleeper {
	struct raw *r;
	uint32_t want;
	uint64_t seen;
	uint64_t seq;
	uint64_t deadline;
	pthread_t thread;
	long ret;
	uint64_t done;
};

static inline void *sleep_now(void *arg)
{
	struct sleeper *s = arg;

	s->ret = raw_bell_wait(s->r, 0, s->want, s->seen, s->seq, s->deadline);
	__atomic_store_n(&s->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static inline void start(struct sleeper *s)
{
	if (!s->deadline)
		s->deadline = NONE;
	s->done = 0;
	pthread_create(&s->thread, NULL, sleep_now, s);
}

/* What the wait returned; 1: it still sleeps. */
static inline long finish(struct sleeper *s)
{
	if (!wait_for(&s->done, 1))
		return 1;
	pthread_join(s->thread, NULL);
	return s->ret;
}

#endif
