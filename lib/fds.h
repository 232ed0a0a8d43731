/* SPDX-License-Identifier: MIT */
/* fds: descriptors that travel with a packet. */
#ifndef FOS_FDS_H
#define FOS_FDS_H

#include <stddef.h>
#include <sys/types.h>

/* At most so many go with one packet. */
#define FOS_FDS_MAX	8

/**
 * fos__send_fds() - send a packet, at once or not at all
 * @sock: an AF_UNIX socket that keeps packets apart
 * @buf: the packet, @len bytes
 * @fds: @n descriptors that go with it; 0 .. FOS_FDS_MAX
 *
 * Return: 0 or -errno of sendmsg(2).
 */
int fos__send_fds(int sock, const void *buf, size_t len, const int *fds,
		  size_t n);

/**
 * fos__recv_fds() - receive a packet
 * @sock: the socket
 * @buf: gets @len bytes of it at most
 * @fds: get the first @n descriptors that came with it, all O_CLOEXEC; others
 *	are closed, and what did not come stays as it is: -1
 * @flags: MSG_* to receive with; out: those of the packet (MSG_CTRUNC)
 *
 * No cancellation point.
 *
 * Return: bytes; -errno of recvmsg(2).
 */
ssize_t fos__recv_fds(int sock, void *buf, size_t len, int *fds, size_t n,
		      int *flags);

#endif
