/* SPDX-License-Identifier: MIT */
/* pool.c: see pool.h. */
#include "sched/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "core/context.h"
#include "core/futex.h"
#include "core/os.h"
#include "core/task/blocking.h"
#include "core/time/clock.h"
#include "topo/cpus.h"
#include "weir/metrics.h"

int weir__pool_init(struct pool *pool, struct weir_rt *rt, unsigned max_threads,
		    size_t max_detached, uint64_t keep_ns, const char *name,
		    const struct weir_cpuset *cpus)
{
	*pool = (struct pool){ .rt = rt,
			       .max_threads = max_threads,
			       .max_detached = max_detached,
			       .keep_ns = keep_ns,
			       .cpus = cpus };
	pool->last = &pool->first;
	snprintf(pool->name, sizeof pool->name, "%s-block", name);
	pthread_mutex_init(&pool->lock, NULL);
	weir__os_cond_init(&pool->fewer);
	return 0;
}

void weir__pool_fini(struct pool *pool)
{
	pthread_cond_destroy(&pool->fewer);
	pthread_mutex_destroy(&pool->lock);
}

/* ---- the queue, under the lock ---- */

static void enqueue(struct pool *pool, struct weir_blocking_future *job, bool first)
{
	struct weir_blocking_future **at = first ? &pool->first : pool->last;

	WEIR_ASSERT(!*pool->last && (pool->first == NULL) == (pool->queued == 0));
	job->next = *at;
	job->pprev = at;
	if (job->next)
		job->next->pprev = &job->next;
	else
		pool->last = &job->next;
	*at = job;
	pool->queued++;
	pool->detached += job->detached;
}

static void dequeue(struct pool *pool, struct weir_blocking_future *job)
{
	WEIR_ASSERT(*job->pprev == job && pool->queued > 0);
	WEIR_ASSERT(weir__load(&job->state, WEIR_RELAXED) == WEIR__BLOCKING_QUEUED);
	*job->pprev = job->next;
	if (job->next)
		job->next->pprev = job->pprev;
	else
		pool->last = job->pprev;
	pool->queued--;
	pool->detached -= job->detached;
	weir__store(&job->state, (uint8_t)WEIR__BLOCKING_RUNNING, WEIR_RELAXED);
}

/* ---- a thread of the pool ---- */

/* Lies on the thread's own stack. */
struct pool_thread {
	struct pool_thread *next;	/* link in the idle list */
	/* set when it is taken off the idle list; atomic, a futex */
	uint32_t called;
};

static struct weir_blocking_future *next_job(struct pool *pool)
{
	struct weir_blocking_future *job = pool->first;

	if (job)
		dequeue(pool, job);
	return job;
}

static bool leave_idle_list(struct pool *pool, struct pool_thread *me)
{
	struct pool_thread **at = &pool->idle;

	while (*at && *at != me)
		at = &(*at)->next;
	if (!*at)
		return false;		/* it was called meanwhile */
	*at = me->next;
	return true;
}

/* Sleeps until called; false when the time is over. Returns with the lock held. */
static bool stay_idle(struct pool *pool, struct pool_thread *me)
{
	uint64_t until = weir__clock_add(weir__clock_system(), pool->keep_ns);
	bool over = false;

	/* Pairs with the release in call_idle. */
	while (!over && !weir__load(&me->called, WEIR_ACQUIRE))
		over = weir__futex_wait(&me->called, 0, until) == -ETIMEDOUT;
	pthread_mutex_lock(&pool->lock);
	if (over && leave_idle_list(pool, me))
		return false;
	weir__store(&me->called, 0u, WEIR_RELAXED);
	return true;
}

/*
 * Called under the lock, which it drops. Each thread joins the one that ended before it, so that
 * none is left unjoined.
 */
static void thread_end(struct pool *pool)
{
	pthread_t before = pool->last_exit;
	bool join = pool->has_last_exit;

	pool->last_exit = pthread_self();
	pool->has_last_exit = true;
	WEIR_ASSERT(pool->threads > 0);
	pool->threads--;
	pthread_cond_broadcast(&pool->fewer);
	pthread_mutex_unlock(&pool->lock);
	if (join)
		pthread_join(before, NULL);
}

static void *thread_main(void *arg)
{
	struct pool *pool = arg;
	struct pool_thread me = { NULL, 0 };
	struct weir_blocking_future *job, *done = NULL;
	bool idle;
	int result = 0;

	weir__context()->rt = pool->rt;
	weir__context()->part_of = pool->rt;
	weir__os_thread_name(pool->name);
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		job = next_job(pool);
		idle = !job && !pool->closed;
		if (idle) {
			me.next = pool->idle;
			pool->idle = &me;
		}
		pthread_mutex_unlock(&pool->lock);
		if (done)
			weir__blocking_finish(done, result);
		done = job;
		if (job)
			result = job->fn(job->arg);
		if (!idle)
			pthread_mutex_lock(&pool->lock);
		else if (!stay_idle(pool, &me))
			break;
		pool->done += job != NULL;
		if (!idle && !job)
			break;		/* closed, and no job is left */
	}
	thread_end(pool);
	return NULL;
}

static int add_thread(struct pool *pool)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc = -pthread_attr_init(&attr);

	if (rc < 0)
		return rc;
	if (pool->cpus)
		rc = weir__cpus_bind(&attr, pool->cpus);
	if (rc == 0)
		rc = -pthread_create(&thread, &attr, thread_main, pool);
	pthread_attr_destroy(&attr);
	pool->threads += rc == 0;
	return rc;
}

/*
 * Takes a thread off the idle list. The caller wakes it after dropping the lock, otherwise it
 * would only wake to wait for the lock. By then the thread may have ended, which does no harm.
 */
static struct pool_thread *call_idle(struct pool *pool)
{
	struct pool_thread *thread = pool->idle;

	if (thread) {
		WEIR_ASSERT(!weir__load(&thread->called, WEIR_RELAXED));
		pool->idle = thread->next;
		weir__store(&thread->called, 1u, WEIR_RELEASE);
	}
	return thread;
}

static void wake(struct pool_thread *thread)
{
	if (thread)
		weir__futex_wake(&thread->called, 1);
}

/* Finds or makes a thread for one more job. 0, with the idle thread to wake, if any; or -EAGAIN. */
static int provide_thread(struct pool *pool, bool above_limit, struct pool_thread **ret_wake)
{
	*ret_wake = call_idle(pool);
	if (*ret_wake || (pool->threads - pool->lent >= pool->max_threads && !above_limit))
		return 0;		/* or a busy thread will run it later */
	return add_thread(pool) < 0 ? -EAGAIN : 0;
}

/* ---- what others call ---- */

/* now: before all other jobs and above the limits; the thread is lent for it. */
static int push(struct pool *pool, struct weir_blocking_future *job, bool now)
{
	struct pool_thread *thread = NULL;
	int rc = 0;

	pthread_mutex_lock(&pool->lock);
	if (pool->closed && !now)
		rc = -ESHUTDOWN;
	else if (job->detached && pool->detached >= pool->max_detached && !now)
		rc = -EAGAIN;
	if (rc == 0) {
		enqueue(pool, job, now);
		rc = provide_thread(pool, now, &thread);
		if (rc < 0 && (pool->threads == pool->lent || now))
			dequeue(pool, job);
		else
			rc = 0;
		pool->lent += now && rc == 0;
	}
	pthread_mutex_unlock(&pool->lock);
	wake(thread);
	return rc;
}

int weir__pool_push(struct pool *pool, struct weir_blocking_future *job)
{
	return push(pool, job, false);
}

bool weir__pool_remove(struct pool *pool, struct weir_blocking_future *job)
{
	bool queued;

	pthread_mutex_lock(&pool->lock);
	queued = weir__load(&job->state, WEIR_RELAXED) == WEIR__BLOCKING_QUEUED;
	if (queued)
		dequeue(pool, job);
	pthread_mutex_unlock(&pool->lock);
	return queued;
}

/* The job of weir__pool_run_now; freed as a detached job. */
struct lent_call {
	struct weir_blocking_future job;
	struct pool *pool;
	int (*fn)(void *arg);
	void *arg;
};

static int run_lent(void *arg)
{
	struct lent_call *call = arg;
	int rc = call->fn(call->arg);

	pthread_mutex_lock(&call->pool->lock);
	WEIR_ASSERT(call->pool->lent > 0);
	call->pool->lent--;
	pthread_mutex_unlock(&call->pool->lock);
	return rc;
}

int weir__pool_run_now(struct pool *pool, int (*fn)(void *), void *arg)
{
	struct lent_call *call = malloc(sizeof *call);
	int rc;

	if (!call)
		return -ENOMEM;
	*call = (struct lent_call){ .pool = pool, .fn = fn, .arg = arg };
	weir_blocking_init(&call->job, run_lent, call);
	call->job.detached = true;
	call->job.rt = pool->rt;
	call->job.state = WEIR__BLOCKING_QUEUED;
	rc = push(pool, &call->job, true);
	if (rc < 0)
		free(call);
	return rc;
}

/*
 * Refuses all queued jobs and tells their futures. All are taken at once, before a thread is free.
 */
static void refuse_queued(struct pool *pool)
{
	struct weir_blocking_future *job, *refused = NULL;

	while ((job = pool->first)) {
		dequeue(pool, job);
		weir__store(&job->state, (uint8_t)WEIR__BLOCKING_REFUSED, WEIR_RELAXED);
		job->next = refused;
		refused = job;
	}
	pthread_mutex_unlock(&pool->lock);
	while ((job = refused)) {
		refused = job->next;
		weir__blocking_finish(job, -ESHUTDOWN);
	}
	pthread_mutex_lock(&pool->lock);
}

void weir__pool_metrics(struct pool *pool, struct weir_metrics *ret_metrics)
{
	pthread_mutex_lock(&pool->lock);
	ret_metrics->blocking_threads = pool->threads;
	ret_metrics->blocking_idle = 0;
	for (struct pool_thread *thread = pool->idle; thread; thread = thread->next)
		ret_metrics->blocking_idle++;
	ret_metrics->blocking_depth = pool->queued;
	ret_metrics->blocking_done = pool->done;
	pthread_mutex_unlock(&pool->lock);
}

int weir__pool_stop(struct pool *pool, uint64_t deadline)
{
	struct pool_thread *thread;
	int rc = 0;

	pthread_mutex_lock(&pool->lock);
	pool->closed = true;
	refuse_queued(pool);
	while ((thread = call_idle(pool)))
		wake(thread);
	while (pool->threads > 0 && rc == 0)
		rc = weir__os_cond_wait(&pool->fewer, &pool->lock, deadline);
	if (pool->threads == 0)
		rc = 0;
	WEIR_ASSERT(!pool->idle && !pool->first);
	if (pool->has_last_exit && pool->threads == 0) {
		pool->has_last_exit = false;
		pthread_mutex_unlock(&pool->lock);
		pthread_join(pool->last_exit, NULL);
		return 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}
