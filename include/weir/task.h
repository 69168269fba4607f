/* SPDX-License-Identifier: MIT */
/*
 * task.h: tasks, the scheduled futures.
 *
 * A task has one of two bodies over the same mechanism:
 *  - stackful: a plain C function on its own small stack (a fiber), for code
 *    that reads from top to bottom: weir_spawn(fn, arg, &task);
 *  - stackless: a poll function and its state, allocated with the task in one
 *    block, for a million of them: weir_task_spawn with .poll and .state_bytes.
 *
 *	spawn ──► queued ──► running ⇄ waiting ──► complete ──► joined or detached
 *	                        └─ a yield queues it again, behind the drivers
 *
 * The caller of spawn owns the handle that it gets. A handle ends in exactly one
 * weir_task_join, weir_task_detach, or join future that finished. A program that
 * needs no handle passes NULL.
 *
 * Abort is a request. In a stackful task the current and all later awaits return
 * -ECANCELED, until its function returns. The pending operations of a stackless task
 * are cancelled and waited for, then its fini runs. A join returns after that.
 *
 * Do not: keep the address of a thread-local variable (errno is the classic) across
 * anything that waits, because a fiber may continue on another thread; block the
 * thread in a task (blocking.h).
 */
#ifndef WEIR_TASK_H
#define WEIR_TASK_H

#include "weir/base.h"
#include "weir/future.h"

struct weir_rt;
struct weir_task;
struct weir_join_set;

/* The body of a stackless task. It returns WEIR_PENDING or the task's result. */
typedef int (*weir_poll_fn)(void *state, struct weir_cx *cx);

enum weir_task_flag {
	WEIR_TASK_PINNED = 1u << 0,		/* it always runs on the same worker */
	WEIR_TASK_UNCONSTRAINED = 1u << 1,	/* it has no cooperative budget */
	WEIR_TASK_PLACED = 1u << 2,		/* it begins on .worker, and may be stolen later */
};

/* How a task is made. Either fn or poll is set. Zero means the default. */
struct weir_task_config {
	size_t size;			/* sizeof(struct weir_task_config) */
	const char *name;		/* valid as long as the task; default: where's function */
	const struct weir_location *where; /* WEIR_HERE, or another static one */
	unsigned flags;			/* enum weir_task_flag */
	int worker;			/* for PINNED and PLACED: 1 + the worker; 0: the spawning
					 * one */
	struct weir_join_set *join_set; /* the task is joined by weir_join_set_next: no handle */

	int (*fn)(void *arg);		/* stackful */
	void *arg;

	weir_poll_fn poll;		/* stackless */
	const void *state;		/* copied into the task; NULL: zeroed */
	size_t state_bytes;		/* up to 64 KiB */
	void (*fini)(void *state);	/* called once, on a worker, after the last poll; or NULL */

	uint64_t *ret_id;		/* receives the task's id before it runs; or NULL */

	void (*drop)(void *arg);	/* stackful: called with arg if fn never is; or NULL */
};

#define WEIR_TASK_CONFIG_INIT WEIR_SIZED_INIT(weir_task_config)

/* The address of a static description of this place in the source. */
#define WEIR_HERE                                                                                  \
	(__extension__({                                                                           \
		static const struct weir_location here_ = { __FILE__, __func__, __LINE__ };        \
		&here_;                                                                            \
	}))

WEIR_BEGIN_DECLS

/**
 * Spawn a task on a runtime (NULL: the current one).
 *
 * A fiber whose stack cannot be allocated when it first runs completes with -ENOMEM, without
 * calling fn. While that is so, further spawns of fibers on that worker fail at once.
 *
 * With a drop, the task owns arg from the call on: either fn or drop is called with it, once. A
 * spawn that fails calls drop on the calling thread, whatever the errno, unless cfg was not
 * made by WEIR_TASK_CONFIG_INIT. Otherwise drop is called on a worker, where it must not wait. A
 * spawn that fails calls nothing else, not even fini.
 *
 * Thread:   [any]
 * Waits:    never
 * Owns:     the caller joins or detaches *ret_task; with a ret_task of NULL the task is detached
 *           from the beginning
 * Returns:  0; -EINVAL (both bodies, none, too much state, a worker that does not exist);
 *           -E2BIG for a field that is newer than the library (base.h, Sizes); -ENOMEM; -ENXIO
 *           without a runtime; -ESHUTDOWN
 * Since:    0.1
 */
WEIR_API int weir_task_spawn(struct weir_rt *rt, const struct weir_task_config *cfg,
			     struct weir_task **ret_task);

/** The function behind weir_spawn, weir_rt_spawn; where may be NULL. Thread: [any]. Since: 0.1 */
WEIR_API int weir_spawn_at(struct weir_rt *rt, int (*fn)(void *), void *arg,
			   const struct weir_location *where, struct weir_task **ret_task);

/**
 * Spawn fn(arg) as a fiber on the current runtime, and record this place in the program as where
 * it was spawned. Everything else is as for weir_task_spawn.
 */
#define weir_spawn(fn, arg, ret_task) weir_spawn_at(NULL, (fn), (arg), WEIR_HERE, (ret_task))

/**
 * The same, for an arg that must not be lost. If fn is never called, because the spawn fails (NULL,
 * no memory, a runtime that shuts down) or there is no stack for the fiber, drop(arg) is. So a
 * caller can ignore the error:
 *
 *	while ((rc = weir_listener_accept(listener, &conn)) >= 0)
 *		weir_spawn_or_drop(echo, conn, weir_tcp_drop, NULL);
 */
#define weir_spawn_or_drop(fn, arg, drop, ret_task) \
	weir_spawn_or_drop_at(NULL, (fn), (arg), (drop), WEIR_HERE, (ret_task))

/** The same on a given runtime, from any thread. */
#define weir_rt_spawn_or_drop(rt, fn, arg, drop, ret_task) \
	weir_spawn_or_drop_at((rt), (fn), (arg), (drop), WEIR_HERE, (ret_task))

/** The function behind these two; rt NULL: the current one. Thread: [any]. Since: 0.1 */
WEIR_API int weir_spawn_or_drop_at(struct weir_rt *rt, int (*fn)(void *), void *arg,
				   void (*drop)(void *arg), const struct weir_location *where,
				   struct weir_task **ret_task);

/** weir_spawn on a given runtime, from any thread. */
#define weir_rt_spawn(rt, fn, arg, ret_task) weir_spawn_at((rt), (fn), (arg), WEIR_HERE, (ret_task))

/**
 * Wait for a task and take its result. A fiber awaits it; a thread that is not a worker sleeps.
 *
 * Thread:   [worker] on a fiber, or [any] but a worker
 * Waits:    until the task is complete
 * Owns:     after 0 the handle is gone; after an error the caller still has it
 * Cancel:   the caller still has the handle
 * Returns:  0 with *ret_result (-ECANCELED for an aborted task that did not return another
 *           result); -ECANCELED if the caller was aborted; -EDEADLK for the calling task itself;
 *           -EPERM in a stackless task (use struct weir_join_future there)
 * Since:    0.1
 */
WEIR_API int weir_task_join(struct weir_task *task, int *ret_result);

/**
 * The same, up to a deadline. After -ETIMEDOUT the caller still has the handle.
 *
 * Thread:   as weir_task_join
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_task_join_until(struct weir_task *task, uint64_t deadline, int *ret_result);

/** Give a handle up; the task continues. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_task_detach(struct weir_task *task);

/**
 * Ask a task to stop. Does nothing to a task that is complete. The caller still has the handle.
 *
 * Thread:   [any] that has a handle
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_task_abort(struct weir_task *task);

/** Whether the task is complete, so that a join would not wait. Thread: [any]. Since: 0.1 */
WEIR_API bool weir_task_is_complete(const struct weir_task *task);

/*
 * The future of a join. It finishes with 0, and .result is the task's own result; the handle is
 * gone then. If it is cancelled first, it finishes with -ECANCELED, and the handle stays.
 */
struct weir_join_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	struct weir_task *task;
	int result;
	bool cancelled;
};
/** Set the future of a join up. Thread: [any]. Since: 0.1 */
WEIR_API void weir_join_init(struct weir_join_future *join, struct weir_task *task);

/** The running task, also while it blocks in place; else NULL. Thread: [any]. Since: 0.1 */
WEIR_API struct weir_task *weir_task_current(void);
/** A number that is unique in the process; 0 for NULL. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_task_id(const struct weir_task *task);
/** The name of a task, never NULL. Thread: [any]. Since: 0.1 */
WEIR_API const char *weir_task_name(const struct weir_task *task);
/** Where a task was spawned, or NULL. Thread: [any]. Since: 0.1 */
WEIR_API const struct weir_location *weir_task_where(const struct weir_task *task);
/** Whether the running task was asked to stop. Thread: [worker]. Since: 0.1 */
WEIR_API bool weir_task_cancelled(void);

/**
 * Let the other ready tasks and the drivers go first.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until they had their turn
 * Returns:  0; -ECANCELED; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_yield(void);

/* The future of a yield. It is pending once, and finishes with 0. It has no cancel. */
struct weir_yield_future {
	struct weir_future future;
	bool done;
};
/** Set the future of a yield up. Thread: [any]. Since: 0.1 */
WEIR_API void weir_yield_init(struct weir_yield_future *yield);

/**
 * Take one unit of the running task's budget. For futures of your own that could be ready forever;
 * weir's own futures do it themselves.
 *
 * If it returns false, the budget is spent and your poll function must return WEIR_PENDING. The
 * task has then been queued behind the drivers already; if cx has a waker of its own, that waker is
 * called when the poll of the task is over. weir_coop_refund returns the unit if the future is
 * pending for a reason of its own.
 *
 * Thread:   the polling task's
 * Waits:    never
 * Since:    0.1
 */
WEIR_API bool weir_coop_take(struct weir_cx *cx);
WEIR_API void weir_coop_refund(struct weir_cx *cx);

/**
 * Exempt the running task from its budget, or not. Returns whether it was exempt before.
 * Thread: [worker]. Since: 0.1
 */
WEIR_API bool weir_task_unconstrained(bool on);

/*
 * Task-local values. A static key names a value. A value lives until it is set again, or until the
 * task has finished (after its fini); then its destructor is called.
 *
 * A destructor may set values, even of its own key, whose destructors are called in turn. There may
 * be three in such a chain: in the third, weir_local_set returns -EBUSY.
 *
 * A function that blocks in place (blocking.h) sees the values of its task.
 */
struct weir_local_key {
	void (*destroy)(void *value);	/* may be NULL */
};
/**
 * Set the running task's value for a key. The destructor of the former value is called.
 *
 * Thread:   [worker]
 * Owns:     after 0 the task owns the value
 * Returns:  0; -ENOMEM; -EBUSY in the third destructor of a chain; -EPERM outside a task
 * Since:    0.1
 */
WEIR_API int weir_local_set(const struct weir_local_key *key, void *value);
/** The running task's value; NULL if unset or outside a task. Thread: [worker]. Since: 0.1 */
WEIR_API void *weir_local_get(const struct weir_local_key *key);

/*
 * Join sets: structured concurrency. Tasks spawned into a set are joined in the
 * order in which they finish, and none is left when the set is freed.
 *
 *	weir_join_set_new ──► spawn … ──► weir_join_set_next … ──► weir_join_set_free
 *
 * A task that has finished keeps its result and some 200 bytes until it is joined. For
 * tasks that nobody joins one by one, such as the connections of a server, use
 * weir_join_set_new_discarding.
 */

/**
 * Make a set of tasks of a runtime (NULL: the current one).
 *
 * Thread:   [any]
 * Owns:     the caller frees it with weir_join_set_free, before it frees the runtime
 * Returns:  0; -ENXIO without a runtime; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_join_set_new(struct weir_rt *rt, struct weir_join_set **ret_set);
/**
 * The same, but the set forgets each task and its result when the task ends. weir_join_set_next
 * waits until all have ended, and returns 0. Thread: [any]. Since: 0.1
 */
WEIR_API int weir_join_set_new_discarding(struct weir_rt *rt, struct weir_join_set **ret_set);
/** Spawn fn(arg) into a set; otherwise as weir_spawn. Thread: [any]. Since: 0.1 */
WEIR_API int weir_join_set_spawn_at(struct weir_join_set *set, int (*fn)(void *), void *arg,
				 const struct weir_location *where, uint64_t *ret_id);
#define weir_join_set_spawn(set, fn, arg, ret_id) \
	weir_join_set_spawn_at((set), (fn), (arg), WEIR_HERE, (ret_id))
/**
 * Wait until the next task of a set has finished, and take its result.
 *
 * Thread:   [worker] on a fiber, or [any] but a worker; one caller at a time
 * Waits:    until one is complete, or the set is empty
 * Cancel:   no task was taken from the set
 * Returns:  1 with its id and result; 0 when the set is empty; -ECANCELED; -EBUSY for a second
 *           caller; -EDEADLK for a task of the set; -EPERM in a stackless task (use struct
 *           weir_join_set_next_future there)
 * Since:    0.1
 */
WEIR_API int weir_join_set_next(struct weir_join_set *set, uint64_t *ret_id, int *ret_result);
/**
 * The same, up to a deadline. It also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   as weir_join_set_next
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_join_set_next_until(struct weir_join_set *set, uint64_t deadline,
				      uint64_t *ret_id, int *ret_result);
/** Abort every task of a set; the caller still joins them. Thread: [any]. Since: 0.1 */
WEIR_API void weir_join_set_abort(struct weir_join_set *set);
/** How many tasks are not joined; in a discarding set, not ended. Thread: [any]. Since: 0.1 */
WEIR_API size_t weir_join_set_len(const struct weir_join_set *set);
/**
 * Abort the tasks that are left, wait for them, and free the set. NULL is allowed.
 *
 * Thread:   as weir_join_set_next; also in stackless tasks, and in tasks of the set, which
 *           are aborted with the others. There it does not wait, and the last task frees the set
 * Waits:    until every task of the set is complete, even if the caller is aborted
 * Since:    0.1
 */
WEIR_API void weir_join_set_free(struct weir_join_set *set);

/* The future of weir_join_set_next. It finishes with 1 or 0, as that function does. */
struct weir_join_set_next_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	struct weir_join_set *set;
	uint64_t id;
	int result;
	bool cancelled;
};
/** Set the future of a set's next task up. Thread: [any]. Since: 0.1 */
WEIR_API void weir_join_set_next_init(struct weir_join_set_next_future *wait,
				      struct weir_join_set *set);

WEIR_END_DECLS

#endif
