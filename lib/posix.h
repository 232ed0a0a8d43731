/* SPDX-License-Identifier: MIT */
/*
 * posix: channels without the module.
 *
 * An endpoint is an AF_UNIX socket.  Its bound name, in the abstract namespace,
 * says what channel it is of, so that it can be handed on by fork, exec and
 * SCM_RIGHTS like any other.  Who attaches it makes two memfds: his control
 * block and area, which only he can write (sealed), and a page that both may
 * write, with the verdicts on his entries and the words he sleeps on.  These and
 * a pidfd go to the peer in one packet, the hello.
 *
 * Sleeping is a futex.  A thread per process, the watcher, takes hellos, notices
 * deaths and wakes whoever sleeps on the dead.
 *
 * poll() knows only the socket.  So who waits for a message of his to be taken,
 * and finds no thread of the peer in a receiving call, sends a byte, and the peer
 * drains it when his ring is empty: one byte lies there while rung is 1.
 *
 * Locks: the library's (core.c) covers hellos, deaths and the list of
 * descriptors; fos_posix.lock covers @sleepers, inside of nothing else.
 */
#ifndef FOS_POSIX_H
#define FOS_POSIX_H

#include <linux/fastos.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fds.h"

struct fos_ep;

/* What goes with a hello: my memory, my page, my process. */
enum { POSIX_MEM, POSIX_PAGE, POSIX_PID, POSIX_FDS };

/**
 * struct posix_side - what the kernel page says of a side, written by it alone
 * @wants: FOS_WANT_* of its sleepers, and FOS_WANT_SLOT()
 * @armed: 1: a receive found nothing and was not to wait: it will poll
 * @state: FOS_STATE_DEAD | number of closes seen << 1
 */
struct posix_side {
	uint32_t wants;
	uint32_t armed;
	__u64 state;
};

/**
 * struct posix_page - what both sides may write of a side
 * @claims: the peer's verdicts on its entries
 * @published: it sleeps on this word for the peer's messages
 * @claimed: ... and on this one for what becomes of its own, and for replies
 * @rung: a byte that wakes its pollers lies in its socket
 * @call_me: it asks the peer's sleepers to send one
 * @queued: it is in a queue, which a byte tells of replies, too
 *
 * The peer who lies here falsifies the fate of his own messages.
 */
struct posix_page {
	uint64_t claims[FOS_CHAN_DEPTH_MAX];
	uint32_t published __attribute__((aligned(64)));
	uint32_t claimed __attribute__((aligned(64)));
	uint32_t rung __attribute__((aligned(64)));
	uint32_t call_me;
	uint32_t queued;
};

/**
 * struct fos_posix - an endpoint's own part
 * @fd: the descriptor it was attached by; may have been closed since
 * @pidfd: of the peer's process, or -1
 * @met: the peer's hello is mapped
 * @debt: bytes that were sent but had not come when they were to be drained
 * @took_news: the byte is gone that would have told the queue
 * @missed: the queue has been told otherwise
 * @waits: sleeps so far
 * @pollers: threads of mine that sleep in fos_poll()
 * @lock: protects @sleepers
 * @sleepers: how many want each FOS_WANT_* and FOS_WANT_SLOT()
 * @side: mine
 * @mine: the page of which I am the side
 * @peers: his
 */
struct fos_posix {
	int fd;
	int pidfd;
	bool met;
	uint32_t debt;
	bool took_news;
	bool missed;
	uint32_t waits;
	uint32_t pollers;
	pthread_mutex_t lock;
	uint32_t sleepers[24];
	struct posix_side *side;
	struct posix_page *mine;
	struct posix_page *peers;
};

/* Bytes of a side's sealed memfd: control block, struct posix_side, area. */
#define POSIX_SIDE_OFF(depth)	FOS_CHAN_CONTROL_BYTES(depth)
#define POSIX_AREA_OFF(depth)	(POSIX_SIDE_OFF(depth) + FOS_PAGE_BYTES)
#define POSIX_MEM_BYTES(depth, area) (POSIX_AREA_OFF(depth) + (area))

/* ---- posix_hello.c: what is sent once --------------------------------- */

/* Of that size.  -EMFILE, -ENFILE, -ENOMEM. */
int fos__posix_memfd(const char *name, size_t bytes);

/**
 * struct posix_hello - the first packet; with it come @memfd, @pagefd, @pidfd
 * @magic: POSIX_MAGIC
 * @side: of the sender
 * @depth, @area_bytes: as the name says
 */
struct posix_hello {
	uint64_t magic;
	uint32_t side;
	uint32_t depth;
	uint64_t area_bytes;
};

#define POSIX_MAGIC	0x326f6c6c65686f66ULL	/* "fohello2" */

/* Make and map my memory, watch, send the hello.  -ENOMEM, -EMFILE, -ENFILE. */
int fos__posix_map(int fd, const struct fos_core_query *q, struct fos_ep *ep);

void fos__posix_unmap(struct fos_ep *ep);

/*
 * Take the peer's hello, if it has come: map it, and wake both sides, for what
 * was published before each knew the other rang nobody.  -EPROTO: it is none.
 */
int fos__posix_meet(struct fos_ep *ep, int fd);

/* ---- posix_watch.c: who comes, who dies ------------------------------- */

int fos__posix_watch(struct fos_ep *ep, int fd);
/* His hello has come: from now on only his end is of interest. */
void fos__posix_watch_peer(struct fos_ep *ep, int fd);
void fos__posix_unwatch(struct fos_ep *ep, int fd);

/* With the library's lock: has the peer come, or gone?  True: he just has. */
bool fos__posix_look(struct fos_ep *ep, int fd);

/* In a child after fork(): there is no watcher. */
void fos__posix_forget_watcher(void);

/* ---- posix_wait.c ----------------------------------------------------- */

int fos__posix_bell_wait(struct fos_ep *ep, int fd, uint32_t bell,
			 uint32_t want, uint64_t arg, uint64_t deadline_ns);
int fos__posix_bell_self(struct fos_ep *ep, int fd, uint32_t bell);
void fos__posix_call_pollers(struct fos_ep *ep, int fd);
void fos__posix_call_met(struct fos_ep *ep, int fd);
bool fos__posix_received(struct fos_ep *ep, int fd, bool waits, bool nothing);
bool fos__posix_arm(struct fos_ep *ep, int fd);
void fos__posix_disarm(struct fos_ep *ep);
void fos__posix_drain(struct fos_ep *ep, int fd);
void fos__posix_attend(struct fos_ep *ep, int fd, uint32_t want, uint64_t arg);

/* In a queue, or in none any more. */
void fos__posix_set_queued(struct fos_ep *ep, bool queued);

/* Wake all that sleep on a page: its side, or the peer, has changed for good. */
void fos__posix_wake_all(struct posix_page *page);

/* What a sleep and a wake-up cost here, in ns; measured once. */
uint32_t fos__posix_wake_ns(void);

/* ---- backend_posix.c -------------------------------------------------- */

/* The kernel numbers sockets, and never uses a number again; 0: it is none. */
uint64_t fos__posix_id(int fd);

/* Is @fd a socket, and this one? */
bool fos__posix_is(int fd, uint64_t id);

/* Descriptors of this process that are the socket. */
unsigned int fos__posix_copies(uint64_t id);
/* ... or what else there is to ask of each. */
unsigned int fos__count_fds(bool (*is)(int fd, const void *arg),
			    const void *arg);

/*
 * Give a socket a name in the abstract namespace: @len bytes that say something,
 * at most 64, and a random number that makes it the only one.
 */
int fos__posix_bind(int fd, const void *name, size_t len);

/* A descriptor of it was closed behind our back. */
void fos__posix_closed(struct fos_ep *ep);

/* ---- posix_region.c, posix_tlb.c -------------------------------------- */

int fos__posix_region_create(uint64_t bytes);
int fos__posix_region_query(int fd, struct fos_core_query *q);
int fos__posix_region_share(int fd, uint32_t rights);
int fos__posix_region_map(int fd, const struct fos_core_query *q, int prot,
			  void **addr);
int fos__posix_region_unmap(void *addr, size_t bytes);
int fos__posix_region_protectv(int fd, struct fos_range *ranges,
			       unsigned int n);
int fos__posix_region_submit(int fd, struct fos_range *ranges, unsigned int n,
			     uint64_t within_ns, uint64_t *ticket);
int fos__posix_region_fence(int fd, uint64_t ticket, uint64_t deadline_ns,
			    bool look);
int fos__posix_region_cancel(int fd, uint64_t ticket);
int fos__posix_region_notify(int fd, int efd);
int fos__posix_region_scan(int fd, struct fos_tlb_scan *scan);
/* In a child after fork(): nothing is mapped. */
void fos__posix_region_forget(void);

/* ---- posix_cq.c ------------------------------------------------------- */

struct fos_cq;
struct fos_cq_news;
struct fos_cq_place;

int fos__posix_cq_create(struct fos_cq *cq);
void fos__posix_cq_destroy(struct fos_cq *cq);
int fos__posix_cq_join(struct fos_cq *cq, const struct fos_cq_place *p,
		       uint64_t name);
void fos__posix_cq_part(struct fos_cq *cq, const struct fos_cq_place *p);
void fos__posix_cq_wake(struct fos_cq *cq);
unsigned int fos__posix_cq_news(struct fos_cq *cq, struct fos_cq_news *news,
				unsigned int max);
bool fos__posix_cq_peek(const struct fos_cq *cq, uint64_t tail);
int fos__posix_cq_sleep(struct fos_cq *cq, uint64_t tail, uint64_t deadline_ns,
			uint64_t *posted_ns);
int fos__posix_cq_notify(struct fos_cq *cq, int efd);
int fos__posix_cq_hear(struct fos_cq *cq, int efd);
int fos__posix_cq_submit(struct fos_cq *cq, uint64_t name, int rfd,
			 struct fos_range *ranges, unsigned int n,
			 uint64_t within_ns, uint64_t *ticket);

#endif
