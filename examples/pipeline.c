// SPDX-License-Identifier: MIT
/*
 * The lines of a log that contain a word, by three processes: one reads, one looks,
 * one writes; with --pipes through pipes, else in place.
 *
 *	cc pipeline.c -o pipeline $(pkg-config --cflags --libs fastos)
 *	pipeline --generate 64M log && pipeline log found
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "pipeline.h"
#include "pipeline_args.h"

#define MIB		(1024.0 * 1024.0)

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* What a stage did; -1: and why it did not get further. */
static int report(const char *stage, uint64_t bytes, double began,
		  const struct link *a, const struct link *b, int ret)
{
	const uint64_t copied = (a ? a->copied : 0) + (b ? b->copied : 0);
	const double s = now() - began;
	const int why = errno;

	/* Instead of the progress. */
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	if (ret)
		fprintf(stderr, "pipeline: %s: %s\n", stage, why == EPIPE ?
			"the process beside it has died" : strerror(why));
	else
		fprintf(stderr, "%-6s %8.1f MiB %8.1f MiB/s %8.1f MiB copied to "
			"hand over\n", stage, bytes / MIB, bytes / MIB / s,
			copied / MIB);
	return ret;
}

/* ---- the stages ------------------------------------------------------- */

/* On a terminal. */
static void show_progress(uint64_t done, uint64_t size)
{
	static double shown;

	if (!isatty(STDERR_FILENO) || !size || now() - shown < 0.1)
		return;
	shown = now();
	fprintf(stderr, "\r%3.0f %%\r", 100.0 * done / size);
}

/* Blocks of whole lines; the beginning of one that goes on is kept in @rest. */
static int read_blocks(int file, struct link *out, uint64_t *bytes)
{
	char *buf, *end, *rest = malloc(out->block);
	size_t kept = 0, len;
	struct stat st;
	ssize_t n;

	if (!rest || fstat(file, &st))
		return -1;
	do {
		buf = link_get(out);
		if (!buf)
			return -1;
		memcpy(buf, rest, kept);
		n = read(file, buf + kept, out->block - kept);
		if (n < 0)
			return -1;
		len = kept + n;
		end = n ? memrchr(buf, '\n', len) : NULL;
		kept = end ? buf + len - (end + 1) : 0;
		memcpy(rest, buf + len - kept, kept);
		if (link_send(out, buf, len - kept))
			return -1;
		/* A last line without a newline is a block of its own. */
		if (!n && len && link_send(out, link_get(out), 0))
			return -1;
		*bytes += n;
		show_progress(*bytes, st.st_size);
	} while (n);
	return 0;
}

/* The lines with the word; never more than came. */
static size_t filter(const char *from, size_t n, char *to)
{
	const char *end = from + n, *next;
	char *at = to;

	for (; from < end; from = next) {
		next = memchr(from, '\n', end - from);
		next = next ? next + 1 : end;
		if (memmem(from, next - from, option.word, strlen(option.word)))
			at = mempcpy(at, from, next - from);
	}
	return at - to;
}

static int look_at_blocks(struct link *in, struct link *out, uint64_t *bytes)
{
	const char *from;
	size_t len = 1;
	char *to = NULL;
	ssize_t n;

	do {
		if (!to)
			to = link_get(out);
		n = to ? link_take(in, &from) : -1;
		if (n < 0)
			return -1;
		len = filter(from, n, to);
		if (n)
			link_release(in, from);
		*bytes += n;
		/* Nothing found: the same buffer again. */
		if (n && !len)
			continue;
		if (link_send(out, to, len))
			return -1;
		to = NULL;
	} while (n);
	return 0;
}

static int write_blocks(struct link *in, int file, uint64_t *bytes)
{
	const char *buf;
	ssize_t n;
	int ret;

	while ((n = link_take(in, &buf)) > 0) {
		ret = write_all(file, buf, n);
		link_release(in, buf);
		if (ret)
			return -1;
		*bytes += n;
	}
	return n;
}

/* ---- three processes -------------------------------------------------- */

static int stage(int nth, struct link link[2], const int file[2])
{
	static const char *const name[] = { "read", "look", "write" };
	struct link *in = nth ? &link[nth - 1] : NULL;
	struct link *out = nth < 2 ? &link[nth] : NULL;
	uint64_t bytes = 0;
	double began = now();
	int i, ret;

	for (i = 0; i < 2; i++) {
		if (&link[i] != in)
			link_close(&link[i], 0);
		if (&link[i] != out)
			link_close(&link[i], 1);
		link[i].buf = malloc(link[i].block);
	}
	if (!nth)
		ret = read_blocks(file[0], out, &bytes);
	else if (out)
		ret = look_at_blocks(in, out, &bytes);
	else
		ret = write_blocks(in, file[1], &bytes);
	return report(name[nth], bytes, began, in, out, ret);
}

static int run(const int file[2])
{
	struct link link[2] = { 0 };
	int i, status, failed = 0;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < 2; i++) {
		link[i].in_place = !option.pipes;
		link[i].block = option.block;
		if (link_make(&link[i]))
			return perror("pipeline"), EXIT_FAILURE;
	}
	for (i = 0; i < 3; i++)
		if (fork() == 0)
			_exit(stage(i, link, file) ? EXIT_FAILURE : EXIT_SUCCESS);
	for (i = 0; i < 4; i++)
		link_close(&link[i / 2], i % 2);
	while (wait(&status) > 0)
		failed |= status;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	int file[2];

	if (parse_arguments(argc, argv))
		return EXIT_FAILURE;
	if (option.generate)
		return generate(option.file[0]);
	file[0] = open(option.file[0], O_RDONLY | O_CLOEXEC);
	file[1] = open(option.file[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		       0666);
	if (file[0] < 0 || file[1] < 0)
		return perror("pipeline"), EXIT_FAILURE;
	return run(file);
}
