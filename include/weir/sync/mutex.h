/* SPDX-License-Identifier: MIT */
/*
 * mutex.h: a lock that tasks may hold while they wait.
 *
 *	weir_mutex_init ──► lock ──► … ──► unlock … ──► weir_mutex_fini
 *
 * It is strictly first come, first served: unlock hands the mutex to the task that has
 * waited longest, and no other task can lock it in between. It has no owner: a task may
 * unlock what another task has locked.
 *
 * The mutex lives in the caller's memory. The last holder may unlock and free it: unlock
 * does not touch the mutex once another call could have locked it.
 *
 * Do not: lock it twice in one task (it waits for itself); move it.
 */
#ifndef WEIR_SYNC_MUTEX_H
#define WEIR_SYNC_MUTEX_H

#include "weir/sync/wait.h"

struct weir_mutex {
	struct weir__wait_queue queue;
	bool locked;			/* atomic; written with the guard held */
};

/* The future of a lock. When it finishes with 0 the caller holds the mutex. */
struct weir_mutex_lock_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir__wait wait;
	};
	struct weir_mutex *mutex;
};

WEIR_BEGIN_DECLS

/** Set a mutex up, unlocked. Thread: [any]. Since: 0.1 */
WEIR_API void weir_mutex_init(struct weir_mutex *mutex);

/** End a mutex that nobody holds or waits for. Thread: [any]. Since: 0.1 */
WEIR_API void weir_mutex_fini(struct weir_mutex *mutex);

/**
 * Lock a mutex. The call waits behind those that came before.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the mutex is handed over
 * Cancel:   the caller does not hold the mutex
 * Returns:  0; -ECANCELED; -EPERM outside a fiber (use the future or weir_mutex_lock_try there)
 * Since:    0.1
 */
WEIR_API int weir_mutex_lock(struct weir_mutex *mutex) WEIR_MUST_CHECK;

/**
 * The same, up to a deadline. It also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   [worker] on a fiber
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_mutex_lock_until(struct weir_mutex *mutex, uint64_t deadline) WEIR_MUST_CHECK;

/**
 * Lock a mutex if it is free and nobody waits for it.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EAGAIN
 * Since:    0.1
 */
WEIR_API int weir_mutex_lock_try(struct weir_mutex *mutex) WEIR_MUST_CHECK;

/**
 * Unlock a mutex: hand it to the one that has waited longest, if there is one.
 *
 * Thread:   [any]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_mutex_unlock(struct weir_mutex *mutex);

/**
 * Set the future of a lock up. Its first poll puts it into the wait queue.
 *
 * Thread:   [any]
 * Cancel:   it leaves the wait queue. If it was handed the mutex first, it finishes with 0,
 *           and its discard unlocks
 * Since:    0.1
 */
WEIR_API void weir_mutex_lock_init(struct weir_mutex_lock_future *wait, struct weir_mutex *mutex);

WEIR_END_DECLS

#endif
