/* SPDX-License-Identifier: MIT */
/*
 * task.h (core): the task, and what a worker does with it. core/task/state.h
 * specifies the state word and who may touch which field when; the API is
 * include/weir/task.h.
 *
 * One block holds the header and a stackless task's state. A stackful task's
 * fiber is made when the task first runs, from the stack pool of the worker that
 * runs it, and its stack goes to the pool of the worker that ends it. A worker
 * whose last attempt to get a stack failed makes the fiber in spawn instead, so
 * that the spawn fails and not the task.
 *
 * The armed list holds the pending leaf futures; only the worker that polls the
 * task (and so holds RUNNING) touches it. When a stackless task is aborted, or
 * returns while leaves are pending, it is unwound: every armed leaf is cancelled
 * and polled until the list is empty, then fini runs and the task is complete. So
 * no operation outlives its task.
 */
#ifndef WEIR_CORE_TASK_TASK_H
#define WEIR_CORE_TASK_TASK_H

#include "weir/task.h"
#include "core/inbox.h"
#include "core/slab.h"
#include "core/task/state.h"
#include "core/worker.h"

struct weir__fiber;
struct weir__local;
struct weir__member;

/* weir_task.flags */
enum {
	WEIR__TASK_PINNED = 1u << 0,
	WEIR__TASK_UNCONSTRAINED = 1u << 1,
	WEIR__TASK_PLACED = 1u << 2,	/* not scheduled yet; then it goes to .pinned_to */
	WEIR__TASK_STACKFUL = 1u << 3,
	WEIR__TASK_UNWINDING = 1u << 4,	/* waits for cancelled leaves; .result is decided */
	WEIR__TASK_STAMPED = 1u << 5,	/* .woken_ns is the time since which it is ready */
	WEIR__TASK_TIMED = 1u << 6,	/* its next poll is timed */
	WEIR__TASK_CLEANUP = 1u << 7,	/* may have a fini or late wakers when it completes */
};

struct weir_task {
	uint64_t state;			/* core/task/state.h; atomic */
	struct weir__link link;		/* in a run queue, the deferred list, an inbox */
	struct weir_rt *rt;
	struct weir_leaf *armed;
	union {
		weir_poll_fn poll;	/* stackless */
		int (*fn)(void *arg);	/* stackful */
	} body;
	union {
		void (*fini)(void *state);
		void *arg;
	} extra;
	struct weir__fiber *fiber;	/* usually NULL until it first runs */
	uint8_t flags;
	uint8_t size_class;
	/* index of the worker whose slab the block is from; or WEIR__SLAB_FOREIGN */
	uint16_t slab_owner;
	/* worker index, see away_polls in weir/metrics.h; or WEIR__TASK_NO_HOME; atomic */
	uint16_t home;
	uint8_t pinned_to;
	uint8_t locals_depth;		/* nesting depth of destructors, see local.c */

	uint64_t id;
	const char *name;
	const struct weir_location *where;
	struct weir_waker join_waker;
	struct weir__member *member;	/* its entry in a join set, or NULL */
	union {
		struct weir__local *locals;
		void (*drop)(void *arg);	/* of a stackful task, until it has a fiber */
	};
	union {
		int32_t result;		/* when it is complete, or while UNWINDING */
		uint64_t woken_ns;	/* while STAMPED, see sched/sample.h */
	};
};

/* The home of a task that was not spawned on a worker and has not run. */
#define WEIR__TASK_NO_HOME UINT16_MAX

/* The offset of a stackless task's state in its block. */
#define WEIR__TASK_STATE_OFFSET ((sizeof(struct weir_task) + 15) / 16 * 16)

static inline void *weir__task_state(struct weir_task *task)
{
	return (char *)task + WEIR__TASK_STATE_OFFSET;
}

static inline struct weir_task *weir__task_of_link(struct weir__link *link)
{
	return WEIR_CONTAINER_OF(link, struct weir_task, link);
}

/*
 * Wakes a task: queues it unless it is queued or running. [a worker of its runtime, or a thread
 * that has called weir__outside_begin]
 */
void weir__task_wake(struct weir_task *task);
/* The same, by a waker with a reference. [any] */
void weir__task_wake_any(struct weir_task *task);

/* The parts of core/task/run.h that need not be inline. [worker] */
void weir__task_away(struct weir__worker *w, struct weir_task *task);
int weir__task_make_fiber(struct weir__worker *w, struct weir_task *task);
int weir__task_end_fiber(struct weir__worker *w, struct weir_task *task);
int weir__task_unwind(struct weir__worker *w, struct weir_task *task, int result);
void weir__task_complete(struct weir__worker *w, struct weir_task *task, int result);

/* The budget of a task without a limit. */
#define WEIR__BUDGET_NONE (INT_MAX / 2)

/*
 * Aborts a task while the caller holds a lock. If the task must be queued it goes to a chain,
 * which weir__task_queue_all queues when the lock is dropped, because that may wake a worker with
 * a system call. [any]
 */
void weir__task_abort_into(struct weir_task *task, struct weir__link **ready);
void weir__task_queue_all(struct weir__link *ready);

/* Aborts every live task of a slab that this worker owns; returns the chain. [owner] */
struct weir__link *weir__task_abort_all(struct weir__slab *slab);

/* Gives a handle up. w: the calling worker, of any runtime, or NULL. [joiner] */
void weir__task_detach(struct weir__worker *w, struct weir_task *task);

/* Calls the join waker of a complete task and drops it. core/task/join.c [worker] */
void weir__join_wake(struct weir_task *task);

/*
 * 0 on a fiber, where calls may wait. Elsewhere the error that waiting calls return, even when
 * they need not wait: -EPERM, or -ENXIO in a child that a task has forked. core/task/await.c [any]
 */
int weir__need_fiber(void);

/*
 * Awaits the future without cancelling it, even if the task was or is aborted. On a fiber. await.c
 */
int weir__await_shielded(struct weir_future *future);

/*
 * What weir_block_on sleeps on. A caller that must not fail later makes one first.
 * core/task/await.c
 */
struct weir__parker;
struct weir__parker *weir__parker_new(void);
void weir__parker_free(struct weir__parker *p);
int weir__parker_block_on(struct weir__parker *p, struct weir_future *future, uint64_t deadline);

/* Destroys the task-local values. core/task/local.c */
void weir__local_destroy(struct weir_task *task);

/* The task that polls. If a thread polls by hand: the task that blocks it in place, or NULL. */
static inline struct weir_task *weir__task_of_cx(const struct weir_cx *cx)
{
	return cx->task ? cx->task : weir_task_current();
}

/* True if the running task was asked to stop. */
static inline bool weir__task_is_cancelled(const struct weir_task *task)
{
	return weir__load(&task->state, WEIR_RELAXED) & TASK_CANCELLED;
}

#endif
