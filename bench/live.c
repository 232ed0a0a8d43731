// SPDX-License-Identifier: MIT
/*
 * fosbench live: the ways to wait, on this machine: latency and CPU time of calls whose
 * server works for a while, and whether the default is as good as the best way that
 * never changes.
 */
#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MAX_CASES	16
#define WAYS		4	/* the default first */

static const struct ipc_engine *const engines[] = {
	&ipc_fastos, &ipc_fastos_spin, &ipc_fastos_fixed, &ipc_fastos_block,
	&ipc_posix, &ipc_posix_spin, &ipc_posix_fixed, &ipc_posix_block, NULL
};

static const char *const backends[] = { "module", "posix" };

struct live_options {
	struct ipc_options ipc;
	struct services services[MAX_CASES];
	size_t cases;
	bool quiet;		/* not beside a hog */
	bool hog;
};

/* ---- options ---------------------------------------------------------- */

enum { O_SERVICE = 256, O_HOG, O_QUIET, O_TIME };

static const struct argp_option options[] = {
	{ "cpus", 'c', "C,S", 0, "CPUs of client and server; may be repeated "
	  "(default: the first, and the first two)", 0 },
	{ "service", O_SERVICE, "US,...", 0, "the server works so long for each "
	  "request, one of these in no pattern; may be repeated (default: 0, 2, "
	  "10, 50, and all of them mixed)", 0 },
	{ "hog", O_HOG, NULL, 0, "only beside a process that never sleeps, on "
	  "the client's CPU (default: without and with it)", 0 },
	{ "quiet", O_QUIET, NULL, 0, "only without it", 0 },
	{ "time", O_TIME, "MS", 0, "of a run, in ms (default: 100)", 0 },
	{ "rounds", 'r', "N", 0, "every way runs so often, in turn (default: 5)",
	  0 },
	{ "json", 'j', "FILE", 0, "write the figures to FILE as well", 0 },
	{ 0 }
};

static void add_services(struct argp_state *state, const char *arg)
{
	struct live_options *opt = state->input;

	if (opt->cases == MAX_CASES)
		argp_error(state, "more than %d cases", MAX_CASES);
	parse_services(state, arg, &opt->services[opt->cases++]);
}

static void complete(struct argp_state *state)
{
	static const char *const cases[] = { "0", "2", "10", "50", "0,2,10,50" };
	struct live_options *opt = state->input;

	if (!opt->cases) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
			add_services(state, cases[i]);
	}
	if (!opt->quiet && !opt->hog) {
		opt->quiet = true;
		opt->hog = true;
	}
	if (!opt->ipc.pairs)
		default_pairs(state, &opt->ipc);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct live_options *opt = state->input;

	switch (key) {
	case 'c':
		parse_cpus(state, &opt->ipc, arg);
		break;
	case O_SERVICE:
		add_services(state, arg);
		break;
	case O_HOG:
		opt->hog = true;
		break;
	case O_QUIET:
		opt->quiet = true;
		break;
	case O_TIME:
		opt->ipc.time_ms = parse_number(state, arg, "--time", 1, 60000);
		break;
	case 'r':
		opt->ipc.rounds = parse_number(state, arg, "--rounds", 1,
					       MAX_ROUNDS);
		break;
	case 'j':
		opt->ipc.json = arg;
		break;
	case ARGP_KEY_END:
		complete(state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "The ways to wait of a channel, live: the default, which learns, "
	       "beside those that never change: polling, polling for what a sleep "
	       "costs, and sleeping at once.\v"
	       "Under a CPU limit it runs as any other program. Exit status: 0; "
	       "1 if a way failed; 64 for a wrong option.",
};

/* ---- figures ---------------------------------------------------------- */

/* What a call of a round costs: the time that it takes and the CPU time of both, ns. */
static double cost(const struct row *row, unsigned int round)
{
	return row->round_mean[round] + row->round_cpu[CLIENT][round] +
	       row->round_cpu[SERVER][round];
}

static double cost_of_all(const struct row *row)
{
	double all[MAX_ROUNDS];

	if (row->status != RUN_OK)
		return NAN;
	for (unsigned int r = 0; r < row->rounds; r++)
		all[r] = cost(row, r);
	return middle(all, row->rounds);
}

/*
 * Of the default, against the best of the others: from round to round, for what the
 * machine does meanwhile hits both.
 */
static struct interval against_best(const struct row *way)
{
	const struct row *best = NULL;
	double ratio[MAX_ROUNDS];
	unsigned int rounds;

	for (size_t i = 1; i < WAYS; i++) {
		if (way[i].status == RUN_OK &&
		    (!best || cost_of_all(&way[i]) < cost_of_all(best)))
			best = &way[i];
	}
	if (!best || way->status != RUN_OK)
		return (struct interval) { NAN, NAN, NAN };
	rounds = way->rounds < best->rounds ? way->rounds : best->rounds;
	for (unsigned int r = 0; r < rounds; r++)
		ratio[r] = cost(way, r) / cost(best, r);
	return mean_ratio(ratio, rounds);
}

static void print_interval(const struct interval *cost)
{
	printf("   %.2fx", cost->is);
	if (!isnan(cost->low))
		printf(" (%.2f-%.2f)", cost->low, cost->high);
	printf("\n");
}

static const char *service_text(const struct services *s, char *buf, size_t len)
{
	size_t at = 0;

	for (unsigned int i = 0; i < s->n && at < len; i++)
		at += snprintf(buf + at, len - at, "%s%.4g", i ? "," : "",
			       s->ns[i] / 1e3);
	return buf;
}

static const char *figures_text(const struct row *row, char *buf, size_t len)
{
	text mean, cpu;

	if (row->status == RUN_OK)
		snprintf(buf, len, "%s/%s", text_us(row->mean, mean),
			 text_us(both_sides(row->cpu), cpu));
	else
		snprintf(buf, len, "-");
	return buf;
}

static void print_cell(const struct cell *cell)
{
	for (size_t b = 0; b < ARRAY_SIZE(backends); b++) {
		const struct row *way = &cell->row[b * WAYS];
		const struct interval cost = against_best(way);
		char buf[32];

		if (way->status == RUN_SKIPPED)
			continue;
		printf("  %-10s %-6s", service_text(&cell->opt->services, buf,
						    sizeof(buf)), backends[b]);
		for (size_t i = 0; i < WAYS; i++)
			printf(" %13s", figures_text(&way[i], buf, sizeof(buf)));
		print_interval(&cost);
	}
}

static json_t *cell_json(const struct cell *cell)
{
	json_t *ways = json_array(), *costs = json_object();
	char buf[64];

	for (size_t i = 0; i < cell->rows; i++) {
		const struct row *row = &cell->row[i];

		if (row->status == RUN_OK)
			json_array_append_new(ways, json_pack(
				"{s:s, s:o, s:o, s:o}", "engine", row->e->name,
				"mean", json_num(row->mean), "p99",
				json_num(row->p99), "cpu",
				json_num(both_sides(row->cpu))));
	}
	for (size_t b = 0; b < ARRAY_SIZE(backends); b++) {
		const struct interval cost = against_best(&cell->row[b * WAYS]);

		json_object_set_new(costs, backends[b],
				    json_pack("{s:o, s:o, s:o}", "is",
					      json_num(cost.is), "low",
					      json_num(cost.low), "high",
					      json_num(cost.high)));
	}
	return json_pack("{s:[i,i], s:b, s:s, s:o, s:o}", "cpus",
			 cell->cpu[CLIENT], cell->cpu[SERVER], "hog",
			 cell->opt->hog, "service_us",
			 service_text(&cell->opt->services, buf, sizeof(buf)),
			 "ways", ways, "cost_of_the_default", costs);
}

/* ---- the course ------------------------------------------------------- */

static int measure(struct cell *cell, const struct ipc_options *opt,
		   const int cpu[SIDES], struct run_result *res)
{
	int status = 0;

	memset(cell, 0, sizeof(*cell));
	memcpy(cell->cpu, cpu, sizeof(cell->cpu));
	cell->size = 8;
	for (size_t i = 0; engines[i]; i++)
		cell_add(cell, engines[i], opt);
	cell_measure(cell, opt, res);
	for (size_t i = 0; i < cell->rows; i++) {
		const struct row *row = &cell->row[i];

		if (row->status != RUN_FAILED)
			continue;
		fprintf(stderr, "fosbench: %s: %s\n", row->e->name, row->why);
		status = 1;
	}
	return status;
}

static void print_title_of(const int cpu[SIDES], bool hog)
{
	char relation[64];

	machine_relation(cpu, relation, sizeof(relation));
	printf("\nCPUs %d and %d: %s%s\n", cpu[CLIENT], cpu[SERVER], relation,
	       hog ? ", beside a process that never sleeps" : "");
	printf("  %-10s %-6s %13s %13s %13s %13s   %s\n", "service us", "on",
	       "default", "spin", "fixed", "block", "cost of the default");
}

static int run_all(struct live_options *opt, json_t *list,
		   struct run_result *res)
{
	struct cell *cell = malloc(sizeof(*cell));
	int status = !cell;

	for (int hog = !opt->quiet; cell && hog <= opt->hog; hog++) {
		for (size_t p = 0; p < opt->ipc.pairs; p++) {
			print_title_of(opt->ipc.pair[p], hog);
			for (size_t i = 0; i < opt->cases; i++) {
				opt->ipc.hog = hog;
				opt->ipc.services = opt->services[i];
				status |= measure(cell, &opt->ipc,
						  opt->ipc.pair[p], res);
				print_cell(cell);
				fflush(stdout);
				json_array_append_new(list, cell_json(cell));
			}
		}
	}
	free(cell);
	return status;
}

static int run_live(struct live_options *opt, FILE *json)
{
	const size_t steps = opt->ipc.pairs * opt->cases *
			     (ARRAY_SIZE(engines) - 1) *
			     (opt->quiet + opt->hog);
	struct run_result *res = run_alloc();
	json_t *machine = machine_describe(), *list = json_array();
	int status;

	if (!res || !machine || !list) {
		fprintf(stderr, "fosbench: no memory\n");
		return 1;
	}
	machine_print(machine);
	printf("\nmean of a call / CPU time of both sides, in us; %u rounds in "
	       "turn.\nThe cost of the default is the sum of the two, in times of "
	       "the least of the others,\nwith what it lies between with 95 %%.\n",
	       opt->ipc.rounds);
	progress_begin(steps * (opt->ipc.rounds + 1), false);
	status = run_all(opt, list, res);
	progress_end();
	if (json && json_write(json_pack("{s:s, s:s, s:i, s:s, s:O, s:O}",
					 "program", argp_program_version,
					 "command", "live", "format", 1, "unit",
					 "ns", "machine", machine, "cases", list),
			       json)) {
		perror(opt->ipc.json);
		status = 1;
	}
	json_decref(list);
	json_decref(machine);
	run_free(res);
	return status;
}

int cmd_live(int argc, char **argv)
{
	struct live_options opt = { .ipc.command = "live", .ipc.rounds = 5 };
	FILE *json;

	compare_defaults(&opt.ipc, engines);
	opt.ipc.time_ms = 100;
	if (argp_parse(&argp, argc, argv, 0, NULL, &opt))
		return 1;
	return json_create(opt.ipc.json, &json) ? run_live(&opt, json) : 1;
}
