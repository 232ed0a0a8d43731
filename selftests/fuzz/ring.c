// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring: the library's calls over a ring whose other side is hostile.  The whole
 * library but its backends; the input says what is called, what the peer does
 * in which sleep of ours and between which of our loads.
 */
#include "ring_world.h"

#include "spin.h"

static uint64_t token;

struct buffer take_buffer(void)
{
	const uint8_t how = take8();
	struct buffer b = { .n = how & 127 };

	if (how & 128)
		b.n = (how & 64) ? w.area_bytes + (int8_t)take8() : take(2);
	if (b.n > w.area_bytes + 256)
		b.n = w.area_bytes + 256;
	/* Nothing may have no address. */
	if (b.n || (how & 128))
		b.at = calloc(1, b.n);
	return b;
}

const struct timespec *take_deadline(struct timespec *ts)
{
	const uint8_t how = take8();
	const uint64_t ns = fuzz_now + 1000ULL * (how >> 2) * (how & 3);

	ts->tv_sec = ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;
	return how & 3 ? ts : NULL;
}

void check_result(long ret, size_t max, const int *errors)
{
	if (ret >= 0 ? (size_t)ret > max : !is_among(ret, errors))
		FAIL("a call returned %ld", ret);
}

/* ---- calls ------------------------------------------------------------ */

static void do_send(int flags)
{
	static const int errors[] = {
		EPIPE, EINTR, EMSGSIZE, EPROTO, EBADF, 0,
	};
	struct buffer b = take_buffer();
	long ret;

	ret = RESULT(fos_send(FD, b.at, b.n, flags));
	if (ret != -EAGAIN || !flags)
		check_result(ret, b.n, errors);
	CHECK(ret < 0 || (size_t)ret == b.n);
	free(b.at);
}

static void do_recv(int flags)
{
	static const int errors[] = {
		EPIPE, EINTR, EPROTO, EBADF, 0,
	};
	struct buffer b = take_buffer();
	long ret;

	ret = RESULT(fos_recv(FD, b.at, b.n, flags));
	if (ret != -EAGAIN || !flags)
		check_result(ret, b.n, errors);
	free(b.at);
}

static void do_call(void)
{
	static const int errors[] = {
		ETIMEDOUT, EINTR, EPIPE, ECONNRESET, EMSGSIZE, EPROTO, EBADF, 0,
	};
	struct buffer req = take_buffer(), rsp = take_buffer();
	struct timespec ts;
	const struct timespec *deadline = take_deadline(&ts);
	long ret;

	ret = RESULT(fos_call(FD, req.at, req.n, rsp.at, rsp.n, deadline));
	CHECK(ret != -ETIMEDOUT || deadline);
	CHECK(ret != -ECONNRESET || fos_delivered());
	CHECK(ret != -EPIPE || !fos_delivered());
	check_result(ret, rsp.n, errors);
	free(req.at);
	free(rsp.at);
}

static void do_reply(void)
{
	static const int errors[] = {
		ESTALE, ENOBUFS, EMSGSIZE, EPIPE, EPROTO, EBADF, 0,
	};
	struct buffer rsp = take_buffer();
	const uint8_t how = take8();

	check_result(RESULT(fos_reply(FD, how & 7 ? token :
				      take_value(token, w.tail << 8),
				      rsp.at, rsp.n)), 0, errors);
	free(rsp.at);
}

static void do_reply_recv(void)
{
	static const int errors[] = {
		ESTALE, ENOBUFS, EMSGSIZE, EPIPE, ETIMEDOUT, EINTR, EPROTO,
		EBADF, 0,
	};
	struct buffer rsp = take_buffer(), req = take_buffer();
	struct timespec ts;
	const struct timespec *deadline = take_deadline(&ts);
	long ret;

	ret = RESULT(fos_reply_recv(FD, &token, rsp.at, rsp.n, req.at, req.n,
				    deadline));
	CHECK(ret != -ETIMEDOUT || deadline);
	check_result(ret, req.n, errors);
	free(rsp.at);
	free(req.at);
}

/* Without a reply: whatever its token was. */
static void do_receive_any(void)
{
	token = 0;
	do_reply_recv();
}

static void do_send_wait(void)
{
	do_send(0);
}

static void do_send_now(void)
{
	do_send(FOS_NONBLOCK);
}

static void do_recv_wait(void)
{
	do_recv(0);
}

static void do_recv_now(void)
{
	do_recv(FOS_NONBLOCK);
}

static const struct fuzz_call calls[8] = {
	{ do_send_wait, false, false },
	{ do_send_now, true, false },
	{ do_recv_wait, false, true },
	{ do_recv_now, true, true },
	{ do_call, false, false },
	{ do_reply, false, false },
	{ do_reply_recv, false, true },
	{ do_receive_any, false, true },
};

/* Of a step that is one of post_calls; the rest is as the corpus has it. */
#define POSTS	0xd0

void my_step(void)
{
	const uint32_t countdown = w.countdown;
	const bool fickle = w.fickle;
	const uint8_t how = take8();
	const bool posts = (how & 0xf8) == POSTS;
	const struct fuzz_call *c = &(posts ? post_calls : calls)[how & 7];

	if (w.replying && c->receives)
		return;
	w.level++;
	w.countdown = how >> 3 & 15;
	w.fickle = how >> 7;
	w.nonblock = c->now;
	c->call();
	w.nonblock = false;
	w.countdown = countdown;
	w.fickle = fickle;
	w.level--;
}

/* ---- a run ------------------------------------------------------------ */

static void begin(void)
{
	static const uint64_t areas[] = { 4096, 8192, 256, 0 };
	const uint8_t how = take8();
	const uint8_t spin = take8();

	w = (struct world) {
		.open = true,
		.posix = how & 1,
		.depth = 2U << (how >> 1 & 3),
		.area_bytes = areas[how >> 3 & 3],
		/* Mostly without polling: there is little to it. */
		.cookie = spin & 0xf0 ? fos_spin_pack(FOS_SPIN_BLOCK, 0, 0) :
			  fos_spin_pack(spin & 3, 1000 * (spin >> 2 & 3), 0),
	};
	fuzz_now = 1000000000;
	token = 0;
	post_begin();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct input) { data, size };
	begin();
	/* Attaches it. */
	fos_recv(FD, NULL, 0, FOS_NONBLOCK);
	while (input.left && w.open) {
		if (take8() & 1)
			my_step();
		else
			peer_step();
		check_mine();
	}
	w.countdown = 0;
	w.fickle = false;
	if (w.open)
		CHECK(!fos_close(FD));
	CHECK(!w.mapped);
	CHECK(RESULT(fos_recv(FD, NULL, 0, FOS_NONBLOCK)) == -EBADF);
	return 0;
}
