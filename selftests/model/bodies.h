/* SPDX-License-Identifier: GPL-2.0-only */
/* What threads do, for the list in configs.c. */
#ifndef FOS_MODEL_BODIES_H
#define FOS_MODEL_BODIES_H

#include "world.h"

/* Or the execution has failed. */
void expect(bool ok, const char *what, int ret);
void send_ok(int id, unsigned int flags);
/* Return: the message's number. */
int receive_ok(unsigned int kinds, uint64_t *token);

void send_1(void);
void send_2(void);
void send_12(void);
void send_13(void);
void send_123(void);
void recv_1(void);
void recv_2(void);
void recv_3(void);
void push_2345(void);
void recv_4(void);
void recv_5(void);
void send_too_long(void);
void recv_all(void);
void recv_1_if_any(void);
void post_12(void);
void post_123(void);
void push_1(void);
void push_2(void);
void push_3(void);
void push_12(void);
void push_13(void);
void push_24(void);
void push_123(void);
void send_late_12(void);
void send_late_123(void);
void send_late_1(void);
void recv_late(void);
void recv_late_then_all(void);
void send_1_hang_up(void);
void send_12_hang_up(void);
void recv_until_2(void);
void try_1(void);
void try_12(void);
void recv_late_twice(void);
void call_1(void);
void call_2(void);
void call_12(void);
void call_1_recv_2(void);
void serve_1_send_2(void);
void call_late_1_recv_2(void);
void recv_either(void);
void push_request_1(void);
void call_late_then_again(void);
void call_late_12(void);
void push_of_each_kind(void);
void serve_call(void);
void recv_request(void);
void call_late_then_2(void);
void call_too_late_twice(void);
void serve_first(void);
void serve_second(void);
void serve_2(void);
void serve_1(void);
void serve_all(void);
void call_late_then_send(void);
void reply_too_late(void);
void leave_then_send(void);
void try_after_3(void);
void send_to_mortal(void);
void call_mortal(void);
void recv_2_hang_up(void);
void post_12_hang_up(void);
void serve_2_hang_up(void);
void call_12_hang_up(void);
void send_too_long_1(void);
void recv_refuse_1(void);
void recv_refuse_2(void);
void send_area_123(void);
void send_area_12(void);
void send_area_1_push_23(void);
void send_area_1_then_2(void);
void push_1_then_2(void);
void push_2_after_1(void);
void send_too_late_1(void);
void look_for_room(void);
void queue_2(void);
void queue_3(void);
void poll_2(void);
void poll_3(void);
void poll_to_send(void);

/* Checks at the end, see struct config. */
const char *none_is_left(unsigned int asleep);
const char *all_may_sleep(unsigned int asleep);
const char *servers_may_sleep(unsigned int asleep);
const char *last_may_sleep(unsigned int asleep);
const char *long_one_may_sleep(unsigned int asleep);

#endif
