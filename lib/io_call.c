// SPDX-License-Identifier: MIT
/*
 * io_call: calls by a ring, and how they wait.  A device says nothing of itself: what a
 * wait will be is learnt for each file, kind and size of call.
 */
#include "internal.h"
#include "io_ring.h"
#include "look.h"

#define SIZE_CLASSES	8

/* One that drove another out sleeps first: where many take turns none is learnt. */
#define BORN_ASLEEP	8

/*
 * Asleep the ring costs 1.5 times the plain call (12.3k and 8.3k instructions, 6.1), so
 * who sleeps does without it; but for one wait of so many, whose length is learnt.
 */
#define LEARN_OF	8

/* Looks between two at the clock. */
#define LOOKS		64

/* A name is a generation and a number. */
#define NUMBER_BITS	8

/* Also in a child: names of before mean nothing there. */
static uint64_t generation;

/* ---- the policy ------------------------------------------------------- */

/* Vectors are of any size; whether they can be read the kernel will say. */
static uint64_t class_name(const struct fos_io_request *r)
{
	uint64_t size = 0;

	if (r->op == FOS_IO_READ || r->op == FOS_IO_WRITE)
		while (size < SIZE_CLASSES - 1 &&
		       r->iov->iov_len > 4096ULL << 2 * size)
			size++;
	return 1 + size + SIZE_CLASSES *
	       (r->op + (uint64_t)FOS_IO_OPS * (uint32_t)r->fd);
}

static FOS_COLD void class_init(const struct io *io, struct class *c,
				uint64_t name)
{
	*c = (struct class) {
		.name = name,
		.born = c->name ? BORN_ASLEEP : 0,
	};
	fos_spin_unpack(&c->spin, fos_spin_pack(FOS_SPIN_DEFAULT, 0, 0),
			io->wake_ns);
}

static struct class *class_of(struct io *io, const struct fos_io_request *r)
{
	const uint64_t name = class_name(r);
	struct class *set = io->classes[name * 0x9e3779b97f4a7c15ULL >> 60];
	struct class *c, *oldest = set;

	for (c = set; c < set + FOS_IO_WAYS && c->name != name; c++)
		if (c->used < oldest->used)
			oldest = c;
	if (c == set + FOS_IO_WAYS) {
		c = oldest;
		class_init(io, c, name);
	}
	c->used = ++io->uses;
	return c;
}

/* A device is one more CPU, which works for us and is none of those that we use. */
static struct fos_spin_sample sample(bool me)
{
	struct fos_spin_sample s = fos__sample(fos__my_cpu(), UINT32_MAX, me);

	s.online_cpus++;
	return s;
}

static bool may_poll(const struct fos_spin *spin)
{
	const struct fos_spin_sample s = sample(true);

	return fos_spin_may_poll(spin, &s);
}

static uint64_t decide(struct class *c)
{
	const struct fos_spin_sample s = sample(false);

	if (!c->born)
		return fos_spin_decide(&c->spin, &s);
	c->born--;
	return 0;
}

/* ---- the wait --------------------------------------------------------- */

static bool look_on(struct io_uring *ring, const struct call *call)
{
	unsigned int i;

	for (i = 0; i < LOOKS; i++) {
		if (fos__io_look(ring, call))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/* Until it is over, or so long. */
static bool poll_until(struct io_uring *ring, const struct call *call,
		       struct fos_spin *spin, uint64_t now, uint64_t until)
{
	uint64_t before;

	do {
		if (look_on(ring, call))
			return true;
		before = now;
		now = fos__now_ns();
		if (fos__was_away(spin, LOOKS, now - before)) {
			fos_spin_robbed(spin);
			return false;
		}
	} while (now < until && may_poll(spin));
	return false;
}

static bool poll_for(struct io_uring *ring, const struct call *call,
		     struct fos_spin *spin, uint64_t began, uint64_t until)
{
	bool found;

	if (began >= until)
		return false;
	__atomic_fetch_add(&fos__pollers, 1, __ATOMIC_RELAXED);
	found = poll_until(ring, call, spin, began, until);
	__atomic_fetch_sub(&fos__pollers, 1, __ATOMIC_RELAXED);
	return found;
}

static void learn(struct fos_spin *spin, uint64_t ns, uint64_t budget_ns)
{
	const struct fos_spin_wait wait = { .ns = ns, .budget_ns = budget_ns };

	fos_spin_note(spin, &wait);
}

/* 0: it is over; -ETIME, -EINTR, and whoever waits again polls for what is left. */
static int wait_for(struct io_uring *ring, struct call *call,
		    struct fos_spin *spin, uint64_t budget_ns,
		    uint64_t deadline_ns)
{
	const uint64_t began = fos__now_ns();
	uint64_t now;
	bool found;
	int ret;

	budget_ns -= fos__earlier(budget_ns, call->polled_ns);
	found = poll_for(ring, call, spin, began,
			 fos__earlier(began + budget_ns, deadline_ns));
	now = budget_ns ? fos__now_ns() : began;
	call->polled_ns += now - began;
	fos__io_stats.polled_ns += now - began;
	if (found) {
		fos__io_stats.found++;
		learn(spin, fos__earlier(now - began, budget_ns), budget_ns);
		return 0;
	}
	ret = fos__io_sleep(ring, call, deadline_ns);
	if (ret)
		return ret;
	fos__io_stats.missed += budget_ns > 0;
	fos__io_stats.slept += !budget_ns;
	now = fos__now_ns();
	learn(spin, fos__posted_at(spin, began, 0, now) - began, budget_ns);
	return 0;
}

/* ---- calls ------------------------------------------------------------ */

/* The kernel polls the device, without an interrupt; -EOPNOTSUPP: it cannot. */
static ssize_t call_by_device(struct io *io, const struct fos_io_request *r,
			      struct class *c, uint64_t budget_ns)
{
	struct io_uring *ring = &io->ring[POLLED];
	struct call call = { 0 };
	uint64_t began, ns;
	int ret;

	if (!fos__io_has(io, POLLED) ||
	    !fos__io_submit(ring, r, &call, fos__io_piece(io, POLLED, r)))
		return -EOPNOTSUPP;
	began = fos__now_ns();
	do
		ret = fos__io_sleep(ring, &call, FOS_DEADLINE_NONE);
	while (ret == -EINTR);
	if (ret || call.res == -EOPNOTSUPP)
		return ret ? ret : call.res;
	ns = fos__now_ns() - began;
	learn(&c->spin, ns, budget_ns);
	fos__io_stats.found++;
	fos__io_stats.polled_ns += ns;
	return call.res;
}

static ssize_t call_by_ring(struct io *io, const struct fos_io_request *r)
{
	struct io_uring *ring = &io->ring[LOOKED_AT];
	struct class *c = class_of(io, r);
	const uint64_t budget_ns = decide(c);
	struct call call = { 0 };
	ssize_t ret;

	if (!budget_ns && ++c->asleep % LEARN_OF) {
		fos__io_stats.slept++;
		return fos__io_do(r);
	}
	if (budget_ns && r->polled && !c->unpolled) {
		ret = call_by_device(io, r, c, budget_ns);
		if (ret != -EOPNOTSUPP)
			return ret;
		c->unpolled = true;
	}
	/* To a ring anything can be read; the number can be a pipe's by now. */
	if (r->direct && !fos__io_is_direct(r->fd))
		return -EAGAIN;
	if (!fos__io_submit(ring, r, &call, fos__io_piece(io, LOOKED_AT, r)))
		return -EAGAIN;
	if (fos__io_look(ring, &call))
		return call.res;
	/* A signal is no reason to give up, nor could it be. */
	do
		ret = wait_for(ring, &call, &c->spin, budget_ns,
			       FOS_DEADLINE_NONE);
	while (ret == -EINTR);
	return ret ? ret : call.res;
}

ssize_t fos__io_call(const struct fos_io_request *r)
{
	struct io *io = fos__io_mine();
	ssize_t ret = -EAGAIN;

	if (io && fos__io_has(io, LOOKED_AT))
		ret = call_by_ring(io, r);
	return fos__io_was_refused(ret) ? fos__io_plain(r) : ret;
}

static struct call *free_call(struct io *io)
{
	struct call *call;

	for (call = io->calls; call < io->calls + FOS_IO_MAX; call++)
		if (!call->name)
			return call;
	return NULL;
}

int fos__io_reserve(struct call **call, uint64_t *name)
{
	const uint64_t gen = __atomic_add_fetch(&generation, 1,
						__ATOMIC_RELAXED);
	struct io *io = fos__io_mine();

	if (!io)
		return -ENOMEM;
	*call = free_call(io);
	if (!*call)
		return -EBUSY;
	*name = gen << NUMBER_BITS | (*call - io->calls);
	**call = (struct call) { .name = *name };
	return 0;
}

void fos__io_over(struct call *call, ssize_t res)
{
	call->res = res;
	call->done = true;
}

void fos__io_begin(struct call *call, const struct fos_io_request *r)
{
	struct io *io = fos__io_mine();

	fos__io_keep(call, r);
	if (!io || !fos__io_has(io, BACKGROUND) ||
	    !fos__io_submit(&io->ring[BACKGROUND], &call->request, call,
			    fos__io_piece(io, BACKGROUND, r)))
		fos__io_over(call, fos__io_plain(r));
}

static ssize_t end(struct io *io, struct call *call, uint64_t deadline_ns)
{
	struct io_uring *ring = &io->ring[BACKGROUND];
	struct class *c;
	ssize_t ret = 0;

	if (!fos__io_look(ring, call)) {
		c = class_of(io, &call->request);
		ret = wait_for(ring, call, &c->spin, decide(c), deadline_ns);
	}
	if (ret == -ETIME || ret == -EINTR)
		return ret == -ETIME ? -ETIMEDOUT : ret;
	call->name = 0;
	if (!ret)
		ret = call->res;
	return fos__io_was_refused(ret) ? fos__io_plain(&call->request) : ret;
}

ssize_t fos__io_end(uint64_t name, uint64_t deadline_ns)
{
	const uint64_t number = name & ((1 << NUMBER_BITS) - 1);
	struct io *io = fos__io_mine();

	if (!io || !name || number >= FOS_IO_MAX ||
	    io->calls[number].name != name)
		return -EINVAL;
	return end(io, &io->calls[number], deadline_ns);
}
