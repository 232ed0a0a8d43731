// SPDX-License-Identifier: GPL-2.0-only
/* What descriptors tell of themselves. */
#include "abi_region.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define AREA		8192

FIXTURE(query) {
	int node;
	int ep[2];
};

FIXTURE_SETUP(query)
{
	self->node = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->node);
	ASSERT_EQ(0, raw_create(DEPTH, AREA, self->ep));
}

FIXTURE_TEARDOWN(query)
{
}

TEST_F(query, query_of_the_node_tells_features_and_limits)
{
	struct fos_core_query q = {};

	ASSERT_EQ(0, ioctl(self->node, FOS_IOC_CORE_QUERY, &q));
	EXPECT_EQ(FOS_ABI, q.abi);
	EXPECT_EQ(FOS_KIND_NODE, q.kind);
	/* PTEs are known on all kernels of the matrix. */
	EXPECT_EQ(FOS_FEAT_CHAN | FOS_FEAT_CLAIMS_KERNEL | FOS_FEAT_REGION |
		  FOS_FEAT_TLB_ASYNC | FOS_FEAT_TLB_ZAP | FOS_FEAT_CQ |
		  FOS_FEAT_URING,
		  q.features);
	EXPECT_EQ(FOS_CHAN_DEPTH_MAX, q.depth_max);
	EXPECT_EQ(FOS_CHAN_AREA_MAX, q.area_max);
	EXPECT_LT(0, q.wake_ns);
	EXPECT_EQ(0, q.flags | q.id | q.side | q.depth | q.area_bytes |
		     q.cookie);
}

TEST_F(query, query_of_an_endpoint_tells_which_it_is)
{
	struct fos_core_query q[3] = {};
	int other[2] = { -1, -1 };
	int i;

	ASSERT_EQ(0, raw_create(16, 0, other));
	ASSERT_EQ(0, ioctl(self->ep[0], FOS_IOC_CORE_QUERY, &q[0]));
	ASSERT_EQ(0, ioctl(self->ep[1], FOS_IOC_CORE_QUERY, &q[1]));
	ASSERT_EQ(0, ioctl(other[0], FOS_IOC_CORE_QUERY, &q[2]));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(FOS_KIND_CHAN, q[i].kind);
		EXPECT_EQ(i, q[i].side);
		EXPECT_EQ(DEPTH, q[i].depth);
		EXPECT_EQ(AREA, q[i].area_bytes);
		EXPECT_EQ(0x5eed, q[i].cookie);
		EXPECT_EQ(FOS_ABI, q[i].abi);
	}
	EXPECT_NE(0, q[0].id);
	EXPECT_EQ(q[0].id, q[1].id);
	EXPECT_NE(q[0].id, q[2].id);
	EXPECT_EQ(16, q[2].depth);
	EXPECT_EQ(0, q[2].area_bytes);
}

TEST_F(query, endpoints_are_close_on_exec_and_cannot_be_read_or_written)
{
	char byte = 0;
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(FD_CLOEXEC, fcntl(self->ep[i], F_GETFD));
		EXPECT_EQ(O_RDWR, fcntl(self->ep[i], F_GETFL) & O_ACCMODE);
		EXPECT_EQ(-EINVAL, RESULT(read(self->ep[i], &byte, 1)));
		EXPECT_EQ(-EINVAL, RESULT(write(self->ep[i], &byte, 1)));
		EXPECT_GT(0, ftruncate(self->ep[i], 1 << 20));
	}
}

TEST_F(query, a_region_tells_its_size_and_what_its_descriptor_may)
{
	static const uint32_t rights[] = {
		RIGHTS_RW | FOS_RIGHT_OWN, FOS_RIGHT_READ, RIGHTS_RW
	};
	struct fos_core_query q[3] = {};
	int fd[3], i;

	fd[0] = make_region(AREA);
	fd[1] = share_region(fd[0], FOS_RIGHT_READ);
	fd[2] = share_region(fd[0], RIGHTS_RW);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(FD_CLOEXEC, fcntl(fd[i], F_GETFD));
		ASSERT_EQ(0, ioctl(fd[i], FOS_IOC_CORE_QUERY, &q[i]));
		EXPECT_EQ(FOS_KIND_REGION, q[i].kind);
		EXPECT_EQ(rights[i], q[i].side);
		EXPECT_EQ(AREA, q[i].area_bytes);
		EXPECT_EQ(FOS_ABI, q[i].abi);
		EXPECT_EQ(q[0].id, q[i].id);
		EXPECT_GT(0, ftruncate(fd[i], 1 << 20));
	}
	EXPECT_NE(0, q[0].id);
}

/* ---- what channels there are ------------------------------------------ */

/* 0, or the errno; what it made is closed. */
static int create(uint32_t depth, uint64_t area_bytes)
{
	int fd[2], ret = raw_create(depth, area_bytes, fd);

	close(fd[0]);
	close(fd[1]);
	return ret;
}

TEST(depths_are_powers_of_two_from_2_to_256)
{
	static const uint32_t bad[] = {
		0, 1, 3, 5, 6, 12, 33, 255, 257, 512, 1024, 1 << 16, 1u << 31,
		~0u,
	};
	uint32_t depth;
	size_t i;

	for (depth = 2; depth <= 256; depth *= 2)
		EXPECT_EQ(0, create(depth, 8192));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(EINVAL, create(bad[i], 8192))
			TH_LOG("depth %u", bad[i]);
}

TEST(areas_are_whole_pages_up_to_64_mib)
{
	static const uint64_t good[] = { 0, 4096, 12288, FOS_CHAN_AREA_MAX };
	static const uint64_t bad[] = {
		1, 32, 4095, 4097, FOS_CHAN_AREA_MAX - 1,
		FOS_CHAN_AREA_MAX + 1, FOS_CHAN_AREA_MAX + 4096, 1ULL << 32,
		1ULL << 52, 1ULL << 63, ~0ULL, ~0ULL & ~4095ULL,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		EXPECT_EQ(0, create(4, good[i]));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(EINVAL, create(4, bad[i]))
			TH_LOG("area %#llx", (long long)bad[i]);
}

TEST_HARNESS_MAIN
