// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for replies with raw ioctls: each caller has a slot of his own.  Both
 * ends are in one process; who sleeps is a thread.
 */
#include <fcntl.h>

#include "sleepers.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define AREA		4096
#define FIRST		((uint64_t)DEPTH)

FIXTURE(reply) {
	struct raw a;
	struct raw b;
};

FIXTURE_SETUP(reply)
{
	struct raw r[2];

	ASSERT_EQ(0, raw_pair(r, DEPTH, AREA));
	self->a = r[0];
	self->b = r[1];
}

FIXTURE_TEARDOWN(reply)
{
}

TEST_F(reply, nobody_sleeps_who_has_his_reply)
{
	const uint64_t token = FOS_TOKEN(FIRST, 2);

	EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->a, 0, FOS_WANT_REPLY, 0,
					    token, in_ms(1)));
	raw_reply(&self->b, token);
	EXPECT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_REPLY, 0, token,
				   NONE));
	EXPECT_EQ(0, -posix_fadvise(self->a.fd, token, NONE,
				    FOS_ADVICE(0, FOS_WANT_REPLY)));
	/* An older one is not his; after a later one there is none to come. */
	EXPECT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_REPLY, 0, token - 256,
				   NONE));
	EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->a, 0, FOS_WANT_REPLY, 0,
					    token + 256, in_ms(1)));
	EXPECT_EQ(-ETIMEDOUT, -posix_fadvise(self->a.fd, token + 1, in_ms(1),
					     FOS_ADVICE(0, FOS_WANT_REPLY)));
}

TEST_F(reply, a_bell_wakes_those_whose_reply_is_there)
{
	struct sleeper s[DEPTH];
	long wakes = stat_of("chan_wakes");
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		s[i] = (struct sleeper) {
			.r = &self->a,
			.want = FOS_WANT_REPLY,
			.seq = FOS_TOKEN(FIRST + i, i),
		};
		start(&s[i]);
	}
	ASSERT_TRUE(wait_sleepers(&self->a, DEPTH));
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_ALL));
	EXPECT_EQ(wakes, stat_of("chan_wakes"));
	EXPECT_EQ(FOS_WANT_REPLY, raw_reply(&self->b, s[2].seq));
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_REPLY));
	EXPECT_EQ(0, finish(&s[2]));
	EXPECT_EQ(wakes + 1, stat_of("chan_wakes"));
	for (i = 0; i < DEPTH; i++)
		if (i != 2)
			raw_reply(&self->b, s[i].seq);
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_REPLY));
	for (i = 0; i < DEPTH; i++)
		if (i != 2)
			EXPECT_EQ(0, finish(&s[i]));
	EXPECT_EQ(wakes + DEPTH, stat_of("chan_wakes"));
	EXPECT_EQ(0, wants_of(&self->a));
}

TEST_F(reply, need_wakeup_says_whose_replies_are_awaited)
{
	struct sleeper s[] = {
		{ .r = &self->a, .want = FOS_WANT_REPLY,
		  .seq = FOS_TOKEN(FIRST, 1) },
		{ .r = &self->a, .want = FOS_WANT_REPLY | FOS_WANT_MSG,
		  .seq = FOS_TOKEN(FIRST + 1, 3) },
	};
	const uint32_t both = FOS_WANT_SLOT(1) | FOS_WANT_SLOT(3);

	start(&s[0]);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_REPLY));
	EXPECT_EQ(FOS_WANT_REPLY | FOS_WANT_SLOT(1), all_wants_of(&self->a));
	start(&s[1]);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_REPLY | FOS_WANT_MSG));
	EXPECT_EQ(both, all_wants_of(&self->a) & ~FOS_WANT_ALL);
	raw_reply(&self->b, s[0].seq);
	raw_bell(&self->b, FOS_WANT_REPLY);
	EXPECT_EQ(0, finish(&s[0]));
	EXPECT_EQ(FOS_WANT_SLOT(3), all_wants_of(&self->a) & ~FOS_WANT_ALL);
	raw_reply(&self->b, s[1].seq);
	raw_bell(&self->b, FOS_WANT_REPLY);
	EXPECT_EQ(0, finish(&s[1]));
	EXPECT_EQ(0, all_wants_of(&self->a));
}

TEST_F(reply, any_reply_ends_the_sleep_that_wants_any)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_REPLIES };
	const uint64_t token = FOS_TOKEN(FIRST, 2);

	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_REPLIES));
	EXPECT_EQ(FOS_WANT_REPLIES, all_wants_of(&self->a));
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_REPLIES));
	EXPECT_EQ(FOS_WANT_REPLIES, wants_of(&self->a));
	EXPECT_EQ(FOS_WANT_REPLIES, raw_reply(&self->b, token));
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_REPLY));
	EXPECT_EQ(FOS_WANT_REPLIES, wants_of(&self->a));
	EXPECT_EQ(0, raw_bell(&self->b, FOS_WANT_REPLIES));
	EXPECT_EQ(0, finish(&s));
	/* The sum of all there are: it was seen before. */
	EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->a, 0, FOS_WANT_REPLIES, token,
					    0, in_ms(1)));
	EXPECT_EQ(0, -posix_fadvise(self->a.fd, 0, NONE,
				    FOS_ADVICE(0, FOS_WANT_REPLIES)));
}

TEST_F(reply, a_reply_is_no_message)
{
	struct sleeper s = { .r = &self->a, .want = FOS_WANT_PUBLISHED };

	start(&s);
	ASSERT_TRUE(wait_wants(&self->a, FOS_WANT_PUBLISHED));
	EXPECT_EQ(0, raw_reply(&self->b, FOS_TOKEN(FIRST, 0)));
	raw_bell(&self->b, FOS_WANT_ALL);
	EXPECT_EQ(0, raw_poll(self->a.fd, POLLIN));
	EXPECT_EQ(FOS_WANT_PUBLISHED, wants_of(&self->a));
	raw_publish(&self->b, FIRST, FOS_META_MSG, "x", 1);
	raw_bell(&self->b, FOS_WANT_MSG);
	EXPECT_EQ(0, finish(&s));
}

TEST_F(reply, a_release_ends_the_sleep_that_wants_claims)
{
	struct sleeper s = {
		.r = &self->b,
		.want = FOS_WANT_CLAIMS,
		.seen = raw_claims_sum(&self->b),
	};

	start(&s);
	ASSERT_TRUE(wait_wants(&self->b, FOS_WANT_CLAIMS));
	EXPECT_EQ(0, raw_bell(&self->a, FOS_WANT_CLAIMS));
	EXPECT_EQ(FOS_WANT_CLAIMS, wants_of(&self->b));
	raw_release(&self->a, FOS_TOKEN(FIRST, 1));
	EXPECT_EQ(0, raw_bell(&self->a, FOS_WANT_CLAIMS));
	EXPECT_EQ(0, finish(&s));
	EXPECT_EQ(-ETIMEDOUT, raw_bell_wait(&self->b, 0, FOS_WANT_CLAIMS,
					    s.seen + FOS_TOKEN(FIRST, 1), 0,
					    in_ms(1)));
}

TEST_F(reply, wanting_it_excludes_what_needs_another_argument)
{
	EXPECT_EQ(-EINVAL, raw_bell_wait(&self->a, 0, FOS_WANT_REPLY |
					 FOS_WANT_TAKE, 0, 0, in_ms(1)));
	EXPECT_EQ(-EINVAL, raw_bell_wait(&self->a, 0, FOS_WANT_REPLY |
					 FOS_WANT_ROOM, 0, 0, in_ms(1)));
	EXPECT_EQ(0, raw_bell_wait(&self->a, 0, FOS_WANT_REPLY |
				   FOS_WANT_MSG, 1, 0, NONE));
	EXPECT_EQ(-EINVAL, -posix_fadvise(self->a.fd, 0, in_ms(1),
					  FOS_ADVICE(0, FOS_WANT_REPLY |
						     FOS_WANT_MSG)));
	EXPECT_EQ(-EINVAL, -posix_fadvise(self->a.fd, 0, in_ms(1),
					  FOS_ADVICE(0, FOS_WANT_REPLY |
						     FOS_WANT_TAKE)));
	EXPECT_EQ(-EINVAL, raw_bell_wait(&self->a, 0, FOS_WANT_REPLIES |
					 FOS_WANT_CLAIMS, 0, 0, in_ms(1)));
	EXPECT_EQ(-EINVAL, raw_bell_wait(&self->a, 0, FOS_WANT_REPLIES |
					 FOS_WANT_MSG, 0, 0, in_ms(1)));
	EXPECT_EQ(-EINVAL, -posix_fadvise(self->a.fd, 0, in_ms(1),
					  FOS_ADVICE(0, FOS_WANT_REPLIES |
						     FOS_WANT_REPLY)));
}

TEST_F(reply, any_token_is_safe_to_wait_for)
{
	uint64_t seed = rnd_seed("tokens");
	int i;

	for (i = 0; i < 1000; i++)
		EXPECT_EQ(-ETIMEDOUT,
			  raw_bell_wait(&self->a, 0, FOS_WANT_REPLY, 0,
					rnd(&seed) | 1, now_ns()));
}

TEST_HARNESS_MAIN
