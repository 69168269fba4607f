/* SPDX-License-Identifier: MIT */
/*
 * topo_place.c: from a topology to a plan: the inputs that are refused, and the reasons that are
 * given.
 */
#include "tests/unit/placed.h"
#include "topo/place.h"

#define FOUR "package:1 node:1 l3:1 core:4 pu:1"

START_TEST(values_out_of_range_are_named)
{
	refused(FOUR, "workers 257", "257");
	refused(FOUR, "group-workers 65", "65");
}
END_TEST

static void refused_with(const struct weir_topo *topo, const struct weir_place_config *cfg,
			 const char *words)
{
	struct weir_plan *plan = (void *)&plan;
	struct weir_why why;

	ck_assert_int_eq(weir_plan_new(topo, cfg, &plan, &why), -EINVAL);
	ck_assert_msg(strstr(why.text, words), "'%s', not '%s'", why.text, words);
	ck_assert_ptr_eq(plan, (void *)&plan);
	ck_assert_int_eq(weir_plan_new(topo, cfg, &plan, NULL), -EINVAL);
}

START_TEST(what_is_no_enum_is_refused)
{
	struct weir_topo *topo = machine_new(FOUR);
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;

	cfg.policy = WEIR_PLACE_LEN;
	refused_with(topo, &cfg, "policy 13");
	cfg.policy = WEIR_PLACE_PERFORMANCE;
	cfg.bind = (enum weir_bind)(WEIR_BIND_CPU + 1);
	refused_with(topo, &cfg, "bind 5");
	cfg.bind = WEIR_BIND_AUTO;
	cfg.size = 3;
	refused_with(topo, &cfg, "config.size is 3");
	weir_topo_free(topo);
}
END_TEST

START_TEST(nothing_is_no_input)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	struct weir_topo *topo = machine_new(FOUR);

	refused_with(NULL, &cfg, "a topology");
	refused_with(topo, NULL, "a topology");
	ck_assert_int_eq(weir_plan_new(topo, &cfg, NULL, NULL), -EINVAL);
	weir_plan_free(NULL);
	weir_topo_free(topo);
}
END_TEST

START_TEST(a_topology_that_contradicts_itself_is_refused)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	struct weir_topo *topo = machine_new(FOUR);

	topo->cpus[2].node = 1;
	refused_with(topo, &cfg, "CPU L#2");
	topo->cpus[2].node = 0;
	topo->cpus[3].os = WEIR_CPUS_MAX;
	refused_with(topo, &cfg, "P#1024");
	topo->cpus_len = 0;
	refused_with(topo, &cfg, "0 CPUs");
	weir_topo_free(topo);
}
END_TEST

START_TEST(without_a_usable_cpu_there_is_no_plan)
{
	refused(FOUR, "offline 0-3", "no CPU is usable");
	refused(FOUR, "offline 0-1; isolated 2-3", "2 of the 4 CPUs are isolated");
}
END_TEST

START_TEST(policies_have_names)
{
	unsigned i, k;

	for (i = 0; i < WEIR_PLACE_LEN; i++)
		for (k = 0; k < i; k++)
			ck_assert_str_ne(weir_place_policy_name(i), weir_place_policy_name(k));
	ck_assert_str_eq(weir_place_policy_name(WEIR_PLACE_PERFORMANCE), "performance");
	ck_assert_str_eq(weir_place_policy_name(WEIR_PLACE_GROUP_BY_3_CCX), "group-by-3-ccx");
	ck_assert_str_eq(weir_place_policy_name(WEIR_PLACE_GROUP_BY_CLUSTER), "group-by-cluster");
	ck_assert_ptr_eq(weir_place_policy_name(WEIR_PLACE_LEN), NULL);
}
END_TEST

START_TEST(a_quota_in_words)
{
	static const struct {
		unsigned milli;
		const char *text;
	} quotas[] = { { 0, "0" },	  { 1, "0.001" },   { 50, "0.05" },
		       { 500, "0.5" },	  { 1000, "1" },    { 1250, "1.25" },
		       { 2010, "2.01" },  { 16000, "16" },  { 10001, "10.001" } };
	char text[24];
	unsigned i;

	for (i = 0; i < TESTING_COUNT(quotas); i++) {
		weir__place_print_quota(quotas[i].milli, text, sizeof text);
		ck_assert_str_eq(text, quotas[i].text);
	}
}
END_TEST

/* Whichever allocation fails, the result is -ENOMEM, and nothing leaks. */
START_TEST(every_allocation_may_fail)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	struct weir_topo *topo = machine_new(
		"package:2 node:1 l3:2 cluster:1 core:2 pu:2 @1024; cluster:1 core:2 pu:1 @700");
	struct weir_plan *plan;
	struct weir_why why;
	unsigned nth;
	int rc = -ENOMEM;

	cfg.cpus = "drop-cpu 0,only-node 0,1";
	cfg.workers = 40;
	for (nth = 1; rc < 0; nth++) {
		if (!testing_fail_allocation(nth)) {
			testing_skip("this build does not wrap the allocator");
			break;
		}
		rc = weir_plan_new(topo, &cfg, &plan, &why);
		testing_fail_allocation(0);
		ck_assert(rc == 0 || rc == -ENOMEM);
		ck_assert(rc == 0 || strstr(why.text, "out of memory"));
	}
	if (rc == 0) {
		ck_assert_uint_gt(nth, 40);
		weir_plan_free(plan);
	}
	weir_topo_free(topo);
}
END_TEST

/* The longest possible notes about a machine: none is cut. */
START_TEST(there_is_room_for_every_line)
{
	struct placed on;

	placed_on(&on,
		  "adjacent package:2 node:2 l3:2 cluster:1 core:6 pu:2 @1024; "
		  "cluster:1 core:4 pu:1 @500",
		  "offline 1; cpuset 0-39,42-100; affinity 0-50,52-100; isolated 4-5; quota 1500; "
		  "cpus 0-4,6-20,24-60; workers 5; threads-per-core 1; bind cpu");
	ck_assert_msg(on.rc == 0, "%s", on.why.text);
	ck_assert_uint_ge(on.plan->why_len, 9);
	ck_assert_uint_le(on.plan->why_len, WEIR_PLAN_WHY_MAX);
	placed_end(&on);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(values_out_of_range_are_named),
		TESTING(what_is_no_enum_is_refused),
		TESTING(nothing_is_no_input),
		TESTING(a_topology_that_contradicts_itself_is_refused),
		TESTING(without_a_usable_cpu_there_is_no_plan),
		TESTING(policies_have_names),
		TESTING(a_quota_in_words),
		TESTING(every_allocation_may_fail),
		TESTING(there_is_room_for_every_line),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
