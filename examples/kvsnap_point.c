// SPDX-License-Identifier: MIT
/*
 * The point in time: all writers are held, and one of them does this.  It is the
 * pause that the arms differ in.
 */
#include "kvsnap.h"

#include "interrupts.h"
#include "kvsnap_report.h"

static void add_run(struct store *s, size_t page)
{
	struct run *last = s->runs + s->nruns - 1;

	if (s->nruns && last->end == page)
		last->end++;
	else
		s->runs[s->nruns++] = (struct run) { page, page + 1 };
	s->sample.protected++;
}

/* They will be protected: none is left. */
static void collect_dirty(struct store *s)
{
	const size_t words = (s->pages + WORD_BITS - 1) / WORD_BITS;

	s->nruns = 0;
	for (size_t i = 0; i < words; i++) {
		uint64_t bits = s->dirty[i];

		for (; bits; bits &= bits - 1)
			add_run(s, i * WORD_BITS + __builtin_ctzll(bits));
		atomic_store_explicit(&s->dirty[i], 0, memory_order_relaxed);
	}
}

static void note(struct store *s)
{
	struct manifest *m = &s->manifest;

	m->epoch++;
	m->moved = 0;
	for (unsigned int i = 0; i < s->writers; i++) {
		m->seq[i] = s->writer[i].seq;
		m->moved += s->writer[i].moved;
	}
	s->ncopies = 0;
}

static int protect(struct store *s)
{
	/* On purpose, so that it is seen that somebody would notice. */
	if (option.break_it || !s->arm->protect)
		return 0;
	if (s->arm->protect(s))
		return -1;
	return s->arm->settle ? s->arm->settle(s) : 0;
}

/* The pause is all that is to be done here but for looking at counters. */
int kv_point(struct store *s)
{
	const int64_t tlb = tlb_interrupts();
	const uint64_t began = kv_now();
	int ret;

	s->sample = (struct sample) { 0 };
	collect_dirty(s);
	note(s);
	ret = protect(s);
	s->sample.pause_ns = kv_now() - began;
	s->sample.tlb = tlb < 0 ? -1 : tlb_interrupts() - tlb;
	return ret;
}
