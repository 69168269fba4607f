/* SPDX-License-Identifier: MIT */
/*
 * timer.h: the timers of an instance, in a hierarchical wheel of 1 ms ticks.
 *
 *	level	one slot covers	the level reaches
 *	0	1 ms		64 ms
 *	1	64 ms		4.1 s
 *	2	4.1 s		4.4 min
 *	3	4.4 min		4.7 h
 *	4	4.7 h		12.4 days; later deadlines wrap
 *
 * Setting, stopping and finding the next timer are O(1). A timer never fires early, and it fires
 * less than a tick late if the owner begins a turn in time.
 *
 * - A timer that is set to a later time stays in its slot: weir__timers_set stores the
 * new deadline, and
 *   the wheel checks it when the old one arrives. So a retransmission timer that every ACK restarts
 *   costs one store.
 * - fire is called with the timer stopped. It may set and stop any timer, this one included, and
 *   may free the object that contains the timer.
 * - A timer whose fields are zero, except fire, is stopped.
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
	uint64_t elapsed;		/* all timers up to this tick have fired */
	uint64_t occupied[WEIR__TIMERS_LEVELS];
	struct weir__netstack_timer *slot[WEIR__TIMERS_LEVELS][WEIR__TIMERS_SLOTS];
};

static inline bool weir__timer_is_set(const struct weir__netstack_timer *timer)
{
	return timer->pprev != NULL;
}

void weir__timers_init(struct weir__timers *timers, uint64_t now_ns);
/* Sets the timer, or changes its deadline. If that is in the past, it fires in the next turn. */
void weir__timers_set(struct weir__timers *timers, struct weir__netstack_timer *timer,
		      uint64_t deadline_ns);
/* Does nothing if the timer is not set. */
void weir__timers_stop(struct weir__timers *timers, struct weir__netstack_timer *timer);
/* The time of the next weir__timers_advance; WEIR_NETSTACK_NEVER if no timer is set. It can be
 * earlier than the first deadline, when a deadline was made later or a timer has to move to a lower
 * level. It is less than a tick later than the first deadline. */
uint64_t weir__timers_next(const struct weir__timers *timers);
/* Fires the due timers, in the order of their ticks. Does nothing if time has not advanced. */
void weir__timers_advance(struct weir__timers *timers, struct weir__netstack *net, uint64_t now_ns);

#endif
