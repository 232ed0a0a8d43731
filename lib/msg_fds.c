// SPDX-License-Identifier: MIT
#include "msg_fds.h"

#include <fcntl.h>
#include <sys/socket.h>

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define STORE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)

_Static_assert(FOS_MSG_FDS == FOS_SENT_MAX, "descriptors of a message");
_Static_assert(FOS_MSG_FDS <= FOS_FDS_MAX, "descriptors of a packet");

/* Packets that one call looks at: a peer who floods the socket does not keep us. */
#define PACKETS_MAX	4096

/* Looks at a peer who has closed his companion, so is about to go: 2 ms. */
#define GOING_LOOKS	40

void fds_close(const int *fds, uint32_t n)
{
	while (n--)
		fos__close_fd(fds[n]);
}

/* Is it there, and still ours? */
static bool has_companion(const struct fos_comp *c)
{
	return c->fd >= 0 && fos__posix_is(c->fd, c->id);
}

/* ---- sending ---------------------------------------------------------- */

FOS_APART int fds_check(struct op *op, const struct fos_msg *m)
{
	uint32_t i;

	if (!has_companion(&op->ep->comp))
		return -EOPNOTSUPP;
	for (i = 0; i < m->nfds; i++)
		if (syscall(SYS_fcntl, m->fds[i], F_GETFD) < 0)
			return -EBADF;
	return 0;
}

void fds_fail(struct op *op)
{
	__atomic_fetch_add(&op->r->m.my_line->left_over, 1, __ATOMIC_RELAXED);
}

/* The peer has closed his: he is gone, or was handed the channel without it. */
static FOS_COLD int explain_closed(struct op *op)
{
	int looks;

	for (looks = 0; looks < GOING_LOOKS; looks++) {
		if (fos_ring_peer_dead(op->r))
			return -EPIPE;
		fos__nap();
	}
	return -EOPNOTSUPP;
}

static FOS_COLD int explain(struct op *op, int why)
{
	switch (why) {
	case -EPIPE:
	case -ECONNRESET:
	case -ENOTCONN:
		return explain_closed(op);
	case -EAGAIN:
		/* He is told to look. */
		fds_fail(op);
		return -ENOBUFS;
	default:
		return why;
	}
}

static int send_packet(struct op *op, uint32_t kind, uint64_t name,
		       const struct fos_msg *m, struct fos_sent *sent)
{
	struct fos_comp *c = &op->ep->comp;
	const struct fos_packet p = {
		.magic = FOS_PACKET_MAGIC,
		.kind = kind,
		.name = name,
		.stamp = __atomic_add_fetch(&c->stamp, 1, __ATOMIC_RELAXED),
		.count = m->nfds,
	};
	int ret = -EOPNOTSUPP;

	if (has_companion(c))
		ret = fos__send_fds(c->fd, &p, sizeof(p), m->fds, m->nfds);
	if (ret)
		return explain(op, ret);
	*sent = (struct fos_sent) { .stamp = p.stamp, .count = p.count };
	return 0;
}

FOS_APART void fds_go(struct op *op, const struct out *out)
{
	struct lending *l = out->lending;

	l->error = send_packet(op, FOS_META_MSG, out->seq, out->msg, &l->sent);
	if (!l->error)
		return;
	l->sent = (struct fos_sent) { 0 };
	op->deadline_ns = 0;
}

FOS_APART int fds_go_first(struct op *op, struct out *out)
{
	out->lending->sent = (struct fos_sent) { 0 };
	/* It will not be sent. */
	if (!out_fits(op, out) || fos_ring_peer_dead(op->r) ||
	    fos_ring_is_stale(op->r, out->token))
		return 0;
	return send_packet(op, FOS_META_REPLY, out->token, out->msg,
			   &out->lending->sent);
}

/* ---- receiving -------------------------------------------------------- */

void fds_lock(struct op *op)
{
	pthread_mutex_lock(&op->ep->comp.lock);
}

void fds_unlock(struct op *op)
{
	pthread_mutex_unlock(&op->ep->comp.lock);
}

static struct fos_parcel *parcel_of(struct op *op, uint32_t kind, uint64_t name)
{
	const uint32_t depth = op->r->m.depth;
	const bool reply = kind == FOS_META_REPLY;
	const uint32_t slot = reply ? FOS_TOKEN_SLOT(name) : name;

	return &op->ep->comp.stash[reply * depth + (slot & (depth - 1))];
}

static void open_parcel(struct fos_parcel *parcel)
{
	if (parcel->name)
		fds_close(parcel->fd, parcel->count);
	parcel->name = 0;
}

/* May somebody of mine take what has this name?  Each slot has one such. */
static bool is_wanted(struct op *op, uint32_t kind, uint64_t name)
{
	const uint32_t depth = op->r->m.depth;
	const uint32_t slot = FOS_TOKEN_SLOT(name);
	uint64_t word;

	if (!name)
		return false;
	if (kind == FOS_META_MSG) {
		word = LOAD(&op->r->m.my_claims[name & (depth - 1)]);
		return FOS_CLAIM_SEQ(word) == name - depth;
	}
	if (kind != FOS_META_REPLY || slot >= depth)
		return false;
	/* Who is about to give up takes it if it is there after all. */
	word = LOAD(&op->r->m.my_released[slot]);
	return (FOS_RELEASED_TOKEN(word) < name ||
		word == (name | FOS_RELEASED_GIVING_UP)) &&
	       (LOAD(&op->ep->calls.busy[slot / 64]) >> slot % 64 & 1);
}

static ssize_t receive(struct op *op, struct fos_packet *p, int flags)
{
	const int fd = op->ep->comp.fd;
	ssize_t n;

	/* A peer that left something unread leaves an error; then comes the rest. */
	do {
		n = syscall(SYS_recvfrom, fd, p, sizeof(*p),
			    flags | MSG_DONTWAIT | MSG_TRUNC, NULL, NULL);
	} while (n < 0 && (errno == ECONNRESET || errno == EINTR));
	return n;
}

/* The descriptors are closed by the kernel, and have never been ours. */
static void drop_packet(struct op *op)
{
	struct fos_packet p;

	receive(op, &p, 0);
}

/* The next packet that somebody may want; the others are dropped. */
static bool next_wanted(struct op *op, struct fos_packet *p, uint32_t *looked)
{
	ssize_t n;

	while ((*looked)++ < PACKETS_MAX && (n = receive(op, p, MSG_PEEK)) > 0) {
		if (n == sizeof(*p) && p->magic == FOS_PACKET_MAGIC &&
		    p->count && p->count <= FOS_SENT_MAX &&
		    is_wanted(op, p->kind, p->name))
			return true;
		drop_packet(op);
	}
	return false;
}

/* Put by what comes with it; it stays where it is if there is no room here. */
static int fetch(struct op *op, const struct fos_packet *p)
{
	struct fos_parcel *parcel = parcel_of(op, p->kind, p->name);
	int fd[FOS_SENT_MAX] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	int flags = MSG_PEEK | MSG_DONTWAIT;
	struct fos_packet same;
	uint32_t n = 0;
	ssize_t ret;

	ret = fos__recv_fds(op->ep->comp.fd, &same, sizeof(same), fd,
			    FOS_SENT_MAX, &flags);
	while (n < FOS_SENT_MAX && fd[n] >= 0)
		n++;
	if (n < p->count && (flags & MSG_CTRUNC)) {
		fds_close(fd, n);
		return -EMFILE;
	}
	drop_packet(op);
	if (ret != sizeof(same) || n != p->count) {
		fds_close(fd, n);
		return 0;
	}
	open_parcel(parcel);
	*parcel = (struct fos_parcel) {
		.name = p->name,
		.stamp = p->stamp,
		.count = n,
	};
	memcpy(parcel->fd, fd, sizeof(fd));
	return 0;
}

static bool is_here(struct op *op, const struct fds_name *name)
{
	const struct fos_parcel *p = parcel_of(op, name->kind, name->name);

	return p->name == name->name && p->stamp == name->sent.stamp &&
	       p->count == name->sent.count;
}

int fds_find(struct op *op, const struct fds_name *name)
{
	struct fos_comp *c = &op->ep->comp;
	uint32_t looked = 0;
	struct fos_packet p;
	int ret;

	if (!has_companion(c))
		return -EPROTO;
	ret = fos__comp_stash(c);
	while (!ret && !is_here(op, name))
		ret = next_wanted(op, &p, &looked) ? fetch(op, &p) : -EPROTO;
	return ret;
}

void fds_take(struct op *op, const struct fds_name *name, int *fds)
{
	struct fos_parcel *p = parcel_of(op, name->kind, name->name);
	uint32_t i;

	for (i = 0; i < p->count; i++) {
		fos__forget_fd(p->fd[i]);
		fds[i] = p->fd[i];
	}
	p->name = 0;
}

static void open_unwanted(struct op *op)
{
	const uint32_t depth = op->r->m.depth;
	struct fos_parcel *p = op->ep->comp.stash;
	uint32_t i;

	for (i = 0; p && i < 2 * depth; i++)
		if (p[i].name &&
		    !is_wanted(op, i < depth ? FOS_META_MSG : FOS_META_REPLY,
			       p[i].name))
			open_parcel(&p[i]);
}

FOS_APART void fds_drop(struct op *op)
{
	struct fos_packet p;
	uint32_t looked = 0;

	if (!has_companion(&op->ep->comp))
		return;
	fds_lock(op);
	next_wanted(op, &p, &looked);
	open_unwanted(op);
	fds_unlock(op);
}

FOS_APART void fds_look(struct op *op)
{
	const uint64_t left = LOAD(&op->r->m.peer_line->left_over);
	struct fos_comp *c = &op->ep->comp;

	if (left == LOAD(&c->seen) && !LOAD(&c->look))
		return;
	STORE(&c->seen, left);
	STORE(&c->look, false);
	fds_drop(op);
}
