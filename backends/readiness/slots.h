/* SPDX-License-Identifier: MIT */
/*
 * slots.h: the registered handles of an instance, by number, and the ready list: the
 * handles that must be served again.
 *
 *	take ──► list ⇄ unlist … ──► give
 *
 * An event contains a slot and its generation, never a handle. Giving a slot back changes
 * its generation, so that an older event no longer finds a handle. All functions except
 * weir__slots_listed need the lock of the instance.
 */
#ifndef WEIR_BACKENDS_READINESS_SLOTS_H
#define WEIR_BACKENDS_READINESS_SLOTS_H

#include "weir/base.h"
#include "core/atomic.h"

struct weir_handle;

/* A slot's .next when it is neither on the ready list nor free. */
#define WEIR__UNLISTED UINT32_MAX

struct weir__slot {
	struct weir_handle *handle;	/* NULL: free, or will be when off the ready list */
	uint32_t generation;
	uint32_t next;
};

/* All zero is an empty table. */
struct weir__slots {
	struct weir__slot *slot;	/* by number; 0 is not used */
	uint32_t len, cap;
	uint32_t free;
	uint32_t listed;		/* how many are on the ready list; atomic */
	uint32_t first, last;		/* of the ready list */
};

/* Take a slot for a handle. 0 or -ENOMEM. */
int weir__slots_take(struct weir__slots *slots, struct weir_handle *h, uint32_t *ret_slot);
/* Give a slot back. If it is on the ready list, it is freed when it reaches the front. */
void weir__slots_give(struct weir__slots *slots, uint32_t i);
void weir__slots_fini(struct weir__slots *slots);

/* Append a slot to the ready list, unless it is there. */
void weir__slots_list(struct weir__slots *slots, uint32_t i);
/* Remove the first slot of the ready list; NULL if it was given back. */
struct weir_handle *weir__slots_unlist(struct weir__slots *slots);

/* The length of the ready list; without the lock, only a hint. [any] */
static inline uint32_t weir__slots_listed(const struct weir__slots *slots)
{
	return weir__load(&slots->listed, WEIR_RELAXED);
}

/* The key for events of a slot: its generation and its number. */
static inline uint64_t weir__slots_key(const struct weir__slots *slots, uint32_t i)
{
	return (uint64_t)slots->slot[i].generation << 32 | i;
}

/* The handle of an event; NULL if it was detached in the meantime. */
static inline struct weir_handle *weir__slots_find(const struct weir__slots *slots, uint64_t key)
{
	const struct weir__slot *slot = &slots->slot[(uint32_t)key];

	return WEIR_LIKELY(slot->generation == key >> 32) ? slot->handle : NULL;
}

#endif
