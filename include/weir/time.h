/* SPDX-License-Identifier: MIT */
/*
 * time.h: sleeping, deadlines, intervals, and a clock for tests.
 *
 *	weir_sleep_init ──► poll: filed ──► deadline: woken ──► poll: 0
 *
 * A sleep is filed in the timer wheel of the worker that polls it first (6 levels of
 * 64 slots; the resolution is one tick, by default 1 ms). It never ends early. Moving
 * its deadline later costs one store; moving it earlier files it again.
 *
 * A test clock stands still until it is advanced. When the runtime has nothing else
 * to do, and no blocking job is running, the clock moves to the next timer by itself.
 * It is for the current-thread scheduler.
 *
 * Do not: pass a delay where a deadline is expected (weir_deadline_in makes one from the
 * other; a debug build stops there).
 */
#ifndef WEIR_TIME_H
#define WEIR_TIME_H

#include "weir/base.h"
#include "weir/future.h"

struct weir_rt;
struct weir_clock;

/* A link in a wheel. pprev points to the pointer to this timer; NULL if it is not linked. */
struct weir__timer {
	struct weir__timer *next, **pprev;
	uint64_t deadline_ns;
};

/* The future of a sleep. It finishes with 0 when its deadline has passed. 72 bytes. */
struct weir_sleep_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	struct weir__timer timer;
	uintptr_t where;		/* its wheel, and in the low bits its state; atomic */
};

/* A future with a deadline. It finishes with the result of the inner future, or -ETIMEDOUT. */
struct weir_timeout_future {
	struct weir_future future;
	struct weir_future *inner;
	struct weir_sleep_future sleep;
	int expired;			/* after the deadline: the result instead of -ECANCELED */
	bool cancelled;
};

/* What an interval does after a late tick. */
enum weir_missed_tick {
	WEIR_TICK_BURST = 0,	/* the missed ticks follow at once */
	WEIR_TICK_DELAY,	/* the next tick is a whole period after the late one */
	WEIR_TICK_SKIP,		/* the next tick is at the next multiple of the period */
};

/* A periodic tick, in the caller's memory. */
struct weir_interval {
	uint64_t next_ns;
	uint64_t period_ns;
	enum weir_missed_tick missed;
};

WEIR_BEGIN_DECLS

/** Monotonic time in ns: of the current runtime, or else the system's. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_now(void);

/** The deadline after a delay; at most WEIR_FOREVER. Thread: [any]. Since: 0.1 */
static inline uint64_t weir_deadline_in(uint64_t delay_ns)
{
	uint64_t now = weir_now();

	return delay_ns > WEIR_FOREVER - now ? WEIR_FOREVER : now + delay_ns;
}

/**
 * Sleep for a delay, or until a deadline.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the delay or the deadline has passed, never shorter
 * Returns:  0; -ECANCELED; -EPERM outside a fiber; -ENODEV without a time driver
 * Since:    0.1
 */
WEIR_API int weir_sleep(uint64_t delay_ns);
WEIR_API int weir_sleep_until(uint64_t deadline);

/** Set the future of a sleep up. Its first poll files it. Thread: [any]. Since: 0.1 */
WEIR_API void weir_sleep_init(struct weir_sleep_future *sleep, uint64_t deadline);

/**
 * Give a sleep another deadline, whether it is pending or not. One that has finished starts again.
 *
 * Thread:   the polling task's
 * Since:    0.1
 */
WEIR_API void weir_sleep_reset(struct weir_sleep_future *sleep, uint64_t deadline);

/**
 * Set a timeout around a future up. If the future is ready at its first poll, its result counts,
 * even if the deadline has passed.
 *
 * Thread:   [any]
 * Owns:     inner is the caller's, polled by the timeout alone, and must live as long
 * Cancel:   cancels inner, and finishes with the result of inner
 * Since:    0.1
 */
WEIR_API void weir_timeout_init(struct weir_timeout_future *timeout, struct weir_future *inner,
				uint64_t deadline);

/**
 * Set an interval up, with the first tick at first_ns.
 *
 * Thread:   [any]
 * Returns:  0; -EINVAL for a period of 0
 * Since:    0.1
 */
WEIR_API int weir_interval_init(struct weir_interval *interval, uint64_t first_ns,
				uint64_t period_ns, enum weir_missed_tick missed);

/**
 * Sleep until the next tick.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the tick is due
 * Cancel:   the tick is not used up
 * Returns:  0, and *ret_due_ns is when the tick was due (ret_due_ns may be NULL); -ECANCELED;
 *           -EPERM outside a fiber; -ENODEV without a time driver
 * Since:    0.1
 */
WEIR_API int weir_interval_tick(struct weir_interval *interval, uint64_t *ret_due_ns);

/**
 * Count a tick that was seen at now_ns, and return when the next one is due. For stackless tasks.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API uint64_t weir_interval_advance(struct weir_interval *interval, uint64_t now_ns);

/**
 * Make a clock for tests. It starts at 1 s, is paused, and belongs to one runtime at a time.
 *
 * Thread:   [any]
 * Owns:     the caller frees it with weir_clock_free, after the runtime
 * Returns:  0; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_clock_new(struct weir_clock **ret_clock);
/** Free a clock that no runtime uses any more. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_clock_free(struct weir_clock *clock);
/** The time of a clock, in ns. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_clock_now(const struct weir_clock *clock);
/** Pause a clock; 0, or -EBUSY if it is paused. Thread: [any]. Since: 0.1 */
WEIR_API int weir_clock_pause(struct weir_clock *clock);
/** Let a clock run as the system's; 0, or -EBUSY if it runs. Thread: [any]. Since: 0.1 */
WEIR_API int weir_clock_resume(struct weir_clock *clock);
/**
 * Move a paused clock. Timers that are due then fire when the worker next turns to its drivers.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EINVAL if it runs
 * Since:    0.1
 */
WEIR_API int weir_clock_advance(struct weir_clock *clock, uint64_t by_ns);
/**
 * Say whether an idle runtime may move the paused clock to the next timer. By default it may.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API void weir_clock_auto_advance(struct weir_clock *clock, bool on);

WEIR_END_DECLS

#endif
