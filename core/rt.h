/* SPDX-License-Identifier: MIT */
/*
 * rt.h (core): the part of a runtime that the mechanism knows. The rest is
 * policy: sched/runtime.h embeds this struct as its first member.
 */
#ifndef WEIR_CORE_RT_H
#define WEIR_CORE_RT_H

#include "weir/rt.h"
#include "core/lock.h"
#include "core/outside.h"
#include "core/slab.h"

struct weir_backend;
struct weir_blocking_future;
struct weir_plan;
struct weir_signal;
struct weir_task;
struct weir__worker;

/* What the mechanism asks of the scheduler. */
struct weir__sched_ops {
	/* Queue a task that a wake, a spawn or its own run has made ready. [any] */
	void (*schedule)(struct weir_task *task);
	/* Put a link into a worker's inbox and wake that worker; see core/mailbox.h. [any] */
	void (*post)(struct weir_rt *rt, unsigned worker, struct weir__link *tagged);
	/* Make a worker turn its drivers soon. [any] */
	void (*notify)(struct weir_rt *rt, unsigned worker);
	/* Queue a blocking job. 0; -EAGAIN when the queue is full; -ESHUTDOWN. [any] */
	int (*blocking_push)(struct weir_rt *rt, struct weir_blocking_future *job);
	/* Unlink a job that has not started; false if it has. [any] */
	bool (*blocking_remove)(struct weir_rt *rt, struct weir_blocking_future *job);
	/* Free the memory that weir_rt_free left because wakers were still held. [any] */
	void (*release)(struct weir_rt *rt);
	/* Report that a worker's backend cannot wait, and the errno; 0: it can again. [owner] */
	void (*io_failed)(struct weir__worker *w, int err);
};

struct weir_rt {
	const struct weir__sched_ops *sched;
	struct weir_clock *clock;	/* test clock, or NULL */
	int budget;
	bool no_time, no_signal;
	bool closed;			/* no new tasks; atomic */
	unsigned fork_generation;	/* weir__fork_generation when it was made */
	unsigned workers;
	struct weir_plan *plan;		/* where the workers go */
	struct weir__worker **worker;	/* by index */
	struct weir__lock foreign_lock;
	struct weir__slab foreign;	/* blocks of tasks spawned by other threads */
	uint64_t foreign_spawned;	/* written under foreign_lock; atomic */
	struct weir__lock signal_lock;
	struct weir_signal *signals;	/* listeners; under signal_lock */
	uint32_t signal_seen;		/* the generation delivered last; atomic */
	struct weir_rt *live_next;	/* link in the list of core/live.c */
	unsigned signal_slot;		/* 1 + index in core/signals.c's table, 0 none */
	struct weir__outside outside;	/* not on a cache line that workers read */
};

/*
 * The list of runtimes of this process. A runtime is in it from before its first thread starts
 * until it is freed. has: true if a backend is an instance of one of them; be may be dangling. For
 * assertions; in core/live.c. [any]
 */
void weir__live_add(struct weir_rt *rt);
void weir__live_remove(struct weir_rt *rt);
bool weir__live_has(const struct weir_backend *be);

/* The number of forks, counted from weir's first runtime, that led to this process. */
extern unsigned weir__fork_generation;

/* True if this process has forked, so that a child may share its descriptors. Atomic. */
extern bool weir__forked;

/* True if the runtime was inherited through fork: its threads do not exist here. [any] */
static inline bool weir__rt_is_inherited(const struct weir_rt *rt)
{
	return rt->fork_generation != weir__fork_generation;
}

/* Drops one reference; see core/outside.h. [any] */
static inline void weir__rt_unref(struct weir_rt *rt)
{
	if (weir__outside_unref(&rt->outside))
		rt->sched->release(rt);
}

/* The slab owner number of blocks from rt->foreign. */
#define WEIR__SLAB_FOREIGN UINT16_MAX

#endif
