/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/outsider: what only the kernel and devices do to a process's memory. */
#ifndef OUTSIDER_H
#define OUTSIDER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Take the page at this address in order to write it, as direct I/O does. */
#define OUTSIDER_TAKE	_IOW('o', 1, __u64)
/* Store a byte into it, through the kernel's own mapping, as a device would. */
#define OUTSIDER_POKE	_IOW('o', 2, __u64)
/* Let go of it. */
#define OUTSIDER_PUT	_IO('o', 3)
/* Watch 64 pages from this address on as a secondary MMU does; read() tells, a */
/* bit for each page, which it was told to forget since the last one. */
#define OUTSIDER_WATCH	_IOW('o', 4, __u64)
/* Have mmap_lock for writing, so many ms or until killed. */
#define OUTSIDER_HOLD	_IOW('o', 5, __u64)

#endif
