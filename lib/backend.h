/* SPDX-License-Identifier: MIT */
/*
 * backend: what an object stands on.  Each object has its own table, chosen
 * when it is made or first met; nothing else in the library knows the module.
 * All functions return 0 or -errno.
 */
#ifndef FOS_BACKEND_H
#define FOS_BACKEND_H

#include "fastos.h"
#include "ring.h"

/* An attached endpoint's memory. */
struct fos_mapping {
	struct fos_ring_mem mem;
	void *base;
	size_t bytes;
};

/**
 * struct fos_backend - operations
 * @probe: can objects be made?  Fills in @caps.
 * @create: a channel; both fds are O_CLOEXEC
 * @query: what is this fd?  -EBADF: nothing of ours
 * @close: a descriptor; no cancellation point
 * @attach: map the endpoint, make this process its owner; -EBUSY another one
 *	is; -EBADF it is dead
 * @detach: undo it: hang up
 * @bell_wait: FOS_IOC_CHAN_BELL_WAIT; @arg is seen or seq
 * @bell_self: ring my own side's sleepers
 * @withdraw: FOS_IOC_CHAN_WITHDRAW
 */
struct fos_backend {
	int (*probe)(struct fos_caps *caps);
	int (*create)(uint32_t depth, uint64_t area_bytes, uint64_t cookie,
		      int fd[2]);
	int (*query)(int fd, struct fos_core_query *q);
	int (*close)(int fd);
	int (*attach)(int fd, const struct fos_core_query *q,
		      struct fos_mapping *map);
	void (*detach)(struct fos_mapping *map);
	int (*bell_wait)(int fd, uint32_t bell, uint32_t want, uint64_t arg,
			 uint64_t deadline_ns);
	int (*bell_self)(int fd, uint32_t bell);
	int (*withdraw)(int fd, uint64_t id, uint32_t side, uint64_t seq,
			uint64_t *word);
};

extern const struct fos_backend fos__backend_kernel;

#endif
