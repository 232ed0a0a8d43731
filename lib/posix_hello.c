// SPDX-License-Identifier: MIT
/* The memory of the two sides: each makes its own, and sends it to the other. */
#include "internal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * One reservation: a gap, my memory, a gap, my page, a gap, the peer's memory,
 * a gap, his page, a gap.  Until the peer is met his parts are zeroes: no
 * message, nobody waits.
 */
#define GAP		FOS_PAGE_BYTES
#define HALF_BYTES(mem)	(GAP + (mem) + GAP + FOS_PAGE_BYTES)
#define ALL_BYTES(mem)	(2 * HALF_BYTES(mem) + GAP)

_Static_assert(sizeof(struct posix_page) <= FOS_PAGE_BYTES, "posix_page");
_Static_assert((int)POSIX_FDS <= FOS_FDS_MAX, "descriptors of a hello");

static unsigned char *half(const struct fos_ep *ep, bool peers)
{
	unsigned char *base = ep->map.base;

	return base + GAP + (peers ? (ep->map.bytes - GAP) / 2 : 0);
}

static void close_all(int fds[POSIX_FDS])
{
	int i;

	for (i = 0; i < POSIX_FDS; i++)
		if (fds[i] >= 0)
			fos__close_fd(fds[i]);
}

/* ---- mine ------------------------------------------------------------- */

static void fill_mem(struct fos_ep *ep, const struct fos_core_query *q,
		     size_t mem)
{
	unsigned char *mine = half(ep, false), *peers = half(ep, true);
	const uint32_t depth = q->depth;
	struct fos_posix *p = &ep->posix;
	struct posix_side *side = (void *)(peers + POSIX_SIDE_OFF(depth));

	p->side = (void *)(mine + POSIX_SIDE_OFF(depth));
	p->mine = (void *)(mine + mem + GAP);
	p->peers = (void *)(peers + mem + GAP);
	ep->map.mem = (struct fos_ring_mem) {
		.my_line = (void *)mine,
		.my_entries = (void *)(mine + FOS_CHAN_ENTRIES),
		.my_replies = (void *)(mine + FOS_CHAN_REPLIES(depth)),
		.my_released = (void *)(mine + FOS_CHAN_RELEASED(depth)),
		.my_returned = (void *)(mine + FOS_CHAN_RETURNED(depth)),
		.my_claims = p->peers->claims,
		.my_area = mine + POSIX_AREA_OFF(depth),
		.my_wants = &p->side->wants,
		.my_state = &p->side->state,
		.peer_line = (void *)peers,
		.peer_entries = (void *)(peers + FOS_CHAN_ENTRIES),
		.peer_replies = (void *)(peers + FOS_CHAN_REPLIES(depth)),
		.peer_released = (void *)(peers + FOS_CHAN_RELEASED(depth)),
		.peer_returned = (void *)(peers + FOS_CHAN_RETURNED(depth)),
		.peer_claims = p->mine->claims,
		.peer_area = peers + POSIX_AREA_OFF(depth),
		.peer_wants = &side->wants,
		.peer_armed = &side->armed,
		.peer_state = &side->state,
		.depth = depth,
		.area_bytes = q->area_bytes,
	};
}

int fos__posix_memfd(const char *name, size_t bytes)
{
	struct rlimit limit;
	int fd;

	/* A file beyond it would not only fail, but kill (SIGXFSZ). */
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < bytes)
		return -ENOMEM;
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && ftruncate(fd, bytes)) {
		fos__close_fd(fd);
		return -ENOMEM;
	}
	return fd >= 0 ? fd : -errno;
}

static int map_at(void *at, size_t bytes, int prot, int fd)
{
	const int flags = MAP_FIXED | MAP_NORESERVE |
			  (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	/*
	 * Other threads may be reading there: to them the kernel replaces it at
	 * once.  By system call, for checkers of races take it for a store.
	 */
	if ((void *)syscall(SYS_mmap, at, bytes, (long)prot, (long)flags,
			    (long)fd, 0L) != at)
		return -errno;
	/* A child owns nothing of its parent's endpoints. */
	return madvise(at, bytes, MADV_DONTFORK) ? -errno : 0;
}

static int reserve(struct fos_ep *ep, size_t mem)
{
	ep->map.bytes = ALL_BYTES(mem);
	ep->map.base = mmap(NULL, ep->map.bytes, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ep->map.base != MAP_FAILED)
		return 0;
	ep->map.base = NULL;
	return -ENOMEM;
}

static int map_mine(struct fos_ep *ep, size_t mem, int fds[POSIX_FDS])
{
	unsigned char *mine = half(ep, false), *peers = half(ep, true);
	const int rw = PROT_READ | PROT_WRITE;
	int ret;

	ret = map_at(mine, mem, rw, fds[POSIX_MEM]);
	if (!ret)
		ret = map_at(mine + mem + GAP, FOS_PAGE_BYTES, rw, fds[POSIX_PAGE]);
	if (!ret)
		ret = map_at(peers, mem, PROT_READ, -1);
	if (!ret)
		ret = map_at(peers + mem + GAP, FOS_PAGE_BYTES, rw, -1);
	return ret;
}

/* From now on nobody can map my memory to write, nor cut either short. */
static int seal(int fds[POSIX_FDS])
{
	const int size = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	if (fcntl(fds[POSIX_MEM], F_ADD_SEALS, size | F_SEAL_FUTURE_WRITE) ||
	    fcntl(fds[POSIX_PAGE], F_ADD_SEALS, size))
		return -errno;
	return 0;
}

static int make_mine(struct fos_ep *ep, const struct fos_core_query *q,
		     size_t mem, int fds[POSIX_FDS])
{
	uint64_t i;
	int ret;

	fds[POSIX_MEM] = fos__posix_memfd("fastos", mem);
	if (fds[POSIX_MEM] < 0)
		return fds[POSIX_MEM];
	fds[POSIX_PAGE] = fos__posix_memfd("fastos-page", FOS_PAGE_BYTES);
	if (fds[POSIX_PAGE] < 0)
		return fds[POSIX_PAGE];
	/* Under valgrind there is none: then death is the socket's end. */
	fds[POSIX_PID] = syscall(SYS_pidfd_open, getpid(), 0);
	if (fds[POSIX_PID] < 0 && errno != ENOSYS)
		return -errno;
	ret = map_mine(ep, mem, fds);
	if (ret)
		return ret;
	fill_mem(ep, q, mem);
	for (i = 0; i < q->depth; i++)
		ep->posix.mine->claims[i] = FOS_CLAIM(i, FOS_CLAIM_DONE);
	return seal(fds);
}

/*
 * A peer that is gone needs none: whoever looks for him will see that.  Else it
 * must go: ETOOMANYREFS is a user with too many descriptors under way.
 */
static int send_hello(int fd, const struct fos_core_query *q, const int *fds)
{
	struct posix_hello hello = {
		.magic = POSIX_MAGIC,
		.side = q->side,
		.depth = q->depth,
		.area_bytes = q->area_bytes,
	};
	const size_t n = fds[POSIX_PID] < 0 ? POSIX_PID : POSIX_FDS;
	const int ret = fos__send_fds(fd, &hello, sizeof(hello), fds, n);

	if (!ret || ret == -EPIPE || ret == -ECONNRESET)
		return 0;
	return ret == -ETOOMANYREFS ? -ENFILE : -ENOMEM;
}

void fos__posix_unmap(struct fos_ep *ep)
{
	struct fos_posix *p = &ep->posix;

	if (p->pidfd >= 0) {
		/* Closing does not do it: the peer may have kept a copy. */
		fos__posix_unwatch(ep, p->pidfd);
		fos__close_fd(p->pidfd);
	}
	if (ep->map.base)
		munmap(ep->map.base, ep->map.bytes);
	pthread_mutex_destroy(&p->lock);
}

int fos__posix_map(int fd, const struct fos_core_query *q, struct fos_ep *ep)
{
	const size_t mem = POSIX_MEM_BYTES(q->depth, q->area_bytes);
	int fds[POSIX_FDS] = { -1, -1, -1 };
	int ret;

	ep->posix = (struct fos_posix) { .fd = fd, .pidfd = -1 };
	pthread_mutex_init(&ep->posix.lock, NULL);
	ret = reserve(ep, mem);
	if (!ret)
		ret = make_mine(ep, q, mem, fds);
	/* Whoever hears of us finds us listening. */
	if (!ret)
		ret = fos__posix_watch(ep, fd);
	if (!ret) {
		ret = send_hello(fd, q, fds);
		if (ret)
			fos__posix_unwatch(ep, fd);
	}
	close_all(fds);
	if (!ret)
		return 0;
	fos__posix_unmap(ep);
	ep->map.base = NULL;
	return ret;
}

/* ---- the peer's ------------------------------------------------------- */

/*
 * The packet stays where it is: if we have no descriptors free for what comes
 * with it we can look again later.
 */
static int peek_hello(int fd, struct posix_hello *hello, int fds[POSIX_FDS])
{
	ssize_t n;
	int flags;

	/* A peer that left something unread leaves an error; then comes the rest. */
	do {
		flags = MSG_PEEK | MSG_DONTWAIT;
		n = fos__recv_fds(fd, hello, sizeof(*hello), fds, POSIX_FDS,
				  &flags);
	} while (n == -ECONNRESET || n == -EINTR);
	if (n < 0)
		return n;
	/* Nothing more will come. */
	if (!n)
		return -EAGAIN;
	if (n != sizeof(*hello) || hello->magic != POSIX_MAGIC)
		return -EPROTO;
	return fds[POSIX_FDS - 1] < 0 && (flags & MSG_CTRUNC) ? -EMFILE : 0;
}

static void drop_packet(int fd)
{
	char byte;

	syscall(SYS_recvfrom, fd, &byte, 1, MSG_DONTWAIT, NULL, NULL);
}

/* Anything else might block us when we look at it. */
static bool is_pidfd(int fd)
{
	return fd < 0 || (!syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) ||
			  errno == ESRCH || errno == EPERM);
}

/*
 * It cannot shrink under us: no SIGBUS.  Nor is it of huge pages, which may not
 * be there when they are touched, and of which the least that is mapped, over
 * what lies behind, is 2 MiB.
 */
static bool is_sealed(int fd, size_t bytes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;
	struct statx st;

	/*
	 * Not fstat(): to checkers of races that is an access to the number, and
	 * they see neither where it came from nor that it is closed.
	 */
	return seals >= 0 && (seals & F_SEAL_SHRINK) &&
	       !statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &st) &&
	       st.stx_size >= bytes &&
	       !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC;
}

static int map_peers(struct fos_ep *ep, const struct posix_hello *hello,
		     int fds[POSIX_FDS])
{
	const struct fos_ring_mem *m = &ep->map.mem;
	const size_t mem = POSIX_MEM_BYTES(m->depth, m->area_bytes);
	unsigned char *peers = half(ep, true);
	int ret;

	if (hello->side != !ep->side ||
	    hello->depth != m->depth || hello->area_bytes != m->area_bytes ||
	    !is_pidfd(fds[POSIX_PID]) || !is_sealed(fds[POSIX_MEM], mem) ||
	    !is_sealed(fds[POSIX_PAGE], FOS_PAGE_BYTES))
		return -EPROTO;
	/* The page first: who sees an entry can claim it. */
	ret = map_at(peers + mem + GAP, FOS_PAGE_BYTES, PROT_READ | PROT_WRITE,
		     fds[POSIX_PAGE]);
	return ret ? ret : map_at(peers, mem, PROT_READ, fds[POSIX_MEM]);
}

int fos__posix_meet(struct fos_ep *ep, int fd)
{
	int fds[POSIX_FDS] = { -1, -1, -1 };
	struct posix_hello hello;
	int ret = peek_hello(fd, &hello, fds);

	if (!ret)
		ret = map_peers(ep, &hello, fds);
	if (!ret) {
		drop_packet(fd);
		ep->posix.pidfd = fds[POSIX_PID];
		fds[POSIX_PID] = -1;
		__atomic_store_n(&ep->posix.met, true, __ATOMIC_SEQ_CST);
		fos__posix_watch_peer(ep, fd);
		fos__posix_call_met(ep, fd);
		/* What was published before each knew the other rang nobody. */
		fos__posix_wake_all(ep->posix.mine);
		fos__posix_wake_all(ep->posix.peers);
	}
	close_all(fds);
	return ret == -EPROTO ? ret : 0;
}
