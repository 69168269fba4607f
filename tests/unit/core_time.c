/* SPDX-License-Identifier: MIT */
/*
 * core_time.c: sleeps, resetting them, deadlines around futures, intervals. None may be early. How
 * late one is depends on the machine, and is not tested.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/runtimes.h"

#define LONG (3600 * WEIR_SEC)

/* ---- sleep ------------------------------------------------------------------------------- */

static void sleep_and_check(uint64_t delay_ns)
{
	uint64_t before = weir_now();

	ck_assert_int_eq(weir_sleep(delay_ns), 0);
	ck_assert_uint_ge(weir_now() - before, delay_ns);
}

ON_EACH(no_sleep_is_early)
{
	static const uint64_t delays[] = { 0,	    1,	      999,	1000,	 100000,
					   999999,  1000000,  1000001,	1500000, 3000000,
					   7654321, 63000000, 64000000, 65000000 };
	unsigned i, round;

	for (i = 0; i < TESTING_COUNT(delays); i++)
		for (round = 0; round < (delays[i] > 10000000 ? 1 : 5); round++)
			sleep_and_check(delays[i]);
	return 0;
}

ON_EACH(a_deadline_in_the_past_does_not_wait)
{
	int i;

	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(weir_sleep_until(0), 0);
		ck_assert_int_eq(weir_sleep_until(weir_now() - WEIR_MSEC), 0);
	}
	ck_assert_uint_eq(weir_deadline_in(WEIR_FOREVER), WEIR_FOREVER);
	ck_assert_uint_eq(weir_deadline_in(WEIR_FOREVER - 1), WEIR_FOREVER);
	return 0;
}

struct sleeper {
	uint64_t delay_ns;
	unsigned *done;
};

static int sleeper_main(void *arg)
{
	struct sleeper *s = arg;

	sleep_and_check(s->delay_ns);
	add(s->done, 1);
	return 0;
}

struct sleeper_state {
	struct sleeper *s;
	struct weir_sleep_future sleep;
	uint64_t deadline;
};

static int sleeper_poll(void *state, struct weir_cx *cx)
{
	struct sleeper_state *s = state;
	int rc;

	if (!s->deadline) {
		s->deadline = weir_deadline_in(s->s->delay_ns);
		weir_sleep_init(&s->sleep, s->deadline);
	}
	rc = weir_poll(&s->sleep.future, cx);
	if (rc == WEIR_PENDING)
		return rc;
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_ge(weir_now(), s->deadline);
	add(s->s->done, 1);
	return 0;
}

ON_EACH(thousands_of_sleepers_of_both_sorts)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct sleeper *sleepers = calloc(3000, sizeof *sleepers);
	unsigned done = 0, i, seed = 1;

	for (i = 0; i < 3000; i++) {
		struct sleeper_state state = { .s = &sleepers[i] };

		seed = seed * 1664525u + 1013904223u;
		sleepers[i] = (struct sleeper){ seed % 50000000, &done };
		cfg.poll = sleeper_poll;
		cfg.state = &state;
		cfg.state_bytes = sizeof state;
		ck_assert_int_eq(i % 2 ? weir_spawn(sleeper_main, &sleepers[i], NULL)
				       : weir_task_spawn(NULL, &cfg, NULL),
				 0);
	}
	while (get(&done) < 3000)
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	free(sleepers);
	return 0;
}

static int short_root(void *arg)
{
	(void)arg;
	return weir_yield();
}

/* On the current-thread scheduler, timers fire even if block_on runs only for short times. */
START_TEST(timers_fire_under_short_visits)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);
	unsigned done = 0;
	struct sleeper s = { 3 * WEIR_MSEC, &done };

	ck_assert_int_eq(weir_rt_spawn(rt, sleeper_main, &s, NULL), 0);
	while (!get(&done))
		ck_assert_int_eq(weir_rt_block_on(rt, short_root, NULL), 0);
	runtime_end(rt);
}
END_TEST

/* ---- reset ------------------------------------------------------------------------------- */

/*
 * A task that waits for a sleep, and changes its deadline when a second sleep fires. The first must
 * not fire before `due`.
 */
struct resetter {
	uint64_t first_ns, trigger_ns, reset_ns;
	bool started, was_reset;
	struct weir_sleep_future sleep, trigger;
	uint64_t due;
};

static int resetter_poll(void *state, struct weir_cx *cx)
{
	struct resetter *r = state;

	if (!r->started) {
		r->started = true;
		r->due = weir_deadline_in(r->first_ns);
		weir_sleep_init(&r->sleep, r->due);
		weir_sleep_init(&r->trigger, weir_deadline_in(r->trigger_ns));
	}
	if (weir_poll(&r->sleep.future, cx) == 0) {
		ck_assert(r->was_reset);
		ck_assert_uint_ge(weir_now(), r->due);
		return 0;
	}
	if (!r->was_reset && weir_poll(&r->trigger.future, cx) == 0) {
		r->was_reset = true;
		r->due = weir_deadline_in(r->reset_ns);
		weir_sleep_reset(&r->sleep, r->due);
	}
	return WEIR_PENDING;
}

static void reset_case(uint64_t first_ns, uint64_t trigger_ns, uint64_t reset_ns)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct resetter r = { .first_ns = first_ns,
			      .trigger_ns = trigger_ns,
			      .reset_ns = reset_ns };
	struct weir_task *task;
	int result;

	cfg.poll = resetter_poll;
	cfg.state = &r;
	cfg.state_bytes = sizeof r;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, 0);
}

ON_EACH(a_pending_sleep_is_moved)
{
	int i;

	for (i = 0; i < 5; i++) {
		reset_case(LONG, WEIR_MSEC, 2 * WEIR_MSEC);		/* earlier */
		reset_case(LONG, WEIR_MSEC, 0);				/* now */
		reset_case(WEIR_FOREVER, WEIR_MSEC, WEIR_MSEC);
		reset_case(scaled_ms(40), WEIR_MSEC, scaled_ms(60));	/* later */
	}
	return 0;
}

static int reset_fired(void *state, struct weir_cx *cx)
{
	struct resetter *r = state;

	if (!r->started) {
		r->started = true;
		weir_sleep_init(&r->sleep, 0);
		ck_assert_int_eq(weir_poll(&r->sleep.future, cx), 0);
		/* A sleep that has finished starts again when it is polled after a reset. */
		r->due = weir_deadline_in(2 * WEIR_MSEC);
		weir_sleep_reset(&r->sleep, r->due);
	}
	if (weir_poll(&r->sleep.future, cx) == WEIR_PENDING)
		return WEIR_PENDING;
	ck_assert_uint_ge(weir_now(), r->due);
	return 0;
}

ON_EACH(a_finished_sleep_starts_anew)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_sleep_future sleep;
	struct weir_task *task;
	uint64_t due;
	int result, i;

	cfg.poll = reset_fired;
	cfg.state_bytes = sizeof(struct resetter);
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, 0);
	weir_sleep_init(&sleep, weir_deadline_in(LONG));
	weir_sleep_reset(&sleep, 0);
	ck_assert_int_eq(weir_await(&sleep.future), 0);
	for (i = 0; i < 5; i++) {
		due = weir_deadline_in(WEIR_MSEC);
		weir_sleep_reset(&sleep, due);
		ck_assert_int_eq(weir_await(&sleep.future), 0);
		ck_assert_uint_ge(weir_now(), due);
	}
	return 0;
}

/* Tasks that move between workers and reset their sleeps, which move between the wheels. */
struct mover {
	struct weir_sleep_future sleep;
	struct weir_yield_future yield;
	unsigned rounds, seed;
	bool started, yielding;
	uint64_t due;
};

static int mover_poll(void *state, struct weir_cx *cx)
{
	struct mover *m = state;

	if (!m->started) {
		m->started = true;
		m->due = weir_deadline_in(LONG);
		weir_sleep_init(&m->sleep, m->due);
	}
	if (weir_poll(&m->sleep.future, cx) == 0) {
		ck_assert_uint_ge(weir_now(), m->due);
		if (m->rounds == 0)
			return 0;
	}
	if (m->rounds) {
		m->rounds--;
		m->seed = m->seed * 1664525u + 1013904223u;
		m->due = weir_deadline_in(m->rounds ? m->seed % 3000000 : 0);
		weir_sleep_reset(&m->sleep, m->due);
		weir_waker_wake(&cx->waker);
		/* Polls at once, so that a sleep that had finished is put into the wheel again. */
		if (weir_poll(&m->sleep.future, cx) == 0 && m->rounds == 0)
			return 0;
	}
	return WEIR_PENDING;
}

ON_EACH(sleeps_are_moved_from_wheel_to_wheel)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	unsigned i;

	cfg.poll = mover_poll;
	cfg.state_bytes = sizeof(struct mover);
	for (i = 0; i < 40; i++) {
		struct mover m = { .rounds = 500, .seed = i };

		cfg.state = &m;
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), 0);
	}
	while (weir_rt_alive(weir_rt_current()) > 1)
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	return 0;
}

/* ---- timeouts ---------------------------------------------------------------------------- */

static int ready_poll(struct weir_future *future, struct weir_cx *cx)
{
	(void)future;
	(void)cx;
	return 12;
}

/* A future that uses up the budget at every poll, and finishes only when it is cancelled. */
struct hog {
	struct weir_future future;
	bool cancelled;
};

static int hog_poll(struct weir_future *future, struct weir_cx *cx)
{
	if (WEIR_CONTAINER_OF(future, struct hog, future)->cancelled)
		return -ECANCELED;
	while (weir_coop_take(cx))
		;
	return WEIR_PENDING;
}

static void hog_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct hog, future)->cancelled = true;
}

static const struct weir_future_ops ready_ops = { "ready", ready_poll, NULL, NULL };
static const struct weir_future_ops hog_ops = { "hog", hog_poll, hog_cancel, NULL };

ON_EACH(a_ready_future_beats_a_past_deadline)
{
	struct weir_future ready = { &ready_ops };
	struct weir_sleep_future sleep;

	ck_assert_int_eq(weir_await_until(&ready, 0), 12);
	ck_assert_int_eq(weir_await_until(&ready, WEIR_FOREVER), 12);
	ck_assert_int_eq(weir_await_until(&ready, WEIR_FOREVER - 1), 12);
	weir_sleep_init(&sleep, weir_deadline_in(LONG));
	ck_assert_int_eq(weir_await_until(&sleep.future, 0), -ETIMEDOUT);
	weir_sleep_init(&sleep, weir_deadline_in(WEIR_MSEC));
	ck_assert_int_eq(weir_await_until(&sleep.future, weir_deadline_in(LONG)), 0);
	weir_sleep_init(&sleep, weir_deadline_in(WEIR_MSEC));
	ck_assert_int_eq(weir_await_until(&sleep.future, WEIR_FOREVER - 5), 0);
	return 0;
}

ON_EACH(a_future_that_exhausts_the_budget_still_times_out)
{
	struct hog hog = { { &hog_ops }, false };

	ck_assert_int_eq(weir_await_until(&hog.future, weir_deadline_in(2 * WEIR_MSEC)),
			 -ETIMEDOUT);
	hog.cancelled = false;
	ck_assert_int_eq(weir_await_until(&hog.future, 0), -ETIMEDOUT);
	return 0;
}

static int wait_for_sem(void *arg)
{
	return weir_sem_acquire_until(arg, 1, weir_deadline_in(LONG));
}

ON_EACH(an_abort_is_no_timeout)
{
	struct weir_timeout_future outer, inner;
	struct weir_sleep_future sleep;
	struct weir_task *task;
	struct weir_sem sem;
	int result;

	weir_sem_init(&sem, 0);
	ck_assert_int_eq(weir_spawn(wait_for_sem, &sem, &task), 0);
	weir_yield();
	weir_task_abort(task);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, -ECANCELED);
	weir_sem_fini(&sem);
	/* Of two nested timeouts the earlier one applies. */
	weir_sleep_init(&sleep, weir_deadline_in(LONG));
	weir_timeout_init(&inner, &sleep.future, weir_deadline_in(LONG));
	weir_timeout_init(&outer, &inner.future, weir_deadline_in(WEIR_MSEC));
	ck_assert_int_eq(weir_await(&outer.future), -ETIMEDOUT);
	weir_sleep_init(&sleep, weir_deadline_in(LONG));
	weir_timeout_init(&inner, &sleep.future, weir_deadline_in(WEIR_MSEC));
	weir_timeout_init(&outer, &inner.future, weir_deadline_in(LONG));
	ck_assert_int_eq(weir_await(&outer.future), -ETIMEDOUT);
	return 0;
}

/* ---- without the driver ------------------------------------------------------------------ */

static int give(void *arg)
{
	return *(int *)arg;
}

static int timeless(void *arg)
{
	struct weir_future ready = { &ready_ops };
	struct weir_interval interval;
	struct weir_task *task;
	struct weir_sem sem;
	int value = 3, result;

	(void)arg;
	weir_sem_init(&sem, 0);
	ck_assert_int_eq(weir_sleep(0), -ENODEV);
	ck_assert_int_eq(weir_sleep_until(WEIR_FOREVER), -ENODEV);
	ck_assert_int_eq(weir_await_until(&ready, 0), 12);
	ck_assert_int_eq(weir_sem_acquire_until(&sem, 1, weir_deadline_in(LONG)), -ENODEV);
	ck_assert_int_eq(weir_interval_init(&interval, 0, WEIR_MSEC, WEIR_TICK_BURST), 0);
	ck_assert_int_eq(weir_interval_tick(&interval, NULL), -ENODEV);
	/* Everything else works. */
	ck_assert_int_eq(weir_yield(), 0);
	ck_assert_int_eq(weir_spawn(give, &value, &task), 0);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, 3);
	ck_assert_int_eq(weir_blocking_run(give, &value), 3);
	weir_sem_release(&sem, 1);
	ck_assert_int_eq(weir_sem_acquire(&sem, 1), 0);
	weir_sem_fini(&sem);
	return 0;
}

START_TEST(without_the_time_driver)
{
	struct weir_rt_config cfg = runtime_config(_i % RUNTIMES);

	cfg.no_time = true;
	cfg.no_io = _i >= RUNTIMES;
	runtime_run(&cfg, timeless, NULL);
}
END_TEST

/* ---- intervals --------------------------------------------------------------------------- */

/* Period 10, first tick at 100. For each call, the time of the call and the tick it must return. */
struct table {
	enum weir_missed_tick missed;
	uint64_t seen[6], due[6];
};

static const struct table tables[] = {
	{ WEIR_TICK_BURST, { 100, 110, 135, 136, 137, 140 }, { 100, 110, 120, 130, 140, 150 } },
	{ WEIR_TICK_DELAY, { 100, 110, 135, 145, 171, 181 }, { 100, 110, 120, 145, 155, 181 } },
	{ WEIR_TICK_SKIP, { 100, 110, 135, 140, 171, 180 }, { 100, 110, 120, 140, 150, 180 } },
	{ WEIR_TICK_SKIP, { 100, 119, 120, 140, 150, 160 }, { 100, 110, 120, 130, 150, 160 } },
};

START_TEST(ticks_that_were_missed)
{
	const struct table *t = &tables[_i];
	struct weir_interval interval;
	int i;

	ck_assert_int_eq(weir_interval_init(&interval, 100, 10, t->missed), 0);
	for (i = 0; i < 6; i++)
		ck_assert_msg(weir_interval_advance(&interval, t->seen[i]) == t->due[i], "tick %d",
			      i);
}
END_TEST

START_TEST(interval_misuse_and_limits)
{
	struct weir_interval interval;

	ck_assert_int_eq(weir_interval_init(&interval, 0, 0, WEIR_TICK_BURST), -EINVAL);
	ck_assert_int_eq(weir_interval_init(&interval, 0, 1, (enum weir_missed_tick)9), -EINVAL);
	ck_assert_int_eq(weir_interval_init(&interval, WEIR_FOREVER - 1, 10, WEIR_TICK_SKIP), 0);
	ck_assert_uint_eq(weir_interval_advance(&interval, 0), WEIR_FOREVER - 1);
	ck_assert_uint_eq(interval.next_ns, WEIR_FOREVER);
	ck_assert_int_eq(weir_interval_init(&interval, 5, WEIR_FOREVER, WEIR_TICK_DELAY), 0);
	ck_assert_uint_eq(weir_interval_advance(&interval, 7), 5);
	ck_assert_uint_eq(interval.next_ns, WEIR_FOREVER);
}
END_TEST

/* So late that the next multiple of the period would overflow. */
START_TEST(a_tick_that_is_skipped_near_the_end_of_time)
{
	const uint64_t period = WEIR_FOREVER / 3 * 2;
	struct weir_interval interval;

	ck_assert_int_eq(weir_interval_init(&interval, 5, period, WEIR_TICK_SKIP), 0);
	ck_assert_uint_eq(weir_interval_advance(&interval, period + 6), 5);
	ck_assert_uint_eq(interval.next_ns, WEIR_FOREVER);
	ck_assert_int_eq(weir_interval_init(&interval, 100, 10, WEIR_TICK_SKIP), 0);
	ck_assert_uint_eq(weir_interval_advance(&interval, WEIR_FOREVER - 2), 100);
	ck_assert_uint_eq(interval.next_ns, WEIR_FOREVER);
}
END_TEST

ON_EACH(an_interval_beats)
{
	struct weir_interval interval;
	uint64_t first = weir_now(), due, last = 0;
	int i;

	ck_assert_int_eq(weir_interval_init(&interval, first, 2 * WEIR_MSEC, WEIR_TICK_BURST), 0);
	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(weir_interval_tick(&interval, &due), 0);
		ck_assert_uint_ge(weir_now(), due);
		ck_assert_uint_eq(due, first + (uint64_t)i * 2 * WEIR_MSEC);
		ck_assert(i == 0 || due > last);
		last = due;
	}
	ck_assert_int_eq(weir_interval_tick(&interval, NULL), 0);
	return 0;
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EACH(no_sleep_is_early),
		EACH(a_deadline_in_the_past_does_not_wait),
		EACH(thousands_of_sleepers_of_both_sorts),
		EACH(timers_fire_under_short_visits),
		EACH(a_pending_sleep_is_moved),
		EACH(a_finished_sleep_starts_anew),
		EACH(sleeps_are_moved_from_wheel_to_wheel),
		EACH(a_ready_future_beats_a_past_deadline),
		EACH(a_future_that_exhausts_the_budget_still_times_out),
		EACH(an_abort_is_no_timeout),
		TESTING(without_the_time_driver, .rounds = 2 * RUNTIMES),
		TESTING(ticks_that_were_missed, .rounds = TESTING_COUNT(tables)),
		TESTING(interval_misuse_and_limits),
		TESTING(a_tick_that_is_skipped_near_the_end_of_time),
		EACH(an_interval_beats),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
