// SPDX-License-Identifier: MIT
#include "spin.h"

#include "fastos.h"

#define MODE_SHIFT	48
#define NS_MASK		((1ULL << MODE_SHIFT) - 1)

uint64_t fos_spin_pack(uint32_t mode, uint64_t spin_ns)
{
	return (uint64_t)mode << MODE_SHIFT | (spin_ns & NS_MASK);
}

bool fos_spin_is_default(uint64_t word)
{
	const uint32_t mode = word >> MODE_SHIFT;

	return mode != FOS_SPIN_BLOCK && mode != FOS_SPIN_ALWAYS &&
	       mode != FOS_SPIN_FIXED;
}

void fos_spin_unpack(struct fos_spin *s, uint64_t word, uint64_t wake_ns)
{
	s->mode = word >> MODE_SHIFT;
	s->budget_ns = word & NS_MASK;
	s->turn_ns = 0;
	if (fos_spin_is_default(word)) {
		s->mode = FOS_SPIN_FIXED;
		s->budget_ns = wake_ns;
	}
}

bool fos_spin_is_timed(const struct fos_spin *s)
{
	return s->mode == FOS_SPIN_FIXED;
}

void fos_spin_turn(struct fos_spin *s, uint64_t ns)
{
	uint64_t old = __atomic_load_n(&s->turn_ns, __ATOMIC_RELAXED);

	/* Gain 1/8: follows a change within a dozen turns. */
	__atomic_store_n(&s->turn_ns, old ? old - old / 8 + ns / 8 : ns,
			 __ATOMIC_RELAXED);
}

uint64_t fos_spin_decide(const struct fos_spin *s,
			 const struct fos_spin_sample *sample)
{
	if (s->mode == FOS_SPIN_BLOCK || sample->online_cpus < 2 ||
	    !sample->peer_cpu || sample->peer_cpu == sample->my_cpu)
		return 0;
	return s->mode == FOS_SPIN_ALWAYS ? FOS_SPIN_FOREVER : s->budget_ns;
}
