/* SPDX-License-Identifier: MIT */
/*
 * sched_idle.c: which worker idle_pick wakes, step by step. tests/model/idle.cpp checks that
 * concurrent steps forget nobody.
 */
#include "sched/idle.h"
#include "tests/support/testing.h"

enum {
	GROUPS = 3,
	EACH = 4
};

/* A domain of workers 0 to 11 in three groups. Group 1 is nearer to group 2 than group 0 is. */
static struct idle idle;
static struct idle_group group[GROUPS], *near[GROUPS][GROUPS];

static void make(void)
{
	static const unsigned order[GROUPS][GROUPS] = { { 0, 1, 2 }, { 1, 2, 0 }, { 2, 1, 0 } };

	idle_init(&idle, GROUPS * EACH);
	for (unsigned g = 0; g < GROUPS; g++) {
		idle_group_init(&group[g], g * EACH, EACH);
		for (unsigned k = 0; k < GROUPS; k++)
			near[g][k] = &group[order[g][k]];
		group[g].near = near[g];
		group[g].near_len = GROUPS;
	}
}

static void park(unsigned worker)
{
	ck_assert(idle_park(&idle, &group[worker / EACH], worker, false));
}

/* Picks a worker and ends its search, so that the next one may be woken. */
static int pick(unsigned from, int by)
{
	int worker = idle_pick(&idle, &group[from], by);

	if (worker >= 0)
		ck_assert(idle_end_search(&idle));
	return worker;
}

START_TEST(the_nearest_sleeper_is_woken)
{
	static const unsigned asleep[] = { 0, 3, 5, 7, 8, 11 };

	make();
	for (unsigned i = 0; i < 6; i++)
		park(asleep[i]);
	ck_assert_int_eq(pick(2, 10), 11);	/* the nearest of its own group */
	ck_assert_int_eq(pick(2, 10), 8);
	ck_assert_int_eq(pick(2, 10), 7);	/* then the nearest of the nearest group */
	ck_assert_int_eq(pick(2, -1), 5);
	ck_assert_int_eq(pick(2, -1), 0);	/* then the last group, from its first worker on */
	ck_assert_int_eq(pick(0, 0), 3);
	ck_assert_int_eq(pick(0, 0), -1);
}
END_TEST

START_TEST(one_is_woken_at_a_time)
{
	make();
	park(1);
	park(9);
	ck_assert_int_eq(idle_pick(&idle, &group[0], 0), 1);
	ck_assert_int_eq(idle_pick(&idle, &group[0], 0), -1);	/* worker 1 searches */
	ck_assert(!idle_unpark_self(&group[0], 1));		/* it was woken already */
	ck_assert(idle_end_search(&idle));			/* it was the last searcher */
	ck_assert_int_eq(idle_pick(&idle, &group[0], 0), 9);
}
END_TEST

START_TEST(a_worker_that_woke_by_itself_is_not_woken)
{
	make();
	park(4);
	ck_assert(idle_unpark_self(&group[1], 4));
	ck_assert_int_eq(idle_pick(&idle, &group[1], 4), -1);
	ck_assert_uint_eq(idle.searching, 0);
}
END_TEST

START_TEST(a_parking_worker_must_look_unless_another_searches)
{
	make();
	ck_assert(idle_begin_search(&idle));
	ck_assert(!idle_park(&idle, &group[0], 0, false));
	ck_assert(idle_park(&idle, &group[1], 4, true));
	idle.searchers = 1;
	ck_assert(idle_begin_search(&idle));
	ck_assert(!idle_begin_search(&idle));
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_nearest_sleeper_is_woken),
		TESTING(one_is_woken_at_a_time),
		TESTING(a_worker_that_woke_by_itself_is_not_woken),
		TESTING(a_parking_worker_must_look_unless_another_searches),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
