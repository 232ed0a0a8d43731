// SPDX-License-Identifier: MIT
/* Sockets instead of the module: making, knowing and closing endpoints. */
#include "internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int posix_probe(struct fos_caps *caps)
{
	caps->features = FOS_CAP_CHAN | FOS_CAP_REGION | FOS_CAP_DISCARD;
	caps->backend = FOS_BACKEND_POSIX;
	caps->depth_max = FOS_CHAN_DEPTH_MAX;
	caps->area_max = FOS_CHAN_AREA_MAX;
	caps->wake_ns = fos__posix_wake_ns();
	return 0;
}

/* ---- a socket's name -------------------------------------------------- */

int fos__posix_bind(int fd, const void *name, size_t len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const size_t room = sizeof(a.sun_path) - 1 - len;
	uint64_t unique[2];
	int n;

	if (syscall(SYS_getrandom, unique, sizeof(unique), 0) !=
	    sizeof(unique))
		return -EAGAIN;
	memcpy(a.sun_path + 1, name, len);
	n = snprintf(a.sun_path + 1 + len, room, "%016llx%016llx",
		     (unsigned long long)unique[0],
		     (unsigned long long)unique[1]);
	len += offsetof(struct sockaddr_un, sun_path) + 1 + n;
	return bind(fd, (struct sockaddr *)&a, len) ? -errno : 0;
}

#define NAME_FORMAT	"fastos1.%u.%u.%llx.%llx."

static int set_name(int fd, uint32_t side, uint32_t depth, uint64_t area_bytes,
		    uint64_t cookie)
{
	char name[64];
	int n;

	n = snprintf(name, sizeof(name), NAME_FORMAT, side, depth,
		     (unsigned long long)area_bytes,
		     (unsigned long long)cookie);
	return fos__posix_bind(fd, name, n);
}

/* Anybody can name a socket so: believe only what fits. */
static int parse_name(const char *name, struct fos_core_query *q)
{
	unsigned long long area_bytes, cookie;
	unsigned int side, depth;
	int end = 0;

	if (sscanf(name, NAME_FORMAT "%n", &side, &depth, &area_bytes, &cookie,
		   &end) != 4 || !end || side > 1 ||
	    depth < FOS_CHAN_DEPTH_MIN || depth > FOS_CHAN_DEPTH_MAX ||
	    (depth & (depth - 1)) || area_bytes > FOS_CHAN_AREA_MAX ||
	    area_bytes % FOS_PAGE_BYTES)
		return -EBADF;
	q->side = side;
	q->depth = depth;
	q->area_bytes = area_bytes;
	q->cookie = cookie;
	return 0;
}

uint64_t fos__posix_id(int fd)
{
	uint64_t id = 0;
	socklen_t len = sizeof(id);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &id, &len) ? 0 : id;
}

static int posix_query(int fd, struct fos_core_query *q)
{
	struct sockaddr_un a = { 0 };
	socklen_t len = sizeof(a) - 1;

	*q = (struct fos_core_query) {
		.abi = FOS_ABI,
		.kind = FOS_KIND_CHAN,
		.id = fos__posix_id(fd),
	};
	if (!q->id || getsockname(fd, (struct sockaddr *)&a, &len) ||
	    a.sun_family != AF_UNIX || len > sizeof(a) - 1 ||
	    len <= offsetof(struct sockaddr_un, sun_path) + 1 || a.sun_path[0])
		return -EBADF;
	((char *)&a)[len] = '\0';
	return parse_name(a.sun_path + 1, q);
}

bool fos__posix_is(int fd, uint64_t id)
{
	return fos__posix_id(fd) == id;
}

static int posix_create(uint32_t depth, uint64_t area_bytes, uint64_t cookie,
			int fd[2])
{
	uint32_t side;
	int pair[2];
	int ret = 0;

	if (depth < FOS_CHAN_DEPTH_MIN || depth > FOS_CHAN_DEPTH_MAX ||
	    (depth & (depth - 1)) || area_bytes > FOS_CHAN_AREA_MAX)
		return -EINVAL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	for (side = 0; side < 2 && !ret; side++)
		ret = set_name(pair[side], side, depth, area_bytes, cookie);
	if (ret) {
		fos__close_fd(pair[0]);
		fos__close_fd(pair[1]);
		return ret;
	}
	fd[0] = pair[0];
	fd[1] = pair[1];
	return 0;
}

/* ---- whose it is ------------------------------------------------------ */

/*
 * An endpoint is attached once.  What all its holders share is the socket, so
 * the mark is an option of it that means nothing else here; a lock of the
 * process on the socket makes it test-and-set.  By system call: fcntl() of libc
 * is a cancellation point here.
 */
#define UNUSED_MARK	1
#define USED_MARK	2

/* Who holds it does so for an instant, or, like us when stopped, for long. */
#define LOCK_TRIES	100

static int take_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int tries;

	for (tries = 0; tries < LOCK_TRIES; tries++) {
		if (!syscall(SYS_fcntl, fd, F_SETLK, &lock))
			return 0;
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return -errno;
		fos__nap();
	}
	return -EBUSY;
}

static void drop_lock(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	syscall(SYS_fcntl, fd, F_SETLK, &lock);
}

static int is_unused(int fd)
{
	int used = USED_MARK;
	socklen_t len = sizeof(used);

	if (getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &used, &len))
		return -errno;
	return used == UNUSED_MARK ? 0 : -EBUSY;
}

/*
 * The hello goes before the mark: who is killed in between has told the peer
 * which process to look after.
 */
static int attach_locked(int fd, struct fos_core_query *q, struct fos_ep *ep)
{
	const int mark = USED_MARK;
	int ret = is_unused(fd);

	if (!ret)
		ret = fos__posix_map(fd, q, ep);
	if (!ret)
		setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
	return ret;
}

static int posix_attach(int fd, struct fos_core_query *q, struct fos_ep *ep)
{
	int ret;

	ret = take_lock(fd);
	if (ret)
		return ret;
	ret = attach_locked(fd, q, ep);
	drop_lock(fd);
	if (!ret && fos_spin_is_default(q->cookie))
		q->wake_ns = fos__posix_wake_ns();
	return ret;
}

static void posix_begin(struct fos_ep *ep, int fd)
{
	fos__posix_look(ep, fd);
}

/* ---- the end ---------------------------------------------------------- */

/* Without /proc, or descriptors to open it with. */
static unsigned int count_slowly(bool (*is)(int fd, const void *arg),
				 const void *arg)
{
	const int end = sysconf(_SC_OPEN_MAX);
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < end; fd++)
		n += is(fd, arg);
	return n;
}

unsigned int fos__count_fds(bool (*is)(int fd, const void *arg), const void *arg)
{
	struct dirent *ent;
	unsigned int n = 0;
	int old;
	DIR *dir;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	dir = opendir("/proc/self/fd");
	while (dir && (ent = readdir(dir)))
		n += ent->d_name[0] != '.' && is(atoi(ent->d_name), arg);
	if (dir)
		closedir(dir);
	else
		n = count_slowly(is, arg);
	pthread_setcancelstate(old, NULL);
	return n;
}

static bool is_copy(int fd, const void *id)
{
	return fos__posix_is(fd, *(const uint64_t *)id);
}

unsigned int fos__posix_copies(uint64_t id)
{
	return fos__count_fds(is_copy, &id);
}

/* For good: the peer sees it in my memory, his pollers by his socket. */
static void hang_up(struct fos_ep *ep, int fd)
{
	__atomic_fetch_or(&ep->posix.side->state, FOS_STATE_DEAD,
			  __ATOMIC_SEQ_CST);
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
	fos__posix_wake_all(ep->posix.mine);
	fos__posix_wake_all(ep->posix.peers);
}

/* Other threads of mine look again which descriptors are left. */
static void note_close(struct fos_ep *ep)
{
	__atomic_fetch_add(&ep->posix.side->state, 2, __ATOMIC_SEQ_CST);
	fos__posix_wake_all(ep->posix.mine);
}

void fos__posix_closed(struct fos_ep *ep)
{
	if (fos__posix_copies(ep->id))
		note_close(ep);
	else
		hang_up(ep, -1);
}

/* Who looks again because of a copy must find it closed. */
static int posix_close(int fd, struct fos_ep *ep)
{
	const bool others = ep && fos__posix_copies(ep->id) > 1;
	int ret;

	if (ep && !others) {
		hang_up(ep, fd);
		fos__posix_unwatch(ep, fd);
	}
	ret = fos__close_fd(fd);
	if (others)
		note_close(ep);
	return ret;
}

/* Not by a close only: attaching may have failed half way. */
static void posix_detach(struct fos_ep *ep)
{
	if (!(ep->posix.side->state & FOS_STATE_DEAD))
		hang_up(ep, -1);
	fos__posix_unmap(ep);
}

static int posix_withdraw(struct fos_ep *ep, int fd, uint64_t seq,
			  uint64_t *word)
{
	int ret = fos_ring_withdraw(&ep->ring, seq, word);

	(void)fd;
	/* My own threads may wait for the slot. */
	if (!ret)
		fos__posix_wake_all(ep->posix.mine);
	return ret;
}

const struct fos_backend fos__backend_posix = {
	.name		= "posix",
	.probe		= posix_probe,
	.create		= posix_create,
	.query		= posix_query,
	.close		= posix_close,
	.attach		= posix_attach,
	.begin		= posix_begin,
	.detach		= posix_detach,
	.bell_wait	= fos__posix_bell_wait,
	.bell_self	= fos__posix_bell_self,
	.withdraw	= posix_withdraw,
	.attend		= fos__posix_attend,
	.published	= fos__posix_call_pollers,
	.received	= fos__posix_received,
	.arm		= fos__posix_arm,
	.disarm		= fos__posix_disarm,
	.drain		= fos__posix_drain,
	.region_create	= fos__posix_region_create,
	.region_query	= fos__posix_region_query,
	.region_share	= fos__posix_region_share,
	.region_map	= fos__posix_region_map,
	.region_unmap	= fos__posix_region_unmap,
	.region_protectv = fos__posix_region_protectv,
	.region_submit	= fos__posix_region_submit,
	.region_fence	= fos__posix_region_fence,
	.region_cancel	= fos__posix_region_cancel,
	.region_notify	= fos__posix_region_notify,
	.region_scan	= fos__posix_region_scan,
	.cq_create	= fos__posix_cq_create,
	.cq_destroy	= fos__posix_cq_destroy,
	.cq_join	= fos__posix_cq_join,
	.cq_part	= fos__posix_cq_part,
	.cq_news	= fos__posix_cq_news,
	.cq_peek	= fos__posix_cq_peek,
	.cq_sleep	= fos__posix_cq_sleep,
	.cq_notify	= fos__posix_cq_notify,
	.cq_hear	= fos__posix_cq_hear,
	.cq_submit	= fos__posix_cq_submit,
};
