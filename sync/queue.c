/* SPDX-License-Identifier: MIT */
/*
 * queue.c: finishing, polling and cancelling a wait, for every primitive alike.
 * The states are in sync/queue_state.h.
 */
#include "sync/queue.h"

#include "core/coop.h"

/*
 * The acquire pairs with weir__wait_begin's exchange, which stores the waker of a wait that was
 * enabled before it was armed. The releases pair with weir__wait_begin's acquire: the result.
 */
void weir__wait_finish(struct weir__wait *w, int result)
{
	uint32_t state = weir__load(&w->state, WEIR_ACQUIRE);
	struct weir__wakeup wakeup;

	w->result = result;
	if (state == WAIT_ENABLED && weir__cas(&w->state, &state, (uint32_t)WAIT_DONE, WEIR_RELEASE,
					       WEIR_ACQUIRE))
		return;
	WEIR_ASSERT(state == WAIT_QUEUED);
	weir__leaf_waker(&w->leaf, &wakeup);
	wait_set_done(w);
	weir__waker_fire(&wakeup);
}

void weir__wait_finish_chain(struct weir__wait *chain, int result)
{
	struct weir__wait *next;

	for (; chain; chain = next) {
		next = chain->next;
		weir__wait_finish(chain, result);
	}
}

static int poll_enabled(struct weir__wait *w, struct weir_cx *cx)
{
	uint32_t state = WAIT_ENABLED;

	weir__leaf_let_go(&w->leaf);
	weir__leaf_arm(&w->leaf, cx);
	if (weir__cas(&w->state, &state, (uint32_t)WAIT_QUEUED, WEIR_RELEASE, WEIR_ACQUIRE))
		return WEIR_PENDING;
	WEIR_ASSERT(state == WAIT_DONE);
	return weir__wait_begin(w, cx);
}

int weir__wait_begin(struct weir__wait *w, struct weir_cx *cx)
{
	switch (wait_state(w)) {
	case WAIT_QUEUED:
		return WEIR_PENDING;
	case WAIT_ENABLED:
		return poll_enabled(w, cx);
	case WAIT_CANCELLED:
		weir__leaf_let_go(&w->leaf);
		return -ECANCELED;
	case WAIT_DONE:
		if (!weir__coop_take(cx))
			return WEIR_PENDING;
		weir__leaf_let_go(&w->leaf);
		return w->result;
	default:
		return weir__coop_take(cx) ? WAIT_START : WEIR_PENDING;
	}
}

bool weir__wait_cancel(struct weir__wait *w, struct weir__wait_queue *q, bool *ret_as_owner)
{
	uint32_t state = weir__load(&w->state, WEIR_RELAXED);

	if (state == WAIT_IDLE)
		weir__store(&w->state, (uint32_t)WAIT_CANCELLED, WEIR_RELAXED);
	if (state != WAIT_QUEUED && state != WAIT_ENABLED)
		return false;
	*ret_as_owner = weir__guard_take(&q->guard);
	if (queue_take_back(q, w))
		return true;
	weir__guard_drop(&q->guard, *ret_as_owner);
	return false;
}

void weir__wait_cancel_simply(struct weir__wait *w, struct weir__wait_queue *q)
{
	bool as_owner;

	if (weir__wait_cancel(w, q, &as_owner))
		weir__guard_drop(&q->guard, as_owner);
}
