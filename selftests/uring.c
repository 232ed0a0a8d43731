// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's commands in the caller's io_uring: bells that wait for it, batches that
 * complete there; and that all of it works where commands are not taken.
 *
 * gates: asan tsan
 */
#include <liburing.h>

#include "peers.h"
#include "regions.h"
#include "kselftest_harness.h"

#define CLIENTS		8
#define PAGES		16
#define LATE		1000000000ULL
#define NEVER		1000

static bool takes_commands(void)
{
	return has_cap(FOS_CAP_URING);
}

/* ---- bells ------------------------------------------------------------ */

FIXTURE(bells) {
	struct io_uring ring;
	int server[CLIENTS];
	struct async client[CLIENTS];
	char in[CLIENTS][16];
	uint64_t token[CLIENTS];
};

/* As many who call, and sleep; their requests are taken. */
FIXTURE_SETUP(bells)
{
	char request[16];
	int fd[2], i;

	ASSERT_EQ(0, io_uring_queue_init(CLIENTS, &self->ring, 0));
	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 4, 0));
		self->server[i] = fd[0];
		self->client[i] = (struct async) {
			.fn = do_call,
			.fd = fd[1],
			.out = "ask",
			.out_len = 3,
			.in = self->in[i],
			.cap = sizeof(self->in[i]),
		};
		start(&self->client[i]);
		ASSERT_TRUE(asleep(&self->client[i]));
		ASSERT_EQ(3, fos_reply_recv(fd[0], &self->token[i], NULL, 0,
					    request, sizeof(request), NULL));
	}
	ASSERT_EQ(0, fos_hold_bells(1));
}

FIXTURE_TEARDOWN(bells)
{
	int i;

	ASSERT_EQ(0, fos_hold_bells(0));
	for (i = 0; i < CLIENTS; i++)
		EXPECT_EQ(6, finish(&self->client[i]));
	io_uring_queue_exit(&self->ring);
}

static int answer(int fd, uint64_t token)
{
	return RESULT(fos_reply(fd, token, "answer", 6));
}

static int count_done(const struct async *client)
{
	int i, n = 0;

	for (i = 0; i < CLIENTS; i++)
		n += is_done(&client[i]);
	return n;
}

/* How many commands @n bells become. */
static int commands(int n)
{
	return takes_commands() ? n : 0;
}

static void answer_all(const int *fd, const uint64_t *token, int *failed)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		*failed += !!answer(fd[i], token[i]);
}

static bool all_done(struct async *client)
{
	bool done = true;
	int i;

	for (i = 0; i < CLIENTS; i++)
		done &= wait_for(&client[i].done, 1);
	return done;
}

TEST_F(bells, all_are_one_system_call)
{
	struct io_uring_cqe *cqe;
	int failed = 0;

	answer_all(self->server, self->token, &failed);
	EXPECT_EQ(0, failed);
	nap_us(2000);
	/* Without the module one may have looked by himself. */
	EXPECT_GE(!takes_commands(), count_done(self->client));
	EXPECT_EQ(commands(CLIENTS), fos_prep_bells(&self->ring));
	EXPECT_EQ(commands(CLIENTS), io_uring_submit(&self->ring));
	EXPECT_TRUE(all_done(self->client));
	EXPECT_EQ(-EAGAIN, io_uring_peek_cqe(&self->ring, &cqe));
	EXPECT_EQ(0, fos_prep_bells(&self->ring));
	EXPECT_EQ(-EINVAL, RESULT(fos_prep_bells(NULL)));
}

TEST_F(bells, what_finds_no_place_in_the_ring_is_rung)
{
	int i, failed = 0;

	for (i = 2; i < CLIENTS; i++)
		io_uring_prep_nop(io_uring_get_sqe(&self->ring));
	answer_all(self->server, self->token, &failed);
	EXPECT_EQ(commands(2), fos_prep_bells(&self->ring));
	io_uring_submit(&self->ring);
	EXPECT_TRUE(all_done(self->client));
}

TEST_F(bells, a_ring_that_takes_none_is_not_asked)
{
	struct io_uring ring;
	int failed = 0;

	ASSERT_EQ(0, io_uring_queue_init(CLIENTS, &ring, IORING_SETUP_IOPOLL));
	answer_all(self->server, self->token, &failed);
	EXPECT_EQ(0, fos_prep_bells(&ring));
	EXPECT_TRUE(all_done(self->client));
	io_uring_queue_exit(&ring);
}

TEST_F(bells, who_holds_them_no_more_rings)
{
	int failed = 0;

	answer_all(self->server, self->token, &failed);
	ASSERT_EQ(0, fos_hold_bells(0));
	EXPECT_TRUE(all_done(self->client));
	EXPECT_EQ(0, fos_prep_bells(&self->ring));
}

/* What a thread does that ends. */
struct task {
	const int *fd;
	const uint64_t *token;
	int failed;
};

static void *answer_and_end(void *arg)
{
	struct task *t = arg;

	t->failed = fos_hold_bells(1);
	answer_all(t->fd, t->token, &t->failed);
	return NULL;
}

TEST_F(bells, a_thread_that_ends_rings)
{
	struct task t = { .fd = self->server, .token = self->token };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, answer_and_end, &t));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, t.failed);
	EXPECT_TRUE(all_done(self->client));
}

/* Each of these would wait for somebody who sleeps. */
static long receive(int fd)
{
	const struct timespec deadline = deadline_in(1);
	uint64_t token = 0;
	char buf[16];

	return RESULT(fos_reply_recv(fd, &token, NULL, 0, buf, sizeof(buf),
				     &deadline));
}

static long poll_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const struct timespec deadline = deadline_in(1);

	return RESULT(fos_poll(&p, 1, &deadline));
}

static long wait_in_queue(int fd)
{
	const struct timespec deadline = deadline_in(1);
	int cq = fos_cq_create(4, 0);
	struct fos_cq_event ev;
	long ret;

	if (cq < 0 || fos_cq_add(cq, fd, 1))
		return 1;
	ret = RESULT(fos_cq_wait(cq, &ev, 1, 1, &deadline));
	fos_close(cq);
	return ret;
}

static long call_nobody(int fd UNUSED)
{
	const struct timespec deadline = deadline_in(1);
	char buf[16];
	int pair[2];

	if (channel_with(pair, FOS_SPIN_DEFAULT, 4, 0))
		return 1;
	fos_call(pair[0], "x", 1, buf, sizeof(buf), &deadline);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static long close_another(int fd UNUSED)
{
	int pair[2];

	return fos_channel(pair, NULL) ?: fos_close(pair[0]) ?:
	       fos_close(pair[1]);
}

TEST_F(bells, who_waits_or_closes_rings_before)
{
	long (*const wait[])(int) = {
		receive, poll_for, wait_in_queue, call_nobody, close_another,
	};
	int i, failed = 0;

	for (i = 0; i < CLIENTS; i++) {
		failed += !!answer(self->server[i], self->token[i]);
		wait[i % 5](self->server[i]);
		EXPECT_TRUE(wait_for(&self->client[i].done, 1)) {
			TH_LOG("way %d", i % 5);
		}
	}
	EXPECT_EQ(0, failed);
	EXPECT_EQ(0, fos_prep_bells(&self->ring));
}

/* Its own bell goes with the call, however long it polls before. */
TEST_F(bells, who_waits_for_an_answer_rings_himself)
{
	const uint32_t modes[] = {
		FOS_SPIN_DEFAULT, FOS_SPIN_ALWAYS, FOS_SPIN_BLOCK,
	};
	const struct timespec deadline = deadline_in(HANG_MS);
	int i, failed = 0, fd[2];
	struct async server;
	char buf[16];

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, channel_with(fd, modes[i], 4, 0));
		server = (struct async) {
			.fn = do_recv, .fd = fd[1], .in = buf, .cap = sizeof(buf),
		};
		start(&server);
		nap_us(5000);
		EXPECT_EQ(0, RESULT(fos_sendmsg(fd[0], &(struct fos_msg) { 0 }, 0,
						&deadline)));
		EXPECT_EQ(0, finish(&server));
	}
	answer_all(self->server, self->token, &failed);
	fos_prep_bells(&self->ring);
	io_uring_submit(&self->ring);
}

/* Put off once (FOS_MORE), it is owed to him when we wait for his answer. */
TEST_F(bells, what_was_put_off_is_rung_by_poll)
{
	const struct timespec deadline = deadline_in(200);
	struct pollfd p = { .events = POLLIN };
	uint64_t token;
	int fd[2], failed = 0;
	struct async server;
	char buf[16];

	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 4, 0));
	server = (struct async) {
		.fn = do_reply_recv, .fd = fd[1], .in = buf, .cap = sizeof(buf),
	};
	start(&server);
	ASSERT_TRUE(asleep(&server));
	ASSERT_EQ(0, fos_post(fd[0], "x", 1, &token, FOS_MORE, NULL));
	p.fd = fd[0];
	EXPECT_EQ(0, fos_poll(&p, 1, &deadline));
	EXPECT_EQ(1, finish(&server));
	answer_all(self->server, self->token, &failed);
	fos_prep_bells(&self->ring);
	io_uring_submit(&self->ring);
}

TEST_F(bells, more_than_are_held_are_rung)
{
	enum { N = 70 };
	struct async server;
	char buf[16];
	uint64_t token;
	int fd[2], i, failed = 0;

	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 128, 0));
	server = (struct async) {
		.fn = do_reply_recv, .fd = fd[1], .in = buf, .cap = sizeof(buf),
	};
	start(&server);
	ASSERT_TRUE(asleep(&server));
	for (i = 0; i < N; i++)
		failed += !!fos_post(fd[0], "x", 1, &token, 0, NULL);
	EXPECT_EQ(0, failed);
	EXPECT_EQ(1, finish(&server));
	answer_all(self->server, self->token, &failed);
	fos_prep_bells(&self->ring);
	io_uring_submit(&self->ring);
}

TEST_F(bells, a_child_has_none_of_them)
{
	int failed = 0;
	pid_t pid;

	answer_all(self->server, self->token, &failed);
	pid = spawn();
	if (!pid)
		_exit(fos_prep_bells(&self->ring));
	EXPECT_EQ(0, reap(pid));
	nap_us(2000);
	/* Without the module one may have looked by himself. */
	EXPECT_GE(!takes_commands(), count_done(self->client));
	EXPECT_EQ(commands(CLIENTS), fos_prep_bells(&self->ring));
	EXPECT_EQ(commands(CLIENTS), io_uring_submit(&self->ring));
	EXPECT_TRUE(all_done(self->client));
}

static void *close_it(void *fd)
{
	fos_close(*(int *)fd);
	return NULL;
}

/* The endpoint lives by another descriptor: its peer is rung by that one. */
TEST_F(bells, what_another_thread_has_closed_is_rung_all_the_same)
{
	int copy = dup(self->server[0]), failed = 0;
	char buf[16];
	pthread_t thread;

	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(copy, buf, sizeof(buf), FOS_NONBLOCK)));
	answer_all(self->server, self->token, &failed);
	ASSERT_EQ(0, pthread_create(&thread, NULL, close_it, &self->server[0]));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(commands(CLIENTS), fos_prep_bells(&self->ring));
	EXPECT_EQ(commands(CLIENTS), io_uring_submit(&self->ring));
	EXPECT_TRUE(all_done(self->client));
	EXPECT_EQ(0, fos_close(copy));
}

TEST_F(bells, one_that_comes_too_late_says_so)
{
	struct io_uring_cqe *cqe;
	int i, copy;

	for (i = 1; i < CLIENTS; i++)
		EXPECT_EQ(0, answer(self->server[i], self->token[i]));
	fos_prep_bells(&self->ring);
	io_uring_submit(&self->ring);
	copy = dup(self->server[0]);
	ASSERT_EQ(0, answer(self->server[0], self->token[0]));
	fos_prep_bells(&self->ring);
	close(self->server[0]);
	if (takes_commands()) {
		ASSERT_EQ(1, io_uring_submit(&self->ring));
		ASSERT_EQ(0, io_uring_peek_cqe(&self->ring, &cqe));
		EXPECT_EQ(-EBADF, cqe->res);
		EXPECT_EQ(FOS_URING_BELL, cqe->user_data);
	}
	/* He is told at last. */
	EXPECT_EQ(0, fos_close(copy));
}

/* ---- batches ---------------------------------------------------------- */

FIXTURE(batch) {
	struct io_uring ring;
	int fd;
	char *addr;
};

FIXTURE_SETUP(batch)
{
	catch_faults();
	ASSERT_EQ(0, io_uring_queue_init(8, &self->ring, 0));
	self->fd = fos_region_create(PAGES * PAGE, 0);
	ASSERT_LE(0, self->fd);
	self->addr = map(self->fd, RW);
	ASSERT_TRUE(self->addr);
	memset(self->addr, 7, PAGES * PAGE);
}

FIXTURE_TEARDOWN(batch)
{
	io_uring_queue_exit(&self->ring);
}

static int completed(struct io_uring *ring, uint64_t *name)
{
	struct __kernel_timespec ts = { .tv_sec = HANG_MS / 1000 };
	struct io_uring_cqe *cqe;
	int res;

	if (io_uring_wait_cqe_timeout(ring, &cqe, &ts))
		return NEVER;
	res = cqe->res;
	*name = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static long submit(struct io_uring *ring, int fd, struct fos_range *r,
		   unsigned int n, uint64_t within_ns,
		   struct fos_uring_batch *b, uint64_t name)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	long ret = RESULT(fos_prep_mprotectv(sqe, fd, r, n, within_ns, b));

	sqe->user_data = name;
	return ret ?: io_uring_submit(ring);
}

TEST_F(batch, it_completes_when_it_is_applied)
{
	struct fos_range r[2] = { pages(0, 1, PROT_READ), pages(5, 2, PROT_NONE) };
	struct fos_uring_batch b = { 0 };
	uint64_t name;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, submit(&self->ring, self->fd, r, 2, 0, &b, 40 + i));
		EXPECT_EQ(0, completed(&self->ring, &name));
		EXPECT_EQ(40 + i, (int)name);
		EXPECT_NE(0, b.ticket);
		EXPECT_EQ(0, fos_ticket_status(self->fd, b.ticket));
		EXPECT_EQ(PROT_READ, may(self->addr));
		EXPECT_EQ(RW, may(self->addr + PAGE));
		EXPECT_EQ(2, count_may(self->addr + 5 * PAGE, 2, PROT_NONE));
		ASSERT_EQ(0, protect_one(self->fd, 0, PAGES, RW));
	}
}

TEST_F(batch, it_can_be_canceled)
{
	struct fos_range r = pages(0, 1, PROT_READ);
	struct fos_uring_batch b = { 0 };
	struct io_uring_sqe *sqe;
	uint64_t name[2];
	int res[2];

	if (!takes_commands())
		SKIP(return, "it is applied at once");
	ASSERT_EQ(1, submit(&self->ring, self->fd, &r, 1, LATE, &b, 1));
	sqe = io_uring_get_sqe(&self->ring);
	ASSERT_EQ(0, fos_prep_cancel(sqe, self->fd, &b));
	sqe->user_data = 2;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	res[0] = completed(&self->ring, &name[0]);
	res[1] = completed(&self->ring, &name[1]);
	ASSERT_EQ(3, (int)(name[0] + name[1]));
	EXPECT_EQ(-ECANCELED, res[name[1] == 1]);
	EXPECT_EQ(0, res[name[1] == 2]);
	EXPECT_EQ(RW, may(self->addr));
}

TEST_F(batch, what_cannot_be_is_refused)
{
	struct fos_range r = pages(PAGES, 1, PROT_READ);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	struct fos_uring_batch b = { 0 }, none = { 0 };
	struct io_uring ring;
	uint64_t name;
	long ret;

	EXPECT_EQ(-EINVAL, RESULT(fos_prep_mprotectv(NULL, self->fd, &r, 1, 0, &b)));
	EXPECT_EQ(-EINVAL, RESULT(fos_prep_mprotectv(sqe, self->fd, &r, 1, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_prep_mprotectv(sqe, self->fd, &r, 0, 0, &b)));
	EXPECT_EQ(-E2BIG, RESULT(fos_prep_mprotectv(sqe, self->fd, &r,
						    FOS_RANGES_MAX + 1, 0, &b)));
	EXPECT_EQ(-EINVAL, RESULT(fos_prep_cancel(NULL, self->fd, &b)));
	EXPECT_EQ(-EINVAL, RESULT(fos_prep_cancel(sqe, self->fd, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_prep_cancel(sqe, self->fd, &none)));
	/* What the kernel finds wrong, here or there. */
	ASSERT_EQ(0, io_uring_queue_init(2, &ring, 0));
	ret = submit(&ring, self->fd, &r, 1, 0, &b, 1);
	EXPECT_EQ(-EINVAL, ret == 1 ? completed(&ring, &name) : ret);
	io_uring_queue_exit(&ring);
	EXPECT_EQ(-EBADF, RESULT(fos_prep_mprotectv(sqe, 0, &r, 1, 0, &b)));
}

TEST_HARNESS_MAIN
