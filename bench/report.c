// SPDX-License-Identifier: MIT
/* The figures for people: at most 102 columns, best first. */
#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define WIDTH	98

typedef char text[24];

/* Words, broken into lines; the first begins at a column already reached. */
void print_wrapped(size_t column, size_t indent, const char *words)
{
	while (*words) {
		size_t n = strcspn(words, " ");

		if (column + 1 + n > WIDTH) {
			printf("\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			column += printf(" ");
		}
		column += printf("%.*s", (int)n, words);
		words += n + strspn(words + n, " ");
	}
	printf("\n");
}

/* Three digits that matter. */
static const char *us(double ns, text buf)
{
	double x = ns / 1e3;

	snprintf(buf, sizeof(text), "%.*f",
		 x < 1 ? 3 : x < 10 ? 2 : x < 100 ? 1 : 0, x);
	return buf;
}

static const char *count(double x, text buf)
{
	if (isnan(x))
		return "n/a";
	snprintf(buf, sizeof(text), "%.*f",
		 x > 0 && x < 0.01 ? 4 : x < 100 ? 2 : 0, x);
	return buf;
}

static const char *instructions(double x, text buf)
{
	snprintf(buf, sizeof(text), "%.0f", x);
	return buf;
}

static const char *figure(const struct report *rep, double x, text buf)
{
	return rep->opt->icount ? instructions(x, buf) : us(x, buf);
}

static const char *percent(double part, double whole, text buf)
{
	if (isnan(part) || whole <= 0)
		return "";
	if (part > 9.99 * whole)
		return ">999";
	snprintf(buf, sizeof(text), "%.1f", 100 * part / whole);
	return buf;
}

static const char *times(double x, text buf)
{
	if (isnan(x))
		return "";
	snprintf(buf, sizeof(text), "%.*fx", x < 100 ? 2 : 0, x);
	return buf;
}

/* "1.38x faster": how much better than the best of POSIX. */
static const char *against(const struct report *rep, const struct cell *cell,
			   const struct row *row, text buf)
{
	double x = row->vs_posix, y = x < 1 ? 1 / x : x;

	if (row == cell->best_posix)
		return "best POSIX";
	if (isnan(x))
		return "";
	snprintf(buf, sizeof(text), "%.*fx %s", y < 100 ? 2 : 0, y,
		 rep->opt->icount ? (x < 1 ? "more" : "fewer") :
				    (x < 1 ? "slower" : "faster"));
	return buf;
}

static double sum(const double x[SIDES])
{
	return x[CLIENT] + x[SERVER];
}

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
	double cpu = sum(row->cpu), csw = sum(row->nvcsw) + sum(row->nivcsw);
	text t[10];

	if (rep->opt->counts) {
		if (!(row->e->flags & IPC_NULL))
			printf("  %-21s %7s %7s %7s\n", row->e->name,
			       count(sum(row->traps), t[6]), count(csw, t[7]),
			       count(ipis(row), t[8]));
		return;
	}
	printf("  %-21s ", row->e->name);
	if (rep->opt->icount)
		printf("%7s %7s %7s %7s", instructions(cpu, t[0]),
		       instructions(row->cpu[CLIENT], t[1]),
		       instructions(row->cpu[SERVER], t[2]),
		       instructions(row->median, t[3]));
	else
		printf("%7s %6s %5s %7s", us(row->median, t[0]),
		       us(row->p99, t[1]), percent(row->ci, row->median, t[2]),
		       us(cpu, t[3]));
	if (row->e->flags & IPC_NULL) {
		printf("  the measuring loop alone\n");
		return;
	}
	printf(" %7s  %-13s %7s %5s %6s %6s\n", times(row->x_floor, t[9]),
	       against(rep, cell, row, t[4]), times(row->vs_pipe, t[5]),
	       count(sum(row->traps), t[6]), count(csw, t[7]),
	       count(ipis(row), t[8]));
}

static int rank_counts(const void *a, const void *b)
{
	const struct row *x = *(const struct row *const *)a;
	const struct row *y = *(const struct row *const *)b;
	double dx = sum(x->traps) + sum(x->nvcsw) + sum(x->nivcsw);
	double dy = sum(y->traps) + sum(y->nvcsw) + sum(y->nivcsw);

	return (dx > dy) - (dx < dy);
}

static int rank(const void *a, const void *b)
{
	const struct row *x = *(const struct row *const *)a;
	const struct row *y = *(const struct row *const *)b;
	int null = !!(x->e->flags & IPC_NULL) - !!(y->e->flags & IPC_NULL);

	if (null)
		return null;
	return (x->metric > y->metric) - (x->metric < y->metric);
}

/* Those that did not run, one line a reason. */
static void print_absent(const struct cell *cell, enum run_status status,
			 const char *label)
{
	bool told[MAX_ENGINES] = { false };

	for (size_t i = 0; i < cell->rows; i++) {
		char names[MAX_ENGINES * 24] = "";
		size_t len = 0;
		int column;

		if (cell->row[i].status != status || told[i])
			continue;
		for (size_t j = i; j < cell->rows; j++) {
			const struct row *row = &cell->row[j];

			if (row->status != status ||
			    strcmp(row->why, cell->row[i].why))
				continue;
			told[j] = true;
			len += snprintf(names + len, sizeof(names) - len,
					"%s%s", len ? ", " : "", row->e->name);
		}
		column = printf("  %s: %s:", label, cell->row[i].why);
		print_wrapped(column, 6, names);
	}
}

/* Of what the floors are made: "2 x (trap 0.15 + switch 4.41) + copies 0.01" */
static void print_floors(const struct report *rep, const struct cell *cell)
{
	bool two = cell->cpu[CLIENT] != cell->cpu[SERVER];
	const struct floor *f = &cell->floor;
	text t[4];

	if (!isnan(cell->floor_sleep))
		printf("  floor, sleeping: %s = 2 x (trap %s + %s %s) + "
		       "copies %s\n", figure(rep, cell->floor_sleep, t[0]),
		       figure(rep, f->trap, t[1]), two ? "wake" : "switch",
		       figure(rep, two ? f->wake : f->change, t[2]),
		       figure(rep, cell->work, t[3]));
	if (!isnan(cell->floor_poll))
		printf("  floor, polling: %s = 2 x cache line %s + copies "
		       "%s\n", figure(rep, cell->floor_poll, t[0]),
		       figure(rep, f->line, t[1]),
		       figure(rep, cell->work, t[2]));
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
			       figure(rep, cell->raw->metric, t));
		printf("%s %s %s", any ? "," : "", row[i]->e->name,
		       times(row[i]->x_raw, t));
		any = true;
	}
	if (any)
		printf("\n");
}

static void print_cell(const struct report *rep, const struct cell *cell)
{
	const struct row *row[MAX_ENGINES];
	size_t n = 0;

	for (size_t i = 0; i < cell->rows; i++) {
		if (cell->row[i].status == RUN_OK)
			row[n++] = &cell->row[i];
	}
	qsort(row, n, sizeof(row[0]), rep->opt->counts ? rank_counts : rank);
	printf("\n%zu bytes each way", cell->size);
	if (rep->opt->depth > 1)
		printf(", %u at once", rep->opt->depth);
	if (cell->cpu[CLIENT] == cell->cpu[SERVER])
		printf(", both on CPU %d\n", cell->cpu[CLIENT]);
	else
		printf(", CPUs %d and %d: %s\n", cell->cpu[CLIENT],
		       cell->cpu[SERVER], cell->relation);
	if (n)
		print_header(rep);
	for (size_t i = 0; i < n; i++)
		print_row(rep, cell, row[i]);
	if (!rep->opt->counts) {
		print_floors(rep, cell);
		print_raw(rep, row, n, cell);
	}
	print_absent(cell, RUN_SKIPPED, "skipped");
	print_absent(cell, RUN_FAILED, "FAILED");
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
		       fos->e->name, figure(rep, fos->metric, t[0]),
		       posix->e->name, figure(rep, posix->metric, t[1]),
		       against(rep, cell, fos, t[2]),
		       times(fos->vs_pipe, t[3]));
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
	if (rep->warning)
		printf("\nWARNING: %s\n", rep->warning);
}

void report_print(const struct report *rep)
{
	printf("%s, ipc\n\n", argp_program_version);
	machine_print(rep->machine);
	print_legend(rep);
	if (rep->opt->counts)
		printf("No times and ratios: --counts.\n");
	for (size_t i = 0; i < rep->cells; i++)
		print_cell(rep, &rep->cell[i]);
	if (!rep->opt->counts)
		print_summary(rep);
}
