/* SPDX-License-Identifier: MIT */
/* slots.c: see slots.h. Free slots are linked by .next too; a slot is on at most one list. */
#include "backends/readiness/slots.h"

#include <stdlib.h>

static int grow(struct weir__slots *slots)
{
	uint32_t cap = slots->cap ? slots->cap * 2 : 64;
	struct weir__slot *slot = realloc(slots->slot, cap * sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	slots->slot = slot;
	slots->cap = cap;
	if (slots->len == 0)
		slots->slot[slots->len++] = (struct weir__slot){ NULL, 0, WEIR__UNLISTED };
	return 0;
}

int weir__slots_take(struct weir__slots *slots, struct weir_handle *h, uint32_t *ret_slot)
{
	uint32_t i = slots->free;
	int err;

	if (i) {
		slots->free = slots->slot[i].next;
	} else {
		if (slots->len == slots->cap) {
			err = grow(slots);
			if (err < 0)
				return err;
		}
		i = slots->len++;
		slots->slot[i].generation = 0;
	}
	slots->slot[i].handle = h;
	slots->slot[i].next = WEIR__UNLISTED;
	*ret_slot = i;
	return 0;
}

static void set_free(struct weir__slots *slots, uint32_t i)
{
	slots->slot[i].next = slots->free;
	slots->free = i;
}

void weir__slots_give(struct weir__slots *slots, uint32_t i)
{
	slots->slot[i].handle = NULL;
	slots->slot[i].generation++;
	if (slots->slot[i].next == WEIR__UNLISTED)
		set_free(slots, i);
}

void weir__slots_list(struct weir__slots *slots, uint32_t i)
{
	if (slots->slot[i].next != WEIR__UNLISTED)
		return;
	slots->slot[i].next = 0;
	if (slots->first)
		slots->slot[slots->last].next = i;
	else
		slots->first = i;
	slots->last = i;
	weir__store(&slots->listed, slots->listed + 1, WEIR_RELAXED);
}

struct weir_handle *weir__slots_unlist(struct weir__slots *slots)
{
	uint32_t i = slots->first;
	struct weir_handle *h = slots->slot[i].handle;

	slots->first = slots->slot[i].next;
	slots->slot[i].next = WEIR__UNLISTED;
	weir__store(&slots->listed, slots->listed - 1, WEIR_RELAXED);
	if (!h)
		set_free(slots, i);
	return h;
}

void weir__slots_fini(struct weir__slots *slots)
{
	free(slots->slot);
	*slots = (struct weir__slots){ .slot = NULL };
}
