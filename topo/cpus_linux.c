/* SPDX-License-Identifier: MIT */
/*
 * cpus_linux.c: see cpus.h. Version 2 of the cgroups has a quota in cpu.max ("max
 * 100000", "50000 100000"), version 1 in cpu.cfs_quota_us and cpu.cfs_period_us.
 * A limit applies at every level up to the root of the mount; cpu.stat beside it
 * says how often it throttled.
 */
#include "topo/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/cgroup_linux.h"
#include "weir/rt.h"

/* ---- quota ---- */

static unsigned milli(long long quota, long long period)
{
	long long m;

	if (quota <= 0 || period <= 0)
		return 0;
	m = quota * 1000 / period;
	return m < 1 ? 1 : m > INT_MAX ? 0 : (unsigned)m;
}

static unsigned quota_v2(const char *dir)
{
	char line[64];
	long long quota, period;

	if (!weir__cgroup_read(dir, "cpu.max", line, sizeof line) ||
	    sscanf(line, "%lld %lld", &quota, &period) != 2)
		return 0;
	return milli(quota, period);
}

static unsigned quota_v1(const char *dir)
{
	char quota[64], period[64];

	if (!weir__cgroup_read(dir, "cpu.cfs_quota_us", quota, sizeof quota) || atoll(quota) <= 0 ||
	    !weir__cgroup_read(dir, "cpu.cfs_period_us", period, sizeof period))
		return 0;
	return milli(atoll(quota), atoll(period));
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

/* Takes a group's quota if it is smaller than the one found so far. */
static void take_quota(const char *dir, bool v2, struct weir_cpu_allowance *allowance)
{
	unsigned quota_milli = v2 ? quota_v2(dir) : quota_v1(dir);
	const char *name = v2 ? "cpu.max" : "cpu.cfs_quota_us";
	size_t len = sizeof allowance->quota_file;

	if (!quota_milli || (allowance->quota_milli && allowance->quota_milli <= quota_milli))
		return;
	allowance->quota_milli = quota_milli;
	if ((size_t)snprintf(allowance->quota_file, len, "%s/%s", dir, name) >= len)
		allowance->quota_file[0] = '\0';
	read_cost(dir, allowance);
}

void weir__cpus_quota(const char *root, struct weir_cpu_allowance *ret_allowance)
{
	struct cgroup groups[CGROUPS_MAX];
	unsigned i, n = weir__cgroups_find(root, "cpu", groups);

	*ret_allowance = (struct weir_cpu_allowance)WEIR_CPU_ALLOWANCE_INIT;
	for (i = 0; i < n; i++)
		do
			take_quota(groups[i].dir, groups[i].v2, ret_allowance);
		while (weir__cgroup_up(&groups[i]));
}

/* ---- sets ---- */

static int allowed_set(cpu_set_t *set)
{
	CPU_ZERO(set);
	if (sched_getaffinity(0, sizeof *set, set) == 0)
		return 0;
	/* The kernel returns EINVAL if the set is too small for it. */
	return errno == EINVAL ? -E2BIG : -errno;
}

unsigned weir__cpus_in_mask(void)
{
	cpu_set_t set;

	return allowed_set(&set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int weir__cpus_mask(struct weir_cpuset *ret_mask)
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

/* Reads a file with a list of CPUs; an empty set if there is no such list. */
static struct weir_cpuset read_set(const char *dir, const char *name)
{
	struct weir_cpuset set = { { 0 } };
	char line[8192];

	if (weir__cgroup_read(dir, name, line, sizeof line) &&
	    weir_cpuset_parse(line, &set, NULL) < 0)
		memset(&set, 0, sizeof set);
	return set;
}

static struct weir_cpuset read_system_set(const char *root, const char *name)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof dir, "%s/sys/devices/system/cpu", root);
	return read_set(dir, name);
}

static void add_set(struct weir_cpuset *to, const struct weir_cpuset *set)
{
	for (unsigned i = 0; i < WEIR_CPUS_MAX / 64; i++)
		to->word[i] |= set->word[i];
}

/* The cpuset of the nearest group that has the controller. */
static struct weir_cpuset cpuset_of(struct cgroup group)
{
	struct weir_cpuset set;

	do {
		set = read_set(group.dir,
			       group.v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus");
		if (!group.v2 && !weir_cpuset_count(&set))
			set = read_set(group.dir, "cpuset.cpus");
	} while (!weir_cpuset_count(&set) && weir__cgroup_up(&group));
	return set;
}

/* Adds isolated partitions: a group shows its own, and the root shows all of them. */
static void add_partitions(struct cgroup group, const struct weir_cpuset *cpuset,
			   struct weir_cpuset *isolated)
{
	struct weir_cpuset all;
	char line[64];

	if (weir__cgroup_read(group.dir, "cpuset.cpus.partition", line, sizeof line) &&
	    !strcmp(line, "isolated\n"))
		add_set(isolated, cpuset);
	group.dir[group.mount_len] = '\0';
	all = read_set(group.dir, "cpuset.cpus.isolated");
	add_set(isolated, &all);
}

/* The cpuset controller is in one version of the cgroups only. */
static void read_cgroups(const char *root, struct cpu_limits *limits)
{
	struct cgroup groups[CGROUPS_MAX];
	unsigned i, n = weir__cgroups_find(root, "cpuset", groups);
	struct weir_cpuset set;

	for (i = 0; i < n; i++) {
		set = cpuset_of(groups[i]);
		add_set(&limits->cpuset, &set);
		if (groups[i].v2)
			add_partitions(groups[i], &set, &limits->isolated);
	}
}

int weir__cpus_limits(const char *root, struct cpu_limits *ret_limits)
{
	struct cpu_limits limits = { .online = read_system_set(root, "online") };
	int rc = weir__cpus_mask(&limits.mask);

	if (rc < 0)
		return rc;
	limits.isolated = read_system_set(root, "isolated");
	/* If the mask has every CPU, no cgroup restricts it. */
	if (memcmp(&limits.mask, &limits.online, sizeof limits.mask) != 0)
		read_cgroups(root, &limits);
	*ret_limits = limits;
	return 0;
}

struct weir_cpuset weir__cpus_present(const char *root)
{
	return read_system_set(root, "present");
}

static cpu_set_t system_set(const struct weir_cpuset *cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (weir_cpuset_has(cpus, cpu))
			CPU_SET(cpu, &set);
	return set;
}

int weir__cpus_bind(pthread_attr_t *attr, const struct weir_cpuset *cpus)
{
	cpu_set_t set = system_set(cpus);

	return -pthread_attr_setaffinity_np(attr, sizeof set, &set);
}

int weir__cpus_bind_self(const struct weir_cpuset *cpus)
{
	cpu_set_t set = system_set(cpus);

	return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int weir__cpus_current(void)
{
	return sched_getcpu();
}
