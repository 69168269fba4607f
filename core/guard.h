/* SPDX-License-Identifier: MIT */
/*
 * guard.h: a spin lock that costs its owner no locked instruction.
 *
 * The first worker thread that takes a guard becomes its owner. To enter, it sets
 * "busy" with a plain store and checks that it is still the owner. Any other
 * thread takes the lock word, ends the ownership for good and waits until the
 * owner is not busy; from then on the guard is an ordinary spin lock. The
 * protocol is in core/guard_state.h.
 *
 * Ending an ownership costs about a microsecond. After REVOKE_MAX of these in a
 * process no guard gets an owner any more. So a program whose workers share their
 * primitives pays almost nothing for the scheme, and a program whose workers do
 * not always gains from it.
 *
 * weir__guard_enable must have succeeded before any guard gets an owner. Without
 * it, or without membarrier(2), every guard is an ordinary spin lock from the
 * start. A seccomp filter that is installed later must not forbid membarrier: a
 * thread that then ends an ownership waits for ever, because entering without the
 * fence would let two threads in.
 *
 * Take and drop a guard on one thread, with no await and no foreign callback in
 * between. A guard is not recursive and not for signal handlers: a handler on the
 * owner thread would enter its own critical section. A section is a few dozen
 * instructions, or one system call that does not block
 * (backends/readiness/readiness.c). An owner inside the kernel counts as busy,
 * and a revoker waits for it as usual and yields its time slice. The protocol is
 * correct for sections of any length; a long one only makes others wait.
 *
 * When an owner thread ends, it is in no section, and the guard still names its
 * context, a thread-local. Then either another thread takes the guard and ends an
 * ownership that nobody uses, or a new thread gets a context at the same address
 * and is the owner. The latter is safe. No two live threads have the same context
 * address, which is all that mutual exclusion needs. What the old thread did
 * happened before the new one began, because libc passes stacks and thread-locals
 * on under a lock. The new owner need not be a worker.
 *
 * After fork, a guard that was free still works in the child: the registration
 * for membarrier is inherited, and an owner whose thread does not exist there
 * counts as ended. A guard that another thread held stays locked for good, like
 * any lock, and its primitive may be half changed. So the child must initialize
 * afresh each primitive that other threads may have used, and must not touch
 * anything that belongs to an inherited runtime. Guards do not work between
 * processes.
 */
#ifndef WEIR_CORE_GUARD_H
#define WEIR_CORE_GUARD_H

#include "core/context.h"
#include "core/guard_state.h"

/*
 * Registers this process, so that guards may have owners. It is best called before the process has
 * a second thread: later it may take the kernel several milliseconds. Later calls do nothing.
 * [any]
 */
void weir__guard_enable(void);

void weir__guard_take_shared(struct weir__guard *g, const struct weir__context *me);

/* Returns the as_owner argument for weir__guard_drop. */
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
