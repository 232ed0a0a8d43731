// SPDX-License-Identifier: MIT
#include "internal.h"

#include <time.h>

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define LOAD_ACQ(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define LOAD_SC(p)	__atomic_load_n((p), __ATOMIC_SEQ_CST)
#define STORE_REL(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* ---- my calls --------------------------------------------------------- */

void fos__calls_init(struct fos_calls *c, uint32_t depth)
{
	uint32_t i;

	for (i = 0; i < FOS_CALLS_WORDS; i++)
		c->busy[i] = depth >= 64 * (i + 1) ? 0 :
			     depth <= 64 * i ? ~0ULL : ~0ULL << (depth & 63);
	memset(c->posted, 0, sizeof(c->posted));
	c->next = 0;
	c->waiters = 0;
	sem_init(&c->freed, 0, 0);
}

/* The lowest: few slots stay warm. */
int fos__call_try(struct fos_calls *c)
{
	uint64_t busy;
	uint32_t i;

	for (i = 0; i < FOS_CALLS_WORDS; i++) {
		busy = LOAD(&c->busy[i]);
		while (~busy)
			if (__atomic_compare_exchange_n(&c->busy[i], &busy,
							busy | (busy + 1), true,
							__ATOMIC_ACQUIRE,
							__ATOMIC_RELAXED))
				return 64 * i + __builtin_ctzll(~busy);
	}
	return -EAGAIN;
}

static int wait_freed(struct fos_calls *c, uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = deadline_ns / 1000000000,
		.tv_nsec = deadline_ns % 1000000000,
	};
	int old, ret;

	/* We are no cancellation point, but sem_wait() is. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (deadline_ns == FOS_DEADLINE_NONE)
		ret = sem_wait(&c->freed);
	else
		ret = sem_clockwait(&c->freed, CLOCK_MONOTONIC, &ts);
	ret = ret ? -errno : 0;
	pthread_setcancelstate(old, NULL);
	return ret;
}

static FOS_COLD int wait_free(struct fos_calls *c, uint64_t deadline_ns)
{
	int slot, ret = 0;

	__atomic_add_fetch(&c->waiters, 1, __ATOMIC_SEQ_CST);
	while ((slot = fos__call_try(c)) < 0 && !ret)
		ret = wait_freed(c, deadline_ns);
	__atomic_sub_fetch(&c->waiters, 1, __ATOMIC_SEQ_CST);
	return slot < 0 ? ret : slot;
}

int fos__call_begin(struct fos_calls *c, uint64_t deadline_ns)
{
	int slot = fos__call_try(c);

	return fos_unlikely(slot < 0) ? wait_free(c, deadline_ns) : slot;
}

void fos__call_end(struct fos_calls *c, uint32_t slot)
{
	/* Freed, then the waiters: they count themselves, then look. */
	__atomic_fetch_and(&c->busy[slot / 64], ~(1ULL << (slot & 63)),
			   __ATOMIC_SEQ_CST);
	if (fos_unlikely(LOAD(&c->waiters)))
		sem_post(&c->freed);
}

/* ---- the peer's ------------------------------------------------------- */

/* Beside a token whose reply is being written. */
#define WRITING		(1ULL << 63)

static inline uint64_t *owed_slot(struct fos_owed *o, uint64_t token)
{
	return &o->token[FOS_TOKEN_SLOT(token)];
}

static bool cas(uint64_t *p, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(p, &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

void fos__owed_init(struct fos_owed *o)
{
	memset(o, 0, sizeof(*o));
}

/*
 * Whoever begins after our look, which is in one order with his exchange, looks
 * whether he is too late after that, and is told.
 */
void fos__owed_forget(struct fos_owed *o, uint64_t token)
{
	uint64_t *slot = owed_slot(o, token);
	uint64_t old;

	while ((old = LOAD_SC(slot)) && (old & ~WRITING) < token) {
		if (old & WRITING)
			fos__nap();
		else
			cas(slot, old, 0);
	}
}

void fos__owed_add(struct fos_owed *o, uint64_t token)
{
	uint64_t *slot = owed_slot(o, token);
	uint64_t old;

	/* Mostly what was owed there has been answered. */
	while (!cas(slot, 0, token)) {
		old = LOAD_ACQ(slot);
		/* A later request was taken by a faster thread: ours is stale. */
		if (fos_unlikely(!(old & WRITING) && old >= token))
			return;
		if (fos_unlikely(old & WRITING))
			fos__nap();
		else if (cas(slot, old, token))
			return;
	}
}

bool fos__owed_begin(struct fos_owed *o, uint64_t token)
{
	return token && !(token & WRITING) &&
	       cas(owed_slot(o, token), token, token | WRITING);
}

bool fos__owed_is_writing(const struct fos_owed *o, uint64_t token)
{
	return LOAD_ACQ(&o->token[FOS_TOKEN_SLOT(token)]) == (token | WRITING);
}

void fos__owed_end(struct fos_owed *o, uint64_t token)
{
	STORE_REL(owed_slot(o, token), 0);
}

void fos__owed_keep(struct fos_owed *o, uint64_t token)
{
	STORE_REL(owed_slot(o, token), token);
}
