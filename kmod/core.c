// SPDX-License-Identifier: GPL-2.0-only
#include <linux/capability.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/eventfd.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/time_namespace.h>
#include <linux/uidgid.h>

#include "core.h"
#include "stats.h"

static uint max_objects_per_user = 4096;
module_param(max_objects_per_user, uint, 0644);
MODULE_PARM_DESC(max_objects_per_user,
		 "channels and regions one uid may hold without CAP_SYS_RESOURCE (default 4096)");

static ulong max_pages_per_user;
module_param(max_pages_per_user, ulong, 0644);
MODULE_PARM_DESC(max_pages_per_user,
		 "pages one uid's channels and regions may reserve without CAP_SYS_RESOURCE (default 0: half of the memory)");

static u32 fos_wake_ns;
static u64 fos_offers;

/* ---- time ------------------------------------------------------------- */

/* A time of the caller's time namespace, as the host's clock tells it. */
static ktime_t fos_host_time(u64 ns)
{
	struct timespec64 offset = {};
	s64 host;

	timens_add_monotonic(&offset);
	if (check_sub_overflow((s64)ns, (s64)timespec64_to_ns(&offset), &host))
		return KTIME_MAX;
	return host;
}

/**
 * fos_sleep_until() - sleep in the state that was set
 * @deadline_ns: absolute CLOCK_MONOTONIC of the caller's time namespace; above
 *	KTIME_MAX: none
 *
 * Return: false when the deadline has passed.
 */
bool fos_sleep_until(u64 deadline_ns)
{
	ktime_t expires;

	if (deadline_ns > KTIME_MAX) {
		schedule();
		return true;
	}
	expires = fos_host_time(deadline_ns);
	return schedule_hrtimeout_range(&expires, current->timer_slack_ns,
					HRTIMER_MODE_ABS);
}

/* ---- ioctl arguments -------------------------------------------------- */

/* An older or a newer caller. */
int fos_args_get_other(void *args, size_t size, size_t size_ver0,
		       unsigned int cmd, const void __user *uargs)
{
	if (_IOC_SIZE(cmd) < size_ver0)
		return -EINVAL;
	return copy_struct_from_user(args, size, uargs, _IOC_SIZE(cmd));
}

/**
 * fos_args_put() - write back as much of the struct as the caller knows
 * @args: what
 * @size: size of the struct this kernel knows
 * @cmd: the ioctl; carries the caller's size
 * @uargs: the caller's struct; its unknown tail was seen to be zero
 *
 * Return: 0 or -EFAULT.
 */
int fos_args_put(const void *args, size_t size, unsigned int cmd,
		 void __user *uargs)
{
	if (copy_to_user(uargs, args, min_t(size_t, size, _IOC_SIZE(cmd))))
		return -EFAULT;
	return 0;
}

/**
 * fos_eventfd_get() - the eventfd that an ioctl names
 * @fd: ~0: none
 * @ctx: out: it, or NULL
 *
 * Return: 0; -EBADF, -EINVAL: no eventfd.
 */
int fos_eventfd_get(u32 fd, struct eventfd_ctx **ctx)
{
	*ctx = fd == ~0U ? NULL : eventfd_ctx_fdget(fd);
	return PTR_ERR_OR_ZERO(*ctx);
}

/**
 * fos_eventfd_put() - undo fos_eventfd_get()
 * @ctx: may be NULL
 */
void fos_eventfd_put(struct eventfd_ctx *ctx)
{
	if (ctx)
		eventfd_ctx_put(ctx);
}

/**
 * fos_core_offer() - this kernel turned out to have a feature
 * @features: FOS_FEAT_*
 */
void fos_core_offer(u64 features)
{
	WRITE_ONCE(fos_offers, fos_offers | features);
}

/**
 * fos_core_query() - FOS_IOC_CORE_QUERY on any fd
 * @cmd: the ioctl
 * @uargs: the caller's struct fos_core_query
 * @object: kind, id, side, depth, area_bytes and cookie of the fd's object
 *
 * Return: 0; errors of fos_args_get(); -EINVAL for flags.
 */
long fos_core_query(unsigned int cmd, void __user *uargs,
		    const struct fos_core_query *object)
{
	struct fos_core_query q;
	int ret;

	ret = fos_args_get(&q, sizeof(q), FOS_CORE_QUERY_SIZE_VER0, cmd, uargs);
	if (ret)
		return ret;
	if (q.flags)
		return -EINVAL;
	q = *object;
	q.features = FOS_FEAT_CHAN | FOS_FEAT_CLAIMS_KERNEL | FOS_FEAT_REGION |
		     FOS_FEAT_TLB_ASYNC | FOS_FEAT_CQ |
		     (IS_ENABLED(CONFIG_IO_URING) ? FOS_FEAT_URING : 0) |
		     READ_ONCE(fos_offers);
	q.abi = FOS_ABI;
	q.depth_max = FOS_CHAN_DEPTH_MAX;
	q.wake_ns = fos_wake_ns;
	q.area_max = FOS_CHAN_AREA_MAX;
	return fos_args_put(&q, sizeof(q), cmd, uargs);
}

/* ---- limits per user -------------------------------------------------- */

struct fos_user {
	struct list_head node;
	kuid_t uid;
	unsigned int objects;
	unsigned long pages;
};

static LIST_HEAD(fos_users);
static DEFINE_MUTEX(fos_users_lock);

static struct fos_user *fos_user_find(kuid_t uid)
{
	struct fos_user *user;

	lockdep_assert_held(&fos_users_lock);
	list_for_each_entry(user, &fos_users, node)
		if (uid_eq(user->uid, uid))
			return user;
	user = kzalloc(sizeof(*user), GFP_KERNEL);
	if (!user)
		return ERR_PTR(-ENOMEM);
	user->uid = uid;
	list_add(&user->node, &fos_users);
	atomic_long_inc(&fos_live_users);
	return user;
}

static void fos_user_drop(struct fos_user *user)
{
	lockdep_assert_held(&fos_users_lock);
	if (user->objects)
		return;
	list_del(&user->node);
	kfree(user);
	atomic_long_dec(&fos_live_users);
}

static bool fos_user_over(const struct fos_user *user, unsigned long pages)
{
	unsigned long max = READ_ONCE(max_pages_per_user) ?:
			    totalram_pages() / 2;

	return user->objects >= READ_ONCE(max_objects_per_user) ||
	       pages > max || user->pages > max - pages;
}

/**
 * fos_user_charge() - book an object to the current user
 * @pages: what it may come to use
 *
 * Return: whom to uncharge; -EDQUOT over the limit (CAP_SYS_RESOURCE has
 * none); -ENOMEM.
 */
struct fos_user *fos_user_charge(unsigned long pages)
{
	struct fos_user *user;

	guard(mutex)(&fos_users_lock);
	user = fos_user_find(current_uid());
	if (IS_ERR(user))
		return user;
	if (fos_user_over(user, pages) && !capable(CAP_SYS_RESOURCE)) {
		fos_user_drop(user);
		return ERR_PTR(-EDQUOT);
	}
	user->objects++;
	user->pages += pages;
	return user;
}

/**
 * fos_user_uncharge() - undo fos_user_charge()
 * @user: what it returned
 * @pages: as it was told
 */
void fos_user_uncharge(struct fos_user *user, unsigned long pages)
{
	guard(mutex)(&fos_users_lock);
	user->objects--;
	user->pages -= pages;
	fos_user_drop(user);
}

/* ---- the cost of sleeping, measured once ------------------------------ */

#define FOS_PROBE_BATCHES	8
#define FOS_PROBE_TURNS		16

struct fos_probe {
	struct completion ping, pong;
};

static int fos_probe_partner(void *arg)
{
	struct fos_probe *p = arg;
	int i;

	for (i = 0; i < FOS_PROBE_BATCHES * FOS_PROBE_TURNS; i++) {
		wait_for_completion(&p->ping);
		complete(&p->pong);
	}
	return 0;
}

/*
 * A turn is two sleeps and two wake-ups, one of each on either side; the best
 * batch is the one that nobody disturbed.
 */
static int fos_probe_wake(void)
{
	struct task_struct *partner;
	struct fos_probe p;
	u64 best = U64_MAX, begin;
	int i, j;

	init_completion(&p.ping);
	init_completion(&p.pong);
	partner = kthread_create(fos_probe_partner, &p, "fastos_probe");
	if (IS_ERR(partner))
		return PTR_ERR(partner);
	get_task_struct(partner);
	wake_up_process(partner);
	for (i = 0; i < FOS_PROBE_BATCHES; i++) {
		begin = ktime_get_ns();
		for (j = 0; j < FOS_PROBE_TURNS; j++) {
			complete(&p.ping);
			wait_for_completion(&p.pong);
		}
		best = min(best, ktime_get_ns() - begin);
	}
	/* It runs our code until it is gone. */
	kthread_stop(partner);
	put_task_struct(partner);
	fos_wake_ns = min_t(u64, best / (2 * FOS_PROBE_TURNS), U32_MAX);
	return 0;
}

int __init fos_core_init(void)
{
	return fos_probe_wake();
}
