/* SPDX-License-Identifier: MIT */
/*
 * in_place.c: block in place: the fiber keeps its thread, and the worker, with
 * its queues and drivers, moves to a thread of the blocking pool.
 *
 *	old thread	fiber: hand off ─► fn ─► suspend ─► weir__worker_run returns, thread ends
 *	pool thread	          └► weir__worker_run (as the worker) ……… ─► resumes the fiber
 *
 * The pool thread is bound to the worker's CPUs, and the old thread is unbound.
 * What the old thread makes ready, at the end the fiber itself, is pushed to the
 * worker's group.
 *
 * A backend that is bound to its thread (WEIR_CAP_BOUND) cannot move. Then fn
 * runs on the pool thread, and the worker stays where it is.
 */
#include "core/assert.h"
#include "core/coop.h"
#include "core/fiber/fiber.h"
#include "core/task/task.h"
#include "sched/worker.h"
#include "weir/blocking.h"
#include "weir/future.h"

/* ---- a driver that cannot move ---- */

/*
 * A call on a pool thread. It is pending until fn returns. It has no leaf, so nothing cancels it.
 */
struct elsewhere {
	struct weir_future future;
	struct pool *pool;
	struct weir_waker waker;
	struct weir_task *task;
	int (*fn)(void *arg);
	void *arg;
	int rc;
	bool started, done;		/* done: atomic */
};

static int run_elsewhere(void *arg)
{
	struct elsewhere *call = arg;
	struct weir_waker waker = call->waker;

	weir__context()->task = call->task;
	call->rc = call->fn(call->arg);
	weir__context()->task = NULL;
	/* Pairs with the load in elsewhere_poll; the call may be gone after it. */
	weir__store(&call->done, true, WEIR_RELEASE);
	weir_waker_wake(&waker);
	weir_waker_unref(&waker);
	return 0;
}

static int elsewhere_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct elsewhere *call = WEIR_CONTAINER_OF(future, struct elsewhere, future);

	if (weir__load(&call->done, WEIR_ACQUIRE))
		return 0;
	if (call->started)
		return WEIR_PENDING;
	call->started = true;
	call->waker = weir_waker_ref(&cx->waker);
	if (weir__pool_run_now(call->pool, run_elsewhere, call) == 0)
		return WEIR_PENDING;
	weir_waker_unref(&call->waker);	/* no thread available: block the worker */
	call->rc = call->fn(call->arg);
	return 0;
}

static int call_elsewhere(struct worker *w, int (*fn)(void *), void *arg)
{
	static const struct weir_future_ops ops = { "block in place", elsewhere_poll, NULL, NULL };
	struct elsewhere call = {
		{ &ops }, .pool = &w->rt->pool, .task = w->base.cx.task, .fn = fn, .arg = arg
	};

	(void)weir__await_shielded(&call.future);
	return call.rc;
}

/* ---- a driver that can move ---- */

static int take_over(void *arg)
{
	struct worker *w = arg;

	weir__worker_bind(w, true);
	weir__worker_serve(w, NULL, NULL);
	weir__worker_bind(w, false);
	weir__domains_stay_near(w->rt, NULL);
	return 0;
}

/* Not inlined: after the suspend the context is another thread's. */
static WEIR_NOINLINE void leave_worker(struct worker *w)
{
	struct weir__context *c = weir__context();

	WEIR_ASSERT(&w->base == c->worker && w->base.cx.task);
	c->worker = NULL;
	c->task = w->base.cx.task;
	c->part_of = &w->rt->base;
	w->base.cx.task = NULL;
}

static WEIR_NOINLINE void return_to_worker(struct worker *w)
{
	struct weir__context *c = weir__context();

	w->base.cx.task = c->task;
	c->worker = &w->base;
	c->task = NULL;
}

int weir_block_in_place(int (*fn)(void *), void *arg)
{
	struct weir__worker *base = weir__worker_current();
	struct weir_task *task = base ? base->cx.task : NULL;
	struct worker *w;
	int rc;

	if (!base)
		return fn(arg);
	w = worker_of(base);
	if (!task || !task->fiber || w->rt->cfg.sched == WEIR_SCHED_CURRENT)
		return -EPERM;
	if (weir__driver_with_caps(&base->driver, WEIR_CAP_BOUND))
		return call_elsewhere(w, fn, arg);
	weir__coop_wake_late(base);
	leave_worker(w);
	rc = weir__pool_run_now(&w->rt->pool, take_over, w);
	if (rc < 0) {		/* no thread available: block the worker */
		return_to_worker(w);
		return fn(arg);
	}
	weir__worker_bind(w, false);
	weir__domains_stay_near(w->rt, w->group);
	rc = fn(arg);
	weir__context()->task = NULL;
	/*
	 * Back to weir__worker_run on this thread, which sees that it is no worker any more and
	 * queues the task.
	 */
	weir__fiber_suspend(task->fiber);
	return rc;
}
