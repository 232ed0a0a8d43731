// SPDX-License-Identifier: MIT
/*
 * Asks the server at PATH to echo each TEXT; see echo-server.c.
 *
 *	cc echo-client.c -o echo-client $(pkg-config --cflags --libs fastos)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fastos.h>

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
	int fd, i;

	if (argc < 3)
		return fprintf(stderr, "usage: echo-client PATH TEXT...\n"),
		       EXIT_FAILURE;
	fd = fos_connect(argv[1], NULL);
	if (fd < 0)
		return perror(argv[1]), EXIT_FAILURE;
	for (i = 2; i < argc; i++)
		if (ask(fd, argv[i]))
			return perror("fos_call"), EXIT_FAILURE;
	fos_close(fd);
	return EXIT_SUCCESS;
}
