/* SPDX-License-Identifier: MIT */
/*
 * cq: one place to wait for many.
 *
 * Who is in a queue has a place, whose name travels with the backend's news.  A place
 * of which there is news stands in line.  A wait takes all from the line, tells of
 * those that are ready, and puts them back at its end: so nothing is forgotten that
 * the program left there, everybody's turn comes, and nobody looks at those of whom
 * there was no news.
 *
 * Locks: that of the queues (cq.c) -> fos_cq.lock -> the library's.
 */
#ifndef FOS_CQ_H
#define FOS_CQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "spin.h"

struct fos_backend;
struct fos_ep;

enum fos_cq_kind { FOS_CQ_FREE, FOS_CQ_ENDPOINT, FOS_CQ_TICKET };

/**
 * struct fos_cq_place - who may be told of
 * @kind: who
 * @generation: part of its name; another one for each who has the place
 * @in_line: is it?
 * @done: of a ticket: it is
 * @res: ... and how
 * @user_data: of events
 * @told: the call that told of it
 * @fd: of an endpoint
 * @ep: ..., which may be another one by now
 * @id: ... unless it has this id
 * @next: free place
 */
struct fos_cq_place {
	enum fos_cq_kind kind;
	uint32_t generation;
	bool in_line;
	bool done;
	int res;
	uint64_t user_data;
	uint64_t told;
	int fd;
	struct fos_ep *ep;
	uint64_t id;
	uint32_t next;
};

/**
 * struct fos_cq_news - of a place
 * @name: of the place
 * @res: 0 or -errno
 */
struct fos_cq_news {
	uint64_t name;
	int res;
};

/**
 * struct fos_cq - a completion queue
 * @next: in the list
 * @backend: what it stands on
 * @users: calls under way, and one for the list
 * @fd: its descriptor
 * @lock: protects what follows
 * @entries: how many places, a power of two
 * @places: they
 * @free: the first free one; @entries: none
 * @line: places of which there was news
 * @first: of the line
 * @length: of the line
 * @calls: of fos_cq_wait()
 * @spin: the waiting policy
 * @wake_ns: what a sleep costs, if that is to be known
 * @base, @read: of the module: the mapping, entries read
 * @wake_fd, @done, @ndone: without it: an eventfd, and of which tickets it tells
 */
struct fos_cq {
	struct fos_cq *next;
	const struct fos_backend *backend;
	uint64_t users;
	int fd;
	pthread_mutex_t lock;
	uint32_t entries;
	struct fos_cq_place *places;
	uint32_t free;
	uint32_t *line;
	uint32_t first;
	uint32_t length;
	uint64_t calls;
	struct fos_spin spin;
	uint32_t wake_ns;
	void *base;
	uint64_t read;
	int wake_fd;
	struct fos_cq_news *done;
	uint32_t ndone;
};

/* ---- cq_place.c, with the lock ---------------------------------------- */

uint64_t fos__place_name(const struct fos_cq *cq, const struct fos_cq_place *p);
/* NULL: it was somebody's who is there no more. */
struct fos_cq_place *fos__place_of(struct fos_cq *cq, uint64_t name);
/* NULL: there is none. */
struct fos_cq_place *fos__place_take(struct fos_cq *cq, enum fos_cq_kind kind,
				     uint64_t user_data);
/* It may still stand in line: who is there then is looked at once more. */
void fos__place_free(struct fos_cq *cq, struct fos_cq_place *p);
void fos__line_up(struct fos_cq *cq, struct fos_cq_place *p);
/* There is one. */
struct fos_cq_place *fos__line_next(struct fos_cq *cq);

/* ---- cq.c ------------------------------------------------------------- */

/* A descriptor of a queue: close it.  -EBADF: it is none. */
int fos__cq_close(int fd);

/* In a child after fork(): there are none. */
void fos__cq_forget(void);

#endif
