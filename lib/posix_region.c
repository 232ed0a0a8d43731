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

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MODE		(S_IFREG | S_ISVTX | 0666)
#define SEALS		(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define NO_SEALS	(F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define RW		(PROT_READ | PROT_WRITE)

/* A page that may not be written has both of the first two, others none. */
#define IS_RO		1	/* its mapping says so */
#define WANT_RO		2	/* it shall */
#define RO		(IS_RO | WANT_RO)
#define CHANGED		4	/* by the call under way */

/**
 * struct known - a region of which this process has a mapping, or permissions
 * @next: in the list
 * @id: its inode: memfds are all of one file system
 * @fd: a descriptor of it once
 * @npages: its size
 * @pages: the bits above for each page; NULL: all may be written
 * @addr: of its mapping, or NULL
 * @prot: of its mapping
 */
struct known {
	struct known *next;
	uint64_t id;
	int fd;
	size_t npages;
	uint8_t *pages;
	char *addr;
	int prot;
};

/* Pages [first, end). */
struct span {
	size_t first;
	size_t end;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
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
	return !r->pages || !memchr(r->pages, RO, r->npages);
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
		free(r->pages);
		free(r);
	}
}

static struct known *find(int fd, const struct fos_core_query *q)
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
	r->npages = q->area_bytes / FOS_PAGE_BYTES;
	r->next = list;
	list = r;
	return r;
}

void fos__posix_region_forget(void)
{
	struct known *r;
	size_t i;

	pthread_mutex_init(&lock, NULL);
	for (r = list; r; r = r->next) {
		r->addr = NULL;
		/* Another thread may just have been changing them. */
		for (i = 0; r->pages && i < r->npages; i++)
			if (r->pages[i] && r->pages[i] != RO)
				r->pages[i] = r->pages[i] & IS_RO ? RO : 0;
	}
}

/* ---- the mapping ------------------------------------------------------ */

static int protect(const struct known *r, size_t first, size_t end, bool ro)
{
	if (!r->addr || !(r->prot & PROT_WRITE))
		return 0;
	return mprotect(r->addr + first * FOS_PAGE_BYTES,
			(end - first) * FOS_PAGE_BYTES,
			ro ? PROT_READ : RW) ? -ENOMEM : 0;
}

/* Where the equal ones end that begin at @first, or begin that end at @end. */
static size_t run_end(const uint8_t *pages, size_t first, size_t end)
{
	size_t i;

	for (i = first + 1; i < end && pages[i] == pages[first]; i++)
		;
	return i;
}

static size_t run_begin(const uint8_t *pages, size_t first, size_t end)
{
	size_t i;

	for (i = end - 1; i > first && pages[i - 1] == pages[end - 1]; i--)
		;
	return i;
}

/* The permissions that were asked for before it was mapped. */
static int protect_all(const struct known *r)
{
	const uint8_t *at = r->pages;
	size_t first, end = 0;
	int ret = 0;

	while (at && !ret &&
	       (at = memchr(r->pages + end, RO, r->npages - end))) {
		first = at - r->pages;
		end = run_end(r->pages, first, r->npages);
		ret = protect(r, first, end, true);
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

	pthread_mutex_lock(&lock);
	r = find(fd, q);
	if (!r)
		ret = -ENOMEM;
	else if (r->addr)
		ret = -EBUSY;
	else
		ret = map_locked(r, fd, prot);
	if (!ret)
		*addr = r->addr;
	pthread_mutex_unlock(&lock);
	return ret;
}

int fos__posix_region_unmap(void *addr, size_t bytes)
{
	struct known *r;
	int ret;

	pthread_mutex_lock(&lock);
	for (r = list; r && r->addr != addr; r = r->next)
		;
	if (r)
		r->addr = NULL;
	ret = munmap(addr, FOS_REGION_MAP_SIZE(bytes)) ? -errno : 0;
	sweep();
	pthread_mutex_unlock(&lock);
	return ret;
}

/* ---- changing permissions --------------------------------------------- */

static bool is_bad(const struct fos_range *g, uint64_t bytes)
{
	return !g->len || g->offset % FOS_PAGE_BYTES ||
	       g->len % FOS_PAGE_BYTES || g->offset > bytes ||
	       g->len > bytes - g->offset ||
	       (g->prot != PROT_READ && g->prot != RW);
}

static int check(struct fos_range *ranges, unsigned int n, uint64_t bytes)
{
	unsigned int i, bad = 0;
	uint64_t sum = 0;
	int ret = 0;

	for (i = 0; i < n; i++) {
		bad += is_bad(&ranges[i], bytes);
		sum += bad ? 0 : ranges[i].len;
	}
	if (bad)
		ret = -EINVAL;
	else if (sum > FOS_REGION_MAX)
		ret = -E2BIG;
	for (i = 0; ret && i < n; i++)
		ranges[i].result = is_bad(&ranges[i], bytes) ? EINVAL :
							       ECANCELED;
	return ret;
}

static struct span span_of(const struct fos_range *g)
{
	return (struct span) {
		.first = g->offset / FOS_PAGE_BYTES,
		.end = (g->offset + g->len) / FOS_PAGE_BYTES,
	};
}

static int by_first(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* In order and apart; how many are left. */
static unsigned int merge(struct span *s, unsigned int n)
{
	unsigned int i, last = 0;

	qsort(s, n, sizeof(*s), by_first);
	for (i = 1; i < n; i++) {
		if (s[i].first > s[last].end)
			s[++last] = s[i];
		else if (s[i].end > s[last].end)
			s[last].end = s[i].end;
	}
	return last + 1;
}

/* In the order of the program: where they overlap, the last one counts. */
static void mark(struct known *r, const struct fos_range *g)
{
	const struct span s = span_of(g);
	size_t i;

	for (i = s.first; i < s.end; i++)
		r->pages[i] = (r->pages[i] & IS_RO) |
			      (g->prot == PROT_READ ? WANT_RO : 0);
}

/*
 * Make it so, a call for each run of pages that is not.  @at: how far it came; the
 * run there failed, and may have been changed in part.
 */
static int apply(struct known *r, struct span s, struct span *at)
{
	size_t i, end;
	bool ro;
	int ret;

	for (i = s.first; i < s.end; i = end) {
		end = run_end(r->pages, i, s.end);
		if (r->pages[i] == 0 || r->pages[i] == RO)
			continue;
		ro = r->pages[i] & WANT_RO;
		memset(r->pages + i, CHANGED | (ro ? RO : 0), end - i);
		ret = protect(r, i, end, ro);
		if (ret) {
			*at = (struct span) { i, end };
			return ret;
		}
	}
	return 0;
}

/*
 * Backwards, so that each step leads to a state that there was: it needs no more
 * mappings than that had.
 */
static void undo(struct known *r, struct span s)
{
	size_t i, end;
	bool ro;

	for (end = s.end; end > s.first; end = i) {
		i = run_begin(r->pages, s.first, end);
		ro = r->pages[i] & IS_RO;
		if ((r->pages[i] & CHANGED) && !protect(r, i, end, !ro))
			ro = !ro;
		memset(r->pages + i, ro ? RO : 0, end - i);
	}
}

static void settle(struct known *r, struct span s)
{
	size_t i;

	for (i = s.first; i < s.end; i++)
		r->pages[i] &= ~CHANGED;
}

/* Why each was not done: the run at @at could not be. */
static void tell(struct fos_range *ranges, unsigned int n, struct span at)
{
	struct span s;
	unsigned int i;

	for (i = 0; i < n; i++) {
		s = span_of(&ranges[i]);
		ranges[i].result = s.first < at.end && at.first < s.end ?
				   ENOMEM : ECANCELED;
	}
}

static int change(struct known *r, struct fos_range *ranges, unsigned int n,
		  struct span *s)
{
	unsigned int i, spans;
	struct span at = { 0 };
	int ret = 0;

	for (i = 0; i < n; i++) {
		mark(r, &ranges[i]);
		s[i] = span_of(&ranges[i]);
		ranges[i].result = 0;
	}
	spans = merge(s, n);
	for (i = 0; i < spans && !ret; i++)
		ret = apply(r, s[i], &at);
	if (!ret) {
		for (i = 0; i < spans; i++)
			settle(r, s[i]);
		return 0;
	}
	for (i = spans; i-- > 0;)
		undo(r, s[i]);
	tell(ranges, n, at);
	return ret;
}

/* Few need no memory of their own. */
#define FEW		64

static int change_known(struct known *r, struct fos_range *ranges,
			unsigned int n)
{
	struct span few[FEW], *s = few;
	int ret;

	if (!r->pages)
		r->pages = calloc(r->npages, 1);
	if (!r->pages)
		return -ENOMEM;
	if (n > FEW)
		s = malloc(n * sizeof(*s));
	if (!s)
		return -ENOMEM;
	ret = change(r, ranges, n, s);
	if (s != few)
		free(s);
	return ret;
}

int fos__posix_region_protectv(int fd, struct fos_range *ranges,
			       unsigned int n)
{
	struct fos_core_query q;
	struct known *r;
	int ret = fos__enter();

	if (ret)
		return ret;
	ret = fos__posix_region_query(fd, &q);
	if (ret)
		return ret;
	if (!(q.side & FOS_RIGHT_OWN))
		return -EPERM;
	if (!ranges)
		return -EFAULT;
	ret = check(ranges, n, q.area_bytes);
	if (ret)
		return ret;
	pthread_mutex_lock(&lock);
	r = find(fd, &q);
	ret = r ? change_known(r, ranges, n) : -ENOMEM;
	pthread_mutex_unlock(&lock);
	return ret;
}
