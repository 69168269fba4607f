/* SPDX-License-Identifier: MIT */
/*
 * cgroup_linux.h: the process's control group of a controller, in both versions,
 * and the way from there up to the top of what is mounted.
 *
 *	struct cgroup group;
 *
 *	if (cgroup_find("", "cpu", false, &group))
 *		do
 *			look_at(group.dir);
 *		while (cgroup_up(&group));
 */
#ifndef WEIR_SCHED_CGROUP_LINUX_H
#define WEIR_SCHED_CGROUP_LINUX_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct cgroup {
	char dir[PATH_MAX];
	size_t mount_len;		/* of dir: where the hierarchy is mounted */
};

/*
 * False when there is none. root is where /proc and /sys are, "" but in tests. Version 2 has one
 * hierarchy for all controllers, of which any may be missing in a group's folder.
 */
bool cgroup_find(const char *root, const char *controller, bool v2, struct cgroup *ret_group);

/* Go to the group above; false at the mount point. */
bool cgroup_up(struct cgroup *group);

/* The first line of a group's file, or of any file with dir ""; false when it cannot be read. */
bool cgroup_read(const char *dir, const char *name, char *buf, size_t len);

#endif
