/* SPDX-License-Identifier: MIT */
/*
 * sched_stall.c: a task that holds its worker is reported once, with its backtrace. A task that
 * gets no CPU time, or sleeps, is not. Tasks that should stall compute until they were seen, so
 * nothing depends on the speed of the machine.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sched/worker.h"
#include "tests/unit/runtimes.h"

#define BOUND (10 * WEIR_MSEC)

/* Only the functions that a backtrace should contain are in this section. */
#define GUILTY __attribute__((noinline, section("guilty")))
extern const char __start_guilty[], __stop_guilty[];

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

static uint64_t stalls_of(struct weir_rt *rt, unsigned worker)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;

	ck_assert_int_eq(weir_metrics_worker(rt, worker, &m), 0);
	return m.stalls;
}

static struct weir_stall last_stall(struct weir_rt *rt, unsigned worker)
{
	struct weir_stall stall = WEIR_STALL_INIT;

	ck_assert_int_eq(weir_metrics_last_stall(rt, worker, &stall), 0);
	return stall;
}

/* Computes, calling only the clock, until one more stall of this worker has been counted. */
GUILTY static void hold_until_seen(void)
{
	struct weir_rt *rt = weir_rt_current();
	unsigned me = (unsigned)weir_rt_worker_index();
	uint64_t before = stalls_of(rt, me);

	while (stalls_of(rt, me) == before)
		(void)weir_now();
}

/* Computes for this much CPU time. */
GUILTY static void burn(uint64_t ns)
{
	uint64_t end = cpu_ns() + ns;

	while (cpu_ns() < end)
		;
}

static int stall_once(void *arg UNUSED)
{
	hold_until_seen();
	return 0;
}

static int stall_in_poll(void *state UNUSED, struct weir_cx *cx UNUSED)
{
	hold_until_seen();
	return 0;
}

/* ---- what is reported -------------------------------------------------------------------- */

struct told {
	unsigned times;
	bool in_task;
	struct weir_stall stall;
};

static void on_stall(void *arg, const struct weir_stall *stall)
{
	struct told *told = arg;

	told->stall = *stall;
	told->in_task = weir_task_current() != NULL;
	add(&told->times, 1);
}

static struct weir_rt_config watched(int kind, struct told *told)
{
	struct weir_rt_config cfg = runtime_config(kind);

	cfg.stall_ns = BOUND;
	cfg.on_stall = on_stall;
	cfg.hook_arg = told;
	return cfg;
}

static bool is_guilty(const struct weir_stall *stall)
{
	for (unsigned i = 0; i < stall->frames_len; i++)
		if ((const char *)stall->frames[i] >= __start_guilty &&
		    (const char *)stall->frames[i] < __stop_guilty)
			return true;
	return false;
}

static unsigned line;
static uint64_t id;

static int spawn_one(void *stackless)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	cfg.name = "a task with a name that is longer than what a record has room for";
	if (stackless)
		cfg.poll = stall_in_poll;
	else
		cfg.fn = stall_once;
	cfg.ret_id = &id;
	line = __LINE__ + 1;
	cfg.where = WEIR_HERE;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	return weir_task_join(task, NULL);
}

static struct weir_stall stall_one(int kind, bool stackless)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(kind, &told);
	struct weir_rt *rt = runtime_new(&cfg);

	ck_assert_int_eq(weir_rt_block_on(rt, spawn_one, stackless ? &told : NULL), 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, WEIR_FOREVER), 0);
	weir_rt_free(rt);
	ck_assert_uint_eq(told.times, 1);
	ck_assert(!told.in_task);
	return told.stall;
}

START_TEST(a_stall_is_reported_with_name_place_and_backtrace)
{
	struct weir_stall stall = stall_one(_i / 2, _i % 2);

	ck_assert_uint_eq(stall.size, sizeof stall);
	ck_assert_uint_eq(stall.number, 1);
	ck_assert_uint_eq(stall.worker, 0);
	ck_assert_uint_eq(stall.task_id, id);
	ck_assert_uint_ge(stall.cpu_ns, BOUND);
	ck_assert_uint_eq(stall.over, 1);
	ck_assert_str_eq(stall.task_name, "a task with a name that is longer than what a r");
	ck_assert_ptr_nonnull(stall.where);
	ck_assert_uint_eq(stall.where->line, line);
	ck_assert_str_eq(stall.where->func, "spawn_one");
	/*
	 * On some processors the PLT stubs have no unwind information, so this tries several times.
	 */
	for (unsigned i = 0; i < 5 && !is_guilty(&stall); i++)
		stall = stall_one(_i / 2, _i % 2);
	ck_assert_uint_gt(stall.frames_len, 1);
	ck_assert(is_guilty(&stall));
}
END_TEST

/* However long it lasts, it is one stall. */
static int stall_on(void *arg UNUSED)
{
	struct weir_rt *rt = weir_rt_current();
	uint64_t first;

	hold_until_seen();
	first = last_stall(rt, 0).cpu_ns;
	while (last_stall(rt, 0).cpu_ns < first + 3 * BOUND)
		;
	ck_assert_uint_eq(stalls_of(rt, 0), 1);
	ck_assert_uint_eq(last_stall(rt, 0).over, 0);
	ck_assert_int_eq(weir_yield(), 0);
	ck_assert_uint_eq(last_stall(rt, 0).over, 1);
	hold_until_seen();
	return 0;
}

START_TEST(each_stall_is_reported_once)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(_i, &told);
	struct weir_rt *rt = runtime_new(&cfg);

	ck_assert_int_eq(weir_rt_block_on(rt, stall_on, NULL), 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, WEIR_FOREVER), 0);
	ck_assert_uint_eq(told.times, 2);
	ck_assert_uint_eq(told.stall.number, 2);
	ck_assert_uint_eq(stalls_of(rt, 0), 2);
	weir_rt_free(rt);
}
END_TEST

static int hold_until_set(void *word)
{
	while (!get(word))
		(void)weir_now();
	return 0;
}

START_TEST(a_stall_is_seen_while_it_goes_on)
{
	struct weir_rt_config cfg = watched(ON_ONE, NULL);
	struct weir_stall stall = WEIR_STALL_INIT;
	struct weir_rt *rt;
	unsigned let_go = 0;

	cfg.on_stall = NULL;
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_metrics_last_stall(rt, 0, &stall), -ENOENT);
	ck_assert_int_eq(weir_rt_spawn(rt, hold_until_set, &let_go, NULL), 0);
	while (weir_metrics_last_stall(rt, 0, &stall) == -ENOENT)
		sched_yield();
	ck_assert_uint_eq(stall.over, 0);
	ck_assert_str_eq(stall.task_name, __func__);
	set(&let_go, 1);
	runtime_end(rt);
}
END_TEST

static int stall_seven_times(void *arg UNUSED)
{
	for (unsigned i = 0; i < 7; i++) {
		hold_until_seen();
		ck_assert_int_eq(weir_yield(), 0);
	}
	return 0;
}

START_TEST(reports_are_limited_and_counting_is_not)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_CURRENT, &told);
	uint64_t before = weir_now();
	struct weir_rt *rt = runtime_new(&cfg);

	ck_assert_int_eq(weir_rt_block_on(rt, stall_seven_times, NULL), 0);
	ck_assert_uint_eq(stalls_of(rt, 0), 7);
	ck_assert_uint_eq(last_stall(rt, 0).number, 7);
	if (weir_now() - before < 60 * WEIR_SEC)
		ck_assert_uint_eq(told.times, 5);
	runtime_end(rt);
}
END_TEST

START_TEST(a_minute_has_five_reports)
{
	struct stall s = { 0 };

	for (unsigned i = 0; i < 5; i++)
		ck_assert(weir__stall_may_report(&s, WEIR_SEC * (100 + i)));
	ck_assert(!weir__stall_may_report(&s, WEIR_SEC * 105));
	ck_assert(!weir__stall_may_report(&s, WEIR_SEC * 160 - 1));
	ck_assert(weir__stall_may_report(&s, WEIR_SEC * 160));
	for (unsigned i = 1; i < 5; i++)
		ck_assert(weir__stall_may_report(&s, WEIR_SEC * 160));
	ck_assert(!weir__stall_may_report(&s, WEIR_SEC * 219));
}
END_TEST

/* ---- what is not reported ---------------------------------------------------------------- */

static int sleep_in_a_call(void *arg UNUSED)
{
	struct timespec left = { 0, 5 * BOUND };

	while (nanosleep(&left, &left) < 0)
		;
	return 0;
}

START_TEST(a_task_that_sleeps_in_a_call_is_not_reported)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_CURRENT, &told);
	struct weir_rt *rt = runtime_new(&cfg);

	ck_assert_int_eq(weir_rt_block_on(rt, sleep_in_a_call, NULL), 0);
	ck_assert_uint_eq(stalls_of(rt, 0) + told.times, 0);
	runtime_end(rt);
}
END_TEST

static unsigned stop_spinning;

static void *spin(void *arg UNUSED)
{
	while (!get(&stop_spinning))
		;
	return NULL;
}

#define SPINNERS 40

/*
 * The worker's thread shares a CPU: in ten times the bound it gets much less CPU time than the
 * bound.
 */
static int starve(void *arg)
{
	uint64_t wall = weir_now(), cpu = cpu_ns();

	while (weir_now() - wall < 10 * BOUND && cpu_ns() - cpu < BOUND * 3 / 4)
		;
	*(bool *)arg = weir_now() - wall >= 10 * BOUND;
	set(&stop_spinning, 1);
	return 0;
}

START_TEST(a_task_without_cpu_time_is_not_reported)
{
	struct weir_rt_config cfg = watched(ON_CURRENT, NULL);
	pthread_t spinners[SPINNERS];
	struct weir_rt *rt;
	bool starved = false;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	cfg.on_stall = NULL;
	rt = runtime_new(&cfg);
	for (unsigned i = 0; i < SPINNERS; i++)
		spinners[i] = thread_start(spin, NULL);
	ck_assert_int_eq(weir_rt_block_on(rt, starve, &starved), 0);
	for (unsigned i = 0; i < SPINNERS; i++)
		pthread_join(spinners[i], NULL);
	ck_assert_uint_eq(stalls_of(rt, 0), 0);
	runtime_end(rt);
	if (!starved)
		testing_skip("the threads that spin on its CPU have not kept it from running");
}
END_TEST

static int burn_long(void *arg UNUSED)
{
	burn(10 * BOUND);
	return 0;
}

START_TEST(a_disabled_detector_does_nothing)
{
	struct weir_rt_config cfg = watched(_i, NULL);
	struct weir_stall stall = WEIR_STALL_INIT;
	struct sigaction now;
	struct weir_rt *rt;

	cfg.stall_ns = WEIR_FOREVER;
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_block_on(rt, burn_long, NULL), 0);
	ck_assert_uint_eq(stalls_of(rt, 0), 0);
	ck_assert_int_eq(weir_metrics_last_stall(rt, 0, &stall), -ENOENT);
	ck_assert_int_eq(sigaction(SIGURG, NULL, &now), 0);
	ck_assert(now.sa_handler == SIG_DFL);
	runtime_end(rt);
}
END_TEST

/* This thread is not the worker any more. The thread that is can still stall. */
static int burn_in_place(void *arg UNUSED)
{
	ck_assert_int_eq(weir_block_in_place(burn_long, NULL), 0);
	ck_assert_uint_eq(stalls_of(weir_rt_current(), 0), 0);
	hold_until_seen();
	return 0;
}

START_TEST(a_task_that_blocks_in_place_is_not_reported)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_ONE, &told);

	cfg.backend = "epoll";
	runtime_run(&cfg, burn_in_place, NULL);
	ck_assert_uint_eq(told.times, 1);
}
END_TEST

/* ---- threads, signals, processes --------------------------------------------------------- */

START_TEST(each_block_on_is_watched)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_CURRENT, &told);
	struct weir_rt *rt = runtime_new(&cfg);

	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(weir_rt_block_on(rt, stall_once, NULL), 0);
		ck_assert_uint_eq(told.times, i);
		burn(3 * BOUND);	/* outside block_on, so it is no stall */
		ck_assert_uint_eq(stalls_of(rt, 0), i);
	}
	runtime_end(rt);
}
END_TEST

START_TEST(a_worker_born_with_signals_blocked_is_watched)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_ONE, &told);
	sigset_t all, before;
	struct weir_rt *rt;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rt = runtime_new(&cfg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	ck_assert_int_eq(weir_rt_block_on(rt, stall_once, NULL), 0);
	runtime_end(rt);
	ck_assert_uint_eq(told.times, 1);
}
END_TEST

static unsigned urgent;

static void on_urgent(int signo UNUSED)
{
	add(&urgent, 1);
}

static int raise_urgent(void *arg UNUSED)
{
	ck_assert_int_eq(raise(SIGURG), 0);
	hold_until_seen();
	return 0;
}

START_TEST(an_earlier_handler_gets_signals_that_are_not_weirs)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_ONE, &told);

	signal(SIGURG, on_urgent);
	runtime_run(&cfg, raise_urgent, NULL);
	ck_assert_uint_eq(urgent, 1);
	ck_assert_uint_eq(told.times, 1);
	ck_assert_int_eq(raise(SIGURG), 0);
	ck_assert_uint_eq(urgent, 2);
}
END_TEST

static void raise_and_stall(int signo)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_ONE, &told);
	struct weir_rt *rt;

	cfg.stall_signal = signo;
	signal(signo, SIG_DFL);
	rt = runtime_new(&cfg);
	ck_assert_int_eq(raise(signo), 0);
	ck_assert_int_eq(weir_rt_block_on(rt, stall_once, NULL), 0);
	runtime_end(rt);
	ck_assert_uint_eq(told.times, 1);
}

START_TEST(a_signal_that_does_nothing_by_default_stays_ours)
{
	static const int signals[] = { SIGURG, SIGWINCH, SIGCONT };

	raise_and_stall(signals[_i]);
}
END_TEST

/* Not under qemu-user, which treats every SIGCHLD, even a timer's, as one from a child. */
START_TEST(the_signal_of_children_stays_ours)
{
	raise_and_stall(SIGCHLD);
}
END_TEST

START_TEST(another_signal_may_be_used)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_ONE, &told), other = runtime_config(ON_CURRENT);
	struct weir_rt *rt;
	char sentence[80];

	cfg.stall_signal = SIGRTMIN + 3;
	runtime_run(&cfg, stall_once, NULL);
	ck_assert_uint_eq(told.times, 1);
	ck_assert_int_eq(weir_rt_new(&other, &rt), -EBUSY);
	snprintf(sentence, sizeof sentence,
		 "stall_signal %d: another runtime of this process already uses %d", SIGURG,
		 SIGRTMIN + 3);
	ck_assert_str_eq(weir_rt_why(), sentence);
}
END_TEST

static int listen_to_it(void *arg UNUSED)
{
	struct weir_signal s;

	ck_assert_int_eq(weir_signal_open(&s, SIGURG), -EBUSY);
	return 0;
}

START_TEST(nobody_listens_to_its_signal)
{
	struct weir_rt_config cfg = watched(ON_CURRENT, NULL);

	runtime_run(&cfg, listen_to_it, NULL);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	struct weir_rt *rt;

	cfg.stall_ns = WEIR_MSEC - 1;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), -EINVAL);
	ck_assert_ptr_nonnull(strstr(weir_rt_why(), "stall_ns 999999"));
	cfg.stall_ns = 0;
	cfg.stall_signal = SIGKILL;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), -EINVAL);
	ck_assert_ptr_nonnull(strstr(weir_rt_why(), "stall_signal 9"));
	cfg.stall_signal = SIGSEGV;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), -EINVAL);
}
END_TEST

/* A forked child has a copy of the parent's thread, but none of its timers. */
START_TEST(a_forked_child_watches_anew)
{
	struct told told = { 0 };
	struct weir_rt_config cfg = watched(ON_CURRENT, &told);
	struct weir_rt *rt = runtime_new(&cfg);
	int status;
	pid_t child;

	ck_assert_int_eq(weir_rt_block_on(rt, stall_once, NULL), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (weir_rt_new(&cfg, &rt) < 0 || weir_rt_block_on(rt, stall_once, NULL) < 0)
			_exit(1);
		_exit(told.times == 2 ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	runtime_end(rt);
}
END_TEST

static void *stall_elsewhere(void *arg)
{
	ck_assert_int_eq(weir_rt_block_on(arg, stall_once, NULL), 0);
	return NULL;
}

START_TEST(runtimes_are_told_apart)
{
	struct told told[2] = { 0 };
	struct weir_rt_config one = watched(ON_CURRENT, &told[0]);
	struct weir_rt_config two = watched(ON_CURRENT, &told[1]);
	struct weir_rt *rt = runtime_new(&one), *other = runtime_new(&two);
	pthread_t thread = thread_start(stall_elsewhere, other);

	ck_assert_int_eq(weir_rt_block_on(rt, stall_once, NULL), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(weir_rt_block_on(other, stall_once, NULL), 0);
	ck_assert_uint_eq(told[0].times, 1);
	ck_assert_uint_eq(told[1].times, 2);
	ck_assert_uint_eq(stalls_of(rt, 0), 1);
	ck_assert_uint_eq(stalls_of(other, 0), 2);
	runtime_end(rt);
	runtime_end(other);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_stall_is_reported_with_name_place_and_backtrace, .rounds = 2 * ON_FOUR),
		TESTING(each_stall_is_reported_once, .rounds = ON_FOUR),
		TESTING(a_stall_is_seen_while_it_goes_on),
		TESTING(reports_are_limited_and_counting_is_not),
		TESTING(a_minute_has_five_reports),
		TESTING(a_task_that_sleeps_in_a_call_is_not_reported),
		TESTING(a_task_without_cpu_time_is_not_reported),
		TESTING(a_disabled_detector_does_nothing, .rounds = ON_FOUR),
		TESTING(a_task_that_blocks_in_place_is_not_reported),
		TESTING(each_block_on_is_watched),
		TESTING(a_worker_born_with_signals_blocked_is_watched),
		TESTING(an_earlier_handler_gets_signals_that_are_not_weirs),
		TESTING(a_signal_that_does_nothing_by_default_stays_ours, .rounds = 3),
		TESTING(the_signal_of_children_stays_ours, .needs = "native"),
		TESTING(another_signal_may_be_used),
		TESTING(nobody_listens_to_its_signal),
		TESTING(what_cannot_be_is_refused),
		TESTING(a_forked_child_watches_anew),
		TESTING(runtimes_are_told_apart),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
