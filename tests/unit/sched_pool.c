/* SPDX-License-Identifier: MIT */
/*
 * sched_pool.c: the blocking pool: no job is lost; the limits hold; idle threads are reused and
 * end; cancelled jobs are removed or waited for; and what happens to jobs at the end of the
 * runtime.
 */
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static int wait_event(void *arg)
{
	event_wait(arg, 1);
	return 23;
}

static unsigned threads_now(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* ---- no job is lost ---------------------------------------------------------------------- */

struct storm {
	unsigned rounds, *ran;
};

static int storm_task(void *arg)
{
	struct storm *s = arg;
	unsigned i;

	for (i = 0; i < s->rounds; i++)
		ck_assert_int_eq(weir_blocking_run(count_one, s->ran), 0);
	return 0;
}

static int storm_root(void *arg)
{
	struct weir_task *tasks[8];
	unsigned i;
	int result;

	for (i = 0; i < 8; i++)
		ck_assert_int_eq(weir_spawn(storm_task, arg, &tasks[i]), 0);
	for (i = 0; i < 8; i++) {
		ck_assert_int_eq(weir_task_join(tasks[i], &result), 0);
		ck_assert_int_eq(result, 0);
	}
	return 0;
}

/* With tiny keep-alives, threads end about when the next job comes. */
START_TEST(no_job_is_lost_when_threads_end)
{
	static const uint64_t keeps[] = { 1, 20000, 100000 };
	unsigned ran = 0, k;

	for (k = 0; k < 3; k++) {
		struct weir_rt_config cfg = runtime_config(_i);
		struct storm storm = { 512, &ran };

		ran = 0;
		cfg.blocking_keep_ns = keeps[k];
		cfg.blocking_max = k == 2 ? 2 : 0;
		runtime_run(&cfg, storm_root, &storm);
		ck_assert_uint_eq(ran, 8 * 512);
	}
}
END_TEST

static int one_job(void *arg)
{
	return weir_blocking_run(count_one, arg);
}

START_TEST(no_first_job_is_lost)
{
	struct weir_rt_config cfg = runtime_config(_i);
	unsigned ran = 0, i;

	for (i = 0; i < 512; i++)
		runtime_run(&cfg, one_job, &ran);
	ck_assert_uint_eq(ran, 512);
}
END_TEST

/* ---- threads ----------------------------------------------------------------------------- */

static int my_thread(void *arg)
{
	(void)arg;
	return (int)syscall(SYS_gettid);
}

ON_EACH(an_idle_thread_is_used_again)
{
	int first = weir_blocking_run(my_thread, NULL), i;

	ck_assert_int_gt(first, 0);
	for (i = 0; i < 200; i++)
		ck_assert_int_eq(weir_blocking_run(my_thread, NULL), first);
	return 0;
}

static int many_jobs(void *arg)
{
	struct storm storm = { 20, arg };

	return storm_root(&storm);
}

START_TEST(idle_threads_end)
{
	struct weir_rt_config cfg = runtime_config(_i);
	unsigned ran = 0, base, i;
	struct weir_rt *rt;

	cfg.blocking_keep_ns = WEIR_MSEC;
	rt = runtime_new(&cfg);
	base = threads_now();
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(weir_rt_block_on(rt, many_jobs, &ran), 0);
		while (threads_now() > base)
			;
	}
	runtime_end(rt);
	ck_assert_uint_eq(ran, 800);
}
END_TEST

/* ---- limits ------------------------------------------------------------------------------ */

struct crowd {
	struct event *let_go;
	unsigned inside, most, through;
};

static int crowd_job(void *arg)
{
	struct crowd *c = arg;
	unsigned now = add(&c->inside, 1), most = get(&c->most);

	while (now > most && !__atomic_compare_exchange_n(&c->most, &most, now, false,
							  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	event_wait(c->let_go, 1);
	add(&c->inside, -1u);
	add(&c->through, 1);
	return 0;
}

static int crowd_task(void *arg)
{
	return weir_blocking_run(crowd_job, arg);
}

static int crowd_root(void *arg)
{
	struct crowd *c = arg;
	unsigned i;

	for (i = 0; i < 20; i++)
		ck_assert_int_eq(weir_spawn(crowd_task, c, NULL), 0);
	YIELD_UNTIL(get(&c->inside) == 3);
	for (i = 0; i < 100; i++)
		weir_yield();
	event_raise(c->let_go);
	YIELD_UNTIL(get(&c->through) == 20);
	return 0;
}

START_TEST(the_limit_of_threads_holds)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct event let_go = EVENT_INIT;
	struct crowd crowd = { &let_go, 0, 0, 0 };

	cfg.blocking_max = 3;
	runtime_run(&cfg, crowd_root, &crowd);
	ck_assert_uint_eq(crowd.most, 3);
}
END_TEST

static int fill_queue(void *arg)
{
	struct event let_go = EVENT_INIT;
	struct crowd crowd = { &let_go, 0, 0, 0 };
	struct weir_rt *rt = weir_rt_current();
	unsigned i, ran = 0;

	(void)arg;
	ck_assert_int_eq(weir_blocking_spawn(rt, crowd_job, &crowd), 0);
	YIELD_UNTIL(get(&crowd.inside) == 1);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(weir_blocking_spawn(NULL, count_one, &ran), 0);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(weir_blocking_spawn(rt, count_one, &ran), -EAGAIN);
	/* Jobs that a task waits for do not count: the number of waiting tasks bounds them. */
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(weir_spawn(one_job, &ran, NULL), 0);
	weir_yield();
	event_raise(&let_go);
	YIELD_UNTIL(get(&ran) == 22);
	ck_assert_int_eq(weir_blocking_spawn(NULL, count_one, &ran), 0);
	YIELD_UNTIL(get(&ran) == 23);
	return 0;
}

START_TEST(the_limit_of_waiting_jobs_holds)
{
	struct weir_rt_config cfg = runtime_config(_i);

	cfg.blocking_max = 1;
	cfg.blocking_queue = 2;
	runtime_run(&cfg, fill_queue, NULL);
}
END_TEST

/* ---- cancel ------------------------------------------------------------------------------ */

static int cancel_root(void *arg)
{
	struct event let_go = EVENT_INIT;
	struct crowd crowd = { &let_go, 0, 0, 0 };
	struct weir_task *running, *queued;
	struct weir_blocking_future unstarted;
	unsigned ran = 0;
	int result;

	(void)arg;
	ck_assert_int_eq(weir_spawn(crowd_task, &crowd, &running), 0);
	YIELD_UNTIL(get(&crowd.inside) == 1);
	/* A job that has not started is removed from the queue. */
	ck_assert_int_eq(weir_spawn(one_job, &ran, &queued), 0);
	weir_sleep(WEIR_MSEC);
	weir_task_abort(queued);
	ck_assert_int_eq(weir_task_join(queued, &result), 0);
	ck_assert_int_eq(result, -ECANCELED);
	/* A running job is waited for, and its result is returned. */
	weir_task_abort(running);
	ck_assert_int_eq(weir_task_join_until(running, weir_deadline_in(5 * WEIR_MSEC), &result),
			 -ETIMEDOUT);
	event_raise(&let_go);
	ck_assert_int_eq(weir_task_join(running, &result), 0);
	ck_assert_int_eq(result, 0);
	weir_blocking_init(&unstarted, count_one, &ran);
	weir_cancel(&unstarted.future);
	ck_assert_int_eq(weir_await(&unstarted.future), -ECANCELED);
	ck_assert_uint_eq(get(&ran), 0);
	return 0;
}

START_TEST(a_job_is_taken_back_or_waited_for)
{
	struct weir_rt_config cfg = runtime_config(_i);

	cfg.blocking_max = 1;
	runtime_run(&cfg, cancel_root, NULL);
}
END_TEST

static int start_and_wait(void *arg)
{
	event_raise(arg);
	event_wait(arg, 2);
	return 23;
}

/* Tries again with more time if the machine was too slow to start the job in time. */
static int run_past_deadline(void *arg)
{
	uint64_t wait = 50 * WEIR_MSEC, deadline;
	int rc;

	do {
		deadline = weir_deadline_in(wait *= 2);
		rc = weir_blocking_run_until(start_and_wait, arg, deadline);
	} while (rc == -ETIMEDOUT && !event_raised(arg));
	ck_assert_uint_ge(weir_now(), deadline);
	return rc;
}

/* The pool's only thread is first busy, then idle, then busy with this job. */
static int until_root(void *arg UNUSED)
{
	struct event let_go = EVENT_INIT, running = EVENT_INIT;
	struct crowd crowd = { &let_go, 0, 0, 0 };
	struct weir_task *holder, *waiter;
	unsigned ran = 0;
	uint64_t deadline;
	int value = 5, result;

	ck_assert_int_eq(weir_spawn(crowd_task, &crowd, &holder), 0);
	YIELD_UNTIL(get(&crowd.inside) == 1);
	deadline = weir_deadline_in(10 * WEIR_MSEC);
	ck_assert_int_eq(weir_blocking_run_until(count_one, &ran, deadline), -ETIMEDOUT);
	ck_assert_uint_ge(weir_now(), deadline);
	ck_assert_int_eq(weir_blocking_run_until(count_one, &ran, 0), -ETIMEDOUT);
	event_raise(&let_go);
	ck_assert_int_eq(weir_task_join(holder, &result), 0);
	/* The job was removed both times. */
	ck_assert_uint_eq(get(&ran), 0);
	deadline = weir_deadline_in(3600 * WEIR_SEC);
	ck_assert_int_eq(weir_blocking_run_until(give, &value, deadline), 5);
	/* A job that runs when its deadline passes is waited for, and returns its result. */
	ck_assert_int_eq(weir_spawn(run_past_deadline, &running, &waiter), 0);
	YIELD_UNTIL(event_raised(&running) == 1);
	ck_assert_int_eq(weir_task_join_until(waiter, weir_deadline_in(scaled_ms(300)), &result),
			 -ETIMEDOUT);
	event_raise(&running);
	ck_assert_int_eq(weir_task_join(waiter, &result), 0);
	ck_assert_int_eq(result, 23);
	return 0;
}

START_TEST(a_job_has_until_its_deadline_to_start)
{
	struct weir_rt_config cfg = runtime_config(_i);

	cfg.blocking_max = 1;
	runtime_run(&cfg, until_root, NULL);
}
END_TEST

static int hurried_task(void *arg)
{
	struct storm *s = arg;
	struct weir_blocking_future blocking;
	unsigned i, ran = 0;
	int rc;

	for (i = 0; i < s->rounds; i++) {
		weir_blocking_init(&blocking, count_one, s->ran);
		rc = weir_await_until(&blocking.future, weir_now() + i % 4 * 20000);
		ck_assert(rc == 0 || rc == -ETIMEDOUT);
		ran += rc == 0;
	}
	return (int)ran;
}

/* A job that was reported as cancelled must not have run; any other must have. */
ON_EACH(cancels_race_with_the_start)
{
	struct weir_task *tasks[6];
	unsigned ran = 0, reported = 0, i;
	struct storm storm = { 200, &ran };
	int result;

	for (i = 0; i < 6; i++)
		ck_assert_int_eq(weir_spawn(hurried_task, &storm, &tasks[i]), 0);
	for (i = 0; i < 6; i++) {
		ck_assert_int_eq(weir_task_join(tasks[i], &result), 0);
		reported += (unsigned)result;
	}
	ck_assert_uint_eq(reported, ran);
	return 0;
}

/* ---- inside a job ------------------------------------------------------------------------ */

static int look_around(void *arg)
{
	struct weir_rt *rt = weir_rt_current();
	struct weir_blocking_future inner;
	struct weir_task *task;
	int value = 31, result;

	ck_assert_ptr_eq(rt, arg);
	ck_assert_int_eq(weir_rt_worker_index(), -1);
	ck_assert_ptr_null(weir_task_current());
	ck_assert_int_eq(weir_blocking_run(give, &value), -EPERM);
	ck_assert_int_eq(weir_sleep(1), -EPERM);
	ck_assert_int_eq(weir_block_in_place(give, &value), 31);
	ck_assert_int_eq(weir_spawn(give, &value, &task), 0);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, 31);
	ck_assert_int_eq(weir_rt_block_on(rt, give, &value), 31);
	weir_blocking_init(&inner, give, &value);
	ck_assert_int_eq(weir_block_on(&inner.future, WEIR_FOREVER), 31);
	return 5;
}

ON_EACH(what_a_job_may_do)
{
	ck_assert_int_eq(weir_blocking_run(look_around, weir_rt_current()), 5);
	return 0;
}

/* ---- when threads are forbidden ---------------------------------------------------------- */

/* Makes every clone by this thread fail from now on. Returns false if filters are not available. */
static bool forbid_threads(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The error is not -EPERM: from these calls, that would mean that they need a fiber. */
START_TEST(a_thread_that_is_forbidden_is_one_that_cannot_be_had)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg), *other;
	unsigned ran = 0;

	if (!forbid_threads()) {
		testing_skip("no seccomp filters here");
	} else {
		ck_assert_int_eq(weir_blocking_spawn(rt, count_one, &ran), -EAGAIN);
		cfg.sched = WEIR_SCHED_MULTI;
		ck_assert_int_eq(weir_rt_new(&cfg, &other), -EPERM);
		ck_assert_ptr_nonnull(strstr(weir_rt_why(), strerror(EPERM)));
	}
	runtime_end(rt);
	ck_assert_uint_eq(ran, 0);
}
END_TEST

/* ---- the end ----------------------------------------------------------------------------- */

struct stopper {
	struct weir_rt *rt;
	int rc;
};

static void *stop(void *arg)
{
	struct stopper *s = arg;

	s->rc = weir_rt_shutdown(s->rt, WEIR_FOREVER);
	return NULL;
}

START_TEST(shutdown_drops_detached_jobs_that_wait)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct event let_go = EVENT_INIT;
	struct stopper stopper = { NULL, 1 };
	unsigned ran = 0, i;
	pthread_t thread;
	int rc;

	cfg.blocking_max = 1;
	stopper.rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_blocking_spawn(stopper.rt, wait_event, &let_go), 0);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(weir_blocking_spawn(stopper.rt, count_one, &ran), 0);
	thread = thread_start(stop, &stopper);
	while ((rc = weir_blocking_spawn(stopper.rt, count_one, &ran)) != -ESHUTDOWN)
		ck_assert(rc == 0 || rc == -EAGAIN);
	event_raise(&let_go);
	pthread_join(thread, NULL);
	ck_assert_int_eq(stopper.rc, 0);
	ck_assert_uint_eq(ran, 0);
	ck_assert_int_eq(weir_blocking_spawn(stopper.rt, count_one, &ran), -ESHUTDOWN);
	weir_rt_free(stopper.rt);
}
END_TEST

START_TEST(a_job_that_does_not_end_is_reported)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct event let_go = EVENT_INIT;
	struct crowd crowd = { &let_go, 0, 0, 0 };
	struct weir_rt *rt = runtime_new(&cfg);
	uint64_t before;

	ck_assert_int_eq(weir_blocking_spawn(rt, crowd_job, &crowd), 0);
	while (!get(&crowd.inside))
		;
	before = weir_now();
	ck_assert_int_eq(weir_rt_shutdown(rt, 10 * WEIR_MSEC), -ETIMEDOUT);
	ck_assert_uint_ge(weir_now() - before, 10 * WEIR_MSEC);
	event_raise(&let_go);
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EACH(no_job_is_lost_when_threads_end),
		EACH(no_first_job_is_lost),
		EACH(an_idle_thread_is_used_again),
		EACH(idle_threads_end, .needs = "native"),
		EACH(the_limit_of_threads_holds),
		EACH(the_limit_of_waiting_jobs_holds),
		EACH(a_job_is_taken_back_or_waited_for),
		EACH(a_job_has_until_its_deadline_to_start),
		EACH(cancels_race_with_the_start),
		EACH(what_a_job_may_do),
		/* The sanitizers' leak check starts threads. */
		EACH(a_thread_that_is_forbidden_is_one_that_cannot_be_had, .needs = "nosan native"),
		EACH(shutdown_drops_detached_jobs_that_wait),
		EACH(a_job_that_does_not_end_is_reported),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
