/* SPDX-License-Identifier: GPL-2.0-only */
/* The hello target: a socket of which one end is the library's. */
#ifndef FUZZ_HELLO_WORLD_H
#define FUZZ_HELLO_WORLD_H

#include "fuzz.h"

#include "internal.h"

#define COPIES		4

/**
 * struct shared - memory that the peer has sent, or was sent, and can write
 * @words: there, or NULL
 * @n: 64-bit words
 */
struct shared {
	uint64_t *words;
	uint64_t n;
};

/**
 * struct hello_world - one run
 * @fd: the library's end, and further descriptors of it; -1: none
 * @raw: the peer's end, or -1
 * @side, @depth, @area_bytes: what the name says, or nearly
 * @align: where the mapping lies among huge pages
 * @nonblock: a call is under way that must not sleep
 * @mem, @page: the peer's
 * @victims: the library's page
 * @kept: the end of a stream, or a copy of what he sent; or -1
 */
struct hello_world {
	int fd[COPIES];
	int raw;
	uint32_t side;
	uint32_t depth;
	uint64_t area_bytes;
	uint8_t align;
	bool nonblock;
	struct shared mem;
	struct shared page;
	struct shared victims;
	int kept;
};

extern struct hello_world h;

/* hello_sys.c: what the library asks the system */
void run_watcher(void);
int count_mappings(void);
int count_watched(void);

/* hello_peer.c: what the peer does */
void peer_act(void);
void peer_end(void);

#endif
