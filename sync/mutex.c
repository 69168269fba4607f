/* SPDX-License-Identifier: MIT */
/*
 * mutex.c: the mutex. Invariant whenever the guard is free: waiters exist only
 * while the mutex is locked. So a lock call that finds it unlocked overtakes no
 * waiter.
 */
#include "weir/sync/mutex.h"

#include "core/coop.h"
#include "sync/queue.h"

void weir_mutex_init(struct weir_mutex *mutex)
{
	queue_init(&mutex->queue);
	mutex->locked = false;
}

void weir_mutex_fini(struct weir_mutex *mutex)
{
	WEIR_ASSERT(!mutex->queue.head);
	WEIR_ASSERT(!weir__load(&mutex->locked, WEIR_RELAXED));
	(void)mutex;
}

static bool lock_now(struct weir_mutex *m)
{
	bool as_owner, got;

	if (weir__load(&m->locked, WEIR_RELAXED))
		return false;
	as_owner = weir__guard_take(&m->queue.guard);
	got = !m->locked;
	weir__store(&m->locked, true, WEIR_RELAXED);
	weir__guard_drop(&m->queue.guard, as_owner);
	return got;
}

int weir_mutex_lock_try(struct weir_mutex *mutex)
{
	return lock_now(mutex) ? 0 : -EAGAIN;
}

static bool lock_fast(struct weir_mutex *m)
{
	return !weir__load(&m->locked, WEIR_RELAXED) && weir__coop_fast() && lock_now(m);
}

int weir_mutex_lock(struct weir_mutex *mutex)
{
	struct weir_mutex_lock_future wait;

	if (WEIR_LIKELY(lock_fast(mutex)))
		return 0;
	weir_mutex_lock_init(&wait, mutex);
	return weir_await(&wait.future);
}

int weir_mutex_lock_until(struct weir_mutex *mutex, uint64_t deadline)
{
	struct weir_mutex_lock_future wait;

	if (WEIR_LIKELY(lock_fast(mutex)))
		return 0;
	weir_mutex_lock_init(&wait, mutex);
	return weir_await_until(&wait.future, deadline);
}

void weir_mutex_unlock(struct weir_mutex *mutex)
{
	bool as_owner = weir__guard_take(&mutex->queue.guard);
	struct weir__wait *next = queue_pop(&mutex->queue);

	WEIR_ASSERT(mutex->locked);
	if (!next)
		weir__store(&mutex->locked, false, WEIR_RELAXED);
	weir__guard_drop(&mutex->queue.guard, as_owner);
	if (next)
		weir__wait_finish(next, 0);
}

/* Locks the mutex, or queues w. True if it locked. */
static bool lock_or_queue(struct weir_mutex *m, struct weir__wait *w)
{
	bool as_owner = weir__guard_take(&m->queue.guard);
	bool got = !m->locked;

	if (got)
		weir__store(&m->locked, true, WEIR_RELAXED);
	else
		queue_push(&m->queue, w, WAIT_QUEUED);
	weir__guard_drop(&m->queue.guard, as_owner);
	return got;
}

static int mutex_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_mutex_lock_future *wait =
		WEIR_CONTAINER_OF(future, struct weir_mutex_lock_future, future);
	int rc = weir__wait_begin(&wait->wait, cx);

	if (rc != WAIT_START)
		return rc;
	if (lock_now(wait->mutex))
		return wait_now(&wait->wait, 0);
	weir__leaf_arm(&wait->wait.leaf, cx);
	if (lock_or_queue(wait->mutex, &wait->wait))
		return wait_now(&wait->wait, 0);
	weir__coop_refund(cx);
	return WEIR_PENDING;
}

static void mutex_cancel(struct weir_future *future)
{
	struct weir_mutex_lock_future *wait =
		WEIR_CONTAINER_OF(future, struct weir_mutex_lock_future, future);

	weir__wait_cancel_simply(&wait->wait, &wait->mutex->queue);
}

static void mutex_discard(struct weir_future *future)
{
	struct weir_mutex_lock_future *wait =
		WEIR_CONTAINER_OF(future, struct weir_mutex_lock_future, future);

	if (wait_granted(&wait->wait))
		weir_mutex_unlock(wait->mutex);
}

static const struct weir_future_ops mutex_ops = { "mutex", mutex_poll, mutex_cancel,
						  mutex_discard };

void weir_mutex_lock_init(struct weir_mutex_lock_future *wait, struct weir_mutex *mutex)
{
	wait_init(&wait->wait, &mutex_ops);
	wait->mutex = mutex;
}
