/* SPDX-License-Identifier: MIT */
/*
 * topology.c: on a machine with several memory nodes, the topology that weir reads is right,
 * without CPUs that are offline, masked out or outside the cpuset. A runtime starts its workers
 * accordingly.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
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

/*
 * Checks that the usable CPUs are those of the set, and that all others are out for the given
 * reason.
 */
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

/* Checks that a runtime has one worker per CPU of the set, and that they run there. */
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
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
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

/* Returns all CPUs of the second node and one of the first. */
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

START_TEST(a_cpuset_that_cuts_a_node)
{
	struct weir_cpuset some;
	char text[256];

	if (!machine_is_ours())
		return;
	some = some_cpus();
	weir_cpuset_print(&some, text, sizeof(text));
	ck_assert(mkdir(CGROUP, 0755) == 0 || access(CGROUP, F_OK) == 0);
	machine_write(CGROUP "/cpuset.cpus", text);
	snprintf(text, sizeof(text), "%d", getpid());
	machine_write(CGROUP "/cgroup.procs", text);
	check_all(&some, WEIR_CPU_CPUSET);
}
END_TEST

/* ---- a CPU that is taken offline ---- */

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
		TESTING(a_cpu_that_is_offline, .needs = "root", .teardown = put_back),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
