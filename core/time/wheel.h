/* SPDX-License-Identifier: MIT */
/*
 * wheel.h: a hashed hierarchical wheel of timers, ordered by deadline.
 *
 *	level	one slot covers		the level reaches (1 ms tick)
 *	0	1 tick			64 ms
 *	1	64 ticks		4.1 s
 *	2	64^2 ticks		4.4 min
 *	3	64^3 ticks		4.7 h
 *	4	64^4 ticks		12.4 days
 *	5	64^5 ticks		2.2 years; later deadlines wait more than one turn
 *
 * A timer waits at the level of the highest bit group in which its tick differs
 * from the current one, and moves down as its time comes near. Inserting,
 * removing and finding the next expiry are O(1). A timer moves down at most five
 * times in its life, plus once for every turn of the top level that it waits.
 *
 * The life of a timer (all-zero bytes are an unlinked timer):
 *
 *	              insert                    advance, deadline reached
 *	unlinked ---------------> linked ------------------------------> in the chain
 *	    ^                       | ^ |                                     |
 *	    |        remove         | +-+ deadline_ns stored later:           |
 *	    +-----------------------+     filed again when its slot opens     |
 *	    +-----------------------------------------------------------------+
 *
 *  - To extend a deadline, store the later deadline_ns and do nothing else. To
 *    shorten it, remove and insert: a plain store of an earlier deadline would be
 *    noticed only when the old slot opens, which is late, but never early.
 *  - The wheel reads no clock, takes no lock, allocates nothing and calls nobody.
 *    All calls on one wheel, and stores to a linked timer, are made by one thread
 *    or under one lock of the caller.
 *  - The chain that advance returns belongs to the caller. Its timers are
 *    unlinked, but hold the chain in ->next: read it before you insert the timer
 *    again.
 *
 * Source: Varghese & Lauck, Hashed and Hierarchical Timing Wheels (SOSP 1987).
 */
#ifndef WEIR_CORE_TIME_WHEEL_H
#define WEIR_CORE_TIME_WHEEL_H

#include "weir/time.h"

#define WEIR__WHEEL_LEVELS 6
#define WEIR__WHEEL_SLOT_BITS 6
#define WEIR__WHEEL_SLOTS (1u << WEIR__WHEEL_SLOT_BITS)
#define WEIR__WHEEL_HEADS (WEIR__WHEEL_LEVELS * WEIR__WHEEL_SLOTS)

#define WEIR__WHEEL_TICK_MIN_NS (64 * WEIR_USEC)
#define WEIR__WHEEL_TICK_DEFAULT_NS WEIR_MSEC
#define WEIR__WHEEL_TICK_MAX_NS WEIR_SEC

/* Must not be moved while a timer is linked: the first timers point back into head. */
struct weir__wheel {
	uint64_t elapsed;	/* whole ticks since origin_ns; never decreases */
	uint64_t origin_ns;
	uint64_t tick_ns;
	uint64_t reciprocal;	/* 2^64 / tick_ns, rounded down */
	uint64_t last_ns;	/* a later deadline has no tick and never expires */
	uint64_t occupied[WEIR__WHEEL_LEVELS];	/* bit s of word l: head[64 * l + s] is not NULL */
	struct weir__timer *head[WEIR__WHEEL_HEADS];
	struct weir__timer *never;
};

static inline bool weir__timer_linked(const struct weir__timer *t)
{
	return t->pprev != NULL;
}

/*
 * Empties the wheel and starts it at now_ns. tick_ns 0 is the default. -EINVAL, with the wheel
 * unchanged, if tick_ns is outside TICK_MIN_NS .. TICK_MAX_NS.
 */
int weir__wheel_init(struct weir__wheel *w, uint64_t now_ns, uint64_t tick_ns);

/*
 * Files an unlinked timer under its deadline_ns, rounded up to a tick. A timer that is already due
 * expires with the next advance. A deadline of WEIR_FOREVER, or less than a tick before it, is
 * linked like any other but never expires.
 */
void weir__wheel_insert(struct weir__wheel *w, struct weir__timer *t);

/* Unlinks the timer; nothing happens if it is not linked. */
void weir__wheel_remove(struct weir__wheel *w, struct weir__timer *t);

/*
 * The time at which advance may next have something to do: in the past if a timer is due already,
 * WEIR_FOREVER if none can expire. It is not later than the first deadline rounded up to a tick.
 * It is earlier, by less than a slot of its level, when a timer must first move down, and by any
 * amount when its deadline was extended.
 */
uint64_t weir__wheel_next(const struct weir__wheel *w);

/*
 * Moves time to now_ns, over any distance, and returns the timers whose deadline, rounded up to a
 * tick, was reached. They are unlinked and chained by ->next in the order of their ticks (in no
 * order within one tick); NULL if there are none. A timer that was overdue when inserted counts
 * under the tick of its insertion. Does nothing if now_ns is before the last tick reached.
 */
struct weir__timer *weir__wheel_advance(struct weir__wheel *w, uint64_t now_ns);

#endif
