// SPDX-License-Identifier: GPL-2.0-only
/*
 * Permissions of a region's pages: batches, what they leave alone, what they
 * refuse, and that no store gets through afterwards.
 *
 * gates: asan tsan
 * not under tsan: no_store_lands_after_a_downgrade (which it takes for a race)
 */
#include "regions.h"
#include "kselftest_harness.h"

#define PAGES		256

FIXTURE(tlb) {
	int fd;
	char *addr;
};

FIXTURE_SETUP(tlb)
{
	catch_faults();
	self->fd = fos_region_create(PAGES * PAGE, 0);
	ASSERT_LE(0, self->fd);
	self->addr = map(self->fd, RW);
	ASSERT_TRUE(self->addr);
}

FIXTURE_TEARDOWN(tlb)
{
}

static bool all_results_are(const struct fos_range *r, unsigned int n, int what)
{
	while (n--)
		if (r[n].result != what)
			return false;
	return true;
}

/* ---- what becomes of pages -------------------------------------------- */

TEST_F(tlb, scattered_pages_are_downgraded_and_upgraded)
{
	struct fos_range r[64];
	char *page;
	int i;

	for (i = 0; i < PAGES; i++)
		self->addr[i * PAGE] = i;
	/* Backwards: the order is the program's. */
	for (i = 0; i < 64; i++)
		r[i] = pages((63 - i) * 4, 1, PROT_READ);
	EXPECT_EQ(0, protect(self->fd, r, 64));
	EXPECT_TRUE(all_results_are(r, 64, 0));
	for (i = 0; i < PAGES; i++) {
		page = self->addr + i * PAGE;
		EXPECT_EQ(i % 4 ? RW : PROT_READ, may(page));
		EXPECT_EQ(i % 4 ? 1 : -EFAULT, kernel_stores(page));
		EXPECT_EQ((char)i, *page);
	}
	for (i = 0; i < 64; i++)
		r[i] = pages(i * 4, 1, RW);
	EXPECT_EQ(0, protect(self->fd, r, 64));
	EXPECT_EQ(PAGES, count_may(self->addr, PAGES, RW));
}

TEST_F(tlb, one_batch_goes_both_ways)
{
	struct fos_range r[] = {
		pages(10, 10, RW), pages(30, 10, PROT_READ), pages(0, 1, RW),
		pages(20, 10, PROT_READ), pages(100, 1, PROT_READ),
	};

	EXPECT_EQ(0, protect_one(self->fd, 10, 10, PROT_READ));
	EXPECT_EQ(0, protect(self->fd, r, ARRAY_SIZE(r)));
	EXPECT_TRUE(all_results_are(r, ARRAY_SIZE(r), 0));
	EXPECT_EQ(20, count_may(self->addr, 20, RW));
	EXPECT_EQ(20, count_may(self->addr + 20 * PAGE, 20, PROT_READ));
	EXPECT_EQ(60, count_may(self->addr + 40 * PAGE, 60, RW));
	EXPECT_EQ(PROT_READ, may(self->addr + 100 * PAGE));
	EXPECT_EQ(PAGES - 21, count_may(self->addr, PAGES, RW));
}

TEST_F(tlb, of_ranges_that_overlap_the_last_counts)
{
	struct fos_range r[] = {
		pages(0, 20, PROT_READ), pages(5, 10, RW),
		pages(7, 2, PROT_READ), pages(8, 1, RW),
		pages(0, 1, RW), pages(0, 1, PROT_READ),
	};
	static const char expected[] = "rrrrrwwrwwwwwwwrrrrrw";
	int i;

	EXPECT_EQ(0, protect(self->fd, r, ARRAY_SIZE(r)));
	for (i = 0; expected[i]; i++)
		EXPECT_EQ(expected[i] == 'r' ? PROT_READ : RW,
			  may(self->addr + i * PAGE)) TH_LOG("page %d", i);
}

TEST_F(tlb, the_whole_region_is_a_range)
{
	EXPECT_EQ(0, protect_one(self->fd, 0, PAGES, PROT_READ));
	EXPECT_EQ(PAGES, count_may(self->addr, PAGES, PROT_READ));
	EXPECT_EQ(PROT_NONE, may(self->addr + PAGES * PAGE));
	EXPECT_EQ(0, protect_one(self->fd, 0, PAGES, PROT_READ));
	EXPECT_EQ(0, protect_one(self->fd, 0, PAGES, RW));
	EXPECT_EQ(PAGES, count_may(self->addr, PAGES, RW));
}

TEST_F(tlb, as_many_ranges_as_there_may_be)
{
	struct fos_range *r = calloc(FOS_RANGES_MAX, sizeof(*r));
	int i;

	ASSERT_TRUE(r);
	for (i = 0; i < FOS_RANGES_MAX; i++)
		r[i] = pages(i % PAGES, 1, (i / PAGES + i) % 2 ? RW : PROT_READ);
	EXPECT_EQ(0, protect(self->fd, r, FOS_RANGES_MAX));
	EXPECT_TRUE(all_results_are(r, FOS_RANGES_MAX, 0));
	EXPECT_EQ(PAGES / 2, count_may(self->addr, PAGES, PROT_READ));
	EXPECT_EQ(RW, may(self->addr));
	free(r);
}

TEST_F(tlb, batches_made_up_at_random_do_what_each_says)
{
	enum { N = 32 };
	uint64_t seed = rnd_seed("batches");
	struct fos_range r[20];
	int model[N], i, n;
	long round;
	size_t p;

	for (i = 0; i < N; i++)
		model[i] = RW;
	for (round = rounds(200); round; round--) {
		n = 1 + rnd_below(&seed, ARRAY_SIZE(r));
		for (i = 0; i < n; i++) {
			p = rnd_below(&seed, N);
			r[i] = pages(p, 1 + rnd_below(&seed, N - p),
				     rnd(&seed) & 1 ? RW : PROT_READ);
			for (; p < (r[i].offset + r[i].len) / PAGE; p++)
				model[p] = r[i].prot;
		}
		ASSERT_EQ(0, protect(self->fd, r, n));
		for (i = 0; i < N; i++)
			ASSERT_EQ(model[i], may(self->addr + i * PAGE));
	}
	EXPECT_EQ(PAGES - N, count_may(self->addr + N * PAGE, PAGES - N, RW));
}

/* ---- mappings --------------------------------------------------------- */

TEST_F(tlb, permissions_may_come_before_the_mapping)
{
	struct fos_range r[] = { pages(1, 2, PROT_READ),
				 pages(15, 1, PROT_READ), pages(2, 1, RW) };
	int fd = fos_region_create(16 * PAGE, 0);
	char *addr;

	EXPECT_EQ(0, protect(fd, r, 3));
	addr = map(fd, RW);
	ASSERT_TRUE(addr);
	EXPECT_EQ(14, count_may(addr, 16, RW));
	EXPECT_EQ(PROT_READ, may(addr + PAGE));
	EXPECT_EQ(PROT_READ, may(addr + 15 * PAGE));
}

TEST_F(tlb, an_upgrade_gives_no_more_than_the_mapping)
{
	EXPECT_EQ(0, fos_munmap(self->addr));
	EXPECT_EQ(0, protect_one(self->fd, 0, 2, PROT_READ));
	self->addr = map(self->fd, PROT_READ);
	ASSERT_TRUE(self->addr);
	EXPECT_EQ(0, protect_one(self->fd, 0, 1, RW));
	EXPECT_EQ(PAGES, count_may(self->addr, PAGES, PROT_READ));
	EXPECT_EQ(0, fos_munmap(self->addr));
	self->addr = map(self->fd, RW);
	ASSERT_TRUE(self->addr);
	EXPECT_EQ(RW, may(self->addr));
	EXPECT_EQ(PROT_READ, may(self->addr + PAGE));
	EXPECT_EQ(RW, may(self->addr + 2 * PAGE));
}

TEST_F(tlb, by_address_it_is_the_same)
{
	char *end = self->addr + PAGES * PAGE;

	EXPECT_EQ(0, fos_mprotect(self->addr + 2 * PAGE, PAGE + 1, PROT_READ));
	EXPECT_EQ(RW, may(self->addr + PAGE));
	EXPECT_EQ(2, count_may(self->addr + 2 * PAGE, 2, PROT_READ));
	EXPECT_EQ(RW, may(self->addr + 4 * PAGE));
	EXPECT_EQ(0, fos_mprotect(self->addr, PAGES * PAGE, RW));
	EXPECT_EQ(PAGES, count_may(self->addr, PAGES, RW));
	EXPECT_EQ(0, fos_mprotect(self->addr, 0, PROT_READ));
	EXPECT_EQ(-EINVAL, RESULT(fos_mprotect(self->addr + 1, 1, PROT_READ)));
	EXPECT_EQ(-EINVAL, RESULT(fos_mprotect(self->addr, PAGE, PROT_WRITE)));
	EXPECT_EQ(-EINVAL, RESULT(fos_mprotect(self->addr, PAGE, PROT_EXEC)));
	EXPECT_EQ(-ENOMEM, RESULT(fos_mprotect(end, PAGE, PROT_READ)));
	EXPECT_EQ(-ENOMEM, RESULT(fos_mprotect(end - PAGE, PAGE + 1,
					       PROT_READ)));
	EXPECT_EQ(-ENOMEM, RESULT(fos_mprotect(self->addr, SIZE_MAX,
					       PROT_READ)));
	EXPECT_EQ(-ENOMEM, RESULT(fos_mprotect(NULL, PAGE, PROT_READ)));
	EXPECT_EQ(PAGES, count_may(self->addr, PAGES, RW));
	EXPECT_EQ(0, fos_munmap(self->addr));
	EXPECT_EQ(-ENOMEM, RESULT(fos_mprotect(self->addr, PAGE, PROT_READ)));
}

TEST_F(tlb, each_region_has_its_own)
{
	int fd = fos_region_create(4 * PAGE, 0);
	char *addr = map(fd, RW);

	ASSERT_TRUE(addr);
	EXPECT_EQ(0, fos_mprotect(addr + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(0, fos_mprotect(self->addr + 2 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(PROT_READ, may(addr + PAGE));
	EXPECT_EQ(3, count_may(addr, 4, RW));
	EXPECT_EQ(PROT_READ, may(self->addr + 2 * PAGE));
	EXPECT_EQ(PAGES - 1, count_may(self->addr, PAGES, RW));
}

/* ---- what is refused -------------------------------------------------- */

TEST_F(tlb, a_range_that_is_none_ends_the_batch_before_it_begins)
{
	const struct fos_range bad[] = {
		pages(0, 0, PROT_READ), pages(PAGES, 1, PROT_READ),
		pages(PAGES - 1, 2, PROT_READ), pages(0, 1, FOS_TRACK),
		pages(0, 1, PROT_WRITE), pages(0, 1, RW | PROT_EXEC),
		{ .offset = 1, .len = PAGE, .prot = PROT_READ },
		{ .offset = 0, .len = 1, .prot = PROT_READ },
		{ .offset = -PAGE, .len = PAGE, .prot = PROT_READ },
		{ .offset = -PAGE, .len = 2 * PAGE, .prot = PROT_READ },
		{ .offset = PAGE, .len = -PAGE, .prot = PROT_READ },
	};
	struct fos_range r[3];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		r[0] = pages(0, 1, PROT_READ);
		r[1] = bad[i];
		r[2] = pages(2, 1, PROT_READ);
		EXPECT_EQ(-EINVAL, protect(self->fd, r, 3));
		EXPECT_EQ(ECANCELED, r[0].result);
		EXPECT_EQ(EINVAL, r[1].result) TH_LOG("range %zu", i);
		EXPECT_EQ(ECANCELED, r[2].result);
		EXPECT_EQ(-EINVAL, protect(self->fd, r + 1, 1));
	}
	EXPECT_EQ(PAGES, count_may(self->addr, PAGES, RW));
}

TEST_F(tlb, numbers_and_flags_that_cannot_be)
{
	struct fos_range r = pages(0, 1, PROT_READ);

	EXPECT_EQ(-EINVAL, protect(self->fd, &r, 0));
	EXPECT_EQ(-E2BIG, protect(self->fd, &r, FOS_RANGES_MAX + 1));
	EXPECT_EQ(-E2BIG, protect(self->fd, &r, UINT32_MAX));
	EXPECT_EQ(-EINVAL, RESULT(fos_mprotectv(self->fd, &r, 1, 1)));
	EXPECT_EQ(-EINVAL, RESULT(fos_mprotectv(self->fd, &r, 1, 1U << 31)));
	EXPECT_EQ(-EFAULT, protect(self->fd, NULL, 1));
	EXPECT_EQ(-1, r.result);
	EXPECT_EQ(RW, may(self->addr));
}

TEST_F(tlb, ranges_that_are_too_long_together_are_e2big)
{
	/* Four times what is always allowed, in all. */
	const uint64_t bytes = (256UL << 20) / FOS_RANGES_MAX * 4;
	struct fos_range *r = calloc(FOS_RANGES_MAX, sizeof(*r));
	int fd = fos_region_create(bytes, 0);
	unsigned int i;

	for (i = 0; i < FOS_RANGES_MAX; i++)
		r[i] = (struct fos_range) { 0, bytes, PROT_READ, -1 };
	EXPECT_EQ(-E2BIG, RESULT(fos_mprotectv(fd, r, FOS_RANGES_MAX, 0)));
	EXPECT_EQ(ECANCELED, r[0].result);
	EXPECT_EQ(0, RESULT(fos_mprotectv(fd, r, FOS_RANGES_MAX / 4, 0)));
	free(r);
}

static long max_map_count(void)
{
	char text[32];

	if (read_text("/proc/sys/vm/max_map_count", text, sizeof(text)) < 0)
		return -1;
	return strtol(text, NULL, 10);
}

/* Where each run of pages is a mapping of its own. */
TEST_F_TIMEOUT(tlb, too_many_mappings_are_enomem_and_nothing_is_done, 120)
{
	const unsigned int n = FOS_RANGES_MAX;
	struct fos_range *r = calloc(n, sizeof(*r));
	unsigned int i, failed = 0, canceled = 0;
	long most = max_map_count();
	char *addr;
	int fd;

	if (has_cap(FOS_CAP_ONE_ROUND))
		SKIP(return, "permissions need no mappings here");
	if (most < 0 || most > 1 << 17)
		SKIP(return, "vm.max_map_count is %ld", most);
	fd = fos_region_create(2 * n * PAGE, 0);
	addr = map(fd, RW);
	ASSERT_TRUE(r && addr);
	EXPECT_EQ(0, protect_one(fd, 7, 2, PROT_READ));
	for (i = 0; i < n; i++)
		r[i] = pages(2 * i, 1, i == 4 ? RW : PROT_READ);
	EXPECT_EQ(-ENOMEM, protect(fd, r, n));
	for (i = 0; i < n; i++) {
		failed += r[i].result == ENOMEM;
		canceled += r[i].result == ECANCELED;
	}
	EXPECT_EQ(1, failed);
	EXPECT_EQ(n - 1, canceled);
	EXPECT_EQ(2, count_may(addr + 7 * PAGE, 2, PROT_READ));
	EXPECT_EQ(7, count_may(addr, 7, RW));
	EXPECT_EQ(1000, count_may(addr + 9 * PAGE, 1000, RW));
	/* There is room again. */
	EXPECT_EQ(0, protect(fd, r, 1000));
	EXPECT_EQ(PROT_READ, may(addr));
	EXPECT_EQ(RW, may(addr + 8 * PAGE));
	EXPECT_EQ(PROT_READ, may(addr + 1998 * PAGE));
	free(r);
}

/* ---- while others store ----------------------------------------------- */

struct writer {
	volatile uint64_t *word;
	uint64_t began;
	uint64_t ended;
	pthread_t thread;
};

/* Count until a store is refused. */
static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!TOUCH((*w->word)++))
		__atomic_store_n(&w->began, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&w->ended, 1, __ATOMIC_RELEASE);
	return NULL;
}

TEST_F(tlb, no_store_lands_after_a_downgrade)
{
	struct fos_range r[8];
	struct writer w = {};
	long round;
	uint64_t seen;
	int i;

	for (round = rounds(50); round; round--) {
		w.began = 0;
		w.ended = 0;
		w.word = (uint64_t *)(self->addr + round % 8 * 2 * PAGE);
		pthread_create(&w.thread, NULL, write_on, &w);
		ASSERT_TRUE(wait_for(&w.began, 1));
		for (i = 0; i < 8; i++)
			r[i] = pages(2 * i, 1, PROT_READ);
		ASSERT_EQ(0, protect(self->fd, r, 8));
		seen = *w.word;
		ASSERT_TRUE(wait_for(&w.ended, 1));
		EXPECT_EQ(seen, *w.word);
		pthread_join(w.thread, NULL);
		for (i = 0; i < 8; i++)
			r[i].prot = RW;
		ASSERT_EQ(0, protect(self->fd, r, 8));
	}
}

struct changer {
	int fd;
	int prot;
	long errors;
	pthread_t thread;
};

static void *change(void *arg)
{
	struct changer *c = arg;
	struct fos_range r[8];
	long round;
	int i;

	for (round = rounds(100); round; round--) {
		for (i = 0; i < 8; i++)
			r[i] = pages(3 * i, 2, c->prot);
		c->errors += protect(c->fd, r, 8) != 0;
	}
	return NULL;
}

/* Whoever was last, all of it is his. */
TEST_F(tlb, batches_take_turns)
{
	struct changer c[2] = { { .prot = PROT_READ }, { .prot = RW } };
	int i, prot;

	for (i = 0; i < 2; i++) {
		c[i].fd = self->fd;
		pthread_create(&c[i].thread, NULL, change, &c[i]);
	}
	for (i = 0; i < 2; i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_EQ(0, c[i].errors);
	}
	prot = may(self->addr);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(2, count_may(self->addr + 3 * i * PAGE, 2, prot));
	EXPECT_EQ(PAGES - 24, count_may(self->addr + 24 * PAGE, PAGES - 24,
					RW));
}

/* ---- in other processes ----------------------------------------------- */

struct steps {
	uint64_t ready;
	uint64_t changed;
};

static int stores_elsewhere(int fd, struct steps *s)
{
	const size_t all = FOS_REGION_MAP_BYTES(PAGES * PAGE);
	char *addr = map(fd, RW);

	if (!addr || count_may(addr, PAGES, RW) != PAGES)
		return 1;
	__atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
	if (!wait_for(&s->changed, 1))
		return 2;
	if (may(addr) != RW || may(addr + PAGE) != PROT_READ)
		return 3;
	if (kernel_stores(addr + PAGE) != -EFAULT)
		return 4;
	/* As a whole it works, and gives nothing back. */
	if (!mprotect(addr, all, PROT_READ) && mprotect(addr, all, RW))
		return 5;
	return may(addr + PAGE) == PROT_READ ? 0 : 6;
}

TEST_F(tlb, a_downgrade_holds_in_every_process)
{
	struct steps *s = shared(sizeof(*s));
	pid_t pid;

	NEEDS(FOS_CAP_REGION_WIDE);
	pid = spawn();
	if (!pid)
		_exit(stores_elsewhere(self->fd, s));
	EXPECT_TRUE(wait_for(&s->ready, 1));
	EXPECT_EQ(0, protect_one(self->fd, 1, 1, PROT_READ));
	__atomic_store_n(&s->changed, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, reap(pid));
}

TEST_HARNESS_MAIN
