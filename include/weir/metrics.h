/* SPDX-License-Identifier: MIT */
/*
 * metrics.h: what a runtime has done so far, and how it stands now.
 *
 *	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;
 *
 *	for (i = 0; weir_metrics_worker(rt, i, &m) == 0; i++)
 *		… m.polls, m.steals …
 *
 * Counters only grow, from when the runtime was made; a rate is the difference of two looks. Each is
 * written by one worker and read as it stands: a moment's figures, some of them some instructions
 * older than others. They are always on. Names that Tokio has mean here what they mean there.
 *
 * Do not: expect sums over workers to be exact while tasks run; look oftener than you need (each look
 * takes cache lines away from the workers).
 */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include "weir/histogram.h"
#include "weir/rt.h"
#include "weir/topo.h"

/* One worker. Start from WEIR_WORKER_METRICS_INIT; new fields are added at the end. */
struct weir_worker_metrics {
	size_t size;			/* sizeof(struct weir_worker_metrics) */

	/* Tasks. */
	uint64_t polls;			/* tasks were run so often */
	uint64_t away_polls;		/* … of them, away from home: from the worker where their last
					 * wait for an operation ended, or else where they were spawned
					 * or, spawned by no worker, first ran */
	uint64_t budget_yields;		/* … and made to yield, for their budget was spent */
	uint64_t spawned, finished;	/* on this worker */

	/* Where they came from. */
	uint64_t local_schedules;	/* made ready here */
	uint64_t remote_schedules;	/* made ready by other threads, and taken in here */
	uint64_t overflows;		/* its ring was full: the overflow list took them */
	uint64_t steals;		/* tasks it took from siblings */
	uint64_t steal_operations;	/* … in so many goes */
	uint64_t steals_by_tier[WEIR_TIERS]; /* the steals by how far the sibling is */

	/* Sleep. */
	uint64_t parks, noop_parks;	/* sleeps; of them, those that nothing came of */
	uint64_t busy_ns;		/* it had a thread, and did not sleep or look for work in vain */
	uint64_t stalls;		/* tasks that have held it too long, see struct weir_stall */
	uint64_t watches;		/* it took over from a sibling that was stuck in a task */

	/* I/O. */
	uint64_t driver_polls;		/* looks at the drivers that did not wait */
	uint64_t completions;		/* operations that ended here */
	uint64_t syscalls;		/* made for I/O: every one that a backend makes */
	uint64_t waits;			/* of them, those that ask for events or completions */
	uint64_t events;		/* that those have brought */

	/* Now. */
	uint64_t queue_depth;		/* tasks that wait for it, the overflow list's among them */
	uint64_t overflow_depth;	/* those in the overflow list */
};

#define WEIR_WORKER_METRICS_INIT WEIR_SIZED_INIT(weir_worker_metrics)

/* A runtime, without what its workers know. Start from WEIR_METRICS_INIT; new fields come at the end. */
struct weir_metrics {
	size_t size;			/* sizeof(struct weir_metrics) */
	const char *backend;		/* as weir_rt_backend */
	unsigned workers, groups;
	uint64_t alive;			/* tasks that have not finished */
	uint64_t inject_depth;		/* tasks made ready by threads that are no workers, not yet taken */

	/* The blocking pool. */
	unsigned blocking_threads;
	unsigned blocking_idle;		/* of them, those that wait for a job */
	uint64_t blocking_depth;	/* jobs that wait for a thread */
	uint64_t blocking_done;		/* jobs that have run */

	int stall_error;		/* 0; why the stalls of some worker are not seen, as -errno */
	int io_error;			/* 0; what weir_rt_config.on_io_error was last told, as -errno */
};

#define WEIR_METRICS_INIT WEIR_SIZED_INIT(weir_metrics)

#define WEIR_STALL_FRAMES 32

/*
 * A task that held its worker for longer than weir_rt_config.stall_ns. It is the CPU time of the
 * worker's thread that counts: a machine that gives the thread none blames nobody, and a task that
 * sleeps in a system call is not seen here (but its siblings are looked after, see watches).
 */
struct weir_stall {
	size_t size;			/* sizeof(struct weir_stall); in on_stall the library's */
	uint64_t number;		/* of this worker's stalls, from 1; on_stall may miss some */
	uint64_t at_ns;			/* when it was noticed; the system's monotonic clock */
	uint64_t cpu_ns;		/* CPU time that it has held the worker for, at the least */
	uint64_t task_id;
	const struct weir_location *where; /* where the task was spawned, or NULL */
	uint16_t worker;
	uint16_t over;			/* it has given its worker back */
	uint32_t frames_len;
	char task_name[48];		/* cut off */
	/*
	 * What it was doing when it was noticed: the instruction, then return addresses outwards;
	 * addr2line and dladdr know them. Empty where the C library has no backtrace().
	 */
	void *frames[WEIR_STALL_FRAMES];
};

#define WEIR_STALL_INIT WEIR_SIZED_INIT(weir_stall)

WEIR_BEGIN_DECLS

/**
 * The figures of a runtime as a whole.
 *
 * Thread:   [any], also after shutdown
 * Returns:  0; -EINVAL without rt, or for a ret_metrics not made from WEIR_METRICS_INIT (base.h,
 *           Sizes)
 * Since:    0.1
 */
WEIR_API int weir_metrics_get(const struct weir_rt *rt, struct weir_metrics *ret_metrics);

/**
 * The figures of one worker.
 *
 * Thread:   [any], also after shutdown
 * Returns:  0; -EINVAL without rt, for a worker that does not exist, or for a ret_metrics not made
 *           from WEIR_WORKER_METRICS_INIT
 * Since:    0.1
 */
WEIR_API int weir_metrics_worker(const struct weir_rt *rt, unsigned worker,
				 struct weir_worker_metrics *ret_metrics);

/**
 * Add what a worker has sampled to a histogram, which may hold other workers' already: how long
 * polls took, in ns; how long tasks that were woken or spawned waited until they ran there, in ns;
 * how many completions a look at the drivers brought, of those that brought any. The last is of all,
 * the others are of one in weir_rt_config.sample.
 *
 * Thread:   [any], one at a time for a histogram; also after shutdown
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
 * The last stall of a worker, which may still go on.
 *
 * Thread:   [any], also after shutdown
 * Returns:  0; -ENOENT if there was none; -EINVAL without rt, for a worker that does not exist, or
 *           for a ret_stall not made from WEIR_STALL_INIT
 * Since:    0.1
 */
WEIR_API int weir_metrics_last_stall(const struct weir_rt *rt, unsigned worker,
				     struct weir_stall *ret_stall);

WEIR_END_DECLS

#endif
