// SPDX-License-Identifier: MIT
/* The figures for programs: --json FILE. */
#include "kvsnap_report.h"

#include <jansson.h>
#include <math.h>

/* JSON knows no NAN: what was not measured is null. */
static json_t *num(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static const char *status(const struct result *r)
{
	if (r->skipped)
		return "skipped";
	return r->failed ? "failed" : r->wrong ? "wrong" : "ok";
}

static json_t *arm_json(struct result *r, struct result *all, size_t n)
{
	const double times = r->pauses ? r->pauses : NAN;
	json_t *pauses = json_array();

	for (size_t i = 0; i < r->pauses; i++)
		json_array_append_new(pauses, num(r->pause[i]));
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o,"
			 " s:o, s:o, s:o, s:o, s:o, s:o}",
			 "name", r->arm->name, "status", status(r),
			 "reason", r->why, "checked", r->checked,
			 "wrong", r->wrong,
			 "pages", num(r->protected / times),
			 "first_ns", num(r->first_ns),
			 "p50_ns", num(kv_quantile(r, 0.5)),
			 "p99_ns", num(kv_quantile(r, 0.99)),
			 "max_ns", num(kv_quantile(r, 1)),
			 "pauses_ns", pauses,
			 "vs_mprotect",
			 num(kv_shorter(r, &kv_mprotect, all, n)),
			 "vs_fork", num(kv_shorter(r, &kv_fork, all, n)),
			 "operations_per_s", num(kv_per_second(r)),
			 "kept", num(kv_kept(r, all, n)),
			 "extra_bytes", num(r->extra_bytes),
			 "tlb_interrupts", num(r->tlb / times));
}

/* Closes it. */
int kv_json(struct result *r, size_t n, FILE *file)
{
	json_t *arms = json_array(), *all;
	int ret;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(arms, arm_json(&r[i], r, n));
	all = json_pack("{s:s, s:I, s:i, s:i, s:i, s:i, s:o}",
			"program", "kvsnap", "mib", (json_int_t)option.mib,
			"writers", option.writers, "dirty", option.dirty,
			"rounds", option.rounds, "snapshots", option.snapshots,
			"arms", arms);
	ret = json_dumpf(all, file, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
	json_decref(all);
	return fclose(file) ? -1 : ret;
}
