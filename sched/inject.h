/* SPDX-License-Identifier: MIT */
/*
 * inject.h: a first-in, first-out list of links under a lock, with a length that
 * is read without the lock. It serves as the inject queue that the workers of a
 * group share, and as each worker's overflow list.
 *
 * It owns nothing: a link belongs to the queue from push until pop. An object is
 * in one queue at a time. The queue is unbounded, so push fails only when it is
 * closed. It does not wake anybody: the caller does, after the push (idle_pick).
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

/* [any] False: the queue is closed, and the caller still owns the link. */
bool weir__inject_push(struct inject *q, struct weir__link *link);

/* [any] Pushes n links from first to last, linked by next. All of them; or none if closed. */
bool weir__inject_push_chain(struct inject *q, struct weir__link *first, struct weir__link *last,
			     size_t n);

/* [any] Pops the oldest link; NULL if empty. Works on a closed queue, too. */
struct weir__link *weir__inject_pop(struct inject *q);

/* [any] Pops up to max of the oldest links as a chain that ends in NULL; returns their number. */
unsigned weir__inject_pop_chain(struct inject *q, unsigned max, struct weir__link **ret_first);

/* [any] A read after a fence counts every push that returned before the fence. */
static inline size_t inject_len(struct inject *q)
{
	return weir__load(&q->len, WEIR_RELAXED);
}

/* [any] A count that changes with every pop; shows whether the queue moves. */
static inline uint32_t inject_taken(struct inject *q)
{
	return weir__load(&q->taken, WEIR_RELAXED);
}

/* [any] No push succeeds after this has returned; queued links stay until popped. */
void weir__inject_close(struct inject *q);

#endif
