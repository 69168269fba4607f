/* SPDX-License-Identifier: MIT */
/*
 * run.h: polling a task, and what follows from the result. These functions are
 * inline for the scheduler's loop; core/fiber/resume.h says why that matters.
 */
#ifndef WEIR_CORE_TASK_RUN_H
#define WEIR_CORE_TASK_RUN_H

#include "core/coop.h"
#include "core/fiber/resume.h"
#include "core/task/task.h"

/* Defers a task that yielded. It keeps RUNNING and waits until the drivers have had their turn. */
static inline void weir__task_defer(struct weir__worker *w, struct weir_task *task)
{
	struct weir__deferred *d = &w->deferred;
	bool as_owner;

	task->link.next = NULL;
	as_owner = weir__guard_take(&d->guard);
	if (d->last)
		d->last->next = &task->link;
	else
		d->first = &task->link;
	d->last = &task->link;
	weir__store(&d->len, d->len + 1, WEIR_RELAXED);
	weir__guard_drop(&d->guard, as_owner);
}

/* Takes all deferred tasks, in order, and returns their number. [any worker] */
static inline unsigned weir__deferred_take(struct weir__deferred *d, struct weir__link **ret_first,
					   struct weir__link **ret_last)
{
	bool as_owner = weir__guard_take(&d->guard);
	unsigned n = d->len;

	*ret_first = d->first;
	*ret_last = d->last;
	d->first = d->last = NULL;
	weir__store(&d->len, 0u, WEIR_RELAXED);
	weir__guard_drop(&d->guard, as_owner);
	return n;
}

static inline int weir__task_poll_stackless(struct weir__worker *w, struct weir_task *task,
					    uint64_t found)
{
	int rc;

	if (WEIR_UNLIKELY((found & TASK_CANCELLED) || (task->flags & WEIR__TASK_UNWINDING)))
		return weir__task_unwind(w, task, -ECANCELED);
	rc = task->body.poll(weir__task_state(task), &w->cx);
	if (WEIR_UNLIKELY(rc != WEIR_PENDING && task->armed))
		return weir__task_unwind(w, task, rc);
	return rc;
}

__attribute__((always_inline)) static inline int
weir__task_poll_stackful(struct weir__worker *w, struct weir_task *task)
{
	int rc;

	if (WEIR_UNLIKELY(!task->fiber) && (rc = weir__task_make_fiber(w, task)) < 0)
		return rc;
	if (!weir__fiber_resume_inline(task->fiber))
		return WEIR_PENDING;
	return weir__task_end_fiber(w, task);
}

/*
 * Polls a task that came from a queue. False if the task has blocked in place, so that this thread
 * is not the worker any more. [worker]
 */
__attribute__((always_inline)) static inline bool weir__task_run(struct weir__worker *w,
								 struct weir_task *task)
{
	uint64_t found = weir__state_start(&task->state);
	int rc;

	WEIR_ASSERT(w == weir__worker_current() && !w->cx.task && task->rt == w->rt);
	/* Counted first: if the stall detector sees a task, it must see the new count. */
	weir__count(&w->metrics.polls, 1);
	w->cx.waker.data = task;
	w->cx.task = task;
	w->budget = task->flags & WEIR__TASK_UNCONSTRAINED ? WEIR__BUDGET_NONE : w->rt->budget;
	w->yielded = false;
	if (WEIR_UNLIKELY(weir__load(&task->home, WEIR_RELAXED) != w->index))
		weir__task_away(w, task);
	if (task->flags & WEIR__TASK_STACKFUL) {
		rc = weir__task_poll_stackful(w, task);
		if (WEIR_UNLIKELY(weir__worker_current() != w)) {
			w->rt->sched->schedule(task);
			return false;
		}
	} else {
		rc = weir__task_poll_stackless(w, task, found);
	}
	if (rc != WEIR_PENDING) {
		weir__task_complete(w, task, rc);
		return true;
	}
	w->cx.task = NULL;
	if (w->yielded) {
		if (WEIR_UNLIKELY(w->late.len))
			weir__coop_wake_late(w);
		weir__task_defer(w, task);
	} else if (weir__state_suspend(&task->state) == WEIR__AFTER_RESCHEDULE)
		w->rt->sched->schedule(task);
	return true;
}

#endif
