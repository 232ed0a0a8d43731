/* SPDX-License-Identifier: GPL-2.0-only */
/* Batches in the background, by raw ioctls. */
#ifndef FOS_SELFTESTS_ABI_TICKETS_H
#define FOS_SELFTESTS_ABI_TICKETS_H

#include "abi_region.h"

/* As late as can be: whoever waits for the worker waits in vain for a second. */
#define LATE		FOS_TLB_WITHIN_MAX

/* 0, or -errno. */
static inline int submitv(int fd, struct fos_tlb_range *r, uint32_t n,
			  uint64_t within_ns, uint64_t *ticket)
{
	struct fos_tlb_submit a = {
		.ranges = (uintptr_t)r,
		.count = n,
		.within_ns = within_ns,
	};
	int ret = ioctl(fd, FOS_IOC_TLB_SUBMIT, &a) ? -errno : 0;

	*ticket = a.ticket;
	return ret;
}

/* A ticket, or 0. */
static inline uint64_t submit(int fd, uint64_t page, uint64_t n,
			      uint32_t rights, uint64_t within_ns)
{
	struct fos_tlb_range r = range_of(page, n, rights);
	uint64_t ticket;

	return submitv(fd, &r, 1, within_ns, &ticket) ? 0 : ticket;
}

static inline uint64_t submit_scattered(int fd, uint64_t first, uint64_t step,
					uint64_t n, uint32_t rights,
					uint64_t within_ns)
{
	struct fos_tlb_range *r = calloc(n, sizeof(*r));
	uint64_t ticket, i;

	for (i = 0; i < n; i++)
		r[i] = range_of(first + i * step, 1, rights);
	if (submitv(fd, r, n, within_ns, &ticket))
		ticket = 0;
	free(r);
	return ticket;
}

static inline int fence_until(int fd, uint64_t ticket, uint64_t deadline_ns)
{
	struct fos_tlb_fence a = {
		.ticket = ticket,
		.deadline_ns = deadline_ns,
	};

	return ioctl(fd, FOS_IOC_TLB_FENCE, &a) ? -errno : 0;
}

static inline int fence(int fd, uint64_t ticket)
{
	return fence_until(fd, ticket, in_ms(HANG_MS));
}

static inline int look_at(int fd, uint64_t ticket)
{
	struct fos_tlb_fence a = {
		.flags = FOS_TLB_FENCE_LOOK,
		.ticket = ticket,
	};

	return ioctl(fd, FOS_IOC_TLB_FENCE, &a) ? -errno : 0;
}

/* Until the worker has done it, without doing it here. */
static inline int await(int fd, uint64_t ticket)
{
	uint64_t end = in_ms(HANG_MS);
	int ret;

	while ((ret = look_at(fd, ticket)) == -EINPROGRESS && now_ns() < end)
		nap_us(100);
	return ret;
}

static inline int cancel(int fd, uint64_t ticket)
{
	struct fos_tlb_cancel a = { .ticket = ticket };

	return ioctl(fd, FOS_IOC_TLB_CANCEL, &a) ? -errno : 0;
}

static inline int notify(int fd, int efd)
{
	struct fos_tlb_notify a = { .fd = efd };

	return ioctl(fd, FOS_IOC_TLB_NOTIFY, &a) ? -errno : 0;
}

/* Runs of written pages in @r, or -errno; where it stopped. */
static inline int scan(int fd, uint64_t page, uint64_t n,
		       struct fos_tlb_range *r, uint32_t max, uint32_t *rounds,
		       uint64_t *next)
{
	struct fos_tlb_scan a = {
		.offset = page * PAGE,
		.len = n * PAGE,
		.ranges = (uintptr_t)r,
		.count = max,
	};

	/* EBUSY: done, but who holds pages may store to them. */
	if (ioctl(fd, FOS_IOC_TLB_SCAN, &a) && errno != EBUSY)
		return -errno;
	if (rounds)
		*rounds = a.rounds;
	if (next)
		*next = a.next / PAGE;
	return a.count;
}

#endif
