// SPDX-License-Identifier: MIT
/*
 * Gives whoever connects to the socket PATH one end of a channel, and serves an
 * upper-case echo at the other. The same program runs with the module and without.
 *
 *	cc echo-server.c -o echo-server $(pkg-config --cflags --libs fastos)
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fastos.h>

/* Answer the last request and take the next, until the client is gone. */
static int serve(int fd)
{
	char buf[4096];
	uint64_t token = 0;
	size_t len = 0;
	ssize_t n;

	for (;;) {
		n = fos_reply_recv(fd, &token, buf, len, buf, sizeof(buf), NULL);
		if (n < 0 && errno != ESTALE && errno != ENOBUFS && errno != EINTR)
			return errno == EPIPE ? 0 : -1;
		if (n < 0)
			token = 0;	/* that caller does not wait any more */
		for (len = 0; (ssize_t)len < n; len++)
			buf[len] = toupper((unsigned char)buf[len]);
	}
}

static int hand_over(int to, int fd)
{
	union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr head; } c = { { 0 } };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = &c, .msg_controllen = sizeof(c) };

	c.head = (struct cmsghdr) { .cmsg_len = CMSG_LEN(sizeof(fd)),
				    .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&c.head), &fd, sizeof(fd));
	return sendmsg(to, &msg, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* A process for each client. */
static void welcome(int client)
{
	int fd[2];

	if (fos_channel(fd, NULL))
		return perror("fos_channel");
	if (hand_over(client, fd[1]) == 0 && fork() == 0)
		_exit(fos_close(fd[1]) || serve(fd[0]) ? EXIT_FAILURE : EXIT_SUCCESS);
	fos_close(fd[0]);
	fos_close(fd[1]);
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;

	if (argc != 2 || strlen(argv[1]) >= sizeof(addr.sun_path))
		return fprintf(stderr, "usage: echo-server PATH\n"), EXIT_FAILURE;
	strcpy(addr.sun_path, argv[1]);
	signal(SIGCHLD, SIG_IGN);
	if (bind(listener, (void *)&addr, sizeof(addr)) || listen(listener, 16))
		return perror(argv[1]), EXIT_FAILURE;
	for (; (client = accept(listener, NULL, NULL)) >= 0; close(client))
		welcome(client);
	return perror("accept"), EXIT_FAILURE;
}
