/* SPDX-License-Identifier: GPL-2.0-only */
/* A channel with a caller at one end, in each mode; for a program of its own. */
#ifndef FOS_SELFTESTS_CALLS_H
#define FOS_SELFTESTS_CALLS_H

#include "peers.h"
#include "kselftest_harness.h"

#define MIB		(1 << 20)

FIXTURE(call) {
	int fd[2];
	char *in;
	char *out;
};

FIXTURE_VARIANT(call) {
	uint32_t spin;
};

FIXTURE_VARIANT_ADD(call, block) { .spin = FOS_SPIN_BLOCK };
FIXTURE_VARIANT_ADD(call, by_default) { .spin = FOS_SPIN_DEFAULT };
FIXTURE_VARIANT_ADD(call, spin) { .spin = FOS_SPIN_ALWAYS };

FIXTURE_SETUP(call)
{
	ASSERT_EQ(0, channel_with(self->fd, variant->spin, 0, 0));
	self->in = malloc(2 * MIB);
	self->out = malloc(2 * MIB);
	ASSERT_TRUE(self->in && self->out);
}

FIXTURE_TEARDOWN(call)
{
}

/* As a server: the next request; @token 0 if it is a message. */
static inline long take(int fd, uint64_t *token, void *in, size_t cap, long ms)
{
	struct timespec deadline = deadline_in(ms);

	*token = 0;
	return RESULT(fos_reply_recv(fd, token, NULL, 0, in, cap, &deadline));
}

static inline struct async a_call(int fd, const char *request, char *in)
{
	return (struct async) {
		.fn = do_call,
		.fd = fd,
		.out = request,
		.out_len = strlen(request),
		.in = in,
		.cap = 64,
	};
}

#endif
