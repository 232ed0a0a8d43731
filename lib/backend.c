// SPDX-License-Identifier: MIT
/* backend: what new objects stand on: the module, or what does without. */
#include "internal.h"

#include <stdlib.h>

/* FOS_BACKEND of the environment: a backend, NULL: any.  -EINVAL. */
static int wanted_backend(const struct fos_backend **wanted)
{
	const char *name = secure_getenv("FOS_BACKEND");

	*wanted = NULL;
	if (!name || !*name)
		return 0;
	if (!strcmp(name, fos__backend_kernel.name))
		*wanted = &fos__backend_kernel;
	else if (!strcmp(name, fos__backend_posix.name))
		*wanted = &fos__backend_posix;
	return *wanted ? 0 : -EINVAL;
}

/* The module is missing or forbidden; any other error is to be seen. */
static bool does_without(const struct fos_backend *wanted, int why)
{
	return !wanted && (why == -ENOENT || why == -EACCES);
}

int fos__make(int (*make)(const struct fos_backend *backend, void *arg),
	      void *arg)
{
	const struct fos_backend *wanted;
	int ret = wanted_backend(&wanted);

	if (!ret && wanted != &fos__backend_posix) {
		ret = make(&fos__backend_kernel, arg);
		if (!does_without(wanted, ret))
			return ret;
		ret = 0;
	}
	return ret ? ret : make(&fos__backend_posix, arg);
}

struct new_channel {
	const struct fos_chan_attr *attr;
	int *fd;
};

static int make_channel(const struct fos_backend *backend, void *arg)
{
	const struct new_channel *c = arg;

	return backend->create(c->attr->depth, c->attr->area_bytes,
			       fos_spin_pack(c->attr->spin, c->attr->spin_ns,
					     c->attr->spin_share),
			       c->fd);
}

int fos__create(const struct fos_chan_attr *a, int fd[2])
{
	struct new_channel c = { .attr = a, .fd = fd };
	const int ret = fos__make(make_channel, &c);

	if (!ret) {
		fos__forget_fd(fd[0]);
		fos__forget_fd(fd[1]);
	}
	return ret;
}

static void probe(struct fos_caps *caps)
{
	const struct fos_backend *wanted;
	int ret = wanted_backend(&wanted);

	*caps = (struct fos_caps) { .reason = -ret };
	if (ret)
		return;
	caps->reason = ECANCELED;
	if (wanted != &fos__backend_posix) {
		ret = fos__backend_kernel.probe(caps);
		caps->reason = -ret;
		/* Regions do without a module that has none, see there. */
		if (!ret && !wanted)
			caps->features |= FOS_CAP_REGION;
		if (!does_without(wanted, ret))
			return;
	}
	fos__backend_posix.probe(caps);
}

FOS_API int fos_query(struct fos_caps *caps, size_t size)
{
	struct fos_caps c;

	if (!caps || !size)
		return fos__ret(-EINVAL);
	probe(&c);
	fos__tell(caps, size, &c, sizeof(c));
	return 0;
}
