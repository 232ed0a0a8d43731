/* SPDX-License-Identifier: MIT */
/*
 * region: shared memory whose permissions change by the batch.
 *
 * A region is a descriptor; its backend knows what it is and which permissions
 * its pages have.  Here is which addresses of this process are which region.
 * Locks: that of the mappings, in region.c, may be held when a backend is called.
 */
#ifndef FOS_REGION_H
#define FOS_REGION_H

#include <stddef.h>
#include <stdint.h>

struct fos_backend;
struct fos_core_query;

/**
 * struct fos_region_map - a region that this process has mapped
 * @next: in the list, the newest first
 * @backend: what it stands on
 * @id: of the region
 * @addr: where it is
 * @bytes: without the guard page
 * @prot: what the program asked for
 * @fd: a copy of the program's descriptor: that may be closed, but permissions
 *	can be changed by address as long as the mapping is there
 */
struct fos_region_map {
	struct fos_region_map *next;
	const struct fos_backend *backend;
	uint64_t id;
	char *addr;
	size_t bytes;
	int prot;
	int fd;
};

/* What a region stands on, and what it is; NULL: it is none. */
const struct fos_backend *fos__region_of(int fd, struct fos_core_query *q);

/*
 * The mapping that all of the bytes are in, which stays until it is put back;
 * NULL, and then nothing is to be put back.
 */
const struct fos_region_map *fos__region_get(const void *addr, size_t len);
void fos__region_put(void);

/* A descriptor of a region: close it.  -EBADF: it is none. */
int fos__region_close(int fd);

/* In a child after fork(): nothing is mapped. */
void fos__region_forget(void);

#endif
