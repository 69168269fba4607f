/* SPDX-License-Identifier: MIT */
/*
 * wheel.c: the hierarchical timer wheel; wheel.h describes its use.
 *
 * Invariants between calls:
 *  - an occupancy bit is set exactly when its slot's head is not NULL;
 *  - a timer on level l < 5 shares with elapsed all bits of the tick above the
 *    level's own group. So a level's slots lie ahead of elapsed without wrapping
 *    round, and every timer on a level expires before any on the level above;
 *  - on level 0 the slot of elapsed itself holds timers that were overdue when
 *    inserted. On the other levels the current slot is empty, except on level 5,
 *    where it holds timers that are due a whole turn or more from now;
 *  - no slot that starts at or before elapsed is occupied, except that one on
 *    level 0.
 *
 * It keeps no order within a slot and no count of timers.
 */
#include <string.h>

#include "core/assert.h"
#include "core/time/wheel.h"

#define NO_TICK UINT64_MAX

_Static_assert(sizeof(struct weir__timer) == 2 * sizeof(void *) + 8, "a timer is three words");
_Static_assert(WEIR__WHEEL_SLOTS == 64, "an occupancy word has a bit per slot");

int weir__wheel_init(struct weir__wheel *w, uint64_t now_ns, uint64_t tick_ns)
{
	if (tick_ns == 0)
		tick_ns = WEIR__WHEEL_TICK_DEFAULT_NS;
	if (tick_ns < WEIR__WHEEL_TICK_MIN_NS || tick_ns > WEIR__WHEEL_TICK_MAX_NS)
		return -EINVAL;

	memset(w, 0, sizeof(*w));
	w->origin_ns = now_ns;
	w->tick_ns = tick_ns;
	w->reciprocal = UINT64_MAX / tick_ns;
	w->last_ns = WEIR_FOREVER - tick_ns;
	return 0;
}

/*
 * since / tick_ns, or one less: the reciprocal is too small by at most 1, which over the whole
 * range of since costs less than one tick.
 */
static inline uint64_t ticks_estimate(const struct weir__wheel *w, uint64_t since)
{
#ifdef __SIZEOF_INT128__
	__extension__ typedef unsigned __int128 u128;

	return (uint64_t)(((u128)since * w->reciprocal) >> 64);
#else
	return since / w->tick_ns;
#endif
}

/* The first tick at or after a time. Exact, and without a division. */
static inline uint64_t tick_at_or_after(const struct weir__wheel *w, uint64_t ns)
{
	uint64_t since = ns > w->origin_ns ? ns - w->origin_ns : 0;
	uint64_t ticks = ticks_estimate(w, since);
	uint64_t rest = since - ticks * w->tick_ns;	/* < 2 * tick_ns */

	return ticks + (rest > 0) + (rest > w->tick_ns);
}

static inline uint64_t tick_to_ns(const struct weir__wheel *w, uint64_t tick)
{
	return w->origin_ns + tick * w->tick_ns;
}

/* The slot for a tick that has not passed; a tick beyond the span goes to the top level. */
static inline unsigned head_index(uint64_t elapsed, uint64_t tick)
{
	uint64_t differ = (elapsed ^ tick) | (WEIR__WHEEL_SLOTS - 1);
	unsigned level = (unsigned)(63 - __builtin_clzll(differ)) / WEIR__WHEEL_SLOT_BITS;

	if (level >= WEIR__WHEEL_LEVELS)
		level = WEIR__WHEEL_LEVELS - 1;
	return level * WEIR__WHEEL_SLOTS +
	       (unsigned)(tick >> (level * WEIR__WHEEL_SLOT_BITS)) % WEIR__WHEEL_SLOTS;
}

static inline void link_first(struct weir__timer **head, struct weir__timer *t)
{
	struct weir__timer *second = *head;

	t->next = second;
	t->pprev = head;
	if (second != NULL)
		second->pprev = &t->next;
	*head = t;
}

static inline void file(struct weir__wheel *w, struct weir__timer *t)
{
	uint64_t tick;
	unsigned index;

	if (WEIR_UNLIKELY(t->deadline_ns > w->last_ns)) {
		link_first(&w->never, t);
		return;
	}
	tick = tick_at_or_after(w, t->deadline_ns);
	if (tick < w->elapsed)
		tick = w->elapsed;
	index = head_index(w->elapsed, tick);
	WEIR_ASSERT(index < WEIR__WHEEL_LEVELS * WEIR__WHEEL_SLOTS);
	WEIR_ASSERT(!w->head[index] || w->head[index]->pprev == &w->head[index]);
	link_first(&w->head[index], t);
	w->occupied[index / WEIR__WHEEL_SLOTS] |= 1ull << index % WEIR__WHEEL_SLOTS;
}

void weir__wheel_insert(struct weir__wheel *w, struct weir__timer *t)
{
	WEIR_ASSERT(w->tick_ns != 0);
	WEIR_ASSERT(!weir__timer_linked(t));
	file(w, t);
}

/* Clears the occupancy bit if the link that a timer was unlinked from is a slot's head. */
static inline void slot_emptied(struct weir__wheel *w, struct weir__timer **from)
{
	uintptr_t offset = (uintptr_t)from - (uintptr_t)w->head;
	size_t index = offset / sizeof(w->head[0]);

	WEIR_ASSERT(*from == NULL);
	if (offset < sizeof(w->head))
		w->occupied[index / WEIR__WHEEL_SLOTS] &=
			~(1ull << index % WEIR__WHEEL_SLOTS);
}

void weir__wheel_remove(struct weir__wheel *w, struct weir__timer *t)
{
	if (!weir__timer_linked(t))
		return;

	WEIR_ASSERT(*t->pprev == t);
	*t->pprev = t->next;
	if (t->next != NULL)
		t->next->pprev = t->pprev;
	else
		slot_emptied(w, t->pprev);
	t->next = NULL;
	t->pprev = NULL;
}

/* The tick at which the first occupied slot starts, NO_TICK if there is none. */
static uint64_t first_slot(const struct weir__wheel *w, unsigned *ret_index)
{
	for (unsigned level = 0; level < WEIR__WHEEL_LEVELS; level++) {
		unsigned shift = level * WEIR__WHEEL_SLOT_BITS;
		/* The number of the first slot that can hold something, counted from the origin. */
		uint64_t slot = (w->elapsed >> shift) + (level > 0);
		unsigned turn = (unsigned)slot % WEIR__WHEEL_SLOTS;
		uint64_t bits = w->occupied[level];

		if (bits == 0)
			continue;
		bits = bits >> turn | bits << (-turn % WEIR__WHEEL_SLOTS);
		slot += (unsigned)__builtin_ctzll(bits);
		*ret_index = level * WEIR__WHEEL_SLOTS + (unsigned)slot % WEIR__WHEEL_SLOTS;
		return slot << shift;
	}
	return NO_TICK;
}

uint64_t weir__wheel_next(const struct weir__wheel *w)
{
	unsigned index;
	uint64_t tick = first_slot(w, &index);

	return tick == NO_TICK ? WEIR_FOREVER : tick_to_ns(w, tick);
}

/*
 * Empties a slot that starts at elapsed. Due timers go to the end of the chain. The others, which
 * are on a higher level or were extended, are filed again: into another slot, or on level 5
 * perhaps into this one for the next turn. Returns the new end of the chain.
 */
static struct weir__timer **open_slot(struct weir__wheel *w, unsigned index,
				      struct weir__timer **tail)
{
	uint64_t reached_ns = tick_to_ns(w, w->elapsed);
	struct weir__timer *t = w->head[index], *next;

	WEIR_ASSERT(t != NULL);
	w->head[index] = NULL;
	w->occupied[index / WEIR__WHEEL_SLOTS] &= ~(1ull << index % WEIR__WHEEL_SLOTS);
	for (; t != NULL; t = next) {
		next = t->next;
		if (t->deadline_ns <= reached_ns) {
			t->pprev = NULL;
			*tail = t;
			tail = &t->next;
		} else {
			file(w, t);
		}
	}
	return tail;
}

struct weir__timer *weir__wheel_advance(struct weir__wheel *w, uint64_t now_ns)
{
	struct weir__timer *chain = NULL, **tail = &chain;
	uint64_t target, start;
	unsigned index = 0;

	if (now_ns < tick_to_ns(w, w->elapsed))
		return NULL;

	target = (now_ns - w->origin_ns) / w->tick_ns;
	WEIR_ASSERT(target >= w->elapsed);
	while ((start = first_slot(w, &index)) <= target) {
		WEIR_ASSERT(start >= w->elapsed);
		w->elapsed = start;
		tail = open_slot(w, index, tail);
	}
	w->elapsed = target;
	*tail = NULL;
	return chain;
}
