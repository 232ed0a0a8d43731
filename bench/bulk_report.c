// SPDX-License-Identifier: MIT
/* The figures of bulk for people, and from which size on to lend. */
#include <argp.h>
#include <math.h>

#include "bench.h"

/* Of bodies that are read; who looks at a header only moves nothing. */
double bulk_gb_per_s(const struct row *row)
{
	if (row->run.header)
		return NAN;
	return row->run.size * (row->run.oneway ? 1 : 2) / row->median;
}

/* ---- one cell --------------------------------------------------------- */

static void print_header(const struct report *rep)
{
	bool emulated = json_is_true(json_object_get(rep->machine,
						     "emulated"));

	if (rep->opt->counts) {
		printf("  %-22s %6s %7s %7s %7s\n", "for one hand-over",
		       "copies", "traps", "switch", "faults");
		return;
	}
	if (rep->opt->icount)
		printf("  %-22s %6s %9s %9s %9s", "instructions", "copies",
		       "both", "client", "server");
	else
		printf("  %-22s %6s %7s %7s %5s %7s",
		       emulated ? "us, emulated" : "us", "copies", "median",
		       "GB/s", "+-%", "CPU");
	printf(" %7s  %-13s %7s %6s %6s %6s\n", "x floor", "vs best POSIX",
	       "vs pipe", "traps", "switch", "faults");
}

static const char *gb_per_s(const struct row *row, text buf)
{
	double x = bulk_gb_per_s(row);

	if (isnan(x))
		return "";
	snprintf(buf, sizeof(text), "%.*f", x < 10 ? 2 : 1, x);
	return buf;
}

static void print_row(const struct report *rep, const struct cell *cell,
		      const struct row *row)
{
	double csw = both_sides(row->nvcsw) + both_sides(row->nivcsw);
	text t[10];

	text_count(csw, t[0]);
	text_count(both_sides(row->faults), t[1]);
	printf("  %-22s %6d ", row->e->name, row->e->copies);
	if (rep->opt->counts) {
		printf("%7s %7s %7s\n",
		       text_count(both_sides(row->traps), t[2]), t[0], t[1]);
		return;
	}
	if (rep->opt->icount)
		printf("%9s %9s %9s",
		       text_instructions(both_sides(row->cpu), t[3]),
		       text_instructions(row->cpu[CLIENT], t[4]),
		       text_instructions(row->cpu[SERVER], t[5]));
	else
		printf("%7s %7s %5s %7s", text_us(row->median, t[3]),
		       gb_per_s(row, t[4]),
		       text_percent(row->ci, row->median, t[5]),
		       text_us(both_sides(row->cpu), t[6]));
	printf(" %7s  %-13s %7s %6s %6s %6s\n", text_times(row->x_floor, t[7]),
	       text_against(rep, cell, row, t[8]),
	       text_times(row->vs_base, t[9]),
	       text_count(both_sides(row->traps), t[2]), t[0], t[1]);
}

/* Of what the floors are made. */
static void print_floors(const struct report *rep, const struct cell *cell)
{
	bool two = cell->cpu[CLIENT] != cell->cpu[SERVER];
	const char *work = rep->opt->produce ? "writing and reading" :
					       "reading";
	const struct floor *f = &cell->floor;
	text t[4];

	if (!isnan(cell->floor_sleep))
		printf("  floor, sleeping: %s = 2 x (trap %s + %s %s) + %s "
		       "%s\n", text_figure(rep, cell->floor_sleep, t[0]),
		       text_figure(rep, f->trap, t[1]), two ? "wake" : "switch",
		       text_figure(rep, two ? f->wake : f->change, t[2]), work,
		       text_figure(rep, cell->work, t[3]));
	if (!isnan(cell->floor_poll))
		printf("  floor, polling: %s = 2 x cache line %s + %s %s\n",
		       text_figure(rep, cell->floor_poll, t[0]),
		       text_figure(rep, f->line, t[1]), work,
		       text_figure(rep, cell->work, t[2]));
	if (!isnan(cell->copy))
		printf("  for who copies, each copy adds %s to the floor\n",
		       text_figure(rep, cell->copy, t[0]));
}

static void print_cell(const struct report *rep, const struct cell *cell)
{
	const struct ipc_options *opt = rep->opt;
	const struct row *row[MAX_ENGINES];
	size_t n = cell_rank(cell, opt->counts, row);

	print_title(cell, opt->header ? opt->oneway ?
		    "handed over, header only" :
		    "each way, header only" : opt->oneway ?
		    "handed over" : "each way");
	if (n)
		print_header(rep);
	for (size_t i = 0; i < n; i++)
		print_row(rep, cell, row[i]);
	if (!opt->counts)
		print_floors(rep, cell);
	print_absent(cell);
}

/* ---- from which size on ----------------------------------------------- */

/* Like with like: who polls with who polls; and the two ways of fastos. */
static const struct contest {
	const char *key;
	const char *peers;
	unsigned int class;	/* of the peers; 0: not of fastos */
	unsigned int polls;	/* IPC_POLLS, 0: neither side may; -1: may */
} contests[] = {
	{ "sleeping", "everything that copies and sleeps", 0, 0 },
	{ "polling", "polled memory that is copied in and out", 0, IPC_POLLS },
	{ "fastos_copy", "fos_call(), which copies", IPC_FASTOS, -1 },
};

static bool takes_part(const struct contest *k, const struct row *row,
		       bool in_place)
{
	unsigned int flags = row->e->flags;
	unsigned int class = in_place ? IPC_FASTOS : k->class;

	return row->status == RUN_OK && (flags & IPC_FASTOS) == class &&
	       !row->e->copies == in_place &&
	       (k->polls == -1U || (flags & IPC_POLLS) == k->polls);
}

static double least(const struct contest *k, const struct cell *cell,
		    bool in_place)
{
	double best = NAN;

	for (size_t i = 0; i < cell->rows; i++) {
		if (takes_part(k, &cell->row[i], in_place))
			best = fmin(best, cell->row[i].metric);
	}
	return best;
}

/* How many times better in place is; NAN: one of them is missing. */
static double ahead(const struct cell *cell, const void *contest)
{
	return least(contest, cell, false) / least(contest, cell, true);
}

static void print_break_even(const struct report *rep, size_t pair,
			     const struct contest *k)
{
	const int *cpu = rep->opt->pair[pair];
	long size = size_from(rep, pair, ahead, k);

	if (size < 0)
		return;
	printf("  CPUs %d,%d: in place is ahead of %s ", cpu[CLIENT],
	       cpu[SERVER], k->peers);
	if (size)
		printf("from %ld bytes on\n", size);
	else
		printf("at no size measured\n");
}

/* What bulk tells below its tables, an object a pair of CPUs. */
json_t *bulk_json(const struct report *rep)
{
	const struct ipc_options *opt = rep->opt;
	json_t *list = json_array();

	for (size_t p = 0; p < opt->pairs; p++) {
		json_t *one = json_pack("{s:[ii]}", "cpus",
					opt->pair[p][CLIENT],
					opt->pair[p][SERVER]);

		for (size_t i = 0; i < ARRAY_SIZE(contests); i++) {
			long size = size_from(rep, p, ahead, &contests[i]);

			json_object_set_new(one, contests[i].key,
					    json_num(size > 0 ? size : NAN));
		}
		json_array_append_new(list, one);
	}
	return json_pack("{s:s, s:s, s:s, s:o}",
			 "shape", opt->oneway ? "oneway" : "echo",
			 "touch", opt->header ? "header" : "all",
			 "produce", opt->produce ? "each" : "once",
			 "break_even", list);
}

/* ---- all -------------------------------------------------------------- */

static void print_legend(const struct report *rep)
{
	const struct ipc_options *opt = rep->opt;
	char par[2048];
	int n;

	n = snprintf(par, sizeof(par),
		     "A body goes from one pinned process to another, which "
		     "reads %s and answers with %s. The sender wrote it %s. "
		     "Copies: how often the engine copies a body; 0 is in "
		     "place. The server has used %llu ms of CPU time before. "
		     "The engines took turns in %u round%s. ",
		     opt->header ? "its first 64 bytes (header only)" :
				   "every byte of it",
		     opt->oneway ? "8 bytes" : "a body of its own",
		     opt->produce ? "anew each time" :
				    "once and changes its first 8 bytes, so "
				    "that caches keep what is not copied",
		     (unsigned long long)opt->lead_ms, opt->rounds,
		     opt->rounds == 1 ? "" : "s");
	if (opt->icount)
		n += snprintf(par + n, sizeof(par) - n,
			      "Figures are instructions of the guest for one "
			      "hand-over and its answer, of both processes and "
			      "of each. ");
	else
		n += snprintf(par + n, sizeof(par) - n,
			      "Times are of one hand-over and its answer. "
			      "+-%%: 95 %% confidence of the median. CPU: time "
			      "of both sides. ");
	snprintf(par + n, sizeof(par) - n,
		 "x floor: times the least that this machine charges (below "
		 "each table). vs: how many times %s than the best of POSIX, "
		 "all of which copy, and than pipe. traps, switch, faults: "
		 "system calls, context switches and page faults of both "
		 "sides.%s%s%s", opt->icount ? "fewer" : "faster",
		 rep->no_traps ? " Traps are n/a: " : "",
		 rep->no_traps ? rep->no_traps : "",
		 rep->no_traps ? "." : "");
	printf("\n");
	print_wrapped(0, 0, par);
}

void bulk_print(const struct report *rep)
{
	report_tables(rep, print_legend, print_cell);
	if (rep->opt->counts)
		return;
	printf("\nIn short\n");
	for (size_t p = 0; p < rep->opt->pairs; p++) {
		for (size_t i = 0; i < ARRAY_SIZE(contests); i++)
			print_break_even(rep, p, &contests[i]);
	}
}
