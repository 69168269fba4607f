/* SPDX-License-Identifier: MIT */
/*
 * select_marks.h: how a select set learns which of its branches to poll.
 *
 *	[the waking thread]  mark, while the branch is pending; publish its result; wake the
 *			     task
 *	[the task]	     in a round: take the marks; poll each branch that was marked, and
 *			     keep polling it in every round until it has its result
 *
 * The mark comes before the result, because the set may be gone after the result
 * is published. So a mark may be taken before its result is there; the wake that
 * follows starts the round that finds it. Neither operation needs a memory order:
 * a round is ordered after the wake that started it.
 */
#ifndef WEIR_CORE_SELECT_MARKS_H
#define WEIR_CORE_SELECT_MARKS_H

#include <stdint.h>

#include "core/atomic.h"

/* [any] */
static inline void weir__mark(WEIR_ATOMIC(uint64_t) *woken, uint64_t bit)
{
	weir__fetch_or(woken, bit, WEIR_RELAXED);
}

/* [the task] */
static inline uint64_t weir__marks_take(WEIR_ATOMIC(uint64_t) *woken)
{
	if (weir__load(woken, WEIR_RELAXED) == 0)
		return 0;
	return weir__xchg(woken, (uint64_t)0, WEIR_RELAXED);
}

#endif
