// SPDX-License-Identifier: GPL-2.0-only
/* The channel, who may write which of its words, and what is checked. */
#include "world.h"

#include <stdio.h>
#include <string.h>

struct world world __attribute__((aligned(64)));
const struct config *config;
const struct sleeper *sleeper = &kernel_sleeper;
enum broken broken;

const char *const break_names[BREAKS] = {
	[BREAK_NOTHING] = "nothing",
	[BREAK_RECHECK] = "sleep without looking again",
	[BREAK_FENCE] = "sleep without a fence",
	[BREAK_WAKE_NEXT] = "leave a message behind without waking the next",
	[BREAK_LAST_LOOK] = "release a reply before the last look for it",
	[BREAK_WAKE_ALL] = "die without telling the peer",
	[BREAK_WITHDRAW] = "withdraw what was taken",
	[BREAK_DEATH_FIRST] = "report death before looking for messages",
	[BREAK_SUM] = "sleep on replies that were not looked at",
	[BREAK_FORGET] = "take a request while the one before it is answered",
	[BREAK_LATE_REPLY] = "give up without a look for a late reply",
	[BREAK_QUEUE_FENCE] = "look for the sleepers of a queue before posting",
	[BREAK_QUEUE_HEAD] = "look at an endpoint before its entry counts as read",
};

/* ---- which word is whose ---------------------------------------------- */

#define IN(p, field)	((const char *)(p) >= (const char *)&(field) && \
			 (const char *)(p) < (const char *)(&(field) + 1))

static unsigned int threads_of(int side)
{
	unsigned int bits = 0;
	int t;

	for (t = 0; config->side[t] >= 0; t++)
		if (config->side[t] == side)
			bits |= 1U << t;
	return bits;
}

static unsigned int everyone(void)
{
	return threads_of(0) | threads_of(1);
}

/* What is the same in all messages, in most configurations. */
static bool is_of_entry(const struct control *c, const void *p)
{
	int slot;

	for (slot = 0; slot < DEPTH; slot++)
		if (IN(p, c->entries[slot].token) ||
		    IN(p, c->entries[slot].meta))
			return true;
	return false;
}

/*
 * None: plain memory.  That is for constants, and for what is written but never
 * asked for in this configuration.
 */
static unsigned int writers(const void *p)
{
	int s;

	for (s = 0; s < 2; s++) {
		const struct control *c = &world.mem[s];
		const struct fos_ring *r = &world.ring[s];

		if (IN(p, c->need_wakeup) ||
		    (IN(p, c->claims) && config->withdraws))
			return everyone();
		if (IN(p, c->armed))
			return config->polls & (1U << s) ? threads_of(s) : 0;
		if (IN(p, c->state) || IN(p, c->kstate))
			return config->dies ? threads_of(s) : 0;
		if ((is_of_entry(c, p) && !config->varied) ||
		    (IN(p, c->line.receivers) && !config->posts))
			return 0;
		if (IN(p, *c))
			return threads_of(s);
		if (IN(p, r->m) || IN(p, r->mask) ||
		    (IN(p, r->awaited) && !config->refuses))
			return 0;
		if (IN(p, *r) || IN(p, world.owed[s]) ||
		    IN(p, world.queue[s].head) || IN(p, world.queue[s].asleep))
			return threads_of(s);
		if (IN(p, world.queue[s]))
			return everyone();
	}
	return 0;
}

static unsigned int users(const void *p)
{
	int s;

	for (s = 0; s < 2; s++)
		if (IN(p, world.ring[s]) || IN(p, world.owed[s]))
			return threads_of(s);
	return everyone();
}

/*
 * What is read of an entry could be what it is overwritten with only if its
 * claim fails then, or else the clocks tell; so that is tried where two threads
 * receive, and elsewhere not waited for.
 */
static bool awaited(const void *p)
{
	int s, slot;

	for (s = 0; s < 2 && !config->torn; s++)
		for (slot = 0; slot < DEPTH; slot++) {
			const struct fos_entry *e =
				&world.mem[s].entries[slot];

			if (IN(p, *e) && !IN(p, e->seq))
				return false;
			e = &world.mem[s].replies[slot];
			if (IN(p, *e) && !IN(p, e->seq))
				return false;
		}
	return true;
}

/* Words that change only when a message is sent or taken. */
static bool planned(const void *p)
{
	int s;

	for (s = 0; s < 2; s++) {
		const struct control *c = &world.mem[s];
		const struct fos_ring *r = &world.ring[s];

		if (IN(p, c->line.events) || IN(p, c->entries) ||
		    IN(p, r->tail) || IN(p, r->free_to) ||
		    IN(p, r->head) ||
		    (IN(p, c->area) && !config->area_replies) ||
		    (IN(p, c->claims) && !config->withdraws))
			return true;
	}
	return false;
}

static void entry_name(const char *what, const struct fos_entry *e,
		       const void *p, char *buf, size_t n)
{
	const size_t i = ((const char *)p - (const char *)e) / sizeof(*e);
	const struct fos_entry *at = e + i;
	const char *field = "body";

	if (IN(p, at->seq))
		field = "seq";
	else if (IN(p, at->token))
		field = "token";
	else if (IN(p, at->len))
		field = "len";
	else if (IN(p, at->meta))
		field = "meta";
	snprintf(buf, n, "%s[%zu].%s", what, i, field);
}

static void control_name(const struct control *c, const void *p, char *buf,
			 size_t n)
{
	if (IN(p, c->line.events))
		snprintf(buf, n, "events");
	else if (IN(p, c->line.receivers))
		snprintf(buf, n, "receivers");
	else if (IN(p, c->entries))
		entry_name("entries", c->entries, p, buf, n);
	else if (IN(p, c->replies))
		entry_name("replies", c->replies, p, buf, n);
	else if (IN(p, c->released))
		snprintf(buf, n, "released[%td]",
			 (const uint64_t *)p - c->released);
	else if (IN(p, c->returned))
		snprintf(buf, n, "returned[%td]",
			 (const uint64_t *)p - c->returned);
	else if (IN(p, c->claims))
		snprintf(buf, n, "claims[%td]",
			 (const uint64_t *)p - c->claims);
	else if (IN(p, c->area))
		snprintf(buf, n, "area+%td", (const uint8_t *)p - c->area);
	else if (IN(p, c->need_wakeup))
		snprintf(buf, n, "need_wakeup");
	else if (IN(p, c->armed))
		snprintf(buf, n, "armed");
	else if (IN(p, c->state))
		snprintf(buf, n, "state");
	else
		snprintf(buf, n, "kstate");
}

static void ring_name(const struct fos_ring *r, const void *p, char *buf,
		      size_t n)
{
	if (IN(p, r->tail))
		snprintf(buf, n, "tail");
	else if (IN(p, r->free_to))
		snprintf(buf, n, "free_to");
	else if (IN(p, r->awaited))
		snprintf(buf, n, "awaited[%td]",
			 (const uint64_t *)p - r->awaited);
	else
		snprintf(buf, n, "head");
}

static void name(const void *p, char *buf, size_t n)
{
	int s;

	for (s = 0; s < 2; s++) {
		snprintf(buf, n, "%c.", "AB"[s]);
		if (IN(p, world.mem[s]))
			control_name(&world.mem[s], p, buf + 2, n - 2);
		else if (IN(p, world.ring[s]))
			ring_name(&world.ring[s], p, buf + 2, n - 2);
		else if (IN(p, world.owed[s]))
			snprintf(buf + 2, n - 2, "owed[%td]",
				 (const uint64_t *)p - world.owed[s].token);
		else
			continue;
		return;
	}
	snprintf(buf, n, "?");
}

/* ---- beginning -------------------------------------------------------- */

static void init_side(int s)
{
	struct control *mine = &world.mem[s];
	struct control *peer = &world.mem[!s];
	const struct fos_ring_mem m = {
		.my_line = &mine->line,
		.my_entries = mine->entries,
		.my_replies = mine->replies,
		.my_released = mine->released,
		.my_returned = mine->returned,
		.my_claims = mine->claims,
		.my_area = mine->area,
		.my_wants = &mine->need_wakeup,
		.my_state = &mine->state,
		.peer_line = &peer->line,
		.peer_entries = peer->entries,
		.peer_replies = peer->replies,
		.peer_released = peer->released,
		.peer_returned = peer->returned,
		.peer_claims = peer->claims,
		.peer_area = peer->area,
		.peer_wants = &peer->need_wakeup,
		.peer_armed = &peer->armed,
		.peer_state = &peer->state,
		.depth = the_depth(),
		.area_bytes = sizeof(mine->area),
	};
	uint32_t slot;

	for (slot = 0; slot < the_depth(); slot++)
		mine->claims[slot] = FOS_CLAIM(slot, FOS_CLAIM_DONE);
	fos_ring_init(&world.ring[s], &m);
}

static void init(void)
{
	init_side(0);
	init_side(1);
}

static void body(int thread)
{
	config->body[thread]();
}

static void before_store(void)
{
	if ((config->mortal & (1U << model_self)) &&
	    !world.in_kernel[model_self] && model_choose(2))
		thread_dies();
}

_Noreturn void thread_dies(void)
{
	model_note("killed");
	world.dead[my_side()] = 1;
	sleeper->die(my_side());
	model_exit();
}

void plan(int n)
{
	world.left[model_self] = n;
}

void one_of_plan(void)
{
	if (world.left[model_self] && !--world.left[model_self])
		model_over();
}

/* ---- checks ----------------------------------------------------------- */

void reading_begins(int what, bool taken)
{
	world.reading[model_self][what] = (struct reading) {
		.tick = taken ? READS : model_tick(),
	};
}

void reading_is_over(int what)
{
	world.reading[model_self][what].tick = model_tick();
}

void reading_counts(int what, bool won)
{
	struct reading *r = &world.reading[model_self][what];

	if (!won)
		*r = (struct reading) { 0 };
	else if (r->overwritten)
		model_fail("overwritten while it was read");
	else
		r->won = 1;
}

/* Is there a thread of the peer that may still be reading it? */
static bool is_read(int what, struct reading **which)
{
	struct reading *r;
	int t;

	*which = NULL;
	for (t = 0; config->side[t] >= 0; t++) {
		if (config->side[t] == my_side())
			continue;
		r = &world.reading[t][what];
		if (r->tick && (r->tick == READS || !model_knows(t, r->tick))) {
			*which = r;
			if (r->won)
				return true;
		} else {
			*r = (struct reading) { 0 };
		}
	}
	return false;
}

void writing_begins(int what)
{
	struct reading *r;

	if (is_read(what, &r))
		model_fail("overwritten before its reading was over");
	if (r)
		r->overwritten = 1;
}

bool fate_is_known(int what)
{
	struct reading *r;

	return !is_read(what, &r);
}

static const char *check_message(int id, const struct message *m,
				 unsigned int asleep)
{
	static char why[100];
	const char *wrong = NULL;
	const uint64_t word = model_final(
		&world.mem[!config->side[m->thread]].claims[m->seq % the_depth()]);
	const bool sender_died = world.dead[config->side[m->thread]];
	const bool taker_died = world.dead[!config->side[m->thread]];

	if (m->taken > 1)
		wrong = "was taken twice";
	else if (m->outcome == UNDELIVERED && m->taken)
		wrong = "was taken, but its sender was told that it was not";
	else if (m->outcome == UNWANTED && !m->refused)
		wrong = "was said to be refused, but was not";
	else if (m->outcome != UNWANTED && m->refused)
		wrong = "was refused, but its sender was not told";
	else if (m->outcome == SENT && !m->taken && !m->refused && !taker_died)
		wrong = "was said to be taken, but was not";
	else if (m->counted && m->outcome == UNKNOWN && !sender_died &&
		 !(asleep & (1U << m->thread)))
		wrong = "has no fate";
	else if (m->outcome == MAYBE && !m->taken && !m->refused &&
		 !taker_died && FOS_CLAIM_SEQ(word) >= m->seq)
		wrong = "is not there any more, but nobody took it";
	else if (m->replied && m->stale)
		wrong = "had a reply that was read, but was said to be stale";
	else if (m->replied && !m->answered)
		wrong = "had a reply that nobody wrote";
	else if (m->answered && !m->stale && !m->replied && !m->given_back &&
		 !(config->mortal && (sender_died || taker_died)))
		wrong = "had a reply that passes for taken, but nobody read it";
	else if (m->counted && sender_died && m->outcome == UNKNOWN &&
		 !m->taken && !taker_died)
		wrong = "was published before a death, but not taken";
	if (!wrong)
		return NULL;
	snprintf(why, sizeof(why), "message %d %s", id, wrong);
	return why;
}

static const char *at_end(unsigned int asleep)
{
	static char why[100];
	const char *wrong;
	int id;

	for (id = 1; id < MESSAGES; id++) {
		wrong = check_message(id, &world.message[id], asleep);
		if (wrong)
			return wrong;
	}
	if (config->at_end)
		return config->at_end(asleep);
	if (!asleep)
		return NULL;
	snprintf(why, sizeof(why), "threads sleep for ever: %#x", asleep);
	return why;
}

void world_begin(const struct config *c, struct model_world *w)
{
	config = c;
	*w = (struct model_world) {
		.base = &world,
		.bytes = sizeof(world),
		.body = body,
		.init = init,
		.writers = writers,
		.users = users,
		.awaited = awaited,
		.planned = planned,
		.name = name,
		.at_end = at_end,
		.before_store = before_store,
	};
	while (c->side[w->threads] >= 0)
		w->threads++;
}
