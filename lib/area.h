/* SPDX-License-Identifier: MIT */
/*
 * area: who holds which block of a transmit area.  Pure.
 *
 * First fit over the blocks in use, lowest address first, so that the same few
 * hot pages are used again and again.  A block belongs to the message, the reply
 * or the buffer that lies in it and is free when the peer has let go of that,
 * which the caller finds out.  The lists live in private memory: nothing that the peer
 * writes is ever followed.
 */
#ifndef FOS_AREA_H
#define FOS_AREA_H

#include <linux/fastos.h>
#include <stdbool.h>
#include <stdint.h>

/* One for each slot of entries, of replies and of buffers. */
#define FOS_AREA_BLOCKS		(3 * FOS_CHAN_DEPTH_MAX)

struct fos_block {
	uint64_t offset;
	uint64_t len;
	uint64_t owner;
};

/**
 * struct fos_area - the blocks in use, by rising offset
 * @bytes: size of the area
 * @n: blocks in use
 * @max: at most
 */
struct fos_area {
	uint64_t bytes;
	uint32_t n;
	uint32_t max;
	struct fos_block block[FOS_AREA_BLOCKS];
};

void fos_area_init(struct fos_area *a, uint64_t bytes, uint32_t max);

/* Drop the blocks whose owner @is_free says is done. */
void fos_area_sweep(struct fos_area *a, bool (*is_free)(void *arg, uint64_t owner),
		    void *arg);

/**
 * fos_area_find() - the lowest gap that a block fits into
 * @a: the area
 * @len: bytes, at least 1
 * @align: a power of two; at least that of a cache line is kept
 * @offset: out: where
 * @at: out: for fos_area_insert()
 *
 * Return: false: no room.
 */
bool fos_area_find(const struct fos_area *a, uint64_t len, uint64_t align,
		   uint64_t *offset, uint32_t *at);

/* Put the block that was just found to use. */
void fos_area_insert(struct fos_area *a, uint32_t at, uint64_t offset,
		     uint64_t len, uint64_t owner);

/* The block that has this byte, or NULL. */
const struct fos_block *fos_area_at(const struct fos_area *a, uint64_t offset);
/* One of the area's blocks is free. */
void fos_area_remove(struct fos_area *a, const struct fos_block *block);

#endif
