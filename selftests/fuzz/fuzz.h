/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzz targets share: the input is a program, its bytes are taken from
 * the front, and behind its end there are zeroes.  Nothing but the input decides
 * what happens: the library's clock, CPU number and sleeps are ours (rename.h).
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

struct input {
	const uint8_t *at;
	size_t left;
};

extern struct input input;

/* What the library takes for CLOCK_MONOTONIC; each look costs 1 us. */
extern uint64_t fuzz_now;

/* Each target's: where the library asks for it, it polls. */
int fuzz_sched_getcpu(void);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A finding; libFuzzer writes the input down. */
#define FAIL(...) do { \
		fprintf(stderr, "FUZZ: " __VA_ARGS__); \
		fputc('\n', stderr); \
		abort(); \
	} while (0)

#define CHECK(cond)	do { if (!(cond)) FAIL("%s:%d: %s", __FILE__, __LINE__, #cond); } while (0)

static inline uint64_t take(unsigned int bytes)
{
	uint64_t word = 0;
	unsigned int n = bytes < input.left ? bytes : input.left;

	if (!n)
		return 0;
	memcpy(&word, input.at, n);
	input.at += n;
	input.left -= n;
	return word;
}

static inline uint8_t take8(void)
{
	return take(1);
}

/*
 * Almost right is worst: what was there with a little change, what is elsewhere,
 * small numbers, bounds; or anything at all.
 */
static inline uint64_t take_value(uint64_t old, uint64_t other)
{
	const uint8_t how = take8();

	switch (how & 7) {
	case 0:
		return take(8);
	case 1:
		return old + (int8_t)take8();
	case 2:
		return old ^ 1ULL << (take8() & 63);
	case 3:
		return other;
	case 4:
		return other << 2 | how >> 6;
	case 5:
		return take8();
	case 6:
		return take(4);
	default:
		return ~0ULL >> (take8() & 63);
	}
}

/* The result of a call of the library: it, or -errno. */
#define RESULT(call) \
	({ long ret_ = (call); ret_ < 0 ? -(long)errno : ret_; })

/* Errors that a call may give, ended by 0. */
static inline bool is_among(long ret, const int *errors)
{
	for (; *errors; errors++)
		if (ret == -*errors)
			return true;
	return false;
}

#endif
