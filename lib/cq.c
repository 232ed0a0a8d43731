// SPDX-License-Identifier: MIT
/* cq: places, the line, waiting; see cq.h. */
#include "bells.h"
#include "internal.h"
#include "look.h"
#include "post.h"

#include <poll.h>
#include <stdlib.h>

#define NEWS	64
#define LOOKS	16	/* at an endpoint, while others take what comes */

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct fos_cq *queues;

/* ---- queues ----------------------------------------------------------- */

static struct fos_cq *cq_find(int fd)
{
	struct fos_cq *cq;

	for (cq = queues; cq && cq->fd != fd; cq = cq->next)
		;
	return cq;
}

struct fos_cq *fos__cq_get(int fd)
{
	struct fos_cq *cq;

	if (fos__enter())
		return NULL;
	pthread_rwlock_rdlock(&lock);
	cq = cq_find(fd);
	if (cq)
		__atomic_add_fetch(&cq->users, 1, __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&lock);
	return cq;
}

void fos__cq_tell_again(struct fos_ep *ep)
{
	const struct fos_cq *of = __atomic_load_n(&ep->cq, __ATOMIC_RELAXED);
	struct fos_cq *cq;

	if (!__atomic_exchange_n(&ep->posix.took_news, false, __ATOMIC_RELAXED) ||
	    !of || (!fos__post_is_ready(ep) && fos_ring_is_empty(&ep->ring)))
		return;
	pthread_rwlock_rdlock(&lock);
	for (cq = queues; cq && cq != of; cq = cq->next)
		;
	if (cq) {
		__atomic_store_n(&ep->posix.missed, true, __ATOMIC_RELAXED);
		fos__posix_cq_wake(cq);
	}
	pthread_rwlock_unlock(&lock);
}

static void cq_free(struct fos_cq *cq)
{
	pthread_mutex_destroy(&cq->lock);
	fos__cq_io_free(cq);
	free(cq->places);
	free(cq->line);
	free(cq->done);
	free(cq);
}

void fos__cq_put(struct fos_cq *cq)
{
	if (__atomic_sub_fetch(&cq->users, 1, __ATOMIC_ACQ_REL))
		return;
	fos__cq_io_end(cq);
	cq->backend->cq_destroy(cq);
	cq_free(cq);
}

static struct fos_cq *cq_alloc(uint32_t entries)
{
	struct fos_cq *cq = calloc(1, sizeof(*cq));
	uint32_t i;

	if (!cq)
		return NULL;
	cq->users = 1;
	cq->entries = entries;
	pthread_mutex_init(&cq->lock, NULL);
	cq->places = calloc(entries, sizeof(*cq->places));
	cq->line = calloc(entries, sizeof(*cq->line));
	cq->done = calloc(entries, sizeof(*cq->done));
	if (!cq->places || !cq->line || !cq->done) {
		cq_free(cq);
		return NULL;
	}
	for (i = 0; i < entries; i++)
		cq->places[i].next = i + 1;
	return cq;
}

static int make_cq(const struct fos_backend *backend, void *arg)
{
	struct fos_cq *cq = arg;

	cq->backend = backend;
	return backend->cq_create(cq);
}

static uint32_t power_of_two(uint32_t n)
{
	return n <= FOS_CQ_ENTRIES_MIN ? FOS_CQ_ENTRIES_MIN :
	       2U << (31 - __builtin_clz(n - 1));
}

FOS_API int fos_cq_create(unsigned int places, unsigned int flags)
{
	struct fos_cq *cq;
	int ret;

	if (!places || places > FOS_CQ_MAX || flags)
		return fos__ret(-EINVAL);
	ret = fos__enter();
	if (ret)
		return fos__ret(ret);
	cq = cq_alloc(power_of_two(places));
	if (!cq)
		return fos__ret(-ENOMEM);
	ret = fos__make(make_cq, cq);
	if (ret) {
		cq_free(cq);
		return fos__ret(ret);
	}
	fos__forget_fd(cq->fd);
	fos_spin_unpack(&cq->spin, fos_spin_pack(FOS_SPIN_DEFAULT, 0, 0),
			cq->wake_ns);
	pthread_rwlock_wrlock(&lock);
	cq->next = queues;
	queues = cq;
	pthread_rwlock_unlock(&lock);
	return cq->fd;
}

/* What it has may be in another queue then. */
static void leave_all(struct fos_cq *cq)
{
	struct fos_cq_place *p;

	pthread_mutex_lock(&cq->lock);
	for (p = cq->places; p < cq->places + cq->entries; p++)
		if (p->kind == FOS_CQ_ENDPOINT && fos__ep_again(&p->who)) {
			cq->backend->cq_part(cq, p);
			__atomic_store_n(&p->who.ep->cq, NULL, __ATOMIC_RELAXED);
			fos__ep_put(p->who.ep);
		}
	pthread_mutex_unlock(&cq->lock);
}

int fos__cq_close(int fd)
{
	struct fos_cq **p, *cq;

	pthread_rwlock_wrlock(&lock);
	for (p = &queues; *p && (*p)->fd != fd; p = &(*p)->next)
		;
	cq = *p;
	if (cq) {
		*p = cq->next;
		leave_all(cq);
	}
	pthread_rwlock_unlock(&lock);
	if (!cq)
		return -EBADF;
	fos__cq_io_drain(cq);
	fos__cq_put(cq);
	return 0;
}

void fos__cq_forget(void)
{
	struct fos_cq *cq;

	pthread_rwlock_init(&lock, NULL);
	while ((cq = queues)) {
		queues = cq->next;
		fos__cq_io_forget(cq);
		cq_free(cq);
	}
}

/* ---- who is ready ----------------------------------------------------- */

static uint32_t ready_events(struct fos_ep *ep)
{
	/* Death first: what was left behind is found after. */
	const bool dead = fos_ring_peer_dead(&ep->ring);

	return (fos_ring_is_empty(&ep->ring) ? 0 : POLLIN) |
	       (fos__post_is_ready(ep) ? FOS_CQ_REPLY : 0) |
	       (dead ? POLLHUP : 0);
}

/* As a receive that finds nothing, for others may have taken the byte; true: again. */
static bool receives(struct fos_ep *ep, int fd)
{
	const bool again = ep->backend->received(ep, fd, false, true);

	/* Before the look that follows, for what comes after is not seen by that. */
	(void)__atomic_exchange_n(&ep->posix.took_news, false, __ATOMIC_SEQ_CST);
	return again;
}

/* The events of an endpoint; 0: none, and there will be news when there are. */
static uint32_t look_at(struct fos_cq *cq, struct fos_cq_place *p)
{
	struct fos_ep *ep = p->who.ep;
	unsigned int looks = 0;
	uint32_t events;
	bool again;

	if (!fos__ep_again(&p->who)) {
		fos__place_free(cq, p);
		return 0;
	}
	events = ready_events(ep);
	again = ep->backend->received;
	while (!events && again && looks++ < LOOKS) {
		again = receives(ep, p->who.fd);
		events = ready_events(ep);
	}
	/* It comes and others take it: let the program find out. */
	if (!events && again)
		events = POLLIN;
	fos__ep_put(ep);
	return events;
}

/**
 * struct telling - one call of fos_cq_wait()
 * @nr: of the call
 * @ev: where events go
 * @max: how many there is room for
 * @n: how many there are
 * @name: of whose places the first of them are
 */
struct telling {
	uint64_t nr;
	struct fos_cq_event *ev;
	unsigned int max;
	unsigned int n;
	uint64_t name[NEWS];
};

/* Later calls may have told of it, too; of many events the last are not known. */
static bool has_told(struct fos_cq *cq, const struct telling *t,
		     const struct fos_cq_place *p)
{
	const uint64_t name = fos__place_name(cq, p);
	unsigned int i;

	if (p->told <= t->nr)
		return p->told == t->nr;
	for (i = 0; i < t->n && i < NEWS; i++)
		if (t->name[i] == name)
			return true;
	return t->n > NEWS;
}

static void tell(struct fos_cq *cq, struct telling *t, struct fos_cq_place *p,
		 uint32_t events, int res)
{
	if (t->n < NEWS)
		t->name[t->n] = fos__place_name(cq, p);
	t->ev[t->n++] = (struct fos_cq_event) { p->user_data, events, res };
	if (p->told < t->nr)
		p->told = t->nr;
}

static void tell_endpoint(struct fos_cq *cq, struct telling *t,
			  struct fos_cq_place *p)
{
	uint32_t events;

	if (!has_told(cq, t, p)) {
		events = look_at(cq, p);
		if (!events)
			return;
		tell(cq, t, p, events, 0);
	}
	fos__line_up(cq, p);
}

static void hear(struct fos_cq *cq, struct telling *t,
		 const struct fos_cq_news *news)
{
	struct fos_cq_place *p = fos__place_of(cq, news->name);

	if (!p)
		return;
	if (p->kind == FOS_CQ_ENDPOINT) {
		tell_endpoint(cq, t, p);
		return;
	}
	tell(cq, t, p, 0, news->res);
	fos__place_free(cq, p);
}

static void hear_news(struct fos_cq *cq, struct telling *t,
		      unsigned int (*next)(struct fos_cq *cq,
					   struct fos_cq_news *news,
					   unsigned int max))
{
	struct fos_cq_news news[NEWS];
	unsigned int i, n, room;

	do {
		room = t->max - t->n < NEWS ? t->max - t->n : NEWS;
		n = room ? next(cq, news, room) : 0;
		for (i = 0; i < n; i++)
			hear(cq, t, &news[i]);
	} while (n && n == room);
}

/* Everybody once; how many there was no room for. */
static uint32_t ask_line(struct fos_cq *cq, struct telling *t)
{
	struct fos_cq_place *p;
	uint32_t left;

	for (left = cq->length; left && t->n < t->max; left--) {
		p = fos__line_next(cq);
		if (p->kind == FOS_CQ_ENDPOINT) {
			tell_endpoint(cq, t, p);
		} else if (p->kind == FOS_CQ_TICKET && p->done) {
			tell(cq, t, p, 0, p->res);
			fos__place_free(cq, p);
		}
	}
	return left;
}

/* By turns each is the first; the ring of files is looked at after news of it. */
static void harvest(struct fos_cq *cq, struct telling *t)
{
	const unsigned int turn = t->nr % 3;
	bool again;

	if (turn == 1)
		hear_news(cq, t, fos__cq_io_news);
	if (turn == 2)
		ask_line(cq, t);
	hear_news(cq, t, cq->backend->cq_news);
	hear_news(cq, t, fos__cq_io_news);
	again = fos__line_up_missed(cq);
	if ((again || turn != 2) && ask_line(cq, t) && again)
		fos__posix_cq_wake(cq);
	if (t->n == t->max)
		fos__cq_io_pass_on(cq);
}

/* ---- waiting ---------------------------------------------------------- */

/* Without the lock.  False: time to sleep. */
static bool poll_until(struct fos_cq *cq, uint64_t tail, uint64_t until)
{
	uint64_t before, now = fos__now_ns();
	unsigned int i;

	do {
		for (i = 0; i < cq->looks; i++) {
			if (cq->backend->cq_peek(cq, tail))
				return true;
			__builtin_ia32_pause();
		}
		before = now;
		now = fos__now_ns();
		if (fos__was_away(&cq->spin, cq->looks, now - before)) {
			fos_spin_robbed(&cq->spin);
			return false;
		}
	} while (now < until);
	return false;
}

/* With the lock: until when to poll, from @now. */
static uint64_t poll_end(struct fos_cq *cq, uint64_t now, uint64_t deadline_ns)
{
	/* Who will post, and where he runs, nobody knows. */
	const struct fos_spin_sample s = fos__sample(fos__my_cpu(), UINT32_MAX,
						     false);
	uint64_t budget = 0;

	if (fos_spin_may_poll(&cq->spin, &s))
		budget = fos_spin_decide(&cq->spin, &s);
	return deadline_ns < now ? now : fos__earlier(now + budget, deadline_ns);
}

/* With the lock, which is dropped: until so many entries were posted. */
static int pause_for(struct fos_cq *cq, unsigned int more, uint64_t deadline_ns)
{
	const uint64_t began = fos__now_ns(), tail = cq->read + more;
	/* One that is heard of may stand for many. */
	const uint64_t polled = cq->io ? cq->read + 1 : tail;
	const uint64_t until = poll_end(cq, began, deadline_ns);
	struct fos_spin_wait wait = { .budget_ns = until - began };
	uint64_t posted_ns = 0, now;
	bool found = false;
	int ret = 0;

	pthread_mutex_unlock(&cq->lock);
	fos__bells_before_waiting();
	if (until > began) {
		__atomic_fetch_add(&fos__pollers, 1, __ATOMIC_RELAXED);
		found = poll_until(cq, polled, until);
		__atomic_fetch_sub(&fos__pollers, 1, __ATOMIC_RELAXED);
	}
	if (!found)
		ret = cq->backend->cq_sleep(cq, tail, deadline_ns, &posted_ns);
	now = fos__now_ns();
	pthread_mutex_lock(&cq->lock);
	if (ret)
		return ret;
	if (!found && (posted_ns < began || posted_ns > now))
		posted_ns = fos__later(began,
				       now - fos_spin_wake_ns(&cq->spin));
	else if (!found)
		wait.woke_ns = now - posted_ns;
	wait.ns = (found ? now : posted_ns) - began;
	fos_spin_note(&cq->spin, &wait);
	return 0;
}

static int wait_for(struct fos_cq *cq, struct telling *t, unsigned int min,
		    uint64_t deadline_ns)
{
	int ret = 0;

	pthread_mutex_lock(&cq->lock);
	t->nr = ++cq->calls;
	t->n = 0;
	for (;;) {
		harvest(cq, t);
		if (t->n < t->max && fos__cq_io_redo(cq))
			continue;
		if (t->n >= min || ret)
			break;
		ret = pause_for(cq, min - t->n, deadline_ns);
	}
	pthread_mutex_unlock(&cq->lock);
	return t->n || !min ? (int)t->n : ret;
}

FOS_API int fos_cq_wait(int fd, struct fos_cq_event *ev, unsigned int min,
			unsigned int max, const struct timespec *deadline)
{
	struct telling t;
	struct fos_cq *cq;
	uint64_t ns;
	int ret;

	if (!max || min > max)
		return fos__ret(-EINVAL);
	ret = fos__deadline(deadline, &ns);
	if (ret)
		return fos__ret(ret);
	cq = fos__cq_get(fd);
	if (!cq)
		return fos__ret(-EBADF);
	/* Not all of it: it is large. */
	t.ev = ev;
	t.max = max;
	ret = -EINVAL;
	if (min <= cq->entries)
		ret = wait_for(cq, &t, min, ns);
	fos__cq_put(cq);
	return fos__ret(ret);
}

FOS_API int fos_cq_notify(int fd, int efd)
{
	struct fos_cq *cq;
	int ret;

	cq = efd < -1 ? NULL : fos__cq_get(fd);
	if (!cq)
		return fos__ret(-EBADF);
	ret = cq->backend->cq_notify(cq, efd);
	fos__cq_put(cq);
	return fos__ret(ret);
}

int fos__cq_spin(int fd, struct fos_spin_stats *stats)
{
	struct fos_cq *cq = fos__cq_get(fd);

	if (!cq)
		return -EBADF;
	fos_spin_count(&cq->spin, stats);
	fos__cq_put(cq);
	return 0;
}

/* ---- endpoints -------------------------------------------------------- */

/* Is it in a queue that is there?  It leaves one that it was in before it died. */
static int add_once(struct fos_cq *cq, int fd, struct fos_ep *ep,
		    uint64_t user_data)
{
	return ep->cq ? -EEXIST : fos__place_add(cq, fd, ep, user_data);
}

enum change { ADD, REMOVE };

static int change(int fd, int ep_fd, enum change what, uint64_t user_data)
{
	struct fos_ep *ep;
	struct fos_cq *cq;
	uint64_t state;
	int ret = fos__ep_get(ep_fd, &ep, &state);

	if (ret)
		return ret;
	pthread_rwlock_wrlock(&lock);
	cq = cq_find(fd);
	ret = -EBADF;
	if (cq) {
		pthread_mutex_lock(&cq->lock);
		ret = what == ADD ? add_once(cq, ep_fd, ep, user_data) :
		      fos__place_remove(cq, ep_fd, ep);
		pthread_mutex_unlock(&cq->lock);
	}
	pthread_rwlock_unlock(&lock);
	fos__ep_put(ep);
	return ret;
}

FOS_API int fos_cq_add(int cq, int fd, uint64_t user_data)
{
	return fos__ret(change(cq, fd, ADD, user_data));
}

FOS_API int fos_cq_remove(int cq, int fd)
{
	return fos__ret(change(cq, fd, REMOVE, 0));
}

/* ---- tickets ---------------------------------------------------------- */

static int submit(struct fos_cq *cq, int rfd, struct fos_range *ranges,
		  unsigned int n, uint64_t within_ns, uint64_t user_data,
		  uint64_t *ticket)
{
	struct fos_cq_place *p;
	uint64_t name = 0;
	int ret;

	pthread_mutex_lock(&cq->lock);
	p = fos__place_make(cq, FOS_CQ_TICKET, user_data);
	if (p)
		name = fos__place_name(cq, p);
	pthread_mutex_unlock(&cq->lock);
	if (!p)
		return -EBUSY;
	/* Without the lock: it may be applied here, and take long. */
	ret = cq->backend->cq_submit(cq, name, rfd, ranges, n, within_ns, ticket);
	if (ret) {
		pthread_mutex_lock(&cq->lock);
		fos__place_free(cq, p);
		pthread_mutex_unlock(&cq->lock);
	}
	return ret;
}

FOS_API int fos_mprotectv_cq(int rfd, struct fos_range *ranges, unsigned int n,
			     uint64_t within_ns, int fd, uint64_t user_data,
			     uint64_t *ticket)
{
	const struct fos_backend *backend;
	struct fos_core_query q;
	uint64_t ignored;
	struct fos_cq *cq;
	int ret;

	if (!n)
		return fos__ret(-EINVAL);
	if (n > FOS_RANGES_MAX)
		return fos__ret(-E2BIG);
	cq = fos__cq_get(fd);
	if (!cq)
		return fos__ret(-EBADF);
	backend = fos__region_of(rfd, &q);
	if (!backend)
		ret = -EBADF;
	else if (backend != cq->backend)
		ret = -EOPNOTSUPP;
	else
		ret = submit(cq, rfd, ranges, n, within_ns, user_data,
			     ticket ? ticket : &ignored);
	fos__cq_put(cq);
	return fos__ret(ret);
}
