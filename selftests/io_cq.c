// SPDX-License-Identifier: GPL-2.0-only
/*
 * File I/O that a queue is told of: each call once, to whoever waits there, whether he
 * polls, sleeps, or waits for the queue's descriptor; and nothing is touched after.
 *
 * gates: asan tsan
 * not under asan: a_child_has_none (it forks beside a thread)
 * not under tsan: a_child_has_none (the same)
 */
#include <sys/resource.h>

#include "io.h"

#define PLACES		32

static long wait_ms(int cq, struct fos_cq_event *ev, unsigned int min,
		    unsigned int max, long ms)
{
	const struct timespec deadline = deadline_in(ms);
	long ret;

	do
		ret = RESULT(fos_cq_wait(cq, ev, min, max, &deadline));
	while (ret == -EINTR);
	return ret;
}

/* What came of the only call under way. */
static long result(int cq, uint64_t user_data)
{
	struct fos_cq_event ev = { 0 };
	const long n = wait_ms(cq, &ev, 1, 1, HANG_MS);

	if (n != 1)
		return n < 0 ? n : -ENOMSG;
	return ev.user_data == user_data && !ev.events ? ev.res : -EBADMSG;
}

TEST_F(io, a_queue_is_told_of_each_call_once)
{
	const int cq = fos_cq_create(PLACES, 0);
	struct fos_cq_event ev[PLACES];
	uint64_t told;
	long i, n, round, k;

	ASSERT_LE(0, cq);
	for (round = rounds(20); round; round--) {
		memset(self->in, 0, BYTES);
		forget_cache(self->fd, round);
		for (i = 0; i < PLACES; i++)
			ASSERT_EQ(0, fos_pread_cq(self->fd, self->in + i * BLOCK,
						  BLOCK, i * BLOCK, cq, i));
		EXPECT_EQ(-EBUSY, RESULT(fos_fsync_cq(self->fd, cq, 0)));
		for (told = 0, i = 0; i < PLACES; i += n) {
			n = wait_ms(cq, ev, 1, 1 + round % PLACES, HANG_MS);
			ASSERT_LT(0, n);
			for (k = 0; k < n; k++) {
				ASSERT_EQ(BLOCK, ev[k].res);
				ASSERT_EQ(0, ev[k].events);
				ASSERT_EQ(0, told >> ev[k].user_data & 1);
				told |= 1ULL << ev[k].user_data;
			}
		}
		ASSERT_EQ(0, memcmp(self->in, self->out, PLACES * BLOCK));
		ASSERT_EQ(0, wait_ms(cq, ev, 0, PLACES, 0));
	}
	EXPECT_EQ(0, fos_close(cq));
}

/* One signal may stand for several of them. */
TEST_F(io, so_many_are_waited_for)
{
	const int cq = fos_cq_create(PLACES, 0);
	struct fos_cq_event ev[PLACES];
	long i, round;

	ASSERT_LE(0, cq);
	for (round = rounds(20); round; round--) {
		forget_cache(self->fd, round);
		for (i = 0; i < PLACES; i++)
			ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK,
						  i * BLOCK, cq, i));
		ASSERT_EQ(PLACES, wait_ms(cq, ev, PLACES, PLACES, HANG_MS));
	}
	EXPECT_EQ(-ETIMEDOUT, wait_ms(cq, ev, 1, PLACES, 1));
	EXPECT_EQ(0, fos_close(cq));
}

TEST_F(io, what_was_written_is_there_when_it_is_told)
{
	const int cq = fos_cq_create(PLACES, 0);
	long i;

	ASSERT_LE(0, cq);
	for (i = 0; i < BLOCKS; i++) {
		memset(self->out + i * BLOCK, i + 1, BLOCK);
		ASSERT_EQ(0, fos_pwrite_cq(self->fd, self->out + i * BLOCK,
					   BLOCK, i * BLOCK, cq, 1));
		ASSERT_EQ(BLOCK, result(cq, 1));
		ASSERT_EQ(0, fos_fsync_cq(self->fd, cq, 2));
		ASSERT_EQ(0, result(cq, 2));
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, i * BLOCK,
					  cq, 3));
		ASSERT_EQ(BLOCK, result(cq, 3));
		ASSERT_EQ(0, memcmp(self->in, self->out + i * BLOCK, BLOCK));
	}
	if (!device()) {
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, BYTES, cq,
					  4));
		EXPECT_EQ(0, result(cq, 4));
	}
	EXPECT_EQ(0, fos_close(cq));
}

TEST_F(io, the_event_says_what_was_wrong)
{
	char *nowhere = mmap(NULL, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	const int cq = fos_cq_create(PLACES, 0);
	int p[2];

	ASSERT_LE(0, cq);
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, fos_pread_cq(-1, self->in, BLOCK, 0, cq, 1));
	EXPECT_EQ(-EBADF, result(cq, 1));
	ASSERT_EQ(0, fos_pread_cq(p[0], self->in, BLOCK, 0, cq, 2));
	EXPECT_EQ(-ESPIPE, result(cq, 2));
	ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, -1, cq, 3));
	EXPECT_EQ(-EINVAL, result(cq, 3));
	ASSERT_EQ(0, fos_pread_cq(self->fd, nowhere, BLOCK, 0, cq, 4));
	EXPECT_EQ(-EFAULT, result(cq, 4));
	ASSERT_EQ(0, fos_fsync_cq(p[1], cq, 5));
	EXPECT_EQ(-EINVAL, result(cq, 5));
	EXPECT_EQ(-EBADF, RESULT(fos_pread_cq(self->fd, self->in, BLOCK, 0,
					      self->fd, 6)));
	EXPECT_EQ(-EBADF, RESULT(fos_pread_cq(self->fd, self->in, BLOCK, 0, -1,
					      7)));
	EXPECT_EQ(0, fos_close(cq));
}

/* A number that was a file's is a pipe's: from which nothing is read. */
TEST_F(io, what_has_become_of_a_number_is_found_out)
{
	const int cq = fos_cq_create(PLACES, 0);
	int p[2], copy = dup(self->fd);
	char byte = 0;

	ASSERT_LE(0, cq);
	ASSERT_EQ(0, fos_pread_cq(copy, self->in, BLOCK, 0, cq, 1));
	EXPECT_EQ(BLOCK, result(cq, 1));
	ASSERT_EQ(0, pipe2(p, O_NONBLOCK));
	ASSERT_EQ(1, write(p[1], "x", 1));
	ASSERT_EQ(copy, dup2(p[0], copy));
	ASSERT_EQ(0, fos_pread_cq(copy, self->in, BLOCK, 0, cq, 2));
	EXPECT_EQ(-ESPIPE, result(cq, 2));
	EXPECT_EQ(1, read(copy, &byte, 1));
	EXPECT_EQ('x', byte);
	close(copy);
	close(p[0]);
	close(p[1]);
	EXPECT_EQ(0, fos_close(cq));
}

static int signals;

static void count_signal(int sig)
{
	signals += sig == SIGXFSZ;
}

/* Nor is it done twice. */
TEST_F(io, a_short_write_says_how_short)
{
	struct rlimit old, few;
	const int cq = fos_cq_create(PLACES, 0);

	if (device())
		SKIP(return, "about files");
	ASSERT_LE(0, cq);
	signal(SIGXFSZ, count_signal);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	few = (struct rlimit) { BYTES + BLOCK, old.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &few));
	ASSERT_EQ(0, fos_pwrite_cq(self->fd, self->out, 2 * BLOCK, BYTES, cq, 1));
	EXPECT_EQ(BLOCK, result(cq, 1));
	EXPECT_EQ(0, signals);
	EXPECT_EQ(BYTES + BLOCK, lseek(self->fd, 0, SEEK_END));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	/* And a short read, at the end, as well. */
	ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, 2 * BLOCK, BYTES, cq, 2));
	EXPECT_EQ(BLOCK, result(cq, 2));
	EXPECT_EQ(0, memcmp(self->in, self->out, BLOCK));
	EXPECT_EQ(0, fos_close(cq));
}

/* By poll(2) and epoll(7), also of a call that was over at once. */
TEST_F(io, the_descriptor_says_that_there_is_something)
{
	const int cq = fos_cq_create(PLACES, 0);
	long i;

	ASSERT_LE(0, cq);
	EXPECT_EQ(0, poll_now(cq, POLLIN));
	for (i = 0; i < 50; i++) {
		forget_cache(self->fd, 0);
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, 0, cq, i));
		ASSERT_EQ(POLLIN, wait_poll(cq, POLLIN));
		ASSERT_EQ(BLOCK, result(cq, i));
		ASSERT_EQ(0, fos_pread_cq(-1, self->in, BLOCK, 0, cq, i));
		ASSERT_EQ(POLLIN, wait_poll(cq, POLLIN));
		ASSERT_EQ(-EBADF, result(cq, i));
	}
	EXPECT_EQ(0, fos_close(cq));
}

/* What one had no room for others hear of, and so does who waits for the descriptor. */
TEST_F(io, what_is_left_there_is_told_to_the_next)
{
	const int cq = fos_cq_create(PLACES, 0);
	long i, round;

	ASSERT_LE(0, cq);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, fos_pread_cq(i % 2 ? self->fd : -1,
						  self->in, BLOCK, 0, cq, 9));
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(POLLIN, wait_poll(cq, POLLIN));
			ASSERT_NE(-ENOMSG, result(cq, 9));
		}
	}
	EXPECT_EQ(0, fos_close(cq));
}

/* ---- threads and processes -------------------------------------------- */

struct waiter {
	int cq;
	long n;
	unsigned int min;
	struct fos_cq_event ev[4];
};

static void *wait_main(void *arg)
{
	struct waiter *w = arg;

	w->n = wait_ms(w->cq, w->ev, w->min, 4, HANG_MS);
	return NULL;
}

/* Also one that slept before the queue had any, for more than one. */
TEST_F(io, another_thread_is_told)
{
	struct waiter w = { 0 };
	pthread_t t;
	int i;

	for (i = 0; i < 8; i++) {
		w.cq = fos_cq_create(PLACES, 0);
		ASSERT_LE(0, w.cq);
		w.min = 1 + i % 2;
		ASSERT_EQ(0, pthread_create(&t, NULL, wait_main, &w));
		nap_us(20000);
		forget_cache(self->fd, 0);
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, 0, w.cq, 1));
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->same, BLOCK, 0, w.cq,
					  2));
		ASSERT_EQ(0, pthread_join(t, NULL));
		ASSERT_LE((long)w.min, w.n);
		ASSERT_EQ(BLOCK, w.ev[0].res);
		EXPECT_EQ(0, fos_close(w.cq));
	}
}

struct beginner {
	int fd;
	int cq;
	char *in;
	int failed;
};

static void *begin_main(void *arg)
{
	struct beginner *b = arg;
	long i;

	for (i = 0; i < PLACES / 4; i++)
		b->failed += !!fos_pread_cq(b->fd, b->in + i * BLOCK, BLOCK,
					    i * BLOCK, b->cq, i);
	return NULL;
}

/* Whoever began may be gone. */
TEST_F(io, the_thread_that_began_may_end)
{
	struct beginner b[4];
	struct fos_cq_event ev[PLACES];
	pthread_t t[4];
	long i, round;

	for (i = 0; i < 4; i++)
		b[i] = (struct beginner) {
			.fd = self->fd,
			.in = self->in + i * PLACES / 4 * BLOCK,
			.cq = fos_cq_create(PLACES, 0),
		};
	for (i = 1; i < 4; i++) {
		fos_close(b[i].cq);
		b[i].cq = b[0].cq;
	}
	for (round = 0; round < 10; round++) {
		forget_cache(self->fd, 0);
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, pthread_create(&t[i], NULL, begin_main,
						    &b[i]));
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, pthread_join(t[i], NULL));
		ASSERT_EQ(PLACES, wait_ms(b[0].cq, ev, PLACES, PLACES, HANG_MS));
		for (i = 0; i < PLACES; i++)
			ASSERT_EQ(BLOCK, ev[i].res);
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, b[i].failed);
			ASSERT_EQ(0, memcmp(b[i].in, self->out,
					    PLACES / 4 * BLOCK));
		}
	}
	EXPECT_EQ(0, fos_close(b[0].cq));
}

/* So much takes a while. */
#define LARGE	(BYTES / 4)
#define MANY	256

static void *wait_for_all(void *arg)
{
	struct waiter *w = arg;
	const struct timespec deadline = deadline_in(300);

	w->n = RESULT(fos_cq_wait(w->cq, w->ev, 4, 4, &deadline));
	return NULL;
}

/* All was read, the last first; and then nothing writes there; whoever is in there. */
TEST_F(io, the_memory_is_let_alone_when_the_queue_is_closed)
{
	const size_t all = MANY * LARGE;
	char *in = aligned_alloc(BLOCK, all);
	const int cq = fos_cq_create(MANY, 0);
	struct waiter w = { .cq = fos_cq_create(MANY, 0) };
	int i, differ = 0;
	pthread_t t;

	ASSERT_LE(0, cq);
	ASSERT_EQ(0, pthread_create(&t, NULL, wait_for_all, &w));
	nap_us(20000);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, fos_pread_cq(self->fd, in + i * LARGE, LARGE,
					  i % 4 * LARGE, w.cq, i));
	ASSERT_EQ(0, fos_close(w.cq));
	while (i--)
		differ += !!memcmp(in + i * LARGE, self->out + i % 4 * LARGE,
				   LARGE);
	EXPECT_EQ(0, differ);
	ASSERT_EQ(0, pthread_join(t, NULL));
	forget_cache(self->fd, 0);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, fos_pread_cq(self->fd, in + i * LARGE, LARGE,
					  i % 4 * LARGE, cq, i));
	ASSERT_EQ(0, fos_close(cq));
	while (i--)
		differ += !!memcmp(in + i * LARGE, self->out + i % 4 * LARGE,
				   LARGE);
	EXPECT_EQ(0, differ);
	memset(in, 0, all);
	nap_us(300000);
	EXPECT_EQ(0, in[0]);
	EXPECT_EQ(0, memcmp(in, in + 1, all - 1));
	free(in);
}

TEST_F(io, a_queue_that_is_closed_gives_its_ring_back)
{
	const int before = open_descriptors();
	int i, cq;

	for (i = 0; i < 20; i++) {
		cq = fos_cq_create(PLACES, 0);
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, 0, cq, 1));
		EXPECT_EQ(0, fos_close(cq));
	}
	EXPECT_EQ(before, open_descriptors());
}

TEST_F(io, a_child_has_none)
{
	const int cq = fos_cq_create(PLACES, 0);
	int own;
	pid_t pid;

	ASSERT_LE(0, cq);
	ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, 0, cq, 1));
	pid = spawn();
	if (!pid) {
		if (RESULT(fos_pread_cq(self->fd, self->same, BLOCK, 0, cq, 2)) !=
		    -EBADF)
			_exit(1);
		own = fos_cq_create(PLACES, 0);
		if (fos_pread_cq(self->fd, self->same, BLOCK, 0, own, 3) ||
		    result(own, 3) != BLOCK || fos_close(own))
			_exit(2);
		_exit(0);
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(BLOCK, result(cq, 1));
	EXPECT_EQ(0, memcmp(self->in, self->out, BLOCK));
	EXPECT_EQ(0, fos_close(cq));
}

/* ---- beside others ---------------------------------------------------- */

TEST_F(io, files_and_channels_take_turns)
{
	const int cq = fos_cq_create(4, 0);
	struct fos_cq_event ev;
	long n, files = 0, messages = 0;
	char byte;
	int ch[2];

	ASSERT_LE(0, cq);
	ASSERT_EQ(0, channel_with(ch, FOS_SPIN_BLOCK, 4, 0));
	ASSERT_EQ(0, fos_cq_add(cq, ch[0], 1));
	for (n = 0; n < 4; n++)
		ASSERT_EQ(1, RESULT(fos_send(ch[1], "m", 1, FOS_POST)));
	for (n = 0; n < 2; n++)
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, 0, cq, 2));
	/*
	 * Messages wait all the time, and each call takes one event only.  To starve is
	 * to time out.
	 */
	while (files < 20 || messages < 20) {
		ASSERT_EQ(1, wait_ms(cq, &ev, 1, 1, HANG_MS));
		if (ev.user_data == 1) {
			messages++;
			continue;
		}
		ASSERT_EQ(BLOCK, ev.res);
		files++;
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, 0, cq, 2));
	}
	for (n = 0; n < 4; n++)
		EXPECT_EQ(1, RESULT(fos_recv(ch[0], &byte, 1, FOS_NONBLOCK)));
	EXPECT_EQ(0, fos_close(cq));
	fos_close(ch[0]);
	fos_close(ch[1]);
}

struct newcomer {
	int cq;
	int fd;
	int files;
	struct beginner file;
};

/* His place was a file's, of which a wait that goes on has told; another is told first. */
static void *add_and_tell(void *arg)
{
	struct newcomer *e = arg;
	struct fos_cq_event ev[4];
	long n;

	nap_us(10000);
	if (fos_cq_add(e->cq, e->fd, 5))
		return e;
	/* The file, too, if the other is late. */
	for (n = wait_ms(e->cq, ev, 0, 4, 0); n > 0; n--)
		e->files += ev[n - 1].user_data == 2;
	return fos_pread_cq(e->file.fd, e->file.in, BLOCK, 0, e->cq, 3) ? e : NULL;
}

TEST_F(io, a_place_that_changes_hands_is_told_of)
{
	struct newcomer e = { .file = { .fd = self->fd, .in = self->same } };
	struct fos_cq_event ev[4];
	pthread_t t;
	void *ret;
	int ch[2], i;
	long n;

	for (i = 0; i < 20; i++) {
		e.files = 0;
		e.cq = fos_cq_create(4, 0);
		ASSERT_LE(0, e.cq);
		ASSERT_EQ(0, channel_with(ch, FOS_SPIN_BLOCK, 4, 0));
		ASSERT_EQ(1, RESULT(fos_send(ch[1], "m", 1, FOS_POST)));
		e.fd = ch[0];
		ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, 0, e.cq, 2));
		ASSERT_EQ(0, pthread_create(&t, NULL, add_and_tell, &e));
		n = wait_ms(e.cq, ev, 3, 4, 2000);
		ASSERT_EQ(0, pthread_join(t, &ret));
		ASSERT_EQ(NULL, ret);
		ASSERT_EQ(3 - e.files, n);
		EXPECT_EQ(0, fos_close(e.cq));
		fos_close(ch[0]);
		fos_close(ch[1]);
	}
}

/* What all of them need is a place, too; whom the module has promised one has it. */
TEST_F(io, a_queue_that_is_full_has_no_place_for_files)
{
	const int cq = fos_cq_create(2, 0);
	int ch[2][2], i;

	ASSERT_LE(0, cq);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, channel_with(ch[i], FOS_SPIN_BLOCK, 4, 0));
		ASSERT_EQ(0, fos_cq_add(cq, ch[i][0], i));
	}
	EXPECT_EQ(-EBUSY, RESULT(fos_pread_cq(self->fd, self->in, BLOCK, 0, cq,
					      5)));
	ASSERT_EQ(0, fos_cq_remove(cq, ch[1][0]));
	ASSERT_EQ(0, fos_pread_cq(self->fd, self->in, BLOCK, 0, cq, 5));
	EXPECT_EQ(BLOCK, result(cq, 5));
	EXPECT_EQ(0, fos_close(cq));
	for (i = 0; i < 2; i++) {
		fos_close(ch[i][0]);
		fos_close(ch[i][1]);
	}
}

TEST_HARNESS_MAIN
