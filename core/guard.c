/* SPDX-License-Identifier: MIT */
/*
 * guard.c: the slow paths of a guard: becoming its owner, and ending another
 * thread's ownership. core/guard.h has the contract, core/guard_state.h the
 * protocol.
 */
#include "core/guard.h"

#include "core/os.h"

#define REVOKE_MAX 32

const char weir__guard_shared;

/* How many more ownerships may be ended; 0 before weir__guard_enable. */
static int revokes_left;
static bool tried;

void weir__guard_enable(void)
{
	int saved_errno = errno;

	if (!weir__xchg(&tried, true, WEIR_RELAXED) &&
	    weir__os_fence_threads_enable() == 0)
		weir__store(&revokes_left, REVOKE_MAX, WEIR_RELAXED);
	errno = saved_errno;
}

/*
 * Runs a full fence on every thread. It does not return before that succeeds, because without the
 * fence two threads could be inside. It can only fail if membarrier was forbidden after the
 * process had registered; from then on no guard gets an owner.
 */
static void fence_everywhere(void)
{
	int saved_errno = errno;
	unsigned spins = 0;

	while (WEIR_UNLIKELY(weir__os_fence_threads() != 0)) {
		weir__store(&revokes_left, 0, WEIR_RELAXED);
		weir__lock_pause(&spins);
	}
	errno = saved_errno;
}

void weir__guard_take_shared(struct weir__guard *g, const struct weir__context *me)
{
	const void *heir = me->worker ? me : NULL;

	if (weir__load(&revokes_left, WEIR_RELAXED) <= 0)
		heir = GUARD_SHARED;
	if (weir__guard_take_word(g, heir, fence_everywhere) &&
	    weir__load(&revokes_left, WEIR_RELAXED) > 0)
		weir__fetch_sub(&revokes_left, 1, WEIR_RELAXED);
}
