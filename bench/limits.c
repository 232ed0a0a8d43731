// SPDX-License-Identifier: MIT
/* fosbench limits: what this machine charges for what nobody can do without. */
#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define ICOUNT_ITERS	300
#define ICOUNT_BATCH	10

/* From the probe's figure: (x - loop) / times - less. */
struct limit {
	const char *key;
	const char *what;
	const struct ipc_engine *e;
	size_t bytes;		/* of memcpy */
	double less_ns;
	const char *less;	/* the median of an earlier one, or NULL */
	unsigned int times;	/* how often the probe does it */
	bool same_cpu;
	bool may_miss;		/* some samples do without it */
	bool hidden;		/* only there to be subtracted */
};

static const struct limit limits[] = {
	{ .key = "loop", .e = &probe_loop, .times = 1, .hidden = true },
	{ .key = "trap", .e = &probe_trap, .times = 1,
	  .what = "a system call that does nothing: getppid()" },
	{ .key = "switch", .e = &probe_switch, .times = 2, .less = "trap",
	  .same_cpu = true,
	  .what = "the CPU to another process: sched_yield() less a trap" },
	{ .key = "wake", .e = &probe_wake, .times = 2, .less = "trap",
	  .may_miss = true,
	  .what = "a sleeper on the other CPU runs: futex, less a trap" },
	{ .key = "line", .e = &probe_line, .times = 2,
	  .what = "a cache line to the other CPU, by cmpxchg" },
	{ .key = "barrier", .e = &probe_barrier, .times = 1, .hidden = true },
	{ .key = "ipi", .e = &probe_ipi, .times = 1, .less = "barrier",
	  .may_miss = true,
	  .what = "an interrupt and its end: membarrier() less a trap" },
	{ .key = "fault", .e = &probe_fault, .times = 1,
	  .what = "first write to a page of anonymous memory" },
	{ .key = "pte", .e = &probe_pte, .times = 2, .less = "trap",
	  .what = "mprotect() of one page, no other thread, less a trap" },
	{ .key = "unmap", .e = &probe_unmap, .times = 1,
	  .what = "mmap() of 16 pages, populated, and munmap()" },
	{ .key = "timer", .e = &probe_timer, .times = 1, .less_ns = TIMER_NS,
	  .what = "clock_nanosleep() is late by this, with a slack of 1 ns" },
#define MEMCPY(text, n)							\
	{ .key = "memcpy " text, .e = &probe_memcpy, .bytes = n, .times = 1 }
	MEMCPY("4K", 4UL << 10),
	MEMCPY("16K", 16UL << 10),
	MEMCPY("64K", 64UL << 10),
	MEMCPY("256K", 256UL << 10),
	MEMCPY("1M", 1UL << 20),
	MEMCPY("4M", 4UL << 20),
	MEMCPY("16M", 16UL << 20),
};

enum { LOOP, LIMITS = ARRAY_SIZE(limits) };

struct figure {
	double median;
	double min;
	double p99;
};

struct limits_run {
	struct ipc_options opt;
	struct cell cell;
	struct ipc_engine copy[LIMITS];		/* memcpy, by size */
	struct figure figure[LIMITS];
	const char *warning;
};

/* ---- options ---------------------------------------------------------- */

enum { O_ICOUNT = 256, O_TIME };

static const struct argp_option options[] = {
	{ "cpus", 'c', "A,B", 0, "the two CPUs; A does what needs one "
	  "(default: the first two)", 0 },
	{ "rounds", 'r', "N", 0, "everything is measured so often, in turn "
	  "(default: 5; with --icount 3)", 0 },
	{ "time", O_TIME, "MS", 0, "of one measurement, in ms (default: 20)",
	  0 },
	{ "json", 'j', "FILE", 0, "write the figures to FILE as well", 0 },
	{ "icount", O_ICOUNT, NULL, 0, "this is a QEMU -icount guest, where a "
	  "nanosecond is an instruction: count instructions, on CPU A", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ipc_options *opt = state->input;

	switch (key) {
	case 'c':
		parse_pair(state, arg, opt->pair[0]);
		opt->pairs = 1;
		break;
	case 'r':
		opt->rounds = parse_number(state, arg, "--rounds", 1,
					   MAX_ROUNDS);
		break;
	case 'j':
		opt->json = arg;
		break;
	case O_TIME:
		opt->time_ms = parse_number(state, arg, "--time", 1, 3600000);
		break;
	case O_ICOUNT:
		opt->icount = true;
		opt->iters = ICOUNT_ITERS;
		break;
	case ARGP_KEY_END:
		opt->depth = 1;
		if (!opt->pairs)
			first_pair(opt->pair[0]);
		if (!opt->rounds)
			opt->rounds = opt->icount ? 3 : 5;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "What this machine charges for a trap, a context switch, a "
	       "wake-up, a cache line, an interrupt, a page fault, a change "
	       "of a page's rights, a copy.\v"
	       "Exit status: 0; 1 if a measurement failed; 64 for a wrong "
	       "option.",
};

/* ---- measuring -------------------------------------------------------- */

static void add_limit(struct limits_run *run, size_t i)
{
	const struct limit *l = &limits[i];
	bool two = l->e->flags & IPC_TWO_CPUS;
	struct row *row;

	run->copy[i] = *l->e;
	run->copy[i].name = l->key;
	if (l->bytes)
		run->copy[i].arg = l->bytes;
	row = cell_add(&run->cell, &run->copy[i], &run->opt);
	if (l->same_cpu)
		row->run.cpu[SERVER] = row->run.cpu[CLIENT];
	if (!run->opt.icount)
		return;
	row->run.batch = l->less_ns ? 1 : ICOUNT_BATCH;
	row->run.samples = ICOUNT_ITERS / ICOUNT_BATCH;
	if (!two)
		return;
	row->status = RUN_SKIPPED;
	snprintf(row->why, sizeof(row->why), "needs two CPUs that run at "
		 "once, and under -icount they take turns");
}

static double of_limit(const struct limits_run *run, size_t i, double x)
{
	const struct limit *l = &limits[i];
	unsigned int loops = l->e->flags & IPC_ALONE ? 1 : 2;

	if (run->cell.row[i].status != RUN_OK)
		return NAN;
	if (i != LOOP)
		x -= loops * run->cell.row[LOOP].median;
	x = x / l->times - l->less_ns;
	for (size_t j = 0; l->less && j < i; j++) {
		if (!strcmp(limits[j].key, l->less))
			x -= run->figure[j].median;
	}
	return x < 0 ? 0 : x;
}

/* The least sample; or the least median of a round. */
static double least(const struct row *row, bool of_rounds)
{
	double x = row->min;

	if (!of_rounds)
		return x;
	x = row->round_median[0];
	for (unsigned int r = 1; r < row->rounds; r++)
		x = fmin(x, row->round_median[r]);
	return x;
}

static void measure(struct limits_run *run, struct run_result *res)
{
	run->cell.size = sizeof(uint64_t);
	memcpy(run->cell.cpu, run->opt.pair[0], sizeof(run->cell.cpu));
	machine_relation(run->cell.cpu, run->cell.relation,
			 sizeof(run->cell.relation));
	for (size_t i = 0; i < LIMITS; i++)
		add_limit(run, i);
	progress_begin(LIMITS * (run->opt.rounds + !run->opt.icount),
		       run->opt.icount);
	cell_measure(&run->cell, &run->opt, res);
	progress_end();
	for (size_t i = 0; i < LIMITS; i++) {
		const struct row *row = &run->cell.row[i];

		run->figure[i] = (struct figure) {
			.median = of_limit(run, i, row->median),
			.min = of_limit(run, i, least(row,
						      limits[i].may_miss)),
			.p99 = of_limit(run, i, row->p99),
		};
	}
}

/* ---- the table -------------------------------------------------------- */

static void print_number(double x)
{
	printf(" %10.*f", x < 100 ? 1 : 0, x);
}

static void print_limits(const struct limits_run *run)
{
	bool icount = run->opt.icount;

	printf("\n  %-12s %10s %10s %10s\n", icount ? "instructions" : "ns",
	       "median", "min", "p99");
	for (size_t i = 0; i < LIMITS; i++) {
		const struct figure *f = &run->figure[i];
		const struct limit *l = &limits[i];

		if (l->hidden || run->cell.row[i].status != RUN_OK)
			continue;
		printf("  %-12s", l->key);
		print_number(f->median);
		print_number(f->min);
		print_number(f->p99);
		if (!l->bytes)
			printf("  %s", l->what);
		else if (!icount)
			printf("  %.1f GB/s", l->bytes / f->median);
		printf("\n");
	}
	for (size_t i = 0; i < LIMITS; i++) {
		const struct row *row = &run->cell.row[i];

		if (!limits[i].hidden && row->status != RUN_OK)
			printf("  %-12s %s: %s\n", limits[i].key,
			       row->status == RUN_FAILED ? "FAILED" : "absent",
			       row->why);
	}
}

static void print_report(const struct limits_run *run, const json_t *machine)
{
	const struct cell *cell = &run->cell;
	char par[1024];

	printf("%s, limits\n\n", argp_program_version);
	machine_print(machine);
	if (cell->cpu[CLIENT] == cell->cpu[SERVER])
		printf("  CPU          %d\n", cell->cpu[CLIENT]);
	else
		printf("  CPUs         %d and %d: %s\n", cell->cpu[CLIENT],
		       cell->cpu[SERVER], cell->relation);
	snprintf(par, sizeof(par), "Everything was measured in %u rounds, in "
		 "turn%s, so that min and p99 are of their means. The "
		 "measuring loop is subtracted. memcpy: the same two buffers "
		 "again and again, hot where they fit into a cache. "
		 "fosbench(1) has the details.", run->opt.rounds,
		 run->opt.icount ? ", and, but for timer, in batches of 10" :
		 "; what takes less than 100 readings of the clock, in "
		 "batches");
	printf("\n");
	print_wrapped(0, 0, par);
	if (run->warning)
		printf("\nWARNING: %s\n", run->warning);
	print_limits(run);
}

/* ---- for programs ----------------------------------------------------- */

static json_t *limit_json(const struct limits_run *run, size_t i)
{
	static const char *const status[] = { "ok", "absent", "failed" };
	const struct figure *f = &run->figure[i];
	const struct row *row = &run->cell.row[i];
	json_t *obj = json_pack("{s:s, s:s*, s:s}", "name", limits[i].key,
				"what", limits[i].what,
				"status", status[row->status]), *more;

	if (limits[i].bytes)
		json_object_set_new(obj, "bytes",
				    json_integer(limits[i].bytes));
	if (row->status != RUN_OK) {
		json_object_set_new(obj, "reason", json_string(row->why));
		return obj;
	}
	more = json_pack("{s:o, s:o, s:o, s:o, s:I, s:I}",
			 "median", json_num(f->median),
			 "min", json_num(f->min),
			 "p99", json_num(f->p99),
			 "ci95", json_num(row->ci / limits[i].times),
			 "batch", (json_int_t)row->run.batch,
			 "samples", (json_int_t)row->samples);
	json_object_update_new(obj, more);
	return obj;
}

static int write_json(const struct limits_run *run, json_t *machine, FILE *f)
{
	json_t *list = json_array(), *all;

	for (size_t i = 0; i < LIMITS; i++)
		json_array_append_new(list, limit_json(run, i));
	all = json_pack("{s:s, s:s, s:i, s:s, s:s?, s:[ii], s:s, s:O, s:o}",
			"program", argp_program_version, "command", "limits",
			"format", 1, "unit",
			run->opt.icount ? "instructions" : "ns",
			"warning", run->warning,
			"cpus", run->cell.cpu[CLIENT], run->cell.cpu[SERVER],
			"relation", run->cell.relation, "machine", machine,
			"limits", list);
	return json_write(all, f);
}

/* ---- all -------------------------------------------------------------- */

static int run_limits(struct limits_run *run, struct run_result *res,
		      json_t *machine, FILE *json)
{
	int status = 0;

	if (run->opt.icount) {
		sleep(1);	/* let what booting began come to its end */
		run->warning = machine_icount_check();
	}
	measure(run, res);
	print_report(run, machine);
	for (size_t i = 0; i < LIMITS; i++) {
		if (run->cell.row[i].status == RUN_FAILED)
			status = 1;
	}
	if (json && write_json(run, machine, json)) {
		perror(run->opt.json);
		status = 1;
	}
	return status;
}

int cmd_limits(int argc, char **argv)
{
	struct limits_run *run = calloc(1, sizeof(*run));
	struct run_result *res = run_alloc();
	json_t *machine = machine_describe();
	FILE *json;
	int status = 1;

	if (!run || !res || !machine) {
		fprintf(stderr, "fosbench: no memory\n");
		goto out;
	}
	run->opt.time_ms = 20;
	if (argp_parse(&argp, argc, argv, 0, NULL, &run->opt))
		goto out;
	if (!json_create(run->opt.json, &json))
		goto out;
	status = run_limits(run, res, machine, json);
out:
	json_decref(machine);
	run_free(res);
	free(run);
	return status;
}
