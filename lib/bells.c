// SPDX-License-Identifier: MIT
#include "bells.h"

#include <stdlib.h>

__thread struct fos_bells *fos__bells __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

void fos__bell_ring(struct fos_bell *b)
{
	struct fos_ep *ep = b->who.ep;

	/* A dead one has told its peer. */
	if (!fos__ep_again(&b->who))
		return;
	if (b->who.fd < 0 || ep->backend->bell_wait(ep, b->who.fd, b->bell, 0, 0, 0) ==
	    -EBADF)
		/* By whoever uses it next. */
		__atomic_fetch_or(&ep->owed_bell, b->bell, __ATOMIC_RELAXED);
	fos__ep_put(ep);
}

FOS_COLD void fos__bells_ring(void)
{
	struct fos_bells *const bells = fos__bells;
	unsigned int i;

	for (i = 0; i < bells->n; i++)
		fos__bell_ring(&bells->bell[i]);
	bells->n = 0;
}

void fos__bells_hold(struct fos_ep *ep, int fd, uint32_t bell)
{
	struct fos_bells *const bells = fos__bells;

	if (bells->n == BELLS_MOST)
		fos__bells_ring();
	bells->bell[bells->n] = (struct fos_bell) {
		.who = { .ep = ep, .id = ep->id, .side = ep->side, .fd = fd },
		.bell = bell,
	};
	bells->n++;
}

/* ---- threads and processes that end, and begin ------------------------ */

static void end_thread(void *bells)
{
	fos__bells = bells;
	fos__bells_ring();
	fos__bells = NULL;
	free(bells);
}

/* They are the parent's, who has them still. */
static void begin_child(void)
{
	if (fos__bells)
		fos__bells->n = 0;
}

static void set_up(void)
{
	has_key = !pthread_key_create(&key, end_thread) &&
		  !pthread_atfork(NULL, NULL, begin_child);
}

FOS_API int fos_hold_bells(int on)
{
	struct fos_bells *bells = fos__bells;

	if (!on == !bells)
		return 0;
	if (bells) {
		pthread_setspecific(key, NULL);
		end_thread(bells);
		return 0;
	}
	pthread_once(&once, set_up);
	bells = has_key ? calloc(1, sizeof(*bells)) : NULL;
	if (!bells || pthread_setspecific(key, bells)) {
		free(bells);
		return fos__ret(-ENOMEM);
	}
	fos__bells = bells;
	return 0;
}
