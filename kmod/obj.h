/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: obj - file descriptors that share an inode
 *
 * An object is an inode of our own pseudo file system, so that all its files
 * share one address_space; it lives as long as a file or a mapping does and
 * is freed when the inode is evicted.  The file system is mounted while
 * files exist: a mount that stayed would hold the module for ever.
 */
#ifndef FOS_OBJ_H
#define FOS_OBJ_H

#include <linux/fs.h>

struct fos_obj;

/**
 * struct fos_obj_ops - what an object's owner does
 * @free: the last file and mapping are gone; process context, may sleep
 */
struct fos_obj_ops {
	void (*free)(struct fos_obj *obj);
};

/**
 * struct fos_obj - base of everything that a file descriptor stands for
 * @id: identity, never reused
 * @inode: shared by the object's files
 * @ops: of the owner
 */
struct fos_obj {
	u64 id;
	struct inode *inode;
	const struct fos_obj_ops *ops;
};

struct file *fos_obj_create(struct fos_obj *obj, const struct fos_obj_ops *ops,
			    const struct file_operations *fops);
struct file *fos_obj_open(struct fos_obj *obj,
			  const struct file_operations *fops);
int fos_obj_install(struct file **file, u32 *fd, int n, const void *args,
		    size_t size, unsigned int cmd, void __user *uargs);
void fos_obj_release(void);

static inline struct fos_obj *fos_obj_of(const struct file *file)
{
	return file_inode(file)->i_private;
}

#endif
