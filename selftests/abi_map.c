// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping of an endpoint: that it comes whole, once and stays whole, who
 * may write which page of it by whatever road, and what happens to it in
 * fork().
 */
#include <sys/inotify.h>
#include <sys/uio.h>

#include "abi.h"
#include "touch.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define AREA		8192ULL
#define PAGE		FOS_PAGE_BYTES
#define RW		(PROT_READ | PROT_WRITE)

/* A byte of a page that means nothing to anybody. */
static char *spare_byte(const struct raw *r, size_t page)
{
	return r->base + page * PAGE + PAGE - 1;
}

/* What the contract says: 0, 1, or the kernel (2), or nobody (3). */
static unsigned int writer_of(size_t page)
{
	static const struct {
		unsigned int pages, writer;
	} parts[] = {
		{ FOS_CHAN_CONTROL_BYTES(DEPTH) / PAGE, 0 },
		{ FOS_CHAN_CONTROL_BYTES(DEPTH) / PAGE, 1 },
		{ 1, 0 }, { 1, 1 }, { 1, 2 },
		{ AREA / PAGE, 0 }, { AREA / PAGE, 1 },
		{ 1, 3 },
	};
	size_t i;

	for (i = 0; page >= parts[i].pages; i++)
		page -= parts[i].pages;
	return parts[i].writer;
}

FIXTURE(map) {
	int fd[2];
	struct raw r[2];
	size_t bytes;
	size_t pages;
};

FIXTURE_SETUP(map)
{
	ASSERT_EQ(0, raw_create(DEPTH, AREA, self->fd));
	self->bytes = FOS_CHAN_MAP_BYTES(DEPTH, AREA);
	self->pages = self->bytes / PAGE;
	catch_faults();
}

FIXTURE_TEARDOWN(map)
{
}

#define ATTACH_BOTH() do { \
	ASSERT_EQ(0, raw_map(&self->r[0], self->fd[0])); \
	ASSERT_EQ(0, raw_map(&self->r[1], self->fd[1])); \
} while (0)

static bool both_alive(const struct raw *r)
{
	return !raw_dead(r->kside) && !raw_dead(r->peer_kside);
}

/* ---- whole, shared, once ---------------------------------------------- */

TEST_F(map, anything_but_the_whole_is_refused)
{
	const struct {
		size_t bytes;
		int prot, flags;
		off_t offset;
	} bad[] = {
		{ self->bytes, RW, MAP_PRIVATE, 0 },
		{ self->bytes, PROT_READ, MAP_PRIVATE, 0 },
		{ self->bytes, PROT_READ, MAP_SHARED, 0 },
		{ self->bytes, PROT_WRITE, MAP_SHARED, 0 },
		{ self->bytes, PROT_NONE, MAP_SHARED, 0 },
		{ self->bytes - PAGE, RW, MAP_SHARED, 0 },
		{ self->bytes + PAGE, RW, MAP_SHARED, 0 },
		{ PAGE, RW, MAP_SHARED, 0 },
		{ self->bytes, RW, MAP_SHARED, PAGE },
		{ self->bytes - PAGE, RW, MAP_SHARED, PAGE },
		{ self->bytes, RW, MAP_SHARED, 1L << 40 },
	};
	void *p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		p = mmap(NULL, bad[i].bytes, bad[i].prot, bad[i].flags,
			 self->fd[0], bad[i].offset);
		EXPECT_EQ(MAP_FAILED, p) TH_LOG("case %zu", i);
		EXPECT_EQ(EINVAL, errno) TH_LOG("case %zu", i);
	}
	p = mmap(NULL, self->bytes, RW | PROT_EXEC, MAP_SHARED, self->fd[0], 0);
	EXPECT_EQ(MAP_FAILED, p);
	/* What was refused did not attach. */
	ATTACH_BOTH();
	EXPECT_TRUE(both_alive(&self->r[0]));
}

TEST_F(map, an_endpoint_is_mapped_once)
{
	struct raw again;
	pid_t pid;

	ATTACH_BOTH();
	EXPECT_EQ(EBUSY, raw_map(&again, self->fd[0]));
	pid = spawn();
	if (!pid)
		_exit(raw_map(&again, self->fd[0]));
	EXPECT_EQ(EBUSY, reap(pid));
	EXPECT_TRUE(both_alive(&self->r[0]));
}

TEST_F(map, a_mapping_made_with_populate_works)
{
	char *p = mmap(NULL, self->bytes, RW, MAP_SHARED | MAP_POPULATE,
		       self->fd[0], 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, store_at(p + 64));
	EXPECT_EQ(SIGSEGV, store_at(p + FOS_CHAN_OFF_CONTROL(DEPTH, 1)));
}

TEST_F(map, the_node_cannot_be_mapped)
{
	int node = open(NODE, O_RDWR);

	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, RW, MAP_SHARED, node, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(map, unmapping_hangs_up_for_good)
{
	struct raw again;

	ATTACH_BOTH();
	ASSERT_EQ(0, munmap(self->r[0].base, self->bytes));
	EXPECT_TRUE(raw_dead(self->r[1].peer_kside));
	EXPECT_FALSE(raw_dead(self->r[1].kside));
	EXPECT_EQ(POLLHUP, raw_poll(self->fd[1], POLLIN) & POLLHUP);
	EXPECT_NE(0, raw_map(&again, self->fd[0]));
	/* A dead side does not sleep. */
	EXPECT_EQ(0, raw_bell_wait(&self->r[0], 0, FOS_WANT_MSG, 0, 0,
				   FOS_DEADLINE_NONE));
}

TEST_F(map, no_part_can_be_cut_off)
{
	struct raw *r = &self->r[0];
	size_t at[] = { 0, PAGE, self->bytes / 2 & ~(PAGE - 1),
			self->bytes - PAGE };
	char *p;
	size_t i;

	ATTACH_BOTH();
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		p = r->base + at[i];
		EXPECT_GT(0, munmap(p, PAGE)) TH_LOG("at %zu", at[i]);
		EXPECT_GT(0, mprotect(p, PAGE, PROT_READ));
		EXPECT_GT(0, mprotect(p, PAGE, PROT_NONE));
		EXPECT_GT(0, madvise(p, PAGE, MADV_DOFORK));
		EXPECT_GT(0, madvise(p, PAGE, MADV_REMOVE));
	}
	EXPECT_EQ(MAP_FAILED, mremap(r->base, r->bytes, r->bytes - PAGE, 0));
	EXPECT_GT(0, mprotect(r->base, r->bytes, RW | PROT_EXEC));
	EXPECT_TRUE(both_alive(r));
	EXPECT_EQ(0, store_at(spare_byte(r, 0)));
	EXPECT_EQ(SIGSEGV, load_at(spare_byte(r, self->pages - 1)));
}

TEST_F(map, it_cannot_be_moved_or_grown)
{
	struct raw *r = &self->r[0];
	char *elsewhere = mmap(NULL, r->bytes + self->bytes, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, elsewhere);
	ATTACH_BOTH();
	EXPECT_EQ(MAP_FAILED, mremap(r->base, r->bytes, r->bytes,
				     MREMAP_MAYMOVE | MREMAP_FIXED,
				     elsewhere));
	EXPECT_EQ(MAP_FAILED, mremap(r->base, r->bytes, r->bytes + PAGE,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(r->base, PAGE, PAGE,
				     MREMAP_MAYMOVE | MREMAP_FIXED,
				     elsewhere));
	EXPECT_EQ(MAP_FAILED, mremap(r->base, r->bytes, r->bytes,
				     MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	/* Old length 0 asks for a second mapping of the same pages. */
	EXPECT_EQ(MAP_FAILED, mremap(r->base, 0, r->bytes, MREMAP_MAYMOVE));
	EXPECT_TRUE(both_alive(r));
	EXPECT_EQ(0, store_at(spare_byte(r, 0)));
}

/* ---- who may write what ----------------------------------------------- */

TEST_F(map, each_page_has_one_writer)
{
	unsigned int side, writer;
	size_t page;
	char *p;

	ATTACH_BOTH();
	for (side = 0; side < 2; side++) {
		for (page = 0; page < self->pages; page++) {
			p = spare_byte(&self->r[side], page);
			writer = writer_of(page);
			/* First touch, then a page that has been read. */
			EXPECT_EQ(writer == side ? 0 : SIGSEGV, store_at(p))
				TH_LOG("side %u page %zu", side, page);
			EXPECT_EQ(writer == 3 ? SIGSEGV : 0, load_at(p))
				TH_LOG("side %u page %zu", side, page);
			EXPECT_EQ(writer == side ? 0 : SIGSEGV, store_at(p))
				TH_LOG("side %u page %zu", side, page);
		}
	}
	EXPECT_TRUE(both_alive(&self->r[0]));
}

static long read_into(char *p)
{
	int fd[2];
	long ret;

	if (pipe(fd) || write(fd[1], "Z", 1) != 1)
		return -1;
	ret = RESULT(read(fd[0], p, 1));
	close(fd[0]);
	close(fd[1]);
	return ret;
}

static long vm_write(char *p)
{
	char byte = 'Z';
	struct iovec from = { &byte, 1 }, to = { p, 1 };

	return RESULT(process_vm_writev(getpid(), &from, 1, &to, 1, 0));
}

static long vm_read(char *p)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { p, 1 };

	return RESULT(process_vm_readv(getpid(), &to, 1, &from, 1, 0));
}

/* As debuggers do it, with FOLL_FORCE. */
static long mem_write(char *p)
{
	int fd = open("/proc/self/mem", O_RDWR);
	long ret = RESULT(pwrite(fd, "Z", 1, (off_t)(uintptr_t)p));

	close(fd);
	return ret;
}

TEST_F(map, the_kernel_writes_no_page_that_is_not_ours)
{
	unsigned int side, mine;
	size_t page;
	char *p;

	ATTACH_BOTH();
	for (side = 0; side < 2; side++) {
		for (page = 0; page < self->pages; page++) {
			p = spare_byte(&self->r[side], page);
			mine = writer_of(page) == side;
			EXPECT_EQ(mine ? 1 : -EFAULT, read_into(p))
				TH_LOG("side %u page %zu", side, page);
			EXPECT_EQ(mine ? 1 : -EFAULT, vm_write(p))
				TH_LOG("side %u page %zu", side, page);
			EXPECT_EQ(mine ? 1 : -EIO, mem_write(p))
				TH_LOG("side %u page %zu", side, page);
		}
	}
	p = spare_byte(&self->r[0], self->pages - 1);
	EXPECT_EQ(-EFAULT, vm_read(p));
	EXPECT_TRUE(both_alive(&self->r[0]));
}

TEST_F(map, mprotect_down_and_up_opens_nothing)
{
	struct raw *r = &self->r[0];
	size_t page;
	char *p;

	ATTACH_BOTH();
	for (page = 0; page < self->pages; page++) {
		load_at(spare_byte(r, page));
		store_at(spare_byte(r, page));
		store_at(spare_byte(&self->r[1], page));
	}
	ASSERT_EQ(0, mprotect(r->base, r->bytes, PROT_READ));
	EXPECT_EQ(SIGSEGV, store_at(spare_byte(r, 0)));
	ASSERT_EQ(0, mprotect(r->base, r->bytes, RW));
	for (page = 0; page < self->pages; page++) {
		p = spare_byte(r, page);
		EXPECT_EQ(writer_of(page) == 0 ? 0 : SIGSEGV, store_at(p))
			TH_LOG("page %zu", page);
	}
	ASSERT_EQ(0, mprotect(r->base, r->bytes, PROT_NONE));
	ASSERT_EQ(0, mprotect(r->base, r->bytes, RW));
	EXPECT_EQ(SIGSEGV, store_at(r->peer_area));
	EXPECT_EQ(0, store_at(r->area));
	EXPECT_TRUE(both_alive(r));
}

/* ---- contents --------------------------------------------------------- */

TEST_F(map, what_one_side_writes_the_other_reads)
{
	char *across = self->r[0].area;
	pid_t pid;

	ASSERT_EQ(0, raw_map(&self->r[0], self->fd[0]));
	across = self->r[0].area;
	strcpy(across, "over there");
	pid = spawn();
	if (!pid) {
		if (raw_map(&self->r[1], self->fd[1]))
			_exit(1);
		_exit(strcmp(self->r[1].peer_area, "over there") ? 2 : 0);
	}
	EXPECT_EQ(0, reap(pid));
}

static int bytes_not_zero(const struct raw *r, size_t from, size_t to)
{
	int n = 0;

	for (; from < to; from++)
		n += !!r->base[from];
	return n;
}

TEST_F(map, a_new_channel_holds_nothing_of_an_old_one)
{
	size_t claims = FOS_CHAN_OFF_CLAIMS(DEPTH, 0);
	size_t kernel = FOS_CHAN_OFF_KERNEL(DEPTH);
	unsigned int round, i;
	struct raw *r;

	close(self->fd[0]);
	close(self->fd[1]);
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, raw_pair(self->r, DEPTH, AREA));
		for (r = self->r; r < self->r + 2; r++) {
			EXPECT_EQ(0, bytes_not_zero(r, 0, claims));
			for (i = 0; i < DEPTH; i++)
				EXPECT_EQ(FOS_CLAIM(i, FOS_CLAIM_DONE),
					  r->claims[i]);
			EXPECT_EQ(0, bytes_not_zero(r, kernel,
						    self->bytes - PAGE));
		}
		for (r = self->r; r < self->r + 2; r++) {
			memset(r->line, 0xa5, FOS_CHAN_CONTROL_BYTES(DEPTH));
			memset(r->claims, 0xa5, PAGE);
			memset(r->area, 0xa5, AREA);
		}
		raw_unmap(&self->r[0]);
		raw_unmap(&self->r[1]);
	}
}

TEST_F(map, pages_are_allocated_as_they_are_touched)
{
	long before, created;
	struct raw r[2];

	before = objects_settled();
	ASSERT_EQ(0, raw_pair(r, DEPTH, FOS_CHAN_AREA_MAX));
	created = objects_live();
	/* A channel and the pages that the kernel uses, far from 2 x 64 MiB. */
	EXPECT_GT(16, created - before);
	r[0].area[FOS_CHAN_AREA_MAX - 1] = 1;
	EXPECT_EQ(created + 1, objects_live());
	EXPECT_EQ(1, r[1].peer_area[FOS_CHAN_AREA_MAX - 1]);
	EXPECT_EQ(created + 1, objects_live());
	raw_unmap(&r[0]);
	raw_unmap(&r[1]);
	EXPECT_EQ(before, objects_left(before));
}

TEST_F(map, dropping_pages_from_the_mapping_loses_nothing)
{
	struct raw *r = &self->r[0];

	ATTACH_BOTH();
	strcpy(r->area, "still here");
	EXPECT_EQ(0, madvise(r->base, r->bytes, MADV_DONTNEED));
	EXPECT_STREQ("still here", r->area);
	EXPECT_STREQ("still here", self->r[1].peer_area);
	EXPECT_EQ(SIGSEGV, store_at(r->peer_area));
	EXPECT_TRUE(both_alive(r));
}

/* ---- fork ------------------------------------------------------------- */

TEST_F(map, a_forked_child_does_not_have_the_mapping)
{
	pid_t pid;

	ATTACH_BOTH();
	store_at(self->r[0].area);
	pid = spawn();
	if (!pid)
		_exit(load_at(self->r[0].area));
	EXPECT_EQ(SIGSEGV, reap(pid));
	EXPECT_TRUE(both_alive(&self->r[0]));
}

/* In a child that kept the mapping: how many accesses did not raise SIGBUS? */
static int accesses_in_child(const struct raw *r, size_t pages)
{
	size_t page;
	int n = 0;

	for (page = 0; page < pages; page++) {
		n += load_at(spare_byte(r, page)) != SIGBUS;
		n += store_at(spare_byte(r, page)) != SIGBUS;
		n += read_into(spare_byte(r, page)) != -EFAULT;
	}
	return n;
}

TEST_F(map, a_child_that_kept_the_mapping_cannot_use_it)
{
	struct raw *r = &self->r[0];
	size_t page;
	pid_t pid;

	ATTACH_BOTH();
	for (page = 0; page < self->pages; page++)
		store_at(spare_byte(r, page));
	if (madvise(r->base, r->bytes, MADV_DOFORK)) {
		/* 7.3, unlike 6.12, lets nobody keep a VM_DONTEXPAND mapping. */
		ASSERT_EQ(EINVAL, errno);
		return;
	}
	pid = spawn();
	if (!pid)
		_exit(accesses_in_child(r, self->pages));
	EXPECT_EQ(0, reap(pid));
	EXPECT_TRUE(both_alive(r));
	pid = spawn();
	if (!pid)
		_exit(munmap(r->base, r->bytes) ? 1 : 0);
	EXPECT_EQ(0, reap(pid));
	EXPECT_TRUE(both_alive(r));
	EXPECT_EQ(0, store_at(r->area));
}

/* The last reference to the inode may be a watch's. */
TEST_F(map, a_watch_that_outlives_the_channel_hangs_nobody)
{
	long before = objects_settled();
	char path[64];
	int in, fd[2], ret;
	pid_t pid;

	pid = spawn();
	if (!pid) {
		if (raw_create(DEPTH, 0, fd))
			_exit(1);
		in = inotify_init1(0);
		if (in < 0)
			_exit(77);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[0]);
		if (inotify_add_watch(in, path, IN_ALL_EVENTS) < 0)
			_exit(2);
		close(fd[0]);
		close(fd[1]);
		_exit(close(in) ? 3 : 0);
	}
	ret = reap(pid);
	if (ret == 77)
		SKIP(return, "no inotify in this kernel");
	EXPECT_EQ(0, ret);
	sync();
	EXPECT_EQ(before, objects_live());
}

TEST_HARNESS_MAIN
