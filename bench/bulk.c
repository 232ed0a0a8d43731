// SPDX-License-Identifier: MIT
/* fosbench bulk: its engines and options. */
#include <argp.h>
#include <string.h>

#include "bench.h"

#define SIZE_MIN	64UL
#define SIZE_LIMIT	(32UL << 20)
#define ICOUNT_BYTES	(20UL << 20)

/* Also the order in which they run. */
static const struct ipc_engine *const engines[] = {
	&bulk_fastos_spin, &bulk_fastos_block, &bulk_copy_spin,
	&bulk_copy_block, &bulk_posix_spin, &bulk_posix_block,
	&bulk_posix_copy_spin, &ipc_pipe, &bulk_vmsplice, &ipc_unix_stream,
	&bulk_uring, &bulk_vm_readv, &ipc_futex, &ipc_eventfd, &ipc_spin_shm,
	&bulk_futex_place, &bulk_spin_place, NULL
};

enum { O_PRODUCE = 256, O_SHAPE, O_TOUCH };

static const struct argp_option options[] = {
	{ "sizes", 's', "BYTES,...", 0, "of the body, 64 to 32M "
	  "(default: 4K,64K,1M,16M)", 0 },
	{ "shape", O_SHAPE, "SHAPE", 0, "oneway: the answer has 8 bytes; "
	  "echo: a body goes there and one comes back (default: oneway)", 0 },
	{ "touch", O_TOUCH, "WHAT", 0, "the receiver reads all of a body, or "
	  "only its header, the first 64 bytes (default: all)", 0 },
	{ "produce", O_PRODUCE, "WHEN", 0, "the sender writes a body once, "
	  "and later only its first 8 bytes, or all of it each time "
	  "(default: once)", 0 },
	{ 0 }
};

/* Is it the second of the two words that the option knows? */
static bool parse_choice(struct argp_state *state, const char *what,
			 const char *arg, const char *first, const char *second)
{
	if (strcmp(arg, first) && strcmp(arg, second))
		argp_error(state, "%s: %s is neither %s nor %s", what, arg,
			   first, second);
	return !strcmp(arg, second);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ipc_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = opt;
		break;
	case 's':
		parse_sizes(state, "--sizes", arg, SIZE_MIN, SIZE_LIMIT);
		break;
	case O_SHAPE:
		opt->oneway = parse_choice(state, "--shape", arg, "echo",
					   "oneway");
		break;
	case O_TOUCH:
		opt->header = parse_choice(state, "--touch", arg, "all",
					   "header");
		break;
	case O_PRODUCE:
		opt->produce = parse_choice(state, "--produce", arg, "once",
					    "each");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child children[] = {
	{ .argp = &sides_argp },
	{ 0 }
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = children,
	.doc = "A body handed from one pinned process to another, which reads "
	       "it and answers: in place on a channel of fastos, against what "
	       "copies it once or twice.\v"
	       "Exit status: 0; 1 if an engine failed, or was skipped under "
	       "--require-fastos; 64 for a wrong option.",
};

int cmd_bulk(int argc, char **argv)
{
	struct ipc_options opt = {
		.command = "bulk",
		.print = bulk_print,
		.more = bulk_json,
		.size = { 4096, 65536, 1 << 20, 16 << 20 },
		.sizes = 4,
		.bytes = ICOUNT_BYTES,
		.bulk = true,
		.oneway = true,
	};

	compare_defaults(&opt, engines);
	if (argp_parse(&argp, argc, argv, 0, NULL, &opt))
		return 1;
	return compare(&opt);
}
