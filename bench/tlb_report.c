// SPDX-License-Identifier: MIT
/* The figures of tlb for people, and from how many pages on a region pays. */
#include <argp.h>
#include <math.h>

#include "tlb.h"

/* ---- one cell --------------------------------------------------------- */

static void print_header(const struct report *rep)
{
	bool emulated = json_is_true(json_object_get(rep->machine,
						     "emulated"));

	if (rep->opt->counts)
		printf("  %-16s", "for one batch");
	else
		printf("  %-16s %7s %5s %8s %7s %7s %11s",
		       rep->opt->icount ? "instructions" :
		       emulated ? "us, emulated" : "us", "batch", "+-%",
		       "per page", "again", "x floor", "vs mprotect");
	printf(" %6s %6s %7s %6s\n", "TLB", "CAL", "faults", "traps");
}

static void print_row(const struct report *rep, const struct row *row)
{
	text t[10];

	printf("  %-16s", row->e->name);
	if (!rep->opt->counts)
		printf(" %7s %5s %8s %7s %7s %11s",
		       text_figure(rep, row->median, t[0]),
		       text_percent(row->ci, row->median, t[1]),
		       text_figure(rep, row->median / row->run.size, t[2]),
		       text_figure(rep, row->cpu[AGAIN], t[3]),
		       text_times(row->x_floor, t[4]),
		       text_times(row->vs_base, t[5]));
	printf(" %6s %6s %7s %6s\n", text_count(row->ipi[IPI_TLB], t[6]),
	       text_count(row->ipi[IPI_CAL], t[7]),
	       text_count(both_sides(row->faults), t[8]),
	       text_count(row->traps[DOWN], t[9]));
}

/* Of what it is made. */
static void print_floor(const struct report *rep, const struct cell *cell)
{
	const struct floor *f = &cell->floor;
	text t[4];

	if (isnan(cell->floor_sleep))
		return;
	printf("  floor: %s = trap %s + %zu x page %s",
	       text_figure(rep, cell->floor_sleep, t[0]),
	       text_figure(rep, f->trap, t[1]), cell->size,
	       text_figure(rep, f->pte, t[2]));
	if (cell->siblings)
		printf(" + interrupt %s", text_figure(rep, f->ipi, t[3]));
	printf("\n");
}

static const char *siblings(unsigned int n, text buf)
{
	if (!n)
		return "no sibling";
	snprintf(buf, sizeof(text), "%u sibling%s", n, n == 1 ? "" : "s");
	return buf;
}

static void print_cell(const struct report *rep, const struct cell *cell)
{
	const struct row *row[MAX_ENGINES];
	size_t n = cell_rank(cell, rep->opt->counts, row);
	text t;

	printf("\n%zu page%s, %s\n", cell->size, cell->size == 1 ? "" : "s",
	       siblings(cell->siblings, t));
	if (n)
		print_header(rep);
	for (size_t i = 0; i < n; i++)
		print_row(rep, row[i]);
	if (!rep->opt->counts)
		print_floor(rep, cell);
	print_absent(cell);
}

/* ---- from how many pages on ------------------------------------------- */

static const struct contest {
	const char *key;
	const struct ipc_engine *e;
	bool all;		/* against all that refuse stores */
} contests[] = {
	{ "fastos_mprotect", &tlb_fastos, false },
	{ "fastos_all", &tlb_fastos, true },
	{ "fastos_posix_mprotect", &tlb_posix, false },
	{ "fastos_posix_all", &tlb_posix, true },
};

static double ahead(const struct cell *cell, const void *contest)
{
	const struct contest *k = contest;
	const struct row *row = cell_row(cell, k->e);

	if (!row)
		return NAN;
	return k->all ? row->vs_posix : row->vs_base;
}

static void print_ahead(const struct report *rep, size_t pair,
			const struct contest *k)
{
	long pages = size_from(rep, pair, ahead, k);
	text t;

	if (pages < 0)
		return;
	printf("  %s: %s is ahead of %s ", siblings(rep->opt->siblings[pair], t),
	       k->e->name, k->all ? "all that refuse stores" : "mprotect()");
	if (pages)
		printf("from %ld page%s on\n", pages, pages == 1 ? "" : "s");
	else
		printf("at no number measured\n");
}

/* Some kernels count them as TLB, all as CAL. */
static double rounds(const struct cell *cell, const struct row *row)
{
	return fmax(row->ipi[IPI_TLB], row->ipi[IPI_CAL]) / cell->siblings;
}

/* The cell with the most pages that peers were measured with. */
static const struct cell *fullest(const struct report *rep, size_t pair)
{
	const struct cell *cell = &rep->cell[pair * rep->opt->sizes];
	const struct cell *most = cell;

	for (size_t i = 1; i < rep->opt->sizes; i++) {
		if (cell[i].size > most->size && cell[i].size <= TLB_PEERS)
			most = &cell[i];
	}
	return most;
}

static void print_rounds(const struct report *rep, size_t pair)
{
	const struct cell *most = fullest(rep, pair);
	const struct row *base = cell_row(most, &tlb_mprotect);
	char list[MAX_ENGINES * 40];
	size_t len = 0;
	text t;

	if (!most->siblings)
		return;
	/* Seen under PVM: a call of the hypervisor flushes all CPUs. */
	if (base && rounds(most, base) < most->size / 4.) {
		printf("  %s: this machine flushes TLBs without interrupts; "
		       "none to count\n", siblings(most->siblings, t));
		return;
	}
	for (size_t i = 0; i < most->rows; i++) {
		const struct row *row = &most->row[i];

		if (row->status != RUN_OK || (row->e->flags & IPC_NULL) ||
		    isnan(rounds(most, row)))
			continue;
		len += snprintf(list + len, sizeof(list) - len, "%s%s %s",
				len ? ", " : "", row->e->name,
				text_count(rounds(most, row), t));
	}
	if (!len)
		return;
	print_wrapped(printf("  %s: interrupts to each for %zu page%s:",
			     siblings(most->siblings, t), most->size,
			     most->size == 1 ? "" : "s"), 6, list);
}

json_t *tlb_json(const struct report *rep)
{
	json_t *list = json_array();

	for (size_t p = 0; p < rep->opt->pairs; p++) {
		json_t *one = json_pack("{s:i}", "siblings",
					(int)rep->opt->siblings[p]);

		for (size_t i = 0; i < ARRAY_SIZE(contests); i++) {
			long pages = size_from(rep, p, ahead, &contests[i]);

			json_object_set_new(one, contests[i].key,
					    json_num(pages > 0 ? pages : NAN));
		}
		json_array_append_new(list, one);
	}
	return json_pack("{s:o}", "ahead_from", list);
}

/* ---- all -------------------------------------------------------------- */

static void print_legend(const struct report *rep)
{
	const struct ipc_options *opt = rep->opt;
	char par[2048];
	int n;

	n = snprintf(par, sizeof(par),
		     "A batch makes every second page of a stretch of memory "
		     "read-only; that it did, and did no more, is tried before "
		     "and after each run. Siblings are threads of the same "
		     "process, on CPUs of their own, which store to the pages "
		     "between. The engines took turns in %u round%s. ",
		     opt->rounds, opt->rounds == 1 ? "" : "s");
	if (!opt->counts)
		n += snprintf(par + n, sizeof(par) - n,
			      "again: what it takes until all pages were "
			      "stored to again; not in the batch. x floor: "
			      "times the least that this machine charges "
			      "(below each table). vs mprotect: how many times "
			      "%s than a loop of mprotect(). ",
			      opt->icount ? "fewer" : "faster");
	if (!opt->counts && !opt->icount)
		n += snprintf(par + n, sizeof(par) - n,
			      "+-%%: 95 %% confidence of the median. ");
	snprintf(par + n, sizeof(par) - n,
		 "TLB, CAL: interrupts of a batch to all CPUs "
		 "(/proc/interrupts), less those of as long a time in which "
		 "nothing is done; an interrupt for a shootdown is in both "
		 "where the kernel counts them as TLB. faults: of all threads, "
		 "until all was stored to again. traps: system calls of the "
		 "batch. pagemap-scan and process_madvise refuse no store: "
		 "they are here as calls that take many pages.%s%s%s",
		 rep->no_traps ? " Traps are n/a: " : "",
		 rep->no_traps ? rep->no_traps : "", rep->no_traps ? "." : "");
	printf("\n");
	print_wrapped(0, 0, par);
}

void tlb_print(const struct report *rep)
{
	const struct ipc_options *opt = rep->opt;

	report_tables(rep, print_legend, print_cell);
	printf("\nIn short\n");
	for (size_t p = 0; p < opt->pairs; p++) {
		for (size_t i = 0; !opt->counts && i < ARRAY_SIZE(contests);
		     i++)
			print_ahead(rep, p, &contests[i]);
		print_rounds(rep, p);
	}
}
