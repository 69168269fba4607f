/* SPDX-License-Identifier: MIT */
/*
 * sched_config.c: an error about an option out of range names the option and its range. Under a CPU
 * quota, options that would hurt are turned off, with a note. A worker that polls without end never
 * sleeps.
 */
#include "sched/worker.h"
#include "tests/unit/machines.h"
#include "tests/unit/runtimes.h"
#include "weir/metrics.h"

/* ---- refusals ---- */

static void refused(const struct weir_rt_config *cfg, const char *says)
{
	struct weir_rt *rt = NULL;

	ck_assert_int_eq(weir_rt_new(cfg, &rt), -EINVAL);
	ck_assert_ptr_null(rt);
	ck_assert_msg(strstr(weir_rt_why(), says), "'%s' does not say '%s'", weir_rt_why(), says);
}

START_TEST(what_is_out_of_range_is_named)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);

	cfg.steal = (enum weir_steal_mode)4;
	refused(&cfg, "steal 4");
	refused(&cfg, "WEIR_STEAL_NODE");
	cfg = runtime_config(ON_FOUR);
	cfg.remote_after = 1025;
	refused(&cfg, "remote_after 1025 is out of range: 1 to 1024");
	cfg = runtime_config(ON_FOUR);
	cfg.spin_ns = 6 * WEIR_MSEC;
	refused(&cfg, "spin_ns 6000000 is out of range: 0 to 5000000, or WEIR_FOREVER");
	cfg = runtime_config(ON_FOUR);
	cfg.workers = WORKERS_MAX + 1;
	refused(&cfg, "workers 257 is out of range: 0 to 256");
}
END_TEST

START_TEST(workers_are_counted_in_one_place)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;

	cfg.place = &place;
	place.workers = 3;
	cfg.workers = 2;
	refused(&cfg, "workers is 2, but place.workers is 3");
	cfg.workers = 3;
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(weir_rt_workers(rt), 3);
	runtime_end(rt);
	cfg.workers = 0;
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(weir_rt_workers(rt), 3);
	runtime_end(rt);
}
END_TEST

/* ---- busy polling, and quotas ---- */

static uint64_t parks(struct weir_rt *rt)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;
	uint64_t sum = 0;

	for (unsigned i = 0; weir_metrics_worker(rt, i, &m) == 0; i++)
		sum += m.parks;
	return sum;
}

static int nap_and_yield(void *arg UNUSED)
{
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
		ck_assert_int_eq(weir_yield(), 0);
	}
	return 0;
}

/* Spawns from outside, uses timers, and pauses. */
static void use_for_a_while(struct weir_rt *rt)
{
	struct weir_task *task;

	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(weir_rt_spawn(rt, nap_and_yield, NULL, &task), 0);
		ck_assert_int_eq(weir_task_join(task, NULL), 0);
		ck_assert_int_eq(weir_rt_block_on(rt, nap_and_yield, NULL), 0);
	}
}

START_TEST(a_worker_that_polls_without_end_never_sleeps)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt;

	cfg.workers = 1 + (unsigned)_i % 2;
	cfg.spin_ns = _i < 2 ? WEIR_FOREVER : 0;
	rt = runtime_new(&cfg);
	ck_assert_ptr_null(weir_rt_note(rt, 0));
	use_for_a_while(rt);
	if (_i < 2)
		ck_assert_uint_eq(parks(rt), 0);
	else
		ck_assert_uint_gt(parks(rt), 0);
	runtime_end(rt);
}
END_TEST

/* Holds its worker until a timer of another task on that worker has fired. */
static int hold_until(void *arg)
{
	while (!get(arg))
		;
	return 0;
}

static int be_rescued(void *arg UNUSED)
{
	unsigned done = 0;
	struct weir_task *holder;

	for (int i = 0; i < 10; i++) {
		set(&done, 0);
		ck_assert_int_eq(weir_spawn(hold_until, &done, &holder), 0);
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
		set(&done, 1);
		ck_assert_int_eq(weir_task_join(holder, NULL), 0);
	}
	return 0;
}

START_TEST(a_polling_worker_watches_its_siblings)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);

	cfg.workers = 2;
	cfg.spin_ns = WEIR_FOREVER;
	runtime_run(&cfg, be_rescued, NULL);
}
END_TEST

/* A test clock advances only when the worker waits. */
START_TEST(a_test_clock_goes_on_although_the_worker_polls)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	uint64_t before;

	cfg.spin_ns = WEIR_FOREVER;
	ck_assert_int_eq(weir_clock_new(&cfg.clock), 0);
	weir_clock_pause(cfg.clock);
	before = weir_clock_now(cfg.clock);
	runtime_run(&cfg, nap_and_yield, NULL);
	ck_assert_uint_ge(weir_clock_now(cfg.clock) - before, 5 * WEIR_MSEC);
	weir_clock_free(cfg.clock);
}
END_TEST

START_TEST(a_quota_limits_workers_polling_and_binding_and_says_so)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct machine machine;
	struct weir_rt *rt;

	machine_make(&machine, 1, 1, 4, 1);
	machine.topo.quota_milli = 1500;
	place.bind = WEIR_BIND_CPU;
	cfg.place = &place;
	cfg.topo = &machine.topo;
	cfg.spin_ns = WEIR_FOREVER;
	cfg.backend = "epoll";
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(weir_rt_workers(rt), 2);
	ck_assert_str_eq(weir_rt_note(rt, 0), "2 workers: a quota of 1.5 CPUs");
	ck_assert_str_eq(weir_rt_note(rt, 1),
			 "workers are not bound to one CPU each: the quota is 1.5 CPUs of 4");
	ck_assert_str_eq(weir_rt_note(rt, 2),
			 "idle workers sleep instead of polling: the quota is 1.5 CPUs of 4");
	ck_assert_ptr_null(weir_rt_note(rt, 3));
	use_for_a_while(rt);
	ck_assert_uint_gt(parks(rt), 0);
	runtime_end(rt);
}
END_TEST

START_TEST(requested_workers_give_no_note)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct machine machine;
	struct weir_rt *rt;

	machine_make(&machine, 1, 1, 4, 1);
	machine.topo.quota_milli = 500;
	cfg.topo = &machine.topo;
	cfg.backend = "epoll";
	cfg.workers = 3;
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(weir_rt_workers(rt), 3);
	ck_assert_ptr_null(weir_rt_note(rt, 0));
	runtime_end(rt);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(what_is_out_of_range_is_named),
		TESTING(workers_are_counted_in_one_place),
		TESTING(a_worker_that_polls_without_end_never_sleeps, .rounds = 4),
		TESTING(a_polling_worker_watches_its_siblings, .needs = "2cpus"),
		TESTING(a_test_clock_goes_on_although_the_worker_polls),
		TESTING(a_quota_limits_workers_polling_and_binding_and_says_so),
		TESTING(requested_workers_give_no_note),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
