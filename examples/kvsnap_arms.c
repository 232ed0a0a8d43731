// SPDX-License-Identifier: MIT
/*
 * What the kernel offers to keep memory as it is while it is written out: a copy of
 * the process, the rights of pages, write-protection by userfaultfd.
 *
 * The memory of all of them is private, which fork() needs, and of small pages: a
 * huge one would be copied as a whole for one store.
 */
#include "kvsnap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int kv_fail(struct store *s, const char *what)
{
	snprintf(s->why, sizeof(s->why), "%s: %s", what, strerror(errno));
	return -1;
}

static int private_open(struct store *s)
{
	s->fd = -1;
	s->area = mmap(NULL, s->pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->area == MAP_FAILED)
		return kv_fail(s, "mmap");
	/* Kernels without huge pages refuse, rightly. */
	(void)madvise(s->area, s->pages * PAGE, MADV_NOHUGEPAGE);
	return 0;
}

static void private_close(struct store *s)
{
	munmap(s->area, s->pages * PAGE);
	if (s->fd >= 0)
		close(s->fd);
}

/* Without snapshots: what the writers could do. */
const struct arm kv_none = {
	.name = "none",
	.open = private_open,
	.close = private_close,
};

/* ---- mprotect() ------------------------------------------------------- */

static int mprotect_protect(struct store *s)
{
	for (size_t i = 0; i < s->nruns; i++) {
		const struct run *r = &s->runs[i];

		if (mprotect(s->area + r->first * PAGE,
			     (r->end - r->first) * PAGE, PROT_READ))
			return -1;
	}
	return 0;
}

static int mprotect_unprotect(struct store *s, size_t page)
{
	return mprotect(s->area + page * PAGE, PAGE, PROT_READ | PROT_WRITE);
}

const struct arm kv_mprotect = {
	.name = "mprotect",
	.signal = SIGSEGV,
	.open = private_open,
	.protect = mprotect_protect,
	.unprotect = mprotect_unprotect,
	.save = kv_save,
	.close = private_close,
};

/* ---- userfaultfd ------------------------------------------------------ */

static int uffd_register(struct store *s)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP |
			    UFFD_FEATURE_SIGBUS,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)s->area, s->pages * PAGE },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	/* Of our own stores only: that needs no privilege. */
	s->fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (s->fd < 0)
		return -1;
	return ioctl(s->fd, UFFDIO_API, &api) ||
	       ioctl(s->fd, UFFDIO_REGISTER, &reg) ? -1 : 0;
}

/*
 * A fault is a signal of the writer, who goes on by himself, as in the other arms:
 * a thread that reads messages would cost two switches for each.
 */
static int uffd_open(struct store *s)
{
	if (private_open(s))
		return -1;
	if (!uffd_register(s))
		return 0;
	kv_fail(s, "write-protection by userfaultfd");
	private_close(s);
	return -1;
}

static int uffd_set(struct store *s, size_t first, size_t end, uint64_t mode)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)s->area + first * PAGE,
			   (end - first) * PAGE },
		.mode = mode,
	};

	return ioctl(s->fd, UFFDIO_WRITEPROTECT, &wp);
}

static int uffd_protect(struct store *s)
{
	for (size_t i = 0; i < s->nruns; i++)
		if (uffd_set(s, s->runs[i].first, s->runs[i].end,
			     UFFDIO_WRITEPROTECT_MODE_WP))
			return -1;
	return 0;
}

static int uffd_unprotect(struct store *s, size_t page)
{
	return uffd_set(s, page, page + 1, 0);
}

const struct arm kv_uffd = {
	.name = "uffd",
	.signal = SIGBUS,
	.open = uffd_open,
	.protect = uffd_protect,
	.unprotect = uffd_unprotect,
	.save = kv_save,
	.close = private_close,
};
