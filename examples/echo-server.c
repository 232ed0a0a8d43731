// SPDX-License-Identifier: MIT
/*
 * Serves an upper-case echo to whoever connects to PATH, a process for each client.
 * The same program runs with the module and without.
 *
 *	cc echo-server.c -o echo-server $(pkg-config --cflags --libs fastos)
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

int main(int argc, char **argv)
{
	int lfd, fd;

	if (argc != 2)
		return fprintf(stderr, "usage: echo-server PATH\n"), EXIT_FAILURE;
	signal(SIGCHLD, SIG_IGN);
	lfd = fos_listen(argv[1], 16);
	if (lfd < 0)
		return perror(argv[1]), EXIT_FAILURE;
	while ((fd = fos_accept(lfd, NULL)) >= 0) {
		if (fork() == 0)
			_exit(fos_close(lfd) || serve(fd) ? EXIT_FAILURE : EXIT_SUCCESS);
		fos_close(fd);
	}
	return perror("fos_accept"), EXIT_FAILURE;
}
