// SPDX-License-Identifier: MIT
/*
 * The policies that are compared: ours is the library's own code, the others are
 * as their sources have them, on the same waits.  Who sleeps sees the wait and
 * his own wake-up, as it is for them; only ours is told when the message was
 * posted.
 */
#include "wait.h"

#define SHARE_WAITS	100000
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static struct wait_plan poll_for(uint64_t ns)
{
	return (struct wait_plan) { .poll_ns = ns };
}

static void no_state(struct wait_state *s)
{
	(void)s;
}

static void learns_nothing(struct wait_state *s, struct wait_plan plan,
			   const struct wait_seen *w)
{
	(void)s;
	(void)plan;
	(void)w;
}

/* ---- fastos ----------------------------------------------------------- */

static void fastos_begin(struct wait_state *s)
{
	fos_spin_unpack(&s->spin, 0, s->wake_ns);
}

/* On another CPU than the peer. */
static struct wait_plan fastos_plan(struct wait_state *s)
{
	const struct fos_spin_sample sample = {
		.my_cpu = 1,
		.peer_cpu = 2,
		.online_cpus = 2,
	};

	return poll_for(fos_spin_decide(&s->spin, &sample));
}

static void fastos_seen(struct wait_state *s, struct wait_plan plan,
			const struct wait_seen *w)
{
	const struct fos_spin_wait wait = {
		.ns = w->true_ns,
		.late_ns = w->late_ns,
		.budget_ns = plan.poll_ns,
	};

	fos_spin_note(&s->spin, &wait);
}

/* ---- always the same -------------------------------------------------- */

static struct wait_plan block_plan(struct wait_state *s)
{
	(void)s;
	return poll_for(0);
}

static struct wait_plan spin_plan(struct wait_state *s)
{
	(void)s;
	return poll_for(UINT64_MAX);
}

static struct wait_plan fixed_plan(struct wait_state *s)
{
	return poll_for(s->wake_ns);
}

/* ---- the limit grows and shrinks: cpuidle's haltpoll governor --------- */

#define HALT_MAX	200000
#define HALT_START	50000

static struct wait_plan limit_plan(struct wait_state *s)
{
	return poll_for(s->limit_ns);
}

static void halt_seen(struct wait_state *s, struct wait_plan plan,
		      const struct wait_seen *w)
{
	(void)plan;
	if (w->ns > s->limit_ns && w->ns <= HALT_MAX) {
		s->limit_ns *= 2;
		if (s->limit_ns < HALT_START)
			s->limit_ns = HALT_START;
		if (s->limit_ns > HALT_MAX)
			s->limit_ns = HALT_MAX;
	} else if (w->ns > HALT_MAX) {
		s->limit_ns /= 2;
	}
}

/* ---- a moving average of the wait ------------------------------------- */

static struct wait_plan mean_plan(struct wait_state *s)
{
	return poll_for(s->mean < s->wake_ns ? s->wake_ns : 0);
}

static void mean_seen(struct wait_state *s, struct wait_plan plan,
		      const struct wait_seen *w)
{
	(void)plan;
	s->mean += (w->ns - s->mean) / 8;
}

/* ---- io_uring's IORING_SETUP_HYBRID_IOPOLL ---------------------------- */

static struct wait_plan hybrid_plan(struct wait_state *s)
{
	return (struct wait_plan) {
		.nap_ns = s->limit_ns / 2,
		.poll_ns = UINT64_MAX,
	};
}

/* The shortest ever; the nap is not part of what it measures. */
static void hybrid_seen(struct wait_state *s, struct wait_plan plan,
			const struct wait_seen *w)
{
	const uint64_t ran = w->ns - plan.nap_ns;

	if (!s->limit_ns || ran < s->limit_ns)
		s->limit_ns = ran;
}

/* ---- glibc's PTHREAD_MUTEX_ADAPTIVE_NP -------------------------------- */

#define TRIES_MAX	100
/* A try is a pause: 40 to 140 cycles. */
#define TRY_NS		30

static double tries(const struct wait_state *s)
{
	const double n = 2 * s->mean + 10;

	return n < TRIES_MAX ? n : TRIES_MAX;
}

static struct wait_plan mutex_plan(struct wait_state *s)
{
	return poll_for(tries(s) * TRY_NS);
}

static void mutex_seen(struct wait_state *s, struct wait_plan plan,
		       const struct wait_seen *w)
{
	double n = tries(s);

	if (w->true_ns <= plan.poll_ns)
		n = w->true_ns / TRY_NS;
	s->mean += (n - s->mean) / 8;
}

/* ---- as NAPI suspends interrupts: on while it pays -------------------- */

#define BUSY_NS		64000

static void napi_begin(struct wait_state *s)
{
	s->limit_ns = BUSY_NS;
}

/* What polling found, or came as fast, keeps it polling; else it arms. */
static void napi_seen(struct wait_state *s, struct wait_plan plan,
		      const struct wait_seen *w)
{
	(void)plan;
	s->limit_ns = w->ns <= BUSY_NS ? BUSY_NS : 0;
}

const struct wait_policy wait_policies[WAIT_POLICIES] = {
	{ "fastos", "FOS_SPIN_DEFAULT, the library's own code",
	  fastos_begin, fastos_plan, fastos_seen },
	{ "block", "sleep at once", no_state, block_plan, learns_nothing },
	{ "spin", "poll for ever", no_state, spin_plan, learns_nothing },
	{ "fixed", "poll for what a sleep costs",
	  no_state, fixed_plan, learns_nothing },
	{ "haltpoll", "Linux' cpuidle governor, 50 to 200 us",
	  no_state, limit_plan, halt_seen },
	{ "ewma", "a moving average of the wait, as seen",
	  no_state, mean_plan, mean_seen },
	{ "hybrid", "io_uring: nap half the shortest, then poll",
	  no_state, hybrid_plan, hybrid_seen },
	{ "mutex", "glibc's adaptive mutex, 100 tries of 30 ns",
	  no_state, mutex_plan, mutex_seen },
	{ "napi", "poll for 64 us while that finds something",
	  napi_begin, limit_plan, napi_seen },
};

/* ---- what it costs ---------------------------------------------------- */

void wait_begin(const struct wait_policy *p, struct wait_state *s,
		uint64_t wake_ns)
{
	*s = (struct wait_state) { .wake_ns = wake_ns, .late_ns = wake_ns };
	p->begin(s);
}

uint64_t wait_until(const struct wait_policy *p, struct wait_state *s,
		    uint64_t ns, uint64_t late_ns, struct wait_bill *bill)
{
	const struct wait_plan plan = p->plan(s);
	struct wait_seen seen = {
		.ns = ns > plan.nap_ns ? ns : plan.nap_ns,
		.true_ns = ns,
		.late_ns = late_ns,
	};
	const uint64_t rest = seen.ns - plan.nap_ns;
	const bool late = rest > plan.poll_ns;

	if (plan.nap_ns) {
		bill->slept++;
		/* As dear as another sleep; and the message may be there early. */
		bill->cost += s->wake_ns + (seen.ns - ns);
	}
	bill->polled += late ? plan.poll_ns : rest;
	bill->cost += late ? plan.poll_ns + s->wake_ns : rest;
	bill->slept += late;
	if (late)
		seen.ns += s->late_ns;
	p->seen(s, plan, &seen);
	return seen.ns;
}

/* Waits that are so long, and a sleep costs so much: of the last, how many slept? */
static unsigned int sleeps_at(struct fos_spin *s, uint64_t ns, uint64_t woke_ns,
			      bool crowded)
{
	const struct fos_spin_sample sample = {
		.my_cpu = 1, .peer_cpu = 2, .online_cpus = 2, .crowded = crowded,
	};
	unsigned int slept = 0;

	for (int i = 0; i < DEARER_WAITS; i++) {
		struct fos_spin_wait wait = {
			.ns = ns,
			.budget_ns = fos_spin_decide(s, &sample),
		};

		if (wait.budget_ns < wait.ns) {
			wait.woke_ns = woke_ns;
			slept += i >= DEARER_WAITS - DEARER_END;
		}
		fos_spin_note(s, &wait);
	}
	return slept;
}

void wait_dearer(uint64_t wake_ns, struct wait_dearer *d)
{
	struct fos_spin s;

	fos_spin_unpack(&s, fos_spin_pack(FOS_SPIN_DEFAULT, 0, 0), wake_ns);
	d->dear = sleeps_at(&s, 2 * wake_ns, 5 * wake_ns, false);
	d->cheap = sleeps_at(&s, 2 * wake_ns, wake_ns, false);
	fos_spin_unpack(&s, fos_spin_pack(FOS_SPIN_DEFAULT, 0, 0), wake_ns);
	fos_spin_for_peer(&s);
	d->crowded = sleeps_at(&s, 5 * FOS_SPIN_PEER * wake_ns / 6, wake_ns, true);
	d->alone = sleeps_at(&s, 5 * FOS_SPIN_PEER * wake_ns / 6, wake_ns, false);
}

double wait_share(unsigned int percent, uint64_t wake_ns)
{
	struct fos_spin_sample sample = {
		.my_cpu = 1, .peer_cpu = 2, .online_cpus = 2, .now_ns = 1,
	};
	struct fos_spin_wait wait = { .ns = wake_ns / 2 }, other = { 0 };
	struct fos_spin s = { 0 };
	uint64_t polled = 0;

	fos_spin_unpack(&s, fos_spin_pack(FOS_SPIN_DEFAULT, 0, percent), wake_ns);
	for (int i = 0; i < SHARE_WAITS; i++) {
		/* Of whom there is no share, as fos_poll() waits for some. */
		s.share = 0;
		other.budget_ns = fos_spin_decide(&s, &sample);
		fos_spin_note(&s, &other);
		s.share = percent;
		wait.budget_ns = fos_spin_decide(&s, &sample);
		sample.now_ns += wait.ns;
		if (wait.budget_ns < wait.ns) {
			polled += wait.budget_ns;
			sample.now_ns += wake_ns;
		} else {
			polled += wait.ns;
		}
		fos_spin_note(&s, &wait);
	}
	return 100.0 * polled / sample.now_ns;
}
