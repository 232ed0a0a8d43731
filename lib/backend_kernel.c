// SPDX-License-Identifier: MIT
/* The module: the only file that knows /dev/fastos and its system calls. */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODE	"/dev/fastos"

static int do_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

/* By system call: open() and close() of libc are cancellation points. */
static int open_node(void)
{
	int fd = syscall(SYS_openat, AT_FDCWD, NODE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int kernel_close(int fd, struct fos_ep *ep)
{
	/* The kernel decides whether it was the last: it sets the state. */
	(void)ep;
	return fos__close_fd(fd);
}

static int kernel_probe(struct fos_caps *caps)
{
	struct fos_core_query q = { 0 };
	int fd = open_node();
	int ret;

	if (fd < 0)
		return fd;
	ret = do_ioctl(fd, FOS_IOC_CORE_QUERY, &q);
	fos__close_fd(fd);
	if (ret)
		return ret;
	if (q.abi != FOS_ABI)
		return -EPROTO;
	if (q.features & FOS_FEAT_CHAN)
		caps->features |= FOS_CAP_CHAN | FOS_CAP_POLL_EXACT |
				  FOS_CAP_CLOSE_EXACT | FOS_CAP_EXEC_HANGUP;
	if (q.features & FOS_FEAT_CLAIMS_KERNEL)
		caps->features |= FOS_CAP_CLAIMS_KERNEL;
	if (q.features & FOS_FEAT_REGION)
		caps->features |= FOS_CAP_REGION | FOS_CAP_REGION_WIDE |
				  FOS_CAP_ONE_ROUND;
	if (q.features & FOS_FEAT_TLB_ASYNC)
		caps->features |= FOS_CAP_DISCARD | FOS_CAP_ASYNC |
				  FOS_CAP_TRACK;
	if (q.features & FOS_FEAT_CQ)
		caps->features |= FOS_CAP_CQ_NOTIFY;
	if (q.features & FOS_FEAT_URING)
		caps->features |= FOS_CAP_URING;
	if (q.features & FOS_FEAT_TLB_ZAP)
		caps->features |= FOS_CAP_ZAP_ONE_ROUND;
	caps->backend = FOS_BACKEND_KERNEL;
	caps->depth_max = q.depth_max;
	caps->wake_ns = q.wake_ns;
	caps->area_max = q.area_max;
	return 0;
}

static int kernel_create(uint32_t depth, uint64_t area_bytes, uint64_t cookie,
			 int fd[2])
{
	struct fos_chan_create a = {
		.area_bytes = area_bytes,
		.cookie = cookie,
		.depth = depth,
	};
	int node = open_node();
	int ret;

	if (node < 0)
		return node;
	ret = do_ioctl(node, FOS_IOC_CHAN_CREATE, &a);
	fos__close_fd(node);
	if (ret)
		return ret;
	fd[0] = a.fd[0];
	fd[1] = a.fd[1];
	return 0;
}

/* Another driver may answer to our number: believe only what fits. */
static int kernel_query(int fd, struct fos_core_query *q)
{
	*q = (struct fos_core_query) { 0 };
	if (do_ioctl(fd, FOS_IOC_CORE_QUERY, q) || q->abi != FOS_ABI ||
	    q->kind != FOS_KIND_CHAN || q->side > 1 ||
	    q->depth < FOS_CHAN_DEPTH_MIN || q->depth > FOS_CHAN_DEPTH_MAX ||
	    (q->depth & (q->depth - 1)) || q->area_bytes > FOS_CHAN_AREA_MAX)
		return -EBADF;
	return 0;
}

static void fill_mem(struct fos_ring_mem *m, const struct fos_core_query *q,
		     unsigned char *base)
{
	const uint32_t mine = q->side, peer = !q->side, depth = q->depth;
	unsigned char *my_control = base + FOS_CHAN_OFF_CONTROL(depth, mine);
	unsigned char *peer_control = base + FOS_CHAN_OFF_CONTROL(depth, peer);
	struct fos_kside *kside = (void *)(base + FOS_CHAN_OFF_KERNEL(depth));

	*m = (struct fos_ring_mem) {
		.my_line = (void *)my_control,
		.my_entries = (void *)(my_control + FOS_CHAN_ENTRIES),
		.my_replies = (void *)(my_control + FOS_CHAN_REPLIES(depth)),
		.my_released = (void *)(my_control + FOS_CHAN_RELEASED(depth)),
		.my_returned = (void *)(my_control + FOS_CHAN_RETURNED(depth)),
		.my_claims = (void *)(base + FOS_CHAN_OFF_CLAIMS(depth, mine)),
		.my_area = base + FOS_CHAN_OFF_AREA(depth, q->area_bytes, mine),
		.my_wants = &kside[mine].need_wakeup,
		.my_state = &kside[mine].state,
		.peer_line = (void *)peer_control,
		.peer_entries = (void *)(peer_control + FOS_CHAN_ENTRIES),
		.peer_replies = (void *)(peer_control + FOS_CHAN_REPLIES(depth)),
		.peer_released = (void *)(peer_control +
					  FOS_CHAN_RELEASED(depth)),
		.peer_returned = (void *)(peer_control +
					  FOS_CHAN_RETURNED(depth)),
		.peer_claims = (void *)(base +
					FOS_CHAN_OFF_CLAIMS(depth, peer)),
		.peer_area = base +
			     FOS_CHAN_OFF_AREA(depth, q->area_bytes, peer),
		.peer_wants = &kside[peer].need_wakeup,
		.peer_armed = &kside[peer].armed,
		.peer_state = &kside[peer].state,
		.depth = depth,
		.area_bytes = q->area_bytes,
	};
}

static int kernel_attach(int fd, struct fos_core_query *q, struct fos_ep *ep)
{
	size_t bytes = FOS_CHAN_MAP_BYTES(q->depth, q->area_bytes);
	void *base;

	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return errno == ESHUTDOWN ? -EBADF : -errno;
	ep->tag = FOS_ADVICE_TAG(q->id, q->side);
	ep->map.base = base;
	ep->map.bytes = bytes;
	fill_mem(&ep->map.mem, q, base);
	return 0;
}

static void kernel_detach(struct fos_ep *ep)
{
	munmap(ep->map.base, ep->map.bytes);
}

/* The number is another file's by now: pipes and plain files say so. */
static FOS_COLD int advise_failed(int err)
{
	return err == EINVAL || err == ESPIPE || err == ENODEV ? -EBADF : -err;
}

static inline int advise(int fd, uint64_t arg, uint64_t deadline_ns, int advice)
{
	const int err = posix_fadvise(fd, arg, deadline_ns, advice);

	return fos_unlikely(err) ? advise_failed(err) : 0;
}

static int kernel_bell_wait(struct fos_ep *ep, int fd, uint32_t bell,
			    uint32_t want, uint64_t arg, uint64_t deadline_ns)
{
	/* A close of @fd that this includes has taken the number away already. */
	const int tag = ep->tag | FOS_ADVICE_CLOSES(fos_ring_my_state(&ep->ring));

	return advise(fd, arg, deadline_ns,
		      tag | FOS_ADVICE(bell & FOS_WANT_ALL, want));
}

static int kernel_bell_self(struct fos_ep *ep, int fd, uint32_t bell)
{
	return advise(fd, 0, 0,
		      ep->tag | FOS_ADVICE(bell, 0) | FOS_ADVICE_SELF);
}

static int kernel_withdraw(struct fos_ep *ep, int fd, uint64_t seq,
			   uint64_t *word)
{
	struct fos_chan_withdraw a = {
		.id = ep->id,
		.seq = seq,
		.side = ep->side,
	};
	int ret = do_ioctl(fd, FOS_IOC_CHAN_WITHDRAW, &a);

	*word = a.word;
	return ret == -ENOTTY || ret == -EINVAL ? -EBADF : ret;
}

/* ---- regions ---------------------------------------------------------- */

static int kernel_region_create(uint64_t bytes)
{
	struct fos_region_create a = { .bytes = bytes };
	int node = open_node();
	int ret;

	if (node < 0)
		return node;
	ret = do_ioctl(node, FOS_IOC_REGION_CREATE, &a);
	fos__close_fd(node);
	/* A module that is older than regions: for them there is none. */
	if (ret == -ENOTTY)
		return -ENOENT;
	return ret ? ret : (int)a.fd;
}

static int kernel_region_query(int fd, struct fos_core_query *q)
{
	*q = (struct fos_core_query) { 0 };
	if (do_ioctl(fd, FOS_IOC_CORE_QUERY, q) || q->abi != FOS_ABI ||
	    q->kind != FOS_KIND_REGION || !(q->side & FOS_RIGHT_READ) ||
	    !q->area_bytes || q->area_bytes > FOS_REGION_BYTES_MAX ||
	    q->area_bytes % FOS_PAGE_BYTES)
		return -EBADF;
	return 0;
}

static int kernel_region_share(int fd, uint32_t rights)
{
	struct fos_region_share a = { .rights = rights };
	const int ret = do_ioctl(fd, FOS_IOC_REGION_SHARE, &a);

	return ret ? ret : (int)a.fd;
}

static int kernel_region_map(int fd, const struct fos_core_query *q, int prot,
			     void **addr)
{
	*addr = mmap(NULL, FOS_REGION_MAP_SIZE(q->area_bytes), prot, MAP_SHARED,
		     fd, 0);
	return *addr == MAP_FAILED ? -errno : 0;
}

static int kernel_region_unmap(void *addr, size_t bytes)
{
	return munmap(addr, FOS_REGION_MAP_SIZE(bytes)) ? -errno : 0;
}

/* The program's ranges are the kernel's: nothing is copied on the way. */
#define SAME(member, other) \
	(offsetof(struct fos_range, member) == \
	 offsetof(struct fos_tlb_range, other) && \
	 sizeof(((struct fos_range *)0)->member) == \
	 sizeof(((struct fos_tlb_range *)0)->other))
static_assert(sizeof(struct fos_range) == sizeof(struct fos_tlb_range) &&
	      SAME(offset, offset) && SAME(len, len) && SAME(prot, rights) &&
	      SAME(result, result), "ranges differ");
static_assert(PROT_READ == FOS_RIGHT_READ && PROT_WRITE == FOS_RIGHT_WRITE,
	      "rights differ");
static_assert(FOS_TRACK == FOS_TLB_TRACK && FOS_DISCARD == FOS_TLB_DISCARD &&
	      FOS_RECYCLE == FOS_TLB_RECYCLE, "rights differ");
static_assert(FOS_RANGES_MAX == FOS_TLB_RANGES_MAX, "ranges differ");
static_assert(FOS_REGION_MAX == FOS_REGION_BYTES_MAX, "sizes differ");
static_assert(FOS_REGION_MAP_BYTES(1ULL) == FOS_REGION_MAP_SIZE(1ULL),
	      "guards differ");

static int kernel_region_protectv(int fd, struct fos_range *ranges,
				  unsigned int n)
{
	struct fos_tlb_protectv a = { .ranges = (uintptr_t)ranges, .count = n };

	return do_ioctl(fd, FOS_IOC_TLB_PROTECTV, &a);
}

static int kernel_region_submit(int fd, struct fos_range *ranges,
				unsigned int n, uint64_t within_ns,
				uint64_t *ticket)
{
	struct fos_tlb_submit a = {
		.ranges = (uintptr_t)ranges,
		.count = n,
		.within_ns = within_ns,
	};
	const int ret = do_ioctl(fd, FOS_IOC_TLB_SUBMIT, &a);

	if (!ret)
		*ticket = a.ticket;
	return ret;
}

static int kernel_region_fence(int fd, uint64_t ticket, uint64_t deadline_ns,
			       bool look)
{
	struct fos_tlb_fence a = {
		.flags = look ? FOS_TLB_FENCE_LOOK : 0,
		.ticket = ticket,
		.deadline_ns = deadline_ns,
	};

	return do_ioctl(fd, FOS_IOC_TLB_FENCE, &a);
}

static int kernel_region_cancel(int fd, uint64_t ticket)
{
	struct fos_tlb_cancel a = { .ticket = ticket };

	return do_ioctl(fd, FOS_IOC_TLB_CANCEL, &a);
}

static int kernel_region_notify(int fd, int efd)
{
	struct fos_tlb_notify a = { .fd = efd };

	return do_ioctl(fd, FOS_IOC_TLB_NOTIFY, &a);
}

static int kernel_region_scan(int fd, struct fos_tlb_scan *scan)
{
	return do_ioctl(fd, FOS_IOC_TLB_SCAN, scan);
}

/* ---- queues ----------------------------------------------------------- */

static struct fos_cq_head *cq_head(const struct fos_cq *cq)
{
	return cq->base;
}

static struct fos_cq_entry *cq_entry(const struct fos_cq *cq, uint64_t pos)
{
	struct fos_cq_entry *entries =
		(void *)((char *)cq->base + FOS_CQ_OFF_ENTRIES);

	return &entries[pos & (cq->entries - 1)];
}

static bool is_posted(const struct fos_cq *cq, uint64_t pos)
{
	return __atomic_load_n(&cq_entry(cq, pos)->seq, __ATOMIC_ACQUIRE) ==
	       pos + 1;
}

static int map_cq(struct fos_cq *cq)
{
	struct fos_core_query q = { 0 };
	int ret = do_ioctl(cq->fd, FOS_IOC_CORE_QUERY, &q);

	if (ret)
		return ret;
	cq->wake_ns = q.wake_ns;
	cq->looks = 16;
	cq->base = mmap(NULL, FOS_CQ_MAP_BYTES(cq->entries),
			PROT_READ | PROT_WRITE, MAP_SHARED, cq->fd, 0);
	return cq->base == MAP_FAILED ? -errno : 0;
}

static int kernel_cq_create(struct fos_cq *cq)
{
	struct fos_cq_create a = { .entries = cq->entries };
	int node = open_node();
	int ret;

	if (node < 0)
		return node;
	ret = do_ioctl(node, FOS_IOC_CQ_CREATE, &a);
	fos__close_fd(node);
	/* A module that is older than queues: for them there is none. */
	if (ret)
		return ret == -ENOTTY ? -ENOENT : ret;
	cq->fd = a.fd;
	ret = map_cq(cq);
	if (ret)
		fos__close_fd(cq->fd);
	return ret;
}

static void kernel_cq_destroy(struct fos_cq *cq)
{
	munmap(cq->base, FOS_CQ_MAP_BYTES(cq->entries));
	fos__close_fd(cq->fd);
}

static int kernel_cq_join(struct fos_cq *cq, const struct fos_cq_place *p,
			  uint64_t name)
{
	struct fos_chan_cq a = {
		.fd = cq->fd,
		.want = FOS_WANT_PUBLISHED | FOS_WANT_REPLIES,
		.user_data = name,
	};

	if (p->who.ep->backend != &fos__backend_kernel)
		return -EOPNOTSUPP;
	return do_ioctl(p->who.fd, FOS_IOC_CHAN_CQ, &a);
}

static void kernel_cq_part(struct fos_cq *cq, const struct fos_cq_place *p)
{
	struct fos_chan_cq a = { .fd = ~0U };

	(void)cq;
	do_ioctl(p->who.fd, FOS_IOC_CHAN_CQ, &a);
}

static unsigned int kernel_cq_news(struct fos_cq *cq, struct fos_cq_news *news,
				   unsigned int max)
{
	const struct fos_cq_entry *e;
	unsigned int n;

	for (n = 0; n < max && is_posted(cq, cq->read); n++, cq->read++) {
		e = cq_entry(cq, cq->read);
		news[n] = (struct fos_cq_news) { e->user_data, e->res };
	}
	/* A full fence too: what these tell of is looked at after. */
	if (n)
		__atomic_exchange_n(&cq_head(cq)->head, cq->read,
				    __ATOMIC_SEQ_CST);
	return n;
}

static bool kernel_cq_peek(const struct fos_cq *cq, uint64_t tail)
{
	return is_posted(cq, tail - 1);
}

static int kernel_cq_sleep(struct fos_cq *cq, uint64_t tail,
			   uint64_t deadline_ns, uint64_t *posted_ns)
{
	struct fos_cq_wait a = { .tail = tail, .deadline_ns = deadline_ns };
	const int ret = do_ioctl(cq->fd, FOS_IOC_CQ_WAIT, &a);

	if (!ret)
		*posted_ns = __atomic_load_n(&cq_entry(cq, tail - 1)->posted_ns,
					     __ATOMIC_RELAXED);
	return ret;
}

static int kernel_cq_notify(struct fos_cq *cq, int efd)
{
	struct fos_cq_notify a = { .fd = efd };

	return do_ioctl(cq->fd, FOS_IOC_CQ_NOTIFY, &a);
}

static int kernel_cq_hear(struct fos_cq *cq, int efd)
{
	struct fos_cq_hear a = { .user_data = FOS_CQ_HEARD, .fd = efd };
	const int ret = do_ioctl(cq->fd, FOS_IOC_CQ_HEAR, &a);

	/* An older module. */
	return ret == -ENOTTY ? -EOPNOTSUPP : ret;
}

static int kernel_cq_submit(struct fos_cq *cq, uint64_t name, int rfd,
			    struct fos_range *ranges, unsigned int n,
			    uint64_t within_ns, uint64_t *ticket)
{
	struct fos_tlb_submit a = {
		.flags = FOS_TLB_SUBMIT_CQ,
		.ranges = (uintptr_t)ranges,
		.count = n,
		.cq = cq->fd,
		.within_ns = within_ns,
		.user_data = name,
	};
	const int ret = do_ioctl(rfd, FOS_IOC_TLB_SUBMIT, &a);

	if (!ret)
		*ticket = a.ticket;
	return ret;
}

const struct fos_backend fos__backend_kernel = {
	.name		= "kernel",
	.probe		= kernel_probe,
	.create		= kernel_create,
	.query		= kernel_query,
	.close		= kernel_close,
	.attach		= kernel_attach,
	.detach		= kernel_detach,
	.bell_wait	= kernel_bell_wait,
	.bell_self	= kernel_bell_self,
	.withdraw	= kernel_withdraw,
	.region_create	= kernel_region_create,
	.region_query	= kernel_region_query,
	.region_share	= kernel_region_share,
	.region_map	= kernel_region_map,
	.region_unmap	= kernel_region_unmap,
	.region_protectv = kernel_region_protectv,
	.region_submit	= kernel_region_submit,
	.region_fence	= kernel_region_fence,
	.region_cancel	= kernel_region_cancel,
	.region_notify	= kernel_region_notify,
	.region_scan	= kernel_region_scan,
	.cq_create	= kernel_cq_create,
	.cq_destroy	= kernel_cq_destroy,
	.cq_join	= kernel_cq_join,
	.cq_part	= kernel_cq_part,
	.cq_news	= kernel_cq_news,
	.cq_peek	= kernel_cq_peek,
	.cq_sleep	= kernel_cq_sleep,
	.cq_notify	= kernel_cq_notify,
	.cq_hear	= kernel_cq_hear,
	.cq_submit	= kernel_cq_submit,
};
