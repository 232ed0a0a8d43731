/* SPDX-License-Identifier: GPL-2.0-only */
/* Completion queues, by raw ioctls and the mapping. */
#ifndef FOS_SELFTESTS_ABI_CQ_H
#define FOS_SELFTESTS_ABI_CQ_H

#include "abi.h"

/* A queue, mapped. */
struct rawq {
	int fd;
	uint32_t entries;
	char *base;
	struct fos_cq_head *head;
	struct fos_cq_entry *entry;
	uint64_t read;
};

/* A descriptor, or -errno. */
static inline int make_queue(uint32_t entries)
{
	struct fos_cq_create a = { .entries = entries };
	int node = open(NODE, O_RDWR | O_CLOEXEC);
	int ret;

	if (node < 0)
		return -errno;
	ret = ioctl(node, FOS_IOC_CQ_CREATE, &a) ? -errno : (int)a.fd;
	close(node);
	return ret;
}

/* 0, or an errno. */
static inline int rawq_make(struct rawq *q, uint32_t entries)
{
	*q = (struct rawq) { .fd = make_queue(entries), .entries = entries };
	if (q->fd < 0)
		return -q->fd;
	q->base = mmap(NULL, FOS_CQ_MAP_BYTES(entries), PROT_READ | PROT_WRITE,
		       MAP_SHARED, q->fd, 0);
	if (q->base == MAP_FAILED)
		return errno;
	q->head = (void *)q->base;
	q->entry = (void *)(q->base + FOS_CQ_OFF_ENTRIES);
	return 0;
}

static inline long tell(const struct raw *r, int fd, uint32_t want,
			uint64_t user_data)
{
	struct fos_chan_cq a = {
		.fd = fd,
		.want = want,
		.user_data = user_data,
	};

	return RESULT(ioctl(r->fd, FOS_IOC_CHAN_CQ, &a));
}

/* Is there one?  It stays. */
static inline struct fos_cq_entry *rawq_next(struct rawq *q)
{
	struct fos_cq_entry *e = &q->entry[q->read % q->entries];

	return __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE) == q->read + 1 ?
	       e : NULL;
}

/* The user_data of the next one, which is read; 0: there is none. */
static inline uint64_t rawq_read(struct rawq *q, int *res)
{
	struct fos_cq_entry *e = rawq_next(q);
	uint64_t user_data;

	if (!e)
		return 0;
	user_data = e->user_data;
	if (res)
		*res = e->res;
	/* A full fence too, before the reader looks at what it tells of. */
	__atomic_exchange_n(&q->head->head, ++q->read, __ATOMIC_SEQ_CST);
	return user_data;
}

static inline long rawq_wait(struct rawq *q, uint64_t tail, uint64_t deadline_ns)
{
	struct fos_cq_wait a = { .tail = tail, .deadline_ns = deadline_ns };

	return RESULT(ioctl(q->fd, FOS_IOC_CQ_WAIT, &a));
}

#endif
