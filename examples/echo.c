// SPDX-License-Identifier: MIT
/*
 * Two processes: the child serves, the parent calls.  An upper-case echo.
 *
 *	cc echo.c -o echo $(pkg-config --cflags --libs fastos)
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fastos.h>

/* Answer the last request and take the next, until the clients are gone. */
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

int main(void)
{
	int fd[2], failed, status = -1;

	if (fos_channel(fd, NULL)) {
		perror("fos_channel");
		return EXIT_FAILURE;
	}
	if (fork() == 0) {
		fos_close(fd[0]);
		_exit(serve(fd[1]) ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	fos_close(fd[1]);
	failed = ask(fd[0], "hello") || ask(fd[0], "rendezvous");
	if (failed)
		perror("fos_call");
	fos_close(fd[0]);	/* the server sees EPIPE and ends */
	wait(&status);
	return failed || status ? EXIT_FAILURE : EXIT_SUCCESS;
}
