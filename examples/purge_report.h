/* SPDX-License-Identifier: MIT */
/* What purge tells. */
#ifndef PURGE_REPORT_H
#define PURGE_REPORT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "interrupts.h"
#include "purge_args.h"
#include "purge.h"

/**
 * struct result - what became of a way
 * @allocated: pages, in @seconds
 * @batches: that were given back
 * @tlb: interrupts; NAN: nobody counts them
 * @wrong: pages that were not zero
 * @sample: how long batches took, in us
 * @skipped: why, or NULL
 */
struct result {
	double allocated;
	double seconds;
	double batches;
	double tlb;
	uint64_t wrong;
	double *sample;
	size_t samples;
	const char *skipped;
};

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(struct result *r, double q)
{
	if (!r->samples)
		return NAN;
	qsort(r->sample, r->samples, sizeof(*r->sample), by_size);
	return r->sample[(size_t)(q * (r->samples - 1) + 0.5)];
}

/* '-': there is none, or it means nothing. */
static void cell(int width, const char *format, double x)
{
	char text[32] = "-";

	if (isfinite(x))
		snprintf(text, sizeof(text), format, x);
	printf("%*s", width, text);
}

/* What gives nothing back is compared with nothing. */
static void row(const struct way *way, struct result *r, struct result *base)
{
	const double given = way->purge == zero_purge ? NAN : 1;

	printf("%-16s", way->name);
	cell(10, "%.1f", quantile(r, 0.5));
	cell(10, "%.1f", quantile(r, 0.99));
	cell(10, "%.2fx", given * quantile(base, 0.5) / quantile(r, 0.5));
	cell(10, "%.1f", r->tlb / r->batches);
	cell(12, "%.0f", r->allocated / r->seconds);
	cell(10, "%.2fx", given * r->allocated / r->seconds *
			  base->seconds / base->allocated);
	printf("\n");
}

/* The exit status. */
static int report(struct result *r)
{
	uint64_t wrong = 0;

	printf("%u threads, %u of %lu pages at once; microseconds a batch\n"
	       "%-16s%10s%10s%10s%10s%12s%10s\n", option.threads, option.batch,
	       option.mib * 256, "way", "p50", "p99", "shorter", "TLB",
	       "pages/s", "more");
	for (size_t i = 0; i < WAYS; i++)
		if (!r[i].skipped)
			row(&ways[i], &r[i], &r[1]);
	printf("shorter, more: than madvise; TLB: interrupts of all CPUs a batch%s\n",
	       tlb_interrupts() < 0 ? ", which nobody counts here" : "");
	for (size_t i = 0; i < WAYS; i++) {
		wrong += r[i].wrong;
		if (r[i].skipped)
			printf("%s: skipped: %s\n", ways[i].name, r[i].skipped);
		if (r[i].wrong)
			printf("%s: wrong: %llu pages were not zero\n", ways[i].name,
			       (unsigned long long)r[i].wrong);
	}
	return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
