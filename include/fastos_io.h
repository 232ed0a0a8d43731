/* SPDX-License-Identifier: MIT */
/*
 * File I/O that waits as the other calls do: it polls for a while, and then sleeps.
 * Included by <fastos.h>, whose rules for errors and deadlines hold here.
 *
 * Each thread has an io_uring of its own, up to three descriptors, from its first call
 * that has to wait for a device; in a process without the module that one first
 * measures what sleeping costs, for some milliseconds.  Where there is none to be had
 * (io_uring_disabled, seccomp) calls are the plain ones; fos_io_stats() says so.  None
 * of these may be called from a signal handler.
 */
#ifndef FASTOS_IO_H
#define FASTOS_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FOS_IO_MAX	64	/* asynchronous calls of a thread at a time */
#define FOS_IO_PIECES	16	/* pieces of memory that a thread can register */

/**
 * fos_pread() - pread(2) with the hybrid wait
 * @fd:		a file or a block device; of others it is pread(2)
 * @buf:	where to
 * @n:		bytes
 * @offset:	from where, bytes
 *
 * What is cached is read as pread() does, at its price. For the rest the device is
 * waited for by polling as long as that has paid of late for reads of this size of
 * @fd, and then asleep (FOS_SPIN_DEFAULT). A signal does not end a wait for a device.
 *
 * Return: bytes read; 0: the end of the file; -1 with the errors of pread(2).
 */
ssize_t fos_pread(int fd, void *buf, size_t n, off_t offset);

/**
 * fos_preadv() - preadv(2) with the hybrid wait
 * @fd:		as in fos_pread()
 * @iov:	where to
 * @count:	elements of @iov
 * @offset:	from where, bytes
 *
 * Return: as fos_pread().
 */
ssize_t fos_preadv(int fd, const struct iovec *iov, int count, off_t offset);

/**
 * fos_pwrite() - pwrite(2) with the hybrid wait
 * @fd:		as in fos_pread(); it is waited for as there if it is open with O_DIRECT
 * @buf:	from where
 * @n:		bytes
 * @offset:	to where, bytes
 *
 * Return: bytes written; -1 with the errors of pwrite(2).
 */
ssize_t fos_pwrite(int fd, const void *buf, size_t n, off_t offset);

/**
 * fos_pwritev() - pwritev(2) with the hybrid wait
 * @fd:		as in fos_pwrite()
 * @iov:	from where
 * @count:	elements of @iov
 * @offset:	to where, bytes
 *
 * Return: as fos_pwrite().
 */
ssize_t fos_pwritev(int fd, const struct iovec *iov, int count, off_t offset);

/**
 * fos_fsync() - fsync(2)
 * @fd:		a file
 *
 * Here for completeness: a flush takes far longer than a sleep, and sleeps.
 *
 * Return: 0; -1 with the errors of fsync(2).
 */
int fos_fsync(int fd);

/**
 * fos_pread_async() - begin to read
 * @fd:		as in fos_pread()
 * @buf:	where to; not touched by others until fos_io_wait() has returned
 * @n:		bytes
 * @offset:	from where, bytes
 * @io:		out: its name, for fos_io_wait() of this thread
 *
 * Where it cannot go on by itself it is done at once, and waiting for it returns at
 * once: so are reads of what is cached, and writes without O_DIRECT. @fd stays open
 * until fos_io_wait() has returned. A thread that ends waits for what it has under way.
 *
 * Return: 0; -1 with EINVAL: @io is NULL; EBUSY: the thread has FOS_IO_MAX under way;
 * ENOMEM. What is wrong with the rest fos_io_wait() says.
 */
int fos_pread_async(int fd, void *buf, size_t n, off_t offset, uint64_t *io);

/**
 * fos_pwrite_async() - begin to write
 * @fd:		as in fos_pread()
 * @buf:	from where; not changed by others until fos_io_wait() has returned
 * @n:		bytes
 * @offset:	to where, bytes
 * @io:		out: its name, for fos_io_wait() of this thread
 *
 * Return: as fos_pread_async().
 */
int fos_pwrite_async(int fd, const void *buf, size_t n, off_t offset,
		     uint64_t *io);

/**
 * fos_fsync_async() - begin to flush a file
 * @fd:		the file
 * @io:		out: its name, for fos_io_wait() of this thread
 *
 * It does not wait for reads and writes that are under way.
 *
 * Return: as fos_pread_async().
 */
int fos_fsync_async(int fd, uint64_t *io);

/**
 * fos_io_wait() - wait for an asynchronous call, and end it
 * @io:		its name
 * @deadline:	until when; NULL: for ever; one that has passed asks for one look
 *
 * Return: what the call returns, and @io means nothing any more; -1 with its errno.
 * While it goes on: -1 with ETIMEDOUT: the deadline passed; EINTR: a signal came while
 * this slept. EINVAL: the thread has none of that name, also after fork(2).
 */
ssize_t fos_io_wait(uint64_t io, const struct timespec *deadline);

/**
 * fos_pread_cq() - begin to read; a queue is told when it is over
 * @fd:		as in fos_pread()
 * @buf:	where to; not touched by others until the event was taken
 * @n:		bytes
 * @offset:	from where, bytes
 * @cq:		the queue
 * @user_data:	of the event
 *
 * Any thread may take the event: its events are 0, its res is what pread(2) would have
 * returned, or -errno. The call has a place of the queue until then; what all of them
 * need takes another for good, and two descriptors. Where it cannot go on by itself it
 * is done at once, as by fos_pread_async(). @fd stays open until the event was taken.
 * fos_close() of the queue waits for what is under way.
 *
 * It is completed by the thread that began it, which is interrupted for that: a call
 * that a signal always interrupts, epoll_wait(2) for one, may return EINTR. While that
 * thread is where no signal is heard, in vfork(2) for one, the event has to wait.
 *
 * Return: 0; -1 with EBADF: @cq is no queue of this process; EBUSY: all its places are
 * taken, or fos_cq_notify() was called for it; EOPNOTSUPP: the module is an older one;
 * EMFILE, ENFILE; ENOMEM. What is wrong with the rest the event says.
 */
int fos_pread_cq(int fd, void *buf, size_t n, off_t offset, int cq,
		 uint64_t user_data);

/**
 * fos_pwrite_cq() - begin to write; a queue is told when it is over
 * @fd:		as in fos_pread()
 * @buf:	from where; not changed by others until the event was taken
 * @n:		bytes
 * @offset:	to where, bytes
 * @cq:		the queue
 * @user_data:	of the event
 *
 * Return: as fos_pread_cq().
 */
int fos_pwrite_cq(int fd, const void *buf, size_t n, off_t offset, int cq,
		  uint64_t user_data);

/**
 * fos_fsync_cq() - begin to flush a file; a queue is told when it is over
 * @fd:		the file
 * @cq:		the queue
 * @user_data:	of the event
 *
 * It does not wait for reads and writes that are under way.
 *
 * Return: as fos_pread_cq().
 */
int fos_fsync_cq(int fd, int cq, uint64_t user_data);

/**
 * fos_io_register() - this thread often reads into this memory, or writes from it
 * @buf:	where it begins
 * @n:		bytes, at most 1 GiB
 *
 * The kernel keeps it in memory, and need not find it anew for each call by a ring (12 %
 * fewer instructions of a read of 4 KiB, Linux 6.1 to 7.3): of calls of fos_pread(),
 * fos_pwrite() and their asynchronous forms by this thread, whose memory is all in one
 * piece. It must not be unmapped or replaced before fos_io_unregister() or the end of
 * the thread: what is read goes to the pages that were there.
 *
 * It counts against RLIMIT_MEMLOCK, for each ring of the thread. Files need not be
 * registered, for it saves less than 1 %, and who closes one and opens another has
 * the same number.
 *
 * Return: 0; -1 with EINVAL: @buf is NULL, or @n 0 or too much; EEXIST: some of it is
 * registered; EBUSY: FOS_IO_PIECES are; EFAULT: not all of it is mapped for writing;
 * ENOMEM: not enough memory, or RLIMIT_MEMLOCK; EOPNOTSUPP: there is no io_uring to be
 * had, or it is memory of a file. Calls work nevertheless.
 */
int fos_io_register(void *buf, size_t n);

/**
 * fos_io_unregister() - undo fos_io_register()
 * @buf:	as there
 *
 * Calls that are under way go on.
 *
 * Return: 0; -1 with ENOENT: this thread has registered none that begins there.
 */
int fos_io_unregister(void *buf);

/**
 * struct fos_io_stats - what came of the calls of this thread
 * @cached:	reads that found all in the cache, or were taken to
 * @plain:	calls that were the plain ones, but not because polling does not pay
 * @found:	waits that polling ended
 * @missed:	waits that were polled for in vain, and then slept
 * @slept:	waits that slept at once
 * @polled_ns:	CPU time that polling took, ns
 * @error:	why the thread has no ring: an errno; 0: it has, or needed none yet
 * @resv:	0
 */
struct fos_io_stats {
	uint64_t cached;
	uint64_t plain;
	uint64_t found;
	uint64_t missed;
	uint64_t slept;
	uint64_t polled_ns;
	int32_t error;
	uint32_t resv;
};

/**
 * fos_io_stats() - does polling for devices pay?
 * @stats:	out
 * @size:	sizeof(*stats)
 *
 * What a later version adds is 0 in an earlier one, and left out if @size is less.
 *
 * Return: 0; -1 with EINVAL: @stats is NULL or @size is 0.
 */
int fos_io_stats(struct fos_io_stats *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_IO_H */
