// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches while everything happens at once: processes that map, touch, move, fork,
 * exec and exit, or are killed, or run out of memory, and CPUs that come and go.
 * Afterwards the region is as the last batch says, and nothing is left.
 *
 * cpus: 4
 * budget: 600 s
 */
#include <sched.h>

#include "abi_tickets.h"
#include "memgroup.h"
#include "kselftest_harness.h"

#define PAGES		256
#define BYTES		(PAGES * PAGE)
#define MAP_BYTES	FOS_REGION_MAP_SIZE(BYTES)
#define WORKERS		6
#define OPERATIONS	20000

/* Shared by all. */
struct chaos {
	uint64_t operations;
	uint64_t fault;		/* what must not be was seen */
};

/* ---- what a process does to its mapping ------------------------------- */

static char *touch_some(char *p, uint64_t *seed)
{
	int i;

	for (i = 0; p && i < 16; i++) {
		char *at = p + rnd_below(seed, PAGES) * PAGE;
		int sig = rnd_below(seed, 2) ? store_at(at) : load_at(at);

		if (sig && sig != SIGSEGV)
			return NULL;
	}
	return p;
}

static void fork_over(char *p, int fd, uint64_t *seed)
{
	bool copied = p && rnd_below(seed, 2);
	pid_t pid;
	char *q;

	if (copied)
		madvise(p, MAP_BYTES, MADV_DOFORK);
	pid = spawn();
	if (!pid) {
		if (copied)
			store_at(p);
		q = map_region(fd, BYTES, RW);
		if (q != MAP_FAILED)
			touch_some(q, seed);
		if (rnd_below(seed, 2))
			execl("/proc/self/exe", "chaos", NULL);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (copied)
		madvise(p, MAP_BYTES, MADV_DONTFORK);
}

static char *one_operation(char *p, int fd, uint64_t *seed)
{
	switch (rnd_below(seed, 10)) {
	case 0:
		if (p)
			unmap_region(p, BYTES);
		return NULL;
	case 1:
		if (p)
			mremap(p, MAP_BYTES, MAP_BYTES, MREMAP_MAYMOVE |
			       MREMAP_FIXED, p + (1 << 30));
		return p;
	case 2:
		if (p)
			madvise(p, BYTES, MADV_DONTNEED);
		return p;
	case 3:
		if (p) {
			mprotect(p, MAP_BYTES, PROT_READ);
			mprotect(p, MAP_BYTES, RW);
		}
		return p;
	case 4:
		fork_over(p, fd, seed);
		return p;
	default:
		if (!p)
			p = map_region(fd, BYTES, RW);
		return p == MAP_FAILED ? NULL : touch_some(p, seed);
	}
}

static void join_group(bool limited)
{
	if (limited)
		write_text(GROUP "cgroup.procs", "0");
}

static int misbehave(int fd, struct chaos *c, uint64_t seed)
{
	char *p = NULL, *hoard;
	long n = 50 + rnd_below(&seed, 200);

	catch_faults();
	join_group(!rnd_below(&seed, 4));
	while (n--) {
		p = one_operation(p, fd, &seed);
		__atomic_fetch_add(&c->operations, 1, __ATOMIC_RELAXED);
		if (rnd_below(&seed, 400))
			continue;
		/* More than the group may have. */
		hoard = mmap(NULL, 32 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS |
			     MAP_POPULATE, -1, 0);
		munmap(hoard, 32 << 20);
	}
	return 0;
}

/* ---- what happens to all ---------------------------------------------- */

static void set_cpu(int cpu, bool on)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	write_text(path, on ? "1" : "0");
}

static uint32_t any_rights(uint64_t *seed)
{
	static const uint32_t rights[] = {
		RIGHTS_RO, RIGHTS_RO, RIGHTS_RW, RIGHTS_RW, 0,
		RIGHTS_RO | FOS_TLB_TRACK, RIGHTS_RW | FOS_TLB_DISCARD,
		FOS_TLB_DISCARD, RIGHTS_RW | FOS_TLB_RECYCLE,
	};

	return rights[rnd_below(seed, sizeof(rights) / sizeof(*rights))];
}

/* In the background, and perhaps taken back, or waited for. */
static int submit_at_random(int fd, struct fos_tlb_range *r, uint32_t n,
			    uint64_t *seed)
{
	uint64_t ticket;
	int ret = submitv(fd, r, n, rnd_below(seed, 3) * 1000000, &ticket);

	if (!ret && !rnd_below(seed, 3))
		ret = cancel(fd, ticket);
	if (!ret && !rnd_below(seed, 3))
		ret = fence(fd, ticket);
	/* It was too late, or canceled above, or somebody holds a page. */
	return ret == -EALREADY || ret == -ECANCELED || ret == -ESTALE ? 0 : ret;
}

static int batch_at_random(int fd, uint64_t *seed)
{
	struct fos_tlb_range r[32];
	uint64_t i, first;
	int ret;

	for (i = 0; i < 32; i++) {
		first = rnd_below(seed, PAGES);
		r[i] = range_of(first, 1 + rnd_below(seed, PAGES - first),
				any_rights(seed));
		if (rnd_below(seed, 4))
			r[i].len = PAGE;
	}
	i = 1 + rnd_below(seed, 32);
	switch (rnd_below(seed, 3)) {
	case 0:
		ret = submit_at_random(fd, r, i, seed);
		break;
	case 1:
		ret = scan(fd, 0, PAGES, r, i, NULL, NULL);
		ret = ret > 0 ? 0 : ret;
		break;
	default:
		ret = protectv(fd, r, i, NULL);
	}
	return ret == -EBUSY ? 0 : ret;
}

/* No page may be written, here or in a child. */
static long count_writable(int fd, char *p)
{
	const int ret = protect(fd, 0, PAGES, RIGHTS_RO);
	long n = 0;
	int i;

	if (ret && ret != -EBUSY)
		return -1;
	for (i = 0; i < PAGES; i++)
		n += store_at(p + i * PAGE) != SIGSEGV;
	return n;
}

FIXTURE(chaos) {
};

FIXTURE_SETUP(chaos)
{
}

FIXTURE_TEARDOWN(chaos)
{
}

TEST_F_TIMEOUT(chaos, everything_at_once, 3600)
{
	uint64_t seed = rnd_seed("chaos"), step, w;
	struct chaos *c = shared(sizeof(*c));
	pid_t pid[WORKERS] = { 0 };
	long live = objects_settled();
	long n = rounds(OPERATIONS);
	int fd = make_region(BYTES), status;
	char *p = map_region(fd, BYTES, RW);

	catch_faults();
	ASSERT_NE(MAP_FAILED, p);
	make_group();
	write_text(GROUP "memory.max", "8M");
	for (step = 0; __atomic_load_n(&c->operations, __ATOMIC_RELAXED) <
	     (uint64_t)n; step++) {
		w = rnd_below(&seed, WORKERS);
		if (!pid[w]) {
			pid[w] = spawn();
			if (!pid[w])
				_exit(misbehave(fd, c, rnd(&seed) + step));
		} else if (!rnd_below(&seed, 8)) {
			kill(pid[w], SIGKILL);
			waitpid(pid[w], &status, 0);
			pid[w] = 0;
		} else if (waitpid(pid[w], &status, WNOHANG) > 0) {
			c->fault += WIFEXITED(status) ? WEXITSTATUS(status) :
				    WTERMSIG(status) != SIGKILL;
			pid[w] = 0;
		}
		ASSERT_EQ(0, batch_at_random(fd, &seed));
		if (step % 64 == 63) {
			set_cpu(step / 64 % 3 + 1, step / 64 % 2);
			EXPECT_EQ(0, count_writable(fd, p));
		}
	}
	for (w = 0; w < WORKERS; w++) {
		if (!pid[w])
			continue;
		kill(pid[w], SIGKILL);
		waitpid(pid[w], &status, 0);
	}
	for (w = 1; w < 4; w++)
		set_cpu(w, true);
	EXPECT_EQ(0, c->fault);
	EXPECT_EQ(0, count_writable(fd, p));
	printf("# %llu operations, %llu batches\n", (long long)c->operations,
	       (long long)step);
	unmap_region(p, BYTES);
	close(fd);
	EXPECT_EQ(live, objects_left(live));
	drop_group();
}

/* What is executed is this program, which has nothing to do. */
static void __attribute__((constructor)) leave_if_executed(void)
{
	char name[16] = "";

	if (read_text("/proc/self/cmdline", name, sizeof(name)) > 0 &&
	    !strcmp(name, "chaos"))
		_exit(0);
}

TEST_HARNESS_MAIN
