// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll() and epoll on endpoints: what is ready when, and what wakes whom.
 */
#include <liburing.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "abi.h"
#include "kselftest_harness.h"

/* What poll() says of a channel whose other side is dead. */
#define HANGUP		(POLLHUP | POLLERR)

#define DEPTH		4
#define FIRST		((uint64_t)DEPTH)
#define INOUT		(POLLIN | POLLOUT)

FIXTURE(poll) {
	struct raw a;
	struct raw b;
};

FIXTURE_SETUP(poll)
{
	struct raw r[2];

	ASSERT_EQ(0, raw_pair(r, DEPTH, 0));
	self->a = r[0];
	self->b = r[1];
}

FIXTURE_TEARDOWN(poll)
{
}

/* Publish, and ring if the peer asked for it. */
static void send_raw(struct raw *r, uint64_t seq, uint32_t kind)
{
	uint32_t bell = raw_publish(r, seq, kind, "x", 1);

	if (bell)
		raw_bell(r, bell);
}

static void set_receivers(struct raw *r, uint32_t n)
{
	__atomic_store_n(&r->line->receivers, n, __ATOMIC_SEQ_CST);
}

/* ---- what is ready ---------------------------------------------------- */

TEST_F(poll, nothing_is_ready_on_a_new_channel)
{
	EXPECT_EQ(0, raw_poll(self->a.fd, INOUT));
	EXPECT_EQ(0, raw_poll(self->a.fd, 0));
}

TEST_F(poll, an_entry_that_nobody_decided_is_pollin)
{
	static const unsigned int kinds[] = {
		FOS_META_MSG, FOS_META_CALL,
	};
	uint64_t seq = FIRST, word;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++, seq++) {
		EXPECT_EQ(0, raw_poll(self->b.fd, POLLIN));
		send_raw(&self->a, seq, kinds[i]);
		EXPECT_EQ(POLLIN, raw_poll(self->b.fd, POLLIN));
		EXPECT_EQ(POLLIN | POLLRDNORM,
			  raw_poll(self->b.fd, POLLIN | POLLRDNORM));
		EXPECT_EQ(0, raw_poll(self->a.fd, POLLIN));
		raw_claim(&self->b, seq, FOS_CLAIM_TAKEN);
		EXPECT_EQ(0, raw_poll(self->b.fd, POLLIN));
	}
	send_raw(&self->a, seq, FOS_META_MSG);
	EXPECT_EQ(0, raw_withdraw(&self->a, seq, &word));
	EXPECT_EQ(0, raw_poll(self->b.fd, POLLIN));
}

TEST_F(poll, a_waiting_receiver_is_pollout_for_one_message)
{
	EXPECT_EQ(0, raw_poll(self->a.fd, POLLOUT));
	set_receivers(&self->b, 1);
	EXPECT_EQ(POLLOUT, raw_poll(self->a.fd, POLLOUT));
	EXPECT_EQ(0, raw_poll(self->b.fd, POLLOUT));
	send_raw(&self->a, FIRST, FOS_META_MSG);
	EXPECT_EQ(0, raw_poll(self->a.fd, POLLOUT));
	set_receivers(&self->b, 2);
	EXPECT_EQ(POLLOUT, raw_poll(self->a.fd, POLLOUT));
	set_receivers(&self->b, 1);
	raw_claim(&self->b, FIRST, FOS_CLAIM_DONE);
	EXPECT_EQ(POLLOUT, raw_poll(self->a.fd, POLLOUT));
	set_receivers(&self->b, 0);
	EXPECT_EQ(0, raw_poll(self->a.fd, POLLOUT));
}

static void *poll_for_in(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	return (void *)(long)poll(&p, 1, HANG_MS);
}

TEST_F(poll, a_polling_peer_is_pollout_for_a_ring_full_of_messages)
{
	int epoll = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	uint64_t seq;

	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->b.fd, &ev));
	for (seq = FIRST; seq < FIRST + DEPTH; seq++) {
		EXPECT_EQ(POLLOUT, raw_poll(self->a.fd, POLLOUT))
			TH_LOG("message %llu", (long long)(seq - FIRST));
		send_raw(&self->a, seq, FOS_META_MSG);
	}
	EXPECT_EQ(0, raw_poll(self->a.fd, POLLOUT));
	raw_claim(&self->b, FIRST, FOS_CLAIM_DONE);
	EXPECT_EQ(POLLOUT, raw_poll(self->a.fd, POLLOUT));
}

TEST_F(poll, polling_for_room_asks_for_no_messages)
{
	EXPECT_EQ(0, raw_poll(self->b.fd, POLLOUT));
	EXPECT_EQ(0, self->b.kside->armed);
	EXPECT_EQ(0, wants_of(&self->b) & FOS_WANT_PUBLISHED);
	EXPECT_EQ(0, raw_poll(self->a.fd, POLLOUT));
	EXPECT_EQ(0, raw_poll(self->b.fd, POLLIN));
	EXPECT_EQ(1, self->b.kside->armed);
	EXPECT_EQ(FOS_WANT_PUBLISHED, wants_of(&self->b) & FOS_WANT_PUBLISHED);
}

TEST_F(poll, a_dead_peer_is_pollhup_and_never_pollout)
{
	set_receivers(&self->b, 1);
	send_raw(&self->b, FIRST, FOS_META_MSG);
	EXPECT_EQ(INOUT, raw_poll(self->a.fd, INOUT));
	raw_unmap(&self->b);
	/* What it published is still to be had. */
	EXPECT_EQ(POLLIN | HANGUP, raw_poll(self->a.fd, INOUT));
	raw_claim(&self->a, FIRST, FOS_CLAIM_DONE);
	EXPECT_EQ(HANGUP, raw_poll(self->a.fd, INOUT));
	EXPECT_EQ(HANGUP, raw_poll(self->a.fd, 0));
}

TEST_F(poll, an_endpoint_that_was_unmapped_is_pollhup)
{
	munmap(self->a.base, self->a.bytes);
	EXPECT_EQ(HANGUP, raw_poll(self->a.fd, INOUT));
	EXPECT_EQ(HANGUP, raw_poll(self->b.fd, INOUT));
}

TEST_F(poll, a_peer_that_never_attached_hangs_up_when_it_is_closed)
{
	struct raw r;
	int fd[2];

	ASSERT_EQ(0, raw_create(DEPTH, 0, fd));
	ASSERT_EQ(0, raw_map(&r, fd[0]));
	EXPECT_EQ(0, raw_poll(fd[0], INOUT));
	close(fd[1]);
	EXPECT_EQ(HANGUP, raw_poll(fd[0], INOUT));
}

/* ---- who is woken ----------------------------------------------------- */

struct poller {
	int fd;
	short events;
	short revents;
	pthread_t thread;
};

static void *poll_once(void *arg)
{
	struct poller *poller = arg;
	struct pollfd p = { .fd = poller->fd, .events = poller->events };

	poll(&p, 1, HANG_MS);
	poller->revents = p.revents;
	return NULL;
}

static void start(struct poller *p)
{
	pthread_create(&p->thread, NULL, poll_once, p);
}

static short finish(struct poller *p)
{
	pthread_join(p->thread, NULL);
	return p->revents;
}

#define WANTS_IN	FOS_WANT_PUBLISHED
#define WANTS_OUT \
	(FOS_WANT_TAKE | FOS_WANT_ROOM | FOS_WANT_CLAIMS | FOS_WANT_RECEIVER)

TEST_F(poll, a_message_wakes_a_sleeping_poller)
{
	struct poller p = { .fd = self->b.fd, .events = POLLIN };

	start(&p);
	ASSERT_TRUE(wait_wants(&self->b, WANTS_IN));
	send_raw(&self->a, FIRST, FOS_META_CALL);
	EXPECT_EQ(POLLIN, finish(&p));
}

TEST_F(poll, a_take_wakes_a_sleeping_poller)
{
	struct poller p = { .fd = self->a.fd, .events = POLLOUT };

	set_receivers(&self->b, 1);
	send_raw(&self->a, FIRST, FOS_META_MSG);
	start(&p);
	ASSERT_TRUE(wait_wants(&self->a, WANTS_OUT));
	raw_claim(&self->b, FIRST, FOS_CLAIM_DONE);
	raw_bell(&self->b, FOS_WANT_TAKE);
	EXPECT_EQ(POLLOUT, finish(&p));
}

TEST_F(poll, a_receiver_that_arrives_wakes_a_sleeping_poller)
{
	struct poller p = { .fd = self->a.fd, .events = POLLOUT };

	start(&p);
	ASSERT_TRUE(wait_wants(&self->a, WANTS_OUT));
	set_receivers(&self->b, 1);
	raw_bell(&self->b, FOS_WANT_RECEIVER);
	EXPECT_EQ(POLLOUT, finish(&p));
}

TEST_F(poll, a_peer_that_begins_to_poll_wakes_a_sleeping_poller)
{
	struct poller p = { .fd = self->a.fd, .events = POLLOUT };
	pthread_t peer;

	start(&p);
	ASSERT_TRUE(wait_wants(&self->a, WANTS_OUT));
	pthread_create(&peer, NULL, poll_for_in, &self->b.fd);
	EXPECT_EQ(POLLOUT, finish(&p));
	send_raw(&self->a, FIRST, FOS_META_MSG);
	pthread_join(peer, NULL);
}

TEST_F(poll, death_wakes_every_sleeping_poller)
{
	struct poller p[] = {
		{ .fd = self->a.fd, .events = POLLIN },
		{ .fd = self->a.fd, .events = POLLOUT },
		{ .fd = self->a.fd, .events = 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(p); i++)
		start(&p[i]);
	ASSERT_TRUE(wait_wants(&self->a, WANTS_IN | WANTS_OUT));
	raw_unmap(&self->b);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		EXPECT_EQ(HANGUP, finish(&p[i]));
}

TEST_F(poll, it_stays_armed_until_a_bell_finds_nobody)
{
	EXPECT_EQ(0, raw_poll(self->b.fd, POLLIN));
	EXPECT_EQ(WANTS_IN, wants_of(&self->b));
	send_raw(&self->a, FIRST, FOS_META_MSG);
	EXPECT_EQ(0, wants_of(&self->b));
	EXPECT_EQ(0, self->b.kside->armed);
	/* Also when there was something to report. */
	EXPECT_EQ(POLLIN, raw_poll(self->b.fd, POLLIN));
	EXPECT_EQ(WANTS_IN, wants_of(&self->b));
}

/* ---- epoll ------------------------------------------------------------ */

static int add_to_epoll(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) ? -1 : epoll;
}

static uint32_t epoll_now(int epoll)
{
	struct epoll_event ev;

	return epoll_wait(epoll, &ev, 1, 0) == 1 ? ev.events : 0;
}

TEST_F(poll, an_edge_comes_with_every_message_and_without_one_never)
{
	int epoll = add_to_epoll(self->b.fd, EPOLLIN | EPOLLET);
	uint64_t seq;

	ASSERT_LE(0, epoll);
	EXPECT_EQ(0, epoll_now(epoll));
	for (seq = FIRST; seq < FIRST + 100; seq++) {
		send_raw(&self->a, seq, FOS_META_MSG);
		EXPECT_EQ(EPOLLIN, epoll_now(epoll));
		EXPECT_EQ(0, epoll_now(epoll));
		/* Drained without a trap; the kernel is not asked. */
		raw_claim(&self->b, seq, FOS_CLAIM_DONE);
		EXPECT_EQ(0, epoll_now(epoll));
	}
}

TEST_F(poll, an_edge_comes_also_for_what_is_behind_an_unread_message)
{
	int epoll = add_to_epoll(self->b.fd, EPOLLIN | EPOLLET);

	send_raw(&self->a, FIRST, FOS_META_MSG);
	EXPECT_EQ(EPOLLIN, epoll_now(epoll));
	send_raw(&self->a, FIRST + 1, FOS_META_MSG);
	EXPECT_EQ(EPOLLIN, epoll_now(epoll));
	EXPECT_EQ(0, epoll_now(epoll));
}

TEST_F(poll, epoll_in_level_mode_reports_as_long_as_something_is_there)
{
	int epoll = add_to_epoll(self->b.fd, EPOLLIN);

	EXPECT_EQ(0, epoll_now(epoll));
	send_raw(&self->a, FIRST, FOS_META_MSG);
	EXPECT_EQ(EPOLLIN, epoll_now(epoll));
	EXPECT_EQ(EPOLLIN, epoll_now(epoll));
	raw_claim(&self->b, FIRST, FOS_CLAIM_DONE);
	EXPECT_EQ(0, epoll_now(epoll));
	send_raw(&self->a, FIRST + 1, FOS_META_MSG);
	EXPECT_EQ(EPOLLIN, epoll_now(epoll));
	raw_unmap(&self->a);
	EXPECT_EQ(EPOLLIN | EPOLLERR | EPOLLHUP, epoll_now(epoll));
}

static uint64_t epolls_ended;

static void *epoll_once(void *arg)
{
	struct epoll_event ev;
	int epoll = *(int *)arg;
	int n = epoll_wait(epoll, &ev, 1, HANG_MS);

	__atomic_fetch_add(&epolls_ended, 1, __ATOMIC_RELEASE);
	return (void *)(long)n;
}

TEST_F(poll, of_exclusive_pollers_each_message_wakes_one)
{
	pthread_t thread[3];
	int epoll[3];
	uint64_t i;
	void *n;

	for (i = 0; i < 3; i++) {
		epoll[i] = add_to_epoll(self->b.fd, EPOLLIN | EPOLLEXCLUSIVE);
		ASSERT_LE(0, epoll[i]);
		pthread_create(&thread[i], NULL, epoll_once, &epoll[i]);
	}
	for (i = 0; i < 3; i++) {
		nap_us(20000);
		EXPECT_EQ(i, __atomic_load_n(&epolls_ended, __ATOMIC_ACQUIRE));
		send_raw(&self->a, FIRST + i, FOS_META_MSG);
		EXPECT_TRUE(wait_for(&epolls_ended, i + 1));
	}
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], &n);
		EXPECT_EQ(1, (long)n);
	}
}

TEST_F(poll, closing_a_polled_endpoint_leaves_nothing_behind)
{
	int epoll = add_to_epoll(self->b.fd, EPOLLIN | EPOLLOUT);

	EXPECT_EQ(0, epoll_now(epoll));
	raw_unmap(&self->b);
	EXPECT_EQ(0, epoll_now(epoll));
	EXPECT_EQ(HANGUP, raw_poll(self->a.fd, INOUT));
}

/* ---- io_uring --------------------------------------------------------- */

/* It takes what a poller is told for the result, and does not ask again. */
TEST_F(poll, the_close_of_a_copy_is_nothing_that_io_uring_is_told)
{
	const int copy = dup(self->a.fd);
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int ret = io_uring_queue_init(4, &ring, 0);

	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "no io_uring here");
	ASSERT_EQ(0, ret);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_add(sqe, self->a.fd, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&ring));
	close(copy);
	EXPECT_EQ(-EAGAIN, io_uring_peek_cqe(&ring, &cqe));
	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	raw_bell(&self->b, FOS_WANT_MSG);
	ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
	EXPECT_EQ(POLLIN, cqe->res & (POLLIN | POLLHUP | POLLERR));
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
