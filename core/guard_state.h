/* SPDX-License-Identifier: MIT */
/*
 * guard_state.h: the words of a guard and how they change. core/guard.h says what
 * a guard is for and how it is used.
 *
 *	owner	NULL ──(first worker)──► its thread ──(anyone else)──► GUARD_SHARED
 *	  └────────────────────────────(owners are off)───────────────────▲
 *
 *	owner thread			another thread, holding the lock word
 *	1 busy = 1			a owner = GUARD_SHARED
 *	2 (nothing)			b a fence everywhere: membarrier(2)
 *	3 owner is me?			c busy == 0?
 *
 * Step b makes every thread of the process execute a full fence at some point of
 * its program while b lasts; a thread that is not running executed it when it was
 * switched out. For the owner that point lies either after 1 or before 1. If it
 * lies after 1, then c, which comes after b, sees busy. If it lies before 1, it
 * also lies before 3, and 3 sees a, which came before b. So the owner needs no
 * fence at 2. But 1 must come before 3 in the machine code, which a compiler
 * fence ensures. The model runs exactly this: the owner's fence may happen
 * between any two of its steps, but only while another thread is in b.
 *
 * What orders the critical sections: those of the owner follow each other on one
 * thread. Those of other threads are ordered by the lock word. The owner's last
 * one comes before the first of the others because its release of busy pairs with
 * c. The others' come before the owner's first because the owner took ownership
 * under the lock word.
 *
 * A thread must not touch the guard after dropping it or after a failed try: the
 * last thread to enter may reuse or free it.
 */
#ifndef WEIR_CORE_GUARD_STATE_H
#define WEIR_CORE_GUARD_STATE_H

#include "weir/base.h"
#include "core/assert.h"
#include "core/atomic.h"
#include "core/lock.h"

#ifndef WEIR_MODEL
#include "weir/sync/wait.h"
#define GUARD_COMPILER_FENCE() __asm__ volatile("" ::: "memory")
#else
#define GUARD_COMPILER_FENCE() ((void)0)
#endif

#ifndef GUARD_DROP_RELEASE
#define GUARD_DROP_RELEASE WEIR_RELEASE
#endif
#ifndef GUARD_BUSY_ACQUIRE
#define GUARD_BUSY_ACQUIRE WEIR_ACQUIRE
#endif
/* Switches for the model's mutants; always 1 in production. */
#ifndef GUARD_BUSY_BEFORE_LOOK
#define GUARD_BUSY_BEFORE_LOOK 1
#endif
#ifndef GUARD_LOOKS_AGAIN
#define GUARD_LOOKS_AGAIN 1
#endif
#ifndef GUARD_TAKES_BUSY_BACK
#define GUARD_TAKES_BUSY_BACK 1
#endif
#ifndef GUARD_END_BEFORE_FENCE
#define GUARD_END_BEFORE_FENCE 1
#endif
#ifndef GUARD_WAITS_FOR_OWNER
#define GUARD_WAITS_FOR_OWNER 1
#endif
#ifndef GUARD_DROPS_ITS_WORD
#define GUARD_DROPS_ITS_WORD 1
#endif

/* What owner points to once the guard is an ordinary spin lock. */
extern const char weir__guard_shared;
#define GUARD_SHARED ((const void *)&weir__guard_shared)

static inline void weir__guard_init(struct weir__guard *g)
{
	weir__store(&g->held, 0u, WEIR_RELAXED);
	weir__store(&g->busy, 0u, WEIR_RELAXED);
	weir__store(&g->owner, (const void *)NULL, WEIR_RELAXED);
}

static inline bool weir__guard_is_owned_by(struct weir__guard *g, const void *me)
{
	return weir__load(&g->owner, WEIR_RELAXED) == me;
}

/* [owner] Steps 1 to 3. False: the ownership has ended meanwhile. */
static inline bool weir__guard_enter(struct weir__guard *g, const void *me)
{
	bool mine = true;

	WEIR_ASSERT(weir__load(&g->busy, WEIR_RELAXED) == 0);
	if (!GUARD_BUSY_BEFORE_LOOK)
		mine = weir__guard_is_owned_by(g, me);
	weir__store(&g->busy, 1u, WEIR_RELAXED);		/* step 1 */
	GUARD_COMPILER_FENCE();					/* step 2 */
	if (GUARD_BUSY_BEFORE_LOOK && GUARD_LOOKS_AGAIN)
		mine = weir__guard_is_owned_by(g, me);		/* step 3 */
	if (WEIR_UNLIKELY(!mine) && GUARD_TAKES_BUSY_BACK)
		weir__store(&g->busy, 0u, WEIR_RELEASE);
	return mine;
}

/* Pairs with the next taker's exchange of held, or load of busy (c). */
static inline void weir__guard_drop(struct weir__guard *g, bool as_owner)
{
	WEIR_ASSERT(weir__load(as_owner ? &g->busy : &g->held, WEIR_RELAXED) == 1);
	weir__store(as_owner == GUARD_DROPS_ITS_WORD ? &g->busy : &g->held, 0u, GUARD_DROP_RELEASE);
}

/* Steps a to c. The caller holds the lock word. */
static inline void weir__guard_end_ownership(struct weir__guard *g, void (*fence_everywhere)(void))
{
	unsigned spins = 0;

	WEIR_ASSERT(weir__load(&g->held, WEIR_RELAXED) == 1);
	if (!GUARD_END_BEFORE_FENCE)
		fence_everywhere();
	weir__store(&g->owner, GUARD_SHARED, WEIR_RELAXED);	/* step a */
	if (GUARD_END_BEFORE_FENCE)
		fence_everywhere();				/* step b */
	/* Step c. Pairs with weir__guard_drop. */
	while (weir__load(&g->busy, GUARD_BUSY_ACQUIRE) != 0 && GUARD_WAITS_FOR_OWNER)
		weir__lock_pause(&spins);
}

/*
 * For all threads but the owner. heir becomes the owner of a guard that has none: it is the
 * caller's context, GUARD_SHARED (owners are off), or NULL to leave the guard without one. True if
 * this ended another thread's ownership.
 */
static inline bool weir__guard_take_word(struct weir__guard *g, const void *heir,
					 void (*fence_everywhere)(void))
{
	const void *owner;

	/* A guard's lock word has the layout of a struct weir__lock. */
	weir__lock_take((struct weir__lock *)(void *)&g->held);
	owner = weir__load(&g->owner, WEIR_RELAXED);
	if (WEIR_LIKELY(owner == GUARD_SHARED))
		return false;
	if (!owner) {
		weir__store(&g->owner, heir, WEIR_RELAXED);
		return false;
	}
	weir__guard_end_ownership(g, fence_everywhere);
	return true;
}

/* For all threads but the owner; never waits. */
static inline bool weir__guard_try_word(struct weir__guard *g, const void *owner)
{
	return owner == GUARD_SHARED && weir__lock_try((struct weir__lock *)(void *)&g->held);
}

#endif
