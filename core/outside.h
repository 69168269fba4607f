/* SPDX-License-Identifier: MIT */
/*
 * outside.h: keeps a runtime alive for threads that are not its workers and make
 * its tasks ready. Such a thread cannot know that its wake is the last one: the
 * woken task may end, and the runtime may be shut down and freed, before the call
 * returns.
 *
 *	wakes	the number of calls in progress that put a task into a queue or move the
 *		runtime's clock. Such a call also touches idle workers and a backend. A
 *		shutdown waits until there are none
 *	refs	one of the owner, and one of each waker with a reference. Whoever gives up
 *		the last one frees the memory; until then a late wake can read its task's state
 *
 * Rules
 *	[a waking thread]  calls weir__outside_begin before the task can finish what it
 *			   waits for: before a leaf's result is published, before the
 *			   task is queued, before the clock's lock is dropped. It calls
 *			   weir__outside_end when the call is over. In between nothing
 *			   waits, and no foreign code runs.
 *	[shutdown]	   checks weir__outside_quiet once all tasks are complete; from
 *			   then on it stays true
 *	[any]		   ref: by a thread that has a reference, or while a task runs. unref:
 *			   once for each reference
 *
 * Begin needs no memory order: the run that completes the task acquires what
 * comes after begin (the published result, the queue), and the shutdown has seen
 * that run. End releases the call's use of the runtime; it pairs with quiet.
 *
 * Workers are not counted, because the shutdown joins their threads.
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
#ifndef OUTSIDE_UNREF_ORDER
/* releases this thread's use; acquires the others' before freeing */
#define OUTSIDE_UNREF_ORDER WEIR_ACQ_REL
#endif

struct weir__outside {
	WEIR_ATOMIC(uint32_t) wakes;
	WEIR_ATOMIC(uint32_t) refs;
};

/* [setup] One reference: the owner's. */
static inline void weir__outside_init(struct weir__outside *o)
{
	weir__store(&o->wakes, 0u, WEIR_RELAXED);
	weir__store(&o->refs, 1u, WEIR_RELAXED);
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

static inline void weir__outside_ref(struct weir__outside *o)
{
	weir__fetch_add(&o->refs, 1u, WEIR_RELAXED);
}

/* True: that was the last reference, and the caller frees the runtime. */
static inline bool weir__outside_unref(struct weir__outside *o)
{
	uint32_t old = weir__fetch_sub(&o->refs, 1u, OUTSIDE_UNREF_ORDER);

	WEIR_ASSERT(old > 0);
	return old == 1;
}

#endif
