// SPDX-License-Identifier: MIT
/* What POSIX and Linux offer: mprotect(); and process_madvise(). */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tlb.h"

static int peer_open(struct ipc *c)
{
	(void)c;
	return 0;
}

/* ---- mprotect() ------------------------------------------------------- */

static int protect_join(struct ipc *c, int side)
{
	(void)side;
	return tlb_map(c, c->e->arg);
}

static int protect(struct ipc *c, int prot)
{
	for (size_t i = 0; i < c->size; i++) {
		if (mprotect(tlb_page(c, i), PAGE, prot))
			return ipc_fail(c, "mprotect");
	}
	return 0;
}

static int protect_call(struct ipc *c)
{
	return protect(c, PROT_READ);
}

static int protect_again(struct ipc *c)
{
	if (protect(c, PROT_READ | PROT_WRITE))
		return -1;
	tlb_store(c);
	return 0;
}

#define PROTECT_OPERATIONS						\
	.most = TLB_PEERS,						\
	.open = peer_open,						\
	.join = protect_join,						\
	.call = protect_call,						\
	.again = protect_again,						\
	.check = tlb_refuses,						\
	.close = ipc_close_fds

const struct ipc_engine tlb_mprotect = {
	.name = "mprotect",
	.what = "shared memory, an mprotect() for each page",
	.flags = IPC_POSIX | IPC_ALONE | IPC_BASE,
	.arg = MAP_SHARED,
	PROTECT_OPERATIONS,
};

const struct ipc_engine tlb_private = {
	.name = "mprotect-private",
	.what = "private memory, an mprotect() for each page",
	.flags = IPC_POSIX | IPC_ALONE,
	.arg = MAP_PRIVATE,
	PROTECT_OPERATIONS,
};

/* ---- process_madvise(): many ranges in one call, for something else --- */

static struct iovec *iov;

/* Of our own memory; before Linux 6.13 not with this advice. */
static int dropped(int self, const struct iovec *v, size_t n)
{
	for (size_t i = 0; i < n; i += IOV_MAX) {
		size_t some = n - i < IOV_MAX ? n - i : IOV_MAX;

		if (process_madvise(self, v + i, some, MADV_DONTNEED, 0) < 0)
			return -1;
	}
	return 0;
}

static int drop_open(struct ipc *c)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec one = { page, PAGE };
	int self = pidfd_open(getpid(), 0), ret = dropped(self, &one, 1);

	munmap(page, PAGE);
	if (self >= 0)
		close(self);
	return !ret ? 0 :
	       ipc_skip(c, "this kernel's process_madvise() has no MADV_DONTNEED");
}

static int drop_join(struct ipc *c, int side)
{
	(void)side;
	c->in = pidfd_open(getpid(), 0);
	if (c->in < 0)
		return ipc_fail(c, "pidfd_open");
	iov = calloc(c->size, sizeof(*iov));
	if (!iov)
		return ipc_fail(c, "calloc");
	if (tlb_map(c, MAP_PRIVATE))
		return -1;
	for (size_t i = 0; i < c->size; i++)
		iov[i] = (struct iovec) { tlb_page(c, i), PAGE };
	return 0;
}

static int drop_call(struct ipc *c)
{
	if (dropped(c->in, iov, c->size))
		return ipc_fail(c, "process_madvise");
	return 0;
}

static int drop_check(struct ipc *c)
{
	for (size_t i = 0; i < c->size; i++) {
		if (*(volatile uint64_t *)tlb_page(c, i))
			return tlb_wrong(c, "page %zu of %zu was not dropped",
					 i, c->size);
	}
	return 0;
}

/* The store is all; it finds no page. */
static int store_again(struct ipc *c)
{
	tlb_store(c);
	return 0;
}

const struct ipc_engine tlb_madvise = {
	.name = "process_madvise",
	.what = "drops pages (MADV_DONTNEED) in one call, protects none",
	.flags = IPC_OTHER | IPC_ALONE,
	.most = TLB_PEERS,
	.open = drop_open,
	.join = drop_join,
	.call = drop_call,
	.again = store_again,
	.check = drop_check,
	.close = ipc_close_fds,
};

/* ---- nothing: what the measuring itself costs ------------------------- */

static int null_join(struct ipc *c, int side)
{
	(void)side;
	return tlb_map(c, MAP_PRIVATE);
}

static int null_call(struct ipc *c)
{
	(void)c;
	return 0;
}

const struct ipc_engine tlb_null = {
	.name = "null",
	.what = "no downgrade: the cost of the measuring loop",
	.flags = IPC_NULL | IPC_ALONE,
	.open = peer_open,
	.join = null_join,
	.call = null_call,
	.again = store_again,
	.close = ipc_close_fds,
};
