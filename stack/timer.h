/* SPDX-License-Identifier: MIT */
/*
 * timer.h: the timers of an instance, in a hierarchical wheel of 1 ms ticks.
 *
 *	level	one slot covers	the level reaches
 *	0	1 ms		64 ms
 *	1	64 ms		4.1 s
 *	2	4.1 s		4.4 min
 *	3	4.4 min		4.7 h
 *	4	4.7 h		12.4 days, and round again beyond that
 *
 * To set, to stop and to find the next one are O(1). A timer fires never early and less than a tick
 * late, as far as the owner turns the instance in time.
 *
 * - A timer that is put off is not filed again: weir__timers_set stores the later time, and the
 *   wheel looks again when the old one comes. So a retransmission timer that every ACK puts off
 *   costs one store.
 * - fire is called with the timer stopped. It may set and stop any timer, this one included, and
 *   may free the object that the timer is in.
 * - All-zero bytes with fire set are a stopped timer.
 *
 * Source: Varghese & Lauck, Hashed and Hierarchical Timing Wheels (SOSP 1987).
 */
#ifndef WEIR_STACK_TIMER_H
#define WEIR_STACK_TIMER_H

#include "stack/base.h"

#define WEIR__TIMERS_LEVELS 5
#define WEIR__TIMERS_SLOTS 64

struct weir__netstack;

struct weir__netstack_timer {
	struct weir__netstack_timer *next, **pprev;
	uint64_t deadline_ns;
	void (*fire)(struct weir__netstack *net, struct weir__netstack_timer *timer);
};

struct weir__timers {
	uint64_t elapsed;		/* the tick up to which everything fired */
	uint64_t occupied[WEIR__TIMERS_LEVELS];
	struct weir__netstack_timer *slot[WEIR__TIMERS_LEVELS][WEIR__TIMERS_SLOTS];
};

static inline bool weir__timer_is_set(const struct weir__netstack_timer *timer)
{
	return timer->pprev != NULL;
}

void weir__timers_init(struct weir__timers *timers, uint64_t now_ns);
/* Sets the timer, or moves it. In the past: it fires in the next turn. */
void weir__timers_set(struct weir__timers *timers, struct weir__netstack_timer *timer,
		      uint64_t deadline_ns);
/* Nothing if it is not set. */
void weir__timers_stop(struct weir__timers *timers, struct weir__netstack_timer *timer);
/* When there may be something to fire; WEIR_NETSTACK_NEVER. It can be earlier than the first
 * deadline, when a timer was put off or has to move down a level; it is never later by a tick. */
uint64_t weir__timers_next(const struct weir__timers *timers);
/* Fires what is due, in the order of the ticks. Time that goes back does nothing. */
void weir__timers_advance(struct weir__timers *timers, struct weir__netstack *net, uint64_t now_ns);

#endif
