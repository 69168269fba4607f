/* SPDX-License-Identifier: MIT */
/*
 * stealing.c: on a machine with several memory nodes, workers are bound as planned, they steal from
 * the nearest first, and no task leaves its node while every node has work.
 */
#include <pthread.h>
#include <sched.h>

#include "tests/numa/machine.h"
#include "weir/metrics.h"

#define UNUSED __attribute__((unused))
#define WORKERS_MAX 256u
#define TASKS 2000u			/* per node with work: fills a ring many times */

static struct weir_rt *rt;

static unsigned get(const unsigned *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static unsigned add(unsigned *word, unsigned n)
{
	return __atomic_add_fetch(word, n, __ATOMIC_ACQ_REL);
}

static void start(enum weir_steal_mode steal)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.steal = steal;
	ck_assert_msg(weir_rt_new(&cfg, &rt) == 0, "%s", weir_rt_why());
	ck_assert_uint_eq(weir_rt_workers(rt), weir_cpuset_count(&machine.all));
}

static void end(void)
{
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
}

static unsigned node_of_worker(unsigned worker)
{
	const struct weir_cpuset *cpus = &weir_rt_plan(rt)->workers[worker].cpus;
	unsigned cpu = 0;

	while (cpu < WEIR_CPUS_MAX && !weir_cpuset_has(cpus, cpu))
		cpu++;
	return (unsigned)machine_node_of_cpu(cpu);
}

static unsigned group_of_worker(unsigned worker)
{
	return weir_rt_plan(rt)->workers[worker].group;
}

/* ---- where workers are ---- */

static int note_mask(void *arg)
{
	return sched_getaffinity(0, sizeof(cpu_set_t), arg);
}

static struct weir_task *spawn_on(unsigned worker, int (*fn)(void *), void *arg)
{
	struct weir_task_config task = WEIR_TASK_CONFIG_INIT;
	struct weir_task *handle;

	task.fn = fn;
	task.arg = arg;
	task.flags = WEIR_TASK_PINNED;
	task.worker = (int)worker + 1;
	ck_assert_int_eq(weir_task_spawn(rt, &task, &handle), 0);
	return handle;
}

static void join(struct weir_task *task)
{
	int result = -1;

	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, 0);
}

START_TEST(threads_are_bound_as_planned)
{
	cpu_set_t mask;

	if (!machine_has_nodes())
		return;
	start(WEIR_STEAL_ALL);
	for (unsigned i = 0; i < weir_rt_workers(rt); i++) {
		const struct weir_plan_worker *w = &weir_rt_plan(rt)->workers[i];

		ck_assert(w->bound);
		join(spawn_on(i, note_mask, &mask));
		for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			ck_assert_int_eq(CPU_ISSET(cpu, &mask) != 0,
					 weir_cpuset_has(&w->cpus, cpu));
			ck_assert(!CPU_ISSET(cpu, &mask) ||
				  machine_node_of_cpu(cpu) == (int)node_of_worker(i));
		}
	}
	end();
}
END_TEST

/* The distance between the nodes of two workers, according to the machine. */
static unsigned distance(unsigned from, unsigned to)
{
	return machine.distance[node_of_worker(from)][node_of_worker(to)];
}

START_TEST(the_nearest_come_first)
{
	if (!machine_has_nodes())
		return;
	start(WEIR_STEAL_ALL);
	for (unsigned i = 0; i < weir_rt_workers(rt); i++) {
		const struct weir_plan_worker *w = &weir_rt_plan(rt)->workers[i];

		ck_assert_uint_eq(w->tier_end[WEIR_TIER_REMOTE], weir_rt_workers(rt) - 1);
		for (unsigned k = 0; k < w->tier_end[WEIR_TIER_REMOTE]; k++) {
			bool far = k >= w->tier_end[WEIR_TIER_NODE];

			ck_assert_int_eq(far, node_of_worker(w->steal[k]) != node_of_worker(i));
			ck_assert(k == 0 ||
				  distance(i, w->steal[k]) >= distance(i, w->steal[k - 1]));
			if (k < w->tier_end[WEIR_TIER_GROUP])
				ck_assert_uint_eq(group_of_worker(w->steal[k]), group_of_worker(i));
		}
	}
	end();
}
END_TEST

/* ---- which worker runs which task ---- */

/*
 * Producers fill their queues while all other workers are held back, so that nothing is stolen
 * before everything is queued. The test's thread waits at some of these barriers, too.
 */
static pthread_barrier_t held;		/* the workers that do not produce are held back */
static pthread_barrier_t began;		/* the producers have begun */
static pthread_barrier_t filled;	/* … and have spawned everything */
static pthread_barrier_t release;
static unsigned ran_of[MACHINE_NODES];	/* tasks of that node that have run */
static unsigned half_done;		/* nodes whose work is half done */
static unsigned counted;		/* whether remote_by_then has been stored */
static unsigned strayed;		/* tasks that ran where they should not */
static uint64_t remote_before,
	remote_by_then; /* remote steals when the first node's work was half done */
static bool (*may_run)(unsigned producer);

static uint64_t steals(unsigned first_tier, unsigned last_tier)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;
	uint64_t sum = 0;

	for (unsigned i = 0; i < weir_rt_workers(rt); i++) {
		ck_assert_int_eq(weir_metrics_worker(rt, i, &m), 0);
		for (unsigned tier = first_tier; tier <= last_tier; tier++)
			sum += m.steals_by_tier[tier];
	}
	return sum;
}

/* When the first node's work is half done, everybody stops while remote steals are counted. */
static void count_at_half(unsigned node)
{
	if (add(&ran_of[node], 1) == TASKS / 2 && add(&half_done, 1) == 1) {
		remote_by_then = steals(WEIR_TIER_REMOTE, WEIR_TIER_REMOTE);
		add(&counted, 1);
	}
}

/* The state is the producer's worker. */
static int piece_of_work(void *state, struct weir_cx *cx UNUSED)
{
	unsigned producer = *(unsigned *)state;

	while (get(&half_done) && !get(&counted))
		sched_yield();
	if (!may_run(producer))
		add(&strayed, 1);
	count_at_half(node_of_worker(producer));
	return 0;
}

static int hold(void *arg UNUSED)
{
	pthread_barrier_wait(&held);
	pthread_barrier_wait(&release);
	return 0;
}

static int produce(void *arg UNUSED)
{
	unsigned me = (unsigned)weir_rt_worker_index();
	struct weir_task_config task = WEIR_TASK_CONFIG_INIT;
	struct weir_join_set *set;
	int rc = weir_join_set_new(rt, &set), result;

	pthread_barrier_wait(&began);
	task.poll = piece_of_work;
	task.state = &me;
	task.state_bytes = sizeof(me);
	task.join_set = set;
	for (unsigned i = 0; rc == 0 && i < TASKS; i++)
		rc = weir_task_spawn(rt, &task, NULL);
	pthread_barrier_wait(&filled);
	pthread_barrier_wait(&release);
	while (rc == 0 && (rc = weir_join_set_next(set, NULL, &result)) == 1)
		rc = result;
	weir_join_set_free(set);
	return rc;
}

static bool anywhere(unsigned producer UNUSED)
{
	return true;
}

static bool on_the_node(unsigned producer)
{
	return node_of_worker((unsigned)weir_rt_worker_index()) == node_of_worker(producer);
}

static bool in_the_group(unsigned producer)
{
	return group_of_worker((unsigned)weir_rt_worker_index()) == group_of_worker(producer);
}

static bool is_first_of_its_node(unsigned worker)
{
	return worker == 0 || node_of_worker(worker - 1) != node_of_worker(worker);
}

static bool produces(unsigned worker, bool on_each_node)
{
	return on_each_node ? is_first_of_its_node(worker) : worker == 0;
}

static void run_once(bool on_each_node, unsigned n)
{
	struct weir_task *tasks[WORKERS_MAX];
	unsigned i;

	for (i = 0; i < n; i++)
		if (!produces(i, on_each_node))
			tasks[i] = spawn_on(i, hold, NULL);
	pthread_barrier_wait(&held);
	for (i = 0; i < n; i++)
		if (produces(i, on_each_node))
			tasks[i] = spawn_on(i, produce, NULL);
	pthread_barrier_wait(&filled);
	remote_before = steals(WEIR_TIER_REMOTE, WEIR_TIER_REMOTE);
	pthread_barrier_wait(&release);
	for (i = 0; i < n; i++)
		join(tasks[i]);
}

/* Runs with work on the first worker, or on one worker of each node. */
static void run(bool on_each_node, bool (*where)(unsigned producer))
{
	unsigned n = weir_rt_workers(rt), producers = 0, i;

	may_run = where;
	strayed = half_done = counted = 0;
	for (i = 0; i < MACHINE_NODES; i++)
		ran_of[i] = 0;
	for (i = 0; i < n; i++)
		producers += produces(i, on_each_node);
	pthread_barrier_init(&held, NULL, n - producers + 1);
	pthread_barrier_init(&began, NULL, producers);
	pthread_barrier_init(&filled, NULL, producers + 1);
	pthread_barrier_init(&release, NULL, n + 1);
	run_once(on_each_node, n);
	pthread_barrier_destroy(&held);
	pthread_barrier_destroy(&began);
	pthread_barrier_destroy(&filled);
	pthread_barrier_destroy(&release);
	ck_assert_uint_eq(strayed, 0);
}

/* Until the work of the first node is half done, every node still has some. */
START_TEST(no_remote_steal_while_there_is_local_work)
{
	if (!machine_has_nodes())
		return;
	start(WEIR_STEAL_ALL);
	for (unsigned round = 0; round < 5; round++) {
		remote_by_then = UINT64_MAX;
		run(true, anywhere);
		ck_assert_uint_eq(remote_by_then, remote_before);
	}
	ck_assert_uint_gt(steals(WEIR_TIER_SMT, WEIR_TIER_NODE), 0);
	end();
}
END_TEST

/* All the work is on one node: workers of other nodes must steal from it in the end. */
START_TEST(without_local_work_there_are_remote_steals)
{
	if (!machine_has_nodes())
		return;
	start(WEIR_STEAL_ALL);
	do
		run(false, anywhere);
	while (steals(WEIR_TIER_REMOTE, WEIR_TIER_REMOTE) == 0);
	end();
}
END_TEST

static const struct {
	enum weir_steal_mode mode;
	bool (*where)(unsigned producer);
	unsigned last_tier;
} borders[] = {
	{ WEIR_STEAL_NODE, on_the_node, WEIR_TIER_NODE },
	{ WEIR_STEAL_GROUP, in_the_group, WEIR_TIER_GROUP },
};

START_TEST(no_task_crosses_a_border)
{
	if (!machine_has_nodes())
		return;
	start(borders[_i].mode);
	do
		run(false, borders[_i].where);
	while (steals(WEIR_TIER_SMT, borders[_i].last_tier) == 0);
	ck_assert_uint_eq(steals(borders[_i].last_tier + 1, WEIR_TIER_REMOTE), 0);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(threads_are_bound_as_planned),
		TESTING(the_nearest_come_first),
		TESTING(no_remote_steal_while_there_is_local_work),
		TESTING(without_local_work_there_are_remote_steals),
		TESTING(no_task_crosses_a_border, .rounds = 2),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
