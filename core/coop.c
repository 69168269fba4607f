/* SPDX-License-Identifier: MIT */
/*
 * coop.c: the cooperative budget. A leaf takes one unit when it is ready and
 * returns it when it is not. A task without budget yields to the others.
 */
#include "core/coop.h"

#include <stdlib.h>

#include "core/leaf.h"
#include "core/task/task.h"

/* Without memory for the list the waker is called at once. */
static void wake_late(struct weir__worker *w, const struct weir_waker *waker)
{
	struct weir__late *late = &w->late;
	unsigned room = late->room ? 2 * late->room : 8;
	struct weir_waker *more;

	if (late->len == late->room) {
		more = realloc(late->wakers, room * sizeof *more);
		if (!more) {
			weir_waker_wake(waker);
			return;
		}
		late->wakers = more;
		late->room = room;
	}
	late->wakers[late->len++] = weir_waker_ref(waker);
	w->cx.task->flags |= WEIR__TASK_CLEANUP;
}

void weir__coop_wake_late(struct weir__worker *w)
{
	unsigned i;

	for (i = 0; i < w->late.len; i++) {
		weir_waker_wake(&w->late.wakers[i]);
		weir_waker_unref(&w->late.wakers[i]);
	}
	w->late.len = 0;
}

/* A future between the task and the leaf must be woken itself. */
void weir__coop_yield_between(struct weir_cx *cx)
{
	const struct weir_waker *waker = &cx->waker;

	if (!cx->worker) {
		weir_waker_wake(waker);
		return;
	}
	if (waker->ops == &weir__branch_waker_ops)
		waker = weir__branch_yield(waker->data);
	if (waker->ops != &weir__own_waker_ops)
		wake_late(cx->worker, waker);
	cx->worker->yielded = true;
}

void weir__coop_spent(struct weir_cx *cx)
{
	if (!cx->worker->yielded)
		weir__count(&cx->worker->metrics.budget_yields, 1);
	weir__coop_yield(cx);
}

bool weir_coop_take(struct weir_cx *cx)
{
	return weir__coop_take(cx);
}

void weir_coop_refund(struct weir_cx *cx)
{
	weir__coop_refund(cx);
}

bool weir__coop_fast(void)
{
	struct weir__worker *w = weir__worker_current();

	if (WEIR_UNLIKELY(!w || w->budget <= 0 || !w->cx.task || !w->cx.task->fiber ||
			  weir__task_is_cancelled(w->cx.task)))
		return false;
	w->budget--;
	return true;
}
