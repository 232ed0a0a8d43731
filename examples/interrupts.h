/* SPDX-License-Identifier: MIT */
/* How often CPUs were interrupted to drop translations, from /proc/interrupts. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* Figures end where the name of the interrupt begins. */
static inline int64_t interrupts_of_line(const char *at)
{
	int64_t sum = 0;
	char *end;

	for (;; at = end) {
		int64_t n = strtoll(at, &end, 10);

		if (end == at)
			return sum;
		sum += n;
	}
}

/* All CPUs since boot; -1: not counted, as in a guest whose host does it. */
static inline int64_t tlb_interrupts(void)
{
	FILE *f = fopen("/proc/interrupts", "re");
	char *line = NULL;
	size_t len = 0;
	int64_t sum = -1;

	while (f && sum < 0 && getline(&line, &len, f) > 0) {
		const char *at = line + strspn(line, " ");

		if (!strncmp(at, "TLB:", 4))
			sum = interrupts_of_line(at + 4);
	}
	free(line);
	if (f)
		fclose(f);
	return sum > 0 ? sum : -1;
}

#endif
