// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system calls of the POSIX backend.  Most are real.  The watcher is no
 * thread but runs when the input says so, a sleep is what the peer does
 * meanwhile, and the mapping lies where the input wants it, between pages that
 * nobody may touch.
 */
#include "hello_world.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv	449
#endif

#define HUGE_BYTES	(2UL << 20)
#define PAGE_BYTES	4096UL
#define MAPPINGS	4
#define CANARY		0x59

long fuzz_syscall(long nr, ...);
int fuzz_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			void *(*fn)(void *arg), void *arg);
void *fuzz_mmap(void *at, size_t bytes, int prot, int flags, int fd,
		off_t offset);
int fuzz_munmap(void *at, size_t bytes);

/* ---- sleeping --------------------------------------------------------- */

static int end_sleep(const struct timespec *deadline)
{
	uint64_t ns;

	if (!deadline)
		return EINTR;
	ns = deadline->tv_sec * 1000000000ULL + deadline->tv_nsec;
	if (fuzz_now < ns)
		fuzz_now = ns;
	return ETIMEDOUT;
}

static int sleep_on(const uint32_t *word, uint32_t value,
		    const struct timespec *deadline)
{
	CHECK(!h.nonblock);
	CHECK(!deadline || (deadline->tv_nsec >= 0 &&
			    deadline->tv_nsec < 1000000000));
	while (input.left) {
		if (__atomic_load_n(word, __ATOMIC_RELAXED) != value)
			return EAGAIN;
		switch (take8() & 7) {
		case 0:
			return EINTR;
		case 1:
			return 0;
		case 2:
			if (deadline)
				return end_sleep(deadline);
			break;
		case 3:
			run_watcher();
			break;
		default:
			peer_act();
		}
	}
	return end_sleep(deadline);
}

static long result(int err)
{
	if (!err)
		return 0;
	errno = err;
	return -1;
}

/* FUTEX_WAIT_BITSET; nobody is there to be woken. */
static long do_futex(const long *a)
{
	if ((a[1] & FUTEX_CMD_MASK) != FUTEX_WAIT_BITSET)
		return 0;
	return result(sleep_on((void *)a[0], a[2], (void *)a[3]));
}

static long do_waitv(const long *a)
{
	const uint64_t *w = (void *)a[0];

	return result(sleep_on((void *)w[1], w[0], (void *)a[3]));
}

/* The watcher's: it ends when there is nothing more. */
static long do_epoll(const long *a)
{
	const long n = syscall(SYS_epoll_pwait, a[0], a[1], a[2], 0, NULL, 0);

	return n ? n : result(EBADF);
}

/* It looks at six arguments, whatever there are. */
__attribute__((no_sanitize("address"))) long fuzz_syscall(long nr, ...)
{
	va_list args;
	long a[6];
	size_t i;

	va_start(args, nr);
	for (i = 0; i < COUNT(a); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	switch (nr) {
	case SYS_futex:
		return do_futex(a);
	case SYS_futex_waitv:
		return do_waitv(a);
	case SYS_epoll_pwait:
		return do_epoll(a);
	default:
		return syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}

/* It polls: the peer goes on, and in the end is beside us, where one sleeps. */
int fuzz_sched_getcpu(void)
{
	struct fos_line *line = (void *)h.mem.words;

	if (take8() & 1)
		peer_act();
	if (!input.left && line)
		line->cpu = 1;
	return 0;
}

/* ---- the watcher ------------------------------------------------------ */

static void *(*watch)(void *arg);
static void *watched;

/* Any other thread would measure what a wake-up costs: not here. */
int fuzz_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			void *(*fn)(void *arg), void *arg)
{
	int detached = 0;

	(void)thread;
	if (!attr || pthread_attr_getdetachstate(attr, &detached) ||
	    detached != PTHREAD_CREATE_DETACHED)
		return EAGAIN;
	watch = fn;
	watched = arg;
	return 0;
}

void run_watcher(void)
{
	if (watch)
		watch(watched);
}

/*
 * How many processes it has in view, by the kernel's account.  Sockets are told
 * by EPOLLRDHUP: one stays while somebody else has it open, and does no harm.
 */
int count_watched(void)
{
	unsigned int events;
	char line[256];
	FILE *f;
	int n = 0;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d",
		 (int)(intptr_t)watched);
	f = watch ? fopen(line, "r") : NULL;
	while (f && fgets(line, sizeof(line), f))
		n += sscanf(line, "tfd: %*d events: %x", &events) == 1 &&
		     !(events & EPOLLRDHUP);
	if (f)
		fclose(f);
	return n;
}

/* ---- mappings --------------------------------------------------------- */

/**
 * struct mapping - what the library has reserved
 * @all: with the room around it, in which it can lie at a huge page
 * @bytes_all: of that
 * @at: what the library was given; before and behind it is a page of ours
 * @bytes: of that
 */
static struct mapping {
	unsigned char *all;
	size_t bytes_all;
	unsigned char *at;
	size_t bytes;
} mappings[MAPPINGS];

/* What of it shall lie at a huge page: the peer's memory, or his page. */
static size_t aligned_part(size_t bytes)
{
	const size_t peers = PAGE_BYTES + (bytes - PAGE_BYTES) / 2;

	return h.align & 1 ? peers : bytes - 2 * PAGE_BYTES;
}

static void guard(unsigned char *page)
{
	mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE);
	memset(page, CANARY, PAGE_BYTES);
}

static void *reserve(struct mapping *m, size_t bytes)
{
	uintptr_t part;

	*m = (struct mapping) { .bytes = bytes };
	m->bytes_all = bytes + 4 * HUGE_BYTES;
	m->all = mmap(NULL, m->bytes_all, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->all == MAP_FAILED) {
		m->all = NULL;
		return MAP_FAILED;
	}
	part = (uintptr_t)m->all + HUGE_BYTES + aligned_part(bytes);
	if (h.align & 2)
		part = (part + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	m->at = (unsigned char *)part - aligned_part(bytes);
	guard(m->at - PAGE_BYTES);
	guard(m->at + bytes);
	return m->at;
}

void *fuzz_mmap(void *at, size_t bytes, int prot, int flags, int fd,
		off_t offset)
{
	int i = 0;

	if (at || prot != PROT_NONE)
		return mmap(at, bytes, prot, flags, fd, offset);
	while (mappings[i].all)
		CHECK(++i < MAPPINGS);
	return reserve(&mappings[i], bytes);
}

static void check_guard(const unsigned char *page)
{
	size_t i;

	for (i = 0; i < PAGE_BYTES; i++)
		if (page[i] != CANARY)
			FAIL("written or mapped outside of the reservation");
}

int fuzz_munmap(void *at, size_t bytes)
{
	struct mapping *m = mappings;

	while (m->at != at)
		CHECK(++m < mappings + MAPPINGS);
	CHECK(m->bytes == bytes);
	check_guard(m->at - PAGE_BYTES);
	check_guard(m->at + bytes);
	munmap(m->all, m->bytes_all);
	*m = (struct mapping) { 0 };
	return 0;
}

int count_mappings(void)
{
	int i, n = 0;

	for (i = 0; i < MAPPINGS; i++)
		n += !!mappings[i].all;
	return n;
}
