// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches in the background: when a ticket is applied nothing old can be used, many
 * share one shootdown, they can be taken back, and nothing is lost when their owner
 * closes, unmaps, exits or is killed.
 *
 * cpus: 4
 * budget: 600 s
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "abi_tickets.h"
#include "writers.h"
#include "kselftest_harness.h"

FIXTURE(async) {
	int fd;
	char *base;
	struct stage *stage;
	struct writer w[WRITERS_MAX];
};

FIXTURE_SETUP(async)
{
	self->stage = set_stage(&self->fd, &self->base);
	ASSERT_NE(NULL, self->stage);
	memset(self->base, 7, REGION);
}

FIXTURE_TEARDOWN(async)
{
}

static long info(int fd, const char *name)
{
	char text[1024];

	return fdinfo_of(fd, text, sizeof(text)) ? -1 : value_in(text, name);
}

/* ---- the proof -------------------------------------------------------- */

static long land_late(int fd, char *base, struct stage *s, int writers,
		      int (*until)(int, uint64_t), long n)
{
	long landed = 0, i;
	uint64_t ticket;
	int ret;

	for (i = 0; i < n; i++) {
		if (!make_writable(fd, 16) || !are_under_way(s, writers))
			return -1;
		ticket = submit_scattered(fd, 0, STEP, 16, RIGHTS_RO, 0);
		ret = ticket ? until(fd, ticket) : -1;
		/* Who faults just then has references. */
		if (ret && ret != -EBUSY)
			return -2;
		landed += count_stores(base, 16, writers, 10);
	}
	return landed;
}

TEST_F_TIMEOUT(async, no_store_lands_after_the_fence, 300)
{
	struct stage *s = self->stage;
	int n = start_writers(self->w, s, self->base, 16, IN_A_LOOP);

	EXPECT_EQ(0, land_late(self->fd, self->base, s, n, fence, rounds(40)));
	stop_writers(self->w, n);
}

TEST_F_TIMEOUT(async, no_store_lands_when_the_worker_has_done_it, 300)
{
	struct stage *s = self->stage;
	int n = start_writers(self->w, s, self->base, 16, IN_A_LOOP);

	EXPECT_EQ(0, land_late(self->fd, self->base, s, n, await, rounds(40)));
	stop_writers(self->w, n);
}

/* ---- tickets ---------------------------------------------------------- */

TEST_F(async, new_faults_see_the_map_at_once)
{
	int fd = make_region(REGION);
	char *base = map_region(fd, REGION, RW);
	uint64_t ticket;

	ASSERT_EQ(0, store_at(base + PAGE));
	ticket = submit(fd, 0, 2, RIGHTS_RO, LATE);
	ASSERT_NE(0, ticket);
	EXPECT_EQ(-EINPROGRESS, look_at(fd, ticket));
	/* Never touched; and touched: that PTE is still good. */
	EXPECT_EQ(SIGSEGV, store_at(base));
	EXPECT_EQ(0, store_at(base + PAGE));
	EXPECT_EQ(0, fence(fd, ticket));
	EXPECT_EQ(SIGSEGV, store_at(base + PAGE));
	EXPECT_EQ(0, look_at(fd, ticket));
}

TEST_F(async, tickets_grow_and_unknown_ones_are_refused)
{
	uint64_t first = submit(self->fd, 0, 1, RIGHTS_RO, LATE);
	uint64_t second = submit(self->fd, 1, 1, RIGHTS_RO, LATE);

	EXPECT_LT(0, first);
	EXPECT_LT(first, second);
	EXPECT_EQ(-EINVAL, look_at(self->fd, 0));
	EXPECT_EQ(-EINVAL, look_at(self->fd, second + 1));
	EXPECT_EQ(-EINVAL, fence(self->fd, second + 1));
	EXPECT_EQ(-EINVAL, cancel(self->fd, second + 1));
	EXPECT_EQ(0, fence(self->fd, first));
	/* One round for all. */
	EXPECT_EQ(0, look_at(self->fd, second));
}

TEST_F(async, only_the_owner_has_tickets)
{
	int other = share_region(self->fd, RIGHTS_RW), efd = eventfd(0, 0);
	uint64_t ticket;
	struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);

	EXPECT_EQ(-EPERM, submitv(other, &r, 1, 0, &ticket));
	EXPECT_EQ(-EPERM, fence(other, 1));
	EXPECT_EQ(-EPERM, cancel(other, 1));
	EXPECT_EQ(-EPERM, notify(other, efd));
	EXPECT_EQ(-EPERM, scan(other, 0, 1, &r, 1, NULL, NULL));
}

TEST_F(async, nonsense_is_refused)
{
	struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);
	struct fos_tlb_submit s = { .ranges = (uintptr_t)&r, .count = 1 };
	struct fos_tlb_fence f = { .flags = 2, .ticket = 1 };
	uint64_t ticket;

	s.flags = ~(__u64)FOS_TLB_SUBMIT_CQ;
	EXPECT_EQ(-EINVAL, RESULT(ioctl(self->fd, FOS_IOC_TLB_SUBMIT, &s)));
	s.flags = 0;
	s.cq = 1;
	EXPECT_EQ(-EINVAL, RESULT(ioctl(self->fd, FOS_IOC_TLB_SUBMIT, &s)));
	EXPECT_EQ(-EINVAL, RESULT(ioctl(self->fd, FOS_IOC_TLB_FENCE, &f)));
	EXPECT_EQ(-EINVAL, submitv(self->fd, &r, 0, 0, &ticket));
	EXPECT_EQ(-E2BIG, submitv(self->fd, &r, FOS_TLB_RANGES_MAX + 1, 0,
				  &ticket));
	EXPECT_EQ(-EFAULT, submitv(self->fd, NULL, 1, 0, &ticket));
	r.len = 1;
	EXPECT_EQ(-EINVAL, submitv(self->fd, &r, 1, 0, &ticket));
	EXPECT_EQ(-EBADF, notify(self->fd, 9999));
	EXPECT_EQ(-EINVAL, notify(self->fd, self->fd));
	EXPECT_EQ(0, store_at(self->base));
}

/* ---- one price -------------------------------------------------------- */

TEST_F(async, a_fence_after_many_submits_is_one_round)
{
	uint64_t ticket = 0;
	long before = info(self->fd, "rounds"), i;

	for (i = 0; i < 32; i++)
		ticket = submit(self->fd, 3 * i, 1, RIGHTS_RO, LATE);
	EXPECT_EQ(32, info(self->fd, "waiting"));
	ASSERT_EQ(0, fence(self->fd, ticket));
	EXPECT_EQ(before + 1, info(self->fd, "rounds"));
	EXPECT_EQ(0, info(self->fd, "waiting"));
	for (i = 0; i < 32; i++)
		EXPECT_EQ(SIGSEGV, store_at(self->base + 3 * i * PAGE));
}

TEST_F(async, a_synchronous_call_applies_what_was_submitted_before)
{
	uint64_t ticket = submit(self->fd, 0, 1, RIGHTS_RO, LATE);
	long before = info(self->fd, "rounds");

	ASSERT_EQ(0, protect(self->fd, 5, 1, RIGHTS_RO));
	EXPECT_EQ(0, look_at(self->fd, ticket));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	EXPECT_EQ(before + 1, info(self->fd, "rounds"));
}

TEST_F(async, a_full_queue_is_applied_by_who_fills_it)
{
	uint64_t first = submit(self->fd, 0, 1, RIGHTS_RO, LATE), last = 0;
	int i;

	for (i = 1; i < FOS_TLB_PENDING_MAX; i++)
		last = submit(self->fd, i, 1, RIGHTS_RO, LATE);
	EXPECT_EQ(-EINPROGRESS, look_at(self->fd, first));
	last = submit(self->fd, i, 1, RIGHTS_RO, LATE);
	EXPECT_EQ(0, look_at(self->fd, last));
	EXPECT_EQ(0, look_at(self->fd, first));
}

struct submitter {
	int fd;
	int nth;
	long n;
	long failed;
	pthread_t thread;
};

static void *submit_on(void *arg)
{
	struct submitter *s = arg;
	uint64_t ticket = 0;
	long i;

	for (i = 0; i < s->n; i++) {
		ticket = submit(s->fd, s->nth * 16 + i % 16, 1, RIGHTS_RO,
				1000000);
		s->failed += !ticket;
		if (i % 16 == 15)
			s->failed += fence(s->fd, ticket) != 0;
	}
	s->failed += fence(s->fd, ticket) != 0;
	return NULL;
}

/* Group commit: those who come while a round is on its way share the next. */
TEST_F_TIMEOUT(async, four_submitters_share_rounds, 200)
{
	struct submitter s[4];
	long n = rounds(400), before = info(self->fd, "rounds"), paid;
	int i;

	for (i = 0; i < 4; i++) {
		s[i] = (struct submitter) { self->fd, i, n, 0, 0 };
		pthread_create(&s[i].thread, NULL, submit_on, &s[i]);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(0, s[i].failed);
	}
	paid = info(self->fd, "rounds") - before;
	printf("# %ld batches, %ld rounds\n", 4 * n, paid);
	EXPECT_GT(2 * n, paid);
}

/* ---- notice ----------------------------------------------------------- */

TEST_F(async, an_eventfd_hears_of_it)
{
	int efd = eventfd(0, EFD_NONBLOCK);
	struct pollfd p = { efd, POLLIN, 0 };
	uint64_t n, ticket;

	ASSERT_EQ(0, notify(self->fd, efd));
	ticket = submit(self->fd, 0, 1, RIGHTS_RO, 0);
	ASSERT_EQ(1, poll(&p, 1, HANG_MS));
	EXPECT_EQ(0, look_at(self->fd, ticket));
	EXPECT_EQ(8, read(efd, &n, 8));
	/* What is done in the foreground is no news. */
	ASSERT_EQ(0, protect(self->fd, 1, 1, RIGHTS_RO));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ticket = submit(self->fd, 2, 1, RIGHTS_RO, LATE);
	ASSERT_EQ(0, cancel(self->fd, ticket));
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(8, read(efd, &n, 8));
	ASSERT_EQ(0, notify(self->fd, -1));
	ticket = submit(self->fd, 3, 1, RIGHTS_RO, 0);
	ASSERT_EQ(0, fence(self->fd, ticket));
	EXPECT_EQ(0, poll(&p, 1, 0));
}

/* ---- taking back ------------------------------------------------------ */

TEST_F(async, what_is_canceled_is_as_before)
{
	uint64_t ticket;

	ASSERT_EQ(0, protect(self->fd, 1, 1, RIGHTS_RO));
	ticket = submit(self->fd, 0, 2, 0, LATE);
	ASSERT_EQ(0, cancel(self->fd, ticket));
	EXPECT_EQ(-ECANCELED, look_at(self->fd, ticket));
	EXPECT_EQ(-ECANCELED, fence(self->fd, ticket));
	EXPECT_EQ(-EALREADY, cancel(self->fd, ticket));
	EXPECT_EQ(0, store_at(self->base));
	EXPECT_EQ(0, load_at(self->base + PAGE));
	EXPECT_EQ(SIGSEGV, store_at(self->base + PAGE));
	EXPECT_EQ(0, info(self->fd, "waiting"));
}

TEST_F(async, what_has_begun_cannot_be_canceled)
{
	uint64_t ticket = submit(self->fd, 0, 1, RIGHTS_RO, LATE);

	ASSERT_EQ(0, fence(self->fd, ticket));
	EXPECT_EQ(-EALREADY, cancel(self->fd, ticket));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
}

/* The last call counts, also when the one before is canceled. */
TEST_F(async, canceling_leaves_what_a_later_call_touched)
{
	uint64_t first = submit(self->fd, 0, 2, 0, LATE);
	uint64_t second = submit(self->fd, 1, 2, RIGHTS_RO, LATE);

	ASSERT_EQ(0, cancel(self->fd, first));
	EXPECT_EQ(0, fence(self->fd, second));
	EXPECT_EQ(0, store_at(self->base));
	EXPECT_EQ(SIGSEGV, store_at(self->base + PAGE));
	EXPECT_EQ(0, load_at(self->base + PAGE));
	EXPECT_EQ(SIGSEGV, store_at(self->base + 2 * PAGE));
}

/* PTEs follow the map whatever was taken back in whatever order. */
TEST_F(async, after_any_canceling_the_map_holds)
{
	uint64_t first = submit(self->fd, 0, 1, RIGHTS_RO, LATE);
	uint64_t second = submit(self->fd, 0, 1, 0, LATE);
	bool read, write;

	ASSERT_EQ(0, cancel(self->fd, second));
	ASSERT_EQ(0, cancel(self->fd, first));
	/* Applies whatever there is. */
	ASSERT_EQ(0, protect(self->fd, 9, 1, RIGHTS_RO));
	read = !load_at(self->base);
	write = !store_at(self->base);
	/* A PTE that is gone is asked for again: nothing may change. */
	ASSERT_EQ(0, madvise(self->base, FOS_REGION_MAP_SIZE(REGION),
			     MADV_DONTNEED));
	EXPECT_EQ(read, !load_at(self->base));
	EXPECT_EQ(write, !store_at(self->base));
}

/* What was given and is taken back is taken from CPUs, too. */
TEST_F(async, rights_that_were_used_can_be_canceled)
{
	uint64_t ticket;

	ASSERT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RO));
	ASSERT_EQ(0, protect(self->fd, 1, 1, 0));
	ticket = submit(self->fd, 0, 2, RIGHTS_RW, LATE);
	EXPECT_EQ(0, store_at(self->base));
	EXPECT_EQ(0, load_at(self->base + PAGE));
	ASSERT_EQ(0, cancel(self->fd, ticket));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	EXPECT_EQ(0, load_at(self->base));
	EXPECT_EQ(SIGSEGV, load_at(self->base + PAGE));
}

TEST_F(async, ranges_of_one_call_that_overlap_are_canceled_together)
{
	struct fos_tlb_range r[] = {
		range_of(0, 2, RIGHTS_RO), range_of(1, 2, 0),
	};
	uint64_t ticket;
	int i;

	ASSERT_EQ(0, submitv(self->fd, r, 2, LATE, &ticket));
	ASSERT_EQ(0, cancel(self->fd, ticket));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, store_at(self->base + i * PAGE));
}

TEST_F(async, content_that_was_to_be_dropped_stays_when_canceled)
{
	uint64_t ticket = submit(self->fd, 0, 1, RIGHTS_RW | FOS_TLB_DISCARD,
				 LATE);

	ASSERT_EQ(0, cancel(self->fd, ticket));
	ASSERT_EQ(0, protect(self->fd, 5, 1, RIGHTS_RO));
	EXPECT_EQ(7, self->base[0]);
}

/* ---- results ---------------------------------------------------------- */

/* A page in a pipe has a foreign reference. */
static int hand_out(char *page, int fd[2])
{
	struct iovec v = { page, PAGE };

	return pipe(fd) || vmsplice(fd[1], &v, 1, 0) != (long)PAGE;
}

TEST_F(async, busy_pages_are_told_at_the_fence)
{
	uint64_t ticket;
	int fd[2];

	ASSERT_EQ(0, hand_out(self->base, fd));
	ticket = submit(self->fd, 0, 1, RIGHTS_RO, LATE);
	EXPECT_EQ(-EBUSY, fence(self->fd, ticket));
	EXPECT_EQ(-EBUSY, look_at(self->fd, ticket));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
}

TEST_F(async, results_that_are_forgotten_are_said_to_be)
{
	uint64_t first = submit(self->fd, 0, 1, RIGHTS_RO, LATE), ticket;
	int i;

	ASSERT_EQ(0, cancel(self->fd, first));
	for (i = 0; i < FOS_TLB_TOLD_MAX; i++) {
		ticket = submit(self->fd, 0, 1, RIGHTS_RO, LATE);
		ASSERT_EQ(0, cancel(self->fd, ticket));
	}
	EXPECT_EQ(-ESTALE, look_at(self->fd, first));
	EXPECT_EQ(-ECANCELED, look_at(self->fd, ticket));
	EXPECT_EQ(-ECANCELED, look_at(self->fd, first + 1));
}

/* What is forgotten of later ones says nothing of one that waits. */
TEST_F(async, a_ticket_that_waits_is_not_taken_for_forgotten)
{
	uint64_t first = submit(self->fd, 0, 1, RIGHTS_RO, LATE), ticket;
	int i;

	for (i = 0; i <= FOS_TLB_TOLD_MAX; i++) {
		ticket = submit(self->fd, 1, 1, RIGHTS_RO, LATE);
		ASSERT_EQ(0, cancel(self->fd, ticket));
	}
	EXPECT_EQ(-EINPROGRESS, look_at(self->fd, first));
	EXPECT_EQ(-ESTALE, fence(self->fd, first));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
}

/* ---- owners who leave ------------------------------------------------- */

/* The worker outlives the descriptor, the mapping and the process. */
TEST_F_TIMEOUT(async, work_is_done_when_its_owner_has_gone, 100)
{
	uint64_t *told = shared(2 * sizeof(*told));
	int how, fd;
	pid_t pid;
	char *base;

	for (how = 0; how < 4; how++) {
		told[0] = 0;
		pid = spawn();
		if (!pid) {
			fd = make_region(REGION);
			base = map_region(fd, REGION, RW);
			memset(base, 1, REGION);
			submit_scattered(fd, 0, STEP, 64,
					 how % 2 ? 0 : FOS_TLB_DISCARD,
					 200000000);
			__atomic_store_n(told, 1, __ATOMIC_RELEASE);
			if (how == 1)
				unmap_region(base, REGION);
			if (how == 2)
				close(fd);
			if (how == 3)
				pause();
			_exit(0);
		}
		wait_for(told, 1);
		if (how == 3)
			kill(pid, SIGKILL);
		reap(pid);
	}
}

TEST_F_TIMEOUT(async, all_kinds_of_calls_at_once, 200)
{
	struct submitter s[2];
	uint64_t seed = rnd_seed("mix"), ticket;
	long n = rounds(2000), i;
	int k;

	for (k = 0; k < 2; k++) {
		s[k] = (struct submitter) { self->fd, k, n, 0, 0 };
		pthread_create(&s[k].thread, NULL, submit_on, &s[k]);
	}
	for (i = 0; i < n; i++) {
		ticket = submit(self->fd, 64 + rnd_below(&seed, 32), 8,
				rnd_below(&seed, 2) ? RIGHTS_RO : RIGHTS_RW |
				FOS_TLB_RECYCLE, rnd_below(&seed, 2) * 100000);
		if (rnd_below(&seed, 3) == 0)
			cancel(self->fd, ticket);
		if (rnd_below(&seed, 8) == 0)
			protect(self->fd, 64, 40, RIGHTS_RW);
		store_at(self->base + (64 + rnd_below(&seed, 40)) * PAGE);
	}
	for (k = 0; k < 2; k++) {
		pthread_join(s[k].thread, NULL);
		EXPECT_EQ(0, s[k].failed);
	}
	ASSERT_EQ(0, protect(self->fd, 64, 40, RIGHTS_RO));
	for (k = 64; k < 104; k++)
		EXPECT_EQ(SIGSEGV, store_at(self->base + k * PAGE));
}

TEST_HARNESS_MAIN
