/* SPDX-License-Identifier: MIT */
/*
 * sched_in_place.c: a thread is bound to a worker's CPUs only while it is that worker. A fiber that
 * has blocked in place continues in its domain. Metrics and stalls see its task on the right
 * thread.
 */
#include "topo/cpus.h"
#include "sched/worker.h"
#include "tests/unit/machines.h"
#include "tests/unit/runtimes.h"

enum {
	TASKS = 4,
	ROUNDS = 20
};

static struct weir_cpuset unbound;	/* the affinity mask of the process */

static bool thread_has(const struct weir_cpuset *cpus)
{
	struct weir_cpuset mine;

	ck_assert_int_eq(weir__cpus_mask(&mine), 0);
	return memcmp(&mine, cpus, sizeof mine) == 0;
}

static bool thread_is_bound_as_worker(void)
{
	const struct weir_plan *plan = weir_rt_plan(weir_rt_current());

	return thread_has(&plan->workers[weir_rt_worker_index()].cpus);
}

static int is_unbound(void *arg UNUSED)
{
	return thread_has(&unbound);
}

static int in_and_out(void *arg UNUSED)
{
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert(thread_is_bound_as_worker());
		ck_assert_int_eq(weir_block_in_place(is_unbound, NULL), 1);
		ck_assert(thread_is_bound_as_worker());
		ck_assert_int_eq(weir_blocking_run(is_unbound, NULL), 1);
	}
	return 0;
}

/* A job that waits for as many others as the pool has threads, so that each thread runs one. */
static int meet(void *arg)
{
	unsigned *arrived = arg;

	add(arrived, 1);
	while (get(arrived) < 2 * TASKS)
		sched_yield();
	return thread_has(&unbound);
}

static int meet_in_pool(void *arg)
{
	return weir_blocking_run(meet, arg);
}

static int bound_root(void *arg UNUSED)
{
	struct weir_task *task[2 * TASKS];
	unsigned i, arrived = 0;
	int result;

	for (i = 0; i < TASKS; i++)
		ck_assert_int_eq(weir_spawn(in_and_out, NULL, &task[i]), 0);
	for (i = 0; i < TASKS; i++)
		ck_assert_int_eq(weir_task_join(task[i], NULL), 0);
	for (i = 0; i < 2 * TASKS; i++)
		ck_assert_int_eq(weir_spawn(meet_in_pool, &arrived, &task[i]), 0);
	for (i = 0; i < 2 * TASKS; i++) {
		ck_assert_int_eq(weir_task_join(task[i], &result), 0);
		ck_assert_int_eq(result, 1);
	}
	return 0;
}

START_TEST(a_thread_is_bound_as_long_as_it_is_a_worker)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	ck_assert_int_eq(weir__cpus_mask(&unbound), 0);
	place.bind = WEIR_BIND_CPU;
	place.workers = 2;
	cfg.place = &place;
	cfg.backend = "epoll";		/* io_uring's rings cannot move to another thread */
	runtime_run(&cfg, bound_root, NULL);
	ck_assert(thread_has(&unbound));
}
END_TEST

static int nothing_is_bound(void *arg UNUSED)
{
	ck_assert(thread_has(&unbound));
	ck_assert_int_eq(weir_blocking_run(is_unbound, NULL), 1);
	return 0;
}

START_TEST(the_current_thread_is_never_bound)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);

	ck_assert_int_eq(weir__cpus_mask(&unbound), 0);
	place.bind = WEIR_BIND_CPU;
	cfg.place = &place;
	runtime_run(&cfg, nothing_is_bound, NULL);
}
END_TEST

/* ---- domains ---- */

static int group_now(void)
{
	return weir_rt_plan(weir_rt_current())->workers[weir_rt_worker_index()].group;
}

static int note_group(void *arg)
{
	set(arg, 1 + (unsigned)group_now());
	return 0;
}

struct errand {
	unsigned child_group;
};

/* Runs on a thread that is not a worker any more. */
static int spawn_child(void *arg)
{
	struct errand *e = arg;

	ck_assert_int_eq(weir_rt_worker_index(), -1);
	ck_assert_int_eq(weir_rt_spawn(weir_rt_current(), note_group, &e->child_group, NULL), 0);
	while (!get(&e->child_group))
		sched_yield();
	return 0;
}

static int stay_in_group(void *arg UNUSED)
{
	int group = group_now();

	for (int i = 0; i < ROUNDS; i++) {
		struct errand e = { 0 };

		ck_assert_int_eq(weir_block_in_place(spawn_child, &e), 0);
		ck_assert_int_eq((int)e.child_group, 1 + group);
		ck_assert_int_eq(group_now(), group);
	}
	return 0;
}

static int scatter(void *arg UNUSED)
{
	struct weir_task *task[TASKS];
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	unsigned i;

	for (i = 0; i < TASKS; i++) {
		cfg.fn = stay_in_group;
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task[i]), 0);
	}
	for (i = 0; i < TASKS; i++)
		ck_assert_int_eq(weir_task_join(task[i], NULL), 0);
	return 0;
}

START_TEST(a_fiber_that_blocked_in_place_continues_in_its_domain)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct machine machine;
	struct weir_rt *rt;

	machine_make(&machine, 2, 2, 1 + (unsigned)_i, 1);
	place.policy = WEIR_PLACE_GROUP_BY_CCX;
	cfg.place = &place;
	cfg.topo = &machine.topo;
	cfg.steal = WEIR_STEAL_GROUP;
	cfg.backend = "epoll";
	rt = runtime_new(&cfg);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(weir_rt_block_on(rt, scatter, NULL), 0);
	runtime_end(rt);
}
END_TEST

/* ---- the current task ---- */

static const struct weir_local_key key;

struct inside {
	struct weir_task *task;
	unsigned begun;
	int before, during;
};

static int look(void *arg)
{
	struct inside *in = arg;

	ck_assert_int_eq(weir_rt_worker_index(), -1);
	ck_assert_ptr_eq(weir_task_current(), in->task);
	ck_assert_ptr_eq(weir_local_get(&key), &in->before);
	ck_assert_int_eq(weir_local_set(&key, &in->during), 0);
	ck_assert_int_eq(weir_task_join(in->task, NULL), -EDEADLK);
	ck_assert_int_eq(weir_yield(), -EPERM);
	ck_assert_int_eq(weir_rt_shutdown(weir_rt_current(), WEIR_FOREVER), -EDEADLK);
	weir_rt_free(weir_rt_current());
	ck_assert(!weir_task_cancelled());
	set(&in->begun, 1);
	while (!weir_task_cancelled())
		sched_yield();
	return 5;
}

static int look_in_place(void *arg)
{
	struct inside *in = arg;

	in->task = weir_task_current();
	ck_assert_int_eq(weir_local_set(&key, &in->before), 0);
	ck_assert_int_eq(weir_block_in_place(look, in), 5);
	ck_assert_ptr_eq(weir_task_current(), in->task);
	ck_assert_ptr_eq(weir_local_get(&key), &in->during);
	return 6;
}

/* After a thread has run a task, the task is not its current task any more. */
static int see_no_task(void *arg UNUSED)
{
	ck_assert_ptr_null(weir_task_current());
	ck_assert(!weir_task_cancelled());
	ck_assert_ptr_null(weir_local_get(&key));
	return 0;
}

static int see_inside(void *arg UNUSED)
{
	for (int i = 0; i < 4; i++) {
		struct inside in = { .begun = 0 };
		struct weir_task *task;
		int result;

		ck_assert_int_eq(weir_spawn(look_in_place, &in, &task), 0);
		YIELD_UNTIL(get(&in.begun));
		weir_task_abort(task);
		ck_assert_int_eq(weir_task_join(task, &result), 0);
		ck_assert_int_eq(result, 6);
		ck_assert_int_eq(weir_blocking_run(see_no_task, NULL), 0);
	}
	return 0;
}

START_TEST(the_task_is_seen_where_it_blocks_in_place)
{
	struct weir_rt_config cfg = runtime_config(_i % 2 ? ON_FOUR : ON_ONE);
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	if (weir_backend_info_get((unsigned)_i / 2, &info) < 0 || info.err < 0)
		return;
	cfg.backend = info.name;
	runtime_run(&cfg, see_inside, NULL);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_thread_is_bound_as_long_as_it_is_a_worker, .needs = "2cpus"),
		TESTING(the_current_thread_is_never_bound, .needs = "2cpus"),
		TESTING(a_fiber_that_blocked_in_place_continues_in_its_domain, .rounds = 2),
		TESTING(the_task_is_seen_where_it_blocks_in_place, .rounds = 4),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
