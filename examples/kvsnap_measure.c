// SPDX-License-Identifier: MIT
/* The clock, pauses, and how far it has come. */
#include "kvsnap_report.h"

#include <err.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t kv_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* ---- pauses ----------------------------------------------------------- */

static void add_pause(struct result *r, double ns)
{
	const size_t most = (size_t)option.rounds * option.snapshots;

	if (!r->pause)
		r->pause = calloc(most, sizeof(*r->pause));
	if (!r->pause)
		err(EXIT_FAILURE, "kvsnap");
	r->pause[r->pauses++] = ns;
}

void kv_add(struct result *r, const struct sample *sample, bool first)
{
	if (sample->extra_bytes > r->extra_bytes)
		r->extra_bytes = sample->extra_bytes;
	if (first) {
		r->first_ns = fmax(r->first_ns, sample->pause_ns);
		return;
	}
	add_pause(r, sample->pause_ns);
	r->protected += sample->protected;
	r->tlb += sample->tlb < 0 ? -INFINITY : sample->tlb;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double kv_quantile(struct result *r, double q)
{
	if (!r->pauses)
		return NAN;
	qsort(r->pause, r->pauses, sizeof(*r->pause), by_size);
	return r->pause[(size_t)ceil(q * (r->pauses - 1))];
}

/* ---- progress --------------------------------------------------------- */

static size_t all, done;

void kv_progress_begin(size_t steps)
{
	all = steps;
}

void kv_progress(const char *arm)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%3zu %%  %s\033[K", 100 * done / all, arm);
	done += done < all;
}

void kv_progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}
