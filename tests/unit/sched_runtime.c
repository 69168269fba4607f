/* SPDX-License-Identifier: MIT */
/*
 * sched_runtime.c: making a runtime and using it from everywhere: errors in its configuration,
 * block_on, spawns from other threads, enter and leave, hooks, counters, fork, the report of a
 * stack overflow, and state that all runtimes of a process share.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/sanitizer.h"
#include "tests/unit/runtimes.h"

static int give(void *arg)
{
	return *(int *)arg;
}

static int count_one(void *arg)
{
	add(arg, 1);
	return 0;
}

/* ---- configuration ----------------------------------------------------------------------- */

static void refused(const struct weir_rt_config *cfg, int rc, const char *word)
{
	struct weir_rt *rt = NULL;

	ck_assert_int_eq(weir_rt_new(cfg, &rt), rc);
	ck_assert_ptr_null(rt);
	ck_assert_msg(strstr(weir_rt_why(), word) != NULL, "'%s' does not name '%s'", weir_rt_why(),
		      word);
	ck_assert_ptr_null(strchr(weir_rt_why(), '\n'));
}

/* Sets one field out of range. The message must contain the word. */
#define REFUSED(field, value, word)                                                                \
	do {                                                                                       \
		struct weir_rt_config cfg_ = WEIR_RT_CONFIG_INIT;                                  \
                                                                                                   \
		cfg_.field = value;                                                                \
		refused(&cfg_, -EINVAL, word);                                                     \
		refused(&cfg_, -EINVAL, #field);                                                   \
	} while (0)

START_TEST(a_value_out_of_range_is_named)
{
	REFUSED(workers, 257, "257");
	REFUSED(workers, 100000, "100000");
	REFUSED(sched, (enum weir_sched_kind)7, "7");
	REFUSED(steal, (enum weir_steal_mode)9, "9");
	REFUSED(event_interval, 1u << 21, "2097152");
	REFUSED(inject_interval, 1u << 21, "2097152");
	REFUSED(lifo_max, 1u << 21, "2097152");
	REFUSED(budget, 1u << 21, "2097152");
	REFUSED(budget, UINT_MAX, "4294967295");
	REFUSED(busy_events, 5000, "5000");
	REFUSED(idle_events, 5000, "5000");
	REFUSED(tick_ns, 1000, "1000");
	REFUSED(tick_ns, 2 * WEIR_SEC, "2000000000");
	REFUSED(stack_bytes, 100, "100");
	REFUSED(guard_bytes, (size_t)2 << 30, "2147483648");
	REFUSED(stack_bytes, (size_t)2 << 30, "2147483648");
	REFUSED(lease_bytes, 10, "10");
	REFUSED(lease_bytes, (size_t)2 << 20, "2097152");
	REFUSED(blocking_max, 70000, "70000");
	REFUSED(size, 7, "7");
}
END_TEST

START_TEST(options_that_exclude_each_other_are_refused)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_clock *clock;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.workers = 2;
	refused(&cfg, -EINVAL, "workers is 2");
	cfg = (struct weir_rt_config)WEIR_RT_CONFIG_INIT;
	ck_assert_int_eq(weir_clock_new(&clock), 0);
	cfg.clock = clock;
	refused(&cfg, -EINVAL, "clock");
	weir_clock_free(clock);
	refused(NULL, -EINVAL, "the config is NULL");
	cfg = (struct weir_rt_config)WEIR_RT_CONFIG_INIT;
	cfg.size = 0;
	refused(&cfg, -EINVAL, "config.size is 0");
	cfg = (struct weir_rt_config)WEIR_RT_CONFIG_INIT;
	cfg.companion = "epoll";
	refused(&cfg, -EINVAL, "companion 'epoll'");
	/* A success clears the message. */
	cfg = runtime_config(ON_CURRENT);
	runtime_end(runtime_new(&cfg));
	ck_assert_str_eq(weir_rt_why(), "");
}
END_TEST

START_TEST(a_backend_that_does_not_exist)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.backend = "epol";
	refused(&cfg, -ENOENT, "epol");
	refused(&cfg, -ENOENT, "epoll");
	cfg.backend = NULL;
	setenv("WEIR_BACKEND", "nonsense", 1);
	refused(&cfg, -ENOENT, "nonsense");
	refused(&cfg, -ENOENT, "epoll");
	/* If the program names a backend or needs none, the environment is ignored. */
	cfg = runtime_config(ON_CURRENT);
	cfg.backend = "epoll";
	runtime_end(runtime_new(&cfg));
	cfg.backend = NULL;
	cfg.no_io = true;
	runtime_end(runtime_new(&cfg));
}
END_TEST

START_TEST(the_environment_sets_the_workers)
{
	static const char *const bad[] = {
		"0", "-1", "257", "x", "4x", " ", "99999999999999999999"
	};
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	unsigned i;

	for (i = 0; i < TESTING_COUNT(bad); i++) {
		setenv("WEIR_WORKERS", bad[i], 1);
		refused(&cfg, -EINVAL, "WEIR_WORKERS");
		refused(&cfg, -EINVAL, bad[i]);
	}
	setenv("WEIR_WORKERS", "3", 1);
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(weir_rt_workers(rt), 3);
	runtime_end(rt);
	cfg.workers = 2;
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(weir_rt_workers(rt), 2);
	runtime_end(rt);
	setenv("WEIR_WORKERS", "", 1);
	cfg.workers = 0;
	rt = runtime_new(&cfg);
	ck_assert_uint_eq(weir_rt_workers(rt), weir_cpus_allowed());
	runtime_end(rt);
}
END_TEST

static int note_name(void *arg)
{
	return pthread_getname_np(pthread_self(), arg, 16);
}

static int note_job_name(void *arg)
{
	return weir_blocking_run(note_name, arg);
}

START_TEST(threads_have_names)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt;
	char name[32], copy[8] = "mine";

	cfg.name = copy;
	cfg.workers = 1;
	rt = runtime_new(&cfg);
	strcpy(copy, "gone");
	/* A thread gets its name right after it was started. */
	do {
		ck_assert_int_eq(weir_rt_block_on(rt, note_name, name), 0);
	} while (strcmp(name, "mine-w0") != 0);
	do {
		ck_assert_int_eq(weir_rt_block_on(rt, note_job_name, name), 0);
	} while (strcmp(name, "mine-block") != 0);
	runtime_end(rt);
	cfg.name = "a name that is much too long for a thread";
	runtime_run(&cfg, note_name, name);
}
END_TEST

/* ---- block_on ---------------------------------------------------------------------------- */

static int block_on_inside(void *arg)
{
	struct weir_rt *rt = arg;
	int value = 1;

	return weir_rt_block_on(rt, give, &value);
}

START_TEST(block_on_gives_the_result)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg), *other = runtime_new(&cfg);
	int values[] = { 0, 5, -ENOENT, INT_MAX }, i;

	for (i = 0; i < 4; i++)
		ck_assert_int_eq(weir_rt_block_on(rt, give, &values[i]), values[i]);
	ck_assert_int_eq(weir_rt_block_on(rt, block_on_inside, rt), -EPERM);
	ck_assert_int_eq(weir_rt_block_on(rt, block_on_inside, other), -EPERM);
	ck_assert_int_eq(weir_rt_run(&cfg, give, &values[2]), -ENOENT);
	ck_assert_int_eq(weir_rt_run(&cfg, give, &values[1]), 5);
	ck_assert_ptr_null(weir_rt_current());
	runtime_end(rt);
	runtime_end(other);
}
END_TEST

struct many {
	struct weir_rt *rt;
	unsigned *count, rounds;
};

static int pause_and_count(void *arg)
{
	weir_sleep(20 * WEIR_USEC);
	weir_yield();
	return count_one(arg);
}

static void *block_on_often(void *arg)
{
	struct many *m = arg;
	unsigned i;

	for (i = 0; i < m->rounds; i++)
		ck_assert_int_eq(
			weir_rt_block_on(m->rt, i % 2 ? pause_and_count : count_one, m->count), 0);
	return NULL;
}

/* With the current-thread scheduler, the threads are the worker in turn. */
START_TEST(many_threads_block_on)
{
	struct weir_rt_config cfg = runtime_config(_i);
	unsigned count = 0, i;
	struct many m = { runtime_new(&cfg), &count, 200 };
	pthread_t threads[5];

	for (i = 0; i < 5; i++)
		threads[i] = thread_start(block_on_often, &m);
	for (i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(count, 1000);
	runtime_end(m.rt);
}
END_TEST

START_TEST(nothing_runs_while_nobody_is_in_block_on)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	struct weir_rt *rt = runtime_new(&cfg);
	struct weir_task *task;
	unsigned count = 0;
	int value = 3, i;

	ck_assert_int_eq(weir_rt_spawn(rt, count_one, &count, &task), 0);
	ck_assert_int_eq(weir_task_join_until(task, weir_deadline_in(2 * WEIR_MSEC), NULL),
			 -ETIMEDOUT);
	ck_assert_uint_eq(count, 0);
	for (i = 0; !weir_task_is_complete(task); i++)
		ck_assert_int_eq(weir_rt_block_on(rt, give, &value), 3);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	ck_assert_uint_eq(count, 1);
	runtime_end(rt);
}
END_TEST

/* ---- spawns from other threads ----------------------------------------------------------- */

static void *spawn_many(void *arg)
{
	struct many *m = arg;
	unsigned i;

	for (i = 0; i < m->rounds; i++)
		ck_assert_int_eq(weir_rt_spawn(m->rt, count_one, m->count, NULL), 0);
	return NULL;
}

static int spin_until(void *arg)
{
	unsigned *stop = arg;

	while (!get(stop))
		weir_yield();
	return 0;
}

struct load {
	unsigned *count, expected, *stop;
};

static int wait_count(void *arg)
{
	struct load *l = arg;

	while (get(l->count) < l->expected)
		weir_sleep(100 * WEIR_USEC);
	set(l->stop, 1);
	return 0;
}

/* Other threads spawn into an idle runtime and into a busy one. */
START_TEST(other_threads_spawn)
{
	struct weir_rt_config cfg = runtime_config(_i / 2);
	unsigned count = 0, stop = 0, i;
	struct many m = { runtime_new(&cfg), &count, 3000 };
	struct load load = { &count, 9000, &stop };
	pthread_t threads[3];

	for (i = 0; _i % 2 && i < 6; i++)
		ck_assert_int_eq(weir_rt_spawn(m.rt, spin_until, &stop, NULL), 0);
	for (i = 0; i < 3; i++)
		threads[i] = thread_start(spawn_many, &m);
	ck_assert_int_eq(weir_rt_block_on(m.rt, wait_count, &load), 0);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(count, 9000);
	runtime_end(m.rt);
}
END_TEST

static void *watch_alive(void *arg)
{
	struct many *m = arg;
	struct weir_worker_metrics metrics = WEIR_WORKER_METRICS_INIT;
	unsigned i;

	while (get(m->count) < m->rounds) {
		ck_assert_uint_le(weir_rt_alive(m->rt), m->rounds);
		for (i = 0; i < weir_rt_workers(m->rt); i++)
			ck_assert_int_eq(weir_metrics_worker(m->rt, i, &metrics), 0);
	}
	return NULL;
}

START_TEST(counters_are_read_while_it_runs)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	unsigned count = 0;
	struct many m = { runtime_new(&cfg), &count, 5000 };
	pthread_t watcher = thread_start(watch_alive, &m);

	spawn_many(&m);
	pthread_join(watcher, NULL);
	runtime_end(m.rt);
	ck_assert_uint_eq(count, 5000);
}
END_TEST

/* ---- enter ------------------------------------------------------------------------------- */

static int is_current(void *arg)
{
	return weir_rt_current() == arg ? 0 : -EIO;
}

START_TEST(runtimes_are_entered_and_left)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *a = runtime_new(&cfg), *b = runtime_new(&cfg), *before, *between;
	unsigned count = 0;

	ck_assert_int_eq(weir_spawn(count_one, &count, NULL), -ENXIO);
	before = weir_rt_enter(a);
	ck_assert_ptr_null(before);
	ck_assert_ptr_eq(weir_rt_current(), a);
	ck_assert_int_eq(weir_rt_worker_index(), -1);
	ck_assert_int_eq(weir_spawn(is_current, a, NULL), 0);
	between = weir_rt_enter(b);
	ck_assert_ptr_eq(between, a);
	ck_assert_int_eq(weir_spawn(is_current, b, NULL), 0);
	/* After block_on the thread has entered the same runtime as before. */
	ck_assert_int_eq(weir_rt_block_on(a, is_current, a), 0);
	ck_assert_ptr_eq(weir_rt_current(), b);
	ck_assert_int_eq(weir_blocking_spawn(NULL, is_current, b), 0);
	weir_rt_leave(between);
	ck_assert_ptr_eq(weir_rt_current(), a);
	weir_rt_leave(before);
	ck_assert_ptr_null(weir_rt_current());
	runtime_end(a);
	runtime_end(b);
}
END_TEST

struct far {
	struct weir_rt *rt;
	struct weir_oneshot *answer;
};

static int answer(void *arg)
{
	struct far *f = arg;
	int value = 17;

	ck_assert_ptr_eq(weir_rt_current(), f->rt);
	return weir_oneshot_send(f->answer, &value);
}

/* A task spawns a task on another runtime and joins it, so the other runtime wakes it. */
static int go_far(void *arg)
{
	struct far *f = arg;
	struct weir_task *task;
	int i, value, result;

	for (i = 0; i < 200; i++) {
		value = 0;
		ck_assert_int_eq(weir_oneshot_new(sizeof value, &f->answer), 0);
		ck_assert_int_eq(weir_rt_spawn(f->rt, answer, f, &task), 0);
		ck_assert_int_eq(weir_oneshot_recv(f->answer, &value), 0);
		ck_assert_int_eq(value, 17);
		ck_assert_int_eq(weir_task_join(task, &result), 0);
		ck_assert_int_eq(result, 0);
	}
	return 0;
}

START_TEST(tasks_of_two_runtimes_talk)
{
	struct weir_rt_config near_cfg = runtime_config(_i), far_cfg = runtime_config(ON_FOUR);
	struct weir_rt *near = runtime_new(&near_cfg);
	struct far f = { runtime_new(&far_cfg), NULL };

	ck_assert_int_eq(weir_rt_block_on(near, go_far, &f), 0);
	runtime_end(f.rt);
	runtime_end(near);
}
END_TEST

/* ---- hooks ------------------------------------------------------------------------------- */

struct hooks {
	unsigned starts[4], stops[4], parks, unparks, spawned;
};

static void on_start(void *arg, unsigned worker)
{
	ck_assert_int_eq(weir_rt_worker_index(), (int)worker);
	add(&((struct hooks *)arg)->starts[worker], 1);
}

static void on_stop(void *arg, unsigned worker)
{
	add(&((struct hooks *)arg)->stops[worker], 1);
}

static void on_park(void *arg, unsigned worker)
{
	(void)worker;
	add(&((struct hooks *)arg)->parks, 1);
}

static void on_unpark(void *arg, unsigned worker)
{
	(void)worker;
	add(&((struct hooks *)arg)->unparks, 1);
}

static int sleep_twice(void *arg)
{
	(void)arg;
	ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	return weir_sleep(WEIR_MSEC);
}

START_TEST(hooks_are_called)
{
	struct weir_rt_config cfg = runtime_config(_i % RUNTIMES);
	struct hooks hooks;
	unsigned i, workers = _i % RUNTIMES == ON_FOUR ? 4 : 1;

	memset(&hooks, 0, sizeof hooks);
	cfg.on_worker_start = _i < RUNTIMES ? on_start : NULL;
	cfg.on_worker_stop = on_stop;
	cfg.on_worker_park = on_park;
	cfg.on_worker_unpark = on_unpark;
	cfg.hook_arg = &hooks;
	runtime_run(&cfg, sleep_twice, NULL);
	for (i = 0; i < workers; i++) {
		ck_assert_uint_eq(hooks.starts[i], _i < RUNTIMES);
		ck_assert_uint_eq(hooks.stops[i], 1);
	}
	ck_assert_uint_ge(hooks.parks, 2);
	ck_assert_uint_eq(hooks.parks, hooks.unparks);
}
END_TEST

/* If a park hook spawns a task, its worker does not sleep. */
static void spawn_on_park(void *arg, unsigned worker)
{
	struct hooks *h = arg;

	(void)worker;
	if (add(&h->spawned, 1) <= 50)
		ck_assert_int_eq(weir_spawn(count_one, &h->parks, NULL), 0);
}

static int wait_parks(void *arg)
{
	struct hooks *h = arg;

	while (get(&h->parks) < 50)
		weir_sleep(100 * WEIR_USEC);
	return 0;
}

START_TEST(a_park_hook_may_spawn)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct hooks hooks;

	memset(&hooks, 0, sizeof hooks);
	cfg.on_worker_park = spawn_on_park;
	cfg.hook_arg = &hooks;
	runtime_run(&cfg, wait_parks, &hooks);
	ck_assert_uint_eq(hooks.parks, 50);
}
END_TEST

static void wake_on_park(void *arg, unsigned worker)
{
	(void)worker;
	weir_notify_waiters(arg);
}

static int wait_on_and_on(void *arg)
{
	while (weir_notify_wait(arg) == 0)
		continue;
	return 0;
}

static int write_later(void *arg)
{
	int rc = weir_sleep(2 * WEIR_MSEC);

	ck_assert_int_eq(write(*(int *)arg, "", 1), 1);
	return rc;
}

static int sleep_and_wait_for_bytes(void *arg)
{
	struct weir_task *task;
	struct weir_fd *fd;
	int ends[2];

	ck_assert_int_eq(weir_spawn(wait_on_and_on, arg, NULL), 0);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(weir_fd_open(ends[0], &fd), 0);
	ck_assert_int_eq(weir_spawn(write_later, &ends[1], &task), 0);
	ck_assert_int_eq(weir_fd_wait(fd, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	weir_fd_close(fd);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* The worker never sleeps then, but timers and I/O must still get their turn. */
START_TEST(a_park_hook_may_make_work_each_time)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_notify notify;

	weir_notify_init(&notify);
	cfg.on_worker_park = wake_on_park;
	cfg.hook_arg = &notify;
	runtime_run(&cfg, sleep_and_wait_for_bytes, &notify);
}
END_TEST

/* ---- counters ---------------------------------------------------------------------------- */

static int script(void *arg)
{
	struct weir_task *tasks[10];
	struct weir_sem sem;
	int i;

	(void)arg;
	weir_sem_init(&sem, 1000);
	for (i = 0; i < 10; i++)
		ck_assert_int_eq(weir_spawn(sleep_twice, NULL, &tasks[i]), 0);
	for (i = 0; i < 10; i++)
		ck_assert_int_eq(weir_task_join(tasks[i], NULL), 0);
	for (i = 0; i < 300; i++)
		ck_assert_int_eq(weir_sem_acquire(&sem, 1), 0);
	weir_sem_fini(&sem);
	return 0;
}

START_TEST(counters_after_a_script)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_worker_metrics sum = { .polls = 0 }, s = WEIR_WORKER_METRICS_INIT;
	struct weir_rt *rt = runtime_new(&cfg);
	unsigned i;

	ck_assert_int_eq(weir_rt_block_on(rt, script, NULL), 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_metrics_worker(rt, weir_rt_workers(rt), &s), -EINVAL);
	for (i = 0; i < weir_rt_workers(rt); i++) {
		ck_assert_int_eq(weir_metrics_worker(rt, i, &s), 0);
		sum.polls += s.polls;
		sum.spawned += s.spawned;
		sum.finished += s.finished;
		sum.parks += s.parks;
		sum.budget_yields += s.budget_yields;
		sum.local_schedules += s.local_schedules;
		ck_assert_uint_eq(s.queue_depth, 0);
		ck_assert_uint_le(s.noop_parks, s.parks);
		ck_assert(_i == ON_FOUR || s.steals + s.steal_operations == 0);
	}
	/* The root was injected. Each of the ten tasks is polled at least three times. */
	ck_assert_uint_eq(sum.spawned, 10);
	ck_assert_uint_eq(sum.finished, 11);
	ck_assert_uint_ge(sum.polls, 31);
	ck_assert_uint_ge(sum.parks, 1);
	ck_assert_uint_ge(sum.budget_yields, 2);
	ck_assert_uint_le(sum.budget_yields, 3);
	ck_assert_uint_ge(sum.local_schedules, 10);
	ck_assert_uint_eq(weir_rt_alive(rt), 0);
	weir_rt_free(rt);
}
END_TEST

/* ---- fork -------------------------------------------------------------------------------- */

/* Runs in the child. Waiting calls must return `waits`. */
static int child_of_fork(struct weir_rt *rt, struct weir_task *task, int waits)
{
	struct weir_join_set *set;
	int value = 1;

	if (weir_rt_block_on(rt, give, &value) != -ENXIO)
		return 1;
	if (weir_rt_shutdown(rt, 0) != -ENXIO)
		return 2;
	if (weir_rt_spawn(rt, give, &value, NULL) != -ENXIO)
		return 3;
	if (weir_blocking_spawn(rt, give, &value) != -ENXIO)
		return 4;
	if (weir_rt_current() || weir_rt_worker_index() != -1)
		return 5;
	if (weir_spawn(give, &value, NULL) != -ENXIO)
		return 6;
	if (weir_task_join(task, NULL) != -ENXIO)
		return 7;
	if (weir_join_set_new(rt, &set) != -ENXIO)
		return 8;
	if (weir_sleep(0) != waits)
		return 9;
	weir_rt_free(rt);
	return 0;
}

static int fork_and_check(struct weir_rt *rt, struct weir_task *task)
{
	int status, waits = weir_task_current() ? -ENXIO : -EPERM;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(child_of_fork(rt, task, waits));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int fork_inside(void *arg)
{
	(void)arg;
	return fork_and_check(weir_rt_current(), weir_task_current());
}

static int sleep_long(void *arg)
{
	(void)arg;
	return weir_sleep(3600 * WEIR_SEC);
}

START_TEST(a_child_does_not_inherit_the_runtime)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg), *before;
	struct weir_task *task;
	int value = 2;

	ck_assert_int_eq(weir_rt_spawn(rt, sleep_long, NULL, &task), 0);
	before = weir_rt_enter(rt);
	ck_assert_int_eq(fork_and_check(rt, task), 0);
	weir_rt_leave(before);
	ck_assert_int_eq(weir_rt_block_on(rt, fork_inside, NULL), 0);
	/* The parent's runtime still works. */
	ck_assert_int_eq(weir_rt_block_on(rt, give, &value), 2);
	weir_task_detach(task);
	runtime_end(rt);
}
END_TEST

static int child_with_its_own(void *arg)
{
	int value = 6;

	(void)arg;
	return weir_rt_current() ? give(&value) : -1;
}

START_TEST(a_forked_child_may_make_a_runtime)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(weir_rt_run(&cfg, child_with_its_own, NULL));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 6);
	runtime_end(rt);
}
END_TEST

/* ---- stack overflow ---------------------------------------------------------------------- */

static WEIR_NOINLINE int dig(int depth)
{
	volatile char hole[512];

	hole[0] = (char)depth;
	return depth > 1000000 ? hole[0] : dig(depth + 1) + hole[0];
}

static int dig_deep(void *arg)
{
	return dig(*(int *)arg);
}

/*
 * Uses only the low end of an array as large as four stacks. Stack probes must touch the guard
 * first.
 */
static int use_a_large_array(void *arg UNUSED)
{
	volatile char array[232 * 1024];

	array[0] = 1;
	return array[0];
}

/* Writes below the guard, like a function that was compiled without stack probes. */
static int step_over(void *arg UNUSED)
{
	volatile char here = 0;
	volatile char *far = (volatile char *)((uintptr_t)&here - 300 * 1024);

	*far = 1;
	return *far + here;
}

struct overflow {
	int (*fn)(void *arg);
	size_t guard_bytes;
	int depth;
};

static int spawn_digger(void *arg)
{
	struct overflow *o = arg;
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	cfg.fn = o->fn;
	cfg.arg = &o->depth;
	cfg.name = "the-digger";
	if (weir_task_spawn(NULL, &cfg, &task) == 0)
		weir_task_join(task, NULL);
	return 0;
}

static void overflow_child(int kind, struct overflow *o, int out)
{
	struct weir_rt_config cfg = runtime_config(kind);
	struct weir_rt *rt;

	dup2(out, STDERR_FILENO);
	signal(SIGSEGV, SIG_DFL);
	cfg.guard_bytes = o->guard_bytes;
	if (weir_rt_new(&cfg, &rt) == 0)
		weir_rt_block_on(rt, spawn_digger, o);
	_exit(0);
}

static void expect_overflow(int kind, struct overflow o)
{
	char text[1024] = "";
	size_t used = 0;
	int fds[2], status;
	ssize_t n;
	pid_t child;

	ck_assert_int_eq(pipe(fds), 0);
	child = fork();
	if (child == 0)
		overflow_child(kind, &o, fds[1]);
	close(fds[1]);
	while ((n = read(fds[0], text + used, sizeof text - 1 - used)) > 0)
		used += (size_t)n;
	close(fds[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status), "it went on, and ended with status %#x", status);
	ck_assert_int_eq(WTERMSIG(status), SIGSEGV);
	ck_assert_msg(strstr(text, "overflow") && strstr(text, "the-digger") &&
			      strstr(text, "65536 bytes"),
		      "it said: %s", text);
	ck_assert_msg(strstr(text, "overflowed in ") && !strstr(text, "overflowed in ?") &&
			      strstr(text, "fiber runs ") && !strstr(text, "fiber runs ?"),
		      "it said: %s", text);
}

START_TEST(an_overflow_names_the_task_and_the_functions)
{
	expect_overflow(_i, (struct overflow){ dig_deep, 0, 0 });
}
END_TEST

START_TEST(a_large_array_does_not_step_over_the_guard)
{
	expect_overflow(_i, (struct overflow){ use_a_large_array, 0, 0 });
}
END_TEST

START_TEST(a_wide_guard_catches_what_steps_over_a_page)
{
	expect_overflow(_i, (struct overflow){ step_over, 512 * 1024, 0 });
}
END_TEST

/* ---- state of the process ---------------------------------------------------------------- */

static unsigned faults_seen;

static void note_fault(int signo UNUSED)
{
	add(&faults_seen, 1);
}

/* Uses everything that a runtime may set up once per process. */
static int use_the_process(void *arg UNUSED)
{
	struct weir_signal listener;
	struct weir_task *task;
	int one = 1, result;

	ck_assert_int_eq(weir_signal_open(&listener, SIGUSR2), 0);
	weir_signal_close(&listener);
	ck_assert_int_eq(weir_spawn(give, &one, &task), 0);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, 1);
	return weir_block_in_place(give, &one) == 1 || weir_rt_workers(weir_rt_current()) == 1 ? 0
											       : -1;
}

static void *make_and_free(void *arg)
{
	pthread_barrier_t *ready = arg;

	for (int i = 0; i < 6; i++) {
		struct weir_rt_config cfg = runtime_config(i % RUNTIMES);
		struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

		/*
		 * ThreadSanitizer does not see liburing unmap rings, and reports races on reused
		 * memory.
		 */
		if (WEIR__TSAN)
			cfg.backend = "epoll";
		else if (weir_backend_info_get((unsigned)i / RUNTIMES, &info) == 0 && info.err == 0)
			cfg.backend = info.name;
		if (cfg.workers > 2)
			cfg.workers = 2;
		pthread_barrier_wait(ready);
		runtime_run(&cfg, use_the_process, NULL);
	}
	return NULL;
}

START_TEST(several_threads_make_and_free_runtimes)
{
	struct sigaction sa = { .sa_handler = note_fault };
	pthread_barrier_t ready;
	pthread_t threads[4];

	ck_assert_int_eq(sigaction(SIGSEGV, &sa, NULL), 0);
	pthread_barrier_init(&ready, NULL, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, make_and_free, &ready), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&ready);
	/* The application's handler still gets the signals that are not weir's. */
	raise(SIGSEGV);
	ck_assert_uint_eq(get(&faults_seen), 1);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_value_out_of_range_is_named),
		TESTING(options_that_exclude_each_other_are_refused),
		TESTING(a_backend_that_does_not_exist),
		TESTING(the_environment_sets_the_workers),
		TESTING(threads_have_names),
		EACH(block_on_gives_the_result),
		EACH(many_threads_block_on),
		TESTING(nothing_runs_while_nobody_is_in_block_on),
		TESTING(other_threads_spawn, .rounds = 2 * RUNTIMES),
		TESTING(counters_are_read_while_it_runs),
		EACH(runtimes_are_entered_and_left),
		EACH(tasks_of_two_runtimes_talk),
		TESTING(hooks_are_called, .rounds = 2 * RUNTIMES),
		EACH(a_park_hook_may_spawn),
		EACH(a_park_hook_may_make_work_each_time),
		EACH(counters_after_a_script),
		EACH(a_child_does_not_inherit_the_runtime),
		EACH(a_forked_child_may_make_a_runtime, .needs = "nosan"),
		EACH(an_overflow_names_the_task_and_the_functions, .needs = "nosan native"),
#ifdef STACK_CLASH_PROTECTION
		EACH(a_large_array_does_not_step_over_the_guard, .needs = "nosan native"),
#endif
		EACH(a_wide_guard_catches_what_steps_over_a_page, .needs = "nosan native"),
		TESTING(several_threads_make_and_free_runtimes),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
