// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kmod/cq.c and the library do with a completion queue that one endpoint is in:
 * posting, reading, sleeping.  There is one reader.
 */
#include "world.h"

/* Its wait queue's. */
#define QUEUE_LOCK	2

static struct queue *queue_of(int side)
{
	return &world.queue[side];
}

/* ---- kmod/cq.c -------------------------------------------------------- */

static void wake(int side)
{
	struct wait_set *set = &world.set[side];

	model_lock(QUEUE_LOCK);
	if (LOAD(&queue_of(side)->asleep)) {
		set->queue_woken = 1;
		model_wake(set->reader - 1);
	}
	model_unlock(QUEUE_LOCK);
}

static void append(int side)
{
	struct wait_set *set = &world.set[side];
	struct queue *q = queue_of(side);

	set->queue_end++;
	__atomic_store_n(&q->seq[(set->queue_end - 1) % DEPTH], set->queue_end,
			 __ATOMIC_RELEASE);
	__atomic_store_n(&q->tail, set->queue_end, __ATOMIC_RELEASE);
	if (broken != BREAK_QUEUE_FENCE)
		model_fence();
	if (LOAD(&q->asleep))
		wake(side);
}

/* With the side's lock, which here is the queue's, too. */
void queue_post(int side)
{
	struct wait_set *set = &world.set[side];

	model_fence();
	if (set->queue_end > LOAD(&queue_of(side)->head))
		return;
	model_note("post");
	append(side);
}

static bool reached(const struct queue *q, uint64_t tail)
{
	return __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE) >= tail;
}

static void sleep_until_posted(int side, uint64_t tail)
{
	struct wait_set *set = &world.set[side];
	struct queue *q = queue_of(side);

	if (reached(q, tail))
		return;
	for (;;) {
		model_lock(QUEUE_LOCK);
		set->queue_woken = 0;
		STORE(&q->asleep, 1);
		model_unlock(QUEUE_LOCK);
		model_fence();
		if (reached(q, tail))
			break;
		model_lock(QUEUE_LOCK);
		/* Else the wake-up came before: the thread is runnable. */
		if (!set->queue_woken) {
			model_unlock(QUEUE_LOCK);
			model_sleep(false);
		} else {
			model_unlock(QUEUE_LOCK);
		}
	}
	model_lock(QUEUE_LOCK);
	STORE(&q->asleep, 0);
	model_unlock(QUEUE_LOCK);
}

/* ---- the library ------------------------------------------------------ */

void queue_join(void)
{
	struct wait_set *set = &world.set[my_side()];

	world.in_kernel[model_self] = 1;
	set->reader = model_self + 1;
	queue_arm(my_side());
	world.in_kernel[model_self] = 0;
}

void queue_wait(uint64_t tail)
{
	world.in_kernel[model_self] = 1;
	sleep_until_posted(my_side(), tail);
	world.in_kernel[model_self] = 0;
}

uint64_t queue_read(uint64_t read)
{
	struct queue *q = queue_of(my_side());

	while (__atomic_load_n(&q->seq[read % DEPTH], __ATOMIC_ACQUIRE) ==
	       read + 1)
		read++;
	return read;
}

void queue_advance(uint64_t read)
{
	__atomic_exchange_n(&queue_of(my_side())->head, read, __ATOMIC_SEQ_CST);
}
