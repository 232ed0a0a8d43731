// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two states are equal if they differ in their past only: so forget what nobody
 * can read any more, and count from there; and of what a message tells its
 * reader, what all who may read it know already.
 */
#include "state.h"

#include <string.h>

static void lower(struct view *v, int loc, int by)
{
	v->at[loc] = v->at[loc] > by ? v->at[loc] - by : 0;
}

static void forget(int loc, int n)
{
	int i, l;

	now.messages[loc] -= n;
	memmove(memory[loc], memory[loc] + n,
		now.messages[loc] * sizeof(struct msg));
	for (i = 0; i < MODEL_THREADS; i++) {
		lower(&now.thread[i].cur, loc, n);
		lower(&now.thread[i].acq, loc, n);
		lower(&now.thread[i].rel, loc, n);
		lower(&now.thread[i].wake, loc, n);
	}
	lower(&now.sc, loc, n);
	for (i = 0; i < MODEL_LOCKS; i++)
		lower(&now.lock[i].view, loc, n);
	for (l = 0; l < nlocs; l++)
		for (i = 0; i < now.messages[l]; i++)
			lower(&memory[l][i].view, loc, n);
}

/* What all of @threads know already tells none of them anything. */
static void forget_known(struct view *v, unsigned int threads)
{
	struct view known;
	int i, t;

	if (!threads) {
		memset(v, 0, sizeof(*v));
		return;
	}
	t = __builtin_ctz(threads);
	known = now.thread[t].cur;
	for (threads &= threads - 1; threads; threads &= threads - 1) {
		t = __builtin_ctz(threads);
		for (i = 0; i < VIEW_WIDTH; i++)
			if (known.at[i] > now.thread[t].cur.at[i])
				known.at[i] = now.thread[t].cur.at[i];
	}
	for (i = 0; i < VIEW_WIDTH; i++)
		v->at[i] &= -(v->at[i] > known.at[i]);
}

/* Threads that may still read message @i. */
static unsigned int readers_of(int loc, int i, unsigned int live)
{
	unsigned int bits = 0;
	int t;

	for (t = 0; t < world_ops->threads; t++)
		if (now.thread[t].cur.at[loc] <= i)
			bits |= 1U << t;
	return bits & live & locs[loc].users;
}

static void forget_views(unsigned int live)
{
	int loc, i, t;

	for (loc = 0; loc < nlocs; loc++)
		for (i = 0; i < now.messages[loc]; i++)
			forget_known(&memory[loc][i].view,
				     readers_of(loc, i, live));
	for (i = 0; i < MODEL_LOCKS; i++)
		forget_known(&now.lock[i].view, live);
	forget_known(&now.sc, live);
	for (t = 0; t < world_ops->threads; t++) {
		if (!(live & (1U << t)))
			continue;
		forget_known(&now.thread[t].acq, 1U << t);
		forget_known(&now.thread[t].wake, 1U << t);
		forget_known(&now.thread[t].rel, live & ~(1U << t));
	}
}

static int oldest_seen(int loc, unsigned int threads)
{
	int oldest = MODEL_MSGS;

	for (; threads; threads &= threads - 1)
		if (now.thread[__builtin_ctz(threads)].cur.at[loc] < oldest)
			oldest = now.thread[__builtin_ctz(threads)].cur.at[loc];
	return oldest;
}

void memory_trim(void)
{
	const unsigned int live = live_threads();
	int loc, n;

	for (loc = 0; loc < nlocs && live; loc++) {
		begin_location(loc);
		n = oldest_seen(loc, live & locs[loc].users);
		if (n >= now.messages[loc])
			n = now.messages[loc] - 1;
		/* Nothing goes before the oldest one. */
		if (n) {
			forget(loc, n);
			memory[loc][0].rmw = 0;
		}
	}
	forget_views(live);
}
