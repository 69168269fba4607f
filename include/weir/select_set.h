/* SPDX-License-Identifier: MIT */
/*
 * select_set.h: wait for one of several futures again and again, while the others stay pending.
 *
 * A weir_select is one race: it cancels its losers. A loop that selects over the same futures
 * would cancel the idle ones and start them anew each time, which for an operation costs system
 * calls. A select set keeps them: a branch is armed once, and stays pending until it has a result.
 *
 *	weir_select		one race, the losers are not wanted: a request and its
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
 * Each branch's future is polled with a waker of its own, so a round costs what is ready and not
 * what waits. What is ready is delivered one at a time, and the rest stays where it is: a set holds
 * no results, so none is lost with it.
 *
 * Fair: each round begins behind the branch that was delivered last, so one that is always ready
 * cannot keep another from its turn. Each set counts for itself.
 *
 * The life of a set:
 *  - The first round ties it to its task. It does not move, and its memory stays, until
 *    weir_select_set_finish returned, or all its branches have delivered.
 *  - A set may be a branch of another one: its round is a future. It is finished before that.
 *  - Its futures are pending between rounds too. What they receive into belongs to them.
 *  - A stackless task that is aborted, or returns, gives up what is pending as it does any pending
 *    future: what a result holds is discarded, before fini.
 *
 * Do not: arm a future that something else has polled; poll one that is armed; use a set from two
 * tasks, or from a plain thread.
 */
#ifndef WEIR_SELECT_SET_H
#define WEIR_SELECT_SET_H

#include "weir/future.h"

#define WEIR_SELECT_SET_MAX 64u

struct weir_select_set;

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
	unsigned first;			/* the one that the next round begins with */
	bool cancelled;			/* the round, not the branches */

	/* A bit for each branch; .woken is atomic, the others are the polling task's. */
	uint64_t woken;			/* its waker was called */
	uint64_t armed;			/* it has a future, and that has no result yet */
	uint64_t begun;			/* it was polled since it was armed */
	uint64_t fresh;			/* to be polled in the next round */
	uint64_t again;			/* to be polled in every round until it has its result */
	struct weir_leaf holder;	/* weir's own: the waker of the task */
};

WEIR_BEGIN_DECLS

/**
 * Set a set up over an array of branches, none of which is armed.
 *
 * Thread:   [any]; the set is tied to the task that polls it first
 * Owns:     branches[] is the caller's and must live as long
 * Returns:  0; -EINVAL for no branches, or more than WEIR_SELECT_SET_MAX: the set is empty then
 * Since:    0.1
 */
WEIR_API int weir_select_set_init(struct weir_select_set *set, struct weir_branch *branches,
				  unsigned count);

/**
 * Give a branch a future to wait for. It is started by the next round, and is the set's until
 * branches[index].result has its result.
 *
 * Thread:   the polling task's
 * Waits:    never
 * Returns:  0; -EBUSY if the branch is armed; -EINVAL for an index that is none, or no future
 * Since:    0.1
 */
WEIR_API int weir_select_set_arm(struct weir_select_set *set, unsigned index,
				 struct weir_future *future);

/**
 * Ask a branch to finish soon. A later round delivers it: with -ECANCELED, or with its result if
 * it completed first. Does nothing to one that is not armed.
 *
 * A stackless task ends a set by that: cancel all, and go on until a round says -ENOENT.
 *
 * Thread:   the polling task's
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_select_set_cancel(struct weir_select_set *set, unsigned index);

/**
 * Wait until a branch has a result, and deliver it: branches[index].result. It is not armed then.
 *
 * With a deadline in the past what is ready is still delivered. _try polls what may be ready and
 * does not wait; -EAGAIN also says that the task's budget is spent, so wait somewhere between two.
 *
 * Thread:   [worker], on a fiber
 * Waits:    until a branch has its result; up to the deadline; never
 * Cancel:   ends the round, the branches stay pending: weir_select_set_finish
 * Returns:  the branch's index; -ENOENT if none is armed; -ECANCELED; -ETIMEDOUT; -EAGAIN; -EPERM
 *           outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_select_set_next(struct weir_select_set *set);
WEIR_API int weir_select_set_next_until(struct weir_select_set *set, uint64_t deadline);
WEIR_API int weir_select_set_next_try(struct weir_select_set *set);

/**
 * End a set: cancel what is pending, and wait until it has let go; also in a task that was aborted.
 *
 * branches[].result says what each came to since the last round: -ECANCELED, also for one that was
 * not armed, or the result of one that completed all the same, which is the caller's. A future
 * without a cancel verb is waited for if it was started. The set may be armed again afterwards.
 *
 * Thread:   [worker], on a fiber
 * Waits:    until every branch's future has finished
 * Returns:  0; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_select_set_finish(struct weir_select_set *set);

WEIR_END_DECLS

#endif
