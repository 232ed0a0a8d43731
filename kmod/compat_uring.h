/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What compat.h is, for io_uring's commands: they are moved and renamed in most
 * releases.  All of it is probed by Kbuild, nothing by the version.
 */
#ifndef FOS_COMPAT_URING_H
#define FOS_COMPAT_URING_H

/* 6.7 gave them a header of their own. */
#ifdef FOS_HAVE_URING_HEADER
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

/* 6.6 hands out the whole SQE; before that, its command. */
static inline const void *fos_uring_payload(const struct io_uring_cmd *cmd)
{
#ifdef FOS_HAVE_URING_SQE
	return cmd->sqe->cmd;
#else
	return cmd->cmd;
#endif
}

/* 6.19 took the second result away. */
static inline void fos_uring_done(struct io_uring_cmd *cmd, s32 res,
				  unsigned int issue_flags)
{
#ifdef FOS_HAVE_URING_ONE_RESULT
	io_uring_cmd_done(cmd, res, issue_flags);
#else
	io_uring_cmd_done(cmd, res, 0, issue_flags);
#endif
}

/*
 * What runs in the task that submitted; 6.19 hands it the request.
 * FOS_URING_TASK_WORK(name) { ... } has @cmd and @issue_flags.
 */
#ifdef FOS_HAVE_URING_TW_REQ
#define FOS_URING_TASK_WORK(name)					\
static void name##_in_task(struct io_uring_cmd *cmd,			\
			   unsigned int issue_flags);			\
static void name(struct io_tw_req tw_req, io_tw_token_t tw)		\
{									\
	name##_in_task(io_uring_cmd_from_tw(tw_req),			\
		       IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);		\
}									\
static void name##_in_task(struct io_uring_cmd *cmd,			\
			   unsigned int issue_flags)
#else
#define FOS_URING_TASK_WORK(name)					\
static void name(struct io_uring_cmd *cmd, unsigned int issue_flags)
#endif

#endif
