// SPDX-License-Identifier: GPL-2.0-only
/*
 * Withdrawing: the kernel settles whether a message was taken back before the
 * peer took it.
 */
#include "abi.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define AREA		4096
#define FIRST		((uint64_t)DEPTH)

FIXTURE(withdraw) {
	struct raw a;
	struct raw b;
};

FIXTURE_SETUP(withdraw)
{
	struct raw r[2];

	ASSERT_EQ(0, raw_pair(r, DEPTH, AREA));
	self->a = r[0];
	self->b = r[1];
}

FIXTURE_TEARDOWN(withdraw)
{
}

TEST_F(withdraw, what_nobody_took_can_be_withdrawn)
{
	uint64_t mine = FOS_CLAIM(FIRST, FOS_CLAIM_WITHDRAWN);
	uint64_t word = 0;

	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	EXPECT_EQ(0, raw_withdraw(&self->a, FIRST, &word));
	EXPECT_EQ(mine, word);
	EXPECT_EQ(mine, raw_fate(&self->a, FIRST));
	EXPECT_FALSE(raw_claim(&self->b, FIRST, FOS_CLAIM_TAKEN));
	/* Once more changes nothing. */
	EXPECT_EQ(0, raw_withdraw(&self->a, FIRST, &word));
	EXPECT_EQ(mine, word);
}

TEST_F(withdraw, what_was_decided_is_told_instead_of_withdrawn)
{
	unsigned int fate;
	uint64_t seq = FIRST, word;

	for (fate = FOS_CLAIM_TAKEN; fate <= FOS_CLAIM_REFUSED; fate++, seq++) {
		if (fate == FOS_CLAIM_WITHDRAWN)
			continue;
		raw_publish(&self->a, seq, FOS_META_MSG, "x", 1);
		ASSERT_TRUE(raw_claim(&self->b, seq, fate));
		EXPECT_EQ(0, raw_withdraw(&self->a, seq, &word));
		EXPECT_EQ(FOS_CLAIM(seq, fate), word);
		EXPECT_EQ(FOS_CLAIM(seq, fate), raw_fate(&self->a, seq));
	}
}

TEST_F(withdraw, nothing_is_withdrawn_from_another_endpoint)
{
	struct raw other[2], wrong;
	uint64_t word;

	ASSERT_EQ(0, raw_pair(other, DEPTH, AREA));
	raw_publish(&self->a, FIRST, FOS_META_MSG, "x", 1);
	wrong = self->a;
	wrong.id = other[0].id;
	EXPECT_EQ(-EBADF, raw_withdraw(&wrong, FIRST, &word));
	wrong = self->a;
	wrong.side = 1;
	EXPECT_EQ(-EBADF, raw_withdraw(&wrong, FIRST, &word));
	wrong = self->a;
	wrong.fd = other[0].fd;
	EXPECT_EQ(-EBADF, raw_withdraw(&wrong, FIRST, &word));
	EXPECT_TRUE(raw_claim(&self->b, FIRST, FOS_CLAIM_DONE));
}

/* My other threads may have used the slot again before I ask. */
TEST_F(withdraw, a_late_withdrawal_is_told_so_even_if_the_slot_was_used_again)
{
	uint64_t seq, word;

	for (seq = FIRST; seq <= FIRST + DEPTH; seq++) {
		raw_publish(&self->a, seq, FOS_META_MSG, "x", 1);
		ASSERT_TRUE(raw_claim(&self->b, seq, FOS_CLAIM_DONE));
	}
	EXPECT_EQ(0, raw_withdraw(&self->a, FIRST, &word));
	EXPECT_EQ(FOS_CLAIM(FIRST + DEPTH, FOS_CLAIM_DONE), word);
}

/* ---- against a taker ---------------------------------------------------- */

/* Up to @limit steps. */
static void dither(uint64_t *seed, unsigned int limit)
{
	volatile unsigned int n = rnd_below(seed, limit);

	while (n)
		n--;
}

struct tally {
	uint64_t ready;
	uint64_t stop;
	uint64_t taken;
	uint8_t was_taken[];
};

/* Take every entry that the sender leaves long enough. */
static int taker(int fd, struct tally *t)
{
	uint64_t pos = FIRST, seed = 2;
	struct raw r;

	if (raw_map(&r, fd))
		return 1;
	__atomic_store_n(&t->ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		if (FOS_CLAIM_SEQ(r.claims[raw_slot(&r, pos)]) >= pos) {
			pos++;
		} else if (raw_published(&r, pos)) {
			dither(&seed, 256);
			if (raw_claim(&r, pos, FOS_CLAIM_DONE)) {
				t->was_taken[pos]++;
				t->taken++;
			}
		}
	}
	return 0;
}

/* Publish and withdraw; how many withdrawals won, or -1. */
static long giver(struct raw *r, uint64_t n)
{
	uint64_t seed = rnd_seed("claim against withdrawal");
	unsigned int limit = 256;
	uint64_t seq, word;
	long withdrawn = 0;

	for (seq = FIRST; seq < FIRST + n; seq++) {
		raw_publish(r, seq, FOS_META_MSG, &seq, sizeof(seq));
		dither(&seed, limit);
		if (raw_withdraw(r, seq, &word) || word != raw_fate(r, seq) ||
		    FOS_CLAIM_SEQ(word) != seq)
			return -1;
		/* Whoever wins too often gets less time. */
		if ((word & FOS_CLAIM_FATE) == FOS_CLAIM_WITHDRAWN) {
			withdrawn++;
			limit += limit < 1 << 16 ? limit / 8 : 0;
		} else {
			limit -= limit > 64 ? limit / 8 : 0;
		}
	}
	return withdrawn;
}

TEST_F_TIMEOUT(withdraw, a_message_is_taken_or_withdrawn_and_never_both, 240)
{
	uint64_t n = rounds(50000), seq;
	struct tally *t = shared(sizeof(*t) + n + FIRST);
	long withdrawn;
	struct raw r;
	int fd[2];
	pid_t pid;

	ASSERT_NE(NULL, t);
	ASSERT_EQ(0, raw_create(DEPTH, 0, fd));
	pid = spawn();
	if (!pid)
		_exit(taker(fd[1], t));
	ASSERT_EQ(0, raw_map(&r, fd[0]));
	ASSERT_TRUE(wait_for(&t->ready, 1));
	withdrawn = giver(&r, n);
	__atomic_store_n(&t->stop, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, reap(pid));
	printf("# %llu taken, %ld withdrawn\n", (long long)t->taken,
	       withdrawn);
	EXPECT_EQ(n, t->taken + withdrawn);
	for (seq = FIRST; seq < FIRST + n; seq++)
		EXPECT_GE(1, t->was_taken[seq]);
	/* Both must have happened, or nothing was raced. */
	EXPECT_LT(0, withdrawn);
	EXPECT_LT(0, t->taken);
}

TEST_HARNESS_MAIN
