// SPDX-License-Identifier: MIT
/*
 * Regions without the module: memfds, and mprotect() on the mapping of this
 * process.
 *
 * Which memfd is a region?  One whose size is sealed, so that no access can raise
 * SIGBUS, and whose mode nobody else gives a memfd.  Its name would say so too, but
 * is read from /proc, which may be missing and costs more than an mprotect().
 *
 * Who may change permissions?  Whose descriptor is open for writing, unless
 * O_DSYNC is set, as fos_region_share() does.  Here the flag means nothing, no
 * fcntl() takes it away, and it goes wherever the open file goes: through dup(),
 * exec() and SCM_RIGHTS.  It keeps honest people honest: /proc/self/fd opens
 * anything again.
 *
 * Permissions are this process's.  They are kept while it has the region mapped,
 * or, if they are not those of a new region, has a descriptor of it.
 */
#include "internal.h"
#include "posix_region.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MODE		(S_IFREG | S_ISVTX | 0666)
#define SEALS		(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define NO_SEALS	(F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
pthread_mutex_t fos__known_lock = PTHREAD_MUTEX_INITIALIZER;
static struct known *list;

/* ---- descriptors ------------------------------------------------------ */

/* By system call: fcntl() and open() of libc are cancellation points. */
static long do_fcntl(int fd, int cmd, long arg)
{
	return syscall(SYS_fcntl, fd, cmd, arg);
}

int fos__posix_region_create(uint64_t bytes)
{
	const int fd = fos__posix_memfd("fastos-region", bytes);

	if (fd >= 0 && (fchmod(fd, MODE & 07777) ||
			do_fcntl(fd, F_ADD_SEALS, SEALS))) {
		fos__close_fd(fd);
		return -ENOMEM;
	}
	return fd;
}

static uint32_t rights_of(int fd)
{
	const int flags = do_fcntl(fd, F_GETFL, 0);

	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY)
		return 0;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return FOS_RIGHT_READ;
	return FOS_RIGHT_READ | FOS_RIGHT_WRITE |
	       (flags & O_DSYNC ? 0 : FOS_RIGHT_OWN);
}

int fos__posix_region_query(int fd, struct fos_core_query *q)
{
	struct stat st;
	long seals;

	if (fstat(fd, &st) || st.st_mode != MODE || st.st_size <= 0 ||
	    st.st_size % FOS_PAGE_BYTES ||
	    (uint64_t)st.st_size > FOS_REGION_MAX)
		return -EBADF;
	seals = do_fcntl(fd, F_GET_SEALS, 0);
	if (seals < 0 || (seals & (SEALS | NO_SEALS)) != SEALS)
		return -EBADF;
	*q = (struct fos_core_query) {
		.abi = FOS_ABI,
		.kind = FOS_KIND_REGION,
		.id = st.st_ino,
		.side = rights_of(fd),
		.area_bytes = st.st_size,
	};
	return q->side ? 0 : -EBADF;
}

/* A new open file: access mode and flags are its own. */
int fos__posix_region_share(int fd, uint32_t rights)
{
	const int flags = rights & FOS_RIGHT_WRITE ? O_RDWR | O_DSYNC : O_RDONLY;
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC);
	if (ret >= 0)
		return ret;
	return errno == ENOENT ? -EOPNOTSUPP : -errno;
}

/* ---- what is known ---------------------------------------------------- */

static bool has_fd(int fd, const void *arg)
{
	const struct known *r = arg;
	struct fos_core_query q;

	return !fos__posix_region_query(fd, &q) && q.id == r->id;
}

static bool is_plain(const struct known *r)
{
	return !r->tickets && r->notify < 0 &&
	       (!r->pages ||
		(!r->pages[0] && fos__known_run(r->pages, 0, r->npages) ==
				 r->npages));
}

/* Nobody can ask for it again, or there is nothing to tell. */
static bool is_over(const struct known *r)
{
	return !r->addr && (is_plain(r) || (!has_fd(r->fd, r) &&
					    !fos__count_fds(has_fd, r)));
}

static void sweep(void)
{
	struct known **p = &list, *r;

	while ((r = *p)) {
		if (!is_over(r)) {
			p = &r->next;
			continue;
		}
		*p = r->next;
		if (r->notify >= 0)
			fos__close_fd(r->notify);
		free(r->pages);
		free(r);
	}
}

struct known *fos__known(int fd, const struct fos_core_query *q)
{
	struct known *r;

	for (r = list; r && r->id != q->id; r = r->next)
		;
	if (r)
		return r;
	sweep();
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->id = q->id;
	r->fd = fd;
	r->notify = -1;
	r->npages = q->area_bytes / FOS_PAGE_BYTES;
	r->next = list;
	list = r;
	return r;
}

bool fos__known_pages(struct known *r)
{
	if (!r->pages)
		r->pages = calloc(r->npages, 1);
	return r->pages;
}

void fos__posix_region_forget(void)
{
	struct known *r;
	size_t i;

	pthread_mutex_init(&fos__known_lock, NULL);
	for (r = list; r; r = r->next) {
		r->addr = NULL;
		/* Another thread may just have been changing them. */
		for (i = 0; r->pages && i < r->npages; i++)
			if (r->pages[i])
				r->pages[i] = SETTLED(IS(r->pages[i]));
	}
}

/* ---- the mapping ------------------------------------------------------ */

int fos__known_protect(const struct known *r, size_t first, size_t end,
		       int deny)
{
	if (!r->addr || !r->prot)
		return 0;
	return mprotect(r->addr + first * FOS_PAGE_BYTES,
			(end - first) * FOS_PAGE_BYTES,
			r->prot & ~deny) ? -ENOMEM : 0;
}

size_t fos__known_run(const uint8_t *pages, size_t first, size_t end)
{
	size_t i;

	for (i = first + 1; i < end && pages[i] == pages[first]; i++)
		;
	return i;
}

/* The permissions that were asked for before it was mapped. */
static int protect_all(const struct known *r)
{
	size_t first, end;
	int ret = 0;

	for (first = 0; r->pages && !ret && first < r->npages; first = end) {
		end = fos__known_run(r->pages, first, r->npages);
		if (r->pages[first])
			ret = fos__known_protect(r, first, end,
						 IS(r->pages[first]));
	}
	return ret;
}

/* Over what was reserved: the page behind it stays one that nobody may touch. */
static int map_at(char *addr, size_t bytes, int prot, int fd)
{
	const size_t all = FOS_REGION_MAP_SIZE(bytes);

	if (mmap(addr, bytes, prot, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return errno == EACCES ? -EACCES : -ENOMEM;
	return madvise(addr, all, MADV_DONTFORK) ||
	       madvise(addr, all, MADV_DONTDUMP) ? -ENOMEM : 0;
}

/* What lay there the program has unmapped behind our back. */
static void forget_stale(const char *addr, size_t bytes)
{
	struct known *r;

	for (r = list; r; r = r->next)
		if (r->addr && r->addr < addr + bytes &&
		    addr < r->addr + (r->npages + 1) * FOS_PAGE_BYTES)
			r->addr = NULL;
}

static int map_locked(struct known *r, int fd, int prot)
{
	const size_t bytes = r->npages * FOS_PAGE_BYTES;
	const size_t all = FOS_REGION_MAP_SIZE(bytes);
	char *addr;
	int ret;

	addr = mmap(NULL, all, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr == MAP_FAILED)
		return -ENOMEM;
	forget_stale(addr, all);
	ret = map_at(addr, bytes, prot, fd);
	r->addr = addr;
	r->prot = prot;
	if (!ret)
		ret = protect_all(r);
	if (ret) {
		munmap(addr, all);
		r->addr = NULL;
	}
	return ret;
}

int fos__posix_region_map(int fd, const struct fos_core_query *q, int prot,
			  void **addr)
{
	struct known *r;
	int ret;

	pthread_mutex_lock(&fos__known_lock);
	r = fos__known(fd, q);
	if (!r)
		ret = -ENOMEM;
	else if (r->addr)
		ret = -EBUSY;
	else
		ret = map_locked(r, fd, prot);
	if (!ret)
		*addr = r->addr;
	pthread_mutex_unlock(&fos__known_lock);
	return ret;
}

int fos__posix_region_unmap(void *addr, size_t bytes)
{
	struct known *r;
	int ret;

	pthread_mutex_lock(&fos__known_lock);
	for (r = list; r && r->addr != addr; r = r->next)
		;
	if (r)
		r->addr = NULL;
	ret = munmap(addr, FOS_REGION_MAP_SIZE(bytes)) ? -errno : 0;
	sweep();
	pthread_mutex_unlock(&fos__known_lock);
	return ret;
}
