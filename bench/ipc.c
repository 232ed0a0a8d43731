// SPDX-License-Identifier: MIT
/* fosbench ipc: its engines and options. */
#include <argp.h>

#include "bench.h"

#define SIZE_MIN	8UL
#define SIZE_LIMIT	(1UL << 20)

/* Also the order in which they run. */
static const struct ipc_engine *const engines[] = {
	&ipc_fastos, &ipc_fastos_spin, &ipc_fastos_fixed, &ipc_fastos_block,
	&ipc_fastos_block_deadline, &ipc_posix, &ipc_posix_spin, &ipc_posix_fixed,
	&ipc_posix_block, &ipc_pipe, &ipc_unix_stream, &ipc_unix_seqpacket,
	&ipc_mq, &ipc_futex, &ipc_sem, &ipc_eventfd, &ipc_spin_shm, &ipc_null,
	NULL
};

static const struct argp_option options[] = {
	{ "sizes", 's', "BYTES,...", 0, "of request and of reply, 8 to 1M "
	  "(default: 8,64,1K,16K,64K)", 0 },
	{ "depth", 'd', "N", 0, "requests under way at once, 1 to 64 (default: 1); "
	  "engines that have one at a time are skipped", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ipc_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = state->input;
		break;
	case 's':
		parse_sizes(state, "--sizes", arg, SIZE_MIN, SIZE_LIMIT);
		break;
	case 'd':
		opt->depth = parse_number(state, arg, "--depth", 1, MAX_WINDOW);
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
	.doc = "Round trips between two pinned processes: a request and a "
	       "reply of the same size; both sides copy it in and out, and "
	       "read every byte they receive.\v"
	       "Exit status: 0; 1 if an engine failed, or was skipped under "
	       "--require-fastos; 64 for a wrong option.",
};

int cmd_ipc(int argc, char **argv)
{
	struct ipc_options opt = {
		.command = "ipc",
		.print = report_print,
		.size = { 8, 64, 1024, 16384, 65536 },
		.sizes = 5,
	};

	compare_defaults(&opt, engines);
	if (argp_parse(&argp, argc, argv, 0, NULL, &opt))
		return 1;
	return compare(&opt);
}
