/* SPDX-License-Identifier: MIT */
/*
 * spin: the one waiting policy, how long to poll before sleeping.  Pure: the
 * same waits give the same decisions, so a recorded trace replays.
 *
 * A wait that ends after w costs w if it was polled for, and if it was polled
 * for t in vain t + B, where B is what a sleep and a wake-up cost here.  Who
 * knew w would pay min(w, B); polling for B pays twice that at most (Karlin and
 * others, "Competitive snoopy caching", 1988), whatever comes.  To do better
 * than that where waits can be foreseen, four experts say how long to poll:
 *
 *	mean	B, or not at all if waits have lately been over B, in the mean
 *	last	B, or not at all if the last wait was over B
 *	past	what would have been cheapest over the last few hundred waits
 *	plain	B
 *
 * Each wait is charged to all of them, and the cheapest so far is followed.
 * That can be wrong: so it is done on credit, which what we pay below 2.1 times
 * the price of who knew earns and what we pay above it uses up; without credit
 * it is plain, which earns.
 *
 * B is what sleeps have cost of late, in the mean, and never less than was measured:
 * where others are after the CPU, or it has to be fetched from a deep sleep, it is
 * many times as much.
 *
 * Two who sleep make each other's waits long: each waits for the other's
 * wake-up, and neither would find fault with it.  So a message to one who sleeps,
 * or from one who slept, says when it was posted and how long its sender took to
 * wake up.  A wait ends for us when that was posted, not when we have woken;
 * experts are charged for what it would have been had the peer polled; and for
 * one who slept the last time we poll so much longer: then both poll.  If he goes
 * on to sleep he has his reasons, and it is part of the wait; now and then it is
 * tried again.  So it is if it took him over 2 B: he is in want of a CPU.
 */
#ifndef FOS_SPIN_H
#define FOS_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "fastos.h"

#define FOS_SPIN_FOREVER	UINT64_MAX

/*
 * B of who waits for a peer, in wake-ups: how long one takes, its CPU time, and the
 * peer's time, who waits for him meanwhile.  By fosbench live: with one it was 1.27
 * times the best way that never changes where services are mixed, with two 1.14.
 */
#define FOS_SPIN_PEER	3

/*
 * ... and where others are after the CPU: who polls lets them wait and then waits for
 * them, so a wait that is polled for takes twice as long.
 */
#define FOS_SPIN_CROWDED	2

/* B is at most so many times what it was measured to be where nobody disturbed. */
#define FOS_SPIN_DEARER		8

/* ... and one sleep at most so many times what the last ones did. */
#define FOS_SPIN_OUTLIER	2

/*
 * Thresholds of "past": none, then from B / 64 to 2 B, three an octave, and on to
 * the largest B.
 */
#define FOS_SPIN_STEPS		32

enum fos_spin_expert {
	FOS_SPIN_MEAN,
	FOS_SPIN_LAST,
	FOS_SPIN_PAST,
	FOS_SPIN_PLAIN,
	FOS_SPIN_EXPERTS
};

/**
 * struct fos_spin_past - the waits of late, by length
 * @count: of each length, up to the threshold of that number; 1 << 16 is one
 * @sum: of their lengths, ns, times 256
 * @waits: until it is looked at again
 */
struct fos_spin_past {
	uint32_t count[FOS_SPIN_STEPS + 1];
	uint64_t sum[FOS_SPIN_STEPS];
	uint32_t waits;
};

/**
 * struct fos_spin_wait - a wait that is over
 * @ns: how long it was, without my wake-up
 * @woke_ns: how long that took; 0: not known
 * @late_ns: of that, how long the peer took to wake up
 * @budget_ns: as decided
 */
struct fos_spin_wait {
	uint64_t ns;
	uint64_t woke_ns;
	uint64_t late_ns;
	uint64_t budget_ns;
};

/**
 * struct fos_spin - what is decided once, and what is learnt
 * @mode: FOS_SPIN_BLOCK, _ALWAYS, _FIXED or _DEFAULT
 * @times: B is so many wake-ups
 * @budget_ns: of FOS_SPIN_FIXED
 * @wake_ns: B
 * @least_ns: ... and what it was at first
 * @share: polling may take so many percent of the time; 0: any
 * @busy: a thread is at what follows; another one's wait is not scored then
 * @scored: @wait has been
 * @wait: the last one
 * @brief: so many waits that hardly were any, with no other between
 * @brief_budget_ns: of the last of them
 * @unlearnt: so many are not counted yet
 * @unlearnt_ns: ... and were so long
 * @leader: the cheapest expert
 * @late_ns: of the last wait, if it is not part of it
 * @asleep: for so many waits the peer has slept
 * @last_ns: the last wait, if the peer had polled; the next three, too
 * @mean_ns: of the waits of late
 * @past_ns: what @past says
 * @paid: by each expert, ns of late
 * @credit: ns
 * @past: of the expert
 * @granted_at: when the share was last added to @granted, ns
 * @granted: what may be polled, ns
 * @shared: for the wait that is to be scored something was taken of it
 * @counts: since the endpoint was attached
 */
struct fos_spin {
	uint32_t mode;
	uint32_t times;
	uint64_t budget_ns;
	uint64_t wake_ns;
	uint64_t least_ns;
	uint32_t share;
	bool busy;
	bool scored;
	bool shared;
	struct fos_spin_wait wait;
	uint32_t brief;
	uint32_t unlearnt;
	uint64_t brief_budget_ns;
	uint64_t unlearnt_ns;
	uint32_t leader;
	uint64_t late_ns;
	uint32_t asleep;
	uint64_t last_ns;
	uint64_t mean_ns;
	uint64_t past_ns;
	uint64_t paid[FOS_SPIN_EXPERTS];
	int64_t credit;
	struct fos_spin_past past;
	uint64_t granted_at;
	int64_t granted;
	struct fos_spin_stats counts;
};

/**
 * struct fos_spin_sample - what is seen before a wait
 * @my_cpu: plus one
 * @peer_cpu: plus one; 0: not known
 * @online_cpus: of this machine
 * @pollers: threads of this process that poll already
 * @crowded: others are after my CPU
 * @now_ns: the clock, if there is a share
 */
struct fos_spin_sample {
	uint32_t my_cpu;
	uint32_t peer_cpu;
	uint32_t online_cpus;
	uint32_t pollers;
	bool crowded;
	uint64_t now_ns;
};

/* The word that travels with a channel and tells both ends the mode. */
uint64_t fos_spin_pack(uint32_t mode, uint64_t spin_ns, uint32_t share);
/* Is @wake_ns needed to know what it means? */
bool fos_spin_is_default(uint64_t word);
void fos_spin_unpack(struct fos_spin *s, uint64_t word, uint64_t wake_ns);

/* Who waits for a peer: then B is FOS_SPIN_PEER wake-ups.  Before the first wait. */
void fos_spin_for_peer(struct fos_spin *s);

/* How long a wake-up takes by now, while others learn. */
static inline uint64_t fos_spin_wake_ns(const struct fos_spin *s)
{
	return __atomic_load_n(&s->wake_ns, __ATOMIC_RELAXED) /
	       __atomic_load_n(&s->times, __ATOMIC_RELAXED);
}

/* Does the mode learn from waits? */
bool fos_spin_is_timed(const struct fos_spin *s);

/*
 * What a message says of its sender, never 0: that it is posted now, and how long
 * he took to wake up for the one before.  Of what a peer says, nothing is in the
 * future, or longer than a second.
 */
uint64_t fos_spin_hint(uint64_t now_ns, uint64_t late_ns);
uint64_t fos_spin_posted_at(uint64_t hint, uint64_t now_ns);
uint64_t fos_spin_late_ns(uint64_t hint);

/* Never against oneself: beside the peer on one CPU, or where all CPUs poll. */
bool fos_spin_may_poll(const struct fos_spin *s,
		       const struct fos_spin_sample *sample);

/**
 * fos_spin_decide() - how long to poll, where that may be
 *
 * Learns from the wait before: then there is nothing better to do.
 *
 * Return: ns; 0: sleep at once; FOS_SPIN_FOREVER.
 */
uint64_t fos_spin_decide(struct fos_spin *s,
			 const struct fos_spin_sample *sample);

/* A wait that might have been polled for is over. */
void fos_spin_note(struct fos_spin *s, const struct fos_spin_wait *wait);

/*
 * The CPU was taken away from one who polled; what the wait would have been nobody
 * knows.  Nothing is learnt from it: to sleep where others are after the CPU costs
 * more than to be robbed of it.
 */
void fos_spin_robbed(struct fos_spin *s);

void fos_spin_count(struct fos_spin *s, struct fos_spin_stats *stats);

#endif
