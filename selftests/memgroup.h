/* SPDX-License-Identifier: GPL-2.0-only */
/* A memory cgroup of the test's own. */
#ifndef FOS_SELFTESTS_MEMGROUP_H
#define FOS_SELFTESTS_MEMGROUP_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "helpers.h"

#define CGROUP		"/tmp/cgroup"
#define GROUP		CGROUP "/fos/"

/* False: no memory controller of cgroup2 can be had. */
static inline bool make_group(void)
{
	mkdir(CGROUP, 0700);
	return !mount("none", CGROUP, "cgroup2", 0, NULL) &&
	       !write_text(CGROUP "/cgroup.subtree_control", "+memory") &&
	       !mkdir(GROUP, 0700);
}

/* Once nobody is in it any more. */
static inline void drop_group(void)
{
	rmdir(GROUP);
	umount(CGROUP);
	rmdir(CGROUP);
}

#endif
