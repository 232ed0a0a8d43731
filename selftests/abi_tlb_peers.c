// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches and others: a process whose locks keep the batch waiting until its
 * caller is killed, and devices and secondary MMUs, for which selftests/vm/outsider
 * stands in (tlb.bats loads it).
 */
#include <pthread.h>

#include "abi_tickets.h"
#include "memgroup.h"
#include "vm/outsider/outsider.h"
#include "kselftest_harness.h"

#define PAGES		8
#define BYTES		(PAGES * PAGE)

FIXTURE(peers) {
	int fd;
	char *base;
	int outsider;
};

FIXTURE_SETUP(peers)
{
	catch_faults();
	self->fd = make_region(BYTES);
	ASSERT_LE(0, self->fd);
	self->base = map_region(self->fd, BYTES, RW);
	ASSERT_NE(MAP_FAILED, self->base);
	memset(self->base, 7, BYTES);
	self->outsider = open("/dev/outsider", O_RDWR | O_CLOEXEC);
}

FIXTURE_TEARDOWN(peers)
{
}

#define NEED_OUTSIDER() do { \
	if (self->outsider < 0) \
		SKIP(return, "no /dev/outsider; tlb.bats loads it"); \
} while (0)

/* ---- killed half-way -------------------------------------------------- */

#define BALLAST		(64UL << 20)

/* Shared by all. */
struct scene {
	uint64_t stores;	/* so many the peer is to have tried */
	uint64_t tried;
	uint64_t landed;
	uint64_t asked;		/* the owner's call has begun */
	uint64_t stop;
};

static void *fork_on(void *arg)
{
	struct scene *s = arg;
	pid_t pid;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		pid = spawn();
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return NULL;
}

/* It holds its mmap_lock for writing much of the time, and stores when told. */
static int be_busy(int fd, struct scene *s)
{
	char *p = map_region(fd, BYTES, RW);
	pthread_t thread;

	if (p == MAP_FAILED)
		return 1;
	mmap(NULL, BALLAST, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	pthread_create(&thread, NULL, fork_on, s);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		if (s->tried == __atomic_load_n(&s->stores, __ATOMIC_ACQUIRE)) {
			nap_us(100);
			continue;
		}
		s->landed = !store_at(p);
		__atomic_fetch_add(&s->tried, 1, __ATOMIC_RELEASE);
	}
	pthread_join(thread, NULL);
	return 0;
}

static bool peer_can_store(struct scene *s)
{
	uint64_t n = __atomic_add_fetch(&s->stores, 1, __ATOMIC_RELEASE);

	return wait_for(&s->tried, n) && s->landed;
}

static void kill_in_the_middle(int fd, struct scene *s, uint64_t us)
{
	pid_t pid = spawn();

	if (!pid) {
		__atomic_store_n(&s->asked, 1, __ATOMIC_RELEASE);
		protect(fd, 0, 1, RIGHTS_RO);
		_exit(0);
	}
	wait_for(&s->asked, 1);
	nap_us(us);
	kill(pid, SIGKILL);
	reap(pid);
	s->asked = 0;
}

/* If the map says read-only, no old PTE says otherwise. */
TEST_F_TIMEOUT(peers, a_batch_that_was_killed_is_whole, 300)
{
	struct scene *s = shared(sizeof(*s));
	uint64_t seed = rnd_seed("killed");
	long n = rounds(60), wrong = 0, done = 0, i;
	pid_t peer = spawn();

	if (!peer)
		_exit(be_busy(self->fd, s));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RW));
		ASSERT_TRUE(peer_can_store(s));
		kill_in_the_middle(self->fd, s, rnd_below(&seed, 10000));
		if (store_at(self->base) != SIGSEGV)
			continue;
		done++;
		wrong += peer_can_store(s);
	}
	s->stop = 1;
	EXPECT_EQ(0, reap(peer));
	printf("# %ld of %ld had written the map\n", done, n);
	EXPECT_EQ(0, wrong);
}

/* ---- locks that are kept ---------------------------------------------- */

struct keeper {
	uint64_t ready;
	uint64_t let_go;
};

static int keep_lock(int fd, int outsider, struct keeper *k)
{
	char *p = map_region(fd, BYTES, RW);
	uint64_t ms = HANG_MS;

	if (p == MAP_FAILED || store_at(p))
		return 1;
	__atomic_store_n(&k->ready, 1, __ATOMIC_RELEASE);
	ioctl(outsider, OUTSIDER_HOLD, &ms);
	__atomic_store_n(&k->let_go, 1, __ATOMIC_RELEASE);
	return 0;
}

/* Nobody waits for a process that may never let go of it. */
TEST_F_TIMEOUT(peers, who_keeps_his_mmap_lock_holds_nobody_up, 100)
{
	struct keeper *k = shared(sizeof(*k));
	long unlocked = stat_of("tlb_unlocked");
	pid_t pid;

	NEED_OUTSIDER();
	pid = spawn();
	if (!pid)
		_exit(keep_lock(self->fd, self->outsider, k));
	ASSERT_TRUE(wait_for(&k->ready, 1));
	nap_us(20000);
	ASSERT_EQ(0, protect_scattered(self->fd, 0, 2, 3, RIGHTS_RO, NULL));
	EXPECT_EQ(0, __atomic_load_n(&k->let_go, __ATOMIC_ACQUIRE));
	EXPECT_EQ(unlocked + 1, stat_of("tlb_unlocked"));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	kill(pid, SIGKILL);
	reap(pid);
}

/* ---- devices ---------------------------------------------------------- */

TEST_F(peers, a_device_is_not_given_what_is_read_only)
{
	uint64_t addr = (uintptr_t)self->base;

	NEED_OUTSIDER();
	ASSERT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RO));
	EXPECT_EQ(-EFAULT, RESULT(ioctl(self->outsider, OUTSIDER_TAKE, &addr)));
	addr += PAGE;
	EXPECT_EQ(0, ioctl(self->outsider, OUTSIDER_TAKE, &addr));
}

TEST_F(peers, what_a_device_was_given_before_is_busy)
{
	uint64_t addr = (uintptr_t)self->base + PAGE, byte = 0x66;
	struct fos_tlb_range r[] = {
		range_of(0, 1, RIGHTS_RO), range_of(1, 1, RIGHTS_RO),
	};

	NEED_OUTSIDER();
	ASSERT_EQ(0, ioctl(self->outsider, OUTSIDER_TAKE, &addr));
	EXPECT_EQ(-EBUSY, protectv(self->fd, r, 2, NULL));
	EXPECT_EQ(0, r[0].result);
	EXPECT_EQ(EBUSY, r[1].result);
	/* This is what it warns of. */
	EXPECT_EQ(SIGSEGV, store_at(self->base + PAGE));
	ASSERT_EQ(0, ioctl(self->outsider, OUTSIDER_POKE, &byte));
	EXPECT_EQ(0x66, self->base[PAGE]);
	ASSERT_EQ(0, ioctl(self->outsider, OUTSIDER_PUT));
	EXPECT_EQ(0, protectv(self->fd, r, 2, NULL));
}

/* ---- secondary MMUs --------------------------------------------------- */

TEST_F(peers, secondary_mmus_are_told_which_pages)
{
	uint64_t addr = (uintptr_t)self->base, told = 0;
	long by_range = stat_of("tlb_by_range");
	int i;

	NEED_OUTSIDER();
	ASSERT_EQ(0, ioctl(self->outsider, OUTSIDER_WATCH, &addr));
	ASSERT_EQ(8, read(self->outsider, &told, 8));
	ASSERT_EQ(0, protect_scattered(self->fd, 1, 2, 3, RIGHTS_RO, NULL));
	ASSERT_EQ(8, read(self->outsider, &told, 8));
	EXPECT_EQ(0x2a, told & 0xff);
	EXPECT_EQ(by_range + 1, stat_of("tlb_by_range"));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(0x2a >> i & 1 ? SIGSEGV : 0,
			  store_at(self->base + i * PAGE));
	EXPECT_EQ(7, self->base[PAGE]);
}

/* ---- memory that fails ------------------------------------------------ */

/* The kernel must not look for the other mappings of such a page in vain. */
TEST_F(peers, a_poisoned_page_kills_who_touches_it_and_nobody_else)
{
	pid_t pid;
	char *p;

	if (madvise(self->base, PAGE, MADV_HWPOISON) &&
	    (errno == EINVAL || errno == EPERM))
		SKIP(return, "no memory failures in this kernel");
	pid = spawn();
	if (!pid) {
		p = map_region(self->fd, BYTES, RW);
		_exit(load_at(p) != SIGBUS || load_at(p + PAGE));
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, protect(self->fd, 1, PAGES - 1, RIGHTS_RO));
	EXPECT_EQ(SIGSEGV, store_at(self->base + PAGE));
}

/* ---- allocations that fail -------------------------------------------- */

#define FAIL_NTH	"/proc/thread-self/fail-nth"

/* Also those that may wait, and of pages. */
static void fail_all_kinds(void)
{
	write_text("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_text("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_text("/sys/kernel/debug/fail_page_alloc/min-order", "0");
}

/* From now on this thread's n-th allocation, or copy from or to it, fails. */
static bool fail_nth(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	return !write_text(FAIL_NTH, text);
}

/* Did it come to that?  And no more of it. */
static bool has_failed(void)
{
	char text[16] = "";
	bool failed = read_text(FAIL_NTH, text, sizeof(text)) > 0 &&
		      !atoi(text);

	fail_nth(0);
	return failed;
}

enum step { MAKE_CHANNEL, MAKE_REGION, SHARE, MAP, SUBMIT, DOWNGRADE, STEPS };

/* The ticket of the step that submits. */
static uint64_t submitted;

/* 0, or an errno; what it makes is gone afterwards. */
static int do_step(enum step step, int fd)
{
	int made[2] = { -1, -1 }, ret = 0;
	char *p;

	switch (step) {
	case MAKE_CHANNEL:
		ret = raw_create(4, 8192, made);
		close(made[1]);
		break;
	case MAKE_REGION:
		made[0] = make_region(BYTES);
		break;
	case SHARE:
		made[0] = share_region(fd, RIGHTS_RO);
		break;
	case MAP:
		p = map_region(fd, BYTES, RW);
		ret = p == MAP_FAILED ? errno : 0;
		if (!ret)
			unmap_region(p, BYTES);
		break;
	case SUBMIT:
		submitted = submit_scattered(fd, 0, 1, PAGES, RIGHTS_RO, LATE);
		ret = submitted ? 0 : errno;
		break;
	default:
		ret = -protect_scattered(fd, 0, 1, PAGES, RIGHTS_RO, NULL);
	}
	if (made[0] < -1)
		ret = -made[0];
	close(made[0]);
	return ret;
}

/* EFAULT is also that results could not be told. */
static bool is_all_or_none(char *base, int ret)
{
	int i, writable = 0;

	for (i = 0; i < PAGES; i++)
		writable += !store_at(base + i * PAGE);
	return ret == EFAULT ? writable % PAGES == 0 :
	       writable == (ret ? PAGES : 0);
}

/* Each of them in turn: an error, nothing half-done, and nothing left behind. */
TEST_F_TIMEOUT(peers, allocations_that_fail_are_told, 300)
{
	int fd = make_region(BYTES), ret, n;
	long live = objects_settled();
	enum step step;
	bool failed;

	if (!fail_nth(0))
		SKIP(return, "no fault injection in this kernel");
	fail_all_kinds();
	for (step = 0; step < STEPS; step++) {
		for (failed = true, n = 1; failed; n++) {
			ASSERT_EQ(0, protect(self->fd, 0, PAGES, RIGHTS_RW));
			fail_nth(n);
			ret = do_step(step, step >= SUBMIT ? self->fd : fd);
			failed = has_failed();
			if (step == SUBMIT && !ret)
				EXPECT_EQ(0, fence(self->fd, submitted));
			EXPECT_TRUE(!ret || (failed && (ret == ENOMEM ||
							ret == ENFILE ||
							ret == EFAULT)))
				TH_LOG("step %d, allocation %d: %d", step, n,
				       ret);
			if (step >= SUBMIT)
				EXPECT_TRUE(is_all_or_none(self->base, ret));
		}
		printf("# step %d: %d allocations\n", step, n - 2);
	}
	EXPECT_EQ(live, objects_left(live));
}

static int pages_of_zero(const char *base)
{
	int i, zero = 0;

	for (i = 0; i < PAGES; i++)
		zero += !base[i * PAGE];
	return zero;
}

/* Their content goes as a whole, or not at all. */
TEST_F_TIMEOUT(peers, allocations_that_fail_drop_no_content, 300)
{
	bool failed = true;
	int ret, n, zero;

	if (!fail_nth(0))
		SKIP(return, "no fault injection in this kernel");
	fail_all_kinds();
	for (n = 1; failed; n++) {
		memset(self->base, 7, BYTES);
		fail_nth(n);
		ret = protect_scattered(self->fd, 0, 1, PAGES,
					RIGHTS_RW | FOS_TLB_DISCARD, NULL);
		failed = has_failed();
		zero = pages_of_zero(self->base);
		EXPECT_TRUE(!ret || (failed && (ret == -ENOMEM || ret == -EFAULT)));
		EXPECT_TRUE(ret == -EFAULT ? zero % PAGES == 0 :
					     zero == (ret ? 0 : PAGES))
			TH_LOG("allocation %d: %d, %d pages", n, ret, zero);
	}
	printf("# %d allocations\n", n - 2);
}

/* What was written is told by this scan or by the next, unless that is said to be lost. */
TEST_F_TIMEOUT(peers, allocations_that_fail_hide_no_written_page, 300)
{
	struct fos_tlb_range r[PAGES];
	bool failed = true;
	int ret, n;

	if (!fail_nth(0))
		SKIP(return, "no fault injection in this kernel");
	fail_all_kinds();
	ASSERT_EQ(0, protect(self->fd, 0, PAGES, FOS_RIGHT_READ | FOS_TLB_TRACK));
	for (n = 1; failed; n++) {
		ASSERT_EQ(0, store_at(self->base + 3 * PAGE));
		ASSERT_EQ(0, store_at(self->base + 5 * PAGE));
		fail_nth(n);
		ret = scan(self->fd, 0, PAGES, r, PAGES, NULL, NULL);
		failed = has_failed();
		if (failed && ret == -ENOMEM)
			ret = scan(self->fd, 0, PAGES, r, PAGES, NULL, NULL);
		EXPECT_TRUE(ret == 2 || (failed && ret == -EFAULT))
			TH_LOG("allocation %d: %d", n, ret);
		if (ret == 2)
			EXPECT_EQ(0, scan(self->fd, 0, PAGES, r, PAGES, NULL, NULL));
	}
	printf("# %d allocations\n", n - 2);
}

/* ---- who pays --------------------------------------------------------- */

static long group_value(const char *file)
{
	char text[64];

	return read_text(file, text, sizeof(text)) < 0 ? -1 : atol(text);
}

TEST_F(peers, whoever_touches_a_page_first_pays_for_it)
{
	int fd = make_region(256 * PAGE), i;
	char *p = map_region(fd, 256 * PAGE, RW);
	long before;

	if (!make_group())
		SKIP(return, "no memory controller of cgroup2");
	ASSERT_EQ(0, write_text(GROUP "cgroup.procs", "0"));
	before = group_value(GROUP "memory.current");
	for (i = 0; i < 256; i++)
		p[i * PAGE] = 1;
	EXPECT_LE(before + 200 * (long)PAGE, group_value(GROUP "memory.current"));
	unmap_region(p, 256 * PAGE);
	close(fd);
	EXPECT_EQ(0, write_text(CGROUP "/cgroup.procs", "0"));
	drop_group();
}

TEST_HARNESS_MAIN
