/* SPDX-License-Identifier: MIT */
/* topo_place_steal.c: the order in which a worker steals from others. */
#include "tests/unit/placed.h"

/* Asserts the victims of a worker in order, with "|" between tiers. */
static void victims(const char *machine, const char *settings, unsigned worker, const char *order)
{
	const struct weir_plan_worker *w;
	struct placed on;
	char text[512] = "";
	size_t len = 0;
	unsigned tier, i = 0;

	placed_on(&on, machine, settings);
	ck_assert_msg(on.rc == 0, "%s", on.why.text);
	w = &on.plan->workers[worker];
	for (tier = 0; tier < WEIR_TIERS; tier++) {
		for (; i < w->tier_end[tier]; i++)
			len += (size_t)snprintf(text + len, sizeof text - len, "%u ", w->steal[i]);
		if (tier < WEIR_TIER_REMOTE)
			len += (size_t)snprintf(text + len, sizeof text - len, "| ");
	}
	ck_assert_msg(strncmp(text, order, strlen(order)) == 0 && len <= strlen(order) + 1,
		      "%s, worker %u: '%s', not '%s'", machine, worker, text, order);
	placed_end(&on);
}

START_TEST(sibling_group_node_remote)
{
	static const char machine[] = "package:2 node:1 l3:2 core:2 pu:2";

	victims(machine, "", 0, "1 | 2 3 | 4 5 6 7 | 8 9 10 11 12 13 14 15");
	victims(machine, "", 15, "14 | 13 12 | 11 8 9 10 | 6 7 0 1 2 3 4 5");
	victims("package:1 node:1 l3:1 core:1 pu:1", "", 0, "| | |");
}
END_TEST

/* The workers of a group begin at different victims, so that they do not all steal from one. */
START_TEST(neighbours_begin_at_different_victims)
{
	struct placed on;
	unsigned a, b;

	placed_on(&on, "package:2 node:1 l3:2 core:8 pu:1", "");
	for (a = 0; a < 8; a++)
		for (b = 0; b < a; b++) {
			const struct weir_plan_worker *x = &on.plan->workers[a],
						      *y = &on.plan->workers[b];
			unsigned tier;

			for (tier = WEIR_TIER_SMT; tier < WEIR_TIER_REMOTE; tier++)
				ck_assert_uint_ne(x->steal[x->tier_end[tier]],
						  y->steal[y->tier_end[tier]]);
		}
	placed_end(&on);
}
END_TEST

START_TEST(siblings_begin_at_different_victims)
{
	victims("package:1 node:1 l3:1 core:3 pu:2", "", 2, "3 | 4 5 0 1 | |");
	victims("package:1 node:1 l3:1 core:3 pu:2", "", 3, "2 | 5 0 1 4 | |");
}
END_TEST

START_TEST(remote_nodes_by_distance)
{
	static const char four[] = "package:4 node:1 l3:1 core:1 pu:1";

	victims(four, "distances 10 31 21 41 31 10 41 21 21 41 10 31 41 21 31 10", 0,
		"| | | 2 1 3");
	victims(four, "distances 10 31 21 41 31 10 41 21 21 41 10 31 41 21 31 10", 3,
		"| | | 1 2 0");
	/* The distance may differ in the two directions. */
	victims("package:3 node:1 l3:1 core:1 pu:1", "distances 10 20 30 30 10 20 20 30 10", 0,
		"| | | 1 2");
	victims("package:3 node:1 l3:1 core:1 pu:1", "distances 10 20 30 30 10 20 20 30 10", 1,
		"| | | 2 0");
}
END_TEST

START_TEST(without_distances_by_package_and_number)
{
	static const char nodes[] = "package:2 node:3 l3:1 core:1 pu:1";

	victims(nodes, "", 0, "| | | 1 2 3 4 5");
	victims(nodes, "", 2, "| | | 1 0 3 4 5");
	victims(nodes, "", 5, "| | | 4 3 2 1 0");
}
END_TEST

/* Within a tier: first the same cluster, then the same L3, then the same package, then the rest. */
START_TEST(what_is_shared_comes_first)
{
	victims("package:1 node:1 l3:1 cluster:3 core:2 pu:1", "", 2, "| 3 4 5 0 1 | |");
	victims("package:1 node:1 l3:1 core:4 pu:1; l3:1 core:2 pu:1", "group-workers 2", 0,
		"| 1 | 2 3 4 5 |");
	victims("package:1 node:1 l3:1 core:4 pu:1; l3:1 core:2 pu:1", "group-workers 2", 4,
		"| 5 | 0 1 2 3 |");
	victims("package:1 node:1 l3:2 core:1 pu:1; package:1 l3:2 core:1 pu:1", "", 2,
		"| | 3 0 1 |");
}
END_TEST

START_TEST(near_groups)
{
	struct placed on;
	static const uint16_t order[] = { 2, 3, 0, 1 };

	placed_on(&on, "package:2 node:1 l3:2 core:2 pu:1", "distances 10 21 21 10");
	ck_assert_uint_eq(on.plan->groups_len, 4);
	ck_assert_mem_eq(on.plan->groups[2].near, order, sizeof order);
	ck_assert_uint_eq(on.plan->groups[2].node, 1);
	placed_end(&on);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(sibling_group_node_remote),
		TESTING(neighbours_begin_at_different_victims),
		TESTING(siblings_begin_at_different_victims),
		TESTING(remote_nodes_by_distance),
		TESTING(without_distances_by_package_and_number),
		TESTING(what_is_shared_comes_first),
		TESTING(near_groups),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
