/* SPDX-License-Identifier: MIT */
/*
 * in_place.c: block in place: the fiber keeps its thread, and the worker, with
 * its queues and drivers, goes on on a thread of the blocking pool.
 *
 *	old thread	fiber: hand over ─► fn ─► suspend ─► worker_run returns, thread ends
 *	pool thread	          └► worker_run (as the worker) ……… ─► runs the fiber on
 *
 * A backend that belongs to its thread (WEIR_CAP_BOUND) cannot be handed over: then fn runs on
 * the pool's thread, and the worker stays where it is.
 */
#define _GNU_SOURCE
#include "core/fiber.h"
#include "sched/worker.h"
#include "weir/blocking.h"

static int take_over(void *arg)
{
	worker_serve(arg, NULL, NULL);
	return 0;
}

/* Not inlined: the context is another thread's after the suspend. */
static WEIR_NOINLINE void leave_worker(struct worker *w)
{
	weir__context()->worker = NULL;
	w->base.cx.task = NULL;
}

static WEIR_NOINLINE void return_to_worker(struct worker *w)
{
	weir__context()->worker = &w->base;
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
	if (base->driver.io && base->driver.io->caps & WEIR_CAP_BOUND)
		return weir_blocking_run(fn, arg);
	leave_worker(w);
	rc = pool_run_now(&w->rt->pool, take_over, w);
	if (rc < 0) {		/* no thread to be had: block the worker after all */
		return_to_worker(w);
		base->cx.task = task;
		return fn(arg);
	}
	rc = fn(arg);
	/* Back to worker_run of this thread, which finds that it is no worker and queues the task. */
	weir__fiber_suspend(task->fiber);
	return rc;
}
