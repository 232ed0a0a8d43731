// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that are handed over in place: what arrives, and what can be sent.
 *
 * gates: asan tsan
 */
#include "lend.h"
#include "slow.h"

/* ---- what arrives ----------------------------------------------------- */

TEST_F(lend, a_buffer_arrives_in_place)
{
	struct room out, in;
	struct async s;
	char *buf, *got;

	buf = get(self->fd[0], 64 * KIB);
	ASSERT_TRUE(buf);
	EXPECT_EQ(0, (uintptr_t)buf % 4096);
	fill(buf, 64 * KIB, 1);
	to_send(&out, NULL, 0);
	add(&out, buf, 64 * KIB);
	out.m.flags = FOS_NOCOPY;
	s = sending(self->fd[0], &out);
	start(&s);
	ASSERT_EQ(0, take(self->fd[1], &in, HANG_MS));
	EXPECT_EQ(0, finish(&s));
	EXPECT_EQ(FOS_PATH_LEND, out.m.path);
	EXPECT_EQ(FOS_PATH_LEND, in.m.path);
	EXPECT_EQ(0, in.m.token);
	ASSERT_EQ(1, in.m.nbufs);
	ASSERT_EQ(64 * KIB, in.bufs[0].iov_len);
	got = in.bufs[0].iov_base;
	EXPECT_TRUE(is_filled(got, 64 * KIB, 1));
	/* The same memory, not a copy. */
	buf[5]++;
	EXPECT_EQ(buf[5], got[5]);
	EXPECT_EQ(0, put(self->fd[1], got));
}

TEST_F(lend, bytes_and_buffers_go_together)
{
	static const size_t sizes[] = { 0, 1, 8, 16, 31, 32, 33, 48, 64, 79, 80,
					81, 95, 96, 97, 4000, 8 * KIB };
	struct room out, in;
	char bytes[8 * KIB];
	struct async s;
	size_t i, k, n;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (n = 0; n <= FOS_MSG_BUFS; n++) {
			fill(bytes, sizes[i], i);
			to_send(&out, bytes, sizes[i]);
			for (k = 0; k < n; k++) {
				add(&out, get(self->fd[0], 100 + k), 100 + k);
				fill(out.bufs[k].iov_base, 100 + k, k);
			}
			s = sending(self->fd[0], &out);
			start(&s);
			ASSERT_EQ(sizes[i], take(self->fd[1], &in, HANG_MS));
			ASSERT_EQ(sizes[i], finish(&s));
			EXPECT_TRUE(is_filled(in.bytes, sizes[i], i));
			ASSERT_EQ(n, in.m.nbufs);
			EXPECT_EQ(out.m.path, in.m.path);
			EXPECT_EQ(!!n, !!(in.m.path & FOS_PATH_LEND));
			EXPECT_EQ(sizes[i] > 96 - 16 * n,
				  !!(in.m.path & FOS_PATH_AREA));
			for (k = 0; k < n; k++) {
				ASSERT_EQ(100 + k, in.bufs[k].iov_len);
				EXPECT_TRUE(is_filled(in.bufs[k].iov_base,
						      100 + k, k));
				EXPECT_EQ(0, put(self->fd[1],
						 in.bufs[k].iov_base));
			}
		}
	}
	EXPECT_EQ(DEPTH, space(self->fd[0], 4096));
}

TEST_F(lend, bytes_are_gathered_and_scattered)
{
	char a[] = "zero ", b[] = "copy", x[3], y[1], z[64];
	struct iovec from[] = { { a, 5 }, { NULL, 0 }, { b, 4 } };
	struct iovec to[] = { { x, 3 }, { y, 1 }, { z, 64 } };
	struct fos_msg out = { .iov = from, .iovlen = 3 };
	struct fos_msg in = { .iov = to, .iovlen = 3 };
	struct async s = { .fn = do_sendmsg, .fd = self->fd[0], .out = &out };

	start(&s);
	EXPECT_EQ(9, RESULT(fos_recvmsg(self->fd[1], &in, 0, NULL)));
	EXPECT_EQ(9, finish(&s));
	EXPECT_EQ(0, memcmp(x, "zer", 3));
	EXPECT_EQ('o', *y);
	EXPECT_EQ(0, memcmp(z, " copy", 5));
}

/* Request and reply are pieces of buffers; a second server thread answers. */
TEST_F(lend, calls_and_replies_carry_buffers)
{
	struct room out, reply, in, rsp;
	struct async c;
	char *ask, *answer;

	ask = get(self->fd[0], 10000);
	answer = get(self->fd[1], 300 * KIB);
	ASSERT_TRUE(ask && answer);
	fill(ask, 10000, 3);
	fill(answer, 300 * KIB, 4);
	to_send(&out, "what?", 5);
	add(&out, ask + 1000, 9000);
	to_receive(&reply);
	c = (struct async) { .fn = do_callmsg, .fd = self->fd[0],
			     .out = &out.m, .in = &reply.m };
	start(&c);
	ASSERT_EQ(5, take(self->fd[1], &in, HANG_MS));
	ASSERT_NE(0, in.m.token);
	ASSERT_EQ(1, in.m.nbufs);
	ASSERT_EQ(9000, in.bufs[0].iov_len);
	to_send(&rsp, "that", 4);
	rsp.m.token = in.m.token;
	add(&rsp, answer, 300 * KIB);
	EXPECT_EQ(4, RESULT(fos_sendmsg(self->fd[1], &rsp.m, 0, NULL)));
	EXPECT_EQ(4, finish(&c));
	ASSERT_EQ(1, reply.m.nbufs);
	EXPECT_TRUE(is_filled(reply.bufs[0].iov_base, 300 * KIB, 4));
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[1], &rsp.m, 0, NULL)));
	EXPECT_EQ(0, put(self->fd[0], reply.bufs[0].iov_base));
	EXPECT_EQ(0, put(self->fd[1], in.bufs[0].iov_base));
	EXPECT_EQ(1, space(self->fd[0], 1024 * KIB));
	EXPECT_EQ(1, space(self->fd[1], 1024 * KIB));
}

/* As a server in another process does: reply and take the next in one call. */
TEST_F(lend, a_server_answers_with_what_it_was_given)
{
	struct room out, in, got, rsp;
	uint64_t seed = rnd_seed("lend");
	long i, n = rounds(2000);
	size_t len;
	char *buf;
	pid_t pid = spawn();

	if (!pid) {
		memset(&rsp.m, 0, sizeof(rsp.m));
		while (fos_reply_recvmsg(self->fd[1], &rsp.m, to_receive(&in),
					 NULL) >= 0) {
			len = in.bufs[0].iov_len;
			buf = fos_buf_alloc(self->fd[1], len, 0, NULL);
			if (!buf || in.m.nbufs != 1)
				_exit(1);
			memcpy(buf, in.bufs[0].iov_base, len);
			if (put(self->fd[1], in.bufs[0].iov_base))
				_exit(2);
			to_send(&rsp, NULL, 0);
			rsp.m.token = in.m.token;
			add(&rsp, buf, len);
		}
		_exit(errno == EPIPE ? 0 : 3);
	}
	for (i = 0; i < n; i++) {
		len = 1 + rnd_below(&seed, i % 16 ? 2000 : 100000);
		buf = fos_buf_alloc(self->fd[0], len, 0, NULL);
		ASSERT_TRUE(buf);
		fill(buf, len, i);
		to_send(&out, NULL, 0);
		add(&out, buf, len);
		ASSERT_EQ(0, RESULT(fos_callmsg(self->fd[0], &out.m,
						to_receive(&got), NULL)));
		ASSERT_EQ(1, got.m.nbufs);
		ASSERT_EQ(len, got.bufs[0].iov_len);
		ASSERT_TRUE(is_filled(got.bufs[0].iov_base, len, i));
		ASSERT_EQ(0, put(self->fd[0], got.bufs[0].iov_base));
	}
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(lend, nocopy_fails_rather_than_copy)
{
	struct room out;

	to_send(&out, "x", 1);
	out.m.flags = FOS_NOCOPY;
	EXPECT_EQ(-EOPNOTSUPP,
		  RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	out.m.token = 1;
	EXPECT_EQ(-EOPNOTSUPP,
		  RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
}

/* ---- whose it is ------------------------------------------------------ */

TEST_F(lend, only_buffers_of_ones_own_can_be_sent)
{
	struct timespec past = { 0, 0 };
	struct room out;
	char *buf = get(self->fd[0], 5000);
	char *theirs = get(self->fd[1], 5000);
	static char heap[5000];
	struct { void *at; size_t len; } bad[] = {
		{ heap, 5000 }, { NULL, 1 }, { theirs, 5000 }, { buf, 5001 },
		{ buf + 1, 5000 }, { buf + 5000, 1 }, { buf - 1, 2 }, { buf, 0 },
		{ buf, SIZE_MAX }, { buf + 4999, 2 },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		to_send(&out, NULL, 0);
		add(&out, bad[i].at, bad[i].len);
		EXPECT_EQ(-EINVAL,
			  RESULT(fos_sendmsg(self->fd[0], &out.m, 0, &past)));
	}
	/* The same twice; and it is still there afterwards. */
	to_send(&out, NULL, 0);
	add(&out, buf, 100);
	add(&out, buf + 100, 100);
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, &past)));
	to_send(&out, NULL, 0);
	add(&out, buf + 4999, 1);
	EXPECT_EQ(-ETIMEDOUT,
		  RESULT(fos_sendmsg(self->fd[0], &out.m, 0, &past)));
	EXPECT_EQ(0, put(self->fd[0], buf));
	EXPECT_EQ(-EINVAL, put(self->fd[0], buf));
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, &past)));
	EXPECT_EQ(0, put(self->fd[1], theirs));
}

TEST_F(lend, arguments_out_of_range_are_einval)
{
	struct iovec many[IOV_MAX + 1] = { 0 };
	struct room out;

	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], NULL, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_recvmsg(self->fd[0], NULL, 0, NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_callmsg(self->fd[0], NULL, NULL, NULL)));
	EXPECT_EQ(-EINVAL,
		  RESULT(fos_reply_recvmsg(self->fd[0], NULL, NULL, NULL)));
	to_send(&out, NULL, 0);
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 32, NULL)));
	out.m.token = 5;
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m,
					      FOS_NONBLOCK, NULL)));
	to_send(&out, NULL, 1);
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	to_send(&out, NULL, 0);
	out.m.resv[1] = 1;
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	to_send(&out, NULL, 0);
	out.m.flags = 2;
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	to_send(&out, NULL, 0);
	out.m.nbufs = FOS_MSG_BUFS + 1;
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	to_send(&out, NULL, 0);
	out.m.nbufs = 1;
	out.m.bufs = NULL;
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	to_send(&out, NULL, 0);
	out.m.iov = many;
	out.m.iovlen = IOV_MAX + 1;
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	out.m.iovlen = 2;
	many[0] = (struct iovec) { many, SSIZE_MAX / 2 + 1 };
	many[1] = many[0];
	EXPECT_EQ(-EINVAL, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	out.m.iovlen = 1;
	EXPECT_EQ(-EMSGSIZE, RESULT(fos_sendmsg(self->fd[0], &out.m, 0, NULL)));
	EXPECT_EQ(NULL, fos_buf_alloc(self->fd[0], 0, 0, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, fos_buf_alloc(self->fd[0], 1, 2, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, fos_buf_alloc(self->fd[0], AREA + 1, 0, NULL));
	EXPECT_EQ(EMSGSIZE, errno);
	EXPECT_EQ(NULL, fos_buf_alloc(-1, 1, 0, NULL));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-EBADF, put(-1, many));
}

/* ---- messages that nobody takes --------------------------------------- */

TEST_F(lend, a_message_that_is_refused_leaves_the_buffers)
{
	struct room out, in;
	struct async s;
	char small[8];
	uint64_t token;
	int how;

	to_send(&out, "x", 1);
	add(&out, get(self->fd[0], 100 * KIB), 100 * KIB);
	add(&out, get(self->fd[0], 100 * KIB), 100 * KIB);
	for (how = 0; how < 3; how++) {
		struct timespec soon;

		s = sending(self->fd[0], &out);
		start(&s);
		while (!is_done(&s)) {
			soon = deadline_in(20);
			token = 0;
			if (how == 0)
				fos_recv(self->fd[1], small, 8, FOS_NONBLOCK);
			else if (how == 1)
				fos_reply_recv(self->fd[1], &token, NULL, 0,
					       small, 8, &soon);
			else
				to_receive(&in)->nbufs = 1,
				fos_recvmsg(self->fd[1], &in.m, 0, &soon);
		}
		EXPECT_EQ(-EMSGSIZE, finish(&s));
	}
	/* Again, to somebody who makes room for them. */
	s = sending(self->fd[0], &out);
	start(&s);
	EXPECT_EQ(1, take(self->fd[1], &in, HANG_MS));
	EXPECT_EQ(1, finish(&s));
	/* Held, though they were given back before. */
	EXPECT_EQ(0, space(self->fd[0], AREA));
	EXPECT_EQ(0, put(self->fd[1], in.bufs[1].iov_base));
	EXPECT_EQ(0, put(self->fd[1], in.bufs[0].iov_base));
	EXPECT_EQ(1, space(self->fd[0], AREA));
}

TEST_F(lend, a_request_that_is_refused_leaves_the_buffers)
{
	struct room out, rsp;
	struct async c;
	char small[8];
	uint64_t token;

	to_send(&out, "x", 1);
	add(&out, get(self->fd[0], 100 * KIB), 100 * KIB);
	to_receive(&rsp);
	c = (struct async) { .fn = do_callmsg, .fd = self->fd[0],
			     .out = &out.m, .in = &rsp.m };
	start(&c);
	while (!is_done(&c)) {
		struct timespec soon = deadline_in(20);

		token = 0;
		fos_reply_recv(self->fd[1], &token, NULL, 0, small, 8, &soon);
	}
	EXPECT_EQ(-EMSGSIZE, finish(&c));
	EXPECT_EQ(0, c.delivered);
	EXPECT_EQ(0, put(self->fd[0], out.bufs[0].iov_base));
}

TEST_F(lend, a_reply_that_is_refused_is_given_back)
{
	struct room out, in, rsp, small;
	struct async c;

	to_send(&out, "ask", 3);
	to_receive(&small)->nbufs = 0;
	c = (struct async) { .fn = do_callmsg, .fd = self->fd[0],
			     .out = &out.m, .in = &small.m };
	start(&c);
	ASSERT_EQ(3, take(self->fd[1], &in, HANG_MS));
	to_send(&rsp, NULL, 0);
	rsp.m.token = in.m.token;
	add(&rsp, get(self->fd[1], AREA), AREA);
	EXPECT_EQ(0, RESULT(fos_sendmsg(self->fd[1], &rsp.m, 0, NULL)));
	EXPECT_EQ(-EMSGSIZE, finish(&c));
	EXPECT_EQ(1, c.delivered);
	EXPECT_EQ(1, space(self->fd[1], AREA));
}

TEST_F(lend, a_reply_that_comes_too_late_leaves_the_buffers)
{
	struct room out, in, rsp, got;
	struct async c;

	to_send(&out, "ask", 3);
	to_receive(&got);
	c = (struct async) { .fn = do_callmsg, .fd = self->fd[0],
			     .out = &out.m, .in = &got.m, .deadline_ms = 300 };
	start(&c);
	ASSERT_EQ(3, take(self->fd[1], &in, HANG_MS));
	EXPECT_EQ(-ETIMEDOUT, finish(&c));
	to_send(&rsp, NULL, 0);
	rsp.m.token = in.m.token;
	add(&rsp, get(self->fd[1], AREA), AREA);
	EXPECT_EQ(-ESTALE, RESULT(fos_sendmsg(self->fd[1], &rsp.m, 0, NULL)));
	EXPECT_EQ(0, put(self->fd[1], rsp.bufs[0].iov_base));
}

/*
 * While it is written its caller gives up, and again in a later call from the same
 * slot, which another thread of the server may have taken.
 */
TEST_F(lend, a_reply_that_comes_two_calls_too_late_leaves_the_buffers)
{
	struct room out, in, next, rsp, got;
	struct async c, late, r;

	ASSERT_EQ(0, make_slow());
	to_send(&out, "ask", 3);
	to_receive(&got);
	c = (struct async) { .fn = do_callmsg, .fd = self->fd[0],
			     .out = &out.m, .in = &got.m, .deadline_ms = 1500 };
	start(&c);
	ASSERT_EQ(3, take(self->fd[1], &in, HANG_MS));
	to_send(&rsp, slow.buf + 4096 - 100, 200);
	rsp.m.token = in.m.token;
	add(&rsp, get(self->fd[1], 100 * KIB), 100 * KIB);
	late = sending(self->fd[1], &rsp);
	start(&late);
	EXPECT_TRUE(wait_for(&slow.reached, 1));
	EXPECT_EQ(-ETIMEDOUT, finish(&c));
	r = (struct async) { .fn = do_recvmsg, .fd = self->fd[1],
			     .in = to_receive(&next), .deadline_ms = 1000 };
	start(&r);
	c.deadline_ms = 300;
	start(&c);
	EXPECT_EQ(-ETIMEDOUT, finish(&c));
	let_through();
	EXPECT_EQ(-ESTALE, finish(&late));
	finish(&r);
	EXPECT_EQ(0, put(self->fd[1], rsp.bufs[0].iov_base));
	EXPECT_EQ(1, space(self->fd[1], AREA - 8 * KIB));
}

/* As soon as the receiver, who was just started, waits. */
static long send_now(int fd, struct room *out)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	long ret;

	do {
		ret = RESULT(fos_sendmsg(fd, &out->m, FOS_NONBLOCK, NULL));
	} while (ret == -EAGAIN && now_ns() < end);
	return ret;
}

TEST_F(lend, a_send_that_does_not_wait_hands_over_or_fails)
{
	struct room out, in;
	struct async r = { .fn = do_recvmsg, .fd = self->fd[1], .in = &in.m };

	to_send(&out, NULL, 0);
	add(&out, get(self->fd[0], AREA), AREA);
	EXPECT_EQ(-EAGAIN, RESULT(fos_sendmsg(self->fd[0], &out.m, FOS_NONBLOCK,
					      NULL)));
	to_receive(&in);
	start(&r);
	EXPECT_EQ(0, send_now(self->fd[0], &out));
	EXPECT_EQ(0, finish(&r));
	EXPECT_EQ(0, put(self->fd[1], in.bufs[0].iov_base));
	/* To one who refuses it: it comes back by itself. */
	out.bufs[0].iov_base = get(self->fd[0], AREA);
	ASSERT_TRUE(out.bufs[0].iov_base);
	to_receive(&in)->nbufs = 0;
	r.deadline_ms = 1000;
	start(&r);
	EXPECT_EQ(0, send_now(self->fd[0], &out));
	EXPECT_EQ(-ETIMEDOUT, finish(&r));
	EXPECT_EQ(1, space(self->fd[0], AREA));
}

TEST_HARNESS_MAIN
