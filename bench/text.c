// SPDX-License-Identifier: MIT
/* What stands in the tables of ipc, bulk and tlb. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define WIDTH	98

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

/* ---- figures ---------------------------------------------------------- */

/* Three digits that matter. */
const char *text_us(double ns, text buf)
{
	double x = ns / 1e3;

	snprintf(buf, sizeof(text), "%.*f",
		 x < 1 ? 3 : x < 10 ? 2 : x < 100 ? 1 : 0, x);
	return buf;
}

const char *text_count(double x, text buf)
{
	if (isnan(x))
		return "n/a";
	snprintf(buf, sizeof(text), "%.*f",
		 x > 0 && x < 0.01 ? 4 : x < 100 ? 2 : 0, x);
	return buf;
}

const char *text_instructions(double x, text buf)
{
	snprintf(buf, sizeof(text), "%.0f", x);
	return buf;
}

const char *text_figure(const struct report *rep, double x, text buf)
{
	return rep->opt->icount ? text_instructions(x, buf) : text_us(x, buf);
}

const char *text_percent(double part, double whole, text buf)
{
	if (isnan(part) || whole <= 0)
		return "";
	if (part > 9.99 * whole)
		return ">999";
	snprintf(buf, sizeof(text), "%.1f", 100 * part / whole);
	return buf;
}

const char *text_times(double x, text buf)
{
	if (isnan(x))
		return "";
	snprintf(buf, sizeof(text), "%.*fx", x < 100 ? 2 : 0, x);
	return buf;
}

/* "1.38x faster": how much better than the best of POSIX. */
const char *text_against(const struct report *rep, const struct cell *cell,
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

double both_sides(const double x[SIDES])
{
	return x[CLIENT] + x[SERVER];
}

/* ---- rows ------------------------------------------------------------- */

static double events(const struct row *row)
{
	return both_sides(row->traps) + both_sides(row->nvcsw) +
	       both_sides(row->nivcsw);
}

static int rank_counts(const void *a, const void *b)
{
	const struct row *x = *(const struct row *const *)a;
	const struct row *y = *(const struct row *const *)b;
	double dx = events(x), dy = events(y);

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

size_t cell_rank(const struct cell *cell, bool counts,
		 const struct row *row[MAX_ENGINES])
{
	size_t n = 0;

	for (size_t i = 0; i < cell->rows; i++) {
		if (cell->row[i].status == RUN_OK)
			row[n++] = &cell->row[i];
	}
	/* With tlb, the events that count are not those of processes. */
	if (!counts || !cell->opt->tlb)
		qsort(row, n, sizeof(row[0]), counts ? rank_counts : rank);
	return n;
}

long size_from(const struct report *rep, size_t pair,
	       double (*ahead)(const struct cell *cell, const void *arg),
	       const void *arg)
{
	const struct cell *cell = &rep->cell[pair * rep->opt->sizes];
	long behind = 0, first = 0;
	bool any = false;

	for (size_t i = 0; i < rep->opt->sizes; i++) {
		double x = ahead(&cell[i], arg);

		any = any || !isnan(x);
		if (x <= 1 && (long)cell[i].size > behind)
			behind = cell[i].size;
	}
	for (size_t i = 0; i < rep->opt->sizes; i++) {
		long size = cell[i].size;

		if (ahead(&cell[i], arg) > 1 && size > behind &&
		    (!first || size < first))
			first = size;
	}
	return any ? first : -1;
}

void print_title(const struct cell *cell, const char *what)
{
	if (cell->cpu[CLIENT] == cell->cpu[SERVER])
		printf("\n%zu bytes %s, both on CPU %d\n", cell->size, what,
		       cell->cpu[CLIENT]);
	else
		printf("\n%zu bytes %s, CPUs %d and %d: %s\n", cell->size,
		       what, cell->cpu[CLIENT], cell->cpu[SERVER],
		       cell->relation);
}

/* One line a reason. */
static void print_those(const struct cell *cell, enum run_status status,
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

/* Those that did not run. */
void print_absent(const struct cell *cell)
{
	print_those(cell, RUN_SKIPPED, "skipped");
	print_those(cell, RUN_FAILED, "FAILED");
}
