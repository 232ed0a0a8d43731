// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion queues, raw: an eventfd that hears of one, and one that is heard of.
 *
 * cpus: 2
 */
#include <linux/aio_abi.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "abi_cq.h"
#include "abi_uring.h"

#define FIRST		((uint64_t)DEPTH)
#define NONE		FOS_DEADLINE_NONE
#define ENTRIES		2
#define NAME		77
#define MANY		20000

FIXTURE(eventfd) {
	struct rawq q;
	struct raw r[2];
	int efd;
};

FIXTURE_SETUP(eventfd)
{
	ASSERT_EQ(0, rawq_make(&self->q, ENTRIES));
	ASSERT_EQ(0, raw_pair(self->r, DEPTH, 0));
	self->efd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, self->efd);
}

FIXTURE_TEARDOWN(eventfd)
{
}

static long let_hear(const struct rawq *q, int fd)
{
	struct fos_cq_notify a = { .fd = fd };

	return RESULT(ioctl(q->fd, FOS_IOC_CQ_NOTIFY, &a));
}

static long hear(const struct rawq *q, int fd)
{
	struct fos_cq_hear a = { .user_data = NAME, .fd = fd };

	return RESULT(ioctl(q->fd, FOS_IOC_CQ_HEAR, &a));
}

/* What it has counted; 0: nothing. */
static uint64_t count_of(int efd)
{
	uint64_t n;

	return read(efd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static bool signal_it(int efd)
{
	const uint64_t one = 1;

	return write(efd, &one, sizeof(one)) == sizeof(one);
}

/* A message, of which whoever asked is told by a bell. */
static bool send_raw(struct raw *r, uint64_t seq)
{
	uint32_t bell = raw_publish(r, seq, FOS_META_MSG, "x", 1);

	return bell && !raw_bell(r, bell);
}

static long reserved(const struct rawq *q)
{
	char text[1024];

	return fdinfo_of(q->fd, text, sizeof(text)) ? -1 :
						      value_in(text, "reserved");
}

/* ---- it is notified --------------------------------------------------- */

TEST_F(eventfd, one_hears_of_entries)
{
	int other = eventfd(0, EFD_NONBLOCK);

	ASSERT_EQ(0, let_hear(&self->q, self->efd));
	EXPECT_EQ(0, count_of(self->efd));
	ASSERT_EQ(0, tell(&self->r[1], self->q.fd, FOS_WANT_PUBLISHED, 1));
	ASSERT_EQ(1, rawq_read(&self->q, NULL));
	EXPECT_EQ(1, count_of(self->efd));
	EXPECT_TRUE(send_raw(&self->r[0], FIRST));
	EXPECT_EQ(1, count_of(self->efd));
	/* Coalesced: no entry. */
	EXPECT_TRUE(send_raw(&self->r[0], FIRST + 1));
	EXPECT_EQ(0, count_of(self->efd));
	ASSERT_EQ(0, let_hear(&self->q, other));
	EXPECT_EQ(1, count_of(other));
	EXPECT_EQ(1, rawq_read(&self->q, NULL));
	ASSERT_EQ(0, let_hear(&self->q, other));
	EXPECT_EQ(0, count_of(other));
	close(other);
	EXPECT_TRUE(send_raw(&self->r[0], FIRST + 2));
	EXPECT_EQ(1, rawq_read(&self->q, NULL));
	EXPECT_EQ(0, let_hear(&self->q, -1));
	EXPECT_TRUE(send_raw(&self->r[0], FIRST + 3));
	EXPECT_EQ(1, rawq_read(&self->q, NULL));
	EXPECT_EQ(0, count_of(self->efd));
}

TEST_F(eventfd, nonsense_is_not_notified)
{
	struct fos_cq_notify a = { .fd = self->efd, .flags = 1 };

	EXPECT_EQ(-EINVAL, RESULT(ioctl(self->q.fd, FOS_IOC_CQ_NOTIFY, &a)));
	a.flags = 0;
	a.resv = 1;
	EXPECT_EQ(-EINVAL, RESULT(ioctl(self->q.fd, FOS_IOC_CQ_NOTIFY, &a)));
	EXPECT_EQ(-EINVAL, let_hear(&self->q, self->q.fd));
	EXPECT_EQ(-EBADF, let_hear(&self->q, 1000000));
}

/* ---- it is heard ------------------------------------------------------ */

TEST_F(eventfd, one_is_heard_of_once_until_that_is_read)
{
	int res = 1;

	ASSERT_EQ(0, hear(&self->q, self->efd));
	EXPECT_EQ(NULL, rawq_next(&self->q));
	EXPECT_TRUE(signal_it(self->efd));
	EXPECT_TRUE(signal_it(self->efd));
	EXPECT_EQ(NAME, rawq_read(&self->q, &res));
	EXPECT_EQ(0, res);
	EXPECT_EQ(NULL, rawq_next(&self->q));
	/* Its count is not 0, and does not matter. */
	EXPECT_TRUE(signal_it(self->efd));
	EXPECT_EQ(NAME, rawq_read(&self->q, NULL));
	EXPECT_EQ(NULL, rawq_next(&self->q));
	/* Who reads it wakes those who would write: that is nothing to be heard. */
	EXPECT_EQ(3, count_of(self->efd));
	EXPECT_EQ(NULL, rawq_next(&self->q));
}

TEST_F(eventfd, what_was_counted_before_is_heard_of)
{
	EXPECT_TRUE(signal_it(self->efd));
	ASSERT_EQ(0, hear(&self->q, self->efd));
	EXPECT_EQ(NAME, rawq_read(&self->q, NULL));
	ASSERT_EQ(0, hear(&self->q, -1));
	EXPECT_TRUE(signal_it(self->efd));
	EXPECT_EQ(NULL, rawq_next(&self->q));
	/* Nor has it been read. */
	EXPECT_EQ(2, count_of(self->efd));
}

TEST_F(eventfd, it_has_a_place)
{
	ASSERT_EQ(0, hear(&self->q, self->efd));
	EXPECT_EQ(1, reserved(&self->q));
	ASSERT_EQ(0, tell(&self->r[0], self->q.fd, 0, 1));
	EXPECT_EQ(-EBUSY, tell(&self->r[1], self->q.fd, 0, 2));
	EXPECT_TRUE(signal_it(self->efd));
	ASSERT_EQ(0, hear(&self->q, -1));
	EXPECT_EQ(1, reserved(&self->q));
	/* The entry that it left has the place. */
	EXPECT_EQ(-EBUSY, hear(&self->q, self->efd));
	EXPECT_EQ(1, rawq_read(&self->q, NULL));
	EXPECT_EQ(NAME, rawq_read(&self->q, NULL));
	EXPECT_EQ(0, hear(&self->q, self->efd));
	EXPECT_EQ(NAME, rawq_read(&self->q, NULL));
	EXPECT_EQ(-EBUSY, tell(&self->r[1], self->q.fd, 0, 2));
}

TEST_F(eventfd, nonsense_is_not_heard_of)
{
	struct fos_cq_hear a = { .fd = self->efd, .flags = 1 };

	EXPECT_EQ(-EINVAL, RESULT(ioctl(self->q.fd, FOS_IOC_CQ_HEAR, &a)));
	EXPECT_EQ(-EINVAL, hear(&self->q, self->q.fd));
	EXPECT_EQ(-EINVAL, hear(&self->q, self->r[0].fd));
	EXPECT_EQ(-EBADF, hear(&self->q, 1000000));
	EXPECT_EQ(0, hear(&self->q, -1));
	EXPECT_EQ(0, reserved(&self->q));
	ASSERT_EQ(0, hear(&self->q, self->efd));
	EXPECT_EQ(-EEXIST, hear(&self->q, self->efd));
	EXPECT_EQ(1, reserved(&self->q));
}

/* Two queues could make one another's signal for ever. */
TEST_F(eventfd, a_queue_hears_or_is_heard_of)
{
	ASSERT_EQ(0, let_hear(&self->q, self->efd));
	EXPECT_EQ(-EEXIST, hear(&self->q, self->efd));
	ASSERT_EQ(0, let_hear(&self->q, -1));
	ASSERT_EQ(0, hear(&self->q, self->efd));
	EXPECT_EQ(-EEXIST, let_hear(&self->q, self->efd));
	EXPECT_EQ(0, let_hear(&self->q, -1));
	EXPECT_TRUE(signal_it(self->efd));
	EXPECT_EQ(NAME, rawq_read(&self->q, NULL));
}

TEST_F(eventfd, it_may_be_closed_and_so_may_the_queue)
{
	int copy = dup(self->efd), last = eventfd(0, 0);

	ASSERT_EQ(0, hear(&self->q, self->efd));
	close(self->efd);
	EXPECT_TRUE(signal_it(copy));
	EXPECT_EQ(NAME, rawq_read(&self->q, NULL));
	close(copy);
	EXPECT_EQ(NULL, rawq_next(&self->q));
	ASSERT_EQ(0, hear(&self->q, -1));
	ASSERT_EQ(0, hear(&self->q, last));
	munmap(self->q.base, FOS_CQ_MAP_BYTES(ENTRIES));
	close(self->q.fd);
	EXPECT_TRUE(signal_it(last));
}

/* ---- whoever sleeps is woken, and nothing is lost --------------------- */

/* The eventfd is signalled for each that is asked for. */
struct pace {
	int efd;
	uint64_t asked;
	uint64_t rounds;
};

static void *signal_what_is_asked_for(void *arg)
{
	struct pace *p = arg;
	uint64_t i;

	for (i = 1; i <= p->rounds; i++) {
		while (__atomic_load_n(&p->asked, __ATOMIC_ACQUIRE) < i)
			sched_yield();
		if (!signal_it(p->efd))
			return p;
	}
	return NULL;
}

TEST_F_TIMEOUT(eventfd, no_signal_is_missed, 300)
{
	struct pace p = { .efd = self->efd, .rounds = rounds(MANY) };
	pthread_t t;
	uint64_t i;
	void *ret;

	ASSERT_EQ(0, hear(&self->q, self->efd));
	ASSERT_EQ(0, pthread_create(&t, NULL, signal_what_is_asked_for, &p));
	for (i = 1; i <= p.rounds; i++) {
		__atomic_store_n(&p.asked, i, __ATOMIC_RELEASE);
		ASSERT_EQ(0, rawq_wait(&self->q, i, NONE));
		ASSERT_EQ(NAME, rawq_read(&self->q, NULL));
	}
	ASSERT_EQ(0, pthread_join(t, &ret));
	EXPECT_EQ(NULL, ret);
}

static void *sleep_for_many(void *arg)
{
	return (void *)rawq_wait(arg, 5, in_ms(HANG_MS));
}

/* It may stand for many. */
TEST_F(eventfd, one_that_is_heard_of_ends_any_sleep)
{
	pthread_t t;
	void *ret;
	int i;

	ASSERT_EQ(0, hear(&self->q, self->efd));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, pthread_create(&t, NULL, sleep_for_many, &self->q));
		/* Asleep, or about to be. */
		nap_us(i % 2 * 20000);
		EXPECT_TRUE(signal_it(self->efd));
		ASSERT_EQ(0, pthread_join(t, &ret));
		EXPECT_EQ(0, (long)ret);
		EXPECT_EQ(0, rawq_wait(&self->q, 100, 0));
		EXPECT_EQ(NAME, rawq_read(&self->q, NULL));
		EXPECT_EQ(-ETIMEDOUT, rawq_wait(&self->q, 100, 1));
	}
}

static void *signal_on(void *arg)
{
	struct pace *p = arg;

	while (!__atomic_load_n(&p->asked, __ATOMIC_ACQUIRE))
		if (!signal_it(p->efd))
			return p;
	return NULL;
}

/* While it is signalled all the time. */
TEST_F_TIMEOUT(eventfd, queues_come_and_go, 120)
{
	struct pace p = { .efd = self->efd };
	struct rawq q;
	pthread_t t;
	void *ret;
	long n;

	ASSERT_EQ(0, pthread_create(&t, NULL, signal_on, &p));
	for (n = rounds(2000); n; n--) {
		ASSERT_EQ(0, rawq_make(&q, ENTRIES));
		ASSERT_EQ(0, hear(&q, self->efd));
		ASSERT_EQ(0, rawq_wait(&q, 1, NONE));
		EXPECT_EQ(NAME, rawq_read(&q, NULL));
		if (n % 2)
			EXPECT_EQ(0, hear(&q, -1));
		close(q.fd);
		munmap(q.base, FOS_CQ_MAP_BYTES(ENTRIES));
	}
	__atomic_store_n(&p.asked, 1, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(t, &ret));
	EXPECT_EQ(NULL, ret);
}

/* ---- circles ---------------------------------------------------------- */

/*
 * Who polls the queue signals the eventfd that the queue hears of, in the middle of being
 * told: it is told by the eventfd itself, or by somebody else.
 */
#define EACH	100

/* The entries there are. */
static int read_all(struct rawq *q)
{
	int n = 0;

	while (rawq_read(q, NULL))
		n++;
	return n;
}

static bool poll_by_ring(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	return io_uring_submit(ring) == 1;
}

static bool open_circle(struct io_uring *ring, unsigned int setup, int fd, int efd)
{
	return !io_uring_queue_init(8, ring, setup) &&
	       !io_uring_register_eventfd(ring, efd) && poll_by_ring(ring, fd);
}

/* Another poll when the last one has ended, as it may after each. */
static bool goes_on(struct io_uring *ring, int fd)
{
	struct __kernel_timespec ts = { .tv_sec = HANG_MS / 1000 };
	struct io_uring_cqe *cqe;
	bool more;

	if (io_uring_wait_cqe_timeout(ring, &cqe, &ts) || cqe->res < 0)
		return false;
	more = cqe->flags & IORING_CQE_F_MORE;
	io_uring_cqe_seen(ring, cqe);
	return more || poll_by_ring(ring, fd);
}

static const unsigned int setups[] = {
	0, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

TEST_F(eventfd, a_circle_that_an_eventfd_begins_comes_to_an_end)
{
	struct io_uring ring;
	unsigned int i, n;

	ASSERT_EQ(0, hear(&self->q, self->efd));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(open_circle(&ring, setups[i], self->q.fd, self->efd));
		for (n = 0; n < EACH; n++) {
			ASSERT_TRUE(signal_it(self->efd));
			ASSERT_TRUE(goes_on(&ring, self->q.fd));
			read_all(&self->q);
		}
		io_uring_queue_exit(&ring);
		read_all(&self->q);
	}
	ASSERT_TRUE(signal_it(self->efd));
	EXPECT_EQ(NAME, rawq_read(&self->q, NULL));
}

TEST_F(eventfd, a_circle_that_a_message_begins_comes_to_an_end)
{
	struct io_uring ring;
	uint64_t seq = FIRST;
	unsigned int i, n;

	ASSERT_EQ(0, hear(&self->q, self->efd));
	ASSERT_EQ(0, tell(&self->r[1], self->q.fd, FOS_WANT_PUBLISHED, 1));
	read_all(&self->q);
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(open_circle(&ring, setups[i], self->q.fd, self->efd));
		for (n = 0; n < EACH; n++, seq++) {
			ASSERT_TRUE(send_raw(&self->r[0], seq));
			ASSERT_TRUE(goes_on(&ring, self->q.fd));
			read_all(&self->q);
			raw_claim(&self->r[1], seq, FOS_CLAIM_DONE);
		}
		io_uring_queue_exit(&ring);
		read_all(&self->q);
	}
}

/* While its reader lies that all has been read, so that nothing is coalesced. */
TEST_F(eventfd, a_circle_without_coalescing_comes_to_an_end)
{
	struct io_uring ring;
	unsigned int i;

	ASSERT_EQ(0, hear(&self->q, self->efd));
	__atomic_store_n(&self->q.head->head, 1ULL << 62, __ATOMIC_SEQ_CST);
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(open_circle(&ring, setups[i], self->q.fd, self->efd));
		ASSERT_TRUE(signal_it(self->efd));
		ASSERT_TRUE(goes_on(&ring, self->q.fd));
		io_uring_queue_exit(&ring);
	}
}

static bool poll_by_aio(aio_context_t ctx, struct iocb *cb, int fd, int efd)
{
	*cb = (struct iocb) {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = fd,
		.aio_buf = POLLIN,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = efd,
	};
	return syscall(SYS_io_submit, ctx, 1L, &cb) == 1;
}

TEST_F(eventfd, a_circle_through_aio_comes_to_an_end)
{
	struct timespec ts = { .tv_sec = HANG_MS / 1000 };
	aio_context_t ctx = 0;
	struct io_event ev;
	struct iocb cb;
	int i;

	ASSERT_EQ(0, syscall(SYS_io_setup, 4L, &ctx));
	for (i = 0; i < EACH; i++) {
		ASSERT_TRUE(poll_by_aio(ctx, &cb, self->q.fd, self->efd));
		/* Tells at once, for there is a count: of the signal before. */
		ASSERT_TRUE(signal_it(self->efd));
		ASSERT_EQ(0, hear(&self->q, self->efd));
		ASSERT_EQ(1, syscall(SYS_io_getevents, ctx, 1L, 1L, &ev, &ts));
		read_all(&self->q);
		ASSERT_EQ(0, hear(&self->q, -1));
		read_all(&self->q);
	}
	syscall(SYS_io_destroy, ctx);
}

/* ---- a reader who lies ------------------------------------------------ */

/* Entries of two sources that share a slot are one when they have gone. */
TEST_F(eventfd, a_head_that_lies_miscounts_nothing)
{
	int i;

	__atomic_store_n(&self->q.head->head, 1ULL << 62, __ATOMIC_SEQ_CST);
	ASSERT_EQ(0, tell(&self->r[0], self->q.fd, FOS_WANT_PUBLISHED, 1));
	ASSERT_EQ(0, hear(&self->q, self->efd));
	for (i = 0; i < 2 * ENTRIES; i++)
		ASSERT_TRUE(signal_it(self->efd));
	ASSERT_EQ(0, tell(&self->r[0], ~0, 0, 0));
	ASSERT_EQ(0, hear(&self->q, -1));
	/* The truth: all was read. */
	__atomic_store_n(&self->q.head->head, 1 + 2 * ENTRIES, __ATOMIC_SEQ_CST);
	for (i = 0; i < ENTRIES; i++)
		EXPECT_EQ(0, tell(&self->r[i], self->q.fd, 0, 1));
	EXPECT_EQ(-EBUSY, hear(&self->q, self->efd));
}

TEST_HARNESS_MAIN
