/* SPDX-License-Identifier: MIT */
/*
 * blocking.h: work that blocks its thread: file calls, getaddrinfo, a library
 * that knows nothing of weir.
 *
 * The pool makes a thread when none is idle, up to blocking_max, and ends one
 * that has been idle for blocking_keep_ns. Calls that are waited for queue in
 * their caller's memory, so their number is bounded by who waits; those that are
 * not (weir_blocking_spawn) get -EAGAIN when blocking_queue of them wait.
 */
#ifndef WEIR_BLOCKING_H
#define WEIR_BLOCKING_H

#include "weir/base.h"
#include "weir/future.h"

struct weir_rt;

/* The future of a blocking call: finishes with what fn returned. */
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
	bool detached;			/* weir_blocking_spawn's: on the heap, nobody waits */
	void (*drop)(void *arg);	/* detached: called instead of fn at shutdown, or NULL */
};

WEIR_BEGIN_DECLS

/** Set a blocking call up; it is queued when it is first polled. Thread: [any]. Since: 0.1 */
WEIR_API void weir_blocking_init(struct weir_blocking_future *blocking, int (*fn)(void *),
				 void *arg);

/**
 * Run fn(arg) on the blocking pool and wait for its result.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until fn has returned
 * Cancel:   a call that has not started is taken back (-ECANCELED); one that runs is waited for
 * Returns:  what fn returned; -ECANCELED; -ESHUTDOWN; -EPERM outside a fiber; -EAGAIN when no
 *           thread can be made to run it; -ENXIO in the child of a fork
 * Since:    0.1
 */
WEIR_API int weir_blocking_run(int (*fn)(void *), void *arg);

/**
 * The same, if fn starts before the deadline; one that has started is waited for.
 * -ETIMEDOUT, -ENODEV as weir_await_until. Thread: [worker] on a fiber. Since: 0.1
 */
WEIR_API int weir_blocking_run_until(int (*fn)(void *), void *arg, uint64_t deadline);

/**
 * Hand fn(arg) to the pool of rt (NULL: the current one) and do not wait for it. A job that has
 * not started when the runtime shuts down is never run. With _or_drop, drop(arg) is called then,
 * by the thread that shuts down, and also before the call returns an error: either fn gets arg or
 * drop does, once.
 *
 * Thread:   [any]
 * Returns:  0; -EAGAIN when the queue is full, or no thread can be made; -ESHUTDOWN; -ENXIO;
 *           -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_blocking_spawn(struct weir_rt *rt, int (*fn)(void *), void *arg);
WEIR_API int weir_blocking_spawn_or_drop(struct weir_rt *rt, int (*fn)(void *), void *arg,
					 void (*drop)(void *arg));

/**
 * Call fn(arg) here and now, on this fiber's stack and this thread, after handing the
 * worker's other tasks and its driver to another thread (block in place). With a backend whose
 * driver cannot change its thread (io_uring) it is fn that goes to the other thread, while the
 * fiber waits.
 *
 * In fn the task is still the running one: weir_task_current, its task-local values, and
 * weir_task_cancelled, by which a long one can see that it was aborted: nothing else stops it.
 * Calls that need a fiber answer -EPERM; weir_block_on waits there, whatever becomes of the task.
 *
 * Thread:   [worker] on a fiber of the multi-thread scheduler; runs fn plainly anywhere else
 *           that is not a worker; -EPERM on the current-thread scheduler
 * Returns:  what fn returned
 * Since:    0.1
 */
WEIR_API int weir_block_in_place(int (*fn)(void *), void *arg);

WEIR_END_DECLS

#endif
