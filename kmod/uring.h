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
 * None is held for ever: io_uring has no way to take it back (ASYNC_CANCEL does not
 * reach it), and on 6.1 it cannot even ask when the ring goes.
 */
#ifndef FOS_URING_H
#define FOS_URING_H

#include <linux/types.h>

struct file;
struct io_uring_cmd;

/**
 * struct fos_command - a command of io_uring, our own copy
 * @cmd: io_uring's
 * @issue_flags: io_uring's
 * @file: what it is asked of
 * @op: which; an ioctl's number
 * @arg: what goes with it
 * @must_end: it is held, and is to end soon
 */
struct fos_command {
	struct io_uring_cmd *cmd;
	unsigned int issue_flags;
	struct file *file;
	u32 op;
	u64 arg[2];
	bool must_end;
};

#ifdef CONFIG_IO_URING
void fos_command_get(struct fos_command *c, struct io_uring_cmd *cmd,
		     unsigned int issue_flags);
void fos_command_hold(const struct fos_command *c);
void fos_command_held(const struct fos_command *c);
void fos_command_end(struct io_uring_cmd *cmd, s32 res);
#else
static inline void fos_command_hold(const struct fos_command *c) {}
static inline void fos_command_held(const struct fos_command *c) {}
static inline void fos_command_end(struct io_uring_cmd *cmd, s32 res) {}
#endif

#endif
