/* SPDX-License-Identifier: MIT */
/*
 * mutex.h: a lock that tasks may hold while they wait.
 *
 *	weir_mutex_init ──► lock ──► … ──► unlock … ──► weir_mutex_fini
 *
 * Strictly first come, first served: unlock hands the mutex to the task that has
 * waited longest, and nobody gets in between. It belongs to nobody in
 * particular: a task may unlock what another one locked.
 *
 * The mutex lives in the caller's memory, and may be freed by whoever holds it
 * last: unlock does not touch it once another call could have got the lock.
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

/* The future of a lock: finishes with 0, and the mutex is the caller's. */
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

/** The end of a mutex that nobody holds or waits for. Thread: [any]. Since: 0.1 */
WEIR_API void weir_mutex_fini(struct weir_mutex *mutex);

/**
 * Lock, waiting behind those who came before.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the mutex is handed over
 * Cancel:   the mutex is not the caller's
 * Returns:  0; -ECANCELED; -EPERM outside a fiber (there: the future, or try)
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
 * Lock if that needs no waiting.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EAGAIN
 * Since:    0.1
 */
WEIR_API int weir_mutex_lock_try(struct weir_mutex *mutex) WEIR_MUST_CHECK;

/**
 * Unlock: hand the mutex to the next in line, if any.
 *
 * Thread:   [any]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_mutex_unlock(struct weir_mutex *mutex);

/**
 * Set the future of a lock up. It takes its place in the line when it is first polled.
 *
 * Thread:   [any]
 * Cancel:   gives the place up; a future that was handed the mutex first finishes with 0,
 *           and its discard unlocks
 * Since:    0.1
 */
WEIR_API void weir_mutex_lock_init(struct weir_mutex_lock_future *wait, struct weir_mutex *mutex);

WEIR_END_DECLS

#endif
