// SPDX-License-Identifier: MIT
/*
 * The store: pages of slots, a key and its balance in each; and what a writer does
 * to it, which is to move an amount from one key to another.
 */
#include "kvsnap.h"

#include <string.h>

#include "kvsnap_report.h"

uint64_t kv_weight(uint64_t key)
{
	uint64_t x = key + 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return (x ^ (x >> 31)) | 1;
}

/* ---- slots ------------------------------------------------------------ */

/* The first pages are the journals. */
static struct slot *slot_at(const struct store *s, size_t page, size_t nth)
{
	return (struct slot *)(s->area + page * PAGE) + nth;
}

static struct journal *journal_of(const struct store *s, unsigned int writer)
{
	return (struct journal *)(s->area + writer * PAGE);
}

static size_t divisor(size_t a, size_t b)
{
	return b ? divisor(b, a % b) : a;
}

/* Hot pages shall lie apart. */
static size_t stride_of(size_t pages)
{
	size_t stride = pages * 0.6180339887;

	while (stride > 1 && divisor(stride, pages) != 1)
		stride--;
	return stride ? stride : 1;
}

void kv_fill(struct store *s)
{
	const size_t keys = (s->pages - s->writers) * PAGE_SLOTS;
	const size_t hot = s->pages * option.dirty / 100;
	struct slot *slot = slot_at(s, s->writers, 0);
	size_t i;

	memset(s->area, 0, s->writers * PAGE);
	for (i = 0; i < keys; i++, slot++) {
		slot->key = i;
		slot->balance = BALANCE;
		slot->version = 0;
		memset(slot->name, 'a' + i % 26, sizeof(slot->name));
	}
	s->hot = hot > s->writers ? hot - s->writers : 1;
	s->stride = stride_of(s->pages - s->writers);
}

/* ---- an operation ----------------------------------------------------- */

static uint64_t random_of(struct writer *w)
{
	uint64_t x = w->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return w->random = x;
}

/*
 * Half of the pages that are hot before a snapshot are so after it: a store that
 * comes too late, by a translation of before, does harm there.
 */
static struct slot *pick(const struct store *s, struct writer *w)
{
	const uint64_t x = random_of(w);
	const size_t begin = s->manifest.epoch * ((s->hot + 1) / 2);
	const size_t nth = begin + (uint32_t)x % s->hot;
	const size_t page = nth * s->stride % (s->pages - s->writers);

	return slot_at(s, s->writers + page, (x >> 32) % PAGE_SLOTS);
}

/* Other writers do the same with the same keys. */
static void add(struct slot *slot, uint64_t amount)
{
	atomic_fetch_add_explicit(&slot->balance, amount, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->version, 1, memory_order_relaxed);
}

/* Three pages, of which any may fault; half of it is never to be in a snapshot. */
void kv_operate(struct store *s, struct writer *w)
{
	struct slot *from = pick(s, w), *to = pick(s, w);
	struct journal *j = journal_of(s, w->nth);
	const uint64_t amount = w->random % 100;
	const uint64_t seq = atomic_load_explicit(&w->seq,
						  memory_order_relaxed) + 1;

	add(from, -amount);
	j->from = from->key;
	j->to = to->key;
	j->amount = amount;
	add(to, amount);
	j->seq = seq;
	w->moved += amount * (kv_weight(to->key) - kv_weight(from->key));
	atomic_store_explicit(&w->seq, seq, memory_order_relaxed);
}
