/* SPDX-License-Identifier: MIT */
/* What the pipeline is to do, and a log to try it with. */
#ifndef PIPELINE_ARGS_H
#define PIPELINE_ARGS_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	bool pipes;
	size_t block;
	const char *word;
	size_t generate;
	const char *file[2];
} option = { .block = 256 << 10, .word = "error" };

/* ---- arguments -------------------------------------------------------- */

/* The same lines every time. */
static int generate(const char *path)
{
	static const char *const what[] = { "info: served", "debug: looked up",
					    "error: no such page", "info: idle" };
	FILE *f = fopen(path, "w");
	uint64_t x = 1;
	size_t n = 0;

	while (f && n < option.generate) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		n += fprintf(f, "%010zu host%llu %s %llx\n", n,
			     (unsigned long long)(x >> 60), what[x >> 40 & 3],
			     (unsigned long long)(x >> 32));
	}
	if (!f || fclose(f))
		return perror(path), EXIT_FAILURE;
	return EXIT_SUCCESS;
}

static size_t size_of(const char *text, struct argp_state *state)
{
	static const char units[] = "KMG";
	char *end;
	size_t n = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (unit)
		n <<= 10 * (++unit - units), end++;
	if (*end || !n)
		argp_error(state, "not a size: %s", text);
	return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'p':
	case 'f':
		option.pipes = key == 'p';
		return 0;
	case 'b':
		option.block = size_of(arg, state);
		if (option.block < 4096 || option.block > 16 << 20)
			argp_error(state, "blocks are of 4K to 16M");
		return 0;
	case 'w':
		option.word = arg;
		return 0;
	case 'g':
		option.generate = size_of(arg, state);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_usage(state);
		option.file[state->arg_num] = arg;
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num != (option.generate ? 1 : 2))
			argp_usage(state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
	{ "pipes", 'p', NULL, 0, "Through pipes", 0 },
	{ "fastos", 'f', NULL, 0, "In place (this is so without being said)", 0 },
	{ "block", 'b', "SIZE", 0, "Bytes that are handed over at once (256K)", 0 },
	{ "word", 'w', "WORD", 0, "What a line must contain (error)", 0 },
	{ "generate", 'g', "SIZE", 0, "Make a log of that size instead", 0 },
	{ 0 }
};

static int parse_arguments(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, "INPUT OUTPUT\n--generate SIZE INPUT",
		"Write the lines of INPUT that contain a word to OUTPUT, by three "
		"processes that hand blocks of lines to each other in place.",
		NULL, NULL, NULL
	};

	return argp_parse(&argp, argc, argv, 0, NULL, NULL);
}

#endif
