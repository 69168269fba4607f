/* SPDX-License-Identifier: MIT */
/*
 * sched_metrics.c: the values of all counters after deterministic programs. Where two workers are
 * needed, a task holds one of them.
 */
#include <unistd.h>

#include "sched/worker.h"
#include "tests/unit/runtimes.h"

static struct weir_worker_metrics worker_metrics(struct weir_rt *rt, unsigned worker)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;

	ck_assert_int_eq(weir_metrics_worker(rt, worker, &m), 0);
	return m;
}

static struct weir_metrics metrics(struct weir_rt *rt)
{
	struct weir_metrics m = WEIR_METRICS_INIT;

	ck_assert_int_eq(weir_metrics_get(rt, &m), 0);
	return m;
}

static int nothing(void *arg UNUSED)
{
	return 0;
}

static struct weir_rt_config two_workers(void)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);

	cfg.workers = 2;
	return cfg;
}

/* ---- tasks ------------------------------------------------------------------------------- */

static int yield_twice(void *arg UNUSED)
{
	ck_assert_int_eq(weir_yield(), 0);
	ck_assert_int_eq(weir_yield(), 0);
	return 0;
}

static int script(void *arg UNUSED)
{
	struct weir_task *tasks[10];

	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(weir_spawn(yield_twice, NULL, &tasks[i]), 0);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(weir_task_join(tasks[i], NULL), 0);
	return 0;
}

/*
 * The root is polled again for each join that waits. At the first, ten tasks that yield are queued.
 */
START_TEST(polls_and_schedules_are_exact_on_one_worker)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);
	struct weir_worker_metrics m;

	ck_assert_int_eq(weir_rt_block_on(rt, script, NULL), 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, WEIR_FOREVER), 0);
	m = worker_metrics(rt, 0);
	ck_assert_uint_eq(m.spawned, 10);
	ck_assert_uint_eq(m.finished, 11);
	ck_assert_uint_ge(m.polls, 10 * 3 + 2);
	ck_assert_uint_le(m.polls, 10 * 3 + 11);
	ck_assert_uint_eq(m.remote_schedules, 1);
	/* Every poll except the first one of the root follows a schedule on this worker. */
	ck_assert_uint_eq(m.local_schedules, m.polls - 1);
	ck_assert_uint_eq(m.away_polls, 0);
	ck_assert_uint_eq(m.budget_yields, 0);	/* these yields were voluntary */
	ck_assert_uint_eq(m.steals + m.steal_operations + m.overflows + m.watches, 0);
	ck_assert_uint_eq(m.queue_depth + m.overflow_depth, 0);
	weir_rt_free(rt);
}
END_TEST

static int spend_budget(void *arg UNUSED)
{
	struct weir_sem sem;

	ck_assert_int_eq(weir_sem_init(&sem, 1000), 0);
	for (unsigned i = 0; i < 25; i++)
		ck_assert_int_eq(weir_sem_acquire(&sem, 1), 0);
	weir_sem_fini(&sem);
	return 0;
}

START_TEST(a_spent_budget_is_counted)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	struct weir_rt *rt;

	cfg.budget = 10;
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_block_on(rt, spend_budget, NULL), 0);
	ck_assert_uint_eq(worker_metrics(rt, 0).budget_yields, 2);
	runtime_end(rt);
}
END_TEST

START_TEST(what_comes_from_outside_waits_and_is_counted_when_taken)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	struct weir_task_config task = WEIR_TASK_CONFIG_INIT;
	struct weir_rt *rt = runtime_new(&cfg);

	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(weir_rt_spawn(rt, nothing, NULL, NULL), 0);
	task.fn = nothing;
	task.flags = WEIR_TASK_PINNED;
	task.worker = 1;
	ck_assert_int_eq(weir_task_spawn(rt, &task, NULL), 0);
	ck_assert_uint_eq(metrics(rt).inject_depth, 3);
	ck_assert_uint_eq(metrics(rt).alive, 4);
	ck_assert_uint_eq(worker_metrics(rt, 0).remote_schedules, 0);
	ck_assert_int_eq(weir_rt_block_on(rt, yield_twice, NULL), 0);
	ck_assert_uint_eq(metrics(rt).inject_depth, 0);
	ck_assert_uint_eq(metrics(rt).alive, 0);
	ck_assert_uint_eq(worker_metrics(rt, 0).remote_schedules, 5);
	ck_assert_uint_eq(worker_metrics(rt, 0).spawned, 0);
	ck_assert_uint_eq(worker_metrics(rt, 0).finished, 5);
	runtime_end(rt);
}
END_TEST

/* ---- two workers ------------------------------------------------------------------------- */

/* Tasks that hold a worker each until they are released. */
struct holder {
	unsigned holding, let_go;
};

static int hold(void *arg)
{
	struct holder *h = arg;

	add(&h->holding, 1);
	while (!get(&h->let_go))
		;
	set(&h->holding, 0);
	return 0;
}

static void hold_worker(struct holder *h, unsigned worker)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.fn = hold;
	cfg.arg = h;
	cfg.flags = WEIR_TASK_PINNED;
	cfg.worker = 1 + (int)worker;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), 0);
	YIELD_UNTIL(get(&h->holding));
}

#define MANY 600u

static int fill_the_ring(void *arg UNUSED)
{
	struct weir_rt *rt = weir_rt_current();
	unsigned me = (unsigned)weir_rt_worker_index();
	struct holder h = { 0 };
	struct weir_worker_metrics m;

	hold_worker(&h, !me);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_int_eq(weir_spawn(nothing, NULL, NULL), 0);
	m = worker_metrics(rt, me);
	/* One is in the LIFO slot, the ring is full. */
	ck_assert_uint_eq(m.queue_depth, MANY);
	ck_assert_uint_eq(m.overflow_depth, MANY - 256 - 1);
	ck_assert_uint_eq(m.overflows, MANY - 256 - 1);
	ck_assert_uint_eq(worker_metrics(rt, !me).steals, 0);
	set(&h.let_go, 1);
	YIELD_UNTIL(!get(&h.holding));		/* h is on this stack */
	return 0;
}

/* The root is pinned, so that only its own worker runs it. */
static int pinned_root(int (*fn)(void *), void *arg)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	int result;

	cfg.fn = fn;
	cfg.arg = arg;
	cfg.flags = WEIR_TASK_PINNED;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	return result;
}

static int pinned(void *arg)
{
	return pinned_root((int (*)(void *))arg, NULL);
}

START_TEST(a_full_ring_is_seen)
{
	struct weir_rt_config cfg = two_workers();

	runtime_run(&cfg, pinned, (void *)fill_the_ring);
}
END_TEST

/* A stolen task is away from home until it has waited on its new worker. */
struct traveller {
	int fd;
	unsigned ran, waited;
};

static int travel(void *arg)
{
	struct traveller *t = arg;
	struct weir_fd *fd;
	char byte;

	add(&t->ran, 1);
	ck_assert_int_eq(weir_fd_open(t->fd, &fd), 0);
	ck_assert_int_ge(weir_fd_wait(fd, WEIR_READABLE, WEIR_FOREVER), 0);
	ck_assert_int_eq(read(t->fd, &byte, 1), 1);
	ck_assert_int_eq(weir_yield(), 0);
	weir_fd_close(fd);
	set(&t->waited, 1);
	return 0;
}

static int send_away(void *arg UNUSED)
{
	struct weir_rt *rt = weir_rt_current();
	unsigned me = (unsigned)weir_rt_worker_index();
	struct traveller t = { 0 };
	uint64_t parks;
	struct weir_worker_metrics before = worker_metrics(rt, !me), m;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	t.fd = ends[0];
	ck_assert_int_eq(weir_spawn(travel, &t, NULL), 0);
	while (!get(&t.ran))
		;
	/* The worker parks, so the task waits. */
	parks = worker_metrics(rt, !me).parks;
	while (worker_metrics(rt, !me).parks == parks)
		;
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	while (!get(&t.waited))
		;
	m = worker_metrics(rt, !me);
	/* It was away in its first poll, and is at home on the worker where its wait ended. */
	ck_assert_uint_eq(m.away_polls - before.away_polls, 1);
	ck_assert_uint_ge(m.polls - before.polls, 3);
	ck_assert_uint_ge(m.steals - before.steals, 1);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

START_TEST(a_stolen_task_is_away_until_it_has_waited_there)
{
	struct weir_rt_config cfg = two_workers();

	cfg.no_lifo = true;
	runtime_run(&cfg, pinned, (void *)send_away);
}
END_TEST

/* ---- sleep ------------------------------------------------------------------------------- */

struct sleeper {
	uint64_t parked_at, parked_ns;	/* time between the hooks, which is a part of idle time */
};

static void note_park(void *arg, unsigned worker UNUSED)
{
	((struct sleeper *)arg)->parked_at = weir_now();
}

static void note_unpark(void *arg, unsigned worker UNUSED)
{
	struct sleeper *s = arg;

	s->parked_ns += weir_now() - s->parked_at;
}

static int sleep_and_work(void *arg)
{
	const struct sleeper *s = arg;
	struct weir_rt *rt = weir_rt_current();
	uint64_t before = worker_metrics(rt, 0).busy_ns;

	while (s->parked_ns < 10 * WEIR_MSEC)
		ck_assert_int_eq(weir_sleep(20 * WEIR_MSEC), 0);
	/* The busy time also increases while a task runs. */
	while (worker_metrics(rt, 0).busy_ns < before + WEIR_MSEC)
		;
	return 0;
}

START_TEST(busy_is_what_was_not_slept)
{
	struct sleeper s = { 0 };
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	uint64_t before = weir_now(), busy, elapsed;
	struct weir_rt *rt;
	struct weir_worker_metrics m;

	cfg.on_worker_park = note_park;
	cfg.on_worker_unpark = note_unpark;
	cfg.hook_arg = &s;
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(worker_metrics(rt, 0).busy_ns, 0);
	ck_assert_int_eq(weir_rt_block_on(rt, sleep_and_work, &s), 0);
	busy = worker_metrics(rt, 0).busy_ns;
	elapsed = weir_now() - before;
	ck_assert_uint_ge(busy, WEIR_MSEC);
	ck_assert_uint_le(busy + s.parked_ns, elapsed);
	/* No thread is the worker now. */
	ck_assert_uint_eq(worker_metrics(rt, 0).busy_ns, busy);
	m = worker_metrics(rt, 0);
	ck_assert_uint_ge(m.parks, 1);
	ck_assert_uint_lt(m.noop_parks, m.parks);
	runtime_end(rt);
}
END_TEST

/* ---- the runtime ------------------------------------------------------------------------- */

static int wait_for_event(void *event)
{
	event_wait(event, 1);
	return 0;
}

static int use_the_pool(void *arg UNUSED)
{
	struct weir_rt *rt = weir_rt_current();
	struct event end = EVENT_INIT;
	struct weir_metrics m = metrics(rt);

	ck_assert_uint_eq(m.blocking_threads, 0);
	ck_assert_int_eq(weir_blocking_spawn(NULL, wait_for_event, &end), 0);
	ck_assert_int_eq(weir_blocking_spawn(NULL, wait_for_event, &end), 0);
	YIELD_UNTIL(metrics(rt).blocking_depth == 1);
	m = metrics(rt);
	ck_assert_uint_eq(m.blocking_threads, 1);
	ck_assert_uint_eq(m.blocking_idle, 0);
	ck_assert_uint_eq(m.blocking_done, 0);
	event_raise(&end);
	YIELD_UNTIL(metrics(rt).blocking_idle == 1);
	m = metrics(rt);
	ck_assert_uint_eq(m.blocking_threads, 1);
	ck_assert_uint_eq(m.blocking_depth, 0);
	YIELD_UNTIL(metrics(rt).blocking_done == 2);
	return 0;
}

START_TEST(metrics_show_the_blocking_pool)
{
	struct weir_rt_config cfg = runtime_config(_i);

	cfg.blocking_max = 1;
	runtime_run(&cfg, use_the_pool, NULL);
}
END_TEST

START_TEST(metrics_describe_the_runtime)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt = runtime_new(&cfg);
	struct weir_metrics m = metrics(rt);

	ck_assert_uint_eq(m.workers, 4);
	ck_assert_uint_eq(m.groups, weir_rt_plan(rt)->groups_len);
	ck_assert_str_eq(m.backend, weir_rt_backend(rt));
	runtime_end(rt);
}
END_TEST

START_TEST(a_struct_without_a_size_is_refused)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	struct weir_rt *rt = runtime_new(&cfg);
	struct weir_worker_metrics w = { .size = 7, .polls = 77 };
	struct weir_metrics m = { .size = 0, .alive = 77 };

	ck_assert_int_eq(weir_metrics_worker(rt, 0, &w), -EINVAL);
	ck_assert_int_eq(weir_metrics_get(rt, &m), -EINVAL);
	ck_assert_uint_eq(w.polls + m.alive, 2 * 77);
	ck_assert_int_eq(weir_metrics_worker(rt, 0, NULL), -EINVAL);
	ck_assert_int_eq(weir_metrics_get(rt, NULL), -EINVAL);
	runtime_end(rt);
}
END_TEST

/* ---- samples ----------------------------------------------------------------------------- */

static struct weir_histogram histogram;

static const struct weir_histogram *taken(int (*get_it)(const struct weir_rt *, unsigned,
							struct weir_histogram *),
					  struct weir_rt *rt)
{
	weir_histogram_init(&histogram);
	for (unsigned i = 0; i < weir_rt_workers(rt); i++)
		ck_assert_int_eq(get_it(rt, i, &histogram), 0);
	return &histogram;
}

static int spin_a_while(void *ns)
{
	uint64_t end = weir_now() + *(uint64_t *)ns;

	while (weir_now() < end)
		;
	return 0;
}

/* Two tasks that compute for ns each: the second is ready for as long before it runs. */
static int spin_twice(void *ns)
{
	struct weir_task *tasks[2];

	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(weir_spawn(spin_a_while, ns, &tasks[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(weir_task_join(tasks[i], NULL), 0);
	return 0;
}

START_TEST(every_poll_and_every_wake_when_asked_for)
{
	struct weir_rt_config cfg = runtime_config(_i);
	uint64_t ns = 3 * WEIR_MSEC;
	struct weir_worker_metrics m;
	struct weir_rt *rt;

	cfg.sample = 1;
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_block_on(rt, spin_twice, &ns), 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, WEIR_FOREVER), 0);
	m = worker_metrics(rt, 0);
	ck_assert_uint_eq(taken(weir_metrics_poll_time, rt)->count, m.polls);
	ck_assert_uint_ge(histogram.max, ns);
	ck_assert_uint_ge(histogram.sum, 2 * ns);
	/* No task yields, so each poll follows a wake. The second task waits for the first. */
	ck_assert_uint_eq(taken(weir_metrics_schedule_latency, rt)->count, m.polls);
	ck_assert_uint_ge(histogram.max, ns);
	weir_rt_free(rt);
}
END_TEST

static int yield_often(void *times)
{
	for (unsigned i = 0; i < *(unsigned *)times; i++)
		ck_assert_int_eq(weir_yield(), 0);
	return 0;
}

/*
 * 64 tasks that run in turn: with samples at a fixed distance, only one of them would be sampled.
 */
static int take_turns(void *times)
{
	struct weir_task *tasks[64];

	for (unsigned i = 0; i < 64; i++)
		ck_assert_int_eq(weir_spawn(yield_often, times, &tasks[i]), 0);
	for (unsigned i = 0; i < 64; i++)
		ck_assert_int_eq(weir_task_join(tasks[i], NULL), 0);
	return 0;
}

START_TEST(one_poll_in_256_by_default)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);
	unsigned times = 8000;
	uint64_t polls;

	ck_assert_int_eq(weir_rt_block_on(rt, take_turns, &times), 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, WEIR_FOREVER), 0);
	polls = worker_metrics(rt, 0).polls;
	ck_assert_uint_ge(taken(weir_metrics_poll_time, rt)->count, polls / 256 * 9 / 10);
	ck_assert_uint_le(histogram.count, polls / 256 * 11 / 10);
	weir_rt_free(rt);
}
END_TEST

START_TEST(samples_are_not_at_a_fixed_distance)
{
	struct sampler s;
	unsigned at[64] = { 0 }, hits = 0;

	weir__sampler_init(&s, 64, 12345);
	for (unsigned i = 0; i < 64 * 6400; i++)
		if (sampler_is_due(&s, i)) {
			weir__sampler_next(&s, i);
			at[i % 64]++;
			hits++;
		}
	ck_assert_uint_ge(hits, 6400 * 95 / 100);
	ck_assert_uint_le(hits, 6400 * 105 / 100);
	for (unsigned i = 0; i < 64; i++) {
		ck_assert_uint_ge(at[i], 50);
		ck_assert_uint_le(at[i], 150);
	}
}
END_TEST

START_TEST(no_samples_when_not_wanted)
{
	struct weir_rt_config cfg = runtime_config(_i);
	unsigned times = 100;
	struct weir_rt *rt;

	cfg.sample = WEIR_SAMPLE_NONE;
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_block_on(rt, take_turns, &times), 0);
	ck_assert_int_eq(weir_metrics_poll_time(rt, 0, &histogram), -ENOENT);
	ck_assert_int_eq(weir_metrics_schedule_latency(rt, 0, &histogram), -ENOENT);
	ck_assert_int_eq(weir_metrics_batch_size(rt, 0, &histogram), -ENOENT);
	ck_assert_int_eq(weir_metrics_batch_size(rt, 1, &histogram), -EINVAL);
	ck_assert_uint_eq(histogram.count, 0);
	runtime_end(rt);
	cfg.sample = (1u << 20) + 1;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), -EINVAL);
}
END_TEST

/* Ten pipes become readable at once. */
static int wait_for_byte(void *fd)
{
	struct weir_fd *in;

	ck_assert_int_eq(weir_fd_open(*(int *)fd, &in), 0);
	ck_assert_int_ge(weir_fd_wait(in, WEIR_READABLE, WEIR_FOREVER), 0);
	weir_fd_close(in);
	return 0;
}

static int ten_at_once(void *arg UNUSED)
{
	struct weir_task *tasks[10];
	int ends[10][2];

	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(pipe(ends[i]), 0);
		ck_assert_int_eq(weir_spawn(wait_for_byte, &ends[i][0], &tasks[i]), 0);
	}
	ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(write(ends[i][1], "x", 1), 1);
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(weir_task_join(tasks[i], NULL), 0);
		close(ends[i][0]);
		close(ends[i][1]);
	}
	return 0;
}

START_TEST(a_batch_is_the_events_of_one_poll)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);

	ck_assert_int_eq(weir_rt_block_on(rt, ten_at_once, NULL), 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, WEIR_FOREVER), 0);
	ck_assert_uint_ge(taken(weir_metrics_batch_size, rt)->max, 10);
	weir_rt_free(rt);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(polls_and_schedules_are_exact_on_one_worker, .rounds = ON_FOUR),
		TESTING(a_spent_budget_is_counted),
		TESTING(what_comes_from_outside_waits_and_is_counted_when_taken),
		TESTING(a_full_ring_is_seen),
		TESTING(a_stolen_task_is_away_until_it_has_waited_there),
		TESTING(busy_is_what_was_not_slept),
		EACH(metrics_show_the_blocking_pool),
		TESTING(metrics_describe_the_runtime),
		TESTING(every_poll_and_every_wake_when_asked_for, .rounds = ON_FOUR),
		TESTING(one_poll_in_256_by_default, .rounds = ON_FOUR),
		TESTING(samples_are_not_at_a_fixed_distance),
		TESTING(no_samples_when_not_wanted, .rounds = ON_FOUR),
		TESTING(a_batch_is_the_events_of_one_poll, .rounds = ON_FOUR),
		TESTING(a_struct_without_a_size_is_refused),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
