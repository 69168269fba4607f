/* SPDX-License-Identifier: MIT */
/*
 * topo_cpus.c: the limits of a process on CPUs: quotas and cpusets of both cgroup versions, read
 * from a made-up tree of files, the affinity mask, and pinning.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "topo/cpus.h"
#include "tests/support/pages.h"
#include "tests/unit/runtimes.h"

static char root[64];

static void make_root(void)
{
	snprintf(root, sizeof root, "/tmp/weir-cpus-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

/* Writes a file of the tree, and makes the folders above it. */
static void put(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *f;

	snprintf(full, sizeof full, "%s%s", root, path);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	f = fopen(full, "we");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

#define PROC_SELF "/proc/self/"
#define V2_MOUNT "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT(name, options) \
	"33 32 0:29 / /sys/fs/cgroup/" name " rw,nosuid shared:9 - cgroup cgroup rw," options "\n"
#define OTHER_MOUNTS "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n24 23 0:5 / /proc rw - proc proc rw\n"

static unsigned cpus_quota_milli(const char *below)
{
	struct weir_cpu_allowance allowance = WEIR_CPU_ALLOWANCE_INIT;

	weir__cpus_quota(below, &allowance);
	return allowance.quota_milli;
}

static void mounts(const char *cgroups, const char *text)
{
	char all[2048];

	put(PROC_SELF "cgroup", cgroups);
	snprintf(all, sizeof all, OTHER_MOUNTS "%s", text);
	put(PROC_SELF "mountinfo", all);
}

START_TEST(no_cgroups_no_quota)
{
	ck_assert_uint_eq(cpus_quota_milli(root), 0);
	mounts("", "");
	ck_assert_uint_eq(cpus_quota_milli(root), 0);
	mounts("0::/\n", V2_MOUNT);
	ck_assert_uint_eq(cpus_quota_milli(root), 0);
}
END_TEST

START_TEST(version_2)
{
	static const struct {
		const char *text;
		unsigned milli;
	} cases[] = {
		{ "50000 100000\n", 500 },
		{ "250000 100000\n", 2500 },
		{ "max 100000\n", 0 },
		{ "max\n", 0 },
		{ "", 0 },
		{ "nonsense\n", 0 },
		{ "1000 100000", 10 },
		{ "1 1000000\n", 1 },
		{ "0 100000\n", 0 },
		{ "-1 100000\n", 0 },
		{ "100000 0\n", 0 },
		{ "400000 100000\n", 4000 },
		{ "9000000000000000 1\n", 0 },
	};
	unsigned i;

	mounts("0::/app\n", V2_MOUNT);
	for (i = 0; i < TESTING_COUNT(cases); i++) {
		put("/sys/fs/cgroup/app/cpu.max", cases[i].text);
		ck_assert_msg(cpus_quota_milli(root) == cases[i].milli, "'%s' gives %u",
			      cases[i].text, cpus_quota_milli(root));
	}
}
END_TEST

START_TEST(version_2_counts_every_level)
{
	mounts("0::/a/b/c\n", V2_MOUNT);
	put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
	put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 1500);
	put("/sys/fs/cgroup/a/cpu.max", "120000 100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 1200);
	put("/sys/fs/cgroup/cpu.max", "20000 100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 200);
	/* The quota of another group does not apply. */
	put("/sys/fs/cgroup/z/cpu.max", "1000 100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 200);
}
END_TEST

static void put_v1(const char *dir, const char *quota, const char *period)
{
	char path[256];

	snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
	put(path, quota);
	snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
	put(path, period);
}

START_TEST(version_1)
{
	mounts("5:cpu,cpuacct:/app/x\n4:memory:/app\n", V1_MOUNT("memory", "memory")
							  V1_MOUNT("cpu,cpuacct", "cpu,cpuacct"));
	put_v1("/sys/fs/cgroup/cpu,cpuacct/app/x", "-1\n", "100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 0);
	put_v1("/sys/fs/cgroup/cpu,cpuacct/app", "75000\n", "50000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 1500);
	put_v1("/sys/fs/cgroup/cpu,cpuacct/app/x", "25000\n", "50000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 500);
}
END_TEST

/* Controllers whose names begin with the same letters, in different hierarchies. */
START_TEST(version_1_finds_its_hierarchy)
{
	mounts("6:cpuacct:/app\n5:cpuset:/app\n3:cpu:/app\n",
	       V1_MOUNT("cpuacct", "cpuacct") V1_MOUNT("cpuset", "cpuset") V1_MOUNT("cpu", "cpu"));
	put_v1("/sys/fs/cgroup/cpu/app", "10000\n", "100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 100);
	mounts("3:cpuset,cpu,cpuacct:/app\n", V1_MOUNT("all", "cpuset,cpu,cpuacct"));
	put_v1("/sys/fs/cgroup/all/app", "20000\n", "100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 200);
}
END_TEST

START_TEST(both_versions_at_once)
{
	mounts("1:cpu:/app\n0::/app\n",
	       V1_MOUNT("cpu",
			"cpu") "40 32 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put_v1("/sys/fs/cgroup/cpu/app", "300000\n", "100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 3000);
	put("/sys/fs/cgroup/unified/app/cpu.max", "200000 100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 2000);
}
END_TEST

/*
 * In a container without a cgroup namespace, the mount point is the container's group, not the
 * root.
 */
START_TEST(a_mount_of_a_part_of_the_tree)
{
	mounts("3:cpu:/docker/abc/sub\n",
	       "33 32 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
	put_v1("/sys/fs/cgroup/cpu", "400000\n", "100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 4000);
	put_v1("/sys/fs/cgroup/cpu/sub", "100000\n", "100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 1000);
}
END_TEST

/* In a cgroup namespace, a mount that was made outside has a root with "..": it is ignored. */
START_TEST(a_mount_of_another_namespace_is_passed_over)
{
	mounts("3:cpu:/sub\n",
	       "33 32 0:29 /../.. /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
	       "34 32 0:29 / /mnt ro - cgroup cgroup rw,cpu\n");
	put_v1("/sys/fs/cgroup/cpu", "400000\n", "100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 0);
	put_v1("/mnt/sub", "100000\n", "100000\n");
	ck_assert_uint_eq(cpus_quota_milli(root), 1000);
}
END_TEST

/* The reported group is the one that sets the smallest quota, not the process's own. */
START_TEST(a_quota_says_where_it_is_and_what_it_cost)
{
	struct weir_cpu_allowance allowance = WEIR_CPU_ALLOWANCE_INIT;
	char path[256];

	mounts("0::/a/b\n", V2_MOUNT);
	put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
	put("/sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
	put("/sys/fs/cgroup/a/cpu.stat",
	    "usage_usec 9\nnr_periods 40\nnr_throttled 3\nthrottled_usec 1500\nnr_bursts 0\n");
	put("/sys/fs/cgroup/a/b/cpu.stat", "nr_periods 7\nnr_throttled 7\nthrottled_usec 7\n");
	weir__cpus_quota(root, &allowance);
	snprintf(path, sizeof path, "%s/sys/fs/cgroup/a/cpu.max", root);
	ck_assert_str_eq(allowance.quota_file, path);
	ck_assert_uint_eq(allowance.periods, 40);
	ck_assert_uint_eq(allowance.throttled, 3);
	ck_assert_uint_eq(allowance.throttled_ns, 1500000);

	mounts("3:cpu:/app\n", V1_MOUNT("cpu", "cpu"));
	put_v1("/sys/fs/cgroup/cpu/app", "10000\n", "100000\n");
	put("/sys/fs/cgroup/cpu/app/cpu.stat",
	    "nr_periods 5\nnr_throttled 2\nthrottled_time 1234\n");
	weir__cpus_quota(root, &allowance);
	snprintf(path, sizeof path, "%s/sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", root);
	ck_assert_str_eq(allowance.quota_file, path);
	ck_assert_uint_eq(allowance.periods, 5);
	ck_assert_uint_eq(allowance.throttled, 2);
	ck_assert_uint_eq(allowance.throttled_ns, 1234);
}
END_TEST

START_TEST(no_quota_costs_nothing)
{
	struct weir_cpu_allowance allowance = WEIR_CPU_ALLOWANCE_INIT;

	mounts("0::/\n", V2_MOUNT);
	put("/sys/fs/cgroup/cpu.stat", "nr_periods 40\nnr_throttled 3\nthrottled_usec 1500\n");
	weir__cpus_quota(root, &allowance);
	ck_assert_str_eq(allowance.quota_file, "");
	ck_assert_uint_eq(allowance.periods + allowance.throttled + allowance.throttled_ns, 0);
	ck_assert_int_eq(weir_cpus_allowance(NULL), -EINVAL);
	ck_assert_int_eq(weir_cpus_allowance(&allowance), 0);
	ck_assert_uint_ge(allowance.mask_cpus, 1);
}
END_TEST

/* ---- sets of CPUs ---- */

#define SYS_CPU "/sys/devices/system/cpu/"

/* Reads the limits. An online CPU is not in our mask, so the cgroups are read. */
static struct cpu_limits limits_of(void)
{
	struct cpu_limits limits;

	put(SYS_CPU "online", "0-1023\n");
	ck_assert_int_eq(weir__cpus_limits(root, &limits), 0);
	return limits;
}

static void assert_set(const struct weir_cpuset *set, const char *text)
{
	char buf[128];

	weir_cpuset_print(set, buf, sizeof buf);
	ck_assert_str_eq(buf, text);
}

START_TEST(what_is_not_said_is_empty)
{
	struct cpu_limits limits;
	struct weir_cpuset mask, present = weir__cpus_present(root);

	ck_assert_int_eq(weir__cpus_mask(&mask), 0);
	ck_assert_int_eq(weir__cpus_limits(root, &limits), 0);
	ck_assert_mem_eq(&limits.mask, &mask, sizeof mask);
	assert_set(&limits.online, "");
	assert_set(&limits.cpuset, "");
	assert_set(&limits.isolated, "");
	assert_set(&present, "");
}
END_TEST

START_TEST(the_system_says_what_it_has)
{
	struct cpu_limits limits;
	struct weir_cpuset present;

	put(SYS_CPU "present", "0-9\n");
	put(SYS_CPU "isolated", "2-3\n");
	limits = limits_of();
	assert_set(&limits.online, "0-1023");
	assert_set(&limits.isolated, "2-3");
	present = weir__cpus_present(root);
	assert_set(&present, "0-9");
	put(SYS_CPU "isolated", "\n");
	limits = limits_of();
	assert_set(&limits.isolated, "");
}
END_TEST

START_TEST(a_cpuset_of_version_1)
{
	struct cpu_limits limits;

	mounts("4:cpu:/x\n3:cpuset:/a/b\n", V1_MOUNT("cpuset", "cpuset"));
	put("/sys/fs/cgroup/cpuset/a/b/cpuset.cpus", "4-5\n");
	limits = limits_of();
	assert_set(&limits.cpuset, "4-5");
	/* The effective CPUs, if the kernel reports them. */
	put("/sys/fs/cgroup/cpuset/a/b/cpuset.effective_cpus", "4\n");
	limits = limits_of();
	assert_set(&limits.cpuset, "4");
}
END_TEST

/* A group without the controller has the CPUs of the nearest group above it that has one. */
START_TEST(a_cpuset_of_version_2)
{
	struct cpu_limits limits;

	mounts("0::/a/b/c\n", V2_MOUNT);
	put("/sys/fs/cgroup/cpuset.cpus.effective", "0-31\n");
	put("/sys/fs/cgroup/a/cpuset.cpus.effective", "0-7\n");
	put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
	limits = limits_of();
	assert_set(&limits.cpuset, "0-7");
	put("/sys/fs/cgroup/a/b/c/cpuset.cpus.effective", "1,3\n");
	limits = limits_of();
	assert_set(&limits.cpuset, "1,3");
}
END_TEST

START_TEST(isolated_partitions_count)
{
	struct cpu_limits limits;

	mounts("0::/a\n", V2_MOUNT);
	put(SYS_CPU "isolated", "30\n");
	put("/sys/fs/cgroup/a/cpuset.cpus.effective", "0-7\n");
	put("/sys/fs/cgroup/a/cpuset.cpus.partition", "root\n");
	put("/sys/fs/cgroup/cpuset.cpus.isolated", "20-21\n");
	limits = limits_of();
	assert_set(&limits.isolated, "20-21,30");
	put("/sys/fs/cgroup/a/cpuset.cpus.partition", "isolated\n");
	limits = limits_of();
	assert_set(&limits.isolated, "0-7,20-21,30");
}
END_TEST

START_TEST(a_quota_is_rounded_up)
{
	ck_assert_uint_eq(weir__cpus_count(8, 0), 8);
	ck_assert_uint_eq(weir__cpus_count(8, 1), 1);
	ck_assert_uint_eq(weir__cpus_count(8, 1000), 1);
	ck_assert_uint_eq(weir__cpus_count(8, 1001), 2);
	ck_assert_uint_eq(weir__cpus_count(8, 2500), 3);
	ck_assert_uint_eq(weir__cpus_count(8, 9000), 8);
	ck_assert_uint_eq(weir__cpus_count(0, 0), 1);
	ck_assert_uint_eq(weir__cpus_count(0, 5000), 1);
}
END_TEST

START_TEST(the_mask_counts)
{
	cpu_set_t all, one;
	int cpu;

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	ck_assert_uint_ge(weir_cpus_allowed(), 1);
	ck_assert_uint_le(weir_cpus_allowed(), (unsigned)CPU_COUNT(&all));
	for (cpu = 0; !CPU_ISSET(cpu, &all); cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	ck_assert_uint_eq(weir_cpus_allowed(), 1);
}
END_TEST

static int note_cpus(void *arg)
{
	return sched_getaffinity(0, sizeof(cpu_set_t), arg) < 0 ? -errno : 0;
}

START_TEST(workers_are_pinned_round_the_allowed)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	cpu_set_t all, seen[4];
	struct weir_rt *rt;
	int i, n, nth;

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	n = CPU_COUNT(&all);
	place.bind = WEIR_BIND_CPU;
	cfg.place = &place;
	rt = runtime_new(&cfg);
	for (i = 0; i < 4; i++) {
		struct weir_task_config task_cfg = WEIR_TASK_CONFIG_INIT;
		struct weir_task *task;
		int result, cpu, left = i % n;

		task_cfg.fn = note_cpus;
		task_cfg.arg = &seen[i];
		task_cfg.flags = WEIR_TASK_PINNED;
		task_cfg.worker = i + 1;
		ck_assert_int_eq(weir_task_spawn(rt, &task_cfg, &task), 0);
		ck_assert_int_eq(weir_task_join(task, &result), 0);
		ck_assert_int_eq(result, 0);
		ck_assert_int_eq(CPU_COUNT(&seen[i]), 1);
		for (cpu = 0, nth = 0; nth <= left; cpu++)
			nth += CPU_ISSET(cpu, &all) != 0;
		ck_assert(CPU_ISSET(cpu - 1, &seen[i]));
	}
	runtime_end(rt);
}
END_TEST

/* This machine's topology with an L3 for each CPU. */
static struct weir_topo *topology_of_groups(void)
{
	struct weir_topo *topo;

	ck_assert_int_eq(weir_topo_new(NULL, &topo, NULL), 0);
	for (unsigned i = 0; i < topo->cpus_len; i++)
		topo->cpus[i].l3 = (uint16_t)i;
	return topo;
}

START_TEST(who_may_not_bind_starts_unbound)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_topo *topo = topology_of_groups();
	struct weir_rt *rt;

	cfg.topo = topo;
	cfg.place = &place;
	if (weir_cpus_allowed() < 2 || testing_deny_binding(EPERM) < 0) {
		testing_skip("one CPU only, or no seccomp filters here");
		weir_topo_free(topo);
		return;
	}
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_plan(rt)->bind, WEIR_BIND_NONE);
	ck_assert(!weir_rt_plan(rt)->workers[0].bound);
	ck_assert_ptr_nonnull(strstr(weir_rt_note(rt, 0), "not bound: threads cannot be bound"));
	runtime_end(rt);
	place.bind = WEIR_BIND_CPU;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), -EPERM);
	ck_assert_msg(strstr(weir_rt_why(), "Operation not permitted; leave bind at 0") != NULL,
		      "%s", weir_rt_why());
	weir_topo_free(topo);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(no_cgroups_no_quota, .setup = make_root, .teardown = remove_root),
		TESTING(version_2, .setup = make_root, .teardown = remove_root),
		TESTING(version_2_counts_every_level, .setup = make_root, .teardown = remove_root),
		TESTING(version_1, .setup = make_root, .teardown = remove_root),
		TESTING(version_1_finds_its_hierarchy, .setup = make_root, .teardown = remove_root),
		TESTING(both_versions_at_once, .setup = make_root, .teardown = remove_root),
		TESTING(a_mount_of_a_part_of_the_tree, .setup = make_root, .teardown = remove_root),
		TESTING(a_mount_of_another_namespace_is_passed_over, .setup = make_root,
			.teardown = remove_root),
		TESTING(a_quota_says_where_it_is_and_what_it_cost, .setup = make_root,
			.teardown = remove_root),
		TESTING(no_quota_costs_nothing, .setup = make_root, .teardown = remove_root),
		TESTING(what_is_not_said_is_empty, .setup = make_root, .teardown = remove_root),
		TESTING(the_system_says_what_it_has, .setup = make_root, .teardown = remove_root),
		TESTING(a_cpuset_of_version_1, .setup = make_root, .teardown = remove_root),
		TESTING(a_cpuset_of_version_2, .setup = make_root, .teardown = remove_root),
		TESTING(isolated_partitions_count, .setup = make_root, .teardown = remove_root),
		TESTING(a_quota_is_rounded_up),
		TESTING(the_mask_counts, .needs = "native"),
		TESTING(workers_are_pinned_round_the_allowed, .needs = "native"),
		TESTING(who_may_not_bind_starts_unbound, .needs = "native"),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
