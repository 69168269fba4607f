/* SPDX-License-Identifier: MIT */
/*
 * cgroup_linux.h: the process's control groups of a controller, in both versions,
 * and the way from there up to the top of what is mounted.
 *
 *	struct cgroup groups[CGROUPS_MAX];
 *	unsigned i, n = weir__cgroups_find("", "cpu", groups);
 *
 *	for (i = 0; i < n; i++)
 *		do
 *			look_at(groups[i].dir);
 *		while (weir__cgroup_up(&groups[i]));
 */
#ifndef WEIR_TOPO_CGROUP_LINUX_H
#define WEIR_TOPO_CGROUP_LINUX_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define CGROUPS_MAX 2u		/* one of each version */

struct cgroup {
	bool v2;			/* a hierarchy of all controllers, any of which a group may lack */
	size_t mount_len;		/* of dir: where the hierarchy is mounted */
	char dir[PATH_MAX];
};

/* How many there are: version 2 first. root is where /proc and /sys are, "" but in tests. */
unsigned weir__cgroups_find(const char *root, const char *controller,
			    struct cgroup ret_groups[CGROUPS_MAX]);

/* Go to the group above; false at the mount point. */
bool weir__cgroup_up(struct cgroup *group);

/* The beginning of a small file, at least a byte; false when there is none. */
bool weir__cgroup_read(const char *dir, const char *name, char *buf, size_t len);

#endif
