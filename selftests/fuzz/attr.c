// SPDX-License-Identifier: GPL-2.0-only
/*
 * attr: what callers hand in: attributes, sizes, deadlines; and the waiting
 * policy, which takes numbers of the peer.  Each result is worked out here once
 * more.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#include "fastos.h"
#include "spin.h"

int fuzz_sched_getcpu(void)
{
	return 0;
}

/* ---- fos_channel() ---------------------------------------------------- */

static bool is_valid(const struct fos_chan_attr *a)
{
	if (a->flags || a->resv[0] || a->resv[1] || a->resv[2] ||
	    a->resv[3])
		return false;
	if (a->depth && (a->depth < 2 || a->depth > 256 ||
			 (a->depth & (a->depth - 1))))
		return false;
	if (a->area_bytes > 64ULL << 20 || a->spin > FOS_SPIN_FIXED)
		return false;
	if (a->spin_share > (a->spin == FOS_SPIN_DEFAULT ? 99 : 0))
		return false;
	return a->spin == FOS_SPIN_FIXED ? a->spin_ns < 1ULL << 48 :
					   !a->spin_ns;
}

/* Nearly right, or anything. */
static void take_attr(struct fos_chan_attr *a)
{
	const uint8_t how = take8();
	uint64_t *words = (uint64_t *)a;
	size_t i;

	*a = (struct fos_chan_attr) {
		.depth = how & 1 ? 1U << (take8() & 15) : 0,
		.area_bytes = how & 2 ? take(4) : 4096,
		.spin = how & 4 ? FOS_SPIN_FIXED : how >> 6,
		.spin_ns = how & 4 ? take(6) : 0,
	};
	if (how & 8)
		words[take8() % (sizeof(*a) / 8)] = take(8);
	for (i = 0; (how & 48) == 48 && i < sizeof(*a) / 8; i++)
		words[i] = take(8);
}

/* The peer is gone: a call with a good deadline ends at once. */
static void try_deadlines(int fd)
{
	const struct timespec ts = { .tv_sec = take(8), .tv_nsec = take(8) };
	const bool good = ts.tv_sec >= 0 && ts.tv_nsec >= 0 &&
			  ts.tv_nsec < 1000000000;
	uint64_t token = 0;
	char c = 0;

	CHECK(RESULT(fos_call(fd, &c, 1, &c, 1, &ts)) ==
	      (good ? -EPIPE : -EINVAL));
	CHECK(RESULT(fos_reply_recv(fd, &token, NULL, 0, &c, 1, &ts)) ==
	      (good ? -EPIPE : -EINVAL));
}

/* Nobody answers: it ends when it should, by our clock. */
static void try_timeout(int fd)
{
	const uint64_t ns = take(4);
	const struct timespec ts = {
		.tv_sec = ns / 1000000000,
		.tv_nsec = ns % 1000000000,
	};
	uint64_t token = 0;
	char c = 0;

	/* The library sleeps in real time: only what is past. */
	fuzz_now = ns;
	CHECK(RESULT(fos_call(fd, &c, 1, &c, 1, &ts)) == -ETIMEDOUT);
	CHECK(!fos_delivered());
	CHECK(RESULT(fos_reply_recv(fd, &token, NULL, 0, &c, 1, &ts)) ==
	      -ETIMEDOUT);
}

static void try_sizes(int fd)
{
	const size_t n = take(8);
	char c = 0;

	if (n <= FOS_MSG_MAX)
		return;
	CHECK(RESULT(fos_send(fd, &c, n, 0)) == -EMSGSIZE);
	CHECK(RESULT(fos_call(fd, &c, n, &c, 1, NULL)) == -EMSGSIZE);
	CHECK(RESULT(fos_send(fd, NULL, n, 0)) == -EINVAL);
	CHECK(RESULT(fos_recv(fd, NULL, n, 0)) == -EINVAL);
}

static void try_flags(int fd)
{
	const int flags = take(4);
	char c = 0;

	if (!(flags & ~(FOS_NONBLOCK | FOS_POST | FOS_MORE)))
		return;
	CHECK(RESULT(fos_send(fd, &c, 1, flags)) == -EINVAL);
	CHECK(RESULT(fos_recv(fd, &c, 1, flags)) == -EINVAL);
}

static void try_channel(void)
{
	struct fos_chan_attr a;
	int fd[2] = { -5, -5 };
	long ret;

	take_attr(&a);
	ret = RESULT(fos_channel(fd, &a));
	CHECK(ret == (is_valid(&a) ? 0 : -EINVAL));
	if (ret) {
		CHECK(fd[0] == -5 && fd[1] == -5);
		return;
	}
	CHECK(fcntl(fd[0], F_GETFD) == FD_CLOEXEC &&
	      fcntl(fd[1], F_GETFD) == FD_CLOEXEC);
	/* Not both: whoever knows the peer learns of his end a little later. */
	if (take8() & 1) {
		try_timeout(fd[0]);
		CHECK(!fos_close(fd[1]));
	} else {
		CHECK(!fos_close(fd[1]));
		try_deadlines(fd[0]);
	}
	CHECK(!fos_close(fd[0]));
	CHECK(RESULT(fos_close(fd[0])) == -EBADF);
}

/* ---- fos_query() ------------------------------------------------------ */

static void try_query(void)
{
	const size_t size = take(2) % 512;
	struct fos_caps caps;
	unsigned char *buf = malloc(size);
	size_t i;

	memset(buf, 0xff, size);
	if (!size) {
		CHECK(RESULT(fos_query((void *)buf, size)) == -EINVAL);
	} else {
		CHECK(!fos_query((void *)buf, size));
		CHECK(!fos_query(&caps, sizeof(caps)));
		CHECK(!memcmp(buf, &caps,
			      size < sizeof(caps) ? size : sizeof(caps)));
		for (i = sizeof(caps); i < size; i++)
			CHECK(!buf[i]);
	}
	CHECK(RESULT(fos_query(NULL, size)) == -EINVAL);
	free(buf);
}

/* ---- the policy ------------------------------------------------------- */

static void try_decide(struct fos_spin *s)
{
	const struct fos_spin_sample sample = {
		.my_cpu = take8() & 3,
		.peer_cpu = take8() & 1 ? take(4) : take8() & 3,
		.online_cpus = take8() & 3,
		.now_ns = take(8),
	};
	const uint64_t ns = fos_spin_decide(s, &sample);

	if (!fos_spin_may_poll(s, &sample))
		CHECK(!ns);
	else if (s->mode == FOS_SPIN_DEFAULT)
		CHECK(ns <= 4 * s->wake_ns);
	else
		CHECK(ns == (s->mode == FOS_SPIN_ALWAYS ? FOS_SPIN_FOREVER :
							  s->budget_ns));
}

/* Whatever is learnt from, also what a peer makes up. */
static void try_learn(struct fos_spin *s)
{
	const struct fos_spin_wait wait = {
		.ns = take8() & 1 ? take(8) : take(4),
		.budget_ns = take8() & 1 ? take(4) : s->wake_ns,
		.late_ns = take8() & 1 ? take(8) : take(3),
		.woke_ns = take8() & 1 ? take(8) : take(3),
	};

	fos_spin_note(s, &wait);
	if (take8() & 1)
		fos_spin_robbed(s);
	try_decide(s);
	CHECK(s->wake_ns >= s->least_ns &&
	      s->wake_ns <= FOS_SPIN_DEARER * s->least_ns);
}

static void try_hint(uint64_t hint, uint64_t now, uint64_t late)
{
	const uint64_t mine = fos_spin_hint(now, late);
	const uint64_t told = fos_spin_late_ns(mine);

	CHECK(mine);
	CHECK(fos_spin_posted_at(mine, now) == now);
	CHECK(fos_spin_posted_at(hint, now) - now == 0 ||
	      now - fos_spin_posted_at(hint, now) < 1ULL << 39);
	CHECK(fos_spin_late_ns(hint) <= 1ULL << 30);
	CHECK(told <= late && (late - told < 64 || told > 1000000000) ||
	      !(now << 24));
}

static void try_spin(void)
{
	const uint64_t word = take(8), wake_ns = take(4);
	const uint32_t mode = take8() & 3;
	const uint64_t budget = take(6);
	struct fos_spin s;
	int i;

	fos_spin_unpack(&s, word, wake_ns);
	CHECK(s.mode <= FOS_SPIN_FIXED);
	CHECK(s.share < 100);
	CHECK(s.budget_ns < 1ULL << 48);
	try_decide(&s);
	fos_spin_unpack(&s, fos_spin_pack(mode, budget, budget % 100), wake_ns);
	CHECK(s.mode == mode);
	CHECK(s.budget_ns == (mode ? budget : budget % 100));
	CHECK(s.share == (mode ? 0 : budget % 100));
	CHECK(fos_spin_is_default(fos_spin_pack(mode, budget, 0)) == !mode);
	for (i = 0; i < 80 && input.left; i++)
		try_learn(&s);
	try_hint(take(8), take(8), take(8));
}

/* ---- a run ------------------------------------------------------------ */

static int live[2];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!live[1]) {
		setenv("FOS_BACKEND", "posix", 1);
		CHECK(!fos_channel(live, NULL));
	}
	input = (struct input) { data, size };
	while (input.left) {
		switch (take8() % 6) {
		case 0:
		case 1:
			try_channel();
			break;
		case 2:
			try_query();
			break;
		case 3:
			try_sizes(live[0]);
			break;
		case 4:
			try_flags(live[0]);
			break;
		default:
			try_spin();
		}
	}
	return 0;
}
