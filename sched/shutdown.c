/* SPDX-License-Identifier: MIT */
/*
 * shutdown.c: ends a runtime, in these steps. A deadline cuts each wait short;
 * what does not stop by then is left behind and reported.
 *
 *	1 close		no task can be spawned any more, from anywhere (-ESHUTDOWN)
 *	2 abort		every worker aborts the tasks of its slab, this thread those that
 *			foreign threads have spawned
 *	3 drain		workers run until no task is left; this waits for operations, too
 *	4 stop		workers leave their loops, threads are joined
 *	5 pool		queued jobs are refused, running ones are waited for, and so are the
 *			threads that a block in place has made workers
 *	6 wakes		waits for threads that are no workers and are still waking a task or
 *			moving the clock; see core/outside.h
 *	7 late		mail that no worker will take is delivered
 *	8 detach	signals do not wake this runtime any more
 *
 * weir_rt_free frees the memory after step 8.
 */

#include "core/assert.h"
#include "core/futex.h"
#include "core/os.h"
#include "core/signals.h"
#include "core/time/clock.h"
#include "sched/worker.h"

#define LOOK_AGAIN_NS (10 * WEIR_MSEC)
#define GRACE_NS (50 * WEIR_MSEC)	/* the least time that each wait gets */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The deadline, but at least GRACE_NS from now. */
static uint64_t with_grace(uint64_t deadline)
{
	uint64_t least = weir__clock_system() + GRACE_NS;

	return deadline < least ? least : deadline;
}

static void close_runtime(struct runtime *rt)
{
	weir__lock_take(&rt->base.foreign_lock);
	weir__store(&rt->base.closed, true, WEIR_RELEASE);
	weir__lock_drop(&rt->base.foreign_lock);
	/* Pairs with abort_if_closed in core/task/task.c. */
	weir__fence(WEIR_SEQ_CST);
}

static void abort_foreign(struct runtime *rt)
{
	struct weir__link *ready;

	weir__lock_take(&rt->base.foreign_lock);
	ready = weir__task_abort_all(&rt->base.foreign);
	weir__lock_drop(&rt->base.foreign_lock);
	weir__task_queue_all(ready);
}

static void set_phase(struct runtime *rt, enum rt_phase phase)
{
	weir__store(&rt->phase, (uint32_t)phase, WEIR_SEQ_CST);
	weir__schedule_wake_all(rt);
}

/* Step 3 for workers with threads. A worker without work increments rt->drained. */
static void drain(struct runtime *rt, uint64_t deadline)
{
	uint32_t drained;
	uint64_t now;

	for (;;) {
		drained = weir__load(&rt->drained, WEIR_ACQUIRE);
		abort_foreign(rt);
		if (weir__runtime_alive(rt) == 0)
			return;
		now = weir__clock_system();
		if (now >= deadline)
			return;
		weir__futex_wait(&rt->drained, drained, sooner(deadline, now + LOOK_AGAIN_NS));
	}
}

/*
 * pthread_clockjoin_np is not used: race detectors do not know it, and would believe that the
 * thread was never joined.
 */
static bool thread_is_over(struct worker *w, uint64_t deadline)
{
	while (!weir__load(&w->thread_over, WEIR_ACQUIRE))
		if (weir__futex_wait(&w->thread_over, 0, deadline) == -ETIMEDOUT)
			return weir__load(&w->thread_over, WEIR_ACQUIRE);
	return true;
}

/*
 * Step 4. A thread that is stuck in a task gets the rest of the shutdown's time. Even after the
 * deadline this waits a moment for a thread that is about to end.
 */
static int join_threads(struct runtime *rt, uint64_t deadline)
{
	int rc = 0;
	unsigned i;

	for (i = 0; i < rt->base.workers; i++) {
		if (!rt->started[i])
			continue;
		if (!thread_is_over(worker_at(rt, i), with_grace(deadline))) {
			rc = -ETIMEDOUT;
			continue;
		}
		pthread_join(rt->threads[i], NULL);
		rt->started[i] = false;
	}
	return rc;
}

/* Step 6. No task is left to be woken, so this takes only the last few instructions of a thread. */
static void wait_for_wakes(struct runtime *rt)
{
	unsigned spins = 0;

	weir__clock_detach(rt->base.clock, &rt->base);
	while (!weir__outside_quiet(&rt->base.outside))
		weir__lock_pause(&spins);
}

/*
 * Step 7. Delivers mail to workers that had already left their loops: handles to be closed at
 * their home, and after a shutdown that ran out of time everything else. Of that only the closes
 * are executed (core/io/io.h). This thread stands in for the workers, which no longer run. Closing
 * a connection that was given to a worker may send mail to its home, so this repeats until all
 * inboxes are empty. weir_rt_free calls it once more, for what is closed later.
 */
void weir__runtime_deliver_late(struct runtime *rt)
{
	bool any;

	do {
		any = false;
		for (unsigned i = 0; i < rt->base.workers; i++) {
			struct worker *w = worker_at(rt, i);

			any |= !weir__inbox_empty(&w->base.inbox);
			weir__worker_take_mail(w);
		}
	} while (any);
}

/* Lets one shutdown run at a time, because a thread can be joined only once. */
static int begin(struct runtime *rt, uint64_t deadline)
{
	int rc = 0;

	pthread_mutex_lock(&rt->turn_lock);
	while (rt->in_shutdown && rc == 0)
		rc = weir__os_cond_wait(&rt->turn_free, &rt->turn_lock, deadline);
	if (rc == 0)
		rt->in_shutdown = true;
	pthread_mutex_unlock(&rt->turn_lock);
	return rc;
}

static void end(struct runtime *rt)
{
	pthread_mutex_lock(&rt->turn_lock);
	WEIR_ASSERT(rt->in_shutdown);
	rt->in_shutdown = false;
	pthread_cond_broadcast(&rt->turn_free);
	pthread_mutex_unlock(&rt->turn_lock);
}

static int take_steps(struct runtime *rt, uint64_t deadline)
{
	uint64_t drain_deadline = with_grace(deadline);
	int rc = 0, stop_rc, pool_rc;

	close_runtime(rt);					/* 1 */
	set_phase(rt, RT_ABORTING);				/* 2 */
	if (rt->cfg.sched == WEIR_SCHED_CURRENT) {		/* 3 */
		abort_foreign(rt);
		weir__current_drain(rt, drain_deadline);
	} else {
		drain(rt, drain_deadline);
	}
	if (weir__runtime_alive(rt) > 0)
		rc = -ETIMEDOUT;
	set_phase(rt, RT_STOPPING);				/* 4 */
	stop_rc = rt->cfg.sched == WEIR_SCHED_CURRENT ? weir__current_stop(rt, with_grace(deadline))
						      : join_threads(rt, deadline);
	if (stop_rc < 0)
		rc = stop_rc;
	pool_rc = weir__pool_stop(&rt->pool, with_grace(deadline));	/* 5 */
	if (rc == 0 && pool_rc == 0)
		wait_for_wakes(rt);				/* 6 */
	if (stop_rc == 0 && pool_rc == 0)
		weir__runtime_deliver_late(rt);			/* 7 */
	weir__signals_detach(&rt->base);			/* 8 */
	if (rc == 0 && pool_rc == 0)
		set_phase(rt, RT_STOPPED);
	return rc ? rc : pool_rc;
}

int weir__runtime_shutdown(struct runtime *rt, uint64_t timeout_ns)
{
	uint64_t deadline = weir__clock_add(weir__clock_system(), timeout_ns);
	const struct weir_rt *part_of = weir__context()->part_of;
	int rc = begin(rt, deadline);

	if (rc < 0)
		return rc;
	/*
	 * A hook or drop function that calls a shutdown meanwhile gets an error: it would wait for
	 * itself.
	 */
	weir__context()->part_of = &rt->base;
	if (runtime_phase(rt) != RT_STOPPED)
		rc = take_steps(rt, deadline);
	weir__context()->part_of = part_of;
	end(rt);
	return rc;
}
