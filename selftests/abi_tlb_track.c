// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that are tracked: stores go through and are told by the next scan, each at
 * least once, whoever stored; a scan costs one shootdown, or none.
 *
 * cpus: 4
 * budget: 400 s
 */
#include "abi_tickets.h"
#include "writers.h"
#include "kselftest_harness.h"

#define TRACKED		(RIGHTS_RO | FOS_TLB_TRACK)
#define MANY		64

FIXTURE(track) {
	int fd;
	char *base;
	struct stage *stage;
	struct writer w[WRITERS_MAX];
	struct fos_tlb_range r[MANY];
};

FIXTURE_SETUP(track)
{
	self->stage = set_stage(&self->fd, &self->base);
	ASSERT_NE(NULL, self->stage);
}

FIXTURE_TEARDOWN(track)
{
}

static int scan_all(int fd, struct fos_tlb_range *r, uint32_t *paid)
{
	return scan(fd, 0, REGION_PAGES, r, MANY, paid, NULL);
}

TEST_F(track, what_was_written_is_told_once)
{
	uint32_t paid;

	memset(self->base, 1, REGION);
	ASSERT_EQ(0, protect(self->fd, 0, REGION_PAGES, TRACKED));
	EXPECT_EQ(0, scan_all(self->fd, self->r, &paid));
	EXPECT_EQ(0, paid);
	EXPECT_EQ(0, store_at(self->base + 3 * PAGE));
	EXPECT_EQ(0, store_at(self->base + 4 * PAGE));
	EXPECT_EQ(0, store_at(self->base + 9 * PAGE));
	EXPECT_EQ(0, load_at(self->base + 20 * PAGE));
	ASSERT_EQ(2, scan_all(self->fd, self->r, &paid));
	EXPECT_EQ(1, paid);
	EXPECT_EQ(3 * PAGE, self->r[0].offset);
	EXPECT_EQ(2 * PAGE, self->r[0].len);
	EXPECT_EQ(9 * PAGE, self->r[1].offset);
	EXPECT_EQ(PAGE, self->r[1].len);
	EXPECT_EQ(0, scan_all(self->fd, self->r, NULL));
	/* Tracked anew. */
	EXPECT_EQ(0, store_at(self->base + 9 * PAGE));
	EXPECT_EQ(1, scan_all(self->fd, self->r, NULL));
}

TEST_F(track, pages_that_nobody_had_touched_count)
{
	ASSERT_EQ(0, protect(self->fd, 0, REGION_PAGES, TRACKED));
	EXPECT_EQ(0, store_at(self->base + 7 * PAGE));
	EXPECT_EQ(0, load_at(self->base + 8 * PAGE));
	ASSERT_EQ(1, scan_all(self->fd, self->r, NULL));
	EXPECT_EQ(7 * PAGE, self->r[0].offset);
}

TEST_F(track, stores_of_the_kernel_and_of_others_count)
{
	int values = memfd_create("values", 0);
	pid_t pid;

	ASSERT_EQ(0, ftruncate(values, 8));
	ASSERT_EQ(0, protect(self->fd, 0, REGION_PAGES, TRACKED));
	EXPECT_EQ(8, pread(values, self->base + 5 * PAGE, 8, 0));
	pid = spawn();
	if (!pid) {
		char *base = map_region(self->fd, REGION, RW);

		_exit(store_at(base + 11 * PAGE));
	}
	ASSERT_EQ(0, reap(pid));
	ASSERT_EQ(2, scan_all(self->fd, self->r, NULL));
	EXPECT_EQ(5 * PAGE, self->r[0].offset);
	EXPECT_EQ(11 * PAGE, self->r[1].offset);
}

/* Whatever happens to their permissions, as long as they are tracked. */
TEST_F(track, what_was_written_is_not_forgotten)
{
	uint64_t ticket;

	ASSERT_EQ(0, protect(self->fd, 0, 8, TRACKED));
	EXPECT_EQ(0, store_at(self->base));
	ASSERT_EQ(0, protect(self->fd, 0, 8, TRACKED));
	EXPECT_EQ(1, scan_all(self->fd, self->r, NULL));
	ticket = submit(self->fd, 0, 8, TRACKED, LATE);
	EXPECT_EQ(0, store_at(self->base + PAGE));
	ASSERT_EQ(0, cancel(self->fd, ticket));
	EXPECT_EQ(1, scan_all(self->fd, self->r, NULL));
	EXPECT_EQ(PAGE, self->r[0].offset);
	EXPECT_EQ(0, store_at(self->base + PAGE));
	EXPECT_EQ(1, scan_all(self->fd, self->r, NULL));
}

/* Pages come under it when that is applied: a scan does not return before. */
TEST_F(track, a_scan_applies_what_was_submitted)
{
	uint64_t ticket;

	EXPECT_EQ(0, store_at(self->base));
	ticket = submit(self->fd, 0, 8, TRACKED, LATE);
	ASSERT_NE(0, ticket);
	EXPECT_EQ(0, scan_all(self->fd, self->r, NULL));
	EXPECT_EQ(0, look_at(self->fd, ticket));
	EXPECT_EQ(0, store_at(self->base));
	EXPECT_EQ(1, scan_all(self->fd, self->r, NULL));
}

TEST_F(track, a_scan_goes_on_where_it_stopped)
{
	uint64_t next;
	int i;

	ASSERT_EQ(0, protect(self->fd, 0, REGION_PAGES, TRACKED));
	for (i = 0; i < 10; i++)
		store_at(self->base + 2 * i * PAGE);
	ASSERT_EQ(4, scan(self->fd, 0, REGION_PAGES, self->r, 4, NULL, &next));
	/* The page behind the last one would have fitted. */
	EXPECT_EQ(8, next);
	ASSERT_EQ(6, scan(self->fd, next, REGION_PAGES - next, self->r, MANY,
			  NULL, &next));
	EXPECT_EQ(REGION_PAGES, next);
	EXPECT_EQ(8 * PAGE, self->r[0].offset);
}

TEST_F(track, only_tracked_pages_are_told)
{
	ASSERT_EQ(0, protect(self->fd, 0, 4, TRACKED));
	EXPECT_EQ(0, store_at(self->base));
	EXPECT_EQ(0, store_at(self->base + 4 * PAGE));
	EXPECT_EQ(1, scan_all(self->fd, self->r, NULL));
	/* A later call ends it. */
	EXPECT_EQ(0, store_at(self->base + PAGE));
	ASSERT_EQ(0, protect(self->fd, 0, 4, RIGHTS_RO));
	EXPECT_EQ(SIGSEGV, store_at(self->base + PAGE));
	EXPECT_EQ(0, scan_all(self->fd, self->r, NULL));
}

TEST_F(track, nonsense_is_refused)
{
	struct fos_tlb_scan a = {
		.len = PAGE,
		.ranges = (uintptr_t)self->r,
		.count = 1,
	};

	EXPECT_EQ(-EINVAL, scan(self->fd, 0, 0, self->r, 1, NULL, NULL));
	EXPECT_EQ(-EINVAL, scan(self->fd, 0, REGION_PAGES + 1, self->r, 1,
				NULL, NULL));
	EXPECT_EQ(-EINVAL, scan(self->fd, 0, 1, self->r, 0, NULL, NULL));
	EXPECT_EQ(-E2BIG, scan(self->fd, 0, 1, self->r, FOS_TLB_RANGES_MAX + 1,
			       NULL, NULL));
	a.flags = 1;
	EXPECT_EQ(-EINVAL, RESULT(ioctl(self->fd, FOS_IOC_TLB_SCAN, &a)));
	a.flags = 0;
	a.offset = 1;
	EXPECT_EQ(-EINVAL, RESULT(ioctl(self->fd, FOS_IOC_TLB_SCAN, &a)));
	ASSERT_EQ(0, protect(self->fd, 0, 1, TRACKED));
	store_at(self->base);
	EXPECT_EQ(-EFAULT, scan(self->fd, 0, 1, NULL, 1, NULL, NULL));
}

/*
 * A copy that takes over what each scan tells is, when nobody stores any more, the
 * same: no store was lost between two scans.
 */
TEST_F_TIMEOUT(track, no_store_is_lost, 300)
{
	struct stage *s = self->stage;
	int n = start_writers(self->w, s, self->base, MANY, IN_A_LOOP), i, k;
	char *copy = malloc(REGION);
	long told = 0, laps = rounds(200);

	/* Who faults just then has references. */
	i = protect(self->fd, 0, REGION_PAGES, TRACKED);
	ASSERT_TRUE(!i || i == -EBUSY);
	memcpy(copy, self->base, REGION);
	for (i = 0; i <= laps; i++) {
		if (i == laps)
			stop_writers(self->w, n);
		k = scan_all(self->fd, self->r, NULL);
		ASSERT_LE(0, k);
		for (; k-- > 0; told++)
			memcpy(copy + self->r[k].offset,
			       self->base + self->r[k].offset, self->r[k].len);
		nap_us(i % 7 * 300);
	}
	EXPECT_LT(MANY, told);
	EXPECT_EQ(0, memcmp(copy, self->base, REGION));
	free(copy);
}

TEST_HARNESS_MAIN
