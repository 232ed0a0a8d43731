// SPDX-License-Identifier: MIT
/* uring: commands in the caller's io_uring. */
#include "bells.h"

#include <assert.h>
#include <liburing.h>
#include <stddef.h>

/* IORING_OP_URING_CMD with 16 bytes of payload. */
static void prep(struct io_uring_sqe *sqe, int fd, uint32_t op,
		 const void *payload)
{
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
	sqe->off = op;	/* cmd_op, and padding */
	memcpy(sqe->cmd, payload, 16);
}

static void prep_ioctl(struct io_uring_sqe *sqe, int fd, uint32_t op,
		       const void *args)
{
	const struct fos_uring_ioctl a = { .args = (uintptr_t)args };

	static_assert(sizeof(a) == 16, "payloads differ");
	prep(sqe, fd, op, &a);
}

/* ---- bells ------------------------------------------------------------ */

/* False: it cannot be, or there is no place. */
static bool prep_bell(struct io_uring *ring, struct fos_bell *b)
{
	struct fos_ep *ep = b->who.ep;
	struct io_uring_sqe *sqe = NULL;

	if (!fos__ep_again(&b->who))
		return false;
	/* A ring that polls devices takes no command of ours before 7.3. */
	if (b->who.fd >= 0 && ep->takes_commands &&
	    !(ring->flags & IORING_SETUP_IOPOLL))
		sqe = io_uring_get_sqe(ring);
	if (sqe) {
		const struct fos_uring_bell a = {
			.advice = ep->tag | FOS_ADVICE(b->bell & FOS_WANT_ALL, 0),
		};

		static_assert(sizeof(a) == 16, "payloads differ");
		prep(sqe, b->who.fd, FOS_URING_CHAN_BELL, &a);
		io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
		io_uring_sqe_set_data64(sqe, FOS_URING_BELL);
	}
	fos__ep_put(ep);
	return sqe;
}

FOS_API int fos_prep_bells(struct io_uring *ring)
{
	struct fos_bells *const bells = fos__bells;
	unsigned int i, n = 0;

	if (!ring)
		return fos__ret(-EINVAL);
	for (i = 0; bells && i < bells->n; i++) {
		if (prep_bell(ring, &bells->bell[i]))
			n++;
		else
			fos__bell_ring(&bells->bell[i]);
	}
	if (bells)
		bells->n = 0;
	return n;
}

/* ---- batches ---------------------------------------------------------- */

/* What the library keeps in a struct fos_uring_batch. */
struct batch {
	struct fos_tlb_submit submit;
	struct fos_tlb_cancel cancel;
	uint64_t known;	/* 1 + the number of a region that takes commands */
	uint64_t resv;
};

static_assert(sizeof(struct batch) == sizeof(struct fos_uring_batch) &&
	      offsetof(struct fos_uring_batch, ticket) ==
	      offsetof(struct batch, submit.ticket), "batches differ");

/* Asked once for each batch: a trap for each would be what the ring is to save. */
static bool takes_commands(int rfd, struct batch *b)
{
	struct fos_core_query q;

	if (b->known == (unsigned int)rfd + 1ULL)
		return true;
	if (fos__backend_kernel.region_query(rfd, &q) ||
	    !(q.features & FOS_FEAT_URING))
		return false;
	b->known = (unsigned int)rfd + 1ULL;
	return true;
}

/* Here and now; then there is nothing left to do for the ring. */
static int do_instead(int rfd, struct fos_range *ranges, unsigned int n,
		      struct batch *b)
{
	uint64_t ticket;

	if (fos_mprotectv_async(rfd, ranges, n, 0, 0, &ticket) ||
	    fos_fence(rfd, ticket, NULL))
		return -1;
	b->submit.ticket = ticket;
	return 0;
}

FOS_API int fos_prep_mprotectv(struct io_uring_sqe *sqe, int rfd,
			       struct fos_range *ranges, unsigned int n,
			       uint64_t within_ns, struct fos_uring_batch *batch)
{
	struct batch *b = (struct batch *)batch;

	if (!sqe)
		return fos__ret(-EINVAL);
	/* Whoever submits it next submits this one, too. */
	io_uring_prep_nop(sqe);
	if (!b || !n)
		return fos__ret(-EINVAL);
	if (n > FOS_RANGES_MAX)
		return fos__ret(-E2BIG);
	b->submit.ticket = 0;
	if (!takes_commands(rfd, b))
		return do_instead(rfd, ranges, n, b);
	b->submit = (struct fos_tlb_submit) {
		.ranges = (uintptr_t)ranges,
		.count = n,
		.within_ns = within_ns,
	};
	prep_ioctl(sqe, rfd, FOS_IOC_TLB_SUBMIT, &b->submit);
	return 0;
}

FOS_API int fos_prep_cancel(struct io_uring_sqe *sqe, int rfd,
			    struct fos_uring_batch *batch)
{
	struct batch *b = (struct batch *)batch;
	uint64_t ticket;

	if (!sqe)
		return fos__ret(-EINVAL);
	io_uring_prep_nop(sqe);
	if (!b)
		return fos__ret(-EINVAL);
	ticket = __atomic_load_n(&b->submit.ticket, __ATOMIC_RELAXED);
	if (!ticket)
		return fos__ret(-EINVAL);
	if (!takes_commands(rfd, b))
		return fos_cancel(rfd, ticket);
	b->cancel = (struct fos_tlb_cancel) { .ticket = ticket };
	prep_ioctl(sqe, rfd, FOS_IOC_TLB_CANCEL, &b->cancel);
	return 0;
}
