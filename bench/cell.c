// SPDX-License-Identifier: MIT
/* Engines in one table: they take turns, for as long as was asked. */
#include <math.h>
#include <string.h>

#include "bench.h"

#define CALIBRATE_RUNS	6
#define CALIBRATE_FIRST	32
#define BATCHES_FIRST	4	/* of tlb, which may be slow */
#define ICOUNT_WARM	30
#define ICOUNT_LEAST	5

static uint64_t windows(uint64_t rounds, unsigned int depth)
{
	return (rounds + depth - 1) / depth;
}

/* How many round trips fill the time, and how many make one sample. */
static void calibrate(struct row *row, uint64_t iters, struct run_result *res)
{
	double budget = row->time_ms * 1e6, ns = 0, clock;
	bool alone = row->e->again;	/* each is timed alone */
	uint64_t n = alone ? BATCHES_FIRST : CALIBRATE_FIRST;
	uint64_t start = now_ns();

	for (int i = 0; i < 1000; i++)
		(void)now_ns();
	clock = (now_ns() - start) / 1000.;
	for (int i = 0; i < CALIBRATE_RUNS; i++) {
		row->run.warm = n / 4 + 1;
		row->run.batch = n;
		row->run.samples = 1;
		run_once(&row->run, res);
		row->status = res->status;
		memcpy(row->why, res->why, sizeof(row->why));
		if (res->status != RUN_OK)
			return;
		ns = row->run.depth * (res->sample[0] > 1 ? res->sample[0] : 1);
		if (alone)
			ns += res->side[AGAIN].cpu_ns;
		if (ns * n > budget / 10)
			break;
		n = budget / 8 / ns < 50. * n ? budget / 8 / ns + 1 : 50 * n;
	}
	n = iters ? windows(iters, row->run.depth) : budget / ns;
	if (n < CALIBRATE_FIRST && !iters)
		n = CALIBRATE_FIRST;
	/* Reading the clock adds 1 % at most. */
	row->run.batch = alone ? 1 : 100 * clock / ns + 1;
	if (row->run.batch < n / MAX_SAMPLES + 1)
		row->run.batch = n / MAX_SAMPLES + 1;
	row->run.samples = n / row->run.batch ? n / row->run.batch : 1;
	row->run.warm = n / 20 < 20 ? 20 : n / 20 > 2000 ? 2000 : n / 20;
}

/* Under -icount; who copies bodies is slow, and needs few of large ones. */
static uint64_t iterations(const struct ipc_engine *e, size_t size,
			   const struct ipc_options *opt)
{
	uint64_t few = opt->bytes / size;

	if (!opt->bytes || few >= opt->iters || (opt->header && !e->copies))
		return opt->iters;
	return few < ICOUNT_LEAST ? ICOUNT_LEAST : few;
}

/* The cell knows its size and CPUs, and is not full; probes come last. */
struct row *cell_add(struct cell *cell, const struct ipc_engine *e,
		     const struct ipc_options *opt)
{
	struct row *row = &cell->row[cell->rows++ + cell->probes];
	uint64_t batch = iterations(e, cell->size, opt);

	cell->opt = opt;
	row->e = e;
	row->time_ms = opt->time_ms;
	row->run = (struct run) {
		.e = e,
		.size = cell->size,
		.cpu = { cell->cpu[CLIENT], cell->cpu[SERVER] },
		.siblings = cell->siblings,
		.depth = opt->depth,
		.warm = batch < ICOUNT_WARM ? batch : ICOUNT_WARM,
		.batch = windows(batch, opt->depth),
		.samples = 1,
		.lead_ns = opt->lead_ms * 1000000,
		.tracepoint = -1,
		.hog = opt->hog,
		.services = &opt->services,
		.oneway = opt->oneway,
		.header = opt->header,
		.produce = opt->produce,
	};
	memcpy(row->run.sibling, opt->sibling, sizeof(row->run.sibling));
	if (e->again) {
		row->run.samples = row->run.batch;
		row->run.batch = 1;
	}
	return row;
}

void cell_step(const struct cell *cell, const struct row *row,
	       const char *what, unsigned int round)
{
	char buf[32] = "", where[64];

	if (row->status != RUN_OK) {
		progress_step(NULL);
		return;
	}
	if (round)
		snprintf(buf, sizeof(buf), " %u", round);
	if (cell->opt->tlb)
		snprintf(where, sizeof(where), "siblings %u  %zu pages",
			 cell->siblings, cell->size);
	else
		snprintf(where, sizeof(where), "CPUs %d,%d  %zu bytes",
			 cell->cpu[CLIENT], cell->cpu[SERVER], cell->size);
	progress_step("%s  %s%s: %s", where, what, buf, row->e->name);
}

const struct row *cell_row(const struct cell *cell, const struct ipc_engine *e)
{
	for (size_t i = 0; i < cell->rows; i++) {
		if (cell->row[i].e == e && cell->row[i].status == RUN_OK)
			return &cell->row[i];
	}
	return NULL;
}

double cell_median(const struct cell *cell, const struct ipc_engine *e)
{
	const struct row *row = cell_row(cell, e);

	return row ? row->median : NAN;
}

void cell_measure(struct cell *cell, const struct ipc_options *opt,
		  struct run_result *res)
{
	size_t rows = cell->rows + cell->probes;

	if (!opt->icount) {
		for (size_t i = 0; i < rows; i++) {
			cell_step(cell, &cell->row[i], "calibration", 0);
			if (cell->row[i].status == RUN_OK)
				calibrate(&cell->row[i], opt->iters, res);
		}
	}
	for (unsigned int r = 1; r <= opt->rounds; r++) {
		for (size_t i = 0; i < rows; i++) {
			struct row *row = &cell->row[i];

			cell_step(cell, row, "round", r);
			if (row->status != RUN_OK)
				continue;
			run_once(&row->run, res);
			row_add_round(row, res);
		}
	}
	for (size_t i = 0; i < rows; i++)
		row_finish(&cell->row[i], opt->icount && !opt->hog &&
			   !opt->tlb && !opt->alone);
}
