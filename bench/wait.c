// SPDX-License-Identifier: MIT
/* fosbench wait: what each policy of waiting pays for the same waits. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "wait.h"

#define MAX_TRACES	64
#define SHARE	10	/* percent, of the time */

struct wait_options {
	const char *trace[MAX_TRACES];
	size_t traces;
	bool pair;		/* the two who wait for each other, too */
	size_t waits;
	uint64_t wake_ns;
	const char *json;
	const char *record;
	int cpu[SIDES];
	struct services services;
};

/* ---- options ---------------------------------------------------------- */

enum { O_RECORD = 256, O_SERVICE };

static const struct argp_option options[] = {
	{ "trace", 't', "SHAPE|FILE", 0, "replay this one; may be repeated "
	  "(default: every shape, and two who wait for each other). A file has "
	  "a wait in each line, in ns", 0 },
	{ "list", 'l', NULL, 0, "shapes and policies, a line each", 0 },
	{ "waits", 'n', "N", 0, "of a shape, or to record (default: 100000)",
	  0 },
	{ "wake", 'w', "NS", 0, "B, what a sleep and its wake-up cost, in ns "
	  "(default: 50000, as on a virtual machine)", 0 },
	{ "json", 'j', "FILE", 0, "write the figures to FILE as well", 0 },
	{ "record", O_RECORD, "FILE", 0, "do not replay: write real waits of "
	  "this machine to FILE", 0 },
	{ "service", O_SERVICE, "US,...", 0, "with --record: how long the "
	  "server works for a request, one of these each time (default: 2)",
	  0 },
	{ "cpus", 'c', "A,B", 0, "with --record: of client and server "
	  "(default: the first two)", 0 },
	{ 0 }
};

static _Noreturn void list(void)
{
	printf("shapes, in multiples of B:\n");
	for (size_t i = 0; i < WAIT_SHAPES; i++)
		printf("  %-18s %s\n", wait_shapes[i].name,
		       wait_shapes[i].what);
	printf("policies:\n");
	for (size_t i = 0; i < WAIT_POLICIES; i++)
		printf("  %-18s %s\n", wait_policies[i].name,
		       wait_policies[i].what);
	exit(0);
}

static void complete(struct argp_state *state, struct wait_options *opt)
{
	if (!opt->record && (opt->services.n || opt->cpu[CLIENT] >= 0))
		argp_error(state, "--service and --cpus go with --record");
	if (!opt->services.n)
		opt->services = (struct services) { .ns = { 2000 }, .n = 1 };
	if (opt->cpu[CLIENT] < 0)
		first_pair(opt->cpu);
	if (opt->record && opt->cpu[CLIENT] == opt->cpu[SERVER])
		argp_error(state, "--record polls on two CPUs, and here is one");
	if (opt->traces || opt->record)
		return;
	opt->pair = true;
	for (size_t i = 0; i < WAIT_SHAPES; i++)
		opt->trace[opt->traces++] = wait_shapes[i].name;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct wait_options *opt = state->input;

	switch (key) {
	case 't':
		if (opt->traces == MAX_TRACES)
			argp_error(state, "more than %d traces", MAX_TRACES);
		opt->trace[opt->traces++] = arg;
		break;
	case 'l':
		list();
	case 'n':
		opt->waits = parse_number(state, arg, "--waits", 1, 100000000);
		break;
	case 'w':
		opt->wake_ns = parse_number(state, arg, "--wake", 1, 1000000000);
		break;
	case 'j':
		opt->json = arg;
		break;
	case O_RECORD:
		opt->record = arg;
		break;
	case O_SERVICE:
		parse_services(state, arg, &opt->services);
		break;
	case 'c':
		parse_pair(state, arg, opt->cpu);
		break;
	case ARGP_KEY_END:
		complete(state, opt);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Replay waits through policies of how long to poll before "
	       "sleeping, and tell what each pays.\v"
	       "The figures are the same each time. Exit status: 0; 1 if a "
	       "file cannot be read or written; 64 for a wrong option.",
};

/* ---- traces ----------------------------------------------------------- */

static int fill_from_shape(struct wait_trace *t, const struct wait_shape *shape,
			   const struct wait_options *opt)
{
	t->ns = malloc(opt->waits * sizeof(*t->ns));
	if (!t->ns)
		return -1;
	t->what = shape->what;
	t->stationary = shape->stationary;
	t->own = shape->own;
	t->n = opt->waits;
	shape->fill(t->ns, t->n, opt->wake_ns);
	return 0;
}

/* A number of ns, and what follows on its line is let be; # is a comment. */
static int add_line(struct wait_trace *t, const char *line, size_t *room)
{
	uint64_t *more;
	char *end;
	uint64_t ns;

	line += strspn(line, " \t");
	if (*line == '#' || *line == '\n' || !*line)
		return 0;
	errno = 0;
	ns = strtoull(line, &end, 10);
	if (errno || end == line || *line == '-' || !strchr(" \t\n,", *end)) {
		errno = EINVAL;
		return -1;
	}
	if (t->n == *room) {
		*room = *room ? 2 * *room : 4096;
		more = realloc(t->ns, *room * sizeof(*more));
		if (!more)
			return -1;
		t->ns = more;
	}
	t->ns[t->n++] = ns ? ns : 1;
	return 0;
}

static int fill_from_file(struct wait_trace *t, const char *path)
{
	FILE *f = fopen(path, "re");
	size_t room = 0, len = 0, lines = 0;
	char *line = NULL;
	int ret = 0;

	if (!f) {
		fprintf(stderr, "fosbench: %s is no shape (--list), and as a "
			"file: %m\n", path);
		return -1;
	}
	t->what = "recorded";
	while (!ret && getline(&line, &len, f) >= 0) {
		ret = add_line(t, line, &room);
		lines++;
	}
	if (!ret && (ferror(f) || !t->n)) {
		errno = ferror(f) ? errno : ENODATA;
		ret = -1;
	}
	if (ret)
		fprintf(stderr, "fosbench: %s, line %zu: %m\n", path, lines);
	free(line);
	fclose(f);
	return ret;
}

static int by_length(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Those who know: each wait when it begins, or how all of them will be. */
static int price(struct wait_trace *t, uint64_t wake_ns)
{
	uint64_t *sorted = malloc(t->n * sizeof(*sorted));
	double polled = 0, cost;

	if (!sorted)
		return -1;
	memcpy(sorted, t->ns, t->n * sizeof(*sorted));
	qsort(sorted, t->n, sizeof(*sorted), by_length);
	t->fixed = (double)t->n * wake_ns;
	for (size_t i = 0; i < t->n; i++) {
		t->clairvoyant += fmin(sorted[i], wake_ns);
		polled += sorted[i];
		cost = polled + (t->n - i - 1.) * (sorted[i] + wake_ns);
		if (cost < t->fixed) {
			t->fixed = cost;
			t->fixed_ns = sorted[i];
		}
	}
	free(sorted);
	return 0;
}

static const struct wait_shape *shape_named(const char *name)
{
	for (size_t i = 0; i < WAIT_SHAPES; i++) {
		if (!strcmp(name, wait_shapes[i].name))
			return &wait_shapes[i];
	}
	return NULL;
}

static int get_trace(struct wait_trace *t, const char *name,
		     const struct wait_options *opt)
{
	const struct wait_shape *shape = shape_named(name);

	*t = (struct wait_trace) { .name = name };
	if (!shape)
		return fill_from_file(t, name) ? -1 : price(t, opt->wake_ns);
	if (!fill_from_shape(t, shape, opt))
		return price(t, opt->wake_ns);
	fprintf(stderr, "fosbench: no memory\n");
	return -1;
}

static void replay(const struct wait_trace *t, uint64_t wake_ns,
		   struct wait_bill bill[WAIT_POLICIES])
{
	struct wait_state state;

	for (size_t p = 0; p < WAIT_POLICIES; p++) {
		bill[p] = (struct wait_bill) { 0 };
		wait_begin(&wait_policies[p], &state, wake_ns);
		for (size_t i = 0; i < t->n; i++)
			wait_until(&wait_policies[p], &state, t->ns[i], 0,
				   &bill[p]);
	}
}

/* ---- what is told ----------------------------------------------------- */

/* All but fastos, the first. */
static size_t best_other(const struct wait_bill bill[WAIT_POLICIES])
{
	size_t best = 1;

	for (size_t p = 2; p < WAIT_POLICIES; p++) {
		if (bill[p].cost < bill[best].cost)
			best = p;
	}
	return best;
}

static void print_head(const struct wait_options *opt)
{
	char par[1024];

	printf("%s, wait\n\n", argp_program_version);
	snprintf(par, sizeof(par), "A wait that is polled for to its end costs "
		 "its length; one that sleeps costs what was polled in vain "
		 "and B = %.1f us, what a sleep and its wake-up cost. "
		 "clairvoyant: who knows each wait when it begins. fixed: the "
		 "best threshold that never changes, in hindsight. The same "
		 "waits, and so the same figures, each time.",
		 opt->wake_ns / 1e3);
	print_wrapped(0, 0, par);
}

static void print_trace(const struct wait_trace *t,
			const struct wait_bill bill[WAIT_POLICIES])
{
	text a, b, c;

	printf("\n%s: %zu waits, %s\n", t->name, t->n, t->what);
	printf("  clairvoyant %s us a wait; fixed %s us, polling for %s us\n",
	       text_us(t->clairvoyant / t->n, a), text_us(t->fixed / t->n, b),
	       text_us(t->fixed_ns, c));
	printf("  %-12s %10s %12s %8s %11s %8s\n", "us a wait", "paid",
	       "x clairvoyant", "x fixed", "polled", "slept");
	for (size_t p = 0; p < WAIT_POLICIES; p++)
		printf("  %-12s %10s %13.3f %8.3f %11s %7.1f%%\n",
		       wait_policies[p].name, text_us(bill[p].cost / t->n, a),
		       bill[p].cost / t->clairvoyant, bill[p].cost / t->fixed,
		       text_us(bill[p].polled / t->n, b),
		       100. * bill[p].slept / t->n);
}

static void print_short_head(void)
{
	printf("\nIn short: fastos\n  %-18s %13s %8s   %s\n", "trace",
	       "x clairvoyant", "x fixed", "x the best other");
}

static void print_short(const struct wait_trace *t,
			const struct wait_bill bill[WAIT_POLICIES])
{
	const size_t other = best_other(bill);

	printf("  %-18s %13.3f %8.3f   %.3f of %s%s\n", t->name,
	       bill[0].cost / t->clairvoyant, bill[0].cost / t->fixed,
	       bill[0].cost / bill[other].cost, wait_policies[other].name,
	       t->own ? "; made against fastos" : "");
}

static json_t *print_pair(const struct wait_kind *kind, uint64_t wake_ns)
{
	json_t *list = json_array();
	struct wait_pair pair;
	text a, b;

	printf("\n%s: a client and a server who wait for each other; %d requests "
	       "of 3 B, then %d of B/25;\n  %s\n", kind->name, PAIR_LONG,
	       PAIR_SHORT, kind->what);
	printf("  %-12s %10s %12s %27s\n", "us a request", "paid", "it took",
	       "sleeps of the last 1,000");
	for (size_t p = 0; p < WAIT_POLICIES; p++) {
		wait_pair(&wait_policies[p], kind, wake_ns, &pair);
		printf("  %-12s %10s %12s %27zu\n", wait_policies[p].name,
		       text_us(pair.bill.cost / (PAIR_LONG + PAIR_SHORT), a),
		       text_us(pair.ns, b), pair.in_the_end);
		json_array_append_new(list, json_pack(
			"{s:s, s:f, s:f, s:I}", "name", wait_policies[p].name,
			"paid", pair.bill.cost / (PAIR_LONG + PAIR_SHORT),
			"took", pair.ns,
			"in_the_end", (json_int_t)pair.in_the_end));
	}
	return json_pack("{s:s, s:s, s:o}", "name", kind->name, "what",
			 kind->what, "policies", list);
}

static json_t *print_pairs(uint64_t wake_ns)
{
	json_t *list = json_array();

	for (size_t i = 0; i < WAIT_KINDS; i++)
		json_array_append_new(list, print_pair(&wait_kinds[i],
						       wake_ns));
	return list;
}

static double print_share(uint64_t wake_ns)
{
	const double polled = wait_share(SHARE, wake_ns);

	printf("A share of %d %% of the time (spin_share), waits of B / 2 without end: "
	       "fastos polls %.1f %%.\n\n", SHARE, polled);
	return polled;
}

static json_t *print_dearer(uint64_t wake_ns)
{
	struct wait_dearer d;

	wait_dearer(wake_ns, &d);
	printf("Waits of 2 B, while a sleep costs 5 B, and then B again: of the last "
	       "%d of %d each\nfastos sleeps in %u, and in %u.\n", DEARER_END,
	       DEARER_WAITS, d.dear, d.cheap);
	printf("Waits of 5/6 B for a peer, while others are after the CPU, and then "
	       "alone: in %u, and in %u.\n\n", d.crowded, d.alone);
	return json_pack("{s:i, s:i, s:i, s:i}", "dear", d.dear, "cheap", d.cheap,
			 "crowded", d.crowded, "alone", d.alone);
}

static json_t *trace_json(const struct wait_trace *t,
			  const struct wait_bill bill[WAIT_POLICIES])
{
	json_t *list = json_array();

	for (size_t p = 0; p < WAIT_POLICIES; p++)
		json_array_append_new(list, json_pack(
			"{s:s, s:f, s:f, s:f, s:f, s:I}",
			"name", wait_policies[p].name,
			"paid", bill[p].cost / t->n,
			"x_clairvoyant", bill[p].cost / t->clairvoyant,
			"x_fixed", bill[p].cost / t->fixed,
			"polled", bill[p].polled / t->n,
			"slept", (json_int_t)bill[p].slept));
	return json_pack("{s:s, s:s, s:b, s:b, s:I, s:f, s:f, s:I, s:o}",
			 "name", t->name, "what", t->what,
			 "stationary", t->stationary, "own", t->own,
			 "waits", (json_int_t)t->n,
			 "clairvoyant", t->clairvoyant / t->n,
			 "fixed", t->fixed / t->n,
			 "fixed_ns", (json_int_t)t->fixed_ns,
			 "policies", list);
}

/* ---- all -------------------------------------------------------------- */

static int run_wait(const struct wait_options *opt, FILE *json)
{
	struct wait_bill (*bill)[WAIT_POLICIES] =
		calloc(opt->traces, sizeof(*bill));
	struct wait_trace *trace = calloc(opt->traces, sizeof(*trace));
	json_t *list = json_array(), *pairs = NULL, *dearer = NULL;
	double share = 0;
	int status = !bill || !trace;

	for (size_t i = 0; i < opt->traces && !status; i++)
		status = get_trace(&trace[i], opt->trace[i], opt) ? 1 : 0;
	if (!status)
		print_head(opt);
	progress_begin(opt->traces, false);
	for (size_t i = 0; i < opt->traces && !status; i++) {
		progress_step("%s", trace[i].name);
		replay(&trace[i], opt->wake_ns, bill[i]);
		print_trace(&trace[i], bill[i]);
		json_array_append_new(list, trace_json(&trace[i], bill[i]));
	}
	progress_end();
	if (!status && opt->pair) {
		pairs = print_pairs(opt->wake_ns);
		share = print_share(opt->wake_ns);
		dearer = print_dearer(opt->wake_ns);
	}
	if (!status)
		print_short_head();
	for (size_t i = 0; i < opt->traces && !status; i++)
		print_short(&trace[i], bill[i]);
	if (json && json_write(json_pack("{s:s, s:s, s:i, s:s, s:I, s:O, s:O?, s:O?, s:f}",
					 "program", argp_program_version,
					 "command", "wait", "format", 1,
					 "unit", "ns", "wake_ns",
					 (json_int_t)opt->wake_ns, "traces",
					 list, "pairs", pairs, "slept_of_1000",
					 dearer,
					 "share_polled", share), json)) {
		perror(opt->json);
		status = 1;
	}
	for (size_t i = 0; trace && i < opt->traces; i++)
		free(trace[i].ns);
	json_decref(list);
	json_decref(pairs);
	json_decref(dearer);
	free(trace);
	free(bill);
	return status;
}

static int run_record(const struct wait_options *opt)
{
	if (wait_record(opt->record, opt->waits, opt->cpu, &opt->services)) {
		perror(opt->record);
		return 1;
	}
	printf("%zu waits in %s; to replay them: fosbench wait --trace %s\n",
	       opt->waits, opt->record, opt->record);
	return 0;
}

int cmd_wait(int argc, char **argv)
{
	struct wait_options opt = {
		.waits = 100000,
		.wake_ns = 50000,
		.cpu = { -1, -1 },
	};
	FILE *json;

	if (argp_parse(&argp, argc, argv, 0, NULL, &opt))
		return 1;
	if (opt.record)
		return run_record(&opt);
	return json_create(opt.json, &json) ? run_wait(&opt, json) : 1;
}
