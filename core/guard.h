/* SPDX-License-Identifier: MIT */
/*
 * guard.h: a spin lock that costs its owner no locked instruction.
 *
 * The first worker thread that takes a guard becomes its owner. It says "busy"
 * with a plain store, looks whether it is still the owner, and is in. Anybody
 * else takes the lock word, ends the ownership for good and waits until the
 * owner is not busy; from then on the guard is an ordinary spin lock.
 *
 *	owner	NULL ──(first worker)──► its thread ──(anyone else)──► GUARD_SHARED
 *	  └───────────────────────────────(no owners wanted)──────────────▲
 *
 *	owner thread			another thread, holding the lock word
 *	1 busy = 1			a owner = GUARD_SHARED
 *	2 (nothing)			b membarrier(2), or a fence where there is none
 *	3 owner is me?			c busy == 0?
 *
 * Where 1 comes before b, c sees it; where it comes after b, 3 sees a. Statement
 * b makes the processors that run this process execute a full fence, which is
 * what the owner saves itself each time; the compiler must still keep 1 before 3.
 *
 * An ownership that ends costs a microsecond or so. After REVOKE_MAX of
 * them in a process no guard gets an owner any more. So a program that shares its
 * primitives between workers pays next to nothing for the trick, and one that
 * does not has it everywhere.
 *
 * weir__guard_enable must have succeeded before any guard gets an owner; without
 * it, or without membarrier(2), every guard is an ordinary spin lock from birth.
 * A seccomp filter installed later must not forbid membarrier.
 *
 * For sections of a few dozen instructions; take and drop on one thread, with no
 * await, no system call and no foreign callback between them. Not recursive.
 */
#ifndef WEIR_CORE_GUARD_H
#define WEIR_CORE_GUARD_H

#include "weir/sync/wait.h"
#include "core/atomic.h"
#include "core/context.h"

/*
 * Register this process for owners. Best before it has a second thread: later it
 * may take the kernel several milliseconds. Repeating it is free. [any]
 */
void weir__guard_enable(void);

/* What owner points to once the guard is an ordinary spin lock. */
extern const char weir__guard_shared;

void weir__guard_take_shared(struct weir__guard *g, const struct weir__context *me);

static inline void weir__guard_init(struct weir__guard *g)
{
	g->held = 0;
	g->busy = 0;
	g->owner = NULL;
}

/* Returns what weir__guard_drop wants to know. */
static inline bool weir__guard_take(struct weir__guard *g)
{
	const struct weir__context *me = weir__context();

	if (WEIR_LIKELY(weir__load(&g->owner, WEIR_RELAXED) == (const void *)me)) {
		weir__store(&g->busy, 1u, WEIR_RELAXED);
		__asm__ volatile("" ::: "memory");
		if (WEIR_LIKELY(weir__load(&g->owner, WEIR_RELAXED) == (const void *)me))
			return true;
		weir__store(&g->busy, 0u, WEIR_RELEASE);
	}
	weir__guard_take_shared(g, me);
	return false;
}

/* Takes the guard if that needs no waiting. *ret_as_owner is for weir__guard_drop. */
static inline bool weir__guard_try(struct weir__guard *g, bool *ret_as_owner)
{
	const struct weir__context *me = weir__context();
	const void *owner = weir__load(&g->owner, WEIR_RELAXED);

	*ret_as_owner = owner == (const void *)me;
	if (WEIR_LIKELY(*ret_as_owner)) {
		weir__store(&g->busy, 1u, WEIR_RELAXED);
		__asm__ volatile("" ::: "memory");
		if (WEIR_LIKELY(weir__load(&g->owner, WEIR_RELAXED) == (const void *)me))
			return true;
		weir__store(&g->busy, 0u, WEIR_RELEASE);
		return false;
	}
	return owner == (const void *)&weir__guard_shared &&
	       weir__load(&g->held, WEIR_RELAXED) == 0 &&
	       weir__xchg(&g->held, 1u, WEIR_ACQUIRE) == 0;
}

/* Pairs with the next taker's exchange of held, or load of busy (c). */
static inline void weir__guard_drop(struct weir__guard *g, bool as_owner)
{
	weir__store(as_owner ? &g->busy : &g->held, 0u, WEIR_RELEASE);
}

#endif
