// SPDX-License-Identifier: MIT
/* fork(): the child has the store as it was, and writes it out. */
#include "kvsnap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child tells. */
struct told {
	uint64_t extra_bytes;
	int error;
};

/* ---- the child -------------------------------------------------------- */

/* A field of a file in /proc, in bytes; by system calls, for other threads had locks. */
static uint64_t field(const char *path, const char *name)
{
	char text[4096];
	const char *at;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n < 0)
		return 0;
	text[n] = 0;
	at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

/* Pages that the writers have new ones of meanwhile are its alone. */
static uint64_t extra_bytes(void)
{
	return field("/proc/self/smaps_rollup", "Private_Clean:") +
	       field("/proc/self/smaps_rollup", "Private_Dirty:") +
	       field("/proc/self/status", "VmPTE:");
}

/* Not on the CPU of the writer whose copy this thread is. */
static void unpin(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all);
}

static void child(struct store *s)
{
	struct told *told = s->priv;

	unpin();
	told->error = kv_save(s) ? errno : 0;
	told->extra_bytes = extra_bytes();
	_exit(EXIT_SUCCESS);
}

/* ---- the parent ------------------------------------------------------- */

static int fork_open(struct store *s)
{
	if (kv_none.open(s))
		return -1;
	s->priv = mmap(NULL, sizeof(struct told), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->priv != MAP_FAILED)
		return 0;
	kv_fail(s, "mmap");
	kv_none.close(s);
	return -1;
}

static int fork_protect(struct store *s)
{
	s->pid = fork();
	if (!s->pid)
		child(s);
	return s->pid < 0 ? -1 : 0;
}

static int fork_save(struct store *s)
{
	const struct told *told = s->priv;
	int status;

	if (!s->pid)
		return kv_save(s);
	if (waitpid(s->pid, &status, 0) < 0)
		return -1;
	errno = status ? ECHILD : told->error;
	s->sample.extra_bytes = told->extra_bytes;
	return errno ? -1 : 0;
}

static void fork_close(struct store *s)
{
	munmap(s->priv, sizeof(struct told));
	kv_none.close(s);
}

const struct arm kv_fork = {
	.name = "fork",
	.open = fork_open,
	.protect = fork_protect,
	.save = fork_save,
	.close = fork_close,
};
