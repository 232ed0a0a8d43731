// SPDX-License-Identifier: GPL-2.0-only
/* The outside world of a target: a clock that counts looks, two CPUs. */
#include "fuzz.h"

#include <semaphore.h>

struct input input;
uint64_t fuzz_now;

int fuzz_clock_gettime(clockid_t clock, struct timespec *ts);
void __wrap_fos__nap(void);
long fuzz_sysconf(int name);
int fuzz_sem_wait(sem_t *sem);
int fuzz_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *ts);

int fuzz_clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	fuzz_now += 1000;
	ts->tv_sec = fuzz_now / 1000000000;
	ts->tv_nsec = fuzz_now % 1000000000;
	return 0;
}

/* Naps wait for another thread of mine; too many are a loop without end. */
void __wrap_fos__nap(void)
{
	static uint64_t naps;
	static const uint8_t *at;

	fuzz_now += 50000;
	if (at != input.at)
		naps = 0;
	at = input.at;
	if (++naps > 100000)
		FAIL("the library naps for ever");
}

long fuzz_sysconf(int name)
{
	(void)name;
	return 2;
}

/* The calls that hold the slots are our own callers: they do not end first. */
int fuzz_sem_wait(sem_t *sem)
{
	(void)sem;
	errno = EINTR;
	return -1;
}

/* In time, or a signal comes: who waits without a deadline does so by slices. */
int fuzz_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *ts)
{
	const uint64_t ns = ts->tv_sec * 1000000000ULL + ts->tv_nsec;

	(void)sem;
	(void)clock;
	errno = fuzz_now & 1 ? EINTR : ETIMEDOUT;
	if (fuzz_now < ns)
		fuzz_now = ns;
	fuzz_now ^= 1;
	return -1;
}
