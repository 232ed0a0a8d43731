/* SPDX-License-Identifier: MIT */
/*
 * comp: the companion of a channel that has a name: the connection by which its two
 * ends met, an AF_UNIX socket of packets.  By it descriptors go with messages, for
 * memory cannot carry them, nor does the module.
 *
 * From fos_accept() or fos_connect() on it is kept for the endpoint, whoever holds
 * that: a forked child has a copy of both.  Who attaches the endpoint has it in
 * struct fos_ep.  It is closed when the last descriptor of the endpoint in this
 * process is; who gets an endpoint by exec or SCM_RIGHTS has none.
 *
 * A program may close what it does not know: before each use the socket is asked
 * who it is.
 *
 * Locks: the library's covers those that are kept for what is not attached yet;
 * fos_comp.lock covers @stash, inside of nothing but that.
 */
#ifndef FOS_COMP_H
#define FOS_COMP_H

#include <linux/fastos.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fos_backend;

/**
 * struct fos_parcel - descriptors that have come before their message was taken
 * @name: as in struct fos_packet; 0: there are none
 * @stamp: the same
 * @count: how many
 * @fd: which
 */
struct fos_parcel {
	uint64_t name;
	uint64_t stamp;
	uint32_t count;
	int fd[FOS_SENT_MAX];
};

/**
 * struct fos_comp - an endpoint's companion
 * @fd: the socket, or -1
 * @id: which one that is
 * @lock: see above
 * @stash: a parcel for each slot of messages, then of replies; or NULL
 * @parcels: how many
 * @stamp: of the last packet that was sent
 * @seen: of what the peer said was left over
 * @look: something may have been left over by me
 */
struct fos_comp {
	int fd;
	uint64_t id;
	pthread_mutex_t lock;
	struct fos_parcel *stash;
	uint32_t parcels;
	uint64_t stamp;
	uint64_t seen;
	bool look;
};

/* Keep @sock for the endpoint @fd.  0, and it is ours; -ENOMEM. */
int fos__comp_keep(int fd, int sock);

/* With the library's lock: it is attached: set up @c. */
void fos__comp_attach(struct fos_comp *c, const struct fos_backend *backend,
		      const struct fos_core_query *q);
/* ... a descriptor of it has been closed; ... all of them, and nobody uses it. */
void fos__comp_closed(const struct fos_backend *backend,
		      const struct fos_core_query *q);
void fos__comp_close(struct fos_comp *c);
/* With its lock: from now on there is room to put descriptors by.  -ENOMEM. */
int fos__comp_stash(struct fos_comp *c);
/* In a child after fork(): the endpoint is its parent's. */
void fos__comp_forget(struct fos_comp *c);

#endif
