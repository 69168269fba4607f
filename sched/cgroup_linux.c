/* SPDX-License-Identifier: MIT */
/*
 * cgroup_linux.c: see cgroup_linux.h. The groups are found through /proc/self/cgroup
 * ("0::/path" is version 2, "4:cpu,cpuacct:/path" version 1) and
 * /proc/self/mountinfo.
 */
#define _GNU_SOURCE
#include "sched/cgroup_linux.h"

#include <stdio.h>
#include <string.h>

/* A mounted hierarchy: where, and which of its groups is to be found there. */
struct mount {
	char point[PATH_MAX], group[512];
};

/* Whether a word stands in a list that commas separate and a colon or the end ends. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;; list++) {
		if (!strncmp(list, word, len) && strchr(",:", list[len]))
			return true;
		list += strcspn(list, ",:");
		if (*list != ',')
			return false;
	}
}

/* Of type "cgroup2", or "cgroup" with the controller. */
static bool find_mount(const char *root, const char *controller, bool v2, struct mount *ret_mount)
{
	char path[PATH_MAX], line[2048], point[512], type[32], options[256], *rest;
	FILE *f;
	bool found = false;

	snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		rest = strstr(line, " - ");
		if (!rest ||
		    sscanf(line, "%*s %*s %*s %511s %511s", ret_mount->group, point) != 2 ||
		    sscanf(rest, " - %31s %*s %255s", type, options) != 2)
			continue;
		found = v2 ? !strcmp(type, "cgroup2")
			   : !strcmp(type, "cgroup") && has_word(options, controller);
	}
	if (f)
		fclose(f);
	if (found)
		found = (size_t)snprintf(ret_mount->point, PATH_MAX, "%s%s", root, point) <
			PATH_MAX;
	return found;
}

/* The path of a group below the mount point; a container's mount may begin in mid-hierarchy. */
static const char *path_below(const struct mount *mount, const char *group)
{
	size_t len = strlen(mount->group);

	if (!strncmp(group, mount->group, len) && (group[len] == '/' || !group[len]))
		return group + len;
	return group;
}

/* The path in a line of /proc/self/cgroup, if it is the controller's; else NULL. */
static const char *path_in_line(char *line, const char *controller, bool v2)
{
	char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

	line[strcspn(line, "\n")] = '\0';
	if (!path)
		return NULL;
	if (v2 ? strncmp(line, "0::", 3) != 0 : !has_word(names + 1, controller))
		return NULL;
	return path + 1;
}

bool cgroup_find(const char *root, const char *controller, bool v2, struct cgroup *ret_group)
{
	char path[PATH_MAX], line[1024];
	const char *group = NULL;
	struct mount mount;
	FILE *f;

	if (!find_mount(root, controller, v2, &mount))
		return false;
	snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	while (f && !group && fgets(line, sizeof line, f))
		group = path_in_line(line, controller, v2);
	if (f)
		fclose(f);
	if (!group)
		return false;
	group = path_below(&mount, group);
	ret_group->mount_len = strlen(mount.point);
	return (size_t)snprintf(ret_group->dir, PATH_MAX, "%s%s", mount.point,
				strcmp(group, "/") != 0 ? group : "") < PATH_MAX;
}

bool cgroup_up(struct cgroup *group)
{
	char *slash = strrchr(group->dir, '/');

	if (!slash || (size_t)(slash - group->dir) < group->mount_len)
		return false;
	*slash = '\0';
	return true;
}

bool cgroup_read(const char *dir, const char *name, char *buf, size_t len)
{
	char path[PATH_MAX];
	FILE *f;
	bool ok;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
		return false;
	f = fopen(path, "re");
	ok = f && fgets(buf, (int)len, f);
	if (f)
		fclose(f);
	return ok;
}
