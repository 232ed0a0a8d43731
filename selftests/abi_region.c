// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: what their mapping is and stays, through fork(), mremap() and the
 * rest of it; and that no road leads into a page that was made read-only.
 */
#include <liburing.h>
#include <linux/mempolicy.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "abi_region.h"
#include "kselftest_harness.h"

#define PAGES		8
#define BYTES		(PAGES * PAGE)
#define MAP_BYTES	FOS_REGION_MAP_SIZE(BYTES)

FIXTURE(region) {
	int fd;
	char *base;
};

FIXTURE_SETUP(region)
{
	catch_faults();
	self->fd = make_region(BYTES);
	ASSERT_LE(0, self->fd);
	self->base = map_region(self->fd, BYTES, RW);
	ASSERT_NE(MAP_FAILED, self->base);
}

FIXTURE_TEARDOWN(region)
{
}

/* 0, or the errno of mapping it. */
static int map_errno(int fd, size_t bytes, int prot, int flags, off_t offset)
{
	void *p = mmap(NULL, bytes, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, bytes);
	return 0;
}

/* ---- the mapping ------------------------------------------------------ */

TEST_F(region, sizes_that_cannot_be_are_einval)
{
	static const uint64_t bad[] = {
		0, 1, PAGE - 1, PAGE + 1, FOS_REGION_BYTES_MAX + PAGE,
		-PAGE, UINT64_MAX,
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(-EINVAL, make_region(bad[i]));
}

TEST(a_mapping_is_whole_shared_and_not_executable)
{
	int fd = make_region(BYTES);

	EXPECT_EQ(EINVAL, map_errno(fd, BYTES, RW, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, MAP_BYTES + PAGE, RW, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, MAP_BYTES, RW, MAP_SHARED, PAGE));
	EXPECT_EQ(EINVAL, map_errno(fd, MAP_BYTES, RW, MAP_PRIVATE, 0));
	EXPECT_NE(0, map_errno(fd, MAP_BYTES, RW | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_EQ(0, map_errno(fd, MAP_BYTES, RW, MAP_SHARED, 0));
	EXPECT_EQ(0, map_errno(fd, MAP_BYTES, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(0, map_errno(fd, MAP_BYTES, PROT_NONE, MAP_SHARED, 0));
}

TEST_F(region, a_process_has_it_once)
{
	EXPECT_EQ(EBUSY, map_errno(self->fd, MAP_BYTES, RW, MAP_SHARED, 0));
	ASSERT_EQ(0, unmap_region(self->base, BYTES));
	EXPECT_EQ(0, map_errno(self->fd, MAP_BYTES, RW, MAP_SHARED, 0));
}

TEST_F(region, a_weaker_descriptor_maps_and_changes_less)
{
	int reader = share_region(self->fd, RIGHTS_RO);
	int writer = share_region(self->fd, RIGHTS_RW);
	char *p;

	ASSERT_EQ(0, unmap_region(self->base, BYTES));
	EXPECT_EQ(-EPERM, protect(reader, 0, 1, RIGHTS_RO));
	EXPECT_EQ(-EPERM, protect(writer, 0, 1, RIGHTS_RO));
	EXPECT_EQ(-EPERM, share_region(reader, RIGHTS_RW));
	EXPECT_EQ(-EINVAL, share_region(writer, FOS_RIGHT_WRITE));
	EXPECT_EQ(-EINVAL, share_region(self->fd, RIGHTS_RW | FOS_RIGHT_OWN));
	EXPECT_EQ(EACCES, map_errno(reader, MAP_BYTES, RW, MAP_SHARED, 0));
	EXPECT_EQ(0, map_errno(writer, MAP_BYTES, RW, MAP_SHARED, 0));
	p = map_region(reader, BYTES, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, load_at(p));
	EXPECT_EQ(SIGSEGV, store_at(p));
	EXPECT_EQ(-EACCES, RESULT(mprotect(p, MAP_BYTES, RW)));
}

TEST_F(region, it_stays_whole_and_where_it_is)
{
	char *p = self->base, *moved;
	size_t i;

	memset(p, 1, BYTES);
	for (i = 0; i <= PAGES; i++) {
		EXPECT_GT(0, munmap(p + i * PAGE, PAGE));
		EXPECT_GT(0, mprotect(p + i * PAGE, PAGE, PROT_READ));
		EXPECT_GT(0, madvise(p + i * PAGE, PAGE, MADV_DOFORK));
	}
	EXPECT_EQ(MAP_FAILED, mremap(p, MAP_BYTES, PAGE, 0));
	EXPECT_EQ(MAP_FAILED, mremap(p, MAP_BYTES, 2 * MAP_BYTES,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(p, 0, MAP_BYTES, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(p, MAP_BYTES, MAP_BYTES, MREMAP_MAYMOVE |
				     MREMAP_DONTUNMAP));
	moved = mmap(NULL, MAP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	EXPECT_EQ(MAP_FAILED, mremap(p, MAP_BYTES, MAP_BYTES, MREMAP_MAYMOVE |
				     MREMAP_FIXED, moved));
	EXPECT_EQ(SIGSEGV, load_at(p + BYTES));
	/* And batches still find it. */
	EXPECT_EQ(0, protect(self->fd, 0, PAGES, RIGHTS_RO));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(SIGSEGV, store_at(p + i * PAGE));
}

TEST_F(region, what_may_be_done_with_the_whole_may_be_done)
{
	char *p = self->base;
	int i;

	memset(p, 1, BYTES);
	/* Not of the guard, which cannot be there. */
	EXPECT_EQ(0, mlock(p, BYTES));
	EXPECT_EQ(0, munlock(p, BYTES));
	EXPECT_EQ(0, madvise(p, MAP_BYTES, MADV_DONTNEED));
	EXPECT_EQ(1, p[PAGE]);
	EXPECT_EQ(0, mprotect(p, MAP_BYTES, PROT_READ));
	EXPECT_EQ(SIGSEGV, store_at(p));
	EXPECT_EQ(0, mprotect(p, MAP_BYTES, RW));
	EXPECT_EQ(0, store_at(p));
	EXPECT_EQ(0, protect(self->fd, 0, PAGES, RIGHTS_RO));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(SIGSEGV, store_at(p + i * PAGE));
	EXPECT_EQ(0, munmap(p, MAP_BYTES));
}

TEST_F(region, a_sealed_mapping_is_downgraded_all_the_same)
{
	char *p = self->base;

	if (syscall(462, p, MAP_BYTES, 0) && errno == ENOSYS)
		SKIP(return, "no mseal() in this kernel");
	EXPECT_EQ(0, store_at(p));
	EXPECT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RO));
	EXPECT_EQ(SIGSEGV, store_at(p));
	EXPECT_EQ(-EPERM, RESULT(munmap(p, MAP_BYTES)));
}

/* mbind() decides where pages come from. */
TEST_F(region, a_memory_policy_holds)
{
	unsigned long nodes = 1;
	int mode = -1;

	EXPECT_EQ(0, syscall(SYS_mbind, self->base, MAP_BYTES, MPOL_BIND,
			     &nodes, 8 * sizeof(nodes), 0));
	EXPECT_EQ(0, store_at(self->base));
	EXPECT_EQ(0, syscall(SYS_get_mempolicy, &mode, NULL, 0, self->base,
			     MPOL_F_ADDR));
	EXPECT_EQ(MPOL_BIND, mode);
}

/* ---- several processes ------------------------------------------------ */

TEST_F(region, a_child_has_only_the_descriptor)
{
	pid_t pid;
	char *p;

	self->base[0] = 7;
	pid = spawn();
	if (!pid) {
		if (load_at(self->base) != SIGSEGV)
			_exit(1);
		p = map_region(self->fd, BYTES, RW);
		_exit(p == MAP_FAILED || p[0] != 7 || store_at(p));
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0x5a, self->base[0]);
}

/* A mapping that it inherits against our will is dead. */
TEST_F(region, a_copy_by_dofork_is_good_for_nothing)
{
	uint64_t *turn = shared(2 * sizeof(*turn));
	pid_t pid;

	self->base[0] = 7;
	if (madvise(self->base, MAP_BYTES, MADV_DOFORK))
		SKIP(return, "no MADV_DOFORK for such a mapping in this kernel");
	pid = spawn();
	if (!pid) {
		if (load_at(self->base) != SIGBUS ||
		    store_at(self->base) != SIGBUS ||
		    map_region(self->fd, BYTES, RW) == MAP_FAILED)
			_exit(1);
		turn[0] = 1;
		/* It outlives what it is a copy of. */
		_exit(!wait_for(&turn[1], 1) ||
		      load_at(self->base) != SIGBUS);
	}
	ASSERT_TRUE(wait_for(&turn[0], 1));
	EXPECT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RO));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	EXPECT_EQ(0, unmap_region(self->base, BYTES));
	close(self->fd);
	turn[1] = 1;
	EXPECT_EQ(0, reap(pid));
}

TEST_F_TIMEOUT(region, so_many_processes_and_no_more, 200)
{
	uint64_t *mapped = shared(sizeof(*mapped));
	pid_t pid[FOS_REGION_MAPS_MAX];
	uint32_t rounds = 0;
	char *p, byte;
	int end[2], i;

	ASSERT_EQ(0, pipe(end));
	for (i = 0; i < FOS_REGION_MAPS_MAX; i++) {
		pid[i] = spawn();
		if (pid[i])
			continue;
		p = map_region(self->fd, BYTES, RW);
		if (p == MAP_FAILED && errno != EMFILE)
			_exit(2);
		if (p != MAP_FAILED && store_at(p))
			_exit(3);
		__atomic_fetch_add(mapped, 1, __ATOMIC_SEQ_CST);
		/* All together, when the parent closes its end. */
		close(end[1]);
		if (read(end[0], &byte, 1))
			_exit(4);
		_exit(p == MAP_FAILED ? 1 : store_at(p) != SIGSEGV);
	}
	ASSERT_TRUE(wait_for(mapped, FOS_REGION_MAPS_MAX));
	/* One round in each process. */
	EXPECT_EQ(0, protect_scattered(self->fd, 0, 2, 4, RIGHTS_RO, &rounds));
	EXPECT_EQ(FOS_REGION_MAPS_MAX, rounds);
	close(end[1]);
	for (rounds = i = 0; i < FOS_REGION_MAPS_MAX; i++)
		rounds += reap(pid[i]);
	EXPECT_EQ(1, rounds);
	EXPECT_EQ(0, protect_scattered(self->fd, 0, 2, 4, RIGHTS_RO, &rounds));
	EXPECT_EQ(1, rounds);
}

/* ---- no road into a page that is read-only ---------------------------- */

static bool is_untouched(const char *p)
{
	return *(volatile const char *)p == 7;
}

static long write_self_mem(char *p)
{
	int fd = open("/proc/self/mem", O_RDWR);
	long ret = RESULT(pwrite(fd, "x", 1, (uintptr_t)p));

	close(fd);
	return ret;
}

static long poke_from_outside(char *p)
{
	pid_t parent = getpid(), pid = spawn();

	if (!pid) {
		if (ptrace(PTRACE_ATTACH, parent, 0, 0))
			_exit(90);
		waitpid(parent, NULL, __WALL);
		errno = 0;
		ptrace(PTRACE_POKEDATA, parent, p, 0x1234);
		_exit(errno);
	}
	return -reap(pid);
}

TEST_F(region, no_system_call_writes_what_is_read_only)
{
	struct iovec local = { "x", 1 }, remote;
	char *p = self->base;
	int fd[2];

	*p = 7;
	ASSERT_EQ(0, protect(self->fd, 0, 1, RIGHTS_RO));
	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(1, write(fd[1], "x", 1));
	EXPECT_EQ(-EFAULT, RESULT(read(fd[0], p, 1)));
	remote = (struct iovec) { p, 1 };
	EXPECT_EQ(-EFAULT, RESULT(process_vm_writev(getpid(), &local, 1,
						    &remote, 1, 0)));
	EXPECT_GT(0, write_self_mem(p));
	EXPECT_GT(0, poke_from_outside(p));
	EXPECT_EQ(0, mprotect(p, MAP_BYTES, PROT_READ));
	EXPECT_EQ(0, mprotect(p, MAP_BYTES, RW));
	EXPECT_EQ(SIGSEGV, store_at(p));
	EXPECT_EQ(-EFAULT, RESULT(read(fd[0], p, 1)));
	EXPECT_TRUE(is_untouched(p));
	/* Its neighbour is as it was. */
	EXPECT_EQ(1, read(fd[0], p + PAGE, 1));
}

/* ---- who holds a page already ----------------------------------------- */

TEST_F(region, a_page_that_lies_in_a_pipe_is_busy)
{
	struct fos_tlb_range r[3];
	struct iovec iov = { self->base + PAGE, PAGE };
	char page[PAGE];
	int fd[2], i;

	memset(self->base, 7, BYTES);
	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(PAGE, vmsplice(fd[1], &iov, 1, 0));
	for (i = 0; i < 3; i++)
		r[i] = range_of(i, 1, RIGHTS_RO);
	EXPECT_EQ(-EBUSY, protectv(self->fd, r, 3, NULL));
	EXPECT_EQ(0, r[0].result);
	EXPECT_EQ(EBUSY, r[1].result);
	EXPECT_EQ(0, r[2].result);
	/* Done all the same. */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(SIGSEGV, store_at(self->base + i * PAGE));
	ASSERT_EQ(PAGE, read(fd[0], page, PAGE));
	EXPECT_EQ(0, protectv(self->fd, r, 3, NULL));
}

/* Kernels since 6.5 refuse such a buffer, which is as good. */
TEST_F(region, a_page_that_io_uring_has_pinned_is_busy)
{
	struct iovec iov = { self->base, PAGE };
	struct io_uring ring;
	int ret;

	self->base[0] = 7;
	if (io_uring_queue_init(2, &ring, 0))
		SKIP(return, "no io_uring");
	ret = io_uring_register_buffers(&ring, &iov, 1);
	EXPECT_EQ(ret ? 0 : -EBUSY, protect(self->fd, 0, 1, RIGHTS_RO));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	io_uring_queue_exit(&ring);
}

/* ---- what is told ----------------------------------------------------- */

TEST_F(region, batches_are_counted)
{
	long batches = stat_of("tlb_batches"), ranges = stat_of("tlb_ranges");
	long pages = stat_of("tlb_pages"), rounds = stat_of("tlb_rounds");
	long avoided = stat_of("tlb_rounds_avoided");
	char text[1024];

	memset(self->base, 7, BYTES);
	ASSERT_EQ(0, protect_scattered(self->fd, 0, 2, 4, RIGHTS_RO, NULL));
	EXPECT_EQ(batches + 1, stat_of("tlb_batches"));
	EXPECT_EQ(ranges + 4, stat_of("tlb_ranges"));
	EXPECT_EQ(pages + 4, stat_of("tlb_pages"));
	EXPECT_EQ(rounds + 1, stat_of("tlb_rounds"));
	EXPECT_EQ(avoided + 3, stat_of("tlb_rounds_avoided"));
	ASSERT_EQ(0, fdinfo_of(self->fd, text, sizeof(text)));
	EXPECT_EQ(BYTES, value_in(text, "bytes"));
	EXPECT_EQ(1, value_in(text, "maps"));
	EXPECT_EQ(1, value_in(text, "batches"));
	EXPECT_EQ(4, value_in(text, "pages"));
	EXPECT_EQ(3, value_in(text, "avoided"));
	EXPECT_LT(0, value_in(text, "worst_ns"));
	EXPECT_NE(NULL, strstr(text, "read,write,own"));
}

/* What cannot be read or written back of the call is EFAULT. */
TEST_F(region, ranges_that_are_not_memory_are_efault)
{
	struct fos_tlb_range *r = mmap(NULL, PAGE, RW, MAP_PRIVATE |
				       MAP_ANONYMOUS, -1, 0);

	EXPECT_EQ(-EFAULT, protectv(self->fd, NULL, 1, NULL));
	EXPECT_EQ(-EFAULT, protectv(self->fd, (void *)-8L, 1, NULL));
	*r = range_of(0, 1, RIGHTS_RO);
	ASSERT_EQ(0, mprotect(r, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, protectv(self->fd, r, 1, NULL));
	EXPECT_EQ(-EINVAL, protectv(self->fd, r, 0, NULL));
	EXPECT_EQ(-E2BIG, protectv(self->fd, r, FOS_TLB_RANGES_MAX + 1, NULL));
}

/* ---- the end ---------------------------------------------------------- */

TEST(regions_leave_nothing_behind)
{
	long live = objects_settled();
	int i, fd;
	char *p;

	for (i = 0; i < 20; i++) {
		fd = make_region(64 * PAGE);
		p = map_region(fd, 64 * PAGE, RW);
		memset(p, 1, 64 * PAGE);
		protect_scattered(fd, 0, 2, 32, RIGHTS_RO, NULL);
		close(share_region(fd, RIGHTS_RO));
		if (i & 1)
			unmap_region(p, 64 * PAGE);
		close(fd);
		if (!(i & 1))
			unmap_region(p, 64 * PAGE);
	}
	EXPECT_EQ(live, objects_left(live));
}

TEST_HARNESS_MAIN
