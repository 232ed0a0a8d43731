// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors and processes: dup, reuse of numbers, fork, exec, passing,
 * closing and sudden death.
 *
 * gates: asan
 * not under asan: a_child_of_a_busy_process_can_use_the_library (a fork while
 *	other threads are in its allocator leaves that locked)
 */
#include <sys/socket.h>

#include "peers.h"
#include "kselftest_harness.h"

FIXTURE(life) {
	int fd[2];
	char in[64];
};

FIXTURE_SETUP(life)
{
	ASSERT_EQ(0, channel_with(self->fd, FOS_SPIN_BLOCK, 0, 0));
}

FIXTURE_TEARDOWN(life)
{
}

/* The same program after exec(): an echo server on the named descriptor. */
#define SERVE "FOS_LIFE_SERVES"

static void __attribute__((constructor)) serve_if_asked(void)
{
	char buf[64];
	long fd = env_number(SERVE, -1);

	if (fd >= 0)
		_exit(serve_echo(fd, buf, sizeof(buf)));
}

static long hello(int fd)
{
	struct timespec deadline = deadline_in(HANG_MS);
	char in[8] = "";
	long ret = RESULT(fos_call(fd, "hello", 6, in, 8, &deadline));

	return ret == 6 && strcmp(in, "hello") ? -EBADMSG : ret;
}

/* ---- descriptors ------------------------------------------------------ */

TEST_F(life, every_descriptor_of_an_endpoint_works)
{
	pid_t pid = spawn_echo(self->fd[1], 64);
	int copy = dup(self->fd[0]);
	int other = fcntl(self->fd[0], F_DUPFD_CLOEXEC, 700);
	bool exact = has_cap(FOS_CAP_CLOSE_EXACT);

	EXPECT_EQ(6, hello(copy));
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(6, hello(other));
	/* Closed one way or the other: the rest goes on. */
	EXPECT_EQ(0, exact ? close(copy) : fos_close(copy));
	EXPECT_EQ(-EBADF, hello(copy));
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(-EBADF, hello(self->fd[0]));
	EXPECT_EQ(6, hello(other));
	EXPECT_EQ(0, fos_close(other));
	EXPECT_EQ(-EBADF, hello(other));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(life, closing_the_last_descriptor_hangs_up)
{
	int copy = dup(self->fd[0]);

	EXPECT_EQ(-EAGAIN, RESULT(fos_recv(copy, self->in, 8, FOS_NONBLOCK)));
	EXPECT_EQ(0, close(self->fd[0]));
	EXPECT_FALSE(hung_up(self->fd[1]));
	EXPECT_EQ(0, close(copy));
	EXPECT_TRUE(hung_up(self->fd[1]));
	EXPECT_EQ(-EPIPE, RESULT(fos_recv(self->fd[1], self->in, 8, 0)));
}

TEST_F(life, a_number_used_again_is_the_new_channel)
{
	bool exact = has_cap(FOS_CAP_CLOSE_EXACT);
	int next[2], number = self->fd[0];
	pid_t pid;
	int i;

	for (i = 0; i < 50; i++) {
		pid = spawn_echo(self->fd[1], 64);
		EXPECT_EQ(6, hello(number));
		EXPECT_EQ(0, exact ? close(number) : fos_close(number));
		EXPECT_EQ(-EBADF, hello(number));
		EXPECT_EQ(0, reap(pid));
		close(self->fd[1]);
		ASSERT_EQ(0, channel_with(next, FOS_SPIN_BLOCK, 0, 0));
		ASSERT_EQ(number, next[0]);
		self->fd[1] = next[1];
	}
}

TEST_F(life, a_number_that_dup2_redirects_is_the_other_endpoint)
{
	pid_t pid[2];
	int other[2];

	NEEDS(FOS_CAP_CLOSE_EXACT);
	ASSERT_EQ(0, channel_with(other, FOS_SPIN_BLOCK, 0, 0));
	pid[0] = spawn_echo(self->fd[1], 64);
	pid[1] = spawn_echo(other[1], 64);
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(6, hello(other[0]));
	/* Replaces the last descriptor of the first channel. */
	EXPECT_EQ(self->fd[0], dup2(other[0], self->fd[0]));
	EXPECT_EQ(0, reap(pid[0]));
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(0, close(other[0]));
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(self->fd[0], dup2(STDERR_FILENO, self->fd[0]));
	EXPECT_EQ(0, reap(pid[1]));
	EXPECT_EQ(-EBADF, hello(self->fd[0]));
}

TEST_F(life, close_of_something_else_is_ebadf_and_closes_nothing)
{
	int p[2];

	ASSERT_EQ(0, pipe(p));
	EXPECT_EQ(-EBADF, RESULT(fos_close(p[0])));
	EXPECT_LE(0, fcntl(p[0], F_GETFD));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(-EBADF, RESULT(fos_close(self->fd[0])));
	EXPECT_EQ(-EBADF, RESULT(fos_close(-1)));
}

static long (*const blocking[])(struct async *, const struct timespec *) = {
	do_send, do_recv, do_call, do_reply_recv,
};

TEST_F(life, close_ends_the_calls_of_other_threads_with_ebadf)
{
	struct async a;
	uint32_t spin;
	size_t i;

	for (i = 0; i < 3 * ARRAY_SIZE(blocking); i++) {
		spin = i % 3 == 0 ? FOS_SPIN_BLOCK :
		       i % 3 == 1 ? FOS_SPIN_DEFAULT : FOS_SPIN_ALWAYS;
		ASSERT_EQ(0, channel_with(self->fd, spin, 0, 0));
		a = (struct async) { .fd = self->fd[0], .fn = blocking[i / 3],
				     .out = "x", .out_len = 1,
				     .in = self->in, .cap = 8 };
		start(&a);
		EXPECT_TRUE(wait_for(&a.tid, 1));
		nap_us(i % 2 ? 0 : 5000);
		EXPECT_EQ(0, fos_close(self->fd[0]));
		EXPECT_EQ(-EBADF, finish(&a)) TH_LOG("case %zu", i);
		EXPECT_EQ(-EPIPE, RESULT(fos_send(self->fd[1], "x", 1, 0)));
		EXPECT_EQ(0, fos_close(self->fd[1]));
	}
}

static void *say_hello(void *fd)
{
	return (void *)hello(*(int *)fd);
}

TEST_F(life, close_of_a_copy_ends_only_the_calls_on_it)
{
	struct async r[2];
	char in[2][8];
	int copy, i, n;

	for (n = rounds(100); n; n--) {
		copy = dup(self->fd[0]);
		for (i = 0; i < 2; i++) {
			r[i] = (struct async) { .fd = i ? copy : self->fd[0],
						.fn = do_recv, .in = in[i],
						.cap = 8 };
			start(&r[i]);
			EXPECT_TRUE(wait_for(&r[i].tid, 1));
		}
		nap_us(n % 2 ? 0 : 1000);
		EXPECT_EQ(0, fos_close(copy));
		ASSERT_EQ(-EBADF, finish(&r[1]));
		EXPECT_FALSE(is_done(&r[0]));
		EXPECT_EQ(1, RESULT(fos_send(self->fd[1], "x", 1, 0)));
		ASSERT_EQ(1, finish(&r[0]));
	}
}

TEST_F(life, a_thread_that_ends_takes_nothing_with_it)
{
	pid_t pid = spawn_echo(self->fd[1], 64);
	pthread_t thread;
	void *ret;
	int i;

	for (i = 0; i < 20; i++) {
		pthread_create(&thread, NULL, say_hello, &self->fd[0]);
		pthread_join(thread, &ret);
		EXPECT_EQ(6, (long)ret);
	}
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(life, a_process_that_ends_leaves_nothing)
{
	long before = objects_settled();
	int fds[2], i;
	pid_t pid;

	pid = spawn();
	if (!pid) {
		for (i = 0; i < 200; i++) {
			if (fos_channel(fds, NULL))
				_exit(1);
			fos_recv(fds[i % 2], self->in, 8, FOS_NONBLOCK);
		}
		_exit(0);
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(before, objects_left(before));
}

/* ---- fork ------------------------------------------------------------- */

TEST_F(life, an_endpoint_belongs_to_who_used_it_first)
{
	pid_t server = spawn_echo(self->fd[1], 64);
	pid_t pid;

	EXPECT_EQ(6, hello(self->fd[0]));
	pid = spawn();
	if (!pid)
		_exit(-hello(self->fd[0]));
	EXPECT_EQ(EBUSY, reap(pid));
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(-EBUSY, hello(self->fd[1]));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(server));
}

static int close_copies(const int fd[2], bool with_library)
{
	int i;

	for (i = 0; i < 2; i++)
		if (with_library ? fos_close(fd[i]) : close(fd[i]))
			return 1;
	return 0;
}

TEST_F(life, a_child_that_closes_its_copies_hangs_up_nobody)
{
	pid_t server = spawn_echo(self->fd[1], 64);
	pid_t pid;
	int i;

	for (i = 0; i < 4; i++) {
		EXPECT_EQ(6, hello(self->fd[0]));
		pid = spawn();
		if (!pid)
			_exit(close_copies(self->fd, i & 1));
		EXPECT_EQ(0, reap(pid));
		pid = spawn();
		if (!pid)
			_exit(0);
		EXPECT_EQ(0, reap(pid));
	}
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(server));
}

TEST_F(life, a_vforked_child_that_closes_its_copies_hangs_up_nobody)
{
	pid_t server = spawn_echo(self->fd[1], 64);
	pid_t pid;
	int i;

	for (i = 0; i < 4; i++) {
		EXPECT_EQ(6, hello(self->fd[0]));
		pid = vfork();
		if (!pid) {
			if (i & 1)
				close(self->fd[0]);
			_exit(0);
		}
		EXPECT_EQ(0, reap(pid));
	}
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(server));
}

/* Own an endpoint, and leave a child that holds copies of it. */
static int own_and_fork(int fd, int told)
{
	pid_t heir;

	fos_recv(fd, &fd, sizeof(fd), FOS_NONBLOCK);
	heir = fork();
	if (!heir) {
		pause();
		_exit(0);
	}
	if (write(told, &heir, sizeof(heir)) != sizeof(heir))
		return 1;
	pause();
	return 2;
}

TEST_F(life, copies_in_a_child_do_not_hide_the_death_of_the_owner)
{
	struct async c = { .fn = do_call, .fd = self->fd[0], .out = "x",
			   .out_len = 1 };
	pid_t owner, heir;
	int told[2];

	ASSERT_EQ(0, pipe(told));
	owner = spawn();
	if (!owner)
		_exit(own_and_fork(self->fd[1], told[1]));
	EXPECT_EQ(sizeof(heir), read(told[0], &heir, sizeof(heir)));
	start(&c);
	EXPECT_TRUE(asleep(&c));
	kill(owner, SIGKILL);
	EXPECT_EQ(-EPIPE, finish(&c));
	EXPECT_TRUE(hung_up(self->fd[0]));
	EXPECT_EQ(0, kill(heir, 0));
	kill(heir, SIGKILL);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(owner));
}

/* In a child of a process that is busy with the library. */
static int use_library_in_child(int parents_fd)
{
	pid_t pid;
	int fd[2];

	if (hello(parents_fd) != -EBUSY)
		return 1;
	if (channel_with(fd, FOS_SPIN_BLOCK, 0, 0))
		return 2;
	pid = spawn_echo(fd[1], 64);
	if (hello(fd[0]) != 6)
		return 3;
	fos_close(fd[0]);
	return reap(pid) ? 4 : 0;
}

struct pounder {
	uint64_t ready;
	const uint64_t *stop;
	pthread_t thread;
	long ret;
};

/* Calls, and takes the library's locks. */
static long pound_once(int fd)
{
	int other[2];
	long ret = hello(fd);

	if (ret != 6)
		return ret;
	ret = RESULT(fos_channel(other, NULL));
	ret = ret ? ret : RESULT(fos_close(other[0]));
	return ret ? ret : RESULT(fos_close(other[1]));
}

static void *pound(void *arg)
{
	struct pounder *p = arg;
	pid_t server;
	int fd[2];

	p->ret = channel_with(fd, FOS_SPIN_BLOCK, 0, 0);
	server = spawn_echo(fd[1], 64);
	__atomic_store_n(&p->ready, 1, __ATOMIC_RELEASE);
	while (!p->ret && !__atomic_load_n(p->stop, __ATOMIC_ACQUIRE))
		p->ret = pound_once(fd[0]);
	fos_close(fd[0]);
	if (!p->ret)
		p->ret = reap(server);
	return NULL;
}

TEST_F_TIMEOUT(life, a_child_of_a_busy_process_can_use_the_library, 120)
{
	pid_t server = spawn_echo(self->fd[1], 64), pid;
	struct pounder p[3] = {};
	uint64_t stop = 0;
	int i;

	EXPECT_EQ(6, hello(self->fd[0]));
	for (i = 0; i < 3; i++) {
		p[i].stop = &stop;
		pthread_create(&p[i].thread, NULL, pound, &p[i]);
	}
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(wait_for(&p[i].ready, 1));
	for (i = 0; i < 50; i++) {
		pid = spawn();
		if (!pid)
			_exit(use_library_in_child(self->fd[0]));
		EXPECT_EQ(0, reap(pid));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 3; i++) {
		pthread_join(p[i].thread, NULL);
		EXPECT_EQ(0, p[i].ret);
	}
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(server));
}

/* ---- exec and munmap -------------------------------------------------- */

static int exec_server(int fd)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	setenv(SERVE, number, 1);
	fcntl(fd, F_SETFD, 0);
	execl("/proc/self/exe", "server", NULL);
	return 97;
}

TEST_F(life, an_unused_endpoint_goes_through_exec)
{
	pid_t pid = spawn();

	if (!pid)
		_exit(exec_server(self->fd[1]));
	EXPECT_EQ(6, hello(self->fd[0]));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(life, exec_of_the_owner_hangs_up)
{
	pid_t pid;

	NEEDS(FOS_CAP_EXEC_HANGUP);
	pid = spawn();
	if (!pid) {
		fos_recv(self->fd[1], self->in, 8, FOS_NONBLOCK);
		_exit(exec_server(self->fd[1]));
	}
	/* The descriptor was kept, the endpoint was not: the server fails. */
	EXPECT_EQ(-EPIPE, hello(self->fd[0]));
	EXPECT_EQ(EBADF, reap(pid));
}

/* Where an endpoint is mapped; the file is opened first: it costs no malloc. */
static int unmap_endpoints(void)
{
	char line[256];
	unsigned long from, to;
	FILE *maps = fopen("/proc/self/maps", "r");
	int n = 0;

	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "[fastos]") ||
		    sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		n += !munmap((void *)from, to - from);
	}
	fclose(maps);
	return n;
}

static int unmap_and_wait(int fd)
{
	char in[8];

	fos_recv(fd, in, 8, FOS_NONBLOCK);
	if (unmap_endpoints() != 1)
		return 1;
	pause();
	return 0;
}

TEST_F(life, unmapping_the_endpoint_hangs_up)
{
	struct async c = { .fn = do_call, .fd = self->fd[0], .out = "x",
			   .out_len = 1 };
	pid_t pid;

	NEEDS(FOS_CAP_CLOSE_EXACT);
	start(&c);
	EXPECT_TRUE(asleep(&c));
	pid = spawn();
	if (!pid)
		_exit(unmap_and_wait(self->fd[1]));
	EXPECT_EQ(-EPIPE, finish(&c));
	EXPECT_EQ(-EPIPE, RESULT(fos_send(self->fd[0], "x", 1, 0)));
	kill(pid, SIGKILL);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), reap(pid));
}

/* ---- passing ---------------------------------------------------------- */

TEST_F(life, an_endpoint_can_be_passed_to_another_process)
{
	int socket[2], fd[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socket));
	pid = spawn();
	if (!pid)
		_exit(serve_echo(receive_fd(socket[1]), malloc(64), 64));
	/* Made after the fork, so that it comes through the socket only. */
	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 0, 0));
	EXPECT_EQ(0, send_fd(socket[0], fd[1]));
	EXPECT_EQ(0, fos_close(fd[1]));
	EXPECT_EQ(6, hello(fd[0]));
	EXPECT_EQ(0, fos_close(fd[0]));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(life, an_endpoint_in_use_cannot_be_used_where_it_is_passed_to)
{
	int socket[2], fd[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socket));
	pid = spawn();
	if (!pid)
		_exit(-hello(receive_fd(socket[1])));
	ASSERT_EQ(0, channel_with(fd, FOS_SPIN_BLOCK, 0, 0));
	fos_recv(fd[1], self->in, 8, FOS_NONBLOCK);
	EXPECT_EQ(0, send_fd(socket[0], fd[1]));
	EXPECT_EQ(EBUSY, reap(pid));
	EXPECT_FALSE(hung_up(fd[0]));
}

TEST_F(life, an_endpoint_that_nobody_fetched_dies_with_its_socket)
{
	int socket[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socket));
	EXPECT_EQ(0, send_fd(socket[0], self->fd[1]));
	close(self->fd[1]);
	EXPECT_FALSE(hung_up(self->fd[0]));
	close(socket[0]);
	close(socket[1]);
	EXPECT_LT(0, wait_poll(self->fd[0], POLLIN));
	EXPECT_TRUE(hung_up(self->fd[0]));
	EXPECT_EQ(-EPIPE, hello(self->fd[0]));
}

TEST_HARNESS_MAIN
