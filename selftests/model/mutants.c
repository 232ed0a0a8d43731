// SPDX-License-Identifier: GPL-2.0-only
/* Does the model notice when a site is changed, or a step is left out? */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern struct model_site __start_model_sites[], __stop_model_sites[];

/* ---- what may be done to a site --------------------------------------- */

static const char *const orders[] = {
	[__ATOMIC_RELAXED] = "relaxed", [__ATOMIC_CONSUME] = "consume",
	[__ATOMIC_ACQUIRE] = "acquire", [__ATOMIC_RELEASE] = "release",
	[__ATOMIC_ACQ_REL] = "acq_rel", [__ATOMIC_SEQ_CST] = "seq_cst",
};

static const char *const ops[] = {
	[MODEL_LOAD] = "load", [MODEL_STORE] = "store",
	[MODEL_RMW] = "change", [MODEL_CAS] = "exchange",
};

/**
 * struct mutant - a change to a site, and to its copies in other objects
 * @site: one of them
 * @change: enum model_change
 * @weaker: order
 */
struct mutant {
	struct model_site *site;
	int change;
	int weaker;
};

#define MUTANTS_MAX	256

static struct mutant mutants[MUTANTS_MAX];
static int nmutants;

static bool is_ours(const struct model_site *s)
{
	return strstr(s->file, "lib/ring.");
}

static const char *file_of(const struct model_site *s)
{
	return strrchr(s->file, '/') + 1;
}

/* An inline function's is in every object that calls it. */
static bool is_copy(const struct model_site *a, const struct model_site *b)
{
	return a->line == b->line && a->op == b->op && a->order == b->order &&
	       !strcmp(a->what, b->what) && !strcmp(file_of(a), file_of(b));
}

static void add_mutant(struct model_site *s, int change, int weaker)
{
	if (nmutants == MUTANTS_MAX) {
		fputs("model: too many mutants\n", stderr);
		exit(2);
	}
	mutants[nmutants++] = (struct mutant) { s, change, weaker };
}

/* One step weaker in each way, and left out. */
static void add_mutants_of(struct model_site *s)
{
	switch (s->order) {
	case __ATOMIC_SEQ_CST:
		add_mutant(s, MODEL_WEAKEN,
			   s->op == MODEL_STORE ? __ATOMIC_RELEASE :
			   s->op == MODEL_LOAD ? __ATOMIC_ACQUIRE :
			   __ATOMIC_ACQ_REL);
		break;
	case __ATOMIC_ACQ_REL:
		add_mutant(s, MODEL_WEAKEN, __ATOMIC_ACQUIRE);
		add_mutant(s, MODEL_WEAKEN, __ATOMIC_RELEASE);
		break;
	case __ATOMIC_ACQUIRE:
	case __ATOMIC_RELEASE:
		add_mutant(s, MODEL_WEAKEN, __ATOMIC_RELAXED);
		break;
	}
	if (s->op == MODEL_CAS && s->order_fail != __ATOMIC_RELAXED)
		add_mutant(s, MODEL_WEAKEN_FAIL, __ATOMIC_RELAXED);
	if (s->op != MODEL_LOAD)
		add_mutant(s, MODEL_DROP, 0);
	if (s->op == MODEL_CAS)
		add_mutant(s, MODEL_BLIND, 0);
}

static bool is_first_copy(const struct model_site *s)
{
	const struct model_site *o;

	for (o = __start_model_sites; o < s; o++)
		if (is_copy(o, s))
			return false;
	return true;
}

static void find_mutants(void)
{
	struct model_site *s;

	for (s = __start_model_sites; s < __stop_model_sites; s++)
		if (is_ours(s) && is_first_copy(s))
			add_mutants_of(s);
}

static void make(const struct mutant *m, int change)
{
	struct model_site *s;

	for (s = __start_model_sites; s < __stop_model_sites; s++) {
		if (!is_copy(s, m->site))
			continue;
		s->change = change;
		s->weaker = m->weaker;
	}
}

/* For people and for the list below: the line is not part of it. */
static void mutant_name(const struct mutant *m, char *buf, size_t n)
{
	const struct model_site *s = m->site;
	const bool fails = m->change == MODEL_WEAKEN_FAIL;
	int at;

	at = snprintf(buf, n, "%s(): %s of %s ", s->func, ops[s->op], s->what);
	if (m->change == MODEL_DROP)
		snprintf(buf + at, n - at, "left out");
	else if (m->change == MODEL_BLIND)
		snprintf(buf + at, n - at, "without comparing");
	else
		snprintf(buf + at, n - at, "%s%s->%s",
			 fails ? "that fails " : "",
			 orders[fails ? s->order_fail : s->order],
			 orders[m->weaker]);
}

/* ---- what need not be noticed ----------------------------------------- */

/**
 * struct harmless - a change that the protocol survives
 * @name: as mutant_name() says
 * @why: it is written as it is nevertheless
 */
static const struct harmless {
	const char *name;
	const char *why;
} harmless[] = {
	{ "jump_head(): exchange of &r->head without comparing",
	  "a head that was put back costs steps of a scan" },
	{ "move_head(): exchange of &r->head without comparing",
	  "a head that was put back costs steps of a scan" },
	{ "fos_ring_reserve(): exchange of &r->tail acq_rel->release",
	  "the tail was acquired when it was loaded" },
	{ "fos_ring_withdraw(): exchange of claim acq_rel->release",
	  "it replaces what was acquired when the slot was found free" },
	{ "fos_ring_reserve(): store of (&r->free_to) left out",
	  "everyone counts the free slots by himself then" },
};

static const char *why_harmless(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (!strcmp(harmless[i].name, name))
			return harmless[i].why;
	return NULL;
}

/* ---- does it notice? -------------------------------------------------- */

/* States of each configuration. */
#define FIRST_LOOK	10000

static bool caught_within(uint64_t max_states, bool *truncated, char *by,
			  size_t n)
{
	struct model_result res;
	int i;

	*truncated = false;
	for (i = 0; i < nconfigs; i++) {
		if (!is_wanted(&configs[i]))
			continue;
		explore(&configs[i], max_states, args.show, &res);
		*truncated |= res.truncated;
		if (!res.failed || res.truncated)
			continue;
		snprintf(by, n, "%s: %s (%llu states)", configs[i].name,
			 res.why, (unsigned long long)res.states);
		return true;
	}
	return false;
}

/* Most are seen soon, somewhere: look a little everywhere, then more. */
static bool caught(char *by, size_t n)
{
	bool truncated, last;
	uint64_t max;

	for (max = FIRST_LOOK; ; max *= 10) {
		last = args.max_states && max >= args.max_states;
		if (caught_within(last ? args.max_states : max, &truncated, by, n))
			return true;
		if (last || !truncated)
			return false;
	}
}

static bool matches(const char *name, const char *which)
{
	return !strcmp(which, "all") || strstr(name, which);
}

/* What is known to be harmless is tried with the long configurations only. */
static void try_mutant(const struct mutant *m)
{
	char by[300] = "", name[200], line[600];
	const char *why;
	bool seen = false;

	mutant_name(m, name, sizeof(name));
	why = why_harmless(name);
	if (!why || args.level > QUICK) {
		make(m, m->change);
		seen = caught(by, sizeof(by));
		make(m, MODEL_AS_IS);
	}
	printf("# %s:%d %s%s\n", file_of(m->site), m->site->line,
	       seen ? "noticed by " : why ? "harmless: " : "NOT NOTICED",
	       seen ? by : why ? why : "");
	snprintf(line, sizeof(line), "%s%s", name,
		 !why ? "" : args.level > QUICK ? " (harmless)" :
		 " # SKIP harmless, tried with --full");
	report(seen == !why, line);
}

static bool is_chosen(const struct mutant *m, const char *which)
{
	char name[200];

	mutant_name(m, name, sizeof(name));
	return matches(name, which);
}

static void plan_or_leave(int n, const char *what, const char *which)
{
	if (!n) {
		fprintf(stderr, "model: no %s matches \"%s\"\n", what, which);
		exit(2);
	}
	printf("1..%d\n", n);
}

void run_mutants(const char *which)
{
	int i, n = 0;

	find_mutants();
	for (i = 0; i < nmutants; i++)
		n += is_chosen(&mutants[i], which);
	plan_or_leave(n, "site", which);
	for (i = 0; i < nmutants; i++)
		if (is_chosen(&mutants[i], which))
			try_mutant(&mutants[i]);
}

void run_breaks(const char *which)
{
	char by[300];
	int i, n = 0;
	bool ok;

	for (i = 1; i < BREAKS; i++)
		n += matches(break_names[i], which);
	plan_or_leave(n, "step", which);
	for (i = 1; i < BREAKS; i++) {
		if (!matches(break_names[i], which))
			continue;
		broken = i;
		ok = caught(by, sizeof(by));
		printf("# %s%s\n", ok ? "noticed by " : "NOT NOTICED",
		       ok ? by : "");
		report(ok, break_names[i]);
	}
}

void list_sites(void)
{
	struct model_site *s;

	for (s = __start_model_sites; s < __stop_model_sites; s++)
		if (is_ours(s) && is_first_copy(s))
			printf("# %s:%d %s(): %s of %s, %s%s\n", file_of(s),
			       s->line, s->func, ops[s->op], s->what,
			       orders[s->order],
			       s->reached ? "" : ": not reached");
}
