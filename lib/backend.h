/* SPDX-License-Identifier: MIT */
/*
 * backend: what an object stands on.  Each object has its own table, chosen
 * when it is made or first met; nothing else in the library knows the module or
 * the sockets.
 * All functions return 0 or -errno.
 */
#ifndef FOS_BACKEND_H
#define FOS_BACKEND_H

#include "fastos.h"
#include "ring.h"

struct fos_cq;
struct fos_cq_news;
struct fos_cq_place;
struct fos_ep;

/* An attached endpoint's memory. */
struct fos_mapping {
	struct fos_ring_mem mem;
	void *base;
	size_t bytes;
};

/**
 * struct fos_backend - operations
 * @name: as in FOS_BACKEND
 * @probe: can objects be made?  Fills in @caps.
 * @create: a channel; both fds are O_CLOEXEC
 * @query: what is this fd?  -EBADF: nothing of ours
 * @close: a descriptor; no cancellation point; with the library's lock.  @ep:
 *	what this process has attached, or NULL
 * @attach: map the endpoint, make this process its owner, complete @q; -EBUSY
 *	another one is; -EBADF it is dead
 * @begin: @ep is set up; with the library's lock; may be NULL
 * @detach: undo attach: hang up
 * @bell_wait: FOS_IOC_CHAN_BELL_WAIT; @arg is seen or seq
 * @bell_self: ring my own side's sleepers
 * @withdraw: FOS_IOC_CHAN_WITHDRAW
 * @attend: a thread of mine has polled for @want for long; may be NULL
 * @published: a message is on its way that no thread of mine waits for; may be
 *	NULL
 * @received: a receiving call ends, one that @waits or not; @nothing: it found
 *	nothing and will not wait.  True: look again.  May be NULL
 * @arm: a thread of mine is about to sleep in poll(2) till a message comes.  True:
 *	look again.  May be NULL: then poll(2) sees to it
 * @disarm: it has come back; whenever @arm was called
 * @drain: poll(2) said POLLIN, but there is no message.  NULL: then it is right
 * @region_create: a region of whole pages; its descriptor, O_CLOEXEC
 * @region_query: is this fd a region?  -EBADF
 * @region_share: one more descriptor, O_CLOEXEC; @rights are FOS_RIGHT_*
 * @region_map: as a whole, with a guard page behind it; -EBUSY: it is mapped
 * @region_unmap: undo that; @bytes without the guard
 * @region_protectv: FOS_IOC_TLB_PROTECTV
 * @region_submit: FOS_IOC_TLB_SUBMIT
 * @region_fence: FOS_IOC_TLB_FENCE, or only a @look
 * @region_cancel: FOS_IOC_TLB_CANCEL
 * @region_notify: FOS_IOC_TLB_NOTIFY
 * @region_scan: FOS_IOC_TLB_SCAN; -EBUSY: it is complete
 * @cq_create: a queue of @entries places, in what it has of the backend; fd too
 * @cq_destroy: undo that
 * @cq_join: there is to be news of @name when the endpoint at @p has something; what is
 *	there already need not be told
 * @cq_part: no more
 * @cq_news: what there is, at most @max
 * @cq_peek: have so many entries been posted?  Or any, where they are not counted
 * @cq_sleep: until so many were, or any; out: when the last one was, or 0
 * @cq_notify: FOS_IOC_CQ_NOTIFY; -EOPNOTSUPP
 * @cq_hear: news of FOS_CQ_HEARD when the eventfd is signalled; -EBUSY as @cq_join
 * @cq_submit: FOS_IOC_TLB_SUBMIT, with news of @name
 */
struct fos_backend {
	const char *name;
	int (*probe)(struct fos_caps *caps);
	int (*create)(uint32_t depth, uint64_t area_bytes, uint64_t cookie,
		      int fd[2]);
	int (*query)(int fd, struct fos_core_query *q);
	int (*close)(int fd, struct fos_ep *ep);
	int (*attach)(int fd, struct fos_core_query *q, struct fos_ep *ep);
	void (*begin)(struct fos_ep *ep, int fd);
	void (*detach)(struct fos_ep *ep);
	int (*bell_wait)(struct fos_ep *ep, int fd, uint32_t bell,
			 uint32_t want, uint64_t arg, uint64_t deadline_ns);
	int (*bell_self)(struct fos_ep *ep, int fd, uint32_t bell);
	int (*withdraw)(struct fos_ep *ep, int fd, uint64_t seq,
			uint64_t *word);
	void (*attend)(struct fos_ep *ep, int fd, uint32_t want, uint64_t arg);
	void (*published)(struct fos_ep *ep, int fd);
	bool (*received)(struct fos_ep *ep, int fd, bool waits, bool nothing);
	bool (*arm)(struct fos_ep *ep, int fd);
	void (*disarm)(struct fos_ep *ep);
	void (*drain)(struct fos_ep *ep, int fd);
	int (*region_create)(uint64_t bytes);
	int (*region_query)(int fd, struct fos_core_query *q);
	int (*region_share)(int fd, uint32_t rights);
	int (*region_map)(int fd, const struct fos_core_query *q, int prot,
			  void **addr);
	int (*region_unmap)(void *addr, size_t bytes);
	int (*region_protectv)(int fd, struct fos_range *ranges,
			       unsigned int n);
	int (*region_submit)(int fd, struct fos_range *ranges, unsigned int n,
			     uint64_t within_ns, uint64_t *ticket);
	int (*region_fence)(int fd, uint64_t ticket, uint64_t deadline_ns,
			    bool look);
	int (*region_cancel)(int fd, uint64_t ticket);
	int (*region_notify)(int fd, int efd);
	int (*region_scan)(int fd, struct fos_tlb_scan *scan);
	int (*cq_create)(struct fos_cq *cq);
	void (*cq_destroy)(struct fos_cq *cq);
	int (*cq_join)(struct fos_cq *cq, const struct fos_cq_place *p,
		       uint64_t name);
	void (*cq_part)(struct fos_cq *cq, const struct fos_cq_place *p);
	unsigned int (*cq_news)(struct fos_cq *cq, struct fos_cq_news *news,
				unsigned int max);
	bool (*cq_peek)(const struct fos_cq *cq, uint64_t tail);
	int (*cq_sleep)(struct fos_cq *cq, uint64_t tail, uint64_t deadline_ns,
			uint64_t *posted_ns);
	int (*cq_notify)(struct fos_cq *cq, int efd);
	int (*cq_hear)(struct fos_cq *cq, int efd);
	int (*cq_submit)(struct fos_cq *cq, uint64_t name, int rfd,
			 struct fos_range *ranges, unsigned int n,
			 uint64_t within_ns, uint64_t *ticket);
};

extern const struct fos_backend fos__backend_kernel, fos__backend_posix;

#endif
