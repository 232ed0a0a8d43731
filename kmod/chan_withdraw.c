// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

#include "break.h"
#include "chan.h"
#include "core.h"
#include "stats.h"
#include "trace.h"

static_assert(sizeof(struct fos_chan_withdraw) == FOS_CHAN_WITHDRAW_SIZE_VER0);

/*
 * The claim word decides: whoever moves it on first.  It is one round behind
 * and not TAKEN, or any number of rounds ahead, when my other threads went on
 * with the slot; anything else is a lie of the peer.  He may change his word
 * while we look, but not for ever.
 */
static int fos_ep_withdraw(struct fos_ep *ep, u64 seq, u64 *word)
{
	u64 *claim = fos_ep_claim(fos_ep_peer(ep), seq);
	const u64 mine = FOS_CLAIM(seq, FOS_CLAIM_WITHDRAWN);
	const s64 round = (s64)ep->chan->depth << 2;
	int tries;

	/* Acquire, like a failing exchange on x86: a rendezvous orders. */
	*word = smp_load_acquire(claim);
	for (tries = 0; tries < 100; tries++) {
		s64 ahead = fos_claim_ahead(*word, seq);

		if (ahead >= 0) {
			fos_count(chan_withdraw_late);
			if (FOS_BROKEN(nowithdraw))
				*word = mine;
			return ahead & (round - 1) ? -EPROTO : 0;
		}
		if (ahead != -round ||
		    (*word & FOS_CLAIM_FATE) == FOS_CLAIM_TAKEN)
			return -EPROTO;
		if (!try_cmpxchg(claim, word, mine))
			continue;
		*word = mine;
		fos_count(chan_withdrawn);
		/* My own threads may wait for the slot. */
		fos_ep_bell(ep, FOS_WANT_CLAIM);
		return 0;
	}
	return -EPROTO;
}

/**
 * fos_chan_withdraw() - FOS_IOC_CHAN_WITHDRAW
 * @ep: the caller's side
 * @cmd: the ioctl
 * @uargs: the caller's struct fos_chan_withdraw
 *
 * Return: as struct fos_chan_withdraw says.
 */
long fos_chan_withdraw(struct fos_ep *ep, unsigned int cmd,
		       void __user *uargs)
{
	struct fos_chan_withdraw a;
	int ret;

	ret = fos_args_get(&a, sizeof(a), FOS_CHAN_WITHDRAW_SIZE_VER0, cmd,
			   uargs);
	if (ret)
		return ret;
	if (a.flags || a.resv || a.seq != FOS_CLAIM_SEQ(FOS_CLAIM(a.seq, 0)))
		return -EINVAL;
	if (a.id != ep->chan->region.obj.id || a.side != ep->side)
		return -EBADF;
	if (!fos_ep_is_mine(ep))
		return -EPERM;
	ret = fos_ep_withdraw(ep, a.seq, &a.word);
	if (ret)
		return ret;
	trace_chan_withdraw(ep->chan->region.obj.id, ep->side, a.word);
	return fos_args_put(&a, sizeof(a), cmd, uargs);
}
