/* SPDX-License-Identifier: MIT */
/*
 * worker.h: the mechanism's part of a worker: the poll context, the budget, the
 * drivers and the memory that belongs to it. Only the owning thread touches it,
 * except where a member says otherwise. sched/worker.h embeds it as its first
 * member.
 */
#ifndef WEIR_CORE_WORKER_H
#define WEIR_CORE_WORKER_H

#include "weir/future.h"
#include "weir/histogram.h"
#include "weir/metrics.h"
#include "weir/rt.h"
#include "core/atomic.h"
#include "core/context.h"
#include "core/driver.h"
#include "core/guard.h"
#include "core/inbox.h"
#include "core/rt.h"
#include "core/slab.h"
#include "core/fiber/stack.h"

struct weir_op;
struct weir__fiber;

/*
 * Tasks that yielded; they wait until the drivers have had their turn. The guard is for a sibling
 * that takes these tasks from a worker which is stuck in another task.
 */
struct weir__deferred {
	struct weir__guard guard;
	struct weir__link *first, *last;
	unsigned len;			/* atomic: the owner reads it without the guard */
};

/*
 * Clones of wakers that are not the polled task's own, for futures that yielded. They are called
 * when the poll is over: a wake during the poll would make the same future poll again at once.
 */
struct weir__late {
	struct weir_waker *wakers;
	unsigned len, room;
};

struct weir__worker {
	/* Hot: one poll touches these. */
	struct weir_cx cx;		/* .task is NULL between polls */
	int budget;			/* units left in this poll */
	bool yielded;			/* the task yields: it goes behind the drivers */
	uint16_t index;
	/* the op being submitted; if it completes at once it needs no wake */
	struct weir_op *submitting;
	struct weir__late late;
	struct weir__deferred deferred;
	struct weir_rt *rt;
	struct weir_worker_metrics metrics;	/* single writer; read by any */
	/* completions per poll of the drivers; NULL: not recorded */
	struct weir_histogram *batch;

	struct weir__driver driver;
	struct weir__inbox inbox;	/* [any]: see core/mailbox.h */
	/* The worker's load, for listeners that assign connections to workers; atomic, [any]. */
	uint32_t conns;			/* connections assigned to it and not closed */
	uint32_t conns_waiting;		/* those of them that it has not received yet */
	struct weir__slab slab;
	struct weir__stack_pool stacks;
};

/* Adds to a counter that only this worker writes, and that others may read. */
static inline void weir__count(uint64_t *counter, uint64_t n)
{
	weir__store(counter, *counter + n, WEIR_RELAXED);
}

/* For backends: n system calls were made on this worker's thread. w is NULL on other threads. */
static inline void weir__count_syscalls(struct weir__worker *w, uint64_t n)
{
	if (WEIR_LIKELY(w))
		weir__count(&w->metrics.syscalls, n);
}

/* For backends: one system call waited or polled for events; result: their number, or -errno. */
static inline void weir__count_wait(struct weir__worker *w, int result)
{
	if (WEIR_UNLIKELY(!w))
		return;
	weir__count(&w->metrics.syscalls, 1);
	weir__count(&w->metrics.waits, 1);
	if (result > 0)
		weir__count(&w->metrics.events, (uint64_t)result);
}

#endif
