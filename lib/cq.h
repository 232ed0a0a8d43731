/* SPDX-License-Identifier: MIT */
/*
 * cq: one place to wait for many.
 *
 * Who is in a queue has a place, whose name travels with the backend's news.  A wait
 * takes no more news than it can tell of: what it leaves wakes others.  Who was told
 * of stands in line, and is told of again as long as he is ready; a wait begins with
 * the news, with files or with the line, by turns.  So nothing is forgotten that the program left
 * there, everybody's turn comes, and nobody looks at those of whom there is no news.
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
struct fos_cq_io;
struct fos_ep;

/**
 * struct fos_ep_name - an endpoint, whatever becomes of its struct
 * @ep: its struct, perhaps another one's by now
 * @id: of the channel
 * @side: of the channel
 * @fd: a descriptor of it; may be closed
 */
struct fos_ep_name {
	struct fos_ep *ep;
	uint64_t id;
	uint32_t side;
	int fd;
};

enum fos_cq_kind { FOS_CQ_FREE, FOS_CQ_ENDPOINT, FOS_CQ_TICKET, FOS_CQ_FILE };

/* In the place of a name: there is news of file I/O.  No place has so high a number. */
#define FOS_CQ_HEARD	(~1ULL)

/**
 * struct fos_cq_place - who may be told of
 * @kind: who
 * @generation: part of its name; another one for each who has the place
 * @in_line: it stands there
 * @done: of a ticket: it is
 * @res: ... and how
 * @user_data: of events
 * @told: the last call that told of it
 * @who: of an endpoint
 * @joined: ... the number by which it came in
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
	struct fos_ep_name who;
	int joined;
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
 * @line: places that were told of, or have just come
 * @first: of the line
 * @length: of the line
 * @calls: of fos_cq_wait()
 * @spin: the waiting policy
 * @wake_ns: what a sleep costs, if that is to be known
 * @looks: one after the other, until the time is looked at
 * @io: what file I/O needs; NULL: there was none
 * @base, @read: of the module: the mapping, entries read
 * @wake_fd, @done, @ndone: without it: an eventfd, and of which tickets it tells
 * @missed: and whether it tells that somebody in line is to be asked
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
	uint32_t looks;
	struct fos_cq_io *io;
	void *base;
	uint64_t read;
	int wake_fd;
	struct fos_cq_news *done;
	uint32_t ndone;
	bool missed;
};

/* ---- cq_place.c, with the lock ---------------------------------------- */

uint64_t fos__place_name(const struct fos_cq *cq, const struct fos_cq_place *p);
/* NULL: it was somebody's who is there no more. */
struct fos_cq_place *fos__place_of(struct fos_cq *cq, uint64_t name);
/* NULL: there is none. */
struct fos_cq_place *fos__place_make(struct fos_cq *cq, enum fos_cq_kind kind,
				     uint64_t user_data);
/* An endpoint that is in no queue; one that may be in here.  0 or -errno. */
int fos__place_add(struct fos_cq *cq, int fd, struct fos_ep *ep,
		   uint64_t user_data);
int fos__place_remove(struct fos_cq *cq, int fd, struct fos_ep *ep);
/* An eventfd, which tells of FOS_CQ_HEARD.  0 or -errno. */
int fos__place_hear(struct fos_cq *cq, int efd);
/* It may still stand in line: who is there then is looked at once more. */
void fos__place_free(struct fos_cq *cq, struct fos_cq_place *p);
void fos__line_up(struct fos_cq *cq, struct fos_cq_place *p);
/* Those whose news others took; true: there may be some. */
bool fos__line_up_missed(struct fos_cq *cq);
/* There is one. */
struct fos_cq_place *fos__line_next(struct fos_cq *cq);

/* ---- cq_io.c, with the lock ------------------------------------------- */

/* As fos_backend.cq_news: calls that are over. */
unsigned int fos__cq_io_news(struct fos_cq *cq, struct fos_cq_news *news,
			     unsigned int max);
/* Who has heard of more than he had room for: so that others hear of it. */
void fos__cq_io_pass_on(struct fos_cq *cq);
/* Was there one to be done again?  That is without the lock, and may wait. */
bool fos__cq_io_redo(struct fos_cq *cq);

/* Without the lock: until the kernel has done with all memory. */
void fos__cq_io_drain(struct fos_cq *cq);
/* Nobody uses the queue. */
void fos__cq_io_end(struct fos_cq *cq);
/* In a child: the ring is the parent's. */
void fos__cq_io_forget(struct fos_cq *cq);
void fos__cq_io_free(struct fos_cq *cq);

/* ---- cq.c ------------------------------------------------------------- */

/* A descriptor of a queue: close it.  -EBADF: it is none. */
int fos__cq_close(int fd);

/* To be put back; NULL: it is none. */
struct fos_cq *fos__cq_get(int fd);
void fos__cq_put(struct fos_cq *cq);

/* What came of the waits of a queue.  -EBADF: it is none. */
int fos__cq_spin(int fd, struct fos_spin_stats *stats);

/*
 * Without the module a byte tells of messages, and a queue of replies, too: who took it
 * for want of a message has the endpoint's queue look again.
 */
void fos__cq_tell_again(struct fos_ep *ep);

/* In a child after fork(): there are none. */
void fos__cq_forget(void);

#endif
