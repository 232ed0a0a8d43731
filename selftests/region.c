// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: making, sharing, mapping and populating them, in one process and in
 * several.  What becomes of permissions is in tlb.c.
 *
 * gates: asan
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include "regions.h"
#include "kselftest_harness.h"

#define PAGES		16

FIXTURE(region) {
	int fd;
};

FIXTURE_SETUP(region)
{
	catch_faults();
	self->fd = fos_region_create(PAGES * PAGE, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(region)
{
}

/* The same program after exec(): what is left of a region. */
#define LOOK "FOS_REGION_LOOKS"

static int look_at(int fd, int may_change)
{
	char *addr = map(fd, RW);

	if (!addr)
		return 1;
	if (strcmp(addr, "before"))
		return 2;
	if (may(addr) != RW)
		return 3;
	if (protect_one(fd, 0, 1, PROT_READ) != (may_change ? 0 : -EPERM))
		return 4;
	return may(addr) == (may_change ? PROT_READ : RW) ? 0 : 5;
}

static void __attribute__((constructor)) look_if_asked(void)
{
	long fd = env_number(LOOK, -1);

	if (fd < 0)
		return;
	catch_faults();
	_exit(look_at(fd, env_number(LOOK "_OWNS", 0)));
}

/* ---- making ----------------------------------------------------------- */

TEST_F(region, a_new_one_is_zero_and_may_be_written)
{
	static const char zero[PAGE];
	char *addr = map(self->fd, RW);
	int i;

	ASSERT_TRUE(addr);
	EXPECT_EQ(0, (uintptr_t)addr % PAGE);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(0, memcmp(addr + i * PAGE, zero, PAGE));
	EXPECT_EQ(PAGES, count_may(addr, PAGES, RW));
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd, F_GETFD));
}

TEST_F(region, its_size_is_in_pages_and_cannot_change)
{
	struct stat st;
	int fd;

	fd = fos_region_create(2 * PAGE + 1, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(3 * PAGE, st.st_size);
	EXPECT_NE(0, ftruncate(fd, PAGE));
	EXPECT_NE(0, ftruncate(fd, 4 * PAGE));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(3 * PAGE, st.st_size);
}

TEST_F(region, sizes_that_cannot_be_are_einval)
{
	long fd = RESULT(fos_region_create(FOS_REGION_MAX, 0));

	EXPECT_EQ(-EINVAL, RESULT(fos_region_create(0, 0)));
	EXPECT_EQ(-EINVAL, RESULT(fos_region_create(FOS_REGION_MAX + 1, 0)));
	EXPECT_EQ(-EINVAL, RESULT(fos_region_create(UINT64_MAX, 0)));
	EXPECT_EQ(-EINVAL, RESULT(fos_region_create(PAGE, 1)));
	EXPECT_TRUE(fd >= 0 || fd == -EDQUOT || fd == -ENOMEM)
		TH_LOG("the largest: %ld", fd);
}

TEST_F(region, without_descriptors_it_is_emfile)
{
	struct rlimit few;
	char *addr = map(self->fd, RW);

	ASSERT_TRUE(addr);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &few));
	few.rlim_cur = 32;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	while (dup(0) >= 0)
		;
	EXPECT_EQ(-EMFILE, RESULT(fos_region_create(PAGE, 0)));
	EXPECT_EQ(-EMFILE, RESULT(fos_region_share(self->fd, PROT_READ)));
	EXPECT_EQ(0, fos_munmap(addr));
	EXPECT_LE(0, dup(0));
	EXPECT_EQ(EMFILE, map_error(self->fd, RW));
}

/* ---- what is none ----------------------------------------------------- */

static int plain_memfd(unsigned int seals)
{
	int fd = memfd_create("fastos-region", MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, PAGE) || fcntl(fd, F_ADD_SEALS, seals))
		return -1;
	return fd;
}

TEST_F(region, what_is_none_is_ebadf)
{
	int bad[10] = { -1, 1023, INT32_MAX, INT32_MIN }, fd[2];
	size_t i;

	ASSERT_EQ(0, pipe(bad + 4));
	ASSERT_EQ(0, fos_channel(fd, NULL));
	bad[6] = fd[0];
	bad[7] = open("/dev/null", O_RDWR);
	bad[8] = open("/dev/fastos", O_RDWR);
	bad[9] = plain_memfd(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	ASSERT_LE(0, bad[9]);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(EBADF, map_error(bad[i], RW));
		EXPECT_EQ(-EBADF, RESULT(fos_region_share(bad[i], PROT_READ)));
		EXPECT_EQ(-EBADF, protect_one(bad[i], 0, 1, PROT_READ))
			TH_LOG("%zu", i);
	}
	EXPECT_EQ(-EBADF, RESULT(fos_close(bad[9])));
}

TEST_F(region, one_is_no_endpoint)
{
	char in[8];

	EXPECT_EQ(-EBADF, RESULT(fos_send(self->fd, "x", 1, 0)));
	EXPECT_EQ(-EBADF, RESULT(fos_recv(self->fd, in, 8, 0)));
}

TEST_F(region, one_gets_the_number_of_an_endpoint)
{
	int fd[2], region;
	char in[8];

	ASSERT_EQ(0, fos_channel(fd, NULL));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(fd[0], in, 8, FOS_NONBLOCK)));
	EXPECT_EQ(0, close(fd[0]));
	region = fos_region_create(PAGE, 0);
	EXPECT_EQ(fd[0], region);
	EXPECT_EQ(-EBADF, RESULT(fos_recv(region, in, 8, FOS_NONBLOCK)));
	EXPECT_TRUE(map(region, RW));
	EXPECT_EQ(0, fos_close(region));
	EXPECT_EQ(-EBADF, RESULT(fos_recv(region, in, 8, FOS_NONBLOCK)));
}

/* ---- mapping ---------------------------------------------------------- */

TEST_F(region, it_is_mapped_once_in_a_process)
{
	int copy = dup(self->fd);
	int weaker = fos_region_share(self->fd, PROT_READ);
	char *addr = map(self->fd, RW);

	ASSERT_TRUE(addr);
	EXPECT_EQ(EBUSY, map_error(self->fd, RW));
	EXPECT_EQ(EBUSY, map_error(copy, PROT_READ));
	EXPECT_EQ(EBUSY, map_error(weaker, PROT_READ));
	EXPECT_EQ(0, fos_munmap(addr));
	EXPECT_EQ(PROT_NONE, may(addr));
	EXPECT_TRUE(map(weaker, PROT_READ));
	EXPECT_EQ(EBUSY, map_error(self->fd, RW));
}

TEST_F(region, the_mapping_allows_what_was_asked_for)
{
	static const int bad[] = { PROT_WRITE, PROT_EXEC, RW | PROT_EXEC,
				   PROT_READ | 0x100, -1 };
	static const int prots[] = { PROT_NONE, PROT_READ, RW };
	char *addr;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(EINVAL, map_error(self->fd, bad[i]));
	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		addr = map(self->fd, prots[i]);
		ASSERT_TRUE(addr);
		EXPECT_EQ(PAGES, count_may(addr, PAGES, prots[i]));
		EXPECT_EQ(0, fos_munmap(addr));
	}
}

TEST_F(region, behind_it_is_a_guard_page)
{
	char *addr = map(self->fd, RW);

	ASSERT_TRUE(addr);
	EXPECT_EQ(FOS_REGION_MAP_BYTES(PAGES * PAGE), (PAGES + 1) * PAGE);
	EXPECT_EQ(RW, may(addr + PAGES * PAGE - 1));
	EXPECT_EQ(PROT_NONE, may(addr + PAGES * PAGE));
	EXPECT_EQ(PROT_NONE, may(addr + (PAGES + 1) * PAGE - 1));
}

TEST_F(region, the_mapping_outlives_the_descriptor)
{
	char *addr = map(self->fd, RW);

	ASSERT_TRUE(addr);
	EXPECT_EQ(0, fos_close(self->fd));
	EXPECT_EQ(-EBADF, RESULT(fos_close(self->fd)));
	EXPECT_EQ(PAGES, count_may(addr, PAGES, RW));
	EXPECT_EQ(0, fos_mprotect(addr, PAGE, PROT_READ));
	EXPECT_EQ(PROT_READ, may(addr));
	EXPECT_EQ(0, fos_populate(addr, PAGES * PAGE));
	EXPECT_EQ(0, fos_munmap(addr));
}

TEST_F(region, what_is_no_mapping_is_einval)
{
	char *addr = map(self->fd, RW);

	ASSERT_TRUE(addr);
	EXPECT_EQ(-EINVAL, RESULT(fos_munmap(NULL)));
	EXPECT_EQ(-EINVAL, RESULT(fos_munmap(addr + PAGE)));
	EXPECT_EQ(-EINVAL, RESULT(fos_munmap(self)));
	EXPECT_EQ(0, fos_munmap(addr));
	EXPECT_EQ(-EINVAL, RESULT(fos_munmap(addr)));
}

TEST_F(region, content_and_permissions_outlive_the_mapping)
{
	char *addr = map(self->fd, RW);
	int i;

	ASSERT_TRUE(addr);
	fill(addr, PAGES * PAGE, 5);
	EXPECT_EQ(0, protect_one(self->fd, 3, 2, PROT_READ));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, fos_munmap(addr));
		addr = map(self->fd, RW);
		ASSERT_TRUE(addr);
		EXPECT_TRUE(is_filled(addr, PAGES * PAGE, 5));
		EXPECT_EQ(PAGES - 2, count_may(addr, PAGES, RW));
		EXPECT_EQ(2, count_may(addr + 3 * PAGE, 2, PROT_READ));
	}
}

/* "dd": not dumped, "dc": not copied by fork(). */
TEST_F(region, the_mapping_is_left_out_of_core_dumps)
{
	char *addr = map(self->fd, RW), line[512], start[32];
	FILE *f = fopen("/proc/self/smaps", "re");
	bool here = false, found = false;

	ASSERT_TRUE(addr);
	if (!f)
		SKIP(return, "no /proc/self/smaps");
	snprintf(start, sizeof(start), "%lx-", (unsigned long)addr);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, start, strlen(start)))
			here = true;
		if (!here || strncmp(line, "VmFlags:", 8))
			continue;
		found = true;
		EXPECT_TRUE(strstr(line, " dd"));
		EXPECT_TRUE(strstr(line, " dc"));
		break;
	}
	fclose(f);
	EXPECT_TRUE(found);
}

TEST_F(region, nothing_is_left_of_what_was_unmapped_and_closed)
{
	int fd, before, i;
	char *addr;

	ASSERT_TRUE(map(self->fd, RW));
	before = count_fds();
	for (i = 0; i < 50; i++) {
		fd = fos_region_create(PAGE, 0);
		addr = map(fd, RW);
		ASSERT_TRUE(addr);
		if (i & 1)
			EXPECT_EQ(0, protect_one(fd, 0, 1, PROT_READ));
		if (i & 2)
			EXPECT_EQ(0, fos_close(fd));
		EXPECT_EQ(0, fos_munmap(addr));
		if (!(i & 2))
			EXPECT_EQ(0, fos_close(fd));
	}
	EXPECT_EQ(before, count_fds());
}

/* ---- rights ----------------------------------------------------------- */

TEST_F(region, a_reader_may_only_read)
{
	int fd = fos_region_share(self->fd, PROT_READ);
	char *addr;

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(EACCES, map_error(fd, RW));
	EXPECT_EQ(-EPERM, RESULT(fos_region_share(fd, RW)));
	EXPECT_LE(0, fos_region_share(fd, PROT_READ));
	EXPECT_EQ(-EPERM, protect_one(fd, 0, 1, PROT_READ));
	EXPECT_EQ(-EPERM, protect_one(fd, 0, 1, RW));
	addr = map(fd, PROT_READ);
	ASSERT_TRUE(addr);
	EXPECT_EQ(PAGES, count_may(addr, PAGES, PROT_READ));
	EXPECT_EQ(-EPERM, RESULT(fos_mprotect(addr, PAGE, RW)));
	EXPECT_NE(0, mprotect(addr, FOS_REGION_MAP_BYTES(PAGES * PAGE), RW));
}

TEST_F(region, a_writer_may_not_change_permissions)
{
	int fd = fos_region_share(self->fd, RW), copy;
	char *addr;

	ASSERT_LE(0, fd);
	EXPECT_LE(0, fos_region_share(fd, PROT_READ));
	copy = fos_region_share(fd, RW);
	EXPECT_EQ(-EPERM, protect_one(copy, 0, 1, PROT_READ));
	copy = dup(fd);
	EXPECT_EQ(-EPERM, protect_one(copy, 0, 1, PROT_READ));
	addr = map(fd, RW);
	ASSERT_TRUE(addr);
	EXPECT_EQ(-EPERM, RESULT(fos_mprotect(addr, PAGE, PROT_READ)));
	EXPECT_EQ(PAGES, count_may(addr, PAGES, RW));
	EXPECT_EQ(0, protect_one(self->fd, 0, 1, PROT_READ));
	EXPECT_EQ(PROT_READ, may(addr));
}

TEST_F(region, rights_that_there_are_not_are_einval)
{
	static const int bad[] = { PROT_NONE, PROT_WRITE, PROT_EXEC,
				   RW | PROT_EXEC, 8 | PROT_READ, -1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, RESULT(fos_region_share(self->fd, bad[i])));
}

/* ---- processes -------------------------------------------------------- */

static int child_maps(int fd, char *parents)
{
	char *addr;

	if (may(parents) != PROT_NONE)
		return 1;
	if (RESULT(fos_munmap(parents)) != -EINVAL)
		return 2;
	addr = map(fd, RW);
	if (!addr)
		return 3;
	if (strcmp(addr, "parent"))
		return 4;
	if (may(addr + PAGE) != PROT_READ || may(addr + 2 * PAGE) != RW)
		return 5;
	strcpy(addr, "child");
	return fos_munmap(addr) ? 6 : 0;
}

TEST_F(region, a_child_inherits_the_descriptor_and_not_the_mapping)
{
	char *addr = map(self->fd, RW);
	pid_t pid;

	ASSERT_TRUE(addr);
	strcpy(addr, "parent");
	EXPECT_EQ(0, protect_one(self->fd, 1, 1, PROT_READ));
	pid = spawn();
	if (!pid)
		_exit(child_maps(self->fd, addr));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, strcmp(addr, "child"));
	EXPECT_EQ(RW, may(addr));
}

static int child_uses_nothing(int before)
{
	int fd = fos_region_create(PAGE, 0);
	char *addr = map(fd, RW);

	/* What the parent's mapping held is gone. */
	if (!addr || fos_munmap(addr) || fos_close(fd))
		return 1;
	return count_fds() == before ? 0 : 2;
}

TEST_F(region, a_child_keeps_nothing_of_the_parents_mapping)
{
	int before = count_fds();
	pid_t pid;

	ASSERT_TRUE(map(self->fd, RW));
	pid = spawn();
	if (!pid)
		_exit(child_uses_nothing(before));
	EXPECT_EQ(0, reap(pid));
}

static int reader_in_another_process(int socket)
{
	int fd = receive_fd(socket);
	char *addr;

	if (fd < 0)
		return 1;
	if (map_error(fd, RW) != EACCES)
		return 2;
	addr = map(fd, PROT_READ);
	if (!addr)
		return 3;
	if (strcmp(addr, "hello") || may(addr) != PROT_READ)
		return 4;
	return protect_one(fd, 0, 1, PROT_READ) == -EPERM ? 0 : 5;
}

static int writer_in_another_process(int socket)
{
	int fd = receive_fd(socket);
	char *addr = map(fd, RW);

	if (!addr)
		return 1;
	if (protect_one(fd, 0, 1, PROT_READ) != -EPERM)
		return 2;
	strcpy(addr, "there");
	return 0;
}

TEST_F(region, it_can_be_passed_to_another_process)
{
	char *addr = map(self->fd, RW);
	int socket[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socket));
	ASSERT_TRUE(addr);
	strcpy(addr, "hello");
	pid = spawn();
	if (!pid)
		_exit(reader_in_another_process(socket[1]));
	fd = fos_region_share(self->fd, PROT_READ);
	EXPECT_EQ(0, send_fd(socket[0], fd));
	EXPECT_EQ(0, reap(pid));
	pid = spawn();
	if (!pid)
		_exit(writer_in_another_process(socket[1]));
	fd = fos_region_share(self->fd, RW);
	EXPECT_EQ(0, send_fd(socket[0], fd));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, strcmp(addr, "there"));
}

static int exec_looks(int fd, bool owns)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	setenv(LOOK, number, 1);
	setenv(LOOK "_OWNS", owns ? "1" : "0", 1);
	fcntl(fd, F_SETFD, 0);
	execl("/proc/self/exe", "region", NULL);
	return 98;
}

TEST_F(region, exec_keeps_the_descriptor_and_its_rights)
{
	int writer = fos_region_share(self->fd, RW);
	char *addr = map(self->fd, RW);
	pid_t pid;

	ASSERT_TRUE(addr);
	strcpy(addr, "before");
	pid = spawn();
	if (!pid)
		_exit(exec_looks(writer, false));
	EXPECT_EQ(0, reap(pid));
	pid = spawn();
	if (!pid)
		_exit(exec_looks(self->fd, true));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(has_cap(FOS_CAP_REGION_WIDE) ? PROT_READ : RW, may(addr));
}

/* ---- populate --------------------------------------------------------- */

static long faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_minflt + u.ru_majflt;
}

TEST_F(region, stores_to_populated_pages_cost_no_fault)
{
	const int n = 256;
	int fd = fos_region_create(n * PAGE, 0);
	volatile char *addr = map(fd, RW);
	long before;
	int i;

	ASSERT_TRUE(addr);
	EXPECT_EQ(0, protect_one(fd, 100, 1, PROT_READ));
	EXPECT_EQ(0, fos_populate((char *)addr, n * PAGE));
	before = faults();
	for (i = 0; i < n; i++)
		if (i != 100)
			addr[i * PAGE] = 1;
	EXPECT_GT(n / 4, faults() - before);
	EXPECT_EQ(PROT_READ, may((char *)addr + 100 * PAGE));
	EXPECT_EQ(0, addr[100 * PAGE]);
}

TEST_F(region, populate_takes_pages_of_a_mapping_only)
{
	char *addr = map(self->fd, PROT_READ);

	ASSERT_TRUE(addr);
	EXPECT_EQ(0, fos_populate(addr, 0));
	EXPECT_EQ(0, fos_populate(addr + PAGE, 1));
	EXPECT_EQ(0, fos_populate(addr, PAGES * PAGE));
	EXPECT_EQ(PAGES, count_may(addr, PAGES, PROT_READ));
	EXPECT_EQ(-EINVAL, RESULT(fos_populate(addr + 1, PAGE)));
	EXPECT_EQ(-EINVAL, RESULT(fos_populate(addr, PAGES * PAGE + 1)));
	EXPECT_EQ(-EINVAL, RESULT(fos_populate(addr, SIZE_MAX)));
	EXPECT_EQ(-EINVAL, RESULT(fos_populate(addr - PAGE, PAGE)));
	EXPECT_EQ(-EINVAL, RESULT(fos_populate(NULL, PAGE)));
	EXPECT_EQ(0, fos_munmap(addr));
	EXPECT_EQ(-EINVAL, RESULT(fos_populate(addr, PAGE)));
	addr = map(self->fd, PROT_NONE);
	ASSERT_TRUE(addr);
	EXPECT_EQ(-EINVAL, RESULT(fos_populate(addr, PAGE)));
}

TEST_HARNESS_MAIN
