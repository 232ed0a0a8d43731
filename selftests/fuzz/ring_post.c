// SPDX-License-Identifier: GPL-2.0-only
/* ring, more of it: calls that are posted and collected. */
#include "ring_world.h"

static uint64_t posted;

void post_begin(void)
{
	posted = 0;
}

static void do_post(int flags)
{
	static const int errors[] = {
		EAGAIN, ETIMEDOUT, EINTR, EPIPE, EMSGSIZE, EPROTO, EBADF, 0,
	};
	struct buffer req = take_buffer();
	struct timespec ts;
	const struct timespec *deadline = take_deadline(&ts);

	check_result(RESULT(fos_post(FD, req.at, req.n, &posted, flags,
				     deadline)), 0, errors);
	free(req.at);
}

static void do_collect(uint64_t which, int flags)
{
	static const int errors[] = {
		ETIMEDOUT, EINTR, ENOMSG, EBADF, EPIPE, ECONNRESET, EMSGSIZE,
		EPROTO, 0,
	};
	struct buffer rsp = take_buffer();
	struct timespec ts;
	const struct timespec *deadline = take_deadline(&ts);
	const uint64_t wanted = which;
	long ret;

	ret = RESULT(fos_collect(FD, &which, rsp.at, rsp.n, flags, deadline));
	if (ret != -EAGAIN || !flags)
		check_result(ret, rsp.n, errors);
	CHECK(ret < 0 || which);
	CHECK(!which || !wanted || which == wanted);
	CHECK(ret != -ECONNRESET || fos_delivered());
	CHECK(ret != -EPIPE || !fos_delivered());
	free(rsp.at);
}

static void do_post_wait(void)
{
	do_post(0);
}

static void do_post_more(void)
{
	do_post(FOS_MORE);
}

static void do_post_now(void)
{
	do_post(FOS_NONBLOCK);
}

static void do_collect_one(void)
{
	do_collect(take8() & 7 ? posted : take_value(posted, w.tail << 8), 0);
}

static void do_collect_any(void)
{
	do_collect(0, 0);
}

static void do_collect_now(void)
{
	do_collect(0, FOS_NONBLOCK);
}

static void do_send_posted(void)
{
	static const int errors[] = { EINTR, EPIPE, EMSGSIZE, EPROTO, EBADF, 0 };
	struct buffer b = take_buffer();

	check_result(RESULT(fos_send(FD, b.at, b.n, FOS_POST)), b.n, errors);
	free(b.at);
}

const struct fuzz_call post_calls[8] = {
	{ do_post_wait, false, false },
	{ do_post_more, false, false },
	{ do_post_now, true, false },
	{ do_collect_one, false, false },
	{ do_collect_any, false, false },
	{ do_collect_now, true, false },
	{ do_collect_now, true, false },
	{ do_send_posted, false, false },
};
