/* SPDX-License-Identifier: MIT */
/*
 * notify.h: "something has changed, look again", without a value.
 *
 *	notify_one	wakes the one that has waited longest; if nobody waits, one
 *			permit is kept, and the next wait takes it and does not wait
 *	notify_last	the same, but the one that came last
 *	notify_waiters	wakes all that wait at this moment and keeps nothing
 *
 * Keeping at most one permit makes the usual loop right: whoever changes the
 * state notifies afterwards, whoever looks waits only after it has looked.
 *
 * With notify_waiters nothing is kept, so a waiter must exist before it looks: a
 * weir_notified counts from its init on, polled or not, for notify_waiters, and
 * from its first poll, or weir_notified_enable, for the other two. Enabled in a task
 * it is that task's, and pending: it is awaited, or given up (weir_finish).
 */
#ifndef WEIR_SYNC_NOTIFY_H
#define WEIR_SYNC_NOTIFY_H

#include "weir/sync/wait.h"

struct weir_notify {
	struct weir__wait_queue queue;
	uint64_t calls;			/* of notify_waiters; atomic */
	bool permit;
};

/* The future of a wait: finishes with 0. */
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

/** The end of a notify that nobody waits for. Thread: [any]. Since: 0.1 */
WEIR_API void weir_notify_fini(struct weir_notify *notify);

/**
 * Wait to be notified; a permit that was kept is taken at once.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until it is notified
 * Cancel:   no notification was used up
 * Returns:  0; -ECANCELED; -EPERM outside a fiber (there: the future)
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

/** Notify the first in line, or keep a permit. Thread: [any]. Waits: never. Since: 0.1 */
WEIR_API void weir_notify_one(struct weir_notify *notify);

/** Notify the last in line, or keep a permit. Thread: [any]. Waits: never. Since: 0.1 */
WEIR_API void weir_notify_last(struct weir_notify *notify);

/**
 * Notify all who wait now. Exactly those: one that starts to wait while this runs, or is
 * woken by it and waits again, is not among them.
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
 * Cancel:   leaves the line; one that was notified first finishes with 0, and its discard
 *           passes the notification on (that of notify_waiters is for it alone)
 * Since:    0.1
 */
WEIR_API void weir_notified_init(struct weir_notified_future *notified, struct weir_notify *notify);

/**
 * Take the place in the line before the first poll. From then on it is pending: it must be
 * polled, or cancelled and polled, to its end.
 *
 * Thread:   the one that will poll it
 * Waits:    never
 * Returns:  whether it is notified already, so that a poll will not wait
 * Since:    0.1
 */
WEIR_API bool weir_notified_enable(struct weir_notified_future *notified);

WEIR_END_DECLS

#endif
