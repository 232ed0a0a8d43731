// SPDX-License-Identifier: MIT
/* region: making, sharing and mapping; see region.h. */
#include "internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct fos_region_map *maps;

const struct fos_backend *fos__region_of(int fd, struct fos_core_query *q)
{
	if (!fos__backend_kernel.region_query(fd, q))
		return &fos__backend_kernel;
	if (!fos__backend_posix.region_query(fd, q))
		return &fos__backend_posix;
	return NULL;
}

/* ---- descriptors ------------------------------------------------------ */

static int make_region(const struct fos_backend *backend, void *arg)
{
	return backend->region_create(*(const uint64_t *)arg);
}

static int new_fd(int fd)
{
	if (fd >= 0)
		fos__forget_fd(fd);
	return fd;
}

FOS_API int fos_region_create(uint64_t bytes, unsigned int flags)
{
	if (!bytes || bytes > FOS_REGION_MAX || flags)
		return fos__ret(-EINVAL);
	bytes = FOS_PAGE_ALIGN(bytes);
	return fos__ret(new_fd(fos__make(make_region, &bytes)));
}

FOS_API int fos_region_share(int rfd, int prot)
{
	const struct fos_backend *backend;
	struct fos_core_query q;

	if (prot != PROT_READ && prot != (PROT_READ | PROT_WRITE))
		return fos__ret(-EINVAL);
	backend = fos__region_of(rfd, &q);
	if (!backend)
		return fos__ret(-EBADF);
	if (prot & ~q.side)
		return fos__ret(-EPERM);
	return fos__ret(new_fd(backend->region_share(rfd, prot)));
}

int fos__region_close(int fd)
{
	struct fos_core_query q;

	return fos__region_of(fd, &q) ? fos__close_fd(fd) : -EBADF;
}

/* ---- mappings --------------------------------------------------------- */

/* By system call: fcntl() of libc is a cancellation point.  No standard file. */
static int copy_fd(int fd)
{
	int copy = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

/* The program may have closed our copy, and its number be something else. */
static void close_copy(const struct fos_region_map *m)
{
	struct fos_core_query q;

	if (!m->backend->region_query(m->fd, &q) && q.id == m->id)
		fos__close_fd(m->fd);
}

static void drop(struct fos_region_map **p)
{
	struct fos_region_map *m = *p;

	*p = m->next;
	close_copy(m);
	free(m);
}

/* What lay where @m is now the program has unmapped behind our back. */
static void insert(struct fos_region_map *m)
{
	struct fos_region_map **p = &maps;

	pthread_rwlock_wrlock(&lock);
	while (*p) {
		if ((*p)->addr < m->addr + FOS_REGION_MAP_BYTES(m->bytes) &&
		    m->addr < (*p)->addr + FOS_REGION_MAP_BYTES((*p)->bytes))
			drop(p);
		else
			p = &(*p)->next;
	}
	m->next = maps;
	maps = m;
	pthread_rwlock_unlock(&lock);
}

static struct fos_region_map *take_out(const void *addr)
{
	struct fos_region_map **p, *m;

	pthread_rwlock_wrlock(&lock);
	for (p = &maps; *p && (*p)->addr != addr; p = &(*p)->next)
		;
	m = *p;
	if (m)
		*p = m->next;
	pthread_rwlock_unlock(&lock);
	return m;
}

/* The copy is asked, not @rfd: nobody else closes it. */
static int map_copy(int fd, int prot, struct fos_region_map *m)
{
	struct fos_core_query q;
	void *addr;
	int ret;

	m->backend = fos__region_of(fd, &q);
	if (!m->backend)
		return -EBADF;
	ret = m->backend->region_map(fd, &q, prot, &addr);
	if (ret)
		return ret;
	m->id = q.id;
	m->addr = addr;
	m->bytes = q.area_bytes;
	m->prot = prot;
	m->fd = new_fd(fd);
	return 0;
}

static int map_region(int rfd, int prot, void **addr)
{
	struct fos_region_map *m = malloc(sizeof(*m));
	int fd, ret;

	if (!m)
		return -ENOMEM;
	fd = copy_fd(rfd);
	ret = fd < 0 ? fd : map_copy(fd, prot, m);
	if (ret) {
		if (fd >= 0)
			fos__close_fd(fd);
		free(m);
		return ret;
	}
	*addr = m->addr;
	insert(m);
	return 0;
}

FOS_API void *fos_mmap(int rfd, int prot)
{
	void *addr;
	int ret;

	if (prot != PROT_NONE && prot != PROT_READ &&
	    prot != (PROT_READ | PROT_WRITE))
		ret = -EINVAL;
	else
		ret = fos__enter();
	if (!ret)
		ret = map_region(rfd, prot, &addr);
	if (!ret)
		return addr;
	errno = -ret;
	return MAP_FAILED;
}

FOS_API int fos_munmap(void *addr)
{
	struct fos_region_map *m;
	int ret = fos__enter();

	if (ret)
		return fos__ret(ret);
	m = take_out(addr);
	if (!m)
		return fos__ret(-EINVAL);
	ret = m->backend->region_unmap(m->addr, m->bytes);
	drop(&m);
	return fos__ret(ret);
}

const struct fos_region_map *fos__region_get(const void *addr, size_t len)
{
	const struct fos_region_map *m;
	const char *at = addr;

	if (fos__enter())
		return NULL;
	pthread_rwlock_rdlock(&lock);
	for (m = maps; m; m = m->next)
		if (at >= m->addr && at < m->addr + m->bytes)
			break;
	if (m && len <= (size_t)(m->addr + m->bytes - at))
		return m;
	pthread_rwlock_unlock(&lock);
	return NULL;
}

void fos__region_put(void)
{
	pthread_rwlock_unlock(&lock);
}

void fos__region_forget(void)
{
	pthread_rwlock_init(&lock, NULL);
	while (maps)
		drop(&maps);
	fos__posix_region_forget();
}

/* ---- populate --------------------------------------------------------- */

/*
 * Which pages may be written the kernel knows.  EINVAL: the mapping says no;
 * EFAULT: the fault did.
 */
static int write_what_may_be(char *addr, size_t len)
{
	const size_t half = FOS_PAGE_ALIGN(len / 2);
	int ret;

	if (!madvise(addr, len, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL && errno != EFAULT)
		return -ENOMEM;
	if (len == FOS_PAGE_BYTES)
		return 0;
	ret = write_what_may_be(addr, half);
	return ret ? ret : write_what_may_be(addr + half, len - half);
}

/*
 * All of it for reading first, once: then only pages that may be written are left,
 * and a page that is not there for want of memory shows.
 */
static int populate(char *addr, size_t len, int prot)
{
	const bool writes = prot & PROT_WRITE;

	if (writes && !madvise(addr, len, MADV_POPULATE_WRITE))
		return 0;
	if (madvise(addr, len, MADV_POPULATE_READ))
		return -ENOMEM;
	return writes ? write_what_may_be(addr, len) : 0;
}

FOS_API int fos_populate(void *addr, size_t len)
{
	const size_t bytes = FOS_PAGE_ALIGN(len);
	const struct fos_region_map *m;
	int prot;

	if ((uintptr_t)addr % FOS_PAGE_BYTES || bytes < len)
		return fos__ret(-EINVAL);
	m = fos__region_get(addr, bytes);
	if (!m)
		return fos__ret(-EINVAL);
	prot = m->prot;
	/* It may take long: others map meanwhile. */
	fos__region_put();
	if (prot == PROT_NONE)
		return fos__ret(-EINVAL);
	return fos__ret(bytes ? populate(addr, bytes, prot) : 0);
}
