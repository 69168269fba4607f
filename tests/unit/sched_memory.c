/* SPDX-License-Identifier: MIT */
/*
 * sched_memory.c: which memory of a worker is placed on its node, and when none is. The topology is
 * this machine's with a second node that is also the kernel's node 0, so the system calls are real
 * and every page is on the right node. tests/numa checks placement on machines with several nodes.
 */
#include <stdlib.h>
#include <string.h>

#include "core/node.h"
#include "sched/worker.h"
#include "tests/support/pages.h"
#include "tests/unit/runtimes.h"
#include "weir/topo.h"

#define WORKERS 2u

static struct weir_topo *topo;
static struct weir_place_config place;
static struct weir_rt_config cfg;

static void setup(void)
{
	ck_assert_int_eq(weir_topo_new(NULL, &topo, NULL), 0);
	free(topo->nodes);
	free(topo->distances);
	topo->nodes = calloc(2, sizeof *topo->nodes);
	topo->nodes_len = 2;
	topo->distances = NULL;
	for (unsigned i = 0; i < topo->cpus_len; i++)
		topo->cpus[i].node = i % 2;
	place = (struct weir_place_config)WEIR_PLACE_CONFIG_INIT;
	place.workers = WORKERS;
	place.bind = WEIR_BIND_CPU;
	cfg = (struct weir_rt_config)WEIR_RT_CONFIG_INIT;
	cfg.topo = topo;
	cfg.place = &place;
}

static void teardown(void)
{
	weir_topo_free(topo);
}

static bool cannot_place(void)
{
	int rc = weir__node_check(0);

	if (rc < 0)
		testing_skip("cannot place memory on nodes here: %s", weir_strerror(rc));
	return rc < 0;
}

/* Returns how many notes are about memory, and stores the last of them. */
static unsigned notes_of(const struct weir_rt *rt, const char **ret_last)
{
	const char *note;
	unsigned i, n = 0;

	for (i = 0; (note = weir_rt_note(rt, i)) != NULL; i++)
		if (strstr(note, "memory is not placed")) {
			*ret_last = note;
			n++;
		}
	return n;
}

static unsigned notes(const struct weir_rt *rt)
{
	const char *last;

	return notes_of(rt, &last);
}

static void check_not_placed(struct weir_rt *rt)
{
	for (unsigned i = 0; i < weir_rt_workers(rt); i++)
		ck_assert_int_eq(runtime_of(rt)->node[i], -1);
}

/* ---- what is placed ---- */

static char *stack_of[WORKERS];
static struct weir_task *task_of[WORKERS];
static unsigned arrived;

static int end_at_once(void *arg UNUSED)
{
	return 0;
}

/*
 * A fiber records the addresses of its stack and of a task of its worker, and waits for all others.
 */
static int note_memory(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;

	ck_assert_int_eq(weir_rt_worker_index(), (int)me);
	stack_of[me] = __builtin_frame_address(0);	/* under ASan locals are not on the stack */
	ck_assert_int_eq(weir_spawn(end_at_once, NULL, &task_of[me]), 0);
	add(&arrived, 1);
	YIELD_UNTIL(get(&arrived) == WORKERS);
	return weir_task_join(task_of[me], NULL);
}

static int on_each_worker(void *arg UNUSED)
{
	struct weir_task_config task = WEIR_TASK_CONFIG_INIT;
	struct weir_task *tasks[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++) {
		task.fn = note_memory;
		task.arg = (void *)(uintptr_t)i;
		task.flags = WEIR_TASK_PINNED;
		task.worker = (int)i + 1;
		ck_assert_int_eq(weir_task_spawn(weir_rt_current(), &task, &tasks[i]), 0);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		ck_assert_int_eq(weir_task_join(tasks[i], NULL), 0);
	return 0;
}

static const char *const backends[] = { "epoll", "io_uring" };

START_TEST(a_workers_own_memory_is_placed)
{
	struct weir_rt *rt;

	if (cannot_place())
		return;
	cfg.backend = backends[_i];
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_block_on(rt, on_each_worker, NULL), 0);
	ck_assert_uint_eq(notes(rt), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct weir__worker *w = rt->worker[i];

		ck_assert_int_eq(runtime_of(rt)->node[i], 0);
		ck_assert_str_eq(testing_policy_of(w), "prefer:0");
		ck_assert_str_eq(testing_policy_of(w->driver.io), "prefer:0");
		ck_assert_str_eq(testing_policy_of(stack_of[i]), "prefer:0");
		ck_assert_str_eq(testing_policy_of(task_of[i]), "prefer:0");
	}
	runtime_end(rt);
}
END_TEST

static int has_policy(void *arg UNUSED)
{
	return weir__os_node_has_policy();
}

/* Neither the thread that makes a runtime nor the workers keep a memory policy. */
START_TEST(no_thread_keeps_a_policy)
{
	struct weir_rt *rt;

	if (cannot_place())
		return;
	rt = runtime_new(&cfg);
	ck_assert(!weir__os_node_has_policy());
	ck_assert_int_eq(weir_rt_block_on(rt, has_policy, NULL), 0);
	runtime_end(rt);
}
END_TEST

/* ---- when no memory is placed ---- */

static void make_unbound(void)
{
	place.bind = WEIR_BIND_NONE;
}

static void make_elsewhere(void)
{
	topo->here = false;
}

static void make_one_node(void)
{
	for (unsigned i = 0; i < topo->cpus_len; i++)
		topo->cpus[i].node = 0;
	topo->nodes_len = 1;
}

static void make_current(void)
{
	cfg.sched = WEIR_SCHED_CURRENT;
	place.workers = 1;
}

static void (*const unplaced[])(void) = { make_unbound, make_elsewhere, make_one_node,
					  make_current };

/* Without nodes no placing system call is made: each would end the process. */
START_TEST(without_a_node_no_system_call_is_made)
{
	struct weir_rt *rt;

	unplaced[_i]();
	if (testing_deny_placing(0) < 0) {
		testing_skip("no seccomp filters here");
		return;
	}
	cfg.backend = "epoll";
	rt = runtime_new(&cfg);
	check_not_placed(rt);
	ck_assert_uint_eq(notes(rt), 0);
	if (cfg.sched == WEIR_SCHED_MULTI)
		ck_assert_int_eq(weir_rt_block_on(rt, on_each_worker, NULL), 0);
	runtime_end(rt);
}
END_TEST

static const int refusals[] = { EPERM, ENOSYS };

START_TEST(a_refusal_is_noted_once)
{
	const char *note = "";
	struct weir_rt *rt;

	if (testing_deny_placing(refusals[_i]) < 0) {
		testing_skip("no seccomp filters here");
		return;
	}
	rt = runtime_new(&cfg);
	check_not_placed(rt);
	ck_assert_uint_eq(notes_of(rt, &note), 1);
	ck_assert_ptr_nonnull(strstr(note, strerror(refusals[_i])));
	ck_assert_int_eq(weir_rt_block_on(rt, on_each_worker, NULL), 0);
	runtime_end(rt);
}
END_TEST

START_TEST(a_node_without_memory_for_us_is_noted_and_the_rest_placed)
{
	struct weir_rt *rt;

	if (cannot_place())
		return;
	topo->nodes[0].os = 1023;
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(notes(rt), 1);
	for (unsigned i = 0; i < WORKERS; i++) {
		unsigned node = weir_rt_plan(rt)->workers[i].node;

		ck_assert_int_eq(runtime_of(rt)->node[i], node == 0 ? -1 : 0);
	}
	ck_assert_int_eq(weir_rt_block_on(rt, on_each_worker, NULL), 0);
	runtime_end(rt);
}
END_TEST

START_TEST(a_policy_of_the_process_is_left_alone)
{
	struct weir_rt *rt;

	if (cannot_place())
		return;
	ck_assert_int_eq(weir__os_node_prefer(0), 0);
	rt = runtime_new(&cfg);
	ck_assert(weir__os_node_has_policy());
	check_not_placed(rt);
	ck_assert_uint_eq(notes(rt), 1);
	runtime_end(rt);
}
END_TEST

#define CASE(name, ...) TESTING(name, .setup = setup, .teardown = teardown, __VA_ARGS__)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(a_workers_own_memory_is_placed, .rounds = 2, .needs = "2cpus iouring"),
		CASE(no_thread_keeps_a_policy, .needs = "2cpus"),
		CASE(without_a_node_no_system_call_is_made, .rounds = 4),
		CASE(a_refusal_is_noted_once, .rounds = 2),
		CASE(a_node_without_memory_for_us_is_noted_and_the_rest_placed, .needs = "2cpus"),
		CASE(a_policy_of_the_process_is_left_alone),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
