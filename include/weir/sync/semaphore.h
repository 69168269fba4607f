/* SPDX-License-Identifier: MIT */
/*
 * semaphore.h: a number of permits that tasks take and give back.
 *
 *	weir_sem_init ──► acquire ──► … ──► release … ──► weir_sem_fini
 *	                     └── weir_sem_close: -ESHUTDOWN for all, now and later
 *
 * It is strictly first come, first served, whatever the counts: a task that needs few
 * permits does not overtake one that waits for many, so the latter is served in the end.
 * A waiting task takes no permit until it gets all of them.
 *
 * Permits have no owner: a task may release what another one has acquired, or add
 * permits that never existed before.
 *
 * The semaphore lives in the caller's memory. A task that was given the last permit may
 * free it: release does not touch the semaphore after it has handed its permits over.
 */
#ifndef WEIR_SYNC_SEMAPHORE_H
#define WEIR_SYNC_SEMAPHORE_H

#include "weir/sync/wait.h"

#define WEIR_SEM_MAX (SIZE_MAX >> 3)

struct weir_sem {
	struct weir__wait_queue queue;
	size_t permits;			/* atomic; written with the guard held */
	bool closed;			/* atomic; written with the guard held */
};

/* The future of an acquire. It finishes with 0 and has its permits, or with -ESHUTDOWN. */
struct weir_sem_acquire_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir__wait wait;
	};
	struct weir_sem *sem;
	size_t count;
};

WEIR_BEGIN_DECLS

/** Set a semaphore up. 0; -EINVAL for more than WEIR_SEM_MAX. Thread: [any]. Since: 0.1 */
WEIR_API int weir_sem_init(struct weir_sem *sem, size_t permits);

/** End a semaphore that nobody waits for. Thread: [any]. Since: 0.1 */
WEIR_API void weir_sem_fini(struct weir_sem *sem);

/**
 * Take count permits, all at once. The call waits behind those that came before.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the permits are there, or the semaphore is closed
 * Cancel:   nothing was taken
 * Returns:  0; -ESHUTDOWN if it is closed; -EINVAL for more than WEIR_SEM_MAX; -ECANCELED;
 *           -EPERM outside a fiber (use the future or weir_sem_acquire_try there)
 * Since:    0.1
 */
WEIR_API int weir_sem_acquire(struct weir_sem *sem, size_t count) WEIR_MUST_CHECK;

/**
 * The same, up to a deadline. It also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   [worker] on a fiber
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_sem_acquire_until(struct weir_sem *sem, size_t count,
				    uint64_t deadline) WEIR_MUST_CHECK;

/**
 * Take count permits if they are there and nobody waits.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EAGAIN if there are too few, or somebody waits; -ESHUTDOWN; -EINVAL
 * Since:    0.1
 */
WEIR_API int weir_sem_acquire_try(struct weir_sem *sem, size_t count) WEIR_MUST_CHECK;

/**
 * Give count permits back, or add them. Waiting tasks are served in their order.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EOVERFLOW if there would be more than WEIR_SEM_MAX (nothing was added)
 * Since:    0.1
 */
WEIR_API int weir_sem_release(struct weir_sem *sem, size_t count);

/**
 * Remove up to count of the free permits.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  how many were removed
 * Since:    0.1
 */
WEIR_API size_t weir_sem_forget(struct weir_sem *sem, size_t count);

/**
 * Close a semaphore: all waiting acquires, and all later ones, return -ESHUTDOWN. Permits can
 * still be released. A second close does nothing.
 *
 * Thread:   [any]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_sem_close(struct weir_sem *sem);

/** Whether a semaphore was closed. Thread: [any]. Since: 0.1 */
WEIR_API bool weir_sem_is_closed(const struct weir_sem *sem);

/** How many permits are free at this moment. Thread: [any]. Since: 0.1 */
WEIR_API size_t weir_sem_available(const struct weir_sem *sem);

/**
 * Set the future of an acquire up. Its first poll puts it into the wait queue.
 *
 * Thread:   [any]
 * Cancel:   it leaves the wait queue. If it was served first, it finishes with 0, and its
 *           discard releases the permits
 * Since:    0.1
 */
WEIR_API void weir_sem_acquire_init(struct weir_sem_acquire_future *wait, struct weir_sem *sem,
				    size_t count);

WEIR_END_DECLS

#endif
