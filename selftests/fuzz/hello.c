// SPDX-License-Identifier: GPL-2.0-only
/*
 * hello: the POSIX backend at a socket whose other end is hostile: its name, its
 * packets, what comes with them, and what is in the memory that came.
 */
#include "hello_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const int errors[] = {
	EAGAIN, ETIMEDOUT, EINTR, EPIPE, ECONNRESET, EMSGSIZE, ESTALE, ENOBUFS,
	EPROTO, EBADF, EBUSY, ENOMEM, 0,
};

static uint64_t token;

/* ---- the library's side ----------------------------------------------- */

static long call_nonblock(int fd, char *buf, size_t n, bool sends)
{
	long ret;

	h.nonblock = true;
	ret = RESULT(sends ? fos_send(fd, buf, n, FOS_NONBLOCK) :
			     fos_recv(fd, buf, n, FOS_NONBLOCK));
	h.nonblock = false;
	return ret;
}

static void call(int fd)
{
	const uint64_t ns = fuzz_now + 1000 * take8();
	const struct timespec deadline = {
		.tv_sec = ns / 1000000000,
		.tv_nsec = ns % 1000000000,
	};
	const uint8_t how = take8();
	const size_t n = how & 8 ? take8() : 256 + take8();
	char *buf = calloc(1, n);
	long ret;

	switch (how & 7) {
	case 0:
		ret = RESULT(fos_send(fd, buf, n, 0));
		break;
	case 1:
		ret = RESULT(fos_recv(fd, buf, n, 0));
		break;
	case 2:
		ret = RESULT(fos_call(fd, buf, n, buf, n, &deadline));
		break;
	case 3:
		ret = RESULT(fos_reply_recv(fd, &token, buf, n, buf, n,
					    &deadline));
		break;
	case 4:
		ret = RESULT(fos_reply(fd, token, buf, n));
		break;
	default:
		ret = call_nonblock(fd, buf, n, how & 1);
		break;
	}
	if (ret >= 0 ? ret > (long)n : !is_among(ret, errors))
		FAIL("call %d returned %ld", how & 7, ret);
	free(buf);
}

/* One more descriptor, or one less; the last one is closed at the end. */
static void duplicate(void)
{
	const uint8_t how = take8();
	int *fd = &h.fd[1 + how % (COPIES - 1)];

	if (*fd < 0) {
		*fd = fcntl(h.fd[0], F_DUPFD_CLOEXEC, 0);
		return;
	}
	if (how & 128)
		close(*fd);
	else if (fos_close(*fd))
		close(*fd);
	*fd = -1;
}

static void step(void)
{
	const uint8_t how = take8();
	int *fd = &h.fd[how >> 4 & (COPIES - 1)];

	switch (how & 7) {
	case 0:
	case 1:
	case 2:
		call(*fd < 0 ? h.fd[0] : *fd);
		break;
	case 3:
		run_watcher();
		break;
	case 4:
		if (how & 8)
			duplicate();
		break;
	default:
		peer_act();
	}
}

/* ---- a run ------------------------------------------------------------ */

/* What the library gives, with another number, or anything. */
static size_t take_name(char *name, size_t size)
{
	static unsigned int unique;
	uint64_t v[4] = { h.side, h.depth, h.area_bytes, 1ULL << 48 };
	const uint8_t how = take8();
	size_t n, i;

	if ((how & 3) == 1)
		v[how >> 2 & 3] = take_value(v[how >> 2 & 3], 1);
	/* FOS_SPIN_BLOCK, or any. */
	if ((how & 3) == 2)
		v[3] = take(8);
	n = snprintf(name, size, "fastos1.%u.%u.%llx.%llx.%x.%x",
		     (unsigned int)v[0], (unsigned int)v[1],
		     (unsigned long long)v[2], (unsigned long long)v[3],
		     getpid(), unique++);
	if ((how & 3) != 3)
		return n;
	for (i = 0; i < (how >> 2 & 15U); i++)
		name[take8() % size] = take8();
	return how & 64 ? take8() % size : n;
}

static bool make_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const uint8_t how = take8();
	const int type = (how & 3) != 3 ? SOCK_SEQPACKET :
			 how & 4 ? SOCK_STREAM : SOCK_DGRAM;
	int pair[2];
	size_t n;

	h.side = how >> 3 & 1;
	h.depth = how & 16 ? 2 : 32;
	h.area_bytes = how & 32 ? FOS_PAGE_BYTES : 2 * FOS_PAGE_BYTES;
	h.align = how >> 6;
	CHECK(!socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair));
	h.fd[0] = pair[0];
	h.raw = pair[1];
	n = take_name(a.sun_path + 1, sizeof(a.sun_path) - 1);
	return !bind(pair[0], (struct sockaddr *)&a,
		     offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

static void end(void)
{
	int i;

	for (i = COPIES - 1; i >= 0; i--) {
		if (h.fd[i] >= 0 && fos_close(h.fd[i]))
			close(h.fd[i]);
		h.fd[i] = -1;
	}
	if (count_watched())
		FAIL("%d processes are watched still", count_watched());
	peer_end();
	run_watcher();
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void run(void)
{
	int i;

	h = (struct hello_world) { .raw = -1, .kept = -1 };
	for (i = 0; i < COPIES; i++)
		h.fd[i] = -1;
	fuzz_now = 1000000000;
	token = 0;
	if (make_socket())
		while (input.left)
			step();
	end();
}

static void on_sigpipe(int sig)
{
	(void)sig;
	FAIL("SIGPIPE, which the library promises not to raise");
}

/* The watcher and its descriptor stay. */
static void start_watcher(void)
{
	input = (struct input) { NULL, 0 };
	h = (struct hello_world) { .raw = -1, .kept = -1 };
	signal(SIGPIPE, on_sigpipe);
	setenv("FOS_BACKEND", "posix", 1);
	CHECK(!fos_channel(h.fd, NULL));
	fos_recv(h.fd[0], NULL, 0, FOS_NONBLOCK);
	CHECK(!fos_close(h.fd[0]) && !fos_close(h.fd[1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	int fds;

	if (!started)
		start_watcher();
	started = true;
	fds = count_fds();
	input = (struct input) { data, size };
	run();
	if (count_fds() != fds)
		FAIL("%d descriptors are left behind", count_fds() - fds);
	if (count_mappings())
		FAIL("%d mappings are left behind", count_mappings());
	return 0;
}
