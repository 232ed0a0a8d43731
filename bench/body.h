/* SPDX-License-Identifier: MIT */
/*
 * What is in a message: words that differ from each other and between the
 * sides, the first of them the number of the round trip.  A message of another
 * length than words has a few bytes more.
 */
#ifndef FOSBENCH_BODY_H
#define FOSBENCH_BODY_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t body_word(size_t i, int side)
{
	return (2 * i + side + 1) * 0x9e3779b97f4a7c15;
}

/* All but the first word, each raised by @seq. */
static inline void body_write(char *buf, size_t len, int side, uint64_t seq)
{
	uint64_t *word = (uint64_t *)buf;

	for (size_t i = 1; i < len / 8; i++)
		word[i] = body_word(i, side) + seq;
	for (size_t i = len & ~7UL; i < len; i++)
		buf[i] = i + side;
}

static inline uint64_t body_sum(const char *buf, size_t len)
{
	const uint64_t *word = (const uint64_t *)buf;
	uint64_t sum = 0;

#pragma GCC unroll 8
	for (size_t i = 0; i < len / 8; i++)
		sum += word[i];
	for (size_t i = len & ~7UL; i < len; i++)
		sum += (unsigned char)buf[i];
	return sum;
}

/* The sum of what body_write() writes with 0; the first word is 0 here. */
static inline uint64_t body_base(size_t len, int side)
{
	uint64_t sum = 0;

	for (size_t i = 1; i < len / 8; i++)
		sum += body_word(i, side);
	for (size_t i = len & ~7UL; i < len; i++)
		sum += (unsigned char)(i + side);
	return sum;
}

#endif /* FOSBENCH_BODY_H */
