/* SPDX-License-Identifier: MIT */
/*
 * slots.h: the registered handles of an instance by number, and the ready list:
 * those of them that are to be served again.
 *
 *	take ──► list ⇄ unlist … ──► give
 *
 * An event names a slot and its generation, never a handle: given back, a slot has
 * another generation, so that an event that was fetched before finds nobody.
 * Everything here is under the lock of the instance, but weir__slots_listed.
 */
#ifndef WEIR_BACKENDS_READINESS_SLOTS_H
#define WEIR_BACKENDS_READINESS_SLOTS_H

#include "weir/base.h"
#include "core/atomic.h"

struct weir_handle;

/* A slot's .next when it is not on the ready list, nor free. */
#define WEIR__UNLISTED UINT32_MAX

struct weir__slot {
	struct weir_handle *handle;	/* NULL: free, or free once off the ready list */
	uint32_t generation;
	uint32_t next;
};

/* All zero is an empty one. */
struct weir__slots {
	struct weir__slot *slot;	/* by number; 0 is nobody's */
	uint32_t len, cap;
	uint32_t free;
	uint32_t listed;		/* how many are on the ready list; atomic */
	uint32_t first, last;		/* of it */
};

/* A slot for a handle: 0, or -ENOMEM. */
int weir__slots_take(struct weir__slots *slots, struct weir_handle *h, uint32_t *ret_slot);
/* Give it back. One that is on the ready list is freed when it gets to the front. */
void weir__slots_give(struct weir__slots *slots, uint32_t i);
void weir__slots_fini(struct weir__slots *slots);

/* Put a slot at the end of the ready list, if it is not on it. */
void weir__slots_list(struct weir__slots *slots, uint32_t i);
/* The first of the ready list, off it; NULL if that one was given back. */
struct weir_handle *weir__slots_unlist(struct weir__slots *slots);

/* How long the ready list is; a hint without the lock. [any] */
static inline uint32_t weir__slots_listed(const struct weir__slots *slots)
{
	return weir__load(&slots->listed, WEIR_RELAXED);
}

/* What an event is to name: the generation, and the number. */
static inline uint64_t weir__slots_key(const struct weir__slots *slots, uint32_t i)
{
	return (uint64_t)slots->slot[i].generation << 32 | i;
}

/* Who an event is for; NULL if it was detached meanwhile. */
static inline struct weir_handle *weir__slots_find(const struct weir__slots *slots, uint64_t key)
{
	const struct weir__slot *slot = &slots->slot[(uint32_t)key];

	return WEIR_LIKELY(slot->generation == key >> 32) ? slot->handle : NULL;
}

#endif
