// SPDX-License-Identifier: GPL-2.0-only
/*
 * The proof: when a batch returns, no store through an old translation lands,
 * and all its ranges cost one shootdown of each address space.  Writers run
 * pinned on the other CPUs, in user loops, in system calls, asleep, migrating,
 * and unmap and exit meanwhile.  Guests have TLBs whose entries outlive PTEs;
 * sets of more than 64 pages evict themselves there.
 *
 * cpus: 4
 * budget: 600 s
 */
#include <cpuid.h>
#include <limits.h>

#include "writers.h"
#include "kselftest_harness.h"

FIXTURE(tlb) {
	int fd;
	char *base;
	struct stage *stage;
	struct writer w[WRITERS_MAX];
};

FIXTURE_SETUP(tlb)
{
	if (online_cpus() < 2)
		SKIP(return, "one CPU has nobody to shoot at");
	self->stage = set_stage(&self->fd, &self->base);
	ASSERT_NE(NULL, self->stage);
}

FIXTURE_TEARDOWN(tlb)
{
}

/* Batches against writers: what landed after their return. */
static long land(int fd, char *base, struct stage *s, int pages, int writers,
		 long n)
{
	long landed = 0, i;

	for (i = 0; i < n; i++) {
		if (!make_writable(fd, pages) || !are_under_way(s, writers) ||
		    !make_read_only(fd, pages))
			return -1;
		landed += count_stores(base, pages, writers, 10);
	}
	return landed;
}

FIXTURE(proof) {
	int fd;
	char *base;
	struct stage *stage;
	struct writer w[WRITERS_MAX];
};

FIXTURE_VARIANT(proof) {
	int pages;
	enum way way;
	const char *flag;	/* of the CPU, without which it is no news */
};

FIXTURE_VARIANT_ADD(proof, of_16_pages) { 16, IN_A_LOOP, NULL };
FIXTURE_VARIANT_ADD(proof, of_64_pages) { 64, IN_A_LOOP, NULL };
FIXTURE_VARIANT_ADD(proof, by_system_calls) { 16, BY_READ, NULL };
FIXTURE_VARIANT_ADD(proof, of_sleepers) { 16, SLEEPING, NULL };
FIXTURE_VARIANT_ADD(proof, of_migrants) { 16, MIGRATING, NULL };
/* The kernel flushes in other ways there; emulated CPUs have none of them. */
FIXTURE_VARIANT_ADD(proof, with_pcids) { 16, IN_A_LOOP, "pcid" };
FIXTURE_VARIANT_ADD(proof, by_broadcast) { 16, IN_A_LOOP, "invlpgb" };
FIXTURE_VARIANT_ADD(proof, by_the_host) { 16, IN_A_LOOP, "pv_tlb_flush" };

/* A bit of KVM's leaf, which /proc/cpuinfo does not name. */
static bool kvm_flushes(void)
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(0x40000000, eax, ebx, ecx, edx);
	if (memcmp(&ebx, "KVMK", 4))
		return false;
	__cpuid(0x40000001, eax, ebx, ecx, edx);
	return eax >> 9 & 1;
}

static bool cpu_has(const char *flag)
{
	char text[8192], *word, *rest = text;

	if (!strcmp(flag, "pv_tlb_flush"))
		return kvm_flushes();
	if (read_text("/proc/cpuinfo", text, sizeof(text)) < 0)
		return false;
	while ((word = strsep(&rest, " \n")))
		if (!strcmp(word, flag))
			return true;
	return false;
}

FIXTURE_SETUP(proof)
{
	if (online_cpus() < 2)
		SKIP(return, "one CPU has nobody to shoot at");
	if (variant->flag && !cpu_has(variant->flag))
		SKIP(return, "this CPU has no %s", variant->flag);
	self->stage = set_stage(&self->fd, &self->base);
	ASSERT_NE(NULL, self->stage);
}

FIXTURE_TEARDOWN(proof)
{
}

TEST_F_TIMEOUT(proof, no_store_lands_after_return, 300)
{
	struct stage *s = self->stage;
	int n = start_writers(self->w, s, self->base, variant->pages,
			      variant->way), i;

	EXPECT_EQ(0, land(self->fd, self->base, s, variant->pages, n,
			  rounds(40)));
	stop_writers(self->w, n);
	for (i = 0; i < n; i++)
		EXPECT_LT(0, s->refused[i]);
}

/* The writers are threads of another process. */
TEST_F_TIMEOUT(proof, no_store_of_another_process_lands_after_return, 300)
{
	struct stage *s = self->stage;
	int n = online_cpus() - 1;
	pid_t pid = spawn();

	if (!pid) {
		char *base = map_region(self->fd, REGION, RW);

		n = start_writers(self->w, s, base, variant->pages,
				  variant->way);
		wait_for(&s->stop, 1);
		stop_writers(self->w, n);
		_exit(0);
	}
	pin_cpu(0);
	ASSERT_TRUE(are_under_way(s, n));
	EXPECT_EQ(0, land(self->fd, self->base, s, variant->pages, n,
			  rounds(20)));
	s->stop = 1;
	EXPECT_EQ(0, reap(pid));
}

/* ---- rounds, as the kernel counts them -------------------------------- */

TEST_F_TIMEOUT(tlb, any_number_of_pages_is_one_round, 200)
{
	static const uint64_t sizes[] = { 64, 512, 4096 };
	uint64_t bytes = 2 * 4096 * PAGE, page;
	int fd = make_region(bytes), n, k, i;
	char *base = map_region(fd, bytes, RW);
	uint32_t rounds;
	long irqs, best;

	ASSERT_NE(MAP_FAILED, base);
	n = start_spinners(self->w, self->stage);
	for (k = 0; k < 3; k++) {
		for (best = LONG_MAX, i = 0; i < 5; i++) {
			ASSERT_EQ(0, protect_scattered(fd, 0, 2, sizes[k],
						       RIGHTS_RW, &rounds));
			EXPECT_EQ(0, rounds);
			for (page = 0; page < 2 * sizes[k]; page++)
				base[page * PAGE] = 1;
			irqs = interrupts("TLB:");
			ASSERT_EQ(0, protect_scattered(fd, 0, 2, sizes[k],
						       RIGHTS_RO, &rounds));
			irqs = interrupts("TLB:") - irqs;
			EXPECT_EQ(1, rounds);
			best = irqs < best ? irqs : best;
		}
		printf("# %llu pages, %d busy siblings: %ld interrupts\n",
		       (long long)sizes[k], n, best);
		EXPECT_EQ(n, best);
	}
	stop_writers(self->w, n);
}

/* The oracle sees what there is to see. */
TEST_F_TIMEOUT(tlb, a_loop_over_mprotect_is_as_many_rounds, 100)
{
	int n = start_spinners(self->w, self->stage), i;
	char *p = mmap(NULL, 128 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long irqs;

	memset(p, 1, 128 * PAGE);
	irqs = interrupts("TLB:");
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, mprotect(p + 2 * i * PAGE, PAGE, PROT_READ));
	irqs = interrupts("TLB:") - irqs;
	stop_writers(self->w, n);
	EXPECT_LE(60 * n, irqs);
}

/* ---- faults and batches at once --------------------------------------- */

/* A store that was admitted before the batch must have landed when it ends. */
TEST_F_TIMEOUT(tlb, a_fault_under_way_is_settled, 300)
{
	struct stage *s = self->stage;
	long n = rounds(100), landed = 0, i;
	int writers = start_writers(self->w, s, self->base, 16, IN_A_LOOP);

	for (i = 0; i < n; i++) {
		/* Each upgrade sends all writers into faults. */
		ASSERT_TRUE(make_writable(self->fd, 16));
		nap_us(i % 50 * 20);
		ASSERT_TRUE(make_read_only(self->fd, 16));
		landed += count_stores(self->base, 16, writers, 5);
	}
	stop_writers(self->w, writers);
	EXPECT_EQ(0, landed);
}

/* ---- those who unmap and exit meanwhile ------------------------------- */

/*
 * A mapping with so many page tables that it takes its time between leaving the
 * file's list and flushing; not more, or they are flushed in portions.
 */
#define SPARSE_STEP	512
#define SPARSE_PAGES	(480UL * SPARSE_STEP)
#define SPARSE		(SPARSE_PAGES * PAGE)
/* When it goes, after the writers are under way, in us. */
#define MEANWHILE	30000

/* In a process of its own: writers, and a thread that unmaps or exits. */
static int vanish(int fd, struct stage *s, struct writer *w, bool by_exit)
{
	char *base = map_region(fd, SPARSE, RW);
	uint64_t i;

	if (base == MAP_FAILED)
		return 1;
	for (i = 0; i < SPARSE_PAGES; i += SPARSE_STEP)
		load_at(base + i * PAGE);
	catch_faults();
	start_writers(w, s, base, 16, IN_A_LOOP);
	if (!are_under_way(s, online_cpus() - 1))
		return 2;
	/* Not where the batch is: in the kernel nobody makes way for it. */
	pin_cpu(online_cpus() - 1);
	__atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
	nap_us(MEANWHILE);
	if (by_exit)
		return 0;
	unmap_region(base, SPARSE);
	/* Its writers find nothing there any more. */
	nap_us(20000);
	return 0;
}

static long land_vanishing(int fd, char *base, struct stage *s,
			   struct writer *w, bool by_exit, uint64_t *seed)
{
	long landed;
	pid_t pid;

	memset(s, 0, sizeof(*s));
	if (!make_writable(fd, 16))
		return -1;
	pid = spawn();
	if (!pid)
		_exit(vanish(fd, s, w, by_exit));
	if (!wait_for(&s->ready, 1))
		return -2;
	nap_us(rnd_below(seed, MEANWHILE));
	if (!make_read_only(fd, 16))
		return -3;
	landed = count_stores(base, 16, online_cpus() - 1, 3);
	return reap(pid) ? -4 : landed;
}

TEST_F_TIMEOUT(tlb, no_store_lands_while_its_process_unmaps_or_exits, 500)
{
	int fd = make_region(SPARSE);
	char *base = map_region(fd, SPARSE, RW);
	uint64_t seed = rnd_seed("vanish");
	long n = rounds(200), failed = 0, landed = 0, ret, i;

	ASSERT_NE(MAP_FAILED, base);
	pin_cpu(0);
	for (i = 0; i < n; i++) {
		ret = land_vanishing(fd, base, self->stage, self->w,
				     i % 4 == 3, &seed);
		failed += ret < 0;
		landed += ret > 0;
	}
	EXPECT_EQ(0, failed);
	EXPECT_EQ(0, landed);
}

/* ---- a PTE that was made read-only stays so --------------------------- */

TEST_F(tlb, mprotect_does_not_bring_the_right_back)
{
	int i;

	for (i = 0; i < REGION_PAGES; i++)
		self->base[i * PAGE] = 1;
	ASSERT_TRUE(make_read_only(self->fd, 16));
	ASSERT_EQ(0, mprotect(self->base, FOS_REGION_MAP_SIZE(REGION),
			      PROT_READ));
	ASSERT_EQ(0, mprotect(self->base, FOS_REGION_MAP_SIZE(REGION), RW));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(SIGSEGV, store_at(page_at(self->base, i)));
	EXPECT_EQ(0, store_at(page_at(self->base, 17)));
}

/* ---- two batches ------------------------------------------------------ */

struct rival {
	int fd;
	uint32_t rights;
	uint64_t n;
	pthread_t thread;
	int error;
};

static void *change_on(void *arg)
{
	struct rival *r = arg;
	uint64_t i;

	for (i = 0; i < r->n && !r->error; i++)
		r->error = protect_scattered(r->fd, 0, STEP, 16, r->rights, NULL);
	return NULL;
}

/* Whatever their order, all pages end as the last call wants, and are so. */
TEST_F_TIMEOUT(tlb, of_an_upgrade_and_a_downgrade_the_later_counts, 200)
{
	struct rival up = { .fd = self->fd, .rights = RIGHTS_RW,
			    .n = rounds(2000) };
	struct rival down = up;
	int i, k, writable;

	down.rights = RIGHTS_RO;
	for (k = 0; k < 10; k++) {
		pthread_create(&up.thread, NULL, change_on, &up);
		pthread_create(&down.thread, NULL, change_on, &down);
		pthread_join(up.thread, NULL);
		pthread_join(down.thread, NULL);
		for (writable = i = 0; i < 16; i++)
			writable += !store_at(page_at(self->base, i));
		/* One batch at a time: all or none. */
		EXPECT_TRUE(writable == 0 || writable == 16)
			TH_LOG("%d of 16", writable);
	}
	EXPECT_EQ(0, up.error);
	EXPECT_EQ(0, down.error);
}

TEST_HARNESS_MAIN
