/* SPDX-License-Identifier: MIT */
/*
 * queue.h: the common part of every sync future, over sync/queue_state.h. The
 * caller that unlinks a wait to finish it drops the guard and then calls
 * weir__wait_finish.
 */
#ifndef WEIR_SYNC_QUEUE_H
#define WEIR_SYNC_QUEUE_H

#include "weir/task.h"
#include "core/leaf.h"
#include "sync/queue_state.h"

/* weir__wait_begin returns this when the future must now look at its primitive. */
#define WAIT_START (INT_MIN + 1)

static inline void wait_init(struct weir__wait *w, const struct weir_future_ops *ops)
{
	weir__leaf_init(&w->leaf, ops);
	w->next = w->prev = NULL;
	w->state = WAIT_IDLE;
	w->round = 0;
	w->result = 0;
}

/* Guard held. state: WAIT_QUEUED, or WAIT_ENABLED for a wait that is not armed. */
static inline void queue_push(struct weir__wait_queue *q, struct weir__wait *w, uint32_t state)
{
	WEIR_ASSERT((state == WAIT_QUEUED) == weir__leaf_is_armed(&w->leaf));
	queue_link(q, w, state);
}

void weir__wait_finish(struct weir__wait *w, int result);
void weir__wait_finish_chain(struct weir__wait *chain, int result);

/*
 * The first half of a poll. WAIT_START: the budget is charged and the future must look at its
 * primitive. Any other value is the result of the poll.
 */
int weir__wait_begin(struct weir__wait *w, struct weir_cx *cx);

/*
 * The second half, when the result is there at once. A negative result leaves nothing to discard.
 */
static inline int wait_now(struct weir__wait *w, int result)
{
	if (weir__leaf_is_armed(&w->leaf))
		weir__leaf_disarm(&w->leaf);
	w->result = result;
	weir__store(&w->state, WAIT_DONE, WEIR_RELAXED);
	return result;
}

/* For discard: true if the future ended with what it asked for. */
static inline bool wait_granted(const struct weir__wait *w)
{
	return weir__load(&w->state, WEIR_RELAXED) == WAIT_DONE && w->result >= 0;
}

/*
 * Cancels a wait and unlinks it if it is still linked. True when that changed the queue: the guard
 * is then held (*ret_as_owner is for weir__guard_drop), and the next waiter may have become ready.
 */
bool weir__wait_cancel(struct weir__wait *w, struct weir__wait_queue *q, bool *ret_as_owner);

/* The same for primitives that have nothing to do afterwards. */
void weir__wait_cancel_simply(struct weir__wait *w, struct weir__wait_queue *q);

#endif
