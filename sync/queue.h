/* SPDX-License-Identifier: MIT */
/*
 * queue.h: the waiters of a primitive, and the common part of their futures.
 *
 *	state		who changes it			meaning
 *	IDLE		poll, cancel			not started
 *	ENABLED		finish, poll (by exchange)	linked, but nobody to wake yet
 *	QUEUED		finish				armed and linked, or just unlinked
 *	DONE		-				.result is there; the wait is the poller's
 *	CANCELLED	-				unlinked by its poller
 *
 * The lists, .round and .next/.prev of a linked wait are changed with the guard
 * held. Whoever unlinks a wait in order to finish it drops the guard first and
 * then calls wait_finish, after which the wait may be gone; and, for the last
 * one, the primitive too. A wait that is unlinked but not DONE yet cannot be
 * cancelled any more: its wake is under way.
 */
#ifndef WEIR_SYNC_QUEUE_H
#define WEIR_SYNC_QUEUE_H

#include "weir/sync/wait.h"
#include "weir/task.h"
#include "core/assert.h"
#include "core/atomic.h"
#include "core/guard.h"
#include "core/leaf.h"

enum {
	WAIT_IDLE = 0,
	WAIT_ENABLED,
	WAIT_QUEUED,
	WAIT_DONE,
	WAIT_CANCELLED,
};

/* What wait_begin answers when the future has to look at its primitive. */
#define WAIT_START (INT_MIN + 1)

static inline void queue_init(struct weir__wait_queue *q)
{
	weir__guard_init(&q->guard);
	q->head = q->tail = NULL;
	q->round = 1;
}

static inline void wait_init(struct weir__wait *w, const struct weir_future_ops *ops)
{
	weir__leaf_init(&w->leaf, ops);
	w->next = w->prev = NULL;
	w->state = WAIT_IDLE;
	w->round = 0;
	w->result = 0;
}

/* Guard held. */
static inline bool wait_linked(const struct weir__wait_queue *q, const struct weir__wait *w)
{
	return w->round == q->round;
}

/* Guard held. state: WAIT_QUEUED, or WAIT_ENABLED for a wait that is not armed. */
static inline void queue_push(struct weir__wait_queue *q, struct weir__wait *w, uint32_t state)
{
	WEIR_ASSERT(!wait_linked(q, w));
	WEIR_ASSERT((state == WAIT_QUEUED) == weir__leaf_is_armed(&w->leaf));
	weir__store(&w->state, state, WEIR_RELAXED);
	w->round = q->round;
	w->next = NULL;
	w->prev = q->tail;
	*(q->tail ? &q->tail->next : &q->head) = w;
	q->tail = w;
}

/* Guard held. */
static inline void queue_unlink(struct weir__wait_queue *q, struct weir__wait *w)
{
	WEIR_ASSERT(wait_linked(q, w));
	*(w->prev ? &w->prev->next : &q->head) = w->next;
	*(w->next ? &w->next->prev : &q->tail) = w->prev;
	w->next = w->prev = NULL;
	w->round = 0;
}

/* Guard held. The oldest, unlinked; NULL when there is none. */
static inline struct weir__wait *queue_pop(struct weir__wait_queue *q)
{
	struct weir__wait *w = q->head;

	if (w)
		queue_unlink(q, w);
	return w;
}

/* Guard held. All of them, as a chain by .next; takes the same time for any number. */
static inline struct weir__wait *queue_detach(struct weir__wait_queue *q)
{
	struct weir__wait *all = q->head;

	q->head = q->tail = NULL;
	if (++q->round == 0)
		q->round = 1;
	return all;
}

void wait_finish(struct weir__wait *w, int result);
void wait_finish_chain(struct weir__wait *chain, int result);

/*
 * The first half of a poll. WAIT_START: charged, nothing known yet; anything else is the
 * poll's answer.
 */
int wait_begin(struct weir__wait *w, struct weir_cx *cx);

/* The second half: it has the answer at once. A result below 0 leaves nothing to discard. */
static inline int wait_now(struct weir__wait *w, int result)
{
	if (weir__leaf_is_armed(&w->leaf))
		weir__leaf_disarm(&w->leaf);
	w->result = result;
	weir__store(&w->state, WAIT_DONE, WEIR_RELAXED);
	return result;
}

/* Whether the future ended with what it asked for, for discard. */
static inline bool wait_granted(const struct weir__wait *w)
{
	return weir__load(&w->state, WEIR_RELAXED) == WAIT_DONE && w->result >= 0;
}

/*
 * Cancel: if it is still linked, unlink it. True when that changed the queue, so
 * that whoever comes next may be due; *ret_as_owner: the guard is held then.
 */
bool wait_cancel(struct weir__wait *w, struct weir__wait_queue *q, bool *ret_as_owner);

/* The same for primitives that have nothing to do afterwards. */
void wait_cancel_simply(struct weir__wait *w, struct weir__wait_queue *q);

#endif
