// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion queues: what waits is told until it is taken, everybody's turn comes,
 * so many are waited for as was asked, and nothing is lost.
 *
 * gates: asan tsan
 * not under asan: it_is_for_one_process (it forks beside a thread)
 * not under tsan: it_is_for_one_process (the same)
 */
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "cq.h"

/* ---- what is told ----------------------------------------------------- */

TEST_F(cq, a_message_is_told_until_it_is_taken)
{
	struct fos_cq_event ev = { 0 };

	ASSERT_EQ(0, add_all(self->cq, self->here));
	EXPECT_EQ(0, only(self->cq));
	ASSERT_EQ(1, post_one(self->there[1]));
	EXPECT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
	EXPECT_EQ(2, ev.user_data);
	EXPECT_EQ(POLLIN, ev.events);
	EXPECT_EQ(0, ev.res);
	EXPECT_EQ(2, only(self->cq));
	ASSERT_EQ(1, post_one(self->there[1]));
	EXPECT_EQ(1, take_one(self->here[1]));
	EXPECT_EQ(2, only(self->cq));
	EXPECT_EQ(1, take_one(self->here[1]));
	EXPECT_EQ(0, only(self->cq));
	ASSERT_EQ(1, post_one(self->there[1]));
	EXPECT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
}

TEST_F(cq, what_was_there_before_is_told)
{
	ASSERT_EQ(1, post_one(self->there[2]));
	ASSERT_EQ(0, add_all(self->cq, self->here));
	EXPECT_EQ(3, only(self->cq));
}

TEST_F(cq, who_is_killed_is_told_after_what_he_left)
{
	struct fos_cq_event ev = { 0 };
	int fd[2];
	pid_t pid;

	ASSERT_EQ(0, fos_channel(fd, NULL));
	pid = spawn();
	if (!pid)
		_exit(fos_close(fd[0]) || post_one(fd[1]) != 1 || pause());
	fos_close(fd[1]);
	ASSERT_EQ(0, fos_cq_add(self->cq, fd[0], 77));
	EXPECT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
	EXPECT_EQ(POLLIN, ev.events);
	kill(pid, SIGKILL);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
	while (ev.events == POLLIN)
		ASSERT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
	EXPECT_EQ(POLLIN | POLLHUP, ev.events);
	EXPECT_EQ(1, take_one(fd[0]));
	EXPECT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
	EXPECT_EQ(POLLHUP, ev.events);
	EXPECT_EQ(77, ev.user_data);
	/* It leaves the queue. */
	EXPECT_EQ(0, fos_close(fd[0]));
	EXPECT_EQ(0, only(self->cq));
}

TEST_F(cq, everybody_s_turn_comes)
{
	struct fos_cq_event ev = { 0 };
	unsigned int told[CLIENTS + 1] = { 0 }, i;

	ASSERT_EQ(0, add_all(self->cq, self->here));
	for (i = 0; i < CLIENTS; i++)
		ASSERT_EQ(1, post_one(self->there[i]));
	for (i = 0; i < 10 * CLIENTS; i++) {
		ASSERT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
		told[ev.user_data]++;
	}
	for (i = 1; i <= CLIENTS; i++)
		EXPECT_EQ(10, told[i]);
}

TEST_F(cq, it_can_be_polled)
{
	ASSERT_EQ(0, add_all(self->cq, self->here));
	EXPECT_EQ(0, only(self->cq));
	EXPECT_EQ(0, poll_now(self->cq, POLLIN));
	ASSERT_EQ(1, post_one(self->there[0]));
	EXPECT_EQ(POLLIN, wait_poll(self->cq, POLLIN));
	EXPECT_EQ(1, only(self->cq));
	EXPECT_EQ(1, take_one(self->here[0]));
	EXPECT_EQ(0, only(self->cq));
	EXPECT_EQ(0, poll_now(self->cq, POLLIN));
}

TEST_F(cq, an_eventfd_hears_of_it)
{
	int efd = eventfd(0, EFD_NONBLOCK);
	uint64_t n = 0;

	ASSERT_EQ(0, add_all(self->cq, self->here));
	if (!has_cap(FOS_CAP_CQ_NOTIFY)) {
		EXPECT_EQ(-EOPNOTSUPP, RESULT(fos_cq_notify(self->cq, efd)));
		close(efd);
		SKIP(return, "this backend lacks FOS_CAP_CQ_NOTIFY");
	}
	EXPECT_EQ(0, only(self->cq));
	ASSERT_EQ(0, fos_cq_notify(self->cq, efd));
	EXPECT_EQ(0, poll_now(efd, POLLIN));
	ASSERT_EQ(1, post_one(self->there[1]));
	EXPECT_EQ(POLLIN, poll_now(efd, POLLIN));
	EXPECT_EQ(8, read(efd, &n, sizeof(n)));
	EXPECT_EQ(1, n);
	EXPECT_EQ(2, only(self->cq));
	EXPECT_EQ(-EINVAL, RESULT(fos_cq_notify(self->cq, self->cq)));
	EXPECT_EQ(0, fos_cq_notify(self->cq, -1));
	EXPECT_EQ(1, take_one(self->here[1]));
	EXPECT_EQ(0, only(self->cq));
	ASSERT_EQ(1, post_one(self->there[1]));
	EXPECT_EQ(0, poll_now(efd, POLLIN));
	close(efd);
}

/* What one call has no room for is news for poll(2), and for others. */
TEST_F(cq, what_was_not_told_is_left_to_others)
{
	struct fos_cq_event ev;

	ASSERT_EQ(0, add_all(self->cq, self->here));
	EXPECT_EQ(0, only(self->cq));
	ASSERT_EQ(1, post_one(self->there[0]));
	ASSERT_EQ(1, post_one(self->there[1]));
	EXPECT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
	EXPECT_EQ(POLLIN, poll_now(self->cq, POLLIN));
}

/* ---- calls that nobody waits in ---------------------------------------- */

TEST_F(cq, a_reply_is_told_until_it_is_collected)
{
	const struct timespec past = { 0 };
	struct fos_cq_event ev = { 0 };
	uint64_t token[2];
	char byte;
	int i, n;

	ASSERT_EQ(0, add_all(self->cq, self->here));
	for (n = 0; n < 3; n++) {
		for (i = 0; i < 2; i++) {
			token[i] = request_one(self->here[i]);
			ASSERT_NE(0, token[i]);
		}
		EXPECT_EQ(0, only(self->cq));
		EXPECT_EQ(0, answer_one(self->there[1]));
		EXPECT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
		EXPECT_EQ(2, ev.user_data);
		EXPECT_EQ(FOS_CQ_REPLY, ev.events);
		EXPECT_EQ(0, answer_one(self->there[0]));
		EXPECT_EQ(1, fos_collect(self->here[1], &token[1], &byte, 1, 0,
					 &past));
		EXPECT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
		EXPECT_EQ(1, ev.user_data);
		EXPECT_EQ(1, fos_collect(self->here[0], &token[0], &byte, 1, 0,
					 &past));
		EXPECT_EQ(0, only(self->cq));
	}
}

/* ---- how many are waited for ------------------------------------------ */

struct row {
	unsigned int ready;
	unsigned int min;
	unsigned int max;
	long ms;
	long result;
};

/* Who has waited for more than came gets what there is, once the time is over. */
static const struct row rows[] = {
	{ 0, 0, 1, 60000, 0 },
	{ 0, 1, 1, 20, -ETIMEDOUT },
	{ 0, 3, 3, 20, -ETIMEDOUT },
	{ 1, 0, 1, 0, 1 },
	{ 1, 1, 8, 60000, 1 },
	{ 1, 2, 8, 20, 1 },
	{ 2, 1, 1, 60000, 1 },
	{ 2, 2, 8, 60000, 2 },
	{ 2, 3, 3, 20, 2 },
	{ 3, 1, 2, 60000, 2 },
	{ 3, 3, 3, 60000, 3 },
	{ 3, 0, 8, 0, 3 },
	{ 3, 8, 8, 0, 3 },
};

TEST_F(cq, so_many_are_waited_for)
{
	struct fos_cq_event ev[PLACES];
	const struct row *r;
	unsigned int i;

	ASSERT_EQ(0, add_all(self->cq, self->here));
	for (r = rows; r < rows + ARRAY_SIZE(rows); r++) {
		for (i = 0; i < r->ready; i++)
			ASSERT_EQ(1, post_one(self->there[i]));
		EXPECT_EQ(r->result, wait_ms(self->cq, ev, r->min, r->max, r->ms))
			TH_LOG("row %zd", r - rows);
		for (i = 0; i < r->ready; i++)
			ASSERT_EQ(1, take_one(self->here[i]));
	}
}

struct waiting {
	int cq;
	unsigned int min;
	uint64_t done;
	uint64_t tid;
	long ret;
	pthread_t thread;
};

static void *wait_main(void *arg)
{
	struct fos_cq_event ev[PLACES];
	struct waiting *w = arg;

	__atomic_store_n(&w->tid, my_tid(), __ATOMIC_RELEASE);
	w->ret = wait_ms(w->cq, ev, w->min, PLACES, HANG_MS);
	__atomic_store_n(&w->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static bool start_waiting(struct waiting *w)
{
	if (pthread_create(&w->thread, NULL, wait_main, w))
		return false;
	while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE))
		nap_us(100);
	return wait_asleep(w->tid);
}

static long end_waiting(struct waiting *w)
{
	if (!wait_for(&w->done, 1))
		return HUNG;
	pthread_join(w->thread, NULL);
	return w->ret;
}

TEST_F(cq, who_waits_for_two_is_told_of_two)
{
	struct waiting w = { .cq = self->cq, .min = 2 };

	ASSERT_EQ(0, add_all(self->cq, self->here));
	ASSERT_TRUE(start_waiting(&w));
	ASSERT_EQ(1, post_one(self->there[0]));
	ASSERT_EQ(1, post_one(self->there[0]));
	nap_us(20000);
	EXPECT_FALSE(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE));
	ASSERT_EQ(1, post_one(self->there[2]));
	EXPECT_EQ(2, end_waiting(&w));
}

TEST_F(cq, two_who_wait_are_told_of_two_each)
{
	struct waiting w = { .cq = self->cq, .min = 2 };
	struct fos_cq_event ev[PLACES];

	ASSERT_EQ(0, add_all(self->cq, self->here));
	ASSERT_EQ(1, post_one(self->there[0]));
	ASSERT_TRUE(start_waiting(&w));
	/* It is told of to both. */
	EXPECT_EQ(1, wait_ms(self->cq, ev, 1, PLACES, HANG_MS));
	nap_us(20000);
	EXPECT_FALSE(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE));
	ASSERT_EQ(1, post_one(self->there[1]));
	EXPECT_EQ(2, end_waiting(&w));
}

/**
 * struct prompt - who answers soon, on another CPU
 * @fd: his endpoint
 * @asked: so many answers
 * @stop: no more
 */
struct prompt {
	int fd;
	long asked;
	bool stop;
};

/* After 0 to 31 us: sometimes while the other one polls. */
static void *answer_soon(void *arg)
{
	struct prompt *p = arg;
	uint64_t due;
	long done = 0;

	while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
		if (__atomic_load_n(&p->asked, __ATOMIC_RELAXED) == done)
			continue;
		due = now_ns() + done++ % 32 * 1000;
		while (now_ns() < due)
			;
		post_one(p->fd);
	}
	return NULL;
}

TEST_F(cq, a_wait_polls_before_it_sleeps)
{
	struct prompt p = { .fd = self->there[0] };
	struct fos_spin_stats s = { 0 };
	struct fos_cq_event ev;
	pthread_t thread;

	if (usable_cpus() < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, add_all(self->cq, self->here));
	ASSERT_EQ(0, pthread_create(&thread, NULL, answer_soon, &p));
	while (!s.found && p.asked < 10000) {
		__atomic_fetch_add(&p.asked, 1, __ATOMIC_RELAXED);
		if (wait_ms(self->cq, &ev, 1, 1, HANG_MS) != 1 ||
		    take_one(self->here[0]) != 1)
			break;
		fos_spin_stats(self->cq, &s, sizeof(s));
	}
	__atomic_store_n(&p.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(0, s.found);
	EXPECT_LT(0, s.polled_ns);
	EXPECT_LT(0, s.wake_ns);
	EXPECT_EQ(FOS_SPIN_DEFAULT, s.spin);
}

TEST_F(cq, a_signal_ends_a_wait)
{
	struct waiting w = { .cq = self->cq, .min = 2 };

	on_signal(SIGUSR1, 0, ignore_it);
	ASSERT_EQ(0, add_all(self->cq, self->here));
	ASSERT_TRUE(start_waiting(&w));
	pthread_kill(w.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, end_waiting(&w));
	/* What had happened is not lost with it. */
	ASSERT_EQ(1, post_one(self->there[0]));
	w = (struct waiting) { .cq = self->cq, .min = 2 };
	ASSERT_TRUE(start_waiting(&w));
	pthread_kill(w.thread, SIGUSR1);
	EXPECT_EQ(1, end_waiting(&w));
}

/* It sleeps, once: whatever looks now and then would be seen. */
TEST_F(cq, who_waits_in_vain_costs_nothing)
{
	struct rusage before, after;
	struct fos_cq_event ev;

	ASSERT_EQ(0, add_all(self->cq, self->here));
	/* What there is to learn of the policy, and to tell of arming. */
	EXPECT_EQ(-ETIMEDOUT, wait_ms(self->cq, &ev, 1, 1, 10));
	ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &before));
	EXPECT_EQ(-ETIMEDOUT, wait_ms(self->cq, &ev, 1, 1, 1000));
	ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &after));
	EXPECT_EQ(1, after.ru_nvcsw - before.ru_nvcsw);
}

/* ---- who is in it ----------------------------------------------------- */

TEST_F(cq, who_left_is_not_told_of)
{
	ASSERT_EQ(0, add_all(self->cq, self->here));
	ASSERT_EQ(1, post_one(self->there[0]));
	EXPECT_EQ(0, fos_cq_remove(self->cq, self->here[0]));
	EXPECT_EQ(0, only(self->cq));
	EXPECT_EQ(-ENOENT, RESULT(fos_cq_remove(self->cq, self->here[0])));
	EXPECT_EQ(0, fos_cq_add(self->cq, self->here[0], 9));
	EXPECT_EQ(9, only(self->cq));
}

TEST_F(cq, an_endpoint_is_in_one_queue)
{
	int other = fos_cq_create(1, 0);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, add_all(self->cq, self->here));
	EXPECT_EQ(-EEXIST, RESULT(fos_cq_add(self->cq, self->here[0], 9)));
	EXPECT_EQ(-EEXIST, RESULT(fos_cq_add(other, self->here[0], 9)));
	EXPECT_EQ(-ENOENT, RESULT(fos_cq_remove(other, self->here[0])));
	EXPECT_EQ(0, fos_cq_remove(self->cq, self->here[0]));
	EXPECT_EQ(0, fos_cq_add(other, self->here[0], 9));
	ASSERT_EQ(1, post_one(self->there[0]));
	EXPECT_EQ(9, only(other));
	/* With the queue its members are free. */
	EXPECT_EQ(0, fos_close(other));
	EXPECT_EQ(0, fos_cq_add(self->cq, self->here[0], 5));
	EXPECT_EQ(5, only(self->cq));
}

TEST_F(cq, places_come_back)
{
	int fd[2], small = fos_cq_create(2, 0), i;

	ASSERT_LE(0, small);
	ASSERT_EQ(0, fos_cq_add(small, self->here[0], 1));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, fos_channel(fd, NULL));
		ASSERT_EQ(1, post_one(fd[1]));
		EXPECT_EQ(0, fos_cq_add(small, fd[0], 2));
		EXPECT_EQ(-EBUSY, RESULT(fos_cq_add(small, self->here[1], 3)));
		fos_close(fd[0]);
		fos_close(fd[1]);
	}
	EXPECT_EQ(0, only(small));
	fos_close(small);
}

/* The number means another endpoint then, which is not in the queue. */
TEST_F(cq, a_number_that_is_used_again_is_somebody_else)
{
	int fd[2], again[2];

	ASSERT_EQ(0, fos_channel(fd, NULL));
	ASSERT_EQ(0, fos_cq_add(self->cq, fd[0], 1));
	fos_close(fd[0]);
	fos_close(fd[1]);
	ASSERT_EQ(0, fos_channel(again, NULL));
	EXPECT_EQ(fd[0], again[0]);
	ASSERT_EQ(1, post_one(again[1]));
	EXPECT_EQ(0, only(self->cq));
	EXPECT_EQ(0, fos_cq_add(self->cq, again[0], 2));
	EXPECT_EQ(2, only(self->cq));
	fos_close(again[0]);
	fos_close(again[1]);
}

TEST_F(cq, a_copy_goes_on_for_a_descriptor_that_is_closed)
{
	int copy = dup(self->here[0]);

	ASSERT_LE(0, copy);
	ASSERT_EQ(0, add_all(self->cq, self->here));
	EXPECT_EQ(-EAGAIN, take_one(copy));
	fos_close(self->here[0]);
	ASSERT_EQ(1, post_one(self->there[0]));
	EXPECT_EQ(1, only(self->cq));
	EXPECT_EQ(1, take_one(copy));
	EXPECT_EQ(0, only(self->cq));
	self->here[0] = copy;
}

/* ... even if nobody has ever used it. */
TEST_F(cq, a_copy_that_is_not_known_goes_on)
{
	int copy = dup(self->here[0]);

	ASSERT_LE(0, copy);
	ASSERT_EQ(0, add_all(self->cq, self->here));
	ASSERT_EQ(1, post_one(self->there[0]));
	EXPECT_EQ(1, only(self->cq));
	EXPECT_EQ(1, take_one(self->here[0]));
	EXPECT_EQ(0, only(self->cq));
	fos_close(self->here[0]);
	self->here[0] = copy;
	ASSERT_EQ(1, post_one(self->there[0]));
	EXPECT_EQ(1, only(self->cq));
	EXPECT_EQ(1, take_one(copy));
	EXPECT_EQ(-EEXIST, RESULT(fos_cq_add(self->cq, copy, 1)));
	EXPECT_EQ(0, fos_cq_remove(self->cq, copy));
	EXPECT_EQ(0, fos_cq_add(self->cq, copy, 1));
}

TEST_F(cq, who_left_by_a_copy_can_come_again)
{
	int copy = dup(self->here[0]);

	ASSERT_EQ(0, add_all(self->cq, self->here));
	EXPECT_EQ(0, fos_cq_remove(self->cq, copy));
	EXPECT_EQ(0, fos_cq_add(self->cq, self->here[0], 9));
	ASSERT_EQ(1, post_one(self->there[0]));
	EXPECT_EQ(9, only(self->cq));
	close(copy);
}

TEST_F(cq, the_other_side_is_somebody_else)
{
	int fd[2];

	ASSERT_EQ(0, fos_channel(fd, NULL));
	ASSERT_EQ(0, fos_cq_add(self->cq, fd[0], 7));
	fos_close(fd[0]);
	/* It takes the memory of the first. */
	EXPECT_EQ(-EPIPE, take_one(fd[1]));
	EXPECT_EQ(0, only(self->cq));
	EXPECT_EQ(0, fos_cq_add(self->cq, fd[1], 8));
	EXPECT_EQ(8, only(self->cq));
	fos_close(fd[1]);
}

TEST_F(cq, nonsense_is_refused)
{
	struct fos_cq_event ev;
	int efd = eventfd(0, 0);

	EXPECT_EQ(-EINVAL, RESULT(fos_cq_create(0, 0)));
	EXPECT_EQ(-EINVAL, RESULT(fos_cq_create(1, 1)));
	EXPECT_EQ(-EINVAL, RESULT(fos_cq_create(FOS_CQ_MAX + 1, 0)));
	EXPECT_EQ(-EBADF, RESULT(fos_cq_add(self->cq, efd, 0)));
	EXPECT_EQ(-EBADF, RESULT(fos_cq_add(self->cq, -1, 0)));
	EXPECT_EQ(-EBADF, RESULT(fos_cq_add(efd, self->here[0], 0)));
	EXPECT_EQ(-EBADF, RESULT(fos_cq_remove(efd, self->here[0])));
	EXPECT_EQ(-EBADF, RESULT(fos_cq_notify(efd, efd)));
	EXPECT_EQ(-EBADF, RESULT(fos_cq_notify(self->cq, -2)));
	EXPECT_EQ(-EBADF, RESULT(fos_cq_wait(efd, &ev, 0, 1, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_cq_wait(self->cq, &ev, 0, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_cq_wait(self->cq, &ev, 2, 1, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_cq_wait(self->cq, &ev, PLACES + 1,
					      PLACES + 1, NULL)));
	close(efd);
}

TEST_F(cq, it_is_for_one_process)
{
	struct fos_cq_event ev;
	pid_t pid;

	ASSERT_EQ(0, add_all(self->cq, self->here));
	pid = spawn();
	if (!pid)
		_exit(RESULT(fos_cq_wait(self->cq, &ev, 0, 1, NULL)) != -EBADF);
	EXPECT_EQ(0, reap(pid));
	ASSERT_EQ(1, post_one(self->there[0]));
	EXPECT_EQ(1, only(self->cq));
}

/* ---- tickets ---------------------------------------------------------- */

static long submit(int cq, int rfd, uint64_t user_data)
{
	struct fos_range r = { .len = 4096, .prot = PROT_READ };
	uint64_t ticket = 0;

	return RESULT(fos_mprotectv_cq(rfd, &r, 1, 0, cq, user_data, &ticket)) ?
	       -errno : (long)ticket;
}

TEST_F(cq, a_ticket_is_told_once)
{
	struct fos_cq_event ev = { .events = 7 };
	int rfd = fos_region_create(4096, 0);
	long ticket;

	ASSERT_LE(0, rfd);
	ticket = submit(self->cq, rfd, 44);
	ASSERT_LT(0, ticket);
	EXPECT_EQ(1, wait_ms(self->cq, &ev, 1, 1, HANG_MS));
	EXPECT_EQ(44, ev.user_data);
	EXPECT_EQ(0, ev.res);
	EXPECT_EQ(0, ev.events);
	EXPECT_EQ(0, fos_ticket_status(rfd, ticket));
	EXPECT_EQ(0, only(self->cq));
	fos_close(rfd);
}

TEST_F(cq, tickets_have_places_until_they_are_told)
{
	struct fos_cq_event ev[PLACES];
	int rfd = fos_region_create(4096, 0);
	long i;

	ASSERT_LE(0, rfd);
	ASSERT_EQ(0, add_all(self->cq, self->here));
	for (i = CLIENTS; i < PLACES; i++)
		EXPECT_LT(0, submit(self->cq, rfd, i));
	EXPECT_EQ(-EBUSY, submit(self->cq, rfd, i));
	EXPECT_EQ(PLACES - CLIENTS, wait_ms(self->cq, ev, PLACES - CLIENTS,
					    PLACES, HANG_MS));
	EXPECT_LT(0, submit(self->cq, rfd, i));
	EXPECT_EQ(-EBADF, submit(self->cq, self->cq, i));
	EXPECT_EQ(-EBADF, submit(rfd, rfd, i));
	fos_close(rfd);
}

TEST_HARNESS_MAIN
