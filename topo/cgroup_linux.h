/* SPDX-License-Identifier: MIT */
/*
 * cgroup_linux.h: the control groups of this process for a controller, in both
 * versions, and the groups above them up to the mount point.
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
	/* one hierarchy for all controllers; a group may lack any of them */
	bool v2;
	size_t mount_len;		/* length of the part of dir that is the mount point */
	char dir[PATH_MAX];
};

/*
 * Returns the number of groups, version 2 first. root is the folder with /proc and /sys: "" except
 * in tests.
 */
unsigned weir__cgroups_find(const char *root, const char *controller,
			    struct cgroup ret_groups[CGROUPS_MAX]);

/* Moves to the parent group; false at the mount point. */
bool weir__cgroup_up(struct cgroup *group);

/* Reads the beginning of a small file; false if it is missing or empty. */
bool weir__cgroup_read(const char *dir, const char *name, char *buf, size_t len);

#endif
