// SPDX-License-Identifier: MIT
/*
 * Permissions without the module: mprotect() for each run of pages that is to
 * change, and a ticket is applied when it is given.
 */
#include "internal.h"
#include "posix_region.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/syscall.h>

/* Pages [first, end). */
struct span {
	size_t first;
	size_t end;
};

/* Nothing, read, both; read and track; dropping, and then any of these. */
static bool is_prot(uint32_t prot)
{
	if (prot & FOS_DISCARD)
		prot &= ~FOS_DISCARD;
	else
		prot &= ~FOS_RECYCLE;
	return prot == PROT_NONE || prot == PROT_READ || prot == RW ||
	       prot == (PROT_READ | FOS_TRACK);
}

static bool is_bad(const struct fos_range *g, uint64_t bytes)
{
	return !g->len || g->offset % FOS_PAGE_BYTES ||
	       g->len % FOS_PAGE_BYTES || g->offset > bytes ||
	       g->len > bytes - g->offset || !is_prot(g->prot);
}

static int check(struct fos_range *ranges, unsigned int n, uint64_t bytes)
{
	unsigned int i, bad = 0, tracked = 0;
	uint64_t sum = 0;
	int ret = 0;

	for (i = 0; i < n; i++) {
		bad += is_bad(&ranges[i], bytes);
		tracked += !!(ranges[i].prot & FOS_TRACK);
		sum += bad ? 0 : ranges[i].len;
	}
	if (bad)
		ret = -EINVAL;
	else if (tracked)
		ret = -EOPNOTSUPP;
	else if (sum > bytes && sum > FOS_TLB_BYTES_MIN)
		ret = -E2BIG;
	for (i = 0; ret && i < n; i++)
		ranges[i].result = is_bad(&ranges[i], bytes) ? EINVAL :
				   ranges[i].prot & FOS_TRACK ? EOPNOTSUPP :
								ECANCELED;
	return ret;
}

/* Where the equal ones begin that end at @end. */
static size_t run_begin(const uint8_t *pages, size_t first, size_t end)
{
	size_t i;

	for (i = end - 1; i > first && pages[i - 1] == pages[end - 1]; i--)
		;
	return i;
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
		r->pages[i] = IS(r->pages[i]) | (RW & ~g->prot) << 2;
}

/*
 * Make it so, a call for each run of pages that is not.  @at: how far it came; the
 * run there failed, and may have been changed in part.
 */
static int apply(struct known *r, struct span s, struct span *at)
{
	size_t i, end;
	int was, deny, ret;

	for (i = s.first; i < s.end; i = end) {
		end = fos__known_run(r->pages, i, s.end);
		was = IS(r->pages[i]);
		deny = WANT(r->pages[i]);
		if (was == deny)
			continue;
		memset(r->pages + i, CHANGED | was << 4 | SETTLED(deny), end - i);
		ret = fos__known_protect(r, i, end, deny);
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
	int deny, was;

	for (end = s.end; end > s.first; end = i) {
		i = run_begin(r->pages, s.first, end);
		deny = IS(r->pages[i]);
		was = WAS(r->pages[i]);
		if ((r->pages[i] & CHANGED) &&
		    !fos__known_protect(r, i, end, was))
			deny = was;
		memset(r->pages + i, SETTLED(deny), end - i);
	}
}

static void settle(struct known *r, struct span s)
{
	size_t i;

	for (i = s.first; i < s.end; i++)
		r->pages[i] = SETTLED(IS(r->pages[i]));
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

	if (!fos__known_pages(r))
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

/* All processes lose it; a page that may be read stale stays. */
static int drop_content(int fd, const struct fos_range *ranges, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (ranges[i].prot & FOS_DISCARD &&
		    syscall(SYS_fallocate, fd,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    ranges[i].offset, ranges[i].len))
			return -errno;
	return 0;
}

/* The region, locked, or an error. */
static int own(int fd, struct fos_core_query *q, struct known **r)
{
	int ret = fos__enter();

	if (!ret)
		ret = fos__posix_region_query(fd, q);
	if (ret)
		return ret;
	if (!(q->side & FOS_RIGHT_OWN))
		return -EPERM;
	pthread_mutex_lock(&fos__known_lock);
	*r = fos__known(fd, q);
	if (*r)
		return 0;
	pthread_mutex_unlock(&fos__known_lock);
	return -ENOMEM;
}

static void disown(void)
{
	pthread_mutex_unlock(&fos__known_lock);
}

static int protect_owned(int fd, struct known *r, struct fos_range *ranges,
			 unsigned int n)
{
	int ret;

	if (!ranges)
		return -EFAULT;
	ret = check(ranges, n, r->npages * FOS_PAGE_BYTES);
	if (!ret)
		ret = change_known(r, ranges, n);
	return ret ? ret : drop_content(fd, ranges, n);
}

int fos__posix_region_protectv(int fd, struct fos_range *ranges,
			       unsigned int n)
{
	struct fos_core_query q;
	struct known *r;
	int ret = own(fd, &q, &r);

	if (ret)
		return ret;
	ret = protect_owned(fd, r, ranges, n);
	disown();
	return ret;
}

/* ---- tickets: all is done at once ------------------------------------- */

static void notify(const struct known *r)
{
	const uint64_t one = 1;
	ssize_t ignored = 0;

	/* A full one has been heard. */
	if (r->notify >= 0)
		ignored = syscall(SYS_write, r->notify, &one, sizeof(one));
	(void)ignored;
}

int fos__posix_region_submit(int fd, struct fos_range *ranges, unsigned int n,
			     uint64_t within_ns, uint64_t *ticket)
{
	struct fos_core_query q;
	struct known *r;
	int ret = own(fd, &q, &r);

	(void)within_ns;
	if (ret)
		return ret;
	ret = protect_owned(fd, r, ranges, n);
	if (!ret) {
		*ticket = ++r->tickets;
		notify(r);
	}
	disown();
	return ret;
}

/* 0: it was given, so it is applied. */
static int ask(int fd, uint64_t ticket)
{
	struct fos_core_query q;
	struct known *r;
	int ret = own(fd, &q, &r);

	if (ret)
		return ret;
	ret = ticket && ticket <= r->tickets ? 0 : -EINVAL;
	disown();
	return ret;
}

int fos__posix_region_fence(int fd, uint64_t ticket, uint64_t deadline_ns,
			    bool look)
{
	(void)deadline_ns;
	(void)look;
	return ask(fd, ticket);
}

int fos__posix_region_cancel(int fd, uint64_t ticket)
{
	const int ret = ask(fd, ticket);

	return ret ? ret : -EALREADY;
}

int fos__posix_region_notify(int fd, int efd)
{
	struct fos_core_query q;
	struct known *r;
	int copy = -1, ret;

	if (efd >= 0) {
		copy = syscall(SYS_fcntl, efd, F_DUPFD_CLOEXEC, 3);
		if (copy < 0)
			return -errno;
	}
	ret = own(fd, &q, &r);
	if (!ret) {
		const int old = r->notify;

		r->notify = copy;
		copy = old;
		disown();
	}
	if (copy >= 0)
		fos__close_fd(copy);
	return ret;
}

int fos__posix_region_scan(int fd, struct fos_tlb_scan *scan)
{
	struct fos_core_query q;

	(void)scan;
	return fos__posix_region_query(fd, &q) ? -EBADF : -EOPNOTSUPP;
}
