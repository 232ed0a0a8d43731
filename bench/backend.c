// SPDX-License-Identifier: MIT
/* On which backend of the library an engine stands: the module, or POSIX. */
#include <errno.h>
#include <fastos.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static int no_module(struct ipc *c, int reason)
{
	char why[WHY_LEN];

	snprintf(why, sizeof(why), "%s (%s)", reason == ENOENT ? "no module" :
		 "no use of the module", strerrorname_np(reason));
	return ipc_skip(c, why);
}

static int no_feature(struct ipc *c, bool module, const char *what)
{
	char why[WHY_LEN];

	snprintf(why, sizeof(why), "no %s() %s", what, module ?
		 "with this module" : "without the module");
	return ipc_skip(c, why);
}

/* Does the descriptor belong to the module?  It tells so in fdinfo. */
static bool of_module(int fd)
{
	char line[256];
	bool found = false;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", fd);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f))
		found = found || !strncmp(line, "fastos:", strlen("fastos:"));
	if (f)
		fclose(f);
	return found;
}

/* In an environment that names the backend. */
static int by_backend(struct ipc *c, uint64_t feature, const char *what,
		      int (*make)(struct ipc *c))
{
	bool module = c->e->flags & IPC_MODULE;
	struct fos_caps caps;

	if (fos_query(&caps, sizeof(caps)))
		return ipc_fail(c, "fos_query");
	if (module && caps.backend != FOS_BACKEND_KERNEL)
		return no_module(c, caps.reason);
	if (!(caps.features & feature))
		return no_feature(c, module, what);
	if (!make(c)) {
		if (of_module(c->fd[0]) == module)
			return 0;
	} else if (errno != ENOENT && errno != EACCES) {
		return ipc_fail(c, what);
	} else if (module) {
		return no_module(c, errno);
	}
	return ipc_skip(c, "this libfastos knows no FOS_BACKEND=posix");
}

int backend_open(struct ipc *c, uint64_t feature, const char *what,
		 int (*make)(struct ipc *c))
{
	int ret;

	setenv("FOS_BACKEND", c->e->flags & IPC_MODULE ? "kernel" : "posix", 1);
	ret = by_backend(c, feature, what, make);
	unsetenv("FOS_BACKEND");
	return ret;
}

void backend_close(struct ipc *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->fd); i++) {
		if (c->fd[i] >= 0)
			fos_close(c->fd[i]);
	}
}
