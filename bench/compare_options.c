// SPDX-License-Identifier: MIT
/* The options of every command that compares engines. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define ICOUNT_ITERS	300

enum {
	O_COUNTS = 256, O_HOG, O_ICOUNT, O_LEAD, O_LIST, O_PLOT, O_REQUIRE,
	O_SERVICE, O_TIME
};

static const struct argp_option options[] = {
	{ "engines", 'e', "NAME,...", 0, "only these (default: all)", 0 },
	{ "rounds", 'r', "N", 0, "every engine runs so often, in turn "
	  "(default: 5; with --icount 3)", 0 },
	{ "iters", 'n', "N", 0, "round trips, or batches, a run (default: as "
	  "many as fit into --time)", 0 },
	{ "time", O_TIME, "MS", 0, "of a run, in ms (default: 50; tlb: 20)",
	  0 },
	{ "json", 'j', "FILE", 0, "write the figures to FILE as well", 0 },
	{ "plot", O_PLOT, "FILE", 0, "draw the figures into FILE, a .png or "
	  ".svg, with gnuplot", 0 },
	{ "icount", O_ICOUNT, NULL, 0, "this is a QEMU -icount guest, where a "
	  "nanosecond is an instruction: count instructions", 0 },
	{ "counts", O_COUNTS, NULL, 0, "show counts and no times: for several "
	  "emulated CPUs, which run when the host lets them", 0 },
	{ "require-fastos", O_REQUIRE, NULL, 0, "fail where the module of "
	  "fastos is absent", 0 },
	{ "list", O_LIST, NULL, 0, "tell the engines and stop", 0 },
	{ 0 }
};

static const struct argp_option sides_options[] = {
	{ "cpus", 'c', "C,S", 0, "CPUs of client and server, as 0,0 or 0,1; "
	  "may be repeated (default: both of these)", 0 },
	{ "hog", O_HOG, NULL, 0, "beside a process that never sleeps, on the "
	  "client's CPU; what passes counts, not what is used", 0 },
	{ "service", O_SERVICE, "US,...", 0, "the server works so long for "
	  "each request, one of these in no pattern; part of the figures "
	  "(default: not at all)", 0 },
	{ "lead", O_LEAD, "MS", 0, "CPU time that the server has used before "
	  "it serves, in ms; 0 makes twins, which Linux before 6.6 treats "
	  "unlike other pairs (default: 2 on one CPU, 4 on two, 8 on 8)", 0 },
	{ 0 }
};

static void list_engines(const struct ipc_options *opt)
{
	for (const struct ipc_engine *const *e = opt->engines; *e; e++)
		printf("%-22s %s\n", (*e)->name, (*e)->what);
}

void parse_sizes(struct argp_state *state, const char *what, char *arg,
		 size_t min, size_t max)
{
	struct ipc_options *opt = state->input;
	char *save, *word = strtok_r(arg, ",", &save);

	opt->sizes = 0;
	for (; word; word = strtok_r(NULL, ",", &save)) {
		if (opt->sizes == MAX_SIZES)
			argp_error(state, "%s: more than %d", what, MAX_SIZES);
		opt->size[opt->sizes++] = parse_number(state, word, what, min,
						       max);
	}
}

static void parse_engines(struct argp_state *state, char *arg)
{
	struct ipc_options *opt = state->input;
	char *save, *word = strtok_r(arg, ",", &save);

	memset(opt->engine, 0, sizeof(opt->engine));
	for (; word; word = strtok_r(NULL, ",", &save)) {
		size_t i = 0;

		while (opt->engines[i] && strcmp(opt->engines[i]->name, word))
			i++;
		if (!opt->engines[i])
			argp_error(state, "no engine %s; see --list", word);
		opt->engine[i] = true;
	}
}

static void add_pair(struct argp_state *state, struct ipc_options *opt,
		     int client, int server)
{
	if (opt->pairs == MAX_PAIRS)
		argp_error(state, "more than %d pairs of CPUs", MAX_PAIRS);
	opt->pair[opt->pairs][CLIENT] = client;
	opt->pair[opt->pairs++][SERVER] = server;
}

void parse_cpus(struct argp_state *state, struct ipc_options *opt, const char *arg)
{
	int cpu[SIDES];

	parse_pair(state, arg, cpu);
	add_pair(state, opt, cpu[CLIENT], cpu[SERVER]);
}

/* Twice what CFS wants of a lead before it preempts. */
static uint64_t default_lead(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t ms = 2;

	for (long n = 2; n <= cpus && n <= 8; n *= 2)
		ms += 2;
	return ms;
}

/* The same CPU; and two, if we may use two. */
void default_pairs(struct argp_state *state, struct ipc_options *opt)
{
	int cpu[SIDES];

	first_pair(cpu);
	add_pair(state, opt, cpu[CLIENT], cpu[CLIENT]);
	if (cpu[SERVER] != cpu[CLIENT])
		add_pair(state, opt, cpu[CLIENT], cpu[SERVER]);
}

static void check_plot(struct argp_state *state, const char *file)
{
	char why[WHY_LEN];

	if (plot_check(file, why))
		argp_failure(state, 1, 0, "--plot: %s", why);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ipc_options *opt = state->input;

	switch (key) {
	case 'e':
		parse_engines(state, arg);
		break;
	case 'r':
		opt->rounds = parse_number(state, arg, "--rounds", 1,
					   MAX_ROUNDS);
		break;
	case 'n':
		opt->iters = parse_number(state, arg, "--iters", 1, 1ULL << 40);
		opt->bytes = 0;
		break;
	case 'j':
		opt->json = arg;
		break;
	case O_PLOT:
		check_plot(state, arg);
		opt->plot = arg;
		break;
	case O_TIME:
		opt->time_ms = parse_number(state, arg, "--time", 1, 3600000);
		break;
	case O_ICOUNT:
		opt->icount = true;
		break;
	case O_COUNTS:
		opt->counts = true;
		break;
	case O_REQUIRE:
		opt->require_fastos = true;
		break;
	case O_LIST:
		list_engines(opt);
		exit(0);
	case ARGP_KEY_END:
		if (!opt->rounds)
			opt->rounds = opt->icount ? 3 : 5;
		if (opt->icount && !opt->iters)
			opt->iters = ICOUNT_ITERS;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp compare_argp = {
	.options = options,
	.parser = parse,
};

static error_t parse_sides(int key, char *arg, struct argp_state *state)
{
	struct ipc_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		opt->lead_ms = default_lead();
		state->child_inputs[0] = opt;
		break;
	case 'c':
		parse_cpus(state, opt, arg);
		break;
	case O_HOG:
		opt->hog = true;
		break;
	case O_SERVICE:
		parse_services(state, arg, &opt->services);
		break;
	case O_LEAD:
		opt->lead_ms = parse_number(state, arg, "--lead", 0, 1000);
		break;
	case ARGP_KEY_END:
		if (!opt->pairs)
			default_pairs(state, opt);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child sides_children[] = {
	{ .argp = &compare_argp },
	{ 0 }
};

const struct argp sides_argp = {
	.options = sides_options,
	.parser = parse_sides,
	.children = sides_children,
};

void compare_defaults(struct ipc_options *opt,
		      const struct ipc_engine *const *list)
{
	opt->engines = list;
	for (size_t i = 0; list[i]; i++)
		opt->engine[i] = true;
	opt->depth = 1;
	opt->time_ms = 50;
}
