/* SPDX-License-Identifier: MIT */
/*
 * look: what looking takes here, how many threads go on with it, and what is
 * learnt from a wait; for all who poll.
 */
#ifndef FOS_LOOK_H
#define FOS_LOOK_H

#include <sched.h>

#include "internal.h"

/* How long a look takes here, ns; learnt from looking. */
extern uint32_t fos__look_ns;

/* Threads of this process that poll for longer than a few looks. */
extern uint32_t fos__pollers;

/* Others are after this thread's CPU, too; until when that is believed. */
extern __thread bool fos__crowded __attribute__((tls_model("initial-exec")));
extern __thread uint64_t fos__look_around_at
	__attribute__((tls_model("initial-exec")));

/* Is it so? */
void fos__look_around(uint64_t now);

/* To be called now and then by who polls, and by who might. */
static inline void fos__look_around_by(uint64_t now)
{
	if (fos_unlikely(now >= fos__look_around_at))
		fos__look_around(now);
}

static inline uint64_t fos__earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t fos__later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t fos__time_of_looks(unsigned int looks)
{
	return looks * (uint64_t)__atomic_load_n(&fos__look_ns,
						 __ATOMIC_RELAXED);
}

/* So many looks took so long: was the CPU away? */
static inline bool fos__was_away(const struct fos_spin *spin, unsigned int looks,
				 uint64_t took_ns)
{
	return took_ns > fos__later(fos_spin_wake_ns(spin),
				    16 * fos__time_of_looks(looks));
}

/* Until an absolute time, none if it is over. */
static inline struct timespec fos__time_left(uint64_t deadline_ns, uint64_t now)
{
	const uint64_t ns = now < deadline_ns ? deadline_ns - now : 0;

	return (struct timespec) {
		.tv_sec = ns / 1000000000,
		.tv_nsec = ns % 1000000000,
	};
}

/* Plus one. */
static inline uint32_t fos__my_cpu(void)
{
	return sched_getcpu() + 1;
}

/* @me: am I one of the pollers? */
static inline struct fos_spin_sample fos__sample(uint32_t my_cpu,
						 uint32_t peer_cpu, bool me)
{
	return (struct fos_spin_sample) {
		.my_cpu = my_cpu,
		.peer_cpu = peer_cpu,
		.online_cpus = fos__online_cpus(),
		.pollers = __atomic_load_n(&fos__pollers, __ATOMIC_RELAXED) - me,
		.crowded = fos__crowded,
	};
}

/*
 * When was posted what ended a sleep that began then?  As its sender says, or if
 * he does not a wake-up ago.
 */
uint64_t fos__posted_at(const struct fos_spin *spin, uint64_t began,
			uint64_t hint, uint64_t now);

#endif
