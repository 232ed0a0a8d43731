// SPDX-License-Identifier: MIT
/*
 * Writers, and how they are held.
 *
 * Between two operations a writer looks whether it is to hold.  The last one to
 * arrive takes the point in time, and the others spin until it has: they do not
 * sleep, for a processor that idles needs no interrupt to drop a translation, and
 * the pause would be measured too short.
 */
#include "kvsnap.h"

#include <errno.h>
#include <sched.h>

#include "cpus.h"

enum request { GO, HOLD, STOP };

/* Writers may be more than CPUs: who holds lets others arrive. */
#define SPINS		2000

/* ---- holding ---------------------------------------------------------- */

static void spin_until_over(struct store *s, unsigned int turn)
{
	unsigned int n = 0;

	while (atomic_load_explicit(&s->turn, memory_order_acquire) == turn) {
		__builtin_ia32_pause();
		if (++n % SPINS == 0)
			sched_yield();
	}
}

static void arrive(struct store *s)
{
	const unsigned int turn = atomic_load(&s->turn);

	if (atomic_fetch_add(&s->held, 1) + 1 < s->writers)
		return spin_until_over(s, turn);
	s->error = kv_point(s) ? errno : 0;
	atomic_store(&s->held, 0);
	atomic_store(&s->request, GO);
	atomic_store_explicit(&s->turn, turn + 1, memory_order_release);
	sem_post(&s->taken);
}

int kv_hold(struct store *s)
{
	atomic_store(&s->request, HOLD);
	while (sem_wait(&s->taken) && errno == EINTR)
		;
	errno = s->error;
	return s->error ? -1 : 0;
}

/* ---- writers ---------------------------------------------------------- */

static void *write_on(void *arg)
{
	struct writer *w = arg;
	struct store *s = w->store;
	int request;

	pin_to(w->nth);
	do {
		request = atomic_load_explicit(&s->request,
					       memory_order_acquire);
		if (request == GO)
			kv_operate(s, w);
		else if (request == HOLD)
			arrive(s);
	} while (request != STOP);
	return NULL;
}

int kv_writers_start(struct store *s)
{
	for (unsigned int i = 0; i < s->writers; i++) {
		struct writer *w = &s->writer[i];

		w->store = s;
		w->nth = i;
		w->random = kv_weight(i);
		errno = pthread_create(&w->thread, NULL, write_on, w);
		if (errno) {
			s->writers = i;
			kv_writers_stop(s);
			return -1;
		}
	}
	return 0;
}

void kv_writers_stop(struct store *s)
{
	atomic_store(&s->request, STOP);
	for (unsigned int i = 0; i < s->writers; i++)
		pthread_join(s->writer[i].thread, NULL);
}

uint64_t kv_operations(const struct store *s)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < s->writers; i++)
		sum += atomic_load_explicit(&s->writer[i].seq,
					    memory_order_relaxed);
	return sum;
}
