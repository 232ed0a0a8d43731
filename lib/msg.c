// SPDX-License-Identifier: MIT
/* msg: messages with buffers, and the vectors of their bytes. */
#include "internal.h"

#include <limits.h>

#include "buf.h"
#include "chan.h"
#include "msg_fds.h"
#include "post.h"

_Static_assert(FOS_MSG_BUFS == FOS_LENT_MAX, "buffers of a message");
_Static_assert(sizeof(struct fos_msg) == 72, "programs are built with that");

/* ---- vectors ---------------------------------------------------------- */

static ssize_t vector_len(const struct fos_msg *m)
{
	size_t len = 0;
	uint32_t i;

	if (m->iovlen > IOV_MAX || (m->iovlen && !m->iov))
		return -EINVAL;
	for (i = 0; i < m->iovlen; i++) {
		if ((!m->iov[i].iov_base && m->iov[i].iov_len) ||
		    m->iov[i].iov_len > SSIZE_MAX - len)
			return -EINVAL;
		len += m->iov[i].iov_len;
	}
	return len;
}

FOS_APART void fos__gather(void *to, const struct fos_msg *m)
{
	uint32_t i;

	for (i = 0; i < m->iovlen; i++) {
		fos__copy(to, m->iov[i].iov_base, m->iov[i].iov_len);
		to = (char *)to + m->iov[i].iov_len;
	}
}

FOS_APART void fos__scatter(const struct fos_msg *m, const void *from, size_t len)
{
	size_t n;
	uint32_t i;

	for (i = 0; len; i++) {
		n = m->iov[i].iov_len < len ? m->iov[i].iov_len : len;
		fos__copy(m->iov[i].iov_base, from, n);
		from = (const char *)from + n;
		len -= n;
	}
}

uint32_t fos__path(uint32_t meta, size_t len)
{
	uint32_t path = fos_buffers(meta) ? FOS_PATH_LEND : 0;

	if (fos_has_fds(meta))
		path |= FOS_PATH_FDS;
	if (meta & FOS_META_AREA)
		path |= FOS_PATH_AREA;
	else if (len)
		path |= FOS_PATH_INLINE;
	return path;
}

/* ---- arguments -------------------------------------------------------- */

static ssize_t check(const struct fos_msg *m, uint32_t flags)
{
	if (!m || (m->flags & ~flags) || m->nbufs > FOS_MSG_BUFS ||
	    (m->nbufs && !m->bufs) || m->nfds > FOS_MSG_FDS ||
	    (m->nfds && !m->fds) || m->resv1 || m->resv[0] || m->resv[1])
		return -EINVAL;
	return vector_len(m);
}

static int out_init(struct out *out, uint32_t kind, const struct fos_msg *m)
{
	const ssize_t len = check(m, FOS_NOCOPY);

	if (len < 0)
		return len;
	if (len && (m->flags & FOS_NOCOPY))
		return -EOPNOTSUPP;
	if (m->nfds)
		kind |= FOS_META_FDS | 1 << FOS_META_LENT_SHIFT;
	*out = (struct out) {
		.meta = kind + (m->nbufs << FOS_META_LENT_SHIFT),
		.token = (kind & FOS_META_KIND) == FOS_META_REPLY ? m->token : 0,
		.msg = m,
		.len = len,
	};
	return 0;
}

static int in_init(struct in *in, struct fos_msg *m)
{
	const ssize_t cap = check(m, 0);

	if (cap < 0)
		return cap;
	*in = (struct in) {
		.kinds = CHAN_REQUESTS,
		.msg = m,
		.cap = cap,
	};
	return 0;
}

/* ---- calls ------------------------------------------------------------ */

/**
 * struct exchange - a message that goes out and one that comes in
 * @lending: buffers of @out
 */
struct exchange {
	struct op op;
	struct out out;
	struct in in;
	struct lending lending;
};

static int exchange_begin(struct exchange *x, int fd, uint32_t kind,
			  const struct fos_msg *m, struct fos_msg *room,
			  const struct timespec *deadline)
{
	int ret = out_init(&x->out, kind, m);

	if (!ret)
		ret = in_init(&x->in, room);
	return ret ? ret : op_begin(&x->op, fd, deadline);
}

/* The buffers and descriptors of @out are on their way. */
static FOS_APART int send_fds_first(struct op *op, struct out *out)
{
	const int ret = fds_go_first(op, out);

	if (ret)
		buf_lent_now(op, out->lending, false);
	return ret;
}

static inline int lend_all(struct op *op, struct out *out,
			   struct lending *lending)
{
	int ret = 0;

	if (fos_unlikely(out->meta & FOS_META_FDS))
		ret = fds_check(op, out->msg);
	if (!ret)
		ret = buf_lend(op, out, lending);
	if (fos_unlikely(out->meta & FOS_META_FDS) && !ret && out->token)
		ret = send_fds_first(op, out);
	return ret;
}

/* A message with descriptors has failed: because of them, or they are left over. */
static FOS_APART ssize_t explain_fds(struct op *op, const struct out *out,
				     ssize_t ret)
{
	if (!out->lending)
		return ret;
	if (out->lending->error) {
		chan_begin_call();
		return out->lending->error;
	}
	if (ret < 0)
		fds_fail(op);
	return ret;
}

static inline ssize_t sent_all(struct op *op, const struct out *out, ssize_t ret)
{
	return fos_unlikely(out->meta & FOS_META_FDS) ?
	       explain_fds(op, out, ret) : ret;
}

static inline void look_first(struct op *op, const struct in *in)
{
	if (fos_unlikely(in->msg->nfds))
		fds_look(op);
}

/* A reply that was given up may have left some. */
static inline ssize_t received_all(struct op *op, const struct in *in, ssize_t ret)
{
	if (fos_unlikely(ret < 0 && ret != -EAGAIN && in->msg->nfds))
		__atomic_store_n(&op->ep->comp.look, true, __ATOMIC_RELAXED);
	return ret;
}

static ssize_t send_or_reply(struct op *op, struct out *out, int flags)
{
	ssize_t ret;

	if (!out->token)
		return chan_send(op, out, flags);
	ret = chan_reply(op, out);
	return ret ? ret : (ssize_t)out->len;
}

static inline int send_begin(struct op *op, struct out *out, int fd,
			     uint32_t kind, const struct fos_msg *m,
			     const struct timespec *deadline)
{
	const int ret = out_init(out, kind, m);

	return ret ? ret : op_begin(op, fd, deadline);
}

static inline int receive_begin(struct op *op, struct in *in, int fd,
				struct fos_msg *m, int flags,
				const struct timespec *deadline)
{
	int ret = flags & ~FOS_NONBLOCK ? -EINVAL : in_init(in, m);

	if (!ret)
		ret = op_begin(op, fd, deadline);
	if (!ret)
		look_first(op, in);
	return ret;
}

FOS_API ssize_t fos_sendmsg(int fd, struct fos_msg *m, int flags,
			    const struct timespec *deadline)
{
	struct lending lending;
	struct out out;
	struct op op;
	ssize_t ret;

	if (!m || !chan_flags_ok(flags) || (flags && m->token))
		return fos__ret(-EINVAL);
	ret = send_begin(&op, &out, fd,
			 m->token ? FOS_META_REPLY : FOS_META_MSG, m, deadline);
	if (ret)
		return fos__ret(ret);
	ret = lend_all(&op, &out, &lending);
	if (!ret)
		ret = sent_all(&op, &out, send_or_reply(&op, &out, flags));
	m->path = fos__path(out.meta, out.len);
	return op_end(&op, ret);
}

FOS_API ssize_t fos_recvmsg(int fd, struct fos_msg *m, int flags,
			    const struct timespec *deadline)
{
	struct in in;
	struct op op;
	ssize_t ret;

	ret = receive_begin(&op, &in, fd, m, flags, deadline);
	if (ret)
		return fos__ret(ret);
	ret = in_receive(&op, &in, flags);
	if (ret >= 0)
		m->token = in.token;
	return op_end(&op, ret);
}

FOS_API ssize_t fos_postmsg(int fd, struct fos_msg *m, int flags,
			    const struct timespec *deadline)
{
	struct lending lending;
	struct out out;
	struct op op;
	ssize_t ret;

	if (flags & ~(FOS_NONBLOCK | FOS_MORE))
		return fos__ret(-EINVAL);
	ret = send_begin(&op, &out, fd, FOS_META_CALL, m, deadline);
	if (ret)
		return fos__ret(ret);
	ret = lend_all(&op, &out, &lending);
	if (!ret)
		ret = sent_all(&op, &out,
			       chan_send(&op, &out, FOS_POST | flags));
	m->path = fos__path(out.meta, out.len);
	if (ret >= 0)
		m->token = out.token;
	else if (fos_unlikely(out.token))
		post_abandon(&op, out.token);
	return op_end(&op, ret);
}

FOS_API ssize_t fos_collectmsg(int fd, struct fos_msg *m, int flags,
			       const struct timespec *deadline)
{
	struct in in;
	struct op op;
	ssize_t ret;

	ret = receive_begin(&op, &in, fd, m, flags, deadline);
	if (ret)
		return fos__ret(ret);
	ret = post_collect(&op, &in, &m->token, flags);
	return op_end(&op, received_all(&op, &in, ret));
}

FOS_HOT FOS_API ssize_t fos_callmsg(int fd, struct fos_msg *req,
				    struct fos_msg *rsp,
				    const struct timespec *deadline)
{
	struct exchange x;
	ssize_t ret;

	chan_begin_call();
	ret = exchange_begin(&x, fd, FOS_META_CALL, req, rsp, deadline);
	if (ret)
		return fos__ret(ret);
	look_first(&x.op, &x.in);
	ret = lend_all(&x.op, &x.out, &x.lending);
	if (!ret)
		ret = sent_all(&x.op, &x.out,
			       received_all(&x.op, &x.in,
					    chan_call(&x.op, &x.out, &x.in)));
	req->path = fos__path(x.out.meta, x.out.len);
	return op_end(&x.op, ret);
}

FOS_HOT FOS_API ssize_t fos_reply_recvmsg(int fd, struct fos_msg *rsp,
					  struct fos_msg *req,
					  const struct timespec *deadline)
{
	struct exchange x;
	ssize_t ret;

	ret = exchange_begin(&x, fd, FOS_META_REPLY, rsp, req, deadline);
	if (ret)
		return fos__ret(ret);
	look_first(&x.op, &x.in);
	if (rsp->token)
		ret = lend_all(&x.op, &x.out, &x.lending);
	if (!ret)
		ret = chan_reply_recv(&x.op, &rsp->token, &x.out, &x.in);
	/* Unless it was sent, and what failed came after. */
	if (fos_unlikely(ret < 0 && (x.out.meta & FOS_META_FDS)))
		fds_fail(&x.op);
	rsp->path = fos__path(x.out.meta, x.out.len);
	if (ret >= 0)
		req->token = x.in.token;
	return op_end(&x.op, ret);
}
