/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/* Commands of io_uring: part of <linux/fastos.h>, which includes it. */
#ifndef _UAPI_LINUX_FASTOS_URING_H
#define _UAPI_LINUX_FASTOS_URING_H

/*
 * IORING_OP_URING_CMD on a descriptor of ours: @cmd_op says what, @cmd is one of these
 * structs.  Any other @cmd_op: ENOTTY.  Registered files can be used.  Offered where
 * FOS_FEAT_URING is.  On Linux 6.12 a command behind a link that does not complete at
 * once, or in a chain with IOSQE_IO_DRAIN, is read from whatever is in its place by
 * then.
 */

/**
 * struct fos_uring_ioctl - an ioctl as a command: @cmd_op is its number
 * @args:	address of its struct
 * @resv:	must be 0
 *
 * On a region: FOS_IOC_TLB_SUBMIT, FOS_IOC_TLB_CANCEL.
 *
 * SUBMIT completes when the ticket is applied or canceled, with the result that a
 * fence has; or at once, with an error of the ioctl.  Ranges and struct have to stay
 * until then.  The ticket is written when the command was submitted (0 before, if you
 * set it so), for CANCEL and FENCE; IORING_OP_ASYNC_CANCEL does not find it.  What is
 * held of a ring that goes is applied by its @within_ns, as it would have been.  On a
 * ring with IORING_SETUP_IOPOLL: EOPNOTSUPP before 7.3.
 */
struct fos_uring_ioctl {
	__u64 args;
	__u64 resv;
};

/**
 * struct fos_uring_bell - FOS_URING_CHAN_BELL: ring, as in registers
 * @advice:	FOS_ADVICE(bell, 0), perhaps with FOS_ADVICE_SELF and FOS_ADVICE_TAG()
 * @resv:	must be 0
 *
 * On an endpoint.  0; EBADF: the tag is another endpoint's.  The messages themselves
 * need no command: they are written and read in the mapping.
 */
struct fos_uring_bell {
	__u32 advice;
	__u32 resv[3];
};

#define FOS_URING_CHAN_BELL	_IOW(FOS_IOC_MAGIC, 0x24, struct fos_uring_bell)

#endif /* _UAPI_LINUX_FASTOS_URING_H */
