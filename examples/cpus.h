/* SPDX-License-Identifier: MIT */
/* A thread for each CPU that we may use. */
#ifndef CPUS_H
#define CPUS_H

#include <sched.h>

static inline unsigned int count_cpus(unsigned int most)
{
	cpu_set_t all;
	unsigned int n = 1;

	if (!sched_getaffinity(0, sizeof(all), &all))
		n = CPU_COUNT(&all);
	return n < most ? n : most;
}

/* This thread to one of them.  Where the kernel says no it decides. */
static inline void pin_to(unsigned int nth)
{
	cpu_set_t all, one;
	int cpu = 0, skip;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (skip = nth % CPU_COUNT(&all); ; cpu++)
		if (CPU_ISSET(cpu, &all) && !skip--)
			break;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

#endif
