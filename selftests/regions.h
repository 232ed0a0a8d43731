/* SPDX-License-Identifier: GPL-2.0-only */
/* What may be done with pages of a region, found out by doing it. */
#ifndef FOS_SELFTESTS_REGIONS_H
#define FOS_SELFTESTS_REGIONS_H

#include "peers.h"
#include "touch.h"

#define PAGE		4096UL
#define RW		(PROT_READ | PROT_WRITE)

static inline bool can_load(const volatile char *p)
{
	return !load_at((const char *)p);
}

/* Stores what is there. */
static inline bool can_store(volatile char *p)
{
	return !TOUCH(*p = *p);
}

static inline int may(char *p)
{
	if (!can_load(p))
		return PROT_NONE;
	return can_store(p) ? RW : PROT_READ;
}

/* How many of @n pages may just that. */
static inline int count_may(char *addr, int n, int prot)
{
	int i, count = 0;

	for (i = 0; i < n; i++)
		count += may(addr + i * PAGE) == prot;
	return count;
}

/* A system call stores a byte, or has not. */
static inline long kernel_stores(char *p)
{
	char byte = *p;
	int fd[2];
	long ret;

	if (pipe(fd))
		return -errno;
	ret = RESULT(write(fd[1], &byte, 1));
	if (ret == 1)
		ret = RESULT(read(fd[0], p, 1));
	close(fd[0]);
	close(fd[1]);
	return ret;
}

static inline struct fos_range pages(uint64_t first, uint64_t n, int prot)
{
	return (struct fos_range) {
		.offset = first * PAGE,
		.len = n * PAGE,
		.prot = prot,
		.result = -1,
	};
}

static inline long protect(int fd, struct fos_range *r, unsigned int n)
{
	return RESULT(fos_mprotectv(fd, r, n, 0));
}

static inline long protect_one(int fd, uint64_t first, uint64_t n, int prot)
{
	struct fos_range r = pages(first, n, prot);
	long ret = protect(fd, &r, 1);

	return ret ? ret : r.result;
}

static inline void *map(int fd, int prot)
{
	void *addr = fos_mmap(fd, prot);

	return addr == MAP_FAILED ? NULL : addr;
}

/* The errno of one that must fail. */
static inline int map_error(int fd, int prot)
{
	return fos_mmap(fd, prot) == MAP_FAILED ? errno : 0;
}

#endif
