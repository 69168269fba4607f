/* SPDX-License-Identifier: MIT */
/*
 * time.h: sleeping, deadlines, intervals, and a clock for tests.
 *
 * A sleep is filed in the wheel of the worker that polls it first (6 levels of
 * 64 slots; one tick, 1 ms unless configured, is the resolution). It never
 * fires early. Moving its deadline later is one store; moving it earlier files
 * it again.
 *
 * A test clock stands still until it is advanced, and goes to the next timer by
 * itself when the runtime has nothing else to do and no blocking job is under
 * way. It is for the current-thread scheduler.
 */
#ifndef WEIR_TIME_H
#define WEIR_TIME_H

#include "weir/base.h"
#include "weir/future.h"

struct weir_rt;
struct weir_clock;

/* A link in a wheel. pprev is what points at this timer; NULL when unlinked. */
struct weir__timer {
	struct weir__timer *next, **pprev;
	uint64_t deadline_ns;
};

/* The future of a sleep: finishes with 0 once its deadline has passed. 72 bytes. */
struct weir_sleep_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	struct weir__timer timer;
	uintptr_t where;		/* the wheel it is filed in, and its state below; atomic */
};

/* A future with a deadline: finishes with the inner result, or -ETIMEDOUT. */
struct weir_timeout_future {
	struct weir_future future;
	struct weir_future *inner;
	struct weir_sleep_future sleep;
	int expired;			/* once it is over: what to answer for -ECANCELED; else 0 */
	bool cancelled;
};

enum weir_missed_tick {
	WEIR_TICK_BURST = 0,	/* catch up at once */
	WEIR_TICK_DELAY,	/* a whole period after the late one */
	WEIR_TICK_SKIP,		/* the next multiple of the period */
};

/* A steady beat; lives on the caller's stack or in its state. */
struct weir_interval {
	uint64_t next_ns;
	uint64_t period_ns;
	enum weir_missed_tick missed;
};

WEIR_BEGIN_DECLS

/** Monotonic time in ns: the current runtime's, the system's outside. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_now(void);

/** now + delay, saturating at WEIR_FOREVER. Thread: [any]. Since: 0.1 */
static inline uint64_t weir_deadline_in(uint64_t delay_ns)
{
	uint64_t now = weir_now();

	return delay_ns > WEIR_FOREVER - now ? WEIR_FOREVER : now + delay_ns;
}

/**
 * Sleep.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the delay or the deadline has passed, never less
 * Returns:  0; -ECANCELED; -EPERM outside a fiber; -ENODEV without a time driver
 * Since:    0.1
 */
WEIR_API int weir_sleep(uint64_t delay_ns);
WEIR_API int weir_sleep_until(uint64_t deadline);

/** Set a sleep up; it is filed when it is first polled. Thread: [any]. Since: 0.1 */
WEIR_API void weir_sleep_init(struct weir_sleep_future *sleep, uint64_t deadline);

/**
 * Give a sleep another deadline, pending or not (one that has finished starts anew).
 * Later is one store, earlier files it again.
 *
 * Thread:   the polling task's
 * Since:    0.1
 */
WEIR_API void weir_sleep_reset(struct weir_sleep_future *sleep, uint64_t deadline);

/**
 * Set a timeout around a future up. A future that is ready at once wins over a past deadline.
 *
 * Thread:   [any]
 * Owns:     inner is the caller's, polled by the timeout alone, and must live as long
 * Cancel:   cancels inner; finishes with its result
 * Since:    0.1
 */
WEIR_API void weir_timeout_init(struct weir_timeout_future *timeout, struct weir_future *inner,
				uint64_t deadline);

/** Start an interval, first tick at first_ns. 0; -EINVAL for period 0. Thread: [any]. Since: 0.1 */
WEIR_API int weir_interval_init(struct weir_interval *interval, uint64_t first_ns,
				uint64_t period_ns, enum weir_missed_tick missed);

/**
 * Sleep until the next tick.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the tick is due
 * Cancel:   the tick is still to come
 * Returns:  0 with the instant the tick was due (ret_due_ns may be NULL); -ECANCELED; -EPERM
 *           outside a fiber; -ENODEV without a time driver
 * Since:    0.1
 */
WEIR_API int weir_interval_tick(struct weir_interval *interval, uint64_t *ret_due_ns);

/** Account for a tick seen at now and set the next; for stackless tasks. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_interval_advance(struct weir_interval *interval, uint64_t now_ns);

/**
 * Make a clock for tests: it starts at 1 s, paused, and belongs to one runtime at a time.
 *
 * Thread:   [any]
 * Owns:     the caller frees it, after the runtime
 * Returns:  0; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_clock_new(struct weir_clock **ret_clock);
/** Free a clock that no runtime uses any more. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_clock_free(struct weir_clock *clock);
/** What it shows. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_clock_now(const struct weir_clock *clock);
/** Stop the clock; -EBUSY if it is stopped already. Thread: [any]. Since: 0.1 */
WEIR_API int weir_clock_pause(struct weir_clock *clock);
/** Let it run with the system's; -EBUSY if it runs already. Thread: [any]. Since: 0.1 */
WEIR_API int weir_clock_resume(struct weir_clock *clock);
/**
 * Move a paused clock; timers up to then fire on the worker's next turn.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EINVAL if it runs
 * Since:    0.1
 */
WEIR_API int weir_clock_advance(struct weir_clock *clock, uint64_t by_ns);
/**
 * Whether the runtime may move the paused clock to the next timer when idle: on by default.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API void weir_clock_auto_advance(struct weir_clock *clock, bool on);

WEIR_END_DECLS

#endif
