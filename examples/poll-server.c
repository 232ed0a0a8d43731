// SPDX-License-Identifier: MIT
/*
 * Serves an upper-case echo to whoever connects to PATH, one process for all: it
 * waits for clients, requests and signals at once.  See echo-client.c; Ctrl-C ends
 * it, SIGUSR1 asks how much it has done.
 *
 *	cc poll-server.c -o poll-server $(pkg-config --cflags --libs fastos)
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fastos.h>

/* What is waited for: first these two, then the clients. */
enum { SIGNALS, NEW_CLIENTS, FIRST_CLIENT, MOST = 64 };

static struct pollfd fds[MOST];
static int nfds = FIRST_CLIENT;
static unsigned long clients, requests;

static void greet(int lfd)
{
	int fd = fos_accept(lfd, NULL);

	if (fd < 0 && errno != EAGAIN)	/* EAGAIN: who came has gone again */
		perror("fos_accept");
	if (fd < 0)
		return;
	clients++;
	fds[nfds++] = (struct pollfd) { .fd = fd, .events = POLLIN };
	if (nfds == MOST)
		fds[NEW_CLIENTS].fd = -1;	/* more wait until one has gone */
}

static void part(int i, int lfd)
{
	fos_close(fds[i].fd);
	fds[i] = fds[--nfds];
	fds[NEW_CLIENTS].fd = lfd;
}

/* One request; -1: the client has gone, or is none that we can serve. */
static int answer(int fd)
{
	char buf[4096];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct fos_msg m = { .iov = &iov, .iovlen = 1 };
	ssize_t n = fos_recvmsg(fd, &m, FOS_NONBLOCK, NULL), i;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (!m.token)
		return 0;	/* a message, which wants no answer */
	for (i = 0; i < n; i++)
		buf[i] = toupper((unsigned char)buf[i]);
	requests++;
	/* ESTALE: that caller does not wait any more. */
	return fos_reply(fd, m.token, buf, n) && errno != ESTALE ? -1 : 0;
}

/* By which signal? */
static int is_told_to_end(int sfd)
{
	struct signalfd_siginfo info;

	if (read(sfd, &info, sizeof(info)) != sizeof(info))
		return 0;
	fprintf(stderr, "%lu clients, %lu requests\n", clients, requests);
	return info.ssi_signo != SIGUSR1;
}

static int serve(int lfd)
{
	int i;

	while (fos_poll(fds, nfds, NULL) >= 0 || errno == EINTR) {
		if (fds[SIGNALS].revents && is_told_to_end(fds[SIGNALS].fd))
			return 0;
		/* From the end: who parts leaves his place to the last one. */
		for (i = nfds - 1; i >= FIRST_CLIENT; i--)
			if (fds[i].revents && answer(fds[i].fd))
				part(i, lfd);
		if (fds[NEW_CLIENTS].revents)
			greet(lfd);
	}
	return -1;
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGUSR1 };
	const int help = argc == 2 && !strcmp(argv[1], "--help");
	sigset_t set;
	int lfd, i;

	if (argc != 2 || help)
		return fprintf(help ? stdout : stderr, "usage: poll-server PATH\n"),
		       help ? EXIT_SUCCESS : EXIT_FAILURE;
	sigemptyset(&set);
	for (i = 0; i < 3; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	lfd = fos_listen(argv[1], 16);
	if (lfd < 0 || fcntl(lfd, F_SETFL, O_NONBLOCK))
		return perror(argv[1]), EXIT_FAILURE;
	fds[NEW_CLIENTS] = (struct pollfd) { .fd = lfd, .events = POLLIN };
	fds[SIGNALS] = (struct pollfd) { .fd = signalfd(-1, &set, SFD_CLOEXEC),
					 .events = POLLIN };
	if (fds[SIGNALS].fd < 0 || serve(lfd))
		return perror("poll-server"), EXIT_FAILURE;
	return fos_close(lfd) ? EXIT_FAILURE : EXIT_SUCCESS;
}
