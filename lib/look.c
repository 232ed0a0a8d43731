// SPDX-License-Identifier: MIT
#include "look.h"

#include <sys/resource.h>

/* Some slices of a scheduler; and so long it is not asked again. */
#define AROUND_NS	8000000
#define CROWDED_NS	(16 * AROUND_NS)

uint32_t fos__look_ns = 30;
uint32_t fos__pollers;

__thread bool fos__crowded;
__thread uint64_t fos__look_around_at;

/**
 * struct used - what a thread had had of its CPU
 * @at: when, ns
 * @ns: of its time
 * @slept: so often it had slept
 * @robbed: so often it had been made to wait for the CPU
 */
struct used {
	uint64_t at;
	uint64_t ns;
	long slept;
	long robbed;
};

static uint64_t ns_of(const struct timeval *tv)
{
	return tv->tv_sec * 1000000000ULL + tv->tv_usec * 1000ULL;
}

static struct used used_by(uint64_t now)
{
	/* A filter of system calls may refuse it: then nobody was robbed. */
	struct rusage r = { 0 };

	getrusage(RUSAGE_THREAD, &r);
	return (struct used) {
		.at = now,
		.ns = ns_of(&r.ru_utime) + ns_of(&r.ru_stime),
		.slept = r.ru_nvcsw,
		.robbed = r.ru_nivcsw,
	};
}

/*
 * A thread that never slept had all the time if nobody else was after the CPU; it
 * polls in vain then, as far as others get what it lacks.
 */
void fos__look_around(uint64_t now)
{
	static __thread struct used then;
	const struct used used = used_by(now);

	fos__crowded = then.at && used.slept == then.slept &&
		       used.robbed != then.robbed &&
		       4 * (used.ns - then.ns) < 3 * (used.at - then.at);
	fos__look_around_at = now + (fos__crowded ? CROWDED_NS : AROUND_NS);
	then = used;
}

void fos__look_forget(void)
{
	__atomic_store_n(&fos__pollers, 0, __ATOMIC_RELAXED);
}

uint32_t fos__online_cpus(void)
{
	static uint32_t cpus;
	long n;

	if (!__atomic_load_n(&cpus, __ATOMIC_RELAXED)) {
		n = sysconf(_SC_NPROCESSORS_ONLN);
		__atomic_store_n(&cpus, n > 0 ? n : 1, __ATOMIC_RELAXED);
	}
	return __atomic_load_n(&cpus, __ATOMIC_RELAXED);
}

uint64_t fos__posted_at(const struct fos_spin *spin, uint64_t began,
			uint64_t hint, uint64_t now)
{
	uint64_t posted_at = now - fos_spin_wake_ns(spin);

	if (hint)
		posted_at = fos_spin_posted_at(hint, now);
	return fos__later(posted_at, began);
}
