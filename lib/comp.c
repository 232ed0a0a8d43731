// SPDX-License-Identifier: MIT
#include "comp.h"

#include <stdlib.h>

#include "internal.h"

/**
 * struct kept - a companion of an endpoint that is not attached yet
 * @next: in the list
 * @backend, @id, @side: the endpoint
 * @fd: a descriptor of it once
 * @sock, @sock_id: the companion
 */
struct kept {
	struct kept *next;
	const struct fos_backend *backend;
	uint64_t id;
	uint32_t side;
	int fd;
	int sock;
	uint64_t sock_id;
};

/* With the library's lock.  A forked child goes on with a copy. */
static struct kept *list;

static bool is_of(const struct kept *k, const struct fos_backend *backend,
		  const struct fos_core_query *q)
{
	return k->backend == backend && k->id == q->id && k->side == q->side;
}

static struct kept **find(const struct fos_backend *backend,
			  const struct fos_core_query *q)
{
	struct kept **p;

	for (p = &list; *p && !is_of(*p, backend, q); p = &(*p)->next)
		;
	return p;
}

static bool has_fd(int fd, const void *arg)
{
	const struct kept *k = arg;
	struct fos_core_query q;

	return !k->backend->query(fd, &q) && q.id == k->id && q.side == k->side;
}

static void close_socket(int sock, uint64_t id)
{
	if (fos__posix_is(sock, id))
		fos__close_fd(sock);
}

static void drop(struct kept **p)
{
	struct kept *k = *p;

	*p = k->next;
	close_socket(k->sock, k->sock_id);
	free(k);
}

/* Has the program closed the endpoint behind our back? */
static bool is_left_behind(const struct kept *k)
{
	return !has_fd(k->fd, k) && !fos__count_fds(has_fd, k);
}

/* A few for each new one, in turn: it costs the same however many there are. */
#define LOOKS	2

static void sweep(void)
{
	struct kept **p, *k;
	int looks;

	for (looks = 0; looks < LOOKS && (k = list); looks++) {
		if (is_left_behind(k)) {
			drop(&list);
			continue;
		}
		list = k->next;
		k->next = NULL;
		for (p = &list; *p; p = &(*p)->next)
			;
		*p = k;
	}
}

int fos__comp_keep(int fd, int sock)
{
	struct kept *k = fos__enter() ? NULL : malloc(sizeof(*k));
	struct fos_core_query q;

	if (!k)
		return -ENOMEM;
	*k = (struct kept) {
		.backend = fos__backend_of(fd, &q),
		.fd = fd,
		.sock = sock,
		.sock_id = fos__posix_id(sock),
	};
	k->id = q.id;
	k->side = q.side;
	fos__lock();
	sweep();
	k->next = list;
	list = k;
	fos__unlock();
	return 0;
}

void fos__comp_attach(struct fos_comp *c, const struct fos_backend *backend,
		      const struct fos_core_query *q)
{
	struct kept **p = find(backend, q), *k = *p;

	*c = (struct fos_comp) { .fd = -1, .parcels = 2 * q->depth };
	pthread_mutex_init(&c->lock, NULL);
	if (!k)
		return;
	c->fd = k->sock;
	c->id = k->sock_id;
	*p = k->next;
	free(k);
}

void fos__comp_closed(const struct fos_backend *backend,
		      const struct fos_core_query *q)
{
	struct kept **p = find(backend, q);

	if (*p && !fos__count_fds(has_fd, *p))
		drop(p);
}

int fos__comp_stash(struct fos_comp *c)
{
	if (!c->stash)
		c->stash = calloc(c->parcels, sizeof(*c->stash));
	return c->stash ? 0 : -ENOMEM;
}

void fos__comp_close(struct fos_comp *c)
{
	uint32_t i, n;

	for (i = 0; c->stash && i < c->parcels; i++)
		for (n = 0; c->stash[i].name && n < c->stash[i].count; n++)
			fos__close_fd(c->stash[i].fd[n]);
	pthread_mutex_destroy(&c->lock);
	fos__comp_forget(c);
}

void fos__comp_forget(struct fos_comp *c)
{
	free(c->stash);
	c->stash = NULL;
	if (c->fd >= 0)
		close_socket(c->fd, c->id);
	c->fd = -1;
}
