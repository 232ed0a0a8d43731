// SPDX-License-Identifier: MIT
/*
 * Pages as they were at a point in time, while they are written again.
 *
 * At the point all pages are protected.  From then on a page is in the snapshot
 * once: either the saver takes it, or a writer faults on it first and copies it to
 * the side.  Whoever comes first marks it busy, and the other waits for that one
 * copy.  Then the writer may have the page back, and it is dirty: at the next
 * snapshot only such pages are to be protected.
 */
#include "kvsnap.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvsnap_report.h"

/*
 * State of a page: the epoch of a snapshot, and what became of it in that.  Those
 * of older epochs are in none yet, so that no snapshot need reset them.
 */
enum { BUSY, SAVED, COPIED, HOW_MANY };

#define STATE(s, how)	((uint32_t)(s)->manifest.epoch * HOW_MANY + (how))

/* ---- dirty pages ------------------------------------------------------ */

static void mark_dirty(struct store *s, size_t page)
{
	atomic_fetch_or(&s->dirty[page / WORD_BITS], 1ULL << page % WORD_BITS);
}

static bool is_dirty(const struct store *s, size_t page)
{
	return atomic_load(&s->dirty[page / WORD_BITS]) >> page % WORD_BITS & 1;
}

/* ---- in the snapshot once --------------------------------------------- */

/* False: it is in it already. */
static bool claim(struct store *s, size_t page)
{
	uint32_t was = atomic_load_explicit(&s->states[page],
					    memory_order_acquire);

	do {
		while (was == STATE(s, BUSY)) {
			sched_yield();
			was = atomic_load_explicit(&s->states[page],
						   memory_order_acquire);
		}
		if (was > STATE(s, BUSY))
			return false;
	} while (!atomic_compare_exchange_weak(&s->states[page], &was,
					       STATE(s, BUSY)));
	return true;
}

/* Pairs with the loads in claim(). */
static void settle(struct store *s, size_t page, int how)
{
	atomic_store_explicit(&s->states[page], STATE(s, how),
			      memory_order_release);
}

void kv_page_take(struct store *s, size_t page, char *to)
{
	if (claim(s, page)) {
		memcpy(to, s->area + page * PAGE, PAGE);
		settle(s, page, SAVED);
	} else {
		memcpy(to, s->copies + s->copy_of[page] * PAGE, PAGE);
	}
}

static void copy_first(struct store *s, size_t page)
{
	if (!claim(s, page))
		return;
	s->copy_of[page] = s->ncopies++;
	memcpy(s->copies + s->copy_of[page] * PAGE, s->area + page * PAGE, PAGE);
	settle(s, page, COPIED);
}

/* ---- faults ----------------------------------------------------------- */

static struct store *caught;

static void die(const char *why)
{
	(void)!write(STDERR_FILENO, why, strlen(why));
	_exit(EXIT_FAILURE);
}

/*
 * A writer stored to a protected page.  This is not a signal that comes at any
 * time: it is raised by a store of kvsnap_store.c and nowhere else, and so no
 * thread is here that has a lock of a library.  What may be called by a function
 * that stores may be called here, also fos_mprotectv(), which without the module
 * takes a mutex.
 *
 * The point in time is not taken meanwhile: this writer has not arrived.
 */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct store *s = caught;
	const size_t page = ((char *)info->si_addr - s->area) / PAGE;
	const int err = errno;

	(void)context;
	if ((char *)info->si_addr < s->area || page >= s->pages) {
		signal(sig, SIG_DFL);
		return;
	}
	/* Another writer may have been here. */
	if (!is_dirty(s, page)) {
		copy_first(s, page);
		if (s->arm->unprotect(s, page))
			die(errno == ENOMEM ?
			    "kvsnap: more mappings than vm.max_map_count\n" :
			    "kvsnap: a page cannot be unprotected\n");
		mark_dirty(s, page);
	}
	errno = err;
}

static void catch_faults(struct store *s)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_RESTART };

	caught = s;
	sa.sa_sigaction = on_fault;
	if (s->arm->signal)
		sigaction(s->arm->signal, &sa, NULL);
}

/* ---- memory ----------------------------------------------------------- */

/* Used as it is touched. */
static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		       MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int kv_pages_open(struct store *s)
{
	const size_t words = (s->pages + WORD_BITS - 1) / WORD_BITS;

	s->states = calloc(s->pages, sizeof(*s->states));
	s->copy_of = calloc(s->pages, sizeof(*s->copy_of));
	s->dirty = calloc(words, sizeof(*s->dirty));
	s->runs = calloc(s->pages / 2 + 1, sizeof(*s->runs));
	s->copies = reserve(s->pages * PAGE);
	if (!s->states || !s->copy_of || !s->dirty || !s->runs || !s->copies)
		return -1;
	/* Before the first snapshot all may be written. */
	for (size_t i = 0; i < s->pages; i++)
		mark_dirty(s, i);
	catch_faults(s);
	return 0;
}

void kv_pages_close(struct store *s)
{
	if (s->arm->signal)
		signal(s->arm->signal, SIG_DFL);
	if (s->copies)
		munmap(s->copies, s->pages * PAGE);
	free(s->runs);
	free(s->dirty);
	free(s->copy_of);
	free(s->states);
}
