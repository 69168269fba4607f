/* SPDX-License-Identifier: MIT */
/*
 * core_time_clock.c: the test clock. It is paused, is advanced by hand, or advances to the next
 * timer when the runtime has nothing else to do.
 */
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/unit/runtimes.h"

#define HOUR (3600 * WEIR_SEC)

static struct weir_clock *test_clock;
static bool without_io;

static void setup(void)
{
	ck_assert_int_eq(weir_clock_new(&test_clock), 0);
}

static void teardown(void)
{
	weir_clock_free(test_clock);
}

static struct weir_rt_config clocked(void)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);

	cfg.clock = test_clock;
	cfg.no_io = without_io;
	return cfg;
}

/* Defines a test whose body follows. It runs twice, with and without the I/O driver. */
#define CLOCKED(name)                                                                              \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct weir_rt_config cfg;                                                         \
                                                                                                   \
		without_io = _i;                                                                   \
		cfg = clocked();                                                                   \
		runtime_run(&cfg, name##_body, NULL);                                              \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg UNUSED)

#define CLOCKED_CASE(name) TESTING(name, .rounds = 2, .setup = setup, .teardown = teardown)

struct sleeper {
	uint64_t delay_ns;
	unsigned order;			/* its rank in the order of waking, from 1 */
	unsigned *count;
};

static int sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	int rc = weir_sleep(s->delay_ns);

	if (rc == 0)
		set(&s->order, add(s->count, 1));
	return rc;
}

START_TEST(pausing_twice_is_refused)
{
	uint64_t now = weir_clock_now(test_clock);

	ck_assert_uint_eq(now, WEIR_SEC);
	ck_assert_int_eq(weir_clock_pause(test_clock), -EBUSY);
	ck_assert_int_eq(weir_clock_advance(test_clock, 5), 0);
	ck_assert_uint_eq(weir_clock_now(test_clock), now + 5);
	ck_assert_int_eq(weir_clock_resume(test_clock), 0);
	ck_assert_int_eq(weir_clock_resume(test_clock), -EBUSY);
	ck_assert_int_eq(weir_clock_advance(test_clock, 5), -EINVAL);
	while (weir_clock_now(test_clock) == now + 5)
		;
	ck_assert_int_eq(weir_clock_pause(test_clock), 0);
	now = weir_clock_now(test_clock);
	ck_assert_uint_gt(now, WEIR_SEC + 5);
	ck_assert_uint_eq(weir_clock_now(test_clock), now);
	weir_clock_free(NULL);
}
END_TEST

CLOCKED(an_idle_runtime_goes_to_the_next_timer)
{
	uint64_t start = weir_now();

	ck_assert_uint_eq(start, WEIR_SEC);
	ck_assert_int_eq(weir_sleep(HOUR), 0);
	ck_assert_uint_eq(weir_now(), start + HOUR);
	ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	ck_assert_uint_eq(weir_now(), start + HOUR + WEIR_MSEC);
	ck_assert_int_eq(weir_sleep(300 * WEIR_USEC), 0);
	/* Exact to one tick, and never early. */
	ck_assert_uint_ge(weir_now(), start + HOUR + WEIR_MSEC + 300 * WEIR_USEC);
	ck_assert_uint_le(weir_now(), start + HOUR + 2 * WEIR_MSEC);
	ck_assert_uint_eq(weir_rt_now(weir_rt_current()), weir_now());
	ck_assert_uint_eq(weir_clock_now(test_clock), weir_now());
	return 0;
}

CLOCKED(timers_come_in_order)
{
	unsigned count = 0, i;
	struct sleeper sleepers[] = {
		{ 5 * HOUR, 0, &count },       { WEIR_MSEC, 0, &count },
		{ HOUR, 0, &count },	       { 100 * HOUR, 0, &count },
		{ 70 * WEIR_MSEC, 0, &count }, { 2 * WEIR_MSEC, 0, &count },
	};
	static const unsigned expected[] = { 5, 1, 4, 6, 3, 2 };

	for (i = 0; i < 6; i++)
		ck_assert_int_eq(weir_spawn(sleeper_main, &sleepers[i], NULL), 0);
	ck_assert_int_eq(weir_sleep(200 * HOUR), 0);
	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(sleepers[i].order, expected[i]);
	ck_assert_uint_eq(weir_now(), WEIR_SEC + 200 * HOUR);
	return 0;
}

CLOCKED(moved_by_hand)
{
	unsigned count = 0;
	struct sleeper near = { HOUR, 0, &count }, far = { 2 * HOUR, 0, &count };
	struct weir_task *tasks[2];
	int i;

	weir_clock_auto_advance(test_clock, false);
	ck_assert_int_eq(weir_spawn(sleeper_main, &near, &tasks[0]), 0);
	ck_assert_int_eq(weir_spawn(sleeper_main, &far, &tasks[1]), 0);
	weir_yield();
	ck_assert_int_eq(weir_clock_advance(test_clock, HOUR - WEIR_MSEC), 0);
	for (i = 0; i < 200; i++)
		weir_yield();
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(weir_clock_advance(test_clock, WEIR_MSEC), 0);
	YIELD_UNTIL(get(&near.order));
	for (i = 0; i < 200; i++)
		weir_yield();
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(weir_clock_advance(test_clock, 10 * HOUR), 0);
	YIELD_UNTIL(get(&far.order));
	weir_task_join(tasks[0], NULL);
	weir_task_join(tasks[1], NULL);
	return 0;
}

/*
 * Before it sleeps, the worker consumes the wake that the advance sent. It must check timers after
 * that.
 */
CLOCKED(moved_past_a_filed_timer)
{
	unsigned count = 0;
	struct sleeper s = { 10 * WEIR_MSEC, 0, &count };
	struct weir_task *task;

	weir_clock_auto_advance(test_clock, false);
	ck_assert_int_eq(weir_spawn(sleeper_main, &s, &task), 0);
	weir_yield();
	ck_assert_int_eq(weir_clock_advance(test_clock, 20 * WEIR_MSEC), 0);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	ck_assert_uint_eq(s.order, 1);
	return 0;
}

/* The same for the wake that a signal sends. */
CLOCKED(a_signal_arrives_while_the_clock_stands_still)
{
	unsigned count = 0;
	struct sleeper s = { HOUR, 0, &count };
	struct weir_signal usr1;
	struct weir_task *task;

	weir_clock_auto_advance(test_clock, false);
	ck_assert_int_eq(weir_signal_open(&usr1, SIGUSR1), 0);
	ck_assert_int_eq(weir_spawn(sleeper_main, &s, &task), 0);
	weir_yield();
	raise(SIGUSR1);
	ck_assert_int_ge(weir_signal_wait(&usr1, WEIR_FOREVER), 0);
	weir_signal_close(&usr1);
	ck_assert_int_eq(weir_clock_advance(test_clock, HOUR), 0);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	return 0;
}

static uint64_t parks(struct weir_rt *rt)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;

	ck_assert_int_eq(weir_metrics_worker(rt, 0, &m), 0);
	return m.parks;
}

struct parking {
	struct weir_rt *rt;
	uint64_t before;
};

static void *allow_when_parked(void *arg)
{
	struct parking *p = arg;

	while (parks(p->rt) == p->before)
		;
	weir_clock_auto_advance(test_clock, true);
	return NULL;
}

/* A worker that sleeps while auto-advance is off is woken when it is turned on. */
CLOCKED(auto_advance_is_switched_on_while_the_runtime_sleeps)
{
	struct parking p = { weir_rt_current(), parks(weir_rt_current()) };
	pthread_t thread;

	weir_clock_auto_advance(test_clock, false);
	thread = thread_start(allow_when_parked, &p);
	ck_assert_int_eq(weir_sleep(HOUR), 0);
	pthread_join(thread, NULL);
	return 0;
}

static void *advance_until(void *arg)
{
	while (!get(arg))
		ck_assert_int_eq(weir_clock_advance(test_clock, 60 * WEIR_SEC), 0);
	return NULL;
}

/* The worker sleeps, and only the other thread advances the clock. */
CLOCKED(moved_by_another_thread)
{
	unsigned done = 0;
	pthread_t thread;

	weir_clock_auto_advance(test_clock, false);
	thread = thread_start(advance_until, &done);
	ck_assert_int_eq(weir_sleep(HOUR), 0);
	ck_assert_int_eq(weir_sleep(HOUR), 0);
	set(&done, 1);
	pthread_join(thread, NULL);
	return 0;
}

/* ---- blocking jobs stop the clock from advancing ----------------------------------------- */

struct job {
	struct event *start;
	unsigned *fired;
	unsigned running;
	bool ahead;
};

static void nap(void)
{
	struct timespec ts = { 0, 20000000 };

	nanosleep(&ts, NULL);
}

/* For 20 ms the runtime has nothing to do. It must not advance the clock while this job runs. */
static int watch_timer(void *arg)
{
	struct job *j = arg;

	set(&j->running, 1);
	event_wait(j->start, 1);
	nap();
	j->ahead = get(j->fired);
	return 17;
}

CLOCKED(not_while_a_blocking_job_runs)
{
	struct event start = EVENT_INIT;
	unsigned count = 0;
	struct sleeper s = { HOUR, 0, &count };
	struct job job = { &start, &count, 0, true };
	struct weir_task *task;
	int result;

	ck_assert_int_eq(weir_spawn(sleeper_main, &s, &task), 0);
	event_raise(&start);
	ck_assert_int_eq(weir_blocking_run(watch_timer, &job), 17);
	ck_assert(!job.ahead);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, 0);
	return 0;
}

static int wait_for_event(void *arg)
{
	event_wait(arg, 1);
	return 0;
}

/* Advancing by hand works even so. */
CLOCKED(moved_by_hand_while_a_blocking_job_runs)
{
	static struct event end = EVENT_INIT;	/* static: the detached job outlives this frame */
	unsigned count = 0;
	struct sleeper s = { HOUR, 0, &count };
	struct weir_task *task;

	ck_assert_int_eq(weir_spawn(sleeper_main, &s, &task), 0);
	ck_assert_int_eq(weir_blocking_spawn(NULL, wait_for_event, &end), 0);
	weir_yield();
	ck_assert_int_eq(weir_clock_advance(test_clock, 2 * HOUR), 0);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	event_raise(&end);
	return 0;
}

CLOCKED(not_while_a_detached_blocking_job_runs)
{
	struct event start = EVENT_INIT;
	unsigned count = 0;
	struct sleeper s = { HOUR, 0, &count };
	struct job job = { &start, &count, 0, true };
	struct weir_task *task;

	ck_assert_int_eq(weir_spawn(sleeper_main, &s, &task), 0);
	ck_assert_int_eq(weir_blocking_spawn(NULL, watch_timer, &job), 0);
	event_raise(&start);
	/* Once the job is over, the runtime must advance the clock by itself. */
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	ck_assert(!job.ahead);
	return 0;
}

struct outsider {
	struct weir_rt *rt;
	struct job *job;
	unsigned result;
};

static void *block_outside(void *arg)
{
	struct outsider *o = arg;
	struct weir_rt *before = weir_rt_enter(o->rt);
	struct weir_blocking_future blocking;

	weir_blocking_init(&blocking, watch_timer, o->job);
	set(&o->result, (unsigned)weir_block_on(&blocking.future, WEIR_FOREVER));
	weir_rt_leave(before);
	return NULL;
}

CLOCKED(nor_while_another_thread_waits_for_one)
{
	struct event start = EVENT_INIT;
	unsigned count = 0;
	struct sleeper s = { HOUR, 0, &count };
	struct job job = { &start, &count, 0, false };
	struct outsider outsider = { weir_rt_current(), &job, 0 };
	pthread_t thread = thread_start(block_outside, &outsider);
	struct weir_task *task;

	YIELD_UNTIL(get(&job.running));
	event_raise(&start);
	ck_assert_int_eq(weir_spawn(sleeper_main, &s, &task), 0);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	ck_assert(!job.ahead);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(outsider.result, 17);
	return 0;
}

/* ---- a running clock --------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

CLOCKED(a_running_clock_is_waited_for_without_spinning)
{
	uint64_t before, cpu = cpu_ns();

	ck_assert_int_eq(weir_clock_resume(test_clock), 0);
	before = weir_now();
	ck_assert_int_eq(weir_sleep(scaled_ms(100)), 0);
	ck_assert_uint_ge(weir_now() - before, scaled_ms(100));
	ck_assert_uint_lt(cpu_ns() - cpu, scaled_ms(50));
	ck_assert_int_eq(weir_clock_pause(test_clock), 0);
	before = weir_now();
	ck_assert_int_eq(weir_sleep(HOUR), 0);
	ck_assert_uint_ge(weir_now() - before, HOUR);
	return 0;
}

static int sleep_hour(void *arg)
{
	(void)arg;
	return weir_sleep(HOUR);
}

START_TEST(a_clock_outlives_its_runtimes)
{
	int i;

	for (i = 0; i < 3; i++) {
		struct weir_rt_config cfg = clocked();

		runtime_run(&cfg, sleep_hour, NULL);
		ck_assert_int_eq(weir_clock_advance(test_clock, WEIR_SEC), 0);
		ck_assert_int_eq(weir_clock_resume(test_clock), 0);
		ck_assert_int_eq(weir_clock_pause(test_clock), 0);
	}
	ck_assert_uint_ge(weir_clock_now(test_clock), 3 * HOUR + 4 * WEIR_SEC);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(pausing_twice_is_refused, .setup = setup, .teardown = teardown),
		CLOCKED_CASE(an_idle_runtime_goes_to_the_next_timer),
		CLOCKED_CASE(timers_come_in_order),
		CLOCKED_CASE(moved_by_hand),
		CLOCKED_CASE(moved_past_a_filed_timer),
		CLOCKED_CASE(a_signal_arrives_while_the_clock_stands_still),
		CLOCKED_CASE(auto_advance_is_switched_on_while_the_runtime_sleeps),
		CLOCKED_CASE(moved_by_another_thread),
		CLOCKED_CASE(not_while_a_blocking_job_runs),
		CLOCKED_CASE(moved_by_hand_while_a_blocking_job_runs),
		CLOCKED_CASE(not_while_a_detached_blocking_job_runs),
		CLOCKED_CASE(nor_while_another_thread_waits_for_one),
		CLOCKED_CASE(a_running_clock_is_waited_for_without_spinning),
		TESTING(a_clock_outlives_its_runtimes, .setup = setup, .teardown = teardown),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
