// SPDX-License-Identifier: MIT
/* fosbench bells: what it costs to wake many, by system calls and by a ring. */
#include <argp.h>
#include <errno.h>
#include <fastos.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MOST	64

/* Of the process that measures: messages go from one end to the other. */
static int from[MOST], to[MOST];
static struct io_uring ring;

/* ---- engines ---------------------------------------------------------- */

static int make(struct ipc *c)
{
	return fos_channel(c->fd, NULL);
}

static int bells_open(struct ipc *c)
{
	return backend_open(c, FOS_CAP_URING, "fos_prep_bells", make);
}

/* Whoever is told by a queue is rung for each message, whether he sleeps or not. */
static int channels_join(struct ipc *c, int side)
{
	const struct fos_chan_attr attr = { .depth = 4, .spin = FOS_SPIN_BLOCK };
	const int cq = c->e->arg ? fos_cq_create(MOST, 0) : -1;
	int fd[2];

	(void)side;
	if (c->e->arg && cq < 0)
		return ipc_fail(c, "fos_cq_create");
	for (size_t i = 0; i < c->size; i++) {
		if (fos_channel(fd, &attr))
			return ipc_fail(c, "fos_channel");
		if (c->e->arg && fos_cq_add(cq, fd[1], i))
			return ipc_fail(c, "fos_cq_add");
		from[i] = fd[0];
		to[i] = fd[1];
	}
	return 0;
}

static int ring_join(struct ipc *c, int side)
{
	errno = -io_uring_queue_init(MOST, &ring, 0);
	if (errno)
		return ipc_fail(c, "io_uring");
	if (fos_hold_bells(1))
		return ipc_fail(c, "fos_hold_bells");
	return channels_join(c, side);
}

static int post_all(struct ipc *c)
{
	uint64_t token;

	for (size_t i = 0; i < c->size; i++) {
		if (fos_post(from[i], c->tx, 8, &token, 0, NULL))
			return ipc_fail(c, "fos_post");
	}
	return 0;
}

/* Nobody waits for the replies: no bell is owed for them. */
static int answer_all(struct ipc *c)
{
	struct iovec iov = { .iov_base = c->rx, .iov_len = 8 };

	for (size_t i = 0; i < c->size; i++) {
		struct fos_msg m = { .iov = &iov, .iovlen = 1 };
		uint64_t token = 0;

		if (fos_recvmsg(to[i], &m, FOS_NONBLOCK, NULL) != 8)
			return ipc_fail(c, "fos_recvmsg");
		if (fos_reply(to[i], m.token, c->rx, 8))
			return ipc_fail(c, "fos_reply");
		if (fos_collect(from[i], &token, c->rx, 8, FOS_NONBLOCK, NULL) != 8)
			return ipc_fail(c, "fos_collect");
	}
	return 0;
}

static int post_call(struct ipc *c)
{
	return post_all(c) ? -1 : answer_all(c);
}

static int ring_call(struct ipc *c)
{
	if (post_all(c))
		return -1;
	if (fos_prep_bells(&ring) != (int)c->size ||
	    io_uring_submit(&ring) != (int)c->size) {
		errno = EPROTO;
		return ipc_fail(c, "fos_prep_bells");
	}
	return answer_all(c);
}

#define BELLS(n, w)							\
	.name = n,							\
	.what = w,							\
	.open = bells_open,						\
	.close = backend_close

static const struct ipc_engine bells_calls = {
	BELLS("calls", "fos_post(3), which rings by a system call"),
	.flags = IPC_ALONE | IPC_FASTOS | IPC_MODULE | IPC_BASE,
	.arg = 1,
	.join = channels_join,
	.call = post_call,
};

static const struct ipc_engine bells_ring = {
	BELLS("ring", "the same held, by fos_prep_bells(3) and one io_uring_submit(3)"),
	.flags = IPC_ALONE | IPC_FASTOS | IPC_MODULE,
	.arg = 1,
	.join = ring_join,
	.call = ring_call,
};

static const struct ipc_engine bells_silent = {
	BELLS("silent", "the same where nobody is to be rung, to be subtracted"),
	.flags = IPC_ALONE | IPC_FASTOS | IPC_MODULE,
	.join = channels_join,
	.call = post_call,
};

static const struct ipc_engine *const engines[] = {
	&bells_calls, &bells_ring, &bells_silent, NULL
};

/* ---- options ---------------------------------------------------------- */

static const struct argp_option options[] = {
	{ "sizes", 's', "N,...", 0, "requests in a batch, 1 to 64 (default: 1,8,64)",
	  0 },
	{ "cpu", 'c', "N", 0, "where it runs (default: the first that is ours)",
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
	case 's':
		parse_sizes(state, "--sizes", arg, 1, MOST);
		break;
	case 'c':
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
	.doc = "Requests to many, who each have to be rung for theirs: by a system "
	       "call each, and all of them by one, in an io_uring.\v"
	       "Exit status: 0; 1 if an engine failed; 64 for a wrong option.",
};

/* ---- the table -------------------------------------------------------- */

static void print_legend(const struct report *rep)
{
	char par[768];

	snprintf(par, sizeof(par),
		 "One request of 8 bytes to each of as many channels, which a queue of "
		 "this process is told of, and answered here. The engines took turns in "
		 "%u round%s. a bell: what is left of a request without what it takes "
		 "where nobody is rung (silent). traps: of a batch.%s%s%s",
		 rep->opt->rounds, rep->opt->rounds == 1 ? "" : "s",
		 rep->no_traps ? " Traps are n/a: " : "",
		 rep->no_traps ? rep->no_traps : "", rep->no_traps ? "." : "");
	printf("\n");
	print_wrapped(0, 0, par);
}

static void print_row(const struct report *rep, const struct cell *cell,
		      const struct row *row)
{
	const double silent = cell_median(cell, &bells_silent);
	text t[4];

	printf("  %-12s", row->e->name);
	if (!rep->opt->counts)
		printf(" %9s %5s %9s",
		       text_figure(rep, row->median / cell->size, t[0]),
		       text_percent(row->ci, row->median, t[1]),
		       text_figure(rep, (row->median - silent) / cell->size, t[2]));
	printf(" %6s\n", text_count(row->traps[CLIENT], t[3]));
}

static void print_cell(const struct report *rep, const struct cell *cell)
{
	const struct row *row[MAX_ENGINES];
	const size_t n = cell_rank(cell, rep->opt->counts, row);

	printf("\n%zu request%s in a batch, CPU %d\n", cell->size,
	       cell->size == 1 ? "" : "s", cell->cpu[CLIENT]);
	if (n && rep->opt->counts)
		printf("  %-12s %6s\n", "for a batch", "traps");
	else if (n)
		printf("  %-12s %9s %5s %9s %6s\n",
		       rep->opt->icount ? "instructions" : "us", "a request",
		       "+-%", "a bell", "traps");
	for (size_t i = 0; i < n; i++)
		print_row(rep, cell, row[i]);
	print_absent(cell);
}

static void bells_print(const struct report *rep)
{
	report_tables(rep, print_legend, print_cell);
}

int cmd_bells(int argc, char **argv)
{
	struct ipc_options opt = {
		.command = "bells",
		.size = { 1, 8, 64 },
		.sizes = 3,
		.alone = true,
		.vs = "vs_calls",
		.what = "batches",
		.print = bells_print,
	};

	compare_defaults(&opt, engines);
	if (argp_parse(&argp, argc, argv, 0, NULL, &opt))
		return 1;
	return compare(&opt);
}
