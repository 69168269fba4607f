/* SPDX-License-Identifier: MIT */
/*
 * pool.h: the blocking pool: threads for calls that block. A thread is made when
 * a job comes and no thread is idle, up to a limit; an idle thread ends after a
 * while.
 *
 * A push takes the most recently idle thread off the idle list, so two jobs never
 * count on the same thread. A thread that has run its job goes on the list before
 * it delivers the result, so that a task which the result wakes can use the
 * thread.
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
	pthread_cond_t fewer;		/* signalled when a thread has ended */
	struct weir_rt *rt;
	struct weir_blocking_future *first, **last;
	size_t queued, detached;	/* jobs waiting; how many of them are detached */
	struct pool_thread *idle;	/* idle threads; no queued job counts on them */
	uint64_t done;			/* jobs that have run */
	unsigned threads;
	unsigned lent;			/* threads lent to a weir__pool_run_now; not limited */
	unsigned max_threads;
	const struct weir_cpuset *cpus;	/* where they run; NULL: where their creators run */
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

/*
 * Queues a job. 0; -EAGAIN (a detached job and a full queue, or no thread at all); -ESHUTDOWN.
 * [any]
 */
int weir__pool_push(struct pool *pool, struct weir_blocking_future *job);
/* Unlinks a job that has not started; false if it has. [any] */
bool weir__pool_remove(struct pool *pool, struct weir_blocking_future *job);
/*
 * Runs fn(arg) on a pool thread at once: before queued jobs, above the limit, for any length of
 * time. 0, -EAGAIN or -ENOMEM. [any]
 */
int weir__pool_run_now(struct pool *pool, int (*fn)(void *), void *arg);

/* Fills in the blocking_ members. [any] */
void weir__pool_metrics(struct pool *pool, struct weir_metrics *ret_metrics);

/*
 * Closes the pool: refuses jobs that have not started with -ESHUTDOWN, and waits for running ones.
 * 0, or -ETIMEDOUT if threads are left. [setup]
 */
int weir__pool_stop(struct pool *pool, uint64_t deadline);
void weir__pool_fini(struct pool *pool);

#endif
