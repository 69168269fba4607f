/* SPDX-License-Identifier: MIT */
/*
 * await.c: waiting for a future in code that reads from top to bottom: on a fiber
 * (weir_await, which switches stacks) and on a plain thread (weir_block_on, which
 * sleeps on a futex). Also yield, which is the smallest await.
 */
#include <stdlib.h>
#include <time.h>

#include "core/coop.h"
#include "core/fiber/fiber.h"
#include "core/futex.h"
#include "core/leaf.h"
#include "core/task/task.h"
#include "core/time/clock.h"
#include "weir/time.h"

/*
 * Returns the worker if a fiber runs on this thread, else NULL. A stackful task no longer has a
 * fiber when the destructors of its task-local values run.
 */
static WEIR_NOINLINE struct weir__worker *fiber_worker(void)
{
	struct weir__worker *w = weir__worker_current();

	return w && w->cx.task && w->cx.task->fiber ? w : NULL;
}

static WEIR_NOINLINE int no_fiber(void)
{
	return weir__context()->forked ? -ENXIO : -EPERM;
}

int weir__need_fiber(void)
{
	return fiber_worker() ? 0 : no_fiber();
}

/* Polls the future until it finishes. Cancels it once if the task is aborted meanwhile. */
static int await_on(struct weir__worker *w, struct weir_future *future)
{
	struct weir_task *task = w->cx.task;
	bool asked = false;
	int rc;

	while ((rc = weir_poll(future, &w->cx)) == WEIR_PENDING) {
		weir__fiber_suspend(task->fiber);
		w = weir__worker_current();
		if (WEIR_UNLIKELY(weir__task_is_cancelled(task) && !asked)) {
			asked = true;
			weir_cancel(future);
		}
	}
	return rc;
}

int weir_await(struct weir_future *future)
{
	struct weir__worker *w = fiber_worker();

	if (WEIR_UNLIKELY(!w))
		return no_fiber();
	if (WEIR_UNLIKELY(weir__task_is_cancelled(w->cx.task)))
		return future->ops->cancel ? weir_finish(future) : -ECANCELED;
	return await_on(w, future);
}

int weir_finish(struct weir_future *future)
{
	int rc = weir__need_fiber();

	if (WEIR_UNLIKELY(rc < 0))
		return rc;
	weir_cancel(future);
	return weir__await_shielded(future);
}

int weir__await_shielded(struct weir_future *future)
{
	struct weir__worker *w = fiber_worker();
	struct weir_task *task;
	int rc;

	if (WEIR_UNLIKELY(!w))
		return no_fiber();
	task = w->cx.task;
	while ((rc = weir_poll(future, &w->cx)) == WEIR_PENDING) {
		weir__fiber_suspend(task->fiber);
		w = weir__worker_current();
	}
	return rc;
}

int weir_await_until(struct weir_future *future, uint64_t deadline)
{
	struct weir_timeout_future timeout;

	if (deadline == WEIR_FOREVER)
		return weir_await(future);
	weir_timeout_init(&timeout, future, deadline);
	return weir_await(&timeout.future);
}

/* ---- yield ---- */

static int yield_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_yield_future *yield =
		WEIR_CONTAINER_OF(future, struct weir_yield_future, future);

	if (yield->done)
		return 0;
	yield->done = true;
	weir__coop_yield(cx);
	return WEIR_PENDING;
}

static const struct weir_future_ops yield_ops = { "yield", yield_poll, NULL, NULL };

void weir_yield_init(struct weir_yield_future *yield)
{
	yield->future.ops = &yield_ops;
	yield->done = false;
}

int weir_yield(void)
{
	struct weir__worker *w = fiber_worker();
	struct weir_task *task;

	if (WEIR_UNLIKELY(!w))
		return no_fiber();
	task = w->cx.task;
	if (WEIR_UNLIKELY(weir__task_is_cancelled(task)))
		return -ECANCELED;
	w->yielded = true;
	weir__fiber_suspend(task->fiber);
	return weir__task_is_cancelled(task) ? -ECANCELED : 0;
}

/* ---- plain threads ---- */

/* A sleeping thread. It is on the heap because a waker may outlive the wait. */
struct weir__parker {
	uint32_t woken;
	uint32_t refs;
};

static void parker_ref(void *data)
{
	weir__fetch_add(&((struct weir__parker *)data)->refs, 1u, WEIR_RELAXED);
}

static void parker_wake(void *data)
{
	struct weir__parker *p = data;

	/* Pairs with the exchange in parker_wait. */
	if (weir__xchg(&p->woken, 1u, WEIR_RELEASE) == 0)
		weir__futex_wake(&p->woken, 1);
}

static void parker_unref(void *data)
{
	struct weir__parker *p = data;

	if (weir__fetch_sub(&p->refs, 1u, WEIR_ACQ_REL) == 1)
		free(p);
}

static const struct weir_waker_ops parker_ops = { parker_ref, parker_wake, parker_unref };

/* False if the deadline passed. */
static bool parker_wait(struct weir__parker *p, uint64_t deadline)
{
	while (weir__xchg(&p->woken, 0u, WEIR_ACQUIRE) == 0)
		if (weir__futex_wait(&p->woken, 0, deadline) == -ETIMEDOUT)
			return false;
	return true;
}

struct weir__parker *weir__parker_new(void)
{
	struct weir__parker *p = malloc(sizeof *p);

	if (p)
		*p = (struct weir__parker){ 0, 1 };
	return p;
}

void weir__parker_free(struct weir__parker *p)
{
	parker_unref(p);
}

int weir__parker_block_on(struct weir__parker *p, struct weir_future *future, uint64_t deadline)
{
	struct weir_cx cx = { { &parker_ops, p }, NULL, NULL };
	bool expired = false;
	int rc;

	while ((rc = weir_poll(future, &cx)) == WEIR_PENDING)
		if (!parker_wait(p, expired ? WEIR_FOREVER : deadline)) {
			expired = true;
			weir_cancel(future);
		}
	return expired && rc == -ECANCELED ? -ETIMEDOUT : rc;
}

int weir_block_on(struct weir_future *future, uint64_t deadline)
{
	struct weir__parker *p;
	int rc;

	if (weir__worker_current())
		return -EPERM;
	p = weir__parker_new();
	if (!p)
		return -ENOMEM;
	rc = weir__parker_block_on(p, future, deadline);
	weir__parker_free(p);
	return rc;
}
