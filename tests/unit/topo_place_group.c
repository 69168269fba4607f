/* SPDX-License-Identifier: MIT */
/* topo_place_group.c: the number of workers, how they are divided into groups, and their CPUs. */
#include "tests/unit/placed.h"

/* Asserts how many workers each group has, as "12 12". */
static void groups(const char *machine, const char *settings, const char *sizes)
{
	struct placed on;
	char text[256] = "";
	size_t len = 0;
	unsigned i;

	placed_on(&on, machine, settings);
	ck_assert_msg(on.rc == 0, "%s", on.why.text);
	for (i = 0; i < on.plan->groups_len; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%u", i ? " " : "",
					on.plan->groups[i].workers);
	ck_assert_str_eq(text, sizes);
	placed_end(&on);
}

static void workers(const char *machine, const char *settings, unsigned count, const char *why)
{
	struct placed on;

	placed_on(&on, machine, settings);
	ck_assert_msg(on.rc == 0, "%s", on.why.text);
	ck_assert_uint_eq(on.plan->workers_len, count);
	ck_assert_msg(says(&on, why), "%s: nothing says '%s'", settings, why);
	placed_end(&on);
}

#define FOUR "package:1 node:1 l3:1 core:4 pu:1"

START_TEST(a_worker_for_each_cpu_that_the_quota_pays_for)
{
	workers(FOUR, "", 4, "4 CPUs, so 4 workers");
	workers(FOUR, "quota 500", 1, "a quota of 0.5 CPUs: 1 worker");
	workers(FOUR, "quota 1000", 1, "a quota of 1 CPUs: 1 worker");
	workers(FOUR, "quota 1001", 2, "a quota of 1.001 CPUs: 2 workers");
	workers(FOUR, "quota 3999", 4, "a quota of 3.999 CPUs: 4 workers");
	workers(FOUR, "quota 4000", 4, "4 CPUs, so 4 workers");
	workers(FOUR, "quota 3000; cpus 0-1", 2, "2 CPUs, so 2 workers");
	workers(FOUR, "quota 500; workers 3", 3, "3, as asked for; the quota is 0.5 CPUs");
	workers(FOUR, "workers 9", 9, "sharing 4 CPUs");
	workers("package:2 node:1 l3:4 core:20 pu:2", "", 256, "256 workers are the most");
}
END_TEST

START_TEST(a_quota_below_the_cpus_throttles)
{
	struct placed on;

	placed_on(&on, FOUR, "quota 3999");
	ck_assert(on.plan->throttled);
	placed_end(&on);
	placed_on(&on, FOUR, "quota 4000");
	ck_assert(!on.plan->throttled);
	placed_end(&on);
	placed_on(&on, FOUR, "quota 3000; cpus 0-2");
	ck_assert(!on.plan->throttled);
	placed_end(&on);
}
END_TEST

START_TEST(domains_are_cut_evenly)
{
	groups("package:1 node:1 l3:1 core:24 pu:1", "", "12 12");
	groups("package:1 node:1 l3:1 core:16 pu:1", "", "16");
	groups("package:1 node:1 l3:1 core:17 pu:1", "", "9 8");
	groups("package:1 node:1 l3:1 core:33 pu:1", "", "11 11 11");
	groups("package:1 node:1 l3:2 core:5 pu:1", "group-workers 3", "3 2 3 2");
}
END_TEST

START_TEST(domains_are_cut_along_cores)
{
	groups("package:1 node:1 l3:1 core:9 pu:2", "", "10 8");
	groups("package:1 node:1 l3:1 core:9 pu:2", "group-workers 9", "6 6 6");
	groups("package:1 node:1 l3:1 core:3 pu:4", "group-workers 6", "4 4 4");
	groups("package:1 node:1 l3:1 core:2 pu:4", "group-workers 3", "3 3 2");
	groups("package:1 node:1 l3:1 core:3 pu:2", "group-workers 1", "1 1 1 1 1 1");
}
END_TEST

START_TEST(several_domains_to_a_group)
{
	static const char five[] = "package:1 node:1 l3:5 core:2 pu:1";

	groups(five, "policy group-by-ccx", "2 2 2 2 2");
	groups(five, "policy group-by-2-ccx", "4 4 2");
	groups(five, "policy group-by-3-ccx", "6 4");
	groups(five, "policy group-by-4-ccx", "8 2");
	groups(five, "policy none", "10");
	groups(five, "policy none; group-workers 4", "3 4 3");
	groups("package:1 node:1 l3:2 cluster:3 core:2 pu:1", "policy group-by-2-cluster", "4 4 4");
}
END_TEST

/* A group of two L3s never spans two nodes or packages. */
START_TEST(groups_do_not_cross_nodes)
{
	groups("package:1 node:2 l3:3 core:2 pu:1", "policy group-by-2-ccx", "4 2 4 2");
	groups("package:1 node:1 l3:3 core:2 pu:1; package:1 l3:3 core:2 pu:1",
	       "policy group-by-2-ccx", "4 2 4 2");
	groups("package:1 l3:1 node:2 core:4 pu:1", "", "4 4");
}
END_TEST

START_TEST(few_workers_share_few_groups_equally)
{
	static const char four[] = "package:1 node:1 l3:4 core:4 pu:2";

	groups(four, "workers 4", "4");
	groups(four, "workers 5", "3 2");
	groups(four, "workers 9", "3 3 3");
	groups(four, "workers 16", "4 4 4 4");
	groups(four, "workers 20", "5 5 5 5");
	groups(four, "workers 31", "8 8 8 7");
	groups(four, "quota 5500", "3 3");
}
END_TEST

START_TEST(more_workers_than_cpus_fit_into_groups)
{
	groups(FOUR, "workers 8", "8");
	groups(FOUR, "workers 16", "16");
	groups(FOUR, "workers 18", "9 9");
	groups(FOUR, "workers 64", "16 16 16 16");
	groups("package:1 node:1 l3:1 core:1 pu:1", "workers 256; group-workers 64", "64 64 64 64");
	groups("package:1 node:1 l3:1 core:1 pu:2", "workers 7; group-workers 1", "1 1 1 1 1 1 1");
}
END_TEST

/* Asserts the CPU (P#) of each worker. */
static void on_cpus(const char *machine, const char *settings, const char *cpus)
{
	struct placed on;
	char text[256] = "";
	size_t len = 0;
	unsigned i;

	placed_on(&on, machine, settings);
	ck_assert_msg(on.rc == 0, "%s", on.why.text);
	for (i = 0; i < on.plan->workers_len; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%u", i ? " " : "",
					on.topo->cpus[on.plan->workers[i].cpu].os);
	ck_assert_str_eq(text, cpus);
	placed_end(&on);
}

START_TEST(cores_first_then_siblings_then_round)
{
	static const char four[] = "package:1 node:1 l3:1 core:4 pu:2";

	on_cpus(four, "workers 2", "0 2");
	on_cpus(four, "workers 4", "0 1 2 3");
	on_cpus(four, "workers 6", "0 4 1 2 6 3");
	on_cpus(four, "", "0 4 1 5 2 6 3 7");
	on_cpus(four, "workers 10", "0 4 1 5 2 6 3 7 0 2");
	on_cpus(FOUR, "workers 8", "0 1 2 3 0 1 2 3");
}
END_TEST

/* Fast cores are used first, whatever their numbers. */
START_TEST(fast_cores_come_first)
{
	static const char machine[] =
		"package:1 node:1 l3:1 cluster:1 core:2 pu:1 @900; cluster:1 core:2 pu:1 @1024";

	on_cpus(machine, "", "2 3 0 1");
	on_cpus(machine, "policy group-by-cluster; workers 2", "2 3");
}
END_TEST

START_TEST(cpus_of_groups_without_a_worker_are_spare)
{
	struct placed on;

	placed_on(&on, "package:1 node:1 l3:4 core:2 pu:1", "workers 3");
	left_out(&on, WEIR_CPU_USABLE, "0-3");
	left_out(&on, WEIR_CPU_SPARE, "4-7");
	ck_assert_uint_eq(on.plan->cpus_used, 4);
	ck_assert(says(&on, "2 of 4 groups are enough"));
	placed_end(&on);
}
END_TEST

START_TEST(shards_are_one_per_group)
{
	struct placed on;

	placed_on(&on, "package:1 node:1 l3:2 core:4 pu:1", "");
	ck_assert(says(&on, "listener shards: 2, one per group"));
	placed_end(&on);
	placed_on(&on, "package:1 node:1 l3:2 core:4 pu:1", "affinity 0-4");
	ck_assert(says(&on, "weighted by their 1 to 4 workers"));
	placed_end(&on);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_worker_for_each_cpu_that_the_quota_pays_for),
		TESTING(a_quota_below_the_cpus_throttles),
		TESTING(domains_are_cut_evenly),
		TESTING(domains_are_cut_along_cores),
		TESTING(several_domains_to_a_group),
		TESTING(groups_do_not_cross_nodes),
		TESTING(few_workers_share_few_groups_equally),
		TESTING(more_workers_than_cpus_fit_into_groups),
		TESTING(cores_first_then_siblings_then_round),
		TESTING(fast_cores_come_first),
		TESTING(cpus_of_groups_without_a_worker_are_spare),
		TESTING(shards_are_one_per_group),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
