/* SPDX-License-Identifier: MIT */
/*
 * coop.h: the cooperative budget on the fast path of a plain call, which makes no
 * future; and yielding.
 */
#ifndef WEIR_CORE_COOP_H
#define WEIR_CORE_COOP_H

#include "core/leaf.h"
#include "core/worker.h"

/*
 * Takes one unit of the running fiber's budget. False if none is left, if the task was aborted, or
 * if the caller is not on a fiber: then take the slow path, weir_await. [any]
 */
bool weir__coop_fast(void);

/* Yields because the budget is spent. [polling] */
void weir__coop_spent(struct weir_cx *cx);

/* weir_coop_take, inline. */
static inline bool weir__coop_take(struct weir_cx *cx)
{
	struct weir__worker *w = cx->worker;

	if (WEIR_UNLIKELY(!w))
		return true;
	if (WEIR_UNLIKELY(w->budget <= 0)) {
		weir__coop_spent(cx);
		return false;
	}
	w->budget--;
	return true;
}

/* weir_coop_refund, inline. */
static inline void weir__coop_refund(struct weir_cx *cx)
{
	if (WEIR_LIKELY(cx->worker != NULL))
		cx->worker->budget++;
}

/* weir__coop_yield for a future that is polled by another future, or directly by a thread. */
void weir__coop_yield_between(struct weir_cx *cx);

/*
 * Wakes the polling future again, but after others: the task is queued behind the drivers, and a
 * future with a waker of its own is woken when the poll is over. [polling]
 */
static inline void weir__coop_yield(struct weir_cx *cx)
{
	if (WEIR_LIKELY(weir__cx_is_own(cx)))
		cx->worker->yielded = true;
	else
		weir__coop_yield_between(cx);
}

/* Calls the wakers in worker.late. [owner], right after the end of a poll */
void weir__coop_wake_late(struct weir__worker *w);

#endif
