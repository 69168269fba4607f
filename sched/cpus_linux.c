/* SPDX-License-Identifier: MIT */
/*
 * cpus_linux.c: see cpus.h. The cgroups are found through /proc/self/cgroup and
 * /proc/self/mountinfo: version 2 has cpu.max ("max 100000", "50000 100000"),
 * version 1 cpu.cfs_quota_us and cpu.cfs_period_us. A limit counts at every
 * level up to the root of the mount; cpu.stat beside it says what it has cost.
 */
#define _GNU_SOURCE
#include "sched/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/rt.h"
#include "weir/topo.h"

static bool read_line(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(buf, (int)len, f);

	if (f)
		fclose(f);
	return ok;
}

static unsigned milli(long long quota, long long period)
{
	long long m;

	if (quota <= 0 || period <= 0)
		return 0;
	m = quota * 1000 / period;
	return m < 1 ? 1 : m > INT_MAX ? 0 : (unsigned)m;
}

static unsigned quota_v2(const char *dir, char file[PATH_MAX])
{
	char line[64];
	long long quota, period;

	snprintf(file, PATH_MAX, "%s/cpu.max", dir);
	if (!read_line(file, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2)
		return 0;
	return milli(quota, period);
}

static unsigned quota_v1(const char *dir, char file[PATH_MAX])
{
	char path[PATH_MAX], line[64];
	long long quota;

	snprintf(file, PATH_MAX, "%s/cpu.cfs_quota_us", dir);
	if (!read_line(file, line, sizeof line))
		return 0;
	quota = atoll(line);
	snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
	if (!read_line(path, line, sizeof line))
		return 0;
	return milli(quota, atoll(line));
}

/* "nr_throttled 3"; version 1 counts the time in ns, version 2 in us. */
static void read_cost(const char *dir, struct weir_cpu_allowance *allowance)
{
	char path[PATH_MAX], line[128], key[64];
	unsigned long long value;
	FILE *f;

	allowance->periods = allowance->throttled = allowance->throttled_ns = 0;
	if ((size_t)snprintf(path, sizeof path, "%s/cpu.stat", dir) >= sizeof path)
		return;
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%63s %llu", key, &value) != 2)
			continue;
		if (!strcmp(key, "nr_periods"))
			allowance->periods = value;
		else if (!strcmp(key, "nr_throttled"))
			allowance->throttled = value;
		else if (!strcmp(key, "throttled_usec"))
			allowance->throttled_ns = value * WEIR_USEC;
		else if (!strcmp(key, "throttled_time"))
			allowance->throttled_ns = value;
	}
	if (f)
		fclose(f);
}

typedef unsigned (*quota_fn)(const char *dir, char file[PATH_MAX]);

/* A group's quota, if it has one that is smaller than what was found so far. */
static void take_quota(const char *dir, quota_fn read_quota, struct weir_cpu_allowance *allowance)
{
	char file[PATH_MAX];
	unsigned quota_milli = read_quota(dir, file);
	size_t len = strlen(file);

	if (!quota_milli || (allowance->quota_milli && allowance->quota_milli <= quota_milli))
		return;
	allowance->quota_milli = quota_milli;
	allowance->quota_file[0] = '\0';
	if (len < sizeof allowance->quota_file)
		memcpy(allowance->quota_file, file, len + 1);
	read_cost(dir, allowance);
}

/* From the process's group up to the mount point. */
static void quota_up(const char *mount, const char *group, quota_fn read_quota,
		     struct weir_cpu_allowance *allowance)
{
	char dir[PATH_MAX];
	size_t stop = strlen(mount);
	char *slash;

	if ((size_t)snprintf(dir, sizeof dir, "%s%s", mount, group) >= sizeof dir)
		return;
	for (;;) {
		take_quota(dir, read_quota, allowance);
		slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < stop)
			return;
		*slash = '\0';
	}
}

/* Whether a word stands in a list that commas separate. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;; list++) {
		if (!strncmp(list, word, len) && (list[len] == ',' || !list[len]))
			return true;
		list = strchr(list, ',');
		if (!list)
			return false;
	}
}

/* A mounted cgroup hierarchy: where, and which of its groups is to be found there. */
struct mount {
	char point[PATH_MAX], group[512];
};

/* Of type "cgroup2", or "cgroup" with the cpu controller. */
static bool find_mount(const char *root, bool v2, struct mount *ret_mount)
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
			   : !strcmp(type, "cgroup") && has_word(options, "cpu");
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

/* "0::/path" is version 2; "4:cpu,cpuacct:/path" version 1. */
static bool is_cpu_line(const char *line, bool v2)
{
	const char *names = strchr(line, ':');

	if (!names)
		return false;
	if (v2)
		return !strncmp(line, "0::", 3);
	return !strncmp(names, ":cpu,", 5) || !strncmp(names, ":cpu:", 5) ||
	       strstr(names, ",cpu,") || strstr(names, ",cpu:");
}

static void quota_of(const char *root, bool v2, struct weir_cpu_allowance *allowance)
{
	char path[PATH_MAX], line[1024], *group;
	struct mount mount;
	FILE *f;

	if (!find_mount(root, v2, &mount))
		return;
	snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		group = strchr(line, ':');
		group = group ? strchr(group + 1, ':') : NULL;
		if (group && is_cpu_line(line, v2))
			quota_up(mount.point, path_below(&mount, group + 1),
				 v2 ? quota_v2 : quota_v1, allowance);
	}
	if (f)
		fclose(f);
}

void cpus_quota(const char *root, struct weir_cpu_allowance *ret_allowance)
{
	memset(ret_allowance, 0, sizeof *ret_allowance);
	quota_of(root, true, ret_allowance);
	quota_of(root, false, ret_allowance);
}

static int allowed_set(cpu_set_t *set)
{
	CPU_ZERO(set);
	return sched_getaffinity(0, sizeof *set, set) < 0 ? -errno : 0;
}

unsigned cpus_in_mask(void)
{
	cpu_set_t set;

	return allowed_set(&set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int cpus_mask(struct weir_cpuset *ret_mask)
{
	struct weir_cpuset mask = { { 0 } };
	cpu_set_t set;
	int rc = allowed_set(&set);

	if (rc < 0)
		return rc;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			weir_cpuset_add(&mask, cpu);
	*ret_mask = mask;
	return 0;
}

int cpus_bind(pthread_attr_t *attr, const struct weir_cpuset *cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (weir_cpuset_has(cpus, cpu))
			CPU_SET(cpu, &set);
	return -pthread_attr_setaffinity_np(attr, sizeof set, &set);
}
