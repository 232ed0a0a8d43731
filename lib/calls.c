// SPDX-License-Identifier: MIT
#include "internal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOAD_ACQ(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE_REL(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* A call that is begun and has no token yet; no token is that large. */
#define RESERVED	UINT64_MAX

static bool cas(uint64_t *p, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(p, &from, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static uint64_t word_of(uint64_t token, uint64_t state)
{
	return token << 2 | state;
}

/* The state lies in the low half of the word. */
static void futex(uint64_t *word, int op, uint32_t val)
{
	syscall(SYS_futex, (uint32_t *)word, op | FUTEX_PRIVATE_FLAG, val,
		NULL, NULL, 0);
}

void fos__calls_init(struct fos_calls *c, uint32_t depth)
{
	uint32_t i;

	c->depth = depth;
	c->waiters = 0;
	sem_init(&c->freed, 0, 0);
	for (i = 0; i < depth; i++)
		c->call[i].word = 0;
}

static struct fos_call *find_free(struct fos_calls *c)
{
	uint32_t i;

	for (i = 0; i < c->depth; i++)
		if (!LOAD_ACQ(&c->call[i].word) &&
		    cas(&c->call[i].word, 0, RESERVED))
			return &c->call[i];
	return NULL;
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

static FOS_COLD int wait_free(struct fos_calls *c, uint64_t deadline_ns,
			      struct fos_call **call)
{
	int ret = 0;

	__atomic_add_fetch(&c->waiters, 1, __ATOMIC_SEQ_CST);
	while (!ret && !(*call = find_free(c)))
		ret = wait_freed(c, deadline_ns);
	__atomic_sub_fetch(&c->waiters, 1, __ATOMIC_SEQ_CST);
	return ret;
}

int fos__call_begin(struct fos_calls *c, uint64_t deadline_ns,
		    struct fos_call **call)
{
	*call = find_free(c);
	return *call ? 0 : wait_free(c, deadline_ns, call);
}

void fos__call_end(struct fos_calls *c, struct fos_call *call)
{
	/* Freed, then the waiters: they count themselves, then look. */
	__atomic_store_n(&call->word, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->waiters, __ATOMIC_SEQ_CST))
		sem_post(&c->freed);
}

void fos__call_expect(struct fos_call *call, uint64_t token, void *buf,
		      size_t cap)
{
	call->buf = buf;
	call->cap = cap;
	STORE_REL(&call->word, word_of(token, FOS_CALL_WAITING));
}

static FOS_COLD bool wait_routed(struct fos_call *call, uint64_t word)
{
	uint64_t contended = (word & ~FOS_CALL_STATE) | FOS_CALL_CONTENDED;

	while ((word & FOS_CALL_STATE) != FOS_CALL_WAITING) {
		if ((word & FOS_CALL_STATE) == FOS_CALL_ROUTED)
			return true;
		if (word == contended || cas(&call->word, word, contended))
			futex(&call->word, FUTEX_WAIT, (uint32_t)contended);
		word = LOAD_ACQ(&call->word);
	}
	return false;
}

bool fos__call_is_routed(struct fos_call *call)
{
	uint64_t word = LOAD_ACQ(&call->word);

	if ((word & FOS_CALL_STATE) == FOS_CALL_WAITING)
		return false;
	return (word & FOS_CALL_STATE) == FOS_CALL_ROUTED ||
	       wait_routed(call, word);
}

bool fos__call_abandon(struct fos_call *call, uint64_t token)
{
	if (cas(&call->word, word_of(token, FOS_CALL_WAITING), RESERVED))
		return true;
	/*
	 * It is being routed.  Should that fail, the reply was decided by
	 * somebody else and will never come: give up again.
	 */
	return !fos__call_is_routed(call) && fos__call_abandon(call, token);
}

struct fos_call *fos__call_find(struct fos_calls *c, uint64_t token)
{
	uint32_t i;

	/* No token of mine; as a word it would be a free or a reserved call. */
	if (!token || token >= RESERVED >> 2)
		return NULL;
	for (i = 0; i < c->depth; i++)
		if ((LOAD_ACQ(&c->call[i].word) & ~FOS_CALL_STATE) ==
		    word_of(token, 0))
			return &c->call[i];
	return NULL;
}

bool fos__call_route(struct fos_call *call, uint64_t token)
{
	return cas(&call->word, word_of(token, FOS_CALL_WAITING),
		   word_of(token, FOS_CALL_ROUTING));
}

static void set_state(struct fos_call *call, uint64_t token, uint64_t state)
{
	uint64_t old = __atomic_exchange_n(&call->word, word_of(token, state),
					   __ATOMIC_ACQ_REL);

	if ((old & FOS_CALL_STATE) == FOS_CALL_CONTENDED)
		futex(&call->word, FUTEX_WAKE, 1);
}

void fos__call_unroute(struct fos_call *call, uint64_t token)
{
	set_state(call, token, FOS_CALL_WAITING);
}

void fos__call_finish(struct fos_call *call, uint64_t token, ssize_t result)
{
	call->result = result;
	set_state(call, token, FOS_CALL_ROUTED);
}

void fos__owed_init(struct fos_owed *o, uint32_t depth)
{
	uint32_t i;

	o->slots = 2 * depth;
	for (i = 0; i < o->slots; i++)
		o->token[i] = 0;
}

/* Most often its own slot is right: begin there. */
static bool owed_replace(struct fos_owed *o, uint64_t start, uint64_t from,
			 uint64_t to)
{
	uint32_t i;
	uint64_t *t;

	for (i = 0; i < o->slots; i++) {
		t = &o->token[(start + i) & (o->slots - 1)];
		if (LOAD_ACQ(t) == from && cas(t, from, to))
			return true;
	}
	return false;
}

FOS_COLD void fos__owed_sweep(struct fos_owed *o,
			      bool (*gone)(void *arg, uint64_t token),
			      void *arg)
{
	uint64_t token;
	uint32_t i;

	for (i = 0; i < o->slots; i++) {
		token = LOAD_ACQ(&o->token[i]);
		if (token && gone(arg, token))
			cas(&o->token[i], token, 0);
	}
}

bool fos__owed_add(struct fos_owed *o, uint64_t token)
{
	return owed_replace(o, token, 0, token);
}

bool fos__owed_remove(struct fos_owed *o, uint64_t token)
{
	return token && owed_replace(o, token, token, 0);
}
