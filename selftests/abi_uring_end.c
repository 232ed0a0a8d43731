// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings and tasks that go while commands are held: what was submitted is done, and a
 * death is not hidden.
 *
 * budget: 600 s
 */
#include "abi_uring.h"

TEST_F(ring, a_ring_that_goes_leaves_nothing_undone)
{
	const struct fos_tlb_range r = range_of(0, 1, RIGHTS_RO);
	struct fos_tlb_submit a = batch(&r, 1, LATE);
	struct io_uring ring;

	ASSERT_TRUE(open_ring(&ring, self->kind));
	ASSERT_EQ(0, submit_one(&ring, ring_ioctl(&ring, self->fd,
						  FOS_IOC_TLB_SUBMIT, &a),
				self->kind->flags));
	ASSERT_NE(0, ticket_of(&a));
	io_uring_queue_exit(&ring);
	EXPECT_EQ(0, await(self->fd, a.ticket));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
}

/* Batches, bells and a poll under way for as long as it lives; how often it submitted. */
static void live(uint64_t *submitted, struct raw *mine, int region,
		 const struct kind *k)
{
	static struct fos_tlb_submit a[16];
	static struct fos_tlb_range r[16];
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	uint64_t seed = getpid();
	unsigned int i;

	if (!open_ring(&ring, k))
		_exit(1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_add(sqe, mine->fd, POLLIN);
	for (;;) {
		for (i = 0; i < 16; i++) {
			r[i] = range_of(rnd_below(&seed, PAGES), 1, RIGHTS_RO);
			a[i] = batch(&r[i], 1, rnd_below(&seed, 2) ? LATE : 0);
			sqe = i % 4 == 3 ?
			      ring_bell(&ring, mine->fd, BELL(FOS_WANT_MSG)) :
			      ring_ioctl(&ring, region, FOS_IOC_TLB_SUBMIT, &a[i]);
			if (sqe)
				sqe->flags |= k->flags;
		}
		io_uring_submit(&ring);
		__atomic_fetch_add(submitted, 1, __ATOMIC_RELEASE);
		io_uring_get_events(&ring);
		io_uring_cq_advance(&ring, io_uring_cq_ready(&ring));
	}
}

/* Both ends of a channel, one of them attached by a child that is then killed. */
static int kill_one(const struct kind *k, int region, uint64_t *seed)
{
	uint64_t *submitted = shared(sizeof(*submitted));
	struct raw mine, peer;
	int fd[2], ret = 0;
	uint64_t end;
	pid_t pid;

	if (raw_create(DEPTH, 0, fd) || raw_map(&peer, fd[0]))
		return 1;
	pid = spawn();
	if (!pid) {
		if (raw_map(&mine, fd[1]))
			_exit(1);
		live(submitted, &mine, region, k);
	}
	end = in_ms(HANG_MS);
	while (!__atomic_load_n(submitted, __ATOMIC_ACQUIRE) &&
	       now_ns() < end)
		nap_us(100);
	nap_us(rnd_below(seed, 3000));
	kill(pid, SIGKILL);
	/* Its copy of my descriptor does not count: it had it mapped. */
	end = in_ms(HANG_MS);
	while (!raw_dead(peer.peer_kside) && now_ns() < end)
		nap_us(50);
	if (!raw_dead(peer.peer_kside))
		ret = 2;
	if (waitpid(pid, NULL, 0) != pid)
		ret = 3;
	raw_unmap(&peer);
	close(fd[0]);
	close(fd[1]);
	munmap(submitted, sizeof(*submitted));
	return ret;
}

TEST_F_TIMEOUT(ring, who_is_killed_with_commands_in_flight_is_seen_to_die, 500)
{
	uint64_t seed = rnd_seed("killed"), ticket;
	const long n = rounds(400), before = objects_settled();
	long i;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, kill_one(self->kind, self->fd, &seed)) {
			TH_LOG("round %ld", i);
		}
	}
	/* All that they left is applied, and then what comes now. */
	ticket = submit(self->fd, 0, PAGES, RIGHTS_RO, 0);
	EXPECT_EQ(0, await(self->fd, ticket));
	EXPECT_EQ(SIGSEGV, store_at(self->base));
	EXPECT_EQ(before, objects_left(before));
}

TEST_HARNESS_MAIN
