/* SPDX-License-Identifier: MIT */
/*
 * policies.c: a program must have the same result whatever the runtime's policies are. The
 * program's tasks wake each other, sleep, yield, send bytes, and are spawned from outside.
 */
#include <stdatomic.h>
#include <string.h>

#include "tests/support/testing.h"
#include "weir/weir.h"

#define UNUSED __attribute__((unused))
#define TASKS 40
#define TURNS 25

/* ---- the program ---- */

struct pair {
	struct weir_tcp *one, *other;
	struct weir_notify ball;
	char answer;
};

static int echo_once(void *arg)
{
	struct pair *pair = arg;
	char byte;

	for (int i = 0; i < TURNS; i++) {
		ck_assert_int_eq(weir_tcp_recv(pair->other, &byte, 1), 1);
		byte++;
		ck_assert_int_eq(weir_tcp_send(pair->other, &byte, 1), 1);
		weir_notify_one(&pair->ball);
	}
	return 0;
}

static int play(void *arg)
{
	struct pair *pair = arg;

	for (int i = 0; i < TURNS; i++) {
		pair->answer = (char)i;
		ck_assert_int_eq(weir_tcp_send(pair->one, &pair->answer, 1), 1);
		ck_assert_int_eq(weir_notify_wait(&pair->ball), 0);
		ck_assert_int_eq(weir_tcp_recv(pair->one, &pair->answer, 1), 1);
		ck_assert_int_eq(pair->answer, (char)(i + 1));
		ck_assert_int_eq(i % 8 ? weir_yield() : weir_sleep(WEIR_MSEC), 0);
	}
	return 0;
}

static int program(void *arg UNUSED)
{
	static struct pair pairs[TASKS];
	struct weir_listener *listener;
	struct weir_join_set *set;
	struct weir_addr addr;
	int result, left;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	for (int i = 0; i < TASKS; i++) {
		weir_notify_init(&pairs[i].ball);
		ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &pairs[i].one), 0);
		ck_assert_int_eq(weir_listener_accept(listener, &pairs[i].other), 0);
		ck_assert_int_eq(weir_join_set_spawn(set, echo_once, &pairs[i], NULL), 0);
		ck_assert_int_eq(weir_join_set_spawn(set, play, &pairs[i], NULL), 0);
	}
	for (left = 2 * TASKS; weir_join_set_next(set, NULL, &result) == 1; left--)
		ck_assert_int_eq(result, 0);
	ck_assert_int_eq(left, 0);
	weir_join_set_free(set);
	for (int i = 0; i < TASKS; i++) {
		weir_tcp_close(pairs[i].one);
		weir_tcp_close(pairs[i].other);
	}
	weir_listener_close(listener);
	return 0;
}

/* ---- the policies ---- */

static int one_more(void *counter)
{
	atomic_fetch_add((atomic_int *)counter, 1);
	return 0;
}

static void run(struct weir_rt_config cfg)
{
	struct weir_task *task;
	struct weir_rt *rt;
	atomic_int counter = 0;

	if (cfg.sched == WEIR_SCHED_MULTI)
		cfg.workers = 4;
	ck_assert_msg(weir_rt_new(&cfg, &rt) == 0, "%s", weir_rt_why());
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(weir_rt_spawn(rt, one_more, &counter, NULL), 0);
	ck_assert_int_eq(weir_rt_block_on(rt, program, NULL), 0);
	ck_assert_int_eq(weir_rt_spawn(rt, one_more, &counter, &task), 0);
	if (cfg.sched == WEIR_SCHED_MULTI)
		ck_assert_int_eq(weir_task_join(task, NULL), 0);
	else
		weir_task_detach(task);
	ck_assert_int_ge(atomic_load(&counter), 100);
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
}

#define POLICY(name, ...)                                                                          \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct weir_rt_config cfg = { .size = sizeof cfg, __VA_ARGS__ };                   \
		run(cfg);                                                                          \
	}                                                                                          \
	END_TEST

POLICY(with_the_defaults, .workers = 0)
POLICY(on_the_current_thread, .sched = WEIR_SCHED_CURRENT)
POLICY(with_stealing_off, .steal = WEIR_STEAL_OFF)
POLICY(with_stealing_in_the_group, .steal = WEIR_STEAL_GROUP)
POLICY(with_one_searcher, .searchers = 1)
POLICY(with_every_worker_searching, .searchers = 4)
POLICY(with_a_look_at_the_drivers_each_poll, .event_interval = 1, .inject_interval = 1)
POLICY(with_rare_looks, .event_interval = 4096, .inject_interval = 4096)
POLICY(without_tuning, .tune_ns = WEIR_FOREVER)
POLICY(with_tight_tuning, .tune_ns = 1)
POLICY(without_the_lifo_slot, .no_lifo = true)
POLICY(with_long_lifo_runs, .lifo_max = 1000)
POLICY(with_a_budget_of_one, .budget = 1)
POLICY(with_one_event_at_a_time, .busy_events = 1, .idle_events = 1)
POLICY(without_the_watch, .watch_ns = WEIR_FOREVER)
POLICY(with_a_close_watch, .watch_ns = 1)
POLICY(with_a_fine_tick, .tick_ns = 64 * WEIR_USEC)
POLICY(spinning_before_sleep, .spin_ns = 200 * WEIR_USEC)
POLICY(spinning_alone, .spin_ns = 200 * WEIR_USEC, .sched = WEIR_SCHED_CURRENT)
POLICY(spinning_without_stealing, .spin_ns = 50 * WEIR_USEC, .steal = WEIR_STEAL_OFF)
POLICY(polling_without_end, .spin_ns = WEIR_FOREVER)
POLICY(polling_alone, .spin_ns = WEIR_FOREVER, .sched = WEIR_SCHED_CURRENT)
POLICY(polling_without_stealing, .spin_ns = WEIR_FOREVER, .steal = WEIR_STEAL_OFF)

static const struct weir_place_config on_cpus = { .size = sizeof(on_cpus), .bind = WEIR_BIND_CPU };
static const struct weir_place_config in_pairs = { .size = sizeof(in_pairs), .group_workers = 2 };
static const struct weir_place_config apart = { .size = sizeof(apart), .group_workers = 1 };

POLICY(bound_to_cpus, .place = &on_cpus)
POLICY(in_groups_of_two, .place = &in_pairs)
POLICY(in_groups_of_one, .place = &apart)
POLICY(stealing_in_groups_of_two, .place = &in_pairs, .steal = WEIR_STEAL_GROUP)
POLICY(stealing_in_groups_of_one, .place = &apart, .steal = WEIR_STEAL_GROUP)
POLICY(with_stealing_off_in_groups_of_two, .place = &in_pairs, .steal = WEIR_STEAL_OFF)

/* A machine with two nodes of two CPUs each. */
static struct weir_topo_cpu far_cpus[4] = {
	{ .os = 0 },
	{ .os = 1, .core = 1 },
	{ .os = 2, .core = 2, .cluster = 1, .l3 = 1, .package = 1, .node = 1 },
	{ .os = 3, .core = 3, .cluster = 1, .l3 = 1, .package = 1, .node = 1 },
};
static struct weir_topo_node far_nodes[2];
static struct weir_topo_l3 far_l3s[2];
static const struct weir_topo far_apart = {
	.source = "two nodes",
	.cpus_len = 4,
	.cores = 4,
	.clusters = 2,
	.packages = 2,
	.kinds = 1,
	.l3s_len = 2,
	.nodes_len = 2,
	.cpus = far_cpus,
	.nodes = far_nodes,
	.l3s = far_l3s,
};

POLICY(on_two_nodes, .topo = &far_apart)
POLICY(on_two_nodes_each_for_itself, .topo = &far_apart, .steal = WEIR_STEAL_NODE)
POLICY(on_two_nodes_without_patience, .topo = &far_apart, .remote_after = 1)
POLICY(on_two_nodes_with_much_patience, .topo = &far_apart, .remote_after = 1024)
POLICY(with_the_smallest_stacks, .stack_bytes = 16 * 1024)
POLICY(without_an_overflow_report, .no_overflow_report = true)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(with_the_defaults),
		TESTING(on_the_current_thread),
		TESTING(with_stealing_off),
		TESTING(with_stealing_in_the_group),
		TESTING(with_one_searcher),
		TESTING(with_every_worker_searching),
		TESTING(with_a_look_at_the_drivers_each_poll),
		TESTING(with_rare_looks),
		TESTING(without_tuning),
		TESTING(with_tight_tuning),
		TESTING(without_the_lifo_slot),
		TESTING(with_long_lifo_runs),
		TESTING(with_a_budget_of_one),
		TESTING(with_one_event_at_a_time),
		TESTING(without_the_watch),
		TESTING(with_a_close_watch),
		TESTING(with_a_fine_tick),
		TESTING(spinning_before_sleep),
		TESTING(spinning_alone),
		TESTING(spinning_without_stealing),
		TESTING(polling_without_end),
		TESTING(polling_alone),
		TESTING(polling_without_stealing),
		TESTING(bound_to_cpus),
		TESTING(in_groups_of_two),
		TESTING(in_groups_of_one),
		TESTING(stealing_in_groups_of_two),
		TESTING(stealing_in_groups_of_one),
		TESTING(with_stealing_off_in_groups_of_two),
		TESTING(on_two_nodes),
		TESTING(on_two_nodes_each_for_itself),
		TESTING(on_two_nodes_without_patience),
		TESTING(on_two_nodes_with_much_patience),
		TESTING(with_the_smallest_stacks),
		TESTING(without_an_overflow_report),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
