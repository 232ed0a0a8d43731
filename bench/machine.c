// SPDX-License-Identifier: MIT
/* What was measured on: without it no figure means anything. */
#include <dirent.h>
#include <fastos.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "bench.h"

#define CPU_DIR	"/sys/devices/system/cpu"

/* The first line of a file, or "" */
static const char *read_line(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(buf, len, f))
		buf[0] = '\0';
	if (f)
		fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static void add_file(json_t *m, const char *key, const char *path)
{
	char buf[256];

	read_line(path, buf, sizeof(buf));
	json_object_set_new(m, key, json_string(buf[0] ? buf : "none"));
}

static void cpu_model(char *model, size_t len)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char buf[256], *colon;

	snprintf(model, len, "unknown CPU");
	while (f && fgets(buf, sizeof(buf), f)) {
		if (strncmp(buf, "model name", strlen("model name")))
			continue;
		colon = strchr(buf, ':');
		if (colon)
			snprintf(model, len, "%.*s",
				 (int)strcspn(colon + 2, "\n"), colon + 2);
		break;
	}
	if (f)
		fclose(f);
}

/* Who runs below us: "none", or a hypervisor's own name for itself. */
static void hypervisor(char *name, size_t len)
{
	snprintf(name, len, "none");
#ifdef __x86_64__
	unsigned int a, sig[4] = { 0 };

	if (!__get_cpuid(1, &a, &sig[0], &sig[1], &sig[2]) ||
	    !(sig[1] & (1U << 31)))
		return;
	__cpuid(0x40000000, a, sig[0], sig[1], sig[2]);
	sig[3] = 0;
	snprintf(name, len, "%.*s", (int)strcspn((char *)sig, " "),
		 (char *)sig);
#endif
}

static json_t *mitigations(void)
{
	static const char dir[] = CPU_DIR "/vulnerabilities";
	json_t *list = json_object();
	struct dirent **ent;
	int n = scandir(dir, &ent, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[512], buf[256];

		snprintf(path, sizeof(path), "%s/%s", dir, ent[i]->d_name);
		read_line(path, buf, sizeof(buf));
		if (ent[i]->d_name[0] != '.' && buf[0] &&
		    strcmp(buf, "Not affected"))
			json_object_set_new(list, ent[i]->d_name,
					    json_string(buf));
		free(ent[i]);
	}
	if (n >= 0)
		free(ent);
	return list;
}

static json_t *fastos(void)
{
	struct fos_caps caps;
	const char *backend = "posix";

	if (fos_query(&caps, sizeof(caps)))
		return json_pack("{s:s}", "backend", "unknown");
	if (caps.backend == FOS_BACKEND_KERNEL)
		backend = "kernel";
	else if (caps.backend == FOS_BACKEND_NONE)
		backend = "none";
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}",
			 "backend", backend,
			 "reason", caps.reason ?
				strerrorname_np(caps.reason) : "",
			 "features", (json_int_t)caps.features,
			 "wake_ns", (json_int_t)caps.wake_ns,
			 "depth_max", (json_int_t)caps.depth_max,
			 "area_max", (json_int_t)caps.area_max);
}

json_t *machine_describe(void)
{
	char model[256], hyper[32], date[32], version[64] = "";
	time_t now = time(NULL);
	double load[3] = { 0 };
	struct utsname u;
	bool emulated;
	json_t *m;

	cpu_model(model, sizeof(model));
	hypervisor(hyper, sizeof(hyper));
	emulated = !strcmp(hyper, "TCGTCGTCGTCG");
	uname(&u);
	if (strstr(u.version, "Debian"))
		sscanf(strstr(u.version, "Debian"), "Debian %63s", version);
	if (getloadavg(load, 3) < 0)
		load[0] = -1;
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime(&now));
	m = json_pack("{s:s, s:s, s:i, s:s, s:b, s:s, s:s, s:s, s:[fff]}",
		      "date", date, "cpu", model,
		      "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN),
		      "hypervisor", hyper, "emulated", emulated,
		      "kernel", u.release, "kernel_package", version,
		      "arch", u.machine,
		      "load", load[0], load[1], load[2]);
	if (!m)
		return NULL;
	add_file(m, "governor", CPU_DIR "/cpu0/cpufreq/scaling_governor");
	add_file(m, "cpuidle", CPU_DIR "/cpuidle/current_driver");
	add_file(m, "clock", "/sys/devices/system/clocksource/clocksource0"
		 "/current_clocksource");
	json_object_set_new(m, "cpu_quota", json_num(cgroup_cpus()));
	json_object_set_new(m, "mitigations", mitigations());
	json_object_set_new(m, "fastos", fastos());
	return m;
}

/* ---- how near two CPUs are -------------------------------------------- */

static bool same(const int cpu[SIDES], const char *file)
{
	char path[256], a[256], b[256];

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/%s", cpu[CLIENT], file);
	read_line(path, a, sizeof(a));
	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/%s", cpu[SERVER], file);
	read_line(path, b, sizeof(b));
	return a[0] && !strcmp(a, b);
}

void machine_relation(const int cpu[SIDES], char *buf, size_t len)
{
	const char *what;

	if (cpu[CLIENT] == cpu[SERVER])
		what = "the same CPU";
	else if (same(cpu, "topology/thread_siblings_list"))
		what = "two threads of one core";
	else if (same(cpu, "cache/index3/shared_cpu_list"))
		what = "two cores under one L3 cache";
	else if (same(cpu, "topology/physical_package_id"))
		what = "two cores of one socket";
	else
		what = "two sockets";
	snprintf(buf, len, "%s", what);
}

/* ---- is an instruction a nanosecond here? ----------------------------- */

const char *machine_icount_check(void)
{
#ifdef __x86_64__
	unsigned long n = 500000;
	uint64_t t = now_ns();

	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(n));
	t = now_ns() - t;
	if (t < 900000 || t > 1100000)
		return "not an icount guest: the figures are ns, "
		       "not instructions";
#endif
	return NULL;
}

/* ---- for people ------------------------------------------------------- */

static const char *str(const json_t *m, const char *key)
{
	return json_string_value(json_object_get(m, key));
}

/* "Mitigation: PTI; more" is PTI, "Vulnerable: why" off. */
static void print_mitigations(const json_t *list)
{
	static const char on[] = "Mitigation: ";
	char all[2048] = "";
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)list, key, value) {
		const char *v = json_string_value(value);

		v = strncmp(v, on, strlen(on)) ? "OFF" : v + strlen(on);
		n += snprintf(all + n, sizeof(all) - n, "%s%s %.*s",
			      n ? ", " : "", key, (int)strcspn(v, ";,/"), v);
		if (n >= sizeof(all))
			break;
	}
	print_wrapped(15, 15, n ? all : "none needed, or none known");
}

static void print_fastos(const json_t *f)
{
	const char *backend = str(f, "backend"), *reason = str(f, "reason");
	bool kernel = !strcmp(backend, "kernel");

	if (kernel || !strcmp(backend, "posix"))
		printf("%s%s%s; a sleep and wake-up takes %.1f us\n",
		       kernel ? "kernel module" : "POSIX backend, no module (",
		       kernel ? "" : reason, kernel ? "" : ")",
		       json_integer_value(json_object_get(f, "wake_ns")) /
		       1e3);
	else if (reason && !strcmp(reason, "ENOENT"))
		printf("no module (ENOENT)\n");
	else
		printf("not usable (%s)\n", reason ? reason : "?");
}

void machine_print(const json_t *m)
{
	const json_t *load = json_object_get(m, "load");
	const json_t *quota = json_object_get(m, "cpu_quota");
	const char *hyper = str(m, "hypervisor"), *package;
	double load1 = json_number_value(json_array_get(load, 0));
	int cpus = json_integer_value(json_object_get(m, "cpus"));

	printf("  machine      %s, %d CPU%s, ", str(m, "cpu"), cpus,
	       cpus == 1 ? "" : "s");
	if (json_is_true(json_object_get(m, "emulated")))
		printf("emulated (QEMU TCG)\n               emulated: times "
		       "are not a measurement of hardware\n");
	else if (!strcmp(hyper, "none"))
		printf("no hypervisor\n");
	else
		printf("virtual (%s)\n", hyper);
	package = str(m, "kernel_package");
	printf("  kernel       %s %s%s%s\n", str(m, "kernel"), str(m, "arch"),
	       package[0] ? ", Debian " : "", package);
	printf("  clock        %s; governor %s; cpuidle %s\n",
	       str(m, "clock"), str(m, "governor"), str(m, "cpuidle"));
	printf("  mitigations  ");
	print_mitigations(json_object_get(m, "mitigations"));
	printf("  load         %.2f %.2f %.2f%s\n", load1,
	       json_number_value(json_array_get(load, 1)),
	       json_number_value(json_array_get(load, 2)),
	       load1 > 0.5 * cpus ? "  BUSY: the times are not to be trusted" :
	       "");
	if (json_is_real(quota))
		printf("  quota        %.2f CPUs (cgroup): beyond it, all "
		       "stands still\n", json_number_value(quota));
	printf("  fastos       ");
	print_fastos(json_object_get(m, "fastos"));
	printf("  date         %s\n", str(m, "date"));
}
