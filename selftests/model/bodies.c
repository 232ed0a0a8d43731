// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the threads do.  Side A, the first threads, sends; side B receives.
 */
#include "bodies.h"

void expect(bool ok, const char *what, int ret)
{
	if (!ok)
		model_fail("%s returned %d", what, ret);
}

void send_ok(int id, unsigned int flags)
{
	int ret = send_message(id, flags);

	expect(!ret, "send", ret);
}

int receive_ok(unsigned int kinds, uint64_t *token)
{
	int ret = receive_message(kinds, 0, token);

	expect(ret > 0, "receive", ret);
	return ret;
}

/* ---- senders and receivers -------------------------------------------- */

static void send_both(int a, int b)
{
	plan(2);
	send_ok(a, 0);
	send_ok(b, 0);
}

static void send_one(int id)
{
	plan(1);
	send_ok(id, 0);
}

void send_1(void) { send_one(1); }
void send_2(void) { send_one(2); }
void send_12(void) { send_both(1, 2); }
void send_13(void) { send_both(1, 3); }

void send_123(void)
{
	plan(3);
	send_ok(1, 0);
	send_ok(2, 0);
	send_ok(3, 0);
}

static void receive_n(int n)
{
	plan(n);
	while (n--)
		receive_ok(KIND_MSG, NULL);
}

void recv_1(void) { receive_n(1); }
void recv_2(void) { receive_n(2); }
void recv_3(void) { receive_n(3); }
void recv_4(void) { receive_n(4); }
void recv_5(void) { receive_n(5); }

/* Until the peer is dead. */
void recv_all(void)
{
	int ret;

	do {
		ret = receive_message(KIND_MSG, 0, NULL);
	} while (ret > 0);
	expect(ret == -EPIPE, "receive", ret);
}

/* One, or the news that none comes. */
void recv_1_if_any(void)
{
	int ret = receive_message(KIND_MSG, 0, NULL);

	expect(ret > 0 || ret == -EPIPE, "receive", ret);
}

/* If there is a receiver, without waiting for him. */
static void post(int id)
{
	int ret = send_message(id, SEND_NONBLOCK);

	if (ret) {
		expect(ret == -EAGAIN, "send", ret);
		send_ok(id, 0);
	}
}

void post_12(void)
{
	post(1);
	post(2);
}

void post_123(void)
{
	post_12();
	post(3);
}

/* Published, and no more asked for: less to interleave. */
static void push_n(int from, int step, int n)
{
	plan(n);
	for (; n--; from += step)
		send_ok(from, SEND_PUSH);
}

void push_1(void) { push_n(1, 1, 1); }
void push_2(void) { push_n(2, 1, 1); }
void push_3(void) { push_n(3, 1, 1); }
void push_12(void) { push_n(1, 1, 2); }
void push_13(void) { push_n(1, 2, 2); }
void push_24(void) { push_n(2, 2, 2); }
void push_2345(void) { push_n(2, 1, 4); }
void push_123(void) { push_n(1, 1, 3); }

/* ---- one slot, two threads --------------------------------------------- */

/* The second one goes where the first was, without a sleep. */
void push_1_then_2(void)
{
	plan(2);
	send_ok(1, SEND_PUSH);
	model_await(&world.mem[1].claims[0], sizeof(world.mem[1].claims[0]),
		    FOS_CLAIM(1, FOS_CLAIM_DONE), true);
	send_ok(2, SEND_PUSH);
}

/* Of another thread, that was decided; in its slot. */
void push_2_after_1(void)
{
	plan(1);
	model_await(&world.mem[1].claims[0], sizeof(world.mem[1].claims[0]),
		    FOS_CLAIM(0, FOS_CLAIM_DONE), false);
	send_ok(2, SEND_PUSH);
}

/* It may be his now, and never filled. */
void look_for_room(void)
{
	plan(1);
	look_for_slot();
	model_over();
}

const char *all_may_sleep(unsigned int asleep)
{
	(void)asleep;
	return NULL;
}

/* ---- giving up -------------------------------------------------------- */

static void send_late(int id)
{
	int ret = send_message(id, SEND_TIMED);

	expect(!ret || ret == -ETIMEDOUT, "send", ret);
}

void send_late_12(void)
{
	plan(2);
	send_late(1);
	send_late(2);
	hang_up();
}

void send_late_123(void)
{
	plan(3);
	send_late(1);
	send_late(2);
	send_late(3);
	hang_up();
}

void send_late_1(void)
{
	plan(1);
	send_late(1);
}

void send_too_late_1(void)
{
	int ret;

	plan(1);
	ret = send_message(1, SEND_LATE);
	expect(!ret || ret == -ETIMEDOUT, "send", ret);
}

/* Either takes one message or leaves; then another one looks. */
void recv_late(void)
{
	int ret = receive_message(KIND_MSG, RECV_TIMED, NULL);

	expect(ret > 0 || ret == -ETIMEDOUT || ret == -EPIPE, "receive", ret);
}

void recv_late_then_all(void)
{
	recv_late();
	recv_all();
}

void send_1_hang_up(void)
{
	plan(1);
	send_ok(1, 0);
	hang_up();
}

void send_12_hang_up(void)
{
	plan(2);
	send_ok(1, 0);
	send_ok(2, 0);
	hang_up();
}

void recv_until_2(void)
{
	while (receive_ok(KIND_MSG, NULL) != 2)
		;
}

static void try_one(int id)
{
	int ret = send_message(id, SEND_NONBLOCK);

	expect(!ret || ret == -EAGAIN, "send", ret);
}

void try_1(void) { try_one(1); }

void try_12(void)
{
	try_one(1);
	try_one(2);
}

/* What was promised to a receiver was taken before he left. */
const char *none_is_left(unsigned int asleep)
{
	if (world.message[1].outcome == MAYBE && !world.message[1].taken)
		return "a message was sent to one who left";
	return asleep ? "a thread sleeps for ever" : NULL;
}

void recv_late_twice(void)
{
	recv_late();
	recv_late();
}

/* ---- nobody there ----------------------------------------------------- */

void leave_then_send(void)
{
	recv_late();
	send_ok(3, 0);
}

void try_after_3(void)
{
	int ret;

	receive_ok(KIND_MSG, NULL);
	ret = send_message(1, SEND_NONBLOCK);
	expect(ret == -EAGAIN, "send to nobody", ret);
}

/* ---- death ------------------------------------------------------------ */

/* The peer may be dead: then the rest is not sent. */
static void send_while_alive(int from, int to)
{
	int id, ret;

	for (id = from; id <= to; id++) {
		ret = send_message(id, 0);
		expect(!ret || ret == -EPIPE, "send", ret);
		if (ret)
			return;
	}
	expect(false, "send to a dead peer", ret);
}

void send_to_mortal(void)
{
	send_while_alive(1, 4);
}

void call_mortal(void)
{
	int ret = call_peer(1, 0);

	if (!ret)
		ret = call_peer(2, 0);
	expect(!ret || ret == -EPIPE || ret == -ECONNRESET, "call", ret);
	if (!ret)
		expect(world.message[2].replied, "call without a reply", ret);
}

void recv_2_hang_up(void)
{
	receive_ok(KIND_MSG, NULL);
	receive_ok(KIND_MSG, NULL);
	hang_up();
}

void post_12_hang_up(void)
{
	post_12();
	hang_up();
}

void serve_2_hang_up(void)
{
	serve_2();
	hang_up();
}

void call_12_hang_up(void)
{
	call_12();
	hang_up();
}

/* ---- refusal ---------------------------------------------------------- */

#define TOO_LONG	(MESSAGES - 1)

void send_too_long(void)
{
	int ret;

	plan(1);
	ret = send_message(TOO_LONG, 0);
	expect(ret == -EMSGSIZE, "send of a long one", ret);
}

/* It may come after the receiver has had all that he wants. */
const char *long_one_may_sleep(unsigned int asleep)
{
	return (asleep & ~2U) || (asleep && world.message[TOO_LONG].refused) ?
	       "a thread sleeps for ever" : NULL;
}

void send_too_long_1(void)
{
	int ret;

	plan(2);
	ret = send_message(TOO_LONG, 0);
	expect(ret == -EMSGSIZE, "send of a long one", ret);
	send_ok(1, 0);
}

void recv_refuse_1(void)
{
	int ret = receive_message(KIND_MSG, RECV_REFUSES, NULL);

	expect(ret > 0, "receive", ret);
}

void recv_refuse_2(void)
{
	recv_refuse_1();
	recv_refuse_1();
}

/* ---- blocks ----------------------------------------------------------- */

void send_area_123(void)
{
	plan(3);
	send_ok(1, SEND_AREA);
	send_ok(2, SEND_AREA);
	send_ok(3, SEND_AREA);
}

void send_area_12(void)
{
	plan(2);
	send_ok(1, SEND_AREA);
	send_ok(2, SEND_AREA);
}

void send_area_1_push_23(void)
{
	plan(3);
	send_ok(1, SEND_AREA);
	send_ok(2, SEND_PUSH);
	send_ok(3, SEND_PUSH);
}

void send_area_1_then_2(void)
{
	plan(2);
	send_ok(1, SEND_AREA);
	send_ok(2, 0);
}

/* ---- poll ------------------------------------------------------------- */

static int drain(void)
{
	int ret, n = 0;

	while ((ret = receive_message(KIND_MSG, RECV_NONBLOCK, NULL)) >= 0)
		n++;
	expect(ret == -EAGAIN, "receive", ret);
	return n;
}

/* Edge-triggered: asked once, then drained without a trap. */
static void poll_until(int last)
{
	int n = 0;

	epoll_add(FOS_WANT_PUBLISHED);
	while (n < last) {
		epoll_wait_edge();
		n += drain();
	}
}

/* By a queue: its entries are read, and then what they tell of is looked at. */
static void queue_until(int last)
{
	uint64_t read = 0;
	int n = 0;

	queue_join();
	while (n < last) {
		queue_wait(read + 1);
		read = queue_read(read);
		if (broken == BREAK_QUEUE_HEAD)
			n += drain();
		queue_advance(read);
		if (broken != BREAK_QUEUE_HEAD)
			n += drain();
	}
}

void queue_2(void) { queue_until(2); }
void queue_3(void) { queue_until(3); }

void poll_2(void) { poll_until(2); }
void poll_3(void) { poll_until(3); }

void poll_to_send(void)
{
	int ret;

	epoll_add(FOS_WANT_TAKE | FOS_WANT_ROOM | FOS_WANT_CLAIMS |
		  FOS_WANT_RECEIVER);
	while ((ret = send_message(1, SEND_NONBLOCK))) {
		expect(ret == -EAGAIN, "send", ret);
		epoll_wait_edge();
	}
}
