// SPDX-License-Identifier: GPL-2.0-only
/*
 * model: all interleavings of lib/ring.c in small configurations, and a check
 * that it notices when an order is weakened or a step is left out.
 */
#include "check.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct args args;

static int tests, failures;

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

void explore(const struct config *c, uint64_t max_states, bool show,
	     struct model_result *res)
{
	struct model_world w;

	running = c->name;
	model_x86 = args.x86 || c->x86;
	world_begin(c, &w);
	model_explore(&w, max_states, show, res);
	progress_over();
}

bool is_wanted(const struct config *c)
{
	if (args.config)
		return !strcmp(args.config, c->name);
	/* To notice something, none need be explored to its end. */
	if (args.mutants || args.broken)
		return c->level < SOAK;
	return c->level <= args.level;
}

void report(bool ok, const char *what)
{
	printf("%sok %d %s\n", ok ? "" : "not ", ++tests, what);
	failures += !ok;
	fflush(stdout);
}

static void run_config(const struct config *c, struct model_result *sum)
{
	struct model_result res;
	char what[200];

	explore(c, args.max_states, args.show, &res);
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

static void config_or_leave(void)
{
	int i;

	if (!args.config)
		return;
	for (i = 0; i < nconfigs; i++)
		if (!strcmp(args.config, configs[i].name))
			return;
	fprintf(stderr, "model: no configuration \"%s\"; see --list\n",
		args.config);
	exit(2);
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

static void list(void)
{
	static const char *const levels[] = { "", " (--full)", " (--soak)" };
	int i;

	for (i = 0; i < nconfigs; i++)
		printf("%-24s %s%s\n", configs[i].name, configs[i].what,
		       levels[configs[i].level]);
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
	config_or_leave();
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
