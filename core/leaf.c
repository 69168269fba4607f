/* SPDX-License-Identifier: MIT */
/* leaf.c: arming and disarming a leaf, and copying its waker; see leaf.h. */
#include "core/leaf.h"

#include "core/task/task.h"

bool weir__leaf_is_awaited(struct weir_leaf *leaf)
{
	const struct weir__worker *w = weir__worker_current();
	const struct weir_leaf *other = w && w->cx.task ? w->cx.task->armed : NULL;

	while (other && other != leaf)
		other = other->armed_next;
	return other != NULL;
}

void weir__leaf_link(struct weir_leaf *leaf, struct weir_task *task)
{
	WEIR_ASSERT(!weir__leaf_is_linked(leaf));
	leaf->armed_next = task->armed;
	leaf->armed_pprev = &task->armed;
	if (task->armed)
		task->armed->armed_pprev = &leaf->armed_next;
	task->armed = leaf;
}

/* The waker of a future between the task and this leaf. */
static WEIR_NOINLINE struct weir_waker other_waker(const struct weir_cx *cx)
{
	return cx->waker.ops == &weir__branch_waker_ops ? cx->waker : weir_waker_ref(&cx->waker);
}

void weir__leaf_arm(struct weir_leaf *leaf, struct weir_cx *cx)
{
	WEIR_ASSERT(!weir__leaf_is_armed(leaf));
	if (WEIR_LIKELY(weir__cx_is_own(cx)))
		leaf->waker = (struct weir_waker){ &weir__own_waker_ops, cx->task };
	else
		leaf->waker = other_waker(cx);
	if (cx->task)
		weir__leaf_link(leaf, cx->task);
}

void weir__leaf_disarm(struct weir_leaf *leaf)
{
	WEIR_ASSERT(weir__leaf_is_armed(leaf) || weir__leaf_is_linked(leaf));
	if (weir__leaf_is_linked(leaf)) {
		*leaf->armed_pprev = leaf->armed_next;
		if (leaf->armed_next)
			leaf->armed_next->armed_pprev = leaf->armed_pprev;
		leaf->armed_pprev = NULL;
	}
	if (WEIR_UNLIKELY(leaf->waker.ops != &weir__own_waker_ops))
		weir_waker_unref(&leaf->waker);
	leaf->waker.ops = NULL;
}

static WEIR_NOINLINE void take_other_waker(const struct weir_leaf *leaf,
					   struct weir__wakeup *ret_wakeup)
{
	if (leaf->waker.ops == &weir__branch_waker_ops)
		weir__branch_waker(leaf->waker.data, ret_wakeup);
	else
		leaf->waker.ops->ref(leaf->waker.data);
}

void weir__leaf_waker(const struct weir_leaf *leaf, struct weir__wakeup *ret_wakeup)
{
	struct weir__worker *w = weir__worker_current();
	struct weir_task *task;

	ret_wakeup->waker = leaf->waker;
	ret_wakeup->counted = NULL;
	task = weir__wakeup_task(ret_wakeup);
	if (WEIR_UNLIKELY(!task)) {
		take_other_waker(leaf, ret_wakeup);
	} else if (WEIR_UNLIKELY(!w || w->rt != task->rt)) {
		ret_wakeup->counted = task->rt;
		weir__outside_begin(&task->rt->outside);
	}
}

void weir__waker_fire(struct weir__wakeup *wakeup)
{
	struct weir_task *task = weir__wakeup_task(wakeup);

	if (WEIR_UNLIKELY(!task)) {
		weir_waker_wake(&wakeup->waker);
		weir_waker_unref(&wakeup->waker);
		return;
	}
	weir__task_wake(task);
	if (WEIR_UNLIKELY(wakeup->counted))
		weir__outside_end(&wakeup->counted->outside);
}

struct weir_waker weir_waker_ref(const struct weir_waker *waker)
{
	struct weir_waker kept = weir__waker_resolve(waker);

	kept.ops->ref(kept.data);
	return kept;
}

void weir_waker_wake(const struct weir_waker *waker)
{
	/* The common case, without the indirect call. */
	if (WEIR_LIKELY(waker->ops == &weir__task_waker_ops))
		weir__task_wake_any(waker->data);
	else
		waker->ops->wake(waker->data);
}

void weir_waker_unref(struct weir_waker *waker)
{
	if (!waker->ops)
		return;
	waker->ops->unref(waker->data);
	waker->ops = NULL;
	waker->data = NULL;
}
