/* SPDX-License-Identifier: MIT */
/*
 * inject.h: a first-in first-out list of links under a lock, with a length that
 * is read without it. It is the inject queue that a group of workers shares, and
 * each worker's ordered overflow list.
 *
 * Owns nothing: a link belongs to the queue from push until pop. An object is
 * in one queue at a time. Unbounded, so push fails only when the queue is closed.
 * Does not do: wake-ups (the caller's, after push: idle_pick).
 */
#ifndef WEIR_SCHED_INJECT_H
#define WEIR_SCHED_INJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/atomic.h"
#include "core/inbox.h"
#include "core/lock.h"

struct inject {
	WEIR_ATOMIC(size_t) len WEIR_ALIGNED(64);	/* written under the lock */
	WEIR_ATOMIC(uint32_t) taken;	/* links popped so far; written under the lock */
	struct weir__lock lock;
	WEIR_PLAIN(bool) closed;
	WEIR_PLAIN(struct weir__link *) first;	/* NULL when empty */
	WEIR_PLAIN(struct weir__link *) last;	/* valid unless empty */
};

/* [setup] */
void weir__inject_init(struct inject *q);

/* [any] False: the queue is closed, and the link is still the caller's. */
bool weir__inject_push(struct inject *q, struct weir__link *link);

/* [any] n links from first to last, linked by next; all or, when closed, none. */
bool weir__inject_push_chain(struct inject *q, struct weir__link *first, struct weir__link *last,
			     size_t n);

/* [any] The oldest link, or NULL; also from a closed queue. */
struct weir__link *weir__inject_pop(struct inject *q);

/* [any] Up to max of the oldest, as a chain that ends in NULL; returns how many. */
unsigned weir__inject_pop_chain(struct inject *q, unsigned max, struct weir__link **ret_first);

/* [any] Every push that returned before a fence is counted by a read behind it. */
static inline size_t inject_len(struct inject *q)
{
	return weir__load(&q->len, WEIR_RELAXED);
}

/* [any] Whether it moves: changes with every pop. */
static inline uint32_t inject_taken(struct inject *q)
{
	return weir__load(&q->taken, WEIR_RELAXED);
}

/* [any] No push succeeds after this has returned; what is in stays until popped. */
void weir__inject_close(struct inject *q);

#endif
