// SPDX-License-Identifier: MIT
#include "look.h"

uint32_t fos__look_ns = 30;
uint32_t fos__pollers;

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
