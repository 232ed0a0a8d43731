// SPDX-License-Identifier: MIT
/* fosbench tlb: its engines and options. */
#include <argp.h>
#include <string.h>

#include "tlb.h"

#define PAGES_MAX	4096UL
#define ICOUNT_PAGES	8192
#define TIME_MS		20
/* As many siblings, where they fit. */
#define BUSY		3

/* Also the order in which they run. */
static const struct ipc_engine *const engines[] = {
	&tlb_fastos, &tlb_submit, &tlb_uring, &tlb_none, &tlb_discard, &tlb_posix,
	&tlb_mprotect, &tlb_private, &tlb_uffd,
	&tlb_pagemap, &tlb_madvise, &tlb_null, NULL
};

static const struct argp_option options[] = {
	{ "pages", 'p', "N,...", 0, "pages of a batch, 1 to 4096 (default: "
	  "1,2,4 and so on up to 4096; peers up to 512)", 0 },
	{ "siblings", 's', "N,...", 0, "busy threads beside the caller, each on "
	  "a CPU of its own (default: 0, and as many as fit, up to 3; with "
	  "--icount 0)", 0 },
	{ 0 }
};

/* The caller has the first CPU, the siblings the next. */
static void add_siblings(struct argp_state *state, unsigned int n)
{
	struct ipc_options *opt = state->input;
	int cpu[MAX_SIBLINGS + 1];
	unsigned int cpus = first_cpus(cpu, ARRAY_SIZE(cpu));

	if (opt->pairs == MAX_PAIRS)
		argp_error(state, "--siblings: more than %d", MAX_PAIRS);
	if (n >= cpus)
		argp_error(state, "--siblings: %u and the caller need %u CPUs, "
			   "and %u %s ours to use", n, n + 1, cpus,
			   cpus == 1 ? "is" : "are");
	memcpy(opt->sibling, cpu + 1, n * sizeof(cpu[0]));
	opt->pair[opt->pairs][CLIENT] = cpu[0];
	opt->pair[opt->pairs][SERVER] = n ? cpu[1] : cpu[0];
	opt->siblings[opt->pairs++] = n;
}

static void parse_siblings(struct argp_state *state, char *arg)
{
	struct ipc_options *opt = state->input;
	char *save, *word = strtok_r(arg, ",", &save);

	opt->pairs = 0;
	for (; word; word = strtok_r(NULL, ",", &save))
		add_siblings(state, parse_number(state, word, "--siblings", 0,
						 MAX_SIBLINGS));
}

static void default_siblings(struct argp_state *state)
{
	struct ipc_options *opt = state->input;
	int cpu[BUSY + 1];
	unsigned int cpus = first_cpus(cpu, ARRAY_SIZE(cpu));

	add_siblings(state, 0);
	if (cpus > 1 && !opt->icount)
		add_siblings(state, cpus - 1);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ipc_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = opt;
		break;
	case 'p':
		parse_sizes(state, "--pages", arg, 1, PAGES_MAX);
		break;
	case 's':
		parse_siblings(state, arg);
		break;
	case ARGP_KEY_END:
		if (!opt->pairs)
			default_siblings(state);
		for (size_t i = 0; opt->icount && i < opt->pairs; i++) {
			if (opt->siblings[i])
				argp_error(state, "--icount: siblings would "
					   "take turns with the caller");
		}
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child children[] = {
	{ .argp = &compare_argp },
	{ 0 }
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = children,
	.doc = "What it costs to make many scattered pages read-only, while "
	       "other threads of the process write to pages between them: a "
	       "region of fastos in one call, against a call for each page.\v"
	       "Exit status: 0; 1 if an engine failed, or was skipped under "
	       "--require-fastos; 64 for a wrong option.",
};

int cmd_tlb(int argc, char **argv)
{
	struct ipc_options opt = {
		.command = "tlb",
		.bytes = ICOUNT_PAGES,
		.tlb = true,
		.vs = "vs_mprotect",
		.what = "pages made read-only",
		.print = tlb_print,
		.more = tlb_json,
	};

	for (size_t n = 1; n <= PAGES_MAX; n *= 2)
		opt.size[opt.sizes++] = n;
	compare_defaults(&opt, engines);
	opt.time_ms = TIME_MS;
	if (argp_parse(&argp, argc, argv, 0, NULL, &opt))
		return 1;
	return compare(&opt);
}
