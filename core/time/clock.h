/* SPDX-License-Identifier: MIT */
/* clock.h: the runtime's time: the system's monotonic clock, or a test clock that can be paused. */
#ifndef WEIR_CORE_TIME_CLOCK_H
#define WEIR_CORE_TIME_CLOCK_H

#include "weir/time.h"
#include "core/rt.h"

/* CLOCK_MONOTONIC in ns. [any], async-signal-safe */
uint64_t weir__clock_system(void);

/* Adds to a time or a delay, at most up to WEIR_FOREVER. */
static inline uint64_t weir__clock_add(uint64_t ns, uint64_t by_ns)
{
	return by_ns > WEIR_FOREVER - ns ? WEIR_FOREVER : ns + by_ns;
}

/* The time of a test clock; for NULL, of the system's clock. [any] */
static inline uint64_t weir__clock_now(const struct weir_clock *clock)
{
	return WEIR_LIKELY(!clock) ? weir__clock_system() : weir_clock_now(clock);
}

/*
 * Moves a paused clock to the next timer of an idle runtime. False if the clock runs, is NULL, has
 * auto-advance off, or is held by a blocking job. [owner]
 */
bool weir__clock_skip_to(struct weir_clock *clock, uint64_t ns);

/*
 * Blocking jobs in progress hold the clock. When the last one ends, the runtime is woken to check
 * its timers again. [any]
 */
void weir__clock_hold(struct weir_clock *clock, int by);

/* True if the clock is paused: a wait must not use its timers as a time-out. */
bool weir__clock_paused(const struct weir_clock *clock);

/*
 * Converts a time of the system's clock to this clock, and back, so that it is as far ahead of now
 * on both. A time that is not ahead becomes 0; WEIR_FOREVER stays. [any]
 */
uint64_t weir__clock_from_system(const struct weir_clock *clock, uint64_t system_ns);
uint64_t weir__clock_to_system(const struct weir_clock *clock, uint64_t ns);

/*
 * Sets the runtime that is woken when the clock moves, until that is shut down. Its shutdown waits
 * for wakes in progress. clock may be NULL. [any]
 */
void weir__clock_attach(struct weir_clock *clock, struct weir_rt *rt);
void weir__clock_detach(struct weir_clock *clock, const struct weir_rt *rt);

#endif
