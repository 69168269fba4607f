/* SPDX-License-Identifier: MIT */
/* tools_topo_pid.c: the lines of /proc about a process, and what `weir topo` makes of them. */
#include <sched.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_topo_rig.h"
#include "tools/topo/pid.h"

#define REST " S 1 1 1 0 -1 0 0 0 0 0 30 12 0 0 20 0 1 0 9 9 9 9 0 0 0 0 0 0 0 0 0 0 0 0 17 5 0 2 0 0"

START_TEST(a_line_of_stat)
{
	struct topo_thread thread;

	ck_assert(topo_parse_stat("4675 (proxy-w3)" REST "\n", &thread));
	ck_assert_str_eq(thread.name, "proxy-w3");
	ck_assert_int_eq(thread.cpu, 5);
	ck_assert_uint_eq(thread.policy, 2);
	ck_assert_uint_eq(thread.ticks, 42);
	/* A thread's name may contain the parenthesis that ends it. */
	ck_assert(topo_parse_stat("1 (a) R (b c)" REST, &thread));
	ck_assert_str_eq(thread.name, "a) R (b c");
	ck_assert_int_eq(thread.cpu, 5);
}
END_TEST

START_TEST(lines_that_are_none)
{
	static const char *const lines[] = {
		"", "\n", "1", "1 (", "1 )(", "1 ()", "1 (x) S 1 2 3", "(((((", ")))))"
	};
	struct topo_thread thread;

	for (unsigned i = 0; i < TESTING_COUNT(lines); i++)
		ck_assert_msg(!topo_parse_stat(lines[i], &thread), "%s", lines[i]);
}
END_TEST

START_TEST(names_of_workers)
{
	static const struct {
		const char *thread, *runtime;
		int worker;
	} cases[] = {
		{ "proxy-w0", "proxy", 0 }, { "a-b-w255", "a-b", 255 },
		{ "proxy-w", "", -1 },	    { "proxy-w256", "", -1 },
		{ "proxy-w1x", "", -1 },    { "-w1", "", -1 },
		{ "proxy-b1", "", -1 },	    { "", "", -1 },
		{ "w1", "", -1 },	    { "proxy-w-1", "", -1 },
	};
	char runtime[16];

	for (unsigned i = 0; i < TESTING_COUNT(cases); i++) {
		runtime[0] = '\0';
		ck_assert_msg(topo_parse_worker(cases[i].thread, runtime, sizeof(runtime)) ==
				      cases[i].worker,
			      "%s", cases[i].thread);
		ck_assert_str_eq(runtime, cases[i].runtime);
	}
}
END_TEST

START_TEST(lines_of_numa_maps)
{
	struct topo_node_memory memory[3] = { { 0, 0 } };	/* the last must stay unused */

	topo_add_numa_line("55d0 default file=/bin/cat mapped=5 N0=2 N1=3 kernelpagesize_kB=4\n",
			   memory, 2);
	topo_add_numa_line("7f00 bind:1 anon=1 dirty=1 N1=1 kernelpagesize_kB=2048\n", memory, 2);
	ck_assert_uint_eq(memory[0].bytes, 2 * 4096);
	ck_assert_uint_eq(memory[0].file_bytes, 2 * 4096);
	ck_assert_uint_eq(memory[1].bytes, 3 * 4096 + (2 << 20));
	ck_assert_uint_eq(memory[1].file_bytes, 3 * 4096);
	/* Nodes that do not exist, absurd numbers of pages, and lines without sense. */
	topo_add_numa_line("1 default N2=5 N99999999999999999999=1", memory, 2);
	topo_add_numa_line("1 default N0=99999999999999999999 kernelpagesize_kB=4", memory, 2);
	topo_add_numa_line("1 default N0=5 kernelpagesize_kB=0", memory, 2);
	topo_add_numa_line("1 default N=5 Nx=1 N0 N1= N", memory, 2);
	topo_add_numa_line("", memory, 2);
	ck_assert_uint_eq(memory[0].bytes, 2 * 4096);
	ck_assert_uint_eq(memory[1].bytes, 3 * 4096 + (2 << 20));
	ck_assert_uint_eq(memory[2].bytes, 0);
}
END_TEST

START_TEST(workers_against_a_plan)
{
	struct topo_thread threads[2] = { { .worker = -1, .cpu = 0 }, { .worker = 2, .cpu = 2 } };
	struct topo_process process = { .threads = threads, .threads_len = 2 };
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;

	rig_topo((struct topo_rig){ 2, 1, 1, 2, 1 });
	cfg.bind = WEIR_BIND_CPU;
	rig_plan(&cfg);
	ck_assert_int_eq(topo_thread_verdict(&process, &threads[0], plan), TOPO_NOT_PLANNED);
	for (unsigned i = 0; i < 4; i++)
		weir_cpuset_add(&threads[0].allowed, i);
	threads[1].allowed = threads[0].allowed;
	ck_assert_int_eq(topo_thread_verdict(&process, &threads[1], plan), TOPO_OTHER_BINDING);
	memset(&threads[1].allowed, 0, sizeof(threads[1].allowed));
	weir_cpuset_add(&threads[1].allowed, 2);
	ck_assert_int_eq(topo_thread_verdict(&process, &threads[1], plan), TOPO_AS_PLANNED);
	threads[1].cpu = 1;
	ck_assert_int_eq(topo_thread_verdict(&process, &threads[1], plan), TOPO_ELSEWHERE);
	threads[1].worker = 4;
	ck_assert_int_eq(topo_thread_verdict(&process, &threads[1], plan), TOPO_NOT_PLANNED);
	rig_fini();
	/* A worker that is not bound has the mask of the first thread. */
	cfg.bind = WEIR_BIND_NONE;
	rig_plan(&cfg);
	threads[1].worker = 2;
	ck_assert_int_eq(topo_thread_verdict(&process, &threads[1], plan), TOPO_OTHER_BINDING);
	threads[1].allowed = threads[0].allowed;
	ck_assert_int_eq(topo_thread_verdict(&process, &threads[1], plan), TOPO_AS_PLANNED);
	rig_fini();
}
END_TEST

START_TEST(a_process_that_there_is_not)
{
	struct topo_process process;

	ck_assert_int_eq(topo_process_read("", INT32_MAX, &process), -ESRCH);
	ck_assert_int_eq(topo_process_read("/nowhere", 1, &process), -ESRCH);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_line_of_stat),
		TESTING(lines_that_are_none),
		TESTING(names_of_workers),
		TESTING(lines_of_numa_maps),
		TESTING(workers_against_a_plan),
		TESTING(a_process_that_there_is_not),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
