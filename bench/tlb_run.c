// SPDX-License-Identifier: MIT
/*
 * The measuring loop of tlb: a batch of pages is downgraded, which is timed, and
 * upgraded again, with a store to each, which is timed apart.  Siblings, threads
 * on CPUs of their own, store to the pages between all the while; a batch begins
 * when each of them was seen to run, so that there is somebody to interrupt.
 *
 * Events are counted in a run of their own, around each phase, since reading the
 * counters costs more than a batch.  Interrupts have many causes: those of as
 * long a time in which we do nothing are subtracted.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tlb.h"

/* Pages that a sibling stores to in turn: what its TLB holds with ease. */
#define SIBLING_PAGES	32UL

/* ---- memory ----------------------------------------------------------- */

int tlb_map(struct ipc *c, int flags)
{
	c->shm_len = tlb_bytes(c);
	c->shm = mmap(NULL, c->shm_len, PROT_READ | PROT_WRITE,
		      flags | MAP_ANONYMOUS, -1, 0);
	if (c->shm == MAP_FAILED) {
		c->shm = NULL;
		return ipc_fail(c, "mmap");
	}
	/* Kernels without huge pages refuse, rightly. */
	(void)madvise(c->shm, c->shm_len, MADV_NOHUGEPAGE);
	return 0;
}

/* ---- siblings --------------------------------------------------------- */

static struct sibling {
	_Alignas(64) atomic_ulong stores;
	const struct ipc *c;
	unsigned int nth;
} sibling[MAX_SIBLINGS];

static void *sibling_main(void *arg)
{
	struct sibling *s = arg;
	const struct ipc *c = s->c;
	size_t pages = tlb_bytes(c) / PAGE / STRIDE;
	size_t each = pages / c->siblings, first = s->nth * each;

	(void)pin(c->sibling[s->nth]);
	if (each > SIBLING_PAGES)
		each = SIBLING_PAGES;
	for (size_t i = 0; ; i = i + 1 == each ? 0 : i + 1) {
		++*(volatile uint64_t *)tlb_neighbour(c, first + i);
		atomic_fetch_add_explicit(&s->stores, 1, memory_order_relaxed);
	}
	return NULL;
}

/* Exit ends them. */
static int siblings_start(struct ipc *c)
{
	for (unsigned int i = 0; i < c->siblings; i++) {
		pthread_t thread;

		sibling[i].c = c;
		sibling[i].nth = i;
		errno = pthread_create(&thread, NULL, sibling_main,
				       &sibling[i]);
		if (errno)
			return ipc_fail(c, "pthread_create");
	}
	return 0;
}

/* Only who runs is interrupted. */
static void siblings_run(const struct ipc *c)
{
	for (unsigned int i = 0; i < c->siblings; i++) {
		unsigned long before = atomic_load(&sibling[i].stores);

		while (atomic_load(&sibling[i].stores) == before)
			__builtin_ia32_pause();
	}
}

/* ---- does it do what it is for? --------------------------------------- */

int tlb_wrong(struct ipc *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, WHY_LEN, fmt, ap);
	va_end(ap);
	return -1;
}

static sigjmp_buf refused;
static _Thread_local volatile sig_atomic_t trying;

/* Of a sibling, or where nothing was tried, it is what it always is. */
static void on_refusal(int sig)
{
	if (trying)
		siglongjmp(refused, 1);
	signal(sig, SIG_DFL);
}

static bool takes_store(char *page)
{
	volatile bool taken = false;

	if (!sigsetjmp(refused, 1)) {
		trying = true;
		*(volatile char *)page = 1;
		taken = true;
	}
	trying = false;
	return taken;
}

int tlb_refuses(struct ipc *c)
{
	struct sigaction sa = { .sa_handler = on_refusal }, was[2];
	size_t i, taken = 0, kept = 0;

	sigaction(SIGSEGV, &sa, &was[0]);
	sigaction(SIGBUS, &sa, &was[1]);
	for (i = 0; i < c->size; i++) {
		taken += takes_store(tlb_page(c, i));
		kept += takes_store(tlb_neighbour(c, i));
	}
	sigaction(SIGSEGV, &was[0], NULL);
	sigaction(SIGBUS, &was[1], NULL);
	if (taken)
		return tlb_wrong(c, "no downgrade: %zu of %zu pages took a "
				 "store after it", taken, c->size);
	if (kept != c->size)
		return tlb_wrong(c, "downgraded too much: %zu of %zu pages "
				 "beside it refused a store", c->size - kept,
				 c->size);
	return 0;
}

static int checked_batch(struct ipc *c)
{
	if (c->e->call(c))
		return -1;
	if (c->e->check && c->e->check(c))
		return -1;
	return c->e->again(c);
}

/* ---- time ------------------------------------------------------------- */

static int timed(struct ipc *c, const struct run *run, struct run_result *res)
{
	double down = 0, again = 0;

	for (uint64_t i = 0; i < run->samples; i++) {
		uint64_t sum = 0, begin, end;

		for (uint64_t j = 0; j < run->batch; j++) {
			siblings_run(c);
			begin = now_ns();
			if (c->e->call(c))
				return -1;
			end = now_ns();
			if (c->e->again(c))
				return -1;
			again += now_ns() - end;
			sum += end - begin;
			*c->progress = ++c->seq;
		}
		res->sample[i] = (double)sum / run->batch;
		down += sum;
	}
	res->side[DOWN].cpu_ns = down / run->batch / run->samples;
	res->side[AGAIN].cpu_ns = again / run->batch / run->samples;
	return 0;
}

/* ---- events ----------------------------------------------------------- */

/* Of all threads; those of siblings are part of the price. */
static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* Interrupts of a batch, less those of as long a time before it. */
struct interrupts {
	bool known;
	int64_t sum[IPI_KINDS];
	uint64_t before[IPI_KINDS];
};

static void interrupts_add(struct interrupts *n, int sign)
{
	uint64_t now[IPI_KINDS];

	n->known = n->known && ipi_read(NULL, now);
	for (int i = 0; n->known && i < IPI_KINDS; i++)
		n->sum[i] += sign * (int64_t)(now[i] - n->before[i]);
}

static void idle_as_long(struct interrupts *n, uint64_t ns)
{
	uint64_t begin;

	n->known = n->known && ipi_read(NULL, n->before);
	begin = now_ns();
	while (now_ns() - begin < ns)
		continue;
	interrupts_add(n, -1);
}

/* Each traps_off() counted one more, but for the last. */
static double traps_sum(uint64_t last, uint64_t times)
{
	return last + 1 > times ? last + 1 - times : 0;
}

static int counted_batch(struct ipc *c, const int fd[SIDES],
			 struct interrupts *n, uint64_t *ns, long fault[SIDES],
			 uint64_t trap[SIDES])
{
	long before;

	siblings_run(c);
	before = faults();
	n->known = n->known && ipi_read(NULL, n->before);
	*ns = now_ns();
	traps_on(fd[DOWN]);
	if (c->e->call(c))
		return -1;
	trap[DOWN] = traps_off(fd[DOWN]);
	*ns = now_ns() - *ns;
	interrupts_add(n, 1);
	fault[DOWN] += faults() - before;
	before = faults();
	traps_on(fd[AGAIN]);
	if (c->e->again(c))
		return -1;
	trap[AGAIN] = traps_off(fd[AGAIN]);
	fault[AGAIN] += faults() - before;
	*c->progress = ++c->seq;
	return 0;
}

static int counted(struct ipc *c, const struct run *run,
		   struct run_result *res)
{
	uint64_t times = run->batch * run->samples, ns = 0;
	uint64_t trap[SIDES] = { 0, 0 };
	struct interrupts n = { .known = true };
	long fault[SIDES] = { 0, 0 };
	int fd[SIDES] = { -1, -1 };

	for (int i = 0; run->tracepoint >= 0 && i < SIDES; i++) {
		fd[i] = traps_open(run->tracepoint, c->why);
		if (fd[i] < 0)
			return -1;
	}
	for (uint64_t i = 0; i < times; i++) {
		idle_as_long(&n, ns);
		if (counted_batch(c, fd, &n, &ns, fault, trap))
			return -1;
	}
	for (int i = 0; i < SIDES; i++) {
		res->side[i].faults = (double)fault[i] / times;
		res->side[i].traps = fd[i] < 0 ? NAN :
				     traps_sum(trap[i], times) / times;
	}
	res->has_ipi = n.known;
	for (int i = 0; i < IPI_KINDS; i++)
		res->ipi[i] = n.sum[i] < 0 ? 0 : (double)n.sum[i] / times;
	return 0;
}

/* ---- all -------------------------------------------------------------- */

int tlb_client(struct ipc *c, const struct run *run, struct run_result *res)
{
	memset(c->shm, 1, c->shm_len);
	if (siblings_start(c) || checked_batch(c))
		return -1;
	for (uint64_t i = 0; i < run->warm; i++) {
		if (c->e->call(c) || c->e->again(c))
			return -1;
		*c->progress = ++c->seq;
	}
	if (run->counting ? counted(c, run, res) : timed(c, run, res))
		return -1;
	return checked_batch(c);
}
