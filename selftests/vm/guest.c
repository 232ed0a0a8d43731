// SPDX-License-Identifier: GPL-2.0-only
/*
 * The runner's one static program. In the guest: talk to QEMU's debug devices
 * from user space, which needs no driver, no module and no /dev/port (absent
 * from cloud kernels). On the host: measure the TSC.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define EXIT_PORT	0xf4	/* isa-debug-exit: QEMU exits (code << 1) | 1 */

static int do_exit(int code)
{
	if (ioperm(EXIT_PORT, 4, 1)) {
		perror("ioperm");
		return 1;
	}
	outb(code, EXIT_PORT);
	return 1;
}

/*
 * stdin to an isa-debugcon, whose bytes go to a file of the host. No tty is
 * between, so it is binary-safe, and no interrupt, so none can be lost.
 */
static int do_send(int port)
{
	static char buf[1 << 16];
	ssize_t n;

	if (ioperm(port, 1, 1)) {
		perror("ioperm");
		return 1;
	}
	while ((n = read(0, buf, sizeof(buf))) > 0)
		outsb(port, buf, n);
	return n < 0;
}

/* One pair of readings, the tightest of a hundred: the host may be busy. */
static void sample(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;
	struct timespec ts;
	int i;

	for (i = 0; i < 100; i++) {
		uint64_t t0 = __rdtsc(), t1;

		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		t1 = __rdtsc();
		if (t1 - t0 < best) {
			best = t1 - t0;
			*tsc = t0 + best / 2;
			*ns = ts.tv_sec * 1000000000ull + ts.tv_nsec;
		}
	}
}

static int do_tsckhz(void)
{
	uint64_t tsc[2], ns[2];

	sample(&tsc[0], &ns[0]);
	usleep(50000);
	sample(&tsc[1], &ns[1]);
	printf("%llu\n", (unsigned long long)
	       ((tsc[1] - tsc[0]) * 1000000 / (ns[1] - ns[0])));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "exit"))
		return do_exit(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "send"))
		return do_send(strtol(argv[2], NULL, 0));
	if (argc == 2 && !strcmp(argv[1], "tsckhz"))
		return do_tsckhz();
	fprintf(stderr, "usage: guest exit CODE | send PORT | tsckhz\n");
	return 2;
}
