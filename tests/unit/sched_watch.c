/* SPDX-License-Identifier: MIT */
/*
 * sched_watch.c: when a worker is stuck in a task, an idle sibling runs its drivers, whichever of
 * them was the watcher when the task was woken.
 */
#include "tests/unit/runtimes.h"

enum {
	STUCK_ROUNDS = 30
};

struct second {
	uint64_t due;
	unsigned at;			/* 1 + the worker whose timer wheel holds its sleep */
	unsigned done;
};

static int sleep_by(void *arg)
{
	struct second *s = arg;

	set(&s->at, 1 + (unsigned)weir_rt_worker_index());
	ck_assert_int_eq(weir_sleep_until(s->due), 0);
	set(&s->done, 1);
	return 0;
}

/*
 * Two tasks sleep on one worker. The first to wake computes until the second has run, which needs
 * another worker. Returns whether they really were on one worker.
 */
static bool get_stuck(void)
{
	uint64_t first_due = weir_deadline_in(scaled_ms(15)), limit;
	struct second s = { .due = first_due + scaled_ms(5) };
	struct weir_task *task;
	bool together;

	ck_assert_int_eq(weir_spawn(sleep_by, &s, &task), 0);
	YIELD_UNTIL(get(&s.at));
	ck_assert_int_eq(weir_sleep_until(first_due), 0);
	together = get(&s.at) == 1 + (unsigned)weir_rt_worker_index();
	limit = weir_deadline_in(testing_hang_ns());
	while (!get(&s.done) && weir_now() < limit)
		;
	ck_assert_msg(get(&s.done), "nobody turned the drivers of a worker that is stuck");
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	return together;
}

static int get_stuck_often(void *arg UNUSED)
{
	unsigned i, together = 0;

	for (i = 0; i < STUCK_ROUNDS || together == 0; i++)
		together += get_stuck();
	return 0;
}

START_TEST(the_drivers_of_a_stuck_worker_are_run)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);

	cfg.workers = 2 + (unsigned)_i;
	runtime_run(&cfg, get_stuck_often, NULL);
}
END_TEST

/* Holds its worker until the task that spawned it and then yielded has continued. */
static int hold_until_released(void *arg)
{
	unsigned *released = arg;
	uint64_t limit = weir_deadline_in(testing_hang_ns());

	while (!get(released) && weir_now() < limit)
		;
	ck_assert_msg(get(released), "nobody took what had yielded on a worker that is stuck");
	return 0;
}

static int yield_before_it(void *arg UNUSED)
{
	struct weir_task *task;
	unsigned released, i;

	for (i = 0; i < STUCK_ROUNDS; i++) {
		set(&released, 0);
		ck_assert_int_eq(weir_spawn(hold_until_released, &released, &task), 0);
		ck_assert_int_eq(weir_yield(), 0);
		set(&released, 1);
		ck_assert_int_eq(weir_task_join(task, NULL), 0);
	}
	return 0;
}

START_TEST(a_task_that_yielded_on_a_stuck_worker_continues)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);

	cfg.workers = 2 + (unsigned)_i;
	runtime_run(&cfg, yield_before_it, NULL);
}
END_TEST

static uint64_t parks_of(unsigned worker)
{
	struct weir_worker_metrics metrics = WEIR_WORKER_METRICS_INIT;

	ck_assert_int_eq(weir_metrics_worker(weir_rt_current(), worker, &metrics), 0);
	return metrics.parks;
}

/* Holds its worker. The other worker is idle, and is the watcher. */
static int hold_for_a_while(void *arg UNUSED)
{
	uint64_t until = weir_deadline_in(50 * WEIR_MSEC);

	while (weir_now() < until)
		;
	ck_assert_uint_lt(parks_of(0) + parks_of(1), 100);
	return 0;
}

START_TEST(a_watch_that_is_due_after_the_end_of_time_sleeps)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);

	cfg.workers = 2;
	cfg.watch_ns = WEIR_FOREVER - 1;
	runtime_run(&cfg, hold_for_a_while, NULL);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_drivers_of_a_stuck_worker_are_run, .rounds = 3),
		TESTING(a_task_that_yielded_on_a_stuck_worker_continues, .rounds = 3),
		TESTING(a_watch_that_is_due_after_the_end_of_time_sleeps),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
