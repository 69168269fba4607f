/* SPDX-License-Identifier: MIT */
/*
 * guard.c: the slow ways into a guard: becoming its owner, and ending another
 * thread's ownership. See core/guard.h for the protocol.
 */
#include "core/guard.h"

#include <sched.h>

#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/assert.h"
#include "core/lock.h"

#define REVOKE_MAX 32

const char weir__guard_shared;
#define GUARD_SHARED ((const void *)&weir__guard_shared)

/* Ownerships that may still end; 0 before weir__guard_enable. */
static int revokes_left;
static bool tried;

static int fence_everywhere(bool registering)
{
#if defined(__linux__) && defined(SYS_membarrier)
	return (int)syscall(SYS_membarrier,
			    registering ? MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
					: MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
#else
	(void)registering;
	return -1;
#endif
}

void weir__guard_enable(void)
{
	int saved_errno = errno;

	if (!weir__xchg(&tried, true, WEIR_RELAXED) && fence_everywhere(true) == 0)
		weir__store(&revokes_left, REVOKE_MAX, WEIR_RELAXED);
	errno = saved_errno;
}

static void end_ownership(struct weir__guard *g)
{
	unsigned spins = 0;
	int rc;

	weir__store(&g->owner, GUARD_SHARED, WEIR_RELAXED);	/* a */
	rc = fence_everywhere(false);				/* b */
	WEIR_ASSERT(rc == 0);
	(void)rc;
	/* c: pairs with weir__guard_drop. */
	while (weir__load(&g->busy, WEIR_ACQUIRE) != 0)
		if (++spins % 64 == 0)
			sched_yield();
		else
			weir__cpu_relax();
	if (weir__load(&revokes_left, WEIR_RELAXED) > 0)
		weir__fetch_sub(&revokes_left, 1, WEIR_RELAXED);
}

/* With the lock word held. */
static void settle_owner(struct weir__guard *g, const struct weir__context *me)
{
	const void *owner = weir__load(&g->owner, WEIR_RELAXED);
	int saved_errno;

	if (WEIR_LIKELY(owner == GUARD_SHARED))
		return;
	if (!owner) {
		if (weir__load(&revokes_left, WEIR_RELAXED) <= 0)
			weir__store(&g->owner, GUARD_SHARED, WEIR_RELAXED);
		else if (me->worker)
			weir__store(&g->owner, (const void *)me, WEIR_RELAXED);
		return;
	}
	WEIR_ASSERT(owner != (const void *)me);
	saved_errno = errno;
	end_ownership(g);
	errno = saved_errno;
}

void weir__guard_take_shared(struct weir__guard *g, const struct weir__context *me)
{
	/* The lock word of a guard is a lock. */
	weir__lock_take((struct weir__lock *)(void *)&g->held);
	settle_owner(g, me);
}
