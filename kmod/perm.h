/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: perm - the word that says what may be done with a page
 *
 * FOS_RIGHT_READ and WRITE as they are now; with FOS_PERM_TRACK who stores gets
 * WRITE, and then WRITTEN says so; STALE: the page's content was recycled, and may
 * come from another one.  Above them what these bits were before the last call, and
 * the lower bits of that call's ticket, by which it can be taken back.
 *
 * Calls write it one at a time (fos_tlb_queue.lock), faults at any time.
 */
#ifndef FOS_PERM_H
#define FOS_PERM_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/fastos.h>

#define FOS_PERM_TRACK		BIT(2)
#define FOS_PERM_WRITTEN	BIT(3)
#define FOS_PERM_STALE		BIT(4)
#define FOS_PERM_NOW		0x1fU
#define FOS_PERM_OLD_SHIFT	5
#define FOS_PERM_TICKET_SHIFT	10

static inline u32 fos_perm_ticket(u64 ticket)
{
	return (u32)ticket << FOS_PERM_TICKET_SHIFT;
}

static inline bool fos_perm_is_of(u32 word, u64 ticket)
{
	return !((word ^ fos_perm_ticket(ticket)) >> FOS_PERM_TICKET_SHIFT);
}

/* Of a page that stays tracked it is not forgotten that it was written. */
static inline u32 fos_perm_keep_written(u32 now, u32 old)
{
	return now & old & FOS_PERM_TRACK ? now | (old & FOS_PERM_WRITTEN) : now;
}

/*
 * What is now, and what was before; ranges of one call may overlap.  @keep: bits that
 * stay as they are.
 */
static inline void fos_perm_set(u32 *word, u32 now, u32 keep, u64 ticket)
{
	u32 old = READ_ONCE(*word), new, was;

	do {
		new = fos_perm_keep_written(now, old) | (old & keep);
		was = fos_perm_is_of(old, ticket) ?
		      old >> FOS_PERM_OLD_SHIFT : old;
	} while (!try_cmpxchg(word, &old, new | fos_perm_ticket(ticket) |
			      (was & FOS_PERM_NOW) << FOS_PERM_OLD_SHIFT));
}

/*
 * Undo that.  False: PTEs may have more than the word then says, for that took
 * something away, or a later call has changed it.
 */
static inline bool fos_perm_restore(u32 *word, u64 ticket)
{
	u32 old = READ_ONCE(*word), was;

	do {
		if (!fos_perm_is_of(old, ticket))
			return false;
		was = old >> FOS_PERM_OLD_SHIFT & FOS_PERM_NOW;
		was = fos_perm_keep_written(was, old);
	} while (!try_cmpxchg(word, &old, was | (old & ~FOS_PERM_NOW)));
	return !(old & ~was & (FOS_RIGHT_READ | FOS_RIGHT_WRITE));
}

/* May the page be stored to?  If it is tracked, then it is written now. */
static inline bool fos_perm_store(u32 *word)
{
	u32 old = READ_ONCE(*word);

	do {
		if (old & FOS_RIGHT_WRITE)
			return true;
		if (!(old & FOS_PERM_TRACK))
			return false;
	} while (!try_cmpxchg(word, &old, old | FOS_RIGHT_WRITE |
			      FOS_PERM_WRITTEN));
	return true;
}

/* Was it written since it is tracked?  From now on it is not. */
static inline bool fos_perm_take_written(u32 *word)
{
	u32 old = READ_ONCE(*word);

	do {
		if (!(old & FOS_PERM_WRITTEN))
			return false;
	} while (!try_cmpxchg(word, &old, old & ~(FOS_RIGHT_WRITE |
						  FOS_PERM_WRITTEN)));
	return true;
}

#endif
