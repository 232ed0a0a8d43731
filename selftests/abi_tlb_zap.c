// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages out of everybody's reach, and pages whose content is dropped: nothing is
 * loaded or stored after return, all ranges cost one shootdown, counters of mapped
 * memory stay right, and nobody ever sees what is not his.
 *
 * cpus: 4
 * budget: 600 s
 */
#include <limits.h>
#include <sys/uio.h>

#include "writers.h"
#include "kselftest_harness.h"

FIXTURE(zap) {
	int fd;
	char *base;
	struct stage *stage;
	struct writer w[WRITERS_MAX];
	bool one_round;
};

FIXTURE_SETUP(zap)
{
	struct fos_core_query q = {};

	if (online_cpus() < 2)
		SKIP(return, "one CPU has nobody to shoot at");
	self->stage = set_stage(&self->fd, &self->base);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(0, ioctl(self->fd, FOS_IOC_CORE_QUERY, &q));
	self->one_round = q.features & FOS_FEAT_TLB_ZAP;
}

FIXTURE_TEARDOWN(zap)
{
}

static int scatter(int fd, int pages, uint32_t rights)
{
	return protect_scattered(fd, 0, STEP, pages, rights, NULL);
}

/* ---- the proof -------------------------------------------------------- */

/* Pages in a pipe can be read when nobody can reach them: twice, with a copy. */
struct window {
	int page[2];
	int copy[2];
};

#define SEEN	16

static bool open_window(struct window *w, char *base)
{
	struct iovec v[SEEN];
	int i;

	for (i = 0; i < SEEN; i++)
		v[i] = (struct iovec) { page_at(base, i), PAGE };
	return !pipe(w->page) && !pipe(w->copy) &&
	       vmsplice(w->page[1], v, SEEN, 0) == SEEN * (long)PAGE &&
	       tee(w->page[0], w->copy[1], SEEN * PAGE, 0) == SEEN * (long)PAGE;
}

static bool look(int fd, uint64_t words[SEEN][PAGE / 8])
{
	char *to = (char *)words;
	long n, all = 0;

	for (; all < SEEN * (long)PAGE; all += n) {
		n = read(fd, to + all, SEEN * PAGE - all);
		if (n <= 0)
			return false;
	}
	return true;
}

static void close_window(struct window *w)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(w->page[i]);
		close(w->copy[i]);
	}
}

/* How many words change meanwhile; -1: nothing was seen. */
static long changes(struct window *w, int writers)
{
	static uint64_t then[SEEN][PAGE / 8], now[SEEN][PAGE / 8];
	long moved = 0;
	int i, k;

	if (!look(w->copy[0], then))
		return -1;
	nap_us(10000);
	if (!look(w->page[0], now))
		return -1;
	for (i = 0; i < SEEN; i++)
		for (k = 0; k < writers; k++)
			moved += then[i][k] != now[i][k];
	return moved;
}

/* Stores that landed after pages were out of reach, or their content dropped. */
static long land_after(int fd, char *base, struct stage *s, int writers,
		       uint32_t rights, long n)
{
	long landed = 0, moved, i;
	struct window w;
	int ret;

	for (i = 0; i < n; i++) {
		if (scatter(fd, SEEN, RIGHTS_RW) || !are_under_way(s, writers) ||
		    !open_window(&w, base))
			return -1;
		ret = scatter(fd, SEEN, rights);
		moved = changes(&w, writers);
		close_window(&w);
		/* Who is in the window has references. */
		if (moved < 0 || ret != (rights ? 0 : -EBUSY))
			return -2;
		landed += moved;
	}
	return landed;
}

TEST_F_TIMEOUT(zap, no_store_lands_after_access_is_taken, 300)
{
	struct stage *s = self->stage;
	int n = start_writers(self->w, s, self->base, SEEN, IN_A_LOOP);

	EXPECT_EQ(0, land_after(self->fd, self->base, s, n, 0, rounds(40)));
	stop_writers(self->w, n);
}

TEST_F_TIMEOUT(zap, no_store_lands_after_content_is_dropped, 300)
{
	struct stage *s = self->stage;
	int n = start_writers(self->w, s, self->base, SEEN, IN_A_LOOP), i;

	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, land_after(self->fd, self->base, s, n,
					i ? FOS_TLB_RECYCLE : FOS_TLB_DISCARD,
					rounds(40)));
	stop_writers(self->w, n);
}

struct reader {
	struct stage *stage;
	char *base;
	int nth;
	pthread_t thread;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	int i = 0;

	pin_cpu(r->nth + 1);
	while (!__atomic_load_n(&r->stage->stop, __ATOMIC_RELAXED))
		if (!load_at(page_at(r->base, i++ % 16)))
			__atomic_fetch_add(&r->stage->on[r->nth], 1,
					   __ATOMIC_RELEASE);
	return NULL;
}

static uint64_t sum_of(const uint64_t *on, int n)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += __atomic_load_n(&on[i], __ATOMIC_ACQUIRE);
	return sum;
}

TEST_F_TIMEOUT(zap, no_load_succeeds_after_access_is_taken, 300)
{
	struct stage *s = self->stage;
	const int n = online_cpus() - 1;
	struct reader r[WRITERS_MAX];
	uint64_t then;
	long i;
	int k;

	pin_cpu(0);
	for (k = 0; k < n; k++) {
		r[k] = (struct reader) { s, self->base, k, 0 };
		pthread_create(&r[k].thread, NULL, read_on, &r[k]);
	}
	for (i = 0; i < rounds(40); i++) {
		ASSERT_EQ(0, scatter(self->fd, 16, RIGHTS_RW));
		ASSERT_TRUE(are_under_way(s, n));
		k = scatter(self->fd, 16, 0);
		then = sum_of(s->on, n);
		ASSERT_TRUE(!k || k == -EBUSY);
		nap_us(10000);
		/* One each may have loaded before, and counted after. */
		EXPECT_GE(then + n, sum_of(s->on, n));
	}
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
	for (k = 0; k < n; k++)
		pthread_join(r[k].thread, NULL);
}

/* ---- rounds ----------------------------------------------------------- */

FIXTURE(price) {
	struct stage *stage;
	struct writer w[WRITERS_MAX];
	int fd;
	char *base;
};

FIXTURE_VARIANT(price) {
	uint32_t rights;
};

FIXTURE_VARIANT_ADD(price, of_no_access) { 0 };
FIXTURE_VARIANT_ADD(price, of_discarding) { FOS_TLB_DISCARD | RIGHTS_RW };
FIXTURE_VARIANT_ADD(price, of_recycling) { FOS_TLB_RECYCLE | RIGHTS_RW };

FIXTURE_SETUP(price)
{
	struct fos_core_query q = {};

	if (online_cpus() < 2)
		SKIP(return, "one CPU has nobody to shoot at");
	self->fd = make_region(1024 * PAGE);
	ASSERT_EQ(0, ioctl(self->fd, FOS_IOC_CORE_QUERY, &q));
	if (!(q.features & FOS_FEAT_TLB_ZAP))
		SKIP(return, "this kernel's PTEs are not known: range by range");
	self->base = map_region(self->fd, 1024 * PAGE, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	self->stage = shared(sizeof(struct stage));
}

FIXTURE_TEARDOWN(price)
{
}

TEST_F_TIMEOUT(price, is_one_round_for_512_pages, 100)
{
	int n = start_spinners(self->w, self->stage), i;
	long irqs, best = LONG_MAX;
	uint32_t paid;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, protect(self->fd, 0, 1024, RIGHTS_RW));
		memset(self->base, 1, 1024 * PAGE);
		irqs = interrupts("TLB:");
		ASSERT_EQ(0, protect_scattered(self->fd, 0, 2, 512,
					       variant->rights, &paid));
		irqs = interrupts("TLB:") - irqs;
		EXPECT_EQ(1, paid);
		best = irqs < best ? irqs : best;
	}
	stop_writers(self->w, n);
	printf("# 512 pages, %d busy siblings: %ld interrupts\n", n, best);
	EXPECT_EQ(n, best);
}

/* ---- no access -------------------------------------------------------- */

TEST_F(zap, nothing_reaches_pages_without_access)
{
	char byte = 1;
	struct iovec here = { &byte, 1 }, there = { self->base, 1 };
	int fd[2];

	self->base[0] = 3;
	ASSERT_EQ(0, protect(self->fd, 0, 1, 0));
	EXPECT_EQ(SIGSEGV, load_at(self->base));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	EXPECT_EQ(0, store_at(self->base + PAGE));
	ASSERT_EQ(0, pipe(fd));
	EXPECT_EQ(-EFAULT, RESULT(write(fd[1], self->base, 1)));
	EXPECT_EQ(-EFAULT, RESULT(process_vm_readv(getpid(), &here, 1, &there,
						   1, 0)));
	EXPECT_EQ(-EFAULT, RESULT(process_vm_writev(getpid(), &here, 1, &there,
						    1, 0)));
	ASSERT_EQ(0, mprotect(self->base, FOS_REGION_MAP_SIZE(REGION),
			      PROT_READ));
	ASSERT_EQ(0, mprotect(self->base, FOS_REGION_MAP_SIZE(REGION), RW));
	EXPECT_EQ(SIGSEGV, load_at(self->base));
	/* What was there is there. */
	ASSERT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RO));
	EXPECT_EQ(3, self->base[0]);
	EXPECT_EQ(SIGSEGV, store_at(self->base));
}

static long rss_file_kb(void)
{
	char text[4096];

	read_text("/proc/self/status", text, sizeof(text));
	return value_in(text, "RssFile");
}

/* As the kernel counts: of this process, and of the machine. */
TEST_F(zap, mapped_memory_is_counted_right)
{
	long before, i;

	before = rss_file_kb();
	for (i = 0; i < rounds(100); i++) {
		ASSERT_EQ(0, protect(self->fd, 0, REGION_PAGES, RIGHTS_RW));
		memset(self->base, 1, REGION);
		ASSERT_EQ(0, protect(self->fd, 0, REGION_PAGES,
				     i % 2 ? 0 : FOS_TLB_DISCARD));
	}
	/* 100 rounds of 768 KiB would show. */
	EXPECT_GT(600, labs(rss_file_kb() - before));
}

/* ---- dropped content -------------------------------------------------- */

TEST_F(zap, discarded_pages_read_zero_everywhere)
{
	uint64_t *seen = shared(sizeof(*seen));
	pid_t pid;

	memset(self->base, 7, REGION);
	pid = spawn();
	if (!pid) {
		char *base = map_region(self->fd, REGION, RW);

		if (base[0] != 7)
			_exit(1);
		__atomic_store_n(seen, 1, __ATOMIC_RELEASE);
		wait_for(seen, 2);
		_exit(base[0] != 0 || base[PAGE] != 7);
	}
	wait_for(seen, 1);
	ASSERT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RW | FOS_TLB_DISCARD));
	EXPECT_EQ(0, self->base[0]);
	EXPECT_EQ(7, self->base[PAGE]);
	__atomic_store_n(seen, 2, __ATOMIC_RELEASE);
	EXPECT_EQ(0, reap(pid));
}

static long live_pages(void)
{
	char text[512];

	if (read_text("/sys/kernel/debug/fastos/objects", text,
		      sizeof(text)) < 0)
		return -1;
	return value_in(text, "pages");
}

TEST_F(zap, discarded_pages_are_freed)
{
	long before;

	memset(self->base, 7, REGION);
	before = live_pages();
	ASSERT_LE(REGION_PAGES, before);
	ASSERT_EQ(0, scatter(self->fd, 64, RIGHTS_RW | FOS_TLB_DISCARD));
	EXPECT_EQ(before - 64, live_pages());
	/* Kept for the next fault there. */
	ASSERT_EQ(0, protect(self->fd, 1, 1, RIGHTS_RW | FOS_TLB_RECYCLE));
	EXPECT_EQ(before - 64, live_pages());
	EXPECT_EQ(0, store_at(self->base + PAGE));
	EXPECT_EQ(before - 64, live_pages());
}

/* Recycled content is seen where content was recycled, and nowhere else. */
TEST_F(zap, other_pages_are_zero_all_the_same)
{
	int i;

	memset(self->base, 0x5a, 32 * PAGE);
	ASSERT_EQ(0, protect(self->fd, 0, 16, RIGHTS_RW | FOS_TLB_RECYCLE));
	ASSERT_EQ(0, protect(self->fd, 16, 8, RIGHTS_RW | FOS_TLB_DISCARD));
	ASSERT_EQ(0, protect(self->fd, 0, 8, RIGHTS_RW | FOS_TLB_DISCARD));
	for (i = 16; i < 24; i++)
		EXPECT_EQ(0, self->base[i * PAGE]);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, self->base[i * PAGE]);
	for (i = 40; i < 50; i++)
		EXPECT_EQ(0, self->base[i * PAGE]);
}

/* Whoever was handed a page keeps it, and it is nobody else's. */
TEST_F(zap, a_page_that_is_in_a_pipe_stays_what_it_was)
{
	struct iovec v = { self->base, PAGE };
	static char got[4096];
	int fd[2], i;

	memset(self->base, 7, REGION);
	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(PAGE, vmsplice(fd[1], &v, 1, 0));
	ASSERT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RW | FOS_TLB_RECYCLE));
	for (i = 0; i < REGION_PAGES; i++)
		self->base[i * PAGE] = 9;
	ASSERT_EQ(PAGE, read(fd[0], got, PAGE));
	for (i = 0; i < (int)PAGE; i++)
		ASSERT_EQ(7, got[i]);
}

TEST_F(zap, rights_that_make_no_sense_are_refused)
{
	static const uint32_t bad[] = {
		FOS_RIGHT_WRITE, FOS_RIGHT_OWN, FOS_TLB_TRACK,
		RIGHTS_RW | FOS_TLB_TRACK, FOS_TLB_DISCARD | FOS_TLB_RECYCLE,
		1U << 31,
	};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT_EQ(-EINVAL, protect(self->fd, 0, 1, bad[i]));
}

/* ---- whose bytes ------------------------------------------------------ */

#define OWNERS		2
#define MINE		256

/* Each has a pattern of its own; what is read is that, or zero. */
static int churn(int nth, long pages)
{
	const uint64_t mine = 0x0101010101010101ULL * (nth + 1);
	uint64_t seed = rnd_seed("churn") + nth, *word;
	int fd = make_region(MINE * PAGE), i;
	char *base = map_region(fd, MINE * PAGE, RW);
	long seen = 0;
	uint32_t how;

	if (base == MAP_FAILED)
		return 1;
	while (seen < pages) {
		for (i = 0; i < MINE; i++, seen++) {
			word = (uint64_t *)(base + i * PAGE) +
			       rnd_below(&seed, PAGE / 8);
			if (*word && *word != mine)
				return 2;
			memset(base + i * PAGE, nth + 1, PAGE);
		}
		how = rnd_below(&seed, 2) ? FOS_TLB_DISCARD : FOS_TLB_RECYCLE;
		if (protect_scattered(fd, rnd_below(&seed, 2), 2, MINE / 2,
				      RIGHTS_RW | how, NULL))
			return 3;
	}
	return 0;
}

TEST_F_TIMEOUT(zap, nobody_sees_bytes_of_others, 400)
{
	pid_t pid[OWNERS];
	int i;

	for (i = 0; i < OWNERS; i++) {
		pid[i] = spawn();
		if (!pid[i])
			_exit(churn(i, rounds(500000)));
	}
	for (i = 0; i < OWNERS; i++)
		EXPECT_EQ(0, reap(pid[i]));
}

TEST_HARNESS_MAIN
