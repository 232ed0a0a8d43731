/* SPDX-License-Identifier: GPL-2.0-only */
/* Both ends of a channel with a name, and messages with descriptors. */
#ifndef FOS_SELFTESTS_MSG_FDS_H
#define FOS_SELFTESTS_MSG_FDS_H

#include <sys/uio.h>

#include "names.h"

#define DEPTH		8

/* ---- the channel ------------------------------------------------------ */

struct meeting {
	const char *path;
	struct fos_chan_attr attr;
	int fd;
};

static inline void *come(void *arg)
{
	struct meeting *m = arg;

	m->fd = RESULT(fos_connect(m->path, &m->attr));
	return NULL;
}

/* @fd[0] is the client's end, @fd[1] the server's. */
static inline bool meet(int fd[2], uint32_t spin)
{
	struct meeting m = { .attr = { .depth = DEPTH, .spin = spin } };
	struct fos_peer peer = { .limit = { .spin = FOS_SPIN_ALWAYS } };
	pthread_t thread;
	struct place at;
	int lfd;

	if (!make_place(&at))
		return false;
	m.path = at.path;
	lfd = fos_listen(at.path, 4);
	if (lfd < 0 || pthread_create(&thread, NULL, come, &m))
		return false;
	fd[1] = fos_accept(lfd, &peer);
	pthread_join(thread, NULL);
	fd[0] = m.fd;
	fos_close(lfd);
	remove_place(&at);
	return fd[0] >= 0 && fd[1] >= 0;
}

/* What is open, when the ends have met and what they sent for that is closed. */
static inline int settled(void)
{
	int n, last = -1, same = 0;

	do {
		n = count_open();
		same = n == last ? same + 1 : 0;
		last = n;
		nap_us(2000);
	} while (same < 5);
	return n;
}

/* ---- what lies beside it ---------------------------------------------- */

static inline bool is_companion(int fd, bool client)
{
	struct sockaddr_un a = { 0 };
	socklen_t len = sizeof(a);
	int (*name)(int fd, struct sockaddr *a, socklen_t *len) =
		client ? getsockname : getpeername;

	return !name(fd, (void *)&a, &len) && a.sun_family == AF_UNIX &&
	       !memcmp(a.sun_path, "\0fosname1", 9);
}

/* The last of that side. */
static inline int companion(bool client)
{
	int fd;

	for (fd = 255; fd >= 0; fd--)
		if (is_companion(fd, client))
			return fd;
	return -1;
}

/* ---- messages --------------------------------------------------------- */

/**
 * struct parcel - a message to send or to receive
 * @m: the message
 * @iov: its bytes
 * @bufs, @fds: what goes with it
 * @bytes: of one that is received
 */
struct parcel {
	struct fos_msg m;
	struct iovec iov;
	struct iovec bufs[FOS_MSG_BUFS];
	int fds[FOS_MSG_FDS];
	char bytes[1024];
};

static inline struct fos_msg *to_send(struct parcel *p, const void *bytes,
				      size_t n)
{
	memset(p, 0, offsetof(struct parcel, bytes));
	p->iov = (struct iovec) { (void *)bytes, n };
	p->m.iov = &p->iov;
	p->m.iovlen = 1;
	p->m.bufs = p->bufs;
	p->m.fds = p->fds;
	return &p->m;
}

static inline struct fos_msg *to_receive(struct parcel *p)
{
	to_send(p, p->bytes, sizeof(p->bytes));
	p->m.nbufs = FOS_MSG_BUFS;
	p->m.nfds = FOS_MSG_FDS;
	return &p->m;
}

static inline void with_fd(struct parcel *p, int fd)
{
	p->fds[p->m.nfds++] = fd;
}

static inline long take_in(int fd, struct parcel *p, long ms)
{
	struct timespec deadline = deadline_in(ms);

	return RESULT(fos_recvmsg(fd, to_receive(p), 0, &deadline));
}

/* With what they open for it: the client looks again when the server has come. */
static inline bool attach_both(const int fd[2])
{
	struct parcel none;

	return take_in(fd[0], &none, 0) == -ETIMEDOUT &&
	       take_in(fd[1], &none, 0) == -ETIMEDOUT &&
	       take_in(fd[0], &none, 0) == -ETIMEDOUT;
}

static inline long take(int fd, struct parcel *p)
{
	return take_in(fd, p, HANG_MS);
}

static inline long put_in(int fd, struct parcel *p, long ms)
{
	struct timespec deadline = deadline_in(ms);

	return RESULT(fos_sendmsg(fd, &p->m, 0, &deadline));
}

static inline long do_sendmsg(struct async *a, const struct timespec *deadline)
{
	return RESULT(fos_sendmsg(a->fd, (struct fos_msg *)a->out, 0, deadline));
}

static inline long do_callmsg(struct async *a, const struct timespec *deadline)
{
	return RESULT(fos_callmsg(a->fd, (struct fos_msg *)a->out, a->in,
				  deadline));
}

static inline struct async sending(int fd, struct parcel *p)
{
	return (struct async) { .fn = do_sendmsg, .fd = fd, .out = &p->m };
}

static inline struct async calling(int fd, struct parcel *p, struct parcel *rsp)
{
	return (struct async) { .fn = do_callmsg, .fd = fd, .out = &p->m,
				.in = to_receive(rsp) };
}

/* ---- descriptors that say which they are ------------------------------ */

static inline int numbered(uint64_t n)
{
	int fd = memfd_create("n", MFD_CLOEXEC);

	if (pwrite(fd, &n, sizeof(n), 0) != sizeof(n))
		return -1;
	return fd;
}

/* Which?  It is closed. */
static inline uint64_t number(int fd)
{
	uint64_t n = ~0ULL;

	if (fcntl(fd, F_GETFD) != FD_CLOEXEC ||
	    pread(fd, &n, sizeof(n), 0) != sizeof(n))
		n = ~0ULL;
	close(fd);
	return n;
}

/* Has every copy of the writing end of a pipe been closed? */
static inline bool ended(int fd)
{
	return wait_poll(fd, POLLHUP) == POLLHUP;
}

/* ---- a table that is full --------------------------------------------- */

static UNUSED int filler[4096], fillers;

static inline void leave_free(int n)
{
	while ((filler[fillers] = dup(0)) >= 0)
		fillers++;
	while (n-- && fillers)
		close(filler[--fillers]);
}

static inline void free_all(void)
{
	while (fillers)
		close(filler[--fillers]);
}

#endif
