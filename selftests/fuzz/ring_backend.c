// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the endpoint stands on: nothing.  While the library sleeps the peer acts,
 * and so do other threads of ours, as calls inside the one that sleeps.
 */
#include "ring_world.h"

/* Sleeps in a row without a byte of the input: it does not end. */
#define SLEEPS_MAX	2000

static int query(bool posix, int fd, struct fos_core_query *q)
{
	if (fd != FD || !w.open || posix != w.posix)
		return -EBADF;
	*q = (struct fos_core_query) {
		.abi = FOS_ABI,
		.kind = FOS_KIND_CHAN,
		.id = 1,
		.depth = w.depth,
		.area_bytes = w.area_bytes,
		.cookie = w.cookie,
		.wake_ns = 5000,
	};
	return 0;
}

static int kernel_query(int fd, struct fos_core_query *q)
{
	return query(false, fd, q);
}

static int posix_query(int fd, struct fos_core_query *q)
{
	return query(true, fd, q);
}

static int attach(int fd, struct fos_core_query *q, struct fos_ep *ep)
{
	(void)q;
	CHECK(fd == FD && !w.mapped);
	world_make();
	ep->map.base = &w;
	ep->map.bytes = sizeof(w);
	ep->map.mem = world_mem();
	w.mapped = true;
	w.ep = ep;
	check_begin();
	return 0;
}

static void detach(struct fos_ep *ep)
{
	CHECK(ep == w.ep && w.mapped);
	w.mapped = false;
	w.ep = NULL;
	world_unmake();
}

static int fake_close(int fd, struct fos_ep *ep)
{
	struct fos_kside *mine = MINE(KSIDE);

	CHECK(fd == FD && w.open && (!ep || ep == w.ep));
	w.open = false;
	if (ep)
		mine->state |= FOS_STATE_DEAD;
	return 0;
}

static void check_wait(uint32_t want, uint64_t deadline_ns)
{
	const uint32_t rest = FOS_WANT_REPLY | FOS_WANT_TAKE | FOS_WANT_ROOM;

	CHECK(!w.nonblock);
	CHECK(!(want & ~FOS_WANT_PUBLISHED) || want == FOS_WANT_CLAIMS ||
	      want == FOS_WANT_REPLIES || !(want & ~rest));
	CHECK(deadline_ns == FOS_DEADLINE_NONE || deadline_ns < 1ULL << 62);
}

/* The end of the input is a signal or the deadline. */
static int end_sleep(uint64_t deadline_ns)
{
	if (deadline_ns == FOS_DEADLINE_NONE)
		return -EINTR;
	if (fuzz_now < deadline_ns)
		fuzz_now = deadline_ns;
	return -ETIMEDOUT;
}

/* A descriptor of it is closed: a copy, or the last one. */
static void close_one(void)
{
	struct fos_kside *mine = MINE(KSIDE);

	if (take8() & 7)
		mine->state += 2;
	else
		fos_close(FD);
}

static bool is_over(struct fos_ep *ep, uint32_t want, uint64_t arg)
{
	return fos_ring_wait_over(&ep->ring, want, arg) ||
	       fos_ring_peer_dead(&ep->ring) ||
	       (fos_ring_my_state(&ep->ring) & FOS_STATE_DEAD);
}

/* What happens meanwhile; 1: nothing that ends the sleep. */
static int meanwhile(uint64_t deadline_ns)
{
	const uint8_t what = take8();

	switch (what & 15) {
	case 0:
		return -EINTR;
	case 1:
		return 0;
	case 2:
		return deadline_ns == FOS_DEADLINE_NONE ? 1 :
							  end_sleep(deadline_ns);
	case 3:
	case 4:
	case 5:
		if (w.level < LEVELS)
			my_step();
		return 1;
	case 6:
		close_one();
		return 1;
	default:
		peer_step();
		return 1;
	}
}

static int sleep_on(struct fos_ep *ep, uint32_t want, uint64_t arg,
		    uint64_t deadline_ns)
{
	int ret;

	/* Nobody else runs while a call inside another waits for it. */
	if (!input.left && w.level > 1)
		return end_sleep(deadline_ns);
	if (!input.left && ++w.sleeps > SLEEPS_MAX)
		FAIL("a call waits for what is there: want %#x", want);
	while (!is_over(ep, want, arg)) {
		ret = input.left ? meanwhile(deadline_ns) :
				   end_sleep(deadline_ns);
		if (ret <= 0)
			return ret;
	}
	/* A byte for each sleep: the input ends. */
	take8();
	return 0;
}

static int bell_wait(struct fos_ep *ep, int fd, uint32_t bell, uint32_t want,
		     uint64_t arg, uint64_t deadline_ns)
{
	struct fos_kside *mine = MINE(KSIDE);
	const uint32_t wants = mine->need_wakeup, countdown = w.countdown;
	const uint32_t replying = w.replying;
	int ret;

	CHECK(ep == w.ep && w.mapped);
	CHECK(!(bell & 0xff & ~FOS_WANT_ALL));
	if (fd != FD || !w.open)
		return -EBADF;
	if (!want)
		return 0;
	check_wait(want, deadline_ns);
	w.replying += want == FOS_WANT_CLAIMS;
	mine->need_wakeup = wants | want |
			    (want & FOS_WANT_REPLY ? FOS_WANT_SLOT(arg) : 0);
	w.countdown = 0;
	ret = sleep_on(ep, want, arg, deadline_ns);
	w.countdown = countdown;
	mine->need_wakeup = wants;
	w.replying = replying;
	return ret;
}

static int bell_self(struct fos_ep *ep, int fd, uint32_t bell)
{
	CHECK(ep == w.ep && w.mapped && bell);
	return fd == FD && w.open ? 0 : -EBADF;
}

static int withdraw(struct fos_ep *ep, int fd, uint64_t seq, uint64_t *word)
{
	CHECK(ep == w.ep && w.mapped);
	if (!w.posix && (fd != FD || !w.open))
		return -EBADF;
	return fos_ring_withdraw(&ep->ring, seq, word);
}

static void attend(struct fos_ep *ep, int fd, uint32_t want, uint64_t arg)
{
	(void)fd;
	(void)want;
	(void)arg;
	CHECK(ep == w.ep && w.mapped);
	peer_step();
}

static void published(struct fos_ep *ep, int fd)
{
	(void)fd;
	CHECK(ep == w.ep && w.mapped);
	peer_step();
}

static bool received(struct fos_ep *ep, int fd, bool waits, bool nothing)
{
	(void)fd;
	(void)waits;
	CHECK(ep == w.ep && w.mapped);
	if (nothing || fos_ring_is_empty(&ep->ring))
		peer_step();
	return nothing && (take8() & 1);
}

/* It polls: the peer goes on, and in the end is beside us, where one sleeps. */
int fuzz_sched_getcpu(void)
{
	struct fos_line *line = PEERS(LINE);

	if (take8() & 1)
		peer_step();
	if (!input.left && w.mapped)
		line->cpu = 1;
	return 0;
}

static int probe(struct fos_caps *caps)
{
	(void)caps;
	return -ENOENT;
}

static int create(uint32_t depth, uint64_t area_bytes, uint64_t cookie,
		  int fd[2])
{
	(void)depth;
	(void)area_bytes;
	(void)cookie;
	(void)fd;
	return -ENOENT;
}

const struct fos_backend fos__backend_kernel = {
	.name = "kernel",
	.probe = probe,
	.create = create,
	.query = kernel_query,
	.close = fake_close,
	.attach = attach,
	.detach = detach,
	.bell_wait = bell_wait,
	.bell_self = bell_self,
	.withdraw = withdraw,
};

const struct fos_backend fos__backend_posix = {
	.name = "posix",
	.probe = probe,
	.create = create,
	.query = posix_query,
	.close = fake_close,
	.attach = attach,
	.detach = detach,
	.bell_wait = bell_wait,
	.bell_self = bell_self,
	.withdraw = withdraw,
	.attend = attend,
	.published = published,
	.received = received,
};

void fos__name_forget(void)
{
}

void fos__cq_forget(void)
{
}

int fos__cq_spin(int fd, struct fos_spin_stats *stats)
{
	(void)fd;
	(void)stats;
	return -EBADF;
}

void fos__cq_tell_again(struct fos_ep *ep)
{
	(void)ep;
}

int fos__cq_close(int fd)
{
	(void)fd;
	return -EBADF;
}

int fos__name_close(int fd)
{
	(void)fd;
	return -EBADF;
}

void fos__posix_forget_watcher(void)
{
}

void fos__region_forget(void)
{
}

int fos__region_close(int fd)
{
	(void)fd;
	return -EBADF;
}

/* No channel here has a companion. */
uint64_t fos__posix_id(int fd)
{
	(void)fd;
	return 0;
}

bool fos__posix_is(int fd, uint64_t id)
{
	(void)fd;
	(void)id;
	return false;
}

unsigned int fos__count_fds(bool (*is)(int fd, const void *arg), const void *arg)
{
	(void)is;
	(void)arg;
	return 0;
}
