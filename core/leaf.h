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
 * and stores the waker. A task's own waker is stored without a reference: the
 * leaf never outlives its task, and task memory is type-stable while any worker
 * runs, so the worst that a late wake can do is a spurious one. Any other waker
 * is cloned.
 *
 * The completing side, possibly on another thread:
 *
 *	weir__leaf_waker(leaf, &w);	copy the waker while the leaf is still pending
 *	publish "done"			from here on the leaf may be gone
 *	weir__waker_fire(&w);
 *
 * The first step takes a reference where the caller is not a worker of the
 * task's runtime, because then nothing else keeps the runtime's memory alive.
 * The copy must happen while the leaf is known to be pending: under the
 * primitive's lock, or before the store that publishes the result.
 */
#ifndef WEIR_CORE_LEAF_H
#define WEIR_CORE_LEAF_H

#include "weir/future.h"

/* The waker of a task; .data is the struct weir_task. In core/task.c. */
extern const struct weir_waker_ops weir__task_waker_ops;

/* A waker on its way from a leaf to its wake. */
struct weir__wakeup {
	struct weir_waker waker;
	bool held;
};

static inline void weir__leaf_init(struct weir_leaf *leaf, const struct weir_future_ops *ops)
{
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

void weir__leaf_arm(struct weir_leaf *leaf, struct weir_cx *cx);
void weir__leaf_disarm(struct weir_leaf *leaf);

void weir__leaf_waker(const struct weir_leaf *leaf, struct weir__wakeup *ret_wakeup);
void weir__waker_fire(struct weir__wakeup *wakeup);

#endif
