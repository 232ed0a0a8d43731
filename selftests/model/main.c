// SPDX-License-Identifier: GPL-2.0-only
/*
 * model: all interleavings of lib/ring.c in small configurations, and a check
 * that it notices when an order is weakened or a step is left out.
 */
#include "world.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern struct model_site __start_model_sites[], __stop_model_sites[];

static struct {
	const char *config;
	const char *mutants;
	const char *site;
	const char *broken;
	int level;
	bool sites;
	bool list;
	bool show;
	bool x86;
	uint64_t max_states;
} args;

static int tests, failures;

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

static bool is_ours(const struct model_site *s)
{
	return strstr(s->file, "lib/");
}

static void add_weaker(struct model_site *s, int order,
		       struct model_mutant *m, int *n)
{
	m[(*n)++] = (struct model_mutant) {
		.site = s, .change = MODEL_WEAKEN, .order = order,
	};
}

/* One step weaker in each way, and left out. */
static int mutants_of(struct model_site *s, struct model_mutant m[4])
{
	int n = 0;

	switch (s->order) {
	case __ATOMIC_SEQ_CST:
		add_weaker(s, s->op == MODEL_STORE ? __ATOMIC_RELEASE :
			   s->op == MODEL_LOAD ? __ATOMIC_ACQUIRE :
			   __ATOMIC_ACQ_REL, m, &n);
		break;
	case __ATOMIC_ACQ_REL:
		add_weaker(s, __ATOMIC_ACQUIRE, m, &n);
		add_weaker(s, __ATOMIC_RELEASE, m, &n);
		break;
	case __ATOMIC_ACQUIRE:
	case __ATOMIC_RELEASE:
		add_weaker(s, __ATOMIC_RELAXED, m, &n);
		break;
	}
	if (s->op != MODEL_LOAD)
		m[n++] = (struct model_mutant) {
			.site = s, .change = MODEL_DROP,
		};
	if (s->op == MODEL_CAS)
		m[n++] = (struct model_mutant) {
			.site = s, .change = MODEL_BLIND,
		};
	return n;
}

static void site_name(const struct model_site *s, char *buf, size_t n)
{
	const char *file = strrchr(s->file, '/');

	snprintf(buf, n, "%s:%d:%s", file ? file + 1 : s->file, s->line,
		 s->func);
}

static void mutant_name(const struct model_mutant *m, char *buf, size_t n)
{
	char site[120];

	site_name(m->site, site, sizeof(site));
	if (m->change == MODEL_WEAKEN)
		snprintf(buf, n, "%s %s %s->%s", site, ops[m->site->op],
			 orders[m->site->order], orders[m->order]);
	else
		snprintf(buf, n, "%s %s %s", site, ops[m->site->op],
			 m->change == MODEL_DROP ? "dropped" :
			 "without comparing");
}

/* ---- running ---------------------------------------------------------- */

static const char *running;

static void progress(const struct model_result *res)
{
	static time_t last;
	const time_t t = time(NULL);

	if (t == last)
		return;
	last = t;
	fprintf(stderr, "\r\033[K%s: %llu states, depth %llu", running,
		(unsigned long long)res->states,
		(unsigned long long)res->depth);
}

static void progress_over(void)
{
	if (model_progress)
		fputs("\r\033[K", stderr);
}

static void explore(const struct config *c, bool show,
		    struct model_result *res)
{
	struct model_world w;

	running = c->name;
	model_x86 = args.x86 || c->x86;
	world_begin(c, &w);
	model_explore(&w, args.max_states, show, res);
	progress_over();
}

static bool is_wanted(const struct config *c)
{
	if (args.config)
		return !strcmp(args.config, c->name);
	return c->level <= args.level;
}

static void report(bool ok, const char *what)
{
	printf("%sok %d %s\n", ok ? "" : "not ", ++tests, what);
	failures += !ok;
	fflush(stdout);
}

static void run_config(const struct config *c, struct model_result *sum)
{
	struct model_result res;
	char what[200];

	explore(c, args.show, &res);
	printf("# %s: %llu states, %llu steps, %llu executions, depth %llu, %.1f s%s\n",
	       c->name, (unsigned long long)res.states,
	       (unsigned long long)res.steps, (unsigned long long)res.ends,
	       (unsigned long long)res.depth, res.seconds,
	       res.truncated ? ", TRUNCATED" : "");
	if (res.failed)
		printf("# %s: %s\n", c->name, res.why);
	snprintf(what, sizeof(what), "%s: %s", c->name, c->what);
	report(!res.failed && !res.truncated && res.states && res.ends, what);
	sum->states += res.states;
	sum->ends += res.ends;
	sum->seconds += res.seconds;
	sum->truncated |= res.truncated;
}

static void run_configs(void)
{
	struct model_result sum = { 0 };
	int i, n = 0;

	for (i = 0; i < nconfigs; i++)
		n += is_wanted(&configs[i]);
	printf("1..%d\n", n);
	for (i = 0; i < nconfigs; i++)
		if (is_wanted(&configs[i]))
			run_config(&configs[i], &sum);
	printf("# all: %llu states, %llu executions, %.1f s, %s\n",
	       (unsigned long long)sum.states, (unsigned long long)sum.ends,
	       sum.seconds, sum.truncated ? "TRUNCATED" : "complete");
}

/* ---- does it notice? -------------------------------------------------- */

static bool caught(char *by, size_t n)
{
	struct model_result res;
	int i;

	for (i = 0; i < nconfigs; i++) {
		if (!is_wanted(&configs[i]))
			continue;
		explore(&configs[i], args.show, &res);
		if (!res.failed)
			continue;
		snprintf(by, n, "%s: %s (%llu states)", configs[i].name,
			 res.why, (unsigned long long)res.states);
		return true;
	}
	return false;
}

static void try_mutant(const struct model_mutant *m)
{
	char by[300], name[200];
	bool ok;

	model_mutant = *m;
	ok = caught(by, sizeof(by));
	mutant_name(m, name, sizeof(name));
	if (ok)
		printf("# by %s\n", by);
	else
		printf("# SURVIVOR\n");
	report(ok, name);
	model_mutant = (struct model_mutant) { 0 };
}

static bool is_chosen(const struct model_mutant *m, const char *which)
{
	char name[200];

	mutant_name(m, name, sizeof(name));
	return !strcmp(which, "all") || strstr(name, which);
}

static int each_mutant(const char *which, void (*f)(const struct model_mutant *))
{
	struct model_site *s;
	struct model_mutant m[4];
	int i, n, found = 0;

	for (s = __start_model_sites; s < __stop_model_sites; s++) {
		if (!is_ours(s))
			continue;
		n = mutants_of(s, m);
		for (i = 0; i < n; i++) {
			if (!is_chosen(&m[i], which))
				continue;
			found++;
			if (f)
				f(&m[i]);
		}
	}
	return found;
}

static void run_mutants(const char *which)
{
	const int n = each_mutant(which, NULL);

	if (!n) {
		fprintf(stderr, "model: no site matches \"%s\"\n", which);
		exit(2);
	}
	printf("1..%d\n", n);
	each_mutant(which, try_mutant);
}

static void run_breaks(const char *which)
{
	const bool all = !strcmp(which, "all");
	char by[300];
	int i;
	bool ok;

	for (i = 1, tests = 0; i < BREAKS; i++)
		tests += all || strstr(break_names[i], which);
	if (!tests) {
		fprintf(stderr, "model: no step matches \"%s\"\n", which);
		exit(2);
	}
	printf("1..%d\n", tests);
	for (i = 1, tests = 0; i < BREAKS; i++) {
		if (!all && !strstr(break_names[i], which))
			continue;
		broken = i;
		ok = caught(by, sizeof(by));
		printf("# %s%s\n", ok ? "by " : "SURVIVOR", ok ? by : "");
		report(ok, break_names[i]);
	}
}

static void list(void)
{
	static const char *const levels[] = { "", " (--full)", " (--soak)" };
	int i;

	for (i = 0; i < nconfigs; i++)
		printf("%-24s %s%s\n", configs[i].name, configs[i].what,
		       levels[configs[i].level]);
}

/* After a run: which sites have been executed on shared memory? */
static void list_sites(void)
{
	struct model_site *s;
	char name[120];

	for (s = __start_model_sites; s < __stop_model_sites; s++) {
		if (!is_ours(s))
			continue;
		site_name(s, name, sizeof(name));
		printf("# site %-44s %-8s %-8s %s\n", name, ops[s->op],
		       orders[s->order], s->reached ? "" : "not reached");
	}
}

/* ---- options ---------------------------------------------------------- */

enum { OPT_QUICK = 256, OPT_FULL, OPT_SOAK, OPT_MAX, OPT_SITES };

static const struct argp_option options[] = {
	{ "quick", OPT_QUICK, NULL, 0,
	  "the configurations that take a moment (default)", 0 },
	{ "full", OPT_FULL, NULL, 0, "all that take minutes together", 0 },
	{ "soak", OPT_SOAK, NULL, 0, "all; hours, and gigabytes", 0 },
	{ "config", 'c', "NAME", 0, "this one only", 0 },
	{ "list", 'l', NULL, 0, "list the configurations", 0 },
	{ "sites", OPT_SITES, NULL, 0,
	  "afterwards, list the atomic accesses and whether they were reached",
	  0 },
	{ "mutate", 'm', "WHICH", 0,
	  "weaken one order, or leave out one access, at a time; \"all\", or "
	  "those whose name contains WHICH; ok means noticed", 0 },
	{ "break", 'b', "WHICH", 0,
	  "leave out one step of the kernel's or the library's at a time; "
	  "\"all\", or those whose name contains WHICH", 0 },
	{ "x86", 'x', NULL, 0,
	  "sequentially consistent stores are full fences, as on x86; C11 "
	  "promises less", 0 },
	{ "show", 's', NULL, 0, "print each failing execution", 0 },
	{ "max-states", OPT_MAX, "N", 0,
	  "stop a configuration there, as truncated", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_QUICK:
		args.level = QUICK;
		break;
	case OPT_FULL:
		args.level = FULL;
		break;
	case OPT_SOAK:
		args.level = SOAK;
		break;
	case 'c':
		args.config = arg;
		break;
	case 'l':
		args.list = true;
		break;
	case OPT_SITES:
		args.sites = true;
		break;
	case 'm':
		args.mutants = arg;
		break;
	case 'b':
		args.broken = arg;
		break;
	case 'x':
		args.x86 = true;
		break;
	case 's':
		args.show = true;
		break;
	case OPT_MAX:
		args.max_states = strtoull(arg, NULL, 0);
		break;
	case ARGP_KEY_ARG:
		argp_usage(state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse,
		.doc = "Explore all executions of lib/ring.c in small "
		       "configurations, on a weak memory.",
	};

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (args.list) {
		list();
		return 0;
	}
	if (isatty(STDERR_FILENO))
		model_progress = progress;
	if (args.mutants)
		run_mutants(args.mutants);
	else if (args.broken)
		run_breaks(args.broken);
	else
		run_configs();
	if (args.sites)
		list_sites();
	return failures ? 1 : 0;
}
