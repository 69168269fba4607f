/* SPDX-License-Identifier: MIT */
/* topo_place_set.c: sets of CPUs by name: what they mean, and the errors for bad ones. */
#include "tests/unit/placed.h"

/* P# 0-7 are first threads, 8-15 second ones. Each L3, package and node has four cores. */
#define TWO_PACKAGES "package:2 node:1 l3:1 cluster:2 core:2 pu:2"

static void names(const char *cpus, const char *used)
{
	struct placed on;
	char settings[128];

	snprintf(settings, sizeof settings, "cpus %s", cpus);
	placed_on(&on, TWO_PACKAGES, settings);
	left_out(&on, WEIR_CPU_USABLE, used);
	placed_end(&on);
}

START_TEST(entries_of_every_kind)
{
	names("0-3,8", "0-3,8");
	names("5", "5");
	names("drop-smt", "0-7");
	names("only-thread 0", "0-7");
	names("only-thread 1", "8-15");
	names("drop-thread 1-7", "0-7");
	names("only-node 1", "4-7,12-15");
	names("drop-package 1", "0-3,8-11");
	names("only-l3 0", "0-3,8-11");
	names("only-cluster 0,3", "0-1,6-9,14-15");
	names("drop-core 0-5", "6-7,14-15");
	names("only-cpu 1-2", "1-2");
	names("drop-cpu 0-14", "15");
}
END_TEST

START_TEST(each_entry_leaves_fewer)
{
	names("drop-smt,only-node 0", "0-3");
	names("only-node 0,1,drop-smt", "0-7");
	names("0-3,8,drop-cpu 1,2", "0,3,8");
	names("only-package 0,drop-core 0-1,only-thread 1", "10-11");
}
END_TEST

/* A number after a comma continues the list before it, if there is one. */
START_TEST(a_list_goes_on_behind_a_comma)
{
	names("only-core 0,1", "0-1,8-9");
	names("drop-smt,0-3,8", "0-3");
	names("0,1,2-3,drop-thread 1", "0-3");
	names("only-node 0,1", "0-15");
}
END_TEST

START_TEST(blanks_do_not_count)
{
	names("  drop-smt ,\tonly-node   1 ", "4-7");
	names("0 , 2 ,4", "0,2,4");
	names("only-core 0 , 1", "0-1,8-9");
}
END_TEST

static void is_no_entry(const char *cpus, const char *entry)
{
	char settings[160], words[160];

	snprintf(settings, sizeof settings, "cpus %s", cpus);
	snprintf(words, sizeof words, "cpus '%s': expected a list of CPUs", entry);
	refused(TWO_PACKAGES, settings, words);
}

START_TEST(what_is_no_entry_is_named)
{
	is_no_entry("only-socket 0", "only-socket 0");
	is_no_entry("drop-smt,keep-node 0", "keep-node 0");
	is_no_entry("only-nodes 0", "only-nodes 0");
	is_no_entry("drop-smt 0", "drop-smt 0");
	is_no_entry("drop-smtx", "drop-smtx");
	is_no_entry("smt", "smt");
	is_no_entry("0-3,,drop-smt", "");
	is_no_entry("drop-smt,", "");
	is_no_entry("", "");
	is_no_entry(",drop-smt", "");
}
END_TEST

START_TEST(what_is_no_list_is_named_with_what_there_is)
{
	static const char there[] = "; expected a list such as \"0-3,8\", and the machine has ";
	static const struct {
		const char *cpus, *what, *there;
	} cases[] = {
		{ "0-99999", "'99999' is too large", "0-15" },
		{ "drop-smt,3-1", "'3-1' ends before it begins", "0-15" },
		{ "0 1", "' 1' is not a comma", "0-15" },
		{ "0x1", "'x1' is not a comma", "0-15" },
		{ "only-node", "'' is not a number", "0-1" },
		{ "only-node x", "'x' is not a number", "0-1" },
		{ "only-node 0-", "'' is not a number", "0-1" },
	};
	char settings[160], words[160];

	for (unsigned i = 0; i < TESTING_COUNT(cases); i++) {
		snprintf(settings, sizeof settings, "cpus %s", cases[i].cpus);
		snprintf(words, sizeof words, "%s%s%s", cases[i].what, there, cases[i].there);
		refused(TWO_PACKAGES, settings, words);
	}
}
END_TEST

START_TEST(what_is_not_there_is_named)
{
	refused(TWO_PACKAGES, "cpus 0,16", "there is no CPU 16; the machine has 0-15");
	refused(TWO_PACKAGES, "cpus only-node 0,2",
		"'only-node 0,2': there is no node 2; the machine has 0-1");
	refused(TWO_PACKAGES, "cpus drop-smt,drop-cluster 4-5",
		"'drop-cluster 4-5': there is no cluster 4");
	refused(TWO_PACKAGES, "cpus only-l3 2", "there is no l3 2");
}
END_TEST

START_TEST(nodes_go_by_the_kernel_s_numbers)
{
	struct placed on;

	placed_on(&on, TWO_PACKAGES, "os-nodes 0 8; cpus only-node 8");
	left_out(&on, WEIR_CPU_USABLE, "4-7,12-15");
	placed_end(&on);
	refused(TWO_PACKAGES, "os-nodes 0 8; cpus only-node 1", "the machine has 0,8");
}
END_TEST

START_TEST(the_entry_that_leaves_nothing_is_named)
{
	refused(TWO_PACKAGES, "cpus 0-3,only-node 1",
		"'only-node 1' leaves none of the remaining CPUs: 0-3");
	refused(TWO_PACKAGES, "cpus only-node 0,drop-l3 0,drop-smt", "'drop-l3 0' leaves none");
	refused(TWO_PACKAGES, "offline 4-7; cpus 4-5",
		"'4-5' leaves none of the remaining CPUs: 0-3,8-15");
}
END_TEST

START_TEST(cpus_that_were_out_stay_out)
{
	struct placed on;

	placed_on(&on, TWO_PACKAGES, "affinity 0-3; cpus 0-7");
	left_out(&on, WEIR_CPU_USABLE, "0-3");
	left_out(&on, WEIR_CPU_AFFINITY, "4-15");
	left_out(&on, WEIR_CPU_UNNAMED, "");
	placed_end(&on);
}
END_TEST

START_TEST(isolated_cpus_come_back_when_they_are_named)
{
	struct placed on;

	placed_on(&on, TWO_PACKAGES, "isolated 2-3");
	left_out(&on, WEIR_CPU_ISOLATED, "2-3");
	ck_assert(says(&on, "2 isolated CPUs are left out"));
	placed_end(&on);
	placed_on(&on, TWO_PACKAGES, "isolated 2-3; cpus 1-2");
	left_out(&on, WEIR_CPU_USABLE, "1-2");
	left_out(&on, WEIR_CPU_ISOLATED, "3");
	placed_end(&on);
	placed_on(&on, TWO_PACKAGES, "isolated 2-3; cpus drop-smt,only-cpu 2-7");
	left_out(&on, WEIR_CPU_USABLE, "2-7");
	placed_end(&on);
}
END_TEST

START_TEST(isolated_cpus_are_not_named_by_what_they_are_in)
{
	struct placed on;

	placed_on(&on, TWO_PACKAGES, "isolated 0,2; cpus only-node 0,drop-cpu 2");
	left_out(&on, WEIR_CPU_USABLE, "1,3,8-11");
	left_out(&on, WEIR_CPU_ISOLATED, "0,2");
	placed_end(&on);
}
END_TEST

/* A long list that names every CPU. */
START_TEST(a_long_list)
{
	static const char machine[] = "package:4 node:2 l3:4 core:16 pu:2";
	struct weir_topo *topo = machine_new(machine);
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	struct weir_plan *plan;
	char *list = malloc(8192);
	size_t len = 0;
	unsigned i;

	for (i = 0; i < 1024; i += 2)
		len += (size_t)sprintf(list + len, "%s%u", i ? "," : "", i);
	cfg.cpus = list;
	ck_assert_int_eq(weir_plan_new(topo, &cfg, &plan, NULL), 0);
	for (i = 0; i < 1024; i++)
		ck_assert((plan->out[i] == WEIR_CPU_UNNAMED) == (topo->cpus[i].os % 2 == 1));
	weir_plan_free(plan);
	free(list);
	weir_topo_free(topo);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(entries_of_every_kind),
		TESTING(each_entry_leaves_fewer),
		TESTING(a_list_goes_on_behind_a_comma),
		TESTING(blanks_do_not_count),
		TESTING(what_is_no_entry_is_named),
		TESTING(what_is_no_list_is_named_with_what_there_is),
		TESTING(what_is_not_there_is_named),
		TESTING(nodes_go_by_the_kernel_s_numbers),
		TESTING(the_entry_that_leaves_nothing_is_named),
		TESTING(cpus_that_were_out_stay_out),
		TESTING(isolated_cpus_come_back_when_they_are_named),
		TESTING(isolated_cpus_are_not_named_by_what_they_are_in),
		TESTING(a_long_list),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
