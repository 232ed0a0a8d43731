/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: uring - commands of io_uring
 *
 * What a descriptor is asked by a ring (IORING_OP_URING_CMD) instead of by an ioctl;
 * the rooms decide what they take.  Most end at once, in the submitter, with
 * io_uring's own lock.  One that is held ends in the submitter, too, by task work: so
 * it can be completed with any lock of ours, and its submitter may be dying; and not
 * before who issues it has written back what there was to tell.
 *
 * None is held for longer than a second: io_uring has no way to take it back
 * (ASYNC_CANCEL does not reach it).  Nor does it ask us to when the ring goes, though
 * it would since 6.7: before da579f05ef0f (2026) it would never cease to, on a ring
 * with DEFER_TASKRUN, and a task that execs keeps its CPU busy with asking.
 */
#ifndef FOS_URING_H
#define FOS_URING_H

#include <linux/types.h>

struct file;
struct io_uring_cmd;

/**
 * struct fos_command - a command of io_uring, our own copy
 * @cmd: io_uring's
 * @file: what it is asked of
 * @op: which; an ioctl's number
 * @arg: what goes with it
 */
struct fos_command {
	struct io_uring_cmd *cmd;
	struct file *file;
	u32 op;
	u64 arg[2];
};

#ifdef CONFIG_IO_URING
void fos_command_get(struct fos_command *c, struct io_uring_cmd *cmd);
void fos_command_hold(const struct fos_command *c);
void fos_command_held(const struct fos_command *c, int err);
void fos_command_end(struct io_uring_cmd *cmd, s32 res);
#else
static inline void fos_command_hold(const struct fos_command *c) {}
static inline void fos_command_held(const struct fos_command *c, int err) {}
static inline void fos_command_end(struct io_uring_cmd *cmd, s32 res) {}
#endif

#endif
