/* SPDX-License-Identifier: MIT */
/* What purge is asked for. */
#ifndef PURGE_ARGS_H
#define PURGE_ARGS_H

#include <argp.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cpus.h"

#define THREADS_MAX	64U
#define BATCH_MAX	1024U	/* IOV_MAX of process_madvise() */

static struct {
	unsigned long mib;
	unsigned int threads;
	unsigned int batch;
	unsigned int rounds;
	unsigned int time_ms;
	bool break_it;
} option = { .mib = 16, .batch = 64, .rounds = 3, .time_ms = 500 };

enum { BREAK_IT = 256 };

static unsigned long number(const char *text, unsigned long max,
			    struct argp_state *state)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || !n || n > max)
		argp_error(state, "not a number from 1 to %lu: %s", max, text);
	return n;
}

static void complete(struct argp_state *state)
{
	if (!option.threads)
		option.threads = count_cpus(THREADS_MAX);
	/* Each thread may be purging a batch, and another one is being filled. */
	if (option.mib * 256 < 2 * option.batch * (option.threads + 1))
		argp_error(state, "batches of %u pages need more than %lu MiB",
			   option.batch, option.mib);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'm':
		option.mib = number(arg, 65536, state);
		return 0;
	case 'w':
		option.threads = number(arg, THREADS_MAX, state);
		return 0;
	case 'b':
		option.batch = number(arg, BATCH_MAX, state);
		return 0;
	case 'r':
		option.rounds = number(arg, 1000, state);
		return 0;
	case 't':
		option.time_ms = number(arg, 60000, state);
		return 0;
	case BREAK_IT:
		option.break_it = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_usage(state);
		return 0;
	case ARGP_KEY_END:
		complete(state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
	{ "mib", 'm', "N", 0, "MiB of the arena (16)", 0 },
	{ "threads", 'w', "N", 0, "That allocate (one for each CPU)", 0 },
	{ "batch", 'b', "PAGES", 0, "That are given back at once (64)", 0 },
	{ "rounds", 'r', "N", 0, "Every arm takes its turn so often (3)", 0 },
	{ "time", 't', "MS", 0, "Of a turn (500)", 0 },
	{ "break-it", BREAK_IT, NULL, 0,
	  "Give nothing back: pages are not zero, which must be found", 0 },
	{ 0 }
};

static int parse_arguments(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL,
		"Allocate and free pages on every CPU, give the free ones back to "
		"the kernel by the batch, in several ways, and tell what that "
		"costs."
		"\vAn allocated page must be zero, on whichever CPU: the exit "
		"status is 1 if one was not.",
		NULL, NULL, NULL
	};

	return argp_parse(&argp, argc, argv, 0, NULL, NULL);
}

#endif
