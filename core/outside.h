/* SPDX-License-Identifier: MIT */
/*
 * outside.h: what keeps a runtime for threads that are not its workers and make
 * its tasks ready. None of them can know that its wake is the last: the woken task
 * may end, and the runtime be shut down and freed, before the call is through.
 *
 *	wakes	calls under way that put a task into a queue, with all that follows: the
 *		queues, the idle workers, the wake of a backend; or that move its clock. A
 *		shutdown waits for them
 *	holds	the owner's, and one of each waker that was cloned. Who drops the last
 *		gives the memory back; until then a wake finds the word of its task
 *
 * Rules
 *	[who wakes]	weir__outside_begin before the task can be through with what it
 *			waits for: before a leaf's result is published, before the task
 *			is queued, before the clock's lock is dropped; weir__outside_end when the call is over. Between the two
 *			nothing waits and nobody else's code runs.
 *	[shutdown]	weir__outside_quiet once all tasks are complete; stays true then
 *	[any]		hold by who has a hold, or while a task runs; unhold, once each
 *
 * Why begin needs no order: what follows it (the published result, the queue) is
 * acquired by the run that completes the task, which the shutdown has seen. End
 * releases the call's use of the runtime to quiet.
 *
 * Workers count nothing: their threads are joined.
 */
#ifndef WEIR_CORE_OUTSIDE_H
#define WEIR_CORE_OUTSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/assert.h"
#include "core/atomic.h"

#ifndef OUTSIDE_END_RELEASE
#define OUTSIDE_END_RELEASE WEIR_RELEASE
#endif
#ifndef OUTSIDE_QUIET_ACQUIRE
#define OUTSIDE_QUIET_ACQUIRE WEIR_ACQUIRE
#endif
#ifndef OUTSIDE_UNHOLD_ORDER
#define OUTSIDE_UNHOLD_ORDER WEIR_ACQ_REL	/* one's own use out; all others', for who frees, in */
#endif

struct weir__outside {
	WEIR_ATOMIC(uint32_t) wakes;
	WEIR_ATOMIC(uint32_t) holds;
};

/* [setup] One hold: the owner's. */
static inline void weir__outside_init(struct weir__outside *o)
{
	weir__store(&o->wakes, 0u, WEIR_RELAXED);
	weir__store(&o->holds, 1u, WEIR_RELAXED);
}

static inline void weir__outside_begin(struct weir__outside *o)
{
	weir__fetch_add(&o->wakes, 1u, WEIR_RELAXED);
}

/* The caller may not touch the runtime any more, unless something else keeps it. */
static inline void weir__outside_end(struct weir__outside *o)
{
	uint32_t old = weir__fetch_sub(&o->wakes, 1u, OUTSIDE_END_RELEASE);

	WEIR_ASSERT(old > 0);
	(void)old;
}

static inline bool weir__outside_quiet(struct weir__outside *o)
{
	return weir__load(&o->wakes, OUTSIDE_QUIET_ACQUIRE) == 0;
}

static inline void weir__outside_hold(struct weir__outside *o)
{
	weir__fetch_add(&o->holds, 1u, WEIR_RELAXED);
}

/* True: it was the last, the caller frees the runtime. */
static inline bool weir__outside_unhold(struct weir__outside *o)
{
	uint32_t old = weir__fetch_sub(&o->holds, 1u, OUTSIDE_UNHOLD_ORDER);

	WEIR_ASSERT(old > 0);
	return old == 1;
}

#endif
