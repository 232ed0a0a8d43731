// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion queues, raw: who may write where, that nothing is lost and nothing told
 * twice, who is woken, and that places are never more than there are.
 *
 * cpus: 2
 */
#include <pthread.h>
#include <sys/epoll.h>

#include "abi_cq.h"
#include "abi_tickets.h"
#include "touch.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define FIRST		((uint64_t)DEPTH)
#define ENTRIES		2
#define NONE		FOS_DEADLINE_NONE
#define MESSAGES	FOS_WANT_PUBLISHED
#define MANY		20000

FIXTURE(cq) {
	struct rawq q;
	struct raw a;
	struct raw b;
	struct raw more[2];
};

FIXTURE_SETUP(cq)
{
	struct raw r[2];

	catch_faults();
	ASSERT_EQ(0, rawq_make(&self->q, ENTRIES));
	ASSERT_EQ(0, raw_pair(r, DEPTH, 0));
	self->a = r[0];
	self->b = r[1];
	ASSERT_EQ(0, raw_pair(self->more, DEPTH, 0));
}

FIXTURE_TEARDOWN(cq)
{
}

/* Publish, and ring if the peer asked for it; it did. */
static bool send_raw(struct raw *r, uint64_t seq)
{
	uint32_t bell = raw_publish(r, seq, FOS_META_MSG, "x", 1);

	return bell && !raw_bell(r, bell);
}

static void take_raw(struct raw *r, uint64_t seq)
{
	raw_claim(r, seq, FOS_CLAIM_DONE);
}

/* b tells the queue of messages, and has been asked to look once. */
static bool told_and_read(struct rawq *q, struct raw *r, uint64_t user_data)
{
	return !tell(r, q->fd, MESSAGES, user_data) &&
	       rawq_read(q, NULL) == user_data && !rawq_next(q);
}

static long queue_info(int fd, const char *name)
{
	char text[1024];

	return fdinfo_of(fd, text, sizeof(text)) ? -1 : value_in(text, name);
}

/* ---- the object ------------------------------------------------------- */

TEST_F(cq, it_says_what_it_is)
{
	struct fos_core_query q = {};

	ASSERT_EQ(0, ioctl(self->q.fd, FOS_IOC_CORE_QUERY, &q));
	EXPECT_EQ(FOS_KIND_CQ, q.kind);
	EXPECT_EQ(ENTRIES, q.depth);
	EXPECT_NE(0, q.id);
	EXPECT_NE(0, q.features & FOS_FEAT_CQ);
	EXPECT_EQ(0, queue_info(self->q.fd, "reserved"));
	EXPECT_EQ(0, queue_info(self->q.fd, "posted"));
}

TEST_F(cq, its_size_is_a_power_of_two_within_limits)
{
	EXPECT_EQ(-EINVAL, make_queue(0));
	EXPECT_EQ(-EINVAL, make_queue(1));
	EXPECT_EQ(-EINVAL, make_queue(3));
	EXPECT_EQ(-EINVAL, make_queue(2 * FOS_CQ_ENTRIES_MAX));
	EXPECT_EQ(0, close(make_queue(FOS_CQ_ENTRIES_MAX)));
}

TEST_F(cq, its_reader_writes_the_head_page_only)
{
	char *p = self->q.base;

	EXPECT_EQ(0, store_at(p + FOS_PAGE_BYTES - 1));
	EXPECT_EQ(0, load_at(p + FOS_CQ_OFF_ENTRIES));
	EXPECT_EQ(SIGSEGV, store_at(p + FOS_CQ_OFF_ENTRIES));
	EXPECT_EQ(SIGSEGV, load_at(p + FOS_CQ_OFF_GUARD(ENTRIES)));
	EXPECT_EQ(-1, mprotect(p, FOS_PAGE_BYTES, PROT_READ));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, FOS_PAGE_BYTES, PROT_READ | PROT_WRITE,
				   MAP_SHARED, self->q.fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, FOS_CQ_MAP_BYTES(ENTRIES), PROT_READ,
				   MAP_PRIVATE, self->q.fd, 0));
}

TEST_F(cq, nothing_is_left_of_it)
{
	long live = objects_settled();
	struct rawq q;

	ASSERT_EQ(0, rawq_make(&q, 64));
	EXPECT_LT(live, objects_live());
	EXPECT_EQ(0, tell(&self->b, q.fd, MESSAGES, 1));
	EXPECT_EQ(0, munmap(q.base, FOS_CQ_MAP_BYTES(64)));
	EXPECT_EQ(0, close(q.fd));
	/* The endpoint has it. */
	EXPECT_LT(live, objects_live());
	EXPECT_TRUE(send_raw(&self->a, FIRST));
	raw_unmap(&self->b);
	EXPECT_EQ(live, objects_left(live));
}

/* ---- endpoints -------------------------------------------------------- */

TEST_F(cq, an_endpoint_is_told_of_once_until_that_is_read)
{
	struct raw *a = &self->a, *b = &self->b;
	long coalesced = stat_of("cq_coalesced");
	struct rawq *q = &self->q;

	ASSERT_TRUE(told_and_read(q, b, 7));
	EXPECT_TRUE(send_raw(a, FIRST));
	EXPECT_TRUE(send_raw(a, FIRST + 1));
	EXPECT_EQ(coalesced + 1, stat_of("cq_coalesced"));
	EXPECT_EQ(7, rawq_read(q, NULL));
	EXPECT_EQ(NULL, rawq_next(q));
	/* Read, but not taken: what comes now is news. */
	EXPECT_TRUE(send_raw(a, FIRST + 2));
	EXPECT_EQ(7, rawq_read(q, NULL));
	EXPECT_EQ(NULL, rawq_next(q));
	EXPECT_EQ(3, queue_info(q->fd, "posted"));
}

TEST_F(cq, what_was_there_before_is_told_of)
{
	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	EXPECT_EQ(0, tell(&self->b, self->q.fd, MESSAGES, 9));
	EXPECT_EQ(9, rawq_read(&self->q, NULL));
}

TEST_F(cq, who_asks_for_room_is_told_of_claims)
{
	ASSERT_EQ(0, tell(&self->a, self->q.fd, FOS_WANT_ROOM, 3));
	EXPECT_EQ(3, rawq_read(&self->q, NULL));
	EXPECT_EQ(FOS_WANT_ROOM, wants_of(&self->a));
	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	take_raw(&self->b, FIRST);
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_TAKE));
	EXPECT_EQ(NULL, rawq_next(&self->q));
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_ROOM));
	EXPECT_EQ(3, rawq_read(&self->q, NULL));
}

TEST_F(cq, another_queue_takes_its_place)
{
	struct rawq other;

	ASSERT_EQ(0, rawq_make(&other, ENTRIES));
	ASSERT_TRUE(told_and_read(&self->q, &self->b, 1));
	ASSERT_TRUE(told_and_read(&other, &self->b, 2));
	EXPECT_TRUE(send_raw(&self->a, FIRST));
	EXPECT_EQ(NULL, rawq_next(&self->q));
	EXPECT_EQ(2, rawq_read(&other, NULL));
	EXPECT_EQ(0, queue_info(self->q.fd, "reserved"));
	EXPECT_EQ(0, tell(&self->b, ~0, 0, 0));
	EXPECT_EQ(0, queue_info(other.fd, "reserved"));
	EXPECT_EQ(0, wants_of(&self->b));
}

/* Who sends without waiting counts on those who are told of messages. */
TEST_F(cq, an_endpoint_of_a_queue_is_polled)
{
	EXPECT_EQ(0, self->b.kside->armed);
	EXPECT_EQ(0, raw_poll(self->a.fd, POLLOUT));
	ASSERT_TRUE(told_and_read(&self->q, &self->b, 1));
	EXPECT_EQ(1, self->b.kside->armed);
	EXPECT_EQ(POLLOUT, raw_poll(self->a.fd, POLLOUT));
	/* A bell that finds no poller disarms those only. */
	EXPECT_EQ(0, raw_poll(self->b.fd, POLLIN));
	EXPECT_TRUE(send_raw(&self->a, FIRST));
	EXPECT_EQ(1, self->b.kside->armed);
	EXPECT_EQ(0, tell(&self->b, ~0, 0, 0));
	EXPECT_EQ(0, self->b.kside->armed);
}

TEST_F(cq, death_is_told_of_whatever_was_asked_for)
{
	struct raw r = { 0 };
	int fd[2];
	pid_t pid;

	ASSERT_EQ(0, raw_create(DEPTH, 0, fd));
	pid = spawn();
	if (!pid)
		_exit(raw_map(&r, fd[1]) || pause());
	ASSERT_EQ(0, raw_map(&r, fd[0]));
	close(fd[1]);
	ASSERT_EQ(0, tell(&r, self->q.fd, 0, 5));
	EXPECT_EQ(5, rawq_read(&self->q, NULL));
	kill(pid, SIGKILL);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
	EXPECT_EQ(0, rawq_wait(&self->q, self->q.read + 1, in_ms(HANG_MS)));
	EXPECT_EQ(5, rawq_read(&self->q, NULL));
	EXPECT_TRUE(raw_dead(r.peer_kside));
	/* My own gives the place back. */
	EXPECT_EQ(1, queue_info(self->q.fd, "reserved"));
	raw_unmap(&r);
	EXPECT_EQ(5, rawq_read(&self->q, NULL));
	EXPECT_EQ(0, queue_info(self->q.fd, "reserved"));
}

TEST_F(cq, what_cannot_be_told_is_an_error)
{
	pid_t pid;
	struct raw fresh = { 0 };
	int fd[2];

	/* Whose it will be is not known yet. */
	ASSERT_EQ(0, raw_create(DEPTH, 0, fd));
	fresh.fd = fd[0];
	EXPECT_EQ(-EPERM, tell(&fresh, self->q.fd, MESSAGES, 0));
	EXPECT_EQ(-EBADF, tell(&self->b, 4000, MESSAGES, 0));
	EXPECT_EQ(-EBADF, tell(&self->b, self->a.fd, MESSAGES, 0));
	EXPECT_EQ(-EBADF, tell(&self->b, 0, MESSAGES, 0));
	pid = spawn();
	if (!pid)
		_exit(-tell(&self->b, self->q.fd, MESSAGES, 0));
	EXPECT_EQ(EPERM, reap(pid));
	EXPECT_EQ(0, munmap(self->b.base, self->b.bytes));
	EXPECT_EQ(-ESHUTDOWN, tell(&self->b, self->q.fd, MESSAGES, 0));
	EXPECT_EQ(0, queue_info(self->q.fd, "reserved"));
}

/* ---- places ----------------------------------------------------------- */

TEST_F(cq, there_are_no_more_places_than_entries)
{
	struct raw *third = &self->more[1];
	struct rawq *q = &self->q;

	ASSERT_EQ(0, tell(&self->a, q->fd, MESSAGES, 1));
	ASSERT_EQ(0, tell(&self->b, q->fd, MESSAGES, 2));
	EXPECT_EQ(-EBUSY, tell(third, q->fd, MESSAGES, 3));
	/* The entry of one who went lies there until it is read. */
	EXPECT_EQ(0, tell(&self->a, ~0, 0, 0));
	EXPECT_EQ(-EBUSY, tell(third, q->fd, MESSAGES, 3));
	EXPECT_EQ(1, rawq_read(q, NULL));
	EXPECT_EQ(0, tell(third, q->fd, MESSAGES, 3));
	EXPECT_EQ(-EBUSY, tell(&self->a, q->fd, MESSAGES, 1));
	EXPECT_EQ(2, rawq_read(q, NULL));
	EXPECT_EQ(3, rawq_read(q, NULL));
	EXPECT_EQ(-EBUSY, tell(&self->a, q->fd, MESSAGES, 1));
	EXPECT_EQ(2, queue_info(q->fd, "reserved"));
}

/* Nonsense for a head costs its writer entries, and nothing else. */
TEST_F(cq, a_head_that_lies_harms_nobody)
{
	static const uint64_t lies[] = {
		~0ULL, 1ULL << 63, 12345, ~0ULL - 1, (1ULL << 63) + 1,
	};
	uint64_t seq = FIRST;
	size_t i;

	ASSERT_EQ(0, tell(&self->b, self->q.fd, MESSAGES, 1));
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		__atomic_store_n(&self->q.head->head, lies[i], __ATOMIC_SEQ_CST);
		raw_publish(&self->a, seq, FOS_META_MSG, "x", 1);
		EXPECT_EQ(0, raw_bell(&self->a, FOS_WANT_MSG));
		take_raw(&self->b, seq++);
		tell(&self->more[0], self->q.fd, MESSAGES, 2);
		EXPECT_EQ(0, tell(&self->more[0], ~0, 0, 0));
		EXPECT_EQ(POLLIN, raw_poll(self->q.fd, POLLIN));
	}
	EXPECT_EQ(1, queue_info(self->q.fd, "reserved"));
}

/* ---- who waits -------------------------------------------------------- */

struct reader {
	struct rawq *q;
	uint64_t tail;
	pthread_t thread;
	pid_t tid;
	uint64_t done;
	long ret;
};

static void *wait_now(void *arg)
{
	struct reader *r = arg;

	__atomic_store_n(&r->tid, my_tid(), __ATOMIC_RELEASE);
	r->ret = rawq_wait(r->q, r->tail, in_ms(HANG_MS));
	__atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static bool start_reader(struct reader *r)
{
	if (pthread_create(&r->thread, NULL, wait_now, r))
		return false;
	while (!__atomic_load_n(&r->tid, __ATOMIC_ACQUIRE))
		nap_us(100);
	return wait_asleep(r->tid);
}

TEST_F(cq, who_waits_for_two_is_not_woken_by_one)
{
	struct reader r = { .q = &self->q, .tail = 4 };

	ASSERT_TRUE(told_and_read(&self->q, &self->a, 1));
	ASSERT_TRUE(told_and_read(&self->q, &self->b, 2));
	ASSERT_TRUE(start_reader(&r));
	EXPECT_TRUE(send_raw(&self->a, FIRST));
	nap_us(50000);
	EXPECT_FALSE(r.done);
	EXPECT_TRUE(send_raw(&self->b, FIRST));
	EXPECT_TRUE(wait_for(&r.done, 1));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(0, r.ret);
	EXPECT_NE(0, self->q.entry[0].posted_ns);
	EXPECT_LE(self->q.entry[0].posted_ns, self->q.entry[1].posted_ns);
}

TEST_F(cq, waits_end_by_the_deadline_a_signal_or_at_once)
{
	struct reader r = { .q = &self->q, .tail = 2 };

	EXPECT_EQ(0, rawq_wait(&self->q, 0, NONE));
	EXPECT_EQ(-ETIMEDOUT, rawq_wait(&self->q, 1, 0));
	EXPECT_EQ(-ETIMEDOUT, rawq_wait(&self->q, 1, in_ms(20)));
	EXPECT_EQ(0, tell(&self->b, self->q.fd, MESSAGES, 1));
	EXPECT_EQ(0, rawq_wait(&self->q, 1, 0));
	on_signal(SIGUSR1, 0, ignore_it);
	ASSERT_TRUE(start_reader(&r));
	pthread_kill(r.thread, SIGUSR1);
	EXPECT_TRUE(wait_for(&r.done, 1));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(-EINTR, r.ret);
}

TEST_F(cq, it_can_be_polled)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int efd = epoll_create1(0);

	ASSERT_TRUE(told_and_read(&self->q, &self->b, 1));
	EXPECT_EQ(0, raw_poll(self->q.fd, POLLIN | POLLOUT));
	ASSERT_EQ(0, epoll_ctl(efd, EPOLL_CTL_ADD, self->q.fd, &ev));
	EXPECT_EQ(0, epoll_wait(efd, &ev, 1, 0));
	EXPECT_TRUE(send_raw(&self->a, FIRST));
	EXPECT_EQ(1, epoll_wait(efd, &ev, 1, HANG_MS));
	EXPECT_EQ(POLLIN, raw_poll(self->q.fd, POLLIN | POLLOUT));
	EXPECT_EQ(1, rawq_read(&self->q, NULL));
	EXPECT_EQ(0, raw_poll(self->q.fd, POLLIN));
	EXPECT_EQ(0, epoll_wait(efd, &ev, 1, 0));
	EXPECT_TRUE(send_raw(&self->a, FIRST + 1));
	EXPECT_EQ(1, epoll_wait(efd, &ev, 1, HANG_MS));
	close(efd);
}

TEST_F(cq, who_polls_the_entries_is_not_woken)
{
	long wakes = stat_of("cq_wakes"), posts = stat_of("cq_posts");
	uint64_t seq;

	ASSERT_TRUE(told_and_read(&self->q, &self->b, 1));
	for (seq = FIRST; seq < FIRST + 100; seq++) {
		EXPECT_TRUE(send_raw(&self->a, seq));
		EXPECT_EQ(1, rawq_read(&self->q, NULL));
		take_raw(&self->b, seq);
	}
	EXPECT_EQ(posts + 101, stat_of("cq_posts"));
	EXPECT_EQ(wakes, stat_of("cq_wakes"));
}

/* ---- nothing is lost -------------------------------------------------- */

static void *send_one_by_one(void *arg)
{
	const uint64_t end = FIRST + rounds(MANY);
	struct raw *r = arg;
	uint64_t seq, i;

	for (seq = FIRST; seq < end; seq++) {
		if (!send_raw(r, seq))
			return (void *)seq;
		for (i = 0; raw_fate(r, seq) != FOS_CLAIM(seq, FOS_CLAIM_DONE); i++)
			if (i > 1000)
				sched_yield();
	}
	return NULL;
}

/* Each message is the only one: an entry that is missing is a hang. */
TEST_F_TIMEOUT(cq, no_message_is_left_behind, 300)
{
	const uint64_t end = FIRST + rounds(MANY);
	struct rawq *q = &self->q;
	uint64_t seq = FIRST;
	pthread_t thread;
	void *failed;

	ASSERT_TRUE(told_and_read(q, &self->b, 1));
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_one_by_one, &self->a));
	while (seq < end) {
		ASSERT_EQ(0, rawq_wait(q, q->read + 1, in_ms(HANG_MS)))
			TH_LOG("message %lu", (unsigned long)(seq - FIRST));
		ASSERT_EQ(1, rawq_read(q, NULL));
		while (seq < end && raw_published(&self->b, seq))
			take_raw(&self->b, seq++);
	}
	pthread_join(thread, &failed);
	EXPECT_EQ(NULL, failed);
}

/* ---- tickets ---------------------------------------------------------- */

static int submit_to(int fd, struct rawq *q, uint64_t user_data,
		     uint64_t within_ns, uint64_t *ticket)
{
	struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);
	struct fos_tlb_submit a = {
		.flags = FOS_TLB_SUBMIT_CQ,
		.ranges = (uintptr_t)&r,
		.count = 1,
		.cq = q->fd,
		.within_ns = within_ns,
		.user_data = user_data,
	};
	int ret = ioctl(fd, FOS_IOC_TLB_SUBMIT, &a) ? -errno : 0;

	*ticket = a.ticket;
	return ret;
}

TEST_F(cq, a_ticket_is_told_of_when_it_is_applied)
{
	int fd = make_region(PAGE), res = 1;
	uint64_t ticket, next;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, submit_to(fd, &self->q, 11, 0, &ticket));
	ASSERT_EQ(0, rawq_wait(&self->q, 1, in_ms(HANG_MS)));
	EXPECT_EQ(0, look_at(fd, ticket));
	EXPECT_EQ(11, rawq_read(&self->q, &res));
	EXPECT_EQ(0, res);
	/* Whoever pays. */
	ASSERT_EQ(0, submit_to(fd, &self->q, 12, LATE, &ticket));
	ASSERT_EQ(0, submit_to(fd, &self->q, 13, LATE, &next));
	EXPECT_EQ(NULL, rawq_next(&self->q));
	EXPECT_EQ(0, fence(fd, next));
	EXPECT_EQ(12, rawq_read(&self->q, NULL));
	EXPECT_EQ(13, rawq_read(&self->q, NULL));
	EXPECT_EQ(NULL, rawq_next(&self->q));
	close(fd);
}

TEST_F(cq, a_ticket_that_is_taken_back_is_told_of_once)
{
	int fd = make_region(PAGE), res = 0;
	uint64_t ticket;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, submit_to(fd, &self->q, 5, LATE, &ticket));
	EXPECT_EQ(0, cancel(fd, ticket));
	EXPECT_EQ(5, rawq_read(&self->q, &res));
	EXPECT_EQ(-ECANCELED, res);
	EXPECT_EQ(0, protect(fd, 0, 1, RIGHTS_RW));
	EXPECT_EQ(NULL, rawq_next(&self->q));
	EXPECT_EQ(0, queue_info(self->q.fd, "reserved"));
	close(fd);
}

TEST_F(cq, a_ticket_without_a_place_is_not_given)
{
	int fd = make_region(PAGE);
	uint64_t ticket, i;

	ASSERT_LE(0, fd);
	for (i = 1; i <= ENTRIES; i++)
		ASSERT_EQ(0, submit_to(fd, &self->q, i, 0, &ticket));
	EXPECT_EQ(-EBUSY, submit_to(fd, &self->q, 9, 0, &ticket));
	ASSERT_EQ(0, rawq_wait(&self->q, ENTRIES, in_ms(HANG_MS)));
	/* Applied, but not read. */
	EXPECT_EQ(-EBUSY, submit_to(fd, &self->q, 9, 0, &ticket));
	EXPECT_EQ(1, rawq_read(&self->q, NULL));
	EXPECT_EQ(0, submit_to(fd, &self->q, 9, 0, &ticket));
	self->q.fd = fd;
	EXPECT_EQ(-EBADF, submit_to(fd, &self->q, 9, 0, &ticket));
	close(fd);
}

TEST_HARNESS_MAIN
