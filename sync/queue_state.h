/* SPDX-License-Identifier: MIT */
/*
 * queue_state.h: the wait queue of a primitive and the state word of each wait;
 * sync/queue.h makes futures of them.
 *
 *	state		who changes it			meaning
 *	IDLE		poll, cancel			not started
 *	ENABLED		finish, poll (by exchange)	linked, but no waker stored yet
 *	QUEUED		finish				armed and linked, or just unlinked
 *	DONE		-				.result is there; the poller owns the wait
 *	CANCELLED	-				unlinked by its poller
 *
 * The queue's list and .round, and .next/.prev of a linked wait, change only with
 * the guard held. The caller that unlinks a wait to finish it drops the guard
 * first and then stores DONE. After that the wait may be gone, and after the last
 * one the primitive too. A wait that is unlinked but not DONE yet can no longer
 * be cancelled: its wake-up has begun.
 */
#ifndef WEIR_SYNC_QUEUE_STATE_H
#define WEIR_SYNC_QUEUE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/base.h"
#include "core/assert.h"
#include "core/atomic.h"

/* A model supplies its own guard, wait and queue with the same fields. */
#ifndef WEIR_MODEL
#include "weir/sync/wait.h"
#include "core/guard.h"
#endif

#ifndef WAIT_DONE_RELEASE
#define WAIT_DONE_RELEASE WEIR_RELEASE
#endif
#ifndef WAIT_STATE_ACQUIRE
#define WAIT_STATE_ACQUIRE WEIR_ACQUIRE
#endif
/* Switches for the models' mutants; always 1 in production. */
#ifndef WAIT_CANCEL_LOOKS
#define WAIT_CANCEL_LOOKS 1
#endif
#ifndef QUEUE_DETACH_ENDS_ROUND
#define QUEUE_DETACH_ENDS_ROUND 1
#endif

enum {
	WAIT_IDLE = 0,
	WAIT_ENABLED,
	WAIT_QUEUED,
	WAIT_DONE,
	WAIT_CANCELLED,
};

static inline void queue_init(struct weir__wait_queue *q)
{
	weir__guard_init(&q->guard);
	WEIR_WR(q->head, (struct weir__wait *)NULL);
	WEIR_WR(q->tail, (struct weir__wait *)NULL);
	WEIR_WR(q->round, 1u);
}

/* Guard held. */
static inline bool wait_linked(struct weir__wait_queue *q, struct weir__wait *w)
{
	return WEIR_RD(w->round) == WEIR_RD(q->round);
}

/* Guard held. */
static inline bool queue_is_empty(struct weir__wait_queue *q)
{
	return !WEIR_RD(q->head);
}

/* Guard held. state: WAIT_QUEUED, or WAIT_ENABLED for a wait that is not armed. */
static inline void queue_link(struct weir__wait_queue *q, struct weir__wait *w, uint32_t state)
{
	struct weir__wait *last = WEIR_RD(q->tail);

	WEIR_ASSERT(!wait_linked(q, w));
	weir__store(&w->state, state, WEIR_RELAXED);
	WEIR_WR(w->round, WEIR_RD(q->round));
	WEIR_WR(w->next, (struct weir__wait *)NULL);
	WEIR_WR(w->prev, last);
	WEIR_WR(*(last ? &last->next : &q->head), w);
	WEIR_WR(q->tail, w);
}

/* Guard held. */
static inline void queue_unlink(struct weir__wait_queue *q, struct weir__wait *w)
{
	struct weir__wait *next = WEIR_RD(w->next), *prev = WEIR_RD(w->prev);

	WEIR_ASSERT(!WAIT_CANCEL_LOOKS || wait_linked(q, w));
	WEIR_WR(*(prev ? &prev->next : &q->head), next);
	WEIR_WR(*(next ? &next->prev : &q->tail), prev);
	WEIR_WR(w->next, (struct weir__wait *)NULL);
	WEIR_WR(w->prev, (struct weir__wait *)NULL);
	WEIR_WR(w->round, 0u);
}

/* Guard held. Unlinks and returns the oldest wait; NULL if the queue is empty. */
static inline struct weir__wait *queue_pop(struct weir__wait_queue *q)
{
	struct weir__wait *w = WEIR_RD(q->head);

	if (w)
		queue_unlink(q, w);
	return w;
}

/*
 * Guard held. Detaches all waits as a chain by .next, in constant time: they count as unlinked
 * because the queue's round changes.
 */
static inline struct weir__wait *queue_detach(struct weir__wait_queue *q)
{
	struct weir__wait *all = WEIR_RD(q->head);
	uint32_t round = WEIR_RD(q->round) + 1;

	WEIR_WR(q->head, (struct weir__wait *)NULL);
	WEIR_WR(q->tail, (struct weir__wait *)NULL);
	if (QUEUE_DETACH_ENDS_ROUND)
		WEIR_WR(q->round, round ? round : 1u);
	return all;
}

/* Guard held. The poller of w gives it up. False: too late, its wake-up has begun. */
static inline bool queue_take_back(struct weir__wait_queue *q, struct weir__wait *w)
{
	if (WAIT_CANCEL_LOOKS && !wait_linked(q, w))
		return false;
	queue_unlink(q, w);
	weir__store(&w->state, (uint32_t)WAIT_CANCELLED, WEIR_RELAXED);
	return true;
}

/* [poller] Pairs with wait_set_done: the result, and everything before it. */
static inline uint32_t wait_state(struct weir__wait *w)
{
	return weir__load(&w->state, WAIT_STATE_ACQUIRE);
}

/*
 * [whoever unlinked w] The result is written and the waker copied. The wait may be gone after
 * this.
 */
static inline void wait_set_done(struct weir__wait *w)
{
	weir__store(&w->state, (uint32_t)WAIT_DONE, WAIT_DONE_RELEASE);
}

#endif
