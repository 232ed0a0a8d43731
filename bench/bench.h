/* SPDX-License-Identifier: MIT */
/*
 * fosbench: what its files share.
 *
 *   fosbench.c	command line, one command a capability
 *   ipc.c	command "ipc": small messages, there and back
 *   bulk.c	command "bulk": bodies that are handed over;  bulk_report.c
 *   tlb.c	command "tlb": pages made read-only;  tlb_report.c
 *   io.c	command "io": reads of a file;  io_engines.c, io.h
 *   bells.c	command "bells": many who are to be rung
 *   limits.c	command "limits": what this machine charges
 *   wait.c	command "wait": policies of waiting, replayed;  wait_shapes.c,
 *		wait_pair.c, wait_policies.c, wait_record.c, wait.h
 *   live.c	command "live": the same on this machine
 *   compare.c	the course of ipc, bulk, tlb, io and bells;  compare_options.c
 *   options.c	what all command lines share
 *   cell.c	which engine runs when
 *   measure.c	the one measuring loop: two processes, one engine
 *   tlb_run.c	that of tlb: a process, its threads, and what is undone between
 *   body.h	what is in a message
 *   counts.c	traps and IPIs
 *   stats.c	medians, percentiles, ratios
 *   floor.c	the least that a round trip can cost here
 *   machine.c	what this machine is;  cgroup.c  how much of it is ours
 *   report.c	the tables;  text.c  what stands in them
 *   json.c	the same for programs;  plot.c
 *   progress.c	a line while it works
 *   null.c, ipc_posix.c, ipc_shm.c, ipc_fastos.c	engines that copy in
 *			and out
 *   bulk_fastos.c, bulk_single.c, bulk_uring.c	engines for bulk only
 *   tlb_fastos.c, tlb_peers.c, tlb_uffd.c	engines for tlb;  tlb.h
 *   backend.c	on which backend of the library an engine stands
 *   probe.c, probe_pair.c	engines that do one thing only, for limits.c
 *			and floor.c
 */
#ifndef FOSBENCH_BENCH_H
#define FOSBENCH_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE		4096UL

enum { CLIENT, SERVER, SIDES };

/* With tlb, a batch has two phases, which take the places of the sides. */
enum { DOWN = CLIENT, AGAIN = SERVER };

#define WHY_LEN		128

/* ---- engines ---------------------------------------------------------- */

struct ipc;

enum {
	IPC_POSIX	= 1 << 0,	/* competes for "best POSIX" */
	IPC_FASTOS	= 1 << 1,
	IPC_TWO_CPUS	= 1 << 2,	/* never sleeps: senseless on one CPU */
	IPC_NULL	= 1 << 3,	/* transfers nothing */
	IPC_POLLS	= 1 << 4,	/* need not sleep where there are two CPUs */
	IPC_MODULE	= 1 << 5,	/* absent without the kernel module */
	IPC_ALONE	= 1 << 6,	/* has a client only */
	IPC_TOKENS	= 1 << 7,	/* collects replies in any order */
	IPC_BASE	= 1 << 8,	/* the others are compared with it */
	IPC_OTHER	= 1 << 9,	/* does something else, for comparison */
};

#define MAX_WINDOW	64
#define MAX_SIBLINGS	63

/* An open() that finds its engine missing on this machine returns this. */
#define IPC_SKIP	1

/**
 * struct ipc_engine - one way for two processes to talk
 * @name:	as in --engines
 * @what:	a line for --list
 * @flags:	IPC_*
 * @arg:	for engines that share their functions
 * @copies:	how often it copies a body
 * @most:	bytes of a body, 0: any number
 * @open:	in the parent before fork(): make what both sides inherit
 * @join:	in each side; may be NULL
 * @call:	client: send tx, receive rx
 * @post:	client, with --depth: send tx, the @nth of a window; NULL: it cannot
 * @collect:	client: receive the reply to that
 * @recv:	server: receive rx
 * @reply_recv:	server: send tx, receive rx
 * @reply:	server: send tx
 * @again:	of tlb, after each call: undo it, and store to every page
 * @check:	of tlb, between call and again, now and then: did it do what it is
 *		for?  NULL: it is for nothing
 * @close:	in the parent, when both sides are gone
 *
 * They return 0, or -1 after ipc_fail(); @open also IPC_SKIP after ipc_skip().
 */
struct ipc_engine {
	const char *name;
	const char *what;
	unsigned int flags;
	int arg;
	int copies;
	size_t most;
	int (*open)(struct ipc *c);
	int (*join)(struct ipc *c, int side);
	int (*call)(struct ipc *c);
	int (*post)(struct ipc *c, unsigned int nth);
	int (*collect)(struct ipc *c, unsigned int nth);
	int (*recv)(struct ipc *c);
	int (*reply_recv)(struct ipc *c);
	int (*reply)(struct ipc *c);
	int (*again)(struct ipc *c);
	int (*check)(struct ipc *c);
	void (*close)(struct ipc *c);
};

#define MAX_SERVICES	16

/* How long the server works for a request: one of these, in no pattern. */
struct services {
	uint64_t ns[MAX_SERVICES];
	unsigned int n;		/* 0: not at all */
};

void serve_for(const struct services *s, uint64_t turn);

/* An engine at work. */
struct ipc {
	const struct ipc_engine *e;
	const int *cpu;			/* of both sides */
	const int *sibling;		/* CPUs of threads beside the client */
	unsigned int siblings;
	int side;
	size_t size;			/* of the larger message; of tlb, pages */
	size_t out_len;			/* what this side sends */
	size_t in_len;			/* and receives */
	char *tx;			/* private to the side, or its engine's */
	char *rx;
	unsigned int depth;		/* requests in a window */
	uint64_t seq;			/* of the last request */
	uint64_t sum;			/* of all bytes received */
	size_t read;			/* bytes that this side reads of each */
	uint64_t base;			/* their sum, without the number */
	uint64_t numbered;		/* words to which that is added */
	bool produce;			/* write all of it each time */
	const struct services *services;
	bool check;			/* the peer's body is what comes */
	volatile uint64_t *progress;	/* shared: seq of the client */
	char *why;			/* WHY_LEN bytes, shared */

	/* for the engine */
	int fd[4];
	int in;
	int out;
	uint32_t turn;
	uint64_t token;
	uint64_t window[MAX_WINDOW];
	void *shm;
	size_t shm_len;
	char *area[SIDES];
};

int ipc_fail(struct ipc *c, const char *what);	/* adds errno; -1 */
int ipc_skip(struct ipc *c, const char *what);	/* IPC_SKIP */

extern const struct ipc_engine ipc_fastos_spin;
extern const struct ipc_engine ipc_fastos_block;
extern const struct ipc_engine ipc_fastos;
extern const struct ipc_engine ipc_fastos_fixed;
extern const struct ipc_engine ipc_fastos_block_deadline;
extern const struct ipc_engine ipc_posix_spin;
extern const struct ipc_engine ipc_posix_block;
extern const struct ipc_engine ipc_posix;
extern const struct ipc_engine ipc_posix_fixed;
extern const struct ipc_engine ipc_pipe;
extern const struct ipc_engine ipc_unix_stream;
extern const struct ipc_engine ipc_unix_seqpacket;
extern const struct ipc_engine ipc_mq;
extern const struct ipc_engine ipc_futex;
extern const struct ipc_engine ipc_eventfd;
extern const struct ipc_engine ipc_sem;
extern const struct ipc_engine ipc_spin_shm;
extern const struct ipc_engine ipc_null;
extern const struct ipc_engine bulk_fastos_spin;
extern const struct ipc_engine bulk_fastos_block;
extern const struct ipc_engine bulk_posix_spin;
extern const struct ipc_engine bulk_posix_block;
extern const struct ipc_engine bulk_copy_spin;
extern const struct ipc_engine bulk_copy_block;
extern const struct ipc_engine bulk_posix_copy_spin;
extern const struct ipc_engine bulk_vmsplice;
extern const struct ipc_engine bulk_vm_readv;
extern const struct ipc_engine bulk_uring;
extern const struct ipc_engine bulk_futex_place;
extern const struct ipc_engine bulk_spin_place;
extern const struct ipc_engine tlb_fastos;
extern const struct ipc_engine tlb_posix;
extern const struct ipc_engine tlb_submit;
extern const struct ipc_engine tlb_uring;
extern const struct ipc_engine tlb_none;
extern const struct ipc_engine tlb_discard;
extern const struct ipc_engine tlb_mprotect;
extern const struct ipc_engine tlb_private;
extern const struct ipc_engine tlb_uffd;
extern const struct ipc_engine tlb_pagemap;
extern const struct ipc_engine tlb_madvise;
extern const struct ipc_engine tlb_null;

/* What engines on channels share; 0 bytes: the area's default. */
int ipc_chan_open(struct ipc *c, uint64_t area_bytes);
int ipc_chan_join(struct ipc *c, int side);
/* Those that have descriptors only. */
void ipc_close_fds(struct ipc *c);

/*
 * Make fd[0] by the backend that the engine stands on: @make, of which @what is
 * the name, returns 0, or -1 and errno.  Without that backend, or without
 * @feature in it, the engine is skipped.
 */
int backend_open(struct ipc *c, uint64_t feature, const char *what,
		 int (*make)(struct ipc *c));
/* Of those that were made so. */
void backend_close(struct ipc *c);

/* Not for --engines: each call does one thing; see probe.c. */
#define TIMER_NS	100000

extern const struct ipc_engine probe_loop;
extern const struct ipc_engine probe_trap;
extern const struct ipc_engine probe_barrier;
extern const struct ipc_engine probe_ipi;
extern const struct ipc_engine probe_fault;
extern const struct ipc_engine probe_pte;	/* arg: pages */
extern const struct ipc_engine probe_ptes;
extern const struct ipc_engine probe_unmap;
extern const struct ipc_engine probe_timer;
extern const struct ipc_engine probe_memcpy;	/* arg: bytes */
extern const struct ipc_engine probe_copies;
extern const struct ipc_engine probe_copy;
extern const struct ipc_engine probe_switch;
extern const struct ipc_engine probe_wake;
extern const struct ipc_engine probe_line;

/* ---- counts ----------------------------------------------------------- */

enum { IPI_RES, IPI_CAL, IPI_TLB, IPI_KINDS };
extern const char *const ipi_name[IPI_KINDS];

/* IPIs that two CPUs have received, or all (NULL); false: no such table. */
bool ipi_read(const int cpu[SIDES], uint64_t n[IPI_KINDS]);

/* Tracepoint raw_syscalls:sys_enter; -1 and a reason without it. */
int traps_tracepoint(char *why);
/* Counter of the calling process's traps, off; -1 and a reason. */
int traps_open(int tracepoint, char *why);
void traps_on(int fd);
uint64_t traps_off(int fd);

/* ---- one run ---------------------------------------------------------- */

#define MAX_SAMPLES	16384

struct run {
	const struct ipc_engine *e;
	size_t size;
	int cpu[SIDES];
	unsigned int siblings;	/* of tlb: threads beside it, on these CPUs */
	int sibling[MAX_SIBLINGS];
	unsigned int depth;	/* round trips in a window: 1, or with --depth */
	uint64_t warm;		/* windows before the first sample */
	uint64_t batch;		/* windows a sample */
	uint64_t samples;
	uint64_t lead_ns;	/* CPU time that the server has used before */
	int tracepoint;		/* count traps; -1: do not */
	bool counting;		/* of tlb: events, not time */
	bool hog;		/* somebody else wants the client's CPU */
	bool oneway;		/* the answer has 8 bytes */
	bool header;		/* only the first line of a body is read */
	bool produce;		/* the sender writes all of it each time */
	const struct services *services;
};

enum run_status { RUN_OK, RUN_SKIPPED, RUN_FAILED };

struct run_side {
	double cpu_ns;		/* this and the next four: a round trip */
	double nvcsw;
	double nivcsw;
	double faults;
	double traps;
	uint64_t sum;
	char why[WHY_LEN];
};

struct run_result {
	enum run_status status;
	char why[WHY_LEN + 32];
	uint64_t progress;
	struct run_side side[SIDES];
	bool has_ipi;
	double ipi[IPI_KINDS];		/* a round trip */
	double sample[MAX_SAMPLES];	/* ns a round trip */
};

struct run_result *run_alloc(void);
void run_free(struct run_result *res);
void run_once(const struct run *run, struct run_result *res);

/* ---- results ---------------------------------------------------------- */

#define MAX_ROUNDS	100
#define MAX_ENGINES	32
#define MAX_SIZES	32
#define MAX_PAIRS	8

/* One engine in one cell. Times in ns, counts in units a round trip. */
struct row {
	const struct ipc_engine *e;
	enum run_status status;
	char why[WHY_LEN + 32];
	struct run run;
	uint64_t time_ms;	/* of a run */
	double *sample;		/* of all rounds, until row_finish() */
	size_t samples;
	unsigned int rounds;
	double round_median[MAX_ROUNDS];
	double round_mean[MAX_ROUNDS];
	double round_cpu[SIDES][MAX_ROUNDS];

	double mean;
	double median;
	double min;
	double p99;
	double ci;		/* 95 %, half width; NAN for one round */
	double cpu[SIDES];
	double nvcsw[SIDES];
	double nivcsw[SIDES];
	double faults[SIDES];	/* of pages */
	double traps[SIDES];	/* NAN: not counted */
	double ipi[IPI_KINDS];	/* NAN: not counted */
	double metric;		/* what rows are ranked by */
	double vs_posix;	/* times better than the best of POSIX, or NAN */
	double vs_base;		/* and than the engine with IPC_BASE */
	double x_floor;		/* times the floor, or NAN */
	double x_raw;		/* times spin-shm, or NAN */
};

/* What a pair of CPUs charges; NAN: not measured. */
struct floor {
	double trap;
	double change;		/* of the CPU to another process */
	double wake;		/* of a process on the other CPU */
	double line;		/* a cache line to the other CPU */
	double pte;		/* one more page in a change of permissions */
	double ipi;		/* an interrupt to another CPU, and its end */
};

struct cell {
	size_t size;
	int cpu[SIDES];
	const struct ipc_options *opt;
	unsigned int siblings;
	char relation[64];
	size_t rows;
	size_t probes;		/* of the floor: rows behind the others */
	struct row row[MAX_ENGINES];
	const struct row *best_posix;
	const struct row *raw;	/* spin-shm */
	struct floor floor;
	double work;		/* what both sides do with the messages */
	double copy;		/* one more copy of each body, or NAN */
	double floor_sleep;	/* of a round trip, or NAN */
	double floor_poll;
};

struct ipc_options;

struct row *cell_add(struct cell *cell, const struct ipc_engine *e,
		     const struct ipc_options *opt);
/* Of an engine that was measured; NULL, or NAN. */
const struct row *cell_row(const struct cell *cell, const struct ipc_engine *e);
double cell_median(const struct cell *cell, const struct ipc_engine *e);
void cell_measure(struct cell *cell, const struct ipc_options *opt,
		  struct run_result *res);
void cell_step(const struct cell *cell, const struct row *row,
	       const char *what, unsigned int round);
void row_add_round(struct row *row, const struct run_result *res);
void row_finish(struct row *row, bool by_cpu);
void cell_finish(struct cell *cell);

/* What lies between, with a probability of 95 %; NAN for a single figure. */
struct interval {
	double is;
	double low;
	double high;
};

double middle(const double *data, size_t n);	/* the median; n <= MAX_ROUNDS */
/* The geometric mean of ratios. */
struct interval mean_ratio(const double *ratio, size_t n);

struct report;

struct ipc_options {
	const char *command;
	size_t size[MAX_SIZES];
	size_t sizes;
	int pair[MAX_PAIRS][SIDES];
	unsigned int siblings[MAX_PAIRS];
	int sibling[MAX_SIBLINGS];	/* their CPUs */
	size_t pairs;
	const struct ipc_engine *const *engines;	/* NULL ends it */
	bool engine[MAX_ENGINES];	/* by index in engines */
	unsigned int rounds;
	unsigned int depth;
	uint64_t iters;			/* 0: by time */
	uint64_t bytes;			/* as many a run, or 0: by iters */
	uint64_t time_ms;
	uint64_t lead_ms;
	bool icount;
	bool counts;		/* show no times */
	bool hog;
	struct services services;
	bool require_fastos;
	bool tlb;		/* not ipc: pages made read-only */
	bool alone;		/* not ipc: one process, and its figures are its own */
	const char *vs;		/* name of the ratio to the base, in JSON; or that of ipc */
	const char *what;	/* what is measured; or round trips */
	bool bulk;		/* not ipc: hand-overs, and these three */
	bool oneway;
	bool header;
	bool produce;
	const char *json;
	const char *plot;
	/* The tables; and what the command's own is in JSON, or NULL. */
	void (*print)(const struct report *rep);
	json_t *(*more)(const struct report *rep);
};

struct argp;
struct argp_state;

/* Options of every command that compares engines; of those with two sides. */
extern const struct argp compare_argp;
extern const struct argp sides_argp;
void compare_defaults(struct ipc_options *opt,
		      const struct ipc_engine *const *engines);
void parse_sizes(struct argp_state *state, const char *what, char *arg,
		 size_t min, size_t max);

struct report {
	const struct ipc_options *opt;
	json_t *machine;
	struct cell *cell;
	size_t cells;
	const char *no_traps;		/* why not, or NULL */
	const char *warning;		/* or NULL */
	uint64_t fixed_ns;		/* fastos-fixed polls for */
};

/* Runs it all. 0, or 1 for a failure. */
int compare(const struct ipc_options *opt);

/* What all reports begin with: the machine, what is told, a table a cell. */
void report_tables(const struct report *rep,
		   void (*legend)(const struct report *rep),
		   void (*table)(const struct report *rep,
				 const struct cell *cell));
void report_print(const struct report *rep);
void bulk_print(const struct report *rep);
json_t *bulk_json(const struct report *rep);
double bulk_gb_per_s(const struct row *row);
void print_wrapped(size_t column, size_t indent, const char *words);
int report_json(const struct report *rep, FILE *f);
json_t *json_num(double x);			/* null for NAN */
/* The file of --json, or NULL without one. False: it cannot be written, and says so. */
bool json_create(const char *path, FILE **f);
int json_write(json_t *obj, FILE *f);		/* closes f, frees obj */
int plot_check(const char *file, char *why);	/* 0, or -1 and a reason */
int plot_write(const struct report *rep);

/* ---- what stands in tables -------------------------------------------- */

typedef char text[24];

const char *text_us(double ns, text buf);
const char *text_count(double x, text buf);
const char *text_instructions(double x, text buf);
/* One of these two. */
const char *text_figure(const struct report *rep, double x, text buf);
const char *text_percent(double part, double whole, text buf);
const char *text_times(double x, text buf);
const char *text_against(const struct report *rep, const struct cell *cell,
			 const struct row *row, text buf);
double both_sides(const double x[SIDES]);
/* Rows that have figures, best first; how many. */
size_t cell_rank(const struct cell *cell, bool counts,
		 const struct row *row[MAX_ENGINES]);
void print_title(const struct cell *cell, const char *what);
void print_absent(const struct cell *cell);
/*
 * The smallest size of a pair of CPUs from which on, as far as was measured,
 * @ahead is more than 1; 0: of none; -1: it is NAN for all.
 */
long size_from(const struct report *rep, size_t pair,
	       double (*ahead)(const struct cell *cell, const void *arg),
	       const void *arg);

/* Adds its probes to a cell, which are measured in turn with the rest. */
void floor_begin(struct cell *cell, const struct ipc_options *opt);
void floor_finish(struct cell *cell, const struct ipc_options *opt);

/* ---- the rest --------------------------------------------------------- */

/* CPUs that the tightest cgroup grants us; NAN: no limit. */
double cgroup_cpus(void);
json_t *machine_describe(void);
void machine_relation(const int cpu[SIDES], char *buf, size_t len);
void machine_print(const json_t *machine);
const char *machine_icount_check(void);		/* a warning, or NULL */
uint64_t ipc_fastos_fixed_ns(void);

void progress_begin(size_t steps, bool quiet);
/* NULL: a step that needs no work. */
void progress_step(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void progress_end(void);

uint64_t parse_number(struct argp_state *state, const char *arg,
		      const char *what, uint64_t min, uint64_t max);
void parse_pair(struct argp_state *state, const char *arg, int cpu[SIDES]);
/* One more pair to measure; from "C,S"; of none, the same CPU and two, if there are. */
void parse_cpus(struct argp_state *state, struct ipc_options *opt, const char *arg);
void default_pairs(struct argp_state *state, struct ipc_options *opt);
void parse_services(struct argp_state *state, const char *arg,
		    struct services *s);
/* The first CPUs that we may use; how many, @most at most. */
unsigned int first_cpus(int *cpu, unsigned int most);
/* The first two; twice the first if there is no second. */
void first_pair(int cpu[SIDES]);
/* One process, on @cpu; -1: the first that is ours. */
void run_alone(struct ipc_options *opt, int cpu);
/* The calling thread to a CPU: 0, or -1 and errno. */
int pin(int cpu);

int cmd_ipc(int argc, char **argv);
int cmd_bulk(int argc, char **argv);
int cmd_tlb(int argc, char **argv);
int cmd_io(int argc, char **argv);
int cmd_bells(int argc, char **argv);
int cmd_limits(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_live(int argc, char **argv);

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

#endif /* FOSBENCH_BENCH_H */
