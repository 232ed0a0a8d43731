// SPDX-License-Identifier: MIT
/* io_piece: memory that is registered with a thread's rings. */
#include "internal.h"
#include "io_ring.h"

/* Of one piece, says the kernel. */
#define BYTES_MAX	(1UL << 30)

static int set(struct io *io, int which, unsigned int i, struct piece piece)
{
	const struct iovec iov = { piece.at, piece.n };
	const int ret = io_uring_register_buffers_update_tag(&io->ring[which], i,
							     &iov, NULL, 1);

	return ret < 0 ? ret : 0;
}

static int add(struct io *io, int which, unsigned int i)
{
	struct io_uring *ring = &io->ring[which];
	int ret = 0;

	if (!io->has_table[which])
		ret = io_uring_register_buffers_sparse(ring, FOS_IO_PIECES);
	io->has_table[which] = !ret;
	if (!ret)
		ret = set(io, which, i, io->pieces[i]);
	if (!ret)
		io->registered[which] |= 1U << i;
	return ret;
}

void fos__io_register_all(struct io *io, int which)
{
	unsigned int i;

	for (i = 0; i < FOS_IO_PIECES; i++)
		if (io->pieces[i].at)
			add(io, which, i);
}

static bool is_in(const struct piece *piece, const char *at, size_t n)
{
	return at >= piece->at && n <= piece->n &&
	       (size_t)(at - piece->at) <= piece->n - n;
}

unsigned int fos__io_piece(const struct io *io, int which,
			   const struct fos_io_request *r)
{
	unsigned int i;

	if (!io->registered[which] || (r->op != FOS_IO_READ && r->op != FOS_IO_WRITE))
		return 0;
	for (i = 0; i < FOS_IO_PIECES; i++)
		if (io->registered[which] >> i & 1 &&
		    is_in(&io->pieces[i], r->iov->iov_base, r->iov->iov_len))
			return i + 1;
	return 0;
}

/* Its number, or -errno. */
static int free_piece(const struct io *io, const char *at, size_t n)
{
	int i, free = -EBUSY;

	for (i = FOS_IO_PIECES - 1; i >= 0; i--) {
		const struct piece *p = &io->pieces[i];

		if (!p->at)
			free = i;
		else if (at < p->at + p->n && p->at < at + n)
			return -EEXIST;
	}
	return free;
}

static int register_piece(char *at, size_t n)
{
	struct io *io = fos__io_mine();
	int i, which, ret;

	if (!io)
		return -ENOMEM;
	if (!fos__io_has(io, LOOKED_AT))
		return -EOPNOTSUPP;
	i = free_piece(io, at, n);
	if (i < 0)
		return i;
	io->pieces[i] = (struct piece) { at, n };
	ret = add(io, LOOKED_AT, i);
	if (ret) {
		io->pieces[i].at = NULL;
		return ret;
	}
	/* With the others as well, if it can be. */
	for (which = LOOKED_AT + 1; which < RINGS; which++)
		if (io->has[which])
			add(io, which, i);
	return 0;
}

static int unregister_piece(const char *at)
{
	struct io *io = at ? fos__io_mine() : NULL;
	int i = 0, which;

	while (io && i < FOS_IO_PIECES && io->pieces[i].at != at)
		i++;
	if (!io || i == FOS_IO_PIECES)
		return -ENOENT;
	for (which = 0; which < RINGS; which++) {
		if (io->registered[which] >> i & 1)
			set(io, which, i, (struct piece) { 0 });
		io->registered[which] &= ~(1U << i);
	}
	io->pieces[i].at = NULL;
	return 0;
}

FOS_API int fos_io_register(void *buf, size_t n)
{
	return fos__ret(!buf || !n || n > BYTES_MAX ? -EINVAL :
						      register_piece(buf, n));
}

FOS_API int fos_io_unregister(void *buf)
{
	return fos__ret(unregister_piece(buf));
}
