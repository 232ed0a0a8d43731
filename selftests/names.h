/* SPDX-License-Identifier: GPL-2.0-only */
/* Paths, and servers and clients that meet there. */
#ifndef FOS_SELFTESTS_NAMES_H
#define FOS_SELFTESTS_NAMES_H

#include <dirent.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "peers.h"

/**
 * struct place - a folder of its own for each test
 * @dir: the folder
 * @path: where the server is
 */
struct place {
	char dir[32];
	char path[48];
};

static inline bool make_place(struct place *p)
{
	strcpy(p->dir, "/tmp/fos-name-XXXXXX");
	if (!mkdtemp(p->dir) || chmod(p->dir, 0755))
		return false;
	snprintf(p->path, sizeof(p->path), "%s/s", p->dir);
	return true;
}

/* What is in a folder; removed, or only counted. */
static inline int entries(const char *dir, bool remove_them)
{
	char path[512];
	struct dirent *e;
	DIR *d = opendir(dir);
	int n = 0;

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		n++;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (remove_them && unlink(path))
			rmdir(path);
	}
	if (d)
		closedir(d);
	return n;
}

static inline void remove_place(const struct place *p)
{
	entries(p->dir, true);
	rmdir(p->dir);
}

/* ---- the raw socket --------------------------------------------------- */

static inline socklen_t address_of(const char *path, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un) { .sun_family = AF_UNIX };
	strcpy(a->sun_path, path);
	return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

/* A socket that is bound to a file, and listens if @backlog is not 0. */
static inline int raw_listen(const char *path, int type, int backlog)
{
	struct sockaddr_un a;
	socklen_t len = address_of(path, &a);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (bind(fd, (void *)&a, len) || (backlog && listen(fd, backlog))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Somebody who connects under a name of @len bytes; 0: without one. */
static inline int raw_connect(const char *path, const void *name, size_t len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const size_t base = offsetof(struct sockaddr_un, sun_path) + 1;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	if (len)
		memcpy(a.sun_path + 1, name, len);
	if (len && bind(fd, (void *)&a, base + len)) {
		close(fd);
		return -1;
	}
	len = address_of(path, &a);
	if (!connect(fd, (void *)&a, len))
		return fd;
	close(fd);
	return -1;
}

/* A packet with as many copies of a descriptor. */
static inline int send_copies(int sock, const void *buf, size_t len, int fd,
			      int copies)
{
	union {
		char bytes[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr head;
	} c = { 0 };
	struct iovec iov = { (void *)buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int i;

	if (copies) {
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(copies * sizeof(int));
		c.head = (struct cmsghdr) {
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(copies * sizeof(int)),
		};
	}
	for (i = 0; i < copies; i++)
		memcpy(CMSG_DATA(&c.head) + i * sizeof(int), &fd, sizeof(int));
	return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- clients ---------------------------------------------------------- */

static inline long say(int fd, uint64_t value)
{
	struct timespec deadline = deadline_in(HANG_MS);
	uint64_t in = 0;
	long ret;

	ret = RESULT(fos_call(fd, &value, sizeof(value), &in, sizeof(in),
			      &deadline));
	if (ret < 0)
		return ret;
	return ret == sizeof(in) && in == value ? 0 : -EBADMSG;
}

/* Connects, says something, goes: 0 or an errno. */
static inline int visit(const char *path, const struct fos_chan_attr *attr)
{
	int fd = fos_connect(path, attr);
	long ret;

	if (fd < 0)
		return errno;
	ret = say(fd, 7);
	fos_close(fd);
	return -ret;
}

static inline pid_t spawn_visit(const char *path)
{
	pid_t pid = spawn();

	if (!pid)
		_exit(visit(path, NULL));
	return pid;
}

/* The client's whole visit from the server's side: 0 or an errno. */
static inline int serve_visit(int lfd, struct fos_peer *peer)
{
	int fd = fos_accept(lfd, peer);
	uint64_t buf;
	int ret;

	if (fd < 0)
		return errno;
	ret = serve_echo(fd, &buf, sizeof(buf));
	fos_close(fd);
	return ret;
}

static inline bool set_nonblock(int fd)
{
	return !fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* ---- servers ---------------------------------------------------------- */

static inline void *serve_thread(void *arg)
{
	int fd = (intptr_t)arg;
	uint64_t buf;

	serve_echo(fd, &buf, sizeof(buf));
	fos_close(fd);
	return NULL;
}

static inline int start_serving(int fd)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&thread, &attr, serve_thread, (void *)(intptr_t)fd);
	pthread_attr_destroy(&attr);
	return ret;
}

/* A thread for each client, for ever; an errno. */
static inline int serve_all(int lfd)
{
	int fd;

	for (;;) {
		fd = fos_accept(lfd, NULL);
		if (fd < 0 && errno != EINTR)
			return errno;
		if (fd >= 0 && start_serving(fd))
			return EAGAIN;
	}
}

/* A server in a process of its own, that listens already. */
static inline pid_t spawn_server(const char *path)
{
	uint64_t *ready = shared(4096);
	int lfd;
	pid_t pid = spawn();

	if (!pid) {
		lfd = fos_listen(path, 64);
		if (lfd < 0)
			_exit(errno);
		__atomic_store_n(ready, 1, __ATOMIC_RELEASE);
		_exit(serve_all(lfd));
	}
	wait_for(ready, 1);
	munmap(ready, 4096);
	return pid;
}

static inline int kill_and_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	return reap(pid);
}

/* ---- what is left ----------------------------------------------------- */

static inline int count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int c, n = 0;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

/* Without a bound. */
static inline int count_open(void)
{
	return entries("/proc/self/fd", false);
}

#endif
