/* SPDX-License-Identifier: MIT */
/* What engines of io share. */
#ifndef FOSBENCH_IO_H
#define FOSBENCH_IO_H

#include <sys/types.h>

#include "bench.h"

/**
 * struct io_file - what all of them read
 * @path: its name
 * @what: the same for people
 * @bytes: how long it is
 * @direct: past the cache
 */
struct io_file {
	const char *path;
	const char *what;
	uint64_t bytes;
	bool direct;
};

extern struct io_file io_file;

/* What the others are compared with. */
extern const struct ipc_engine io_uring_polls;
extern const struct ipc_engine *const io_engines[];

#endif /* FOSBENCH_IO_H */
