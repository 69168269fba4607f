/* SPDX-License-Identifier: MIT */
/*
 * guard.h: a spin lock that costs its owner no locked instruction.
 *
 * The first worker thread that takes a guard becomes its owner. It says "busy"
 * with a plain store, looks whether it is still the owner, and is in. Anybody
 * else takes the lock word, ends the ownership for good and waits until the
 * owner is not busy; from then on the guard is an ordinary spin lock. The
 * protocol is in core/guard_state.h.
 *
 * An ownership that ends costs a microsecond or so. After REVOKE_MAX of
 * them in a process no guard gets an owner any more. So a program that shares its
 * primitives between workers pays next to nothing for the trick, and one that
 * does not has it everywhere.
 *
 * weir__guard_enable must have succeeded before any guard gets an owner; without
 * it, or without membarrier(2), every guard is an ordinary spin lock from birth.
 * A seccomp filter installed later must not forbid membarrier: who then takes a
 * guard from its owner waits for ever, since nobody comes in without the fence.
 *
 * Take and drop on one thread, with no await and no foreign callback between
 * them. Not recursive, and not for signal handlers: the owner would walk into
 * its own section. The section is a few dozen instructions, or one system call
 * that does not block (backends/readiness/readiness.c): an owner that sits in the kernel is
 * as busy as one that computes, and a revoker waits for it in the same way,
 * giving its slice away. So the protocol asks nothing of the section's length;
 * what a long one costs is the time of those who wait.
 *
 * An owner thread that ends. It is in no section then, and nobody is told: the
 * guard still names its context, a thread-local. Either another thread takes the
 * guard, and ends an ownership that has nobody behind it; or a new thread gets a
 * context at the same address, and is the owner. That is sound: no two threads
 * that live have the same address, which is all that mutual exclusion needs of it;
 * and the memory changed hands, so what the old thread did happened before the
 * new one began (its libc passes stacks and thread-locals on under a lock of its
 * own). That the new owner need not be a worker does no harm.
 *
 * fork. In the child a guard that was free is as good as ever: the registration
 * for membarrier is inherited, and an owner whose thread is not there is one that
 * has ended. A guard that another thread held stays held for good, like any lock,
 * with the primitive around it half changed. So the child initializes afresh each
 * primitive that other threads may have used; what belongs to an inherited
 * runtime it does not touch at all. Guards do not work between processes.
 */
#ifndef WEIR_CORE_GUARD_H
#define WEIR_CORE_GUARD_H

#include "core/context.h"
#include "core/guard_state.h"

/*
 * Register this process for owners. Best before it has a second thread: later it
 * may take the kernel several milliseconds. Repeating it is free. [any]
 */
void weir__guard_enable(void);

void weir__guard_take_shared(struct weir__guard *g, const struct weir__context *me);

/* Returns what weir__guard_drop wants to know. */
static inline bool weir__guard_take(struct weir__guard *g)
{
	const struct weir__context *me = weir__context();

	if (WEIR_LIKELY(weir__guard_is_owned_by(g, me)) && WEIR_LIKELY(weir__guard_enter(g, me)))
		return true;
	weir__guard_take_shared(g, me);
	return false;
}

/* Takes the guard if that needs no waiting. *ret_as_owner is for weir__guard_drop. */
static inline bool weir__guard_try(struct weir__guard *g, bool *ret_as_owner)
{
	const struct weir__context *me = weir__context();
	const void *owner = weir__load(&g->owner, WEIR_RELAXED);

	*ret_as_owner = owner == (const void *)me;
	return WEIR_LIKELY(*ret_as_owner) ? weir__guard_enter(g, me)
					  : weir__guard_try_word(g, owner);
}

#endif
