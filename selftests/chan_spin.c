// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a side waits: each mode on one CPU and on two, what it costs in traps
 * and sleeps, and the attributes that choose it.
 *
 * patches: code
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include "peers.h"
#include "kselftest_harness.h"

#define ROUND_TRIPS	1000
#define WARM_UP		100

FIXTURE(spin) {
	int fd[2];
};

FIXTURE_VARIANT(spin) {
	struct fos_chan_attr attr;
	unsigned int cpus;
};

#define ONE_AND_TWO_CPUS(name, ...) \
	FIXTURE_VARIANT_ADD(spin, name##_on_one_cpu) { \
		.attr = { __VA_ARGS__ }, .cpus = 1, \
	}; \
	FIXTURE_VARIANT_ADD(spin, name##_on_two_cpus) { \
		.attr = { __VA_ARGS__ }, .cpus = 2, \
	}

ONE_AND_TWO_CPUS(default, .spin = FOS_SPIN_DEFAULT);
ONE_AND_TWO_CPUS(block, .spin = FOS_SPIN_BLOCK);
ONE_AND_TWO_CPUS(always, .spin = FOS_SPIN_ALWAYS);
ONE_AND_TWO_CPUS(fixed_0, .spin = FOS_SPIN_FIXED);
ONE_AND_TWO_CPUS(fixed_5us, .spin = FOS_SPIN_FIXED, .spin_ns = 5000);
ONE_AND_TWO_CPUS(fixed_1s, .spin = FOS_SPIN_FIXED, .spin_ns = 1000000000);

FIXTURE_SETUP(spin)
{
	if (usable_cpus() < (int)variant->cpus)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, fos_channel(self->fd, &variant->attr));
}

FIXTURE_TEARDOWN(spin)
{
}

/* An echo server on the last of the variant's CPUs; this process on the first. */
static pid_t apart(int fd, unsigned int cpus)
{
	pid_t pid = spawn();
	char buf[64];

	if (!pid) {
		if (pin_to(cpus - 1))
			_exit(98);
		_exit(serve_echo(fd, buf, sizeof(buf)));
	}
	return pin_to(0) ? -1 : pid;
}

TEST_F_TIMEOUT(spin, calls_come_back, 120)
{
	pid_t pid = apart(self->fd[1], variant->cpus);

	ASSERT_LT(0, pid);
	EXPECT_EQ(0, failed_calls(self->fd[0], ROUND_TRIPS));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F_TIMEOUT(spin, a_deadline_ends_the_wait_for_a_stopped_server, 120)
{
	pid_t pid = apart(self->fd[1], variant->cpus);
	struct timespec soon;
	char in[8];

	ASSERT_LT(0, pid);
	EXPECT_EQ(0, failed_calls(self->fd[0], WARM_UP));
	ASSERT_TRUE(stop(pid));
	soon = deadline_in(50);
	EXPECT_EQ(-ETIMEDOUT, RESULT(fos_call(self->fd[0], "x", 1, in, 8,
					      &soon)));
	kill(pid, SIGCONT);
	EXPECT_EQ(0, failed_calls(self->fd[0], WARM_UP));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F_TIMEOUT(spin, death_of_the_server_ends_the_wait, 120)
{
	struct async c = { .fn = do_call, .fd = self->fd[0], .out = "x",
			   .out_len = 1 };
	pid_t pid = apart(self->fd[1], variant->cpus);
	long ret;

	ASSERT_LT(0, pid);
	EXPECT_EQ(0, failed_calls(self->fd[0], WARM_UP));
	ASSERT_TRUE(stop(pid));
	start(&c);
	nap_us(20000);
	EXPECT_FALSE(is_done(&c));
	kill(pid, SIGKILL);
	ret = finish(&c);
	EXPECT_TRUE(ret == -EPIPE || ret == -ECONNRESET);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
}

/* ---- what a round trip costs ------------------------------------------ */

/* System calls of two processes, counted by a tracepoint in an instance. */
#define TRACING "/sys/kernel/tracing/instances/fastos-selftest-spin/"
#define SYSCALLS TRACING "events/raw_syscalls/sys_enter/"

static int syscalls_begin(pid_t a, pid_t b)
{
	char filter[128];

	snprintf(filter, sizeof(filter), "common_pid == %d || common_pid == %d",
		 a, b);
	mkdir(TRACING, 0700);
	return write_text(TRACING "buffer_size_kb", "1024") ||
	       write_text(SYSCALLS "filter", filter) ||
	       write_text(SYSCALLS "enable", "1");
}

static long syscalls_so_far(void)
{
	char path[128], text[1024];
	long n, sum = 0;
	int cpu;

	for (cpu = 0; cpu < 64; cpu++) {
		snprintf(path, sizeof(path), TRACING "per_cpu/cpu%d/stats",
			 cpu);
		if (read_text(path, text, sizeof(text)) < 0)
			break;
		n = value_in(text, "entries") + value_in(text, "overrun");
		sum += n;
	}
	return sum;
}

static void syscalls_end(void)
{
	write_text(SYSCALLS "enable", "0");
	rmdir(TRACING);
}

static long voluntary_switches(pid_t pid)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (read_text(path, text, sizeof(text)) < 0)
		return -1;
	return value_in(text, "voluntary_ctxt_switches");
}

FIXTURE(cost) {
	int fd[2];
};

FIXTURE_SETUP(cost)
{
}

FIXTURE_TEARDOWN_PARENT(cost)
{
	syscalls_end();
}

TEST_F_TIMEOUT(cost, a_blocking_call_on_one_cpu_is_two_traps, 120)
{
	long before, traps;
	pid_t pid;

	NEEDS_THE_MODULE();
	ASSERT_EQ(0, channel_with(self->fd, FOS_SPIN_BLOCK, 0, 0));
	pid = apart(self->fd[1], 1);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, failed_calls(self->fd[0], WARM_UP));
	ASSERT_EQ(0, syscalls_begin(getpid(), pid));
	before = syscalls_so_far();
	EXPECT_EQ(0, failed_calls(self->fd[0], ROUND_TRIPS));
	traps = syscalls_so_far() - before;
	printf("# %ld traps in %d round trips\n", traps, ROUND_TRIPS);
	/* Reading the counters is a few, a tick in the middle one more. */
	EXPECT_LE(2 * ROUND_TRIPS, traps + ROUND_TRIPS / 50);
	EXPECT_GE(2 * ROUND_TRIPS + ROUND_TRIPS / 50, traps);
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F_TIMEOUT(cost, a_spinning_call_on_two_cpus_is_no_trap_and_no_switch, 120)
{
	long waits, bells, mine, theirs;
	pid_t pid;

	if (usable_cpus() < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, channel_with(self->fd, FOS_SPIN_ALWAYS, 0, 0));
	pid = apart(self->fd[1], 2);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, failed_calls(self->fd[0], WARM_UP));
	waits = stat_of("chan_waits");
	bells = stat_of("chan_bells");
	mine = voluntary_switches(getpid());
	theirs = voluntary_switches(pid);
	EXPECT_EQ(0, failed_calls(self->fd[0], ROUND_TRIPS));
	EXPECT_EQ(mine, voluntary_switches(getpid()));
	EXPECT_EQ(theirs, voluntary_switches(pid));
	EXPECT_EQ(waits, stat_of("chan_waits"));
	EXPECT_EQ(bells, stat_of("chan_bells"));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F_TIMEOUT(cost, nobody_spins_beside_his_peer, 120)
{
	long before;
	pid_t pid;

	NEEDS_THE_MODULE();
	ASSERT_EQ(0, channel_with(self->fd, FOS_SPIN_ALWAYS, 0, 0));
	pid = apart(self->fd[1], 1);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, failed_calls(self->fd[0], WARM_UP));
	before = stat_of("chan_waits");
	EXPECT_EQ(0, failed_calls(self->fd[0], ROUND_TRIPS));
	EXPECT_LE(2 * ROUND_TRIPS - ROUND_TRIPS / 50,
		  stat_of("chan_waits") - before);
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

/* ---- attributes ------------------------------------------------------- */

static long make(const struct fos_chan_attr *attr)
{
	int fd[2];
	long ret = RESULT(fos_channel(fd, attr));

	if (!ret) {
		fos_close(fd[0]);
		fos_close(fd[1]);
	}
	return ret;
}

TEST(attributes_out_of_range_are_einval)
{
	struct fos_chan_attr bad[] = {
		{ .flags = 1 }, { .flags = 1u << 31 },
		{ .depth = 1 }, { .depth = 3 }, { .depth = 512 },
		{ .depth = ~0u },
		{ .area_bytes = (64ULL << 20) + 1 }, { .area_bytes = ~0ULL },
		{ .spin = FOS_SPIN_FIXED + 1 }, { .spin = ~0u },
		{ .spin_share = 100 }, { .spin_share = ~0u },
		{ .spin = FOS_SPIN_BLOCK, .spin_share = 1 },
		{ .spin = FOS_SPIN_FIXED, .spin_share = 1 },
		{ .spin_ns = 1 },
		{ .spin = FOS_SPIN_FIXED, .spin_ns = 1ULL << 48 },
		{ .spin = FOS_SPIN_FIXED, .spin_ns = ~0ULL },
		{ .resv = { 1 } }, { .resv = { 0, 1 } },
		{ .resv = { 0, 0, 1 } }, { .resv = { 0, 0, 0, 1 } },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, make(&bad[i])) TH_LOG("case %zu", i);
	EXPECT_EQ(-EINVAL, RESULT(fos_channel(NULL, NULL)));
}

TEST(attributes_in_range_make_a_channel)
{
	struct fos_chan_attr good[] = {
		{}, { .depth = 2 }, { .depth = 256 }, { .area_bytes = 1 },
		{ .area_bytes = 4097 }, { .area_bytes = 64ULL << 20 },
		{ .spin = FOS_SPIN_BLOCK }, { .spin = FOS_SPIN_ALWAYS },
		{ .spin = FOS_SPIN_FIXED },
		{ .spin = FOS_SPIN_FIXED, .spin_ns = (1ULL << 48) - 1 },
		{ .spin_share = 1 }, { .spin_share = 99 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		EXPECT_EQ(0, make(&good[i])) TH_LOG("case %zu", i);
	EXPECT_EQ(0, make(NULL));
}

TEST(the_area_is_rounded_up_to_pages)
{
	struct fos_chan_attr attr = { .area_bytes = 4097 };
	char text[1024];
	int fd[2];

	NEEDS_THE_MODULE();
	ASSERT_EQ(0, fos_channel(fd, &attr));
	ASSERT_EQ(0, fdinfo_of(fd[0], text, sizeof(text)));
	EXPECT_EQ(8192, value_in(text, "area"));
	EXPECT_EQ(32, value_in(text, "depth"));
	ASSERT_EQ(0, fos_channel(fd, NULL));
	ASSERT_EQ(0, fdinfo_of(fd[0], text, sizeof(text)));
	EXPECT_EQ(2 << 20, value_in(text, "area"));
}

TEST_HARNESS_MAIN
