/* SPDX-License-Identifier: MIT */
/*
 * area: who holds which block of a transmit area.  Pure.
 *
 * First fit over the blocks in use, lowest address first, so that the same few
 * hot pages are used again and again.  A block belongs to the entry that
 * carries it and is free when the receiver has let go of that entry, which the
 * caller finds out; there are never more blocks than slots.  The lists live in
 * private memory: nothing that the peer writes is ever followed.
 */
#ifndef FOS_AREA_H
#define FOS_AREA_H

#include <linux/fastos.h>
#include <stdbool.h>
#include <stdint.h>

struct fos_block {
	uint64_t offset;
	uint64_t len;
	uint64_t seq;
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
	struct fos_block block[FOS_CHAN_DEPTH_MAX];
};

void fos_area_init(struct fos_area *a, uint64_t bytes, uint32_t max);

/* Drop the blocks whose entry @is_free says is free. */
void fos_area_sweep(struct fos_area *a, bool (*is_free)(void *arg, uint64_t seq),
		    void *arg);

/**
 * fos_area_find() - the lowest gap that a block fits into
 * @a: the area
 * @len: bytes, at least 1
 * @offset: out: where
 * @at: out: for fos_area_insert()
 *
 * Return: false: no room.
 */
bool fos_area_find(const struct fos_area *a, uint64_t len, uint64_t *offset,
		   uint32_t *at);

/* Put the block that was just found to use, for entry @seq. */
void fos_area_insert(struct fos_area *a, uint32_t at, uint64_t offset,
		     uint64_t len, uint64_t seq);

/* The entry of the oldest block; there is one. */
uint64_t fos_area_oldest(const struct fos_area *a);

#endif
