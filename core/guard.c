/* SPDX-License-Identifier: MIT */
/*
 * guard.c: the slow ways into a guard: becoming its owner, and ending another
 * thread's ownership. See core/guard.h for the contract and core/guard_state.h
 * for the protocol.
 */
#include "core/guard.h"

#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define REVOKE_MAX 32

const char weir__guard_shared;

/* Ownerships that may still end; 0 before weir__guard_enable. */
static int revokes_left;
static bool tried;

static int membarrier(bool registering)
{
#if defined(__linux__) && defined(SYS_membarrier)
	int cmd = registering ? MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
			      : MEMBARRIER_CMD_PRIVATE_EXPEDITED;

	return (int)syscall(SYS_membarrier, cmd, 0, 0);
#else
	(void)registering;
	return -1;
#endif
}

void weir__guard_enable(void)
{
	int saved_errno = errno;

	if (!weir__xchg(&tried, true, WEIR_RELAXED) && membarrier(true) == 0)
		weir__store(&revokes_left, REVOKE_MAX, WEIR_RELAXED);
	errno = saved_errno;
}

/* There is an owner, so the process has registered. */
static void fence_everywhere(void)
{
	int saved_errno = errno;
	int rc = membarrier(false);

	WEIR_ASSERT(rc == 0);
	(void)rc;
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
