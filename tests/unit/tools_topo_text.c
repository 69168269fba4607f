/* SPDX-License-Identifier: MIT */
/* tools_topo_text.c: a topology and a plan as text, and how its lines wrap. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_topo_rig.h"
#include "tools/common/text.h"

#define HAS(text, part) \
	ck_assert_msg(strstr(text, part), "this is missing:\n%s\nin:\n%s", part, text)

/* Checks that no line is too wide, in columns and not bytes, or ends with a blank. */
static void check_lines(char *text)
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		size_t len = strlen(line);

		ck_assert_msg(len <= TEXT_WIDTH, "%zu columns: %s", len, line);
		ck_assert_msg(line[len - 1] != ' ', "a blank at the end: %s", line);
	}
}

START_TEST(a_small_machine_in_full)
{
	rig_topo((struct topo_rig){ 2, 1, 1, 2, 1 });
	rig_plan(NULL);
	ck_assert_str_eq(
		rig_printed(topo_print_text),
		"machine  2 packages, 2 nodes, 2 L3s, 4 cores, 4 CPUs, no SMT\n"
		"source   made by hand\n"
		"usable   4 of 4 CPUs: 0-3; no quota; isolated: none\n"
		"workers  4 in 2 groups; policy performance; bound to the CPUs of their group\n"
		"\n"
		"package 0, node 0  16.0 GiB\n"
		"  L3 0  32 MiB, 2 cores, 2 CPUs\n"
		"                      P#    L#  worker group  bound to\n"
		"    core 0             0     0       0     0  0-1\n"
		"    core 1             1     1       1     0  0-1\n"
		"\n"
		"package 1, node 1  16.0 GiB\n"
		"  L3 1  32 MiB, 2 cores, 2 CPUs\n"
		"                      P#    L#  worker group  bound to\n"
		"    core 2             2     2       2     1  2-3\n"
		"    core 3             3     3       3     1  2-3\n"
		"\n"
		"why\n"
		"  because it is so\n");
	rig_fini();
}
END_TEST

/* The second thread of a core is below the first. Both numbers are shown. */
START_TEST(threads_of_a_core)
{
	rig_topo((struct topo_rig){ 1, 1, 1, 2, 2 });
	rig_plan(NULL);
	HAS(rig_printed(topo_print_text),
	    "    core 0             0     0       0     0  -\n"
	    "                       2     1       1     0  -\n"
	    "    core 1             1     2       2     0  -\n"
	    "                       3     3       3     0  -\n");
	rig_fini();
}
END_TEST

START_TEST(cpus_without_a_worker_say_why)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	char *text;

	rig_topo((struct topo_rig){ 1, 1, 1, 4, 1 });
	topo.cpus[1].out = WEIR_CPU_OFFLINE;
	topo.cpus[2].out = WEIR_CPU_CPUSET;
	cfg.cpus = "0-2";
	rig_plan(&cfg);
	text = rig_printed(topo_print_text);
	HAS(text, "usable   2 of 4 CPUs: 0,3;");
	HAS(text, "    core 1             1     1       -     -  offline\n");
	HAS(text, "\nleft out\n  P# 1: offline\n  P# 2: outside the cgroup's cpuset\n  P# 3: not "
		  "among the CPUs that were named\n");
	rig_fini();
}
END_TEST

/* Offline CPUs have the last L# numbers, but are shown in their L3. */
START_TEST(an_l3_is_one_entry)
{
	struct weir_topo_cpu moved;
	char *text, *second;

	rig_topo((struct topo_rig){ 1, 1, 2, 2, 1 });
	moved = topo.cpus[1];
	memmove(&topo.cpus[1], &topo.cpus[2], 2 * sizeof(moved));
	topo.cpus[3] = moved;
	topo.cpus[3].out = WEIR_CPU_OFFLINE;
	rig_plan(NULL);
	text = rig_printed(topo_print_text);
	second = strstr(text, "  L3 1");
	ck_assert_ptr_nonnull(second);
	ck_assert_ptr_null(strstr(second + 1, "  L3 "));
	HAS(text, "    core 1             1     3       -     -  offline\n  L3 1");
	rig_fini();
}
END_TEST

START_TEST(a_large_machine_is_folded)
{
	char *text;

	rig_topo((struct topo_rig){ 2, 1, 8, 8, 2 });
	rig_plan(NULL);
	text = rig_printed(topo_print_text);
	HAS(text, "package 0, node 0  16.0 GiB\n"
		  "  L3 0-7  32 MiB each, 8 cores, 16 CPUs each\n"
		  "      P# 0-63,128-191\n"
		  "      workers 0-127 in groups 0-7, 16 each\n");
	HAS(text, "  L3 8-15  32 MiB each");
	HAS(text, "(--all lists every CPU)");
	ck_assert_ptr_null(strstr(text, "    core "));
	check_lines(text);
	view.all = true;
	text = rig_printed(topo_print_text);
	HAS(text, "    core 127         127   254     254    15  120-127,248-255\n");
	ck_assert_ptr_null(strstr(text, "--all"));
	check_lines(text);
	rig_fini();
}
END_TEST

/* An L3 that differs in anything is an entry of its own. */
START_TEST(what_differs_is_not_folded)
{
	char *text;

	rig_topo((struct topo_rig){ 1, 1, 8, 8, 1 });
	topo.l3s[3].bytes = 96 << 20;
	topo.cpus[47].out = WEIR_CPU_AFFINITY;
	rig_plan(NULL);
	text = rig_printed(topo_print_text);
	HAS(text, "  L3 0-2  32 MiB each, 8 cores, 8 CPUs each\n");
	HAS(text,
	    "  L3 3  96 MiB, 8 cores, 8 CPUs\n      P# 24-31\n      workers 24-31 in group 3\n");
	HAS(text, "  L3 4  32 MiB");
	HAS(text, "  L3 5  32 MiB, 8 cores, 8 CPUs\n");
	HAS(text, "      1 CPU left out: outside the affinity mask\n");
	HAS(text, "  L3 6-7  32 MiB each");
	check_lines(text);
	rig_fini();
}
END_TEST

/* The L3s have equally many workers, but differ in other things. */
START_TEST(other_reasons_and_numbers_are_not_folded)
{
	char *text;

	rig_topo((struct topo_rig){ 1, 1, 8, 8, 1 });
	topo.cpus[7].out = WEIR_CPU_AFFINITY;
	topo.cpus[15].out = WEIR_CPU_CPUSET;
	for (unsigned i = 48; i < 64; i++) {
		topo.cpus[i].l3 = i < 56 ? 7 : 6;
		topo.cpus[i].out = WEIR_CPU_AFFINITY;
	}
	rig_plan(NULL);
	text = rig_printed(topo_print_text);
	HAS(text, "  L3 0  32 MiB, 8 cores, 8 CPUs\n");
	HAS(text, "  L3 1  32 MiB, 8 cores, 8 CPUs\n");
	HAS(text, "  L3 2-5  32 MiB each");
	HAS(text, "  L3 7  32 MiB");
	HAS(text, "  L3 6  32 MiB");
	rig_fini();
}
END_TEST

START_TEST(kinds_of_core_have_their_speed)
{
	rig_topo((struct topo_rig){ 1, 1, 1, 4, 1 });
	topo.kinds = 2;
	for (unsigned i = 0; i < 2; i++)
		topo.cpus[i].kind = 1;
	topo.cpus[2].capacity = topo.cpus[3].capacity = 512;
	topo.cpus[2].cluster = topo.cpus[3].cluster = 1;
	topo.clusters = 2;
	rig_plan(NULL);
	HAS(rig_printed(topo_print_text), "4 cores of 2 kinds");
	HAS(rig_printed(topo_print_text), "       1     0   100 %  0-1\n");
	HAS(rig_printed(topo_print_text), "       -     -    50 %  slower than the rest\n");
	rig_fini();
}
END_TEST

START_TEST(a_quota_is_told)
{
	rig_topo((struct topo_rig){ 1, 1, 1, 4, 1 });
	topo.quota_milli = 500;
	strcpy(topo.quota_file, "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us");
	rig_plan(NULL);
	HAS(rig_printed(topo_print_text), "quota 0.5 CPUs\n"
					  "         (/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us);");
	HAS(rig_printed(topo_print_text), "workers  1 in 1 group;");
	check_lines(rig_printed(topo_print_text));
	rig_fini();
}
END_TEST

/* Shown down to a thousandth of a CPU. The smallest quota that the kernel allows is a hundredth. */
START_TEST(a_small_quota_is_not_none)
{
	rig_topo((struct topo_rig){ 1, 1, 1, 4, 1 });
	topo.quota_milli = 1;
	strcpy(topo.quota_file, "--quota");
	rig_plan(NULL);
	HAS(rig_printed(topo_print_text), "; quota 0.001 CPUs (--quota); isolated");
	rig_fini();
}
END_TEST

/* Workers that are not bound to single CPUs are still kept off CPUs that were left out. */
START_TEST(what_binds_is_said_where_it_does)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;

	rig_topo((struct topo_rig){ 1, 1, 1, 4, 1 });
	cfg.bind = WEIR_BIND_NONE;
	cfg.cpus = "0-2";
	rig_plan(&cfg);
	HAS(rig_printed(topo_print_text), "; bound to the CPUs in use\n");
	rig_fini();
	rig_topo((struct topo_rig){ 1, 1, 1, 1, 1 });
	cfg.bind = WEIR_BIND_CPU;
	cfg.cpus = NULL;
	rig_plan(&cfg);
	HAS(rig_printed(topo_print_text), "; not bound\n");
	rig_fini();
}
END_TEST

START_TEST(several_workers_on_a_cpu_are_counted)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;

	rig_topo((struct topo_rig){ 1, 1, 2, 1, 1 });
	cfg.workers = 7;
	rig_plan(&cfg);
	HAS(rig_printed(topo_print_text),
	    "    core 0             0     0       0     0  0 (and 3 more)\n");
	rig_fini();
}
END_TEST

static void print_svg(const struct topo_view *shown, FILE *out)
{
	ck_assert_int_eq(topo_print_svg(shown, out), 0);
}

START_TEST(a_picture_says_what_its_cells_are)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;

	rig_topo((struct topo_rig){ 2, 1, 8, 8, 1 });
	cfg.workers = 44;
	rig_plan(&cfg);
	ck_assert_ptr_nonnull(strstr(rig_printed(print_svg), "no worker is counted on it: P# "));
	ck_assert_ptr_nonnull(strstr(rig_printed(print_svg), "not needed for so few workers: P# "));
	rig_fini();
	/* An entry that fits is not cut. */
	rig_topo((struct topo_rig){ 2, 1, 8, 8, 2 });
	rig_plan(NULL);
	ck_assert_ptr_nonnull(strstr(rig_printed(print_svg),
				     ">group 15: workers 240-255, node 1, P# 120-127,248-255<"));
	rig_fini();
}
END_TEST

START_TEST(what_if_shows_the_difference)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	struct weir_plan *now;

	rig_topo((struct topo_rig){ 1, 1, 2, 2, 1 });
	rig_plan(NULL);
	now = plan;
	topo_view_fini(&view);
	cfg.cpus = "1-3";
	rig_plan(&cfg);
	view.now = now;
	HAS(rig_printed(topo_print_text), "then     3 in 2 groups;");
	HAS(rig_printed(topo_print_text), "now      4 in 2 groups;");
	HAS(rig_printed(topo_print_text), "CPUs that get a worker: none; that lose it: 0\n");
	weir_plan_free(now);
	rig_fini();
}
END_TEST

START_TEST(cards_and_their_interrupts)
{
	struct nic_irq irqs[2] = {
		{ .interrupt = { .number = 40, .name = "eth0-TxRx-0" }, .use = NIC_IRQ_BOTH },
		{ .interrupt = { .number = 41, .name = "eth0" }, .use = NIC_IRQ_OTHER },
	};
	struct nic nic = { .name = "eth0",
			   .driver = "ixgbe",
			   .node = 1,
			   .rx = 1,
			   .tx = 1,
			   .irqs = irqs,
			   .irqs_len = 2 };
	struct topo_host host = { .name = "box", .nics = { &nic, 1 } };

	rig_topo((struct topo_rig){ 2, 1, 1, 2, 1 });
	rig_plan(NULL);
	for (unsigned i = 0; i < 4; i++)
		weir_cpuset_add(&irqs[0].allowed, i);
	weir_cpuset_add(&irqs[0].effective, 2);
	weir_cpuset_add(&irqs[1].allowed, 0);
	view.host = &host;
	HAS(rig_printed(topo_print_text), "machine  box: 2 packages");
	HAS(rig_printed(topo_print_text),
	    "\nnic      eth0: ixgbe, 1 rx and 1 tx queue, node 1, RPS off");
	HAS(rig_printed(topo_print_text),
	    "  rx+tx 0      40  eth0-TxRx-0          0-3              2        1\n");
	HAS(rig_printed(topo_print_text),
	    "  -            41  eth0                 0                ?        0\n");
	/* No worker is on that CPU. */
	irqs[0].effective = (struct weir_cpuset){ { 0 } };
	weir_cpuset_add(&irqs[0].effective, 9);
	HAS(rig_printed(topo_print_text),
	    "  rx+tx 0      40  eth0-TxRx-0          0-3              9        -\n");
	rig_fini();
}
END_TEST

/* ---- lines ---- */

static const char *wrapped(unsigned column, const char *text)
{
	static char out[4096];
	FILE *f = fmemopen(out, sizeof(out), "w");

	unsetenv("COLUMNS");
	ck_assert_ptr_nonnull(f);
	text_rest(f, column, text);
	fclose(f);
	return out;
}

START_TEST(lines_wrap)
{
	const char *pad =
		"                                                                      "; /* 70 */
	char expected[512];

	snprintf(expected, sizeof(expected), "one two\n%sthree\n", pad);
	ck_assert_str_eq(wrapped(70, "one two three"), expected);
	ck_assert_str_eq(wrapped(70, "0123456789"), "0123456789\n");
	ck_assert_str_eq(wrapped(70, ""), "\n");
	/* A word that is too long for a line is cut after a comma, if it has one. */
	snprintf(expected, sizeof(expected), "11,22,33,\n%s44,55\n", pad);
	ck_assert_str_eq(wrapped(70, "11,22,33,44,55"), expected);
	ck_assert_str_eq(wrapped(70, "01234567890123"), "01234567890123\n");
	/* It is not cut after a comma that would fit only on an empty line. */
	snprintf(expected, sizeof(expected), "012345678\n%s111,222,\n%s333\n", pad, pad);
	ck_assert_str_eq(wrapped(70, "012345678 111,222,333"), expected);
	/* A character of several bytes takes one column. */
	snprintf(expected, sizeof(expected), "→→→→→→→→→→\n%sx\n", pad);
	ck_assert_str_eq(wrapped(70, "→→→→→→→→→→ x"), expected);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_small_machine_in_full),
		TESTING(threads_of_a_core),
		TESTING(cpus_without_a_worker_say_why),
		TESTING(an_l3_is_one_entry),
		TESTING(a_large_machine_is_folded),
		TESTING(what_differs_is_not_folded),
		TESTING(other_reasons_and_numbers_are_not_folded),
		TESTING(kinds_of_core_have_their_speed),
		TESTING(a_quota_is_told),
		TESTING(a_small_quota_is_not_none),
		TESTING(what_binds_is_said_where_it_does),
		TESTING(several_workers_on_a_cpu_are_counted),
		TESTING(a_picture_says_what_its_cells_are),
		TESTING(what_if_shows_the_difference),
		TESTING(cards_and_their_interrupts),
		TESTING(lines_wrap),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
