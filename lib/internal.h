/* SPDX-License-Identifier: MIT */
/* What the rooms of the library share.  Inside, errors are -errno. */
#ifndef FOS_INTERNAL_H
#define FOS_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "area.h"
#include "attr.h"
#include "backend.h"
#include "calls.h"
#include "comp.h"
#include "cq.h"
#include "fastos.h"
#include "io.h"
#include "lend.h"
#include "name.h"
#include "posix.h"
#include "region.h"
#include "ring.h"
#include "spin.h"

#define FOS_API		__attribute__((visibility("default")))
/* Kept out of the fast paths, into which everything else is inlined. */
#define FOS_COLD	__attribute__((noinline, cold))
#define FOS_HOT		__attribute__((flatten))
/* Only of messages with buffers: not inlined into what has none. */
#define FOS_APART	__attribute__((noinline))
#define fos_unlikely(x)	__builtin_expect(!!(x), 0)

/* Small ones without a call: moves that overlap in the middle. */
static inline void fos__copy(void *to, const void *from, size_t n)
{
	typedef struct { uint64_t w[4]; } __attribute__((packed)) u256;
	typedef struct { uint64_t w[2]; } __attribute__((packed)) u128;
	typedef struct { uint64_t w; } __attribute__((packed)) u64;

	if (n - 8 <= 8) {
		u64 a = *(const u64 *)from;
		u64 b = *(const u64 *)((const char *)from + n - 8);

		*(u64 *)to = a;
		*(u64 *)((char *)to + n - 8) = b;
	} else if (n > 64 || n < 8) {
		if (n)
			memcpy(to, from, n);
	} else if (n > 32) {
		u256 a = *(const u256 *)from;
		u256 b = *(const u256 *)((const char *)from + n - 32);

		*(u256 *)to = a;
		*(u256 *)((char *)to + n - 32) = b;
	} else {
		u128 a = *(const u128 *)from;
		u128 b = *(const u128 *)((const char *)from + n - 16);

		*(u128 *)to = a;
		*(u128 *)((char *)to + n - 16) = b;
	}
}

/* The public edge: -1 and errno. */
static inline ssize_t fos__ret(ssize_t ret)
{
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

/* As much as a caller of another version has room for, and zeroes behind it. */
static inline void fos__tell(void *to, size_t room, const void *from, size_t n)
{
	memset(to, 0, room);
	memcpy(to, from, room < n ? room : n);
}

/* By system call: close() of libc is a cancellation point. */
static inline int fos__close_fd(int fd)
{
	return syscall(SYS_close, fd) ? -errno : 0;
}

/**
 * struct fos_ep - an endpoint that this process has attached
 * @users: calls under way, and one for the registry
 * @next: in the registry or the pool
 * @backend: what it stands on
 * @id: of the channel
 * @side: of the channel
 * @tag: FOS_ADVICE_TAG()
 * @takes_commands: of io_uring
 * @map: the shared memory
 * @ring: the protocol
 * @area_lock: protects @area
 * @area: my transmit area
 * @lend: buffers: mine, with @area_lock, and the peer's
 * @spin: the waiting policy
 * @beside: when it was last asked, nobody might poll
 * @owed_bell: what a call could not ring because its descriptor was closed
 * @stuck: a reply has waited in vain, see out_place_reply()
 * @late_ns: how long I took to wake up for the last message, which I have not told
 * @calls: reply slots of my calls
 * @owed: requests taken and not answered
 * @comp: by which descriptors come and go
 * @cq: the queue that it is in, or NULL; see cq.c
 * @posix: of the backend of that name
 *
 * The memory is never returned to malloc, so that a stale pointer in the table
 * of descriptors can be looked at; see fos__ep_get().
 */
struct fos_ep {
	uint64_t users;
	struct fos_ep *next;
	const struct fos_backend *backend;
	uint64_t id;
	uint32_t side;
	uint32_t tag;
	bool takes_commands;
	struct fos_mapping map;
	pthread_mutex_t area_lock;
	struct fos_area area;
	struct fos_lend lend;
	struct fos_spin spin;
	bool beside;
	uint32_t owed_bell;
	bool stuck;
	uint64_t late_ns;
	struct fos_calls calls;
	struct fos_owed owed;
	struct fos_comp comp;
	struct fos_cq *cq;
	struct fos_posix posix;
	struct fos_ring ring;
};

/**
 * fos__ep_get() - the endpoint behind a descriptor, attached if need be
 * @fd: any number
 * @ep: out
 * @state: out: of my side when @fd was known to be @ep
 *
 * Return: 0, to be paired with fos__ep_put(); -EBADF, -EBUSY, -ENOMEM.
 */
int fos__ep_get(int fd, struct fos_ep **ep, uint64_t *state);
void fos__ep_put(struct fos_ep *ep);

static inline bool fos__is_named(const struct fos_ep *ep,
				 const struct fos_ep_name *n)
{
	return ep == n->ep && ep->id == n->id && ep->side == n->side;
}

/* A receive, or what is like one, has ended; see fos__cq_tell_again(). */
static inline void fos__cq_look_again(struct fos_ep *ep)
{
	if (fos_unlikely(__atomic_load_n(&ep->posix.took_news, __ATOMIC_RELAXED)))
		fos__cq_tell_again(ep);
}

/*
 * Does it live?  Then it is to be put back, and @n->fd is it, or -1 if no descriptor
 * is known.  Nothing is attached.
 */
bool fos__ep_again(struct fos_ep_name *n);

/* The same; -EBADF of what was none when it was last asked, unless it is to @ask. */
int fos__ep_try(int fd, bool ask, struct fos_ep **ep, uint64_t *state);

/* Is @fd still @ep?  0, and the state that says so; -EBADF. */
int fos__ep_recheck(int fd, struct fos_ep *ep, uint64_t *state);

/* First use in this process, or in a child of it?  -ENOMEM, -ENOSYS. */
int fos__enter(void);

/* By the module if it can be had, else without: what @make returned. */
int fos__make(int (*make)(const struct fos_backend *backend, void *arg),
	      void *arg);
/* A channel; @a is complete. */
int fos__create(const struct fos_chan_attr *a, int fd[2]);
/* A new descriptor: whatever its number meant, that has been closed since. */
void fos__forget_fd(int fd);
bool fos__is_endpoint(int fd);
/* What it stands on, and what it is; NULL: it is none. */
const struct fos_backend *fos__backend_of(int fd, struct fos_core_query *q);

uint32_t fos__online_cpus(void);
uint64_t fos__now_ns(void);
/* In a child no thread polls. */
void fos__look_forget(void);
/* FOS_DEADLINE_NONE for NULL; -EINVAL. */
int fos__deadline(const struct timespec *ts, uint64_t *ns);
/* Let another thread of mine go on; no cancellation point. */
void fos__nap(void);

/* The bytes of a message, to and from its vector; the path that they went. */
void fos__gather(void *to, const struct fos_msg *m);
void fos__scatter(const struct fos_msg *m, const void *from, size_t len);
uint32_t fos__path(uint32_t meta, size_t len);

/* The lock of the table and the registry; and what the watcher does under it. */
void fos__lock(void);
void fos__unlock(void);
/* With it: a descriptor that @ep is known by, or -1. */
int fos__ep_fd(const struct fos_ep *ep);
/* Without: one that is not @fd, and still is the endpoint. */
int fos__ep_other_fd(const struct fos_ep *ep, int fd);

#endif
