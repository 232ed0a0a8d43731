// SPDX-License-Identifier: GPL-2.0-only
/* The weak memory: messages, views, and the choices that a load has. */
#include "state.h"

#include <stdio.h>
#include <string.h>

/* More than these without a choice: a loop that nothing ends. */
#define ACCESSES_MAX	100000

struct msg memory[MODEL_LOCS][MODEL_MSGS];
bool model_x86;

struct loc locs[MODEL_LOCS];
int nlocs;
/* By word of the world: 0 not met, 1 not a location, else number + 2. */
static uint8_t loc_of[16384 / 4];

#define NOT_MET		0
#define DIRECT		1

void join(struct view *to, const struct view *from)
{
	int i;

	for (i = 0; i < VIEW_WIDTH; i++)
		if (to->at[i] < from->at[i])
			to->at[i] = from->at[i];
}

static bool acquires(int order)
{
	return order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL ||
	       order == __ATOMIC_SEQ_CST;
}

static bool releases(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL ||
	       order == __ATOMIC_SEQ_CST;
}

void memory_init(void)
{
	memset(loc_of, NOT_MET, sizeof(loc_of));
	memset(memory, 0, sizeof(memory));
	nlocs = 0;
}

static uint64_t read_word(const void *p, unsigned int size)
{
	return size == 8 ? *(const uint64_t *)p : *(const uint32_t *)p;
}

static void write_word(void *p, unsigned int size, uint64_t value)
{
	if (size == 8)
		*(uint64_t *)p = value;
	else
		*(uint32_t *)p = value;
}

/* What one thread alone uses, or nobody writes, needs no model. */
static int new_location(const void *p, unsigned int size)
{
	const unsigned int users = world_ops->users(p);
	const unsigned int writers = world_ops->writers(p);

	if (!writers || !(users & (users - 1)))
		return -1;
	if (nlocs == MODEL_LOCS)
		bound_hit("too many locations");
	locs[nlocs].initial = read_word(p, size);
	locs[nlocs].writers = writers;
	locs[nlocs].users = users;
	locs[nlocs].awaited = world_ops->awaited(p);
	locs[nlocs].planned = world_ops->planned(p);
	return nlocs++;
}

static int find_location(const void *p, unsigned int size)
{
	const size_t at = (const char *)p - (const char *)world_ops->base;
	uint8_t *known = &loc_of[at / 4];

	if (at >= world_ops->bytes || at / 4 >= sizeof(loc_of))
		model_fail("access outside of the shared memory");
	if (++accesses > ACCESSES_MAX)
		model_fail("a thread goes round in circles");
	if (*known == NOT_MET)
		*known = new_location(p, size) + 2;
	return *known - 2;
}

/* Numbers outlive a restored state in which they were not given yet. */
void begin_location(int loc)
{
	if (now.messages[loc])
		return;
	now.messages[loc] = 1;
	memory[loc][0] = (struct msg) { .value = locs[loc].initial };
}

static int order_of(struct model_site *site, int order)
{
	site->reached = 1;
	return site->change == MODEL_WEAKEN ? site->weaker : order;
}

static const char *order_name(int order)
{
	static const char *const names[] = {
		[__ATOMIC_RELAXED] = "relaxed", [__ATOMIC_CONSUME] = "consume",
		[__ATOMIC_ACQUIRE] = "acquire", [__ATOMIC_RELEASE] = "release",
		[__ATOMIC_ACQ_REL] = "acq_rel", [__ATOMIC_SEQ_CST] = "seq_cst",
	};

	return names[order];
}

static void show_access(const char *what, const void *p, uint64_t value,
			int i, int n, int order,
			const struct model_site *site)
{
	const char *file = strrchr(site->file, '/');
	char name[64];

	if (!showing)
		return;
	world_ops->name(p, name, sizeof(name));
	model_note("%-6s %-22s %#-8llx %d/%d %-8s %s:%d %s", what, name,
		   (unsigned long long)value, i + 1, n, order_name(order),
		   file ? file + 1 : site->file, site->line, site->func);
}

/* ---- fences ----------------------------------------------------------- */

/* Fences are executed in an order that the search chooses. */
void model_fence(void)
{
	struct thread *t = &now.thread[model_self];

	yield_as(AT_FENCE);
	join(&t->cur, &t->acq);
	join(&now.sc, &t->cur);
	t->cur = now.sc;
	t->rel = t->cur;
	model_note("fence");
}

/*
 * So are sequentially consistent accesses.  In C11 they order nothing but each
 * other: what one reads of its own location is no older than what such a store
 * put there before it, or than what a fence before it has seen.  On x86 a store
 * or read-modify-write is locked, an access and a fence at once, and a load is
 * any load.
 */
static void begin_ordered(int loc, int order, bool stores)
{
	struct thread *t = &now.thread[model_self];

	if (order != __ATOMIC_SEQ_CST || (model_x86 && !stores))
		return;
	yield_as(AT_FENCE);
	if (model_x86)
		join(&t->cur, &now.sc);
	else if (t->cur.at[loc] < now.sc.at[loc])
		t->cur.at[loc] = now.sc.at[loc];
}

static void end_ordered(int loc, int order)
{
	const struct thread *t = &now.thread[model_self];

	if (order != __ATOMIC_SEQ_CST)
		return;
	if (model_x86)
		join(&now.sc, &t->cur);
	else if (now.sc.at[loc] < t->cur.at[loc])
		now.sc.at[loc] = t->cur.at[loc];
}

/* ---- reading ---------------------------------------------------------- */

unsigned int memory_writers(int loc)
{
	unsigned int bits = locs[loc].writers & live_threads();
	int t;

	for (t = 0; locs[loc].planned && t < world_ops->threads; t++)
		if (now.thread[t].over)
			bits &= ~(1U << t);
	return bits;
}

/* Could another thread store a further message? */
static bool may_change(int loc)
{
	return memory_writers(loc) & ~(1U << model_self);
}

static void decline(int loc)
{
	int i;

	for (i = 0; i < now.messages[loc]; i++)
		memory[loc][i].declined |= 1U << model_self;
}

static void undecline(int loc)
{
	int i;

	for (i = 0; i < now.messages[loc]; i++)
		memory[loc][i].declined &= ~(1U << model_self);
}

static bool is_free_behind(int loc, int i)
{
	return i + 1 == now.messages[loc] || !memory[loc][i + 1].rmw;
}

/* Of a compare-and-exchange: what it would do with this message. */
struct compare {
	uint64_t expected;
	uint64_t mask;
	bool blind;
};

static bool would_store(const struct compare *c, const struct msg *m)
{
	return !c || c->blind || (m->value & c->mask) == c->expected;
}

/* The messages that may be chosen, the newest first. */
static int options_of(int loc, bool stores, const struct compare *c,
		      uint8_t *options)
{
	int i, n = 0;

	for (i = now.messages[loc] - 1;
	     i >= now.thread[model_self].cur.at[loc]; i--) {
		if (memory[loc][i].declined & (1U << model_self))
			continue;
		if (stores && would_store(c, &memory[loc][i]) &&
		    !is_free_behind(loc, i))
			continue;
		options[n++] = i;
	}
	return n;
}

/*
 * Choose a message.  @stores: it will be replaced, so its place must be free;
 * with @c only if it compares equal.  @may_wait: or wait for a newer one.
 */
static int pick(int loc, bool stores, const struct compare *c, bool may_wait)
{
	uint8_t options[MODEL_MSGS];
	int n, chosen;

	begin_location(loc);
	for (;;) {
		n = options_of(loc, stores, c, options);
		chosen = 0;
		if (n + (may_wait && may_change(loc)) > 1) {
			/* Now, so that these numbers hold afterwards. */
			memory_trim();
			n = options_of(loc, stores, c, options);
			chosen = model_choose(n + (may_wait &&
						   may_change(loc)));
		}
		if (chosen < n)
			break;
		decline(loc);
		now.thread[model_self].on = loc;
		yield_as(DECLINED);
	}
	undecline(loc);
	return options[chosen];
}

static void learn(int loc, int i, int order)
{
	struct thread *t = &now.thread[model_self];
	const struct msg *m = &memory[loc][i];

	if (t->cur.at[loc] < i)
		t->cur.at[loc] = i;
	if (acquires(order))
		join(&t->cur, &m->view);
	else
		join(&t->acq, &m->view);
}

uint64_t model_load(const void *p, unsigned int size, int order,
		    struct model_site *site)
{
	const int loc = find_location(p, size);
	int i;

	if (loc < 0)
		return read_word(p, size);
	order = order_of(site, order);
	begin_ordered(loc, order, false);
	i = pick(loc, false, NULL, locs[loc].awaited &&
		 (model_x86 || order != __ATOMIC_SEQ_CST));
	learn(loc, i, order);
	show_access("load", p, memory[loc][i].value, i, now.messages[loc],
		    order, site);
	return memory[loc][i].value;
}

/* ---- writing ---------------------------------------------------------- */

static void make_place(struct view *v, int loc, int at)
{
	if (v->at[loc] >= at)
		v->at[loc]++;
}

static void shift_views(int loc, int at)
{
	int i, l;

	for (i = 0; i < MODEL_THREADS; i++) {
		make_place(&now.thread[i].cur, loc, at);
		make_place(&now.thread[i].acq, loc, at);
		make_place(&now.thread[i].rel, loc, at);
		make_place(&now.thread[i].wake, loc, at);
	}
	make_place(&now.sc, loc, at);
	for (i = 0; i < MODEL_LOCKS; i++)
		make_place(&now.lock[i].view, loc, at);
	for (l = 0; l < nlocs; l++)
		for (i = 0; i < now.messages[l]; i++)
			make_place(&memory[l][i].view, loc, at);
}

/* A message at place @at; @read: the one whose release sequence goes on. */
static void insert(int loc, int at, uint64_t value, int order,
		   const struct msg *read)
{
	struct thread *t = &now.thread[model_self];
	struct msg m = { .value = value, .rmw = !!read };
	int i, n = now.messages[loc];

	if (locs[loc].planned && t->over)
		model_fail("a store that was not planned");
	if (n == MODEL_MSGS)
		bound_hit("too many messages");
	if (read)
		m.view = read->view;
	if (at < n) {
		shift_views(loc, at);
		make_place(&m.view, loc, at);
		memmove(&memory[loc][at + 1], &memory[loc][at],
			(n - at) * sizeof(m));
	}
	now.messages[loc]++;
	t->cur.at[loc] = at;
	join(&m.view, releases(order) ? &t->cur : &t->rel);
	m.view.at[loc] = at;
	memory[loc][at] = m;
	for (i = 0; i < world_ops->threads; i++)
		if ((now.thread[i].status == DECLINED ||
		     now.thread[i].status == AWAITING) &&
		    now.thread[i].on == loc)
			now.thread[i].status = RUNNABLE;
}

/* The places in the order of all stores to this location, the last first. */
static int places_of(int loc, uint8_t *places)
{
	int at, n = 0;

	for (at = now.messages[loc];
	     at > now.thread[model_self].cur.at[loc]; at--)
		if (is_free_behind(loc, at - 1))
			places[n++] = at;
	return n;
}

static int pick_place(int loc)
{
	uint8_t places[MODEL_MSGS + 1];
	int chosen = 0;

	if (places_of(loc, places) > 1) {
		memory_trim();
		chosen = model_choose(places_of(loc, places));
	}
	return places[chosen];
}

void model_store(void *p, unsigned int size, uint64_t value, int order,
		 struct model_site *site)
{
	const int loc = find_location(p, size);
	int at;

	if (loc < 0) {
		if (site->change != MODEL_DROP)
			write_word(p, size, value);
		return;
	}
	order = order_of(site, order);
	world_ops->before_store();
	begin_ordered(loc, order, true);
	if (site->change != MODEL_DROP) {
		begin_location(loc);
		at = pick_place(loc);
		insert(loc, at, value, order, NULL);
		show_access("store", p, value, at, now.messages[loc], order,
			    site);
	}
	end_ordered(loc, order);
}

static void replace(void *p, int loc, int i, uint64_t value, int order,
		    struct model_site *site)
{
	const struct msg read = memory[loc][i];

	learn(loc, i, order);
	if (site->change != MODEL_DROP)
		insert(loc, i + 1, value, order, &read);
	show_access("change", p, value, i + 1, now.messages[loc], order, site);
	end_ordered(loc, order);
}

static uint64_t mask_of(unsigned int size)
{
	return size == 8 ? ~0ULL : 0xffffffffULL;
}

uint64_t model_rmw(void *p, unsigned int size, uint64_t keep, uint64_t add,
		   int order, struct model_site *site)
{
	const int loc = find_location(p, size);
	uint64_t old;
	int i;

	if (loc < 0) {
		old = read_word(p, size);
		if (site->change != MODEL_DROP)
			write_word(p, size, (old & keep) + add);
		return old;
	}
	order = order_of(site, order);
	world_ops->before_store();
	begin_ordered(loc, order, true);
	i = pick(loc, true, NULL, order != __ATOMIC_SEQ_CST);
	old = memory[loc][i].value;
	replace(p, loc, i, ((old & keep) + add) & mask_of(size), order, site);
	return old;
}

bool model_cas(void *p, unsigned int size, void *expected, uint64_t desired,
	       int order, int order_fail, struct model_site *site)
{
	const struct compare c = {
		.expected = read_word(expected, size),
		.mask = mask_of(size),
		.blind = site->change == MODEL_BLIND,
	};
	const int loc = find_location(p, size);
	uint64_t old;
	int i;

	if (loc < 0) {
		old = read_word(p, size);
		if (old == c.expected && site->change != MODEL_DROP)
			write_word(p, size, desired);
		write_word(expected, size, old);
		return old == c.expected;
	}
	order = order_of(site, order);
	world_ops->before_store();
	begin_ordered(loc, order, true);
	i = pick(loc, true, &c, order != __ATOMIC_SEQ_CST);
	old = memory[loc][i].value;
	if (would_store(&c, &memory[loc][i])) {
		replace(p, loc, i, desired, order, site);
		return true;
	}
	if (site->change == MODEL_WEAKEN_FAIL)
		order_fail = site->weaker;
	learn(loc, i, order_fail);
	show_access("differ", p, old, i, now.messages[loc], order_fail, site);
	write_word(expected, size, old);
	return false;
}

uint64_t model_final(const uint64_t *p)
{
	const int loc = find_location(p, sizeof(*p));

	if (loc < 0)
		return *p;
	begin_location(loc);
	return memory[loc][now.messages[loc] - 1].value;
}

/* ---- locks ------------------------------------------------------------ */

void model_lock(int lock)
{
	struct lock *l = &now.lock[lock];

	now.thread[model_self].on = lock;
	yield_as(AT_LOCK);
	l->held = 1;
	join(&now.thread[model_self].cur, &l->view);
	model_note("lock %d", lock);
}

void model_unlock(int lock)
{
	struct lock *l = &now.lock[lock];

	model_note("unlock %d", lock);
	l->held = 0;
	l->view = now.thread[model_self].cur;
}

void model_await(const void *p, unsigned int size, uint64_t value, bool equal)
{
	const int loc = find_location(p, size);
	struct thread *t = &now.thread[model_self];
	bool same;
	int i;

	if (loc < 0)
		return;
	begin_location(loc);
	for (;;) {
		for (i = t->cur.at[loc]; i < now.messages[loc]; i++) {
			same = memory[loc][i].value == value;
			if (same == equal) {
				learn(loc, i, __ATOMIC_RELAXED);
				return;
			}
		}
		t->on = loc;
		yield_as(AWAITING);
	}
}

/* ---- clocks ----------------------------------------------------------- */

uint8_t model_tick(void)
{
	return ++now.thread[model_self].cur.at[CLOCK(model_self)];
}

bool model_knows(int thread, uint8_t time)
{
	return now.thread[model_self].cur.at[CLOCK(thread)] >= time;
}
