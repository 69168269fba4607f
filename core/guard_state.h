/* SPDX-License-Identifier: MIT */
/*
 * guard_state.h: the words of a guard and how they change; core/guard.h is what
 * it is for, and how it is used.
 *
 *	owner	NULL ──(first worker)──► its thread ──(anyone else)──► GUARD_SHARED
 *	  └───────────────────────────────(no owners wanted)──────────────▲
 *
 *	owner thread			another thread, holding the lock word
 *	1 busy = 1			a owner = GUARD_SHARED
 *	2 (nothing)			b a fence everywhere: membarrier(2)
 *	3 owner is me?			c busy == 0?
 *
 * b makes every thread of the process execute a full fence at some point of its
 * program while b lasts; one that does not run has executed it when it was
 * switched out. For the owner that point lies behind 1: then c, which comes
 * after b, sees busy; or before 1, and so before 3: then 3 sees a, which came
 * before b. A third place there is not, so no fence is needed at 2; but 1 must
 * come before 3 in the program that the processor is given, and the compiler
 * keeps it there. The model runs just that: the owner's fence happens between
 * any two of its steps, only while another thread is in b.
 *
 * What orders the sections themselves: owner to owner, one thread; others among
 * each other, the lock word; the owner before the first of the others, its
 * release of busy and c; the others before the owner, the lock word, under which
 * the owner became one.
 *
 * Nobody touches the guard after its drop, nor after a try that failed: whoever
 * comes in last may reuse or free it.
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
/* Switches for the model's mutants; 1 in the real thing. */
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

/* [owner] 1 to 3. False: the ownership has ended meanwhile. */
static inline bool weir__guard_enter(struct weir__guard *g, const void *me)
{
	bool mine = true;

	WEIR_ASSERT(weir__load(&g->busy, WEIR_RELAXED) == 0);
	if (!GUARD_BUSY_BEFORE_LOOK)
		mine = weir__guard_is_owned_by(g, me);
	weir__store(&g->busy, 1u, WEIR_RELAXED);		/* 1 */
	GUARD_COMPILER_FENCE();					/* 2 */
	if (GUARD_BUSY_BEFORE_LOOK && GUARD_LOOKS_AGAIN)
		mine = weir__guard_is_owned_by(g, me);		/* 3 */
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

/* a to c, with the lock word held. */
static inline void weir__guard_end_ownership(struct weir__guard *g, void (*fence_everywhere)(void))
{
	unsigned spins = 0;

	WEIR_ASSERT(weir__load(&g->held, WEIR_RELAXED) == 1);
	if (!GUARD_END_BEFORE_FENCE)
		fence_everywhere();
	weir__store(&g->owner, GUARD_SHARED, WEIR_RELAXED);	/* a */
	if (GUARD_END_BEFORE_FENCE)
		fence_everywhere();				/* b */
	/* c: pairs with weir__guard_drop. */
	while (weir__load(&g->busy, GUARD_BUSY_ACQUIRE) != 0 && GUARD_WAITS_FOR_OWNER)
		weir__lock_pause(&spins);
}

/*
 * Everybody but the owner. heir becomes the owner of a guard that has none: me, GUARD_SHARED (no
 * owners wanted), or NULL to leave it as it is. True: another thread's ownership has ended.
 */
static inline bool weir__guard_take_word(struct weir__guard *g, const void *heir,
					 void (*fence_everywhere)(void))
{
	const void *owner;

	/* The lock word of a guard is a lock. */
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

/* Everybody but the owner, without waiting. */
static inline bool weir__guard_try_word(struct weir__guard *g, const void *owner)
{
	return owner == GUARD_SHARED && weir__lock_try((struct weir__lock *)(void *)&g->held);
}

#endif
