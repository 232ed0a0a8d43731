// SPDX-License-Identifier: MIT
/* What a round trip costs in events: traps and inter-processor interrupts. */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

/* ---- IPIs: /proc/interrupts ------------------------------------------- */

const char *const ipi_name[IPI_KINDS] = { "RES", "CAL", "TLB" };

/* Of which CPUs: two columns of the table, or all. */
struct columns {
	bool all;
	int col[SIDES];
};

/* Which columns belong to the two CPUs; the header names the online ones. */
static void find_columns(char *header, const int cpu[SIDES], int col[SIDES])
{
	char *save, *word = strtok_r(header, " \n", &save);

	for (int i = 0; word; i++, word = strtok_r(NULL, " \n", &save)) {
		int n = atoi(word + strlen("CPU"));

		for (int side = 0; side < SIDES; side++) {
			if (n == cpu[side])
				col[side] = i;
		}
	}
	if (col[CLIENT] == col[SERVER])
		col[SERVER] = -1;
}

/* Figures end where the name of the interrupt begins. */
static uint64_t add_columns(char *p, const struct columns *c)
{
	uint64_t sum = 0;
	char *end;

	for (int i = 0; ; i++, p = end) {
		uint64_t n = strtoull(p, &end, 10);

		if (end == p)
			return sum;
		if (c->all || i == c->col[CLIENT] || i == c->col[SERVER])
			sum += n;
	}
}

bool ipi_read(const int cpu[SIDES], uint64_t n[IPI_KINDS])
{
	FILE *f = fopen("/proc/interrupts", "re");
	char *text = NULL;
	size_t len = 0;
	struct columns c = { .all = !cpu, .col = { -1, -1 } };
	int found = 0;

	if (!f)
		return false;
	if (getline(&text, &len, f) > 0 && cpu)
		find_columns(text, cpu, c.col);
	while (getline(&text, &len, f) > 0) {
		char *p = text + strspn(text, " ");

		for (int i = 0; i < IPI_KINDS; i++) {
			if (strncmp(p, ipi_name[i], 3) || p[3] != ':')
				continue;
			n[i] = add_columns(p + 4, &c);
			found++;
		}
	}
	free(text);
	fclose(f);
	return found == IPI_KINDS;
}

/* ---- traps: tracepoint raw_syscalls:sys_enter ------------------------- */

int traps_tracepoint(char *why)
{
	static const char *const dir[] = {
		"/sys/kernel/tracing", "/sys/kernel/debug/tracing",
	};
	bool mounted = false;

	for (size_t i = 0; i < ARRAY_SIZE(dir); i++) {
		char path[128];
		int id = -1;
		FILE *f;

		snprintf(path, sizeof(path), "%s/trace", dir[i]);
		mounted = mounted || !access(path, F_OK);
		snprintf(path, sizeof(path),
			 "%s/events/raw_syscalls/sys_enter/id", dir[i]);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%d", &id) != 1)
			id = -1;
		fclose(f);
		if (id >= 0)
			return id;
	}
	snprintf(why, WHY_LEN, "%s", mounted ?
		 "this kernel has no tracepoint raw_syscalls:sys_enter" :
		 geteuid() ? "tracefs is for root" :
		 "no tracefs; mount -t tracefs tracefs /sys/kernel/tracing");
	return -1;
}

int traps_open(int tracepoint, char *why)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = tracepoint,
		.disabled = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			 PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		snprintf(why, WHY_LEN, "perf_event_open: %s",
			 strerrorname_np(errno));
	return fd;
}

void traps_on(int fd)
{
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
}

uint64_t traps_off(int fd)
{
	uint64_t n = 0;

	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	if (read(fd, &n, sizeof(n)) != sizeof(n) || !n)
		return 0;
	return n - 1;		/* the ioctl was one */
}
