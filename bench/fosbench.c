// SPDX-License-Identifier: MIT
/* fosbench - measure fastos beside what POSIX offers, on this machine. */
#include <argp.h>
#include <string.h>

#include "bench.h"

#ifndef FOSBENCH_VERSION
#define FOSBENCH_VERSION "unreleased"
#endif

const char *argp_program_version = "fosbench " FOSBENCH_VERSION;

static const struct command {
	const char *name;
	const char *title;	/* argv[0] of the command */
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "ipc", "fosbench ipc", cmd_ipc },
	{ "bulk", "fosbench bulk", cmd_bulk },
	{ "tlb", "fosbench tlb", cmd_tlb },
	{ "io", "fosbench io", cmd_io },
	{ "bells", "fosbench bells", cmd_bells },
	{ "limits", "fosbench limits", cmd_limits },
	{ "wait", "fosbench wait", cmd_wait },
	{ "live", "fosbench live", cmd_live },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	int *status = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
			char **argv = &state->argv[state->next - 1];
			int argc = state->argc - state->next + 1;

			if (strcmp(arg, commands[i].name))
				continue;
			argv[0] = (char *)commands[i].title;
			state->next = state->argc;
			*status = commands[i].run(argc, argv);
			return 0;
		}
		argp_error(state, "unknown command: %s", arg);
		return EINVAL;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "COMMAND [OPTION...]",
	.doc = "Measure fastos beside what POSIX offers, on this machine.\v"
	       "Commands:\n"
	       "  ipc     round trips between two processes\n"
	       "  bulk    bodies of 4K to 16M handed from one to the other\n"
	       "  tlb     scattered pages made read-only\n"
	       "  io      reads of a file, cached or from a device\n"
	       "  bells   requests to many who are to be rung\n"
	       "  limits  what this machine charges for a trap, a context "
	       "switch, ...\n"
	       "  wait    how long to poll before sleeping: policies "
	       "replayed\n"
	       "  live    the same, live: what the default costs beside "
	       "fixed ways\n\n"
	       "'fosbench COMMAND --help' tells the options of a command.",
};

int main(int argc, char **argv)
{
	int status = 0;

	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &status))
		return 1;
	return status;
}
