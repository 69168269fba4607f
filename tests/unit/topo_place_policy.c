/* SPDX-License-Identifier: MIT */
/* topo_place_policy.c: which CPUs a policy keeps, tested at its thresholds. */
#include "tests/unit/placed.h"

/*
 * The first cluster has P# 0-3 and the second 4-7, with these capacities. Asserts which CPUs are
 * kept.
 */
static void keeps(const char *policy, unsigned first, unsigned second, const char *cpus)
{
	struct placed on;
	char machine[128], settings[64];

	snprintf(machine, sizeof machine,
		 "package:1 node:1 l3:1 cluster:1 core:4 pu:1 @%u; cluster:1 core:4 pu:1 @%u",
		 first, second);
	snprintf(settings, sizeof settings, "policy %s", policy);
	placed_on(&on, machine, settings);
	left_out(&on, WEIR_CPU_USABLE, cpus);
	placed_end(&on);
}

START_TEST(performance_leaves_out_what_is_below_80_percent)
{
	keeps("performance", 1000, 800, "0-7");
	keeps("performance", 1000, 799, "0-3");
	keeps("performance", 799, 1000, "4-7");
	keeps("performance", 1000, 0, "0-7");
	keeps("performance", 0, 1000, "0-7");
	keeps("group-by-ccx", 1000, 100, "0-7");
}
END_TEST

START_TEST(efficiency_leaves_out_what_is_above_125_percent)
{
	keeps("efficiency", 1000, 800, "0-7");
	keeps("efficiency", 1001, 800, "4-7");
	keeps("efficiency", 800, 1001, "0-3");
	keeps("efficiency", 1000, 0, "0-7");
	keeps("efficiency", 0, 1000, "0-7");
}
END_TEST

START_TEST(resource_keeps_the_smallest_cluster)
{
	struct placed on;

	keeps("resource", 1000, 900, "4-7");
	keeps("resource", 900, 1000, "0-3");
	keeps("resource", 1000, 1000, "0-3");
	placed_on(&on,
		  "package:1 node:1 l3:1 cluster:1 core:2 pu:1 @1000; cluster:1 core:4 pu:1 @600",
		  "policy resource");
	left_out(&on, WEIR_CPU_LARGER, "2-5");
	placed_end(&on);
	placed_on(&on, "package:1 node:1 l3:3 core:2 pu:1", "policy resource");
	left_out(&on, WEIR_CPU_USABLE, "0-1");
	placed_end(&on);
}
END_TEST

/* Each capacity is compared with the next. All beyond the first large gap are left out. */
START_TEST(all_beyond_the_first_gap_goes)
{
	static const char machine[] =
		"package:1 node:1 l3:1 cluster:1 core:1 pu:1 @1000; cluster:1 core:1 pu:1 @850; "
		"cluster:1 core:1 pu:1 @500; cluster:1 core:1 pu:1 @450";
	struct placed on;

	placed_on(&on, machine, "");
	left_out(&on, WEIR_CPU_SLOWER, "2-3");
	ck_assert(says(
		&on,
		"2 slower cores are left out (58 % of the speed of the next): policy performance"));
	placed_end(&on);
	placed_on(&on, machine, "policy efficiency");
	left_out(&on, WEIR_CPU_FASTER, "0-1");
	ck_assert(says(
		&on,
		"2 faster cores are left out (170 % of the speed of the next): policy efficiency"));
	placed_end(&on);
}
END_TEST

/* Only the capacities of usable cores count. */
START_TEST(a_policy_looks_at_usable_cpus_only)
{
	struct placed on;

	placed_on(&on,
		  "package:1 node:1 l3:1 cluster:1 core:4 pu:1 @1024; cluster:1 core:4 pu:1 @500",
		  "cpus 4-7");
	left_out(&on, WEIR_CPU_USABLE, "4-7");
	left_out(&on, WEIR_CPU_SLOWER, "");
	placed_end(&on);
}
END_TEST

START_TEST(the_first_node_that_has_a_usable_cpu)
{
	struct placed on;

	placed_on(&on, "package:3 node:1 l3:1 core:2 pu:1",
		  "policy first-usable-node; affinity 3-5");
	left_out(&on, WEIR_CPU_USABLE, "3");
	left_out(&on, WEIR_CPU_OTHER_NODE, "4-5");
	placed_end(&on);
}
END_TEST

/* Only usable threads of a core count: here the first thread of core 1 is not usable. */
START_TEST(threads_per_core_counts_those_that_are_left)
{
	struct placed on;

	placed_on(&on, "package:1 node:1 l3:1 core:2 pu:4", "offline 1; threads-per-core 2");
	left_out(&on, WEIR_CPU_USABLE, "0,2-3,5");
	left_out(&on, WEIR_CPU_SIBLING, "4,6-7");
	ck_assert(says(&on, "at most 2 of the 4 threads"));
	placed_end(&on);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(performance_leaves_out_what_is_below_80_percent),
		TESTING(efficiency_leaves_out_what_is_above_125_percent),
		TESTING(resource_keeps_the_smallest_cluster),
		TESTING(all_beyond_the_first_gap_goes),
		TESTING(a_policy_looks_at_usable_cpus_only),
		TESTING(the_first_node_that_has_a_usable_cpu),
		TESTING(threads_per_core_counts_those_that_are_left),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
