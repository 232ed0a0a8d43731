/* SPDX-License-Identifier: MIT */
/*
 * race: a checker of races sees one process.  What goes through the peer's hands,
 * from the thread that published to the one that finds its slot free, it is told.
 */
#ifndef FOS_RACE_H
#define FOS_RACE_H

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define HANDED_OUT(e)	__tsan_release((void *)(e))
#define HANDED_BACK(e)	__tsan_acquire((void *)(e))
#else
#define HANDED_OUT(e)	((void)(e))
#define HANDED_BACK(e)	((void)(e))
#endif

#endif
