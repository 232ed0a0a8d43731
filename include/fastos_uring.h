/* SPDX-License-Identifier: MIT */
/*
 * For programs that have an io_uring (liburing): what fastos would enter the kernel for
 * becomes commands in their ring, many of which cost one system call.  Included by
 * <fastos.h>, whose rules for errors hold here.
 *
 * Messages need no commands, they never enter the kernel; a reader who sleeps does: see
 * fos_hold_bells().  What there is to wait for on a descriptor, io_uring_prep_poll_add()
 * waits for.  Without FOS_CAP_URING all of this works, but by system calls of its own.
 *
 * On Linux 6.12 none of these commands may stand behind a link (IOSQE_IO_LINK) that does
 * not complete at once: it reads what is in the command's place by then.
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
 * fos_hold_bells() - ring peers later, and many at once
 * @on:		0: at once again, which rings what is held
 *
 * For the calls of this thread. One that has to wake a peer and ends without having to
 * wait for him, as fos_reply(), fos_post(), or fos_recv() of a message whose sender waits,
 * leaves that to fos_prep_bells(). Until then the peer sleeps. A call that may wait for a
 * peer, fos_close(), and the end of the thread ring what is held, by a system call each;
 * so does the 65th. Before you wait by other means, call fos_prep_bells(). A child of
 * fork() holds none. Not in signal handlers.
 *
 * Return: 0; -1 with ENOMEM.
 */
int fos_hold_bells(int on);

/**
 * fos_prep_bells() - put the bells that this thread holds in a ring
 * @ring:	where io_uring_submit() rings all of them
 *
 * Those that the ring has no place for, or that are of no command (without the module,
 * or with IORING_SETUP_IOPOLL), are rung here and now. A bell completes without a word
 * (IOSQE_CQE_SKIP_SUCCESS, so that IOSQE_IO_DRAIN cannot be used); a failure has
 * FOS_URING_BELL: with -EBADF the descriptor was closed before the ring took it, and who
 * sleeps there was not woken.
 *
 * Return: how many are in the ring; -1 with EINVAL: @ring is NULL.
 */
int fos_prep_bells(struct io_uring *ring);

/**
 * struct fos_uring_batch - what a command needs until it has completed
 * @resv:	the library's
 * @ticket:	out: when it was submitted, for fos_fence() and fos_cancel(); else 0
 * @resv2:	the library's
 *
 * All zero before its first use for a region; it can be used again for that one.
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
 * set sqe->fd, too. Where commands are not taken it is done before this returns, and
 * completes with 0.
 *
 * Return: 0; -1 with EINVAL, E2BIG: @n; EINVAL: @sqe or @batch is NULL; where
 * commands are not taken errors of fos_mprotectv(); then @sqe does nothing.
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
 * not taken errors of fos_cancel(); then @sqe does nothing.
 */
int fos_prep_cancel(struct io_uring_sqe *sqe, int rfd,
		    struct fos_uring_batch *batch);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_URING_H */
