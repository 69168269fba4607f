/* SPDX-License-Identifier: MIT */
/*
 * lock.h: a spin lock for critical sections of a few dozen instructions that are
 * almost never contended. It takes one atomic exchange to lock and a plain
 * release store to unlock. The holder may be preempted, so a waiter that has spun
 * for a while yields its time slice. Never held across a system call that can
 * block, nor across a callback into user code.
 */
#ifndef WEIR_CORE_LOCK_H
#define WEIR_CORE_LOCK_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/base.h"
#include "core/assert.h"
#include "core/atomic.h"

/* One macro for each order, for the models' mutants. */
#ifndef LOCK_TAKE_ACQUIRE
#define LOCK_TAKE_ACQUIRE WEIR_ACQUIRE
#endif
#ifndef LOCK_DROP_RELEASE
#define LOCK_DROP_RELEASE WEIR_RELEASE
#endif

struct weir__lock {
	WEIR_ATOMIC(uint32_t) held;
};

/* One pause while spinning on a word that another thread will change soon. */
static inline void weir__lock_pause(unsigned *spins)
{
#ifdef WEIR_MODEL
	(void)spins;
	weir__model_yield();
#else
	if (++*spins % 64 == 0)
		sched_yield();
	else
		weir__cpu_relax();
#endif
}

static inline bool weir__lock_try(struct weir__lock *l)
{
	return weir__load(&l->held, WEIR_RELAXED) == 0 &&
	       weir__xchg(&l->held, 1u, LOCK_TAKE_ACQUIRE) == 0;
}

static inline void weir__lock_take(struct weir__lock *l)
{
	unsigned spins = 0;

	while (WEIR_UNLIKELY(weir__xchg(&l->held, 1u, LOCK_TAKE_ACQUIRE) != 0))
		do
			weir__lock_pause(&spins);
		while (weir__load(&l->held, WEIR_RELAXED) != 0);
}

/* Pairs with the exchange in weir__lock_take and weir__lock_try. */
static inline void weir__lock_drop(struct weir__lock *l)
{
	WEIR_ASSERT(weir__load(&l->held, WEIR_RELAXED) == 1);
	weir__store(&l->held, 0u, LOCK_DROP_RELEASE);
}

#endif
