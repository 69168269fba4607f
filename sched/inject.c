/* SPDX-License-Identifier: MIT */
/*
 * inject.c: the locked list of inject.h.
 *
 * Invariants under the lock: len is the number of links; first is NULL exactly
 * when len is 0; last->next is NULL. The length is stored under the lock and read
 * without it, relaxed: it only tells whether the lock is worth taking. The lock
 * orders all data.
 */
#include "sched/inject.h"

#include "core/assert.h"

void weir__inject_init(struct inject *q)
{
	weir__store(&q->lock.held, 0u, WEIR_RELAXED);
	weir__store(&q->len, (size_t)0, WEIR_RELAXED);
	weir__store(&q->taken, 0u, WEIR_RELAXED);
	WEIR_WR(q->closed, false);
	WEIR_WR(q->first, (struct weir__link *)NULL);
	WEIR_WR(q->last, (struct weir__link *)NULL);
}

bool weir__inject_push_chain(struct inject *q, struct weir__link *first, struct weir__link *last,
			     size_t n)
{
	bool open;

	if (n == 0)
		return true;
	WEIR_WR(last->next, (struct weir__link *)NULL);
	weir__lock_take(&q->lock);
	WEIR_ASSERT((WEIR_RD(q->first) == NULL) == (inject_len(q) == 0));
	open = !WEIR_RD(q->closed);
	if (open) {
		if (WEIR_RD(q->first))
			WEIR_WR(WEIR_RD(q->last)->next, first);
		else
			WEIR_WR(q->first, first);
		WEIR_WR(q->last, last);
		weir__store(&q->len, inject_len(q) + n, WEIR_RELAXED);
	}
	weir__lock_drop(&q->lock);
	return open;
}

bool weir__inject_push(struct inject *q, struct weir__link *link)
{
	return weir__inject_push_chain(q, link, link, 1);
}

unsigned weir__inject_pop_chain(struct inject *q, unsigned max, struct weir__link **ret_first)
{
	struct weir__link *last = NULL, *next;
	unsigned n = 0;

	*ret_first = NULL;
	if (max == 0 || inject_len(q) == 0)
		return 0;
	weir__lock_take(&q->lock);
	next = WEIR_RD(q->first);
	WEIR_ASSERT((next == NULL) == (inject_len(q) == 0));
	*ret_first = next;
	for (; n < max && next; n++) {
		last = next;
		next = WEIR_RD(last->next);
	}
	WEIR_ASSERT(n <= inject_len(q));
	WEIR_WR(q->first, next);
	if (last)
		WEIR_WR(last->next, (struct weir__link *)NULL);
	weir__store(&q->len, inject_len(q) - n, WEIR_RELAXED);
	weir__store(&q->taken, inject_taken(q) + n, WEIR_RELAXED);
	weir__lock_drop(&q->lock);
	return n;
}

struct weir__link *weir__inject_pop(struct inject *q)
{
	struct weir__link *link;

	weir__inject_pop_chain(q, 1, &link);
	return link;
}

void weir__inject_close(struct inject *q)
{
	weir__lock_take(&q->lock);
	WEIR_WR(q->closed, true);
	weir__lock_drop(&q->lock);
}
