/* SPDX-License-Identifier: MIT */
/*
 * blocking.h: work that blocks its thread, such as file calls, getaddrinfo, or a
 * library that does not use weir.
 *
 *	weir_blocking_run		run fn on a thread of the pool, and wait for it
 *	weir_blocking_spawn		the same, without waiting
 *	weir_block_in_place		run fn here; the worker's other tasks go elsewhere
 *
 * The pool starts a thread when none is idle, up to blocking_max, and ends a thread
 * that was idle for blocking_keep_ns. Calls that a task waits for are queued in the
 * caller's memory, so there are no more of them than waiting tasks. Calls without a
 * waiting task (weir_blocking_spawn) return -EAGAIN while blocking_queue of them wait.
 */
#ifndef WEIR_BLOCKING_H
#define WEIR_BLOCKING_H

#include "weir/base.h"
#include "weir/future.h"

struct weir_rt;

/* The future of a blocking call. It finishes with the result of fn. */
struct weir_blocking_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	int (*fn)(void *arg);
	void *arg;
	struct weir_rt *rt;
	struct weir_blocking_future *next, **pprev;	/* in the pool's queue */
	int result;
	uint8_t state;			/* atomic */
	bool cancelled;
	bool detached;			/* made by weir_blocking_spawn: on the heap, nobody waits */
	void (*drop)(void *arg);	/* if detached: called instead of fn at shutdown; or NULL */
};

WEIR_BEGIN_DECLS

/** Set the future of a blocking call up. Its first poll queues it. Thread: [any]. Since: 0.1 */
WEIR_API void weir_blocking_init(struct weir_blocking_future *blocking, int (*fn)(void *),
				 void *arg);

/**
 * Run fn(arg) on the blocking pool and wait for its result.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until fn has returned
 * Cancel:   a call that has not started never starts (-ECANCELED); one that runs is waited for
 * Returns:  the result of fn; -ECANCELED; -ESHUTDOWN; -EPERM outside a fiber; -EAGAIN if no
 *           thread can be started to run it; -ENXIO in a forked child
 * Since:    0.1
 */
WEIR_API int weir_blocking_run(int (*fn)(void *), void *arg);

/**
 * The same with a deadline by which fn must have started. An fn that has started is waited for. It
 * also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   [worker] on a fiber
 * Waits:    for the start up to the deadline, then until fn has returned
 * Since:    0.1
 */
WEIR_API int weir_blocking_run_until(int (*fn)(void *), void *arg, uint64_t deadline);

/**
 * Run fn(arg) on the pool of rt (NULL: the current runtime), and do not wait for it. A job that has
 * not started when the runtime shuts down is never run. The form with _or_drop calls drop(arg) if
 * fn will not run: before it returns an error, or later on the thread that shuts down. So either fn
 * or drop is called with arg, once.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EAGAIN if the queue is full, or no thread can be started; -ESHUTDOWN; -ENXIO;
 *           -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_blocking_spawn(struct weir_rt *rt, int (*fn)(void *), void *arg);
WEIR_API int weir_blocking_spawn_or_drop(struct weir_rt *rt, int (*fn)(void *), void *arg,
					 void (*drop)(void *arg));

/**
 * Call fn(arg) on this fiber's stack and this thread, after another thread has taken over the
 * worker's other tasks and its drivers (block in place). If the backend cannot change its thread
 * (io_uring), fn runs on the other thread, and the fiber waits.
 *
 * In fn the task is still the running one: weir_task_current and its task-local values work, and
 * weir_task_cancelled tells a long fn that its task was aborted; nothing else stops it. Calls that
 * need a fiber return -EPERM. weir_block_on waits there, even if the task is aborted.
 *
 * Thread:   [worker] on a fiber of the multi-thread scheduler. On a thread that is not a worker it
 *           just calls fn. On the current-thread scheduler it returns -EPERM
 * Waits:    until fn has returned
 * Returns:  the result of fn
 * Since:    0.1
 */
WEIR_API int weir_block_in_place(int (*fn)(void *), void *arg);

WEIR_END_DECLS

#endif
