/* SPDX-License-Identifier: GPL-2.0-only */
/* A channel whose messages carry buffers, in each mode; for a program of its own. */
#ifndef FOS_SELFTESTS_LEND_H
#define FOS_SELFTESTS_LEND_H

#include <limits.h>
#include <sys/uio.h>

#include "peers.h"
#include "kselftest_harness.h"

#define KIB		1024UL
#define AREA		(1024 * KIB)
#define DEPTH		8

FIXTURE(lend) {
	int fd[2];
};

FIXTURE_VARIANT(lend) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(lend, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(lend, by_default) { .spin = FOS_SPIN_DEFAULT };
FIXTURE_VARIANT_ADD(lend, spin) { .spin = FOS_SPIN_ALWAYS };

FIXTURE_SETUP(lend)
{
	ASSERT_EQ(0, channel_with(self->fd, variant->spin, DEPTH, AREA));
}

FIXTURE_TEARDOWN(lend)
{
	fos_close(self->fd[0]);
	fos_close(self->fd[1]);
}

/**
 * struct room - a message to send or to receive
 * @m: the message
 * @iov: its bytes
 * @bufs: its buffers
 * @bytes: of one that is received
 */
struct room {
	struct fos_msg m;
	struct iovec iov;
	struct iovec bufs[FOS_MSG_BUFS];
	char bytes[8 * KIB];
};

static inline struct fos_msg *to_send(struct room *r, const void *bytes, size_t n)
{
	memset(r, 0, offsetof(struct room, bytes));
	r->iov = (struct iovec) { (void *)bytes, n };
	r->m.iov = &r->iov;
	r->m.iovlen = 1;
	r->m.bufs = r->bufs;
	return &r->m;
}

static inline struct fos_msg *to_receive(struct room *r)
{
	to_send(r, r->bytes, sizeof(r->bytes));
	r->m.nbufs = FOS_MSG_BUFS;
	return &r->m;
}

static inline void add(struct room *r, void *buf, size_t len)
{
	r->bufs[r->m.nbufs++] = (struct iovec) { buf, len };
}

static inline void *get(int fd, size_t len)
{
	return fos_buf_alloc(fd, len, FOS_NONBLOCK, NULL);
}

static inline long put(int fd, const void *buf)
{
	return RESULT(fos_buf_release(fd, buf));
}

/* How much of the area can be had in buffers of that size? */
static inline int fill_up(int fd, size_t len, void *buf[])
{
	int n = 0;

	while ((buf[n] = get(fd, len)))
		n++;
	return errno == EAGAIN ? n : -errno;
}

static inline int space(int fd, size_t len)
{
	void *buf[FOS_MSG_BUFS + DEPTH + 1];
	int i, n = fill_up(fd, len, buf);

	for (i = 0; i < n; i++)
		if (put(fd, buf[i]))
			return -1;
	return n;
}

static inline long take(int fd, struct room *r, long ms)
{
	struct timespec deadline = deadline_in(ms);

	return RESULT(fos_recvmsg(fd, to_receive(r), 0, &deadline));
}

/* ---- threads that send ------------------------------------------------ */

static inline long do_sendmsg(struct async *a, const struct timespec *deadline)
{
	return RESULT(fos_sendmsg(a->fd, (struct fos_msg *)a->out, 0, deadline));
}

static inline long do_callmsg(struct async *a, const struct timespec *deadline)
{
	return RESULT(fos_callmsg(a->fd, (struct fos_msg *)a->out, a->in,
				  deadline));
}

static inline long do_recvmsg(struct async *a, const struct timespec *deadline)
{
	return RESULT(fos_recvmsg(a->fd, a->in, 0, deadline));
}

static inline long do_alloc(struct async *a, const struct timespec *deadline)
{
	a->in = fos_buf_alloc(a->fd, a->cap, 0, deadline);
	return a->in ? 0 : -errno;
}

static inline struct async sending(int fd, struct room *r)
{
	return (struct async) { .fn = do_sendmsg, .fd = fd, .out = &r->m };
}

#endif
