// SPDX-License-Identifier: MIT
/*
 * Is CLIENTS clients of the server at PATH, most of them silent: CALLS calls, each by
 * one of the first eight; and tells what a call takes.
 *
 *	cc crowd-client.c -o crowd-client $(pkg-config --cflags --libs fastos)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <fastos.h>

#define BUSY	8

static void allow_many_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int connect_all(const char *path, int *fd, long clients)
{
	long i;

	for (i = 0; i < clients; i++) {
		fd[i] = fos_connect(path, NULL);
		if (fd[i] < 0)
			return fprintf(stderr, "client %ld: ", i + 1),
			       perror(path), -1;
	}
	return 0;
}

static int ask(int fd, long i)
{
	char text[32], answer[32], want[32];
	ssize_t n;

	snprintf(text, sizeof(text), "call %ld", i);
	snprintf(want, sizeof(want), "CALL %ld", i);
	n = fos_call(fd, text, strlen(text), answer, sizeof(answer), NULL);
	if (n < 0)
		return perror("fos_call"), -1;
	if ((size_t)n != strlen(want) || memcmp(want, answer, n))
		return fprintf(stderr, "a wrong answer\n"), -1;
	return 0;
}

int main(int argc, char **argv)
{
	const long clients = argc == 4 ? atol(argv[2]) : 0;
	const long calls = argc == 4 ? atol(argv[3]) : 0;
	double began;
	int *fd;
	long i;

	if (clients < 1 || calls < 1)
		return fprintf(stderr, "usage: crowd-client PATH CLIENTS CALLS\n"),
		       EXIT_FAILURE;
	allow_many_descriptors();
	fd = calloc(clients, sizeof(*fd));
	if (!fd || connect_all(argv[1], fd, clients))
		return EXIT_FAILURE;
	began = seconds();
	for (i = 0; i < calls; i++)
		if (ask(fd[i % (clients < BUSY ? clients : BUSY)], i))
			return EXIT_FAILURE;
	printf("%ld clients, %ld calls: %.2f us a call\n", clients, calls,
	       (seconds() - began) / calls * 1e6);
	free(fd);
	return EXIT_SUCCESS;
}
