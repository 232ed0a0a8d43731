// SPDX-License-Identifier: GPL-2.0-only
/* The hostile peer at a socket: packets, descriptors, and words in what he sent. */
#include "hello_world.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FDS_MAX		8

struct hello_world h;

static size_t mem_bytes(void)
{
	return POSIX_MEM_BYTES(h.depth, h.area_bytes);
}

/* ---- descriptors ------------------------------------------------------ */

static int make_memfd(unsigned int flags, size_t bytes, int seals)
{
	const int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING |
				    flags);

	if (fd >= 0) {
		(void)!ftruncate(fd, bytes);
		fcntl(fd, F_ADD_SEALS, seals);
	}
	return fd;
}

/* What is written there the library must not trip over. */
static void keep(struct shared *s, int fd, size_t bytes)
{
	void *at;

	if (s->words)
		return;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return;
	s->words = at;
	s->n = bytes / 8;
}

static void forget(struct shared *s)
{
	if (s->words)
		munmap(s->words, s->n * 8);
	s->words = NULL;
}

static int make_mem(void)
{
	const int fd = make_memfd(0, mem_bytes(), 0);

	keep(&h.mem, fd, mem_bytes());
	fcntl(fd, F_ADD_SEALS,
	      F_SEAL_SHRINK | (take8() & 1 ? F_SEAL_FUTURE_WRITE : 0));
	return fd;
}

static int make_page(void)
{
	const int fd = make_memfd(0, FOS_PAGE_BYTES, F_SEAL_SHRINK);
	struct posix_page *page;
	uint32_t i;

	keep(&h.page, fd, FOS_PAGE_BYTES);
	page = (void *)h.page.words;
	for (i = 0; page && i < h.depth; i++)
		page->claims[i] = FOS_CLAIM(i, FOS_CLAIM_DONE);
	return fd;
}

/* A stream of his, which becomes readable when he wants. */
static int make_stream(void)
{
	int fd[2];

	if (h.kept >= 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return -1;
	h.kept = fd[1];
	return fd[0];
}

static int make_read_only(void)
{
	const int fd = make_mem();
	char name[32];
	int ro;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ro = open(name, O_RDONLY | O_CLOEXEC);
	close(fd);
	return ro;
}

/* He may keep a copy. */
static int make_pidfd(void)
{
	const int fd = syscall(SYS_pidfd_open, getpid(), 0);

	if (h.kept < 0 && (take8() & 1))
		h.kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd;
}

static int make_fd(uint8_t kind)
{
	const size_t some = take8() & 1 ? mem_bytes() : FOS_PAGE_BYTES;
	const size_t huge = (some + (2UL << 20) - 1) & ~((2UL << 20) - 1);

	switch (kind & 15) {
	case 0:
		return make_mem();
	case 1:
		return make_page();
	case 2:
		return make_pidfd();
	case 3:
		return make_memfd(0, some, 0);
	case 4:
		return make_memfd(0, some - 1, F_SEAL_SHRINK);
	case 5:
		return make_memfd(0, some, F_SEAL_SHRINK | F_SEAL_WRITE);
	case 6:
		return make_memfd(MFD_HUGETLB, huge, F_SEAL_SHRINK);
	case 7:
		return make_read_only();
	case 8:
		return make_stream();
	case 9:
		return epoll_create1(EPOLL_CLOEXEC);
	case 10:
		return eventfd(take8() & 1, EFD_CLOEXEC);
	case 11:
		return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	case 12:
		return open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 13:
		return fcntl(h.raw, F_DUPFD_CLOEXEC, 0);
	case 14:
		return fcntl(h.fd[0], F_DUPFD_CLOEXEC, 0);
	default:
		return make_memfd(0, 1UL << 40, F_SEAL_SHRINK);
	}
}

/* ---- packets ---------------------------------------------------------- */

static void send_packet(const void *bytes, size_t n, const int *fds, size_t nfds)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)bytes, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (nfds) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	sendmsg(h.raw, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static size_t take_fds(int fds[FDS_MAX])
{
	const uint8_t how = take8();
	const size_t n = how & 128 ? how % (FDS_MAX + 1) : 3;
	size_t i, made = 0;

	for (i = 0; i < n; i++) {
		/* Those that belong there, or any. */
		fds[made] = make_fd(how & 1U << (4 + i) ? take8() : i);
		made += fds[made] >= 0;
	}
	return made;
}

/* Nearly a hello, of nearly its length. */
static void packet(void)
{
	union {
		struct posix_hello hello;
		uint64_t words[8];
	} p = {
		.hello = {
			.magic = POSIX_MAGIC,
			.side = !h.side,
			.depth = h.depth,
			.area_bytes = h.area_bytes,
		},
	};
	const uint8_t how = take8();
	size_t n = sizeof(p.hello), nfds, i;
	int fds[FDS_MAX];

	if (how & 1)
		p.words[how >> 6] = take_value(p.words[how >> 6], h.depth);
	if (how & 2)
		n = take8() % (sizeof(p) + 1);
	nfds = take_fds(fds);
	send_packet(&p, n, fds, nfds);
	for (i = 0; i < nfds; i++)
		close(fds[i]);
}

/* Bytes, as they wake pollers. */
static void send_bytes(void)
{
	const uint8_t how = take8();
	uint8_t i;

	for (i = 0; i < 1 + (how >> 4); i++)
		send_packet("bytes", how & 7 ? 1 : 0, NULL, 0);
}

/* He reads what the library sent, and keeps its page. */
static void receive(void)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	char bytes[64];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c;
	int fds[FDS_MAX];
	size_t i, n;

	if (recvmsg(h.raw, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return;
	c = CMSG_FIRSTHDR(&m);
	if (!c)
		return;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	for (i = 0; i < n; i++) {
		if (i == POSIX_PAGE)
			keep(&h.victims, fds[i], FOS_PAGE_BYTES);
		close(fds[i]);
	}
}

/* ---- words ------------------------------------------------------------ */

static void scribble(void)
{
	const uint8_t which = take8();
	struct shared *s = which & 1 ? &h.mem : which & 2 ? &h.page :
							    &h.victims;
	uint64_t *word;

	if (!s->words)
		return;
	word = &s->words[take(which & 4 ? 2 : 1) % s->n];
	*word = take_value(*word, s->words[(which >> 3) % s->n]);
}

/* A message as an honest peer has it. */
static void publish(void)
{
	struct fos_line *line = (void *)h.mem.words;
	const uint8_t how = take8();
	struct fos_entry *e;
	uint64_t seq;

	if (!line)
		return;
	seq = h.depth + line->events;
	e = (struct fos_entry *)((char *)line + FOS_CHAN_ENTRIES);
	e += seq & (h.depth - 1);
	e->meta = how & 1;
	e->token = how & 1 ? FOS_TOKEN(seq, how & 2 ? 1 : 0) : 0;
	e->len = how >> 2;
	e->seq = seq;
	line->events++;
}

static void hang_up(void)
{
	const uint8_t how = take8();

	if (how & 3)
		shutdown(h.raw, how & 1 ? SHUT_WR : SHUT_RDWR);
	else
		close(h.raw);
	if (!(how & 3))
		h.raw = -1;
}

static void poke_kept(void)
{
	if (h.kept >= 0)
		send(h.kept, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void peer_act(void)
{
	static void (*const acts[])(void) = {
		packet, scribble, scribble, publish, send_bytes, receive,
		hang_up, poke_kept,
	};

	if (input.left && h.raw >= 0)
		acts[take8() % COUNT(acts)]();
}

void peer_end(void)
{
	if (h.raw >= 0)
		close(h.raw);
	if (h.kept >= 0)
		close(h.kept);
	h.raw = -1;
	h.kept = -1;
	forget(&h.mem);
	forget(&h.page);
	forget(&h.victims);
}
