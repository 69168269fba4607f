/* SPDX-License-Identifier: MIT */
/*
 * notify.c: notify. Invariant whenever the guard is free: while anybody waits,
 * there is no permit.
 */
#include "weir/sync/notify.h"

#include "core/coop.h"
#include "sync/queue.h"

/*
 * weir_notified_future.how: which call woke it. Written before the wait finishes, or by its
 * poller.
 */
enum {
	BY_ONE = 0,
	BY_LAST,
	BY_ALL,
};

void weir_notify_init(struct weir_notify *notify)
{
	queue_init(&notify->queue);
	notify->calls = 0;
	notify->permit = false;
}

void weir_notify_fini(struct weir_notify *notify)
{
	WEIR_ASSERT(!notify->queue.head);
	(void)notify;
}

static void notify_single(struct weir_notify *n, uint8_t how)
{
	bool as_owner = weir__guard_take(&n->queue.guard);
	struct weir__wait *w = how == BY_LAST ? n->queue.tail : n->queue.head;

	if (w) {
		queue_unlink(&n->queue, w);
		WEIR_CONTAINER_OF(w, struct weir_notified_future, wait)->how = how;
	} else {
		weir__store(&n->permit, true, WEIR_RELAXED);
	}
	weir__guard_drop(&n->queue.guard, as_owner);
	if (w)
		weir__wait_finish(w, 0);
}

void weir_notify_one(struct weir_notify *notify)
{
	notify_single(notify, BY_ONE);
}

void weir_notify_last(struct weir_notify *notify)
{
	notify_single(notify, BY_LAST);
}

/*
 * The whole wait queue is detached at once, so a wait that is queued meanwhile is not woken. The
 * detached waits need no marking: .how is BY_ALL from the start.
 */
void weir_notify_waiters(struct weir_notify *notify)
{
	bool as_owner = weir__guard_take(&notify->queue.guard);
	struct weir__wait *all = queue_detach(&notify->queue);

	/*
	 * Pairs with weir_notified_init: a future that counts this call sees what came before it.
	 */
	weir__store(&notify->calls, notify->calls + 1, WEIR_RELEASE);
	weir__guard_drop(&notify->queue.guard, as_owner);
	weir__wait_finish_chain(all, 0);
}

/* Guard held. True if the future need not wait. */
static bool take_locked(struct weir_notified_future *notified)
{
	struct weir_notify *n = notified->notify;

	if (n->calls != notified->calls)
		return true;
	if (!n->permit)
		return false;
	weir__store(&n->permit, false, WEIR_RELAXED);
	notified->how = BY_ONE;
	return true;
}

/* A look without the guard, which may spare arming the leaf. Only take_or_queue decides. */
static bool looks_ready(const struct weir_notified_future *notified)
{
	return weir__load(&notified->notify->permit, WEIR_RELAXED) ||
	       weir__load(&notified->notify->calls, WEIR_RELAXED) != notified->calls;
}

/* state: the state to queue it in; WAIT_IDLE: do not queue it. */
static bool take_or_queue(struct weir_notified_future *notified, uint32_t state)
{
	struct weir__wait_queue *q = &notified->notify->queue;
	bool as_owner = weir__guard_take(&q->guard);
	bool taken = take_locked(notified);

	if (!taken && state != WAIT_IDLE)
		queue_push(q, &notified->wait, state);
	weir__guard_drop(&q->guard, as_owner);
	return taken;
}

bool weir_notified_enable(struct weir_notified_future *notified)
{
	struct weir__wait *w = &notified->wait;
	uint32_t state = weir__load(&w->state, WEIR_ACQUIRE);
	struct weir_task *task;

	if (state != WAIT_IDLE)
		return state == WAIT_DONE;
	if (take_or_queue(notified, WAIT_ENABLED)) {
		wait_now(w, 0);
		return true;
	}
	task = weir_task_current();
	if (task)
		weir__leaf_link(&w->leaf, task);
	return false;
}

static int notified_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_notified_future *notified =
		WEIR_CONTAINER_OF(future, struct weir_notified_future, future);
	int rc = weir__wait_begin(&notified->wait, cx);

	if (rc != WAIT_START)
		return rc;
	if (looks_ready(notified) && take_or_queue(notified, WAIT_IDLE))
		return wait_now(&notified->wait, 0);
	weir__leaf_arm(&notified->wait.leaf, cx);
	if (take_or_queue(notified, WAIT_QUEUED))
		return wait_now(&notified->wait, 0);
	weir__coop_refund(cx);
	return WEIR_PENDING;
}

static void notified_cancel(struct weir_future *future)
{
	struct weir_notified_future *notified =
		WEIR_CONTAINER_OF(future, struct weir_notified_future, future);

	weir__wait_cancel_simply(&notified->wait, &notified->notify->queue);
}

static void notified_discard(struct weir_future *future)
{
	struct weir_notified_future *notified =
		WEIR_CONTAINER_OF(future, struct weir_notified_future, future);

	if (wait_granted(&notified->wait) && notified->how != BY_ALL)
		notify_single(notified->notify, notified->how);
}

static const struct weir_future_ops notified_ops = { "notified", notified_poll, notified_cancel,
						     notified_discard };

void weir_notified_init(struct weir_notified_future *notified, struct weir_notify *notify)
{
	wait_init(&notified->wait, &notified_ops);
	notified->notify = notify;
	notified->calls = weir__load(&notify->calls, WEIR_ACQUIRE);
	notified->how = BY_ALL;
}

/* Takes an available permit without making a future. */
static bool wait_fast(struct weir_notify *n)
{
	bool as_owner, got;

	if (!weir__load(&n->permit, WEIR_RELAXED) || !weir__coop_fast())
		return false;
	as_owner = weir__guard_take(&n->queue.guard);
	got = n->permit;
	weir__store(&n->permit, false, WEIR_RELAXED);
	weir__guard_drop(&n->queue.guard, as_owner);
	return got;
}

int weir_notify_wait(struct weir_notify *notify)
{
	struct weir_notified_future notified;

	if (wait_fast(notify))
		return 0;
	weir_notified_init(&notified, notify);
	return weir_await(&notified.future);
}

int weir_notify_wait_until(struct weir_notify *notify, uint64_t deadline)
{
	struct weir_notified_future notified;

	if (wait_fast(notify))
		return 0;
	weir_notified_init(&notified, notify);
	return weir_await_until(&notified.future, deadline);
}
