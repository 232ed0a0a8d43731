// SPDX-License-Identifier: MIT
/* name: fos_listen(), fos_accept(), fos_connect(); see name.h. */
#include "bells.h"
#include "internal.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/**
 * struct hello - what a client's socket is named
 * @magic: HELLO_MAGIC; another one is another version
 * @depth, @spin, @area_bytes, @spin_ns: as he asked for
 *
 * A random number follows.
 */
struct hello {
	uint64_t magic;
	uint32_t depth;
	uint32_t spin;
	uint64_t area_bytes;
	uint64_t spin_ns;
};

#define HELLO_MAGIC	0x31656d616e736f66ULL	/* "fosname1" */
#define HELLO_RANDOM	32

/**
 * struct welcome - what the server answers; an endpoint comes with it
 * @magic: HELLO_MAGIC
 * @error: 0; EPROTO: who are you; EAGAIN: not now
 * @resv: 0
 */
struct welcome {
	uint64_t magic;
	uint32_t error;
	uint32_t resv;
};

/* So many strangers in a row are turned away before we look up. */
#define STRANGERS	64

/**
 * struct listener - a path to remove
 * @next: in the list
 * @id: of the socket
 * @path: of its file, as it is after a chdir()
 * @file: which one it was
 */
struct listener {
	struct listener *next;
	uint64_t id;
	char *path;
	struct stat file;
};

/* With the library's lock. */
static struct listener *listeners;

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* ---- listening -------------------------------------------------------- */

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

static bool is_listening(int fd)
{
	return option(fd, SO_ACCEPTCONN) == 1 &&
	       option(fd, SO_DOMAIN) == AF_UNIX &&
	       option(fd, SO_TYPE) == SOCK_SEQPACKET;
}

static void add_listener(struct listener *l, int fd)
{
	l->id = fos__posix_id(fd);
	fos__lock();
	l->next = listeners;
	listeners = l;
	fos__unlock();
}

/* @fd is about to be closed; what it leaves, if it is the last one. */
static struct listener *take_listener(int fd)
{
	const uint64_t id = fos__posix_id(fd);
	struct listener **p, *l;

	fos__lock();
	for (p = &listeners; *p && (*p)->id != id; p = &(*p)->next)
		;
	l = *p;
	if (l && fos__posix_copies(id) > 1)
		l = NULL;
	if (l)
		*p = l->next;
	fos__unlock();
	return l;
}

void fos__name_forget(void)
{
	listeners = NULL;
}

/* While it still listens: so nobody takes the path for an abandoned one. */
int fos__name_close(int fd)
{
	struct listener *l;

	if (!is_listening(fd))
		return -EBADF;
	l = take_listener(fd);
	if (l) {
		fos__path_remove(l->path, &l->file);
		free(l->path);
		free(l);
	}
	return fos__close_fd(fd);
}

static int listen_on(int fd, const char *path, int backlog)
{
	struct listener *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return -ENOMEM;
	ret = fos__path_bind(fd, path, backlog, &l->path, &l->file);
	if (ret || !l->path)
		free(l);
	else
		add_listener(l, fd);
	return ret;
}

FOS_API int fos_listen(const char *path, int backlog)
{
	int fd, ret;

	if (!path || backlog < 1)
		return fos__ret(-EINVAL);
	ret = fos__enter();
	if (ret)
		return fos__ret(ret);
	fd = new_socket();
	if (fd < 0)
		return fos__ret(fd);
	ret = listen_on(fd, path, backlog);
	if (ret)
		fos__close_fd(fd);
	return fos__ret(ret ? ret : fd);
}

/* ---- accepting -------------------------------------------------------- */

/* Anybody can connect by any name: believe only what fits. */
static int read_hello(const struct sockaddr_un *a, socklen_t len,
		      struct fos_chan_attr *attr)
{
	const size_t base = offsetof(struct sockaddr_un, sun_path) + 1;
	struct hello hello;

	if (len != base + sizeof(hello) + HELLO_RANDOM || a->sun_path[0])
		return -EPROTO;
	memcpy(&hello, a->sun_path + 1, sizeof(hello));
	if (hello.magic != HELLO_MAGIC)
		return -EPROTO;
	*attr = (struct fos_chan_attr) {
		.depth = hello.depth,
		.area_bytes = hello.area_bytes,
		.spin = hello.spin,
		.spin_ns = hello.spin_ns,
	};
	return fos__attr_complete(attr, attr) ? -EPROTO : 0;
}

static void turn_away(int conn, uint32_t error)
{
	const struct welcome w = { .magic = HELLO_MAGIC, .error = error };

	fos__send_fds(conn, &w, sizeof(w), NULL, 0);
}

static int welcome(int conn, int fd)
{
	const struct welcome w = { .magic = HELLO_MAGIC };
	const int ret = fos__send_fds(conn, &w, sizeof(w), &fd, 1);

	if (!ret || ret == -EPIPE || ret == -ECONNRESET)
		return ret ? -EPIPE : 0;
	/* This user has as many descriptors on their way as one may. */
	return ret == -ETOOMANYREFS ? -ENFILE : -ENOMEM;
}

static int credentials(int conn, struct fos_peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	peer->pid = cred.pid;
	return 0;
}

/* A channel for who is there; one end of it is on its way to him. */
static int make_channel(int conn, const struct fos_chan_attr *attr)
{
	int fd[2], ret;

	ret = fos__create(attr, fd);
	if (ret)
		return ret;
	ret = welcome(conn, fd[1]);
	fos__close_fd(fd[1]);
	if (!ret)
		ret = fos__comp_keep(fd[0], conn);
	if (!ret)
		return fd[0];
	fos__close_fd(fd[0]);
	return ret;
}

/* An endpoint, and @conn is kept; -EPROTO: a stranger; -EPIPE: he has gone. */
static int serve_one(int conn, const struct sockaddr_un *a, socklen_t len,
		     struct fos_peer *peer)
{
	int ret;

	ret = read_hello(a, len, &peer->attr);
	if (!ret)
		ret = credentials(conn, peer);
	if (ret)
		return ret;
	fos__attr_limit(&peer->attr, &peer->limit);
	return make_channel(conn, &peer->attr);
}

static int accept_one(int lfd, struct fos_peer *peer)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	int conn, ret;

	/* By system call: accept4() of libc is a cancellation point. */
	conn = syscall(SYS_accept4, lfd, &a, &len, SOCK_CLOEXEC);
	if (conn < 0)
		return -errno;
	ret = serve_one(conn, &a, len, peer);
	if (ret >= 0)
		return ret;
	turn_away(conn, ret == -EPROTO ? EPROTO : EAGAIN);
	fos__close_fd(conn);
	return ret;
}

static bool may_wait(int lfd)
{
	return !(syscall(SYS_fcntl, lfd, F_GETFL) & O_NONBLOCK);
}

static int accept_any(int lfd, struct fos_peer *peer)
{
	int ret, strangers = 0;

	do {
		ret = accept_one(lfd, peer);
		if (ret != -EPROTO && ret != -EPIPE)
			return ret;
	} while (++strangers < STRANGERS || may_wait(lfd));
	return -EAGAIN;
}

FOS_API int fos_accept(int lfd, struct fos_peer *peer)
{
	struct fos_peer p = { 0 };
	int ret;

	if (peer)
		p = *peer;
	ret = p.resv0 ? -EINVAL : fos__attr_complete(&p.limit, &p.limit);
	if (!ret && !is_listening(lfd))
		ret = -EBADF;
	fos__bells_before_waiting();
	if (!ret)
		ret = accept_any(lfd, &p);
	if (ret < 0 || !peer)
		return fos__ret(ret);
	p.limit = peer->limit;
	*peer = p;
	return ret;
}

/* ---- connecting ------------------------------------------------------- */

static int say_hello(int fd, const struct fos_chan_attr *attr)
{
	struct hello hello = { .magic = HELLO_MAGIC };

	if (attr) {
		hello.depth = attr->depth;
		hello.area_bytes = attr->area_bytes;
		hello.spin = attr->spin;
		hello.spin_ns = attr->spin_ns;
	}
	return fos__posix_bind(fd, &hello, sizeof(hello));
}

/* What the server says; with it, perhaps, came @fd. */
static int read_welcome(const struct welcome *w, ssize_t n, int flags, int fd)
{
	if (n < 0)
		return n;
	/* He went away, before he accepted or after. */
	if (!n)
		return -ECONNREFUSED;
	if (n != sizeof(*w) || (flags & MSG_TRUNC) ||
	    w->magic != HELLO_MAGIC ||
	    (w->error && w->error != EPROTO && w->error != EAGAIN))
		return -EPROTO;
	if (w->error)
		return -(int)w->error;
	if (fd < 0)
		return flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
	return fos__is_endpoint(fd) ? 0 : -EPROTO;
}

static int receive_end(int sock)
{
	struct welcome w;
	int fd = -1, flags = 0, ret;
	ssize_t n;

	n = fos__recv_fds(sock, &w, sizeof(w), &fd, 1, &flags);
	ret = read_welcome(&w, n == -ECONNRESET ? 0 : n, flags, fd);
	if (!ret) {
		fos__forget_fd(fd);
		ret = fos__comp_keep(fd, sock);
	}
	if (!ret)
		return fd;
	if (fd >= 0)
		fos__close_fd(fd);
	return ret;
}

static int connect_by(int sock, const char *path,
		      const struct fos_chan_attr *attr)
{
	int ret = say_hello(sock, attr);

	if (!ret)
		ret = fos__path_connect(sock, path);
	/* Somebody listens there, but not for packets. */
	if (ret == -EPROTOTYPE)
		ret = -EPROTO;
	return ret ? ret : receive_end(sock);
}

FOS_API int fos_connect(const char *path, const struct fos_chan_attr *attr)
{
	struct fos_chan_attr a;
	int sock, ret;

	ret = path ? fos__attr_complete(&a, attr) : -EINVAL;
	if (ret)
		return fos__ret(ret);
	sock = new_socket();
	if (sock < 0)
		return fos__ret(sock);
	fos__bells_before_waiting();
	ret = connect_by(sock, path, attr);
	if (ret < 0)
		fos__close_fd(sock);
	return fos__ret(ret);
}
