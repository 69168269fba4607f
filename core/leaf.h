/* SPDX-License-Identifier: MIT */
/*
 * leaf.h: what every leaf future does with its task and its waker.
 *
 * The polling side (all under the task's RUNNING bit, so without locks):
 *
 *	poll:	not started	-> start; if it must wait: weir__leaf_arm, return WEIR_PENDING
 *		armed, waiting	-> return WEIR_PENDING
 *		armed, done	-> weir__leaf_disarm, return the result
 *
 * Arming links the leaf into its task's armed list, so that an abort finds it,
 * and stores the waker. A task's own waker is stored without a reference, and marked
 * by ops of its own: the leaf never outlives its task, and task memory is type-stable
 * while any worker runs, so the worst that a late wake can do is a spurious one. The waker of
 * a select set's branch is stored as it is, too: core/select_set.c says why that is
 * enough. Any other waker is cloned.
 *
 * What is to be found by an abort, and waits for nothing yet, is linked without being
 * armed: a wait that has its place in a line before its first poll, and a future that
 * holds results of others (core/future.c).
 *
 * The completing side, possibly on another thread:
 *
 *	weir__leaf_waker(leaf, &w);	copy the waker while the leaf is still pending
 *	publish "done"			from here on the leaf may be gone
 *	weir__waker_fire(&w);
 *
 * Where the caller is not a worker of the task's runtime the first step counts the
 * wake, for nothing else keeps that runtime until it is over (core/outside.h); a
 * waker that is not a task's is cloned. The copy must happen while the leaf is known
 * to be pending: under the primitive's lock, or before the store that publishes the
 * result; and between it and the fire nothing may wait.
 */
#ifndef WEIR_CORE_LEAF_H
#define WEIR_CORE_LEAF_H

#include "weir/future.h"
#include "core/assert.h"

/* The waker of a task; .data is the struct weir_task. In core/task/task.c. */
extern const struct weir_waker_ops weir__task_waker_ops;
/* The same in a leaf of that task: borrowed. */
extern const struct weir_waker_ops weir__own_waker_ops;
/* That of a branch of a select set; .data is the struct weir_branch. In core/select_set.c. */
extern const struct weir_waker_ops weir__branch_waker_ops;

/* A waker on its way from a leaf to its wake. */
struct weir__wakeup {
	struct weir_waker waker;
	struct weir_rt *counted;	/* whose tasks' wakes this one is counted among, or NULL */
};

/* Whether it is polled with the waker of its task, and not with that of a future in between. */
static inline bool weir__cx_is_own(const struct weir_cx *cx)
{
	return cx->task && cx->waker.ops == &weir__task_waker_ops && cx->waker.data == cx->task;
}

/*
 * Whether it is one that the running task waits for: for assertions. It reads none of the leaf's own
 * members, which may hold anything before init; no const, for with it compilers would warn of that.
 */
bool weir__leaf_is_awaited(struct weir_leaf *leaf);

static inline void weir__leaf_init(struct weir_leaf *leaf, const struct weir_future_ops *ops)
{
	WEIR_ASSERT(!weir__leaf_is_awaited(leaf) &&
		    "a future is initialized again while it is pending");
	leaf->future.ops = ops;
	leaf->armed_next = NULL;
	leaf->armed_pprev = NULL;
	leaf->waker.ops = NULL;
	leaf->waker.data = NULL;
}

static inline bool weir__leaf_is_armed(const struct weir_leaf *leaf)
{
	return leaf->waker.ops != NULL;
}

static inline bool weir__leaf_is_linked(const struct weir_leaf *leaf)
{
	return leaf->armed_pprev != NULL;
}

/* Not for one that is armed or linked, either of them. */
void weir__leaf_link(struct weir_leaf *leaf, struct weir_task *task);
void weir__leaf_arm(struct weir_leaf *leaf, struct weir_cx *cx);
/* Undoes both. */
void weir__leaf_disarm(struct weir_leaf *leaf);

/* The same, whatever it is. */
static inline void weir__leaf_let_go(struct weir_leaf *leaf)
{
	if (weir__leaf_is_armed(leaf) || weir__leaf_is_linked(leaf))
		weir__leaf_disarm(leaf);
}

void weir__leaf_waker(const struct weir_leaf *leaf, struct weir__wakeup *ret_wakeup);

/* A select set's part of these, and of a yield: poll the branch once more. core/select_set.c */
struct weir_branch;
void weir__branch_waker(struct weir_branch *branch, struct weir__wakeup *ret_wakeup);
struct weir_waker weir__branch_resolve(struct weir_branch *branch);
const struct weir_waker *weir__branch_yield(struct weir_branch *branch);

/*
 * What is to be kept of a waker that a poll was given: for a branch's that of its task, and the
 * branch is polled in each round from here on. [polling]
 */
static inline struct weir_waker weir__waker_resolve(const struct weir_waker *waker)
{
	return WEIR_LIKELY(waker->ops != &weir__branch_waker_ops)
		       ? *waker
		       : weir__branch_resolve(waker->data);
}

void weir__waker_fire(struct weir__wakeup *wakeup);

/* The task that it wakes, without any code but weir's; or NULL. */
static inline struct weir_task *weir__wakeup_task(const struct weir__wakeup *wakeup)
{
	return wakeup->waker.ops == &weir__own_waker_ops ? wakeup->waker.data : NULL;
}

#endif
