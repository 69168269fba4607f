/* SPDX-License-Identifier: MIT */
/* coop.h: the budget on the fast path of a plain call, where no future is made. */
#ifndef WEIR_CORE_COOP_H
#define WEIR_CORE_COOP_H

#include <stdbool.h>

/*
 * Take one unit of the running fiber's budget. False when there is none left, the task was
 * aborted, or the caller is not on a fiber: take the slow path, that is weir_await. [any]
 */
bool weir__coop_fast(void);

#endif
