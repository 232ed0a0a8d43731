// SPDX-License-Identifier: MIT
/* CPU time that control groups grant: a throttled benchmark is another one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static double smaller(double a, double b)
{
	return isnan(a) || b < a ? b : a;
}

/* cpu.max of cgroup 2: "max 100000", or "150000 100000". */
static double read_max(const char *dir)
{
	char path[1024];
	double quota, period;
	bool some;
	FILE *f;

	snprintf(path, sizeof(path), "%s/cpu.max", dir);
	f = fopen(path, "re");
	if (!f)
		return NAN;
	some = fscanf(f, "%lf %lf", &quota, &period) == 2;
	fclose(f);
	return some ? quota / period : NAN;
}

/* The two files of cgroup 1; a quota of -1 is none. */
static double read_cfs(const char *dir)
{
	static const char *const file[] = { "quota", "period" };
	double n[ARRAY_SIZE(file)];

	for (size_t i = 0; i < ARRAY_SIZE(file); i++) {
		char path[1024];
		bool some;
		FILE *f;

		snprintf(path, sizeof(path), "%s/cpu.cfs_%s_us", dir, file[i]);
		f = fopen(path, "re");
		if (!f)
			return NAN;
		some = fscanf(f, "%lf", &n[i]) == 1;
		fclose(f);
		if (!some)
			return NAN;
	}
	return n[0] > 0 ? n[0] / n[1] : NAN;
}

/* The tightest from our group up to the root. */
static double up_to(const char *root, const char *group, double least)
{
	char dir[768];
	size_t len = strlen(root);

	snprintf(dir, sizeof(dir), "%s%s", root, group);
	for (;;) {
		double here = read_max(dir);

		if (isnan(here))
			here = read_cfs(dir);
		if (!isnan(here))
			least = smaller(least, here);
		if (strlen(dir) <= len)
			return least;
		*strrchr(dir, '/') = '\0';
	}
}

/* A line of /proc/self/cgroup: "0::/a/b", or "4:cpu,cpuacct:/a/b". */
static double of_line(char *line, double least)
{
	char *name = strchr(line, ':'), *group, root[256];

	group = name ? strchr(name + 1, ':') : NULL;
	if (!group)
		return least;
	*group++ = '\0';
	name++;
	group[strcspn(group, "\n")] = '\0';
	if (!*name) {
		least = up_to("/sys/fs/cgroup", group, least);
		return up_to("/sys/fs/cgroup/unified", group, least);
	}
	if (strcmp(name, "cpu") && strncmp(name, "cpu,", 4) &&
	    !strstr(name, ",cpu,"))
		return least;
	snprintf(root, sizeof(root), "/sys/fs/cgroup/%s", name);
	return up_to(root, group, least);
}

double cgroup_cpus(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	double least = NAN;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		least = of_line(line, least);
	if (f)
		fclose(f);
	return least;
}
