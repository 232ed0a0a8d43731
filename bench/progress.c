// SPDX-License-Identifier: MIT
/* A line on stderr while it works, if it works for more than a second. */
#include <stdarg.h>
#include <unistd.h>

#include "bench.h"

#define FIRST_NS	1000000000ULL
#define TTY_NS		100000000ULL
#define PLAIN_NS	5000000000ULL

static struct {
	size_t steps;
	size_t done;
	uint64_t next;
	bool quiet;
	bool tty;
	bool shown;
} progress;

void progress_begin(size_t steps, bool quiet)
{
	progress.steps = steps ? steps : 1;
	progress.done = 0;
	progress.quiet = quiet;
	progress.tty = isatty(STDERR_FILENO);
	progress.shown = false;
	if (!quiet)
		progress.next = now_ns() + FIRST_NS;
}

void progress_step(const char *fmt, ...)
{
	size_t percent = progress.done++ * 100 / progress.steps;
	uint64_t now;
	va_list ap;

	if (progress.quiet || !fmt)
		return;
	now = now_ns();
	if (now < progress.next)
		return;
	progress.next = now + (progress.tty ? TTY_NS : PLAIN_NS);
	progress.shown = true;
	fprintf(stderr, "%s%3zu %%  ", progress.tty ? "\r" : "",
		percent < 100 ? percent : 99);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s", progress.tty ? "\033[K" : "\n");
}

void progress_end(void)
{
	if (progress.shown && progress.tty)
		fprintf(stderr, "\r\033[K");
}
