/* SPDX-License-Identifier: MIT */
/*
 * io: file I/O with the hybrid wait.  io.c chooses the way that a call goes, io_call.c
 * waits, io_ring.c has each thread's rings.
 */
#ifndef FOS_IO_H
#define FOS_IO_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "fastos.h"

enum fos_io_op {
	FOS_IO_READ,
	FOS_IO_READV,
	FOS_IO_WRITE,
	FOS_IO_WRITEV,
	FOS_IO_FSYNC,
	FOS_IO_OPS
};

/**
 * struct fos_io_request - what is to be done
 * @op: what
 * @fd: with which file
 * @count: elements of @iov, 1 if it is no vector
 * @iov: the memory
 * @offset: where
 * @direct: past the cache, as was seen last
 * @polled: ... and to a device with queues that are polled
 */
struct fos_io_request {
	enum fos_io_op op;
	int fd;
	int count;
	const struct iovec *iov;
	off_t offset;
	bool direct;
	bool polled;
};

/* Of a function whose parameters have these names. */
#define FOS_IO_REQUEST(op_, iov_, count_) {				\
	.op = (op_), .fd = fd, .iov = (iov_), .count = (count_),	\
	.offset = offset,						\
}

/* What comes of the calls of this thread. */
extern __thread struct fos_io_stats fos__io_stats;

/* The system call of that name: bytes, -errno. */
ssize_t fos__io_do(const struct fos_io_request *r);
/* The same, for want of a better way, and counted so. */
ssize_t fos__io_plain(const struct fos_io_request *r);

/* Is it open with O_DIRECT, and so a file? */
bool fos__io_is_direct(int fd);

/* By the ring and the policy, or without a ring the plain one. */
ssize_t fos__io_call(const struct fos_io_request *r);

/*
 * In the background, as far as it goes without a ring; -EAGAIN: by one.  @look: a read
 * is looked for in the cache first, which is one trap more if it is not there.
 */
ssize_t fos__io_start(struct fos_io_request *r, bool look);

/*
 * By a ring nothing was done.  A signal while the kernel would make a worker cancels
 * what was for it (6.12), and so does the end of the thread.
 */
static inline bool fos__io_was_refused(ssize_t res)
{
	return res == -EAGAIN || res == -ECANCELED;
}

struct call;

/* One more asynchronous call, and its name: 0; -EBUSY, -ENOMEM. */
int fos__io_reserve(struct call **call, uint64_t *name);
/* By the ring; one element at most. */
void fos__io_begin(struct call *call, const struct fos_io_request *r);
/* It is over already, and this came of it. */
void fos__io_over(struct call *call, ssize_t res);

/* Wait for it: what it returns; -ETIMEDOUT, -EINTR, -EINVAL. */
ssize_t fos__io_end(uint64_t io, uint64_t deadline_ns);

/* In a child: the rings are the parent's. */
void fos__io_forget(void);

#endif
