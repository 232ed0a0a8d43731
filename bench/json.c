// SPDX-License-Identifier: MIT
/* The figures for programs: --json FILE. */
#include <argp.h>
#include <math.h>

#include "bench.h"

/* JSON knows no NAN: what was not measured is null. */
json_t *json_num(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static json_t *both(const double x[SIDES], bool tlb)
{
	return json_pack("{s:o, s:o}",
			 tlb ? "down" : "client", json_num(x[CLIENT]),
			 tlb ? "again" : "server", json_num(x[SERVER]));
}

static const char *class(unsigned int flags)
{
	if (flags & IPC_POSIX)
		return "posix";
	if (flags & IPC_FASTOS)
		return "fastos";
	if (flags & IPC_OTHER)
		return "other";
	return flags & IPC_NULL ? "null" : "floor";
}

static json_t *row_json(const struct row *row, const struct ipc_options *opt)
{
	static const char *const status[] = { "ok", "skipped", "failed" };
	json_t *obj, *more, *rounds = json_array(), *ipi = json_object();
	const bool tlb = opt->tlb;

	for (unsigned int r = 0; r < row->rounds; r++)
		json_array_append_new(rounds, json_num(row->round_median[r]));
	for (int i = 0; i < IPI_KINDS; i++)
		json_object_set_new(ipi, ipi_name[i], json_num(row->ipi[i]));
	obj = json_pack("{s:s, s:s, s:s}", "name", row->e->name,
			"class", class(row->e->flags),
			"status", status[row->status]);
	if (!obj || row->status != RUN_OK) {
		json_decref(rounds);
		json_decref(ipi);
		json_object_set_new(obj, "reason", json_string(row->why));
		return obj;
	}
	more = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
			 " s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:i}",
			 "median", json_num(row->median),
			 "p99", json_num(row->p99), "ci95", json_num(row->ci),
			 "round_medians", rounds,
			 "cpu_total", json_num(row->cpu[CLIENT] +
					       row->cpu[SERVER]),
			 "cpu", both(row->cpu, tlb),
			 "traps", both(row->traps, tlb),
			 "nvcsw", both(row->nvcsw, tlb),
			 "nivcsw", both(row->nivcsw, tlb),
			 "faults", both(row->faults, tlb), "ipis", ipi,
			 "vs_best_posix", json_num(row->vs_posix),
			 opt->vs ? opt->vs : "vs_pipe",
			 json_num(row->vs_base),
			 "x_floor", json_num(row->x_floor),
			 "x_raw", json_num(row->x_raw),
			 "batch", (json_int_t)row->run.batch,
			 "samples", (json_int_t)row->run.samples,
			 "rounds", row->rounds);
	json_object_update_new(obj, more);
	if (tlb)
		json_object_set_new(obj, "per_page",
				    json_num(row->median / row->run.size));
	if (!opt->bulk)
		return obj;
	json_object_set_new(obj, "copies", json_integer(row->e->copies));
	json_object_set_new(obj, "gb_per_s", json_num(bulk_gb_per_s(row)));
	return obj;
}

/* What the least of a round trip is made of; see floor.c. */
static json_t *floor_json(const struct cell *cell,
			  const struct ipc_options *opt)
{
	const struct floor *f = &cell->floor;

	if (opt->tlb)
		return json_pack("{s:o, s:o, s:o, s:o}",
				 "batch", json_num(cell->floor_sleep),
				 "trap", json_num(f->trap),
				 "pte", json_num(f->pte),
				 "ipi", json_num(f->ipi));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "sleeping", json_num(cell->floor_sleep),
			 "polling", json_num(cell->floor_poll),
			 "trap", json_num(f->trap),
			 "switch", json_num(f->change),
			 "wake", json_num(f->wake),
			 "line", json_num(f->line),
			 opt->bulk ? "reading" : "copies", json_num(cell->work),
			 "copy", json_num(cell->copy));
}

static json_t *cell_json(const struct cell *cell, const struct ipc_options *opt)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < cell->rows; i++)
		json_array_append_new(rows, row_json(&cell->row[i], opt));
	if (opt->tlb)
		return json_pack("{s:I, s:i, s:i, s:o, s:o}",
				 "pages", (json_int_t)cell->size,
				 "siblings", (int)cell->siblings,
				 "cpu", cell->cpu[CLIENT],
				 "floor", floor_json(cell, opt),
				 "engines", rows);
	return json_pack("{s:I, s:i, s:[ii], s:s, s:s?, s:o, s:o}",
			 "size", (json_int_t)cell->size,
			 "depth", (int)cell->row[0].run.depth,
			 "cpus", cell->cpu[CLIENT], cell->cpu[SERVER],
			 "relation", cell->relation, "best_posix",
			 cell->best_posix ? cell->best_posix->e->name : NULL,
			 "floor", floor_json(cell, opt), "engines", rows);
}

bool json_create(const char *path, FILE **f)
{
	*f = path ? fopen(path, "we") : NULL;
	if (!path || *f)
		return true;
	perror(path);
	return false;
}

int json_write(json_t *obj, FILE *f)
{
	int ret = -1;

	if (obj)
		ret = json_dumpf(obj, f, JSON_INDENT(2) |
				 JSON_REAL_PRECISION(10));
	json_decref(obj);
	if (fputc('\n', f) == EOF)
		ret = -1;
	return fclose(f) ? -1 : ret;
}

/* Closes f. 0, or -1 and errno. */
int report_json(const struct report *rep, FILE *f)
{
	json_t *cells = json_array(), *all;

	for (size_t i = 0; i < rep->cells; i++)
		json_array_append_new(cells, cell_json(&rep->cell[i],
						       rep->opt));
	all = json_pack("{s:s, s:s, s:i, s:s, s:s, s:b, s:I, s:I, s:s?, s:s?,"
			" s:O, s:o}",
			"program", argp_program_version,
			"command", rep->opt->command, "format", 1,
			"unit", rep->opt->icount ? "instructions" : "ns",
			"ranked_by", rep->opt->icount && !rep->opt->hog &&
				!rep->opt->tlb && !rep->opt->alone ? "cpu_total" : "median",
			"hog", rep->opt->hog,
			"lead_ms", (json_int_t)rep->opt->lead_ms,
			"fastos_fixed_ns", (json_int_t)rep->fixed_ns,
			"no_traps_because", rep->no_traps,
			"warning", rep->warning,
			"machine", rep->machine, "cells", cells);
	if (rep->opt->more)
		json_object_update_new(all, rep->opt->more(rep));
	return json_write(all, f);
}
