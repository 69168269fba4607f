/* SPDX-License-Identifier: MIT */
/*
 * os_signal.c: delivering signals to listeners, with several listeners and runtimes on both
 * schedulers. Pending signals coalesce, later ones arrive again, and closed listeners get none.
 */
#include <signal.h>
#include <unistd.h>

#include "tests/unit/runtimes.h"

static int raise_later(void *arg)
{
	weir_sleep(WEIR_MSEC);
	raise(*(int *)arg);
	return 0;
}

ON_EACH(any_signal_again_and_again)
{
	int signals[] = { SIGINT, SIGTERM, SIGUSR1, SIGHUP, SIGRTMIN + 1 };
	struct weir_signal listener;
	unsigned i, round;

	for (i = 0; i < TESTING_COUNT(signals); i++) {
		ck_assert_int_eq(weir_signal_open(&listener, signals[i]), 0);
		for (round = 0; round < 5; round++) {
			ck_assert_int_eq(weir_spawn(raise_later, &signals[i], NULL), 0);
			ck_assert_int_eq(weir_signal_wait(&listener, WEIR_FOREVER), signals[i]);
		}
		ck_assert_int_eq(weir_signal_wait(&listener, weir_deadline_in(WEIR_MSEC)),
				 -ETIMEDOUT);
		weir_signal_close(&listener);
	}
	return 0;
}

static int wait_ctrl_c(void *arg)
{
	add(arg, 1);
	return weir_ctrl_c();
}

ON_EACH(ctrl_c)
{
	unsigned waiting = 0;
	struct weir_task *task;
	int result;

	ck_assert_int_eq(weir_spawn(wait_ctrl_c, &waiting, &task), 0);
	YIELD_UNTIL(get(&waiting));
	/* Another listener is open: without any the signal would end the process. */
	while (!weir_task_is_complete(task)) {
		struct weir_signal listener;

		ck_assert_int_eq(weir_signal_open(&listener, SIGINT), 0);
		raise(SIGINT);
		ck_assert_int_eq(weir_signal_wait(&listener, WEIR_FOREVER), SIGINT);
		weir_signal_close(&listener);
		weir_yield();
	}
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, 0);
	return 0;
}

/* The kernel chooses the thread that gets it. ThreadSanitizer may delay that. */
ON_EACH(a_signal_to_the_process)
{
	struct weir_signal listener;
	int i;

	ck_assert_int_eq(weir_signal_open(&listener, SIGUSR1), 0);
	for (i = 0; i < 50; i++) {
		kill(getpid(), SIGUSR1);
		ck_assert_int_eq(weir_signal_wait(&listener, WEIR_FOREVER), SIGUSR1);
	}
	weir_signal_close(&listener);
	return 0;
}

ON_EACH(signals_coalesce)
{
	struct weir_signal listener;
	int i;

	ck_assert_int_eq(weir_signal_open(&listener, SIGUSR1), 0);
	for (i = 0; i < 100; i++)
		raise(SIGUSR1);
	ck_assert_int_eq(weir_signal_wait(&listener, WEIR_FOREVER), SIGUSR1);
	ck_assert_int_eq(weir_signal_wait(&listener, weir_deadline_in(WEIR_MSEC)), -ETIMEDOUT);
	raise(SIGUSR1);
	ck_assert_int_eq(weir_signal_wait(&listener, 0), SIGUSR1);
	weir_signal_close(&listener);
	/* Signals count from weir_signal_open on, before the first wait. */
	raise(SIGUSR1);
	ck_assert_int_eq(weir_signal_open(&listener, SIGUSR1), 0);
	ck_assert_int_eq(weir_signal_wait(&listener, weir_deadline_in(WEIR_MSEC)), -ETIMEDOUT);
	weir_signal_close(&listener);
	return 0;
}

/* ---- several listeners ------------------------------------------------------------------- */

struct ear {
	int signo;
	unsigned open, heard, stop;
};

static int listen_on(void *arg)
{
	struct ear *ear = arg;
	struct weir_signal listener;
	int rc;

	ck_assert_int_eq(weir_signal_open(&listener, ear->signo), 0);
	add(&ear->open, 1);
	while (!get(&ear->stop) && (rc = weir_signal_wait(&listener, WEIR_FOREVER)) > 0) {
		ck_assert_int_eq(rc, ear->signo);
		add(&ear->heard, 1);
	}
	weir_signal_close(&listener);
	return 0;
}

ON_EACH(every_listener_hears_it)
{
	struct ear ears[5] = { { .signo = SIGUSR1 },
			       { .signo = SIGUSR1 },
			       { .signo = SIGUSR2 },
			       { .signo = SIGUSR1 },
			       { .signo = SIGUSR2 } };
	struct weir_task *tasks[5];
	int i, round;

	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(weir_spawn(listen_on, &ears[i], &tasks[i]), 0);
		YIELD_UNTIL(get(&ears[i].open));
	}
	for (round = 1; round <= 20; round++) {
		raise(SIGUSR1);
		for (i = 0; i < 5; i++)
			YIELD_UNTIL(ears[i].signo == SIGUSR2 ||
				    get(&ears[i].heard) == (unsigned)round);
	}
	ck_assert_uint_eq(ears[2].heard + ears[4].heard, 0);
	/* Aborting one waiter does not disturb the others. */
	weir_task_abort(tasks[0]);
	weir_task_join(tasks[0], NULL);
	raise(SIGUSR1);
	YIELD_UNTIL(get(&ears[1].heard) == 21 && get(&ears[3].heard) == 21);
	ck_assert_uint_eq(ears[0].heard, 20);
	for (i = 1; i < 5; i++)
		set(&ears[i].stop, 1);
	raise(SIGUSR1);
	raise(SIGUSR2);
	for (i = 1; i < 5; i++)
		ck_assert_int_eq(weir_task_join(tasks[i], NULL), 0);
	return 0;
}

static int sleep_long(void *arg)
{
	(void)arg;
	return weir_sleep(3600 * WEIR_SEC) == -ECANCELED ? 0 : -EIO;
}

static void *serve_current(void *rt)
{
	ck_assert_int_eq(weir_rt_block_on(rt, sleep_long, NULL), 0);
	return NULL;
}

/* Runtimes of three kinds get the same signal. When one ends, the others still get signals. */
START_TEST(every_runtime_hears_it)
{
	struct ear ears[RUNTIMES] = { { .signo = SIGUSR1 },
				      { .signo = SIGUSR1 },
				      { .signo = SIGUSR1 } };
	struct weir_rt *rts[RUNTIMES];
	unsigned i, round;
	pthread_t thread;

	for (i = 0; i < RUNTIMES; i++) {
		struct weir_rt_config cfg = runtime_config((int)i);

		cfg.no_io = _i;
		rts[i] = runtime_new(&cfg);
		ck_assert_int_eq(weir_rt_spawn(rts[i], listen_on, &ears[i], NULL), 0);
	}
	thread = thread_start(serve_current, rts[ON_CURRENT]);
	for (i = 0; i < RUNTIMES; i++)
		while (!get(&ears[i].open))
			;
	for (round = 1; round <= 20; round++) {
		raise(SIGUSR1);
		for (i = 0; i < RUNTIMES; i++)
			while (get(&ears[i].heard) < round)
				;
	}
	runtime_end(rts[ON_ONE]);
	raise(SIGUSR1);
	while (get(&ears[ON_CURRENT].heard) < 21 || get(&ears[ON_FOUR].heard) < 21)
		;
	runtime_end(rts[ON_FOUR]);
	runtime_end(rts[ON_CURRENT]);
	pthread_join(thread, NULL);
	/* No listener is left, but the handler is still installed: the signal is ignored. */
	raise(SIGUSR1);
}
END_TEST

static void *bombard(void *arg)
{
	unsigned *stop = arg;

	while (!get(stop))
		raise(SIGUSR2);
	return NULL;
}

static int hear_some(void *arg)
{
	struct weir_signal listener;
	int i;

	(void)arg;
	ck_assert_int_eq(weir_signal_open(&listener, SIGUSR2), 0);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(weir_signal_wait(&listener, WEIR_FOREVER), SIGUSR2);
	weir_signal_close(&listener);
	return 0;
}

/* Runtimes are made and freed while signals keep arriving. */
START_TEST(runtimes_come_and_go_under_fire)
{
	struct weir_rt_config cfg = runtime_config(_i);
	unsigned stop = 0, i;
	pthread_t thread;

	signal(SIGUSR2, SIG_IGN);
	thread = thread_start(bombard, &stop);
	for (i = 0; i < 30; i++)
		runtime_run(&cfg, hear_some, NULL);
	set(&stop, 1);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- refusals ---------------------------------------------------------------------------- */

ON_EACH(a_signal_that_cannot_be_caught)
{
	struct weir_signal listener;
	int bad[] = { SIGKILL, SIGSTOP, 0, -1, 32, 33, 65, 1000, INT_MAX };
	unsigned i;

	for (i = 0; i < TESTING_COUNT(bad); i++)
		ck_assert_msg(weir_signal_open(&listener, bad[i]) == -EINVAL, "signal %d", bad[i]);
	return 0;
}

static int without_driver(void *arg)
{
	struct weir_signal listener;

	(void)arg;
	ck_assert_int_eq(weir_signal_open(&listener, SIGUSR1), -ENODEV);
	ck_assert_int_eq(weir_ctrl_c(), -ENODEV);
	return 0;
}

START_TEST(without_the_driver)
{
	struct weir_rt_config cfg = runtime_config(_i);

	cfg.no_signal = true;
	runtime_run(&cfg, without_driver, NULL);
}
END_TEST

START_TEST(outside_a_worker)
{
	struct weir_signal listener;

	ck_assert_int_eq(weir_signal_open(&listener, SIGUSR1), -ENXIO);
	ck_assert_int_eq(weir_ctrl_c(), -EPERM);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EACH(any_signal_again_and_again),
		EACH(ctrl_c),
		EACH(a_signal_to_the_process, .needs = "nosan"),
		EACH(signals_coalesce),
		EACH(every_listener_hears_it),
		TESTING(every_runtime_hears_it, .rounds = 2),
		EACH(runtimes_come_and_go_under_fire),
		EACH(a_signal_that_cannot_be_caught),
		EACH(without_the_driver),
		TESTING(outside_a_worker),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
