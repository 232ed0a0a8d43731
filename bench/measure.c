// SPDX-License-Identifier: MIT
/*
 * The measuring loop: one for all engines.
 *
 * Two child processes, client and server, each pinned to its CPU.  The client
 * numbers its requests in their first 8 bytes, the server returns the number;
 * both check it, and both read every byte they receive and check its sum (with
 * --touch=header: of the first message).  Whatever is measured
 * is measured by a side of itself, between two of its round trips:
 *
 *   client	warm-up | IPIs | 2 | begin | batches of round trips | end | 1 |
 *		IPIs | 1
 *   server	begin and end one round trip before and after the client's, so
 *		that it sees one more than the client and disturbs no sample
 *
 * With --depth the client does windows of so many instead.  Engines of tlb have
 * a loop of their own, in tlb_run.c.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "body.h"
#include "tlb.h"

#define ACK_BYTES	8
#define HEADER_BYTES	64
#define SETTLE		2
#define STALLED_S	20	/* no round trip for so long: it hangs */

static const char *const side_name[SIDES] = { "client", "server" };

int ipc_fail(struct ipc *c, const char *what)
{
	snprintf(c->why, WHY_LEN, "%s: %s (%s)", what, strerrorname_np(errno),
		 strerror(errno));
	return -1;
}

int ipc_skip(struct ipc *c, const char *what)
{
	snprintf(c->why, WHY_LEN, "%s", what);
	return IPC_SKIP;
}

/* ---- the loops -------------------------------------------------------- */

/* A message has come: is it the right one?  Read it. */
static inline int take(struct ipc *c)
{
	uint64_t sum;

	if (*(uint64_t *)c->rx != c->seq) {
		errno = EBADMSG;
		return ipc_fail(c, "wrong message");
	}
	sum = body_sum(c->rx, c->read);
	if (c->check && sum != c->base + c->seq * c->numbered) {
		errno = EBADMSG;
		return ipc_fail(c, "wrong bytes");
	}
	c->sum += sum;
	return 0;
}

/* Number the next message. */
static inline void make(struct ipc *c)
{
	if (c->produce)
		body_write(c->tx, c->out_len, c->side, c->seq);
	*(uint64_t *)c->tx = c->seq;
}

/*
 * Many requests, then their replies.  Who can have them in any order waits for
 * the last: the others are there then.
 */
static int client_windows(struct ipc *c, uint64_t n)
{
	const unsigned int first = c->e->flags & IPC_TOKENS ? c->depth - 1 : 0;
	unsigned int i, nth;
	uint64_t before;

	while (n--) {
		before = c->seq;
		for (i = 0; i < c->depth; i++) {
			c->seq = before + i + 1;
			make(c);
			if (c->e->post(c, i))
				return -1;
		}
		for (i = 0; i < c->depth; i++) {
			nth = (first + i) % c->depth;
			c->seq = before + nth + 1;
			if (c->e->collect(c, nth) || take(c))
				return -1;
		}
		c->seq = before + c->depth;
		*c->progress = c->seq;
	}
	return 0;
}

static int client_rounds(struct ipc *c, uint64_t n)
{
	if (c->depth > 1)
		return client_windows(c, n);
	while (n--) {
		++c->seq;
		make(c);
		if (c->e->call(c) || take(c))
			return -1;
		*c->progress = c->seq;
	}
	return 0;
}

void serve_for(const struct services *s, uint64_t turn)
{
	uint64_t ns, begin;

	if (!s->n)
		return;
	/* Fibonacci hashing: in no pattern, and the same each time. */
	ns = s->ns[(turn * 2654435769U & UINT32_MAX) * s->n >> 32];
	begin = now_ns();
	while (ns && now_ns() - begin < ns)
		continue;
}

static int server_rounds(struct ipc *c, uint64_t n)
{
	while (n--) {
		++c->seq;
		if (take(c))
			return -1;
		serve_for(c->services, c->seq);
		make(c);
		if (c->e->reply_recv(c))
			return -1;
	}
	return 0;
}

/* ---- before and after ------------------------------------------------- */

struct meter {
	int traps_fd;
	struct rusage usage;
	uint64_t cpu_ns;
};

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void meter_begin(struct meter *m)
{
	getrusage(RUSAGE_SELF, &m->usage);
	m->cpu_ns = cpu_ns();
	if (m->traps_fd >= 0)
		traps_on(m->traps_fd);
}

static void meter_end(struct meter *m, struct run_side *out, uint64_t rounds)
{
	uint64_t traps = m->traps_fd >= 0 ? traps_off(m->traps_fd) : 0;
	uint64_t cpu = cpu_ns() - m->cpu_ns;
	struct rusage now;

	getrusage(RUSAGE_SELF, &now);
	out->cpu_ns = (double)cpu / rounds;
	out->traps = (double)traps / rounds;
	out->nvcsw = (double)(now.ru_nvcsw - m->usage.ru_nvcsw) / rounds;
	out->nivcsw = (double)(now.ru_nivcsw - m->usage.ru_nivcsw) / rounds;
	out->faults = (double)(now.ru_minflt + now.ru_majflt -
			       m->usage.ru_minflt - m->usage.ru_majflt) /
		      rounds;
}

static void will_read(struct ipc *c, size_t len)
{
	c->read = len;
	c->base = body_base(len, !c->side);
	c->numbered = c->produce ? len / sizeof(uint64_t) : 1;
}

/* The first message was read as a whole. */
static void first_taken(struct ipc *c, const struct run *run)
{
	if (run->header && c->read > HEADER_BYTES)
		will_read(c, HEADER_BYTES);
}

static int client(struct ipc *c, const struct run *run, struct run_result *res)
{
	struct meter m = { .traps_fd = -1 };
	uint64_t rounds = run->batch * run->samples * run->depth;
	uint64_t before[IPI_KINDS], after[IPI_KINDS], start;

	if (run->tracepoint >= 0) {
		m.traps_fd = traps_open(run->tracepoint, c->why);
		if (m.traps_fd < 0)
			return -1;
	}
	memset(res->sample, 0, run->samples * sizeof(res->sample[0]));
	if (client_rounds(c, 1))
		return -1;
	first_taken(c, run);
	if (client_rounds(c, run->warm - 1))
		return -1;
	res->has_ipi = ipi_read(run->cpu, before);
	if (client_rounds(c, SETTLE))
		return -1;
	meter_begin(&m);
	start = now_ns();
	for (uint64_t i = 0; i < run->samples; i++) {
		uint64_t end;

		if (client_rounds(c, run->batch))
			return -1;
		end = now_ns();
		res->sample[i] = (double)(end - start) / run->batch / run->depth;
		start = end;
	}
	meter_end(&m, &res->side[CLIENT], rounds);
	if (client_rounds(c, 1))
		return -1;
	res->has_ipi = res->has_ipi && ipi_read(run->cpu, after);
	for (int i = 0; res->has_ipi && i < IPI_KINDS; i++)
		res->ipi[i] = (double)(after[i] - before[i]) /
			      ((SETTLE + 1) * run->depth + rounds);
	return client_rounds(c, 1);
}

static int server(struct ipc *c, const struct run *run, struct run_result *res)
{
	struct meter m = { .traps_fd = -1 };
	uint64_t rounds = (run->batch * run->samples + 1) * run->depth;

	if (run->tracepoint >= 0) {
		m.traps_fd = traps_open(run->tracepoint, c->why);
		if (m.traps_fd < 0)
			return -1;
	}
	if (c->e->recv(c) || server_rounds(c, 1))
		return -1;
	first_taken(c, run);
	if (server_rounds(c, (run->warm + SETTLE) * run->depth - 2))
		return -1;
	meter_begin(&m);
	if (server_rounds(c, rounds))
		return -1;
	meter_end(&m, &res->side[SERVER], rounds);
	if (server_rounds(c, run->depth))
		return -1;
	++c->seq;
	if (take(c))
		return -1;
	make(c);
	return c->e->reply(c);
}

/* ---- a side, as a process --------------------------------------------- */

/*
 * Use CPU time, so that the scheduler does not see twins.  Two processes that
 * began together and run for equally long stay level for ever, and CFS (Linux
 * before 6.6) then never lets a woken one preempt its waker; with any other
 * history it does.  Engines differ by up to 55 % between the two states.
 */
static void burn(uint64_t ns)
{
	uint64_t begin = cpu_ns();

	while (cpu_ns() - begin < ns)
		continue;
}

static int prepare(struct ipc *c, int side, const struct run *run)
{
	size_t room;

	if (pin(run->cpu[side]))
		return ipc_fail(c, "sched_setaffinity");
	c->side = side;
	c->produce = run->produce;
	c->services = run->services;
	c->check = !(c->e->flags & (IPC_ALONE | IPC_NULL));
	c->out_len = run->oneway && side == SERVER ? ACK_BYTES : c->size;
	c->in_len = run->oneway && side == CLIENT && c->check ? ACK_BYTES :
		    c->size;
	will_read(c, c->in_len);
	/* In place, an engine brings the room for bodies. */
	room = c->check && !c->e->copies ? PAGE : (c->size + PAGE - 1) & -PAGE;
	c->tx = aligned_alloc(PAGE, room);
	c->rx = aligned_alloc(PAGE, room);
	if (!c->tx || !c->rx)
		return ipc_fail(c, "aligned_alloc");
	body_write(c->tx, c->size < room ? c->size : room, side, 0);
	memset(c->rx, 0, room);
	if (side == SERVER)
		burn(run->lead_ns);
	return c->e->join ? c->e->join(c, side) : 0;
}

static void __attribute__((noreturn))
side_main(struct ipc *c, int side, const struct run *run,
	  struct run_result *res, pid_t parent)
{
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	c->why = res->side[side].why;
	c->progress = &res->progress;
	ret = prepare(c, side, run);
	if (!ret)
		ret = c->e->again ? tlb_client(c, run, res) :
		      side == CLIENT ? client(c, run, res) :
				       server(c, run, res);
	res->side[side].sum = c->sum;
	_exit(ret ? 1 : 0);
}

/* ---- somebody else, who never sleeps ---------------------------------- */

static pid_t hog_start(int cpu)
{
	pid_t self = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != self || pin(cpu))
		_exit(1);
	for (;;)
		__asm__ volatile("");
}

static void hog_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- the parent ------------------------------------------------------- */

static void kill_both(const pid_t pid[SIDES])
{
	for (int side = 0; side < SIDES; side++) {
		if (pid[side] > 0)
			kill(pid[side], SIGKILL);
	}
}

static void failed(struct run_result *res, int side, int status)
{
	if (res->status == RUN_FAILED)
		return;		/* the first reason is the cause */
	res->status = RUN_FAILED;
	if (WIFSIGNALED(status))
		snprintf(res->why, sizeof(res->why), "%s killed by SIG%s",
			 side_name[side], sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(res->why, sizeof(res->why), "%s: %s", side_name[side],
			 res->side[side].why);
}

/* Wait for both; when one fails or both stand still, kill the rest. */
static void wait_both(pid_t pid[SIDES], struct run_result *res)
{
	const struct timespec patience = { .tv_sec = STALLED_S };
	volatile uint64_t *progress = &res->progress;
	uint64_t seen = 0;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (;;) {
		for (int side = 0; side < SIDES; side++) {
			int status;

			if (pid[side] <= 0 ||
			    waitpid(pid[side], &status, WNOHANG) <= 0)
				continue;
			pid[side] = 0;
			if (!status)
				continue;
			failed(res, side, status);
			kill_both(pid);
		}
		if (pid[CLIENT] <= 0 && pid[SERVER] <= 0)
			return;
		if (sigtimedwait(&chld, NULL, &patience) >= 0 ||
		    errno != EAGAIN)
			continue;
		if (*progress == seen && res->status != RUN_FAILED) {
			res->status = RUN_FAILED;
			snprintf(res->why, sizeof(res->why),
				 "no round trip for %d s, after %llu",
				 STALLED_S, (unsigned long long)seen);
			kill_both(pid);
		}
		seen = *progress;
	}
}

/* And SIGCHLD is waited for from now on. */
struct run_result *run_alloc(void)
{
	sigset_t chld;
	void *res = mmap(NULL, sizeof(struct run_result),
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	return res == MAP_FAILED ? NULL : res;
}

void run_free(struct run_result *res)
{
	if (res)
		munmap(res, sizeof(*res));
}

void run_once(const struct run *run, struct run_result *res)
{
	struct ipc c = {
		.e = run->e,
		.cpu = run->cpu,
		.sibling = run->sibling,
		.siblings = run->siblings,
		.size = run->size,
		.depth = run->depth,
		.fd = { -1, -1, -1, -1 },
		.why = res->why,
	};
	pid_t pid[SIDES] = { 0, 0 }, self = getpid(), hog = 0;
	int ret;

	memset(res, 0, offsetof(struct run_result, sample));
	if ((run->e->flags & IPC_TWO_CPUS) &&
	    run->cpu[CLIENT] == run->cpu[SERVER])
		ret = ipc_skip(&c, "needs two CPUs");
	else if (run->e->most && run->size > run->e->most)
		ret = ipc_skip(&c, run->e->again ?
			       "takes too long with as many pages" :
			       "takes no body as large as this");
	else if (run->depth > 1 && !run->e->post)
		ret = ipc_skip(&c, "one request at a time");
	else
		ret = run->e->open(&c);
	if (ret) {
		res->status = ret == IPC_SKIP ? RUN_SKIPPED : RUN_FAILED;
	} else {
		int last = run->e->flags & IPC_ALONE ? CLIENT : SERVER;

		if (run->hog)
			hog = hog_start(run->cpu[CLIENT]);
		for (int side = last; side >= CLIENT; side--) {
			pid[side] = fork();
			if (!pid[side])
				side_main(&c, side, run, res, self);
			if (pid[side] < 0) {
				res->status = RUN_FAILED;
				ipc_fail(&c, "fork");
				kill_both(pid);
				break;
			}
		}
		wait_both(pid, res);
		hog_stop(hog);
	}
	run->e->close(&c);
}
