/* SPDX-License-Identifier: MIT */
/* blocking.c: blocking calls as futures; the scheduler has the threads (sched/pool.c). */
#include "core/task/blocking.h"

#include <stdlib.h>

#include "core/assert.h"
#include "core/coop.h"
#include "core/leaf.h"
#include "core/task/task.h"
#include "core/time/clock.h"

static int blocking_start(struct weir_blocking_future *b, struct weir_cx *cx)
{
	struct weir_rt *rt = cx->worker ? cx->worker->rt : weir__context()->rt;
	int rc;

	if (b->cancelled)
		return -ECANCELED;
	if (!rt || weir__rt_is_inherited(rt))
		return -ENXIO;
	if (!weir__coop_take(cx))
		return WEIR_PENDING;
	weir__leaf_arm(&b->leaf, cx);
	weir__store(&b->state, (uint8_t)WEIR__BLOCKING_QUEUED, WEIR_RELAXED);
	b->rt = rt;
	weir__clock_hold(rt->clock, 1);
	rc = rt->sched->blocking_push(rt, b);
	if (rc < 0) {
		weir__clock_hold(rt->clock, -1);
		weir__leaf_disarm(&b->leaf);
		weir__store(&b->state, (uint8_t)WEIR__BLOCKING_IDLE, WEIR_RELAXED);
		return rc;
	}
	weir__coop_refund(cx);
	return WEIR_PENDING;
}

static int blocking_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_blocking_future *b =
		WEIR_CONTAINER_OF(future, struct weir_blocking_future, future);
	uint8_t state = weir__load(&b->state, WEIR_ACQUIRE);

	if (state == WEIR__BLOCKING_IDLE)
		return blocking_start(b, cx);
	if (state < WEIR__BLOCKING_DONE)
		return WEIR_PENDING;
	WEIR_ASSERT(weir__leaf_is_armed(&b->leaf));
	weir__leaf_disarm(&b->leaf);
	weir__store(&b->state, (uint8_t)WEIR__BLOCKING_IDLE, WEIR_RELAXED);
	return state == WEIR__BLOCKING_DONE ? b->result : -ECANCELED;
}

static void blocking_cancel(struct weir_future *future)
{
	struct weir_blocking_future *b =
		WEIR_CONTAINER_OF(future, struct weir_blocking_future, future);

	b->cancelled = true;
	if (weir__load(&b->state, WEIR_ACQUIRE) != WEIR__BLOCKING_QUEUED ||
	    !b->rt->sched->blocking_remove(b->rt, b))
		return;
	weir__clock_hold(b->rt->clock, -1);
	weir__store(&b->state, (uint8_t)WEIR__BLOCKING_CANCELLED, WEIR_RELAXED);
}

static const struct weir_future_ops blocking_ops = { "blocking", blocking_poll, blocking_cancel,
						     NULL };

void weir_blocking_init(struct weir_blocking_future *b, int (*fn)(void *), void *arg)
{
	/*
	 * First, because it detects that the future is still in use: a pool thread then reads its
	 * job.
	 */
	weir__leaf_init(&b->leaf, &blocking_ops);
	*b = (struct weir_blocking_future){ .leaf = b->leaf, .fn = fn, .arg = arg };
}

void weir__blocking_finish(struct weir_blocking_future *b, int result)
{
	struct weir_rt *rt = b->rt;	/* safe: a shutdown waits for this thread */
	struct weir__wakeup wakeup;

	if (b->detached) {
		if (b->drop && weir__load(&b->state, WEIR_RELAXED) == WEIR__BLOCKING_REFUSED)
			b->drop(b->arg);
		free(b);
	} else {
		b->result = result;
		weir__leaf_waker(&b->leaf, &wakeup);
		/* Pairs with the load in blocking_poll; the job may be gone after it. */
		weir__store(&b->state, (uint8_t)WEIR__BLOCKING_DONE, WEIR_RELEASE);
		weir__waker_fire(&wakeup);
	}
	/* Released last; otherwise the clock could be moved before the woken task is queued. */
	weir__clock_hold(rt->clock, -1);
}

int weir_blocking_run_until(int (*fn)(void *), void *arg, uint64_t deadline)
{
	struct weir_blocking_future b;

	weir_blocking_init(&b, fn, arg);
	return weir_await_until(&b.future, deadline);
}

int weir_blocking_run(int (*fn)(void *), void *arg)
{
	return weir_blocking_run_until(fn, arg, WEIR_FOREVER);
}

static int detach(struct weir_rt *rt, int (*fn)(void *), void *arg, void (*drop)(void *))
{
	struct weir_blocking_future *b;
	int rc;

	if (!rt)
		rt = weir__context()->rt;
	if (!rt || weir__rt_is_inherited(rt))
		return -ENXIO;
	b = malloc(sizeof *b);
	if (!b)
		return -ENOMEM;
	weir_blocking_init(b, fn, arg);
	b->detached = true;
	b->drop = drop;
	b->rt = rt;
	b->state = WEIR__BLOCKING_QUEUED;
	weir__clock_hold(rt->clock, 1);
	rc = rt->sched->blocking_push(rt, b);
	if (rc < 0) {
		weir__clock_hold(rt->clock, -1);
		free(b);
	}
	return rc;
}

int weir_blocking_spawn(struct weir_rt *rt, int (*fn)(void *), void *arg)
{
	return detach(rt, fn, arg, NULL);
}

int weir_blocking_spawn_or_drop(struct weir_rt *rt, int (*fn)(void *), void *arg,
				void (*drop)(void *))
{
	int rc = detach(rt, fn, arg, drop);

	if (rc < 0 && drop)
		drop(arg);
	return rc;
}
