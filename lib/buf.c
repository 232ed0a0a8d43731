// SPDX-License-Identifier: MIT
#include "buf.h"

#include "out.h"

#define STORE_REL(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

static struct fos_mine *mine_of(struct fos_ep *ep, const struct fos_lent *lent)
{
	return &ep->lend.mine[FOS_LENT_SLOT(lent->handle)];
}

static inline bool is_buffer(const struct fos_block *block)
{
	return block->owner >> 62 == 1;
}

static inline uint32_t slot_of(const struct fos_block *block)
{
	return block->owner & ~OUT_BUFFER;
}

/* ---- sending ---------------------------------------------------------- */

static inline uint64_t offset_of(const struct op *op, const void *at)
{
	return (uintptr_t)at - (uintptr_t)op->r->m.my_area;
}

/* With the lock: the block of the program's own buffer that has @offset. */
static const struct fos_block *find_mine(struct op *op, uint64_t offset)
{
	const struct fos_block *block = fos_area_at(&op->ep->area, offset);

	if (!block || !is_buffer(block) ||
	    op->ep->lend.mine[slot_of(block)].state != FOS_BUF_OWN)
		return NULL;
	return block;
}

static int lend(struct op *op, const struct iovec *piece, struct fos_lent *lent)
{
	const uint64_t offset = offset_of(op, piece->iov_base);
	const struct fos_block *block = find_mine(op, offset);
	struct fos_lend *l = &op->ep->lend;
	uint32_t slot;

	if (!block || !piece->iov_len ||
	    piece->iov_len > block->len - (offset - block->offset))
		return -EINVAL;
	slot = slot_of(block);
	l->mine[slot].state = FOS_BUF_SENDING;
	/* A new one each time: that he gave it back before means nothing. */
	l->mine[slot].handle = ++l->count << 8 | slot;
	*lent = (struct fos_lent) {
		.handle = l->mine[slot].handle,
		.offset = offset,
		.len = piece->iov_len,
	};
	return 0;
}

int buf_lend(struct op *op, struct out *out, struct lending *lending)
{
	const struct fos_msg *m = out->msg;
	int ret = 0;

	if (!(out->meta & FOS_META_LENT))
		return 0;
	lending->n = 0;
	lending->error = 0;
	pthread_mutex_lock(&op->ep->area_lock);
	while (!ret && lending->n < m->nbufs) {
		ret = lend(op, &m->bufs[lending->n],
			   &lending->lent[lending->n]);
		lending->n += !ret;
	}
	pthread_mutex_unlock(&op->ep->area_lock);
	if (ret)
		buf_lent_now(op, lending, false);
	else
		out->lending = lending;
	return ret;
}

FOS_APART void buf_lent_now(struct op *op, const struct lending *lending,
			    bool gone)
{
	uint32_t i;

	for (i = 0; i < lending->n; i++)
		STORE_REL(&mine_of(op->ep, &lending->lent[i])->state,
			  gone && !lending->error ? FOS_BUF_LENT : FOS_BUF_OWN);
}

/* ---- room for them ---------------------------------------------------- */

static int place(struct op *op, size_t len, void **buf)
{
	const uint64_t align = len < FOS_PAGE_BYTES ? 1 : FOS_PAGE_BYTES;
	struct fos_area *area = &op->ep->area;
	uint64_t offset;
	uint32_t at;
	int slot;

	out_sweep(op);
	if (!fos_area_find(area, len, align, &offset, &at))
		return -EAGAIN;
	slot = fos_lend_take(&op->ep->lend, op->r->m.depth);
	if (slot < 0)
		return slot;
	fos_area_insert(area, at, offset, len, OUT_BUFFER | slot);
	*buf = op->r->m.my_area + offset;
	return 0;
}

static int try_place(struct op *op, size_t len, void **buf)
{
	int ret;

	if (fos_ring_peer_dead(op->r))
		return -EPIPE;
	pthread_mutex_lock(&op->ep->area_lock);
	ret = place(op, len, buf);
	pthread_mutex_unlock(&op->ep->area_lock);
	return ret;
}

static FOS_COLD int wait_place(struct op *op, size_t len, void **buf)
{
	uint64_t sum;
	int ret;

	do {
		/* What we shall wait on, and then one more look. */
		sum = fos_ring_claims_sum(op->r);
		ret = try_place(op, len, buf);
		if (ret != -EAGAIN)
			return ret;
		ret = out_wait_claims(op, sum);
	} while (!ret);
	return ret;
}

/* ---- what people call ------------------------------------------------- */

static int alloc(struct op *op, size_t len, int flags, void **buf)
{
	int ret = -EMSGSIZE;

	if (len <= op->r->m.area_bytes)
		ret = try_place(op, len, buf);
	if (ret == -EAGAIN && !(flags & FOS_NONBLOCK))
		ret = wait_place(op, len, buf);
	return ret;
}

FOS_API void *fos_buf_alloc(int fd, size_t len, int flags,
			    const struct timespec *deadline)
{
	void *buf = NULL;
	struct op op;
	int ret;

	ret = (flags & ~FOS_NONBLOCK) || !len ? -EINVAL :
						op_begin(&op, fd, deadline);
	if (ret) {
		fos__ret(ret);
		return NULL;
	}
	return op_end(&op, alloc(&op, len, flags, &buf)) ? NULL : buf;
}

/* A buffer that was not sent. */
static int free_mine(struct op *op, uint64_t offset)
{
	const struct fos_block *block = find_mine(op, offset);

	if (!block)
		return -EINVAL;
	fos_lend_drop(&op->ep->lend, slot_of(block));
	fos_area_remove(&op->ep->area, block);
	return 0;
}

FOS_API int fos_buf_release(int fd, const void *buf)
{
	uint64_t offset;
	struct op op;
	int ret = op_begin(&op, fd, NULL);

	if (ret)
		return fos__ret(ret);
	offset = offset_of(&op, buf);
	if (offset < op.r->m.area_bytes) {
		pthread_mutex_lock(&op.ep->area_lock);
		ret = free_mine(&op, offset);
		pthread_mutex_unlock(&op.ep->area_lock);
	} else {
		ret = fos_lend_return(&op.ep->lend, op.r, buf, &op.bell);
	}
	return op_end(&op, ret);
}
