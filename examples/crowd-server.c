// SPDX-License-Identifier: MIT
/*
 * Serves an upper-case echo to whoever connects to PATH: one thread for a thousand
 * clients, by a completion queue; another one accepts them.  Those who are silent
 * cost nothing.
 *
 *	cc crowd-server.c -o crowd-server -pthread $(pkg-config --cflags --libs fastos)
 */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <fastos.h>

#define CLIENTS	4096
#define EVENTS	64

static int lfd, cq;

/* A client is a few descriptors. */
static void allow_many_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static void *accept_all(void *unused)
{
	int fd;

	for (;;) {
		fd = fos_accept(lfd, NULL);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED) {
			perror("fos_accept");
			exit(EXIT_FAILURE);
		}
		if (fd >= 0 && fos_cq_add(cq, fd, fd)) {
			perror("a client is sent away");
			fos_close(fd);
		}
	}
	return unused;
}

/* Answer what waits there, but not for ever: others wait, too.  False: it is gone. */
static int serve(int fd)
{
	const struct timespec now = { 0 };
	uint64_t token = 0;
	char buf[4096];
	int turns = 16;
	ssize_t n = 0;
	size_t len, i;

	do {
		len = n;
		for (i = 0; i < len; i++)
			buf[i] = toupper((unsigned char)buf[i]);
		if (!turns--)
			return !fos_reply(fd, token, buf, len) || errno == ESTALE;
		n = fos_reply_recv(fd, &token, buf, len, buf, sizeof(buf), &now);
	} while (n >= 0);
	return errno == ETIMEDOUT || errno == ESTALE || errno == EINTR;
}

int main(int argc, char **argv)
{
	struct fos_cq_event ev[EVENTS];
	pthread_t thread;
	int n, i;

	if (argc != 2 || argv[1][0] == '-')
		return fprintf(stderr, "usage: crowd-server PATH\n"), EXIT_FAILURE;
	allow_many_descriptors();
	cq = fos_cq_create(CLIENTS, 0);
	if (cq < 0)
		return perror("fos_cq_create"), EXIT_FAILURE;
	lfd = fos_listen(argv[1], CLIENTS);
	if (lfd < 0)
		return perror(argv[1]), EXIT_FAILURE;
	errno = pthread_create(&thread, NULL, accept_all, NULL);
	if (errno)
		return perror("pthread_create"), EXIT_FAILURE;
	for (;;) {
		n = fos_cq_wait(cq, ev, 1, EVENTS, NULL);
		if (n < 0 && errno != EINTR)
			return perror("fos_cq_wait"), EXIT_FAILURE;
		for (i = 0; i < n; i++)
			if (!serve(ev[i].user_data))
				fos_close(ev[i].user_data);
	}
}
