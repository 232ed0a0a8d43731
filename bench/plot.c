// SPDX-License-Identifier: MIT
/* A picture: round trips by engine and size, or pages; gnuplot draws it. */
#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* The terminal for a file, or NULL. */
static const char *terminal(const char *file)
{
	const char *dot = strrchr(file, '.');

	if (dot && !strcmp(dot, ".png"))
		return "pngcairo";
	if (dot && !strcmp(dot, ".svg"))
		return "svg";
	return NULL;
}

int plot_check(const char *file, char *why)
{
	FILE *f;

	if (!terminal(file)) {
		snprintf(why, WHY_LEN, "%s ends neither in .png nor in .svg",
			 file);
		return -1;
	}
	if (strpbrk(file, "'\n")) {
		snprintf(why, WHY_LEN, "no quotes in the file's name, please");
		return -1;
	}
	if (system("command -v gnuplot >/dev/null 2>&1")) {
		snprintf(why, WHY_LEN, "no gnuplot here; on Debian, apt-get "
			 "install gnuplot-nox (or take --json elsewhere)");
		return -1;
	}
	f = fopen(file, "ae");
	if (!f) {
		snprintf(why, WHY_LEN, "%s: %m", file);
		return -1;
	}
	fclose(f);
	return 0;
}

/* Blue is fastos, grey the floor, the rest POSIX. */
static const char *colour(const struct ipc_engine *e, size_t nth)
{
	static const char *const blue[] = {
		"#08306b", "#08519c", "#2171b5", "#4292c6", "#6baed6",
		"#9ecae1", "#c6dbef",
	};
	static const char *const warm[] = {
		"#7f2704", "#a63603", "#d94801", "#f16913", "#fd8d3c",
		"#fdae6b", "#fdd0a2",
	};

	if (e->flags & IPC_FASTOS)
		return blue[nth % ARRAY_SIZE(blue)];
	if (e->flags & IPC_POSIX)
		return warm[nth % ARRAY_SIZE(warm)];
	return "#737373";
}

static bool shown(const struct report *rep, size_t first, size_t row)
{
	if (rep->cell[first].row[row].e->flags & IPC_NULL)
		return false;
	for (size_t s = 0; s < rep->opt->sizes; s++) {
		if (rep->cell[first + s].row[row].status == RUN_OK)
			return true;
	}
	return false;
}

/* Of a round trip; or of one page of a batch. */
static double figure(const struct report *rep, const struct row *row)
{
	return row->metric / (rep->opt->icount ? 1 : 1e3) /
	       (rep->opt->tlb ? row->run.size : 1);
}

/* A line a size, a column an engine; bars begin at half of the least. */
static void plot_data(const struct report *rep, size_t first, FILE *f)
{
	double least = INFINITY;

	fprintf(f, "$pair << EOD\n");
	for (size_t s = 0; s < rep->opt->sizes; s++) {
		const struct cell *cell = &rep->cell[first + s];

		fprintf(f, rep->opt->tlb ? "%zu" : "\"%zu bytes\"",
			cell->size);
		for (size_t i = 0; i < cell->rows; i++) {
			const struct row *row = &cell->row[i];

			if (row->status == RUN_OK)
				fprintf(f, " %.4f", figure(rep, row));
			else
				fprintf(f, " ?");
			if (row->status == RUN_OK && shown(rep, first, i))
				least = fmin(least, figure(rep, row));
		}
		fprintf(f, "\n");
	}
	fprintf(f, "EOD\n");
	if (isfinite(least))
		fprintf(f, "set yrange [%.4f:*]\n", least / 2);
}

/* The bars of a pair of CPUs, or the lines of a number of siblings. */
static void plot_pair(const struct report *rep, size_t first, FILE *f)
{
	const struct cell *cell = &rep->cell[first];
	size_t nth[2] = { 0, 0 };
	bool any = false;

	plot_data(rep, first, f);
	if (rep->opt->tlb)
		fprintf(f, "set title 'busy siblings: %u'\n", cell->siblings);
	else
		fprintf(f, "set title 'CPUs %d and %d: %s'\n",
			cell->cpu[CLIENT], cell->cpu[SERVER], cell->relation);
	for (size_t i = 0; i < cell->rows; i++) {
		const struct ipc_engine *e = cell->row[i].e;

		if (!shown(rep, first, i))
			continue;
		fprintf(f, rep->opt->tlb ?
			"%s $pair using 1:%zu title '%s' lw 2 lc rgb '%s'" :
			"%s $pair using %zu:xtic(1) title '%s' lc rgb '%s'",
			any ? "," : "plot", i + 2, e->name,
			colour(e, nth[!(e->flags & IPC_FASTOS)]++));
		any = true;
	}
	fprintf(f, "\n");
}

static const char bars[] = "set style data histogram\n"
			   "set style histogram clustered gap 1\n"
			   "set style fill solid";
static const char lines[] = "set style data linespoints\n"
			    "set logscale x 2\n"
			    "set xlabel 'pages of a batch'";

int plot_write(const struct report *rep)
{
	const struct ipc_options *opt = rep->opt;
	const char *unit = opt->icount ? "instructions" : "us, median";
	FILE *f = popen("gnuplot", "we");
	int ret;

	if (!f) {
		perror("gnuplot");
		return -1;
	}
	fprintf(f, "set terminal %s size 1200,%zu noenhanced\n"
		"set output '%s'\n"
		"set datafile missing '?'\n"
		"%s\n"
		"set logscale y\nset grid y\nset key outside right\n"
		"set ylabel '%s%s'\n"
		"set multiplot layout %zu,1 title '%s, %s: %s'\n",
		terminal(opt->plot), 420 * opt->pairs + 40, opt->plot,
		opt->tlb ? lines : bars, unit, opt->tlb ? " of a page" :
		opt->icount ? " of both sides" : "",
		opt->pairs, argp_program_version,
		opt->what ? opt->what : "round trips",
		json_string_value(json_object_get(rep->machine, "kernel")));
	for (size_t p = 0; p < opt->pairs; p++)
		plot_pair(rep, p * opt->sizes, f);
	fprintf(f, "unset multiplot\n");
	ret = pclose(f);
	if (ret)
		fprintf(stderr, "fosbench: gnuplot failed; no %s\n",
			opt->plot);
	return ret ? -1 : 0;
}
