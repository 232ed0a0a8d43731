/* SPDX-License-Identifier: MIT */
/* What kvsnap is asked for, what it measures and tells. */
#ifndef KVSNAP_REPORT_H
#define KVSNAP_REPORT_H

#include "kvsnap.h"

#define SNAPSHOTS_MAX	10000

/* ---- what is asked for: kvsnap_args.c --------------------------------- */

/**
 * struct kv_options - what is asked for
 * @dirty: percent of the pages that are written between two snapshots
 * @snapshots: in a round, after the first
 * @arms: names with commas, or NULL
 * @path: of a snapshot
 * @json: path or NULL
 * @sync: wait for the disk
 * @break_it: protect nothing
 */
struct kv_options {
	unsigned long mib;
	unsigned int writers;
	unsigned int dirty;
	unsigned int rounds;
	unsigned int snapshots;
	unsigned int every_ms;
	char *arms;
	char *path;
	char *json;
	bool sync;
	bool break_it;
};

extern struct kv_options option;

int kv_arguments(int argc, char **argv);
bool kv_is_asked_for(const char *arm);

/* ---- what is measured: kvsnap_measure.c ------------------------------- */

/**
 * struct result - what became of an arm
 * @why: it was skipped or failed, or what is wrong with its snapshots
 * @first_ns: the longest pause of those where all was dirty
 * @pause: of the others, in ns
 * @pauses: how many
 * @protected: pages, the sum
 * @tlb: interrupts, the sum; negative: nobody counts them
 * @extra_bytes: the most
 * @operations: in @seconds
 * @checked: snapshots that were read back
 * @wrong: of these
 */
struct result {
	const struct arm *arm;
	bool skipped;
	bool failed;
	char why[WHY_LEN];
	double first_ns;
	double *pause;
	size_t pauses;
	double protected;
	double tlb;
	double extra_bytes;
	double operations;
	double seconds;
	unsigned int checked;
	unsigned int wrong;
};

uint64_t kv_now(void);

void kv_add(struct result *r, const struct sample *sample, bool first);

/* Of the pauses, which it sorts; NAN: there are none. */
double kv_quantile(struct result *r, double q);

/* On a terminal. */
void kv_progress_begin(size_t steps);
void kv_progress(const char *arm);
void kv_progress_end(void);

/* ---- what is told: kvsnap_report.c, kvsnap_json.c --------------------- */

/* The exit status. */
int kv_report(struct result *r, size_t n);

int kv_json(struct result *r, size_t n, FILE *file);

/* What several tell: NAN where there is nothing to compare with. */
double kv_per_second(const struct result *r);
double kv_kept(const struct result *r, struct result *all, size_t n);
double kv_shorter(struct result *r, const struct arm *than, struct result *all,
		  size_t n);

#endif
