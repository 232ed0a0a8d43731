// SPDX-License-Identifier: MIT
/* From samples to figures. */
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

double middle(const double *data, size_t n)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, data, n * sizeof(*data));
	gsl_sort(sorted, 1, n);
	return gsl_stats_median_from_sorted_data(sorted, 1, n);
}

/* Half width of the 95 % confidence interval of the mean of n figures. */
static double confidence(const double *data, size_t n)
{
	if (n < 2)
		return NAN;
	return gsl_cdf_tdist_Pinv(0.975, n - 1) * gsl_stats_sd(data, 1, n) /
	       sqrt(n);
}

struct interval mean_ratio(const double *ratio, size_t n)
{
	double log_of[MAX_ROUNDS] = { 0 }, mean, half;

	for (size_t i = 0; i < n; i++)
		log_of[i] = log(ratio[i]);
	mean = gsl_stats_mean(log_of, 1, n);
	half = confidence(log_of, n);
	return (struct interval) { exp(mean), exp(mean - half), exp(mean + half) };
}

void row_add_round(struct row *row, const struct run_result *res)
{
	size_t n = row->run.samples;
	unsigned int r = row->rounds;
	double *all, *mine;

	row->status = res->status;
	memcpy(row->why, res->why, sizeof(row->why));
	if (res->status != RUN_OK || r >= MAX_ROUNDS)
		return;
	all = realloc(row->sample, (row->samples + n) * sizeof(*all));
	if (!all) {
		row->status = RUN_FAILED;
		snprintf(row->why, sizeof(row->why), "no memory");
		return;
	}
	row->sample = all;
	mine = all + row->samples;
	memcpy(mine, res->sample, n * sizeof(*mine));
	gsl_sort(mine, 1, n);
	row->round_mean[r] = gsl_stats_mean(mine, 1, n);
	row->round_median[r] = gsl_stats_median_from_sorted_data(mine, 1, n);
	row->samples += n;
	row->rounds++;
	for (int side = 0; side < SIDES; side++) {
		row->round_cpu[side][r] = res->side[side].cpu_ns;
		row->nvcsw[side] += res->side[side].nvcsw;
		row->nivcsw[side] += res->side[side].nivcsw;
		row->faults[side] += res->side[side].faults;
	}
	for (int i = 0; i < IPI_KINDS; i++)
		row->ipi[i] += res->has_ipi ? res->ipi[i] : NAN;
}

void row_finish(struct row *row, bool by_cpu)
{
	size_t n = row->samples;

	for (int side = 0; side < SIDES; side++)
		row->traps[side] = NAN;
	row->vs_posix = NAN;
	row->vs_base = NAN;
	row->x_floor = NAN;
	row->x_raw = NAN;
	if (row->status == RUN_OK) {
		gsl_sort(row->sample, 1, n);
		row->min = row->sample[0];
		row->mean = gsl_stats_mean(row->sample, 1, n);
		row->median = gsl_stats_median_from_sorted_data(row->sample,
								1, n);
		row->p99 = gsl_stats_quantile_from_sorted_data(row->sample, 1,
							       n, 0.99);
		row->ci = confidence(row->round_median, row->rounds);
		for (int side = 0; side < SIDES; side++) {
			row->cpu[side] = middle(row->round_cpu[side],
						row->rounds);
			row->nvcsw[side] /= row->rounds;
			row->nivcsw[side] /= row->rounds;
			row->faults[side] /= row->rounds;
		}
		for (int i = 0; i < IPI_KINDS; i++)
			row->ipi[i] /= row->rounds;
		row->metric = by_cpu ? row->cpu[CLIENT] + row->cpu[SERVER] :
				       row->median;
	}
	free(row->sample);
	row->sample = NULL;
}

/* What no engine of its kind can undercut; see fosbench(1). */
static double row_floor(const struct cell *cell, const struct row *row)
{
	double copies = isnan(cell->copy) ? 0 : row->e->copies * cell->copy;

	if (cell->cpu[CLIENT] != cell->cpu[SERVER] &&
	    (row->e->flags & IPC_POLLS))
		return cell->floor_poll + copies;
	return cell->floor_sleep + copies;
}

void cell_finish(struct cell *cell)
{
	const struct row *best = NULL, *base = NULL, *raw = NULL;

	for (size_t i = 0; i < cell->rows; i++) {
		const struct row *row = &cell->row[i];

		if (row->status != RUN_OK)
			continue;
		if ((row->e->flags & IPC_POSIX) &&
		    (!best || row->metric < best->metric))
			best = row;
		if (row->e->flags & IPC_BASE)
			base = row;
		/* Polling with nothing around it; of bulk, that in place. */
		if (row->e == &bulk_spin_place ||
		    (row->e == &ipc_spin_shm && !raw))
			raw = row;
	}
	for (size_t i = 0; i < cell->rows; i++) {
		struct row *row = &cell->row[i];

		if (row->status != RUN_OK || (row->e->flags & IPC_NULL))
			continue;
		if (best)
			row->vs_posix = best->metric / row->metric;
		if (base)
			row->vs_base = base->metric / row->metric;
		row->x_floor = row->metric / row_floor(cell, row);
		if (raw && (row->e->flags & IPC_POLLS))
			row->x_raw = row->metric / raw->metric;
	}
	cell->best_posix = best;
	cell->raw = raw;
}
