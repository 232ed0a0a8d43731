// SPDX-License-Identifier: MIT
/* Regions of fastos: all pages of a batch in one fos_mprotectv(). */
#include <fastos.h>
#include <stdlib.h>
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
	return describe(c, DOWN, PROT_READ) ||
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
	REGION_OPERATIONS,
};

const struct ipc_engine tlb_posix = {
	.name = "fastos-posix",
	.what = "the same without the module, by FOS_BACKEND=posix",
	.flags = IPC_FASTOS | IPC_ALONE,
	.most = TLB_PEERS,
	REGION_OPERATIONS,
};
