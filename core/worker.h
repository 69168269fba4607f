/* SPDX-License-Identifier: MIT */
/*
 * worker.h: the mechanism's half of a worker: the poll context, the budget, the
 * drivers and the memory that belongs to it. Only the owning thread touches it,
 * except where a member says otherwise. sched/worker.h embeds it first.
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
 * Tasks that yielded, until the drivers have had their turn. The guard is for the sibling that
 * takes them from a worker which is stuck in another task.
 */
struct weir__deferred {
	struct weir__guard guard;
	struct weir__link *first, *last;
	unsigned len;			/* atomic, for the owner's look without the guard */
};

/*
 * Clones of wakers that are not the polled task's own, and whose futures go behind the drivers:
 * called when the poll is over, for who calls them in it would poll the same future again.
 */
struct weir__late {
	struct weir_waker *wakers;
	unsigned len, room;
};

struct weir__worker {
	/* Hot: one poll touches these. */
	struct weir_cx cx;		/* .task is NULL between polls */
	int budget;			/* units left in this poll */
	bool yielded;			/* the task asked to go behind the driver */
	uint16_t index;
	struct weir_op *submitting;	/* its completion needs no wake */
	struct weir__late late;
	struct weir__deferred deferred;
	struct weir_rt *rt;
	struct weir_worker_metrics metrics;	/* single writer; read by any */
	struct weir_histogram *batch;	/* completions of a look at the drivers; NULL: not kept */

	struct weir__driver driver;
	struct weir__inbox inbox;	/* [any]: see core/mailbox.h */
	/* Its load, for who has a connection to give away; atomic, [any]. */
	uint32_t conns;			/* given to it, and not closed */
	uint32_t conns_waiting;		/* of them, those that it has not begun with */
	struct weir__slab slab;
	struct weir__stack_pool stacks;
};

/* Add to a counter that this worker alone writes, and that others may read. */
static inline void weir__count(uint64_t *counter, uint64_t n)
{
	weir__store(counter, *counter + n, WEIR_RELAXED);
}

/* For backends: so many system calls were made on this worker's thread; NULL: on no worker. */
static inline void weir__count_syscalls(struct weir__worker *w, uint64_t n)
{
	if (WEIR_LIKELY(w))
		weir__count(&w->metrics.syscalls, n);
}

/* One of them waited, or looked, for events; result: how many there were, or -errno. */
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
