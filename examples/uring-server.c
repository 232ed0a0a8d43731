// SPDX-License-Identifier: MIT
/*
 * An event loop of liburing that serves channels, sockets and a timer together, by one
 * system call a turn: an upper-case echo to whoever connects to PATH by a channel (see
 * echo-client.c); to who connects to the socket PATH.status, how much was done; and the
 * same to stderr every SECONDS.  Ctrl-C ends it.
 *
 *	cc uring-server.c -o uring-server $(pkg-config --cflags --libs fastos) -luring
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <fastos.h>

/* What a completion is of; the descriptor is in the low half of its user_data. */
enum { NEW_CLIENT, REQUEST, STATUS, TOLD, TIMER, SIGNAL };

static struct io_uring ring;
static struct __kernel_timespec period;
static unsigned long clients, requests;

static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (sqe)
		return sqe;
	io_uring_submit(&ring);	/* it was full */
	return io_uring_get_sqe(&ring);
}

static void name(struct io_uring_sqe *sqe, unsigned int what, int fd)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)what << 32 | (unsigned int)fd);
}

/* Once: who is served is waited for again. */
static void wait_for(unsigned int what, int fd)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_poll_add(sqe, fd, POLLIN);
	name(sqe, what, fd);
}

static void greet(int lfd)
{
	int fd = fos_accept(lfd, NULL);

	if (fd >= 0) {
		clients++;
		wait_for(REQUEST, fd);
	} else if (errno != EAGAIN) {	/* EAGAIN: who came has gone again */
		perror("fos_accept");
	}
	wait_for(NEW_CLIENT, lfd);
}

/* One request; what else lies there completes the next poll at once. */
static void answer(int fd)
{
	char buf[4096];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct fos_msg m = { .iov = &iov, .iovlen = 1 };
	ssize_t n = fos_recvmsg(fd, &m, FOS_NONBLOCK, NULL), i;

	for (i = 0; i < n; i++)
		buf[i] = toupper((unsigned char)buf[i]);
	if (n >= 0 && m.token) {
		requests++;
		/* ESTALE: that caller does not wait any more. */
		if (fos_reply(fd, m.token, buf, n) && errno == ESTALE)
			errno = EAGAIN;
	}
	if (n >= 0 || errno == EAGAIN || errno == EINTR)
		wait_for(REQUEST, fd);
	else
		fos_close(fd);	/* the client has gone */
}

static char *report(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "%lu clients, %lu requests\n", clients,
		 requests);
	return text;
}

static void tell(int sfd)
{
	int fd = accept4(sfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const char *text = report();
	struct io_uring_sqe *sqe;

	wait_for(STATUS, sfd);
	if (fd < 0)
		return;
	sqe = get_sqe();
	io_uring_prep_send(sqe, fd, text, strlen(text), MSG_NOSIGNAL);
	name(sqe, TOLD, fd);
}

static void set_timer(void)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_timeout(sqe, &period, 0, 0);
	name(sqe, TIMER, 0);
}

/* 0: a signal says that it is enough. */
static int handle(const struct io_uring_cqe *cqe)
{
	const uint64_t data = io_uring_cqe_get_data64(cqe);
	const int fd = (int)data;

	switch (data >> 32) {
	case NEW_CLIENT:
		greet(fd);
		return 1;
	case REQUEST:
		answer(fd);
		return 1;
	case STATUS:
		tell(fd);
		return 1;
	case TOLD:
		close(fd);
		return 1;
	case TIMER:
		fputs(report(), stderr);
		set_timer();
		return 1;
	}
	return 0;
}

static int status_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.status", path);
	unlink(addr.sun_path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 16))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	const int help = argc == 2 && !strcmp(argv[1], "--help");
	struct io_uring_cqe *cqe;
	int lfd, sfd, go_on = 1;
	sigset_t set;

	if (argc < 2 || argc > 3 || help)
		return fprintf(help ? stdout : stderr,
			       "usage: uring-server PATH [SECONDS]\n"),
		       help ? EXIT_SUCCESS : EXIT_FAILURE;
	period.tv_sec = argc == 3 ? strtoul(argv[2], NULL, 10) : 60;
	if (!period.tv_sec)
		return fprintf(stderr, "uring-server: no number of seconds: %s\n",
			       argv[2]), EXIT_FAILURE;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	lfd = fos_listen(argv[1], 16);
	if (lfd < 0 || fcntl(lfd, F_SETFL, O_NONBLOCK))
		return perror(argv[1]), EXIT_FAILURE;
	sfd = status_socket(argv[1]);
	errno = -io_uring_queue_init(256, &ring, 0);
	if (sfd < 0 || errno)
		return perror("uring-server"), EXIT_FAILURE;
	wait_for(NEW_CLIENT, lfd);
	wait_for(STATUS, sfd);
	wait_for(SIGNAL, signalfd(-1, &set, SFD_CLOEXEC));
	set_timer();
	fos_hold_bells(1);	/* who is answered is woken by the ring, too */
	while (go_on && (io_uring_submit_and_wait(&ring, 1) >= 0 || errno == EINTR)) {
		while (go_on && !io_uring_peek_cqe(&ring, &cqe)) {
			go_on = handle(cqe);
			io_uring_cqe_seen(&ring, cqe);
		}
		fos_prep_bells(&ring);
	}
	fputs(report(), stderr);
	fos_hold_bells(0);
	io_uring_queue_exit(&ring);
	return fos_close(lfd) ? EXIT_FAILURE : EXIT_SUCCESS;
}
