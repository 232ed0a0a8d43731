// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors and a peer who is killed, who lies, or who floods the socket: a
 * receiver never waits for him, takes nobody's descriptors for another's, and keeps
 * none.
 *
 * (Not under tsan, which does not see descriptors come and go by system calls.)
 *
 * gates: asan
 */
#include "msg_fds.h"
#include "kselftest_harness.h"

FIXTURE(msg_fds_hostile) {
	int fd[2];
	int before;
};

FIXTURE_VARIANT(msg_fds_hostile) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(msg_fds_hostile, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(msg_fds_hostile, spin) { .spin = FOS_SPIN_ALWAYS };

FIXTURE_SETUP(msg_fds_hostile)
{
	ASSERT_TRUE(meet(self->fd, variant->spin));
	ASSERT_TRUE(attach_both(self->fd));
	self->before = settled();
}

FIXTURE_TEARDOWN(msg_fds_hostile)
{
	fos_close(self->fd[0]);
	fos_close(self->fd[1]);
}

/* Does it work as ever, and is nothing left? */
static bool is_well(int fd[2], int before)
{
	struct parcel out, in;
	struct async s;
	bool well;

	to_send(&out, "ok", 2);
	with_fd(&out, numbered(42));
	s = sending(fd[0], &out);
	start(&s);
	well = take(fd[1], &in) == 2 && finish(&s) == 2 && in.m.nfds == 1 &&
	       number(in.fds[0]) == 42;
	close(out.fds[0]);
	return well && count_open() == before;
}

/* ---- the packet, read from the receiver's socket before he does -------- */

struct packet {
	uint64_t word[4];
	ssize_t len;
};

static void steal(struct packet *p)
{
	p->len = -1;
	if (wait_poll(companion(false), POLLIN) >= 0)
		p->len = recv(companion(false), p->word, sizeof(p->word), 0);
}

static void inject(const struct packet *p, int fd, int copies)
{
	send_copies(companion(true), p->word, p->len, fd, copies);
}

/* What comes instead; the number that is then received, or -errno. */
static long instead(int fd[2], void (*lie)(struct packet *p, int fd), int other)
{
	struct parcel out, in;
	struct packet p;
	struct async s;
	long ret;

	to_send(&out, "x", 1);
	with_fd(&out, numbered(1));
	with_fd(&out, numbered(2));
	s = sending(fd[0], &out);
	start(&s);
	steal(&p);
	if (p.len == sizeof(p.word))
		lie(&p, other);
	ret = take(fd[1], &in);
	if (ret >= 0)
		ret = number(in.fds[0]) << 8 | number(in.fds[1]);
	if (finish(&s) != (ret < 0 ? -EMSGSIZE : 1))
		ret = -EBADMSG;
	close(out.fds[0]);
	close(out.fds[1]);
	return ret;
}

static void nothing_comes(struct packet *p UNUSED, int fd UNUSED)
{
}

static void of_another_message(struct packet *p, int fd)
{
	p->word[1]++;
	inject(p, fd, 2);
}

static void of_another_attempt(struct packet *p, int fd)
{
	p->word[2]++;
	inject(p, fd, 2);
}

static void of_a_reply(struct packet *p, int fd)
{
	p->word[0] ^= 2ULL << 32;
	inject(p, fd, 2);
}

static void too_few(struct packet *p, int fd)
{
	inject(p, fd, 1);
}

static void too_many(struct packet *p, int fd)
{
	inject(p, fd, 3);
}

static void very_many(struct packet *p, int fd)
{
	inject(p, fd, 250);
}

static void none(struct packet *p, int fd UNUSED)
{
	inject(p, 0, 0);
}

static void short_packet(struct packet *p, int fd)
{
	p->len = 20;
	inject(p, fd, 2);
}

static void of_another_version(struct packet *p, int fd)
{
	p->word[0]++;
	inject(p, fd, 2);
}

static void says_less(struct packet *p, int fd)
{
	p->word[3] = 1;
	inject(p, fd, 1);
}

static void says_a_million(struct packet *p, int fd)
{
	p->word[3] = 1000000;
	inject(p, fd, 2);
}

static void every_name(struct packet *p, int fd)
{
	uint64_t i;

	for (i = 0; i < 40; i++) {
		p->word[1] = i;
		inject(p, fd, 8);
		p->word[0] ^= 2ULL << 32;
	}
}

TEST_F(msg_fds_hostile, what_is_announced_and_does_not_come_is_eproto)
{
	static void (*const lies[])(struct packet *p, int fd) = {
		nothing_comes, of_another_message, of_another_attempt,
		of_a_reply, too_few, very_many, none, short_packet,
		of_another_version, says_less, says_a_million, every_name,
	};
	const int other = numbered(9);
	size_t i;

	self->before++;
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		EXPECT_EQ(-EPROTO, instead(self->fd, lies[i], other))
			TH_LOG("lie %zu", i);
		/* At most one for each slot is put by. */
		EXPECT_GE(self->before + DEPTH * FOS_MSG_FDS, count_open());
	}
	for (i = 0; i <= DEPTH; i++)
		is_well(self->fd, self->before);
	EXPECT_TRUE(is_well(self->fd, self->before));
	close(other);
}

/* It was the sender's own that he changed: those are what comes. */
static void others(struct packet *p, int fd)
{
	inject(p, fd, 2);
}

static void twice(struct packet *p, int fd)
{
	inject(p, fd, 2);
	inject(p, fd, 2);
}

static void after_rubbish(struct packet *p, int fd)
{
	static const struct packet rubbish = { .len = 32 };
	static const struct packet tiny = { .len = 1 };
	int i;

	for (i = 0; i < 20; i++) {
		inject(&rubbish, fd, i);
		inject(&tiny, fd, 200);
	}
	inject(p, fd, 2);
}

TEST_F(msg_fds_hostile, what_nobody_announced_is_dropped)
{
	const int other = numbered(9);

	self->before++;
	EXPECT_EQ(0x909, instead(self->fd, others, other));
	EXPECT_EQ(0x909, instead(self->fd, twice, other));
	EXPECT_TRUE(is_well(self->fd, self->before));
	EXPECT_EQ(0x909, instead(self->fd, after_rubbish, other));
	EXPECT_TRUE(is_well(self->fd, self->before));
	/* More than was said: the first of them, or an error. */
	EXPECT_NE(-EBADMSG, instead(self->fd, too_many, other));
	EXPECT_TRUE(is_well(self->fd, self->before));
	close(other);
}

/* For as long as it takes, from a process of its own. */
TEST_F_TIMEOUT(msg_fds_hostile, a_flood_does_not_keep_a_receiver, 200)
{
	struct packet p = { .word = { 0x31736466 }, .len = 32 };
	struct parcel out, in;
	uint64_t i, fine = 0;
	struct async s;
	long ret;
	pid_t pid = spawn();

	if (!pid) {
		for (i = 0;; i++) {
			p.word[1] = i % 3 ? i : DEPTH + i % DEPTH;
			p.word[3] = i % 9;
			inject(&p, 0, i % 5);
		}
	}
	for (i = 0; i < 50; i++) {
		EXPECT_EQ(-ETIMEDOUT, take_in(self->fd[1], &in, 0));
		to_send(&out, "x", 1);
		with_fd(&out, numbered(i));
		s = sending(self->fd[0], &out);
		s.deadline_ms = 100;
		start(&s);
		ret = take_in(self->fd[1], &in, 100);
		/* They fill the same socket. */
		if (finish(&s) == 1) {
			EXPECT_EQ(1, ret);
			EXPECT_EQ(i, number(in.fds[0]));
			fine++;
		}
		EXPECT_TRUE(s.ret == 1 || s.ret == -ENOBUFS ||
			    s.ret == -ETIMEDOUT || s.ret == -EMSGSIZE)
			TH_LOG("%ld, %ld", s.ret, ret);
		close(out.fds[0]);
		EXPECT_GE(self->before + 2 * DEPTH * FOS_MSG_FDS, count_open());
	}
	printf("# %llu of 50 came through\n", (unsigned long long)fine);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), kill_and_reap(pid));
	EXPECT_EQ(0, fos_close(self->fd[1]));
	EXPECT_EQ(0, fos_close(self->fd[0]));
	EXPECT_GT(self->before, count_open());
}

/* ---- who is killed ---------------------------------------------------- */

/* A sender in another process, which is killed at any moment. */
TEST_F_TIMEOUT(msg_fds_hostile, a_sender_may_be_killed_at_any_moment, 200)
{
	uint64_t seed = rnd_seed("kill"), took = 0;
	long i, n = rounds(100);
	struct parcel out, in;
	uint64_t id, k;
	pid_t pid;
	int fd[2];
	long ret;

	for (i = 0; i < n; i++) {
		ASSERT_TRUE(meet(fd, variant->spin));
		pid = spawn();
		if (!pid) {
			for (id = 0;; id++) {
				to_send(&out, &id, sizeof(id));
				while (out.m.nfds < 1 + id % 3)
					with_fd(&out, numbered(id));
				if (fos_sendmsg(fd[0], &out.m, 0, NULL) < 0)
					_exit(1);
				while (out.m.nfds)
					close(out.fds[--out.m.nfds]);
			}
		}
		EXPECT_EQ(0, fos_close(fd[0]));
		for (k = rnd_below(&seed, 20); k; k--) {
			ASSERT_EQ(8, take(fd[1], &in));
			while (in.m.nfds)
				close(in.fds[--in.m.nfds]);
		}
		nap_us(rnd_below(&seed, 300));
		EXPECT_EQ(REAP_SIGNAL(SIGKILL), kill_and_reap(pid));
		while ((ret = take(fd[1], &in)) >= 0) {
			memcpy(&id, in.bytes, sizeof(id));
			EXPECT_EQ(1 + id % 3, in.m.nfds);
			while (in.m.nfds)
				EXPECT_EQ(id, number(in.fds[--in.m.nfds]));
			took++;
		}
		EXPECT_EQ(-EPIPE, ret);
		EXPECT_EQ(0, fos_close(fd[1]));
	}
	printf("# %llu taken from the dead\n", (unsigned long long)took);
	EXPECT_TRUE(is_well(self->fd, self->before));
}

/* A receiver: what lies in his socket is closed with him. */
TEST_F(msg_fds_hostile, a_receiver_may_be_killed_before_he_takes)
{
	struct parcel out, in;
	uint64_t *ready = shared(4096);
	struct async s;
	int fd[2], p[2];
	pid_t pid;

	ASSERT_TRUE(meet(fd, variant->spin));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	pid = spawn();
	if (!pid) {
		close(p[1]);
		fos_close(fd[0]);
		take_in(fd[1], &in, 0);
		__atomic_store_n(ready, 1, __ATOMIC_RELEASE);
		pause();
	}
	EXPECT_EQ(0, fos_close(fd[1]));
	ASSERT_TRUE(wait_for(ready, 1));
	munmap(ready, 4096);
	to_send(&out, NULL, 0);
	with_fd(&out, p[1]);
	s = sending(fd[0], &out);
	start(&s);
	ASSERT_TRUE(wait_for(&s.tid, 1));
	nap_us(20000);
	EXPECT_EQ(REAP_SIGNAL(SIGKILL), kill_and_reap(pid));
	EXPECT_EQ(-EPIPE, finish(&s));
	close(p[1]);
	EXPECT_TRUE(ended(p[0]));
	close(p[0]);
	EXPECT_EQ(0, fos_close(fd[0]));
	EXPECT_TRUE(is_well(self->fd, self->before));
}

/* ---- whose companion it is -------------------------------------------- */

TEST_F(msg_fds_hostile, ends_that_were_never_used_leave_nothing)
{
	int fd[2], again, i;

	for (i = 0; i < 50; i++) {
		ASSERT_TRUE(meet(fd, variant->spin));
		again = dup(fd[0]);
		EXPECT_EQ(0, fos_close(fd[0]));
		EXPECT_EQ(0, fos_close(fd[1]));
		EXPECT_EQ(self->before + 2, count_open());
		EXPECT_EQ(0, fos_close(again));
		EXPECT_EQ(self->before, count_open());
	}
	/* Behind our back: some later meeting notices. */
	for (i = 0; i < 50; i++) {
		ASSERT_TRUE(meet(fd, variant->spin));
		close(fd[0]);
		close(fd[1]);
	}
	EXPECT_GE(self->before + 10, count_open()) TH_LOG("%d", count_open());
}

/* The parent accepts and lets go, a child serves, as servers do. */
TEST_F(msg_fds_hostile, a_child_has_what_was_accepted_for_him)
{
	struct parcel out, in, got;
	pid_t pid;
	int fd[2];

	ASSERT_TRUE(meet(fd, variant->spin));
	pid = spawn();
	if (!pid) {
		fos_close(fd[0]);
		if (take(fd[1], &in) != 1 || in.m.nfds != 1)
			_exit(1);
		to_send(&out, NULL, 0);
		out.m.token = in.m.token;
		with_fd(&out, in.fds[0]);
		_exit(fos_sendmsg(fd[1], &out.m, 0, NULL) ? errno : 0);
	}
	EXPECT_EQ(0, fos_close(fd[1]));
	to_send(&out, "x", 1);
	with_fd(&out, numbered(5));
	EXPECT_EQ(0, RESULT(fos_callmsg(fd[0], &out.m, to_receive(&got), NULL)));
	ASSERT_EQ(1, got.m.nfds);
	EXPECT_EQ(5, number(got.fds[0]));
	close(out.fds[0]);
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, fos_close(fd[0]));
	EXPECT_EQ(self->before, count_open());
}

TEST_HARNESS_MAIN
