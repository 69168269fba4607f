/* SPDX-License-Identifier: MIT */
/*
 * task.h (core): the task, and what a worker does with one. The state word and
 * who may touch which field when is specified in core/task/state.h; the API is
 * include/weir/task.h.
 *
 * One block holds the header and a stackless task's state. A stackful task's
 * fiber is made when the task first runs, from the stacks of the worker that
 * runs it, and goes back to the worker that ends it. A worker that had no stack
 * the last time makes it in spawn, so that the spawn fails and not the task.
 *
 * The armed list holds the leaf futures that are pending; only whoever polls
 * the task (it holds RUNNING) touches it. When a stackless task is aborted, or
 * returns while leaves are still pending, it is unwound: every armed leaf is
 * cancelled and polled until the list is empty, then fini runs and the task is
 * complete. So no operation outlives its task.
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
	WEIR__TASK_STACKFUL = 1u << 2,
	WEIR__TASK_UNWINDING = 1u << 3,	/* leaves are being waited for; .result is decided */
	WEIR__TASK_STAMPED = 1u << 4,	/* .woken_ns says since when it has been ready */
	WEIR__TASK_TIMED = 1u << 5,	/* the poll that comes next is */
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
	struct weir__fiber *fiber;	/* NULL until it first runs, mostly */
	uint8_t flags;
	uint8_t size_class;
	uint16_t slab_owner;		/* worker whose slab the block is of; WEIR__SLAB_FOREIGN */
	uint16_t home;			/* see away_polls in weir/metrics.h; NO_HOME; atomic */
	uint8_t pinned_to;
	uint8_t locals_depth;		/* destructors that run in one another, see local.c */

	uint64_t id;
	const char *name;
	const struct weir_location *where;
	struct weir_waker join_waker;
	struct weir__member *member;	/* its place in a join set, or NULL */
	union {
		struct weir__local *locals;
		void (*drop)(void *arg);	/* stackful, until it has a fiber */
	};
	union {
		int32_t result;		/* from the end on, or while UNWINDING */
		uint64_t woken_ns;	/* while STAMPED, see sched/sample.h */
	};
};

/* It was spawned by no worker, and has not run. */
#define WEIR__TASK_NO_HOME UINT16_MAX

/* Where a stackless task's state begins. */
#define WEIR__TASK_STATE_OFFSET ((sizeof(struct weir_task) + 15) / 16 * 16)

static inline void *weir__task_state(struct weir_task *task)
{
	return (char *)task + WEIR__TASK_STATE_OFFSET;
}

static inline struct weir_task *weir__task_of_link(struct weir__link *link)
{
	return WEIR_CONTAINER_OF(link, struct weir_task, link);
}

/* Wake a task: queue it unless it is queued or running. [a worker of its runtime, or counted] */
void weir__task_wake(struct weir_task *task);
/* The same by a waker that is held. [any] */
void weir__task_wake_any(struct weir_task *task);

/* The pieces of core/task/run.h that need not be in line. [worker] */
void weir__task_away(struct weir__worker *w, struct weir_task *task);
int weir__task_make_fiber(struct weir__worker *w, struct weir_task *task);
int weir__task_end_fiber(struct weir__worker *w, struct weir_task *task);
int weir__task_unwind(struct weir__worker *w, struct weir_task *task, int result);
void weir__task_complete(struct weir__worker *w, struct weir_task *task, int result);

/* The budget of a task that has none. */
#define WEIR__BUDGET_NONE (INT_MAX / 2)

/*
 * Abort a task under a lock: one that has to be queued for it goes to a chain, and into its queue when
 * the lock is dropped, for that may wake a worker by a system call. [any]
 */
void weir__task_abort_into(struct weir_task *task, struct weir__link **ready);
void weir__task_queue_all(struct weir__link *ready);

/* The same with every live task of a slab that this worker owns; the chain. [owner] */
struct weir__link *weir__task_abort_all(struct weir__slab *slab);

/* Call the join waker of a complete task, and let go of it. core/task/join.c [worker] */
void weir__join_wake(struct weir_task *task);

/*
 * 0 on a fiber, where waiting calls can be made; else what one answers, also where it would not wait:
 * -EPERM, or -ENXIO in a child that a task has forked. core/task/await.c [any]
 */
int weir__need_fiber(void);

/* Await even when the task was or is aborted: the future is not cancelled. On a fiber. await.c */
int weir__await_shielded(struct weir_future *future);

/* What weir_block_on sleeps by, for one that cannot fail after it has begun. core/task/await.c */
struct weir__parker;
struct weir__parker *weir__parker_new(void);
void weir__parker_free(struct weir__parker *p);
int weir__parker_block_on(struct weir__parker *p, struct weir_future *future, uint64_t deadline);

/* Destroy the task-local values. core/task/local.c */
void weir__local_destroy(struct weir_task *task);

/* Who polls: the task; polled by hand, the one that blocks this thread in place, or NULL. */
static inline struct weir_task *weir__task_of_cx(const struct weir_cx *cx)
{
	return cx->task ? cx->task : weir_task_current();
}

/* How the running task is asked to stop. */
static inline bool weir__task_is_cancelled(const struct weir_task *task)
{
	return weir__load(&task->state, WEIR_RELAXED) & TASK_CANCELLED;
}

#endif
