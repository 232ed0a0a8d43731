// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer that writes anything anywhere it may, and a caller that asks for
 * anything: the other side gets documented answers in time, and nobody else
 * notices.
 */
#include <pthread.h>

#include "abi_region.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define AREA		4096
#define FIRST		((uint64_t)DEPTH)

/* All that can be slept for at once. */
#define SLEEPABLE	(FOS_WANT_PUBLISHED | FOS_WANT_TAKE | FOS_WANT_ROOM)

FIXTURE(hostile) {
	struct raw victim;
	struct raw peer;
};

FIXTURE_SETUP(hostile)
{
	struct raw r[2];

	ASSERT_EQ(0, raw_pair(r, DEPTH, AREA));
	self->victim = r[0];
	self->peer = r[1];
}

FIXTURE_TEARDOWN(hostile)
{
}

static void set_claim(struct raw *r, uint64_t seq, uint64_t word)
{
	__atomic_store_n(&r->claims[raw_slot(r, seq)], word, __ATOMIC_SEQ_CST);
}

/* No honest receiver writes one of these for entry FIRST. */
static const uint64_t nonsense[] = {
	0, FOS_CLAIM(1, 0),
	FOS_CLAIM(FIRST - DEPTH, FOS_CLAIM_TAKEN),
	FOS_CLAIM(FIRST - 1, FOS_CLAIM_DONE),
	FOS_CLAIM(FIRST + 1, FOS_CLAIM_DONE),
	FOS_CLAIM(FIRST + 1, FOS_CLAIM_TAKEN),
	FOS_CLAIM(FIRST - 2 * DEPTH, FOS_CLAIM_DONE),
	~0ULL, ~0ULL >> 1, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa,
};

/* ---- claims ----------------------------------------------------------- */

TEST_F(hostile, withdraw_is_eproto_where_the_claim_is_nonsense)
{
	uint64_t honest = FOS_CLAIM(FIRST - DEPTH, FOS_CLAIM_DONE);
	uint64_t word;
	size_t i;

	raw_publish(&self->victim, FIRST, FOS_META_MSG, "x", 1);
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		set_claim(&self->peer, FIRST, nonsense[i]);
		EXPECT_EQ(-EPROTO, raw_withdraw(&self->victim, FIRST, &word))
			TH_LOG("word %#llx", (long long)nonsense[i]);
		EXPECT_EQ(nonsense[i], raw_fate(&self->victim, FIRST));
	}
	/* Every other slot is as good as ever. */
	raw_publish(&self->victim, FIRST + 1, FOS_META_MSG, "x", 1);
	EXPECT_EQ(0, raw_withdraw(&self->victim, FIRST + 1, &word));
	EXPECT_EQ(FOS_CLAIM(FIRST + 1, FOS_CLAIM_WITHDRAWN), word);
	set_claim(&self->peer, FIRST, honest);
	EXPECT_EQ(0, raw_withdraw(&self->victim, FIRST, &word));
	EXPECT_EQ(FOS_CLAIM(FIRST, FOS_CLAIM_WITHDRAWN), word);
}

TEST_F(hostile, waiting_for_a_nonsense_claim_ends_with_the_deadline_at_last)
{
	static const uint32_t wants[] = { FOS_WANT_TAKE, FOS_WANT_ROOM };
	size_t i;
	long ret;

	for (i = 0; i < 2 * ARRAY_SIZE(nonsense); i++) {
		set_claim(&self->peer, FIRST, nonsense[i / 2]);
		ret = raw_bell_wait(&self->victim, 0, wants[i % 2], 0, FIRST,
				    in_ms(2));
		EXPECT_TRUE(!ret || ret == -ETIMEDOUT)
			TH_LOG("word %#llx: %ld", (long long)nonsense[i / 2],
			       ret);
	}
}

/* ---- the line and the entries ----------------------------------------- */

TEST_F(hostile, any_count_of_events_is_only_looked_at)
{
	static const uint64_t counts[] = { 1, 1000, 1ULL << 63, ~0ULL, 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		__atomic_store_n(&self->peer.line->events, counts[i],
				 __ATOMIC_SEQ_CST);
		EXPECT_EQ(-ETIMEDOUT,
			  raw_bell_wait(&self->victim, 0, FOS_WANT_MSG,
					counts[i], 0, in_ms(2)));
		EXPECT_EQ(0, raw_bell_wait(&self->victim, 0, FOS_WANT_MSG,
					   counts[i] + 1, 0, in_ms(HANG_MS)));
	}
}

TEST_F(hostile, poll_looks_at_any_entry_and_any_line)
{
	uint64_t seed = rnd_seed("entries");
	uint64_t *words = (uint64_t *)self->peer.line;
	int i, seen;

	for (i = 0; i < 2000; i++) {
		words[rnd_below(&seed, 512)] = rnd(&seed) >>
			rnd_below(&seed, 64);
		self->peer.claims[rnd_below(&seed, 512)] = rnd(&seed) >>
			rnd_below(&seed, 64);
		seen = raw_poll(self->victim.fd, POLLIN | POLLOUT);
		EXPECT_EQ(0, seen & ~(POLLIN | POLLOUT));
	}
	EXPECT_FALSE(raw_dead(self->victim.kside));
}

/* ---- bells ------------------------------------------------------------ */

static uint64_t storm_over;

static void *storm(void *arg)
{
	struct raw *r = arg;
	long rung = 0;

	while (!__atomic_load_n(&storm_over, __ATOMIC_ACQUIRE))
		rung += !raw_bell(r, FOS_WANT_ALL);
	return (void *)rung;
}

TEST_F(hostile, a_storm_of_bells_neither_wakes_nor_keeps_a_sleeper)
{
	long wakes = stat_of("chan_wakes");
	pthread_t thread[2];
	void *rung[2];
	int i;

	for (i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, storm, &self->peer);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(-ETIMEDOUT,
			  raw_bell_wait(&self->victim, 0,
					SLEEPABLE, 0,
					FIRST, in_ms(10)));
	__atomic_store_n(&storm_over, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], &rung[i]);
	EXPECT_LT(0, (long)rung[0] + (long)rung[1]);
	EXPECT_EQ(wakes, stat_of("chan_wakes"));
}

/* ---- arguments in the shared pages ------------------------------------ */

TEST_F(hostile, no_ioctl_writes_its_result_to_a_page_of_the_peer)
{
	struct raw *r = &self->victim;
	struct fos_core_query *theirs = (void *)r->peer_area;
	struct fos_core_query *mine = (void *)r->area;
	struct fos_chan_withdraw *fate = (void *)r->peer_area;

	EXPECT_EQ(-EFAULT, RESULT(ioctl(r->fd, FOS_IOC_CORE_QUERY, theirs)));
	EXPECT_EQ(-EFAULT, RESULT(ioctl(r->fd, FOS_IOC_CORE_QUERY,
					r->kside)));
	EXPECT_EQ(0, RESULT(ioctl(r->fd, FOS_IOC_CORE_QUERY, mine)));
	EXPECT_EQ(FOS_ABI, mine->abi);
	EXPECT_EQ(0, self->peer.area[0]);
	*(struct fos_chan_withdraw *)self->peer.area =
		(struct fos_chan_withdraw) { .id = r->id, .seq = FIRST };
	EXPECT_EQ(-EFAULT, RESULT(ioctl(r->fd, FOS_IOC_CHAN_WITHDRAW, fate)));
	EXPECT_EQ(-EFAULT, RESULT(ioctl(r->fd, FOS_IOC_CORE_QUERY,
					r->base + r->bytes -
					FOS_PAGE_BYTES)));
}

/* ---- everything at once ----------------------------------------------- */

/* A word that may be almost right: that gets furthest. */
static uint64_t scribble_word(uint64_t *seed, uint64_t near)
{
	switch (rnd_below(seed, 4)) {
	case 0:
		return rnd(seed);
	case 1:
		return rnd(seed) >> rnd_below(seed, 64);
	case 2:
		return near + rnd_below(seed, 8 * DEPTH) - DEPTH;
	default:
		return FOS_CLAIM(near + rnd_below(seed, 4 * DEPTH) - DEPTH,
				 rnd_below(seed, 4));
	}
}

static int scribbler(int fd, const uint64_t *stop)
{
	uint64_t seed = rnd_seed("scribbler"), near;
	struct raw r;
	size_t at;

	if (raw_map(&r, fd))
		return 1;
	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE)) {
		near = r.peer_entries[rnd_below(&seed, DEPTH)].seq;
		at = rnd_below(&seed, FOS_CHAN_CONTROL_BYTES(DEPTH) / 8);
		/* Mostly where somebody looks. */
		if (rnd_below(&seed, 4))
			at %= (FOS_CHAN_RELEASED(DEPTH) + 8 * DEPTH) / 8;
		((uint64_t *)r.line)[at] = scribble_word(&seed, near);
		r.claims[rnd_below(&seed, DEPTH)] =
			scribble_word(&seed, near);
		r.area[rnd_below(&seed, AREA)] = rnd(&seed);
		if (!rnd_below(&seed, 16))
			raw_bell(&r, rnd(&seed) & FOS_WANT_ALL);
	}
	return 0;
}

/* One of what a victim does; true if the answer is one it may get. */
static bool victim_step(struct raw *r, uint64_t seq, uint64_t *seed)
{
	uint64_t word;
	long ret;

	switch (rnd_below(seed, 4)) {
	case 0:
		raw_publish(r, seq, rnd_below(seed, 3), &seq, sizeof(seq));
		ret = raw_withdraw(r, seq, &word);
		return ret == -EPROTO ||
		       (!ret && (FOS_CLAIM_SEQ(word) - seq) % DEPTH == 0);
	case 1:
		ret = raw_poll(r->fd, POLLIN | POLLOUT);
		return ret >= 0 && !(ret & ~(POLLIN | POLLOUT));
	case 2:
		ret = raw_bell(r, rnd(seed) & FOS_WANT_ALL);
		return !ret;
	default:
		ret = raw_bell_wait(r, rnd(seed) & FOS_WANT_ALL,
				    rnd(seed) & SLEEPABLE, r->peer_line->events,
				    seq, now_ns() + rnd_below(seed, 100000));
		return !ret || ret == -ETIMEDOUT;
	}
}

/* Somebody else's honest traffic must go on. */
static bool third_party_works(struct raw r[2], uint64_t seq)
{
	uint64_t word;

	raw_publish(&r[0], seq, FOS_META_MSG, &seq, sizeof(seq));
	if (raw_poll(r[1].fd, POLLIN) != POLLIN || !raw_published(&r[1], seq))
		return false;
	if (!raw_claim(&r[1], seq, FOS_CLAIM_DONE))
		return false;
	return !raw_withdraw(&r[0], seq, &word) &&
	       word == FOS_CLAIM(seq, FOS_CLAIM_DONE);
}

TEST_F_TIMEOUT(hostile, a_scribbling_peer_gets_documented_errors_only, 240)
{
	uint64_t seed = rnd_seed("victim"), n = rounds(20000), seq;
	uint64_t *stop = shared(sizeof(*stop));
	struct raw third[2], r;
	int fd[2];
	pid_t pid;

	ASSERT_NE(NULL, stop);
	ASSERT_EQ(0, raw_create(DEPTH, AREA, fd));
	ASSERT_EQ(0, raw_pair(third, DEPTH, AREA));
	pid = spawn();
	if (!pid)
		_exit(scribbler(fd[1], stop));
	ASSERT_EQ(0, raw_map(&r, fd[0]));
	for (seq = FIRST; seq < FIRST + n; seq++) {
		ASSERT_TRUE(victim_step(&r, seq, &seed))
			TH_LOG("round %llu", (long long)seq);
		ASSERT_TRUE(third_party_works(third, seq))
			TH_LOG("round %llu", (long long)seq);
	}
	__atomic_store_n(stop, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, reap(pid));
	EXPECT_FALSE(raw_dead(r.kside));
}

/* A process that has the descriptor and not the mapping. */
static int outsider(struct raw r)
{
	uint64_t seed = 7, word;
	long ret;
	int i;

	for (i = 0; i < 2000; i++) {
		ret = raw_bell_wait(&r, rnd(&seed) & FOS_WANT_ALL,
				    rnd(&seed) & FOS_WANT_PUBLISHED,
				    rnd_below(&seed, 3), FIRST,
				    now_ns() + rnd_below(&seed, 20000));
		if (ret && ret != -ETIMEDOUT && ret != -EPERM)
			return 1;
		ret = raw_withdraw(&r, rnd(&seed) >> rnd_below(&seed, 64) >> 2,
				   &word);
		if (ret != -EPERM)
			return 2;
	}
	return 0;
}

TEST_F(hostile, whoever_holds_a_copy_of_an_endpoint_harms_only_it)
{
	struct raw third[2];
	pid_t pid;

	ASSERT_EQ(0, raw_pair(third, DEPTH, AREA));
	pid = spawn();
	if (!pid)
		_exit(outsider(self->peer));
	EXPECT_EQ(0, reap(pid));
	EXPECT_FALSE(raw_dead(self->peer.kside));
	EXPECT_FALSE(raw_dead(self->victim.kside));
	EXPECT_TRUE(third_party_works(third, FIRST));
	EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->victim, 0, FOS_WANT_MSG,
					    0, 0, in_ms(5)));
}

/* ---- any arguments ---------------------------------------------------- */

static const unsigned int cmds[] = {
	FOS_IOC_CORE_QUERY, FOS_IOC_CHAN_CREATE, FOS_IOC_CHAN_BELL_WAIT,
	FOS_IOC_CHAN_WITHDRAW, FOS_IOC_REGION_CREATE, FOS_IOC_REGION_SHARE,
	FOS_IOC_TLB_PROTECTV,
};

union args {
	struct fos_chan_create create;
	struct fos_chan_bell_wait bell_wait;
	struct fos_region_create region;
	struct fos_region_share share;
	struct fos_tlb_protectv protectv;
	uint64_t words[32];
};

/* Mostly small, so that something gets past the first check. */
static uint64_t any_word(uint64_t *seed)
{
	uint64_t word = rnd(seed);

	return rnd_below(seed, 4) ? word & rnd_below(seed, 64) : word;
}

#define ANY_RANGES	16
static struct fos_tlb_range any_ranges[ANY_RANGES];

static void make_ranges(struct fos_tlb_protectv *a, uint64_t *seed)
{
	int i;

	for (i = 0; i < ANY_RANGES; i++)
		any_ranges[i] = (struct fos_tlb_range) {
			.offset = any_word(seed) & -PAGE,
			.len = any_word(seed) & -PAGE,
			.rights = any_word(seed) & 7,
		};
	a->ranges = (uintptr_t)any_ranges;
	a->count = rnd_below(seed, ANY_RANGES + 1);
}

static long any_ioctl(int fd, unsigned int cmd, uint64_t *seed)
{
	unsigned int size = _IOC_SIZE(cmd) + 8 * rnd_below(seed, 3), i;
	union args a = {};
	long ret;

	for (i = 0; i < size / 8; i++)
		a.words[i] = any_word(seed);
	/* The only wait without an end would be one asked for. */
	if (cmd == FOS_IOC_CHAN_BELL_WAIT)
		a.bell_wait.deadline_ns = rnd_below(seed, now_ns());
	if (cmd == FOS_IOC_TLB_PROTECTV && rnd_below(seed, 4))
		make_ranges(&a.protectv, seed);
	ret = RESULT(ioctl(fd, _IOC(_IOC_DIR(cmd), FOS_IOC_MAGIC, _IOC_NR(cmd),
				    size), &a));
	if (!ret && cmd == FOS_IOC_CHAN_CREATE) {
		close(a.create.fd[0]);
		close(a.create.fd[1]);
	} else if (!ret && cmd == FOS_IOC_REGION_CREATE) {
		close(a.region.fd);
	} else if (!ret && cmd == FOS_IOC_REGION_SHARE) {
		close(a.share.fd);
	}
	return ret;
}

static long any_advice(int fd, uint64_t *seed)
{
	int advice = any_word(seed) | (rnd(seed) & FOS_ADVICE_BELL_WAIT) |
		     any_word(seed) << 8;

	return -posix_fadvise(fd, any_word(seed), rnd_below(seed, now_ns()),
			      advice);
}

/* No errno but these is documented. */
static bool is_documented(long ret)
{
	static const int ok[] = {
		0, EINVAL, EFAULT, E2BIG, ENOTTY, ETIMEDOUT, EPROTO, EBADF,
		ENOMEM, EPERM,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ok); i++)
		if (ret == -ok[i])
			return true;
	return false;
}

TEST_F_TIMEOUT(hostile, random_arguments_get_documented_errors_only, 240)
{
	uint64_t seed = rnd_seed("random arguments");
	int fd[] = { open(NODE, O_RDWR), self->peer.fd, make_region(4 * PAGE) };
	char *base = map_region(fd[2], 4 * PAGE, RW);
	long n = rounds(20000), live, i, ret;
	int which;

	ASSERT_NE(MAP_FAILED, base);
	memset(base, 1, 4 * PAGE);
	live = objects_settled();
	for (i = 0; i < n; i++) {
		which = rnd_below(&seed, ARRAY_SIZE(cmds) + 1);
		if (which < (int)ARRAY_SIZE(cmds))
			ret = any_ioctl(fd[i % ARRAY_SIZE(fd)], cmds[which], &seed);
		else
			ret = any_advice(self->peer.fd, &seed);
		ASSERT_TRUE(is_documented(ret))
			TH_LOG("call %d returned %ld in round %ld", which, ret,
			       i);
	}
	EXPECT_EQ(live, objects_left(live));
	EXPECT_FALSE(raw_dead(self->victim.kside));
}

TEST_HARNESS_MAIN
