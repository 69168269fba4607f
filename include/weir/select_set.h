/* SPDX-License-Identifier: MIT */
/*
 * select_set.h: wait for one of several futures again and again, while the others stay pending.
 *
 * A weir_select is one race, and cancels its losers. A loop that selects over the same futures
 * would cancel the idle ones and start them again each time, which for an operation costs system
 * calls. A select set keeps them: a branch is armed once, and stays pending until it has a result.
 *
 *	weir_select		one race whose losers are not needed: a request and its
 *				timeout, the first of several addresses that answers
 *	weir_select_set		a loop over sources that stay: a connection and a queue
 *
 *	arm ──► pending ──(its waker called)──► next: index, .result ──► arm
 *
 *	struct weir_branch branches[2];
 *	struct weir_select_set set;
 *
 *	weir_select_set_init(&set, branches, 2);
 *	weir_select_set_arm(&set, 0, &recv.future);
 *	weir_select_set_arm(&set, 1, &message.future);
 *	while ((i = weir_select_set_next(&set)) >= 0) {
 *		... use branches[i].result, initialize the future again, arm it ...
 *	}
 *	weir_select_set_finish(&set);
 *
 * Each branch's future is polled with a waker of its own, so the cost of a round depends on how
 * many branches are ready, and not on how many wait. A round delivers one branch; others that are
 * ready keep their results. The set itself holds no results, so none is lost with it.
 *
 * A set is fair: each round begins behind the branch that was delivered last, so a branch that is
 * always ready cannot keep another one from its turn.
 *
 * The life of a set:
 *  - The first round ties the set to its task. The set must not move, and its memory must stay,
 *    until weir_select_set_finish has returned, or all its branches have delivered.
 *  - A set may be a branch of another set, because its round is a future. It must be finished
 *    before that other set.
 *  - Its futures are pending between rounds, too, so their buffers belong to them.
 *  - If a stackless task is aborted, or returns, its pending branches are abandoned like any
 *    pending future: before fini, what a result holds is released.
 *
 * Do not: arm a future that something else has polled; poll one that is armed; use a set from two
 * tasks, or from a plain thread.
 */
#ifndef WEIR_SELECT_SET_H
#define WEIR_SELECT_SET_H

#include "weir/future.h"

#define WEIR_SELECT_SET_MAX 64u

struct weir_select_set;

/* One source: its future, and its result when a round has delivered it. */
struct weir_branch {
	struct weir_future *future;
	struct weir_select_set *set;
	int result;			/* WEIR_PENDING while it is armed */
};

/*
 * The future is one round, and may be polled again for the next one without an init.
 * Its cancel ends that round with -ECANCELED and leaves the branches pending.
 */
struct weir_select_set {
	struct weir_future future;
	struct weir_branch *branches;
	unsigned count;
	unsigned first;			/* the branch with which the next round begins */
	bool cancelled;			/* the round, not the branches */

	/* A bit for each branch; .woken is atomic, the others are the polling task's. */
	uint64_t woken;			/* its waker was called */
	uint64_t armed;			/* it has a future, and that has no result yet */
	uint64_t begun;			/* it was polled since it was armed */
	uint64_t fresh;			/* the next round polls it */
	uint64_t again;			/* every round polls it until it has its result */
	struct weir_leaf holder;	/* weir's own: the waker of the task */
};

WEIR_BEGIN_DECLS

/**
 * Set a select set up over an array of branches. None of them is armed.
 *
 * Thread:   [any]; the set is tied to the task that polls it first
 * Owns:     branches[] is the caller's and must live as long
 * Returns:  0; -EINVAL for no branches, or more than WEIR_SELECT_SET_MAX: the set is empty then
 * Since:    0.1
 */
WEIR_API int weir_select_set_init(struct weir_select_set *set, struct weir_branch *branches,
				  unsigned count);

/**
 * Give a branch a future to wait for. The next round starts it. It belongs to the set until
 * branches[index].result has its result.
 *
 * Thread:   the polling task's
 * Waits:    never
 * Returns:  0; -EBUSY if the branch is armed; -EINVAL for a bad index, or without a future
 * Since:    0.1
 */
WEIR_API int weir_select_set_arm(struct weir_select_set *set, unsigned index,
				 struct weir_future *future);

/**
 * Ask a branch to finish soon. A later round delivers it: with -ECANCELED, or with its result if
 * it completed first. Does nothing to one that is not armed.
 *
 * A stackless task ends a set with this: it cancels all branches, and continues until a round
 * returns -ENOENT.
 *
 * Thread:   the polling task's
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_select_set_cancel(struct weir_select_set *set, unsigned index);

/**
 * Wait until a branch has a result, and deliver it in branches[index].result. The branch is not
 * armed any more.
 *
 * If a branch is ready, it is delivered even if the deadline has passed. _try does not wait. It
 * also returns -EAGAIN if the task's budget is spent, so wait for something between two tries.
 *
 * Thread:   [worker], on a fiber
 * Waits:    until a branch has its result; _until: up to the deadline; _try: never
 * Cancel:   ends the round; the branches stay pending, so call weir_select_set_finish
 * Returns:  the branch's index; -ENOENT if none is armed; -ECANCELED; -ETIMEDOUT; -EAGAIN; -EPERM
 *           outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_select_set_next(struct weir_select_set *set);
WEIR_API int weir_select_set_next_until(struct weir_select_set *set, uint64_t deadline);
WEIR_API int weir_select_set_next_try(struct weir_select_set *set);

/**
 * End a set: cancel what is pending, and wait until it has finished; also in a task that was
 * aborted.
 *
 * branches[].result then has each branch's result since the last round: -ECANCELED, also for a
 * branch that was not armed, or the result of one that completed all the same, which belongs to the
 * caller. A future without a cancel verb is waited for if it was started. The set may be armed
 * again afterwards.
 *
 * Thread:   [worker], on a fiber
 * Waits:    until every branch's future has finished
 * Returns:  0; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_select_set_finish(struct weir_select_set *set);

WEIR_END_DECLS

#endif
