// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors that go with messages: each comes with its own, whatever becomes of
 * the others, and none is left over.
 *
 * gates: asan tsan
 */
#include "msg_fds.h"
#include "kselftest_harness.h"

FIXTURE(msg_fds) {
	int fd[2];
	int before;
};

FIXTURE_VARIANT(msg_fds) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(msg_fds, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(msg_fds, by_default) { .spin = FOS_SPIN_DEFAULT };
FIXTURE_VARIANT_ADD(msg_fds, spin) { .spin = FOS_SPIN_ALWAYS };

FIXTURE_SETUP(msg_fds)
{
	ASSERT_TRUE(meet(self->fd, variant->spin));
	ASSERT_TRUE(attach_both(self->fd));
	self->before = settled();
}

FIXTURE_TEARDOWN(msg_fds)
{
	fos_close(self->fd[0]);
	fos_close(self->fd[1]);
}

static long send_and_take(int fd[2], struct parcel *out, struct parcel *in)
{
	struct async s = sending(fd[0], out);
	long ret;

	start(&s);
	ret = take(fd[1], in);
	return finish(&s) == ret ? ret : -EBADMSG;
}

/* ---- what arrives ----------------------------------------------------- */

TEST_F(msg_fds, descriptors_come_with_bytes_and_buffers)
{
	static const size_t sizes[] = { 0, 1, 16, 32, 48, 64, 79, 80, 81, 97, 1024 };
	struct parcel out, in;
	char bytes[1024];
	uint64_t n = 0;
	size_t i, k, b;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (k = 0; k <= FOS_MSG_FDS; k++) {
			fill(bytes, sizes[i], i);
			to_send(&out, bytes, sizes[i]);
			for (b = 0; b < k % 5; b++)
				out.bufs[out.m.nbufs++] = (struct iovec) {
					fos_buf_alloc(self->fd[0], 99, 0, NULL),
					99 };
			while (out.m.nfds < k)
				with_fd(&out, numbered(n + out.m.nfds));
			ASSERT_EQ(sizes[i], send_and_take(self->fd, &out, &in));
			EXPECT_TRUE(is_filled(in.bytes, sizes[i], i));
			ASSERT_EQ(k, in.m.nfds);
			ASSERT_EQ(k % 5, in.m.nbufs);
			EXPECT_EQ(out.m.path, in.m.path);
			EXPECT_EQ(!!k, !!(in.m.path & FOS_PATH_FDS));
			EXPECT_EQ(!!b, !!(in.m.path & FOS_PATH_LEND));
			for (b = 0; b < in.m.nbufs; b++)
				fos_buf_release(self->fd[1], in.bufs[b].iov_base);
			for (b = 0; b < k; b++)
				EXPECT_EQ(n + b, number(in.fds[b]));
			/* The sender has his still. */
			for (b = 0; b < k; b++)
				EXPECT_EQ(n++, number(out.fds[b]));
		}
	}
	EXPECT_EQ(self->before, count_open());
}

TEST_F(msg_fds, calls_and_replies_carry_descriptors)
{
	struct parcel out, in, rsp, got;
	struct async c;

	to_send(&out, "what?", 5);
	with_fd(&out, numbered(1));
	c = calling(self->fd[0], &out, &got);
	start(&c);
	ASSERT_EQ(5, take(self->fd[1], &in));
	ASSERT_EQ(1, in.m.nfds);
	EXPECT_EQ(1, number(in.fds[0]));
	ASSERT_NE(0, in.m.token);
	to_send(&rsp, "these", 5);
	rsp.m.token = in.m.token;
	with_fd(&rsp, numbered(2));
	with_fd(&rsp, numbered(3));
	EXPECT_EQ(5, RESULT(fos_sendmsg(self->fd[1], &rsp.m, 0, NULL)));
	EXPECT_EQ(5, finish(&c));
	EXPECT_EQ(FOS_PATH_FDS | FOS_PATH_INLINE, got.m.path);
	ASSERT_EQ(2, got.m.nfds);
	EXPECT_EQ(2, number(got.fds[0]));
	EXPECT_EQ(3, number(got.fds[1]));
	close(out.fds[0]);
	close(rsp.fds[0]);
	close(rsp.fds[1]);
	EXPECT_EQ(self->before, count_open());
}

/* An endpoint of another channel, and it is used at once. */
TEST_F(msg_fds, a_channel_can_be_handed_over)
{
	struct parcel out, in;
	struct async s;
	char byte = 0;
	int fd[2];

	ASSERT_EQ(0, fos_channel(fd, NULL));
	to_send(&out, NULL, 0);
	with_fd(&out, fd[1]);
	ASSERT_EQ(0, send_and_take(self->fd, &out, &in));
	ASSERT_EQ(1, in.m.nfds);
	EXPECT_EQ(0, fos_close(fd[1]));
	s = (struct async) { .fn = do_send, .fd = fd[0], .out = "x", .out_len = 1 };
	start(&s);
	EXPECT_EQ(1, RESULT(fos_recv(in.fds[0], &byte, 1, 0)));
	EXPECT_EQ(1, finish(&s));
	EXPECT_EQ('x', byte);
	EXPECT_EQ(0, fos_close(in.fds[0]));
	EXPECT_EQ(0, fos_close(fd[0]));
}

/* A server in another process gives back what it is given. */
TEST_F(msg_fds, a_server_answers_with_what_it_was_given)
{
	struct parcel out, in, got, rsp;
	uint64_t i, n = rounds(500);
	pid_t pid;
	int fd[2];
	uint32_t k;

	ASSERT_TRUE(meet(fd, variant->spin));
	pid = spawn();
	if (!pid) {
		fos_close(fd[0]);
		to_send(&rsp, NULL, 0);
		while (fos_reply_recvmsg(fd[1], &rsp.m, to_receive(&in),
					 NULL) >= 0) {
			for (k = 0; k < rsp.m.nfds; k++)
				close(rsp.fds[k]);
			to_send(&rsp, NULL, 0);
			rsp.m.token = in.m.token;
			rsp.m.nfds = in.m.nfds;
			memcpy(rsp.fds, in.fds, sizeof(in.fds));
		}
		_exit(errno == EPIPE ? 0 : 3);
	}
	EXPECT_EQ(0, fos_close(fd[1]));
	for (i = 0; i < n; i++) {
		to_send(&out, NULL, 0);
		while (out.m.nfds < i % (FOS_MSG_FDS + 1))
			with_fd(&out, numbered(8 * i + out.m.nfds));
		ASSERT_EQ(0, RESULT(fos_callmsg(fd[0], &out.m, to_receive(&got),
						NULL)));
		ASSERT_EQ(out.m.nfds, got.m.nfds);
		for (k = 0; k < got.m.nfds; k++) {
			close(out.fds[k]);
			ASSERT_EQ(8 * i + k, number(got.fds[k]));
		}
	}
	EXPECT_EQ(0, fos_close(fd[0]));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(self->before, count_open());
}

/* ---- what cannot be sent ---------------------------------------------- */

TEST_F(msg_fds, what_is_no_descriptor_is_ebadf_and_nothing_is_sent)
{
	struct parcel out, in;
	int i;

	for (i = 1; i <= FOS_MSG_FDS; i++) {
		to_send(&out, "x", 1);
		while ((int)out.m.nfds < i)
			with_fd(&out, 0);
		out.fds[i - 1] = i & 1 ? -1 : 9999;
		EXPECT_EQ(-EBADF, put_in(self->fd[0], &out, 0));
		out.m.token = 256;
		EXPECT_EQ(-EBADF, put_in(self->fd[0], &out, 0));
	}
	EXPECT_EQ(-ETIMEDOUT, take_in(self->fd[1], &in, 0));
	out.m.nfds = FOS_MSG_FDS + 1;
	EXPECT_EQ(-EINVAL, put_in(self->fd[0], &out, 0));
	out.m.nfds = 1;
	out.m.fds = NULL;
	EXPECT_EQ(-EINVAL, put_in(self->fd[0], &out, 0));
	out.m.nfds = 0;
	out.m.resv1 = 1;
	EXPECT_EQ(-EINVAL, put_in(self->fd[0], &out, 0));
	EXPECT_EQ(self->before, count_open());
}

TEST_F(msg_fds, a_channel_without_a_name_is_eopnotsupp)
{
	struct parcel out, rsp;
	int fd[2];

	ASSERT_EQ(0, fos_channel(fd, NULL));
	to_send(&out, "x", 1);
	with_fd(&out, 0);
	EXPECT_EQ(-EOPNOTSUPP, put_in(fd[0], &out, 0));
	EXPECT_EQ(-EOPNOTSUPP, RESULT(fos_callmsg(fd[0], &out.m,
						  to_receive(&rsp), NULL)));
	out.m.token = 256;
	EXPECT_EQ(-EOPNOTSUPP, put_in(fd[0], &out, 0));
	EXPECT_EQ(0, fos_close(fd[0]));
	EXPECT_EQ(0, fos_close(fd[1]));
}

/* The program closes what it does not know, and the number is another file's. */
TEST_F(msg_fds, a_companion_that_was_closed_is_not_used)
{
	const int theirs = companion(false), mine = companion(true);
	struct parcel out;
	int p[2];

	to_send(&out, "x", 1);
	with_fd(&out, 0);
	ASSERT_LE(0, mine);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p));
	ASSERT_EQ(mine, dup2(p[0], mine));
	EXPECT_EQ(-EOPNOTSUPP, put_in(self->fd[0], &out, 0));
	EXPECT_EQ(0, poll_now(p[1], POLLIN));
	/* The peer's is whole, but leads nowhere. */
	ASSERT_LE(0, theirs);
	EXPECT_EQ(-EOPNOTSUPP, put_in(self->fd[1], &out, 1000));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(-1, fcntl(self->fd[0], F_GETFD));
	EXPECT_EQ(0, fcntl(mine, F_GETFD));
}

TEST_F(msg_fds, a_peer_that_has_gone_is_epipe)
{
	struct parcel out, in;

	to_send(&out, "x", 1);
	with_fd(&out, 0);
	EXPECT_EQ(0, fos_close(self->fd[1]));
	EXPECT_EQ(-EPIPE, put_in(self->fd[0], &out, HANG_MS));
	EXPECT_EQ(-EPIPE, RESULT(fos_callmsg(self->fd[0], &out.m,
					     to_receive(&in), NULL)));
}

/* ---- messages that nobody takes --------------------------------------- */

/* A pipe's writing end goes with a message: is it closed when nobody has it? */
TEST_F(msg_fds, no_room_is_emsgsize_and_nothing_is_kept)
{
	struct parcel out, in;
	struct async s;
	char small[8];
	uint64_t token;
	int p[2], how;

	for (how = 0; how < 5; how++) {
		ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
		to_send(&out, "x", 1);
		with_fd(&out, p[1]);
		with_fd(&out, p[1]);
		s = sending(self->fd[0], &out);
		start(&s);
		while (!is_done(&s)) {
			struct timespec soon = deadline_in(20);

			token = 0;
			if (how == 0)
				fos_recv(self->fd[1], small, 8, FOS_NONBLOCK);
			else if (how == 1)
				fos_reply_recv(self->fd[1], &token, NULL, 0,
					       small, 8, &soon);
			else
				to_receive(&in)->nfds = how - 2,
				in.iov.iov_len = how == 4 ? 0 : 8,
				fos_recvmsg(self->fd[1], &in.m, 0, &soon);
		}
		EXPECT_EQ(-EMSGSIZE, finish(&s)) TH_LOG("how %d", how);
		close(p[1]);
		EXPECT_TRUE(ended(p[0]));
		close(p[0]);
		EXPECT_EQ(self->before, count_open());
	}
	/* The next one comes with its own. */
	to_send(&out, NULL, 0);
	with_fd(&out, numbered(77));
	EXPECT_EQ(0, send_and_take(self->fd, &out, &in));
	EXPECT_EQ(77, number(in.fds[0]));
}

TEST_F(msg_fds, no_room_for_those_of_a_reply_is_emsgsize)
{
	struct parcel out, in, rsp, got;
	struct async c;
	int p[2];

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	to_send(&out, "ask", 3);
	c = calling(self->fd[0], &out, &got);
	got.m.nfds = 0;
	start(&c);
	ASSERT_EQ(3, take(self->fd[1], &in));
	to_send(&rsp, NULL, 0);
	rsp.m.token = in.m.token;
	with_fd(&rsp, p[1]);
	EXPECT_EQ(0, put_in(self->fd[1], &rsp, 0));
	EXPECT_EQ(-EMSGSIZE, finish(&c));
	EXPECT_EQ(1, c.delivered);
	close(p[1]);
	EXPECT_TRUE(ended(p[0]));
}

static void withdraw(int fd, struct parcel *out, int how)
{
	struct async s = sending(fd, out), c;
	struct parcel none;

	switch (how) {
	case 0:
		put_in(fd, out, 5);
		return;
	case 1:
		start(&s);
		break;
	case 2:
		fos_sendmsg(fd, &out->m, FOS_NONBLOCK, NULL);
		return;
	case 3:
		c = calling(fd, out, &none);
		c.deadline_ms = 5;
		start(&c);
		finish(&c);
		return;
	}
	nap_us(5000);
	interrupt(&s, SIGUSR1);
	finish(&s);
}

TEST_F(msg_fds, a_message_that_was_withdrawn_leaves_the_next_alone)
{
	struct parcel out, in;
	int p[2], i;

	on_signal(SIGUSR1, 0, ignore_it);
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	for (i = 0; i < 20; i++) {
		to_send(&out, "no", 2);
		with_fd(&out, p[1]);
		/* Who polls is not interrupted. */
		withdraw(self->fd[0], &out,
			 i % 4 == 1 && variant->spin == FOS_SPIN_ALWAYS ? 0 : i % 4);
		if (i % 3)
			continue;
		to_send(&out, NULL, 0);
		with_fd(&out, numbered(i));
		ASSERT_EQ(0, send_and_take(self->fd, &out, &in));
		ASSERT_EQ(1, in.m.nfds);
		EXPECT_EQ(i, number(in.fds[0]));
		close(out.fds[0]);
	}
	close(p[1]);
	/* Whoever has room for descriptors looks, though there is no message. */
	EXPECT_EQ(-ETIMEDOUT, take_in(self->fd[1], &in, 0));
	EXPECT_TRUE(ended(p[0]));
	close(p[0]);
	EXPECT_EQ(self->before, count_open());
}

/* The socket is full of what nobody took; then somebody comes. */
TEST_F(msg_fds, too_many_left_over_are_enobufs_until_somebody_looks)
{
	struct parcel out, in;
	int i;
	long ret = 0;

	to_send(&out, "x", 1);
	with_fd(&out, 0);
	for (i = 0; i < 100000; i++) {
		ret = put_in(self->fd[0], &out, 0);
		if (ret != -ETIMEDOUT)
			break;
	}
	printf("# %d withdrawn, then %s\n", i, strerror(-ret));
	EXPECT_TRUE(ret == -ENOBUFS || ret == -ETOOMANYREFS);
	/* At once, however long there is time. */
	EXPECT_EQ(ret, put_in(self->fd[0], &out, HANG_MS));
	EXPECT_EQ(ret, RESULT(fos_callmsg(self->fd[0], &out.m, to_receive(&in),
					  NULL)));
	EXPECT_EQ(0, fos_delivered());
	EXPECT_EQ(-ETIMEDOUT, take_in(self->fd[1], &in, 0));
	EXPECT_EQ(1, send_and_take(self->fd, &out, &in));
	ASSERT_EQ(1, in.m.nfds);
	close(in.fds[0]);
	EXPECT_EQ(self->before, count_open());
}

TEST_F(msg_fds, a_reply_that_comes_too_late_leaves_the_next_alone)
{
	struct parcel out, in, rsp, got;
	uint64_t late = 0;
	struct async c;
	int i, p[2];

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	for (i = 0; i < 6; i++) {
		to_send(&out, "ask", 3);
		c = calling(self->fd[0], &out, &got);
		c.deadline_ms = i & 1 ? 0 : 100;
		start(&c);
		ASSERT_EQ(3, take(self->fd[1], &in));
		to_send(&rsp, NULL, 0);
		rsp.m.token = in.m.token;
		if (i & 1) {
			/* The one before is answered first. */
			with_fd(&rsp, p[1]);
			rsp.m.token = late;
			EXPECT_EQ(-ESTALE, put_in(self->fd[1], &rsp, 0));
			rsp.m.token = in.m.token;
			rsp.fds[0] = numbered(i);
			EXPECT_EQ(0, put_in(self->fd[1], &rsp, 0));
			EXPECT_EQ(0, finish(&c));
			ASSERT_EQ(1, got.m.nfds);
			EXPECT_EQ(i, number(got.fds[0]));
			close(rsp.fds[0]);
		} else {
			EXPECT_EQ(-ETIMEDOUT, finish(&c));
			late = in.m.token;
		}
	}
	close(p[1]);
	EXPECT_TRUE(ended(p[0]));
	close(p[0]);
	EXPECT_EQ(self->before, count_open());
}

/* ---- shortage --------------------------------------------------------- */

TEST_F(msg_fds, no_room_in_the_table_is_emfile_and_the_message_stays)
{
	struct rlimit few = { 100, 100 };
	struct parcel out, in;
	struct async s;
	int n;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	to_send(&out, "x", 1);
	while (out.m.nfds < 4)
		with_fd(&out, numbered(out.m.nfds));
	s = sending(self->fd[0], &out);
	start(&s);
	ASSERT_TRUE(wait_for(&s.tid, 1));
	for (n = 0; n < 4; n++) {
		leave_free(n);
		EXPECT_EQ(-EMFILE, take(self->fd[1], &in));
		free_all();
		EXPECT_EQ(self->before + 4, count_open());
	}
	leave_free(4);
	EXPECT_EQ(1, take(self->fd[1], &in));
	free_all();
	EXPECT_EQ(1, finish(&s));
	ASSERT_EQ(4, in.m.nfds);
	for (n = 0; n < 4; n++)
		EXPECT_EQ(n, number(in.fds[n]));
}

/* ---- many at once ----------------------------------------------------- */

struct crowd {
	int fd;
	uint64_t n;
	uint64_t first;
	uint64_t took;
	uint64_t wrong;
	uint64_t failed;
	pthread_t thread;
};

/* A number in the bytes, the same in the descriptors; some do not wait for long. */
static void *crowd_sends(void *arg)
{
	struct parcel out, got;
	struct crowd *c = arg;
	struct timespec soon;
	uint64_t i, id;
	long ret;

	for (i = 0; i < c->n; i++) {
		id = c->first + i;
		to_send(&out, &id, sizeof(id));
		while (out.m.nfds < id % 4)
			with_fd(&out, numbered(id));
		soon = deadline_in_ns(i % 3 ? HANG_MS * 1000000ULL : 20000);
		if (i & 4) {
			ret = RESULT(fos_callmsg(c->fd, &out.m, to_receive(&got),
						 &soon));
			if (ret >= 0 && got.m.nfds != out.m.nfds)
				c->wrong++;
			while (ret >= 0 && got.m.nfds)
				c->wrong += number(got.fds[--got.m.nfds]) != id;
		} else {
			ret = RESULT(fos_sendmsg(c->fd, &out.m, 0, &soon));
		}
		c->failed += ret < 0 && ret != -ETIMEDOUT && ret != -EPIPE;
		while (out.m.nfds)
			close(out.fds[--out.m.nfds]);
	}
	return NULL;
}

static void *crowd_takes(void *arg)
{
	struct crowd *c = arg;
	struct parcel in, rsp;
	uint64_t id, k;
	long ret;

	while ((ret = RESULT(fos_recvmsg(c->fd, to_receive(&in), 0, NULL))) >= 0) {
		memcpy(&id, in.bytes, sizeof(id));
		c->took++;
		c->wrong += in.m.nfds != id % 4;
		to_send(&rsp, NULL, 0);
		while (in.m.token && rsp.m.nfds < id % 4)
			with_fd(&rsp, numbered(id));
		rsp.m.token = in.m.token;
		if (in.m.token)
			fos_sendmsg(c->fd, &rsp.m, 0, NULL);
		for (k = 0; k < rsp.m.nfds; k++)
			close(rsp.fds[k]);
		for (k = 0; k < in.m.nfds; k++)
			c->wrong += number(in.fds[k]) != id;
	}
	c->failed += ret != -EPIPE;
	return NULL;
}

#define THREADS		4

TEST_F_TIMEOUT(msg_fds, each_message_has_its_own_whoever_sends_and_takes, 200)
{
	struct crowd s[THREADS] = { 0 }, t[THREADS] = { 0 };
	uint64_t took = 0;
	int i;

	for (i = 0; i < THREADS; i++) {
		t[i].fd = self->fd[1];
		s[i] = (struct crowd) { .fd = self->fd[0], .n = rounds(1000),
					.first = i * 1000000ULL };
		pthread_create(&t[i].thread, NULL, crowd_takes, &t[i]);
		pthread_create(&s[i].thread, NULL, crowd_sends, &s[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(0, s[i].wrong);
		EXPECT_EQ(0, s[i].failed);
	}
	EXPECT_EQ(0, fos_close(self->fd[0]));
	for (i = 0; i < THREADS; i++) {
		pthread_join(t[i].thread, NULL);
		EXPECT_EQ(0, t[i].wrong);
		EXPECT_EQ(0, t[i].failed);
		took += t[i].took;
	}
	EXPECT_LE(THREADS * s[0].n * 2 / 3, took);
	EXPECT_EQ(0, fos_close(self->fd[1]));
	EXPECT_GT(self->before, count_open());
}

TEST_HARNESS_MAIN
