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
 *	                        └─ yields go behind the driver
 *
 * The handle that spawn gives is owned by the caller and ends in exactly one
 * weir_task_join, weir_task_detach, or a join future that finished. A handle
 * that is not wanted is not asked for: pass NULL.
 *
 * Abort is a request. A stackful task's current and later awaits return
 * -ECANCELED until it returns. A stackless task's pending operations are
 * cancelled and waited for, then its fini runs. The join sees it last.
 *
 * A fiber may resume on another thread: do not keep the address of a
 * thread-local (errno is the classic) across anything that waits.
 */
#ifndef WEIR_TASK_H
#define WEIR_TASK_H

#include "weir/base.h"
#include "weir/future.h"

struct weir_rt;
struct weir_task;
struct weir_join_set;

/* The body of a stackless task: WEIR_PENDING, or the task's result. */
typedef int (*weir_poll_fn)(void *state, struct weir_cx *cx);

enum weir_task_flag {
	WEIR_TASK_PINNED = 1u << 0,		/* stays on the worker that spawns it */
	WEIR_TASK_UNCONSTRAINED = 1u << 1,	/* has no cooperative budget */
};

/* How a task is made: either fn, or poll. Zero means the default. */
struct weir_task_config {
	size_t size;			/* sizeof(struct weir_task_config) */
	const char *name;		/* static or outliving the task; default: WEIR_HERE's function */
	const struct weir_location *where; /* static: WEIR_HERE */
	unsigned flags;			/* enum weir_task_flag */
	int worker;			/* with PINNED: 1 + the worker; 0: the spawning one */
	struct weir_join_set *join_set; /* joined by weir_join_set_next; then no handle is given */

	int (*fn)(void *arg);		/* stackful */
	void *arg;

	weir_poll_fn poll;		/* stackless */
	const void *state;		/* copied into the task; NULL: zeroed */
	size_t state_bytes;		/* up to 64 KiB */
	void (*fini)(void *state);	/* runs once, on a worker, after the last poll; or NULL */

	uint64_t *ret_id;		/* gets the task's id before it runs; or NULL */

	void (*drop)(void *arg);	/* stackful: gets arg if fn never does; or NULL */
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
 * Thread:   [any]
 * Waits:    never
 * Owns:     *ret_task is the caller's handle, to join or detach; a NULL ret_task detaches
 *           at birth. A fiber for which there is no stack when it first runs completes with
 *           -ENOMEM, and fn was not called; the worker's next spawns of fibers fail at once
 *           while that is so. With a drop, arg is the task's from the call on: either fn gets
 *           it or drop does, once, in a spawn that failed (whatever its errno, unless cfg was
 *           not made by WEIR_TASK_CONFIG_INIT) on the calling thread, else on a worker, where it
 *           must not wait. A spawn that failed has called nothing else, not even fini.
 * Returns:  0; -EINVAL (both bodies, none, too much state, a pinned worker that does not exist);
 *           -E2BIG for a field that is newer than the library (base.h, Sizes); -ENOMEM; -ENXIO
 *           without a runtime; -ESHUTDOWN
 * Since:    0.1
 */
WEIR_API int weir_task_spawn(struct weir_rt *rt, const struct weir_task_config *cfg,
			     struct weir_task **ret_task);

/** The function behind the two macros below; where NULL: no origin. Thread: [any]. Since: 0.1 */
WEIR_API int weir_spawn_at(struct weir_rt *rt, int (*fn)(void *), void *arg,
			   const struct weir_location *where, struct weir_task **ret_task);

/**
 * Spawn fn(arg) as a fiber on the current runtime, with this place as its origin.
 * Everything else as weir_task_spawn.
 */
#define weir_spawn(fn, arg, ret_task) weir_spawn_at(NULL, (fn), (arg), WEIR_HERE, (ret_task))

/**
 * The same for an arg that must not be lost: if fn never gets it, because the spawn fails (NULL,
 * no memory, a runtime that shuts down) or there is no stack for the fiber, drop does. So nothing
 * is to be done about an error:
 *
 *	while ((rc = weir_listener_accept(listener, &conn)) >= 0)
 *		weir_spawn_or_drop(echo, conn, weir_tcp_drop, NULL);
 */
#define weir_spawn_or_drop(fn, arg, drop, ret_task) \
	weir_spawn_or_drop_at(NULL, (fn), (arg), (drop), WEIR_HERE, (ret_task))

/** The same from any thread, on a given runtime. */
#define weir_rt_spawn_or_drop(rt, fn, arg, drop, ret_task) \
	weir_spawn_or_drop_at((rt), (fn), (arg), (drop), WEIR_HERE, (ret_task))

/** The function behind the two; rt NULL: the current one. Thread: [any]. Since: 0.1 */
WEIR_API int weir_spawn_or_drop_at(struct weir_rt *rt, int (*fn)(void *), void *arg,
				   void (*drop)(void *arg), const struct weir_location *where,
				   struct weir_task **ret_task);

/** As weir_spawn, from any thread, on a given runtime. */
#define weir_rt_spawn(rt, fn, arg, ret_task) weir_spawn_at((rt), (fn), (arg), WEIR_HERE, (ret_task))

/**
 * Wait for a task and take its result.
 *
 * On a fiber it awaits; on a thread that is not a worker it sleeps.
 *
 * Thread:   [worker] on a fiber, or [any] but a worker
 * Waits:    until the task is complete
 * Owns:     the handle is gone when it returns 0
 * Cancel:   the handle stays the caller's
 * Returns:  0 with *ret_result (-ECANCELED for an aborted task that did not say
 *           otherwise); -ECANCELED if the caller was aborted; -EDEADLK on itself;
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

/** Give the handle up; the task runs on. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_task_detach(struct weir_task *task);

/**
 * Ask a task to stop. Does nothing to one that is complete. The handle stays.
 *
 * Thread:   [any] that holds a handle
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_task_abort(struct weir_task *task);

/** Whether the task is complete, so that a join would not wait. Thread: [any]. Since: 0.1 */
WEIR_API bool weir_task_is_complete(const struct weir_task *task);

/*
 * The future of a join. Finishes with 0 and the task's own result in .result; the handle is
 * gone then. Cancelled, it finishes with -ECANCELED and the handle stays.
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
/** Set a join up. Thread: [any]. Since: 0.1 */
WEIR_API void weir_join_init(struct weir_join_future *join, struct weir_task *task);

/** The running task, also while it blocks in place; NULL outside. Thread: [any]. Since: 0.1 */
WEIR_API struct weir_task *weir_task_current(void);
/** A number that no other task of the process has or had; 0 for NULL. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_task_id(const struct weir_task *task);
/** Its name, never NULL. Thread: [any]. Since: 0.1 */
WEIR_API const char *weir_task_name(const struct weir_task *task);
/** Where it was spawned, or NULL. Thread: [any]. Since: 0.1 */
WEIR_API const struct weir_location *weir_task_where(const struct weir_task *task);
/** Whether the running task was asked to stop. Thread: [worker]. Since: 0.1 */
WEIR_API bool weir_task_cancelled(void);

/**
 * Let the other ready tasks, and the driver, go first.
 *
 * Thread:   [worker] on a fiber
 * Returns:  0; -ECANCELED; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_yield(void);

/* The future of a yield: pending once, then 0. */
struct weir_yield_future {
	struct weir_future future;
	bool done;
};
/** Set a yield up. Thread: [any]. Since: 0.1 */
WEIR_API void weir_yield_init(struct weir_yield_future *yield);

/**
 * Take one unit of the running task's budget, for a custom future that could go on for ever.
 *
 * Every weir awaitable does so by itself. When it answers false the future returns
 * WEIR_PENDING; the task has been queued behind the driver already, or, where cx has a waker
 * of its own, that is called when the poll of the task is over. weir_coop_refund gives
 * the unit back when the future turned out to be pending for a reason of its own.
 *
 * Thread:   the polling task's
 * Since:    0.1
 */
WEIR_API bool weir_coop_take(struct weir_cx *cx);
WEIR_API void weir_coop_refund(struct weir_cx *cx);

/** Switch the running task's budget off or on; returns what it was. Thread: [worker]. Since: 0.1 */
WEIR_API bool weir_task_unconstrained(bool on);

/*
 * Task-local values: a static key names the value; a value lives until it is
 * set again or the task has finished (its fini is over), then its destructor runs.
 *
 * A destructor may set values, its own key's too, and theirs may: three in a chain.
 * The third one's sets answer -EBUSY, so that there is an end.
 *
 * A function that blocks in place (blocking.h) has its task's values.
 */
struct weir_local_key {
	void (*destroy)(void *value);	/* may be NULL */
};
/**
 * Set the running task's value, and destroy the one that was there.
 *
 * Thread:   [worker]
 * Owns:     the value is the task's when it returns 0
 * Returns:  0; -ENOMEM; -EBUSY in the third destructor of a chain; -EPERM outside a task
 * Since:    0.1
 */
WEIR_API int weir_local_set(const struct weir_local_key *key, void *value);
/** The running task's value; NULL when unset or outside a task. Thread: [worker]. Since: 0.1 */
WEIR_API void *weir_local_get(const struct weir_local_key *key);

/*
 * Join sets: structured concurrency. Tasks spawned into a set are joined in the
 * order in which they finish, and none is left when the set is freed.
 *
 *	weir_join_set_new ──► spawn … ──► weir_join_set_next … ──► weir_join_set_free
 *
 * A task that has finished stays, with its result and some 200 bytes, until it is
 * joined. A set that nobody joins task by task, the connections of a server say,
 * is made with weir_join_set_new_discarding.
 */

/**
 * Make a set of tasks of a runtime (NULL: the current one).
 *
 * Thread:   [any]
 * Owns:     the caller frees it with weir_join_set_free, before the runtime
 * Returns:  0; -ENXIO without a runtime; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_join_set_new(struct weir_rt *rt, struct weir_join_set **ret_set);
/**
 * The same, but the set forgets each task and its result when the task ends. weir_join_set_next
 * waits until all have ended, and returns 0. Thread: [any]. Since: 0.1
 */
WEIR_API int weir_join_set_new_discarding(struct weir_rt *rt, struct weir_join_set **ret_set);
/** Spawn fn(arg) into the set. As weir_spawn. Thread: [any]. Since: 0.1 */
WEIR_API int weir_join_set_spawn_at(struct weir_join_set *set, int (*fn)(void *), void *arg,
				 const struct weir_location *where, uint64_t *ret_id);
#define weir_join_set_spawn(set, fn, arg, ret_id) \
	weir_join_set_spawn_at((set), (fn), (arg), WEIR_HERE, (ret_id))
/**
 * Wait for the next task of the set to finish.
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
/** Abort every task of the set; they are still to be joined. Thread: [any]. Since: 0.1 */
WEIR_API void weir_join_set_abort(struct weir_join_set *set);
/** Tasks not joined yet; of a discarding set, those that run. Thread: [any]. Since: 0.1 */
WEIR_API size_t weir_join_set_len(const struct weir_join_set *set);
/**
 * Abort what is left, wait for it, free the set. NULL is allowed.
 *
 * Thread:   as weir_join_set_next. In a stackless task, and in one of the set's own, which is
 *           aborted with the others, it does not wait: the set goes with its last task
 * Waits:    until every task of the set is complete, even if the caller is aborted
 * Since:    0.1
 */
WEIR_API void weir_join_set_free(struct weir_join_set *set);

/* The future of weir_join_set_next: finishes with 1 or 0 as it does. */
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
/** Set the wait for a set's next task up. Thread: [any]. Since: 0.1 */
WEIR_API void weir_join_set_next_init(struct weir_join_set_next_future *wait,
				      struct weir_join_set *set);

WEIR_END_DECLS

#endif
