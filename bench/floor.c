// SPDX-License-Identifier: MIT
/*
 * The least that a round trip can cost on this machine, from what its parts
 * cost, each measured alone, in turn with the engines:
 *
 *   sleeping, one CPU	 2 traps + 2 changes of the CPU to the other process
 *   sleeping, two CPUs	 2 traps + 2 wake-ups of the other process
 *   polling, two CPUs	 2 transfers of a cache line
 *   all of them	 + what both sides do with the message in any engine:
 *			 ipc: copy it in and out, read it; bulk: read it, and
 *			 who copies bodies is held to that many copies more
 *
 * and a batch of tlb:
 *
 *   a trap + as many changes of a page's rights, each as one more page in one
 *   mprotect() + with siblings, an interrupt to one of them: all get it at once
 */
#include <math.h>

#include "bench.h"

/* A probe is quick, and steadier than an engine. */
#define SHARE		5
#define MIN_MS		2

enum { LOOP, TRAP, PASS, LINE, WORK, COPY, PROBES };

/* Of tlb. */
enum { PTE = TRAP + 1, PTES, BARRIER, IPI, TLB_PROBES };

/* Under -icount, where a tick may hit a sample. */
#define ICOUNT_BATCH	10
#define ICOUNT_SAMPLES	30

static struct row *add_probe(struct cell *cell, const struct ipc_engine *probe,
			     const struct ipc_options *opt)
{
	struct row *row = cell_add(cell, probe, opt);

	cell->rows--;
	cell->probes++;
	row->run.depth = 1;
	row->time_ms = opt->time_ms / SHARE;
	if (row->time_ms < MIN_MS)
		row->time_ms = MIN_MS;
	return row;
}

static void tlb_begin(struct cell *cell, const struct ipc_options *opt)
{
	const struct ipc_engine *const probe[TLB_PROBES] = {
		[LOOP] = &probe_loop,
		[TRAP] = &probe_trap,
		[PTE] = &probe_pte,
		[PTES] = &probe_ptes,
		[BARRIER] = &probe_barrier,
		[IPI] = &probe_ipi,
	};

	for (int i = 0; i < (cell->siblings ? TLB_PROBES : BARRIER); i++) {
		struct row *row = add_probe(cell, probe[i], opt);

		row->run.siblings = 0;
		row->run.size = sizeof(uint64_t);
		row->run.batch = ICOUNT_BATCH;
		row->run.samples = ICOUNT_SAMPLES;
	}
}

void floor_begin(struct cell *cell, const struct ipc_options *opt)
{
	bool two = cell->cpu[CLIENT] != cell->cpu[SERVER];
	const struct ipc_engine *const probe[PROBES] = {
		[LOOP] = &probe_loop,
		[TRAP] = &probe_trap,
		[PASS] = two ? &probe_wake : &probe_switch,
		[LINE] = &probe_line,
		[WORK] = opt->bulk ? &probe_loop : &probe_copies,
		[COPY] = &probe_copy,
	};

	if (opt->tlb) {
		tlb_begin(cell, opt);
		return;
	}
	for (int i = 0; i < (opt->bulk ? PROBES : COPY); i++) {
		struct row *row = add_probe(cell, probe[i], opt);

		if (i >= WORK)
			continue;
		row->run.size = sizeof(uint64_t);
		row->run.oneway = false;
	}
}

static double metric(const struct cell *cell, int probe)
{
	const struct row *row = &cell->row[cell->rows + probe];

	return row->status == RUN_OK ? row->metric : NAN;
}

static double positive(double x)
{
	return x < 0 ? 0 : x;
}

/* Bodies a round trip: 2, or 1 and an acknowledgment. */
static void floor_work(struct cell *cell, const struct ipc_options *opt)
{
	int bodies = opt->oneway ? 1 : 2;

	cell->work = bodies * metric(cell, WORK);
	if (opt->bulk)
		cell->copy = bodies * positive(metric(cell, COPY) -
					       metric(cell, WORK));
}

static void tlb_finish(struct cell *cell)
{
	struct floor *f = &cell->floor;

	if (cell->probes) {
		f->trap = positive(metric(cell, TRAP) - metric(cell, LOOP));
		f->pte = positive(metric(cell, PTES) - metric(cell, PTE)) / 2 /
			 (probe_ptes.arg - 1);
		f->ipi = !cell->siblings ? 0 :
			 positive(metric(cell, IPI) - metric(cell, BARRIER));
	}
	cell->floor_sleep = f->trap + cell->size * f->pte + f->ipi;
	cell->floor_poll = NAN;
}

void floor_finish(struct cell *cell, const struct ipc_options *opt)
{
	const unsigned int depth = cell->row[0].run.depth;
	bool two = cell->cpu[CLIENT] != cell->cpu[SERVER];
	struct floor *f = &cell->floor;
	double loop, pass;

	*f = (struct floor) { NAN, NAN, NAN, NAN, NAN, NAN };
	cell->work = NAN;
	cell->copy = NAN;
	if (opt->tlb) {
		tlb_finish(cell);
		return;
	}
	/* Not with --counts. */
	if (cell->probes) {
		loop = metric(cell, LOOP);
		f->trap = positive(metric(cell, TRAP) - loop);
		pass = positive(metric(cell, PASS) / 2 - loop - f->trap);
		if (two)
			f->wake = pass;
		else
			f->change = pass;
		/* Under -icount, polling lasts as long as a turn of the CPU. */
		if (two && !opt->icount)
			f->line = positive(metric(cell, LINE) / 2 - loop);
		floor_work(cell, opt);
	}
	/* One sleep of each side serves a window. */
	cell->floor_sleep = 2 * (f->trap + (two ? f->wake : f->change)) / depth +
			    cell->work;
	cell->floor_poll = 2 * f->line + cell->work;
}
