/* SPDX-License-Identifier: MIT */
/*
 * core_task.c: the life of a task: every way to end one at every moment, joins from every place,
 * abort, the cooperative budget, yields, wakers, task-locals, what a task knows about itself, and
 * the arguments that a spawn refuses.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/task/task.h"
#include "tests/unit/runtimes.h"

#define LONG (3600 * WEIR_SEC)

/* ---- every way to end at every moment ---------------------------------------------------- */

enum moment {
	UNPOLLED,
	ON_SLEEP,
	ON_PIPE,
	ON_LOCK,
	COMPLETE,
	MOMENTS
};
enum end {
	JOIN,
	DETACH,
	DETACH_LATE,
	BORN_DETACHED,
	ABORT_JOIN,
	ABORT_DETACH,
	GROUP,
	GROUP_ABORT,
	ENDS
};

/* A task that is ended, and what happened to it. */
struct victim {
	enum moment moment;
	bool to_be_aborted;
	unsigned waiting, ended;
	int fds[2];
	struct weir_sem sem;
};

/* The state of the victim as a stackless task. */
struct victim_state {
	struct victim *v;
	bool started;
	struct weir_sleep_future sleep;
	struct weir_sem_acquire_future lock;
	struct weir_fd *fd;
	struct weir_op op;
};

static uint64_t victim_deadline(struct victim *v)
{
	return weir_deadline_in(v->to_be_aborted ? LONG : WEIR_MSEC);
}

static int victim_wait(struct victim *v)
{
	struct weir_fd *fd;
	int rc;

	switch (v->moment) {
	case ON_PIPE:
		rc = weir_fd_open(v->fds[0], &fd);
		if (rc < 0)
			return rc;
		rc = weir_fd_wait(fd, WEIR_READABLE, WEIR_FOREVER);
		weir_fd_close(fd);
		return rc == WEIR_READABLE ? 0 : rc;
	case ON_LOCK:
		return weir_sem_acquire(&v->sem, 1);
	case COMPLETE:
		return 0;
	default:
		return weir_sleep_until(victim_deadline(v));
	}
}

static int victim_fiber(void *arg)
{
	struct victim *v = arg;
	int rc;

	set(&v->waiting, 1);
	rc = victim_wait(v);
	add(&v->ended, 1);
	return rc ? rc : 42;
}

static int victim_start(struct victim_state *s)
{
	struct victim *v = s->v;

	s->started = true;
	set(&v->waiting, 1);
	weir_sleep_init(&s->sleep, victim_deadline(v));
	weir_sem_acquire_init(&s->lock, &v->sem, 1);
	if (v->moment != ON_PIPE)
		return 0;
	ck_assert_int_eq(weir_fd_open(v->fds[0], &s->fd), 0);
	weir_op_init_poll(&s->op, weir_fd_handle(s->fd), WEIR_READABLE);
	return 0;
}

static int victim_poll(void *state, struct weir_cx *cx)
{
	struct victim_state *s = state;
	int rc;

	if (!s->started)
		victim_start(s);
	if (s->v->moment == COMPLETE)
		return 42;
	rc = weir_poll(s->v->moment == ON_PIPE	 ? &s->op.future
		       : s->v->moment == ON_LOCK ? &s->lock.future
						 : &s->sleep.future,
		       cx);
	return rc < 0 ? rc : 42;
}

static void victim_fini(void *state)
{
	struct victim_state *s = state;

	if (s->fd)
		weir_fd_close(s->fd);
	add(&s->v->ended, 1);
}

static void victim_release(struct victim *v)
{
	if (v->moment == ON_PIPE)
		ck_assert_int_eq(write(v->fds[1], "x", 1), 1);
	if (v->moment == ON_LOCK)
		weir_sem_release(&v->sem, 1);
}

static int victim_spawn(struct victim *v, bool stackless, struct weir_join_set *set,
			struct weir_task **ret_task)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct victim_state state = { .v = v };

	cfg.join_set = set;
	if (stackless) {
		cfg.poll = victim_poll;
		cfg.state = &state;
		cfg.state_bytes = sizeof state;
		cfg.fini = victim_fini;
	} else {
		cfg.fn = victim_fiber;
		cfg.arg = v;
	}
	return weir_task_spawn(NULL, &cfg, ret_task);
}

static void expect_result(struct weir_task *task, int expected)
{
	int result = 0;

	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, expected);
}

/* Ends the only task of the set. */
static void end_set(struct weir_join_set *set, struct victim *v, int aborted)
{
	int result = 0;

	if (v->to_be_aborted)
		weir_join_set_abort(set);
	else
		victim_release(v);
	ck_assert_int_eq(weir_join_set_next(set, NULL, &result), 1);
	ck_assert_int_eq(result, v->to_be_aborted ? aborted : 42);
	ck_assert_int_eq(weir_join_set_next(set, NULL, &result), 0);
	weir_join_set_free(set);
}

static void end_task(struct weir_task *task, struct victim *v, enum end end, int aborted)
{
	if (end == DETACH)
		weir_task_detach(task);
	if (v->to_be_aborted)
		weir_task_abort(task);
	else
		victim_release(v);
	if (end == JOIN || end == ABORT_JOIN)
		expect_result(task, v->to_be_aborted ? aborted : 42);
	if (end == ABORT_DETACH)
		weir_task_detach(task);
	YIELD_UNTIL(get(&v->ended));
	if (end == DETACH_LATE)
		weir_task_detach(task);
}

static void combine(enum moment moment, enum end end, bool stackless)
{
	struct victim v = { .moment = moment };
	struct weir_join_set *set = NULL;
	struct weir_task *task = NULL;
	int aborted = moment == COMPLETE ? 42 : -ECANCELED;

	v.to_be_aborted = end == ABORT_JOIN || end == ABORT_DETACH || end == GROUP_ABORT;
	ck_assert_int_eq(pipe2(v.fds, O_NONBLOCK | O_CLOEXEC), 0);
	weir_sem_init(&v.sem, 0);
	if (end == GROUP || end == GROUP_ABORT)
		ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	ck_assert_int_eq(
		victim_spawn(&v, stackless, set, set || end == BORN_DETACHED ? NULL : &task),
		0);
	if (moment != UNPOLLED)
		YIELD_UNTIL(get(moment == COMPLETE ? &v.ended : &v.waiting));
	if (set)
		end_set(set, &v, aborted);
	else
		end_task(task, &v, end, aborted);
	YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	ck_assert_msg(v.ended == 1, "moment %d end %d stackless %d: ended %u times", moment, end,
		      stackless, v.ended);
	weir_sem_fini(&v.sem);
	close(v.fds[0]);
	close(v.fds[1]);
}

static int combine_all(void *arg)
{
	bool stackless = *(bool *)arg;
	int moment, end, round;

	for (round = 0; round < 3; round++)
		for (moment = 0; moment < MOMENTS; moment++)
			for (end = 0; end < ENDS; end++)
				combine((enum moment)moment, (enum end)end, stackless);
	return 0;
}

/*
 * Aborted before its first poll, a fiber still runs, and its waits fail; of a stackless task only
 * fini runs.
 */
START_TEST(every_end_at_every_moment)
{
	struct weir_rt_config cfg = runtime_config(_i / 2);
	bool stackless = _i % 2;

	runtime_run(&cfg, combine_all, &stackless);
}
END_TEST

/* ---- join -------------------------------------------------------------------------------- */

static int give(void *arg)
{
	return *(int *)arg;
}

static int wait_sem(void *arg)
{
	return weir_sem_acquire(arg, 1);
}

ON_EACH(a_join_gives_the_result)
{
	int value = 7, negative = -ENOENT;
	struct weir_task *task;

	ck_assert_int_eq(weir_spawn(give, &value, &task), 0);
	expect_result(task, 7);
	ck_assert_int_eq(weir_spawn(give, &negative, &task), 0);
	YIELD_UNTIL(weir_task_is_complete(task));
	expect_result(task, -ENOENT);
	ck_assert_int_eq(weir_spawn(give, &value, &task), 0);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	ck_assert_int_eq(weir_task_join(NULL, NULL), -EINVAL);
	weir_task_detach(NULL);
	weir_task_abort(NULL);
	return 0;
}

ON_EACH(a_join_that_times_out_leaves_the_handle)
{
	struct weir_task *task;
	struct weir_sem sem;
	int result = 1, i;

	weir_sem_init(&sem, 0);
	ck_assert_int_eq(weir_spawn(wait_sem, &sem, &task), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(weir_task_join_until(task, weir_deadline_in(WEIR_MSEC), &result),
				 -ETIMEDOUT);
	ck_assert_int_eq(result, 1);
	ck_assert(!weir_task_is_complete(task));
	weir_sem_release(&sem, 1);
	ck_assert_int_eq(weir_task_join_until(task, WEIR_FOREVER, &result), 0);
	ck_assert_int_eq(result, 0);
	weir_sem_fini(&sem);
	return 0;
}

static int join_self(void *arg)
{
	struct weir_task *self = weir_task_current();
	struct weir_join_future join;

	set(arg, 1);
	weir_join_init(&join, self);
	ck_assert_int_eq(weir_await(&join.future), -EDEADLK);
	return weir_task_join(self, NULL);
}

static int join_self_poll(void *state, struct weir_cx *cx)
{
	struct weir_join_future join;

	(void)state;
	weir_join_init(&join, cx->task);
	/* A stackless task may not call functions that wait. */
	ck_assert_int_eq(weir_task_join(cx->task, NULL), -EPERM);
	ck_assert_int_eq(weir_sleep(0), -EPERM);
	ck_assert_int_eq(weir_yield(), -EPERM);
	return weir_poll(&join.future, cx);
}

ON_EACH(a_join_on_itself_is_refused)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	unsigned ran = 0;

	ck_assert_int_eq(weir_spawn(join_self, &ran, &task), 0);
	expect_result(task, -EDEADLK);
	cfg.poll = join_self_poll;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	expect_result(task, -EDEADLK);
	return 0;
}

/* Joins a task from another thread. */
struct joiner {
	struct weir_task *task;
	int rc, result;
	unsigned done;
};

static void *join_thread(void *arg)
{
	struct joiner *j = arg;

	j->rc = weir_task_join(j->task, &j->result);
	set(&j->done, 1);
	return NULL;
}

ON_EACH(a_plain_thread_joins)
{
	struct weir_task *unfinished;
	struct joiner j = { NULL, 1, 0, 0 };
	struct weir_sem sem;
	pthread_t thread;
	int value = 9, i;

	weir_sem_init(&sem, 0);
	for (i = 0; i < 200; i++) {
		j.done = 0;
		ck_assert_int_eq(
			weir_spawn(i % 2 ? give : wait_sem, i % 2 ? (void *)&value : &sem, &j.task),
			0);
		thread = thread_start(join_thread, &j);
		weir_sem_release(&sem, i % 2 ? 0 : 1);
		YIELD_UNTIL(get(&j.done));
		pthread_join(thread, NULL);
		ck_assert_int_eq(j.rc, 0);
		ck_assert_int_eq(j.result, i % 2 ? 9 : 0);
	}
	ck_assert_int_eq(weir_spawn(wait_sem, &sem, &unfinished), 0);
	weir_task_abort(unfinished);
	expect_result(unfinished, -ECANCELED);
	weir_sem_fini(&sem);
	return 0;
}

START_TEST(a_join_on_a_plain_thread_times_out)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt = runtime_new(&cfg);
	struct weir_task *task;
	struct weir_sem sem;
	int result, i;

	weir_sem_init(&sem, 0);
	for (i = 0; i < 50; i++) {
		ck_assert_int_eq(weir_rt_spawn(rt, wait_sem, &sem, &task), 0);
		ck_assert_int_eq(weir_task_join_until(task, weir_deadline_in(WEIR_MSEC), &result),
				 -ETIMEDOUT);
		ck_assert_int_eq(weir_task_join_until(task, 0, &result), -ETIMEDOUT);
		weir_sem_release(&sem, 1);
		ck_assert_int_eq(weir_task_join(task, &result), 0);
		ck_assert_int_eq(result, 0);
	}
	runtime_end(rt);
	weir_sem_fini(&sem);
}
END_TEST

static int join_other(void *arg)
{
	struct joiner *j = arg;

	set(&j->done, 1);
	j->rc = weir_task_join(j->task, &j->result);
	return j->rc;
}

ON_EACH(an_aborted_joiner_leaves_the_handle)
{
	struct joiner j = { NULL, 1, 0, 0 };
	struct weir_task *joiner;
	struct weir_sem sem;

	weir_sem_init(&sem, 0);
	ck_assert_int_eq(weir_spawn(wait_sem, &sem, &j.task), 0);
	ck_assert_int_eq(weir_spawn(join_other, &j, &joiner), 0);
	YIELD_UNTIL(get(&j.done));
	weir_yield();
	weir_task_abort(joiner);
	expect_result(joiner, -ECANCELED);
	weir_sem_release(&sem, 1);
	expect_result(j.task, 0);
	weir_sem_fini(&sem);
	return 0;
}

/* A stackless task that joins another one, and detaches it when it is aborted. */
static int join_poll_body(void *state, struct weir_cx *cx)
{
	struct weir_join_future *join = state;

	if (!join->future.ops) {
		struct weir_task *task = join->task;

		weir_join_init(join, task);
	}
	return weir_poll(&join->future, cx) == WEIR_PENDING ? WEIR_PENDING : join->result;
}

static void join_fini(void *state)
{
	weir_task_detach(((struct weir_join_future *)state)->task);
}

ON_EACH(a_stackless_task_joins)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_join_future join = { .task = NULL };
	struct weir_task *outer;
	struct weir_sem sem;
	int i;

	weir_sem_init(&sem, 0);
	cfg.poll = join_poll_body;
	cfg.fini = join_fini;
	cfg.state = &join;
	cfg.state_bytes = sizeof join;
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(weir_spawn(wait_sem, &sem, &join.task), 0);
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &outer), 0);
		if (i % 3)
			weir_yield();
		if (i % 2)
			weir_task_abort(outer);
		else
			weir_sem_release(&sem, 1);
		expect_result(outer, i % 2 ? -ECANCELED : 0);
		if (i % 2)
			weir_sem_release(&sem, 1);
		YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
		ck_assert_uint_eq(weir_sem_available(&sem), 0);
	}
	weir_sem_fini(&sem);
	return 0;
}

/* The joiner's runtime is freed as soon as the join has finished. */
START_TEST(a_join_across_runtimes_survives_the_end_of_the_joiners)
{
	struct weir_rt_config far_cfg = runtime_config(ON_FOUR), near_cfg = runtime_config(_i);
	struct weir_rt *far = runtime_new(&far_cfg), *near;
	struct weir_sem sem;
	struct joiner j;
	int i;

	weir_sem_init(&sem, 0);
	for (i = 0; i < 300; i++) {
		j = (struct joiner){ .rc = 1, .result = 1 };
		near = runtime_new(&near_cfg);
		ck_assert_int_eq(weir_rt_spawn(far, wait_sem, &sem, &j.task), 0);
		weir_sem_release(&sem, 1);
		ck_assert_int_eq(weir_rt_block_on(near, join_other, &j), 0);
		ck_assert_int_eq(j.result, 0);
		runtime_end(near);
	}
	runtime_end(far);
	weir_sem_fini(&sem);
}
END_TEST

/* ---- abort ------------------------------------------------------------------------------- */

static int count_cancelled(void *arg)
{
	unsigned *seen = arg;
	struct weir_sleep_future sleep;
	int rc = weir_sleep(LONG);

	ck_assert_int_eq(rc, -ECANCELED);
	ck_assert(weir_task_cancelled());
	/* Every later wait fails too; calls that need not wait still succeed. */
	ck_assert_int_eq(weir_sleep(LONG), -ECANCELED);
	ck_assert_int_eq(weir_yield(), -ECANCELED);
	weir_sleep_init(&sleep, weir_deadline_in(LONG));
	ck_assert_int_eq(weir_await_until(&sleep.future, weir_deadline_in(LONG)), -ECANCELED);
	set(seen, 1);
	return 5;
}

ON_EACH(an_aborted_fiber_says_how_it_ended)
{
	struct weir_task *task;
	unsigned seen = 0;

	ck_assert_int_eq(weir_spawn(count_cancelled, &seen, &task), 0);
	weir_yield();
	weir_task_abort(task);
	weir_task_abort(task);
	expect_result(task, 5);
	ck_assert_uint_eq(seen, 1);
	return 0;
}

static int abort_self(void *arg)
{
	(void)arg;
	weir_task_abort(weir_task_current());
	ck_assert(weir_task_cancelled());
	return weir_sleep(LONG);
}

static int abort_self_poll(void *state, struct weir_cx *cx)
{
	unsigned *polls = *(unsigned **)state;

	ck_assert_uint_eq(add(polls, 1), 1);
	weir_task_abort(cx->task);
	return WEIR_PENDING;
}

static void count_fini(void *state)
{
	add(*(unsigned **)state + 1, 1);
}

ON_EACH(a_task_may_abort_itself)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	unsigned counts[2] = { 0, 0 }, *state = counts;
	struct weir_task *task;

	ck_assert_int_eq(weir_spawn(abort_self, NULL, &task), 0);
	expect_result(task, -ECANCELED);
	cfg.poll = abort_self_poll;
	cfg.fini = count_fini;
	cfg.state = &state;
	cfg.state_bytes = sizeof state;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	expect_result(task, -ECANCELED);
	ck_assert_uint_eq(counts[0], 1);
	ck_assert_uint_eq(counts[1], 1);
	return 0;
}

/* A task that returns while a sleep and an acquire are still pending: weir unwinds them. */
struct careless {
	struct weir_sleep_future sleep;
	struct weir_sem_acquire_future lock;
	struct weir_sem *sem;
	unsigned *ended;
};

static int careless_poll(void *state, struct weir_cx *cx)
{
	struct careless *c = state;

	weir_sleep_init(&c->sleep, weir_deadline_in(LONG));
	weir_sem_acquire_init(&c->lock, c->sem, 1);
	ck_assert_int_eq(weir_poll(&c->sleep.future, cx), WEIR_PENDING);
	ck_assert_int_eq(weir_poll(&c->lock.future, cx), WEIR_PENDING);
	return 11;
}

static void careless_fini(void *state)
{
	add(((struct careless *)state)->ended, 1);
}

ON_EACH(what_a_task_leaves_pending_is_unwound)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct careless c = { .sem = NULL };
	struct weir_task *task;
	struct weir_sem sem;
	unsigned ended = 0;

	weir_sem_init(&sem, 0);
	c.sem = &sem;
	c.ended = &ended;
	cfg.poll = careless_poll;
	cfg.fini = careless_fini;
	cfg.state = &c;
	cfg.state_bytes = sizeof c;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	expect_result(task, 11);
	ck_assert_uint_eq(ended, 1);
	/* Nobody waits any more, so the permit stays. */
	weir_sem_release(&sem, 1);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, 1), 0);
	weir_sem_fini(&sem);
	return 0;
}

/* Threads that abort, join and detach while tasks end by themselves. */
struct racer {
	struct weir_rt *rt;
	unsigned *ended;
	unsigned seed;
};

static int end_soon(void *arg)
{
	weir_yield();
	add(arg, 1);
	return 3;
}

static void *race_thread(void *arg)
{
	struct racer *r = arg;
	unsigned i, n = 2000;
	int result;

	for (i = 0; i < n; i++) {
		struct weir_task *task;

		ck_assert_int_eq(weir_rt_spawn(r->rt, end_soon, r->ended, &task), 0);
		if ((i + r->seed) % 3 == 0)
			weir_task_abort(task);
		if ((i + r->seed) % 5 < 3) {
			ck_assert_int_eq(weir_task_join(task, &result), 0);
			ck_assert_int_eq(result, 3);
		} else {
			weir_task_detach(task);
		}
	}
	return NULL;
}

START_TEST(aborts_joins_and_detaches_race)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt = runtime_new(&cfg);
	struct racer racers[3];
	pthread_t threads[3];
	unsigned ended = 0, i;

	for (i = 0; i < 3; i++) {
		racers[i] = (struct racer){ rt, &ended, i };
		threads[i] = thread_start(race_thread, &racers[i]);
	}
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	runtime_end(rt);
	ck_assert_uint_eq(ended, 6000);
}
END_TEST

/* ---- the budget -------------------------------------------------------------------------- */

struct turns {
	unsigned turns, stop;
};

static int take_turns(void *arg)
{
	struct turns *t = arg;

	while (!get(&t->stop)) {
		add(&t->turns, 1);
		if (weir_yield() < 0)
			break;
	}
	return 0;
}

struct greedy {
	struct turns *turns;
	struct weir_sem *sem;
	unsigned yielded_at;		/* units used when the other task ran for the first time */
};

/* Every acquire is ready at once. */
static int be_greedy(void *arg)
{
	struct greedy *g = arg;
	unsigned before = get(&g->turns->turns), i;

	for (i = 0; i < 1000 && !g->yielded_at; i++) {
		ck_assert_int_eq(weir_sem_acquire(g->sem, 1), 0);
		if (get(&g->turns->turns) != before)
			g->yielded_at = i;
	}
	return 0;
}

static unsigned greedy_on(unsigned budget, unsigned flags)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct turns turns = { 0, 0 };
	struct weir_sem sem;
	struct greedy g = { &turns, &sem, 0 };
	struct weir_task *other, *task;

	(void)budget;
	weir_sem_init(&sem, 1000);
	ck_assert_int_eq(weir_spawn(take_turns, &turns, &other), 0);
	cfg.fn = be_greedy;
	cfg.arg = &g;
	cfg.flags = flags;
	YIELD_UNTIL(get(&turns.turns));
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	expect_result(task, 0);
	set(&turns.stop, 1);
	expect_result(other, 0);
	weir_sem_fini(&sem);
	return g.yielded_at;
}

static int greedy_body(void *arg)
{
	unsigned budget = *(unsigned *)arg;

	ck_assert_uint_eq(greedy_on(budget, 0), budget);
	ck_assert_uint_eq(greedy_on(budget, WEIR_TASK_UNCONSTRAINED), 0);
	return 0;
}

START_TEST(the_budget_makes_room_for_others)
{
	struct weir_rt_config cfg = runtime_config(_i % 2);
	unsigned budget = _i < 2 ? 128 : 5;

	cfg.budget = _i < 2 ? 0 : budget;
	runtime_run(&cfg, greedy_body, &budget);
}
END_TEST

static int take_all(void *state, struct weir_cx *cx)
{
	unsigned *counts = *(unsigned **)state;
	unsigned i;
	bool was;

	if (counts[0])
		return 0;
	for (i = 0; i < 10000; i++) {
		ck_assert(weir_coop_take(cx));
		weir_coop_refund(cx);
	}
	for (; weir_coop_take(cx); counts[0]++)
		;
	was = weir_task_unconstrained(true);
	ck_assert(!was);
	for (i = 0; i < 10000; i++)
		ck_assert(weir_coop_take(cx));
	ck_assert(weir_task_unconstrained(false));
	for (; weir_coop_take(cx); counts[1]++)
		;
	return WEIR_PENDING;		/* the task is queued already */
}

ON_EACH(units_are_counted_and_given_back)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	unsigned counts[2] = { 0, 0 }, *state = counts;
	struct weir_task *task;

	cfg.poll = take_all;
	cfg.state = &state;
	cfg.state_bytes = sizeof state;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	expect_result(task, 0);
	ck_assert_uint_eq(counts[0], 128);
	ck_assert_uint_eq(counts[1], 128);
	return 0;
}

/* ---- yields and wake-ups ----------------------------------------------------------------- */

static int self_waker(void *state, struct weir_cx *cx)
{
	struct turns *t = *(struct turns **)state;

	add(&t->turns, 1);
	if (get(&t->stop))
		return 0;
	weir_waker_wake(&cx->waker);
	return WEIR_PENDING;
}

/* Tasks of each kind that are always ready must not keep a timer and a pipe from their turn. */
ON_EACH(drivers_have_their_turn_while_tasks_yield_for_ever)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct turns turns = { 0, 0 }, *state = &turns;
	struct weir_task *tasks[6];
	struct weir_fd *fd;
	unsigned i;
	int fds[2];

	cfg.poll = self_waker;
	cfg.state = &state;
	cfg.state_bytes = sizeof state;
	for (i = 0; i < 6; i++)
		ck_assert_int_eq(i % 2 ? weir_spawn(take_turns, &turns, &tasks[i])
				       : weir_task_spawn(NULL, &cfg, &tasks[i]),
				 0);
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_fd_open(fds[0], &fd), 0);
	for (i = 0; i < 10; i++) {
		char byte;

		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
		ck_assert_int_eq(write(fds[1], "x", 1), 1);
		ck_assert_int_eq(weir_fd_wait(fd, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
		ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	}
	set(&turns.stop, 1);
	for (i = 0; i < 6; i++)
		expect_result(tasks[i], 0);
	weir_fd_close(fd);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* A custom future that another thread finishes. */
struct flag {
	struct weir_future future;
	struct weir_waker waker;
	pthread_mutex_t lock;
	bool up;
	unsigned polls;
};

static int flag_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct flag *f = WEIR_CONTAINER_OF(future, struct flag, future);
	bool up;

	f->polls++;
	pthread_mutex_lock(&f->lock);
	up = f->up;
	if (!up && !f->waker.ops)
		f->waker = weir_waker_ref(&cx->waker);
	pthread_mutex_unlock(&f->lock);
	return up ? 6 : WEIR_PENDING;
}

static const struct weir_future_ops flag_ops = { "flag", flag_poll, NULL, NULL };

static void *raise_flag(void *arg)
{
	struct flag *f = arg;
	struct weir_waker waker;

	pthread_mutex_lock(&f->lock);
	f->up = true;
	waker = f->waker;
	f->waker.ops = NULL;
	pthread_mutex_unlock(&f->lock);
	if (waker.ops) {
		weir_waker_wake(&waker);
		weir_waker_wake(&waker);
		weir_waker_unref(&waker);
	}
	return NULL;
}

ON_EACH(another_thread_wakes_a_task)
{
	struct flag f;
	int i;

	for (i = 0; i < 200; i++) {
		pthread_t thread;

		f = (struct flag){
			{ &flag_ops }, { NULL, NULL }, PTHREAD_MUTEX_INITIALIZER, false, 0
		};
		thread = thread_start(raise_flag, &f);
		ck_assert_int_eq(weir_await(&f.future), 6);
		pthread_join(thread, NULL);
		weir_waker_unref(&f.waker);
	}
	return 0;
}

static int keep_waker(void *state, struct weir_cx *cx)
{
	**(struct weir_waker **)state = weir_waker_ref(&cx->waker);
	return 8;
}

/* A waker that outlives its task wakes nothing, not even the next task in the same memory. */
ON_EACH(a_stale_waker_does_nothing)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_waker waker, *state = &waker;
	struct weir_task *task;
	int i;

	cfg.poll = keep_waker;
	cfg.state = &state;
	cfg.state_bytes = sizeof state;
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
		expect_result(task, 8);
		weir_waker_wake(&waker);
		weir_waker_unref(&waker);
		ck_assert_ptr_null(waker.ops);
		weir_waker_unref(&waker);
	}
	return 0;
}

/* ---- task-locals ------------------------------------------------------------------------- */

static unsigned destroyed[8], destroyed_count;
static void note_destroyed(void *value);
static const struct weir_local_key keys[3] = { { note_destroyed }, { note_destroyed }, { NULL } };
static const struct weir_local_key late_key;

/* A destructor may read values that still exist, and may set values. */
static void note_destroyed(void *value)
{
	destroyed[destroyed_count++] = *(unsigned *)value;
	ck_assert_ptr_null(weir_local_get(&late_key));
	if (*(unsigned *)value == 2) {
		ck_assert_ptr_nonnull(weir_local_get(&keys[0]));
		ck_assert_int_eq(weir_local_set(&keys[2], value), 0);
	}
}

static unsigned one = 1, two = 2, three = 3;

static int use_locals(void *arg)
{
	(void)arg;
	ck_assert_ptr_null(weir_local_get(&keys[0]));
	ck_assert_int_eq(weir_local_set(&keys[0], &three), 0);
	ck_assert_int_eq(weir_local_set(&keys[1], &two), 0);
	ck_assert_int_eq(weir_yield(), 0);
	ck_assert_ptr_eq(weir_local_get(&keys[1]), &two);
	ck_assert_uint_eq(destroyed_count, 0);
	ck_assert_int_eq(weir_local_set(&keys[0], &one), 0);
	ck_assert_uint_eq(destroyed_count, 1);
	ck_assert_uint_eq(destroyed[0], 3);
	return 0;
}

static int set_local_poll(void *state, struct weir_cx *cx)
{
	(void)state;
	(void)cx;
	return weir_local_set(&keys[0], &one);
}

static void fini_sees_local(void *state)
{
	(void)state;
	ck_assert_ptr_eq(weir_local_get(&keys[0]), &one);
	destroyed[destroyed_count++] = 77;
}

/* ---- destructors that set values again ---- */

static unsigned again_calls, again_refused;
static void set_again(void *value);
static void set_other(void *value);
static const struct weir_local_key again_key = { set_again }, other_key = { set_other };

static void count_set(int rc)
{
	ck_assert_msg(rc == 0 || rc == -EBUSY, "set in a destructor: %d", rc);
	ck_assert_uint_lt(again_calls, 100);
	again_calls++;
	again_refused += rc == -EBUSY;
}

static void set_again(void *value)
{
	count_set(weir_local_set(&again_key, value));
}

/* Sets a value of each key, so that the destructors of two keys trigger each other. */
static void set_other(void *value)
{
	count_set(weir_local_set(&again_key, value));
	count_set(weir_local_set(&other_key, value));
}

/* Overwrites a value, which runs its destructor in the call, so that destructors nest. */
static int overwrite(void *arg)
{
	const struct weir_local_key *key = arg;

	again_calls = again_refused = 0;
	ck_assert_int_eq(weir_local_set(key, &one), 0);
	ck_assert_int_eq(weir_local_set(key, &two), 0);
	ck_assert_uint_gt(again_calls, 1);
	ck_assert_uint_gt(again_refused, 0);
	again_calls = again_refused = 0;
	return 0;
}

static int set_once(void *arg)
{
	again_calls = again_refused = 0;
	return weir_local_set(arg, &one);
}

ON_EACH(a_local_that_its_destructor_sets_again_has_an_end)
{
	int (*const bodies[])(void *) = { overwrite, set_once };
	const struct weir_local_key *const each[] = { &again_key, &other_key };
	struct weir_task *task;

	for (unsigned i = 0; i < 4; i++) {
		void *key = (void *)(uintptr_t)each[i / 2];

		ck_assert_int_eq(weir_spawn(bodies[i % 2], key, &task), 0);
		expect_result(task, 0);
		/* At the end of the task, destructors run one after the other. */
		ck_assert_uint_gt(again_calls, i % 2);
		ck_assert_uint_gt(again_refused, 0);
	}
	return 0;
}

ON_EACH(locals_end_after_the_task_the_last_one_first)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	destroyed_count = 0;
	ck_assert_int_eq(weir_spawn(use_locals, NULL, &task), 0);
	expect_result(task, 0);
	ck_assert_uint_eq(destroyed_count, 3);
	ck_assert_uint_eq(destroyed[1], 2);
	ck_assert_uint_eq(destroyed[2], 1);
	ck_assert_ptr_null(weir_local_get(&keys[0]));

	destroyed_count = 0;
	cfg.poll = set_local_poll;
	cfg.fini = fini_sees_local;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	expect_result(task, 0);
	ck_assert_uint_eq(destroyed_count, 2);
	ck_assert_uint_eq(destroyed[0], 77);
	ck_assert_uint_eq(destroyed[1], 1);
	return 0;
}

START_TEST(locals_need_a_task)
{
	ck_assert_int_eq(weir_local_set(&keys[0], &one), -EPERM);
	ck_assert_ptr_null(weir_local_get(&keys[0]));
	ck_assert_ptr_null(weir_task_current());
	ck_assert(!weir_task_cancelled());
	ck_assert(!weir_task_unconstrained(true));
}
END_TEST

/* ---- what a task knows about itself ------------------------------------------------------ */

static int look_at_self(void *arg)
{
	struct weir_task *self = weir_task_current();
	const char *expected = arg;

	ck_assert_str_eq(weir_task_name(self), expected);
	ck_assert_uint_ne(weir_task_id(self), 0);
	return 0;
}

ON_EACH(names_ids_and_origins)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	const struct weir_location *where;
	struct weir_task *task;
	uint64_t id = 0, other = 0;
	int line;

	line = __LINE__ + 1;
	ck_assert_int_eq(weir_spawn(look_at_self, (void *)(uintptr_t) __func__, &task), 0);
	where = weir_task_where(task);
	ck_assert_int_eq(where->line, line);
	ck_assert_str_eq(where->func, __func__);
	ck_assert_ptr_nonnull(strstr(where->file, "core_task.c"));
	other = weir_task_id(task);
	expect_result(task, 0);

	cfg.fn = look_at_self;
	cfg.arg = (void *)(uintptr_t) "given";
	cfg.name = "given";
	cfg.ret_id = &id;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	ck_assert_uint_eq(weir_task_id(task), id);
	ck_assert_uint_ne(id, other);
	ck_assert_ptr_null(weir_task_where(task));
	expect_result(task, 0);
	ck_assert_uint_eq(weir_task_id(NULL), 0);
	ck_assert_str_eq(weir_task_name(NULL), "");
	ck_assert_ptr_null(weir_task_where(NULL));
	return 0;
}

static void *spawn_refused(void *rt)
{
	unsigned i;

	for (i = 0; i < 100; i++)
		ck_assert_int_eq(weir_rt_spawn(rt, give, NULL, NULL), -ESHUTDOWN);
	return NULL;
}

START_TEST(nothing_is_spawned_after_shutdown)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);

	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	pthread_join(thread_start(spawn_refused, rt), NULL);
	ck_assert_int_eq(weir_rt_block_on(rt, give, NULL), -ESHUTDOWN);
	ck_assert_int_eq(weir_rt_shutdown(rt, 0), 0);
	weir_rt_free(rt);
}
END_TEST

/* ---- spawn ------------------------------------------------------------------------------- */

static void refused(struct weir_task_config *cfg, int rc)
{
	struct weir_task *task = (struct weir_task *)(uintptr_t)1;

	ck_assert_int_eq(weir_task_spawn(NULL, cfg, &task), rc);
	ck_assert_ptr_eq(task, (struct weir_task *)(uintptr_t)1);
}

static int never_poll(void *state, struct weir_cx *cx)
{
	(void)state;
	(void)cx;
	ck_abort_msg("it was refused");
}

ON_EACH(spawn_refuses_what_is_wrong)
{
	struct weir_task_config good = WEIR_TASK_CONFIG_INIT, cfg;
	struct weir_join_set *set;

	good.fn = give;
	refused(NULL, -EINVAL);
	cfg = (struct weir_task_config)WEIR_TASK_CONFIG_INIT;
	refused(&cfg, -EINVAL);
	cfg = good;
	cfg.size = 0;
	refused(&cfg, -EINVAL);
	cfg = good;
	cfg.poll = never_poll;
	refused(&cfg, -EINVAL);
	cfg = good;
	cfg.state_bytes = 8;
	refused(&cfg, -EINVAL);
	cfg = good;
	cfg.worker = (int)weir_rt_workers(weir_rt_current()) + 1;
	cfg.flags = WEIR_TASK_PINNED;
	refused(&cfg, -EINVAL);
	cfg.worker = -1;
	refused(&cfg, -EINVAL);
	cfg = (struct weir_task_config)WEIR_TASK_CONFIG_INIT;
	cfg.poll = never_poll;
	cfg.state_bytes = 64 * 1024 + 1;
	refused(&cfg, -EINVAL);
	ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	cfg = good;
	cfg.join_set = set;
	refused(&cfg, -EINVAL);
	ck_assert_uint_eq(weir_join_set_len(set), 0);
	weir_join_set_free(set);
	return 0;
}

static int check_state(void *state, struct weir_cx *cx)
{
	unsigned char *bytes = state;
	size_t i, n;

	(void)cx;
	memcpy(&n, bytes, sizeof n);
	for (i = sizeof n; i < n; i++)
		ck_assert_int_eq(bytes[i], (unsigned char)i);
	return 0;
}

static int check_zeroed(void *state, struct weir_cx *cx)
{
	unsigned char *bytes = state;
	size_t i;

	(void)cx;
	for (i = 0; i < 3000; i++)
		ck_assert_int_eq(bytes[i], 0);
	memset(bytes, 0xff, 3000);
	return 0;
}

ON_EACH(states_of_every_size)
{
	static const size_t sizes[] = { 8, 15, 16, 17, 100, 500, 1000, 4000, 20000, 65535, 65536 };
	unsigned char *state = malloc(65536);
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	size_t i, n;

	for (n = 0; n < TESTING_COUNT(sizes); n++) {
		for (i = 0; i < sizes[n]; i++)
			state[i] = (unsigned char)i;
		memcpy(state, &sizes[n], sizeof sizes[n]);
		cfg.poll = check_state;
		cfg.state = state;
		cfg.state_bytes = sizes[n];
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
		expect_result(task, 0);
	}
	for (n = 0; n < 4; n++) {
		cfg.poll = check_zeroed;
		cfg.state = NULL;
		cfg.state_bytes = 3000;
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
		expect_result(task, 0);
	}
	free(state);
	return 0;
}

static int spawn_chain(void *arg)
{
	unsigned *left = arg;

	return *left && --*left ? weir_spawn(spawn_chain, left, NULL) : 0;
}

static int count_one(void *arg)
{
	add(arg, 1);
	return 0;
}

/* So many tasks that the local ring overflows several times. */
ON_EACH(one_two_many_and_a_chain)
{
	unsigned done = 0, left = 1000, i;
	struct weir_task *tasks[2];

	ck_assert_int_eq(weir_spawn(count_one, &done, &tasks[0]), 0);
	ck_assert_int_eq(weir_spawn(count_one, &done, &tasks[1]), 0);
	expect_result(tasks[1], 0);
	expect_result(tasks[0], 0);
	ck_assert_uint_eq(get(&done), 2);
	for (i = 0; i < 5000; i++)
		ck_assert_int_eq(weir_spawn(count_one, &done, NULL), 0);
	YIELD_UNTIL(get(&done) == 5002);
	ck_assert_int_eq(weir_spawn(spawn_chain, &left, NULL), 0);
	YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	ck_assert_uint_eq(left, 0);
	return 0;
}

START_TEST(a_waiting_call_on_a_plain_thread_is_refused)
{
	struct weir_sleep_future sleep;

	weir_sleep_init(&sleep, 0);
	ck_assert_int_eq(weir_sleep(0), -EPERM);
	ck_assert_int_eq(weir_yield(), -EPERM);
	ck_assert_int_eq(weir_await(&sleep.future), -EPERM);
	ck_assert_int_eq(weir_block_on(&sleep.future, WEIR_FOREVER), -ENXIO);
	ck_assert_int_eq(weir_spawn(give, NULL, NULL), -ENXIO);
	ck_assert_int_eq(weir_blocking_run(give, NULL), -EPERM);
	ck_assert_int_eq(weir_blocking_spawn(NULL, give, NULL), -ENXIO);
	ck_assert_int_eq(weir_rt_worker_index(), -1);
	ck_assert_ptr_null(weir_rt_current());
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(every_end_at_every_moment, .rounds = 2 * RUNTIMES),
		EACH(a_join_gives_the_result),
		EACH(a_join_that_times_out_leaves_the_handle),
		EACH(a_join_on_itself_is_refused),
		EACH(a_plain_thread_joins),
		TESTING(a_join_on_a_plain_thread_times_out),
		EACH(an_aborted_joiner_leaves_the_handle),
		EACH(a_stackless_task_joins),
		EACH(a_join_across_runtimes_survives_the_end_of_the_joiners),
		EACH(an_aborted_fiber_says_how_it_ended),
		EACH(a_task_may_abort_itself),
		EACH(what_a_task_leaves_pending_is_unwound),
		TESTING(aborts_joins_and_detaches_race),
		TESTING(the_budget_makes_room_for_others, .rounds = 4),
		EACH(units_are_counted_and_given_back),
		EACH(drivers_have_their_turn_while_tasks_yield_for_ever),
		EACH(another_thread_wakes_a_task),
		EACH(a_stale_waker_does_nothing),
		EACH(locals_end_after_the_task_the_last_one_first),
		EACH(a_local_that_its_destructor_sets_again_has_an_end),
		TESTING(locals_need_a_task),
		EACH(names_ids_and_origins),
		EACH(nothing_is_spawned_after_shutdown),
		EACH(spawn_refuses_what_is_wrong),
		EACH(states_of_every_size),
		EACH(one_two_many_and_a_chain),
		TESTING(a_waiting_call_on_a_plain_thread_is_refused),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
