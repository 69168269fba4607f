/* SPDX-License-Identifier: MIT */
/*
 * semaphore.c: the semaphore. Invariants whenever the guard is free: the first
 * waiter asks for more permits than there are, and a closed semaphore has no
 * waiters. The permits of a waiter are subtracted when it is unlinked, before it
 * wakes.
 */
#include "weir/sync/semaphore.h"

#include "core/coop.h"
#include "sync/queue.h"

int weir_sem_init(struct weir_sem *sem, size_t permits)
{
	if (permits > WEIR_SEM_MAX)
		return -EINVAL;
	queue_init(&sem->queue);
	sem->permits = permits;
	sem->closed = false;
	return 0;
}

void weir_sem_fini(struct weir_sem *sem)
{
	WEIR_ASSERT(!sem->queue.head);
	(void)sem;
}

/* Guard held. */
static int take_locked(struct weir_sem *sem, size_t count)
{
	if (WEIR_UNLIKELY(sem->closed))
		return -ESHUTDOWN;
	if (sem->permits < count || (sem->queue.head && count))
		return -EAGAIN;
	weir__store(&sem->permits, sem->permits - count, WEIR_RELAXED);
	return 0;
}

int weir_sem_acquire_try(struct weir_sem *sem, size_t count)
{
	bool as_owner;
	int rc;

	if (WEIR_UNLIKELY(count > WEIR_SEM_MAX))
		return -EINVAL;
	as_owner = weir__guard_take(&sem->queue.guard);
	rc = take_locked(sem, count);
	weir__guard_drop(&sem->queue.guard, as_owner);
	return rc;
}

static bool acquire_fast(struct weir_sem *sem, size_t count)
{
	return weir__load(&sem->permits, WEIR_RELAXED) >= count && weir__coop_fast() &&
	       weir_sem_acquire_try(sem, count) == 0;
}

int weir_sem_acquire(struct weir_sem *sem, size_t count)
{
	struct weir_sem_acquire_future wait;

	if (WEIR_LIKELY(acquire_fast(sem, count)))
		return 0;
	weir_sem_acquire_init(&wait, sem, count);
	return weir_await(&wait.future);
}

int weir_sem_acquire_until(struct weir_sem *sem, size_t count, uint64_t deadline)
{
	struct weir_sem_acquire_future wait;

	if (WEIR_LIKELY(acquire_fast(sem, count)))
		return 0;
	weir_sem_acquire_init(&wait, sem, count);
	return weir_await_until(&wait.future, deadline);
}

static size_t permits_of(const struct weir__wait *w)
{
	return WEIR_CONTAINER_OF(w, struct weir_sem_acquire_future, wait)->count;
}

/*
 * Guard held. Unlinks every waiter that can be served now and returns them for
 * weir__wait_finish_chain.
 */
static struct weir__wait *serve_locked(struct weir_sem *sem)
{
	struct weir__wait *served = NULL, **end = &served, *w;

	while ((w = sem->queue.head) && permits_of(w) <= sem->permits) {
		weir__store(&sem->permits, sem->permits - permits_of(w), WEIR_RELAXED);
		queue_unlink(&sem->queue, w);
		*end = w;
		end = &w->next;
	}
	return served;
}

int weir_sem_release(struct weir_sem *sem, size_t count)
{
	bool as_owner = weir__guard_take(&sem->queue.guard);
	struct weir__wait *served = NULL;
	int rc = 0;

	if (WEIR_UNLIKELY(count > WEIR_SEM_MAX - sem->permits)) {
		rc = -EOVERFLOW;
	} else {
		weir__store(&sem->permits, sem->permits + count, WEIR_RELAXED);
		if (sem->queue.head)
			served = serve_locked(sem);
	}
	weir__guard_drop(&sem->queue.guard, as_owner);
	if (served)
		weir__wait_finish_chain(served, 0);
	return rc;
}

size_t weir_sem_forget(struct weir_sem *sem, size_t count)
{
	bool as_owner = weir__guard_take(&sem->queue.guard);

	if (count > sem->permits)
		count = sem->permits;
	weir__store(&sem->permits, sem->permits - count, WEIR_RELAXED);
	weir__guard_drop(&sem->queue.guard, as_owner);
	return count;
}

void weir_sem_close(struct weir_sem *sem)
{
	bool as_owner = weir__guard_take(&sem->queue.guard);
	struct weir__wait *all = queue_detach(&sem->queue);

	weir__store(&sem->closed, true, WEIR_RELAXED);
	weir__guard_drop(&sem->queue.guard, as_owner);
	weir__wait_finish_chain(all, -ESHUTDOWN);
}

bool weir_sem_is_closed(const struct weir_sem *sem)
{
	return weir__load(&sem->closed, WEIR_RELAXED);
}

size_t weir_sem_available(const struct weir_sem *sem)
{
	return weir__load(&sem->permits, WEIR_RELAXED);
}

/* -EAGAIN: it is queued now. */
static int take_or_queue(struct weir_sem *sem, struct weir_sem_acquire_future *wait)
{
	bool as_owner = weir__guard_take(&sem->queue.guard);
	int rc = take_locked(sem, wait->count);

	if (rc == -EAGAIN)
		queue_push(&sem->queue, &wait->wait, WAIT_QUEUED);
	weir__guard_drop(&sem->queue.guard, as_owner);
	return rc;
}

static int sem_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_sem_acquire_future *wait =
		WEIR_CONTAINER_OF(future, struct weir_sem_acquire_future, future);
	int rc = weir__wait_begin(&wait->wait, cx);

	if (rc != WAIT_START)
		return rc;
	rc = weir_sem_acquire_try(wait->sem, wait->count);
	if (rc != -EAGAIN)
		return wait_now(&wait->wait, rc);
	weir__leaf_arm(&wait->wait.leaf, cx);
	rc = take_or_queue(wait->sem, wait);
	if (rc != -EAGAIN)
		return wait_now(&wait->wait, rc);
	weir__coop_refund(cx);
	return WEIR_PENDING;
}

/* A cancelled wait may have been all that held back the waits behind it. */
static void sem_cancel(struct weir_future *future)
{
	struct weir_sem_acquire_future *wait =
		WEIR_CONTAINER_OF(future, struct weir_sem_acquire_future, future);
	struct weir__wait *served;
	bool as_owner;

	if (!weir__wait_cancel(&wait->wait, &wait->sem->queue, &as_owner))
		return;
	served = serve_locked(wait->sem);
	weir__guard_drop(&wait->sem->queue.guard, as_owner);
	weir__wait_finish_chain(served, 0);
}

static void sem_discard(struct weir_future *future)
{
	struct weir_sem_acquire_future *wait =
		WEIR_CONTAINER_OF(future, struct weir_sem_acquire_future, future);

	if (wait_granted(&wait->wait))
		weir_sem_release(wait->sem, wait->count);
}

static const struct weir_future_ops sem_ops = { "semaphore", sem_poll, sem_cancel, sem_discard };

void weir_sem_acquire_init(struct weir_sem_acquire_future *wait, struct weir_sem *sem, size_t count)
{
	wait_init(&wait->wait, &sem_ops);
	wait->sem = sem;
	wait->count = count;
}
