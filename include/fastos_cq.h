/* SPDX-License-Identifier: MIT */
/*
 * Completion queues: one place to wait for many channels and tickets. Included by
 * <fastos.h>, whose rules for descriptors, errors and threads hold here.
 */
#ifndef FASTOS_CQ_H
#define FASTOS_CQ_H

#include <stdint.h>
#include <time.h>

#include "fastos_region.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FOS_CQ_MAX	65536	/* most places of a queue */

/* Besides those of fastos.h: fos_cq_notify() works. */
#define FOS_CAP_CQ_NOTIFY	(1ULL << 13)

/* Besides POLLIN and POLLHUP: a posted request can be collected. */
#define FOS_CQ_REPLY	0x10000

/**
 * struct fos_cq_event - something has happened
 * @user_data:	as it was given
 * @events:	of an endpoint: POLLIN: a message or a request waits; FOS_CQ_REPLY:
 *		fos_collect() has something; POLLHUP: the peer is dead. Of others 0
 * @res:	of a ticket what fos_fence() says: 0, or EBUSY or ECANCELED, negative. Of
 *		file I/O (fos_pread_cq()) what came of it. Of an endpoint 0
 */
struct fos_cq_event {
	uint64_t user_data;
	uint32_t events;
	int32_t res;
};

/**
 * fos_cq_create() - a completion queue
 * @places:	endpoints, tickets, file I/O that it may have at a time, 1 .. FOS_CQ_MAX
 * @flags:	0
 *
 * The descriptor is for this process: neither a child nor a copy of its number can
 * be used, but for poll(2) and epoll(7). It can be polled: POLLIN says that
 * there is something new for fos_cq_wait(); what that told of before is not. It is
 * closed with fos_close(), when no thread waits there; what it had goes on alone.
 *
 * Return: a descriptor, O_CLOEXEC; -1 with EINVAL; EMFILE, ENFILE; ENOMEM; EDQUOT: the
 * user has too many objects or pages.
 */
int fos_cq_create(unsigned int places, unsigned int flags);

/**
 * fos_cq_add() - tell of an endpoint
 * @cq:		the queue
 * @fd:		the endpoint, which is attached; it can be in one queue
 * @user_data:	of its events
 *
 * It is told of when a message or a request waits, when the reply to a request that
 * was posted has come, and when the peer is dead; what is there already counts. It
 * leaves the queue when it is closed.
 *
 * Each message and each reply to an endpoint in a queue costs its sender a bell, a
 * trap, which a sender who then waits for the reply pays anyway.
 *
 * Return: 0; -1 with EBADF: @cq is no queue of this process, or @fd no endpoint; EEXIST:
 * it is in a queue; EBUSY: all places are taken, or another process has attached it;
 * EOPNOTSUPP: @cq is the module's, and @fd is not; ENOMEM, ENOSPC (of epoll).
 */
int fos_cq_add(int cq, int fd, uint64_t user_data);

/**
 * fos_cq_remove() - tell no more of an endpoint
 * @cq:		the queue
 * @fd:		the endpoint
 *
 * Return: 0, and no later wait tells of it; -1 with EBADF; ENOENT: it is not in there.
 */
int fos_cq_remove(int cq, int fd);

/**
 * fos_cq_wait() - wait for so many
 * @cq:		the queue
 * @ev:		out: the events, as many as are returned
 * @min:	how many to wait for, at most the places; 0: none, only look
 * @max:	how many there is room for, at least @min and 1
 * @deadline:	absolute CLOCK_MONOTONIC; NULL: none
 *
 * An endpoint is told of again by each call as long as something waits there,
 * others come first; by one call once. Its costs grow with what happens, not with
 * the endpoints in the queue. It polls first, as calls of an endpoint do. With the
 * module that is in memory, and only a sleep costs a trap; without it each look is one.
 *
 * Threads may share a queue; several may then be told of one endpoint, and all but
 * one find nothing there: receive with FOS_NONBLOCK.
 *
 * Return: how many, at least @min; fewer, but not 0, if the deadline passed or a
 * signal came meanwhile; 0 if @min is 0. -1 with EBADF; EINVAL; ETIMEDOUT: the deadline
 * passed, nothing had happened; EINTR: a signal came before anything had.
 */
int fos_cq_wait(int cq, struct fos_cq_event *ev, unsigned int min,
		unsigned int max, const struct timespec *deadline);

/**
 * fos_cq_notify() - let an eventfd hear of a queue
 * @cq:		the queue
 * @efd:	an eventfd, in the place of the one before; -1: none
 *
 * For programs that wait for an eventfd and for nothing else. It counts one for each
 * thing that happens, and one if something has happened already; then fos_cq_wait()
 * with a minimum of 0 says what. What that told of and was left there is not counted
 * again.
 *
 * Return: 0; -1 with EBADF: @cq is no queue of this process, or @efd not open; EINVAL:
 * @efd is not an eventfd; EBUSY: the queue had file I/O; EOPNOTSUPP: not without the
 * module (FOS_CAP_CQ_NOTIFY). Then wait for @cq itself, with poll(2) or epoll(7).
 */
int fos_cq_notify(int cq, int efd);

/**
 * fos_mprotectv_cq() - fos_mprotectv_async(), whose ticket a queue is told of
 * @rfd:	as there
 * @ranges:	as there
 * @n:		as there
 * @within_ns:	as there
 * @cq:		the queue
 * @user_data:	of the event
 * @ticket:	out: it; may be NULL
 *
 * The ticket has a place of the queue until its event is taken.
 *
 * Return: 0; -1 with errors as there, and EBADF: @cq is no queue of this process; EBUSY:
 * all its places are taken; EOPNOTSUPP: one of the two is the module's.
 */
int fos_mprotectv_cq(int rfd, struct fos_range *ranges, unsigned int n,
		     uint64_t within_ns, int cq, uint64_t user_data,
		     uint64_t *ticket);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_CQ_H */
