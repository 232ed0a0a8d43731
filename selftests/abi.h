/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's contract in the hand: raw ioctls, a raw mapping, and the few
 * lines that speak the protocol of the shared pages, honestly or not.
 */
#ifndef FOS_SELFTESTS_ABI_H
#define FOS_SELFTESTS_ABI_H

#include <linux/fastos.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "helpers.h"

#define NODE "/dev/fastos"

/* One end of a channel, mapped. */
struct raw {
	int fd;
	uint64_t id;
	uint32_t side;
	uint32_t depth;
	uint64_t area_bytes;
	size_t bytes;
	char *base;
	struct fos_line *line;
	struct fos_entry *entries;
	struct fos_entry *replies;
	uint64_t *released;
	uint64_t *claims;
	char *area;
	struct fos_line *peer_line;
	struct fos_entry *peer_entries;
	uint64_t *peer_claims;
	char *peer_area;
	struct fos_kside *kside;
	struct fos_kside *peer_kside;
};

/* 0, or an errno. */
static inline int raw_create(uint32_t depth, uint64_t area_bytes, int fd[2])
{
	struct fos_chan_create a = {
		.depth = depth,
		.area_bytes = area_bytes,
		.cookie = 0x5eed,
	};
	int node = open(NODE, O_RDWR | O_CLOEXEC);
	int ret;

	if (node < 0)
		return errno;
	ret = ioctl(node, FOS_IOC_CHAN_CREATE, &a) ? errno : 0;
	close(node);
	fd[0] = ret ? -1 : (int)a.fd[0];
	fd[1] = ret ? -1 : (int)a.fd[1];
	return ret;
}

static inline void raw_find_parts(struct raw *r)
{
	uint32_t me = r->side, peer = !r->side, d = r->depth;
	char *mine = r->base + FOS_CHAN_OFF_CONTROL(d, me);
	char *peers = r->base + FOS_CHAN_OFF_CONTROL(d, peer);
	char *kernel = r->base + FOS_CHAN_OFF_KERNEL(d);

	r->line = (void *)mine;
	r->entries = (void *)(mine + FOS_CHAN_ENTRIES);
	r->replies = (void *)(mine + FOS_CHAN_REPLIES(d));
	r->released = (void *)(mine + FOS_CHAN_RELEASED(d));
	r->claims = (void *)(r->base + FOS_CHAN_OFF_CLAIMS(d, me));
	r->area = r->base + FOS_CHAN_OFF_AREA(d, r->area_bytes, me);
	r->peer_line = (void *)peers;
	r->peer_entries = (void *)(peers + FOS_CHAN_ENTRIES);
	r->peer_claims = (void *)(r->base + FOS_CHAN_OFF_CLAIMS(d, peer));
	r->peer_area = r->base + FOS_CHAN_OFF_AREA(d, r->area_bytes, peer);
	r->kside = (void *)(kernel + me * sizeof(struct fos_kside));
	r->peer_kside = (void *)(kernel + peer * sizeof(struct fos_kside));
}

/* Attach.  0, or an errno. */
static inline int raw_map(struct raw *r, int fd)
{
	struct fos_core_query q = {};

	if (ioctl(fd, FOS_IOC_CORE_QUERY, &q))
		return errno;
	r->fd = fd;
	r->id = q.id;
	r->side = q.side;
	r->depth = q.depth;
	r->area_bytes = q.area_bytes;
	r->bytes = FOS_CHAN_MAP_BYTES(q.depth, q.area_bytes);
	r->base = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       0);
	if (r->base == MAP_FAILED)
		return errno;
	raw_find_parts(r);
	return 0;
}

/* Both ends in one process. */
static inline int raw_pair(struct raw r[2], uint32_t depth, uint64_t area)
{
	int fd[2] = { -1, -1 };
	int ret = raw_create(depth, area, fd);

	if (!ret)
		ret = raw_map(&r[0], fd[0]);
	return ret ? ret : raw_map(&r[1], fd[1]);
}

static inline void raw_unmap(struct raw *r)
{
	munmap(r->base, r->bytes);
	close(r->fd);
}

static inline uint64_t raw_state(const struct fos_kside *k)
{
	return __atomic_load_n(&k->state, __ATOMIC_ACQUIRE);
}

static inline bool raw_dead(const struct fos_kside *k)
{
	return raw_state(k) & FOS_STATE_DEAD;
}

/* ---- the protocol, the least that works ------------------------------- */

static inline uint32_t raw_slot(const struct raw *r, uint64_t seq)
{
	return seq % r->depth;
}

/* Publish an entry; what the peer must be rung for. */
static inline uint32_t raw_publish(struct raw *r, uint64_t seq, uint32_t meta,
				   const void *body, uint32_t len)
{
	struct fos_entry *e = &r->entries[raw_slot(r, seq)];

	e->token = 0;
	e->hint = 0;
	e->len = len;
	e->meta = meta;
	memcpy(e->body, body, len);
	__atomic_store_n(&e->seq, seq, __ATOMIC_RELEASE);
	__atomic_fetch_add(&r->line->events, 1, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&r->peer_kside->need_wakeup, __ATOMIC_RELAXED) &
	       (FOS_WANT_MSG << (meta & FOS_META_KIND));
}

/* Answer the peer's request; what he must be rung for. */
static inline uint32_t raw_reply(struct raw *r, uint64_t token)
{
	struct fos_entry *e = &r->replies[FOS_TOKEN_SLOT(token)];

	e->len = 0;
	e->meta = FOS_META_REPLY;
	__atomic_store_n(&e->seq, token, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&r->peer_kside->need_wakeup, __ATOMIC_SEQ_CST) &
	       (FOS_WANT_REPLY | FOS_WANT_REPLIES);
}

/* Say that the reply to my request was read. */
static inline void raw_release(struct raw *r, uint64_t token)
{
	__atomic_store_n(&r->released[FOS_TOKEN_SLOT(token)], token,
			 __ATOMIC_SEQ_CST);
}

static inline bool raw_published(const struct raw *r, uint64_t seq)
{
	return __atomic_load_n(&r->peer_entries[raw_slot(r, seq)].seq,
			       __ATOMIC_ACQUIRE) == seq;
}

/* Decide the peer's entry; false: the kernel had withdrawn it. */
static inline bool raw_claim(struct raw *r, uint64_t seq, unsigned int fate)
{
	uint64_t *claim = &r->claims[raw_slot(r, seq)];
	uint64_t word = __atomic_load_n(claim, __ATOMIC_RELAXED);

	do {
		if (FOS_CLAIM_SEQ(word) != seq - r->depth)
			return false;
	} while (!__atomic_compare_exchange_n(claim, &word,
					      FOS_CLAIM(seq, fate), false,
					      __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return true;
}

static inline uint64_t raw_fate(const struct raw *r, uint64_t seq)
{
	return __atomic_load_n(&r->peer_claims[raw_slot(r, seq)],
			       __ATOMIC_ACQUIRE);
}

/* 0, or -errno. */
static inline long raw_bell_wait(struct raw *r, uint32_t bell, uint32_t want,
				 uint64_t seen, uint64_t seq,
				 uint64_t deadline_ns)
{
	struct fos_chan_bell_wait a = {
		.bell = bell,
		.want = want,
		.seen = seen,
		.seq = seq,
		.deadline_ns = deadline_ns,
	};

	return RESULT(ioctl(r->fd, FOS_IOC_CHAN_BELL_WAIT, &a));
}

static inline long raw_bell(struct raw *r, uint32_t bell)
{
	return raw_bell_wait(r, bell, 0, 0, 0, 0);
}

/* Ring the sleepers of the own side. */
static inline long raw_bell_self(struct raw *r, uint32_t bell)
{
	struct fos_chan_bell_wait a = { .flags = FOS_BELL_SELF, .bell = bell };

	return RESULT(ioctl(r->fd, FOS_IOC_CHAN_BELL_WAIT, &a));
}

/* All that the peer's claims say if it released nothing, for FOS_WANT_CLAIMS. */
static inline uint64_t raw_claims_sum(const struct raw *r)
{
	uint64_t sum = 0;
	uint32_t slot;

	for (slot = 0; slot < r->depth; slot++)
		sum += __atomic_load_n(&r->peer_claims[slot], __ATOMIC_ACQUIRE);
	return sum;
}

static inline long raw_withdraw(struct raw *r, uint64_t seq, uint64_t *word)
{
	struct fos_chan_withdraw a = {
		.id = r->id,
		.side = r->side,
		.seq = seq,
	};
	long ret = RESULT(ioctl(r->fd, FOS_IOC_CHAN_WITHDRAW, &a));

	*word = a.word;
	return ret;
}

static inline uint64_t in_ms(long ms)
{
	return now_ns() + ms * 1000000ULL;
}

/* What a side's sleepers and pollers want, and of the replies which. */
static inline uint32_t all_wants_of(const struct raw *r)
{
	return __atomic_load_n(&r->kside->need_wakeup, __ATOMIC_ACQUIRE);
}

static inline uint32_t wants_of(const struct raw *r)
{
	return all_wants_of(r) & FOS_WANT_ALL;
}

/* Until the side wants exactly this; true if it came to that. */
static inline bool wait_wants(const struct raw *r, uint32_t wants)
{
	uint64_t end = in_ms(HANG_MS);

	while (wants_of(r) != wants && now_ns() < end)
		nap_us(200);
	return wants_of(r) == wants;
}

/* What poll() says right now. */
static inline int raw_poll(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

#endif
