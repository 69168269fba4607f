/* SPDX-License-Identifier: MIT */
/*
 * cgroup_linux.c: finds control groups; see cgroup_linux.h. /proc/self/cgroup has
 * the names of the groups ("0::/path" is version 2, "4:cpu,cpuacct:/path" version
 * 1), and /proc/self/mountinfo has the folders where their hierarchies are
 * mounted.
 */
#include "topo/cgroup_linux.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * True if a word is in a list that is separated by commas and ends at a colon or the end of the
 * string.
 */
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

static FILE *open_proc(const char *root, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof path, "%s/proc/self/%s", root, name) >= sizeof path)
		return NULL;
	return fopen(path, "re");
}

/* ---- names: dir holds the path inside the hierarchy ---- */

static bool read_name(char *line, const char *controller, struct cgroup *ret_group)
{
	char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

	if (!path)
		return false;
	line[strcspn(line, "\n")] = '\0';
	ret_group->v2 = !strncmp(line, "0::", 3);
	if (!ret_group->v2 && !has_word(names + 1, controller))
		return false;
	return (size_t)snprintf(ret_group->dir, PATH_MAX, "%s", path + 1) < PATH_MAX;
}

static unsigned read_names(const char *root, const char *controller,
			   struct cgroup ret_groups[CGROUPS_MAX])
{
	FILE *f = open_proc(root, "cgroup");
	struct cgroup first;
	unsigned n = 0;
	char line[1024];

	while (f && n < CGROUPS_MAX && fgets(line, sizeof line, f))
		n += read_name(line, controller, &ret_groups[n]);
	if (f)
		fclose(f);
	if (n == 2 && ret_groups[1].v2) {
		first = ret_groups[0];
		ret_groups[0] = ret_groups[1];
		ret_groups[1] = first;
	}
	return n;
}

/* ---- folders: dir holds the folder ---- */

/* A mounted hierarchy: its mount point, and the group that is mounted there. */
struct mount {
	char point[512], group[512];
	bool v2;
};

static bool read_mount(const char *line, const char *controller, struct mount *ret_mount)
{
	const char *rest = strstr(line, " - ");
	char type[32], options[256];

	if (!rest ||
	    sscanf(line, "%*s %*s %*s %511s %511s", ret_mount->group, ret_mount->point) != 2 ||
	    sscanf(rest, " - %31s %*s %255s", type, options) != 2)
		return false;
	/* Mounted from outside our cgroup namespace, where our group has another name. */
	if (!strncmp(ret_mount->group, "/..", 3))
		return false;
	ret_mount->v2 = !strcmp(type, "cgroup2");
	return ret_mount->v2 || (!strcmp(type, "cgroup") && has_word(options, controller));
}

/* Replaces the path by the folder. A container's mount may begin in the middle of the hierarchy. */
static bool place(const char *root, const struct mount *mount, struct cgroup *group)
{
	char name[PATH_MAX], *below = name;
	size_t len = strlen(mount->group);

	memcpy(name, group->dir, sizeof name);
	if (!strncmp(name, mount->group, len) && (name[len] == '/' || !name[len]))
		below += len;
	if (!strcmp(below, "/"))
		below++;
	group->mount_len = strlen(root) + strlen(mount->point);
	return (size_t)snprintf(group->dir, PATH_MAX, "%s%s%s", root, mount->point, below) <
	       PATH_MAX;
}

unsigned weir__cgroups_find(const char *root, const char *controller,
			    struct cgroup ret_groups[CGROUPS_MAX])
{
	unsigned i, n = read_names(root, controller, ret_groups), placed = 0;
	bool done[CGROUPS_MAX] = { false };
	FILE *f = n ? open_proc(root, "mountinfo") : NULL;
	struct mount mount;
	char line[2048];

	while (f && placed < n && fgets(line, sizeof line, f)) {
		if (!read_mount(line, controller, &mount))
			continue;
		for (i = 0; i < n; i++) {
			if (done[i] || ret_groups[i].v2 != mount.v2)
				continue;
			done[i] = place(root, &mount, &ret_groups[i]);
			placed += done[i];
			break;
		}
	}
	if (f)
		fclose(f);
	if (n == 2 && !done[0])
		ret_groups[0] = ret_groups[1];
	return placed;
}

bool weir__cgroup_up(struct cgroup *group)
{
	char *slash = strrchr(group->dir, '/');

	if (!slash || (size_t)(slash - group->dir) < group->mount_len)
		return false;
	*slash = '\0';
	return true;
}

bool weir__cgroup_read(const char *dir, const char *name, char *buf, size_t len)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return true;
}
