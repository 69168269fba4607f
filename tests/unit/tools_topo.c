/* SPDX-License-Identifier: MIT */
/*
 * tools_topo.c: `weir topo` shows the same plan that a runtime makes from the same options.
 */
#include <string.h>

#include "tests/support/testing.h"
#include "tools/common/place_options.h"
#include "weir/rt.h"

static void check_worker(const struct weir_plan *told, const struct weir_plan *used, unsigned i)
{
	const struct weir_plan_worker *a = &told->workers[i], *b = &used->workers[i];

	ck_assert_uint_eq(a->group, b->group);
	ck_assert_uint_eq(a->cpu, b->cpu);
	ck_assert_uint_eq(a->node, b->node);
	ck_assert_int_eq(a->bound, b->bound);
	ck_assert_mem_eq(&a->cpus, &b->cpus, sizeof(a->cpus));
	ck_assert_mem_eq(a->tier_end, b->tier_end, sizeof(a->tier_end));
	ck_assert_mem_eq(a->steal, b->steal, (told->workers_len - 1) * sizeof(*a->steal));
}

/* Compares the plan that the command makes from options with that of a runtime. */
static void compare(const struct place_options *options, unsigned workers)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_place_config place, counted;
	const struct weir_plan *used;
	struct weir_topo *here;
	struct weir_plan *told;
	struct weir_rt *rt;
	char why[512];

	ck_assert_int_eq(place_options_read(options, &place, why, sizeof(why)), 0);
	counted = place;
	counted.workers = workers;
	ck_assert_int_eq(weir_topo_new(NULL, &here, NULL), 0);
	ck_assert_int_eq(weir_plan_new(here, &counted, &told, NULL), 0);
	cfg.place = &place;
	cfg.workers = workers;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), 0);
	used = weir_rt_plan(rt);
	ck_assert_uint_eq(told->workers_len, used->workers_len);
	ck_assert_uint_eq(told->workers_len, weir_rt_workers(rt));
	ck_assert_uint_eq(told->groups_len, used->groups_len);
	ck_assert_int_eq(told->policy, place.policy);
	ck_assert_int_eq(used->policy, place.policy);
	ck_assert_int_eq(told->bind, used->bind);
	for (unsigned i = 0; i < told->workers_len; i++)
		check_worker(told, used, i);
	ck_assert_mem_eq(told->out, used->out, here->cpus_len);
	ck_assert_uint_eq(told->why_len, used->why_len);
	for (unsigned i = 0; i < told->why_len; i++)
		ck_assert_str_eq(told->why[i], used->why[i]);
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
	weir_plan_free(told);
	weir_topo_free(here);
}

START_TEST(a_runtime_has_the_plan_that_is_shown)
{
	compare(&(struct place_options){ 0 }, 0);
	compare(&(struct place_options){ .bind = WEIR_BIND_CPU }, 0);
	compare(&(struct place_options){ .policy = "none", .bind = WEIR_BIND_GROUP }, 3);
	compare(&(struct place_options){ .policy = "resource", .threads_per_core = 1 }, 0);
	compare(&(struct place_options){ .cpus = "drop-smt", .group_workers = 1 }, 2);
}
END_TEST

START_TEST(policies_by_name)
{
	struct place_options options = { 0 };
	struct weir_place_config place;
	char why[512];

	for (unsigned i = 0; i < WEIR_PLACE_LEN; i++) {
		options.policy = weir_place_policy_name(i);
		ck_assert_int_eq(place_options_read(&options, &place, why, sizeof(why)), 0);
		ck_assert_int_eq(place.policy, i);
	}
	options.policy = "group-by";
	memset(&place, 0x5a, sizeof(place));
	ck_assert_int_eq(place_options_read(&options, &place, why, sizeof(why)), OPTIONS_BAD);
	ck_assert_int_eq(((unsigned char *)&place)[8], 0x5a);
	ck_assert_ptr_nonnull(strstr(why, "--policy 'group-by': expected performance, none, "));
	ck_assert_ptr_nonnull(strstr(why, " or resource"));
	/* The names are in the order of enum weir_bind. */
	ck_assert_str_eq(place_binds[WEIR_BIND_AUTO], "auto");
	ck_assert_str_eq(place_binds[WEIR_BIND_CPU], "cpu");
	ck_assert_ptr_null(place_binds[WEIR_BIND_CPU + 1]);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_runtime_has_the_plan_that_is_shown),
		TESTING(policies_by_name),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
