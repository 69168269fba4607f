/* SPDX-License-Identifier: MIT */
/*
 * sched_steal.c: which worker steals from which, on made-up machines. One worker is free and all
 * others are held, each with tasks in its queue: the order in which those tasks run is the order in
 * which the free worker steals.
 */
#include <stdatomic.h>

#include "sched/worker.h"
#include "tests/unit/machines.h"
#include "tests/unit/runtimes.h"
#include "weir/metrics.h"

enum {
	EACH = 6			/* tasks in the queue of a worker that is held */
};

/* ---- a runtime in which all workers but one are held ---- */

struct held {
	struct machine machine;
	struct weir_rt *rt;
	unsigned free;			/* the worker that is not held */
	unsigned tasks;			/* tasks in the queue of each of the others */
	struct event filled, release;
	unsigned began, ran;		/* atomic */
	uint16_t home[MACHINE_CPUS * EACH], on[MACHINE_CPUS * EACH]; /* in the order of running */
};

static struct held held;

static int note_home(void *arg)
{
	unsigned n = add(&held.began, 1) - 1;

	ck_assert_uint_lt(n, MACHINE_CPUS * EACH);
	held.home[n] = (uint16_t)(uintptr_t)arg;
	held.on[n] = (uint16_t)weir_rt_worker_index();
	add(&held.ran, 1);
	return 0;
}

/* Runs on each worker's thread, before it first looks for work. */
static void hold(void *arg UNUSED, unsigned worker)
{
	if (worker == held.free) {
		event_wait(&held.filled, weir_rt_workers(weir_rt_current()) - 1);
		return;
	}
	for (unsigned i = 0; i < held.tasks; i++)
		ck_assert_int_eq(weir_spawn(note_home, (void *)(uintptr_t)worker, NULL), 0);
	event_raise(&held.filled);
	event_wait(&held.release, 1);
}

static struct weir_rt_config config_of(const struct machine *machine, enum weir_steal_mode steal)
{
	static const struct weir_place_config place = { .size = sizeof place,
							.policy = WEIR_PLACE_GROUP_BY_CCX };
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.topo = &machine->topo;
	cfg.place = &place;
	cfg.steal = steal;
	return cfg;
}

static void held_start(enum weir_steal_mode steal, unsigned free, unsigned tasks)
{
	struct weir_rt_config cfg = config_of(&held.machine, steal);

	held.free = free;
	held.tasks = tasks;
	held.filled = held.release = (struct event)EVENT_INIT;
	set(&held.began, 0);
	set(&held.ran, 0);
	cfg.watch_ns = WEIR_FOREVER;	/* the watch would hide a missing wake */
	cfg.on_worker_start = hold;
	held.rt = runtime_new(&cfg);
}

static void held_end(void)
{
	event_raise(&held.release);
	runtime_end(held.rt);
}

static void wait_until_ran(unsigned n)
{
	while (get(&held.ran) < n)
		sched_yield();
	ck_assert_uint_eq(get(&held.ran), n);
}

static const struct weir_topo_cpu *cpu_of(unsigned worker)
{
	return &held.machine.cpus[weir_rt_plan(held.rt)->workers[worker].cpu];
}

static unsigned tier_between(unsigned a, unsigned b)
{
	const struct weir_topo_cpu *x = cpu_of(a), *y = cpu_of(b);

	return x->core == y->core   ? WEIR_TIER_SMT
	       : x->l3 == y->l3	    ? WEIR_TIER_GROUP
	       : x->node == y->node ? WEIR_TIER_NODE
				    : WEIR_TIER_REMOTE;
}

static unsigned distance_between(unsigned a, unsigned b)
{
	return held.machine
		.distances[cpu_of(a)->node * held.machine.topo.nodes_len + cpu_of(b)->node];
}

static struct weir_worker_metrics metrics_of(struct weir_rt *rt, unsigned worker)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;

	ck_assert_int_eq(weir_metrics_worker(rt, worker, &m), 0);
	return m;
}

/* ---- the order ---- */

/* From one task to the next the tier never decreases, nor the distance among remote nodes. */
static void check_order(unsigned from_tier, uint64_t by_tier[WEIR_TIERS])
{
	unsigned i, tier, last_tier = 0, distance, last_distance = 0;

	for (i = 0; i < get(&held.ran); i++) {
		ck_assert_uint_eq(held.on[i], held.free);
		tier = tier_between(held.free, held.home[i]);
		distance = distance_between(held.free, held.home[i]);
		ck_assert_msg(tier >= last_tier && distance >= last_distance,
			      "task %u came from tier %u, distance %u, after tier %u, distance %u",
			      i, tier, distance, last_tier, last_distance);
		ck_assert_uint_le(tier, from_tier);
		by_tier[tier]++;
		last_tier = tier;
		last_distance = distance;
	}
}

static void check_counters(const uint64_t by_tier[WEIR_TIERS])
{
	struct weir_worker_metrics m = metrics_of(held.rt, held.free);

	for (unsigned tier = 0; tier < WEIR_TIERS; tier++)
		ck_assert_uint_eq(m.steals_by_tier[tier], by_tier[tier]);
	ck_assert_uint_eq(m.steals, by_tier[0] + by_tier[1] + by_tier[2] + by_tier[3]);
}

START_TEST(what_is_near_is_stolen_first)
{
	uint64_t by_tier[WEIR_TIERS] = { 0 };

	machine_make(&held.machine, 4, 2, 2, 2);
	held_start(WEIR_STEAL_ALL, (unsigned)(_i * 7), EACH);
	wait_until_ran(31 * EACH);
	check_order(WEIR_TIER_REMOTE, by_tier);
	check_counters(by_tier);
	ck_assert_uint_eq(by_tier[WEIR_TIER_SMT], EACH);
	ck_assert_uint_eq(by_tier[WEIR_TIER_GROUP], 2 * EACH);
	ck_assert_uint_eq(by_tier[WEIR_TIER_NODE], 4 * EACH);
	ck_assert_uint_eq(by_tier[WEIR_TIER_REMOTE], 24 * EACH);
	held_end();
}
END_TEST

/*
 * The free worker sleeps once its domain is empty. Tasks of other domains wait for their own
 * workers.
 */
START_TEST(no_task_is_stolen_from_another_domain)
{
	static const struct border {
		enum weir_steal_mode steal;
		unsigned tier, victims;
	} borders[] = {
		{ WEIR_STEAL_NODE, WEIR_TIER_NODE, 7 },
		{ WEIR_STEAL_GROUP, WEIR_TIER_GROUP, 3 },
		{ WEIR_STEAL_OFF, WEIR_TIER_SMT, 0 },
	};
	const struct border *b = &borders[_i];
	uint64_t by_tier[WEIR_TIERS] = { 0 };
	unsigned i;

	machine_make(&held.machine, 2, 2, 2, 2);
	held_start(b->steal, 5, EACH);
	wait_until_ran(b->victims * EACH);
	check_order(b->tier, by_tier);
	check_counters(by_tier);
	event_raise(&held.release);
	wait_until_ran(15 * EACH);
	for (i = 0; i < 15 * EACH; i++)
		ck_assert_uint_le(tier_between(held.on[i], held.home[i]), b->tier);
	runtime_end(held.rt);
}
END_TEST

/* ---- the queues of groups ---- */

static void spawn_into(unsigned group, int (*fn)(void *), void *arg)
{
	struct runtime *rt = runtime_of(held.rt);

	weir__domains_stay_near(rt, &rt->groups[group]);
	ck_assert_int_eq(weir_rt_spawn(held.rt, fn, arg, NULL), 0);
	weir__domains_stay_near(rt, NULL);
}

static int run_here(void *arg)
{
	set(arg, 1 + (unsigned)weir_rt_worker_index());
	return 0;
}

START_TEST(a_group_that_is_stuck_is_helped_by_another)
{
	unsigned group, ran_on;

	machine_make(&held.machine, 2, 2, 2, 1);
	held_start(WEIR_STEAL_ALL, 2, 0);
	for (group = 0; group < 4; group++) {
		set(&ran_on, 0);
		spawn_into(group, run_here, &ran_on);
		while (!get(&ran_on))
			sched_yield();
		ck_assert_uint_eq(ran_on, 1 + 2);
	}
	held_end();
}
END_TEST

static int busy_until_ran(void *arg)
{
	YIELD_UNTIL(get(arg));
	return 0;
}

START_TEST(a_busy_worker_helps_a_group_that_is_stuck)
{
	unsigned group, ran_on = 0;

	machine_make(&held.machine, 2, 2, 2, 1);
	held_start(WEIR_STEAL_ALL, 2, 0);
	for (group = 0; group < 4; group++) {
		set(&ran_on, 0);
		spawn_into(1, busy_until_ran, &ran_on);
		spawn_into(group, run_here, &ran_on);
		while (!get(&ran_on))
			sched_yield();
		ck_assert_uint_eq(ran_on, 1 + 2);
	}
	held_end();
}
END_TEST

/* All workers are asleep, and most often none is searching. */
START_TEST(what_is_injected_runs_in_its_domain)
{
	enum weir_steal_mode steal = (enum weir_steal_mode)(WEIR_STEAL_NODE + _i);
	struct weir_rt_config cfg;
	const struct weir_plan *plan;
	unsigned group, i, ran_on;

	machine_make(&held.machine, 2, 2, 2, 1);
	cfg = config_of(&held.machine, steal);
	held.rt = runtime_new(&cfg);
	plan = weir_rt_plan(held.rt);
	for (i = 0; i < 200; i++)
		for (group = 0; group < 4; group++) {
			set(&ran_on, 0);
			spawn_into(group, run_here, &ran_on);
			while (!get(&ran_on))
				sched_yield();
			if (steal == WEIR_STEAL_NODE)
				ck_assert_uint_eq(plan->workers[ran_on - 1].node,
						  plan->groups[group].node);
			else
				ck_assert_uint_eq(plan->workers[ran_on - 1].group, group);
		}
	runtime_end(held.rt);
}
END_TEST

/* ---- no wake-up is lost ---- */

struct spawner {
	struct weir_rt *rt;
	unsigned rounds;
};

static int leaf(void *arg UNUSED)
{
	return 0;
}

static int spawn_and_wait(void *arg)
{
	struct weir_task *task[3];
	unsigned i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(weir_spawn(leaf, arg, &task[i]), 0);
	ck_assert_int_eq(weir_yield(), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(weir_task_join(task[i], NULL), 0);
	return 0;
}

/* Each thread has one task at a time, so that a forgotten wake is not hidden by a later one. */
static void *spawn_and_join(void *arg)
{
	struct spawner *s = arg;
	struct weir_task *task;

	for (unsigned i = 0; i < s->rounds; i++) {
		ck_assert_int_eq(weir_rt_spawn(s->rt, spawn_and_wait, NULL, &task), 0);
		ck_assert_int_eq(weir_task_join(task, NULL), 0);
	}
	return NULL;
}

START_TEST(no_wake_is_lost_while_workers_search)
{
	struct weir_rt_config cfg;
	struct spawner s = { .rounds = 300 };
	pthread_t threads[3];
	unsigned i, n = 1 + (unsigned)_i / 4;

	machine_make(&held.machine, 2, 2, 2, 1);
	cfg = config_of(&held.machine, (enum weir_steal_mode)(_i % 4));
	cfg.watch_ns = WEIR_FOREVER;
	s.rt = runtime_new(&cfg);
	for (i = 0; i < n; i++)
		threads[i] = thread_start(spawn_and_join, &s);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	runtime_end(s.rt);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(what_is_near_is_stolen_first, .rounds = 4),
		TESTING(no_task_is_stolen_from_another_domain, .rounds = 3),
		TESTING(a_group_that_is_stuck_is_helped_by_another),
		TESTING(a_busy_worker_helps_a_group_that_is_stuck),
		TESTING(what_is_injected_runs_in_its_domain, .rounds = 2),
		TESTING(no_wake_is_lost_while_workers_search, .rounds = 12),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
