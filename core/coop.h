/* SPDX-License-Identifier: MIT */
/* coop.h: the budget on the fast path of a plain call, where no future is made; and yielding. */
#ifndef WEIR_CORE_COOP_H
#define WEIR_CORE_COOP_H

#include <stdbool.h>

struct weir_cx;
struct weir__worker;

/*
 * Take one unit of the running fiber's budget. False when there is none left, the task was
 * aborted, or the caller is not on a fiber: take the slow path, that is weir_await. [any]
 */
bool weir__coop_fast(void);

/*
 * Whoever polls is woken again, but others come first: the task goes behind the drivers, and a future
 * with a waker of its own is woken when the poll is over. [polling]
 */
void weir__coop_yield(struct weir_cx *cx);

/* Call the wakers of worker.late. [owner], between the end of a poll and what follows from it */
void weir__coop_wake_late(struct weir__worker *w);

#endif
