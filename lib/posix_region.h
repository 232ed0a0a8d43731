/* SPDX-License-Identifier: MIT */
/*
 * What this process knows of regions without the module; posix_region.c keeps it,
 * posix_tlb.c changes permissions.
 */
#ifndef FOS_POSIX_REGION_H
#define FOS_POSIX_REGION_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

struct fos_core_query;

#define RW		(PROT_READ | PROT_WRITE)

/*
 * A page's byte: what its mapping denies, of PROT_READ and PROT_WRITE; what it shall
 * deny; what it denied before the call under way changed it.  All may be done with a
 * page of 0.
 */
#define IS(byte)	((byte) & RW)
#define WANT(byte)	((byte) >> 2 & RW)
#define WAS(byte)	((byte) >> 4 & RW)
#define CHANGED		0x40
#define SETTLED(deny)	((deny) | (deny) << 2)

/**
 * struct known - a region of which this process has a mapping, or permissions
 * @next: in the list
 * @id: its inode: memfds are all of one file system
 * @fd: a descriptor of it once
 * @npages: its size
 * @pages: the byte for each page; NULL: all may be written
 * @addr: of its mapping, or NULL
 * @prot: of its mapping
 * @tickets: how many were given
 * @notify: eventfd that hears of them, or -1
 */
struct known {
	struct known *next;
	uint64_t id;
	int fd;
	size_t npages;
	uint8_t *pages;
	char *addr;
	int prot;
	uint64_t tickets;
	int notify;
};

extern pthread_mutex_t fos__known_lock;

/* With the lock: what is known of it, from now on; NULL: no memory. */
struct known *fos__known(int fd, const struct fos_core_query *q);

/* With the lock: its bytes are there from now on; false: no memory. */
bool fos__known_pages(struct known *r);

/* With the lock: mprotect() of pages [first, end) of its mapping, if any; -ENOMEM. */
int fos__known_protect(const struct known *r, size_t first, size_t end,
		       int deny);

/* Where the equal ones end that begin at @first, before @end. */
size_t fos__known_run(const uint8_t *pages, size_t first, size_t end);

#endif
