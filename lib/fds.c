// SPDX-License-Identifier: MIT
#include "fds.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD	4
#endif

int fos__send_fds(int sock, const void *buf, size_t len, const int *fds,
		  size_t n)
{
	union {
		char bytes[CMSG_SPACE(FOS_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	return syscall(SYS_sendmsg, sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ?
	       -errno : 0;
}

/*
 * Surplus ones are closed, and one that the maker of the socket may have asked
 * for in our name.
 */
static void take(struct msghdr *m, int *fds, size_t n)
{
	struct cmsghdr *c;
	size_t came, i;
	bool ours;
	int fd;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		ours = c->cmsg_type == SCM_RIGHTS;
		if (c->cmsg_level != SOL_SOCKET ||
		    (!ours && c->cmsg_type != SCM_PIDFD))
			continue;
		came = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < came; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (ours && i < n && fds[i] < 0)
				fds[i] = fd;
			else if (fd >= 0)
				syscall(SYS_close, fd);
		}
	}
}

ssize_t fos__recv_fds(int sock, void *buf, size_t len, int *fds, size_t n,
		      int *flags)
{
	union {
		char bytes[4 * CMSG_SPACE(FOS_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buf, len };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t ret;

	/* By system call: recvmsg() of libc is a cancellation point. */
	ret = syscall(SYS_recvmsg, sock, &m, *flags | MSG_CMSG_CLOEXEC);
	if (ret < 0)
		return -errno;
	take(&m, fds, n);
	*flags = m.msg_flags;
	return ret;
}
