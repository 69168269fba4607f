/* SPDX-License-Identifier: MIT */
/* topo_place_bind.c: the CPUs to which a worker is bound. */
#include "tests/unit/placed.h"

/* Two L3s, with P# 0-1,4-5 and 2-3,6-7. */
#define TWO_L3 "package:1 node:1 l3:2 core:2 pu:2"

/* Asserts to which CPUs the last worker is bound; "" means that it is not bound. */
static void binds(const char *machine, const char *settings, enum weir_bind bind, const char *cpus)
{
	const struct weir_plan_worker *last;
	struct placed on;
	char text[128] = "";

	placed_on(&on, machine, settings);
	ck_assert_msg(on.rc == 0, "%s", on.why.text);
	last = &on.plan->workers[on.plan->workers_len - 1];
	if (last->bound)
		weir_cpuset_print(&last->cpus, text, sizeof text);
	ck_assert_msg(on.plan->bind == bind && strcmp(text, cpus) == 0,
		      "%s: bind %d to '%s', not %d to '%s'", settings, (int)on.plan->bind, text,
		      (int)bind, cpus);
	placed_end(&on);
}

START_TEST(what_is_asked_for)
{
	binds(TWO_L3, "bind none", WEIR_BIND_NONE, "");
	binds(TWO_L3, "bind group", WEIR_BIND_GROUP, "2-3,6-7");
	binds(TWO_L3, "bind core", WEIR_BIND_CORE, "3,7");
	binds(TWO_L3, "bind cpu", WEIR_BIND_CPU, "7");
}
END_TEST

START_TEST(by_default_to_the_group)
{
	binds(TWO_L3, "", WEIR_BIND_GROUP, "2-3,6-7");
	binds(TWO_L3, "workers 16", WEIR_BIND_GROUP, "2-3,6-7");
	binds(TWO_L3, "policy none", WEIR_BIND_NONE, "");
	binds(TWO_L3, "policy none; cpus 0-1", WEIR_BIND_GROUP, "0-1");
}
END_TEST

START_TEST(with_a_thread_per_core_to_the_core)
{
	binds(TWO_L3, "threads-per-core 1", WEIR_BIND_CORE, "3,7");
	binds(TWO_L3, "threads-per-core 1; cpus drop-thread 1", WEIR_BIND_CORE, "3");
	binds(TWO_L3, "threads-per-core 1; bind group", WEIR_BIND_GROUP, "2-3");
}
END_TEST

/* Other programs may use the rest of the machine, so the kernel chooses among the usable CPUs. */
START_TEST(fewer_workers_than_cpus_are_not_bound)
{
	binds(TWO_L3, "workers 7", WEIR_BIND_NONE, "");
	binds(TWO_L3, "workers 2", WEIR_BIND_NONE, "");
	binds(TWO_L3, "workers 2; bind group", WEIR_BIND_GROUP, "0-1,4-5");
	binds(TWO_L3, "workers 2; cpus 0-5", WEIR_BIND_NONE, "0-5");
	binds(TWO_L3, "workers 1; cpus drop-smt", WEIR_BIND_NONE, "0-3");
	binds("package:2 node:1 l3:4 core:20 pu:2", "", WEIR_BIND_GROUP, "154-159,314-319");
}
END_TEST

START_TEST(a_quota_leaves_room_to_move)
{
	binds(TWO_L3, "quota 2000", WEIR_BIND_NONE, "");
	binds(TWO_L3, "quota 2000; bind cpu", WEIR_BIND_GROUP, "0-1,4-5");
	binds(TWO_L3, "quota 2000; bind core; workers 8", WEIR_BIND_GROUP, "2-3,6-7");
	binds(TWO_L3, "quota 2000; bind cpu; policy none", WEIR_BIND_NONE, "");
	binds(TWO_L3, "quota 2000; threads-per-core 1; workers 4", WEIR_BIND_GROUP, "2-3");
	binds(TWO_L3, "quota 8000; bind cpu", WEIR_BIND_CPU, "7");
}
END_TEST

START_TEST(isolated_cpus_have_a_worker_each)
{
	binds(TWO_L3, "isolated 2-3,6-7; cpus 2-3", WEIR_BIND_CPU, "3");
	binds(TWO_L3, "isolated 2-3,6-7; cpus 2-3,6; workers 1", WEIR_BIND_CPU, "2");
	binds(TWO_L3, "isolated 7; cpus 0-7", WEIR_BIND_GROUP, "7");
	binds(TWO_L3, "isolated 6; cpus 0-7", WEIR_BIND_GROUP, "2-3,7");
	binds(TWO_L3, "isolated 6; cpus 0-7; bind group", WEIR_BIND_GROUP, "2-3,6-7");
}
END_TEST

START_TEST(it_is_said)
{
	struct placed on;

	placed_on(&on, TWO_L3, "quota 2000; bind cpu");
	ck_assert(says(&on, "with a quota, a worker must be able to change CPUs"));
	placed_end(&on);
	placed_on(&on, TWO_L3, "workers 2");
	ck_assert(says(&on, "no worker is bound"));
	placed_end(&on);
	placed_on(&on, TWO_L3, "workers 2; cpus 0-5");
	ck_assert(says(&on, "each worker is bound to the CPUs that are used"));
	placed_end(&on);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(what_is_asked_for),
		TESTING(by_default_to_the_group),
		TESTING(with_a_thread_per_core_to_the_core),
		TESTING(fewer_workers_than_cpus_are_not_bound),
		TESTING(a_quota_leaves_room_to_move),
		TESTING(isolated_cpus_have_a_worker_each),
		TESTING(it_is_said),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
