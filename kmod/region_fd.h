/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: region_fd - descriptors of regions
 *
 * Each file of a region has rights of its own, FOS_RIGHT_*, in its private_data:
 * FOS_IOC_REGION_SHARE makes a weaker one.
 */
#ifndef FOS_REGION_FD_H
#define FOS_REGION_FD_H

long fos_region_create(unsigned int cmd, void __user *uargs);
void fos_region_try(void);

#endif
