// SPDX-License-Identifier: MIT
/*
 * Asks the server at the socket PATH to echo each TEXT; see echo-server.c.
 *
 *	cc echo-client.c -o echo-client $(pkg-config --cflags --libs fastos)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <fastos.h>

/* The descriptor that comes with the next byte. */
static int receive_end(int from)
{
	union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr head; } c;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = &c, .msg_controllen = sizeof(c) };
	int fd;

	if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC) < 0)
		return -1;
	if (!CMSG_FIRSTHDR(&msg) || c.head.cmsg_type != SCM_RIGHTS) {
		errno = ENOTCONN;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(&c.head), sizeof(fd));
	return fd;
}

static int ask(int fd, const char *text)
{
	struct timespec deadline;
	char answer[4096];
	ssize_t n;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += 5;
	n = fos_call(fd, text, strlen(text), answer, sizeof(answer), &deadline);
	if (n < 0)
		return -1;
	printf("%s -> %.*s\n", text, (int)n, answer);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, i;

	if (argc < 3 || strlen(argv[1]) >= sizeof(addr.sun_path))
		return fprintf(stderr, "usage: echo-client PATH TEXT...\n"),
		       EXIT_FAILURE;
	strcpy(addr.sun_path, argv[1]);
	if (connect(sock, (void *)&addr, sizeof(addr)))
		return perror(argv[1]), EXIT_FAILURE;
	fd = receive_end(sock);
	if (fd < 0)
		return perror(argv[1]), EXIT_FAILURE;
	close(sock);
	for (i = 2; i < argc; i++)
		if (ask(fd, argv[i]))
			return perror("fos_call"), EXIT_FAILURE;
	fos_close(fd);
	return EXIT_SUCCESS;
}
