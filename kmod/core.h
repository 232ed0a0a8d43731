/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: core - the device, ioctl arguments, limits per user
 *
 * A struct fos_user counts what one uid holds.  It is created by the first
 * charge and freed with the last uncharge; all of it under one mutex, since
 * objects are made and freed rarely.
 */
#ifndef FOS_CORE_H
#define FOS_CORE_H

#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/fastos.h>

struct eventfd_ctx;
struct fos_user;

/* The ioctl's identity: everything but the size, which grows. */
#define FOS_IOC_ID(cmd)	((cmd) & ~(_IOC_SIZEMASK << _IOC_SIZESHIFT))

int fos_args_get_other(void *args, size_t size, size_t size_ver0,
		       unsigned int cmd, const void __user *uargs);

/**
 * fos_args_get() - read an ioctl struct of any age
 * @args: where to
 * @size: size of the struct this kernel knows, a constant
 * @size_ver0: size of its first version
 * @cmd: the ioctl; carries the caller's size
 * @uargs: the caller's struct
 *
 * Return: 0; -EINVAL shorter than the first version; -E2BIG a tail we do not
 * know is in use; -EFAULT.
 */
static __always_inline int fos_args_get(void *args, size_t size,
					size_t size_ver0, unsigned int cmd,
					const void __user *uargs)
{
	if (likely(_IOC_SIZE(cmd) == size))
		return copy_from_user(args, uargs, size) ? -EFAULT : 0;
	return fos_args_get_other(args, size, size_ver0, cmd, uargs);
}

int fos_args_put(const void *args, size_t size, unsigned int cmd,
		 void __user *uargs);

int fos_eventfd_get(u32 fd, struct eventfd_ctx **ctx);
void fos_eventfd_put(struct eventfd_ctx *ctx);

void fos_core_offer(u64 features);
long fos_core_query(unsigned int cmd, void __user *uargs,
		    const struct fos_core_query *object);

struct fos_user *fos_user_charge(unsigned long pages);
void fos_user_uncharge(struct fos_user *user, unsigned long pages);

bool fos_sleep_until(u64 deadline_ns);

int fos_core_init(void);

#endif
