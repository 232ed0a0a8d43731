// SPDX-License-Identifier: MIT
#include "spin.h"

#define MODE_SHIFT	48
#define NS_MASK		((1ULL << MODE_SHIFT) - 1)

/* Of a share, so much may be saved up. */
#define GRANT_MAX_NS	10000000

/* What an expert paid counts less and less: 256 waits weigh most. */
#define PAID_SHIFT	8

/* "past" looks back each 32 waits, and then forgets an eighth: 256, too. */
#define LOOK_BACK	32
#define FORGET_SHIFT	3
#define ONE_WAIT	(1U << 16)
#define SUM_SHIFT	8

/*
 * The price of sleeping is that of the last 16 sleeps; who no longer sleeps forgets it
 * within thousands of waits, and so finds out when it has fallen.
 */
#define DEARER_SHIFT		4
#define FORGET_DEARER_SHIFT	12

/* In sleeps: at first, and at most. */
#define CREDIT		8
#define CREDIT_MAX	64

/*
 * For one who sleeps so often in turn we do not poll longer; but of so many waits,
 * so many times we do: both find out that they need not sleep in three.
 */
#define PATIENCE	8
#define TRY_AGAIN	128
#define TRIES		4

/*
 * Waits that hardly are any, with no other between, tell nothing new: of those beyond
 * the first so many, one of so many is learnt from.
 */
#define BRIEF		8
#define BRIEF_SHIFT	6

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define STORE(p, x)	__atomic_store_n((p), (x), __ATOMIC_RELAXED)

/* The learning mode has no time of its own, and the others no share. */
uint64_t fos_spin_pack(uint32_t mode, uint64_t spin_ns, uint32_t share)
{
	return (uint64_t)mode << MODE_SHIFT |
	       ((mode == FOS_SPIN_DEFAULT ? share : spin_ns) & NS_MASK);
}

bool fos_spin_is_default(uint64_t word)
{
	const uint32_t mode = word >> MODE_SHIFT;

	return mode != FOS_SPIN_BLOCK && mode != FOS_SPIN_ALWAYS &&
	       mode != FOS_SPIN_FIXED;
}

void fos_spin_unpack(struct fos_spin *s, uint64_t word, uint64_t wake_ns)
{
	*s = (struct fos_spin) {
		.mode = fos_spin_is_default(word) ? FOS_SPIN_DEFAULT :
						    word >> MODE_SHIFT,
		.times = 1,
		.budget_ns = word & NS_MASK,
		.wake_ns = wake_ns,
		.least_ns = wake_ns,
		.scored = true,
		.past_ns = wake_ns,
		.credit = CREDIT * wake_ns,
		.past.waits = LOOK_BACK,
	};
	if (s->mode == FOS_SPIN_DEFAULT && (word & NS_MASK) < 100)
		s->share = word & NS_MASK;
}

static void set_times(struct fos_spin *s, uint32_t times)
{
	const uint32_t old = s->times;

	STORE(&s->wake_ns, s->wake_ns * times / old);
	s->least_ns = s->least_ns * times / old;
	s->past_ns = s->past_ns * times / old;
	s->credit = s->credit * times / old;
	STORE(&s->times, times);
}

void fos_spin_for_peer(struct fos_spin *s)
{
	set_times(s, FOS_SPIN_PEER);
}

bool fos_spin_is_timed(const struct fos_spin *s)
{
	return s->mode == FOS_SPIN_DEFAULT;
}

/* 40 bits of the clock, which wrap after 18 minutes, and 24 of units of 64 ns. */
#define HINT_SHIFT	24
#define HINT_CLOCK	((1ULL << (64 - HINT_SHIFT)) - 1)
#define HINT_LATE	((1ULL << HINT_SHIFT) - 1)
#define HINT_UNIT	64

uint64_t fos_spin_hint(uint64_t now_ns, uint64_t late_ns)
{
	const uint64_t late = late_ns / HINT_UNIT;
	const uint64_t hint = now_ns << HINT_SHIFT |
			      (late < HINT_LATE ? late : HINT_LATE);

	/* The clock that wraps is 0 now and then. */
	return hint | !hint;
}

uint64_t fos_spin_posted_at(uint64_t hint, uint64_t now_ns)
{
	const uint64_t ago = (now_ns - (hint >> HINT_SHIFT)) & HINT_CLOCK;

	return ago < HINT_CLOCK / 2 ? now_ns - ago : now_ns;
}

uint64_t fos_spin_late_ns(uint64_t hint)
{
	return (hint & HINT_LATE) * HINT_UNIT;
}

bool fos_spin_may_poll(const struct fos_spin *s,
		       const struct fos_spin_sample *sample)
{
	if (s->mode == FOS_SPIN_BLOCK || sample->online_cpus < 2 ||
	    !sample->peer_cpu || sample->peer_cpu == sample->my_cpu)
		return false;
	return s->mode != FOS_SPIN_DEFAULT ||
	       sample->pollers + 1 < sample->online_cpus;
}

/* ---- what is learnt --------------------------------------------------- */

static bool begin(struct fos_spin *s)
{
	return !__atomic_exchange_n(&s->busy, true, __ATOMIC_ACQUIRE);
}

static void end(struct fos_spin *s)
{
	__atomic_store_n(&s->busy, false, __ATOMIC_RELEASE);
}

static bool is_scored(const struct fos_spin *s)
{
	return __atomic_load_n(&s->scored, __ATOMIC_ACQUIRE);
}

static uint64_t at_most(uint64_t ns, uint64_t most)
{
	return ns < most ? ns : most;
}

/* B may have fallen since that was learnt. */
static uint64_t says(const struct fos_spin *s, uint32_t expert)
{
	switch (expert) {
	case FOS_SPIN_MEAN:
		return s->mean_ns > s->wake_ns ? 0 : s->wake_ns;
	case FOS_SPIN_LAST:
		return s->last_ns > s->wake_ns ? 0 : s->wake_ns;
	case FOS_SPIN_PAST:
		return at_most(s->past_ns, 2 * s->wake_ns);
	default:
		return s->wake_ns;
	}
}

static uint64_t cost(const struct fos_spin *s, uint64_t ns, uint64_t budget_ns)
{
	return ns <= budget_ns ? ns : budget_ns + s->wake_ns;
}

/* 0, B / 64 where it is the least, and on by a third of an octave, in ns. */
static uint64_t threshold(const struct fos_spin *s, unsigned int step)
{
	static const uint64_t third[3] = { 65536, 82570, 104032 };

	if (!step)
		return 0;
	step--;
	return (s->least_ns * third[step % 3] << step / 3) >> (16 + 6);
}

/* The first that is long enough: not within half of @ns, so that is skipped. */
static unsigned int step_of(const struct fos_spin *s, uint64_t ns)
{
	const uint64_t times = (ns << 6) / (s->least_ns + !s->least_ns);
	unsigned int step = times < 4 ? 0 : 3 * (62 - __builtin_clzll(times)) + 1;

	while (step < FOS_SPIN_STEPS && threshold(s, step) < ns)
		step++;
	return step < FOS_SPIN_STEPS ? step : FOS_SPIN_STEPS;
}

/* What each threshold would have cost; the cheapest, and of equals the least. */
static uint64_t look_back(struct fos_spin *s)
{
	struct fos_spin_past *p = &s->past;
	uint64_t longer = 0, polled = 0, best = UINT64_MAX, best_ns = 0, ns, sum;
	unsigned int i;

	for (i = 0; i <= FOS_SPIN_STEPS; i++)
		longer += p->count[i];
	for (i = 0; i < FOS_SPIN_STEPS; i++) {
		longer -= p->count[i];
		polled += p->sum[i];
		ns = threshold(s, i);
		sum = polled + (longer * (ns + s->wake_ns) >> (16 - SUM_SHIFT));
		if (sum < best && ns <= 2 * s->wake_ns) {
			best = sum;
			best_ns = ns;
		}
		p->sum[i] -= p->sum[i] >> FORGET_SHIFT;
	}
	for (i = 0; i <= FOS_SPIN_STEPS; i++)
		p->count[i] -= p->count[i] >> FORGET_SHIFT;
	return best_ns;
}

static void add_to_past(struct fos_spin *s, uint64_t ns)
{
	struct fos_spin_past *p = &s->past;
	const unsigned int step = step_of(s, ns);

	p->count[step] += ONE_WAIT;
	if (step < FOS_SPIN_STEPS)
		p->sum[step] += ns << SUM_SHIFT;
	if (!--p->waits) {
		p->waits = LOOK_BACK;
		s->past_ns = look_back(s);
	}
}

/* What a sleep costs, from one that was seen; or 0, and it is slowly forgotten. */
static void price(struct fos_spin *s, uint64_t woke_ns)
{
	const uint64_t more = s->wake_ns - s->least_ns;
	uint64_t ns = s->wake_ns;

	/*
	 * Not times s->times: where others are after the CPU, pollers are robbed of it.
	 * And a single one, as where all CPU time is used up, is nothing to go by.
	 */
	woke_ns = at_most(woke_ns, at_most(FOS_SPIN_DEARER * s->least_ns,
					   FOS_SPIN_OUTLIER * s->wake_ns));
	if (woke_ns)
		ns += (int64_t)(woke_ns - ns) >> DEARER_SHIFT;
	else
		ns -= (more >> FORGET_DEARER_SHIFT) + !!more;
	if (ns != s->wake_ns)
		STORE(&s->wake_ns, ns < s->least_ns ? s->least_ns : ns);
}

static void charge_experts(struct fos_spin *s, uint64_t ns)
{
	uint32_t i, leader = 0;

	for (i = 0; i < FOS_SPIN_EXPERTS; i++) {
		s->paid[i] -= s->paid[i] >> PAID_SHIFT;
		s->paid[i] += cost(s, ns, says(s, i));
		if (s->paid[i] < s->paid[leader])
			leader = i;
	}
	s->leader = leader;
}

static void charge_us(struct fos_spin *s, const struct fos_spin_wait *w)
{
	const uint64_t best = at_most(w->ns, s->wake_ns);
	int64_t credit = s->credit + 2 * best + best / 10 -
			 cost(s, w->ns, w->budget_ns);

	if (credit > CREDIT_MAX * (int64_t)s->wake_ns)
		credit = CREDIT_MAX * (int64_t)s->wake_ns;
	/* Below 0 only what was not decided here brings it: a share, a race. */
	s->credit = credit > 0 ? credit : 0;
}

/* Those that were not learnt from. */
static void count_brief(struct fos_spin *s)
{
	if (!LOAD(&s->unlearnt))
		return;
	s->counts.found += __atomic_exchange_n(&s->unlearnt, 0, __ATOMIC_RELAXED);
	s->counts.polled_ns += __atomic_exchange_n(&s->unlearnt_ns, 0,
						   __ATOMIC_RELAXED);
}

static void count(struct fos_spin *s, const struct fos_spin_wait *w)
{
	const uint64_t polled = at_most(w->ns, w->budget_ns);

	count_brief(s);
	s->counts.slept += !w->budget_ns;
	s->counts.found += w->budget_ns && w->ns <= w->budget_ns;
	s->counts.missed += w->budget_ns && w->ns > w->budget_ns;
	s->counts.polled_ns += polled;
	/* The rest of what was given for it. */
	if (LOAD(&s->shared))
		s->granted += w->budget_ns - polled;
}

/* Is he to find us polling, though that was in vain before? */
static bool tries_again(const struct fos_spin *s)
{
	return s->asleep >= PATIENCE && s->asleep % TRY_AGAIN < TRIES;
}

/* How much of the wait is none, for it would not be if we polled. */
static uint64_t late_of(struct fos_spin *s, const struct fos_spin_wait *w)
{
	s->asleep = w->late_ns ? s->asleep + 1 : 0;
	if (s->asleep >= PATIENCE && !tries_again(s))
		return 0;
	return w->late_ns <= 2 * fos_spin_wake_ns(s) ? w->late_ns : 0;
}

static void score(struct fos_spin *s, const struct fos_spin_wait *w)
{
	const uint64_t late = late_of(s, w);
	const uint64_t ns = w->ns > late ? w->ns - late : 0;

	count(s, w);
	price(s, w->woke_ns);
	charge_us(s, w);
	charge_experts(s, ns);
	add_to_past(s, ns);
	s->late_ns = late;
	s->last_ns = ns;
	/* Gain 1/8: follows a change within a dozen waits. */
	s->mean_ns += (int64_t)(ns - s->mean_ns) / 8;
}

static void keep(struct fos_spin *s, const struct fos_spin_wait *wait, bool shared)
{
	STORE(&s->shared, shared);
	STORE(&s->wait.ns, wait->ns);
	STORE(&s->wait.woke_ns, wait->woke_ns);
	STORE(&s->wait.late_ns, wait->late_ns);
	STORE(&s->wait.budget_ns, wait->budget_ns);
	__atomic_store_n(&s->scored, false, __ATOMIC_RELEASE);
}

static void score_last(struct fos_spin *s)
{
	struct fos_spin_wait wait;

	if (is_scored(s))
		return;
	wait = (struct fos_spin_wait) {
		.ns = LOAD(&s->wait.ns),
		.woke_ns = LOAD(&s->wait.woke_ns),
		.late_ns = LOAD(&s->wait.late_ns),
		.budget_ns = LOAD(&s->wait.budget_ns),
	};
	score(s, &wait);
	__atomic_store_n(&s->scored, true, __ATOMIC_RELEASE);
}

static bool is_brief(const struct fos_spin *s, const struct fos_spin_wait *w)
{
	return w->ns <= LOAD(&s->wake_ns) >> BRIEF_SHIFT &&
	       w->ns <= w->budget_ns && !w->late_ns && !s->share;
}

/* After so many of them, is there nothing to learn? */
static bool is_known(uint32_t brief)
{
	return brief > BRIEF && brief % BRIEF;
}

/* False: it is to be learnt from. */
static bool is_another_brief_one(struct fos_spin *s, const struct fos_spin_wait *w)
{
	uint32_t brief = 0;

	if (is_brief(s, w))
		brief = LOAD(&s->brief) + 1;
	STORE(&s->brief, brief);
	if (!is_known(brief))
		return false;
	STORE(&s->brief_budget_ns, w->budget_ns);
	STORE(&s->unlearnt, LOAD(&s->unlearnt) + 1);
	STORE(&s->unlearnt_ns, LOAD(&s->unlearnt_ns) + w->ns);
	return true;
}

/*
 * Who has just been answered is not to wait for a lock.  Two threads at a time may so
 * make one wait of two: then one of them is not learnt from.
 */
void fos_spin_note(struct fos_spin *s, const struct fos_spin_wait *wait)
{
	if (is_another_brief_one(s, wait))
		return;
	if (is_scored(s) && !s->share) {
		keep(s, wait, false);
		return;
	}
	if (!begin(s))
		return;
	score_last(s);
	keep(s, wait, s->share);
	end(s);
}

void fos_spin_robbed(struct fos_spin *s)
{
	if (!begin(s))
		return;
	s->counts.robbed++;
	end(s);
}

void fos_spin_count(struct fos_spin *s, struct fos_spin_stats *stats)
{
	while (!begin(s))
		__builtin_ia32_pause();
	score_last(s);
	count_brief(s);
	*stats = s->counts;
	end(s);
	stats->spin = s->mode;
	stats->spin_share = s->share;
	stats->wake_ns = fos_spin_wake_ns(s);
}

/* ---- decisions -------------------------------------------------------- */

/* What the share allows by now. */
static uint64_t granted(struct fos_spin *s, uint64_t now_ns)
{
	int64_t ns = s->granted;

	if (s->granted_at && now_ns > s->granted_at)
		ns += (now_ns - s->granted_at) / 100 * s->share;
	if (ns > GRANT_MAX_NS)
		ns = GRANT_MAX_NS;
	s->granted = ns;
	s->granted_at = now_ns;
	return ns > 0 ? ns : 0;
}

/*
 * A wait may cost B more than it should, or what is polled beyond B: on credit,
 * then.
 */
static uint64_t learnt(const struct fos_spin *s)
{
	uint64_t ns, risk = s->wake_ns;

	ns = says(s, s->leader);
	if (!ns && s->late_ns && tries_again(s))
		ns = s->wake_ns;
	if (ns && s->late_ns) {
		ns += at_most(s->late_ns, 2 * fos_spin_wake_ns(s));
		risk = ns;
	}
	return s->credit < (int64_t)risk ? s->wake_ns : ns;
}

static void heed_others(struct fos_spin *s, bool crowded)
{
	const uint32_t times = crowded ? FOS_SPIN_CROWDED : FOS_SPIN_PEER;

	if (s->times != times)
		set_times(s, times);
}

static uint64_t learn(struct fos_spin *s, const struct fos_spin_sample *sample)
{
	uint64_t ns, most;

	if (!s->share && is_known(LOAD(&s->brief)))
		return LOAD(&s->brief_budget_ns);
	/* Two threads at a time learn nothing from each other. */
	if (!begin(s))
		return s->share ? 0 : LOAD(&s->wake_ns);
	score_last(s);
	if (s->times > 1)
		heed_others(s, sample->crowded);
	ns = learnt(s);
	if (s->share) {
		most = granted(s, sample->now_ns);
		ns = at_most(ns, most);
		s->granted -= ns;
	}
	end(s);
	return ns;
}

uint64_t fos_spin_decide(struct fos_spin *s,
			 const struct fos_spin_sample *sample)
{
	if (!fos_spin_may_poll(s, sample))
		return 0;
	switch (s->mode) {
	case FOS_SPIN_ALWAYS:
		return FOS_SPIN_FOREVER;
	case FOS_SPIN_FIXED:
		return s->budget_ns;
	default:
		return learn(s, sample);
	}
}
