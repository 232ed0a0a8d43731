// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleeping and ringing, with raw ioctls between peers that keep the protocol.
 * Both ends are in one process; who sleeps is a thread.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

#include "sleepers.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define AREA		4096
#define FIRST		((uint64_t)DEPTH)

FIXTURE(wait) {
	struct raw a;
	struct raw b;
};

FIXTURE_SETUP(wait)
{
	struct raw r[2];

	ASSERT_EQ(0, raw_pair(r, DEPTH, AREA));
	self->a = r[0];
	self->b = r[1];
}

FIXTURE_TEARDOWN(wait)
{
}

/* ---- sleeping --------------------------------------------------------- */

TEST_F(wait, wanting_nothing_returns_at_once)
{
	EXPECT_EQ(0, raw_bell_wait(&self->a, 0, 0, 0, 0, NONE));
	EXPECT_EQ(0, raw_bell(&self->a, FOS_WANT_ALL));
}

TEST_F(wait, a_deadline_ends_the_sleep_with_etimedout)
{
	uint64_t deadlines[] = { 0, 1, now_ns(), in_ms(5), in_ms(50) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(deadlines); i++)
		EXPECT_EQ(-ETIMEDOUT,
			  raw_bell_wait(&self->a, 0, FOS_WANT_MSG, 0, 0,
					deadlines[i]));
	EXPECT_LE(deadlines[ARRAY_SIZE(deadlines) - 1], now_ns());
	EXPECT_EQ(0, wants_of(&self->a));
}

TEST_F(wait, nobody_sleeps_who_has_not_seen_the_last_event)
{
	uint64_t seen = events_of(self->a.peer_line);

	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	EXPECT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_MSG, seen, 0, NONE));
	EXPECT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_CALL, 77, 0, NONE));
	EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->a, 0, FOS_WANT_MSG,
					    seen + 1, 0, in_ms(1)));
}

TEST_F(wait, nobody_sleeps_for_the_fate_of_a_decided_entry)
{
	unsigned int fate;
	uint64_t seq = FIRST;

	for (fate = FOS_CLAIM_TAKEN; fate <= FOS_CLAIM_REFUSED; fate++, seq++) {
		raw_publish(&self->a, seq, FOS_META_MSG, "x", 1);
		EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->a, 0, FOS_WANT_TAKE,
						    0, seq, in_ms(1)));
		EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->a, 0, FOS_WANT_ROOM,
						    0, seq, in_ms(1)));
		ASSERT_TRUE(raw_claim(&self->b, seq, fate));
		EXPECT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_TAKE, 0, seq,
					   NONE));
		EXPECT_EQ(fate == FOS_CLAIM_TAKEN ? -ETIMEDOUT : 0,
			  raw_bell_wait(&self->a, 0, FOS_WANT_ROOM, 0, seq,
					in_ms(1)));
	}
}

TEST_F(wait, need_wakeup_is_the_union_of_what_sleepers_want)
{
	struct sleeper s[] = {
		{ .r = &self->a, .want = FOS_WANT_MSG },
		{ .r = &self->a, .want = FOS_WANT_CALL | FOS_WANT_REPLY,
		  .seq = FOS_TOKEN(FIRST, 1) },
		{ .r = &self->a, .want = FOS_WANT_TAKE, .seq = FIRST },
	};

	EXPECT_EQ(0, wants_of(&self->a));
	start(&s[0]);
	EXPECT_TRUE(wait_wants(&self->a, FOS_WANT_MSG));
	start(&s[1]);
	EXPECT_TRUE(wait_wants(&self->a, FOS_WANT_PUBLISHED | FOS_WANT_REPLY));
	start(&s[2]);
	EXPECT_TRUE(wait_wants(&self->a, FOS_WANT_PUBLISHED | FOS_WANT_REPLY |
					 FOS_WANT_TAKE));
	EXPECT_EQ(0, wants_of(&self->b));
	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	raw_claim(&self->b, FIRST, FOS_CLAIM_DONE);
	raw_bell(&self->b, FOS_WANT_TAKE);
	EXPECT_EQ(0, finish(&s[2]));
	EXPECT_TRUE(wait_wants(&self->a, FOS_WANT_PUBLISHED | FOS_WANT_REPLY));
	raw_publish(&self->b, FIRST, FOS_META_CALL, "x", 1);
	raw_bell(&self->b, FOS_WANT_PUBLISHED);
	EXPECT_EQ(0, finish(&s[0]));
	EXPECT_EQ(0, finish(&s[1]));
	EXPECT_EQ(0, wants_of(&self->a));
}

TEST_F(wait, a_bell_ends_the_sleep_that_wants_it)
{
	static const uint32_t kinds[] = { FOS_META_MSG, FOS_META_CALL };
	struct sleeper s = { .r = &self->a };
	uint64_t seq = FIRST;
	uint32_t bell;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++, seq++) {
		s.want = FOS_WANT_MSG << kinds[i];
		s.seen = events_of(self->a.peer_line);
		start(&s);
		ASSERT_TRUE(wait_wants(&self->a, s.want));
		bell = raw_publish(&self->b, seq, kinds[i], "x", 1);
		EXPECT_EQ(s.want, bell);
		EXPECT_EQ(0, raw_bell(&self->b, bell));
		ASSERT_EQ(0, finish(&s));
		EXPECT_EQ(0, wants_of(&self->a));
	}
}

TEST_F(wait, a_bell_tells_a_sender_that_its_entry_was_taken_and_let_go)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_TAKE,
			     .seq = FIRST };

	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_TAKE));
	ASSERT_TRUE(raw_claim(&self->b, FIRST, FOS_CLAIM_TAKEN));
	raw_bell(&self->b, FOS_WANT_TAKE);
	ASSERT_EQ(0, finish(&s));
	s.want = FOS_WANT_ROOM;
	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_ROOM));
	__atomic_store_n(&self->b.claims[0], FOS_CLAIM(FIRST, FOS_CLAIM_DONE),
			 __ATOMIC_SEQ_CST);
	raw_bell(&self->b, FOS_WANT_ROOM);
	EXPECT_EQ(0, finish(&s));
}

TEST_F(wait, a_bell_for_what_did_not_happen_wakes_nobody)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_MSG };
	long wakes = stat_of("chan_wakes");

	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_MSG));
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_ALL));
	raw_publish(&self->b, FIRST, FOS_META_CALL, "x", 1);
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_ALL & ~FOS_WANT_MSG));
	EXPECT_EQ(wakes, stat_of("chan_wakes"));
	EXPECT_EQ(FOS_WANT_MSG, wants_of(&self->a));
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_MSG));
	EXPECT_EQ(0, finish(&s));
	EXPECT_EQ(wakes + 1, stat_of("chan_wakes"));
}

TEST_F(wait, a_message_wakes_one_sleeper)
{
	struct sleeper s[3];
	long wakes = stat_of("chan_wakes");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s); i++) {
		s[i] = (struct sleeper) { .r = &self->a, .want = FOS_WANT_MSG };
		start(&s[i]);
	}
	ASSERT_TRUE(wait_sleepers(&self->a, ARRAY_SIZE(s)));
	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	for (i = 1; i <= ARRAY_SIZE(s); i++) {
		raw_bell(&self->b, FOS_WANT_MSG);
		EXPECT_EQ(wakes + (long)i, stat_of("chan_wakes"));
	}
	for (i = 0; i < ARRAY_SIZE(s); i++)
		EXPECT_EQ(0, finish(&s[i]));
	EXPECT_EQ(0, wants_of(&self->a));
}

TEST_F(wait, a_bell_for_two_messages_wakes_a_sleeper_for_each)
{
	struct sleeper one = { .r = &self->a, .want = FOS_WANT_MSG };
	struct sleeper any = {
		.r = &self->a,
		.want = FOS_WANT_MSG | FOS_WANT_CALL,
	};

	start(&one);
	ASSERT_TRUE(wait_sleepers(&self->a, 1));
	start(&any);
	ASSERT_TRUE(wait_sleepers(&self->a, 2));
	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	raw_publish(&self->b, FIRST + 1, FOS_META_CALL, "x", 1);
	raw_bell(&self->b, FOS_WANT_MSG | FOS_WANT_CALL);
	EXPECT_EQ(0, finish(&one));
	EXPECT_EQ(0, finish(&any));
}

/* The fast form of BELL_WAIT. */
static long advise(struct raw *r, uint32_t bell, uint32_t want, uint64_t arg,
		   uint64_t deadline_ns)
{
	return -posix_fadvise(r->fd, arg, deadline_ns, FOS_ADVICE(bell, want));
}

TEST_F(wait, in_registers_it_rings_sleeps_and_refuses_the_same)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_MSG };
	uint32_t bit, advice;

	EXPECT_EQ(0, advise(&self->b, 0, 0, 0, 0));
	EXPECT_EQ(-ETIMEDOUT, advise(&self->b, 0, FOS_WANT_CALL, 0, in_ms(5)));
	EXPECT_EQ(0, advise(&self->b, 0, FOS_WANT_CALL, 1, in_ms(HANG_MS)));
	EXPECT_EQ(-ETIMEDOUT,
		  advise(&self->b, 0, FOS_WANT_TAKE, FIRST, in_ms(5)));
	EXPECT_EQ(0, advise(&self->b, 0, FOS_WANT_ROOM, FIRST - 1,
			    FOS_DEADLINE_NONE));

	start(&s);
	ASSERT_TRUE(wait_sleepers(&self->a, 1));
	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	EXPECT_EQ(-ETIMEDOUT, advise(&self->b, FOS_WANT_MSG, FOS_WANT_TAKE,
				     FIRST, in_ms(5)));
	EXPECT_EQ(0, finish(&s));

	for (bit = 0; bit < 32; bit++) {
		if ((FOS_ADVICE(FOS_WANT_ALL, FOS_WANT_ALL) | FOS_ADVICE_SELF |
		     FOS_ADVICE_TAG_MASK | FOS_ADVICE_CLOSES_MASK) & 1U << bit)
			continue;
		advice = FOS_ADVICE_BELL_WAIT | 1U << bit;
		EXPECT_EQ(-EINVAL, -posix_fadvise(self->b.fd, 0, 0, advice));
	}
	EXPECT_EQ(-EINVAL, advise(&self->b, 0, FOS_WANT_RECEIVER, 0, 0));
	EXPECT_EQ(-EINVAL,
		  advise(&self->b, 0, FOS_WANT_MSG | FOS_WANT_TAKE, 0, 0));
	EXPECT_EQ(-EINVAL,
		  advise(&self->b, 0, FOS_WANT_CLAIMS | FOS_WANT_TAKE, 0, 0));
	EXPECT_EQ(-EINVAL, -posix_fadvise(self->b.fd, 0, 0,
					  POSIX_FADV_SEQUENTIAL));
}

/* A number that another thread closed may be another endpoint's by now. */
TEST_F(wait, in_registers_it_can_say_which_endpoint_is_meant)
{
	struct fos_core_query q = {};
	int advice = FOS_ADVICE(FOS_WANT_MSG, 0);
	uint32_t side;

	ASSERT_EQ(0, ioctl(self->b.fd, FOS_IOC_CORE_QUERY, &q));
	for (side = 0; side < 2; side++)
		EXPECT_EQ(side == q.side ? 0 : EBADF,
			  posix_fadvise(self->b.fd, 0, 0, advice |
					FOS_ADVICE_TAG(q.id, side)));
	EXPECT_EQ(EBADF, posix_fadvise(self->b.fd, 0, 0, advice |
				       FOS_ADVICE_TAG(q.id + 1, q.side)));
}

/* Nor must he sleep by it who was on his way there when it was closed. */
TEST_F(wait, in_registers_a_close_on_the_way_keeps_it_awake)
{
	const uint64_t before = raw_state(self->b.kside);
	const int advice = FOS_ADVICE(0, FOS_WANT_CALL) |
			   FOS_ADVICE_TAG(self->b.id, self->b.side);

	EXPECT_EQ(ETIMEDOUT, posix_fadvise(self->b.fd, 0, in_ms(5), advice |
					   FOS_ADVICE_CLOSES(before)));
	close(dup(self->b.fd));
	EXPECT_EQ(0, posix_fadvise(self->b.fd, 0, in_ms(HANG_MS), advice |
				   FOS_ADVICE_CLOSES(before)));
	EXPECT_EQ(ETIMEDOUT, posix_fadvise(self->b.fd, 0, in_ms(5), advice |
					FOS_ADVICE_CLOSES(raw_state(self->b.kside))));
}

TEST_F(wait, any_claim_ends_the_sleep_that_wants_claims)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_CLAIMS };
	unsigned int fate;
	uint64_t seq = FIRST;

	EXPECT_EQ(-EINVAL, raw_bell_wait(&self->a, 0, FOS_WANT_CLAIMS |
					 FOS_WANT_MSG, 0, 0, in_ms(1)));
	EXPECT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_CLAIMS,
				   raw_claims_sum(&self->a) + 1, 0, NONE));
	for (fate = FOS_CLAIM_TAKEN; fate <= FOS_CLAIM_REFUSED; fate++, seq++) {
		raw_publish(&self->a, seq, FOS_META_MSG, "x", 1);
		s.seen = raw_claims_sum(&self->a);
		start(&s);
		ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_CLAIMS));
		raw_claim(&self->b, seq, fate);
		raw_bell(&self->b, FOS_WANT_CLAIMS);
		EXPECT_EQ(0, finish(&s));
	}
}

TEST_F(wait, a_side_can_ring_its_own_sleepers)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_MSG };

	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_MSG));
	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	/* Not the peer's. */
	EXPECT_EQ(0, raw_bell(&self->a, FOS_WANT_MSG));
	EXPECT_EQ(FOS_WANT_MSG, wants_of(&self->a));
	EXPECT_EQ(0, raw_bell_self(&self->a, FOS_WANT_MSG));
	EXPECT_EQ(0, finish(&s));

	start(&s);
	EXPECT_EQ(0, finish(&s));
	s.seen = events_of(self->a.peer_line);
	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_MSG));
	raw_publish(&self->b, FIRST + 1, FOS_META_MSG, "x", 1);
	EXPECT_EQ(0, -posix_fadvise(self->a.fd, 0, 0,
				    FOS_ADVICE(FOS_WANT_MSG, 0) |
				    FOS_ADVICE_SELF));
	EXPECT_EQ(0, finish(&s));
}

TEST_F(wait, ringing_and_sleeping_are_one_call)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_MSG };
	long bells = stat_of("chan_bells");
	long waits = stat_of("chan_waits");

	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_MSG));
	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->b, FOS_WANT_MSG,
					    FOS_WANT_CALL, 0, 0, in_ms(1)));
	EXPECT_EQ(0, finish(&s));
	EXPECT_EQ(bells + 1, stat_of("chan_bells"));
	EXPECT_EQ(waits + 2, stat_of("chan_waits"));
}

static pthread_t slept_in;

static void *kick_sleeper(void *arg)
{
	struct raw *r = arg;

	if (wait_wants(r, FOS_WANT_MSG))
		pthread_kill(slept_in, SIGUSR1);
	return NULL;
}

TEST_F(wait, a_signal_ends_the_sleep_unless_it_restarts_calls)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_MSG };
	long signals = stat_of("chan_signals");
	pthread_t kicker;

	on_signal(SIGUSR1, 0, ignore_it);
	slept_in = pthread_self();
	pthread_create(&kicker, NULL, kick_sleeper, &self->a);
	EXPECT_EQ(-EINTR, raw_bell_wait(&self->a, 0, FOS_WANT_MSG, 0, 0,
					in_ms(HANG_MS)));
	pthread_join(kicker, NULL);
	EXPECT_EQ(0, wants_of(&self->a));

	on_signal(SIGUSR1, SA_RESTART, ignore_it);
	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_MSG));
	pthread_kill(s.thread, SIGUSR1);
	while (stat_of("chan_signals") < signals + 2)
		nap_us(200);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_MSG));
	EXPECT_EQ(0, s.done);
	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	raw_bell(&self->b, FOS_WANT_MSG);
	EXPECT_EQ(0, finish(&s));
}

TEST_F(wait, death_of_the_peer_ends_every_sleep)
{
	struct sleeper s[] = {
		{ .r = &self->a, .want = FOS_WANT_MSG },
		{ .r = &self->a, .want = FOS_WANT_TAKE, .seq = FIRST },
		{ .r = &self->a, .want = FOS_WANT_ROOM, .seq = FIRST },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s); i++)
		start(&s[i]);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_MSG | FOS_WANT_TAKE |
			       FOS_WANT_ROOM));
	close(self->b.fd);
	for (i = 0; i < ARRAY_SIZE(s); i++)
		EXPECT_EQ(0, finish(&s[i]));
	EXPECT_TRUE(raw_dead(self->a.peer_kside));
	EXPECT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_MSG, 0, 0, NONE));
}

TEST_F(wait, death_of_ones_own_side_ends_every_sleep)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_MSG };

	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_MSG));
	munmap(self->a.base, self->a.bytes);
	EXPECT_EQ(0, finish(&s));
	EXPECT_TRUE(raw_dead(self->b.peer_kside));
}

TEST_F(wait, a_withdrawal_wakes_those_who_wait_for_the_slot)
{
	struct sleeper s[] = {
		{ .r = &self->a, .want = FOS_WANT_TAKE, .seq = FIRST },
		{ .r = &self->a, .want = FOS_WANT_ROOM, .seq = FIRST },
	};
	uint64_t word;

	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	start(&s[0]);
	start(&s[1]);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_TAKE | FOS_WANT_ROOM));
	EXPECT_EQ(0, raw_withdraw(&self->a, FIRST, &word));
	EXPECT_EQ(0, finish(&s[0]));
	EXPECT_EQ(0, finish(&s[1]));
}

/* ---- falling asleep ---------------------------------------------------- */

/* Two threads that meet in each round. */
struct meeting {
	struct raw *r;
	uint64_t rounds;
	uint64_t begun;
	uint64_t awake;
	uint64_t lost;
};

/* Does the sleeper of this round wake up, though nobody may have rung? */
static bool wakes_up(const struct meeting *m, uint64_t round)
{
	uint64_t end = in_ms(HANG_MS / 6);

	while (__atomic_load_n(&m->awake, __ATOMIC_ACQUIRE) <= round)
		if (now_ns() > end)
			return false;
	return true;
}

/*
 * Publish when the other is about to sleep: a little later if it was awake,
 * a little earlier if it slept, so that most rounds are close.
 */
static void *publish_close(void *arg)
{
	uint64_t seed = rnd_seed("falling asleep"), i;
	struct meeting *m = arg;
	unsigned int delay = 1000;
	volatile unsigned int n;
	uint32_t bell;

	pin_to(1);
	for (i = 0; i < m->rounds; i++) {
		while (__atomic_load_n(&m->begun, __ATOMIC_ACQUIRE) <= i)
			;
		n = delay / 2 + rnd_below(&seed, delay + 1);
		while (n)
			n--;
		bell = raw_publish(m->r, FIRST + i, FOS_META_MSG, "x", 1);
		if (bell)
			raw_bell(m->r, bell);
		delay += bell ? -(delay / 16) : delay / 16 + 1;
		delay = delay > 100000 ? 1000 : delay;
		if (!wakes_up(m, i)) {
			m->lost++;
			raw_bell(m->r, FOS_WANT_MSG);
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(wait, what_is_published_while_one_falls_asleep_is_noticed, 600)
{
	struct meeting m = { .r = &self->b, .rounds = rounds(50000) };
	pthread_t thread;
	uint64_t seen, i;

	if (usable_cpus() < 2)
		SKIP(return, "one CPU");
	pthread_create(&thread, NULL, publish_close, &m);
	pin_to(0);
	for (i = 0; i < m.rounds; i++) {
		seen = events_of(self->a.peer_line);
		__atomic_store_n(&m.begun, i + 1, __ATOMIC_RELEASE);
		ASSERT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_MSG, seen, 0,
					   NONE));
		__atomic_store_n(&m.awake, i + 1, __ATOMIC_RELEASE);
		ASSERT_EQ(0, m.lost) TH_LOG("round %llu", (long long)i);
		while (events_of(self->a.peer_line) == seen)
			;
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, m.lost);
}

/* ---- whose clock ------------------------------------------------------ */

/* Waits with a deadline of its own clock; 0 if it ended as it should. */
static int sleep_elsewhere(long offset_s)
{
	struct raw r[2];
	char text[64];
	pid_t pid;
	int fd;

	if (unshare(CLONE_NEWTIME))
		return 77;
	fd = open("/proc/self/timens_offsets", O_WRONLY);
	snprintf(text, sizeof(text), "monotonic %ld 0\n", offset_s);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return 77;
	pid = spawn();
	if (pid)
		return reap(pid);
	if (raw_pair(r, DEPTH, AREA))
		_exit(1);
	if (raw_bell_wait(&r[0], 0, FOS_WANT_MSG, 0, 0, in_ms(50)) !=
	    -ETIMEDOUT)
		_exit(2);
	raw_publish(&r[1], FIRST, FOS_META_MSG, "x", 1);
	_exit(raw_bell_wait(&r[0], 0, FOS_WANT_MSG, 0, 0, in_ms(HANG_MS)) ? 3 : 0);
}

TEST_F(wait, deadlines_are_of_the_time_namespace_of_the_caller)
{
	const long offset_s[] = { 1000, 0 };
	size_t i;
	pid_t pid;
	int ret;

	for (i = 0; i < ARRAY_SIZE(offset_s); i++) {
		pid = spawn();
		if (!pid)
			_exit(sleep_elsewhere(offset_s[i]));
		ret = reap(pid);
		if (ret == 77)
			SKIP(return, "no time namespaces in this kernel");
		EXPECT_EQ(0, ret) TH_LOG("offset %ld s", offset_s[i]);
	}
}

TEST_HARNESS_MAIN
