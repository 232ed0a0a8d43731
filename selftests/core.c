// SPDX-License-Identifier: GPL-2.0-only
/*
 * What fastos says of itself (query, fdinfo, counters, tracepoints), who may
 * use it, and how much of it.
 *
 * patches: code
 */
#include <grp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "peers.h"
#include "kselftest_harness.h"

#define NODE		"/dev/fastos"
#define NOBODY		65534
#define SOMEBODY	65533

/* ---- query ------------------------------------------------------------ */

TEST(query_tells_that_the_module_is_here)
{
	struct fos_caps caps;

	memset(&caps, 0xff, sizeof(caps));
	ASSERT_EQ(0, fos_query(&caps, sizeof(caps)));
	EXPECT_EQ(FOS_CAP_CHAN | FOS_CAP_CLAIMS_KERNEL | FOS_CAP_POLL_EXACT |
		  FOS_CAP_CLOSE_EXACT | FOS_CAP_EXEC_HANGUP | FOS_CAP_REGION |
		  FOS_CAP_REGION_WIDE | FOS_CAP_ONE_ROUND |
		  FOS_CAP_ZAP_ONE_ROUND | FOS_CAP_DISCARD | FOS_CAP_ASYNC |
		  FOS_CAP_TRACK | FOS_CAP_URING | FOS_CAP_CQ_NOTIFY,
		  caps.features);
	EXPECT_EQ(FOS_BACKEND_KERNEL, caps.backend);
	EXPECT_EQ(0, caps.reason);
	EXPECT_EQ(256, caps.depth_max);
	EXPECT_EQ(64 << 20, caps.area_max);
	EXPECT_LT(0, caps.wake_ns);
}

TEST(query_fills_old_and_new_structs)
{
	struct {
		struct fos_caps caps;
		char tail[64];
	} more, zero = {};
	struct fos_caps caps, old;

	ASSERT_EQ(0, fos_query(&caps, sizeof(caps)));
	memset(&more, 0x5a, sizeof(more));
	ASSERT_EQ(0, fos_query(&more.caps, sizeof(more)));
	EXPECT_EQ(0, memcmp(&caps, &more.caps, sizeof(caps)));
	EXPECT_EQ(0, memcmp(zero.tail, more.tail, sizeof(zero.tail)));

	memset(&old, 0x5a, sizeof(old));
	ASSERT_EQ(0, fos_query(&old, 8));
	EXPECT_EQ(caps.features, old.features);
	EXPECT_EQ(0x5a5a5a5a, old.backend);
}

TEST(query_wants_somewhere_to_write)
{
	struct fos_caps caps;

	EXPECT_EQ(-EINVAL, RESULT(fos_query(NULL, sizeof(caps))));
	EXPECT_EQ(-EINVAL, RESULT(fos_query(&caps, 0)));
}

/*
 * What query and channel say in this process, where the module cannot be had for
 * the reason @why: 0 if they do without it, and refuse when they must not.
 */
static int refused_with(int why)
{
	struct fos_caps caps;
	int fd[2];

	if (fos_query(&caps, sizeof(caps)))
		return 1;
	if (caps.backend != FOS_BACKEND_POSIX ||
	    caps.features != (FOS_CAP_CHAN | FOS_CAP_REGION |
			      FOS_CAP_DISCARD) ||
	    caps.reason != why)
		return 2;
	if (fos_channel(fd, NULL))
		return 3;
	setenv("FOS_BACKEND", "kernel", 1);
	if (fos_query(&caps, sizeof(caps)))
		return 4;
	if (caps.backend != FOS_BACKEND_NONE || caps.features ||
	    caps.reason != why)
		return 5;
	return RESULT(fos_channel(fd, NULL)) == -why ? 0 : 6;
}

static int without_permission(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return 9;
	return refused_with(EACCES);
}

static int without_node(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/dev", "tmpfs", 0, NULL))
		return 9;
	return refused_with(ENOENT);
}

TEST(query_tells_why_it_is_not_the_module)
{
	pid_t pid = spawn();

	if (!pid)
		_exit(without_permission());
	EXPECT_EQ(0, reap(pid));
	pid = spawn();
	if (!pid)
		_exit(without_node());
	EXPECT_EQ(0, reap(pid));
}

TEST(the_node_is_for_root_and_its_group)
{
	struct stat st;

	ASSERT_EQ(0, stat(NODE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
}

/* ---- an endpoint tells about itself ----------------------------------- */

static bool fdinfo_has(int fd, const char *what)
{
	char text[1024];

	return !fdinfo_of(fd, text, sizeof(text)) && strstr(text, what);
}

static long fdinfo_value(int fd, const char *name)
{
	char text[1024];

	return fdinfo_of(fd, text, sizeof(text)) ? -1 : value_in(text, name);
}

TEST(fdinfo_tells_which_endpoint_it_is)
{
	int fd[2], other[2];

	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 8, 12288));
	ASSERT_EQ(0, fos_channel(other, NULL));
	EXPECT_TRUE(fdinfo_has(fd[0], "fastos:\tchannel\n"));
	EXPECT_EQ(0, fdinfo_value(fd[0], "side"));
	EXPECT_EQ(1, fdinfo_value(fd[1], "side"));
	EXPECT_EQ(8, fdinfo_value(fd[0], "depth"));
	EXPECT_EQ(12288, fdinfo_value(fd[0], "area"));
	EXPECT_LT(0, fdinfo_value(fd[0], "id"));
	EXPECT_EQ(fdinfo_value(fd[0], "id"), fdinfo_value(fd[1], "id"));
	EXPECT_NE(fdinfo_value(fd[0], "id"), fdinfo_value(other[0], "id"));
}

TEST(fdinfo_follows_the_life_of_a_channel)
{
	struct async a = { .fn = do_recv, .cap = 8 };
	char in[8];
	int fd[2];

	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 8, 0));
	EXPECT_TRUE(fdinfo_has(fd[0], "side0:\tunattached"));
	EXPECT_TRUE(fdinfo_has(fd[0], "side1:\tunattached"));
	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(fd[0], in, 8, FOS_NONBLOCK)));
	EXPECT_TRUE(fdinfo_has(fd[1], "side0:\tattached"));
	EXPECT_TRUE(fdinfo_has(fd[1], "side1:\tunattached"));
	a.fd = fd[0];
	a.in = in;
	start(&a);
	EXPECT_TRUE(asleep(&a));
	EXPECT_TRUE(fdinfo_has(fd[0], "waiters=1"));
	EXPECT_EQ(0, fos_close(fd[1]));
	EXPECT_EQ(-EPIPE, finish(&a));
	EXPECT_TRUE(fdinfo_has(fd[0], "side1:\tdead"));
	EXPECT_FALSE(fdinfo_has(fd[0], "waiters=1"));
}

/* ---- counters --------------------------------------------------------- */

TEST(counters_count)
{
	static const char * const names[] = {
		"chan_creates", "chan_attaches", "chan_deaths", "chan_bells",
		"chan_waits", "chan_sleeps", "chan_wakes", "chan_timeouts",
		"chan_withdrawn",
	};
	long before[ARRAY_SIZE(names)];
	struct timespec soon;
	size_t i;
	int fd[2];
	char in[8];
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		before[i] = stat_of(names[i]);
	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 8, 0));
	pid = spawn_echo(fd[1], 64);
	for (i = 0; i < 100; i++)
		EXPECT_EQ(5, fos_call(fd[0], "hello", 5, in, 8, NULL));
	fos_close(fd[0]);
	EXPECT_EQ(0, reap(pid));
	close(fd[1]);
	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 8, 0));
	soon = deadline_in(1);
	EXPECT_EQ(-1, fos_call(fd[0], "hello", 5, in, 8, &soon));
	for (i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_LT(before[i], stat_of(names[i])) TH_LOG("counter %zu", i);
	EXPECT_LE(before[0] + 2, stat_of("chan_creates"));
}

TEST(live_objects_are_counted)
{
	long before = objects_settled();
	int fd[2];

	ASSERT_LE(0, before);
	ASSERT_EQ(0, fos_channel(fd, NULL));
	EXPECT_LT(before, objects_live());
	EXPECT_EQ(0, fos_close(fd[0]));
	EXPECT_LT(before, objects_live());
	EXPECT_EQ(0, fos_close(fd[1]));
	EXPECT_EQ(before, objects_left(before));
}

TEST(counters_are_for_root)
{
	struct stat st;

	ASSERT_EQ(0, stat(DEBUGFS "stats", &st));
	EXPECT_EQ(0400, st.st_mode & 07777);
	ASSERT_EQ(0, stat(DEBUGFS "objects", &st));
	EXPECT_EQ(0400, st.st_mode & 07777);
}

/* ---- tracepoints ------------------------------------------------------ */

#define TRACING "/sys/kernel/tracing/instances/fastos-selftest/"

TEST(tracepoints_tell_what_happens)
{
	static const char * const events[] = {
		"chan_create", "chan_attach", "chan_sleep", "chan_bell",
		"chan_woken", "chan_withdraw", "chan_dead",
	};
	struct timespec soon;
	static char text[1 << 16];
	char *seen;
	size_t i;
	int fd[2];
	char in[8];
	pid_t pid;

	mkdir(TRACING, 0700);
	ASSERT_EQ(0, write_text(TRACING "events/fastos/enable", "1"));
	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 8, 0));
	pid = spawn_echo(fd[1], 64);
	EXPECT_EQ(5, fos_call(fd[0], "hello", 5, in, 8, NULL));
	ASSERT_TRUE(stop(pid));
	soon = deadline_in(1);
	EXPECT_EQ(-1, fos_call(fd[0], "hello", 5, in, 8, &soon));
	kill(pid, SIGCONT);
	fos_close(fd[0]);
	EXPECT_EQ(0, reap(pid));
	write_text(TRACING "events/fastos/enable", "0");
	EXPECT_LT(0, read_text(TRACING "trace", text, sizeof(text)));
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		seen = strstr(text, events[i]);
		EXPECT_NE(NULL, seen) TH_LOG("event %zu", i);
	}
	rmdir(TRACING);
}

/* ---- who may have how much -------------------------------------------- */

FIXTURE(limits) {
	char channels[32];
	char pages[32];
};

FIXTURE_SETUP(limits)
{
	ASSERT_LT(0, read_text(PARAMS "max_objects_per_user", self->channels,
			       sizeof(self->channels)));
	ASSERT_LT(0, read_text(PARAMS "max_pages_per_user", self->pages,
			       sizeof(self->pages)));
}

FIXTURE_TEARDOWN_PARENT(limits)
{
	write_text(PARAMS "max_objects_per_user", self->channels);
	write_text(PARAMS "max_pages_per_user", self->pages);
}

static int set_limits(const char *channels, const char *pages)
{
	return write_text(PARAMS "max_objects_per_user", channels) ||
	       write_text(PARAMS "max_pages_per_user", pages);
}

/* Keep root's group, which may open the node, and nothing else. */
static int become(uid_t uid)
{
	return setgroups(0, NULL) || setresuid(uid, uid, uid);
}

/* The number of channels that can be made, then the error. */
static int make_channels(uint64_t area, int fds[][2], int max)
{
	int n;

	for (n = 0; n < max; n++)
		if (channel_with(fds[n], 0, 2, area))
			break;
	return n;
}

static int over_the_limit(uid_t uid, uint64_t area, int limit)
{
	int fds[16][2], one[2];

	if (become(uid))
		return 1;
	if (make_channels(area, fds, 16) != limit || errno != EDQUOT)
		return 2;
	/* A user namespace of one's own gives no rights here. */
	if (unshare(CLONE_NEWUSER))
		return 3;
	if (RESULT(channel_with(one, 0, 2, area)) != -EDQUOT)
		return 4;
	fos_close(fds[0][0]);
	if (RESULT(channel_with(one, 0, 2, area)) != -EDQUOT)
		return 5;
	fos_close(fds[0][1]);
	/* A file is released on the way back from close(). */
	if (channel_with(one, 0, 2, area))
		return 6;
	return RESULT(channel_with(one, 0, 2, area)) == -EDQUOT ? 0 : 7;
}

TEST_F(limits, a_user_gets_no_more_channels_than_allowed)
{
	pid_t pid;

	ASSERT_EQ(0, set_limits("3", "0"));
	pid = spawn();
	if (!pid)
		_exit(over_the_limit(NOBODY, 4096, 3));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, objects_left(0));
}

static int too_large(void)
{
	int fd[2];

	if (become(NOBODY))
		return 1;
	if (RESULT(channel_with(fd, 0, 2, 16 * 4096)) != -EDQUOT)
		return 2;
	return channel_with(fd, 0, 2, 4096) ? 3 : 0;
}

TEST_F(limits, a_user_gets_no_more_pages_than_allowed)
{
	pid_t pid;

	/* Eight pages: 2 control, 2 claims, the kernel's, 2 area, guard. */
	ASSERT_EQ(0, set_limits("4096", "23"));
	pid = spawn();
	if (!pid)
		_exit(over_the_limit(NOBODY, 4096, 2));
	EXPECT_EQ(0, reap(pid));
	pid = spawn();
	if (!pid)
		_exit(too_large());
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, objects_left(0));
}

/* Its channels stay until the other's have been made. */
static int hold_channels(int ready, int release)
{
	int fds[3][2];
	char byte;

	if (become(NOBODY) || make_channels(4096, fds, 3) != 3)
		return 1;
	if (write(ready, "r", 1) != 1 || read(release, &byte, 1) != 1)
		return 2;
	return 0;
}

TEST_F(limits, each_user_has_an_allowance_and_root_needs_none)
{
	int ready[2], release[2];
	int fds[8][2];
	pid_t first, second;
	char byte;

	ASSERT_EQ(0, set_limits("3", "0"));
	ASSERT_EQ(0, pipe(ready) | pipe(release));
	first = spawn();
	if (!first)
		_exit(hold_channels(ready[1], release[0]));
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	second = spawn();
	if (!second)
		_exit(over_the_limit(SOMEBODY, 4096, 3));
	EXPECT_EQ(0, reap(second));
	EXPECT_EQ(8, make_channels(4096, fds, 8));
	EXPECT_EQ(1, write(release[1], "r", 1));
	EXPECT_EQ(0, reap(first));
}

/* The descriptor is all it takes. */
static int use_without_node(int fd)
{
	char in[16];

	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	if (open(NODE, O_RDWR) >= 0)
		return 2;
	return serve_echo(fd, in, sizeof(in));
}

TEST_F(limits, who_cannot_open_the_node_can_use_an_endpoint)
{
	char in[8] = "";
	int fd[2];
	pid_t pid;

	ASSERT_EQ(0, fos_channel(fd, NULL));
	pid = spawn();
	if (!pid)
		_exit(use_without_node(fd[1]));
	EXPECT_EQ(6, fos_call(fd[0], "hello", 6, in, sizeof(in), NULL));
	EXPECT_STREQ("hello", in);
	fos_close(fd[0]);
	EXPECT_EQ(0, reap(pid));
}

TEST_F(limits, without_free_descriptors_it_is_emfile)
{
	struct rlimit old, less;
	int fd[2];

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	less = old;
	/* One is needed for the node. */
	less.rlim_cur = count_fds() + 2;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &less));
	EXPECT_EQ(-EMFILE, RESULT(fos_channel(fd, NULL)));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(0, fos_channel(fd, NULL));
}

TEST_HARNESS_MAIN
