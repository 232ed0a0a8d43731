// SPDX-License-Identifier: MIT
/*
 * core: which endpoint a descriptor is.
 *
 * A call names a descriptor; the table below says which attached endpoint that
 * is, as long as the kernel has not seen this process close any descriptor of
 * it since (the count of closes in the kernel page).  Otherwise, and for an
 * unknown number, the descriptor is asked (QUERY) and its endpoint found in
 * the registry or attached.  So dup() and reuse of a number stay right.
 *
 * Lookup takes no lock.  It counts itself in before it looks at the table a
 * second time; removal clears the table before it counts itself out; whoever
 * counts down to zero unmaps.  An endpoint's struct is never freed, only
 * pooled, so counting a stale one is harmless.
 */
#include "bells.h"
#include "internal.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_SEQ_CST)
#define STORE(p, v)	__atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

#define CHUNK		1024
#define CHUNKS		1024

/**
 * struct fd_slot - one descriptor number
 * @ep: its endpoint, or NULL
 * @state: of my side when that was checked; without @ep, ORDINARY: it was asked,
 *	and is none
 */
struct fd_slot {
	struct fos_ep *ep;
	uint64_t state;
};

#define ORDINARY	UINT64_MAX

static struct fd_slot *table[CHUNKS];
static struct fos_ep *registry, *pool;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * A page that fork() wipes: in a child the word is zero, and everything above
 * describes the parent, whose mappings were not inherited.
 */
enum { FORK_CHILD, FORK_RESETTING, FORK_READY };
static uint32_t fork_unset = FORK_CHILD;
static uint32_t *fork_word = &fork_unset;

void fos__lock(void)
{
	pthread_mutex_lock(&lock);
}

void fos__unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static void forget_everything(void)
{
	struct fos_ep *ep;
	size_t i;

	pthread_mutex_init(&lock, NULL);
	for (ep = registry; ep; ep = ep->next)
		fos__comp_forget(&ep->comp);
	for (i = 0; i < CHUNKS; i++)
		if (table[i])
			memset(table[i], 0, CHUNK * sizeof(*table[i]));
	registry = NULL;
	pool = NULL;
	fos__look_forget();
	fos__posix_forget_watcher();
	fos__name_forget();
	fos__region_forget();
	fos__cq_forget();
	fos__io_forget();
}

static inline bool is_entered(void)
{
	uint32_t *word = __atomic_load_n(&fork_word, __ATOMIC_ACQUIRE);

	return __atomic_load_n(word, __ATOMIC_ACQUIRE) == FORK_READY;
}

/* First use in this process, or in a child of it. */
int fos__enter(void)
{
	uint32_t *word = LOAD(&fork_word);
	uint32_t child = FORK_CHILD;
	uint32_t *page;

	if (word == &fork_unset) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			return -ENOMEM;
		if (madvise(page, 4096, MADV_WIPEONFORK) ||
		    !__atomic_compare_exchange_n(&fork_word, &word, page, false,
						 __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			munmap(page, 4096);
		word = LOAD(&fork_word);
		if (word == &fork_unset)
			return -ENOSYS;
	}
	if (__atomic_compare_exchange_n(word, &child, FORK_RESETTING, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		forget_everything();
		STORE(word, FORK_READY);
	}
	while (LOAD(word) != FORK_READY)
		sched_yield();
	return 0;
}

/* ---- endpoints -------------------------------------------------------- */

static struct fos_ep *ep_alloc(void)
{
	struct fos_ep *ep = pool;

	if (ep) {
		pool = ep->next;
		return ep;
	}
	return calloc(1, sizeof(*ep));
}

static bool same_object(const struct fos_core_query *a,
			const struct fos_core_query *b)
{
	return a->id == b->id && a->side == b->side;
}

/* Map @fd, if it is still what @q says when that is done. */
static int map_checked(int fd, struct fos_core_query *q, struct fos_ep *ep)
{
	struct fos_core_query now;
	int ret;

	ret = ep->backend->attach(fd, q, ep);
	if (ret)
		return ret;
	if (!ep->backend->query(fd, &now) && same_object(&now, q))
		return 0;
	ep->backend->detach(ep);
	ep->map.base = NULL;
	return -EBADF;
}

static void ep_set_up(struct fos_ep *ep, const struct fos_core_query *q)
{
	ep->takes_commands = q->features & FOS_FEAT_URING;
	ep->late_ns = 0;
	ep->cq = NULL;
	ep->beside = false;
	ep->owed_bell = 0;
	ep->stuck = false;
	pthread_mutex_init(&ep->area_lock, NULL);
	fos_ring_init(&ep->ring, &ep->map.mem);
	fos_area_init(&ep->area, q->area_bytes, 3 * q->depth);
	fos_lend_init(&ep->lend);
	fos_spin_unpack(&ep->spin, q->cookie, q->wake_ns);
	fos_spin_for_peer(&ep->spin);
	fos__calls_init(&ep->calls, q->depth);
	fos__owed_init(&ep->owed);
}

static int ep_attach(int fd, struct fos_core_query *q,
		     const struct fos_backend *backend, struct fos_ep **out)
{
	struct fos_ep *ep = ep_alloc();
	int ret;

	if (!ep)
		return -ENOMEM;
	ep->backend = backend;
	ep->id = q->id;
	ep->side = q->side;
	ret = map_checked(fd, q, ep);
	if (ret) {
		ep->next = pool;
		pool = ep;
		return ret;
	}
	ep_set_up(ep, q);
	fos__comp_attach(&ep->comp, backend, q);
	if (backend->begin)
		backend->begin(ep, fd);
	/* Added, not set: somebody may just be counting a stale pointer. */
	__atomic_add_fetch(&ep->users, 1, __ATOMIC_SEQ_CST);
	ep->next = registry;
	registry = ep;
	*out = ep;
	return 0;
}

static FOS_COLD void ep_release(struct fos_ep *ep)
{
	fos__lock();
	/* Not if it was a stale pointer's count: that one is pooled already. */
	if (!LOAD(&ep->users) && ep->map.base) {
		ep->backend->detach(ep);
		fos__comp_close(&ep->comp);
		ep->map.base = NULL;
		ep->next = pool;
		pool = ep;
	}
	fos__unlock();
}

void fos__ep_put(struct fos_ep *ep)
{
	if (!__atomic_sub_fetch(&ep->users, 1, __ATOMIC_SEQ_CST))
		ep_release(ep);
}

static void ep_unregister(struct fos_ep *ep)
{
	struct fos_ep **p;
	size_t i, j;

	for (p = &registry; *p != ep; p = &(*p)->next)
		;
	*p = ep->next;
	for (i = 0; i < CHUNKS; i++)
		for (j = 0; table[i] && j < CHUNK; j++)
			if (LOAD(&table[i][j].ep) == ep)
				STORE(&table[i][j].ep, NULL);
}

/* Endpoints that this process has hung up: unmapped when nobody uses them. */
static void sweep_dead(void)
{
	struct fos_ep *ep, *next;

	fos__lock();
	for (ep = registry; ep; ep = next) {
		next = ep->next;
		if (!(fos_ring_my_state(&ep->ring) & FOS_STATE_DEAD))
			continue;
		ep_unregister(ep);
		fos__unlock();
		fos__ep_put(ep);
		fos__lock();
		next = registry;
	}
	fos__unlock();
}

/* ---- descriptors ------------------------------------------------------ */

static struct fd_slot *slot_of(int fd)
{
	const unsigned int nr = fd;
	struct fd_slot *chunk;

	/* Those below 0 are beyond, too. */
	if (nr >= CHUNK * CHUNKS)
		return NULL;
	chunk = LOAD(&table[nr / CHUNK]);
	return chunk ? &chunk[nr % CHUNK] : NULL;
}

static struct fd_slot *slot_make(int fd)
{
	struct fd_slot *chunk;

	if (fd >= CHUNK * CHUNKS)
		return NULL;
	if (!table[fd / CHUNK]) {
		chunk = calloc(CHUNK, sizeof(*chunk));
		if (!chunk)
			return NULL;
		STORE(&table[fd / CHUNK], chunk);
	}
	return slot_of(fd);
}

static bool fd_is(int fd, const struct fos_ep *ep)
{
	struct fos_core_query q;

	return !ep->backend->query(fd, &q) && q.id == ep->id &&
	       q.side == ep->side;
}

/* The first that the table has and that passes @but. */
static int find_fd(const struct fos_ep *ep, int but)
{
	size_t i, j;
	int fd;

	for (i = 0; i < CHUNKS; i++) {
		for (j = 0; table[i] && j < CHUNK; j++) {
			fd = i * CHUNK + j;
			if (LOAD(&table[i][j].ep) == ep && fd != but &&
			    fd_is(fd, ep))
				return fd;
		}
	}
	return -1;
}

int fos__ep_fd(const struct fos_ep *ep)
{
	return find_fd(ep, -1);
}

FOS_COLD int fos__ep_other_fd(const struct fos_ep *ep, int fd)
{
	int other;

	fos__lock();
	other = find_fd(ep, fd);
	fos__unlock();
	return other;
}

/* Each backend numbers its objects by itself. */
static struct fos_ep *registry_find(const struct fos_backend *backend,
				    const struct fos_core_query *q)
{
	struct fos_ep *ep;

	for (ep = registry; ep; ep = ep->next)
		if (ep->backend == backend && ep->id == q->id &&
		    ep->side == q->side)
			return ep;
	return NULL;
}

const struct fos_backend *fos__backend_of(int fd, struct fos_core_query *q)
{
	if (!fos__backend_kernel.query(fd, q))
		return &fos__backend_kernel;
	if (!fos__backend_posix.query(fd, q))
		return &fos__backend_posix;
	return NULL;
}

/*
 * The state is read before the descriptor is asked: a close in between makes
 * the next call ask again.
 */
static int resolve_locked(int fd, struct fos_ep **out, uint64_t *state)
{
	const struct fos_backend *backend;
	struct fos_core_query q, again;
	struct fd_slot *slot;
	struct fos_ep *ep;
	int ret;

	backend = fos__backend_of(fd, &q);
	if (!backend)
		return -EBADF;
	slot = slot_make(fd);
	if (!slot)
		return -ENOMEM;
	ep = registry_find(backend, &q);
	ret = ep ? 0 : ep_attach(fd, &q, backend, &ep);
	if (ret)
		return ret;
	*state = fos_ring_my_state(&ep->ring);
	if ((*state & FOS_STATE_DEAD) || backend->query(fd, &again) ||
	    !same_object(&q, &again))
		return -EBADF;
	/* Readers take the state between two looks at the endpoint. */
	STORE(&slot->ep, NULL);
	STORE(&slot->state, *state);
	STORE(&slot->ep, ep);
	__atomic_add_fetch(&ep->users, 1, __ATOMIC_SEQ_CST);
	*out = ep;
	return 0;
}

static FOS_COLD int resolve(int fd, struct fos_ep **ep, uint64_t *state)
{
	int ret;

	if (fd < 0)
		return -EBADF;
	ret = fos__enter();
	if (ret)
		return ret;
	sweep_dead();
	fos__lock();
	ret = resolve_locked(fd, ep, state);
	fos__unlock();
	return ret;
}

int fos__ep_get(int fd, struct fos_ep **out, uint64_t *state)
{
	struct fd_slot *slot;
	struct fos_ep *ep;

	if (fos_unlikely(!is_entered()))
		return resolve(fd, out, state);
	slot = slot_of(fd);
	ep = slot ? LOAD(&slot->ep) : NULL;
	if (fos_unlikely(!ep))
		return resolve(fd, out, state);
	*state = LOAD(&slot->state);
	__atomic_add_fetch(&ep->users, 1, __ATOMIC_SEQ_CST);
	if (fos_unlikely(LOAD(&slot->ep) != ep ||
			 fos_ring_my_state(&ep->ring) != *state)) {
		fos__ep_put(ep);
		return resolve(fd, out, state);
	}
	*out = ep;
	return 0;
}

/* A copy that nobody has told us of may be all that is left of it. */
static FOS_COLD bool ep_again_slowly(struct fos_ep_name *n)
{
	struct fos_ep *ep;

	fos__lock();
	for (ep = registry; ep && !fos__is_named(ep, n); ep = ep->next)
		;
	if (ep && (fos_ring_my_state(&ep->ring) & FOS_STATE_DEAD))
		ep = NULL;
	if (ep) {
		__atomic_add_fetch(&ep->users, 1, __ATOMIC_SEQ_CST);
		if (!fd_is(n->fd, ep))
			n->fd = find_fd(ep, -1);
	}
	fos__unlock();
	return ep;
}

bool fos__ep_again(struct fos_ep_name *n)
{
	struct fd_slot *slot = n->fd < 0 ? NULL : slot_of(n->fd);
	uint64_t state;

	if (slot && LOAD(&slot->ep) == n->ep) {
		state = LOAD(&slot->state);
		__atomic_add_fetch(&n->ep->users, 1, __ATOMIC_SEQ_CST);
		if (LOAD(&slot->ep) == n->ep && fos__is_named(n->ep, n) &&
		    fos_ring_my_state(&n->ep->ring) == state)
			return true;
		fos__ep_put(n->ep);
	}
	return ep_again_slowly(n);
}

/* Once more, with the lock: a channel may have been made there meanwhile. */
static FOS_COLD void note_ordinary(int fd)
{
	struct fos_core_query q;
	struct fd_slot *slot;

	fos__lock();
	slot = slot_make(fd);
	if (slot && !LOAD(&slot->ep) && fcntl(fd, F_GETFD) >= 0 &&
	    !fos__backend_of(fd, &q))
		STORE(&slot->state, ORDINARY);
	fos__unlock();
}

int fos__ep_try(int fd, bool ask, struct fos_ep **ep, uint64_t *state)
{
	const struct fd_slot *slot = is_entered() ? slot_of(fd) : NULL;
	int ret;

	if (!ask && slot && !LOAD(&slot->ep) && LOAD(&slot->state) == ORDINARY)
		return -EBADF;
	ret = fos__ep_get(fd, ep, state);
	if (ret == -EBADF && fd >= 0)
		note_ordinary(fd);
	return ret;
}

FOS_COLD int fos__ep_recheck(int fd, struct fos_ep *ep, uint64_t *state)
{
	uint64_t now = fos_ring_my_state(&ep->ring);

	if ((now & FOS_STATE_DEAD) || !fd_is(fd, ep))
		return -EBADF;
	*state = now;
	return 0;
}

static int close_locked(int fd)
{
	const struct fos_backend *backend;
	struct fd_slot *slot = slot_of(fd);
	struct fos_core_query q;
	int ret;

	backend = fos__backend_of(fd, &q);
	if (!backend)
		return -EBADF;
	if (slot)
		STORE(&slot->ep, NULL);
	ret = backend->close(fd, registry_find(backend, &q));
	fos__comp_closed(backend, &q);
	return ret;
}

FOS_API int fos_close(int fd)
{
	int ret = fos__enter();

	if (ret)
		return fos__ret(ret);
	fos__bells_before_waiting();
	fos__lock();
	ret = close_locked(fd);
	fos__unlock();
	if (ret == -EBADF)
		ret = fos__region_close(fd);
	if (ret == -EBADF)
		ret = fos__cq_close(fd);
	if (ret == -EBADF)
		ret = fos__name_close(fd);
	sweep_dead();
	return fos__ret(ret);
}

void fos__forget_fd(int fd)
{
	struct fd_slot *slot = is_entered() ? slot_of(fd) : NULL;

	if (!slot)
		return;
	STORE(&slot->ep, NULL);
	STORE(&slot->state, 0);
}

bool fos__is_endpoint(int fd)
{
	struct fos_core_query q;

	return fos__backend_of(fd, &q);
}
