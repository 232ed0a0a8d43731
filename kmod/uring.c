// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

#include "compat_uring.h"
#include "uring.h"

/**
 * struct fos_held - of a command that is held, in its io_uring_cmd.pdu
 * @parties: who has to part: who ends it, and who issues it
 * @err: of who issues it, in telling the caller
 * @res: how it ended
 */
struct fos_held {
	atomic_t parties;
	s32 err;
	s32 res;
};

static_assert(sizeof(struct fos_held) <=
	      sizeof_field(struct io_uring_cmd, pdu));

static struct fos_held *fos_held(struct io_uring_cmd *cmd)
{
	return (struct fos_held *)cmd->pdu;
}

/**
 * fos_command_get() - read a command, once: user space can still write it
 * @c: where to
 * @cmd: io_uring's
 */
void fos_command_get(struct fos_command *c, struct io_uring_cmd *cmd)
{
	const u64 *payload = fos_uring_payload(cmd);

	*c = (struct fos_command) {
		.cmd = cmd,
		.file = cmd->file,
		.op = cmd->cmd_op,
		.arg = { READ_ONCE(payload[0]), READ_ONCE(payload[1]) },
	};
}

/**
 * fos_command_hold() - it will not end at once
 * @c: being issued; -EIOCBQUEUED is the only result from here on
 */
void fos_command_hold(const struct fos_command *c)
{
	atomic_set(&fos_held(c->cmd)->parties, 2);
}

FOS_URING_TASK_WORK(fos_command_ended)
{
	fos_uring_done(cmd, fos_held(cmd)->err ?: fos_held(cmd)->res, issue_flags);
}

/* Its completion says that we are done with what the caller lent us, too. */
static void fos_command_part(struct io_uring_cmd *cmd)
{
	if (atomic_dec_and_test(&fos_held(cmd)->parties))
		io_uring_cmd_complete_in_task(cmd, fos_command_ended);
}

/**
 * fos_command_held() - who issues it has done with what the caller lent
 * @c: was held; perhaps it has ended meanwhile
 * @err: 0 or -errno of telling the caller, which the command then ends with
 */
void fos_command_held(const struct fos_command *c, int err)
{
	fos_held(c->cmd)->err = err;
	fos_command_part(c->cmd);
}

/**
 * fos_command_end() - end a command that was held
 * @cmd: it; never touched again
 * @res: 0 or -errno
 *
 * With any lock of ours: it is handed to the task that submitted it.
 */
void fos_command_end(struct io_uring_cmd *cmd, s32 res)
{
	fos_held(cmd)->res = res;
	fos_command_part(cmd);
}
