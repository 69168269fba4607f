/* SPDX-License-Identifier: MIT */
/*
 * metrics.h: what a runtime has done so far, and its state now.
 *
 *	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;
 *
 *	for (i = 0; weir_metrics_worker(rt, i, &m) == 0; i++)
 *		… m.polls, m.steals …
 *
 *	weir_metrics_get		the runtime: tasks, queues, the blocking pool
 *	weir_metrics_worker		one worker: polls, queues, steals, parks, I/O
 *	weir_metrics_poll_time, …	histograms of a worker: how long, how late, how many
 *	weir_metrics_last_stall		the last task that held a worker for too long
 *
 * Counters only grow, from when the runtime was made; the difference of two readings
 * is a rate. Each counter is written by one worker. A reader takes them one after
 * the other while they change, so figures of one call may be some instructions apart.
 * Counting is always on. Names that Tokio has mean here what they mean there.
 *
 * What they tell about a server:
 *
 *	busy_ns near the wall time	the worker is saturated
 *	steals / polls			how much of the work arrives on another worker
 *	budget_yields			tasks with more ready I/O than one poll may use
 *	overflows			more tasks are ready than a ring holds
 *	syscalls / completions		what an operation costs in system calls
 *	stalls				a task blocks its thread, or computes for too long
 *
 * Do not: expect sums over workers to be exact while tasks run; read them more often
 * than needed (each reading takes cache lines away from the workers).
 */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include "weir/histogram.h"
#include "weir/rt.h"
#include "weir/topo.h"

/*
 * What one worker has done. Start from WEIR_WORKER_METRICS_INIT; later versions add fields at the
 * end. All but the last two only grow.
 */
struct weir_worker_metrics {
	size_t size;			/* sizeof(struct weir_worker_metrics) */

	/*
	 * Tasks. A poll is one run of a task, until it waits or ends. A poll is away if another
	 * worker is the task's home: the worker that delivered its last operation, else the one
	 * that spawned it or, if no worker did, the one that first ran it.
	 */
	uint64_t polls;			/* how often tasks were run */
	uint64_t away_polls;		/* of them, polls of tasks that have their home elsewhere */
	uint64_t budget_yields;		/* of them, polls that ended because the budget was spent */
	uint64_t spawned, finished;	/* tasks spawned, and tasks ended, on this worker */

	/* Where the tasks came from. */
	uint64_t local_schedules;	/* tasks made ready by this worker */
	uint64_t remote_schedules;	/* tasks made ready by other threads, and taken in here */
	uint64_t overflows;		/* how often tasks went to the overflow list (full ring) */
	uint64_t steals;		/* tasks taken from other workers */
	uint64_t steal_operations;	/* how often tasks were taken; each time one or more */
	uint64_t steals_by_tier[WEIR_TIERS]; /* the steals, by the distance of the other worker */

	/*
	 * Sleep. A worker is busy while it has a thread and neither sleeps nor searches for work
	 * without result.
	 */
	uint64_t parks;			/* how often the worker slept */
	uint64_t noop_parks;		/* of them, those in which no event came */
	uint64_t busy_ns;
	uint64_t stalls;		/* tasks that held the worker for too long (weir_stall) */
	uint64_t watches;		/* how often it served the I/O of a stuck worker */

	/* I/O. */
	uint64_t driver_polls;		/* polls of the drivers that did not wait */
	uint64_t completions;		/* operations that completed here */
	uint64_t syscalls;		/* all system calls that the backend made for I/O */
	uint64_t waits;			/* of them, those that ask for events or completions */
	uint64_t events;		/* events or completions that these returned */

	/* Now. */
	uint64_t queue_depth;		/* tasks that are ready and wait for this worker */
	uint64_t overflow_depth;	/* of them, those in the overflow list */
};

#define WEIR_WORKER_METRICS_INIT WEIR_SIZED_INIT(weir_worker_metrics)

/*
 * A runtime as a whole, without the figures of its workers. Start from WEIR_METRICS_INIT; later
 * versions add fields at the end.
 */
struct weir_metrics {
	size_t size;			/* sizeof(struct weir_metrics) */
	const char *backend;		/* as weir_rt_backend */
	unsigned workers, groups;
	uint64_t alive;			/* tasks that have not ended */
	uint64_t inject_depth;		/* ready tasks that no worker has taken yet */

	/* The blocking pool. */
	unsigned blocking_threads;
	unsigned blocking_idle;		/* of them, those that wait for a job */
	uint64_t blocking_depth;	/* jobs that wait for a thread */
	uint64_t blocking_done;		/* jobs that have run */

	/* Faults, as a negative errno; 0: none. */
	int stall_error;		/* why the stalls of some worker cannot be detected */
	int io_error;			/* what weir_rt_config.on_io_error was last called with */
};

#define WEIR_METRICS_INIT WEIR_SIZED_INIT(weir_metrics)

#define WEIR_STALL_FRAMES 32

/*
 * A task that held its worker for longer than weir_rt_config.stall_ns. Start from WEIR_STALL_INIT.
 *
 *	task runs ──► bound passed: noticed, recorded ──► task waits or ends: over, on_stall
 *
 * What counts is the CPU time of the worker's thread. So a task is not blamed for a busy machine
 * that gives the thread no CPU, and a task that sleeps in a system call is not detected
 * here (an idle worker serves the I/O of its worker meanwhile, see watches).
 */
struct weir_stall {
	size_t size;			/* sizeof(struct weir_stall); in on_stall, the library's */
	uint64_t number;		/* counted per worker from 1; on_stall may skip some */
	uint64_t at_ns;			/* when it was noticed, on the system's monotonic clock */
	uint64_t cpu_ns;		/* the CPU time for which it held the worker, or more */
	uint64_t task_id;
	const struct weir_location *where; /* where the task was spawned, or NULL */
	uint16_t worker;
	uint16_t over;			/* 1: the task has given its worker back */
	uint32_t frames_len;
	char task_name[48];		/* longer names are cut */
	/*
	 * What the task was doing when it was noticed: the address of the instruction, then the
	 * return addresses outwards, for addr2line and dladdr. None where the C library has no
	 * backtrace().
	 */
	void *frames[WEIR_STALL_FRAMES];
};

#define WEIR_STALL_INIT WEIR_SIZED_INIT(weir_stall)

WEIR_BEGIN_DECLS

/**
 * Read the figures of a runtime as a whole.
 *
 * Thread:   [any], also after shutdown
 * Waits:    never
 * Returns:  0; -EINVAL without rt, or for a ret_metrics not made from WEIR_METRICS_INIT (base.h,
 *           Sizes)
 * Since:    0.1
 */
WEIR_API int weir_metrics_get(const struct weir_rt *rt, struct weir_metrics *ret_metrics);

/**
 * Read the figures of one worker. Workers are counted from 0 to weir_rt_workers(rt) - 1.
 *
 * Thread:   [any], also after shutdown
 * Waits:    never
 * Returns:  0; -EINVAL without rt, for a worker that does not exist, or for a ret_metrics not made
 *           from WEIR_WORKER_METRICS_INIT
 * Since:    0.1
 */
WEIR_API int weir_metrics_worker(const struct weir_rt *rt, unsigned worker,
				 struct weir_worker_metrics *ret_metrics);

/**
 * Add what a worker has sampled to a histogram, which may already hold that of other workers.
 *
 *	poll_time		how long polls took, in ns
 *	schedule_latency	how long tasks waited from wake or spawn until they ran there, in ns
 *	batch_size		how many completions a poll of the drivers brought, if any
 *
 * Of polls and wake-ups one in weir_rt_config.sample is measured; batch sizes are complete.
 *
 * Thread:   [any]; one call at a time for each histogram; also after shutdown
 * Waits:    never
 * Returns:  0; -ENOENT with WEIR_SAMPLE_NONE; -EINVAL without rt or into, or for a worker that does
 *           not exist
 * Since:    0.1
 */
WEIR_API int weir_metrics_poll_time(const struct weir_rt *rt, unsigned worker,
				    struct weir_histogram *into);
WEIR_API int weir_metrics_schedule_latency(const struct weir_rt *rt, unsigned worker,
					   struct weir_histogram *into);
WEIR_API int weir_metrics_batch_size(const struct weir_rt *rt, unsigned worker,
				     struct weir_histogram *into);

/**
 * Read the last stall of a worker, which may still be going on.
 *
 * Thread:   [any], also after shutdown
 * Waits:    never
 * Returns:  0; -ENOENT if there was none; -EINVAL without rt, for a worker that does not exist, or
 *           for a ret_stall not made from WEIR_STALL_INIT
 * Since:    0.1
 */
WEIR_API int weir_metrics_last_stall(const struct weir_rt *rt, unsigned worker,
				     struct weir_stall *ret_stall);

WEIR_END_DECLS

#endif
