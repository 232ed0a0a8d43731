// SPDX-License-Identifier: MIT
/* Real waits: a client polls for a server that takes its time; one line each. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "wait.h"

struct record {
	_Alignas(64) atomic_ulong question;
	_Alignas(64) atomic_ulong answer;
};

static _Noreturn void serve(struct record *r, int cpu, pid_t parent,
			    const struct services *services)
{
	unsigned long turn = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || pin(cpu))
		_exit(1);
	for (;;) {
		while (atomic_load_explicit(&r->question,
					    memory_order_acquire) == turn)
			__builtin_ia32_pause();
		serve_for(services, turn);
		atomic_store_explicit(&r->answer, ++turn, memory_order_release);
	}
}

static uint64_t ask(struct record *r, unsigned long turn)
{
	const uint64_t began = now_ns();

	atomic_store_explicit(&r->question, turn, memory_order_release);
	while (atomic_load_explicit(&r->answer, memory_order_acquire) != turn)
		__builtin_ia32_pause();
	return now_ns() - began;
}

static int write_waits(FILE *f, struct record *r, size_t n,
		       const struct services *services)
{
	fprintf(f, "# ns; a client polls on one CPU for a server on another "
		"that works for");
	for (unsigned int i = 0; i < services->n; i++)
		fprintf(f, "%s %.1f", i ? "," : "", services->ns[i] / 1e3);
	fprintf(f, " us\n");
	for (size_t i = 1; i <= n; i++)
		fprintf(f, "%llu\n", (unsigned long long)ask(r, i));
	return ferror(f) | fclose(f) ? -1 : 0;
}

int wait_record(const char *path, size_t n, const int cpu[SIDES],
		const struct services *services)
{
	struct record *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const pid_t parent = getpid();
	int ret = -1, err;
	pid_t pid;
	FILE *f;

	if (r == MAP_FAILED)
		return -1;
	f = fopen(path, "we");
	if (!f)
		goto out;
	pid = fork();
	if (!pid)
		serve(r, cpu[SERVER], parent, services);
	if (pid > 0 && !pin(cpu[CLIENT]))
		ret = write_waits(f, r, n, services);
	else
		fclose(f);
	err = errno;
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	errno = err;
out:
	munmap(r, sizeof(*r));
	return ret;
}
