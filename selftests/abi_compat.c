// SPDX-License-Identifier: GPL-2.0-only
/* Callers of 32 bits: the same structs, the same answers. */
#include <sys/mman.h>

#include "abi.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define AREA		8192

/* As a 32-bit program enters the kernel; @args below 4 GiB. */
static long ioctl_32(int fd, unsigned int cmd, void *args)
{
	int ret;

	__asm__ volatile("int $0x80"
			 : "=a" (ret)
			 : "a" (54), "b" (fd), "c" (cmd), "d" (args)
			 : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static int query_as_32_bit(int fd, uint64_t area_bytes)
{
	struct fos_core_query *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
					-1, 0);

	if (ioctl_32(fd, FOS_IOC_CORE_QUERY, q))
		return 1;
	if (q->abi != FOS_ABI || q->area_bytes != area_bytes)
		return 2;
	q->flags = 1;
	return ioctl_32(fd, FOS_IOC_CORE_QUERY, q) == -EINVAL ? 0 : 3;
}

TEST(programs_of_32_bits_get_the_same_answers)
{
	int fd[2], ret;
	pid_t pid;

	ASSERT_EQ(0, raw_create(DEPTH, AREA, fd));
	pid = spawn();
	if (!pid)
		_exit(query_as_32_bit(fd[0], AREA));
	ret = reap(pid);
	if (ret == REAP_SIGNAL(SIGSEGV))
		SKIP(return, "no 32-bit system calls here");
	EXPECT_EQ(0, ret);
}

TEST_HARNESS_MAIN
