/* SPDX-License-Identifier: MIT */
/*
 * watch_state.h: which worker watches, and that one does; sched/watch.h says what
 * for.
 *
 * The promise: while a worker is awake and another sleeps, some sleeping worker
 * sleeps with a limit, or is about to. A stuck worker cannot help to fulfil it,
 * so every worker does its part before its first task.
 *
 *	to sleep	awake = 0	| fence |	claim: nobody watches?	(no: no limit)
 *	go deep		deep = 1	| fence |	read who is awake	(somebody: a limit)
 *	the watcher, awake	watcher = 0, then as below
 *	awake		awake = 1	| fence |	read deep		(set: wake the
 *										watcher)
 *							read watcher, if there is work
 *							(nobody: wake any that sleeps)
 *
 * Of two such steps, one reads what the other wrote. So a worker that is awake
 * with work has done one of three things: it has woken a deep watcher; it has
 * found a watcher with a limit; or it has found no watcher, and has woken a
 * sleeper if there was one. The worker that it wakes goes back to sleep and
 * claims the watch, or has work itself and passes the watch on in turn. A worker
 * that gets its work later, by searching, was the last searcher or wakes the last
 * one (sched/idle.h), and that one sleeps in the end.
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
	WEIR_ATOMIC(uint32_t) watcher;	/* 1 + index of the watching worker; 0: nobody */
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

/* [about to sleep] True: this worker is the watcher now. */
static inline bool watch_claim(struct watch *watch, unsigned me)
{
	uint32_t nobody = 0;

	return weir__cas(&watch->watcher, &nobody, me + 1u, WEIR_ACQ_REL, WEIR_RELAXED);
}

/*
 * [watcher] The caller must check who is awake after this. The release pairs with the exchange in
 * watch_disturb: a worker that clears deep before that check must see whom to wake.
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

/*
 * [watcher] Called when it is awake and has checked the others. Pairs with watch_claim;
 * watch_set_awake comes next.
 */
static inline void watch_leave(struct watch *watch)
{
	weir__store(&watch->watcher, 0u, WEIR_RELEASE);
}

/*
 * [awake] Returns 1 + the watcher if it is in deep sleep; then the caller must wake it, and nobody
 * else does.
 */
static inline uint32_t watch_disturb(struct watch *watch)
{
	if (WEIR_LIKELY(!weir__load(&watch->deep, WEIR_RELAXED)) ||
	    !weir__xchg(&watch->deep, 0u, WEIR_ACQ_REL))
		return 0;
	return weir__load(&watch->watcher, WEIR_RELAXED);
}

/* [awake, with work] True: nobody watches, and the caller must wake a sleeper. */
static inline bool watch_vacant(struct watch *watch)
{
	return weir__load(&watch->watcher, WEIR_RELAXED) == 0;
}

#endif
