/* SPDX-License-Identifier: MIT */
/* leaf.c: see leaf.h. Arming, disarming, and taking a waker along to its wake. */
#include "core/leaf.h"

#include "core/task.h"

static bool is_own_waker(const struct weir_cx *cx)
{
	return cx->task && cx->waker.ops == &weir__task_waker_ops && cx->waker.data == cx->task;
}

void weir__leaf_arm(struct weir_leaf *leaf, struct weir_cx *cx)
{
	struct weir_task *task = cx->task;

	WEIR_ASSERT(!weir__leaf_is_armed(leaf));
	leaf->waker = cx->waker;
	if (WEIR_UNLIKELY(!is_own_waker(cx)))
		leaf->waker = weir_waker_clone(&cx->waker);
	if (!task)
		return;
	leaf->armed_next = task->armed;
	leaf->armed_pprev = &task->armed;
	if (task->armed)
		task->armed->armed_pprev = &leaf->armed_next;
	task->armed = leaf;
}

void weir__leaf_disarm(struct weir_leaf *leaf)
{
	WEIR_ASSERT(weir__leaf_is_armed(leaf));
	if (leaf->armed_pprev) {
		*leaf->armed_pprev = leaf->armed_next;
		if (leaf->armed_next)
			leaf->armed_next->armed_pprev = leaf->armed_pprev;
		leaf->armed_pprev = NULL;
	}
	/* A linked leaf with its task's own waker holds no reference; any other waker was cloned. */
	if (WEIR_UNLIKELY(leaf->waker.ops != &weir__task_waker_ops))
		weir_waker_drop(&leaf->waker);
	leaf->waker.ops = NULL;
}

void weir__leaf_waker(const struct weir_leaf *leaf, struct weir__wakeup *ret_wakeup)
{
	struct weir__worker *w = weir__worker_current();

	ret_wakeup->waker = leaf->waker;
	ret_wakeup->held = false;
	if (WEIR_LIKELY(leaf->waker.ops == &weir__task_waker_ops && w &&
			((struct weir_task *)leaf->waker.data)->rt == w->rt))
		return;
	leaf->waker.ops->clone(leaf->waker.data);
	ret_wakeup->held = true;
}

void weir__waker_fire(struct weir__wakeup *wakeup)
{
	weir_waker_wake(&wakeup->waker);
	if (WEIR_UNLIKELY(wakeup->held))
		weir_waker_drop(&wakeup->waker);
}

struct weir_waker weir_waker_clone(const struct weir_waker *waker)
{
	waker->ops->clone(waker->data);
	return *waker;
}

void weir_waker_wake(const struct weir_waker *waker)
{
	/* The common case without the indirect call. */
	if (WEIR_LIKELY(waker->ops == &weir__task_waker_ops))
		weir__task_wake(waker->data);
	else
		waker->ops->wake(waker->data);
}

void weir_waker_drop(struct weir_waker *waker)
{
	if (!waker->ops)
		return;
	waker->ops->drop(waker->data);
	waker->ops = NULL;
	waker->data = NULL;
}
