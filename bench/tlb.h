/* SPDX-License-Identifier: MIT */
/*
 * What engines of tlb share.  Memory is laid out alike for all: the pages of a
 * batch are every second one, so that no two of them are changed together for
 * free, and those between are the siblings'.
 */
#ifndef FOSBENCH_TLB_H
#define FOSBENCH_TLB_H

#include "bench.h"

#define STRIDE		2
/* Peers are not measured beyond: each page becomes a mapping of its own. */
#define TLB_PEERS	512
/* Siblings have their own pages, however few are in a batch. */
#define TLB_LEAST	MAX_SIBLINGS

static inline size_t tlb_bytes(const struct ipc *c)
{
	return STRIDE * PAGE * (c->size < TLB_LEAST ? TLB_LEAST : c->size);
}

/* The @nth page of a batch. */
static inline char *tlb_page(const struct ipc *c, size_t nth)
{
	return (char *)c->shm + STRIDE * PAGE * nth;
}

/* One that is not in it. */
static inline char *tlb_neighbour(const struct ipc *c, size_t nth)
{
	return tlb_page(c, nth) + PAGE;
}

/* Anonymous memory of @flags for engines that have no region. */
int tlb_map(struct ipc *c, int flags);

/* A store to each page of a batch. */
static inline void tlb_store(const struct ipc *c)
{
	for (size_t i = 0; i < c->size; i++)
		*(volatile uint64_t *)tlb_page(c, i) = i + 1;
}

/*
 * Checks of engines: every page of the batch refuses a store, by SIGSEGV or
 * SIGBUS, and no neighbour does.
 */
int tlb_refuses(struct ipc *c);
/* The batch did not do what it is for; -1. */
int tlb_wrong(struct ipc *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void tlb_print(const struct report *rep);
/* What tlb tells below its tables. */
json_t *tlb_json(const struct report *rep);
/* What the client does instead of talking to a server. */
int tlb_client(struct ipc *c, const struct run *run, struct run_result *res);

#endif /* FOSBENCH_TLB_H */
