// SPDX-License-Identifier: MIT
/* Values of options, for every command; and CPUs. */
#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "bench.h"

uint64_t parse_number(struct argp_state *state, const char *arg,
		      const char *what, uint64_t min, uint64_t max)
{
	uint64_t n;
	char *end;

	errno = 0;
	n = strtoull(arg, &end, 10);
	if (*end == 'k' || *end == 'K') {
		n <<= 10;
		end++;
	} else if (*end == 'm' || *end == 'M') {
		n <<= 20;
		end++;
	}
	if (errno || *end || end == arg || n < min || n > max)
		argp_error(state, "%s: %s is not a number from %llu to %llu",
			   what, arg, (unsigned long long)min,
			   (unsigned long long)max);
	return n;
}

void parse_pair(struct argp_state *state, const char *arg, int cpu[SIDES])
{
	cpu_set_t set;
	int end = 0;

	if (sscanf(arg, "%d,%d%n", &cpu[CLIENT], &cpu[SERVER], &end) != 2 ||
	    arg[end])
		argp_error(state, "--cpus: %s is not like 0,1", arg);
	sched_getaffinity(0, sizeof(set), &set);
	for (int side = 0; side < SIDES; side++) {
		if (cpu[side] < 0 || cpu[side] >= CPU_SETSIZE ||
		    !CPU_ISSET(cpu[side], &set))
			argp_error(state, "CPU %d is not ours to use",
				   cpu[side]);
	}
}

void parse_services(struct argp_state *state, const char *arg,
		    struct services *s)
{
	const char *at = arg;
	char *end;

	s->n = 0;
	do {
		const double us = strtod(at, &end);

		if (end == at || (*end && *end != ',') || !(us >= 0) ||
		    us > 1e6 || s->n == MAX_SERVICES)
			argp_error(state, "--service: %s is not up to %d "
				   "numbers from 0 to 1000000, with commas "
				   "between", arg, MAX_SERVICES);
		s->ns[s->n++] = us * 1e3;
		at = end + 1;
	} while (*end);
}

unsigned int first_cpus(int *cpu, unsigned int most)
{
	unsigned int n = 0;
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && n < most; i++) {
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	}
	return n;
}

void first_pair(int cpu[SIDES])
{
	if (first_cpus(cpu, SIDES) < SIDES)
		cpu[SERVER] = cpu[CLIENT];
}

void run_alone(struct ipc_options *opt, int cpu)
{
	if (cpu < 0)
		first_cpus(&cpu, 1);
	opt->pairs = 1;
	opt->pair[0][CLIENT] = cpu;
	opt->pair[0][SERVER] = cpu;
}

int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}
