// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands of io_uring: bells and batches, on rings of each kind; errors, and descriptors
 * that are registered.
 */
#include <sys/uio.h>

#include "abi_uring.h"
#include "sleepers.h"

#define FIRST		((uint64_t)DEPTH)

/* ---- bells ------------------------------------------------------------ */

TEST_F(ring, a_bell_wakes_who_sleeps)
{
	struct sleeper s = { .r = &self->b, .want = FOS_WANT_MSG };

	start(&s);
	ASSERT_TRUE(wait_sleepers(&self->b, 1));
	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	EXPECT_EQ(0, ask(&self->ring,
			 ring_bell(&self->ring, self->a.fd, BELL(FOS_WANT_MSG)),
			 self->kind->flags));
	EXPECT_EQ(0, finish(&s));
}

TEST_F(ring, many_bells_are_one_trap)
{
	enum { N = 8 };
	struct sleeper s[N] = {};
	struct raw r[N][2];
	int i;

	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, raw_pair(r[i], DEPTH, 0));
		s[i].r = &r[i][1];
		s[i].want = FOS_WANT_MSG;
		start(&s[i]);
	}
	for (i = 0; i < N; i++) {
		ASSERT_TRUE(wait_sleepers(&r[i][1], 1));
		raw_publish(&r[i][0], FIRST, FOS_META_MSG, "x", 1);
		ring_bell(&self->ring, r[i][0].fd, BELL(FOS_WANT_MSG))->flags |=
			self->kind->flags;
	}
	ASSERT_LE(N, io_uring_submit(&self->ring));
	for (i = 0; i < N; i++)
		EXPECT_EQ(0, completed(&self->ring, NULL));
	for (i = 0; i < N; i++)
		EXPECT_EQ(0, finish(&s[i]));
}

TEST_F(ring, a_bell_may_name_its_endpoint)
{
	const struct raw *a = &self->a;
	struct fos_core_query q = {};
	struct io_uring *ring = &self->ring;

	ASSERT_EQ(0, ioctl(a->fd, FOS_IOC_CORE_QUERY, &q));
	EXPECT_TRUE(q.features & FOS_FEAT_URING);
	EXPECT_EQ(0, ask(ring, ring_bell(ring, a->fd, BELL(FOS_WANT_MSG) |
					 FOS_ADVICE_TAG(q.id, 0)),
			 self->kind->flags));
	EXPECT_EQ(-EBADF, ask(ring, ring_bell(ring, a->fd, BELL(FOS_WANT_MSG) |
					      FOS_ADVICE_TAG(q.id, 1)),
			      self->kind->flags));
}

TEST_F(ring, a_registered_descriptor_can_be_rung)
{
	const int fds[] = { self->fd, self->a.fd };
	struct sleeper s = { .r = &self->b, .want = FOS_WANT_MSG };
	struct io_uring *ring = &self->ring;

	ASSERT_EQ(0, io_uring_register_files(ring, fds, 2));
	start(&s);
	ASSERT_TRUE(wait_sleepers(&self->b, 1));
	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	EXPECT_EQ(0, ask(ring, ring_bell(ring, 1, BELL(FOS_WANT_MSG)),
			 self->kind->flags | IOSQE_FIXED_FILE));
	EXPECT_EQ(0, finish(&s));
	EXPECT_EQ(-ENOTTY, ask(ring, ring_bell(ring, 0, BELL(FOS_WANT_MSG)),
			       self->kind->flags | IOSQE_FIXED_FILE));
}

TEST_F(ring, nobody_sleeps_in_a_command)
{
	const uint32_t advice[] = {
		FOS_ADVICE(0, FOS_WANT_MSG), FOS_ADVICE(FOS_WANT_MSG, FOS_WANT_CALL),
		0, ~0U, FOS_ADVICE_BELL_WAIT | 1U << 31,
	};
	const uint32_t with_more[4] = { BELL(FOS_WANT_MSG), 1 };
	const uint32_t with_much[4] = { BELL(FOS_WANT_MSG), 0, 0, 1 };
	struct io_uring *ring = &self->ring;
	size_t i;

	for (i = 0; i < sizeof(advice) / sizeof(*advice); i++) {
		EXPECT_EQ(-EINVAL,
			  ask(ring, ring_bell(ring, self->a.fd, advice[i]),
			      self->kind->flags)) {
			TH_LOG("advice 0x%x", advice[i]);
		}
	}
	EXPECT_EQ(-EINVAL, ask(ring, command(ring, self->a.fd,
					     FOS_URING_CHAN_BELL, with_more),
			       self->kind->flags));
	EXPECT_EQ(-EINVAL, ask(ring, command(ring, self->a.fd,
					     FOS_URING_CHAN_BELL, with_much),
			       self->kind->flags));
}

TEST_F(ring, what_is_no_command_is_refused)
{
	struct fos_core_query q = {};
	struct io_uring *ring = &self->ring;
	int node = open(NODE, O_RDWR | O_CLOEXEC);

	EXPECT_EQ(-ENOTTY, ask(ring, ring_ioctl(ring, self->a.fd,
						FOS_IOC_CORE_QUERY, &q),
			       self->kind->flags));
	EXPECT_EQ(-ENOTTY, ask(ring, ring_ioctl(ring, self->a.fd,
						FOS_IOC_TLB_SUBMIT, &q),
			       self->kind->flags));
	EXPECT_EQ(-ENOTTY, ask(ring, ring_ioctl(ring, self->fd,
						FOS_IOC_TLB_FENCE, &q),
			       self->kind->flags));
	EXPECT_EQ(-EOPNOTSUPP, ask(ring, ring_ioctl(ring, node,
						    FOS_IOC_CORE_QUERY, &q),
				   self->kind->flags));
}

/* ---- batches ---------------------------------------------------------- */

TEST_F(ring, a_batch_completes_when_it_is_applied)
{
	const struct fos_tlb_range r[] = {
		range_of(0, 1, RIGHTS_RO), range_of(7, 2, 0),
	};
	struct fos_tlb_submit a = batch(r, 2, 0);

	EXPECT_EQ(0, ask(&self->ring, ring_ioctl(&self->ring, self->fd,
						 FOS_IOC_TLB_SUBMIT, &a),
			 self->kind->flags));
	EXPECT_EQ(0, look_at(self->fd, a.ticket));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	EXPECT_EQ(0, load_at(self->base));
	EXPECT_EQ(0, store_at(self->base + PAGE));
	EXPECT_EQ(SIGSEGV, load_at(self->base + 7 * PAGE));
	EXPECT_EQ(SIGSEGV, load_at(self->base + 8 * PAGE));
}

TEST_F(ring, it_does_not_complete_before)
{
	const struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);
	struct fos_tlb_submit a = batch(&r, 1, LATE);

	ASSERT_EQ(0, submit_one(&self->ring,
				ring_ioctl(&self->ring, self->fd,
					   FOS_IOC_TLB_SUBMIT, &a),
				self->kind->flags));
	ASSERT_NE(0, ticket_of(&a));
	/* Unless all this took a second. */
	EXPECT_TRUE(none_completed(&self->ring) ||
		    look_at(self->fd, a.ticket) == 0);
	EXPECT_EQ(0, fence(self->fd, a.ticket));
	EXPECT_EQ(0, completed(&self->ring, NULL));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
}

TEST_F(ring, a_command_cancels_another)
{
	const struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);
	struct fos_tlb_submit a = batch(&r, 1, LATE);
	struct io_uring *ring = &self->ring;
	struct fos_tlb_cancel c = {};
	struct io_uring_sqe *sqe;
	uint64_t name[2];
	int res[2];

	sqe = ring_ioctl(ring, self->fd, FOS_IOC_TLB_SUBMIT, &a);
	sqe->user_data = 1;
	ASSERT_EQ(0, submit_one(ring, sqe, self->kind->flags));
	c.ticket = ticket_of(&a);
	sqe = ring_ioctl(ring, self->fd, FOS_IOC_TLB_CANCEL, &c);
	sqe->user_data = 2;
	ASSERT_EQ(0, submit_one(ring, sqe, self->kind->flags));
	res[0] = completed(ring, &name[0]);
	res[1] = completed(ring, &name[1]);
	ASSERT_EQ(3, name[0] + name[1]);
	EXPECT_EQ(-ECANCELED, res[name[1] == 1]);
	EXPECT_EQ(0, res[name[1] == 2]);
	EXPECT_EQ(-EALREADY, ask(ring, ring_ioctl(ring, self->fd,
						  FOS_IOC_TLB_CANCEL, &c),
				 self->kind->flags));
	EXPECT_EQ(0, store_at(self->base));
}

/* Long to walk through, but for the debug kernel, too, not as long as LATE. */
#define LONG_PAGES	(64UL << 10)

/* struct canceler - a thread that takes a ticket back */
struct canceler {
	int fd;
	uint64_t ticket;
	int ret;
};

static void *take_back(void *arg)
{
	struct canceler *c = arg;

	c->ret = cancel(c->fd, c->ticket);
	return NULL;
}

/*
 * A batch on a long region is canceled by another thread: can its last page be
 * written when the completion says so?
 */
static int is_writable_after(struct io_uring *ring, const struct kind *k, int fd,
			     char *base, uint32_t rights)
{
	const struct fos_tlb_range r = range_of(0, LONG_PAGES, rights);
	struct fos_tlb_submit a = batch(&r, 1, LATE);
	struct canceler c = { .fd = fd };
	char *last = base + (LONG_PAGES - 1) * PAGE;
	pthread_t thread;
	int res, signal;

	res = submit_one(ring, ring_ioctl(ring, fd, FOS_IOC_TLB_SUBMIT, &a), k->flags);
	c.ticket = ticket_of(&a);
	if (res || !c.ticket)
		return NOT_TAKEN;
	/* What gives rights has given them by now. */
	if (rights == RIGHTS_RW && store_at(last))
		return NOT_TAKEN;
	pthread_create(&thread, NULL, take_back, &c);
	res = completed(ring, NULL);
	signal = store_at(last);
	pthread_join(thread, NULL);
	return res == -ECANCELED && !c.ret ? signal : NEVER;
}

TEST_F(ring, what_was_canceled_is_as_before_when_it_completes)
{
	const int fd = make_region(LONG_PAGES * PAGE);
	const long n = rounds(10);
	char *base;
	long i;

	ASSERT_LE(0, fd);
	base = map_region(fd, LONG_PAGES * PAGE, RW);
	ASSERT_NE(MAP_FAILED, base);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, protect(fd, 0, LONG_PAGES, RIGHTS_RW));
		ASSERT_EQ(0, is_writable_after(&self->ring, self->kind, fd, base,
					       RIGHTS_RO));
		ASSERT_EQ(0, protect(fd, 0, LONG_PAGES, RIGHTS_RO));
		ASSERT_EQ(SIGSEGV, is_writable_after(&self->ring, self->kind, fd,
						     base, RIGHTS_RW));
	}
	unmap_region(base, LONG_PAGES * PAGE);
	close(fd);
}

/* As by ioctl: its ticket is lost, not the batch. */
TEST_F(ring, a_ticket_that_cannot_be_told_is_efault)
{
	const struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);
	struct fos_tlb_submit *a = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS,
					-1, 0);

	ASSERT_NE(MAP_FAILED, a);
	*a = batch(&r, 1, 0);
	ASSERT_EQ(0, mprotect(a, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ask(&self->ring, ring_ioctl(&self->ring, self->fd,
						       FOS_IOC_TLB_SUBMIT, a),
			       self->kind->flags));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	munmap(a, PAGE);
}

/* Then nobody writes there any more, either. */
TEST_F(ring, the_ticket_is_there_when_it_completes)
{
	const struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);
	struct fos_tlb_submit a;
	const long n = rounds(1000);
	long i, late = 0;

	for (i = 0; i < n; i++) {
		a = batch(&r, 1, 0);
		ASSERT_EQ(0, ask(&self->ring, ring_ioctl(&self->ring, self->fd,
							 FOS_IOC_TLB_SUBMIT, &a),
				 self->kind->flags));
		late += !__atomic_exchange_n(&a.ticket, 0, __ATOMIC_ACQ_REL);
	}
	EXPECT_EQ(0, late);
}

/* By the ioctl, and by another ring: whoever has the ticket. */
TEST_F(ring, whoever_cancels_completes_it)
{
	const struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);
	struct fos_tlb_submit a = batch(&r, 1, LATE);

	ASSERT_EQ(0, submit_one(&self->ring,
				ring_ioctl(&self->ring, self->fd,
					   FOS_IOC_TLB_SUBMIT, &a),
				self->kind->flags));
	ASSERT_EQ(0, cancel(self->fd, ticket_of(&a)));
	EXPECT_EQ(-ECANCELED, completed(&self->ring, NULL));
}

TEST_F(ring, more_than_may_wait_are_applied)
{
	enum { N = 4 * FOS_TLB_PENDING_MAX, AT_A_TIME = 32 };
	static struct fos_tlb_submit a[N];
	static struct fos_tlb_range r[N];
	struct io_uring *ring = &self->ring;
	int i, done = 0;

	for (i = 0; i < N; i++) {
		r[i] = range_of(i % PAGES, 1, i % 2 ? RIGHTS_RO : 0);
		a[i] = batch(&r[i], 1, LATE);
	}
	for (i = 0; i < N; i++) {
		ring_ioctl(ring, self->fd, FOS_IOC_TLB_SUBMIT, &a[i])->flags |=
			self->kind->flags;
		if (i % AT_A_TIME == AT_A_TIME - 1)
			ASSERT_LE(AT_A_TIME, io_uring_submit(ring));
	}
	while (done < N && completed(ring, NULL) == 0)
		done++;
	EXPECT_EQ(N, done);
	/* Each by its own command, also those that had to wait. */
	for (i = 0; i < N; i++)
		EXPECT_NE(0, a[i].ticket);
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(SIGSEGV, store_at(self->base + i * PAGE));
		EXPECT_EQ(i % 2 ? 0 : SIGSEGV, load_at(self->base + i * PAGE));
	}
}

TEST_F(ring, a_page_that_others_hold_is_told)
{
	struct iovec iov = { .iov_base = self->base, .iov_len = PAGE };
	const struct fos_tlb_range r = range_of(0, 2, RIGHTS_RO);
	struct fos_tlb_submit a = batch(&r, 1, 0);
	struct io_uring *ring = &self->ring;
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(PAGE, vmsplice(fd[1], &iov, 1, 0));
	EXPECT_EQ(-EBUSY, ask(ring, ring_ioctl(ring, self->fd,
					       FOS_IOC_TLB_SUBMIT, &a),
			      self->kind->flags));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
}

TEST_F(ring, what_an_ioctl_refuses_a_command_does)
{
	const struct fos_tlb_range r = range_of(PAGES, 1, RIGHTS_RO);
	const struct {
		struct fos_tlb_submit a;
		int res;
	} cases[] = {
		{ batch(&r, 1, 0), -EINVAL },
		{ batch(&r, 0, 0), -EINVAL },
		{ batch(&r, FOS_TLB_RANGES_MAX + 1, 0), -E2BIG },
		{ batch(NULL, 1, 0), -EFAULT },
		{ { .flags = 2, .count = 1 }, -EINVAL },
	};
	const uint64_t more[2] = { (uintptr_t)&cases[0].a, 1 };
	struct io_uring *ring = &self->ring;
	int weak = share_region(self->fd, FOS_RIGHT_READ);
	struct fos_tlb_submit a;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		a = cases[i].a;
		EXPECT_EQ(cases[i].res,
			  ask(ring, ring_ioctl(ring, self->fd,
					       FOS_IOC_TLB_SUBMIT, &a),
			      self->kind->flags)) {
			TH_LOG("case %zu", i);
		}
	}
	EXPECT_EQ(-EFAULT, ask(ring, ring_ioctl(ring, self->fd,
						FOS_IOC_TLB_SUBMIT, (void *)8),
			       self->kind->flags));
	EXPECT_EQ(-EINVAL, ask(ring, command(ring, self->fd,
					     FOS_IOC_TLB_SUBMIT, more),
			       self->kind->flags));
	EXPECT_EQ(-EPERM, ask(ring, ring_ioctl(ring, weak,
					       FOS_IOC_TLB_SUBMIT, &a),
			      self->kind->flags));
	EXPECT_EQ(0, store_at(self->base));
}

TEST_F(ring, any_bytes_are_a_clear_error)
{
	uint64_t seed = rnd_seed("commands"), payload[2];
	const uint32_t ops[] = {
		FOS_URING_CHAN_BELL, FOS_IOC_TLB_SUBMIT, FOS_IOC_TLB_CANCEL,
		FOS_IOC_TLB_SCAN, FOS_IOC_CHAN_BELL_WAIT, 0, ~0U,
	};
	char *junk = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const int fds[] = { self->fd, self->a.fd };
	long i, n = rounds(2000);
	int k, res;

	for (i = 0; i < n; i++) {
		for (k = 0; k < 64; k++)
			junk[k] = rnd_below(&seed, 3) ? 0 : rnd(&seed);
		payload[0] = rnd_below(&seed, 2) ? (uintptr_t)junk : rnd(&seed);
		payload[1] = rnd_below(&seed, 2) ? 0 : rnd(&seed);
		res = ask(&self->ring,
			  command(&self->ring, fds[rnd_below(&seed, 2)],
				  ops[rnd_below(&seed, 7)] ^
				  (rnd_below(&seed, 2) ? 0 :
				   1U << rnd_below(&seed, 32)), payload),
			  self->kind->flags);
		ASSERT_TRUE(res <= 0 && res > -4096) {
			TH_LOG("round %ld: %d", i, res);
		}
	}
}

/* ---- poll ------------------------------------------------------------- */

TEST_F(ring, a_region_can_be_polled_for_what_waits)
{
	struct io_uring *ring = &self->ring;
	struct io_uring_sqe *sqe;
	uint64_t ticket;

	EXPECT_EQ(POLLIN, raw_poll(self->fd, POLLIN));
	ticket = submit(self->fd, 0, 1, RIGHTS_RO, LATE);
	EXPECT_EQ(0, raw_poll(self->fd, POLLIN));
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_poll_add(sqe, self->fd, POLLIN);
	ASSERT_EQ(0, submit_one(ring, sqe, self->kind->flags));
	EXPECT_TRUE(none_completed(ring) || look_at(self->fd, ticket) == 0);
	ASSERT_EQ(0, cancel(self->fd, ticket));
	EXPECT_EQ(POLLIN, completed(ring, NULL));
	ticket = submit(self->fd, 0, 1, RIGHTS_RO, 0);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_poll_add(sqe, self->fd, POLLIN);
	ASSERT_EQ(0, submit_one(ring, sqe, self->kind->flags));
	EXPECT_EQ(POLLIN, completed(ring, NULL));
	EXPECT_EQ(0, look_at(self->fd, ticket));
}

/* ---- what a bell costs ------------------------------------------------ */

#define BELLS		8

static uint64_t by_ioctl(struct raw *r, long n)
{
	const uint64_t began = now_ns();

	while (n--)
		if (raw_bell(r, FOS_WANT_MSG))
			return 0;
	return now_ns() - began;
}

static uint64_t by_ring(struct io_uring *ring, const struct raw *r, long n)
{
	const uint64_t began = now_ns();
	int i;

	for (; n > 0; n -= BELLS) {
		for (i = 0; i < BELLS; i++)
			ring_bell(ring, r->fd, BELL(FOS_WANT_MSG))->flags |=
				IOSQE_CQE_SKIP_SUCCESS;
		if (io_uring_submit(ring) != BELLS || io_uring_cq_ready(ring))
			return 0;
	}
	return now_ns() - began;
}

/* Read by uring.bats, in a guest whose clock counts instructions. */
TEST(bells_are_counted)
{
	const struct kind plain = { 0 };
	const long n = 100 * BELLS;
	uint64_t ioctl_ns = UINT64_MAX, ring_ns = UINT64_MAX, ns;
	struct io_uring ring;
	struct raw r[2];
	int i;

	ASSERT_TRUE(open_ring(&ring, &plain));
	ASSERT_EQ(0, raw_pair(r, DEPTH, 0));
	/* The best that nothing else has disturbed. */
	for (i = 0; i < 5; i++) {
		ns = by_ioctl(&r[0], n);
		ASSERT_NE(0, ns);
		ioctl_ns = ns < ioctl_ns ? ns : ioctl_ns;
		ns = by_ring(&ring, &r[0], n);
		ASSERT_NE(0, ns);
		ring_ns = ns < ring_ns ? ns : ring_ns;
	}
	TH_LOG("a bell: %lu ns by ioctl, %lu ns in a batch of %d",
	       ioctl_ns / n, ring_ns / n, BELLS);
}

TEST_HARNESS_MAIN
