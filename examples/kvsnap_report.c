// SPDX-License-Identifier: MIT
/* The table. */
#include "kvsnap_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <fastos.h>

#include "interrupts.h"

/* ---- comparing -------------------------------------------------------- */

static struct result *find(struct result *all, size_t n, const struct arm *arm)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].arm == arm)
			return &all[i];
	return NULL;
}

double kv_per_second(const struct result *r)
{
	return r->seconds > 0 ? r->operations / r->seconds : NAN;
}

double kv_kept(const struct result *r, struct result *all, size_t n)
{
	const struct result *none = find(all, n, &kv_none);

	return none ? kv_per_second(r) / kv_per_second(none) : NAN;
}

double kv_shorter(struct result *r, const struct arm *than, struct result *all,
		  size_t n)
{
	struct result *base = find(all, n, than);

	return base ? kv_quantile(base, 0.5) / kv_quantile(r, 0.5) : NAN;
}

/* ---- the table -------------------------------------------------------- */

/* Of a width, with a unit; '-' for what is not known. */
static void cell(int width, const char *format, double x, const char *unit)
{
	char text[32];

	if (isfinite(x))
		snprintf(text, sizeof(text), format, x);
	printf(" %*s%s", width - (int)strlen(unit), isfinite(x) ? text : "-",
	       isfinite(x) ? unit : "");
	if (!isfinite(x))
		printf("%*s", (int)strlen(unit), "");
}

static void heading(void)
{
	static const char *const backend[] = { "nothing", "the module",
					       "POSIX" };
	struct fos_caps caps = { 0 };

	fos_query(&caps, sizeof(caps));
	printf("%lu MiB of which %u %% are written between two snapshots, by %u "
	       "writers; fastos stands on %s\n%s\n%-12s%10s%8s%10s%10s%10s%9s%9s"
	       "%11s%6s%8s%9s\n", option.mib, option.dirty, option.writers,
	       backend[caps.backend % 3],
	       "Pauses in microseconds; the first is the longest where all is dirty",
	       "arm", "first", "pages", "p50", "p99", "max", "mprotect", "fork",
	       "ops/s", "kept", "MiB", "TLB");
}

static void row(struct result *r, struct result *all, size_t n)
{
	const bool none = !r->pauses;
	const double times = none ? NAN : r->pauses;
	/* fork() looks after all pages and knows no dirty ones. */
	const double pages = r->protected > 0 ? r->protected / times : NAN;

	printf("%-12s", r->arm->name);
	cell(9, "%.0f", none ? NAN : r->first_ns / 1e3, "");
	cell(7, "%.0f", pages, "");
	cell(9, "%.0f", kv_quantile(r, 0.5) / 1e3, "");
	cell(9, "%.0f", kv_quantile(r, 0.99) / 1e3, "");
	cell(9, "%.0f", kv_quantile(r, 1) / 1e3, "");
	cell(8, "%.2f", kv_shorter(r, &kv_mprotect, all, n), "x");
	cell(8, "%.2f", kv_shorter(r, &kv_fork, all, n), "x");
	cell(10, "%.0f", kv_per_second(r), "");
	cell(5, "%.0f", 100 * kv_kept(r, all, n), "%");
	cell(7, "%.1f", none ? NAN : r->extra_bytes / 1048576, "");
	cell(8, "%.1f", r->tlb / times, "");
	printf("\n");
}

static void explain(void)
{
	printf("pages: protected; mprotect, fork: how many times shorter than that "
	       "one's median;\nkept: of the operations without snapshots; MiB: of "
	       "more memory, at most;\nTLB: interrupts of all CPUs in a pause%s\n",
	       tlb_interrupts() < 0 ? ", which nobody counts here" : "");
}

/* ---- the verdict ------------------------------------------------------ */

static int verdict(const struct result *all, size_t n)
{
	unsigned int checked = 0, wrong = 0, failed = 0;

	for (size_t i = 0; i < n; i++) {
		const struct result *r = &all[i];

		checked += r->checked;
		wrong += r->wrong;
		failed += r->failed;
		if (r->skipped || r->failed || r->wrong)
			printf("%s: %s%s\n", r->arm->name, r->skipped ?
			       "skipped: " : r->failed ? "failed: " : "wrong: ",
			       r->why);
	}
	printf("%u of %u snapshots are the store at one point in time\n",
	       checked - wrong, checked);
	return wrong || failed || !checked ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int to_file(struct result *r, size_t n)
{
	FILE *file = fopen(option.json, "we");

	if (file && !kv_json(r, n, file))
		return 0;
	perror(option.json);
	return -1;
}

int kv_report(struct result *r, size_t n)
{
	int ret;

	heading();
	for (size_t i = 0; i < n; i++)
		if (r[i].seconds > 0)
			row(&r[i], r, n);
	explain();
	ret = verdict(r, n);
	if (option.json && to_file(r, n))
		ret = EXIT_FAILURE;
	return ret;
}
