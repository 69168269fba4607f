/* SPDX-License-Identifier: MIT */
/*
 * semaphore.h: a number of permits that tasks take and give back.
 *
 *	weir_sem_init ──► acquire ──► … ──► release … ──► weir_sem_fini
 *	                     └── weir_sem_close: -ESHUTDOWN for all, now and later
 *
 * Strictly first come, first served, whatever the sizes: one that waits for many
 * permits is not overtaken by one that needs few, so it is served in the end.
 * Whoever cannot be served at once waits, and takes nothing until it is served
 * in full.
 *
 * Permits belong to nobody in particular: release may give back what another
 * task acquired, or add permits that nobody ever had.
 *
 * The semaphore lives in the caller's memory; whoever was given the last permit
 * may free it, for release touches nothing once it has handed its permits over.
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

/* The future of an acquire: finishes with 0 and has its permits, or with -ESHUTDOWN. */
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

/** The end of a semaphore that nobody waits for. Thread: [any]. Since: 0.1 */
WEIR_API void weir_sem_fini(struct weir_sem *sem);

/**
 * Take count permits, all at once, waiting behind those who came before.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the permits are there, or the semaphore is closed
 * Cancel:   nothing was taken
 * Returns:  0; -ESHUTDOWN if it is closed; -EINVAL for more than WEIR_SEM_MAX; -ECANCELED;
 *           -EPERM outside a fiber (there: the future, or try)
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
 * Take count permits if that needs no waiting.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EAGAIN if there are too few, or somebody waits; -ESHUTDOWN; -EINVAL
 * Since:    0.1
 */
WEIR_API int weir_sem_acquire_try(struct weir_sem *sem, size_t count) WEIR_MUST_CHECK;

/**
 * Give count permits back, or add them; those who wait are served in their order.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EOVERFLOW if there would be more than WEIR_SEM_MAX (nothing was added)
 * Since:    0.1
 */
WEIR_API int weir_sem_release(struct weir_sem *sem, size_t count);

/**
 * Make up to count of the permits that are there disappear.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  how many there were to forget
 * Since:    0.1
 */
WEIR_API size_t weir_sem_forget(struct weir_sem *sem, size_t count);

/**
 * Close: everybody who waits, and every later acquire, gets -ESHUTDOWN. Permits can still be
 * given back. Closing twice is nothing.
 *
 * Thread:   [any]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_sem_close(struct weir_sem *sem);

/** Whether it was closed. Thread: [any]. Since: 0.1 */
WEIR_API bool weir_sem_is_closed(const struct weir_sem *sem);

/** How many permits nobody has, at this moment. Thread: [any]. Since: 0.1 */
WEIR_API size_t weir_sem_available(const struct weir_sem *sem);

/**
 * Set the future of an acquire up. It takes its place in the line when it is first polled.
 *
 * Thread:   [any]
 * Cancel:   gives the place up; a future that was served first finishes with 0, and its
 *           discard releases the permits
 * Since:    0.1
 */
WEIR_API void weir_sem_acquire_init(struct weir_sem_acquire_future *wait, struct weir_sem *sem,
				    size_t count);

WEIR_END_DECLS

#endif
