// SPDX-License-Identifier: MIT
/* The course of a command that compares engines: ipc, bulk, tlb, io. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define TRAP_ROUNDS	1000
#define TLB_BATCHES	100

static void cell_begin(struct cell *cell, const struct ipc_options *opt,
		       size_t pair, size_t size)
{
	memcpy(cell->cpu, opt->pair[pair], sizeof(cell->cpu));
	cell->size = size;
	cell->siblings = opt->siblings[pair];
	machine_relation(cell->cpu, cell->relation, sizeof(cell->relation));
	for (size_t i = 0; opt->engines[i]; i++) {
		if (opt->engine[i])
			cell_add(cell, opt->engines[i], opt);
	}
	/*
	 * The floor is that of a CPU without other work; that of reads is one of
	 * the engines.
	 */
	if (!opt->counts && !opt->hog && !opt->alone)
		floor_begin(cell, opt);
}

/* A pass of its own: counting makes every trap slower. */
static void count_events(struct cell *cell, int tracepoint,
			 struct run_result *res)
{
	const bool tlb = cell->opt->tlb;
	const uint64_t most = tlb ? TLB_BATCHES : TRAP_ROUNDS;

	for (size_t i = 0; i < cell->rows; i++) {
		struct row *row = &cell->row[i];
		struct run run = row->run;

		cell_step(cell, row, "traps", 0);
		if (row->status != RUN_OK)
			continue;
		run.counting = true;
		run.tracepoint = tracepoint;
		if (run.samples > most)
			run.samples = most;
		run_once(&run, res);
		for (int side = 0; side < SIDES; side++) {
			row->traps[side] = res->side[side].traps;
			if (tlb)
				row->faults[side] = res->side[side].faults;
		}
		for (int k = 0; tlb && k < IPI_KINDS; k++)
			row->ipi[k] = res->has_ipi ? res->ipi[k] : NAN;
		if (res->status == RUN_OK)
			continue;
		row->status = res->status;
		memcpy(row->why, res->why, sizeof(row->why));
	}
}

/* ---- all -------------------------------------------------------------- */

/* Skipped for want of the module, and not for what it cannot do anyway. */
static bool is_missed(const struct row *row)
{
	const struct ipc_engine *e = row->e;

	return row->status == RUN_SKIPPED && (e->flags & IPC_MODULE) &&
	       (!e->most || row->run.size <= e->most);
}

static int exit_status(const struct report *rep)
{
	for (size_t i = 0; i < rep->cells; i++) {
		for (size_t j = 0; j < rep->cell[i].rows; j++) {
			const struct row *row = &rep->cell[i].row[j];

			if (row->status == RUN_FAILED ||
			    (rep->opt->require_fastos && is_missed(row)))
				return 1;
		}
	}
	return 0;
}

static int run_all(struct report *rep, struct run_result *res)
{
	const struct ipc_options *opt = rep->opt;
	static char why[WHY_LEN];
	int tracepoint, fd;

	for (size_t p = 0, i = 0; p < opt->pairs; p++) {
		for (size_t s = 0; s < opt->sizes; s++, i++)
			cell_begin(&rep->cell[i], opt, p, opt->size[s]);
	}
	progress_begin(rep->cells * (rep->cell[0].rows + rep->cell[0].probes) *
		       (opt->rounds + 1 + !opt->icount), opt->icount);
	for (size_t i = 0; i < rep->cells; i++)
		cell_measure(&rep->cell[i], opt, res);
	tracepoint = traps_tracepoint(why);
	fd = tracepoint < 0 ? -1 : traps_open(tracepoint, why);
	if (fd >= 0)
		close(fd);
	else
		rep->no_traps = why;
	/* Of tlb, the interrupts and faults are counted then, too. */
	for (size_t i = 0; (fd >= 0 || opt->tlb) && i < rep->cells; i++)
		count_events(&rep->cell[i], fd < 0 ? -1 : tracepoint, res);
	for (size_t i = 0; i < rep->cells; i++) {
		floor_finish(&rep->cell[i], opt);
		cell_finish(&rep->cell[i]);
	}
	progress_end();
	return exit_status(rep);
}

int compare(const struct ipc_options *opt)
{
	struct report rep = { .opt = opt };
	struct run_result *res;
	FILE *json;
	int status;

	if (!json_create(opt->json, &json))
		return 1;
	rep.cells = opt->pairs * opt->sizes;
	rep.cell = calloc(rep.cells, sizeof(*rep.cell));
	res = run_alloc();
	rep.machine = machine_describe();
	if (!rep.cell || !res || !rep.machine) {
		fprintf(stderr, "fosbench: no memory\n");
		return 1;
	}
	rep.fixed_ns = ipc_fastos_fixed_ns();
	if (opt->icount) {
		sleep(1);	/* let what booting began come to its end */
		rep.warning = machine_icount_check();
	}
	status = run_all(&rep, res);
	opt->print(&rep);
	if (json && report_json(&rep, json)) {
		perror(opt->json);
		status = 1;
	}
	if (opt->plot && plot_write(&rep))
		status = 1;
	json_decref(rep.machine);
	run_free(res);
	free(rep.cell);
	return status;
}
