// SPDX-License-Identifier: MIT
/*
 * A client and a server that wait for each other: who sleeps makes the other's
 * wait longer.  Policies that average what they see of waits stay asleep.
 */
#include "wait.h"

struct side {
	struct wait_state state;
	uint64_t began;		/* its wait */
	uint64_t late;		/* how long it took to wake up for the last one */
};

/* It waits until @at; when it goes on. */
static uint64_t side_waits(const struct wait_policy *p, struct side *side,
			   const struct side *peer, uint64_t at,
			   struct wait_bill *bill)
{
	const uint64_t ns = at > side->began ? at - side->began : 0;
	const uint64_t woken = side->began +
			       wait_until(p, &side->state, ns, peer->late, bill);

	side->late = woken - (side->began + ns);
	return woken;
}

const struct wait_kind wait_kinds[WAIT_KINDS] = {
	{ "pair", "who sleeps is 1.2 B late", 1.2, 0 },
	{ "pair-thinks", "the same; between two requests the client takes 10 B",
	  1.2, 10 },
	{ "pair-slow", "the same, and who sleeps is 2 B late", 2, 10 },
	{ "pair-late", "who sleeps is 8 B late, as beside others who want the "
	  "CPU; the client takes 10 B", 8, 10 },
};

void wait_pair(const struct wait_policy *p, const struct wait_kind *kind,
	       uint64_t wake_ns, struct wait_pair *pair)
{
	struct side client = { .began = 0 }, server = { .began = 0 };
	uint64_t now = 0, asked;
	size_t slept = 0;

	*pair = (struct wait_pair) { 0 };
	wait_begin(p, &client.state, wake_ns);
	wait_begin(p, &server.state, wake_ns);
	client.state.late_ns = kind->late * wake_ns;
	server.state.late_ns = client.state.late_ns;
	for (size_t i = 0; i < PAIR_LONG + PAIR_SHORT; i++) {
		if (i == PAIR_LONG + PAIR_SHORT - PAIR_END)
			slept = pair->bill.slept;
		asked = now;
		client.began = asked;
		now = side_waits(p, &server, &client, asked, &pair->bill);
		now += i < PAIR_LONG ? 3 * wake_ns : wake_ns / 25;
		server.began = now;
		now = side_waits(p, &client, &server, now, &pair->bill);
		pair->ns += now - asked;
		now += kind->think * wake_ns;
	}
	pair->ns /= PAIR_LONG + PAIR_SHORT;
	pair->in_the_end = pair->bill.slept - slept;
}
