// SPDX-License-Identifier: MIT
/*
 * Waits of many shapes, in multiples of B, what a sleep and its wake-up cost.
 * The generator and its seed are fixed: each run has the same.
 */
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>

#include "wait.h"

#define SEED	20261126

/* In multiples of B, given how many there were of how many. */
typedef double next_wait(gsl_rng *rng, size_t i, size_t n);

static void draw(uint64_t *ns, size_t n, uint64_t wake_ns, next_wait *next)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);

	gsl_rng_set(rng, SEED);
	for (size_t i = 0; i < n; i++)
		ns[i] = fmin(1e15, 1 + wake_ns * next(rng, i, n));
	gsl_rng_free(rng);
}

#define SHAPE(name, value)						\
	static double name##_next(gsl_rng *rng, size_t i, size_t n)	\
	{								\
		(void)rng;						\
		(void)i;						\
		(void)n;						\
		return value;						\
	}								\
	static void name(uint64_t *ns, size_t n, uint64_t wake_ns)	\
	{								\
		draw(ns, n, wake_ns, name##_next);			\
	}

/* About x. */
static double near(gsl_rng *rng, double x)
{
	return x * (0.9 + 0.2 * gsl_rng_uniform(rng));
}

static double either(gsl_rng *rng, double p, double a, double b)
{
	return gsl_rng_uniform(rng) < p ? near(rng, a) : near(rng, b);
}

SHAPE(constant_short, 0.2)
SHAPE(constant_long, 3)
SHAPE(bimodal, either(rng, 7. / 8, 0.02, 2))
SHAPE(bimodal_near, either(rng, 0.5, 0.5, 1.5))
SHAPE(exponential, gsl_ran_exponential(rng, 1))
SHAPE(exponential_short, gsl_ran_exponential(rng, 0.3))
SHAPE(heavy_tail, gsl_ran_pareto(rng, 1.1, 0.05))
/* 16 short ones in the mean, then a pause. */
SHAPE(bursty, either(rng, 15. / 16, 0.1, 10))
SHAPE(alternating, i % 2 ? 5 : 0.1)
SHAPE(on_off, gsl_ran_exponential(rng, i / 1000 % 2 ? 4 : 0.1))
SHAPE(on_off_fast, near(rng, i / 30 % 2 ? 4 : 0.1))
/* From B / 20 to 5 B and back, four times, on a logarithmic scale. */
SHAPE(drifting, 0.5 * pow(10, sin(8 * M_PI * i / n)) *
		gsl_ran_lognormal(rng, 0, 0.2))

/* Just longer than the policy polls; soon if it sleeps at once. */
static uint64_t against(const struct wait_policy *p,
			struct wait_state *s)
{
	const struct wait_plan plan = p->plan(s);

	if (!plan.nap_ns && !plan.poll_ns)
		return s->wake_ns / 100 + 1;
	if (plan.poll_ns > 10 * s->wake_ns)
		return 10 * s->wake_ns;
	return plan.nap_ns + plan.poll_ns + 1;
}

/* All policies see all waits; those from @first on have their turns, 64 each. */
static void fill_against(uint64_t *ns, size_t n, uint64_t wake_ns,
			 size_t first, size_t count)
{
	struct wait_state state[WAIT_POLICIES];
	struct wait_bill bill = { 0 };

	for (size_t p = first; p < first + count; p++)
		wait_begin(&wait_policies[p], &state[p], wake_ns);
	for (size_t i = 0; i < n; i++) {
		const size_t turn = first + i / 64 % count;

		ns[i] = against(&wait_policies[turn], &state[turn]);
		for (size_t p = first; p < first + count; p++)
			wait_until(&wait_policies[p], &state[p], ns[i], 0,
				   &bill);
	}
}

static void adversarial(uint64_t *ns, size_t n, uint64_t wake_ns)
{
	fill_against(ns, n, wake_ns, 1, WAIT_POLICIES - 1);
}

static void against_us(uint64_t *ns, size_t n, uint64_t wake_ns)
{
	fill_against(ns, n, wake_ns, 0, 1);
}

const struct wait_shape wait_shapes[WAIT_SHAPES] = {
	{ "constant-short", "0.2 B", true, false, constant_short },
	{ "constant-long", "3 B", true, false, constant_long },
	{ "bimodal", "7 of 8 about B/50, else about 2 B", true, false, bimodal },
	{ "bimodal-near", "half about 0.5 B, half about 1.5 B", true, false,
	  bimodal_near },
	{ "exponential", "mean B, where no threshold is better than another",
	  true, false, exponential },
	{ "exponential-short", "mean 0.3 B", true, false, exponential_short },
	{ "heavy-tail", "Pareto, exponent 1.1, from B/20", true, false,
	  heavy_tail },
	{ "bursty", "16 of about B/10 in the mean, then 10 B", true, false,
	  bursty },
	{ "alternating", "B/10, 5 B, and again", true, false, alternating },
	{ "on-off", "1,000 exponential of mean B/10, then 1,000 of 4 B",
	  false, false, on_off },
	{ "on-off-fast", "30 of about B/10, then 30 of about 4 B", false, false,
	  on_off_fast },
	{ "drifting", "from B/20 to 5 B and back, four times", false, false,
	  drifting },
	{ "adversarial", "just longer than each of the others polls, in turn",
	  false, false, adversarial },
	{ "against-fastos", "just longer than fastos polls, each time", false,
	  true, against_us },
};
