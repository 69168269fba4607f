/* SPDX-License-Identifier: MIT */
/* clock.h: the runtime's time: the system's monotonic clock, or a test clock that stands still. */
#ifndef WEIR_CORE_TIME_CLOCK_H
#define WEIR_CORE_TIME_CLOCK_H

#include "weir/time.h"
#include "core/rt.h"

/* CLOCK_MONOTONIC in ns. [any], async-signal-safe */
uint64_t weir__clock_system(void);

/* A moment, or a delay, that is so much longer: for ever at the most. */
static inline uint64_t weir__clock_add(uint64_t ns, uint64_t by_ns)
{
	return by_ns > WEIR_FOREVER - ns ? WEIR_FOREVER : ns + by_ns;
}

/* The time of a test clock, or the system's for NULL. [any] */
static inline uint64_t weir__clock_now(const struct weir_clock *clock)
{
	return WEIR_LIKELY(!clock) ? weir__clock_system() : weir_clock_now(clock);
}

/*
 * An idle runtime offers to move its paused clock to the next timer. False when the clock runs,
 * is NULL, may not, or a blocking job is under way. [owner]
 */
bool weir__clock_skip_to(struct weir_clock *clock, uint64_t ns);

/* Blocking jobs under way hold the clock; the last one lets the runtime look again. [any] */
void weir__clock_hold(struct weir_clock *clock, int by);

/* Whether timers of this clock are not the system's: a wait must not use them as a time-out. */
bool weir__clock_paused(const struct weir_clock *clock);

/*
 * A moment of the system's clock on this one, and the reverse: as far ahead of now as it is there.
 * What is not ahead becomes 0, WEIR_FOREVER stays. [any]
 */
uint64_t weir__clock_from_system(const struct weir_clock *clock, uint64_t system_ns);
uint64_t weir__clock_to_system(const struct weir_clock *clock, uint64_t ns);

/*
 * Who is to be woken when the clock is moved: one runtime, until it is shut down. Wakes that are under
 * way are among those that its shutdown waits for. NULL is allowed. [any]
 */
void weir__clock_attach(struct weir_clock *clock, struct weir_rt *rt);
void weir__clock_detach(struct weir_clock *clock, const struct weir_rt *rt);

#endif
