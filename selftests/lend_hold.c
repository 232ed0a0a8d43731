// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that a receiver holds: whose they are and when they come back; nobody
 * is harmed by a receiver who gives nothing back.
 *
 * gates: asan tsan
 * not under tsan: the_receivers_view_is_read_only (two processes; a number that
 * pidfd_open() uses again behind its back is a race to it)
 */
#include <sys/ptrace.h>

#include "lend.h"

/* ---- whose it is ------------------------------------------------------ */

TEST_F(lend, a_buffer_is_released_once_and_in_any_order)
{
	static const int order[] = { 2, 0, 3, 1 };
	struct room out, in[2];
	void *got[FOS_MSG_BUFS];
	struct async s;
	int i, k;

	for (k = 0; k < 2; k++) {
		to_send(&out, NULL, 0);
		for (i = 0; i < 2; i++)
			add(&out, get(self->fd[0], 10 * KIB), 10 * KIB);
		s = sending(self->fd[0], &out);
		start(&s);
		ASSERT_EQ(0, take(self->fd[1], &in[k], HANG_MS));
		ASSERT_EQ(0, finish(&s));
		for (i = 0; i < 2; i++)
			got[2 * k + i] = in[k].bufs[i].iov_base;
	}
	/* Lent: the sender cannot take it back, or send it again. */
	EXPECT_EQ(-EINVAL, put(self->fd[0], out.bufs[0].iov_base));
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	EXPECT_EQ(DEPTH - 4, space(self->fd[0], 64));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-EINVAL, put(self->fd[1], (char *)got[order[i]] + 1));
		EXPECT_EQ(0, put(self->fd[1], got[order[i]]));
		EXPECT_EQ(-EINVAL, put(self->fd[1], got[order[i]]));
		EXPECT_EQ(DEPTH - 3 + i, space(self->fd[0], 64));
	}
	EXPECT_EQ(-EINVAL, put(self->fd[1], NULL));
	EXPECT_EQ(-EINVAL, put(self->fd[1], &out));
	EXPECT_EQ(1, space(self->fd[0], AREA));
}

/* ---- no room ---------------------------------------------------------- */

/* Send all of @buf; they are lent, and in @in. */
static bool lend_all(int fd[2], void *buf[], int n, size_t len, struct room *in)
{
	struct room out;
	struct async s;
	int i;

	for (i = 0; i < n; i++) {
		to_send(&out, NULL, 0);
		add(&out, buf[i], len);
		s = sending(fd[0], &out);
		start(&s);
		if (take(fd[1], &in[i], HANG_MS) || finish(&s))
			return false;
	}
	return true;
}

TEST_F(lend, a_full_area_waits_for_the_receiver)
{
	struct room in[4];
	struct async a = { .fn = do_alloc, .fd = self->fd[0],
			   .cap = 200 * KIB };
	void *buf[DEPTH];

	ASSERT_EQ(4, fill_up(self->fd[0], 256 * KIB, buf));
	ASSERT_TRUE(lend_all(self->fd, buf, 4, 256 * KIB, in));
	a.deadline_ms = 10;
	start(&a);
	EXPECT_EQ(-ETIMEDOUT, finish(&a));
	a.deadline_ms = 0;
	start(&a);
	if (variant->spin == FOS_SPIN_BLOCK)
		EXPECT_TRUE(asleep(&a));
	EXPECT_FALSE(is_done(&a));
	EXPECT_EQ(0, put(self->fd[1], in[2].bufs[0].iov_base));
	EXPECT_EQ(0, finish(&a));
	EXPECT_EQ(buf[2], a.in);
	/* An ordinary message waits as well. */
	EXPECT_EQ(0, put(self->fd[0], a.in));
}

TEST_F(lend, an_ordinary_message_waits_for_buffers_too)
{
	static char body[300 * KIB], got[300 * KIB];
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = body,
			   .out_len = sizeof(body) };
	struct room in[1];
	void *buf[2];

	ASSERT_EQ(1, fill_up(self->fd[0], 800 * KIB, buf));
	ASSERT_TRUE(lend_all(self->fd, buf, 1, 800 * KIB, in));
	fill(body, sizeof(body), 1);
	start(&s);
	if (variant->spin == FOS_SPIN_BLOCK)
		EXPECT_TRUE(asleep(&s));
	EXPECT_FALSE(is_done(&s));
	EXPECT_EQ(0, put(self->fd[1], in[0].bufs[0].iov_base));
	EXPECT_EQ(sizeof(body), RESULT(fos_recv(self->fd[1], got, sizeof(got),
						0)));
	EXPECT_EQ(sizeof(body), finish(&s));
	EXPECT_TRUE(is_filled(got, sizeof(body), 1));
}

TEST_F(lend, as_many_buffers_as_the_channel_is_deep)
{
	struct room in[DEPTH];
	void *buf[DEPTH + 1];
	int i;

	ASSERT_EQ(DEPTH, fill_up(self->fd[0], 1, buf));
	ASSERT_TRUE(lend_all(self->fd, buf, DEPTH, 1, in));
	EXPECT_EQ(NULL, get(self->fd[0], 1));
	EXPECT_EQ(EAGAIN, errno);
	for (i = 0; i < DEPTH; i++) {
		EXPECT_EQ(0, put(self->fd[1], in[i].bufs[0].iov_base));
		EXPECT_EQ(i + 1, space(self->fd[0], 1));
	}
}

/* ---- receivers that do harm ------------------------------------------- */

TEST_F(lend, a_receiver_that_dies_holding_buffers_harms_nobody)
{
	struct room out, in;
	struct async a = { .fn = do_alloc, .fd = self->fd[0], .cap = 1 };
	uint64_t *state = shared(4096);
	void *buf[DEPTH + 1];
	pid_t pid;
	int i, n;

	pid = spawn();
	if (!pid) {
		for (;;)
			if (!take(self->fd[1], &in, HANG_MS))
				__atomic_add_fetch(state, 1, __ATOMIC_RELEASE);
	}
	n = fill_up(self->fd[0], 100 * KIB, buf);
	ASSERT_EQ(DEPTH, n);
	for (i = 0; i < n; i++) {
		to_send(&out, NULL, 0);
		add(&out, buf[i], 100 * KIB);
		ASSERT_EQ(0, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	}
	EXPECT_TRUE(wait_for(state, n));
	start(&a);
	nap_us(10000);
	EXPECT_FALSE(is_done(&a));
	fos_close(self->fd[1]);
	kill(pid, SIGKILL);
	EXPECT_EQ(-EPIPE, finish(&a));
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
	/* Memory of its own until it is closed. */
	fill(buf[0], 100 * KIB, 1);
	EXPECT_EQ(0, fos_close(self->fd[0]));
}

/* ---- whose memory it is ----------------------------------------------- */

/* Every way in that there is; the first that is open, or NULL. */
static const char *way_into(void *at)
{
	char byte = 1;
	struct iovec from = { &byte, 1 }, to = { at, 1 };
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	int p[2];

	if (fd < 0 || pipe(p))
		return "no /proc, no pipe";
	if (pwrite(fd, &byte, 1, (uintptr_t)at) > 0)
		return "/proc/self/mem";
	if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) > 0)
		return "process_vm_writev";
	if (write(p[1], &byte, 1) != 1 || read(p[0], at, 1) > 0)
		return "read";
	close(p[0]);
	close(p[1]);
	close(fd);
	return NULL;
}

/* ENOTSUP: no file system here knows O_DIRECT. */
static int read_direct(void *page)
{
	static char text[4096] __attribute__((aligned(4096)));
	char path[] = "/var/tmp/fos-lend.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC), ret;

	if (fd < 0)
		return ENOTSUP;
	ret = write(fd, text, sizeof(text)) == sizeof(text) ? 0 : EIO;
	close(fd);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unlink(path);
	if (fd < 0)
		return ENOTSUP;
	if (!ret && read(fd, page, 4096) < 0)
		ret = errno;
	close(fd);
	return ret;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	       info.si_pid;
}

/* Can who traces the receiver write what he can read?  -EIO: no. */
static long poke(pid_t pid, void *at)
{
	long word, ret;
	int status;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) ||
	    waitpid(pid, &status, 0) != pid)
		return -ESRCH;
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, at, NULL);
	ret = errno ? -ENODATA : RESULT(ptrace(PTRACE_POKEDATA, pid, at,
					       (void *)~word));
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return ret;
}

TEST_F(lend, the_receivers_view_is_read_only)
{
	struct room out, in;
	uint64_t *at = shared(4096);
	int go[2], direct;
	char *buf, c;
	pid_t pid;

	ASSERT_EQ(0, pipe(go));
	pid = spawn();
	if (!pid) {
		if (take(self->fd[1], &in, HANG_MS))
			_exit(1);
		if (way_into(in.bufs[0].iov_base))
			_exit(2);
		direct = read_direct(in.bufs[0].iov_base);
		if (direct && direct != EFAULT && direct != ENOTSUP)
			_exit(3);
		if (!direct)
			_exit(4);
		__atomic_store_n(at, (uintptr_t)in.bufs[0].iov_base,
				 __ATOMIC_RELEASE);
		if (read(go[0], &c, 1) != 1)
			_exit(5);
		/*
		 * And the plain one, whatever this says: on the module the
		 * mapping is writable, but not these pages.  A sanitizer makes
		 * an exit of the signal.
		 */
		mprotect(in.bufs[0].iov_base, 4096, PROT_READ | PROT_WRITE);
		at[1] = 1;
		*(volatile char *)in.bufs[0].iov_base = 1;
		_exit(6);
	}
	buf = get(self->fd[0], 64 * KIB);
	fill(buf, 64 * KIB, 1);
	to_send(&out, NULL, 0);
	add(&out, buf, 64 * KIB);
	ASSERT_EQ(0, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	/* It goes on, or has said by its status which way was open. */
	while (!has_ended(pid) && !__atomic_load_n(at, __ATOMIC_ACQUIRE))
		nap_us(1000);
	EXPECT_EQ(-EIO, poke(pid, (void *)*at));
	EXPECT_EQ(1, write(go[1], "x", 1));
	EXPECT_NE(6, reap(pid));
	EXPECT_EQ(1, at[1]);
	EXPECT_TRUE(is_filled(buf, 64 * KIB, 1));
}

/* What is in a buffer can be written, and read into one, like any memory. */
TEST_F(lend, other_system_calls_take_buffers)
{
	struct room out, in;
	struct async s;
	char *buf, got[64];
	int p[2], q[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, pipe(q));
	buf = get(self->fd[0], 64);
	fill(got, 64, 2);
	ASSERT_EQ(64, write(p[1], got, 64));
	ASSERT_EQ(64, read(p[0], buf, 64));
	to_send(&out, NULL, 0);
	add(&out, buf, 64);
	s = sending(self->fd[0], &out);
	start(&s);
	ASSERT_EQ(0, take(self->fd[1], &in, HANG_MS));
	EXPECT_EQ(0, finish(&s));
	ASSERT_EQ(64, write(q[1], in.bufs[0].iov_base, 64));
	EXPECT_EQ(0, put(self->fd[1], in.bufs[0].iov_base));
	memset(got, 0, 64);
	ASSERT_EQ(64, read(q[0], got, 64));
	EXPECT_TRUE(is_filled(got, 64, 2));
}

/* ---- many at once ----------------------------------------------------- */

#define THREADS		3

/**
 * struct crowd - threads that send buffers, threads that release them
 * @fd: the channel
 * @rounds: of each sender
 * @taken, @bad: of the receivers
 */
struct crowd {
	int *fd;
	long rounds;
	uint64_t taken;
	uint64_t bad;
};

static void *crowd_send(void *arg)
{
	struct crowd *c = arg;
	uint64_t seed = (uintptr_t)&arg;
	struct room out;
	size_t len;
	uint64_t i;
	char *buf;

	for (i = 0; i < (uint64_t)c->rounds; i++) {
		len = 1 + rnd_below(&seed, i % 32 ? 2000 : 200 * KIB);
		buf = fos_buf_alloc(c->fd[0], len, 0, NULL);
		if (!buf)
			return "alloc";
		fill(buf, len, i);
		to_send(&out, &i, sizeof(i));
		add(&out, buf, len);
		if (fos_sendmsg(c->fd[0], &out.m, 0, NULL) != sizeof(i))
			return "send";
	}
	return NULL;
}

/* Keeps one back, so that they return in another order. */
static void *crowd_receive(void *arg)
{
	struct crowd *c = arg;
	struct iovec kept = { NULL, 0 };
	uint64_t kept_i = 0, i;
	struct room in;

	while (fos_recvmsg(c->fd[1], to_receive(&in), 0, NULL) ==
	       sizeof(uint64_t)) {
		memcpy(&i, in.bytes, sizeof(i));
		if (in.m.nbufs != 1 ||
		    !is_filled(in.bufs[0].iov_base, in.bufs[0].iov_len, i))
			__atomic_add_fetch(&c->bad, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&c->taken, 1, __ATOMIC_RELAXED);
		if (kept.iov_base &&
		    (!is_filled(kept.iov_base, kept.iov_len, kept_i) ||
		     put(c->fd[1], kept.iov_base)))
			__atomic_add_fetch(&c->bad, 1, __ATOMIC_RELAXED);
		kept = in.bufs[0];
		kept_i = i;
		/* The last ones would wait for each other's. */
		if (i % 2) {
			put(c->fd[1], kept.iov_base);
			kept.iov_base = NULL;
		}
	}
	if (kept.iov_base)
		put(c->fd[1], kept.iov_base);
	return NULL;
}

TEST_F(lend, many_threads_lend_and_release)
{
	struct crowd c = { .fd = self->fd, .rounds = rounds(1000) };
	pthread_t sender[THREADS], receiver[THREADS];
	void *ret;
	int i;

	for (i = 0; i < THREADS; i++) {
		pthread_create(&receiver[i], NULL, crowd_receive, &c);
		pthread_create(&sender[i], NULL, crowd_send, &c);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(sender[i], &ret);
		EXPECT_EQ(NULL, ret);
	}
	fos_close(self->fd[0]);
	for (i = 0; i < THREADS; i++)
		pthread_join(receiver[i], &ret);
	EXPECT_EQ(THREADS * c.rounds, c.taken);
	EXPECT_EQ(0, c.bad);
}

TEST_HARNESS_MAIN
