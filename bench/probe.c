// SPDX-License-Identifier: MIT
/*
 * Probes: engines without a peer, whose call does one thing that the machine
 * charges for.  The one measuring loop measures them as it does the others.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define FAULT_PAGES	2048UL
#define UNMAP_PAGES	16UL

static int probe_open(struct ipc *c)
{
	(void)c;
	return 0;
}

static void probe_close(struct ipc *c)
{
	(void)c;
}

/* What the loop wants to see in a reply. */
static inline int probe_done(struct ipc *c)
{
	*(uint64_t *)c->rx = *(uint64_t *)c->tx;
	return 0;
}

#define PROBE(n, w)							\
	.name = n,							\
	.what = w,							\
	.flags = IPC_ALONE,						\
	.open = probe_open,						\
	.close = probe_close

/* ---- nothing, and a system call that does nothing --------------------- */

const struct ipc_engine probe_loop = {
	PROBE("loop", "the measuring loop alone"),
	.call = probe_done,
};

static int trap_call(struct ipc *c)
{
	syscall(SYS_getppid);
	return probe_done(c);
}

const struct ipc_engine probe_trap = {
	PROBE("trap", "a system call that does nothing: getppid()"),
	.call = trap_call,
};

/* ---- an interrupt to another CPU -------------------------------------- */

/* A thread on the other CPU, which answers as long as it runs. */
static struct sibling {
	_Alignas(64) atomic_uint question;
	_Alignas(64) atomic_uint answer;
	int cpu;
} sibling;

static void *sibling_main(void *arg)
{
	struct sibling *s = arg;

	(void)pin(s->cpu);
	for (;;) {
		atomic_store_explicit(&s->answer, atomic_load(&s->question),
				      memory_order_release);
		__builtin_ia32_pause();
	}
	return NULL;
}

/* Both probes have the sibling; exit ends it. */
static int ipi_join(struct ipc *c, int side)
{
	pthread_t thread;

	(void)side;
	sibling.cpu = c->cpu[SERVER];
	if (syscall(SYS_membarrier,
		    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		return ipc_fail(c, "membarrier");
	errno = pthread_create(&thread, NULL, sibling_main, &sibling);
	return errno ? ipc_fail(c, "pthread_create") : 0;
}

/* Be sure that the sibling runs: only who runs is interrupted. */
static int ipi_call(struct ipc *c)
{
	atomic_store(&sibling.question, ++c->turn);
	while (atomic_load_explicit(&sibling.answer,
				    memory_order_acquire) != c->turn)
		__builtin_ia32_pause();
	if (syscall(SYS_membarrier, c->e->arg, 0, 0) < 0)
		return ipc_fail(c, "membarrier");
	return probe_done(c);
}

#define IPI(n, w, command)						\
	.name = n,							\
	.what = w,							\
	.flags = IPC_ALONE | IPC_TWO_CPUS,				\
	.arg = command,							\
	.open = probe_open,						\
	.join = ipi_join,						\
	.call = ipi_call,						\
	.close = probe_close

const struct ipc_engine probe_barrier = {
	IPI("barrier", "membarrier() that does nothing",
	    MEMBARRIER_CMD_QUERY),
};

const struct ipc_engine probe_ipi = {
	IPI("ipi", "membarrier() that interrupts the other CPU",
	    MEMBARRIER_CMD_PRIVATE_EXPEDITED),
};

/* ---- memory ----------------------------------------------------------- */

/* Page tables and all are there, pages are not. */
static int fault_join(struct ipc *c, int side)
{
	(void)side;
	c->shm_len = FAULT_PAGES * PAGE;
	c->shm = mmap(NULL, c->shm_len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->shm == MAP_FAILED)
		return ipc_fail(c, "mmap");
	/* Kernels without huge pages refuse, rightly. */
	(void)madvise(c->shm, c->shm_len, MADV_NOHUGEPAGE);
	memset(c->shm, 1, c->shm_len);
	if (madvise(c->shm, c->shm_len, MADV_DONTNEED))
		return ipc_fail(c, "MADV_DONTNEED");
	return 0;
}

static int fault_call(struct ipc *c)
{
	volatile char *page = (char *)c->shm + c->turn * PAGE;

	*page = 1;
	if (++c->turn == FAULT_PAGES) {
		c->turn = 0;
		if (madvise(c->shm, c->shm_len, MADV_DONTNEED))
			return ipc_fail(c, "MADV_DONTNEED");
	}
	return probe_done(c);
}

const struct ipc_engine probe_fault = {
	PROBE("fault", "first write to a page of anonymous memory"),
	.join = fault_join,
	.call = fault_call,
};

/* A mapping with holes around it: never split, never merged. */
static int pte_join(struct ipc *c, int side)
{
	size_t len = c->e->arg * PAGE;
	char *p = mmap(NULL, len + 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)side;
	if (p == MAP_FAILED)
		return ipc_fail(c, "mmap");
	munmap(p, PAGE);
	munmap(p + PAGE + len, PAGE);
	c->shm = p + PAGE;
	c->shm_len = len;
	/* Kernels without huge pages refuse, rightly. */
	(void)madvise(c->shm, len, MADV_NOHUGEPAGE);
	memset(c->shm, 1, len);
	return 0;
}

static int pte_call(struct ipc *c)
{
	if (mprotect(c->shm, c->shm_len, PROT_READ) ||
	    mprotect(c->shm, c->shm_len, PROT_READ | PROT_WRITE))
		return ipc_fail(c, "mprotect");
	*(volatile char *)c->shm = 1;
	return probe_done(c);
}

const struct ipc_engine probe_pte = {
	PROBE("pte", "mprotect() of one page, read-only and back"),
	.arg = 1,
	.join = pte_join,
	.call = pte_call,
};

const struct ipc_engine probe_ptes = {
	PROBE("ptes", "the same of 512 pages in one call"),
	.arg = 512,
	.join = pte_join,
	.call = pte_call,
};

static int unmap_call(struct ipc *c)
{
	void *p = mmap(NULL, UNMAP_PAGES * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED || munmap(p, UNMAP_PAGES * PAGE))
		return ipc_fail(c, "mmap");
	return probe_done(c);
}

const struct ipc_engine probe_unmap = {
	PROBE("unmap", "mmap() of 16 pages, populated, and munmap()"),
	.call = unmap_call,
};

static int memcpy_join(struct ipc *c, int side)
{
	(void)side;
	for (int i = 0; i < 2; i++) {
		c->area[i] = aligned_alloc(PAGE, c->e->arg);
		if (!c->area[i])
			return ipc_fail(c, "aligned_alloc");
		memset(c->area[i], i + 1, c->e->arg);
	}
	return 0;
}

static int memcpy_call(struct ipc *c)
{
	memcpy(c->area[1], c->area[0], c->e->arg);
	/* It has been done, whatever the compiler thinks of it. */
	__asm__ volatile("" : : "r"(c->area[1]) : "memory");
	return probe_done(c);
}

const struct ipc_engine probe_memcpy = {
	PROBE("memcpy", "memcpy() between the same two buffers"),
	.join = memcpy_join,
	.call = memcpy_call,
};

/* ---- copying in and out, and telling nobody --------------------------- */

static int copies_join(struct ipc *c, int side)
{
	(void)side;
	c->area[0] = aligned_alloc(PAGE, (c->size + PAGE - 1) & ~(PAGE - 1));
	if (!c->area[0])
		return ipc_fail(c, "aligned_alloc");
	memset(c->area[0], 1, c->size);
	return 0;
}

static int copies_call(struct ipc *c)
{
	memcpy(c->area[0], c->tx, c->size);
	__asm__ volatile("" : : "r"(c->area[0]) : "memory");
	memcpy(c->rx, c->area[0], c->size);
	return 0;
}

const struct ipc_engine probe_copies = {
	PROBE("copies", "a message copied in, copied out and read, alone"),
	.join = copies_join,
	.call = copies_call,
};

static int copy_call(struct ipc *c)
{
	memcpy(c->rx, c->tx, c->size);
	return 0;
}

const struct ipc_engine probe_copy = {
	PROBE("copy", "a body copied once and read"),
	.copies = 1,
	.call = copy_call,
};

/* ---- how late a timer is ---------------------------------------------- */

static int timer_join(struct ipc *c, int side)
{
	(void)side;
	if (prctl(PR_SET_TIMERSLACK, 1))
		return ipc_fail(c, "PR_SET_TIMERSLACK");
	return 0;
}

static int timer_call(struct ipc *c)
{
	uint64_t ns = now_ns() + TIMER_NS;
	struct timespec until = {
		.tv_sec = ns / 1000000000,
		.tv_nsec = ns % 1000000000,
	};

	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	if (errno)
		return ipc_fail(c, "clock_nanosleep");
	return probe_done(c);
}

const struct ipc_engine probe_timer = {
	PROBE("timer", "clock_nanosleep() until 100 us ahead"),
	.join = timer_join,
	.call = timer_call,
};
