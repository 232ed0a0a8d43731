/* SPDX-License-Identifier: MIT */
/*
 * libfastos: unbuffered message passing between processes; shared memory.
 * Endpoints are file descriptors: poll(), epoll, close(), dup(), fork() and
 * SCM_RIGHTS work on them, and O_CLOEXEC is always set.  Who holds the
 * descriptor may use it.  Failing calls return -1 and set errno.  Every
 * function may be called from several threads at once, also on one endpoint;
 * none may be called from a signal handler.  Deadlines are absolute
 * CLOCK_MONOTONIC; NULL waits for ever.  A signal whose handler has no
 * SA_RESTART ends a sleep with EINTR, but not the polling before it.
 *
 * Each call may also fail with ENOMEM when it is the first on a descriptor.  A
 * program with threads closes endpoints with fos_close(): after a plain close()
 * the number can be another file's before we know.
 */
#ifndef FASTOS_H
#define FASTOS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include "fastos_cq.h"
#include "fastos_uring.h"
#include "fastos_io.h"
#include "fastos_region.h"
#include "fastos_wait.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest message, in bytes, if the channel's area is at least as large. */
#define FOS_MSG_MAX		(1U << 20)

/* Flags of fos_send(), fos_recv(), fos_sendmsg() and fos_recvmsg(). */
#define FOS_NONBLOCK		1
#define FOS_POST		2	/* send, and do not wait until it is taken */
#define FOS_MORE		4	/* ... and do not wake the peer for it yet */

/**
 * struct fos_chan_attr - how a channel is made; all zero means the defaults
 * @flags:	0
 * @depth:	messages under way in each direction: a power of two from 2 to
 *		256; 0 means 32.  Also the number of calls outstanding.
 * @area_bytes:	room for message bodies over 96 bytes, each direction; rounded
 *		up to pages, 64 MiB at most; 0 means 2 MiB.  Memory is used
 *		as it is touched.
 * @spin:	FOS_SPIN_*, for both ends
 * @spin_share:	for FOS_SPIN_DEFAULT: polling may take so many percent of the
 *		time, at each end, 99 at most; 0: any
 * @spin_ns:	for FOS_SPIN_FIXED, in ns, below 2^48
 * @resv:	0
 */
struct fos_chan_attr {
	uint32_t flags;
	uint32_t depth;
	uint64_t area_bytes;
	uint32_t spin;
	uint32_t spin_share;
	uint64_t spin_ns;
	uint64_t resv[4];
};

#define FOS_BACKEND_NONE	0	/* no fastos on this machine */
#define FOS_BACKEND_KERNEL	1	/* the module */
#define FOS_BACKEND_POSIX	2	/* sockets, shared memory and futexes */

/* Channels work. */
#define FOS_CAP_CHAN		(1ULL << 0)
/* The kernel settles withdrawals: a peer cannot lie about them. */
#define FOS_CAP_CLAIMS_KERNEL	(1ULL << 1)
/*
 * poll() tells just what is so, and who polls for messages is somebody who waits
 * for them (FOS_NONBLOCK).  Without: POLLIN may be false, POLLOUT always is, and
 * only a receive with FOS_NONBLOCK that found nothing announces a poll.
 */
#define FOS_CAP_POLL_EXACT	(1ULL << 2)
/*
 * close(), dup2() and munmap() are noticed at once.  Without: use fos_close();
 * what closes behind it is noticed when a call next sleeps.
 */
#define FOS_CAP_CLOSE_EXACT	(1ULL << 3)
/* exec() hangs up though the descriptor, or a forked copy, stays open. */
#define FOS_CAP_EXEC_HANGUP	(1ULL << 4)

/**
 * struct fos_caps - what fastos can do on this machine
 * @features:	FOS_CAP_* bits, also those of fastos_region.h
 * @backend:	FOS_BACKEND_* that new objects get
 * @reason:	why it is not the module: errno that opening /dev/fastos gave,
 *		ECANCELED: FOS_BACKEND=posix in the environment, EINVAL: nonsense
 *		there; 0: it is
 * @depth_max:	largest channel depth
 * @wake_ns:	cost of one sleep and wake-up here, in ns
 * @area_max:	largest area, in bytes
 */
struct fos_caps {
	uint64_t features;
	uint32_t backend;
	int32_t reason;
	uint32_t depth_max;
	uint32_t wake_ns;
	uint64_t area_max;
};

/**
 * fos_query() - tell what fastos can do here
 * @caps:	filled in
 * @size:	sizeof(*caps); a longer struct is zeroed behind what is known
 *
 * New objects stand on the module, or on POSIX if it is missing or forbidden
 * (ENOENT, EACCES); FOS_BACKEND=kernel or posix in the environment leaves no
 * choice.  FOS_BACKEND_NONE: they cannot be made at all.  The first call of a
 * process without the module measures @wake_ns, for some milliseconds.
 *
 * Return: 0; -1 with EINVAL (@size is 0 or @caps NULL).
 */
int fos_query(struct fos_caps *caps, size_t size);

/**
 * fos_channel() - make a channel, two connected endpoints
 * @fd:		receives the two descriptors
 * @attr:	NULL for the defaults
 *
 * Like socketpair().  Each end is used by one process at a time: the first
 * that calls anything on it, which may be a forked child.
 *
 * Return: 0; -1 with EINVAL: a field of @attr is out of range or reserved and
 * not zero; ENOENT, EACCES: FOS_BACKEND=kernel, but no module loaded, or no
 * permission for /dev/fastos (be in group fastos); EMFILE, ENFILE: too many
 * descriptors; EDQUOT: this user has too many channels or pages; ENOMEM.
 */
int fos_channel(int fd[2], const struct fos_chan_attr *attr);

/**
 * fos_listen() - be found under a path
 * @path:	of an AF_UNIX socket, at most 107 bytes; "@name" is a name without
 *		a file, which everybody may take, and everybody connect to
 * @backlog:	clients that may wait to be accepted, at least 1, at most
 *		net.core.somaxconn; further ones wait in fos_connect()
 *
 * Who may write the file may connect: the umask decides, or a chmod() that
 * follows.  What a server left behind that does not run any more is replaced.
 * To do so one at a time, a file "@path.lock" is made and removed.
 * fos_close() removes the path, if it is the last descriptor in the process that
 * called fos_listen(), and if there still is what fos_listen() made.  As long as
 * a forked child has a copy, clients are not refused: if it does not accept, it
 * closes that.
 *
 * Return: a descriptor for fos_accept(); poll() says POLLIN while a client
 * waits; it can be inherited and passed on; -1 with EADDRINUSE: somebody listens
 * there, or it is no socket; EINVAL: a @path that is NULL or empty, @backlog;
 * ENAMETOOLONG; ENOENT, ENOTDIR: the directory; EACCES, EROFS: no permission to
 * make files in it; ELOOP; ENOSPC; EMFILE, ENFILE: too many descriptors; ENOMEM.
 */
int fos_listen(const char *path, int backlog);

/**
 * struct fos_peer - who has connected, and to what
 * @uid:	out: of the client when he called fos_connect(), as the kernel attests
 *		it and this process's namespace names it
 * @gid:	out: the same
 * @pid:	out: the same; by now it may be another process's
 * @resv0:	in: 0
 * @limit:	in: no channel has more than this; all zero means the defaults of
 *		struct fos_chan_attr.  In the order BLOCK, DEFAULT, FIXED,
 *		ALWAYS a @spin allows those before it
 * @attr:	out: how the channel was made
 */
struct fos_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint32_t resv0;
	struct fos_chan_attr limit;
	struct fos_chan_attr attr;
};

/**
 * fos_accept() - take the next client
 * @lfd:	from fos_listen()
 * @peer:	limits, and then who it is; or NULL
 *
 * Waits for a client, unless O_NONBLOCK is set on @lfd (fcntl()).  A client that
 * has connected has said all there is to say, so nothing that he does, or does not
 * do, is waited for; who is no fos_connect(), or has gone, is skipped.  A program
 * that does other things beside accepting sets O_NONBLOCK, for POLLIN may have
 * been one of those.
 *
 * This user is charged for the channel.  Once accepted, a client costs two
 * descriptors (three without the module), one of them for descriptors that go with
 * messages; until he comes to use it another one that is under way, and memory up
 * to what @peer->limit says: count them by uid if you do not trust them.
 *
 * Return: an endpoint; -1 with EAGAIN: nobody waits, or many in a row were
 * skipped (O_NONBLOCK); EINTR: a signal came; EINVAL: a field of @peer->limit is
 * out of range, or reserved and not zero; EBADF: @lfd is not from fos_listen();
 * EMFILE, ENFILE: too many descriptors; EDQUOT: this user has too many channels
 * or pages; ENOMEM; ENOENT, EACCES: as fos_channel().  After these the client
 * was told to try again (EAGAIN), or if there was no descriptor at all for him
 * waits on: close something, or leave @lfd alone for a while.
 */
int fos_accept(int lfd, struct fos_peer *peer);

/**
 * fos_connect() - connect to who listens under a path
 * @path:	as for fos_listen()
 * @attr:	wishes, NULL for the defaults; the server may grant less
 *
 * Waits until the server accepts; a signal ends that.  The channel stands on
 * what the server's do: no permission for /dev/fastos is needed.  If the
 * server dies, calls give EPIPE and ECONNRESET; connect to the next one.
 *
 * Return: an endpoint; -1 with ENOENT, ENOTDIR, ELOOP: no such path;
 * ECONNREFUSED: nobody listens there, or the server ended before it accepted,
 * start it and try again; EACCES: no permission for @path; EAGAIN: the server is
 * short of descriptors, channels or memory, try again later; EPROTO: it is no
 * fastos server, or of another version; EINTR: a signal came (handlers with
 * SA_RESTART do not end the wait); EINVAL: @path is NULL or empty, or as
 * fos_channel(); ENAMETOOLONG; EMFILE, ENFILE: too many descriptors; ENOMEM.
 */
int fos_connect(const char *path, const struct fos_chan_attr *attr);

/**
 * fos_send() - hand a message to the peer
 * @fd:		an endpoint
 * @buf:	the message
 * @len:	its length in bytes, 0 .. FOS_MSG_MAX
 * @flags:	FOS_NONBLOCK, FOS_POST, FOS_MORE
 *
 * A rendezvous: returns when a receiver has taken the message.  With
 * FOS_NONBLOCK it returns at once: the message is on its way if somebody waits
 * for it (in fos_recv(), fos_reply_recv(), or polling), else EAGAIN; a message
 * under way when the peer dies, or that is longer than the buffer it is
 * received into, is lost, as on a socket.
 *
 * With FOS_POST it returns as soon as there is room for the message, whoever waits
 * for it, and it may be lost in the same way; with FOS_NONBLOCK too, EAGAIN if
 * there is none.  FOS_MORE, with it, says that another call on this endpoint
 * follows soon: one that sleeps, or has no FOS_MORE, wakes the peer for all of
 * them.  So one wake-up serves many messages.
 *
 * Return: @len; -1 with EPIPE: the peer has closed or died and did not take the
 * message (no SIGPIPE); EINTR: a signal came before it was taken, it was
 * withdrawn; EAGAIN: see above; EMSGSIZE: longer than FOS_MSG_MAX or the area,
 * or than the buffer the receiver offered; EINVAL; EBADF: not an open endpoint;
 * EBUSY: the endpoint belongs to another process; EPROTO: the peer breaks the
 * protocol, close the channel.
 */
ssize_t fos_send(int fd, const void *buf, size_t len, int flags);

/**
 * fos_recv() - take one message
 * @fd:		an endpoint
 * @buf:	where it goes
 * @len:	room there in bytes; a longer message is refused, its sender gets
 *		EMSGSIZE and the wait goes on
 * @flags:	0 or FOS_NONBLOCK
 *
 * Takes messages of fos_send() only; requests of fos_call() wait for a
 * fos_reply_recv().
 *
 * Return: the message's length; -1 with EPIPE: the peer is gone and all it sent
 * has been taken; EAGAIN: nothing there (FOS_NONBLOCK); EINTR; EINVAL, EBADF,
 * EBUSY, EPROTO as fos_send().
 */
ssize_t fos_recv(int fd, void *buf, size_t len, int flags);

/**
 * fos_call() - send a request and wait for its reply
 * @fd:		an endpoint
 * @req:	the request
 * @n:		its length in bytes, 0 .. FOS_MSG_MAX
 * @rsp:	where the reply goes
 * @cap:	room there in bytes
 * @deadline:	NULL or absolute CLOCK_MONOTONIC
 *
 * As many threads may call at once as the channel is deep; more wait.  When a
 * call fails with ETIMEDOUT or EINTR, fos_delivered() tells whether the server
 * had already taken the request.
 *
 * Return: the reply's length; -1 with ETIMEDOUT: the deadline passed; EINTR: a
 * signal came (handlers with SA_RESTART do not end the wait); EPIPE: the peer
 * went away without taking the request; ECONNRESET: ... after taking it, it may
 * have been carried out; EMSGSIZE: the request is longer than FOS_MSG_MAX, the
 * area or the server's buffer, or the reply longer than @cap (then
 * fos_delivered() is 1); EINVAL, EBADF, EBUSY, EPROTO as fos_send().
 */
ssize_t fos_call(int fd, const void *req, size_t n, void *rsp, size_t cap,
		 const struct timespec *deadline);

/**
 * fos_delivered() - was the request of this thread's last failed call taken?
 *
 * Return: 1 if the peer had taken the request when fos_call() failed, else 0.
 * Like errno, per thread and meaningful only after a failure.
 */
int fos_delivered(void);

/**
 * fos_reply_recv() - answer a request and take the next one
 * @fd:		an endpoint
 * @token:	in: the request to answer, 0 for none; out: the request taken,
 *		0 if it was a one-way message
 * @rsp:	the reply
 * @n:		its length in bytes
 * @req:	where the next request goes
 * @cap:	room there in bytes; longer ones are refused, see fos_recv()
 * @deadline:	of the wait; NULL or absolute CLOCK_MONOTONIC
 *
 * The server's loop: one trap per request while the client sleeps.  When the
 * reply fails, nothing is received.  *@token is 0 as soon as the request is
 * answered or cannot be any more (ESTALE, EPIPE); it is unchanged after
 * ENOBUFS, to call again, and after EMSGSIZE, to answer with less.
 *
 * Return: length of the request; -1 with
 * ESTALE, ENOBUFS, EMSGSIZE: from the reply, see fos_reply(); EPIPE: the peer
 * is gone and all it sent has been taken; ETIMEDOUT, EINTR: no request came;
 * EINVAL, EBADF, EBUSY, EPROTO as fos_send().
 */
ssize_t fos_reply_recv(int fd, uint64_t *token, const void *rsp, size_t n,
		       void *req, size_t cap, const struct timespec *deadline);

/**
 * fos_reply() - answer a request
 * @fd:		the endpoint it came from
 * @token:	the request
 * @rsp:	the reply
 * @n:		its length in bytes
 *
 * A reply of up to 96 bytes never waits for the client.  A longer one needs room
 * in the area: if that is full of what he has yet to read, he is given 100 ms,
 * once.
 *
 * Return: 0; -1 with ESTALE: the caller has given up and will not see this
 * reply, or the request was answered before; ENOBUFS: the area is full of what
 * the client has not read, the request can still be answered later; EMSGSIZE:
 * longer than FOS_MSG_MAX or the area; EPIPE: the client is gone; EINVAL, EBADF,
 * EBUSY, EPROTO as fos_send().
 */
int fos_reply(int fd, uint64_t token, const void *rsp, size_t n);

/**
 * fos_post() - send a request and collect its reply later
 * @fd:		an endpoint
 * @req:	the request
 * @n:		its length in bytes, 0 .. FOS_MSG_MAX
 * @token:	out: which call it is, for fos_collect()
 * @flags:	FOS_NONBLOCK, FOS_MORE: see fos_send()
 * @deadline:	of the wait for room; NULL or absolute CLOCK_MONOTONIC
 *
 * One thread may so have many calls outstanding: as many as the channel is deep,
 * together with those in fos_call(), which wait if these have all places; and one
 * wake-up may serve all of them.
 *
 * Return: 0; -1 with EAGAIN: as many are outstanding as can be, collect one; or
 * there is no room (FOS_NONBLOCK); ETIMEDOUT: there was none in time; EINTR;
 * EPIPE: the peer is gone; EMSGSIZE: longer than FOS_MSG_MAX or the area;
 * EINVAL, EBADF, EBUSY, EPROTO as fos_send().
 */
int fos_post(int fd, const void *req, size_t n, uint64_t *token, int flags,
	     const struct timespec *deadline);

/**
 * fos_collect() - take the reply to a call that was posted
 * @fd:		the endpoint
 * @token:	in: which call, 0: any; out: which it was, also when that call has
 *		failed
 * @rsp:	where the reply goes
 * @cap:	room there in bytes
 * @flags:	0 or FOS_NONBLOCK
 * @deadline:	of the wait; NULL or absolute CLOCK_MONOTONIC
 *
 * By any thread, in any order.  To be woken once for many calls wait for the one
 * that was posted last, then collect the others: a server who answers in turn has
 * answered them.
 *
 * Return: the reply's length; -1 with
 * EAGAIN: not answered yet (FOS_NONBLOCK); ETIMEDOUT; EINTR: after these the calls
 * are still outstanding, and *@token is as it was; ENOMSG: no call is, or not
 * this one; EINVAL, EBADF, EBUSY as fos_send(); EPIPE, ECONNRESET, EMSGSIZE,
 * EPROTO: so the call *@token ended, see fos_call(), and fos_delivered().
 */
ssize_t fos_collect(int fd, uint64_t *token, void *rsp, size_t cap, int flags,
		    const struct timespec *deadline);

/* ---- messages with buffers and descriptors ---------------------------- */

/* Buffers, and descriptors, that one message may carry. */
#define FOS_MSG_BUFS		4
#define FOS_MSG_FDS		8

/* fos_msg.flags */
#define FOS_NOCOPY		1	/* EOPNOTSUPP rather than copy anything */

/* fos_msg.path: how a message went; several, if it has bytes and buffers. */
#define FOS_PATH_INLINE		1	/* in the ring's entry: two copies */
#define FOS_PATH_AREA		2	/* through the sender's area: two copies */
#define FOS_PATH_LEND		4	/* buffers, in place: no copy */
#define FOS_PATH_FDS		8	/* descriptors, by a socket beside the channel */

/**
 * struct fos_msg - a message with buffers and descriptors
 * @iov:	its bytes, which are copied as fos_send() does
 * @bufs:	buffers that go with it in place.  To send: each a piece of a
 *		buffer of its own from fos_buf_alloc() on this endpoint, at least
 *		one byte of it.  To receive: filled in; read-only memory.
 * @iovlen:	elements of @iov, up to 1024
 * @nbufs:	elements of @bufs, up to FOS_MSG_BUFS; when receiving, room there,
 *		then how many there are
 * @token:	to send: the request that this answers, 0: it is a message of its
 *		own; received: of the request, 0 of a one-way message; of a call that
 *		is posted and collected: see there
 * @flags:	FOS_NOCOPY or 0
 * @path:	out: FOS_PATH_*
 * @fds:	descriptors that go with it, as by SCM_RIGHTS: the sender keeps his.
 *		To receive: filled in; O_CLOEXEC, and the receiver's to close.
 * @nfds:	elements of @fds, up to FOS_MSG_FDS; when receiving, room there, then
 *		how many there are
 * @resv1:	0
 * @resv:	0
 *
 * Descriptors go by channels of fos_connect() and fos_accept(): the library keeps
 * their connection beside them, in the process that made the call and in its
 * children.  By others, and where the endpoint came by exec() or as a descriptor,
 * they give EOPNOTSUPP.
 */
struct fos_msg {
	const struct iovec *iov;
	struct iovec *bufs;
	uint32_t iovlen;
	uint32_t nbufs;
	uint64_t token;
	uint32_t flags;
	uint32_t path;
	int *fds;
	uint32_t nfds;
	uint32_t resv1;
	uint64_t resv[2];
};

/**
 * fos_buf_alloc() - get a buffer to fill in and send in place
 * @fd:		an endpoint
 * @len:	bytes, at least 1; page-aligned if it is a page or more
 * @flags:	0 or FOS_NONBLOCK
 * @deadline:	NULL or absolute CLOCK_MONOTONIC
 *
 * The buffer lies in the endpoint's area (fos_chan_attr.area_bytes), which only
 * this process can write; system calls can use it as any memory.  It is yours
 * until a message that carries it is taken; then it is the receiver's until he
 * calls fos_buf_release(), and then part of the area again.  Do not touch it
 * after sending: the receiver would see that, he has no copy.  When the area is
 * full, or as many buffers are in use as the channel is deep, it waits for the
 * receiver.
 *
 * Return: the buffer, its content undefined; NULL with
 * EAGAIN: no room (FOS_NONBLOCK); ETIMEDOUT: the deadline passed; EINTR: a
 * signal came; EMSGSIZE: longer than the area; EPIPE: the peer is gone; EINVAL;
 * EBADF: not an open endpoint; EBUSY: the endpoint belongs to another process.
 */
void *fos_buf_alloc(int fd, size_t len, int flags,
		    const struct timespec *deadline);

/**
 * fos_buf_release() - give a buffer back
 * @fd:		the endpoint
 * @buf:	where it begins: a buffer that was received, as fos_msg.bufs said,
 *		or one of fos_buf_alloc() that was not sent
 *
 * In any order, by any thread.  The sender can use that room again at once.
 *
 * Return: 0; -1 with EINVAL: there is no such buffer (any more), which harms
 * nobody; EBADF, EBUSY as fos_buf_alloc().
 */
int fos_buf_release(int fd, const void *buf);

/**
 * fos_sendmsg() - fos_send() or fos_reply() with buffers and descriptors
 * @fd:		an endpoint
 * @m:		the message
 * @flags:	FOS_NONBLOCK, FOS_POST, FOS_MORE as fos_send(); of a reply 0
 * @deadline:	until when to wait for a receiver, or with FOS_POST for room; NULL
 *		or absolute CLOCK_MONOTONIC; a reply does not wait
 *
 * When it fails the buffers are still yours.  A receiver who does not make room
 * for them, or for the descriptors (fos_recv(), too few elements), refuses the
 * message: EMSGSIZE.  Descriptors of a message that failed are closed when the
 * receiver next makes room for some, or closes.
 *
 * Return: bytes of @m->iov; -1 with
 * ETIMEDOUT: nobody took it in time; EOPNOTSUPP: there are bytes to be copied
 * and FOS_NOCOPY is set, or descriptors for which this channel has no way;
 * EINVAL: also @bufs are not pieces of buffers of yours; EBADF: also one of @fds is
 * none; ENOBUFS: also descriptors of hundreds of failed messages lie there;
 * ETOOMANYREFS: this user has as many under way as RLIMIT_NOFILE allows; ENOMEM;
 * and as fos_send() or fos_reply().  After these a request can still be answered.
 */
ssize_t fos_sendmsg(int fd, struct fos_msg *m, int flags,
		    const struct timespec *deadline);

/**
 * fos_recvmsg() - take a message or a request with its buffers and descriptors
 * @fd:		an endpoint
 * @m:		room for it
 * @flags:	0 or FOS_NONBLOCK
 * @deadline:	NULL or absolute CLOCK_MONOTONIC
 *
 * A request has a token, to be answered by whichever thread later, with
 * fos_reply() or fos_sendmsg().  Its buffers are yours to read until
 * fos_buf_release(): check what you have read, not what you will read again, for
 * the sender may write there.
 *
 * Return: its bytes, in @m->iov; -1 with ETIMEDOUT; EMFILE: no room in the table of
 * descriptors for those of the message: it stays, to be taken later; EPROTO: also the
 * peer announced descriptors that did not come; and as fos_recv().
 */
ssize_t fos_recvmsg(int fd, struct fos_msg *m, int flags,
		    const struct timespec *deadline);

/**
 * fos_postmsg() - fos_post() with buffers and descriptors
 * @fd:		an endpoint
 * @m:		the request; its token is told
 * @flags:	FOS_NONBLOCK, FOS_MORE
 * @deadline:	of the wait for room; NULL or absolute CLOCK_MONOTONIC
 *
 * Once it has succeeded the buffers are not yours any more, whatever becomes of
 * the call.
 *
 * Return: bytes of @m->iov; -1 with EOPNOTSUPP, EBADF, ENOBUFS, ETOOMANYREFS, ENOMEM
 * as fos_sendmsg(), EINVAL: also @bufs are not pieces of buffers of yours; and as
 * fos_post().
 */
ssize_t fos_postmsg(int fd, struct fos_msg *m, int flags,
		    const struct timespec *deadline);

/**
 * fos_collectmsg() - fos_collect() with buffers and descriptors
 * @fd:		the endpoint
 * @m:		room for the reply; @m->token as of fos_collect()
 * @flags:	0 or FOS_NONBLOCK
 * @deadline:	of the wait; NULL or absolute CLOCK_MONOTONIC
 *
 * Return: its bytes, in @m->iov; -1 as fos_collect(); EMFILE as fos_callmsg().
 */
ssize_t fos_collectmsg(int fd, struct fos_msg *m, int flags,
		       const struct timespec *deadline);

/**
 * fos_callmsg() - fos_call() with buffers and descriptors
 * @fd:		an endpoint
 * @req:	the request; its token is not looked at
 * @rsp:	room for the reply
 * @deadline:	NULL or absolute CLOCK_MONOTONIC
 *
 * When it fails, the request's buffers are still yours unless fos_delivered().
 *
 * Return: bytes of the reply; -1 as fos_sendmsg() and fos_call(); EMFILE: no room
 * for the reply's descriptors, they are lost, but fos_delivered().
 */
ssize_t fos_callmsg(int fd, struct fos_msg *req, struct fos_msg *rsp,
		    const struct timespec *deadline);

/**
 * fos_reply_recvmsg() - fos_reply_recv() with buffers and descriptors
 * @fd:		an endpoint
 * @rsp:	the reply to the request @rsp->token, if that is not 0; it is 0
 *		when that is answered or cannot be any more
 * @req:	room for the next request
 * @deadline:	of the wait; NULL or absolute CLOCK_MONOTONIC
 *
 * Return: bytes of the request; -1 as fos_sendmsg(), fos_recvmsg() and
 * fos_reply_recv().  The buffers of a reply that failed are still yours.
 */
ssize_t fos_reply_recvmsg(int fd, struct fos_msg *rsp, struct fos_msg *req,
			  const struct timespec *deadline);

/**
 * fos_close() - close an endpoint, or another descriptor of fastos
 * @fd:		any fastos descriptor
 *
 * As close(), and gives back the memory; the peer sees EPIPE or ECONNRESET
 * when the last descriptor of the endpoint in this process is closed, whatever
 * copies forked children hold.  Other threads in a call on it get EBADF.  Of
 * fos_listen() it removes the path; clients that wait get ECONNREFUSED when no
 * other process has a copy.  Of a region it is close().
 *
 * Return: 0; -1 with EBADF.
 */
int fos_close(int fd);

#ifdef __cplusplus
}
#endif

#endif /* FASTOS_H */
