// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a region come from the node that libnuma asks for, the last one there is,
 * when they are touched and when they are populated, and stay what they are.
 */
#include <numa.h>

#include "peers.h"
#include "kselftest_harness.h"

#define PAGE	4096
#define PAGES	8

/* -1: there is no page. */
static int node_of(void *page)
{
	int node = -1;

	return numa_move_pages(0, 1, &page, NULL, &node, 0) ? -1 : node;
}

TEST(pages_come_from_the_node_that_was_asked_for)
{
	int fd, node, i;
	char *p;

	if (numa_available() < 0)
		SKIP(return, "no NUMA in this kernel");
	node = numa_max_node();
	fd = fos_region_create(PAGES * PAGE, 0);
	ASSERT_LE(0, fd);
	p = fos_mmap(fd, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	numa_tonode_memory(p, FOS_REGION_MAP_BYTES(PAGES * PAGE), node);
	for (i = 0; i < PAGES / 2; i++)
		p[i * PAGE] = i;
	EXPECT_EQ(0, fos_populate(p + PAGES / 2 * PAGE, PAGES / 2 * PAGE));
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(node, node_of(p + i * PAGE));
		EXPECT_EQ(i < PAGES / 2 ? i : 0, p[i * PAGE]);
	}
	EXPECT_EQ(0, fos_munmap(p));
	fos_close(fd);
}

TEST_HARNESS_MAIN
