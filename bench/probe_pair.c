// SPDX-License-Identifier: MIT
/*
 * Probes of two processes: they hand each other a number, in the cheapest way
 * that makes the machine do one thing.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define PAGE	4096UL

/*
 * One word on a cache line of its own, in turn 1, 2, 3, ...: odd numbers are
 * the client's, even ones the server's.
 */
static _Atomic uint32_t *word(struct ipc *c)
{
	return c->shm;
}

static int word_open(struct ipc *c)
{
	c->shm_len = PAGE;
	c->shm = mmap(NULL, c->shm_len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->shm == MAP_FAILED) {
		c->shm = NULL;
		return ipc_fail(c, "mmap");
	}
	return 0;
}

static void word_close(struct ipc *c)
{
	if (c->shm)
		munmap(c->shm, c->shm_len);
}

/*
 * The four operations from two: pass(c, n) lets the word become n, await(c, n)
 * waits until it is n.
 */
#define WORD_OPERATIONS(x)						\
static int x##_recv(struct ipc *c)					\
{									\
	++*(uint64_t *)c->rx;						\
	return x##_await(c, ++c->turn);					\
}									\
									\
static int x##_reply(struct ipc *c)					\
{									\
	return x##_pass(c, ++c->turn);					\
}									\
									\
static int x##_call(struct ipc *c)					\
{									\
	return x##_reply(c) ? -1 : x##_recv(c);				\
}									\
struct swallow_the_semicolon

/* ---- the CPU to the other process ------------------------------------- */

static inline int yield_pass(struct ipc *c, uint32_t n)
{
	atomic_store_explicit(word(c), n, memory_order_release);
	return 0;
}

static inline int yield_await(struct ipc *c, uint32_t n)
{
	while (atomic_load_explicit(word(c), memory_order_acquire) != n)
		sched_yield();
	return 0;
}

WORD_OPERATIONS(yield);

const struct ipc_engine probe_switch = {
	.name = "switch",
	.what = "sched_yield() to the other process",
	.open = word_open,
	.call = yield_call,
	.recv = yield_recv,
	.reply_recv = yield_call,
	.reply = yield_reply,
	.close = word_close,
};

/* ---- a sleeper on the other CPU --------------------------------------- */

static inline int wake_pass(struct ipc *c, uint32_t n)
{
	atomic_store_explicit(word(c), n, memory_order_release);
	if (syscall(SYS_futex, word(c), FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		return ipc_fail(c, "FUTEX_WAKE");
	return 0;
}

static inline int wake_await(struct ipc *c, uint32_t n)
{
	while (atomic_load_explicit(word(c), memory_order_acquire) != n) {
		if (syscall(SYS_futex, word(c), FUTEX_WAIT, n - 1, NULL, NULL,
			    0) < 0 && errno != EAGAIN && errno != EINTR)
			return ipc_fail(c, "FUTEX_WAIT");
	}
	return 0;
}

WORD_OPERATIONS(wake);

const struct ipc_engine probe_wake = {
	.name = "wake",
	.what = "FUTEX_WAKE of a process that sleeps on the other CPU",
	.flags = IPC_TWO_CPUS,
	.open = word_open,
	.call = wake_call,
	.recv = wake_recv,
	.reply_recv = wake_call,
	.reply = wake_reply,
	.close = word_close,
};

/* ---- a cache line to the other CPU ------------------------------------ */

/* Take the line for writing, and write when the turn is ours: one transfer. */
static inline int line_await(struct ipc *c, uint32_t n)
{
	(void)c;
	(void)n;
	return 0;
}

static inline int line_pass(struct ipc *c, uint32_t n)
{
	uint32_t before = n - 1;

	while (!atomic_compare_exchange_weak(word(c), &before, n)) {
		before = n - 1;
		__builtin_ia32_pause();
	}
	return 0;
}

WORD_OPERATIONS(line);

const struct ipc_engine probe_line = {
	.name = "line",
	.what = "a cache line that each CPU takes from the other",
	.flags = IPC_TWO_CPUS,
	.open = word_open,
	.call = line_call,
	.recv = line_recv,
	.reply_recv = line_call,
	.reply = line_reply,
	.close = word_close,
};
