// SPDX-License-Identifier: MIT
/* The figures for people: at most 102 columns, best first. */
#include <argp.h>
#include <math.h>

#include "bench.h"

static double ipis(const struct row *row)
{
	return 1e3 * (row->ipi[IPI_RES] + row->ipi[IPI_CAL] +
		      row->ipi[IPI_TLB]);
}

/* ---- one cell --------------------------------------------------------- */

static void print_header(const struct report *rep)
{
	bool emulated = json_is_true(json_object_get(rep->machine,
						     "emulated"));

	if (rep->opt->counts)
		printf("  %-21s %7s %7s %7s\n", "for one round trip", "traps",
		       "switch", "IPI/1k");
	else if (rep->opt->icount)
		printf("  %-21s %7s %7s %7s %7s %7s  %-13s %7s %5s %6s %6s\n",
		       "instructions", "both", "client", "server", "elapsed",
		       "x floor", "vs best POSIX", "vs pipe", "traps",
		       "switch", "IPI/1k");
	else
		printf("  %-21s %7s %6s %5s %7s %7s  %-13s %7s %5s %6s %6s\n",
		       emulated ? "us, emulated" : "us", "median", "p99",
		       "+-%", "CPU", "x floor", "vs best POSIX", "vs pipe",
		       "traps", "switch", "IPI/1k");
}

static void print_row(const struct report *rep, const struct cell *cell,
		      const struct row *row)
{
	double cpu = both_sides(row->cpu);
	double csw = both_sides(row->nvcsw) + both_sides(row->nivcsw);
	text t[10];

	if (rep->opt->counts) {
		if (!(row->e->flags & IPC_NULL))
			printf("  %-21s %7s %7s %7s\n", row->e->name,
			       text_count(both_sides(row->traps), t[6]),
			       text_count(csw, t[7]),
			       text_count(ipis(row), t[8]));
		return;
	}
	printf("  %-21s ", row->e->name);
	if (rep->opt->icount)
		printf("%7s %7s %7s %7s", text_instructions(cpu, t[0]),
		       text_instructions(row->cpu[CLIENT], t[1]),
		       text_instructions(row->cpu[SERVER], t[2]),
		       text_instructions(row->median, t[3]));
	else
		printf("%7s %6s %5s %7s", text_us(row->median, t[0]),
		       text_us(row->p99, t[1]),
		       text_percent(row->ci, row->median, t[2]),
		       text_us(cpu, t[3]));
	if (row->e->flags & IPC_NULL) {
		printf("  the measuring loop alone\n");
		return;
	}
	printf(" %7s  %-13s %7s %5s %6s %6s\n", text_times(row->x_floor, t[9]),
	       text_against(rep, cell, row, t[4]),
	       text_times(row->vs_base, t[5]),
	       text_count(both_sides(row->traps), t[6]), text_count(csw, t[7]),
	       text_count(ipis(row), t[8]));
}

/* Of what the floors are made: "2 x (trap 0.15 + switch 4.41) + copies 0.01" */
static void print_floors(const struct report *rep, const struct cell *cell)
{
	bool two = cell->cpu[CLIENT] != cell->cpu[SERVER];
	const struct floor *f = &cell->floor;
	text t[4];

	if (!isnan(cell->floor_sleep))
		printf("  floor, sleeping: %s = 2 x (trap %s + %s %s) + "
		       "copies %s\n", text_figure(rep, cell->floor_sleep, t[0]),
		       text_figure(rep, f->trap, t[1]), two ? "wake" : "switch",
		       text_figure(rep, two ? f->wake : f->change, t[2]),
		       text_figure(rep, cell->work, t[3]));
	if (!isnan(cell->floor_poll))
		printf("  floor, polling: %s = 2 x cache line %s + copies "
		       "%s\n", text_figure(rep, cell->floor_poll, t[0]),
		       text_figure(rep, f->line, t[1]),
		       text_figure(rep, cell->work, t[2]));
}

/* Those that poll against polling with nothing around it. */
static void print_raw(const struct report *rep, const struct row **row,
		      size_t n, const struct cell *cell)
{
	bool any = false;
	text t;

	for (size_t i = 0; i < n; i++) {
		if (isnan(row[i]->x_raw) || row[i] == cell->raw)
			continue;
		if (!any)
			printf("  x raw (%s %s):", cell->raw->e->name,
			       text_figure(rep, cell->raw->metric, t));
		printf("%s %s %s", any ? "," : "", row[i]->e->name,
		       text_times(row[i]->x_raw, t));
		any = true;
	}
	if (any)
		printf("\n");
}

static void print_cell(const struct report *rep, const struct cell *cell)
{
	const struct row *row[MAX_ENGINES];
	size_t n = cell_rank(cell, rep->opt->counts, row);
	char what[32] = "each way";

	if (rep->opt->depth > 1)
		snprintf(what, sizeof(what), "each way, %u at once",
			 rep->opt->depth);
	print_title(cell, what);
	if (n)
		print_header(rep);
	for (size_t i = 0; i < n; i++)
		print_row(rep, cell, row[i]);
	if (!rep->opt->counts) {
		print_floors(rep, cell);
		print_raw(rep, row, n, cell);
	}
	print_absent(cell);
}

/* ---- all -------------------------------------------------------------- */

static const struct row *best_fastos(const struct cell *cell)
{
	const struct row *best = NULL;

	for (size_t i = 0; i < cell->rows; i++) {
		const struct row *row = &cell->row[i];

		if (row->status == RUN_OK && (row->e->flags & IPC_FASTOS) &&
		    (!best || row->metric < best->metric))
			best = row;
	}
	return best;
}

static void print_summary(const struct report *rep)
{
	bool any = false;
	text t[4];

	for (size_t i = 0; i < rep->cells; i++) {
		const struct cell *cell = &rep->cell[i];
		const struct row *fos = best_fastos(cell);
		const struct row *posix = cell->best_posix;

		if (!fos || !posix)
			continue;
		if (!any)
			printf("\nIn short\n  %-8s %8s  %-25s  %-25s  %-13s "
			       "%7s\n", "CPUs", "bytes",
			       "best of fastos", "best of POSIX",
			       "vs best POSIX", "vs pipe");
		any = true;
		printf("  %3d,%-4d %8zu  %-16s %8s  %-16s %8s  %-13s %7s\n",
		       cell->cpu[CLIENT], cell->cpu[SERVER], cell->size,
		       fos->e->name, text_figure(rep, fos->metric, t[0]),
		       posix->e->name, text_figure(rep, posix->metric, t[1]),
		       text_against(rep, cell, fos, t[2]),
		       text_times(fos->vs_base, t[3]));
	}
}

static void print_legend(const struct report *rep)
{
	const struct ipc_options *opt = rep->opt;
	const json_t *caps = json_object_get(rep->machine, "fastos");
	bool fastos = json_integer_value(json_object_get(caps, "features"));
	char par[2048];
	int n;

	n = snprintf(par, sizeof(par),
		     "A round trip is a request and a reply of the same size "
		     "between two pinned processes. Both copy it in and out "
		     "of buffers of their own and read every byte they "
		     "receive. The server has used %llu ms of CPU time before. "
		     "The engines took turns in %u round%s",
		     (unsigned long long)opt->lead_ms, opt->rounds,
		     opt->rounds == 1 ? "" : "s");
	for (unsigned int i = 0; i < opt->services.n; i++)
		n += snprintf(par + n, sizeof(par) - n, "%s%.1f",
			      i ? ", " : "; for each request the server worked "
			      "for one of these, in us: ",
			      opt->services.ns[i] / 1e3);
	if (opt->hog)
		n += snprintf(par + n, sizeof(par) - n,
			      ", beside a process that never sleeps on the "
			      "client's CPU, ranked by what passed");
	if (opt->icount)
		n += snprintf(par + n, sizeof(par) - n,
			      " of %llu round trips. Figures are instructions "
			      "of the guest for one: what was charged to both "
			      "processes, to each, and what passed. ",
			      (unsigned long long)opt->iters);
	else
		n += snprintf(par + n, sizeof(par) - n,
			      ". +-%%: 95 %% confidence of the median. CPU: "
			      "time of both sides. Round trips shorter than "
			      "100 readings of the clock are timed in "
			      "batches. ");
	snprintf(par + n, sizeof(par) - n,
		 "x floor: times the least that this machine charges for one "
		 "(below each table; of the polling kind for what polls on "
		 "two CPUs). vs: how many times %s than the best of POSIX, "
		 "and than pipe. traps, switch: system calls and context switches of "
		 "both sides, for one round trip. IPI/1k: interrupts (RES, "
		 "CAL, TLB) to their CPUs, of whatever cause, in 1,000.%s%s%s",
		 opt->icount ? "fewer" : "faster",
		 rep->no_traps ? " Traps are n/a: " : "",
		 rep->no_traps ? rep->no_traps : "",
		 rep->no_traps ? "." : "");
	printf("\n");
	print_wrapped(0, 0, par);
	if (fastos)
		printf("fastos-fixed polls for %.1f us.\n",
		       rep->fixed_ns / 1e3);
}

void report_tables(const struct report *rep,
		   void (*legend)(const struct report *rep),
		   void (*table)(const struct report *rep,
				 const struct cell *cell))
{
	printf("%s, %s\n\n", argp_program_version, rep->opt->command);
	machine_print(rep->machine);
	legend(rep);
	if (rep->warning)
		printf("\nWARNING: %s\n", rep->warning);
	if (rep->opt->counts)
		printf("No times and ratios: --counts.\n");
	for (size_t i = 0; i < rep->cells; i++)
		table(rep, &rep->cell[i]);
}

void report_print(const struct report *rep)
{
	report_tables(rep, print_legend, print_cell);
	if (!rep->opt->counts)
		print_summary(rep);
}
