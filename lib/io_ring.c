// SPDX-License-Identifier: MIT
/*
 * io_ring: a thread's ring, and how it waits there.  The kernel writes completions
 * into memory, so a poll is a look; asleep it is one system call.
 *
 * A device says nothing of itself: what a wait will be is learnt for each file, kind
 * and size of call.
 */
#include "io.h"

#include <liburing.h>
#include <stdlib.h>

#include "internal.h"
#include "look.h"

/* One more than are asynchronous: the call that is waited for. */
#define ENTRIES		(2 * FOS_IO_MAX)

/* What waits are told apart by: lines of a table, the newest has the line. */
#define CLASSES		32
#define SIZE_CLASSES	8

/* As much as one system call moves. */
#define BYTES_MAX	0x7ffff000

/* Looks between two at the clock. */
#define LOOKS		64

/*
 * Asleep the ring costs 1.5 times the plain call (12.3k and 8.3k instructions, 6.1), so
 * who sleeps does without it; but for one wait of so many, whose length is learnt.
 */
#define LEARN_OF	8

/* A name is a generation and a number. */
#define NUMBER_BITS	8

/**
 * struct call - one that the kernel is at
 * @done: it is over
 * @res: ... and how
 * @name: of an asynchronous one; 0: free
 * @request: ... with @iov
 * @iov: ... where it has one
 */
struct call {
	bool done;
	int res;
	uint64_t name;
	struct fos_io_request request;
	struct iovec iov;
};

/**
 * struct class - waits that are alike
 * @name: which
 * @asleep: how many slept at once
 * @unpolled: the device was not to be polled
 * @spin: what is learnt of them
 */
struct class {
	uint64_t name;
	uint32_t asleep;
	bool unpolled;
	struct fos_spin spin;
};

/**
 * struct io - of a thread
 * @has_ring: there is one
 * @has_polled: there is the other one
 * @forks: of @fos__io_forks, when it was made
 * @wake_ns: what a sleep costs
 * @generation: of the last name
 * @ring: its
 * @polled: another, which polls the device itself; made when it is first needed
 * @calls: asynchronous ones
 * @classes: of waits
 */
struct io {
	bool has_ring;
	bool has_polled;
	uint32_t forks;
	uint32_t wake_ns;
	uint64_t generation;
	struct io_uring ring;
	struct io_uring polled;
	struct call calls[FOS_IO_MAX];
	struct class classes[CLASSES];
};

__thread struct fos_io_stats fos__io_stats;

static __thread struct io *mine;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;
static uint32_t forks;

/* ---- life ------------------------------------------------------------- */

void fos__io_forget(void)
{
	__atomic_add_fetch(&forks, 1, __ATOMIC_RELAXED);
}

/* The kernel cancels what is under way. */
static void drop(void *io)
{
	struct io *old = io;

	if (old->has_ring)
		io_uring_queue_exit(&old->ring);
	if (old->has_polled)
		io_uring_queue_exit(&old->polled);
	free(old);
	mine = NULL;
}

static void make_key(void)
{
	has_key = !pthread_key_create(&key, drop);
}

static int set_up(struct io *io)
{
	struct fos_caps caps = { 0 };
	int ret;

	ret = io_uring_queue_init(ENTRIES, &io->ring, IORING_SETUP_CLAMP);
	if (ret)
		return ret;
	io->has_ring = true;
	io_uring_ring_dontfork(&io->ring);
	fos_query(&caps, sizeof(caps));
	io->wake_ns = caps.wake_ns;
	return 0;
}

/* Of this thread; NULL: there is no memory for it. */
static struct io *get(void)
{
	int ret = fos__enter();

	if (ret)
		return NULL;
	/* The parent's, and not mapped here; its number may be a file's by now. */
	if (mine && mine->forks != __atomic_load_n(&forks, __ATOMIC_RELAXED)) {
		mine->has_ring = false;
		mine->has_polled = false;
		drop(mine);
	}
	if (mine)
		return mine;
	pthread_once(&once, make_key);
	mine = has_key ? calloc(1, sizeof(*mine)) : NULL;
	if (!mine)
		return NULL;
	mine->forks = __atomic_load_n(&forks, __ATOMIC_RELAXED);
	if (pthread_setspecific(key, mine)) {
		drop(mine);
		return NULL;
	}
	ret = set_up(mine);
	fos__io_stats.error = -ret;
	return mine;
}

/* ---- the ring --------------------------------------------------------- */

static void prepare(struct io_uring_sqe *sqe, const struct fos_io_request *r,
		    struct call *call)
{
	const struct iovec *iov = r->iov;

	switch (r->op) {
	case FOS_IO_READ:
		io_uring_prep_read(sqe, r->fd, iov->iov_base,
				   fos__earlier(iov->iov_len, BYTES_MAX),
				   r->offset);
		break;
	case FOS_IO_WRITE:
		io_uring_prep_write(sqe, r->fd, iov->iov_base,
				    fos__earlier(iov->iov_len, BYTES_MAX),
				    r->offset);
		break;
	case FOS_IO_READV:
		io_uring_prep_readv(sqe, r->fd, iov, r->count, r->offset);
		break;
	case FOS_IO_WRITEV:
		io_uring_prep_writev(sqe, r->fd, iov, r->count, r->offset);
		break;
	default:
		io_uring_prep_fsync(sqe, r->fd, 0);
	}
	io_uring_sqe_set_data(sqe, call);
}

/* What the kernel has not taken must never be; false: it has not. */
static bool submit(struct io_uring *ring, const struct fos_io_request *r,
		   struct call *call)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		return false;
	prepare(sqe, r, call);
	io_uring_submit(ring);
	if (!io_uring_sq_ready(ring))
		return true;
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, NULL);
	return false;
}

static void reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	struct call *call;

	io_uring_for_each_cqe(ring, head, cqe) {
		call = io_uring_cqe_get_data(cqe);
		if (call) {
			call->res = cqe->res;
			call->done = true;
		}
		n++;
	}
	io_uring_cq_advance(ring, n);
}

static bool look(struct io *io, const struct call *call)
{
	/* What was done at once may be without a ring. */
	if (!call->done && io_uring_cq_ready(&io->ring))
		reap(&io->ring);
	return call->done;
}

/* ---- the wait --------------------------------------------------------- */

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

static struct class *class_of(struct io *io, const struct fos_io_request *r)
{
	const uint64_t name = class_name(r);
	struct class *c = &io->classes[name % CLASSES];

	if (c->name != name) {
		*c = (struct class) { .name = name };
		fos_spin_unpack(&c->spin, fos_spin_pack(FOS_SPIN_DEFAULT, 0, 0),
				io->wake_ns);
	}
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

static bool look_on(struct io *io, const struct call *call)
{
	unsigned int i;

	for (i = 0; i < LOOKS; i++) {
		if (look(io, call))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/* Until it is over, or so long. */
static bool poll_until(struct io *io, const struct call *call,
		       struct fos_spin *spin, uint64_t now, uint64_t until)
{
	uint64_t before;

	while (now < until && may_poll(spin)) {
		if (look_on(io, call))
			return true;
		before = now;
		now = fos__now_ns();
		if (fos__was_away(spin, LOOKS, now - before)) {
			fos_spin_robbed(spin);
			return false;
		}
	}
	return false;
}

/* By one system call, which also does what is left to do of a completion. */
static int sleep_until(struct io *io, uint64_t deadline_ns)
{
	const struct timespec left = fos__time_left(deadline_ns, fos__now_ns());
	struct __kernel_timespec ts = {
		.tv_sec = left.tv_sec,
		.tv_nsec = left.tv_nsec,
	};
	struct io_uring_cqe *cqe;

	return io_uring_wait_cqe_timeout(&io->ring, &cqe, deadline_ns ==
					 FOS_DEADLINE_NONE ? NULL : &ts);
}

/* 0: it is over; -ETIME, -EINTR; else see lost(). */
static int sleep_on(struct io *io, const struct call *call, uint64_t deadline_ns)
{
	int ret = 0;

	while (!ret && !look(io, call))
		ret = sleep_until(io, deadline_ns);
	return look(io, call) ? 0 : ret;
}

static void learn(struct fos_spin *spin, uint64_t began, uint64_t budget_ns,
		  bool slept)
{
	const uint64_t now = fos__now_ns();
	struct fos_spin_wait wait = { .budget_ns = budget_ns };

	wait.ns = slept ? fos__posted_at(spin, began, 0, now) - began :
			  fos__earlier(now - began, budget_ns);
	fos_spin_note(spin, &wait);
	if (!slept) {
		fos__io_stats.found++;
		fos__io_stats.polled_ns += wait.ns;
	} else {
		fos__io_stats.missed += budget_ns > 0;
		fos__io_stats.slept += !budget_ns;
		fos__io_stats.polled_ns += budget_ns;
	}
}

static uint64_t decide(struct fos_spin *spin)
{
	const struct fos_spin_sample s = sample(false);

	return fos_spin_decide(spin, &s);
}

/* 0: it is over; -ETIME, -EINTR; else see lost(). */
static int wait_for(struct io *io, const struct call *call,
		    struct fos_spin *spin, uint64_t budget_ns,
		    uint64_t deadline_ns)
{
	const uint64_t began = fos__now_ns();
	bool found;
	int ret = 0;

	__atomic_fetch_add(&fos__pollers, 1, __ATOMIC_RELAXED);
	found = poll_until(io, call, spin, began,
			   fos__earlier(began + budget_ns, deadline_ns));
	__atomic_fetch_sub(&fos__pollers, 1, __ATOMIC_RELAXED);
	if (!found)
		ret = sleep_on(io, call, deadline_ns);
	if (!ret)
		learn(spin, began, budget_ns, !found);
	return ret;
}

/* ---- calls ------------------------------------------------------------ */

/* Somebody has closed the ring's descriptor: nothing comes from there any more. */
static FOS_COLD int lost(struct io *io, int why)
{
	io->has_ring = false;
	fos__io_stats.error = -why;
	return why;
}

static bool has_polled(struct io *io)
{
	if (!io->has_polled &&
	    !io_uring_queue_init(1, &io->polled, IORING_SETUP_IOPOLL)) {
		io_uring_ring_dontfork(&io->polled);
		io->has_polled = true;
	}
	return io->has_polled;
}

/* The kernel polls the device, without an interrupt; -EOPNOTSUPP: it cannot. */
static ssize_t call_by_device(struct io *io, const struct fos_io_request *r,
			      struct class *c, uint64_t budget_ns)
{
	struct fos_spin_wait wait = { .budget_ns = budget_ns };
	struct io_uring_cqe *cqe;
	struct call call = { 0 };
	uint64_t began;
	int ret;

	if (!has_polled(io) || !submit(&io->polled, r, &call))
		return -EOPNOTSUPP;
	began = fos__now_ns();
	do {
		ret = io_uring_wait_cqe(&io->polled, &cqe);
		if (!ret)
			reap(&io->polled);
	} while (!call.done && (!ret || ret == -EINTR));
	if (!call.done)
		return lost(io, ret);
	if (call.res == -EOPNOTSUPP)
		return call.res;
	wait.ns = fos__now_ns() - began;
	fos_spin_note(&c->spin, &wait);
	fos__io_stats.found++;
	fos__io_stats.polled_ns += wait.ns;
	return call.res;
}

/*
 * To the ring an offset below 0 is the file's own; what is open with O_NONBLOCK it
 * does not wait for.  Neither is so of the system calls.
 */
static ssize_t call_by_ring(struct io *io, const struct fos_io_request *r)
{
	struct class *c = class_of(io, r);
	uint64_t budget_ns = decide(&c->spin);
	struct call call = { 0 };
	ssize_t ret;

	if (!budget_ns && ++c->asleep % LEARN_OF) {
		fos__io_stats.slept++;
		return fos__io_plain(r);
	}
	if (budget_ns && r->polled && !c->unpolled) {
		ret = call_by_device(io, r, c, budget_ns);
		if (ret != -EOPNOTSUPP)
			return ret;
		c->unpolled = true;
	}
	if (!submit(&io->ring, r, &call))
		return -EAGAIN;
	if (look(io, &call))
		return call.res;
	/* A signal is no reason to give up, nor could it be. */
	while ((ret = wait_for(io, &call, &c->spin, budget_ns,
			       FOS_DEADLINE_NONE)) == -EINTR)
		budget_ns = 0;
	return ret ? lost(io, ret) : call.res;
}

/* ... and it says so. */
static ssize_t plain(const struct fos_io_request *r)
{
	fos__io_stats.plain++;
	return fos__io_plain(r);
}

ssize_t fos__io_call(const struct fos_io_request *r)
{
	struct io *io = r->offset < 0 ? NULL : get();
	ssize_t ret = -EAGAIN;

	if (io && io->has_ring)
		ret = call_by_ring(io, r);
	return ret == -EAGAIN ? plain(r) : ret;
}

static struct call *free_call(struct io *io)
{
	struct call *call;

	for (call = io->calls; call < io->calls + FOS_IO_MAX; call++)
		if (!call->name)
			return call;
	return NULL;
}

static void begin(struct io *io, const struct fos_io_request *r, bool now,
		  struct call *call)
{
	*call = (struct call) {
		.name = ++io->generation << NUMBER_BITS | (call - io->calls),
		.request = *r,
	};
	if (r->count) {
		call->iov = *r->iov;
		call->request.iov = &call->iov;
	}
	if (now || r->offset < 0 || !io->has_ring ||
	    !submit(&io->ring, &call->request, call)) {
		call->res = plain(&call->request);
		call->done = true;
	}
}

int fos__io_begin(const struct fos_io_request *r, bool now, uint64_t *name)
{
	struct io *io = get();
	struct call *call;

	if (!io)
		return -ENOMEM;
	call = free_call(io);
	if (!call)
		return -EBUSY;
	begin(io, r, now, call);
	*name = call->name;
	return 0;
}

static ssize_t end(struct io *io, struct call *call, uint64_t deadline_ns)
{
	struct fos_spin *spin = &class_of(io, &call->request)->spin;
	ssize_t ret = 0;

	if (!look(io, call))
		ret = wait_for(io, call, spin, decide(spin), deadline_ns);
	if (ret == -EINTR)
		return ret;
	if (ret)
		return ret == -ETIME ? -ETIMEDOUT : lost(io, ret);
	ret = call->res;
	if (ret == -EAGAIN)
		ret = plain(&call->request);
	call->name = 0;
	return ret;
}

ssize_t fos__io_end(uint64_t name, uint64_t deadline_ns)
{
	const uint64_t number = name & ((1 << NUMBER_BITS) - 1);
	struct io *io = get();

	if (!io || !name || number >= FOS_IO_MAX ||
	    io->calls[number].name != name)
		return -EINVAL;
	return end(io, &io->calls[number], deadline_ns);
}
