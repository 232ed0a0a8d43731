// SPDX-License-Identifier: MIT
/* The watcher: a thread that learns who comes and who dies. */
#include "internal.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* With the library's lock. */
static int epoll_fd = -1;

/* Where a ring finds the state of a peer who cannot tell it any more. */
static const __u64 dead_state = FOS_STATE_DEAD;

/* Has he closed the socket, or died? */
static bool is_gone(int fd, int pidfd)
{
	const struct timespec at_once = { 0 };
	struct pollfd p[2] = {
		{ .fd = fd },
		{ .fd = pidfd, .events = POLLIN },
	};

	/* By system call: poll() of libc is a cancellation point. */
	return syscall(SYS_ppoll, p, 2, &at_once, NULL, 0) > 0 &&
	       ((p[0].revents & POLLHUP) || p[1].revents);
}

/* Its death is ours to tell: to those who sleep, and to those who poll. */
static void lose_peer(struct fos_ep *ep, int fd)
{
	__atomic_store_n(&ep->ring.m.peer_state, &dead_state, __ATOMIC_SEQ_CST);
	fos__posix_wake_all(ep->posix.mine);
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

bool fos__posix_look(struct fos_ep *ep, int fd)
{
	struct fos_posix *p = &ep->posix;
	const bool had_met = p->met;
	bool gone;

	if (ep->ring.m.peer_state == &dead_state)
		return false;
	/* Is he gone?  First, so that what he left behind is found after. */
	gone = is_gone(fd, p->pidfd);
	if (!p->met && fd >= 0)
		gone |= fos__posix_meet(ep, fd) < 0;
	if (gone)
		lose_peer(ep, fd);
	return gone || p->met != had_met;
}

/* The descriptor that it was attached by, or another one by now. */
static int current_fd(const struct fos_ep *ep)
{
	int fd = ep->posix.fd;

	if (fos__posix_is(fd, ep->id))
		return fd;
	return fos__ep_fd(ep);
}

/* An event of an endpoint that has been detached meanwhile means nothing. */
static void look_at(struct fos_ep *ep)
{
	if (ep->map.base && ep->backend == &fos__backend_posix)
		fos__posix_look(ep, current_fd(ep));
}

static void *watch(void *arg)
{
	const int fd = (intptr_t)arg;
	struct epoll_event ev[16];
	int i, n;

	for (;;) {
		n = syscall(SYS_epoll_pwait, fd, ev, 16, -1, NULL, 0);
		/* The program closed what it does not know. */
		if (n < 0 && errno != EINTR)
			return NULL;
		fos__lock();
		for (i = 0; i < n; i++)
			look_at(ev[i].data.ptr);
		fos__unlock();
	}
}

static int start_watcher(void)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int fd, ret;

	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return -errno;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* The program's signals are for its own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&thread, &attr, watch, (void *)(intptr_t)fd);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (ret) {
		fos__close_fd(fd);
		return -ENOMEM;
	}
	epoll_fd = fd;
	return 0;
}

/*
 * Edges only: a byte that lies there for the program's poll() is none of our
 * business, and an event that we cannot act on must not come again and again.
 */
int fos__posix_watch(struct fos_ep *ep, int fd)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
		.data.ptr = ep,
	};
	int ret = 0;

	if (epoll_fd < 0)
		ret = start_watcher();
	if (!ret && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev))
		ret = -ENOMEM;
	return ret;
}

void fos__posix_watch_peer(struct fos_ep *ep, int fd)
{
	struct epoll_event ev = {
		.events = EPOLLRDHUP | EPOLLET,
		.data.ptr = ep,
	};

	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &ev);
	ev.events = EPOLLIN | EPOLLET;
	if (ep->posix.pidfd >= 0)
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ep->posix.pidfd, &ev);
}

void fos__posix_unwatch(struct fos_ep *ep, int fd)
{
	(void)ep;
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void fos__posix_forget_watcher(void)
{
	epoll_fd = -1;
}
