// SPDX-License-Identifier: MIT
/*
 * Engines whose payload goes through shared memory, copied in and out, or read
 * where it was written; they differ in how one side tells the other.
 */
#include <errno.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "body.h"


/* Direction d: written by side d. Each on its own cache line. */
struct line {
	_Alignas(64) _Atomic uint32_t turn;
	sem_t sem;
};

static struct line *line(struct ipc *c, int from)
{
	return (struct line *)c->shm + from;
}

static int shm_open_pair(struct ipc *c)
{
	size_t room = (c->size + PAGE - 1) & ~(PAGE - 1);

	c->shm_len = PAGE + 2 * room;
	c->shm = mmap(NULL, c->shm_len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->shm == MAP_FAILED) {
		c->shm = NULL;
		return ipc_fail(c, "mmap");
	}
	c->area[CLIENT] = (char *)c->shm + PAGE;
	c->area[SERVER] = c->area[CLIENT] + room;
	return 0;
}

static void shm_close(struct ipc *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->fd); i++) {
		if (c->fd[i] >= 0)
			close(c->fd[i]);
	}
	if (c->shm)
		munmap(c->shm, c->shm_len);
}

/* In place: nobody keeps a message that the other side writes again. */
static int place_join(struct ipc *c, int side)
{
	c->tx = c->area[side];
	c->rx = c->area[!side];
	body_write(c->tx, c->out_len, side, 0);
	return 0;
}

typedef int (*notify_fn)(struct ipc *c, int from);

static __always_inline int shm_put(struct ipc *c, int from, notify_fn post)
{
	if (c->e->copies)
		memcpy(c->area[from], c->tx, c->out_len);
	return post(c, from);
}

static __always_inline int shm_get(struct ipc *c, int from, notify_fn await)
{
	if (await(c, from))
		return -1;
	if (c->e->copies)
		memcpy(c->rx, c->area[from], c->in_len);
	return 0;
}

/*
 * The four operations of an engine from its two: post(c, from) announces what
 * side "from" has written as message c->turn, await(c, from) waits for it.
 */
#define SHM_OPERATIONS(x)						\
static int x##_call(struct ipc *c)					\
{									\
	c->turn++;							\
	if (shm_put(c, CLIENT, x##_post))				\
		return -1;						\
	return shm_get(c, SERVER, x##_await);				\
}									\
									\
static int x##_recv(struct ipc *c)					\
{									\
	c->turn++;							\
	return shm_get(c, CLIENT, x##_await);				\
}									\
									\
static int x##_reply(struct ipc *c)					\
{									\
	return shm_put(c, SERVER, x##_post);				\
}									\
									\
static int x##_reply_recv(struct ipc *c)				\
{									\
	return x##_reply(c) ? -1 : x##_recv(c);				\
}									\
struct swallow_the_semicolon

/* ---- two futex words -------------------------------------------------- */

static inline int futex_post(struct ipc *c, int from)
{
	_Atomic uint32_t *word = &line(c, from)->turn;

	atomic_store_explicit(word, c->turn, memory_order_release);
	if (syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		return ipc_fail(c, "FUTEX_WAKE");
	return 0;
}

static inline int futex_await(struct ipc *c, int from)
{
	_Atomic uint32_t *word = &line(c, from)->turn;

	while (atomic_load_explicit(word, memory_order_acquire) != c->turn) {
		if (syscall(SYS_futex, word, FUTEX_WAIT, c->turn - 1, NULL,
			    NULL, 0) < 0 && errno != EAGAIN && errno != EINTR)
			return ipc_fail(c, "FUTEX_WAIT");
	}
	return 0;
}

SHM_OPERATIONS(futex);

const struct ipc_engine ipc_futex = {
	.name = "futex+shm",
	.what = "shared memory, two futex words: store, FUTEX_WAKE, FUTEX_WAIT",
	.flags = IPC_POSIX,
	.copies = 2,
	.open = shm_open_pair,
	.call = futex_call,
	.recv = futex_recv,
	.reply_recv = futex_reply_recv,
	.reply = futex_reply,
	.close = shm_close,
};

const struct ipc_engine bulk_futex_place = {
	.name = "futex+shm-in-place",
	.what = "shared memory written and read in place, two futex words",
	.open = shm_open_pair,
	.join = place_join,
	.call = futex_call,
	.recv = futex_recv,
	.reply_recv = futex_reply_recv,
	.reply = futex_reply,
	.close = shm_close,
};

/* ---- two process-shared semaphores ------------------------------------ */

static int sem_open_pair(struct ipc *c)
{
	if (shm_open_pair(c))
		return -1;
	if (sem_init(&line(c, CLIENT)->sem, 1, 0) ||
	    sem_init(&line(c, SERVER)->sem, 1, 0))
		return ipc_fail(c, "sem_init");
	return 0;
}

static inline int psem_post(struct ipc *c, int from)
{
	return sem_post(&line(c, from)->sem) ? ipc_fail(c, "sem_post") : 0;
}

static inline int psem_await(struct ipc *c, int from)
{
	return sem_wait(&line(c, from)->sem) ? ipc_fail(c, "sem_wait") : 0;
}

SHM_OPERATIONS(psem);

const struct ipc_engine ipc_sem = {
	.name = "posix-sem+shm",
	.what = "shared memory, two process-shared semaphores",
	.flags = IPC_POSIX,
	.copies = 2,
	.open = sem_open_pair,
	.call = psem_call,
	.recv = psem_recv,
	.reply_recv = psem_reply_recv,
	.reply = psem_reply,
	.close = shm_close,
};

/* ---- two eventfds ----------------------------------------------------- */

static int efd_open_pair(struct ipc *c)
{
	if (shm_open_pair(c))
		return -1;
	c->fd[CLIENT] = eventfd(0, EFD_CLOEXEC);
	c->fd[SERVER] = eventfd(0, EFD_CLOEXEC);
	if (c->fd[CLIENT] < 0 || c->fd[SERVER] < 0)
		return ipc_fail(c, "eventfd");
	return 0;
}

static inline int efd_post(struct ipc *c, int from)
{
	static const uint64_t one = 1;

	if (write(c->fd[from], &one, sizeof(one)) != sizeof(one))
		return ipc_fail(c, "write to eventfd");
	return 0;
}

static inline int efd_await(struct ipc *c, int from)
{
	uint64_t n;

	if (read(c->fd[from], &n, sizeof(n)) != sizeof(n))
		return ipc_fail(c, "read from eventfd");
	return 0;
}

SHM_OPERATIONS(efd);

const struct ipc_engine ipc_eventfd = {
	.name = "eventfd+shm",
	.what = "shared memory, two eventfds",
	.flags = IPC_POSIX,
	.copies = 2,
	.open = efd_open_pair,
	.call = efd_call,
	.recv = efd_recv,
	.reply_recv = efd_reply_recv,
	.reply = efd_reply,
	.close = shm_close,
};

/* ---- polling only ----------------------------------------------------- */

static inline int spin_post(struct ipc *c, int from)
{
	atomic_store_explicit(&line(c, from)->turn, c->turn,
			      memory_order_release);
	return 0;
}

static inline int spin_await(struct ipc *c, int from)
{
	_Atomic uint32_t *word = &line(c, from)->turn;

	while (atomic_load_explicit(word, memory_order_acquire) != c->turn)
		__builtin_ia32_pause();
	return 0;
}

SHM_OPERATIONS(spin);

const struct ipc_engine ipc_spin_shm = {
	.name = "spin-shm",
	.what = "shared memory, polled for ever: raw polling; two CPUs only",
	.flags = IPC_TWO_CPUS | IPC_POLLS,
	.copies = 2,
	.open = shm_open_pair,
	.call = spin_call,
	.recv = spin_recv,
	.reply_recv = spin_reply_recv,
	.reply = spin_reply,
	.close = shm_close,
};

const struct ipc_engine bulk_spin_place = {
	.name = "spin-shm-in-place",
	.what = "the same, polled for ever: raw polling; two CPUs only",
	.flags = IPC_TWO_CPUS | IPC_POLLS,
	.open = shm_open_pair,
	.join = place_join,
	.call = spin_call,
	.recv = spin_recv,
	.reply_recv = spin_reply_recv,
	.reply = spin_reply,
	.close = shm_close,
};
