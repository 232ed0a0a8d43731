// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels without the module, as far as they differ: who chooses, what a socket
 * is worth that somebody else made, and what the peer may send through it.
 *
 * The suites that wait for deaths cannot run under Debian 12's valgrind, which
 * knows neither pidfd_open() nor futex_waitv().
 *
 * gates: asan valgrind
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "peers.h"
#include "kselftest_harness.h"

FIXTURE(posix) {
	int fd[2];
	char in[64];
};

FIXTURE_SETUP(posix)
{
	setenv("FOS_BACKEND", "posix", 1);
	ASSERT_EQ(0, channel_with(self->fd, FOS_SPIN_BLOCK, 4, 8192));
}

FIXTURE_TEARDOWN(posix)
{
}

static long recv_now(int fd, char *in)
{
	return RESULT(fos_recv(fd, in, 64, FOS_NONBLOCK));
}

/* ---- who chooses ------------------------------------------------------ */

TEST_F(posix, the_environment_chooses)
{
	struct fos_caps caps;

	ASSERT_EQ(0, fos_query(&caps, sizeof(caps)));
	EXPECT_EQ(FOS_BACKEND_POSIX, caps.backend);
	EXPECT_EQ(ECANCELED, caps.reason);
	EXPECT_EQ(FOS_CAP_CHAN | FOS_CAP_REGION | FOS_CAP_DISCARD,
		  caps.features);
	EXPECT_LT(0, caps.wake_ns);
	EXPECT_EQ(256, caps.depth_max);
	EXPECT_EQ(64 << 20, caps.area_max);
}

TEST_F(posix, nonsense_in_the_environment_is_einval)
{
	struct fos_caps caps;
	int fd[2];

	setenv("FOS_BACKEND", "windows", 1);
	ASSERT_EQ(0, fos_query(&caps, sizeof(caps)));
	EXPECT_EQ(FOS_BACKEND_NONE, caps.backend);
	EXPECT_EQ(EINVAL, caps.reason);
	EXPECT_EQ(-EINVAL, RESULT(fos_channel(fd, NULL)));
	setenv("FOS_BACKEND", "", 1);
	EXPECT_EQ(0, fos_channel(fd, NULL));
}

TEST_F(posix, both_backends_serve_one_process)
{
	char out[2][8] = { "kernel", "posix" }, in[64];
	int fd[2][2], i;
	struct async s;

	unsetenv("FOS_BACKEND");
	NEEDS_THE_MODULE();
	for (i = 0; i < 2; i++) {
		setenv("FOS_BACKEND", out[i], 1);
		ASSERT_EQ(0, fos_channel(fd[i], NULL));
	}
	for (i = 0; i < 2; i++) {
		s = (struct async) { .fn = do_send, .fd = fd[i][0],
				     .out = out[i], .out_len = 7 };
		start(&s);
		EXPECT_EQ(7, RESULT(fos_recv(fd[i][1], in, 64, 0)));
		EXPECT_EQ(7, finish(&s));
		EXPECT_EQ(0, memcmp(out[i], in, 7));
	}
}

/* ---- sockets of others ------------------------------------------------ */

static int named(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd))
		return -1;
	memcpy(a.sun_path + 1, name, strlen(name));
	if (bind(fd[0], (void *)&a, sizeof(sa_family_t) + 1 + strlen(name)))
		return -1;
	return fd[0];
}

TEST_F(posix, a_socket_that_is_no_endpoint_is_ebadf)
{
	static const char *const names[] = {
		"fastos", "fastos1.0.4.2000.0", "fastos1.2.4.2000.0.x",
		"fastos1.0.5.2000.0.x", "fastos1.0.512.2000.0.x",
		"fastos1.0.4.2001.0.x", "fastos1.0.4.100000000.0.x",
		"fastos1.0.4.zz.0.x", "fastos1.-1.4.2000.0.x",
	};
	int plain[2];
	size_t i;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, plain));
	EXPECT_EQ(-EBADF, recv_now(plain[0], self->in));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		plain[0] = named(names[i]);
		ASSERT_LE(0, plain[0]);
		EXPECT_EQ(-EBADF, recv_now(plain[0], self->in))
			TH_LOG("%s", names[i]);
		EXPECT_EQ(-EBADF, RESULT(fos_close(plain[0])));
	}
}

/* Where the peer speaks another language there is no peer. */
TEST_F(posix, a_packet_that_is_no_hello_is_epipe)
{
	char rubbish[64] = "rubbish";

	EXPECT_EQ(64, send(self->fd[1], rubbish, 64, 0));
	EXPECT_EQ(-EPIPE, recv_now(self->fd[0], self->in));
	EXPECT_EQ(-EPIPE, RESULT(fos_send(self->fd[0], "x", 1, 0)));
	EXPECT_EQ(0, fos_close(self->fd[0]));
}

TEST_F(posix, packets_after_the_hello_harm_nobody)
{
	struct async s = { .fn = do_send, .fd = self->fd[0], .out = "yes",
			   .out_len = 3 };
	int i;

	EXPECT_EQ(-EAGAIN, recv_now(self->fd[0], self->in));
	EXPECT_EQ(-EAGAIN, recv_now(self->fd[1], self->in));
	for (i = 0; i < 50; i++) {
		send(self->fd[0], "rubbish", 7, MSG_DONTWAIT);
		send(self->fd[1], "rubbish", 7, MSG_DONTWAIT);
	}
	start(&s);
	EXPECT_EQ(3, RESULT(fos_recv(self->fd[1], self->in, 64, 0)));
	EXPECT_EQ(3, finish(&s));
}

/* ---- closing ---------------------------------------------------------- */

/* Threads that wait ask now and then what their descriptor is. */
static void receive_after_close(struct __test_metadata *_metadata, int fd)
{
	const uint64_t end = now_ns() + HANG_MS * 1000000ULL;
	struct timespec soon;
	uint64_t token = 0;
	char in[64];
	long ret;

	ASSERT_EQ(0, close(fd));
	do {
		soon = deadline_in(1);
		ret = RESULT(fos_reply_recv(fd, &token, NULL, 0, in, 64,
					    &soon));
	} while (ret == -ETIMEDOUT && now_ns() < end);
	EXPECT_EQ(-EBADF, ret);
}

TEST_F(posix, a_plain_close_is_noticed_by_who_goes_on)
{
	struct async r = { .fn = do_recv, .fd = self->fd[1], .in = self->in,
			   .cap = 64 };
	const int copy = dup(self->fd[0]);
	/* Its copies keep the sockets open: hanging up must be told. */
	const pid_t holder = spawn_heir();

	EXPECT_EQ(-EAGAIN, recv_now(copy, self->in));
	start(&r);
	ASSERT_TRUE(asleep(&r));
	EXPECT_EQ(-EAGAIN, recv_now(self->fd[0], self->in));
	receive_after_close(_metadata, self->fd[0]);
	EXPECT_FALSE(is_done(&r));
	EXPECT_FALSE(hung_up(self->fd[1]));
	EXPECT_EQ(-EAGAIN, recv_now(copy, self->in));
	receive_after_close(_metadata, copy);
	EXPECT_EQ(-EPIPE, finish(&r));
	kill(holder, SIGKILL);
}

TEST_F(posix, copies_are_counted_where_no_descriptor_can_be_opened)
{
	const int copy = dup(self->fd[0]);
	const pid_t holder = spawn_heir();
	struct rlimit few;

	EXPECT_EQ(-EAGAIN, recv_now(self->fd[0], self->in));
	EXPECT_EQ(-EAGAIN, recv_now(self->fd[1], self->in));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &few));
	few.rlim_cur = 64;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	while (dup(0) >= 0)
		;
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_FALSE(hung_up(self->fd[1]));
	EXPECT_LE(0, dup(0));
	EXPECT_EQ(0, fos_close(copy));
	EXPECT_TRUE(hung_up(self->fd[1]));
	kill(holder, SIGKILL);
}

/* ---- nothing stays ---------------------------------------------------- */

TEST_F(posix, a_channel_that_was_used_and_closed_leaves_no_descriptor)
{
	int fd[2], before, i;

	EXPECT_EQ(-EAGAIN, recv_now(self->fd[0], self->in));
	before = count_fds();
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 4, 8192));
		EXPECT_EQ(-EAGAIN, recv_now(fd[0], self->in));
		if (i & 1)
			EXPECT_EQ(-EAGAIN, recv_now(fd[1], self->in));
		EXPECT_EQ(0, fos_close(fd[i & 1]));
		EXPECT_EQ(0, fos_close(fd[!(i & 1)]));
	}
	EXPECT_EQ(before, count_fds());
}

TEST_HARNESS_MAIN
