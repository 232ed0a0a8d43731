// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages out of reach, content dropped, tickets and written pages, through the
 * library, on both backends: what each promises of it.
 *
 * gates: asan tsan
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "regions.h"
#include "kselftest_harness.h"

#define PAGES		64
/* A second: longer than any of these tests should take. */
#define LATE		1000000000ULL

FIXTURE(async) {
	int fd;
	char *addr;
	struct fos_caps caps;
};

FIXTURE_SETUP(async)
{
	catch_faults();
	self->fd = fos_region_create(PAGES * PAGE, 0);
	ASSERT_LE(0, self->fd);
	self->addr = map(self->fd, RW);
	ASSERT_TRUE(self->addr);
	memset(self->addr, 7, PAGES * PAGE);
	ASSERT_EQ(0, fos_query(&self->caps, sizeof(self->caps)));
}

FIXTURE_TEARDOWN(async)
{
}

static uint64_t submit(int fd, uint64_t first, uint64_t n, int prot,
		       uint64_t within_ns)
{
	struct fos_range r = pages(first, n, prot);
	uint64_t ticket = 0;

	return fos_mprotectv_async(fd, &r, 1, 0, within_ns, &ticket) ? 0 :
	       ticket;
}

/* ---- out of reach, and dropped ---------------------------------------- */

TEST_F(async, pages_without_access_keep_what_they_have)
{
	EXPECT_EQ(0, protect_one(self->fd, 3, 2, PROT_NONE));
	EXPECT_EQ(2, count_may(self->addr + 3 * PAGE, 2, PROT_NONE));
	EXPECT_EQ(RW, may(self->addr + 2 * PAGE));
	EXPECT_EQ(RW, may(self->addr + 5 * PAGE));
	EXPECT_EQ(0, protect_one(self->fd, 3, 1, PROT_READ));
	EXPECT_EQ(PROT_READ, may(self->addr + 3 * PAGE));
	EXPECT_EQ(0, protect_one(self->fd, 3, 2, RW));
	EXPECT_EQ(7, self->addr[3 * PAGE]);
	EXPECT_EQ(7, self->addr[4 * PAGE]);
}

TEST_F(async, all_three_in_one_batch_the_last_one_counts)
{
	struct fos_range r[] = {
		pages(0, 8, PROT_NONE), pages(2, 4, PROT_READ), pages(3, 1, RW),
		pages(7, 1, PROT_NONE | FOS_DISCARD),
	};

	EXPECT_EQ(0, protect(self->fd, r, ARRAY_SIZE(r)));
	EXPECT_EQ(2, count_may(self->addr, 2, PROT_NONE));
	EXPECT_EQ(PROT_READ, may(self->addr + 2 * PAGE));
	EXPECT_EQ(RW, may(self->addr + 3 * PAGE));
	EXPECT_EQ(2, count_may(self->addr + 4 * PAGE, 2, PROT_READ));
	EXPECT_EQ(2, count_may(self->addr + 6 * PAGE, 2, PROT_NONE));
	EXPECT_EQ(0, protect_one(self->fd, 0, 8, RW));
	EXPECT_EQ(7, self->addr[6 * PAGE]);
	EXPECT_EQ(0, self->addr[7 * PAGE]);
}

TEST_F(async, discarded_pages_read_zero_in_all_processes)
{
	uint64_t *step = shared(sizeof(*step));
	pid_t pid = spawn();

	if (!pid) {
		char *addr = map(self->fd, PROT_READ);

		if (!addr || addr[PAGE] != 7)
			_exit(1);
		__atomic_store_n(step, 1, __ATOMIC_RELEASE);
		wait_for(step, 2);
		_exit(addr[PAGE] != 0 || addr[2 * PAGE] != 7);
	}
	EXPECT_TRUE(wait_for(step, 1));
	EXPECT_EQ(0, protect_one(self->fd, 1, 1, RW | FOS_DISCARD));
	EXPECT_EQ(0, self->addr[PAGE]);
	__atomic_store_n(step, 2, __ATOMIC_RELEASE);
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(RW, may(self->addr + PAGE));
}

TEST_F(async, recycled_pages_hold_only_what_the_region_held)
{
	int i;

	EXPECT_EQ(0, protect_one(self->fd, 0, PAGES, RW | FOS_RECYCLE));
	for (i = 0; i < PAGES; i++)
		EXPECT_TRUE(self->addr[i * PAGE] == 7 ||
			    self->addr[i * PAGE] == 0);
	EXPECT_EQ(PAGES, count_may(self->addr, PAGES, RW));
}

TEST_F(async, a_mapping_that_only_reads_loses_that_too)
{
	char *addr;

	EXPECT_EQ(0, fos_munmap(self->addr));
	addr = map(self->fd, PROT_READ);
	ASSERT_TRUE(addr);
	EXPECT_EQ(0, protect_one(self->fd, 0, 1, PROT_NONE));
	EXPECT_EQ(PROT_NONE, may(addr));
	EXPECT_EQ(0, protect_one(self->fd, 0, 1, RW));
	EXPECT_EQ(PROT_READ, may(addr));
}

/* Permissions are there before the mapping is. */
TEST_F(async, a_new_mapping_has_no_access_where_there_is_none)
{
	EXPECT_EQ(0, fos_munmap(self->addr));
	EXPECT_EQ(0, protect_one(self->fd, 1, 1, PROT_NONE));
	EXPECT_EQ(0, protect_one(self->fd, 2, 1, PROT_READ));
	self->addr = map(self->fd, RW);
	ASSERT_TRUE(self->addr);
	EXPECT_EQ(RW, may(self->addr));
	EXPECT_EQ(PROT_NONE, may(self->addr + PAGE));
	EXPECT_EQ(PROT_READ, may(self->addr + 2 * PAGE));
}

TEST_F(async, by_address_as_well)
{
	EXPECT_EQ(0, fos_mprotect(self->addr + PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(PROT_NONE, may(self->addr + PAGE));
	EXPECT_EQ(0, fos_mprotect(self->addr + PAGE, PAGE, RW | FOS_DISCARD));
	EXPECT_EQ(0, self->addr[PAGE]);
}

TEST_F(async, what_makes_no_sense_is_refused)
{
	EXPECT_EQ(-EINVAL, protect_one(self->fd, 0, 1, PROT_WRITE));
	EXPECT_EQ(-EINVAL, protect_one(self->fd, 0, 1, PROT_EXEC));
	EXPECT_EQ(-EINVAL, protect_one(self->fd, 0, 1, FOS_TRACK));
	EXPECT_EQ(-EINVAL, protect_one(self->fd, 0, 1, RW | FOS_TRACK));
	EXPECT_EQ(-EINVAL, protect_one(self->fd, 0, 1,
				       RW | FOS_DISCARD | FOS_RECYCLE));
	EXPECT_EQ(RW, may(self->addr));
}

/* ---- tickets ---------------------------------------------------------- */

TEST_F(async, after_the_fence_it_is_done)
{
	uint64_t first = submit(self->fd, 0, 1, PROT_READ, LATE);
	uint64_t second = submit(self->fd, 1, 1, PROT_NONE, LATE);

	ASSERT_LT(0, first);
	EXPECT_LT(first, second);
	EXPECT_EQ(0, fos_fence(self->fd, second, NULL));
	EXPECT_EQ(0, fos_ticket_status(self->fd, first));
	EXPECT_EQ(PROT_READ, may(self->addr));
	EXPECT_EQ(PROT_NONE, may(self->addr + PAGE));
	EXPECT_EQ(-EALREADY, RESULT(fos_cancel(self->fd, second)));
}

TEST_F(async, it_is_done_without_a_fence)
{
	uint64_t ticket = submit(self->fd, 0, 1, PROT_READ, 0);
	uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	long ret;

	while ((ret = RESULT(fos_ticket_status(self->fd, ticket))) ==
	       -EINPROGRESS && now_ns() < end)
		nap_us(100);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(PROT_READ, may(self->addr));
}

TEST_F(async, it_is_in_the_background_where_that_is_promised)
{
	uint64_t ticket = submit(self->fd, 0, 1, PROT_READ, LATE);
	const bool waits = self->caps.features & FOS_CAP_ASYNC;

	EXPECT_EQ(waits ? -EINPROGRESS : 0,
		  RESULT(fos_ticket_status(self->fd, ticket)));
	EXPECT_EQ(waits ? 0 : -EALREADY, RESULT(fos_cancel(self->fd, ticket)));
	EXPECT_EQ(waits ? RW : PROT_READ, may(self->addr));
	EXPECT_EQ(waits ? -ECANCELED : 0,
		  RESULT(fos_fence(self->fd, ticket, NULL)));
}

TEST_F(async, an_eventfd_hears_of_it)
{
	int efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct pollfd p = { efd, POLLIN, 0 };
	uint64_t n;

	EXPECT_EQ(0, fos_ticket_notify(self->fd, efd));
	EXPECT_EQ(0, poll(&p, 1, 0));
	EXPECT_LT(0, submit(self->fd, 0, 1, PROT_READ, 0));
	EXPECT_EQ(1, poll(&p, 1, HANG_MS));
	EXPECT_EQ(8, read(efd, &n, 8));
	EXPECT_EQ(0, protect_one(self->fd, 1, 1, PROT_READ));
	EXPECT_EQ(0, poll(&p, 1, 0));
	EXPECT_EQ(0, fos_ticket_notify(self->fd, -1));
	EXPECT_LT(0, submit(self->fd, 0, 1, RW, 0));
	EXPECT_EQ(0, fos_fence(self->fd, submit(self->fd, 0, 1, RW, 0), NULL));
	EXPECT_EQ(0, poll(&p, 1, 0));
	close(efd);
}

TEST_F(async, others_have_no_tickets)
{
	int other = fos_region_share(self->fd, RW);
	struct timespec bad = { 0, -1 };
	struct fos_range r = pages(0, 1, PROT_READ);
	uint64_t t;

	ASSERT_LE(0, other);
	EXPECT_EQ(-EPERM, RESULT(fos_mprotectv_async(other, &r, 1, 0, 0, &t)));
	EXPECT_EQ(-EPERM, RESULT(fos_fence(other, 1, NULL)));
	EXPECT_EQ(-EPERM, RESULT(fos_ticket_status(other, 1)));
	EXPECT_EQ(-EPERM, RESULT(fos_cancel(other, 1)));
	EXPECT_EQ(-EPERM, RESULT(fos_ticket_notify(other, -1)));
	EXPECT_EQ(-EBADF, RESULT(fos_fence(-1, 1, NULL)));
	EXPECT_EQ(-EBADF, RESULT(fos_cancel(0, 1)));
	EXPECT_EQ(-EBADF, RESULT(fos_dirty_scan(-1, 0, PAGE, &r, 1, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_fence(self->fd, 99, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_fence(self->fd, 1, &bad)));
	EXPECT_EQ(-EINVAL, RESULT(fos_mprotectv_async(self->fd, &r, 0, 0, 0,
						      &t)));
	EXPECT_EQ(-EINVAL, RESULT(fos_mprotectv_async(self->fd, &r, 1, 1, 0,
						      &t)));
	EXPECT_EQ(-EINVAL, RESULT(fos_mprotectv_async(self->fd, &r, 1, 0, 0,
						      NULL)));
	EXPECT_EQ(0, fos_close(other));
}

/* ---- written pages ---------------------------------------------------- */

TEST_F(async, written_pages_are_told_where_that_is_promised)
{
	struct fos_range r[4];
	uint64_t next = 0;
	long ret = protect_one(self->fd, 0, PAGES, PROT_READ | FOS_TRACK);

	if (!(self->caps.features & FOS_CAP_TRACK)) {
		EXPECT_EQ(-EOPNOTSUPP, ret);
		EXPECT_EQ(-EOPNOTSUPP, RESULT(fos_dirty_scan(self->fd, 0, PAGE,
							     r, 4, NULL)));
		return;
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(RW, may(self->addr + PAGE));
	EXPECT_EQ(RW, may(self->addr + 5 * PAGE));
	EXPECT_EQ(2, fos_dirty_scan(self->fd, 0, PAGES * PAGE, r, 4, &next));
	EXPECT_EQ(PAGES * PAGE, next);
	EXPECT_EQ(PAGE, r[0].offset);
	EXPECT_EQ(5 * PAGE, r[1].offset);
	EXPECT_EQ(0, fos_dirty_scan(self->fd, 0, PAGES * PAGE, r, 4, NULL));
	EXPECT_EQ(-EINVAL, RESULT(fos_dirty_scan(self->fd, 0, PAGES * PAGE, r,
						 0, NULL)));
}

TEST_HARNESS_MAIN
