/* SPDX-License-Identifier: MIT */
/* fosbench wait: how long to poll before sleeping, replayed over waits. */
#ifndef FOSBENCH_WAIT_H
#define FOSBENCH_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spin.h"

/**
 * struct wait_plan - what a policy does when a wait begins
 * @nap_ns: sleep so long by the clock first
 * @poll_ns: then poll so long, before it sleeps until it is woken
 */
struct wait_plan {
	uint64_t nap_ns;
	uint64_t poll_ns;
};

/**
 * struct wait_state - of a policy; each uses what it needs
 * @wake_ns: what a sleep and its wake-up cost
 * @late_ns: how much later than what he waited for one who slept goes on
 */
struct wait_state {
	uint64_t wake_ns;
	uint64_t late_ns;
	uint64_t limit_ns;
	double mean;
	struct fos_spin spin;
};

/**
 * struct wait_seen - a wait that is over
 * @ns: as who waited saw it
 * @true_ns: without his wake-up
 * @late_ns: of that, how long the peer took to wake up
 */
struct wait_seen {
	uint64_t ns;
	uint64_t true_ns;
	uint64_t late_ns;
};

/**
 * struct wait_policy - one way to wait
 * @seen: it is over
 */
struct wait_policy {
	const char *name;
	const char *what;
	void (*begin)(struct wait_state *s);
	struct wait_plan (*plan)(struct wait_state *s);
	void (*seen)(struct wait_state *s, struct wait_plan plan,
		     const struct wait_seen *w);
};

#define WAIT_POLICIES	9

/* fastos is the first. */
extern const struct wait_policy wait_policies[WAIT_POLICIES];

/**
 * struct wait_bill - what a policy paid for a trace
 * @cost: ns: CPU time polled away, and a sleep's price for each sleep
 * @polled: ns of that which were polled
 * @slept: waits that slept
 */
struct wait_bill {
	double cost;
	double polled;
	size_t slept;
};

void wait_begin(const struct wait_policy *p, struct wait_state *s,
		uint64_t wake_ns);
/*
 * One wait by the policy, of @ns, of which the peer took @late_ns to wake up; what it
 * did is added to the bill.  When it goes on: @ns, or later.
 */
uint64_t wait_until(const struct wait_policy *p, struct wait_state *s,
		    uint64_t ns, uint64_t late_ns, struct wait_bill *bill);

/**
 * struct wait_trace - waits, and what they cost those who know more
 * @name: of the shape or the file
 * @stationary: each wait is drawn like the ones before
 * @own: made against fastos: nothing is promised but its bound
 * @clairvoyant: who knows each wait when it begins
 * @fixed: the best threshold that does not change, in hindsight: @fixed_ns
 */
struct wait_trace {
	const char *name;
	const char *what;
	bool stationary;
	bool own;
	uint64_t *ns;
	size_t n;
	double clairvoyant;
	double fixed;
	uint64_t fixed_ns;
};

struct wait_shape {
	const char *name;
	const char *what;
	bool stationary;
	bool own;
	void (*fill)(uint64_t *ns, size_t n, uint64_t wake_ns);
};

#define WAIT_SHAPES	14

extern const struct wait_shape wait_shapes[WAIT_SHAPES];

/* Real ones, of a client that polls for a server: 0, or -1 and errno. */
/**
 * struct wait_kind - two who wait for each other
 * @late: how late who sleeps wakes up, in B
 * @think: how long the client takes between two requests, in B
 */
struct wait_kind {
	const char *name;
	const char *what;
	double late;
	double think;
};

#define WAIT_KINDS	4

extern const struct wait_kind wait_kinds[WAIT_KINDS];

/**
 * struct wait_pair - what comes of it, by the same policy on both sides
 * @ns: until a reply is there, of all, in the mean
 * @bill: of both
 * @in_the_end: sleeps of both in the last PAIR_END round trips
 */
struct wait_pair {
	double ns;
	struct wait_bill bill;
	size_t in_the_end;
};

/* So many requests that take the server 3 B, then so many of B / 25. */
#define PAIR_LONG	100
#define PAIR_SHORT	10000
#define PAIR_END	1000

void wait_pair(const struct wait_policy *p, const struct wait_kind *kind,
	       uint64_t wake_ns, struct wait_pair *pair);

#define DEARER_WAITS	20000
#define DEARER_END	1000

/**
 * struct wait_dearer - of the last 1,000 waits, how many fastos sleeps
 * @dear: of 2 B, while a sleep costs 5 B
 * @cheap: when it costs B again
 * @crowded: for a peer, of 5/6 B, while others are after the CPU
 * @alone: when nobody else is
 */
struct wait_dearer {
	unsigned int dear;
	unsigned int cheap;
	unsigned int crowded;
	unsigned int alone;
};

void wait_dearer(uint64_t wake_ns, struct wait_dearer *d);

/*
 * Of the time, by fastos with that share, waits of B / 2 without end, each after one
 * without a share that is over at once: percent.
 */
double wait_share(unsigned int percent, uint64_t wake_ns);

struct services;
int wait_record(const char *path, size_t n, const int cpu[2],
		const struct services *services);

#endif
