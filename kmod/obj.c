// SPDX-License-Identifier: GPL-2.0-only
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "core.h"
#include "obj.h"

#define FOS_FS_MAGIC	0x46415354	/* "FAST" */

static struct vfsmount *fos_mnt;
static int fos_mnt_pins;
static atomic64_t fos_last_id;

static void fos_evict_inode(struct inode *inode)
{
	struct fos_obj *obj = inode->i_private;

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (obj)
		obj->ops->free(obj);
}

static const struct super_operations fos_super_ops = {
	.statfs		= simple_statfs,
	.evict_inode	= fos_evict_inode,
};

static int fos_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, FOS_FS_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->ops = &fos_super_ops;
	/* Or a process with READ_IMPLIES_EXEC asks for executable mappings. */
	fc->s_iflags |= SB_I_NOEXEC;
	return 0;
}

static struct file_system_type fos_fs = {
	.name			= "fastos",
	.owner			= THIS_MODULE,
	.init_fs_context	= fos_init_fs_context,
	.kill_sb		= kill_anon_super,
};

/*
 * Each file pins the mount for itself, until it is released: the mount that it
 * holds as any file does lasts a little longer.  Not the inode: its last
 * reference may be an inotify watch's, whose end must not unmount.  And a file
 * puts its module when it is closed, but does not get it here.
 */
static struct file *fos_obj_file(struct inode *inode,
				 const struct file_operations *fops)
{
	struct file *file;
	int ret;

	ret = simple_pin_fs(&fos_fs, &fos_mnt, &fos_mnt_pins);
	if (ret)
		return ERR_PTR(ret);
	__module_get(fops->owner);
	file = alloc_file_pseudo(inode, fos_mnt, "[fastos]", O_RDWR, fops);
	if (IS_ERR(file)) {
		module_put(fops->owner);
		simple_release_fs(&fos_mnt, &fos_mnt_pins);
	}
	return file;
}

/**
 * fos_obj_release() - to be called by each file's .release
 */
void fos_obj_release(void)
{
	simple_release_fs(&fos_mnt, &fos_mnt_pins);
}

/* With the mount pinned. */
static struct file *fos_obj_first_file(struct fos_obj *obj,
				       const struct file_operations *fops)
{
	struct inode *inode = alloc_anon_inode(fos_mnt->mnt_sb);
	struct file *file;

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	file = fos_obj_file(inode, fops);
	if (IS_ERR(file)) {
		/* Evicted without touching the object: i_private is unset. */
		iput(inode);
		return file;
	}
	obj->inode = inode;
	return file;
}

/**
 * fos_obj_create() - give an object its inode and first file
 * @obj: initialised by the caller, who still owns it if this fails
 * @ops: how it ends; from now on closing the last file frees the object
 * @fops: of the file
 *
 * Return: the file, O_RDWR; -ENOMEM, -ENFILE.
 */
struct file *fos_obj_create(struct fos_obj *obj, const struct fos_obj_ops *ops,
			    const struct file_operations *fops)
{
	struct file *file;
	int ret;

	ret = simple_pin_fs(&fos_fs, &fos_mnt, &fos_mnt_pins);
	if (ret)
		return ERR_PTR(ret);
	file = fos_obj_first_file(obj, fops);
	simple_release_fs(&fos_mnt, &fos_mnt_pins);
	if (IS_ERR(file))
		return file;
	obj->id = atomic64_inc_return(&fos_last_id);
	obj->ops = ops;
	obj->inode->i_private = obj;
	return file;
}

/**
 * fos_obj_open() - one more file of an object
 * @obj: has a file
 * @fops: of the file
 *
 * Return: the file, O_RDWR; -ENOMEM, -ENFILE.
 */
struct file *fos_obj_open(struct fos_obj *obj,
			  const struct file_operations *fops)
{
	struct file *file;

	ihold(obj->inode);
	file = fos_obj_file(obj->inode, fops);
	if (IS_ERR(file))
		iput(obj->inode);
	return file;
}

/**
 * fos_obj_install() - give new files their numbers, O_CLOEXEC
 * @file: the files; still the caller's if this fails
 * @fd: where in @args the numbers belong
 * @n: how many
 * @args: the ioctl's struct, which tells them to user space
 * @size: of it, as this kernel knows it
 * @cmd: the ioctl
 * @uargs: the caller's struct
 *
 * Numbers first, then user space learns them, then they come to life.
 *
 * Return: 0; -EMFILE, -ENFILE, -ENOMEM; -EFAULT.
 */
int fos_obj_install(struct file **file, u32 *fd, int n, const void *args,
		    size_t size, unsigned int cmd, void __user *uargs)
{
	int got, i, ret;

	for (got = 0; got < n; got++) {
		ret = get_unused_fd_flags(O_CLOEXEC);
		if (ret < 0)
			goto err;
		fd[got] = ret;
	}
	ret = fos_args_put(args, size, cmd, uargs);
	if (ret)
		goto err;
	for (i = 0; i < n; i++)
		fd_install(fd[i], file[i]);
	return 0;

err:
	while (got--)
		put_unused_fd(fd[got]);
	return ret;
}
