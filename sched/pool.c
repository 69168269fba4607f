/* SPDX-License-Identifier: MIT */
/* pool.c: see pool.h. */
#define _GNU_SOURCE
#include "sched/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/atomic.h"
#include "core/blocking.h"
#include "core/context.h"

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / WEIR_SEC), (long)(ns % WEIR_SEC) };
}

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

int pool_init(struct pool *pool, struct weir_rt *rt, unsigned max_threads, size_t max_detached,
	      uint64_t keep_ns, const char *name)
{
	pthread_condattr_t attr;

	*pool = (struct pool){ .rt = rt,
			       .max_threads = max_threads,
			       .max_detached = max_detached,
			       .keep_ns = keep_ns };
	pool->last = &pool->first;
	snprintf(pool->name, sizeof pool->name, "%s-block", name);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->more, &attr);
	pthread_cond_init(&pool->fewer, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void pool_fini(struct pool *pool)
{
	pthread_cond_destroy(&pool->more);
	pthread_cond_destroy(&pool->fewer);
	pthread_mutex_destroy(&pool->lock);
}

/* ---- the queue, under the lock ---- */

static void enqueue(struct pool *pool, struct weir_blocking *job)
{
	job->next = NULL;
	job->pprev = pool->last;
	*pool->last = job;
	pool->last = &job->next;
	pool->queued++;
	pool->detached += job->detached;
}

static void dequeue(struct pool *pool, struct weir_blocking *job)
{
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

static void work(struct pool *pool)
{
	struct weir_blocking *job;

	while ((job = pool->first)) {
		dequeue(pool, job);
		pthread_mutex_unlock(&pool->lock);
		weir__blocking_execute(job);
		pthread_mutex_lock(&pool->lock);
	}
}

/* Wait to be counted on; false when the time is over or the pool closes. */
static bool stay_idle(struct pool *pool)
{
	struct timespec until = timespec_of(monotonic() + pool->keep_ns);

	pool->idle++;
	while (pool->woken == 0 && !pool->closed) {
		if (pthread_cond_timedwait(&pool->more, &pool->lock, &until) == ETIMEDOUT &&
		    pool->woken == 0) {
			pool->idle--;
			return false;
		}
	}
	if (pool->woken == 0) {		/* closed */
		pool->idle--;
		return pool->first != NULL;
	}
	pool->woken--;			/* the pusher took this thread out of idle */
	return true;
}

/* Ends under the lock; the thread before is joined, so that none is left behind. */
static void thread_end(struct pool *pool)
{
	pthread_t before = pool->last_exit;
	bool join = pool->has_last_exit;

	pool->last_exit = pthread_self();
	pool->has_last_exit = true;
	pool->threads--;
	pthread_cond_broadcast(&pool->fewer);
	pthread_mutex_unlock(&pool->lock);
	if (join)
		pthread_join(before, NULL);
}

static void *thread_main(void *arg)
{
	struct pool *pool = arg;

	weir__context()->rt = pool->rt;
	pthread_mutex_lock(&pool->lock);
	do
		work(pool);
	while (stay_idle(pool));
	thread_end(pool);
	return NULL;
}

static int add_thread(struct pool *pool)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, thread_main, pool);

	if (rc)
		return -rc;
	pthread_setname_np(thread, pool->name);
	pool->threads++;
	return 0;
}

/* Somebody must run one more job. */
static int provide_thread(struct pool *pool, bool above_limit)
{
	if (pool->idle > 0) {
		pool->idle--;
		pool->woken++;
		pthread_cond_signal(&pool->more);
		return 0;
	}
	if (pool->threads >= pool->max_threads && !above_limit)
		return 0;		/* one that is busy will come to it */
	return add_thread(pool);
}

/* ---- what others call ---- */

static int push(struct pool *pool, struct weir_blocking *job, bool above_limit)
{
	int rc = 0;

	pthread_mutex_lock(&pool->lock);
	if (pool->closed && !above_limit)
		rc = -ESHUTDOWN;
	else if (job->detached && pool->detached >= pool->max_detached && !above_limit)
		rc = -EAGAIN;
	if (rc == 0) {
		enqueue(pool, job);
		rc = provide_thread(pool, above_limit);
		if (rc < 0 && (pool->threads == 0 || above_limit))
			dequeue(pool, job);
		else
			rc = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

int pool_push(struct pool *pool, struct weir_blocking *job)
{
	return push(pool, job, false);
}

bool pool_remove(struct pool *pool, struct weir_blocking *job)
{
	bool queued;

	pthread_mutex_lock(&pool->lock);
	queued = weir__load(&job->state, WEIR_RELAXED) == WEIR__BLOCKING_QUEUED;
	if (queued)
		dequeue(pool, job);
	pthread_mutex_unlock(&pool->lock);
	return queued;
}

int pool_run_now(struct pool *pool, int (*fn)(void *), void *arg)
{
	struct weir_blocking *job = malloc(sizeof *job);
	int rc;

	if (!job)
		return -ENOMEM;
	weir_blocking_init(job, fn, arg);
	job->detached = true;
	job->rt = pool->rt;
	job->state = WEIR__BLOCKING_QUEUED;
	rc = push(pool, job, true);
	if (rc < 0)
		free(job);
	return rc;
}

/* The jobs that have not started; their futures learn it. */
static void refuse_queued(struct pool *pool)
{
	struct weir_blocking *job;

	while ((job = pool->first)) {
		dequeue(pool, job);
		pthread_mutex_unlock(&pool->lock);
		weir__blocking_refuse(job, -ESHUTDOWN);
		pthread_mutex_lock(&pool->lock);
	}
}

int pool_stop(struct pool *pool, uint64_t deadline)
{
	struct timespec until = timespec_of(deadline);
	int rc = 0;

	pthread_mutex_lock(&pool->lock);
	pool->closed = true;
	refuse_queued(pool);
	pthread_cond_broadcast(&pool->more);
	while (pool->threads > 0 && rc == 0) {
		if (deadline == WEIR_FOREVER)
			pthread_cond_wait(&pool->fewer, &pool->lock);
		else
			rc = -pthread_cond_timedwait(&pool->fewer, &pool->lock, &until);
	}
	if (pool->threads == 0)
		rc = 0;
	if (pool->has_last_exit && pool->threads == 0) {
		pool->has_last_exit = false;
		pthread_mutex_unlock(&pool->lock);
		pthread_join(pool->last_exit, NULL);
		return 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}
