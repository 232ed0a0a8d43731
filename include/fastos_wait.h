/* SPDX-License-Identifier: MIT */
/*
 * How calls wait: they poll for a while, and then sleep. Included by <fastos.h>,
 * whose rules for descriptors, errors and threads hold here.
 */
#ifndef FASTOS_WAIT_H
#define FASTOS_WAIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How an endpoint waits before it sleeps (fos_chan_attr.spin).
 *
 * Nobody polls beside his peer on one CPU. DEFAULT polls neither where all CPUs but
 * one already poll for this process, nor, for some waits, after its CPU was
 * taken away while it polled. It follows the cheapest of four rules, by what each
 * would have cost of late, a sleep with its wake-up at what it costs on this
 * machine (fos_caps.wake_ns); in the long run that is at most 2.1 times what
 * it would cost to know how long each wait will be. fastos(7) has more.
 */
#define FOS_SPIN_DEFAULT	0	/* poll as long as it has paid of late */
#define FOS_SPIN_BLOCK		1	/* sleep at once */
#define FOS_SPIN_ALWAYS		2	/* poll; sleep only beside a peer on this CPU */
#define FOS_SPIN_FIXED		3	/* poll for spin_ns, then sleep */

/**
 * struct fos_spin_stats - what came of the waits of an endpoint in this process
 * @spin:	FOS_SPIN_*; of those but FOS_SPIN_DEFAULT no more is counted
 * @spin_share:	as in struct fos_chan_attr
 * @wake_ns:	what a sleep and its wake-up are taken to cost, ns
 * @found:	waits that polling ended
 * @missed:	waits that were polled for in vain, and then slept
 * @slept:	waits that slept at once, but might have polled
 * @robbed:	polls in which the CPU was taken away
 * @polled_ns:	CPU time that all of it took, ns
 *
 * Waits that end by a deadline, a signal or a death are not counted, nor are those
 * beside the peer on one CPU. Of several threads at a time, some may be missing.
 */
struct fos_spin_stats {
	uint32_t spin;
	uint32_t spin_share;
	uint64_t wake_ns;
	uint64_t found;
	uint64_t missed;
	uint64_t slept;
	uint64_t robbed;
	uint64_t polled_ns;
};

/**
 * fos_spin_stats() - does polling pay?
 * @fd:		an endpoint
 * @stats:	out
 * @size:	sizeof(*stats)
 *
 * What a later version adds is 0 in an earlier one, and left out if @size is less.
 *
 * Return: 0; -1 with EINVAL: @stats is NULL or @size is 0; EBADF: @fd is no
 * endpoint; EBUSY: another process has attached it; ENOMEM.
 */
int fos_spin_stats(int fd, struct fos_spin_stats *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_WAIT_H */
