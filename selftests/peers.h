/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Somebody at the other end: threads that are in a call of the library, and
 * servers in a process of their own.
 */
#ifndef FOS_SELFTESTS_PEERS_H
#define FOS_SELFTESTS_PEERS_H

#include <fastos.h>
#include <pthread.h>
#include <sys/socket.h>

#include "helpers.h"

/* Bytes that differ from message to message and from place to place. */
static inline void fill(void *buf, size_t len, uint64_t seed)
{
	unsigned char *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = seed * 31 + i + (i >> 8) * 7;
}

static inline bool is_filled(const void *buf, size_t len, uint64_t seed)
{
	const unsigned char *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != (unsigned char)(seed * 31 + i + (i >> 8) * 7))
			return false;
	return true;
}

/* ---- what the backend can do ------------------------------------------ */

static inline bool has_cap(uint64_t cap)
{
	struct fos_caps caps;

	return !fos_query(&caps, sizeof(caps)) && (caps.features & cap) == cap;
}

static inline bool on_the_module(void)
{
	struct fos_caps caps;

	return !fos_query(&caps, sizeof(caps)) &&
	       caps.backend == FOS_BACKEND_KERNEL;
}

/* In a test: it is about what this backend cannot do, and says so. */
#define NEEDS(cap) do { \
	if (!has_cap(cap)) \
		SKIP(return, "this backend lacks " #cap); \
} while (0)

#define NEEDS_THE_MODULE() do { \
	if (!on_the_module()) \
		SKIP(return, "about the module"); \
} while (0)

/* Whose poll the peer cannot see says so by a receive that finds nothing. */
static inline void announce_poll(int fd)
{
	char byte;

	if (!has_cap(FOS_CAP_POLL_EXACT))
		fos_recv(fd, &byte, 1, FOS_NONBLOCK);
}

/* ---- one call of the library in a thread ------------------------------ */

/**
 * struct async - a call under way
 * @fd, @out, @out_len, @in, @cap: its arguments
 * @deadline_ms: from its beginning; 0: none
 * @token: of reply_recv, in and out
 * @ret: what it returned, -errno for an error; read it with finish()
 * @delivered: fos_delivered() afterwards
 * @tid: of its thread, 0 until it runs
 */
struct async {
	int fd;
	const void *out;
	size_t out_len;
	void *in;
	size_t cap;
	long deadline_ms;
	uint64_t token;
	long (*fn)(struct async *a, const struct timespec *deadline);
	pthread_t thread;
	uint64_t tid;
	uint64_t done;
	long ret;
	int delivered;
};

static inline long do_send(struct async *a,
			   const struct timespec *deadline UNUSED)
{
	return RESULT(fos_send(a->fd, a->out, a->out_len, 0));
}

static inline long do_recv(struct async *a,
			   const struct timespec *deadline UNUSED)
{
	return RESULT(fos_recv(a->fd, a->in, a->cap, 0));
}

static inline long do_call(struct async *a, const struct timespec *deadline)
{
	return RESULT(fos_call(a->fd, a->out, a->out_len, a->in, a->cap,
			       deadline));
}

static inline long do_reply_recv(struct async *a,
				 const struct timespec *deadline)
{
	return RESULT(fos_reply_recv(a->fd, &a->token, a->out, a->out_len,
				     a->in, a->cap, deadline));
}

static inline void *async_main(void *arg)
{
	struct async *a = arg;
	struct timespec deadline = deadline_in(a->deadline_ms);

	__atomic_store_n(&a->tid, my_tid(), __ATOMIC_RELEASE);
	a->ret = a->fn(a, a->deadline_ms ? &deadline : NULL);
	a->delivered = fos_delivered();
	__atomic_store_n(&a->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static inline void start(struct async *a)
{
	a->done = 0;
	a->tid = 0;
	pthread_create(&a->thread, NULL, async_main, a);
}

static inline bool is_done(const struct async *a)
{
	return __atomic_load_n(&a->done, __ATOMIC_ACQUIRE);
}

/* finish() of a call that hangs. */
#define HUNG		1000000000L

static inline long finish(struct async *a)
{
	if (!wait_for(&a->done, 1))
		return HUNG;
	pthread_join(a->thread, NULL);
	return a->ret;
}

/* Until the thread sleeps in its call; only in mode BLOCK does it for sure. */
static inline bool asleep(struct async *a)
{
	return wait_for(&a->tid, 1) && wait_asleep(a->tid);
}

/* Until poll() reports one of @events; what it reports. */
static inline int wait_poll(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, HANG_MS) == 1 ? p.revents : -1;
}

/* Until the call ends: the first may come while it waits for a lock. */
static inline void interrupt(struct async *a, int sig)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;

	while (!is_done(a) && now_ns() < end) {
		pthread_kill(a->thread, sig);
		nap_us(5000);
	}
}

/* Where POLLIN promises it, what is there; else what will be. */
static inline long recv_when_readable(int fd, void *buf, size_t len)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	long ret;

	do {
		if (wait_poll(fd, POLLIN) < 0)
			return -ETIMEDOUT;
		ret = RESULT(fos_recv(fd, buf, len, FOS_NONBLOCK));
	} while (ret == -EAGAIN && !has_cap(FOS_CAP_POLL_EXACT) &&
		 now_ns() < end);
	return ret;
}

static inline int poll_now(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static inline bool hung_up(int fd)
{
	return poll_now(fd, 0) & POLLHUP;
}

/* The module tells at once. */
static inline bool hangs_up(int fd)
{
	return on_the_module() ? hung_up(fd) : wait_poll(fd, 0) & POLLHUP;
}

/* A process that holds copies of all descriptors, and outlives them. */
static inline pid_t spawn_heir(void)
{
	pid_t pid = spawn();

	if (!pid) {
		pause();
		_exit(0);
	}
	return pid;
}

/* ---- passing descriptors ---------------------------------------------- */

static inline int send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {}, byte = 'f';
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &m, 0) == 1 ? 0 : -1;
}

static inline int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* ---- servers ---------------------------------------------------------- */

/* One turn: answer, again if there is no room yet, and take the next. */
static inline ssize_t serve_once(int fd, uint64_t *token, const void *rsp,
				 size_t n, void *req, size_t cap)
{
	ssize_t ret;

	do {
		ret = fos_reply_recv(fd, token, rsp, n, req, cap, NULL);
	} while (ret < 0 && errno == ENOBUFS);
	return ret;
}

/* Answer requests with themselves till the client is gone: 0, or an errno. */
static inline int serve_echo(int fd, void *buf, size_t cap)
{
	uint64_t token = 0;
	ssize_t n = 0;

	for (;;) {
		n = serve_once(fd, &token, buf, n, buf, cap);
		if (n >= 0)
			continue;
		if (errno == EPIPE)
			return 0;
		if (errno != ESTALE && errno != EINTR)
			return errno;
		n = 0;
	}
}

static inline pid_t spawn_echo(int fd, size_t cap)
{
	pid_t pid = spawn();

	if (!pid)
		_exit(serve_echo(fd, malloc(cap), cap));
	return pid;
}

/* Of so many calls to an echo server. */
static inline long failed_calls(int fd, long n)
{
	uint64_t in;
	long bad = 0;

	for (; n; n--)
		bad += fos_call(fd, &n, 8, &in, 8, NULL) != 8 ||
		       in != (uint64_t)n;
	return bad;
}

static inline int channel_with(int fd[2], uint32_t spin, uint32_t depth,
			       uint64_t area_bytes)
{
	struct fos_chan_attr attr = {
		.spin = spin,
		.depth = depth,
		.area_bytes = area_bytes,
	};

	return fos_channel(fd, &attr);
}

#endif
