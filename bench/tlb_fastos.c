// SPDX-License-Identifier: MIT
/* Regions of fastos: all pages of a batch in one call. */
#include <errno.h>
#include <fastos.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tlb.h"

static int make(struct ipc *c)
{
	c->fd[0] = fos_region_create(tlb_bytes(c), 0);
	return c->fd[0] < 0 ? -1 : 0;
}

static int region_open(struct ipc *c)
{
	return backend_open(c, FOS_CAP_REGION, "fos_region_create", make);
}

/* One page each, in ascending order; of the process that changes them. */
static struct fos_range *range[SIDES];

static int describe(struct ipc *c, int phase, int prot)
{
	range[phase] = calloc(c->size, sizeof(*range[phase]));
	if (!range[phase])
		return ipc_fail(c, "calloc");
	for (size_t i = 0; i < c->size; i++)
		range[phase][i] = (struct fos_range) {
			.offset = tlb_page(c, i) - tlb_page(c, 0),
			.len = PAGE,
			.prot = prot,
		};
	return 0;
}

static int region_join(struct ipc *c, int side)
{
	(void)side;
	c->shm_len = tlb_bytes(c);
	c->shm = fos_mmap(c->fd[0], PROT_READ | PROT_WRITE);
	if (c->shm == MAP_FAILED)
		return ipc_fail(c, "fos_mmap");
	if (fos_populate(c->shm, c->shm_len))
		return ipc_fail(c, "fos_populate");
	return describe(c, DOWN, c->e->arg) ||
	       describe(c, AGAIN, PROT_READ | PROT_WRITE) ? -1 : 0;
}

static int region_change(struct ipc *c, int phase)
{
	if (fos_mprotectv(c->fd[0], range[phase], c->size, 0))
		return ipc_fail(c, "fos_mprotectv");
	return 0;
}

static int region_call(struct ipc *c)
{
	return region_change(c, DOWN);
}

static int region_again(struct ipc *c)
{
	if (region_change(c, AGAIN))
		return -1;
	tlb_store(c);
	return 0;
}

/* ---- in the background ------------------------------------------------ */

#define SECOND		1000000000

static uint64_t ticket;

static int submit_call(struct ipc *c)
{
	if (fos_mprotectv_async(c->fd[0], range[DOWN], c->size, 0, SECOND,
				&ticket))
		return ipc_fail(c, "fos_mprotectv_async");
	return 0;
}

static int fence(struct ipc *c)
{
	return fos_fence(c->fd[0], ticket, NULL) ? ipc_fail(c, "fos_fence") : 0;
}

static int submit_again(struct ipc *c)
{
	return fence(c) ? -1 : region_again(c);
}

static int submit_check(struct ipc *c)
{
	return fence(c) ? -1 : tlb_refuses(c);
}

/* ---- by a ring -------------------------------------------------------- */

static struct io_uring ring;
static struct fos_uring_batch batch;

static int uring_open(struct ipc *c)
{
	return backend_open(c, FOS_CAP_URING, "fos_prep_mprotectv", make);
}

static int uring_join(struct ipc *c, int side)
{
	errno = -io_uring_queue_init(2, &ring, 0);
	memset(&batch, 0, sizeof(batch));
	return errno ? ipc_fail(c, "io_uring") : region_join(c, side);
}

static int uring_call(struct ipc *c)
{
	struct io_uring_cqe *cqe;
	int res;

	if (fos_prep_mprotectv(io_uring_get_sqe(&ring), c->fd[0], range[DOWN],
			       c->size, 0, &batch))
		return ipc_fail(c, "fos_prep_mprotectv");
	if (io_uring_submit_and_wait(&ring, 1) < 0 ||
	    io_uring_peek_cqe(&ring, &cqe))
		return ipc_fail(c, "io_uring_submit_and_wait");
	res = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	errno = -res;
	return res ? ipc_fail(c, "the command") : 0;
}

/* ---- content ---------------------------------------------------------- */

static int discard_again(struct ipc *c)
{
	tlb_store(c);
	return 0;
}

static int discard_check(struct ipc *c)
{
	for (size_t i = 0; i < c->size; i++)
		if (*(volatile char *)tlb_page(c, i))
			return tlb_wrong(c, "page %zu kept its content", i);
	return 0;
}

#define REGION_OPERATIONS						\
	.open = region_open,						\
	.join = region_join,						\
	.call = region_call,						\
	.again = region_again,						\
	.check = tlb_refuses,						\
	.close = backend_close

const struct ipc_engine tlb_fastos = {
	.name = "fastos",
	.what = "region, one fos_mprotectv() of all pages",
	.flags = IPC_FASTOS | IPC_ALONE | IPC_MODULE,
	.arg = PROT_READ,
	REGION_OPERATIONS,
};

const struct ipc_engine tlb_submit = {
	.name = "fastos-submit",
	.what = "the same by fos_mprotectv_async(); the fence is in the way back",
	.flags = IPC_FASTOS | IPC_ALONE | IPC_MODULE,
	.arg = PROT_READ,
	.open = region_open,
	.join = region_join,
	.call = submit_call,
	.again = submit_again,
	.check = submit_check,
	.close = backend_close,
};

const struct ipc_engine tlb_uring = {
	.name = "fastos-uring",
	.what = "the same as a command of io_uring, done by a worker and waited for",
	.flags = IPC_FASTOS | IPC_ALONE | IPC_MODULE,
	.arg = PROT_READ,
	.open = uring_open,
	.join = uring_join,
	.call = uring_call,
	.again = region_again,
	.check = tlb_refuses,
	.close = backend_close,
};

const struct ipc_engine tlb_none = {
	.name = "fastos-none",
	.what = "the same to no access at all",
	.flags = IPC_FASTOS | IPC_ALONE | IPC_MODULE,
	.arg = PROT_NONE,
	REGION_OPERATIONS,
};

const struct ipc_engine tlb_discard = {
	.name = "fastos-discard",
	.what = "content is dropped; another operation, to set beside the next",
	.flags = IPC_FASTOS | IPC_ALONE | IPC_MODULE,
	.arg = PROT_READ | PROT_WRITE | FOS_DISCARD,
	.open = region_open,
	.join = region_join,
	.call = region_call,
	.again = discard_again,
	.check = discard_check,
	.close = backend_close,
};

const struct ipc_engine tlb_posix = {
	.name = "fastos-posix",
	.what = "the same without the module, by FOS_BACKEND=posix",
	.flags = IPC_FASTOS | IPC_ALONE,
	.most = TLB_PEERS,
	.arg = PROT_READ,
	REGION_OPERATIONS,
};
