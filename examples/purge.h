/* SPDX-License-Identifier: MIT */
/* An arena of pages, and the ways to give some of them back to the kernel. */
#ifndef PURGE_H
#define PURGE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fastos.h>

#define PAGE		4096UL

/**
 * struct area - where the pages are
 * @bytes: of it
 * @fd: of the region or of this process; -1
 */
struct area {
	char *at;
	size_t bytes;
	int fd;
};

/**
 * struct way - to give pages back
 * @open: make the area; -1 and errno: not here
 * @purge: these pages read zero from now on, on all CPUs; 0, or -1 and errno
 */
struct way {
	const char *name;
	int (*open)(struct area *a);
	int (*purge)(struct area *a, const uint32_t *page, unsigned int n);
	void (*close)(struct area *a);
};

/* ---- which pages ------------------------------------------------------ */

/* Numbers of pages; who takes one takes that which waits longest. */
struct queue {
	uint32_t *page;
	size_t room;
	size_t in;
	size_t out;
};

static int queue_open(struct queue *q, size_t room)
{
	*q = (struct queue) { calloc(room, sizeof(*q->page)), room, 0, 0 };
	return q->page ? 0 : -1;
}

static void put(struct queue *q, const uint32_t *page, unsigned int n)
{
	while (n--)
		q->page[q->in++ % q->room] = *page++;
}

static unsigned int get(struct queue *q, uint32_t *page, unsigned int n)
{
	if (q->in - q->out < n)
		return 0;
	for (unsigned int i = 0; i < n; i++)
		page[i] = q->page[q->out++ % q->room];
	return n;
}

/* ---- by hand ---------------------------------------------------------- */

/* Of small pages: what is purged are single ones. */
static int private_open(struct area *a)
{
	a->fd = -1;
	a->at = mmap(NULL, a->bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->at == MAP_FAILED)
		return -1;
	(void)madvise(a->at, a->bytes, MADV_NOHUGEPAGE);
	return 0;
}

static void private_close(struct area *a)
{
	munmap(a->at, a->bytes);
	if (a->fd >= 0)
		close(a->fd);
}

/* Nothing is given back: what the rest of the loop costs. */
static int zero_purge(struct area *a, const uint32_t *page, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		memset(a->at + page[i] * PAGE, 0, PAGE);
	return 0;
}

/* ---- madvise(), process_madvise() ------------------------------------- */

static int madvise_purge(struct area *a, const uint32_t *page, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (madvise(a->at + page[i] * PAGE, PAGE, MADV_DONTNEED))
			return -1;
	return 0;
}

static int process_purge(struct area *a, const uint32_t *page, unsigned int n)
{
	struct iovec iov[BATCH_MAX];

	for (unsigned int i = 0; i < n; i++)
		iov[i] = (struct iovec) { a->at + page[i] * PAGE, PAGE };
	return syscall(SYS_process_madvise, a->fd, iov, (unsigned long)n,
		       MADV_DONTNEED, 0) == (long)(n * PAGE) ? 0 : -1;
}

/* A process does that to itself since Linux 6.13. */
static int process_open(struct area *a)
{
	const uint32_t first = 0;
	int err;

	if (private_open(a))
		return -1;
	a->fd = syscall(SYS_pidfd_open, getpid(), 0);
	if (a->fd >= 0 && !process_purge(a, &first, 1))
		return 0;
	err = errno;
	private_close(a);
	errno = err;
	return -1;
}

/* ---- fastos ----------------------------------------------------------- */

static int region_purge(struct area *a, const uint32_t *page, unsigned int n)
{
	struct fos_range range[BATCH_MAX];

	for (unsigned int i = 0; i < n; i++)
		range[i] = (struct fos_range) {
			.offset = page[i] * PAGE,
			.len = PAGE,
			.prot = PROT_READ | PROT_WRITE | FOS_DISCARD,
		};
	return fos_mprotectv(a->fd, range, n, 0);
}

static void region_close(struct area *a)
{
	fos_munmap(a->at);
	fos_close(a->fd);
}

static int region_open(struct area *a)
{
	const uint32_t first = 0;
	int err;

	a->fd = fos_region_create(a->bytes, 0);
	if (a->fd < 0)
		return -1;
	a->at = fos_mmap(a->fd, PROT_READ | PROT_WRITE);
	if (a->at != MAP_FAILED && !region_purge(a, &first, 1))
		return 0;
	err = errno;
	if (a->at == MAP_FAILED)
		fos_close(a->fd);
	else
		region_close(a);
	errno = err;
	return -1;
}

static const struct way ways[] = {
	{ "none", private_open, zero_purge, private_close },
	{ "madvise", private_open, madvise_purge, private_close },
	{ "process_madvise", process_open, process_purge, private_close },
	{ "fastos", region_open, region_purge, region_close },
};

#define WAYS		(sizeof(ways) / sizeof(ways[0]))

#endif
