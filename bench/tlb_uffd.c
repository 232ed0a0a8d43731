// SPDX-License-Identifier: MIT
/*
 * userfaultfd: UFFDIO_WRITEPROTECT of one page after the other; and what is
 * there to track stores, PAGEMAP_SCAN that write-protects what was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tlb.h"

/*
 * Debian 12 has the headers of Linux 6.1, and these came with 6.7. The struct
 * has a name of our own, lest it collide where the headers are newer.
 */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif
#ifndef PM_SCAN_WP_MATCHING
#define PM_SCAN_WP_MATCHING	(1 << 0)
#define PM_SCAN_CHECK_WPASYNC	(1 << 1)
#define PAGE_IS_WRITTEN		(1 << 1)
#endif

struct scan {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};

struct scan_range {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

#define SCAN		_IOWR('f', 16, struct scan)

/* ---- a userfaultfd of this process ------------------------------------ */

/* Only our own stores: that needs no privilege.  Features, or errno. */
static int uffd_new(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static int uffd_absent(struct ipc *c, const char *what)
{
	char why[WHY_LEN];

	snprintf(why, sizeof(why), "no %s here (%s)", what,
		 strerrorname_np(errno));
	return ipc_skip(c, why);
}

/* The parent's is of the parent's memory: only to see whether it can be. */
static int uffd_open(struct ipc *c)
{
	int fd = uffd_new(c->e->arg);

	if (fd < 0)
		return uffd_absent(c, c->e->arg & UFFD_FEATURE_WP_ASYNC ?
				   "UFFD_FEATURE_WP_ASYNC" :
				   "write-protection by userfaultfd");
	close(fd);
	return 0;
}

static int uffd_join(struct ipc *c, int side)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };

	(void)side;
	c->in = uffd_new(c->e->arg);
	if (c->in < 0)
		return ipc_fail(c, "userfaultfd");
	if (tlb_map(c, MAP_PRIVATE))
		return -1;
	reg.range.start = (uintptr_t)c->shm;
	reg.range.len = c->shm_len;
	if (ioctl(c->in, UFFDIO_REGISTER, &reg))
		return ipc_fail(c, "UFFDIO_REGISTER");
	return 0;
}

/* ---- UFFDIO_WRITEPROTECT ---------------------------------------------- */

static int uffd_protect(struct ipc *c, uint64_t mode)
{
	for (size_t i = 0; i < c->size; i++) {
		struct uffdio_writeprotect wp = {
			.range = { (uintptr_t)tlb_page(c, i), PAGE },
			.mode = mode,
		};

		if (ioctl(c->in, UFFDIO_WRITEPROTECT, &wp))
			return ipc_fail(c, "UFFDIO_WRITEPROTECT");
	}
	return 0;
}

static int uffd_call(struct ipc *c)
{
	return uffd_protect(c, UFFDIO_WRITEPROTECT_MODE_WP);
}

static int uffd_again(struct ipc *c)
{
	if (uffd_protect(c, 0))
		return -1;
	tlb_store(c);
	return 0;
}

/* A store that is refused raises SIGBUS: nobody reads messages here. */
const struct ipc_engine tlb_uffd = {
	.name = "uffd-wp",
	.what = "private memory, a UFFDIO_WRITEPROTECT for each page",
	.flags = IPC_POSIX | IPC_ALONE,
	.arg = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_SIGBUS,
	.most = TLB_PEERS,
	.open = uffd_open,
	.join = uffd_join,
	.call = uffd_call,
	.again = uffd_again,
	.check = tlb_refuses,
	.close = ipc_close_fds,
};

/* ---- PAGEMAP_SCAN ----------------------------------------------------- */

static int scan_join(struct ipc *c, int side)
{
	if (uffd_join(c, side))
		return -1;
	c->out = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return c->out < 0 ? ipc_fail(c, "/proc/self/pagemap") : 0;
}

/*
 * One call from the first page to the last.  It protects those between as well,
 * whose next stores fault, and is dearer for that, but a call for each page is
 * dearer still: each has a round of interrupts.
 */
static int scan_call(struct ipc *c)
{
	struct scan scan = {
		.size = sizeof(scan),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = (uintptr_t)tlb_page(c, 0),
		.end = (uintptr_t)tlb_neighbour(c, c->size - 1),
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};

	if (ioctl(c->out, SCAN, &scan) < 0)
		return ipc_fail(c, "PAGEMAP_SCAN");
	return 0;
}

/* 1: the page was written since it was protected, 0: not, -1. */
static int scan_written(struct ipc *c, const char *page)
{
	struct scan_range found;
	struct scan scan = {
		.size = sizeof(scan),
		.start = (uintptr_t)page,
		.end = (uintptr_t)page + PAGE,
		.vec = (uintptr_t)&found,
		.vec_len = 1,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};

	return ioctl(c->out, SCAN, &scan);
}

static int scan_again(struct ipc *c)
{
	tlb_store(c);
	return 0;
}

/* It refuses no store; it knows of it. */
static int scan_check(struct ipc *c)
{
	for (size_t i = 0; i < c->size; i++) {
		char *page = tlb_page(c, i);

		if (scan_written(c, page))
			return tlb_wrong(c, "page %zu of %zu was not protected",
					 i, c->size);
		*(volatile char *)page = 1;
		if (scan_written(c, page) != 1)
			return tlb_wrong(c, "a store to page %zu of %zu went "
					 "unnoticed", i, c->size);
	}
	return 0;
}

const struct ipc_engine tlb_pagemap = {
	.name = "pagemap-scan",
	.what = "tells of stores (PAGEMAP_SCAN of the whole), refuses none",
	.flags = IPC_OTHER | IPC_ALONE,
	.arg = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	.most = TLB_PEERS,
	.open = uffd_open,
	.join = scan_join,
	.call = scan_call,
	.again = scan_again,
	.check = scan_check,
	.close = ipc_close_fds,
};
