/* SPDX-License-Identifier: MIT */
/*
 * leaf.h: what every leaf future does with its task and its waker.
 *
 * The polling side runs under the task's RUNNING bit, so it needs no locks:
 *
 *	poll:	not started	-> start; if it must wait: weir__leaf_arm, return WEIR_PENDING
 *		armed, waiting	-> return WEIR_PENDING
 *		armed, done	-> weir__leaf_disarm, return the result
 *
 * Arming links the leaf into its task's armed list, so that an abort finds it,
 * and stores the waker. There are three kinds of wakers:
 *  - The task's own waker is stored without a reference, and marked by ops of its
 *    own. That is safe because the leaf never outlives its task, and task memory
 *    stays task memory while any worker runs: a late wake is at worst a spurious
 *    one.
 *  - The waker of a branch of a select set is stored as it is, too;
 *    core/select_set.c says why that is safe.
 *  - Any other waker is stored with a reference (weir_waker_ref).
 *
 * Some futures are linked without being armed, so that an abort finds them
 * although they wait for nothing yet: a wait that is queued before its first
 * poll, and a future that holds results of other futures (core/future.c).
 *
 * The completing side, possibly on another thread:
 *
 *	weir__leaf_waker(leaf, &w);	copy the waker while the leaf is still pending
 *	publish "done"			from here on the leaf may be gone
 *	weir__waker_fire(&w);
 *
 * If the caller is not a worker of the task's runtime, the first step counts the
 * wake, because nothing else keeps that runtime alive until the wake is over
 * (core/outside.h). A waker that is not a task's is copied with a reference.
 * Copy the waker while the leaf is known to be pending: under the primitive's
 * lock, or before the store that publishes the result. Nothing may wait between
 * the copy and the fire.
 */
#ifndef WEIR_CORE_LEAF_H
#define WEIR_CORE_LEAF_H

#include "weir/future.h"
#include "core/assert.h"

/* The ops of a task's waker; .data is the struct weir_task. In core/task/task.c. */
extern const struct weir_waker_ops weir__task_waker_ops;
/* The same, stored in a leaf of that task: without a reference. */
extern const struct weir_waker_ops weir__own_waker_ops;
/*
 * The ops of a branch's waker in a select set; .data is the struct weir_branch. In
 * core/select_set.c.
 */
extern const struct weir_waker_ops weir__branch_waker_ops;

/* A waker that was copied from a leaf, until it is fired. */
struct weir__wakeup {
	struct weir_waker waker;
	struct weir_rt *counted;	/* the runtime that counts this wake, or NULL */
};

/* True if the poll uses the waker of the task, and not that of a future in between. */
static inline bool weir__cx_is_own(const struct weir_cx *cx)
{
	return cx->waker.ops == &weir__task_waker_ops && cx->waker.data == cx->task;
}

/*
 * For assertions: true if the running task waits for this leaf. It reads no member of the leaf,
 * which may not be initialized yet. Not const, because compilers would warn of an uninitialized
 * argument.
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

/* For a leaf that is neither armed nor linked. */
void weir__leaf_link(struct weir_leaf *leaf, struct weir_task *task);
void weir__leaf_arm(struct weir_leaf *leaf, struct weir_cx *cx);
/* Undoes both. */
void weir__leaf_disarm(struct weir_leaf *leaf);

/* The same for a leaf in any state. */
static inline void weir__leaf_let_go(struct weir_leaf *leaf)
{
	if (weir__leaf_is_armed(leaf) || weir__leaf_is_linked(leaf))
		weir__leaf_disarm(leaf);
}

void weir__leaf_waker(const struct weir_leaf *leaf, struct weir__wakeup *ret_wakeup);

/* What these functions, and a yield, do for a branch of a select set. In core/select_set.c. */
struct weir_branch;
void weir__branch_waker(struct weir_branch *branch, struct weir__wakeup *ret_wakeup);
struct weir_waker weir__branch_resolve(struct weir_branch *branch);
const struct weir_waker *weir__branch_yield(struct weir_branch *branch);

/*
 * The waker to keep of one that a poll was given. For a branch's waker it is that of the branch's
 * task, and from here on the branch is polled in each round. [polling]
 */
static inline struct weir_waker weir__waker_resolve(const struct weir_waker *waker)
{
	return WEIR_LIKELY(waker->ops != &weir__branch_waker_ops)
		       ? *waker
		       : weir__branch_resolve(waker->data);
}

void weir__waker_fire(struct weir__wakeup *wakeup);

/* The task that it wakes directly; NULL if the waker runs other code. */
static inline struct weir_task *weir__wakeup_task(const struct weir__wakeup *wakeup)
{
	return wakeup->waker.ops == &weir__own_waker_ops ? wakeup->waker.data : NULL;
}

#endif
