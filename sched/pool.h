/* SPDX-License-Identifier: MIT */
/*
 * pool.h: the blocking pool: threads for calls that block. A thread is made when
 * a job comes and none is idle, up to a limit; an idle one ends after a while.
 *
 * Who pushes takes a thread off the idle list, the one that went there last, so
 * two jobs never count on the same thread. A thread that has run its job goes
 * on the list before it delivers the result: whom that wakes may count on it.
 */
#ifndef WEIR_SCHED_POOL_H
#define WEIR_SCHED_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_thread;
struct weir_blocking_future;
struct weir_cpuset;
struct weir_metrics;
struct weir_rt;

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t fewer;		/* a thread has ended */
	struct weir_rt *rt;
	struct weir_blocking_future *first, **last;
	size_t queued, detached;	/* jobs waiting; of them those nobody waits for */
	struct pool_thread *idle;	/* threads that no queued job counts on */
	uint64_t done;			/* jobs that have run */
	unsigned threads;
	unsigned lent;			/* of them, those that run a weir__pool_run_now; not limited */
	unsigned max_threads;
	const struct weir_cpuset *cpus;	/* where they run; NULL: where their makers do */
	size_t max_detached;
	uint64_t keep_ns;
	bool closed;
	pthread_t last_exit;		/* joined by the next thread that ends, or by weir__pool_stop */
	bool has_last_exit;
	char name[16];
};

int weir__pool_init(struct pool *pool, struct weir_rt *rt, unsigned max_threads,
		    size_t max_detached, uint64_t keep_ns, const char *name,
		    const struct weir_cpuset *cpus);

/* Queue a job. -EAGAIN (detached, queue full; or no thread at all), -ESHUTDOWN. [any] */
int weir__pool_push(struct pool *pool, struct weir_blocking_future *job);
/* Take back a job that has not started. [any] */
bool weir__pool_remove(struct pool *pool, struct weir_blocking_future *job);
/*
 * Run fn(arg) on a pool thread at once: before what is queued, and above the limit, for however
 * long. 0, -EAGAIN or -ENOMEM. [any]
 */
int weir__pool_run_now(struct pool *pool, int (*fn)(void *), void *arg);

/* Fill in the blocking_ members. [any] */
void weir__pool_metrics(struct pool *pool, struct weir_metrics *ret_metrics);

/*
 * No more jobs; those that have not started are refused with -ESHUTDOWN; wait for the running
 * ones. 0, or -ETIMEDOUT with threads left. [setup]
 */
int weir__pool_stop(struct pool *pool, uint64_t deadline);
void weir__pool_fini(struct pool *pool);

#endif
