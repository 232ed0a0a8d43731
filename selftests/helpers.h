/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the test programs share.  A test never waits for ever: every wait has a
 * deadline so generous that only a hang reaches it.  Nothing here asserts a
 * time.
 */
#ifndef FOS_SELFTESTS_HELPERS_H
#define FOS_SELFTESTS_HELPERS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED		__attribute__((unused))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* ---- numbers from outside --------------------------------------------- */

static inline long env_number(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtol(text, NULL, 0) : otherwise;
}

/* So many rounds, times FOS_SOAK, which may be less than 1. */
static inline long rounds(long n)
{
	const char *text = getenv("FOS_SOAK");
	double soak = text && *text ? strtod(text, NULL) : 1;

	return n * soak < 1 ? 1 : n * soak;
}

/* A wait that takes longer than this is a hang. */
#define HANG_MS		env_number("FOS_HANG_MS", 60000)

/* ---- time ------------------------------------------------------------- */

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec) {
		.tv_sec = ns / 1000000000,
		.tv_nsec = ns % 1000000000,
	};
}

static inline struct timespec deadline_in_ns(uint64_t ns)
{
	return to_timespec(now_ns() + ns);
}

static inline struct timespec deadline_in(long ms)
{
	return deadline_in_ns(ms * 1000000ULL);
}

static inline void nap_us(long us)
{
	struct timespec ts = to_timespec(us * 1000ULL);

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* ---- random numbers --------------------------------------------------- */

/* splitmix64: small, and the same numbers everywhere. */
static inline uint64_t rnd(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline uint64_t rnd_below(uint64_t *state, uint64_t limit)
{
	return rnd(state) % limit;
}

/* The seed of a random test; printed, so that a failure can be repeated. */
static inline uint64_t rnd_seed(const char *what)
{
	uint64_t seed = env_number("FOS_SEED", 20240607);

	printf("# %s: FOS_SEED=%llu\n", what, (unsigned long long)seed);
	return seed;
}

/* A counter that processes share, zero. */
static inline void *shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* ---- the module's files ----------------------------------------------- */

#define DEBUGFS "/sys/kernel/debug/fastos/"
#define PARAMS "/sys/module/fastos/parameters/"

static inline ssize_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	return n;
}

static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = write(fd, text, strlen(text));
		close(fd);
	}
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* The number behind "name:" in a text; -1 if there is none. */
static inline long value_in(const char *text, const char *name)
{
	const char *at = text;
	size_t len = strlen(name);

	while (at && (strncmp(at, name, len) || at[len] != ':')) {
		at = strchr(at, '\n');
		if (at)
			at++;
	}
	return at ? strtol(at + len + 1, NULL, 0) : -1;
}

static inline long stat_of(const char *name)
{
	char text[4096];

	if (read_text(DEBUGFS "stats", text, sizeof(text)) < 0)
		return -1;
	return value_in(text, name);
}

/* Channels, queues, regions, pages and users that the module has right now. */
static inline long objects_live(void)
{
	char text[256];

	if (read_text(DEBUGFS "objects", text, sizeof(text)) < 0)
		return -1;
	return value_in(text, "chans") + value_in(text, "cqs") +
	       value_in(text, "pages") + value_in(text, "regions") + value_in(text, "users");
}

/*
 * The same, to be compared with later: a worker who is to come within a second
 * keeps the regions of earlier tests until then, as does a ring that goes.
 */
static inline long objects_settled(void)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	long live, now;
	char text[256];
	int n = 0;

	for (live = objects_live(); n < 150 && now_ns() < end; n++) {
		if (read_text(DEBUGFS "objects", text, sizeof(text)) < 0 ||
		    value_in(text, "regions") <= 0)
			return objects_live();
		nap_us(10000);
		now = objects_live();
		if (now != live)
			n = 0;
		live = now;
	}
	return live;
}

/* And later: a file is released a moment after its close() or exit. */
static inline long objects_left(long expected)
{
	/* Before the harness ends the test: the number tells more than that. */
	const uint64_t end = now_ns() + 20 * 1000000000ULL;
	long live;

	while ((live = objects_live()) != expected && now_ns() < end)
		nap_us(10000);
	return live;
}

static inline int fdinfo_of(int fd, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return read_text(path, text, size) < 0 ? -1 : 0;
}

static inline int count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- processes -------------------------------------------------------- */

/* fork(); the child dies with its parent. */
static inline pid_t spawn(void)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(99);
	}
	return pid;
}

/* What reap() returns beside exit codes. */
#define REAP_HUNG	(-1)
#define REAP_SIGNAL(n)	(1000 + (n))

/* Exit code of a child; one that does not end is killed. */
static inline int reap(pid_t pid)
{
	struct pollfd p = {
		.fd = syscall(SYS_pidfd_open, pid, 0),
		.events = POLLIN,
	};
	int status = 0, n;

	do {
		n = poll(&p, 1, HANG_MS);
	} while (n < 0 && errno == EINTR);
	close(p.fd);
	if (n != 1)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n != 1)
		return REAP_HUNG;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   REAP_SIGNAL(WTERMSIG(status));
}

/* SIGSTOP is on its way for a while; after this it has arrived. */
static inline bool stop(pid_t pid)
{
	int status;

	kill(pid, SIGSTOP);
	while (waitpid(pid, &status, WUNTRACED) < 0)
		if (errno != EINTR)
			return false;
	return WIFSTOPPED(status);
}

/* Only this CPU, of those the program was started with; -1: there is none. */
static inline int pin_to(unsigned int nth)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		return -1;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || nth--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		return sched_setaffinity(0, sizeof(one), &one);
	}
	return -1;
}

static inline int usable_cpus(void)
{
	cpu_set_t all;

	return sched_getaffinity(0, sizeof(all), &all) ? 1 : CPU_COUNT(&all);
}

/* Wait until a word that another process or thread writes is as large. */
static inline bool wait_for(const volatile uint64_t *word, uint64_t value)
{
	uint64_t end = now_ns() + HANG_MS * 1000000ULL;

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < value) {
		if (now_ns() > end)
			return false;
		nap_us(200);
	}
	return true;
}

/* Wait until a thread or process sleeps in the kernel (state S). */
static inline bool wait_asleep(pid_t tid)
{
	uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	do {
		if (read_text(path, text, sizeof(text)) < 0)
			return false;
		state = strrchr(text, ')');
		if (state && state[2] == 'S')
			return true;
		nap_us(200);
	} while (now_ns() < end);
	return false;
}

static inline pid_t my_tid(void)
{
	return syscall(SYS_gettid);
}

/* Call a handler that does nothing on @sig, with or without SA_RESTART. */
static inline void on_signal(int sig, int flags, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

static inline void ignore_it(int sig UNUSED)
{
}

/* -1 and an errno in one number: what a call returned. */
#define RESULT(call) ({ \
	long result_ = (call); \
	result_ < 0 ? -(long)errno : result_; })

#endif
