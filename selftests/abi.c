// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls, raw: numbers and sizes that must never change, and that every
 * bad argument gets the documented error and does nothing else.
 */
#include <sys/resource.h>

#include "abi_cq.h"
#include "abi_tickets.h"
#include "kselftest_harness.h"

#define DEPTH		4
#define AREA		8192ULL

/* ---- what old binaries rely on ---------------------------------------- */

#define SIZE_IS(type, size) \
	_Static_assert(sizeof(struct type) == (size), "size of " #type)
#define OFFSET_IS(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #field)

SIZE_IS(fos_core_query, 72);
SIZE_IS(fos_chan_create, 40);
SIZE_IS(fos_chan_bell_wait, 40);
SIZE_IS(fos_chan_withdraw, 40);
SIZE_IS(fos_line, 128);
SIZE_IS(fos_entry, 128);
SIZE_IS(fos_kside, 128);
SIZE_IS(fos_lent, 16);
OFFSET_IS(fos_core_query, abi, 16);
OFFSET_IS(fos_core_query, wake_ns, 28);
OFFSET_IS(fos_core_query, id, 40);
OFFSET_IS(fos_core_query, cookie, 64);
OFFSET_IS(fos_chan_create, depth, 24);
OFFSET_IS(fos_chan_create, fd, 32);
OFFSET_IS(fos_chan_bell_wait, want, 8);
OFFSET_IS(fos_chan_bell_wait, seen, 16);
OFFSET_IS(fos_chan_bell_wait, deadline_ns, 32);
OFFSET_IS(fos_chan_withdraw, id, 8);
OFFSET_IS(fos_chan_withdraw, word, 24);
OFFSET_IS(fos_chan_withdraw, side, 32);
OFFSET_IS(fos_line, receivers, 8);
OFFSET_IS(fos_line, cpu, 64);
OFFSET_IS(fos_entry, token, 8);
OFFSET_IS(fos_entry, meta, 28);
OFFSET_IS(fos_entry, body, 32);
OFFSET_IS(fos_kside, state, 8);

TEST(ioctl_numbers_never_change)
{
	EXPECT_EQ(0xc048fa00, FOS_IOC_CORE_QUERY);
	EXPECT_EQ(0xc028fa20, FOS_IOC_CHAN_CREATE);
	EXPECT_EQ(0x4028fa21, FOS_IOC_CHAN_BELL_WAIT);
	EXPECT_EQ(0xc028fa22, FOS_IOC_CHAN_WITHDRAW);
}

TEST(constants_never_change)
{
	EXPECT_EQ(0x1, FOS_WANT_MSG);
	EXPECT_EQ(0x2, FOS_WANT_CALL);
	EXPECT_EQ(0x4, FOS_WANT_REPLY);
	EXPECT_EQ(0x8, FOS_WANT_TAKE);
	EXPECT_EQ(0x10, FOS_WANT_ROOM);
	EXPECT_EQ(0x20, FOS_WANT_RECEIVER);
	EXPECT_EQ(0x40, FOS_WANT_CLAIMS);
	EXPECT_EQ(0x80, FOS_WANT_REPLIES);
	EXPECT_EQ(0xff, FOS_WANT_ALL);
	EXPECT_EQ(0x800, FOS_WANT_SLOT(FOS_TOKEN(7, 3)));
	EXPECT_EQ(0x800000, FOS_WANT_SLOT(FOS_TOKEN(7, 255)));
	EXPECT_EQ(1, FOS_BELL_SELF);
	EXPECT_EQ(0x60001005, FOS_ADVICE(5, 16) | FOS_ADVICE_SELF);
	EXPECT_EQ(0x00100000, FOS_ADVICE_TAG(7, 1));
	EXPECT_EQ(0x00010000, FOS_ADVICE_TAG(511, 0));
	EXPECT_EQ(0x02000000, FOS_ADVICE_CLOSES(17 << 1 | FOS_STATE_DEAD));
	EXPECT_EQ(0x1234, FOS_RELEASED_TOKEN(FOS_RELEASED_GIVING_UP |
					     FOS_RELEASED_GIVEN_UP | 0x1234));
	EXPECT_EQ(0x1e, FOS_CLAIM(7, FOS_CLAIM_WITHDRAWN));
	EXPECT_EQ(3, FOS_ABI);
}

TEST(the_mapping_never_changes_its_shape)
{
	EXPECT_EQ(12288, FOS_CHAN_CONTROL_BYTES(32));
	EXPECT_EQ(73728, FOS_CHAN_CONTROL_BYTES(256));
	EXPECT_EQ(12288, FOS_CHAN_OFF_CONTROL(32, 1));
	EXPECT_EQ(24576, FOS_CHAN_OFF_CLAIMS(32, 0));
	EXPECT_EQ(32768, FOS_CHAN_OFF_KERNEL(32));
	EXPECT_EQ(36864, FOS_CHAN_OFF_AREA(32, 2 << 20, 0));
	EXPECT_EQ(36864 + (4 << 20), FOS_CHAN_OFF_GUARD(32, 2 << 20));
	EXPECT_EQ(40960 + (4 << 20), FOS_CHAN_MAP_BYTES(32, 2 << 20));
	EXPECT_EQ(128 + 128 * 8, FOS_CHAN_REPLIES(8));
	EXPECT_EQ(128 + 256 * 8, FOS_CHAN_RELEASED(8));
	EXPECT_EQ(0x1234560789, FOS_TOKEN(0x12345607, 0x89));
	EXPECT_EQ(0x12345607, FOS_TOKEN_SEQ(0x1234560789));
	EXPECT_EQ(0x89, FOS_TOKEN_SLOT(0x1234560789));
}

/* ---- one good call of each, to be spoiled ----------------------------- */

/* Larger than any struct can be: _IOC_SIZE has 14 bits. */
#define ARGS_MAX	(1 << 14)

union args {
	struct fos_core_query query;
	struct fos_chan_create create;
	struct fos_chan_bell_wait bell_wait;
	struct fos_chan_withdraw withdraw;
	struct fos_region_create region;
	struct fos_region_share share;
	struct fos_tlb_protectv protectv;
	struct fos_tlb_submit submit;
	struct fos_tlb_fence fence;
	struct fos_tlb_cancel cancel;
	struct fos_tlb_scan scan;
	struct fos_tlb_notify notify;
	struct fos_cq_create queue;
	struct fos_cq_wait wait;
	struct fos_cq_notify notify_of;
	struct fos_cq_hear hear;
	struct fos_chan_cq tell;
	unsigned char bytes[ARGS_MAX];
};

enum object { OF_NODE, OF_ENDPOINT, OF_REGION, OF_QUEUE, OBJECTS };

struct spec {
	const char *name;
	unsigned int cmd;
	enum object on;
};

static const struct spec specs[] = {
	{ "query of the node", FOS_IOC_CORE_QUERY, OF_NODE },
	{ "query of an endpoint", FOS_IOC_CORE_QUERY, OF_ENDPOINT },
	{ "query of a region", FOS_IOC_CORE_QUERY, OF_REGION },
	{ "query of a queue", FOS_IOC_CORE_QUERY, OF_QUEUE },
	{ "create", FOS_IOC_CHAN_CREATE, OF_NODE },
	{ "bell_wait", FOS_IOC_CHAN_BELL_WAIT, OF_ENDPOINT },
	{ "withdraw", FOS_IOC_CHAN_WITHDRAW, OF_ENDPOINT },
	{ "create of a region", FOS_IOC_REGION_CREATE, OF_NODE },
	{ "share", FOS_IOC_REGION_SHARE, OF_REGION },
	{ "protectv", FOS_IOC_TLB_PROTECTV, OF_REGION },
	{ "submit", FOS_IOC_TLB_SUBMIT, OF_REGION },
	{ "fence", FOS_IOC_TLB_FENCE, OF_REGION },
	{ "cancel", FOS_IOC_TLB_CANCEL, OF_REGION },
	{ "scan", FOS_IOC_TLB_SCAN, OF_REGION },
	{ "notify", FOS_IOC_TLB_NOTIFY, OF_REGION },
	{ "create of a queue", FOS_IOC_CQ_CREATE, OF_NODE },
	{ "wait", FOS_IOC_CQ_WAIT, OF_QUEUE },
	{ "notify of entries", FOS_IOC_CQ_NOTIFY, OF_QUEUE },
	{ "hear", FOS_IOC_CQ_HEAR, OF_QUEUE },
	{ "tell", FOS_IOC_CHAN_CQ, OF_ENDPOINT },
};

#define for_each_spec(s) for (s = specs; s < specs + sizeof(specs) / sizeof(specs[0]); s++)

/* Of the endpoint, and the region, under test. */
static uint64_t ep_id;
static int region_fd;

static struct fos_tlb_range a_page = { 0, FOS_PAGE_BYTES, FOS_RIGHT_READ, 0 };

static unsigned int resize(unsigned int cmd, unsigned int size)
{
	return _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), size);
}

static void fill_good(unsigned int cmd, union args *a)
{
	memset(a, 0, sizeof(*a));
	if (cmd == FOS_IOC_CHAN_CREATE) {
		a->create.depth = DEPTH;
		a->create.area_bytes = AREA;
	} else if (cmd == FOS_IOC_CHAN_WITHDRAW) {
		/* Decided already: a good call that changes nothing. */
		a->withdraw.seq = 1;
		a->withdraw.id = ep_id;
	} else if (cmd == FOS_IOC_REGION_CREATE) {
		a->region.bytes = AREA;
	} else if (cmd == FOS_IOC_REGION_SHARE) {
		a->share.rights = FOS_RIGHT_READ;
	} else if (cmd == FOS_IOC_TLB_PROTECTV) {
		a->protectv.ranges = (uintptr_t)&a_page;
		a->protectv.count = 1;
	} else if (cmd == FOS_IOC_TLB_SUBMIT) {
		a->submit.ranges = (uintptr_t)&a_page;
		a->submit.count = 1;
	} else if (cmd == FOS_IOC_TLB_FENCE) {
		a->fence.ticket = submit(region_fd, 0, 1, FOS_RIGHT_READ, LATE);
		a->fence.deadline_ns = FOS_DEADLINE_NONE;
	} else if (cmd == FOS_IOC_TLB_CANCEL) {
		a->cancel.ticket = submit(region_fd, 0, 1, FOS_RIGHT_READ, LATE);
	} else if (cmd == FOS_IOC_TLB_SCAN) {
		a->scan.len = FOS_PAGE_BYTES;
		a->scan.ranges = (uintptr_t)&a_page;
		a->scan.count = 1;
	} else if (cmd == FOS_IOC_TLB_NOTIFY) {
		a->notify.fd = ~0U;
	} else if (cmd == FOS_IOC_CQ_NOTIFY) {
		a->notify_of.fd = ~0U;
	} else if (cmd == FOS_IOC_CQ_HEAR) {
		a->hear.fd = ~0U;
	} else if (cmd == FOS_IOC_CQ_CREATE) {
		a->queue.entries = FOS_CQ_ENTRIES_MIN;
	} else if (cmd == FOS_IOC_CHAN_CQ) {
		a->tell.fd = ~0U;
	}
}

static unsigned int first_size(unsigned int cmd)
{
	return cmd == FOS_IOC_TLB_SUBMIT ? FOS_TLB_SUBMIT_SIZE_VER0 :
	       _IOC_SIZE(cmd);
}

/* What the call returned; what it made is closed. */
static long call_it(int fd, unsigned int cmd, void *args)
{
	long ret = RESULT(ioctl(fd, cmd, args));
	union args *a = args;

	if (!ret && _IOC_NR(cmd) == _IOC_NR(FOS_IOC_CHAN_CREATE)) {
		close(a->create.fd[0]);
		close(a->create.fd[1]);
	} else if (!ret && _IOC_NR(cmd) == _IOC_NR(FOS_IOC_REGION_CREATE)) {
		close(a->region.fd);
	} else if (!ret && _IOC_NR(cmd) == _IOC_NR(FOS_IOC_REGION_SHARE)) {
		close(a->share.fd);
	} else if (!ret && _IOC_NR(cmd) == _IOC_NR(FOS_IOC_CQ_CREATE)) {
		close(a->queue.fd);
	}
	return ret;
}

FIXTURE(abi) {
	int fd[OBJECTS];
	int peer;
	union args *a;
};

FIXTURE_SETUP(abi)
{
	struct fos_core_query q = {};
	int ep[2] = { -1, -1 };

	self->fd[OF_NODE] = open(NODE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd[OF_NODE]);
	ASSERT_EQ(0, raw_create(DEPTH, AREA, ep));
	ASSERT_EQ(0, ioctl(ep[0], FOS_IOC_CORE_QUERY, &q));
	ep_id = q.id;
	self->fd[OF_ENDPOINT] = ep[0];
	self->peer = ep[1];
	region_fd = make_region(AREA);
	ASSERT_LE(0, region_fd);
	self->fd[OF_REGION] = region_fd;
	self->fd[OF_QUEUE] = make_queue(FOS_CQ_ENTRIES_MIN);
	ASSERT_LE(0, self->fd[OF_QUEUE]);
	self->a = malloc(sizeof(*self->a));
	ASSERT_NE(NULL, self->a);
}

FIXTURE_TEARDOWN(abi)
{
	enum object on;

	free(self->a);
	close(self->peer);
	/* Whatever was submitted is done. */
	protect(region_fd, 0, 1, FOS_RIGHT_READ);
	for (on = OF_NODE; on < OBJECTS; on++)
		close(self->fd[on]);
}

#define FD_OF(s)	(self->fd[(s)->on])

TEST_F(abi, good_calls_succeed)
{
	const struct spec *s;

	for_each_spec(s) {
		fill_good(s->cmd, self->a);
		EXPECT_EQ(0, call_it(FD_OF(s), s->cmd, self->a))
			TH_LOG("%s", s->name);
	}
}

/* ---- flags, reserved fields, ranges ----------------------------------- */

/* Each bit of the @len bytes at @offset that is not in @known is refused. */
static int accepted_bits(int fd, unsigned int cmd, union args *a,
			 size_t offset, size_t len, uint64_t known)
{
	unsigned int bit;
	int bad = 0;

	for (bit = 0; bit < 8 * len; bit++) {
		if (known >> bit & 1)
			continue;
		fill_good(cmd, a);
		a->bytes[offset + bit / 8] |= 1 << bit % 8;
		if (call_it(fd, cmd, a) != -EINVAL) {
			printf("# ioctl %x offset %zu: bit %u is accepted\n",
			       cmd, offset, bit);
			bad++;
		}
	}
	return bad;
}

struct word {
	unsigned int cmd;
	enum object on;
	size_t offset;
	size_t len;
	uint64_t known;
};

#define WORD(cmd, on, type, field, known) \
	{ FOS_IOC_##cmd, on, offsetof(struct type, field), \
	  sizeof(((struct type *)0)->field), known }

static const struct word words[] = {
	WORD(CORE_QUERY, OF_NODE, fos_core_query, flags, 0),
	WORD(CORE_QUERY, OF_ENDPOINT, fos_core_query, flags, 0),
	WORD(CORE_QUERY, OF_REGION, fos_core_query, flags, 0),
	WORD(CORE_QUERY, OF_QUEUE, fos_core_query, flags, 0),
	WORD(CHAN_CREATE, OF_NODE, fos_chan_create, flags, 0),
	WORD(CHAN_CREATE, OF_NODE, fos_chan_create, resv, 0),
	WORD(CHAN_BELL_WAIT, OF_ENDPOINT, fos_chan_bell_wait, flags,
	     FOS_BELL_SELF),
	WORD(CHAN_BELL_WAIT, OF_ENDPOINT, fos_chan_bell_wait, bell,
	     FOS_WANT_ALL),
	WORD(CHAN_BELL_WAIT, OF_ENDPOINT, fos_chan_bell_wait, want,
	     FOS_WANT_ALL & ~FOS_WANT_RECEIVER),
	WORD(CHAN_BELL_WAIT, OF_ENDPOINT, fos_chan_bell_wait, resv, 0),
	WORD(CHAN_WITHDRAW, OF_ENDPOINT, fos_chan_withdraw, flags, 0),
	WORD(CHAN_WITHDRAW, OF_ENDPOINT, fos_chan_withdraw, resv, 0),
	/* A seq has 62 bits. */
	WORD(CHAN_WITHDRAW, OF_ENDPOINT, fos_chan_withdraw, seq, ~0ULL >> 2),
	WORD(REGION_CREATE, OF_NODE, fos_region_create, flags, 0),
	WORD(REGION_CREATE, OF_NODE, fos_region_create, resv, 0),
	WORD(REGION_SHARE, OF_REGION, fos_region_share, flags, 0),
	WORD(REGION_SHARE, OF_REGION, fos_region_share, rights, RIGHTS_RW),
	WORD(TLB_PROTECTV, OF_REGION, fos_tlb_protectv, flags, 0),
	WORD(TLB_SUBMIT, OF_REGION, fos_tlb_submit, flags, FOS_TLB_SUBMIT_CQ),
	WORD(TLB_SUBMIT, OF_REGION, fos_tlb_submit, cq, 0),
	WORD(TLB_SUBMIT, OF_REGION, fos_tlb_submit, user_data, 0),
	WORD(TLB_FENCE, OF_REGION, fos_tlb_fence, flags, FOS_TLB_FENCE_LOOK),
	WORD(TLB_CANCEL, OF_REGION, fos_tlb_cancel, flags, 0),
	WORD(TLB_SCAN, OF_REGION, fos_tlb_scan, flags, 0),
	WORD(TLB_NOTIFY, OF_REGION, fos_tlb_notify, flags, 0),
	WORD(TLB_NOTIFY, OF_REGION, fos_tlb_notify, resv, 0),
	WORD(CQ_CREATE, OF_NODE, fos_cq_create, flags, 0),
	/* One bit more than the good one is no power of two. */
	WORD(CQ_CREATE, OF_NODE, fos_cq_create, entries, FOS_CQ_ENTRIES_MIN),
	WORD(CQ_WAIT, OF_QUEUE, fos_cq_wait, flags, 0),
	WORD(CQ_NOTIFY, OF_QUEUE, fos_cq_notify, flags, 0),
	WORD(CQ_NOTIFY, OF_QUEUE, fos_cq_notify, resv, 0),
	WORD(CQ_HEAR, OF_QUEUE, fos_cq_hear, flags, 0),
	WORD(CHAN_CQ, OF_ENDPOINT, fos_chan_cq, flags, 0),
	WORD(CHAN_CQ, OF_ENDPOINT, fos_chan_cq, want, FOS_WANT_ALL),
	WORD(CHAN_CQ, OF_ENDPOINT, fos_chan_cq, resv, 0),
};

TEST_F(abi, unknown_bits_and_reserved_fields_are_refused)
{
	const struct word *w;

	for (w = words; w < words + ARRAY_SIZE(words); w++)
		EXPECT_EQ(0, accepted_bits(FD_OF(w), w->cmd, self->a, w->offset,
					   w->len, w->known));
}

TEST_F(abi, output_fields_may_hold_anything)
{
	memset(self->a, 0xff, sizeof(*self->a));
	self->a->query.flags = 0;
	EXPECT_EQ(0, ioctl(self->fd[OF_NODE], FOS_IOC_CORE_QUERY, self->a));
	EXPECT_EQ(FOS_ABI, self->a->query.abi);
	fill_good(FOS_IOC_CHAN_CREATE, self->a);
	self->a->create.fd[0] = -1;
	self->a->create.fd[1] = -1;
	EXPECT_EQ(0, call_it(self->fd[OF_NODE], FOS_IOC_CHAN_CREATE, self->a));
}

/* ---- sizes ------------------------------------------------------------ */

TEST_F(abi, a_struct_shorter_than_the_first_version_is_refused)
{
	const struct spec *s;
	unsigned int size;

	for_each_spec(s) {
		for (size = 0; size < first_size(s->cmd); size++) {
			fill_good(s->cmd, self->a);
			EXPECT_EQ(-EINVAL, call_it(FD_OF(s),
						   resize(s->cmd, size),
						   self->a))
				TH_LOG("%s, %u bytes", s->name, size);
		}
	}
}

TEST_F(abi, a_longer_struct_is_accepted_if_its_tail_is_zero)
{
	const struct spec *s;
	unsigned int size;

	for_each_spec(s) {
		for (size = _IOC_SIZE(s->cmd) + 1; size < ARGS_MAX;
		     size += size < 128 ? 1 : size) {
			fill_good(s->cmd, self->a);
			EXPECT_EQ(0, call_it(FD_OF(s), resize(s->cmd, size),
					     self->a))
				TH_LOG("%s, %u bytes", s->name, size);
		}
	}
}

TEST_F(abi, a_longer_struct_with_something_in_its_tail_is_e2big)
{
	const struct spec *s;
	unsigned int size, at;

	for_each_spec(s) {
		size = _IOC_SIZE(s->cmd);
		for (at = size; at < size + 32; at++) {
			fill_good(s->cmd, self->a);
			self->a->bytes[at] = 1;
			EXPECT_EQ(-E2BIG, call_it(FD_OF(s),
						  resize(s->cmd, size + 32),
						  self->a))
				TH_LOG("%s, byte %u", s->name, at);
		}
		/* Behind what the number says nobody looks. */
		fill_good(s->cmd, self->a);
		self->a->bytes[size + 32] = 1;
		EXPECT_EQ(0, call_it(FD_OF(s), resize(s->cmd, size + 32),
				     self->a))
			TH_LOG("%s", s->name);
	}
}

TEST_F(abi, the_tail_of_a_longer_struct_is_left_alone)
{
	fill_good(FOS_IOC_CORE_QUERY, self->a);
	self->a->bytes[100] = 0x77;
	ASSERT_EQ(0, ioctl(self->fd[OF_NODE], resize(FOS_IOC_CORE_QUERY, 96),
			   self->a));
	EXPECT_EQ(FOS_ABI, self->a->query.abi);
	EXPECT_EQ(0x77, self->a->bytes[100]);
}

/* ---- pointers --------------------------------------------------------- */

TEST_F(abi, bad_pointers_are_efault)
{
	size_t page = FOS_PAGE_BYTES;
	char *hole = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *bad[] = {
		NULL, (void *)1, (void *)-1, (void *)(1UL << 47),
		(void *)0xffffffff81000000UL, hole + page,
		/* The first half is there, the second is not. */
		hole + page - 8,
	};
	const struct spec *s;
	void *p;
	size_t i;

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, munmap(hole + page, page));
	for_each_spec(s) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			p = bad[i];
			EXPECT_EQ(-EFAULT, RESULT(ioctl(FD_OF(s), s->cmd, p)))
				TH_LOG("%s, pointer %p", s->name, p);
		}
	}
}

TEST_F(abi, results_that_cannot_be_written_are_efault_and_leave_nothing)
{
	union args *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long live = objects_settled();
	int fds = count_fds();
	const struct spec *s;

	ASSERT_NE(MAP_FAILED, a);
	for_each_spec(s) {
		if (!(_IOC_DIR(s->cmd) & _IOC_READ))
			continue;
		ASSERT_EQ(0, mprotect(a, sizeof(*a), PROT_READ | PROT_WRITE));
		fill_good(s->cmd, a);
		ASSERT_EQ(0, mprotect(a, sizeof(*a), PROT_READ));
		EXPECT_EQ(-EFAULT, RESULT(ioctl(FD_OF(s), s->cmd, a)))
			TH_LOG("%s", s->name);
	}
	EXPECT_EQ(fds, count_fds());
	EXPECT_EQ(live, objects_left(live));
}

TEST_F(abi, create_without_free_descriptors_is_emfile_and_leaves_nothing)
{
	long live = objects_settled();
	int fds = count_fds();
	struct rlimit old, less;
	int room;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	for (room = 0; room < 2; room++) {
		less = old;
		less.rlim_cur = fds + room;
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &less));
		fill_good(FOS_IOC_CHAN_CREATE, self->a);
		EXPECT_EQ(-EMFILE, RESULT(ioctl(self->fd[OF_NODE],
						FOS_IOC_CHAN_CREATE,
						self->a)));
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	}
	EXPECT_EQ(fds, count_fds());
	EXPECT_EQ(live, objects_left(live));
}

/* ---- what is not there ------------------------------------------------ */

static bool known_there(unsigned int nr, enum object on)
{
	const struct spec *s;

	for_each_spec(s) {
		if (_IOC_NR(s->cmd) == nr && s->on == on)
			return true;
	}
	return false;
}

TEST_F(abi, unknown_ioctls_are_enotty)
{
	unsigned int nr, dir;
	enum object on;
	int fd;

	memset(self->a, 0, sizeof(*self->a));
	for (nr = 0; nr < 256 * OBJECTS; nr++) {
		on = nr % OBJECTS;
		fd = self->fd[on];
		if (known_there(nr / OBJECTS, on))
			continue;
		for (dir = 0; dir < 4; dir++)
			EXPECT_EQ(-ENOTTY,
				  RESULT(ioctl(fd, _IOC(dir, FOS_IOC_MAGIC,
							nr / OBJECTS, 40),
					       self->a)))
				TH_LOG("nr %#x dir %u", nr / OBJECTS, dir);
	}
}

TEST_F(abi, a_wrong_direction_or_magic_is_enotty)
{
	const struct spec *s;
	unsigned int dir, cmd;

	for_each_spec(s) {
		fill_good(s->cmd, self->a);
		for (dir = 0; dir < 4; dir++) {
			cmd = _IOC(dir, FOS_IOC_MAGIC, _IOC_NR(s->cmd),
				   _IOC_SIZE(s->cmd));
			if (cmd == s->cmd)
				continue;
			EXPECT_EQ(-ENOTTY, RESULT(ioctl(FD_OF(s), cmd,
							self->a)))
				TH_LOG("%s, direction %u", s->name, dir);
		}
		cmd = _IOC(_IOC_DIR(s->cmd), FOS_IOC_MAGIC + 1,
			   _IOC_NR(s->cmd), _IOC_SIZE(s->cmd));
		EXPECT_EQ(-ENOTTY, RESULT(ioctl(FD_OF(s), cmd, self->a)))
			TH_LOG("%s", s->name);
	}
}

TEST_F(abi, each_ioctl_belongs_to_one_kind_of_descriptor)
{
	const struct spec *s;
	enum object on;

	for_each_spec(s) {
		fill_good(s->cmd, self->a);
		for (on = OF_NODE; on < OBJECTS; on++) {
			if (known_there(_IOC_NR(s->cmd), on))
				continue;
			EXPECT_EQ(-ENOTTY, call_it(self->fd[on], s->cmd,
						   self->a))
				TH_LOG("%s", s->name);
		}
	}
}

TEST_HARNESS_MAIN
