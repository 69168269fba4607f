/* SPDX-License-Identifier: MIT */
/*
 * notify.h: "something has changed, look again", without a value.
 *
 *	notify_one	wakes the task that has waited longest; if none waits, one
 *			permit is kept, and the next wait takes it and returns at once
 *	notify_last	the same, but wakes the task that came last
 *	notify_waiters	wakes all tasks that wait at this moment, and keeps no permit
 *
 * One permit is enough for the usual loop. The task that changes the state notifies
 * after the change. The task that waits for the change first looks at the state, then
 * waits; if the change came in between, the permit ends that wait.
 *
 * notify_waiters keeps no permit, so a waiter must exist before it looks at the state.
 * For notify_waiters a weir_notified_future counts from its init on, polled or not; for
 * the other two from its first poll, or from weir_notified_enable. After an enable it is
 * pending and belongs to that task, which must await it or abandon it (weir_finish).
 */
#ifndef WEIR_SYNC_NOTIFY_H
#define WEIR_SYNC_NOTIFY_H

#include "weir/sync/wait.h"

struct weir_notify {
	struct weir__wait_queue queue;
	uint64_t calls;			/* of notify_waiters; atomic */
	bool permit;
};

/* The future of a wait. It finishes with 0. */
struct weir_notified_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir__wait wait;
	};
	struct weir_notify *notify;
	uint64_t calls;			/* at init */
	uint8_t how;			/* what ended it */
};

WEIR_BEGIN_DECLS

/** Set a notify up, with no permit. Thread: [any]. Since: 0.1 */
WEIR_API void weir_notify_init(struct weir_notify *notify);

/** End a notify that nobody waits for. Thread: [any]. Since: 0.1 */
WEIR_API void weir_notify_fini(struct weir_notify *notify);

/**
 * Wait for a notification. If a permit was kept, the call takes it and returns at once.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until it is notified
 * Cancel:   no notification was used up
 * Returns:  0; -ECANCELED; -EPERM outside a fiber (use the future there)
 * Since:    0.1
 */
WEIR_API int weir_notify_wait(struct weir_notify *notify);

/**
 * The same, up to a deadline. It also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   [worker] on a fiber
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_notify_wait_until(struct weir_notify *notify, uint64_t deadline);

/** Notify the longest waiter, or keep a permit. Thread: [any]. Waits: never. Since: 0.1 */
WEIR_API void weir_notify_one(struct weir_notify *notify);

/** Notify the latest waiter, or keep a permit. Thread: [any]. Waits: never. Since: 0.1 */
WEIR_API void weir_notify_last(struct weir_notify *notify);

/**
 * Notify all that wait now, and no others: a task that starts to wait during the call, or is
 * woken by it and waits again, is not notified.
 *
 * Thread:   [any]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_notify_waiters(struct weir_notify *notify);

/**
 * Set the future of a wait up.
 *
 * Thread:   [any]
 * Cancel:   it leaves the wait queue. If it was notified first, it finishes with 0, and its
 *           discard passes the notification on, unless it came from notify_waiters
 * Since:    0.1
 */
WEIR_API void weir_notified_init(struct weir_notified_future *notified, struct weir_notify *notify);

/**
 * Put the future into the wait queue before its first poll. From then on it is pending: it must
 * be polled, or cancelled and polled, until it finishes.
 *
 * Thread:   the one that will poll it
 * Waits:    never
 * Returns:  whether it is notified already, so that its next poll finishes
 * Since:    0.1
 */
WEIR_API bool weir_notified_enable(struct weir_notified_future *notified);

WEIR_END_DECLS

#endif
