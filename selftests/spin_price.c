// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a sleep costs is measured across CPUs, also by a process that may use one only:
 * its peers are elsewhere, and beside each other it is another price.
 */
#include "peers.h"
#include "kselftest_harness.h"

/* Where the library wants threads of its own to run. */
static cpu_set_t wanted[4];
static unsigned int nwanted;

/* In the place of libc's: the threads run anywhere. */
int pthread_attr_setaffinity_np(pthread_attr_t *attr, size_t size,
				const cpu_set_t *cpus)
{
	(void)attr;
	(void)size;
	if (nwanted < 4)
		wanted[nwanted++] = *cpus;
	return 0;
}

TEST(who_is_pinned_measures_it_across_cpus)
{
	struct fos_caps caps;
	int cpu;

	if (usable_cpus() < 2)
		SKIP(return, "one CPU");
	/* The module measures it itself. */
	ASSERT_EQ(0, setenv("FOS_BACKEND", "posix", 1));
	ASSERT_EQ(0, pin_to(0));
	ASSERT_EQ(0, fos_query(&caps, sizeof(caps)));
	EXPECT_LT(0, caps.wake_ns);
	ASSERT_EQ(2, nwanted);
	cpu = sched_getcpu();
	EXPECT_FALSE(CPU_ISSET(cpu, &wanted[0]));
	EXPECT_LT(0, CPU_COUNT(&wanted[0]));
	EXPECT_TRUE(CPU_ISSET(cpu, &wanted[1]));
	EXPECT_EQ(1, CPU_COUNT(&wanted[1]));
}

TEST_HARNESS_MAIN
