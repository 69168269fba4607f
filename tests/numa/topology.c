/* SPDX-License-Identifier: MIT */
/*
 * topology.c: on a machine with several memory nodes the topology is what the machine is, cut by
 * what of it is offline, masked out or in no cpuset of ours, and by a quota; and a runtime starts its
 * workers where that says. The cgroups are of version 2, and the kernel's own.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/numa/machine.h"

static struct weir_topo *read_topology(void)
{
	struct weir_topo *topo;
	struct weir_why why;
	int rc = weir_topo_new(NULL, &topo, &why);

	ck_assert_msg(rc == 0, "%s", why.text);
	ck_assert(topo->here);
	return topo;
}

START_TEST(nodes_cpus_and_distances_are_the_machines)
{
	struct weir_topo *topo;

	if (!machine_has_nodes())
		return;
	topo = read_topology();
	ck_assert(!topo->flat);
	ck_assert_uint_eq(topo->nodes_len, machine.nodes);
	ck_assert_uint_eq(topo->cpus_len, weir_cpuset_count(&machine.all));
	for (unsigned i = 0; i < topo->cpus_len; i++)
		ck_assert_int_eq(topo->nodes[topo->cpus[i].node].os,
				 machine_node_of_cpu(topo->cpus[i].os));
	ck_assert_ptr_nonnull(topo->distances);
	for (unsigned a = 0; a < topo->nodes_len; a++) {
		ck_assert_uint_gt(topo->nodes[a].memory_bytes, 0);
		for (unsigned b = 0; b < topo->nodes_len; b++)
			ck_assert_uint_eq(topo->distances[a * topo->nodes_len + b],
					  machine.distance[topo->nodes[a].os][topo->nodes[b].os]);
	}
	weir_topo_free(topo);
}
END_TEST

/* ---- less than the machine ---- */

/* Every CPU is usable, or out for that reason; and usable are those of the set. */
static void check_cut(const struct weir_topo *topo, const struct weir_cpuset *usable, unsigned out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < topo->cpus_len; i++) {
		bool in = weir_cpuset_has(usable, topo->cpus[i].os);

		ck_assert_msg(topo->cpus[i].out == (in ? WEIR_CPU_USABLE : out),
			      "CPU %u: '%s'", topo->cpus[i].os,
			      weir_cpu_out_text(topo->cpus[i].out));
		n += in;
	}
	ck_assert_uint_eq(n, weir_cpuset_count(usable));
}

static int note_cpu(void *arg)
{
	*(int *)arg = sched_getcpu();
	return 0;
}

static void end_runtime(struct weir_rt *rt)
{
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_scaled(10) * WEIR_SEC), 0);
	weir_rt_free(rt);
}

/* A runtime has a worker for each CPU of the set, and they run there. */
static void check_workers(const struct weir_cpuset *usable)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_task_config task = WEIR_TASK_CONFIG_INIT;
	struct weir_task *handle;
	struct weir_rt *rt;
	int cpu;

	ck_assert_msg(weir_rt_new(&cfg, &rt) == 0, "%s", weir_rt_why());
	ck_assert_uint_eq(weir_rt_workers(rt), weir_cpuset_count(usable));
	for (unsigned i = 0; i < weir_rt_workers(rt); i++) {
		task.fn = note_cpu;
		task.arg = &cpu;
		task.flags = WEIR_TASK_PINNED;
		task.worker = (int)i + 1;
		ck_assert_int_eq(weir_task_spawn(rt, &task, &handle), 0);
		ck_assert_int_eq(weir_task_join(handle, NULL), 0);
		ck_assert(weir_cpuset_has(usable, (unsigned)cpu));
		ck_assert(weir_cpuset_has(&weir_rt_plan(rt)->workers[i].cpus, (unsigned)cpu));
	}
	end_runtime(rt);
}

static void check_all(const struct weir_cpuset *usable, unsigned out)
{
	struct weir_topo *topo = read_topology();

	check_cut(topo, usable, out);
	check_workers(usable);
	weir_topo_free(topo);
}

START_TEST(the_whole_machine)
{
	if (machine_has_nodes())
		check_all(&machine.all, WEIR_CPU_USABLE);
}
END_TEST

/* All of the second node, and one of the first. */
static struct weir_cpuset some_cpus(void)
{
	struct weir_cpuset set = machine.cpus[machine_cpu_node(1)];

	weir_cpuset_add(&set, machine_first_cpu(machine_cpu_node(0)));
	return set;
}

START_TEST(a_mask_that_cuts_a_node)
{
	struct weir_cpuset some;

	if (!machine_has_nodes())
		return;
	some = some_cpus();
	machine_run_on(&some);
	check_all(&some, WEIR_CPU_AFFINITY);
}
END_TEST

#define CGROUP "/sys/fs/cgroup/weir-numa"

static void make_group(const char *dir)
{
	ck_assert(mkdir(dir, 0755) == 0 || access(dir, F_OK) == 0);
}

/* This test's process. */
static void move_to(const char *dir)
{
	char path[256], pid[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	snprintf(pid, sizeof(pid), "%d", getpid());
	machine_write(path, pid);
}

static void make_cpuset(const char *dir, const struct weir_cpuset *cpus)
{
	char path[256], text[256];

	make_group(dir);
	snprintf(path, sizeof(path), "%s/cpuset.cpus", dir);
	weir_cpuset_print(cpus, text, sizeof(text));
	machine_write(path, text);
}

START_TEST(a_cpuset_that_cuts_a_node)
{
	struct weir_cpuset some;

	if (!machine_is_ours())
		return;
	some = some_cpus();
	make_cpuset(CGROUP, &some);
	move_to(CGROUP);
	check_all(&some, WEIR_CPU_CPUSET);
}
END_TEST

#define PARTITION "/sys/fs/cgroup/weir-isolated"

static void end_partition(void)
{
	if (access(PARTITION, F_OK) == 0)
		machine_write(PARTITION "/cpuset.cpus.partition", "member");
}

/*
 * Who is in it has its CPUs, each worker one of them; the others have the rest. No other group may
 * have its CPUs: those of CGROUP are none of them.
 */
START_TEST(an_isolated_partition)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_cpuset inside, rest;
	const struct weir_plan *plan;
	struct weir_topo *topo;
	struct weir_rt *rt;

	if (!machine_is_ours())
		return;
	rest = some_cpus();
	for (unsigned i = 0; i < WEIR_CPUS_MAX / 64; i++)
		inside.word[i] = machine.all.word[i] & ~rest.word[i];
	make_cpuset(PARTITION, &inside);
	machine_write(PARTITION "/cpuset.cpus.partition", "isolated");
	check_all(&rest, WEIR_CPU_CPUSET);
	move_to(PARTITION);
	check_all(&inside, WEIR_CPU_CPUSET);
	topo = read_topology();
	for (unsigned i = 0; i < topo->cpus_len; i++)
		ck_assert_uint_eq(topo->cpus[i].isolated,
				  weir_cpuset_has(&inside, topo->cpus[i].os));
	weir_topo_free(topo);
	ck_assert_msg(weir_rt_new(&cfg, &rt) == 0, "%s", weir_rt_why());
	plan = weir_rt_plan(rt);
	for (unsigned i = 0; i < plan->workers_len; i++)
		ck_assert_uint_eq(weir_cpuset_count(&plan->workers[i].cpus), 1);
	end_runtime(rt);
}
END_TEST

/* ---- less time ---- */

#define OUTER "/sys/fs/cgroup/weir-quota"
#define INNER OUTER "/inner"

static const struct quota {
	const char *outer, *inner, *file;
	unsigned milli, workers;
} quotas[] = {
	{ "max 100000", "50000 100000", INNER "/cpu.max", 500, 1 },
	{ "30000 20000", "max 100000", OUTER "/cpu.max", 1500, 2 },
	{ "250000 100000", "700000 100000", OUTER "/cpu.max", 2500, 3 },
};

/* Of a group and of those above it the least counts. */
START_TEST(a_quota)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	const struct quota *quota = &quotas[_i];
	struct weir_topo *topo;
	struct weir_rt *rt;

	if (!machine_is_ours())
		return;
	make_group(OUTER);
	machine_write(OUTER "/cgroup.subtree_control", "+cpu");
	make_group(INNER);
	machine_write(OUTER "/cpu.max", quota->outer);
	machine_write(INNER "/cpu.max", quota->inner);
	move_to(INNER);
	topo = read_topology();
	ck_assert_uint_eq(topo->quota_milli, quota->milli);
	ck_assert_str_eq(topo->quota_file, quota->file);
	weir_topo_free(topo);
	ck_assert_msg(weir_rt_new(&cfg, &rt) == 0, "%s", weir_rt_why());
	ck_assert_uint_eq(weir_rt_workers(rt), quota->workers);
	ck_assert_ptr_nonnull(strstr(weir_rt_note(rt, 0), "quota"));
	end_runtime(rt);
}
END_TEST

/* ---- a CPU that is taken away ---- */

static char online_file[64];

static void put_back(void)
{
	if (online_file[0])
		machine_write(online_file, "1");
}

START_TEST(a_cpu_that_is_offline)
{
	struct weir_cpuset rest = { { 0 } };
	unsigned gone, cpu;

	if (!machine_is_ours())
		return;
	gone = machine_first_cpu(machine_cpu_node(1));
	snprintf(online_file, sizeof(online_file), "/sys/devices/system/cpu/cpu%u/online", gone);
	machine_write(online_file, "0");
	for (cpu = 0; cpu < WEIR_CPUS_MAX; cpu++)
		if (cpu != gone && weir_cpuset_has(&machine.all, cpu))
			weir_cpuset_add(&rest, cpu);
	check_all(&rest, WEIR_CPU_OFFLINE);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(nodes_cpus_and_distances_are_the_machines),
		TESTING(the_whole_machine),
		TESTING(a_mask_that_cuts_a_node),
		TESTING(a_cpuset_that_cuts_a_node, .needs = "root"),
		TESTING(an_isolated_partition, .needs = "root", .teardown = end_partition),
		TESTING(a_quota, .needs = "root", .rounds = 3),
		TESTING(a_cpu_that_is_offline, .needs = "root", .teardown = put_back),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
