/* SPDX-License-Identifier: MIT */
/*
 * join.c: waiting for a task's result. The waker lies in the joined task, and
 * core/task/state.h says who owns it at any moment. The waker of a task of the same
 * runtime lies there without a reference, marked as in a leaf; any other lies there
 * with one. Whoever takes it out again gives that up: the joiner, or the runner
 * that calls it.
 */
#include "core/assert.h"
#include "core/coop.h"
#include "core/leaf.h"
#include "core/task/task.h"

/* The waker of a future between the joining task and this leaf, or of another runtime's task. */
static WEIR_NOINLINE struct weir_waker other_waker(const struct weir_task *joined,
						   const struct weir_cx *cx)
{
	struct weir_waker waker = weir__waker_resolve(&cx->waker);

	if (waker.ops == &weir__task_waker_ops &&
	    ((struct weir_task *)waker.data)->rt == joined->rt)
		return (struct weir_waker){ &weir__own_waker_ops, waker.data };
	return weir_waker_ref(&waker);
}

static void set_waker(struct weir_task *joined, const struct weir_cx *cx)
{
	if (WEIR_LIKELY(weir__cx_is_own(cx) && cx->task->rt == joined->rt))
		joined->join_waker = (struct weir_waker){ &weir__own_waker_ops, cx->task };
	else
		joined->join_waker = other_waker(joined, cx);
}

static void take_back_waker(struct weir_task *joined)
{
	if (joined->join_waker.ops != &weir__own_waker_ops)
		weir_waker_unref(&joined->join_waker);
}

/*
 * The runner owns the waker that it found, and drops it. If the joiner had to wait until the
 * runner is done with it, it would, on a busy processor, wait for a thread that its own wake-up
 * has delayed.
 */
void weir__join_wake(struct weir_task *task)
{
	struct weir_waker waker = task->join_waker;

	WEIR_ASSERT(waker.ops && weir__state_is_complete(&task->state));
	if (WEIR_LIKELY(waker.ops == &weir__own_waker_ops)) {
		weir__task_wake(waker.data);
		return;
	}
	weir_waker_wake(&waker);
	weir_waker_unref(&waker);
}

/* The task is complete; the joiner gives up the handle here. */
static int join_finish(struct weir_join_future *join, const struct weir_cx *cx)
{
	struct weir_task *task = join->task;

	WEIR_ASSERT(weir__state_is_complete(&task->state));
	join->result = task->result;
	if (weir__leaf_is_armed(&join->leaf))
		weir__leaf_disarm(&join->leaf);
	weir__task_detach(cx->worker, task);
	join->task = NULL;
	return 0;
}

static int join_start(struct weir_join_future *join, struct weir_cx *cx)
{
	struct weir_task *task = join->task;

	if (task == weir__task_of_cx(cx))
		return -EDEADLK;
	if (!weir__coop_take(cx))
		return WEIR_PENDING;
	if (weir__state_is_complete(&task->state))
		return join_finish(join, cx);
	weir__leaf_arm(&join->leaf, cx);
	set_waker(task, cx);
	if (weir__state_set_join_waker(&task->state)) {
		weir__coop_refund(cx);
		return WEIR_PENDING;
	}
	take_back_waker(task);
	weir__leaf_disarm(&join->leaf);
	return join_finish(join, cx);
}

static int join_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_join_future *join = WEIR_CONTAINER_OF(future, struct weir_join_future, future);

	if (!weir__leaf_is_armed(&join->leaf))
		return join->cancelled ? -ECANCELED : join_start(join, cx);
	if (weir__state_is_complete(&join->task->state))
		return join_finish(join, cx);
	if (!join->cancelled)
		return WEIR_PENDING;
	if (!weir__state_clear_join_waker(&join->task->state))
		return join_finish(join, cx);
	take_back_waker(join->task);
	weir__leaf_disarm(&join->leaf);
	return -ECANCELED;
}

static void join_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct weir_join_future, future)->cancelled = true;
}

static const struct weir_future_ops join_ops = { "join", join_poll, join_cancel, NULL };

void weir_join_init(struct weir_join_future *join, struct weir_task *task)
{
	weir__leaf_init(&join->leaf, &join_ops);
	join->task = task;
	join->result = 0;
	join->cancelled = false;
}

int weir_task_join_until(struct weir_task *task, uint64_t deadline, int *ret_result)
{
	struct weir_join_future join;
	int rc;

	if (!task)
		return -EINVAL;
	if (weir__rt_is_inherited(task->rt))
		return -ENXIO;
	weir_join_init(&join, task);
	if (weir__worker_current())
		rc = weir_await_until(&join.future, deadline);
	else
		rc = weir_block_on(&join.future, deadline);
	if (rc == 0 && ret_result)
		*ret_result = join.result;
	return rc;
}

int weir_task_join(struct weir_task *task, int *ret_result)
{
	return weir_task_join_until(task, WEIR_FOREVER, ret_result);
}
