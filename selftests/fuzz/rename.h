/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before the library's sources when they are compiled for a fuzz
 * target: what comes from outside comes from the target instead.  The sources
 * stay as they are.
 */
#ifndef FUZZ_RENAME_H
#define FUZZ_RENAME_H

#define clock_gettime		fuzz_clock_gettime
#define sched_getcpu		fuzz_sched_getcpu
#define sysconf			fuzz_sysconf
#define sem_wait		fuzz_sem_wait
#define sem_clockwait		fuzz_sem_clockwait

/* The peer may act before any exchange, as before any load (ring_peer.c). */
#ifdef FUZZ_RING
void fuzz_before_exchange(void);
#define __atomic_compare_exchange_n(...) \
	(fuzz_before_exchange(), __atomic_compare_exchange_n(__VA_ARGS__))
#endif

/* The system calls of the POSIX backend (hello_sys.c). */
#ifdef FUZZ_HELLO
#define syscall			fuzz_syscall
#define pthread_create		fuzz_pthread_create
#define mmap			fuzz_mmap
#define munmap			fuzz_munmap
#endif

#endif
