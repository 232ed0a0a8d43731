/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's contract for regions in the hand: raw ioctls, a raw mapping. */
#ifndef FOS_SELFTESTS_ABI_REGION_H
#define FOS_SELFTESTS_ABI_REGION_H

#include "abi.h"
#include "touch.h"

#define PAGE		FOS_PAGE_BYTES
#define RW		(PROT_READ | PROT_WRITE)
#define RIGHTS_RO	FOS_RIGHT_READ
#define RIGHTS_RW	(FOS_RIGHT_READ | FOS_RIGHT_WRITE)

/* A descriptor, or -errno. */
static inline int make_region(uint64_t bytes)
{
	struct fos_region_create a = { .bytes = bytes };
	int node = open(NODE, O_RDWR | O_CLOEXEC);
	int ret;

	if (node < 0)
		return -errno;
	ret = ioctl(node, FOS_IOC_REGION_CREATE, &a) ? -errno : (int)a.fd;
	close(node);
	return ret;
}

static inline int share_region(int fd, uint32_t rights)
{
	struct fos_region_share a = { .rights = rights };

	return ioctl(fd, FOS_IOC_REGION_SHARE, &a) ? -errno : (int)a.fd;
}

/* An address, or MAP_FAILED. */
static inline char *map_region(int fd, uint64_t bytes, int prot)
{
	return mmap(NULL, FOS_REGION_MAP_SIZE(bytes), prot, MAP_SHARED, fd, 0);
}

static inline int unmap_region(char *base, uint64_t bytes)
{
	return munmap(base, FOS_REGION_MAP_SIZE(bytes));
}

/* 0, or -errno; the rounds that were paid. */
static inline int protectv(int fd, struct fos_tlb_range *r, uint32_t n,
			   uint32_t *rounds)
{
	struct fos_tlb_protectv a = {
		.ranges = (uintptr_t)r,
		.count = n,
	};
	int ret = ioctl(fd, FOS_IOC_TLB_PROTECTV, &a) ? -errno : 0;

	if (rounds)
		*rounds = a.rounds;
	return ret;
}

static inline struct fos_tlb_range range_of(uint64_t page, uint64_t n,
					    uint32_t rights)
{
	return (struct fos_tlb_range) { page * PAGE, n * PAGE, rights, 77 };
}

static inline int protect(int fd, uint64_t page, uint64_t n, uint32_t rights)
{
	struct fos_tlb_range r = range_of(page, n, rights);

	return protectv(fd, &r, 1, NULL);
}

/* n pages, every step-th from first on, as one batch. */
static inline int protect_scattered(int fd, uint64_t first, uint64_t step,
				    uint64_t n, uint32_t rights,
				    uint32_t *rounds)
{
	struct fos_tlb_range *r = calloc(n, sizeof(*r));
	uint64_t i;
	int ret;

	for (i = 0; i < n; i++)
		r[i] = range_of(first + i * step, 1, rights);
	ret = protectv(fd, r, n, rounds);
	free(r);
	return ret;
}

#endif
