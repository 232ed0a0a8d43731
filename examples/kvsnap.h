/* SPDX-License-Identifier: MIT */
/*
 * kvsnap: a key-value store in memory that is written all the time and taken to
 * disk as it was at one point in time.  What the files of it have in common.
 */
#ifndef KVSNAP_H
#define KVSNAP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define PAGE		4096UL
#define MIB_PAGES	256UL
#define PAGE_SLOTS	64UL
#define WRITERS_MAX	64U
#define WHY_LEN		96
#define WORD_BITS	64

/* What every key is worth in the beginning. */
#define BALANCE		1000

/* ---- the store: kvsnap_store.c, kvsnap_writers.c ---------------------- */

/* A key and its value. */
struct slot {
	uint64_t key;
	_Atomic uint64_t balance;
	_Atomic uint64_t version;
	char name[40];
};

/* The last operation of a writer; in the store, a page for each writer. */
struct journal {
	uint64_t seq;
	uint64_t from;
	uint64_t to;
	uint64_t amount;
};

/**
 * struct manifest - the first page of a snapshot: what the store must look like
 * @magic: which also says the format
 * @pages: of the store, that follow
 * @writers: whose journals are the first pages
 * @epoch: which snapshot of this store
 * @seq: of each writer, the operations it had done when it was held
 * @moved: what they all had moved: see struct writer
 * @checksum: of the pages as they were written
 */
struct manifest {
	char magic[8];
	uint64_t pages;
	uint64_t writers;
	uint64_t epoch;
	uint64_t seq[WRITERS_MAX];
	uint64_t moved;
	uint64_t checksum;
};

struct store;

/**
 * struct writer - a thread that moves amounts from key to key
 * @seq: operations done
 * @moved: sum of amount * (weight of the key that got it - of that which gave it).
 *	The sum of weight * balance over the store grows by just that, so that it
 *	tells one point in time from all others.
 * @random: state of its generator
 */
struct writer {
	_Alignas(64) _Atomic uint64_t seq;
	uint64_t moved;
	uint64_t random;
	struct store *store;
	unsigned int nth;
	pthread_t thread;
};

/* Pages [first, end). */
struct run {
	size_t first;
	size_t end;
};

/* What one snapshot took. */
struct sample {
	uint64_t pause_ns;
	uint64_t protected;
	uint64_t extra_bytes;
	int64_t tlb;		/* interrupts in the pause, or -1 */
};

/**
 * struct store - a store, those who write to it, and its snapshots
 * @arm: how its pages are protected
 * @area: the pages
 * @hot: pages that are written between two snapshots, but for the journals
 * @stride: the next hot page is so far on
 * @request: what writers look at between two operations
 * @held: writers that have seen it
 * @turn: counts holds
 * @taken: posted when the point in time has been taken
 * @error: errno of taking it
 * @states: for each page, the snapshot that it is in and how; kvsnap_pages.c
 * @dirty: a bit for each page that may be written
 * @copy_of: for each page, its copy
 * @copies: pages as they were, for those that were written too early
 * @ncopies: how many
 * @runs: of dirty pages
 * @manifest: of the snapshot under way
 * @sample: of the snapshot under way
 * @fd: of the arm
 * @pid: of the arm's child
 * @priv: of the arm
 * @ticket: of the arm
 * @why: it cannot be used here, or failed
 */
struct store {
	const struct arm *arm;
	char *area;
	size_t pages;
	size_t hot;
	size_t stride;
	unsigned int writers;
	struct writer writer[WRITERS_MAX];
	atomic_int request;
	atomic_uint held;
	atomic_uint turn;
	sem_t taken;
	int error;

	_Atomic uint32_t *states;
	_Atomic uint64_t *dirty;
	uint32_t *copy_of;
	char *copies;
	atomic_uint ncopies;
	struct run *runs;
	size_t nruns;

	struct manifest manifest;
	struct sample sample;
	int fd;
	pid_t pid;
	void *priv;
	uint64_t ticket;
	char why[WHY_LEN];
};

/* The weight of a key; odd, so that no amount is lost in it. */
uint64_t kv_weight(uint64_t key);

void kv_fill(struct store *s);
void kv_operate(struct store *s, struct writer *w);
int kv_writers_start(struct store *s);
void kv_writers_stop(struct store *s);
uint64_t kv_operations(const struct store *s);

/* Hold the writers, take the point in time, and let them go; 0 or -1 and errno. */
int kv_hold(struct store *s);

/* ---- snapshots: kvsnap_point.c, kvsnap_pages.c, kvsnap_save.c --------- */

int kv_pages_open(struct store *s);
void kv_pages_close(struct store *s);

/* All writers are held: from now on pages are kept as they are. */
int kv_point(struct store *s);

/* A page as it was at that point. */
void kv_page_take(struct store *s, size_t page, char *to);

/* The store as it was to the file; 0 or -1 and errno. */
int kv_save(struct store *s);

/* Read it back.  0: it is the store at that point in time; -1: why not. */
int kv_check(const char *path, char why[WHY_LEN]);

/* ---- arms: kvsnap_arms.c ---------------------------------------------- */

/**
 * struct arm - a way to keep pages as they are while they are written out
 * @open: make room for the store; -1: @why of the store says why not here
 * @protect: the runs of dirty pages, from now on
 * @settle: ... which is so when this returns; may be NULL
 * @unprotect: one page, called by the handler of a fault
 * @save: the store at that point to the file
 * @signal: what a store to a protected page raises
 */
struct arm {
	const char *name;
	int (*open)(struct store *s);
	int (*protect)(struct store *s);
	int (*settle)(struct store *s);
	int (*unprotect)(struct store *s, size_t page);
	int (*save)(struct store *s);
	void (*close)(struct store *s);
	int signal;
};

extern const struct arm kv_none, kv_fork, kv_mprotect, kv_uffd, kv_fastos,
			kv_fastos_async;

/* -1, and why. */
int kv_fail(struct store *s, const char *what);

/* Of a region: also for kvsnap_async.c. */
int kv_region_open(struct store *s);
int kv_region_unprotect(struct store *s, size_t page);
void kv_region_close(struct store *s);
struct fos_range *kv_region_ranges(struct store *s);

#endif
