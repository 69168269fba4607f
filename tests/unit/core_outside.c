/* SPDX-License-Identifier: MIT */
/*
 * core_outside.c: a thread outside a runtime makes the last wake, and is still inside the call when
 * the woken task has ended and the runtime is shut down and freed. Tested for each way to wake, by
 * a plain thread and by a task of another runtime, on each backend.
 */
#include <unistd.h>

#include "core/context.h"
#include "core/rt.h"
#include "core/worker.h"
#include "tests/unit/runtimes.h"

#define LINGER_MS 10u	/* how long a wake takes, unless the runtime was freed before */

struct scene {
	struct weir_rt *rt, *other;
	struct weir_sem sem;
	struct weir_mutex mutex;
	struct weir_notify notify;
	struct weir_oneshot *oneshot;
	struct weir_mpsc *mpsc;
	struct weir_task *far;
	struct event given;
	unsigned waiting, lingered, freed;	/* atomic */
};

static struct scene *scene;

/* ---- wakes that take long ---------------------------------------------------------------- */

static const struct weir__sched_ops *real;

static void schedule_slowly(struct weir_task *task)
{
	struct weir__worker *w = weir__worker_current();
	bool outside = !w || w->rt != scene->rt;

	real->schedule(task);
	if (!outside || !get(&scene->waiting))
		return;
	for (unsigned ms = 0; ms < LINGER_MS && !get(&scene->freed); ms++)
		usleep(1000);
	add(&scene->lingered, 1);
}

static struct weir__sched_ops slow;

static struct weir_rt *slow_runtime(const struct weir_rt_config *cfg)
{
	struct weir_rt *rt = runtime_new(cfg);

	real = rt->sched;
	slow = *real;
	slow.schedule = schedule_slowly;
	rt->sched = &slow;
	return rt;
}

/* ---- the ways to wait and to wake -------------------------------------------------------- */

static int acquire(struct scene *s)
{
	return weir_sem_acquire(&s->sem, 1);
}
static int lock(struct scene *s)
{
	return weir_mutex_lock(&s->mutex);
}
static int be_notified(struct scene *s)
{
	return weir_notify_wait(&s->notify);
}
static int receive_one(struct scene *s)
{
	return weir_oneshot_recv(s->oneshot, NULL);
}
static int receive(struct scene *s)
{
	return weir_mpsc_recv(s->mpsc, NULL);
}
static int send_one(struct scene *s)
{
	return weir_mpsc_send(s->mpsc, NULL);
}

static int join_far(struct scene *s)
{
	int result = 1;
	int rc = weir_task_join(s->far, &result);

	return rc < 0 ? rc : result;
}

static int wait_for_event(void *arg)
{
	event_wait(arg, 1);
	return 0;
}

static int run_blocking(struct scene *s)
{
	return weir_blocking_run(wait_for_event, &s->given);
}

/* A custom future. It stores the waker with a reference, which another thread calls. */
struct call {
	struct weir_future future;
	struct weir_waker waker;
	unsigned state;			/* atomic: 1, the waker is stored; 2, it was called */
};

static struct call call;

static int call_poll(struct weir_future *future, struct weir_cx *cx)
{
	(void)future;
	if (get(&call.state) == 2)
		return 0;
	if (get(&call.state) == 0) {
		call.waker = weir_waker_ref(&cx->waker);
		set(&call.state, 1);
	}
	return WEIR_PENDING;
}

static const struct weir_future_ops call_ops = { "call", call_poll, NULL, NULL };

static int await_call(struct scene *s)
{
	(void)s;
	call = (struct call){ .future = { &call_ops } };
	return weir_await(&call.future);
}

static void release(struct scene *s)
{
	weir_sem_release(&s->sem, 1);
}
static void close_sem(struct scene *s)
{
	weir_sem_close(&s->sem);
}
static void unlock(struct scene *s)
{
	weir_mutex_unlock(&s->mutex);
}
static void notify_one(struct scene *s)
{
	weir_notify_one(&s->notify);
}
static void notify_last(struct scene *s)
{
	weir_notify_last(&s->notify);
}
static void notify_all(struct scene *s)
{
	weir_notify_waiters(&s->notify);
}
static void tell(struct scene *s)
{
	weir_oneshot_send(s->oneshot, NULL);
}
static void tell_nothing(struct scene *s)
{
	weir_oneshot_drop(s->oneshot);
}
static void send_try(struct scene *s)
{
	weir_mpsc_send_try(s->mpsc, NULL);
}
static void unref(struct scene *s)
{
	weir_mpsc_unref(weir_mpsc_ref(s->mpsc));
	weir_mpsc_unref(s->mpsc);
}
static void close_mpsc(struct scene *s)
{
	weir_mpsc_close(s->mpsc);
}
static void receive_try(struct scene *s)
{
	weir_mpsc_recv_try(s->mpsc, NULL);
}
static void give_event(struct scene *s)
{
	event_raise(&s->given);
}

static void wake_and_drop(struct scene *s)
{
	(void)s;
	set(&call.state, 2);
	weir_waker_wake(&call.waker);
	weir_waker_unref(&call.waker);
}

static int release_there(void *arg)
{
	weir_sem_release(arg, 1);
	return 0;
}

static void spawn(struct scene *s)
{
	ck_assert_int_eq(weir_rt_spawn(s->rt, release_there, &s->sem, NULL), 0);
}

static const struct way {
	const char *name;
	int (*wait)(struct scene *s);
	void (*wake)(struct scene *s);
	int rc;
	bool full;			/* the channel is full */
} ways[] = {
	{ "semaphore release", acquire, release, 0, false },
	{ "semaphore close", acquire, close_sem, -ESHUTDOWN, false },
	{ "mutex unlock", lock, unlock, 0, false },
	{ "notify one", be_notified, notify_one, 0, false },
	{ "notify last", be_notified, notify_last, 0, false },
	{ "notify waiters", be_notified, notify_all, 0, false },
	{ "oneshot send", receive_one, tell, 0, false },
	{ "oneshot drop", receive_one, tell_nothing, -EPIPE, false },
	{ "mpsc send", receive, send_try, 1, false },
	{ "mpsc unref", receive, unref, 0, false },
	{ "mpsc close, received", receive, close_mpsc, 0, false },
	{ "mpsc receive", send_one, receive_try, 0, true },
	{ "mpsc close, sent", send_one, close_mpsc, -EPIPE, true },
	{ "a waker of one's own", await_call, wake_and_drop, 0, false },
	{ "spawn", acquire, spawn, 0, false },
	{ "join of another runtime's task", join_far, release, 0, false },
	{ "blocking", run_blocking, give_event, 0, false },
};
#define WAYS (sizeof ways / sizeof ways[0])

static const struct way *way;

/* ---- the scene --------------------------------------------------------------------------- */

static int acquire_far(void *arg)
{
	return weir_sem_acquire(arg, 1);
}

static void scene_open(struct scene *s)
{
	int i;

	*s = (struct scene){ .rt = s->rt, .other = s->other, .given = EVENT_INIT };
	weir_sem_init(&s->sem, 0);
	weir_mutex_init(&s->mutex);
	ck_assert_int_eq(weir_mutex_lock_try(&s->mutex), 0);
	weir_notify_init(&s->notify);
	ck_assert_int_eq(weir_oneshot_new(0, &s->oneshot), 0);
	ck_assert_int_eq(weir_mpsc_new(2, 0, &s->mpsc), 0);
	for (i = 0; way->full && i < 2; i++)
		ck_assert_int_eq(weir_mpsc_send_try(s->mpsc, NULL), 0);
	if (way->wait == join_far)
		ck_assert_int_eq(weir_rt_spawn(s->other, acquire_far, &s->sem, &s->far), 0);
	scene = s;
}

static void scene_close(struct scene *s)
{
	bool spoken = way->wake == tell || way->wake == tell_nothing;

	if (!spoken) {
		weir_oneshot_drop(s->oneshot);
		ck_assert_int_eq(weir_oneshot_recv_try(s->oneshot, NULL), -EPIPE);
	}
	if (way->wake != unref)
		weir_mpsc_unref(s->mpsc);
	weir_mpsc_free(s->mpsc);
	weir_sem_fini(&s->sem);
}

static int say_waiting(void *arg)
{
	set(&((struct scene *)arg)->waiting, 1);
	return 0;
}

/* The other task is on this worker, so it runs when this one waits. */
static int wait_for_it(void *arg)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.fn = say_waiting;
	cfg.arg = arg;
	cfg.flags = WEIR_TASK_PINNED;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), 0);
	ck_assert_int_eq(way->wait(arg), way->rc);
	return 0;
}

static int wake_as_task(void *arg)
{
	way->wake(arg);
	return 0;
}

static void *wake_it(void *arg)
{
	struct scene *s = arg;

	while (!get(&s->waiting))
		usleep(100);
	if (s->other)
		ck_assert_int_eq(weir_rt_block_on(s->other, wake_as_task, s), 0);
	else
		way->wake(s);
	return NULL;
}

/* The wakes come from tasks of `other`, or from plain threads if that is NULL. */
static void wake_last(const struct weir_rt_config *cfg, struct weir_rt *other)
{
	struct scene s = { .rt = slow_runtime(cfg), .other = other };
	pthread_t waker;

	scene_open(&s);
	waker = thread_start(wake_it, &s);
	ck_assert_int_eq(weir_rt_block_on(s.rt, wait_for_it, &s), 0);
	runtime_end(s.rt);
	ck_assert_msg(get(&s.lingered), "%s: the call was under way when the runtime was freed",
		      way->name);
	set(&s.freed, 1);
	pthread_join(waker, NULL);
	scene_close(&s);
}

START_TEST(a_plain_thread_wakes_last)
{
	struct weir_rt_config cfg = place_config(_i);

	if (!place_is_there(&cfg))
		return;
	for (way = ways; way < ways + WAYS; way++)
		if (way->wait != join_far)
			wake_last(&cfg, NULL);
}
END_TEST

START_TEST(a_task_of_another_runtime_wakes_last)
{
	struct weir_rt_config other_cfg = runtime_config(ON_ONE), cfg = place_config(_i);
	struct weir_rt *other;

	if (!place_is_there(&cfg))
		return;
	other = runtime_new(&other_cfg);
	for (way = ways; way < ways + WAYS; way++)
		wake_last(&cfg, other);
	runtime_end(other);
}
END_TEST

/* ---- a clock ----------------------------------------------------------------------------- */

extern const struct weir_backend_ops weir__backend_epoll;

static struct weir_clock *moved;
static unsigned sleeping, lingered, gone;	/* atomic */

/* Wakes, and then stays in the call for a while. */
static void wake_slowly(struct weir_backend *be)
{
	weir__backend_epoll.wake(be);
	if (weir__worker_current() || !get(&sleeping))
		return;
	for (unsigned ms = 0; ms < LINGER_MS && !get(&gone); ms++)
		usleep(1000);
	add(&lingered, 1);
}

static int sleep_a_moment(void *arg)
{
	struct weir_sleep_future sleep;

	weir_sleep_init(&sleep, weir_deadline_in(WEIR_MSEC));
	set(arg, 1);
	return weir_await(&sleep.future);
}

static void advance(void)
{
	ck_assert_int_eq(weir_clock_advance(moved, WEIR_MSEC), 0);
}
static void resume(void)
{
	ck_assert_int_eq(weir_clock_resume(moved), 0);
}
static void let_advance(void)
{
	weir_clock_auto_advance(moved, true);
}

static void *move_the_clock(void *arg)
{
	void (*const moves[])(void) = { advance, resume, let_advance };

	while (!get(&sleeping))
		usleep(100);
	moves[*(int *)arg]();
	return NULL;
}

START_TEST(moving_the_clock_may_be_the_last_wake)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	struct weir_backend_ops ops = weir__backend_epoll;
	pthread_t mover = thread_start(move_the_clock, &_i);
	struct weir_rt *rt;

	ck_assert_int_eq(weir_clock_new(&moved), 0);
	weir_clock_auto_advance(moved, false);
	ops.wake = wake_slowly;
	cfg.backend_ops = &ops;
	cfg.clock = moved;
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_block_on(rt, sleep_a_moment, &sleeping), 0);
	runtime_end(rt);
	ck_assert_msg(get(&lingered), "the call was under way when the runtime was freed");
	set(&gone, 1);
	pthread_join(mover, NULL);
	weir_clock_free(moved);
}
END_TEST

/* ---- a waker that is kept ---------------------------------------------------------------- */

struct keeper {
	struct weir_waker waker[3];
	unsigned polls;
};

static int keep_waker(void *state, struct weir_cx *cx)
{
	struct keeper *k = *(struct keeper **)state;

	k->waker[k->polls] = weir_waker_ref(&cx->waker);
	weir_waker_wake(&k->waker[k->polls]);
	return ++k->polls == 3 ? 0 : WEIR_PENDING;
}

static int run_keeper(void *arg)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	cfg.poll = keep_waker;
	cfg.state = &arg;
	cfg.state_bytes = sizeof arg;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	return weir_task_join(task, NULL);
}

/* Such a waker wakes nobody. Dropping the last one frees the runtime's memory. */
START_TEST(a_waker_may_be_kept_longer_than_its_runtime)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct keeper k = { .polls = 0 };
	struct weir_waker more;

	runtime_run(&cfg, run_keeper, &k);
	weir_waker_wake(&k.waker[0]);
	more = weir_waker_ref(&k.waker[0]);
	for (unsigned i = 0; i < 3; i++)
		weir_waker_unref(&k.waker[i]);
	weir_waker_wake(&more);
	weir_waker_unref(&more);
}
END_TEST

/* A leaf that is polled by hand releases its reference to the task's waker like any other. */
static int lend_waker(void *state, struct weir_cx *cx)
{
	struct weir_notify *notify = *(struct weir_notify **)state;
	struct weir_cx by_hand = { cx->waker, NULL, NULL };
	struct weir_notified_future wait;

	weir_notified_init(&wait, notify);
	ck_assert_int_eq(weir_poll(&wait.future, &by_hand), WEIR_PENDING);
	weir_notify_one(notify);
	return weir_poll(&wait.future, &by_hand);
}

ON_EACH(a_leaf_gives_a_waker_back)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_notify notify, *lent = &notify;
	struct weir_task *task;

	weir_notify_init(&notify);
	cfg.poll = lend_waker;
	cfg.state = &lent;
	cfg.state_bytes = sizeof lent;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	weir_notify_fini(&notify);
	ck_assert_uint_eq(weir_rt_current()->outside.refs, 1);
	return 0;
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_plain_thread_wakes_last, .rounds = PLACES),
		TESTING(a_task_of_another_runtime_wakes_last, .rounds = PLACES),
		TESTING(moving_the_clock_may_be_the_last_wake, .rounds = 3),
		TESTING(a_waker_may_be_kept_longer_than_its_runtime, .rounds = RUNTIMES),
		EACH(a_leaf_gives_a_waker_back),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
