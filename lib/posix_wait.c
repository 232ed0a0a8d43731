// SPDX-License-Identifier: MIT
/* Sleeping and waking without the module. */
#include "internal.h"
#include "look.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define LOAD_ACQ(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)

/* So often it is asked whether a descriptor is still what it was. */
#define WAITS_PER_CHECK	32

/* One message is for one thread. */
#define WANT_ONE	(FOS_WANT_MSG | FOS_WANT_CALL)

/* ---- futexes ---------------------------------------------------------- */

/*
 * Who sleeps says what for in the bits, who wakes too: FOS_WANT_*, and above
 * them the slots of replies.
 */
static void wake(uint32_t *word, int how_many, uint32_t bits)
{
	syscall(SYS_futex, word, FUTEX_WAKE_BITSET, how_many, NULL, NULL, bits);
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv	449
#endif

/* As <linux/futex.h> of 5.16 and later has it. */
struct waitv {
	uint64_t val;
	uint64_t addr;
	uint32_t flags;
	uint32_t resv;
};
#define WAITV_32	2

/*
 * With a timeout FUTEX_WAIT ends at every signal; this one, as the module does,
 * goes on after a handler with SA_RESTART.  It matches all bits.
 */
static int sleep_until(uint32_t *word, uint32_t value,
		       const struct timespec *deadline)
{
	struct waitv w = {
		.val = value,
		.addr = (uintptr_t)word,
		.flags = WAITV_32,
	};

	return syscall(SYS_futex_waitv, &w, 1, 0, deadline, CLOCK_MONOTONIC) < 0 ?
	       -errno : 0;
}

static int sleep_on(uint32_t *word, uint32_t value, uint32_t bits,
		    uint64_t deadline_ns)
{
	const struct timespec deadline = {
		.tv_sec = deadline_ns / 1000000000,
		.tv_nsec = deadline_ns % 1000000000,
	};
	const bool for_ever = deadline_ns == FOS_DEADLINE_NONE;
	int ret = -ENOSYS;

	if (!for_ever)
		ret = sleep_until(word, value, &deadline);
	/* For ever, or on a kernel before 5.16 or behind a filter as old. */
	if (ret == -ENOSYS || ret == -EPERM)
		ret = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value,
			      for_ever ? NULL : &deadline, NULL, bits) < 0 ?
		      -errno : 0;
	/* It changed before we slept: look again. */
	return ret == -EAGAIN ? 0 : ret;
}

/* ---- bells ------------------------------------------------------------ */

/* The word changes first: who has looked and is about to sleep will not. */
static void ring_page(struct posix_page *page, uint32_t bell)
{
	const uint32_t others = bell & ~WANT_ONE;

	if (bell & WANT_ONE)
		__atomic_fetch_add(&page->published, 1, __ATOMIC_SEQ_CST);
	if (bell & FOS_WANT_MSG)
		wake(&page->published, 1, FOS_WANT_MSG);
	if (bell & FOS_WANT_CALL)
		wake(&page->published, 1, FOS_WANT_CALL);
	if (!others)
		return;
	__atomic_fetch_add(&page->claimed, 1, __ATOMIC_SEQ_CST);
	/* Those who wait for a reply are told apart by its slot. */
	wake(&page->claimed, INT_MAX, others & ~FOS_WANT_REPLY);
}

void fos__posix_wake_all(struct posix_page *page)
{
	__atomic_fetch_add(&page->published, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&page->claimed, 1, __ATOMIC_SEQ_CST);
	wake(&page->published, INT_MAX, FUTEX_BITSET_MATCH_ANY);
	wake(&page->claimed, INT_MAX, FUTEX_BITSET_MATCH_ANY);
}

int fos__posix_bell_self(struct fos_ep *ep, int fd, uint32_t bell)
{
	(void)fd;
	ring_page(ep->posix.mine, bell);
	return 0;
}

/* ---- pollers ---------------------------------------------------------- */

/*
 * What goes through the socket does so under the library's lock, and only if
 * @fd still is it: a number that was closed may be another file's by now.
 */
static bool send_byte_locked(int fd)
{
	return syscall(SYS_sendto, fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, NULL,
		       0) == 1;
}

static bool send_byte(const struct fos_ep *ep, int fd)
{
	bool sent;

	fos__lock();
	sent = fos__posix_is(fd, ep->id) && send_byte_locked(fd);
	fos__unlock();
	return sent;
}

static bool has_untaken(const struct fos_ring *r)
{
	const uint64_t depth = r->m.depth, next = fos_ring_next(r);
	uint64_t seq;

	/* The first position is depth. */
	for (seq = next < 2 * depth ? depth : next - depth; seq < next; seq++)
		if (fos_ring_fate(r, seq) == FOS_FATE_NONE)
			return true;
	return false;
}

/*
 * With the library's lock, the peer has just come: what I have published before
 * told nobody, and his hello may have been all that he polls for.
 */
void fos__posix_call_met(struct fos_ep *ep, int fd)
{
	struct posix_page *peers = ep->posix.peers;

	if (!has_untaken(&ep->ring) ||
	    __atomic_exchange_n(&peers->rung, 1, __ATOMIC_SEQ_CST))
		return;
	if (!send_byte_locked(fd))
		__atomic_store_n(&peers->rung, 0, __ATOMIC_SEQ_CST);
}

/* A byte in the peer's socket, if none lies there: poll() says POLLIN. */
void fos__posix_call_pollers(struct fos_ep *ep, int fd)
{
	struct posix_page *peers = ep->posix.peers;

	/* He who has not come yet finds my hello there. */
	if (!LOAD_ACQ(&ep->posix.met) || LOAD(&peers->rung) ||
	    __atomic_exchange_n(&peers->rung, 1, __ATOMIC_SEQ_CST))
		return;
	/* Mine may have been closed meanwhile, and he may have noted that it comes. */
	if (!send_byte(ep, fd) && !send_byte(ep, fos__ep_other_fd(ep, fd)))
		__atomic_store_n(&peers->rung, 0, __ATOMIC_SEQ_CST);
}

/* Has the peer come, or gone?  The watcher may have missed it. */
static bool look(struct fos_ep *ep, int fd)
{
	bool news;

	fos__lock();
	news = fos__posix_is(fd, ep->id) && fos__posix_look(ep, fd);
	fos__unlock();
	return news;
}

/*
 * A message of mine may lie there for long, and nobody of the peer is in a call
 * that takes it, or those who were left it behind: he may poll.
 */
void fos__posix_attend(struct fos_ep *ep, int fd, uint32_t want, uint64_t arg)
{
	const bool call = want & FOS_WANT_REPLY;
	const uint64_t seq = call ? FOS_TOKEN_SEQ(arg) : arg;
	struct posix_page *peers = ep->posix.peers;

	if (fos_unlikely(!LOAD_ACQ(&ep->posix.met)))
		look(ep, fd);
	if (!(want & (FOS_WANT_TAKE | FOS_WANT_REPLY)) ||
	    LOAD(&peers->rung) ||
	    fos_ring_fate(&ep->ring, seq) != FOS_FATE_NONE)
		return;
	if (!fos_ring_is_attended(&ep->ring, call) ||
	    (LOAD(&peers->call_me) &&
	     __atomic_exchange_n(&peers->call_me, 0, __ATOMIC_SEQ_CST)))
		fos__posix_call_pollers(ep, fd);
}

static bool byte_is_owed(struct fos_posix *p)
{
	uint32_t debt = LOAD(&p->debt);

	while (debt)
		if (__atomic_compare_exchange_n(&p->debt, &debt, debt - 1, true,
						__ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

/*
 * One byte for each time that @rung became 1 and was taken back to 0.  A sender
 * may have been stopped between the two: then it is taken later.
 */
static void take_bytes(struct fos_ep *ep, int fd)
{
	struct fos_posix *p = &ep->posix;
	char byte;

	fos__lock();
	while (fos__posix_is(fd, ep->id) && byte_is_owed(p)) {
		if (syscall(SYS_recvfrom, fd, &byte, 1, MSG_DONTWAIT, NULL,
			    NULL) > 0)
			continue;
		__atomic_fetch_add(&p->debt, 1, __ATOMIC_RELAXED);
		break;
	}
	fos__unlock();
}

/*
 * My ring was empty: what the byte told of is done.  What was published since
 * keeps it, or has sent the next one.  True: it was kept, look again.
 */
static bool drain(struct fos_ep *ep, int fd)
{
	struct posix_page *mine = ep->posix.mine;
	uint32_t rung = 0;
	bool kept = false;

	/* Else it is his hello that lies there. */
	if (!LOAD_ACQ(&ep->posix.met))
		return false;
	if (LOAD(&mine->rung) &&
	    __atomic_exchange_n(&mine->rung, 0, __ATOMIC_SEQ_CST)) {
		kept = !fos_ring_is_empty(&ep->ring) &&
		       __atomic_compare_exchange_n(&mine->rung, &rung, 1, false,
						   __ATOMIC_SEQ_CST,
						   __ATOMIC_RELAXED);
		if (!kept)
			__atomic_fetch_add(&ep->posix.debt, 1, __ATOMIC_RELAXED);
		/* Kept or not, a queue that looked meanwhile is not told by it. */
		__atomic_store_n(&ep->posix.took_news, true, __ATOMIC_RELAXED);
	}
	/* Not the one that was kept. */
	if (fos_unlikely(LOAD(&ep->posix.debt)) && !kept)
		take_bytes(ep, fd);
	return kept;
}

/* Will the peer please send a byte?  His sender sleeps till this is taken. */
static void ask_for_byte(struct fos_ep *ep)
{
	__atomic_store_n(&ep->posix.mine->call_me, 1, __ATOMIC_SEQ_CST);
	fos__posix_wake_all(ep->posix.peers);
}

/*
 * A receive that found nothing and does not wait: the next thing is a poll.
 * The peer may also have come or gone.
 */
static bool before_poll(struct fos_ep *ep, int fd)
{
	__atomic_store_n(&ep->posix.side->armed, 1, __ATOMIC_SEQ_CST);
	return look(ep, fd);
}

/*
 * Who waits in a call is no poller; another thread may be one, who counts himself
 * before he looks whether we are armed.
 */
static void disarm(struct fos_posix *p)
{
	uint32_t *armed = &p->side->armed;

	if (!LOAD(armed) || LOAD(&p->pollers))
		return;
	__atomic_store_n(armed, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&p->pollers, __ATOMIC_SEQ_CST))
		__atomic_store_n(armed, 1, __ATOMIC_SEQ_CST);
}

/*
 * No byte lies there, and nobody is left asleep: who goes to sleep after this sees
 * that no thread of mine is there, for who was has left before it looks.
 */
static bool is_quiet(const struct fos_ep *ep)
{
	return !LOAD(&ep->posix.mine->rung) && !LOAD(&ep->posix.debt) &&
	       !fos_ring_peer_sleeps(&ep->ring);
}

bool fos__posix_received(struct fos_ep *ep, int fd, bool waits, bool nothing)
{
	bool again = nothing && before_poll(ep, fd);

	if (waits)
		disarm(&ep->posix);
	if (!nothing && is_quiet(ep))
		return false;
	if (nothing || fos_ring_is_empty(&ep->ring))
		again |= drain(ep, fd);
	else if (!LOAD(&ep->posix.mine->rung))
		ask_for_byte(ep);
	return again;
}

/*
 * As a receive that found nothing; but who is armed stays so: whoever publishes
 * then sends a byte, or one lies there.
 */
bool fos__posix_arm(struct fos_ep *ep, int fd)
{
	struct fos_posix *p = &ep->posix;

	__atomic_fetch_add(&p->pollers, 1, __ATOMIC_SEQ_CST);
	if (LOAD_ACQ(&p->met) &&
	    __atomic_load_n(&p->side->armed, __ATOMIC_SEQ_CST))
		return false;
	fos__posix_received(ep, fd, false, true);
	return true;
}

void fos__posix_disarm(struct fos_ep *ep)
{
	__atomic_fetch_sub(&ep->posix.pollers, 1, __ATOMIC_RELAXED);
}

void fos__posix_drain(struct fos_ep *ep, int fd)
{
	fos__posix_received(ep, fd, false, true);
}

/* ---- sleeping --------------------------------------------------------- */

static void count_sleeper(struct fos_posix *p, uint32_t want, int one)
{
	uint32_t wants, bit;

	pthread_mutex_lock(&p->lock);
	for (wants = p->side->wants; want; want &= want - 1) {
		bit = want & -want;
		p->sleepers[__builtin_ctz(bit)] += one;
		if (p->sleepers[__builtin_ctz(bit)])
			wants |= bit;
		else
			wants &= ~bit;
	}
	/* A full fence too, between my wants and the look that follows. */
	__atomic_exchange_n(&p->side->wants, wants, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&p->lock);
}

/* Who is in a queue wants all replies, as a sleeper would. */
void fos__posix_set_queued(struct fos_ep *ep, bool queued)
{
	__atomic_store_n(&ep->posix.mine->queued, queued, __ATOMIC_SEQ_CST);
	count_sleeper(&ep->posix, FOS_WANT_REPLIES, queued ? 1 : -1);
}

static bool is_over(struct fos_ep *ep, uint32_t want, uint64_t arg)
{
	return fos_ring_wait_over(&ep->ring, want, arg) ||
	       fos_ring_peer_dead(&ep->ring) ||
	       (fos_ring_my_state(&ep->ring) & FOS_STATE_DEAD);
}

/*
 * Is it time to ask what the descriptor is?  A trap is a tenth of a sleep: now
 * and then.  But where copies are closed, one may be since the caller looked at
 * the state, and would not be told again.
 */
static bool is_doubtful(struct fos_ep *ep)
{
	return !(__atomic_fetch_add(&ep->posix.waits, 1, __ATOMIC_RELAXED) %
		 WAITS_PER_CHECK) || fos_ring_my_state(&ep->ring);
}

static int wait_on(struct fos_ep *ep, int fd, uint32_t *word, uint32_t want,
		   uint64_t arg, uint64_t deadline_ns)
{
	const uint32_t value = LOAD_ACQ(word);
	uint32_t bits = want;

	if (want & FOS_WANT_REPLY)
		bits = FOS_WANT_SLOT(arg);
	if (fos_unlikely(!LOAD_ACQ(&ep->posix.met)))
		look(ep, fd);
	/* My wants came before this look: pairs with the fence of a publisher. */
	if (is_over(ep, want, arg))
		return 0;
	if (is_doubtful(ep) && !fos__posix_is(fd, ep->id)) {
		fos__posix_closed(ep);
		return -EBADF;
	}
	fos__posix_attend(ep, fd, want, arg);
	return sleep_on(word, value, bits, deadline_ns);
}

int fos__posix_bell_wait(struct fos_ep *ep, int fd, uint32_t bell,
			 uint32_t want, uint64_t arg, uint64_t deadline_ns)
{
	struct fos_posix *p = &ep->posix;
	uint32_t *word = want & WANT_ONE ? &p->mine->published :
					   &p->mine->claimed;
	uint32_t wants;
	int ret;

	if (bell)
		ring_page(p->peers, bell);
	if ((bell & FOS_WANT_REPLIES) && LOAD(&p->peers->queued))
		fos__posix_call_pollers(ep, fd);
	if (!want)
		return 0;
	if (want & WANT_ONE)
		disarm(p);
	wants = want & FOS_WANT_REPLY ? want | FOS_WANT_SLOT(arg) : want;
	count_sleeper(p, wants, 1);
	ret = wait_on(ep, fd, word, want, arg, deadline_ns);
	count_sleeper(p, wants, -1);
	return ret;
}

/* ---- what it costs ---------------------------------------------------- */

#define ROUNDS		24
#define REST_NS		30000

/**
 * struct wake_probe - two threads that wake each other
 * @word: of each: how often it has been woken
 * @took: round trips, ns
 * @cpu_ns: CPU time of the one who answers
 */
struct wake_probe {
	uint32_t word[2];
	uint32_t took[ROUNDS];
	uint64_t cpu_ns;
};

static uint64_t my_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void wake_other(uint32_t *word, uint32_t turn)
{
	__atomic_store_n(word, turn, __ATOMIC_SEQ_CST);
	wake(word, 1, ~0U);
}

static void wait_turn(uint32_t *word, uint32_t before)
{
	while (LOAD_ACQ(word) == before)
		sleep_on(word, before, ~0U, FOS_DEADLINE_NONE);
}

static void *answer(void *probe)
{
	struct wake_probe *p = probe;
	const uint64_t began = my_cpu_ns();
	uint32_t i;

	for (i = 0; i < ROUNDS; i++) {
		wait_turn(&p->word[0], i);
		wake_other(&p->word[1], i + 1);
	}
	p->cpu_ns = my_cpu_ns() - began;
	return NULL;
}

/* Each time until the other one is asleep again, and others may run meanwhile. */
static void *ask(void *probe)
{
	const struct timespec rest = { .tv_nsec = REST_NS };
	struct wake_probe *p = probe;
	uint64_t asked;
	uint32_t i;

	for (i = 0; i < ROUNDS; i++) {
		syscall(SYS_nanosleep, &rest, NULL);
		asked = fos__now_ns();
		wake_other(&p->word[0], i + 1);
		wait_turn(&p->word[1], i);
		p->took[i] = fos__now_ns() - asked;
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Where @pid may run, but for @cpu. */
static bool others_of(pid_t pid, int cpu, cpu_set_t *cpus)
{
	if (sched_getaffinity(pid, sizeof(*cpus), cpus))
		return false;
	CPU_CLR(cpu, cpus);
	return CPU_COUNT(cpus);
}

/*
 * Beside each other a wake-up is cheap, but then nobody polls: here, or not here.
 * The peers of who may run here only are elsewhere, too; not where even the first
 * process may not run.
 */
static bool start_on(pthread_t *thread, bool here, void *(*run)(void *),
		     struct wake_probe *p)
{
	const int cpu = sched_getcpu();
	pthread_attr_t attr;
	cpu_set_t cpus;
	bool started;

	CPU_ZERO(&cpus);
	if (here && cpu >= 0)
		CPU_SET(cpu, &cpus);
	pthread_attr_init(&attr);
	if (cpu >= 0 && (here || others_of(0, cpu, &cpus) ||
			 others_of(1, cpu, &cpus)))
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	started = !pthread_create(thread, &attr, run, p);
	pthread_attr_destroy(&attr);
	return started;
}

/*
 * One of the fast ones, for others are after the CPUs, too, as the peer who measures
 * at the same time.  Or the CPU time that it takes, if that is more, as on virtual
 * machines: who polls has the message sooner, and saves that.
 */
static uint32_t measure_wake(void)
{
	struct wake_probe p = { .word = { 0 } };
	pthread_t asker, answerer;
	uint64_t ns;

	if (!start_on(&answerer, false, answer, &p))
		return 50000;
	/* Who is asked must be answered, and by whom hardly matters. */
	if (start_on(&asker, true, ask, &p))
		pthread_join(asker, NULL);
	else
		ask(&p);
	pthread_join(answerer, NULL);
	qsort(p.took, ROUNDS, sizeof(p.took[0]), by_value);
	ns = fos__later(p.cpu_ns / ROUNDS, p.took[ROUNDS / 4] / 2);
	return fos__earlier(ns, UINT32_MAX);
}

uint32_t fos__posix_wake_ns(void)
{
	static uint32_t measured;
	uint32_t ns = LOAD(&measured);
	int old;

	if (!ns) {
		/* pthread_join() is a cancellation point, we are none. */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
		ns = measure_wake() | 1;
		pthread_setcancelstate(old, NULL);
		__atomic_store_n(&measured, ns, __ATOMIC_RELAXED);
	}
	return ns;
}
