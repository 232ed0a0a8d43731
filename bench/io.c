// SPDX-License-Identifier: MIT
/* fosbench io: its options, and its figures for people. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

#define SIZE_MIN	512UL
#define SIZE_LIMIT	(4UL << 20)
#define FILE_BYTES	(64UL << 20)

/* ---- options ---------------------------------------------------------- */

enum { O_DIRECT_TOO = 256, O_CPU };

static const struct argp_option options[] = {
	{ "file", 'f', "FILE", 0, "a file or a block device, which is only read "
	  "(default: one of 64 MiB made in the working directory)", 0 },
	{ "direct", O_DIRECT_TOO, NULL, 0, "past the cache: each read waits for the "
	  "device (default: all of it is cached)", 0 },
	{ "sizes", 's', "BYTES,...", 0, "of a read, 512 to 4M (default: 4K,64K)",
	  0 },
	{ "cpu", O_CPU, "N", 0, "where it runs (default: the first that is ours)",
	  0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ipc_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = opt;
		break;
	case 'f':
		io_file.path = arg;
		io_file.what = arg;
		break;
	case O_DIRECT_TOO:
		io_file.direct = true;
		break;
	case 's':
		parse_sizes(state, "--sizes", arg, SIZE_MIN, SIZE_LIMIT);
		break;
	case O_CPU:
		run_alone(opt, parse_number(state, arg, "--cpu", 0, 65535));
		break;
	case ARGP_KEY_END:
		if (!opt->pairs)
			run_alone(opt, -1);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child children[] = {
	{ .argp = &compare_argp },
	{ 0 }
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = children,
	.doc = "Reads of pieces of a file in no order, one at a time: pread(2), "
	       "io_uring asleep and polling, and fos_pread(3), which chooses.\v"
	       "Exit status: 0; 1 if an engine failed; 64 for a wrong option.",
};

/* ---- the file --------------------------------------------------------- */

static int fail(const char *what)
{
	fprintf(stderr, "fosbench: %s: %s\n", what, strerror(errno));
	return -1;
}

static uint64_t length(int fd)
{
	uint64_t bytes = 0;
	struct stat st;

	if (fstat(fd, &st))
		return 0;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, &bytes) ? 0 : bytes;
	return st.st_size;
}

static int fill(int fd)
{
	static char piece[1 << 20];
	uint64_t at;

	memset(piece, 0x5a, sizeof(piece));
	for (at = 0; at < FILE_BYTES; at += sizeof(piece)) {
		if (pwrite(fd, piece, sizeof(piece), at) != sizeof(piece))
			return -1;
	}
	return fsync(fd);
}

/* Without a name of its own it goes when we do, whatever becomes of us. */
static int make_file(void)
{
	static char path[64];
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || fill(fd))
		return fail("a file in the working directory");
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	io_file.path = path;
	io_file.what = "a file made for it";
	return fd;
}

/* All of it into the cache, if that is what is read. */
static void warm_up(int fd)
{
	static char piece[1 << 20];
	uint64_t at;

	for (at = 0; !io_file.direct && at < io_file.bytes; at += sizeof(piece)) {
		if (pread(fd, piece, sizeof(piece), at) <= 0)
			break;
	}
}

static int find_file(const struct ipc_options *opt)
{
	int fd = io_file.path ? open(io_file.path, O_RDONLY | O_CLOEXEC) :
				make_file();

	if (fd < 0)
		return io_file.path ? fail(io_file.path) : -1;
	io_file.bytes = length(fd);
	for (size_t i = 0; i < opt->sizes; i++) {
		if (io_file.bytes >= opt->size[i])
			continue;
		fprintf(stderr, "fosbench: %s is shorter than a read of %zu bytes\n",
			io_file.what, opt->size[i]);
		return -1;
	}
	warm_up(fd);
	return 0;
}

/* ---- the table -------------------------------------------------------- */

static void print_legend(const struct report *rep)
{
	const struct ipc_options *opt = rep->opt;
	char par[1024];

	snprintf(par, sizeof(par),
		 "Reads of %s, %.0f MiB, %s, pieces in no order, one at a time. The "
		 "engines took turns in %u round%s. cpu: CPU time of a read. vs pread: "
		 "how many times faster than pread(2). x polling: times what it takes "
		 "who does nothing but look (uring-poll). traps, sleeps: of a read.%s%s%s",
		 io_file.what, io_file.bytes / 1048576.,
		 io_file.direct ? "past the cache" : "all of it cached",
		 opt->rounds, opt->rounds == 1 ? "" : "s",
		 rep->no_traps ? " Traps are n/a: " : "",
		 rep->no_traps ? rep->no_traps : "", rep->no_traps ? "." : "");
	printf("\n");
	print_wrapped(0, 0, par);
}

static void print_row(const struct report *rep, const struct cell *cell,
		      const struct row *row)
{
	text t[8];

	printf("  %-12s", row->e->name);
	if (!rep->opt->counts)
		printf(" %8s %5s %8s %8s %9s %9s",
		       text_figure(rep, row->median, t[0]),
		       text_percent(row->ci, row->median, t[1]),
		       text_figure(rep, row->p99, t[2]),
		       text_figure(rep, row->cpu[CLIENT], t[3]),
		       text_times(row->vs_base, t[4]),
		       text_times(row->median / cell_median(cell, &io_uring_polls), t[5]));
	printf(" %6s %6s\n", text_count(row->traps[CLIENT], t[6]),
	       text_count(row->nvcsw[CLIENT], t[7]));
}

static void print_cell(const struct report *rep, const struct cell *cell)
{
	const struct row *row[MAX_ENGINES];
	const size_t n = cell_rank(cell, rep->opt->counts, row);

	printf("\n%zu bytes, CPU %d\n", cell->size, cell->cpu[CLIENT]);
	if (n && rep->opt->counts)
		printf("  %-12s %6s %6s\n", "for one read", "traps", "sleeps");
	else if (n)
		printf("  %-12s %8s %5s %8s %8s %9s %9s %6s %6s\n",
		       rep->opt->icount ? "instructions" : "us", "read", "+-%",
		       "p99", "cpu", "vs pread", "x polling", "traps", "sleeps");
	for (size_t i = 0; i < n; i++)
		print_row(rep, cell, row[i]);
	print_absent(cell);
}

static void io_print(const struct report *rep)
{
	report_tables(rep, print_legend, print_cell);
}

static json_t *io_json(const struct report *rep)
{
	(void)rep;
	return json_pack("{s:s, s:I, s:b}", "file", io_file.what, "file_bytes",
			 (json_int_t)io_file.bytes, "direct", io_file.direct);
}

int cmd_io(int argc, char **argv)
{
	struct ipc_options opt = {
		.command = "io",
		.size = { 4096, 65536 },
		.sizes = 2,
		.alone = true,
		.vs = "vs_pread",
		.what = "reads",
		.print = io_print,
		.more = io_json,
	};

	compare_defaults(&opt, io_engines);
	if (argp_parse(&argp, argc, argv, 0, NULL, &opt))
		return 1;
	if (find_file(&opt))
		return 1;
	return compare(&opt);
}
