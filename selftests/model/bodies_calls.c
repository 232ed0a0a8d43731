// SPDX-License-Identifier: GPL-2.0-only
/* What the threads do: calls. */
#include "bodies.h"

static void call_ok(int id)
{
	int ret = call_peer(id, 0);

	expect(!ret, "call", ret);
}

static void call_until(int id, unsigned int flags)
{
	int ret = call_peer(id, flags);

	expect(!ret || ret == -ETIMEDOUT, "call", ret);
}

static void call_late(int id)
{
	call_until(id, SEND_TIMED);
}

void call_1(void)
{
	plan(1);
	call_ok(1);
}

void call_2(void)
{
	plan(1);
	call_ok(2);
}

void call_12(void)
{
	plan(2);
	call_ok(1);
	call_ok(2);
}

void call_late_then_again(void)
{
	plan(2);
	call_late(1);
	call_ok(2);
	hang_up();
}

void call_late_12(void)
{
	plan(2);
	call_late(1);
	call_late(2);
	hang_up();
}

void push_of_each_kind(void)
{
	plan(2);
	send_ok(1, SEND_PUSH);
	send_ok(2, SEND_PUSH | SEND_REQUEST);
}

static int serve_kinds(unsigned int kinds)
{
	uint64_t token;
	int id, ret;

	id = receive_message(kinds, 0, &token);
	if (id <= 0 || !token)
		return id;
	ret = reply_to(token, id);
	if (ret == -EPIPE)
		return ret;
	expect(!ret || ret == -ESTALE, "reply", ret);
	return id;
}

static int serve_one(void)
{
	return serve_kinds(KIND_MSG | KIND_CALL);
}

void serve_call(void)
{
	plan(1);
	serve_kinds(KIND_CALL);
}

/* A request that was withdrawn leaves a server without one. */
const char *servers_may_sleep(unsigned int asleep)
{
	return asleep & 1 ? "the caller sleeps for ever" : NULL;
}

void recv_request(void)
{
	uint64_t token;

	plan(1);
	receive_ok(KIND_CALL, &token);
}

void call_late_then_2(void)
{
	plan(2);
	call_late(1);
	call_ok(2);
}

void call_too_late_twice(void)
{
	plan(2);
	call_until(1, SEND_LATE);
	call_until(2, SEND_LATE);
}

/* Without a sleep: the request is there, or never was for long. */
static void serve_at(uint64_t seq)
{
	uint64_t token;
	int id, ret;

	model_await(&world.mem[0].entries[0].seq,
		    sizeof(world.mem[0].entries[0].seq), seq, true);
	id = receive_message(KIND_CALL, RECV_NONBLOCK, &token);
	if (id <= 0)
		return;
	ret = reply_to(token, id);
	expect(!ret || ret == -ESTALE, "reply", ret);
}

void serve_first(void) { serve_at(1); }
void serve_second(void) { serve_at(2); }

void serve_2(void)
{
	plan(2);
	serve_one();
	serve_one();
}

void serve_1(void)
{
	plan(1);
	serve_one();
}

void serve_all(void)
{
	int ret;

	do {
		ret = serve_one();
	} while (ret > 0);
	expect(ret == -EPIPE, "receive or reply", ret);
}

/* He has given up, or it was withdrawn, before he sends the message. */
void call_late_then_send(void)
{
	plan(2);
	call_late(1);
	send_ok(2, 0);
	hang_up();
}

void reply_too_late(void)
{
	uint64_t token, late = 0;
	int id, ret;

	do {
		id = receive_message(KIND_MSG | KIND_CALL, 0, &token);
		expect(id > 0, "receive", id);
		if (id == 1)
			late = token;
	} while (id != 2);
	if (!late)
		return;
	ret = reply_to(late, 1);
	expect(ret == -ESTALE || ret == -EPIPE, "late reply", ret);
}

/* The message needs the block that the reply lies in. */
void serve_1_send_2(void)
{
	plan(2);
	if (serve_one() > 0)
		send_ok(2, SEND_AREA);
}

void call_late_1_recv_2(void)
{
	plan(2);
	call_late(1);
	if (world.message[1].outcome == UNDELIVERED)
		hang_up();
	else
		receive_ok(KIND_MSG, NULL);
}

/* He takes a message or a request, whichever comes first. */
void recv_either(void)
{
	uint64_t token;

	plan(1);
	receive_ok(KIND_MSG | KIND_CALL, &token);
}

void push_request_1(void)
{
	plan(1);
	send_ok(1, SEND_PUSH | SEND_REQUEST);
}

/* The last thread, if the other one took the message. */
const char *last_may_sleep(unsigned int asleep)
{
	return (asleep & ~8U) || (asleep && !world.message[2].taken) ?
	       "a thread sleeps for ever" : NULL;
}

void call_1_recv_2(void)
{
	plan(2);
	call_ok(1);
	receive_ok(KIND_MSG, NULL);
}

