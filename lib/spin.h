/* SPDX-License-Identifier: MIT */
/*
 * spin: the one waiting policy, how long to poll before sleeping.  Pure: the
 * same state and sample give the same decision, so a recorded trace replays.
 */
#ifndef FOS_SPIN_H
#define FOS_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define FOS_SPIN_FOREVER	UINT64_MAX

/**
 * struct fos_spin - what is decided once
 * @mode: FOS_SPIN_BLOCK, _ALWAYS or _FIXED
 * @budget_ns: of FOS_SPIN_FIXED
 * @turn_ns: how long this side takes for a turn, a moving average
 */
struct fos_spin {
	uint32_t mode;
	uint64_t budget_ns;
	uint64_t turn_ns;
};

/**
 * struct fos_spin_sample - what is seen before a wait
 * @my_cpu: plus one
 * @peer_cpu: plus one; 0: not known
 * @online_cpus: of this machine
 * @peer_turn_ns: how long the peer takes for a turn, 0: not known
 */
struct fos_spin_sample {
	uint32_t my_cpu;
	uint32_t peer_cpu;
	uint32_t online_cpus;
	uint64_t peer_turn_ns;
};

/* The word that travels with a channel and tells both ends the mode. */
uint64_t fos_spin_pack(uint32_t mode, uint64_t spin_ns);
/* Is @wake_ns needed to know what it means? */
bool fos_spin_is_default(uint64_t word);
/* FOS_SPIN_DEFAULT becomes FIXED at @wake_ns: never over twice the optimum. */
void fos_spin_unpack(struct fos_spin *s, uint64_t word, uint64_t wake_ns);

/* Does the mode look at clocks and turns? */
bool fos_spin_is_timed(const struct fos_spin *s);

/* A turn of mine took this long. */
void fos_spin_turn(struct fos_spin *s, uint64_t ns);

/**
 * fos_spin_decide() - how long to poll
 *
 * Never against oneself: beside the peer on one CPU polling only keeps it from
 * answering.
 *
 * Return: ns; 0: sleep at once; FOS_SPIN_FOREVER.
 */
uint64_t fos_spin_decide(const struct fos_spin *s,
			 const struct fos_spin_sample *sample);

#endif
