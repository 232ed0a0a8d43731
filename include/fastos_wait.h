/* SPDX-License-Identifier: MIT */
/*
 * How calls wait: they poll for a while, and then sleep. Included by <fastos.h>,
 * whose rules for descriptors, errors and threads hold here.
 */
#ifndef FASTOS_WAIT_H
#define FASTOS_WAIT_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How an endpoint waits before it sleeps (fos_chan_attr.spin).
 *
 * Nobody polls beside his peer on one CPU. DEFAULT does not poll where all CPUs but
 * one already poll for this process. It follows the cheapest of four rules, by what
 * each would have cost of late, a sleep with its wake-up at what it costs on this
 * machine (fos_caps.wake_ns), or has cost of late; in the long run that is at most
 * 2.1 times what it would cost to know how long each wait will be. fastos(7) has more.
 */
#define FOS_SPIN_DEFAULT	0	/* poll as long as it has paid of late */
#define FOS_SPIN_BLOCK		1	/* sleep at once */
#define FOS_SPIN_ALWAYS		2	/* poll; sleep only beside a peer on this CPU */
#define FOS_SPIN_FIXED		3	/* poll for spin_ns, then sleep */

/**
 * struct fos_spin_stats - what came of the waits of an endpoint, or of a queue
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
 * @fd:		an endpoint or a queue
 * @stats:	out
 * @size:	sizeof(*stats)
 *
 * What a later version adds is 0 in an earlier one, and left out if @size is less.
 *
 * Return: 0; -1 with EINVAL: @stats is NULL or @size is 0; EBADF: @fd is neither;
 * EBUSY: another process has attached it; ENOMEM.
 */
int fos_spin_stats(int fd, struct fos_spin_stats *stats, size_t size);

/**
 * fos_poll() - poll(2) of endpoints and any other descriptors together
 * @fds:	as for poll(2): what to wait for, and out what there is
 * @nfds:	elements of @fds
 * @deadline:	until when; NULL or absolute CLOCK_MONOTONIC.  One that has passed
 *		asks for one look
 *
 * Messages are looked for in memory, without a system call if there are only
 * endpoints and one has some.  If nothing is there it polls for a while, as
 * FOS_SPIN_DEFAULT does and for this thread, not the endpoint, learns; unless there
 * is no endpoint, or only such of FOS_SPIN_BLOCK, or a peer is on this CPU.  The
 * least spin_share of the endpoints is kept.  Then it sleeps in ppoll(2).
 *
 * POLLIN of an endpoint means that there is a message or a request, also without
 * the module; but another thread may be faster, and a hostile peer can make it
 * come when there is none: receive with FOS_NONBLOCK.  Of replies it says nothing.
 *
 * A signal that has a handler ends the sleep, with SA_RESTART too.
 *
 * Return: elements with revents; 0: the deadline passed; -1 with EINTR; EINVAL:
 * @deadline is none, or @nfds more than RLIMIT_NOFILE; EFAULT: @fds is NULL; ENOMEM.
 */
int fos_poll(struct pollfd *fds, nfds_t nfds, const struct timespec *deadline);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_WAIT_H */
