/* SPDX-License-Identifier: MIT */
/*
 * rt.h (core): what the mechanism knows of a runtime. The rest of it is policy:
 * sched/runtime.h embeds this as its first member.
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

/* What the mechanism asks of the policy. */
struct weir__sched_ops {
	/* Queue a task that a wake, a spawn or its own run has made ready. [any] */
	void (*schedule)(struct weir_task *task);
	/* Put a link into a worker's inbox and make sure that it looks; see core/mailbox.h. [any] */
	void (*post)(struct weir_rt *rt, unsigned worker, struct weir__link *tagged);
	/* Queue a blocking job; -EAGAIN when full, -ESHUTDOWN. [any] */
	int (*blocking_push)(struct weir_rt *rt, struct weir_blocking_future *job);
	/* Take back a job that has not started. [any] */
	bool (*blocking_remove)(struct weir_rt *rt, struct weir_blocking_future *job);
	/* Give the memory back that weir_rt_free has left for the wakers still held. [any] */
	void (*release)(struct weir_rt *rt);
	/* A worker's backend cannot wait for events, and why; 0: it can again. [owner] */
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
	struct weir_plan *plan;		/* where they go */
	struct weir__worker **worker;	/* by index */
	struct weir__lock foreign_lock;
	struct weir__slab foreign;	/* blocks of tasks spawned by other threads */
	uint64_t foreign_spawned;	/* written under foreign_lock; atomic */
	struct weir__lock signal_lock;
	struct weir_signal *signals;	/* listeners; under signal_lock */
	uint32_t signal_seen;		/* generation handed out last; atomic */
	struct weir_rt *live_next;	/* core/live.c's */
	unsigned signal_slot;		/* 1 + index in core/signals.c's table, 0 none */
	struct weir__outside outside;	/* off the lines that workers read */
};

/*
 * The runtimes of this process, from before their first thread until they are freed, and whether a
 * backend is an instance of one of them; it need not exist any more. For assertions. core/live.c [any]
 */
void weir__live_add(struct weir_rt *rt);
void weir__live_remove(struct weir_rt *rt);
bool weir__live_has(const struct weir_backend *be);

/* How often this process, since weir's first runtime, was forked off another. */
extern unsigned weir__fork_generation;

/* Whether it has forked, so that a child may have copies of what is open here. Atomic. */
extern bool weir__forked;

/* Whether it came here through fork: its threads did not. [any] */
static inline bool weir__rt_is_inherited(const struct weir_rt *rt)
{
	return rt->fork_generation != weir__fork_generation;
}

/* One hold less; see core/outside.h. [any] */
static inline void weir__rt_unhold(struct weir_rt *rt)
{
	if (weir__outside_unhold(&rt->outside))
		rt->sched->release(rt);
}

/* The owner number of blocks from rt->foreign. */
#define WEIR__SLAB_FOREIGN UINT16_MAX

#endif
