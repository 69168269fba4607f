/* SPDX-License-Identifier: MIT */
/*
 * watch_state.h: who watches, and that somebody does; sched/watch.h is what for.
 *
 * The promise: where a worker is awake and another sleeps, one that sleeps does
 * so with a limit, or is on its way to that. Nothing that a stuck worker would
 * have to do itself may be needed for it, so all is done before the first task.
 *
 *	to sleep	awake = 0	| fence |	claim: nobody watches?	(no: no limit)
 *	go deep		deep = 1	| fence |	read who is awake	(somebody: a limit)
 *	the watcher, awake	watcher = 0, then as all
 *	awake		awake = 1	| fence |	read deep		(set: wake the watcher)
 *							read watcher, if there is work
 *							(nobody: wake any that sleeps)
 *
 * Of two such steps one reads what the other wrote. So a worker that is awake
 * with work has woken a deep watcher; or it has found one with a limit; or it has
 * found none, and woken a sleeper if there was one. Whoever that wakes goes back to
 * sleep and claims, or has work itself and passes it on in turn. One that gets its
 * work later, by searching, was or wakes the last searcher (sched/idle.h), and
 * that one sleeps at the end.
 */
#ifndef WEIR_SCHED_WATCH_STATE_H
#define WEIR_SCHED_WATCH_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/atomic.h"
#include "weir/base.h"

#ifndef WATCH_DEEP_RELEASE
#define WATCH_DEEP_RELEASE WEIR_RELEASE
#endif
#ifndef WATCH_DEEP_FENCE
#define WATCH_DEEP_FENCE WEIR_SEQ_CST
#endif
#ifndef WATCH_AWAKE_FENCE
#define WATCH_AWAKE_FENCE WEIR_SEQ_CST
#endif
#ifndef WATCH_ASLEEP_FENCE
#define WATCH_ASLEEP_FENCE WEIR_SEQ_CST
#endif

struct watch {
	WEIR_ATOMIC(uint32_t) watcher;	/* 1 + index of the watching worker, 0 nobody */
	WEIR_ATOMIC(uint32_t) deep;	/* the watcher sleeps without a limit */
};

/* [owner] of the flag. */
static inline void watch_set_awake(WEIR_ATOMIC(uint32_t) *awake)
{
	weir__store(awake, 1u, WEIR_RELAXED);
	weir__fence(WATCH_AWAKE_FENCE);
}

/* [owner] of the flag. */
static inline void watch_set_asleep(WEIR_ATOMIC(uint32_t) *awake)
{
	weir__store(awake, 0u, WEIR_RELAXED);
	weir__fence(WATCH_ASLEEP_FENCE);
}

/* [about to sleep] True: it is the watcher. */
static inline bool watch_claim(struct watch *watch, unsigned me)
{
	uint32_t nobody = 0;

	return weir__cas(&watch->watcher, &nobody, me + 1u, WEIR_ACQ_REL, WEIR_RELAXED);
}

/*
 * [watcher] It must look who is awake after this. Release: who takes deep back before that look
 * must find out whom to wake; pairs with the exchange in watch_disturb.
 */
static inline void watch_go_deep(struct watch *watch)
{
	weir__store(&watch->deep, 1u, WATCH_DEEP_RELEASE);
	weir__fence(WATCH_DEEP_FENCE);
}

/* [watcher] */
static inline void watch_come_up(struct watch *watch)
{
	weir__store(&watch->deep, 0u, WEIR_RELAXED);
}

/* [watcher] It is awake and has looked. Pairs with watch_claim; watch_set_awake comes next. */
static inline void watch_leave(struct watch *watch)
{
	weir__store(&watch->watcher, 0u, WEIR_RELEASE);
}

/* [awake] 1 + the watcher, if it is in deep sleep; the caller must wake it, nobody else does. */
static inline uint32_t watch_disturb(struct watch *watch)
{
	if (WEIR_LIKELY(!weir__load(&watch->deep, WEIR_RELAXED)) ||
	    !weir__xchg(&watch->deep, 0u, WEIR_ACQ_REL))
		return 0;
	return weir__load(&watch->watcher, WEIR_RELAXED);
}

/* [awake, with work] The caller must wake one that sleeps. */
static inline bool watch_vacant(struct watch *watch)
{
	return weir__load(&watch->watcher, WEIR_RELAXED) == 0;
}

#endif
