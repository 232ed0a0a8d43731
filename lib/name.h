/* SPDX-License-Identifier: MIT */
/*
 * name: channels between processes that have only a path in common.
 *
 * A server listens on an AF_UNIX socket of packets.  A client says what he wants
 * by the name that he binds his own socket to before he connects: the kernel hands
 * it to the server together with the connection and the client's credentials, in
 * accept4().  So there is no handshake to wait for: a client who is there has said
 * all that he can say, and nothing that he sends is waited for.  The server makes the
 * channel, on what he stands on, and answers with one packet, the welcome, in which
 * one end travels.  Then the connection is kept beside the channel, see comp.h.
 *
 * The server's user is charged for a channel, and the server decides its size; so
 * a client needs no right to the module.
 *
 * The path.  Who makes or removes a socket file does so with a lock on a file
 * beside it, "path.lock", which lives as long as that takes: a file on which
 * nobody listens can be replaced, and no two replace each other's.  A file left
 * behind by a killed process is not locked any more.
 */
#ifndef FOS_NAME_H
#define FOS_NAME_H

#include <stdint.h>
#include <sys/stat.h>

/* ---- the path, name_path.c -------------------------------------------- */

/**
 * fos__path_bind() - give a socket a path and listen
 * @fd: a socket without a name
 * @path: of which nothing is there, or a socket file on which nobody listens
 * @backlog: of listen(2)
 * @full: out: the path that fos__path_remove() needs, for free(); NULL: in
 *	the abstract namespace, there is nothing to remove
 * @file: out: what was made there
 *
 * Return: 0; -EADDRINUSE; -ENAMETOOLONG, -EINVAL: of the path; -errno.
 */
int fos__path_bind(int fd, const char *path, int backlog, char **full,
		   struct stat *file);

/* Remove it, if it still is @file. */
void fos__path_remove(const char *full, const struct stat *file);

/* Connect a socket.  -errno of connect(2); -ENAMETOOLONG, -EINVAL. */
int fos__path_connect(int fd, const char *path);

/* ---- name.c ----------------------------------------------------------- */

/* A descriptor on which one listens: close it.  -EBADF: it is none. */
int fos__name_close(int fd);

/* In a child after fork(): what it inherited is its parent's to remove. */
void fos__name_forget(void);

#endif
