// SPDX-License-Identifier: MIT
/* msg: messages with buffers, and the vectors of their bytes. */
#include "internal.h"

#include <limits.h>

#include "buf.h"
#include "chan.h"
#include "post.h"

_Static_assert(FOS_MSG_BUFS == FOS_LENT_MAX, "buffers of a message");

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
	uint32_t path = meta & FOS_META_LENT ? FOS_PATH_LEND : 0;

	if (meta & FOS_META_AREA)
		path |= FOS_PATH_AREA;
	else if (len)
		path |= FOS_PATH_INLINE;
	return path;
}

/* ---- arguments -------------------------------------------------------- */

static ssize_t check(const struct fos_msg *m, uint32_t flags)
{
	_Static_assert(sizeof(m->resv) == 4 * sizeof(m->resv[0]), "resv");

	if (!m || (m->flags & ~flags) || m->nbufs > FOS_MSG_BUFS ||
	    (m->nbufs && !m->bufs) ||
	    (m->resv[0] | m->resv[1] | m->resv[2] | m->resv[3]))
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
	*out = (struct out) {
		.meta = kind | m->nbufs << FOS_META_LENT_SHIFT,
		.token = kind == FOS_META_REPLY ? m->token : 0,
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

static ssize_t send_or_reply(struct op *op, struct out *out, int flags)
{
	ssize_t ret;

	if (!out->token)
		return chan_send(op, out, flags);
	ret = chan_reply(op, out);
	return ret ? ret : (ssize_t)out->len;
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
	ret = out_init(&out, m->token ? FOS_META_REPLY : FOS_META_MSG, m);
	if (!ret)
		ret = op_begin(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	ret = buf_lend(&op, &out, &lending);
	if (!ret)
		ret = send_or_reply(&op, &out, flags);
	m->path = fos__path(out.meta, out.len);
	return op_end(&op, ret);
}

FOS_API ssize_t fos_recvmsg(int fd, struct fos_msg *m, int flags,
			    const struct timespec *deadline)
{
	struct in in;
	struct op op;
	ssize_t ret;

	if (flags & ~FOS_NONBLOCK)
		return fos__ret(-EINVAL);
	ret = in_init(&in, m);
	if (!ret)
		ret = op_begin(&op, fd, deadline);
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
	ret = out_init(&out, FOS_META_CALL, m);
	if (!ret)
		ret = op_begin(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	ret = buf_lend(&op, &out, &lending);
	if (!ret)
		ret = chan_send(&op, &out, FOS_POST | flags);
	m->path = fos__path(out.meta, out.len);
	if (ret >= 0)
		m->token = out.token;
	return op_end(&op, ret);
}

FOS_API ssize_t fos_collectmsg(int fd, struct fos_msg *m, int flags,
			       const struct timespec *deadline)
{
	struct in in;
	struct op op;
	ssize_t ret;

	if (flags & ~FOS_NONBLOCK)
		return fos__ret(-EINVAL);
	ret = in_init(&in, m);
	if (!ret)
		ret = op_begin(&op, fd, deadline);
	if (ret)
		return fos__ret(ret);
	return op_end(&op, post_collect(&op, &in, &m->token, flags));
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
	ret = buf_lend(&x.op, &x.out, &x.lending);
	if (!ret)
		ret = chan_call(&x.op, &x.out, &x.in);
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
	if (rsp->token)
		ret = buf_lend(&x.op, &x.out, &x.lending);
	if (!ret)
		ret = chan_reply_recv(&x.op, &rsp->token, &x.out, &x.in);
	rsp->path = fos__path(x.out.meta, x.out.len);
	if (ret >= 0)
		req->token = x.in.token;
	return op_end(&x.op, ret);
}
