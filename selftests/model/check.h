/* SPDX-License-Identifier: GPL-2.0-only */
/* What the program is asked to do: for main.c, mutants.c. */
#ifndef FOS_MODEL_CHECK_H
#define FOS_MODEL_CHECK_H

#include "world.h"

/**
 * struct args - of the command line
 * @config: explore this one only
 * @mutants: change the sites with this in their names
 * @broken: leave out the steps with this in their names
 * @level: QUICK, FULL or SOAK
 * @sites: list them
 * @list: the configurations
 * @show: executions that fail
 * @x86: in all configurations
 * @max_states: of a configuration; 0: no end
 */
struct args {
	const char *config;
	const char *mutants;
	const char *broken;
	int level;
	bool sites;
	bool list;
	bool show;
	bool x86;
	uint64_t max_states;
};

extern struct args args;

void explore(const struct config *c, uint64_t max_states, bool show,
	     struct model_result *res);
bool is_wanted(const struct config *c);
/* A line of TAP. */
void report(bool ok, const char *what);

/* These print a plan and a result for each. */
void run_mutants(const char *which);
void run_breaks(const char *which);
/* After a run: which sites have been executed on shared memory? */
void list_sites(void);

#endif
