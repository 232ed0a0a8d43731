/* SPDX-License-Identifier: MIT */
/*
 * A link hands blocks of bytes from one process to the next: through a pipe, or in
 * place.  Both look alike: get a buffer, fill it in, send it; take one, use it, let
 * it go.  A block of 0 bytes is the end; without it the other side has died.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <fastos.h>

/**
 * struct link - a link between two processes
 * @in_place: a channel; else a pipe
 * @fd: [0] to take, [1] to send
 * @block: largest block, in bytes
 * @buf: of a pipe: where this side has the block it works on
 * @copied: bytes that this side has copied to hand them over
 */
struct link {
	bool in_place;
	int fd[2];
	size_t block;
	char *buf;
	uint64_t copied;
};

static inline int link_make(struct link *l)
{
	/* Room for what is filled in, what is under way, and what is looked at. */
	const struct fos_chan_attr attr = { .area_bytes = 4 * l->block };

	return l->in_place ? fos_channel(l->fd, &attr) : pipe(l->fd);
}

/* Each process closes the ends that it does not use. */
static inline void link_close(struct link *l, int end)
{
	if (l->in_place)
		fos_close(l->fd[end]);
	else
		close(l->fd[end]);
}

/* All of it; -1: an error, or EPIPE where a pipe ends too early. */
static inline int write_all(int fd, const void *buf, size_t len)
{
	ssize_t n = 0;

	for (; len; len -= n, buf = (const char *)buf + n) {
		n = write(fd, buf, len);
		if (n < 0)
			return -1;
	}
	return 0;
}

static inline int read_all(int fd, void *buf, size_t len)
{
	ssize_t n;

	for (; len; len -= n, buf = (char *)buf + n) {
		n = read(fd, buf, len);
		if (n <= 0)
			return n ? -1 : (errno = EPIPE, -1);
	}
	return 0;
}

/* ---- sending ---------------------------------------------------------- */

static inline void *link_get(struct link *l)
{
	return l->in_place ? fos_buf_alloc(l->fd[1], l->block, 0, NULL) : l->buf;
}

/* Returns when the next process has the block, or there is room in the pipe. */
static inline int link_send(struct link *l, void *buf, size_t len)
{
	struct iovec piece = { .iov_base = buf, .iov_len = len };
	struct fos_msg m = { .bufs = &piece, .nbufs = 1, .flags = FOS_NOCOPY };

	if (l->in_place) {
		if (len)
			return fos_sendmsg(l->fd[1], &m, 0, NULL) ? -1 : 0;
		fos_buf_release(l->fd[1], buf);
		return fos_send(l->fd[1], NULL, 0, 0) ? -1 : 0;
	}
	l->copied += len;
	if (write_all(l->fd[1], &len, sizeof(len)))
		return -1;
	return write_all(l->fd[1], buf, len);
}

/* ---- taking ----------------------------------------------------------- */

/* The next block; 0: that was all; -1. */
static inline ssize_t link_take(struct link *l, const char **buf)
{
	struct iovec piece = { .iov_len = 0 };
	struct fos_msg m = { .bufs = &piece, .nbufs = 1 };
	size_t len;

	if (l->in_place) {
		if (fos_recvmsg(l->fd[0], &m, 0, NULL))
			return -1;
		*buf = piece.iov_base;
		return m.nbufs ? (ssize_t)piece.iov_len : 0;
	}
	if (read_all(l->fd[0], &len, sizeof(len)) || len > l->block ||
	    read_all(l->fd[0], l->buf, len))
		return -1;
	l->copied += len;
	*buf = l->buf;
	return len;
}

static inline void link_release(struct link *l, const char *buf)
{
	if (l->in_place)
		fos_buf_release(l->fd[0], buf);
}

#endif
