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

#ifndef FOS_BREAK
#define FOS_BREAK FOS_BREAK_none
#endif

#define FOS_BROKEN(name) (FOS_BREAK == FOS_BREAK_##name)

#endif
