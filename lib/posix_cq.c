// SPDX-License-Identifier: MIT
/*
 * Queues without the module: an epoll instance that is told of the endpoints'
 * sockets by the edge, and an eventfd for what this process does itself.
 */
#include "internal.h"
#include "look.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/* The name of the eventfd: no place has so high a number. */
#define WAKE	(~0ULL)

static int watch(struct fos_cq *cq, int fd, uint64_t name, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = name };

	if (!epoll_ctl(cq->fd, EPOLL_CTL_ADD, fd, &ev))
		return 0;
	/* The same number has left, but was not taken out. */
	return errno == EEXIST && !epoll_ctl(cq->fd, EPOLL_CTL_MOD, fd, &ev) ?
	       0 : -errno;
}

int fos__posix_cq_create(struct fos_cq *cq)
{
	int ret;

	cq->fd = epoll_create1(EPOLL_CLOEXEC);
	if (cq->fd < 0)
		return -errno;
	cq->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cq->wake_ns = fos__posix_wake_ns();
	/* Each is a trap. */
	cq->looks = 1;
	ret = cq->wake_fd < 0 ? -errno : watch(cq, cq->wake_fd, WAKE, EPOLLIN);
	if (!ret)
		return 0;
	if (cq->wake_fd >= 0)
		fos__close_fd(cq->wake_fd);
	fos__close_fd(cq->fd);
	return ret;
}

void fos__posix_cq_destroy(struct fos_cq *cq)
{
	fos__close_fd(cq->wake_fd);
	fos__close_fd(cq->fd);
}

int fos__posix_cq_join(struct fos_cq *cq, const struct fos_cq_place *p,
		       uint64_t name)
{
	struct fos_ep *ep = p->who.ep;
	const int ret = watch(cq, p->joined, name,
			      EPOLLIN | EPOLLRDHUP | EPOLLET);

	/* One of the module's is polled by it, and tells of messages only. */
	if (!ret && ep->backend == &fos__backend_posix)
		fos__posix_set_queued(ep, true);
	return ret;
}

/* If that number was closed, and a copy is open, news of nobody may come. */
void fos__posix_cq_part(struct fos_cq *cq, const struct fos_cq_place *p)
{
	epoll_ctl(cq->fd, EPOLL_CTL_DEL, p->joined, NULL);
	if (p->who.ep->backend == &fos__backend_posix)
		fos__posix_set_queued(p->who.ep, false);
}

/* Its own news: who waits looks, and who looks silences it. */
static void signal_own(const struct fos_cq *cq)
{
	const uint64_t one = 1;

	syscall(SYS_write, cq->wake_fd, &one, sizeof(one));
}

static void silence(const struct fos_cq *cq)
{
	uint64_t count;

	syscall(SYS_read, cq->wake_fd, &count, sizeof(count));
}

void fos__posix_cq_wake(struct fos_cq *cq)
{
	if (!__atomic_exchange_n(&cq->missed, true, __ATOMIC_SEQ_CST))
		signal_own(cq);
}

/* The tickets first: of what is left there after, the eventfd is to tell. */
static unsigned int news_of_tickets(struct fos_cq *cq, struct fos_cq_news *news,
				    unsigned int max)
{
	unsigned int n;

	for (n = 0; n < max && cq->ndone; n++)
		news[n] = cq->done[--cq->ndone];
	if (n && !cq->ndone)
		silence(cq);
	return n;
}

unsigned int fos__posix_cq_news(struct fos_cq *cq, struct fos_cq_news *news,
				unsigned int max)
{
	unsigned int n = news_of_tickets(cq, news, max);
	struct epoll_event ev[64];
	long i, got = 0;

	if (n < max)
		got = syscall(SYS_epoll_pwait, cq->fd, ev,
			      max - n < 64 ? max - n : 64, 0, NULL, 0);
	for (i = 0; i < got; i++)
		if (ev[i].data.u64 != WAKE)
			news[n++] = (struct fos_cq_news) { ev[i].data.u64, 0 };
		else
			silence(cq);
	return n;
}

/* Has anything happened?  It is still news after. */
static long look(const struct fos_cq *cq, const struct timespec *timeout)
{
	struct pollfd p = { .fd = cq->fd, .events = POLLIN };

	return syscall(SYS_ppoll, &p, 1, timeout, NULL, 0);
}

bool fos__posix_cq_peek(const struct fos_cq *cq, uint64_t tail)
{
	const struct timespec now = { 0 };

	(void)tail;
	return look(cq, &now) > 0;
}

int fos__posix_cq_sleep(struct fos_cq *cq, uint64_t tail, uint64_t deadline_ns,
			uint64_t *posted_ns)
{
	struct timespec left, *timeout = NULL;
	long ret;

	(void)tail;
	(void)posted_ns;
	if (deadline_ns != FOS_DEADLINE_NONE) {
		left = fos__time_left(deadline_ns, fos__now_ns());
		timeout = &left;
	}
	ret = look(cq, timeout);
	return ret < 0 ? -errno : ret ? 0 : -ETIMEDOUT;
}

/* Who posts is a peer, who knows of no queue. */
int fos__posix_cq_notify(struct fos_cq *cq, int efd)
{
	(void)cq;
	(void)efd;
	return -EOPNOTSUPP;
}

int fos__posix_cq_hear(struct fos_cq *cq, int efd)
{
	return watch(cq, efd, FOS_CQ_HEARD, EPOLLIN | EPOLLET);
}

/* All is done at once. */
int fos__posix_cq_submit(struct fos_cq *cq, uint64_t name, int rfd,
			 struct fos_range *ranges, unsigned int n,
			 uint64_t within_ns, uint64_t *ticket)
{
	const int ret = fos__posix_region_submit(rfd, ranges, n, within_ns, ticket);

	if (ret)
		return ret;
	pthread_mutex_lock(&cq->lock);
	cq->done[cq->ndone++] = (struct fos_cq_news) { name, 0 };
	pthread_mutex_unlock(&cq->lock);
	signal_own(cq);
	return 0;
}
