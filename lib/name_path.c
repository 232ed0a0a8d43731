// SPDX-License-Identifier: MIT
/* Paths of sockets: whose they are, and what is left over. */
#include "internal.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* "@name" is a name without a file. */
static int address(const char *path, struct sockaddr_un *a, socklen_t *len)
{
	const size_t n = strlen(path);

	if (!n || (n == 1 && *path == '@'))
		return -EINVAL;
	if (n >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	*a = (struct sockaddr_un) { .sun_family = AF_UNIX };
	memcpy(a->sun_path, path, n);
	*len = offsetof(struct sockaddr_un, sun_path) + n + 1;
	if (*path == '@') {
		a->sun_path[0] = '\0';
		(*len)--;
	}
	return 0;
}

int fos__path_connect(int fd, const char *path)
{
	struct sockaddr_un a;
	socklen_t len;
	int ret;

	ret = address(path, &a, &len);
	if (ret)
		return ret;
	/* By system call: connect() of libc is a cancellation point. */
	return syscall(SYS_connect, fd, &a, len) ? -errno : 0;
}

/* ---- one at a time ---------------------------------------------------- */

/* Who holds it does so for an instant; if he is stopped: naps of 50 us. */
#define LOCK_TRIES	10000

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* 1: locked; 0: somebody else has it, or just had it. */
static int try_lock(const char *name, int *lock)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat held, there;

	*lock = syscall(SYS_openat, AT_FDCWD, name, flags, 0600);
	if (*lock < 0)
		return -errno;
	/* A holder removes it: a lock on a file that is gone is none. */
	if (!flock(*lock, LOCK_EX | LOCK_NB) && !fstat(*lock, &held) &&
	    !lstat(name, &there) && is_same(&held, &there))
		return 1;
	fos__close_fd(*lock);
	return 0;
}

static int lock_name(char name[PATH_MAX], const char *path)
{
	const int n = snprintf(name, PATH_MAX, "%s.lock", path);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int take_lock(const char *path)
{
	char name[PATH_MAX];
	int lock, tries, ret;

	ret = lock_name(name, path);
	for (tries = 0; !ret && tries < LOCK_TRIES; tries++) {
		ret = try_lock(name, &lock);
		if (!ret)
			fos__nap();
	}
	if (ret > 0)
		return lock;
	return ret ? ret : -EADDRINUSE;
}

static void drop_lock(const char *path, int lock)
{
	char name[PATH_MAX];

	if (!lock_name(name, path))
		unlink(name);
	fos__close_fd(lock);
}

/* ---- listening -------------------------------------------------------- */

/*
 * Does nobody listen there?  Asked without waiting: a full backlog is one on
 * which somebody does.  A file that is no socket refuses too, but is not ours.
 */
static int is_stale(const char *path)
{
	struct stat file;
	int fd, ret;

	if (lstat(path, &file))
		return -errno;
	if (!S_ISSOCK(file.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ret = fos__path_connect(fd, path);
	fos__close_fd(fd);
	if (ret == -ECONNREFUSED)
		return 0;
	return ret == -EACCES ? ret : -EADDRINUSE;
}

/* With the lock. */
static int bind_locked(int fd, const char *path, const struct sockaddr_un *a,
		       socklen_t len)
{
	int ret;

	if (!bind(fd, (const struct sockaddr *)a, len))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	ret = is_stale(path);
	if (ret)
		return ret;
	unlink(path);
	return bind(fd, (const struct sockaddr *)a, len) ? -errno : 0;
}

static int listen_locked(int fd, const char *path, const struct sockaddr_un *a,
			 socklen_t len, int backlog)
{
	int ret = bind_locked(fd, path, a, len);

	if (ret || !listen(fd, backlog))
		return ret;
	ret = -errno;
	unlink(path);
	return ret;
}

/* The path as it is after a chdir(), too. */
static int full_path(const char *path, char **full)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char base[sizeof(dir)], real[PATH_MAX];

	strcpy(dir, path);
	strcpy(base, path);
	if (!realpath(dirname(dir), real))
		return -errno;
	return asprintf(full, "%s/%s", real, basename(base)) < 0 ? -ENOMEM : 0;
}

static int listen_file(int fd, const char *path, const struct sockaddr_un *a,
		       socklen_t len, int backlog, struct stat *file)
{
	int lock, ret;

	lock = take_lock(path);
	if (lock < 0)
		return lock;
	ret = listen_locked(fd, path, a, len, backlog);
	if (!ret && lstat(path, file))
		ret = -errno;
	drop_lock(path, lock);
	return ret;
}

int fos__path_bind(int fd, const char *path, int backlog, char **full,
		   struct stat *file)
{
	struct sockaddr_un a;
	socklen_t len;
	int ret;

	ret = address(path, &a, &len);
	if (ret)
		return ret;
	*full = NULL;
	if (*path == '@')
		return bind(fd, (struct sockaddr *)&a, len) ||
		       listen(fd, backlog) ? -errno : 0;
	ret = full_path(path, full);
	if (ret)
		return ret;
	ret = listen_file(fd, path, &a, len, backlog, file);
	if (ret) {
		free(*full);
		*full = NULL;
	}
	return ret;
}

/*
 * Nobody replaces a file on which we still listen; only who removed it by hand can
 * have put another one there.
 */
void fos__path_remove(const char *full, const struct stat *file)
{
	const int lock = take_lock(full);
	struct stat there;

	if (lock < 0)
		return;
	if (!lstat(full, &there) && is_same(&there, file))
		unlink(full);
	drop_lock(full, lock);
}
