/* SPDX-License-Identifier: MIT */
/*
 * For programs that have an io_uring (liburing): what fastos would enter the kernel for
 * becomes commands in their ring, many of which cost one system call.  Included by
 * <fastos.h>, whose rules for errors hold here.
 *
 * Messages need no commands, they never enter the kernel; a reader who sleeps does: see
 * fos_uring_bells().  What there is to wait for on a descriptor, io_uring_prep_poll_add()
 * waits for.  Without FOS_CAP_URING all of this works, but by system calls of its own.
 */
#ifndef FASTOS_URING_H
#define FASTOS_URING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fos_range;
struct io_uring;
struct io_uring_sqe;

/* fos_caps.features: the module takes commands of io_uring. */
#define FOS_CAP_URING		(1ULL << 12)

/* user_data of a bell that failed. */
#define FOS_URING_BELL		(~0ULL - 0xfa57)

/**
 * fos_uring_bells() - ring peers by the caller's ring from here on
 * @ring:	that this thread submits; NULL: by system calls again
 *
 * For the calls of this thread. One that has to wake a peer and does not wait itself,
 * as fos_post(), fos_reply(), or fos_recv() of a message whose sender waits, prepares
 * that in @ring: the next io_uring_submit() wakes all of them by one system call. Until
 * then they sleep, so a call of the library that may wait, and fos_close(), submit
 * @ring first; before you wait by other means, or close(2) an endpoint, do it yourself.
 * When @ring is full the call rings by itself.
 *
 * It completes without a word (IOSQE_CQE_SKIP_SUCCESS, so that IOSQE_IO_DRAIN cannot be
 * used); a failure, with FOS_URING_BELL, says that the descriptor was closed before.
 * Do not call the library between the links of a chain (IOSQE_IO_LINK). Turn it off
 * before io_uring_queue_exit().
 *
 * Return: 0.
 */
int fos_uring_bells(struct io_uring *ring);

/**
 * struct fos_uring_batch - what a command needs until it has completed
 * @resv:	the library's
 * @ticket:	out: when it was submitted, for fos_fence() and fos_cancel(); else 0
 * @resv2:	the library's
 *
 * All zero before its first use; it can be used again, best for the same region.
 */
struct fos_uring_batch {
	uint64_t resv[4];
	uint64_t ticket;
	uint64_t resv2[5];
};

/**
 * fos_prep_mprotectv() - fos_mprotectv_async() as a command
 * @sqe:	from io_uring_get_sqe()
 * @rfd:	the region, with the right to change it
 * @ranges:	as of fos_mprotectv(); they stay until it has completed
 * @n:		how many
 * @within_ns:	as of fos_mprotectv_async()
 * @batch:	stays until it has completed
 *
 * It completes when the batch is applied, with 0; -EBUSY as of fos_mprotectv(), but no
 * range says which; -ECANCELED; or, at once, with another error of it. io_uring cannot
 * cancel it (see fos_prep_cancel()); a ring that goes does not wait for @within_ns,
 * before Linux 6.7 it may. Set user_data and flags afterwards; with IOSQE_FIXED_FILE
 * set sqe->fd, too. Not behind a link that does not complete at once: Linux 6.12 reads
 * whatever is in its place by then.
 * Where commands are not taken it is done before this returns, and completes with 0.
 *
 * Return: 0; -1 with EINVAL, E2BIG: @n; EINVAL: @sqe or @batch is NULL; where
 * commands are not taken errors of fos_mprotectv(), and @sqe is not prepared.
 */
int fos_prep_mprotectv(struct io_uring_sqe *sqe, int rfd,
		       struct fos_range *ranges, unsigned int n,
		       uint64_t within_ns, struct fos_uring_batch *batch);

/**
 * fos_prep_cancel() - fos_cancel() as a command
 * @sqe:	from io_uring_get_sqe()
 * @rfd:	the region
 * @batch:	of a command that was submitted
 *
 * Completes with 0, and that command with -ECANCELED; or with -EALREADY: its batch is
 * applied or about to be.
 *
 * Return: 0; -1 with EINVAL: @sqe is NULL, or @batch has no ticket; where commands are
 * not taken errors of fos_cancel(), and @sqe is not prepared.
 */
int fos_prep_cancel(struct io_uring_sqe *sqe, int rfd,
		    struct fos_uring_batch *batch);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_URING_H */
