/* SPDX-License-Identifier: MIT */
/*
 * timer.c: the timer wheel; see timer.h.
 *
 * Invariants, between calls:
 *  - a bit of `occupied` is set exactly when its slot is not empty;
 *  - a timer on a level below the top one shares with `elapsed` all bits of its tick above the
 *    level's own six, so that every timer of a level comes before any of the level above;
 *  - every timer is filed under a tick after `elapsed`. So a timer that is set while others fire
 *    waits for the next turn, whatever its deadline, and a turn comes to an end.
 *
 * Due timers are first moved from the wheel into a list and then fired from there. In that list,
 * stop works as in a slot.
 */
#include "stack/timer.h"

#define SLOT_BITS 6
#define NO_TICK UINT64_MAX

_Static_assert(WEIR__TIMERS_SLOTS == 1 << SLOT_BITS, "an occupancy word has a bit per slot");

void weir__timers_init(struct weir__timers *timers, uint64_t now_ns)
{
	memset(timers, 0, sizeof(*timers));
	timers->elapsed = now_ns / WEIR_NETSTACK_MSEC;
}

static uint64_t tick_of(uint64_t deadline_ns)
{
	return deadline_ns / WEIR_NETSTACK_MSEC + (deadline_ns % WEIR_NETSTACK_MSEC != 0);
}

static void link_first(struct weir__netstack_timer **head, struct weir__netstack_timer *timer)
{
	timer->next = *head;
	timer->pprev = head;
	if (timer->next != NULL)
		timer->next->pprev = &timer->next;
	*head = timer;
}

static void file(struct weir__timers *timers, struct weir__netstack_timer *timer)
{
	uint64_t tick = tick_of(timer->deadline_ns);
	unsigned level, slot;

	if (tick <= timers->elapsed)
		tick = timers->elapsed + 1;
	level = (unsigned)(63 - __builtin_clzll(timers->elapsed ^ tick)) / SLOT_BITS;
	if (level >= WEIR__TIMERS_LEVELS)
		level = WEIR__TIMERS_LEVELS - 1;
	slot = (unsigned)(tick >> (level * SLOT_BITS)) % WEIR__TIMERS_SLOTS;
	link_first(&timers->slot[level][slot], timer);
	timers->occupied[level] |= 1ull << slot;
}

/* Clears the bit of a slot that became empty. Does nothing if head is the list of due timers. */
static void emptied(struct weir__timers *timers, struct weir__netstack_timer **head)
{
	size_t index = ((uintptr_t)head - (uintptr_t)timers->slot) / sizeof(*head);

	if ((uintptr_t)head - (uintptr_t)timers->slot < sizeof(timers->slot))
		timers->occupied[index / WEIR__TIMERS_SLOTS] &=
			~(1ull << index % WEIR__TIMERS_SLOTS);
}

void weir__timers_stop(struct weir__timers *timers, struct weir__netstack_timer *timer)
{
	if (!weir__timer_is_set(timer))
		return;

	WEIR_STACK_ASSERT(*timer->pprev == timer);
	*timer->pprev = timer->next;
	if (timer->next != NULL)
		timer->next->pprev = timer->pprev;
	else
		emptied(timers, timer->pprev);
	timer->next = NULL;
	timer->pprev = NULL;
}

void weir__timers_set(struct weir__timers *timers, struct weir__netstack_timer *timer,
		      uint64_t deadline_ns)
{
	WEIR_STACK_ASSERT(timer->fire != NULL && deadline_ns != WEIR_NETSTACK_NEVER);
	if (weir__timer_is_set(timer)) {
		if (deadline_ns >= timer->deadline_ns) {
			timer->deadline_ns = deadline_ns;
			return;
		}
		weir__timers_stop(timers, timer);
	}
	timer->deadline_ns = deadline_ns;
	file(timers, timer);
}

/* The tick at which the first occupied slot begins. */
static uint64_t first_slot(const struct weir__timers *timers, unsigned *ret_level,
			   unsigned *ret_slot)
{
	for (unsigned level = 0; level < WEIR__TIMERS_LEVELS; level++) {
		uint64_t bits = timers->occupied[level];
		uint64_t slot = (timers->elapsed >> (level * SLOT_BITS)) + 1;
		unsigned turn = (unsigned)slot % WEIR__TIMERS_SLOTS;

		if (bits == 0)
			continue;
		bits = bits >> turn | bits << (-turn % WEIR__TIMERS_SLOTS);
		slot += (unsigned)__builtin_ctzll(bits);
		*ret_level = level;
		*ret_slot = (unsigned)slot % WEIR__TIMERS_SLOTS;
		return slot << (level * SLOT_BITS);
	}
	return NO_TICK;
}

uint64_t weir__timers_next(const struct weir__timers *timers)
{
	unsigned level, slot;
	uint64_t tick = first_slot(timers, &level, &slot);

	return tick == NO_TICK ? WEIR_NETSTACK_NEVER : tick * WEIR_NETSTACK_MSEC;
}

/* Empties a slot that begins at `elapsed`. Due timers are appended to the list; the others
 * are filed again. */
static struct weir__netstack_timer **open_slot(struct weir__timers *timers, unsigned level,
					       unsigned slot, struct weir__netstack_timer **end)
{
	struct weir__netstack_timer *timer = timers->slot[level][slot], *next;

	timers->slot[level][slot] = NULL;
	timers->occupied[level] &= ~(1ull << slot);
	for (; timer != NULL; timer = next) {
		next = timer->next;
		if (tick_of(timer->deadline_ns) > timers->elapsed) {
			file(timers, timer);
			continue;
		}
		timer->next = NULL;
		timer->pprev = end;
		*end = timer;
		end = &timer->next;
	}
	return end;
}

void weir__timers_advance(struct weir__timers *timers, struct weir__netstack *net, uint64_t now_ns)
{
	struct weir__netstack_timer *due = NULL, **end = &due, *timer;
	uint64_t target = now_ns / WEIR_NETSTACK_MSEC, start;
	unsigned level = 0, slot = 0;

	if (target <= timers->elapsed)
		return;
	while ((start = first_slot(timers, &level, &slot)) <= target) {
		timers->elapsed = start;
		end = open_slot(timers, level, slot, end);
	}
	timers->elapsed = target;
	while ((timer = due) != NULL) {
		weir__timers_stop(timers, timer);
		timer->fire(net, timer);
	}
}
