/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mutations: `FOS_BREAK=name` builds a module with one safeguard taken out, to
 * show that a test notices.  An ordinary build has none of this.
 */
#ifndef FOS_BREAK_H
#define FOS_BREAK_H

#define FOS_BREAK_none		0
#define FOS_BREAK_nowake	1	/* a bell wakes nobody */
#define FOS_BREAK_nofence	2	/* sleep without looking again after arming */
#define FOS_BREAK_nodeath	3	/* unmapping does not hang up */
#define FOS_BREAK_nowithdraw	4	/* every withdrawal claims to have won */
#define FOS_BREAK_noflush	5	/* no shootdown after PTEs have changed */
#define FOS_BREAK_nosettle	6	/* batches overtake faults that were admitted */
#define FOS_BREAK_noclean	7	/* read-only PTEs stay dirty */
#define FOS_BREAK_nolockflush	8	/* shootdown later, without mmap_lock */
#define FOS_BREAK_early		10	/* tickets are applied before they are */
#define FOS_BREAK_cqlost	11	/* a queue is told once of each endpoint */
#define FOS_BREAK_late		12	/* sleep by a descriptor that was closed on the way */
#define FOS_BREAK_uringearly	13	/* a command ends before its ticket is applied */
#define FOS_BREAK_deaf		14	/* what stands for many wakes those who want one */
#define FOS_BREAK_circle	15	/* a queue's pollers signal what it hears of */
#define FOS_BREAK_hasty		16	/* who is canceled is told before it is undone */
/* Not broken, but with time between PTEs and shootdown, for whoever races. */
#define FOS_BREAK_slowflush	9

#ifndef FOS_BREAK
#define FOS_BREAK FOS_BREAK_none
#endif

#define FOS_BROKEN(name) (FOS_BREAK == FOS_BREAK_##name)

#endif
