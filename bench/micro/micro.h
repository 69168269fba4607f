/* SPDX-License-Identifier: MIT */
/*
 * micro.h: the micro-benchmarks of peers/MICRO.md as batches, for two harnesses: weir-micro (JSON
 * lines beside the other runtimes' programs) and gbench.cc (Google Benchmark).
 *
 * A batch's driver is a task, spawned and joined by the root of block_on; or it runs on the main
 * thread (batch). Drivers and their children are stackless, or fibers with micro_fibers; where a
 * definition needs a context by hand there is no fiber form, and fn is NULL.
 *
 * One batch runs at a time, so what a batch's tasks share is in static variables.
 */
#ifndef BENCH_MICRO_MICRO_H
#define BENCH_MICRO_MICRO_H

#include <stdio.h>
#include <stdlib.h>

#include "weir/weir.h"

struct micro_body {
	weir_poll_fn poll;
	size_t state_bytes;
	int (*fn)(void *arg);		/* NULL: no fiber form */
};

struct micro_def {
	const char *name;		/* NULL ends a table */
	uint64_t ops;			/* in a batch */
	struct micro_body driver;	/* its state begins with the def; fn is given the def */
	int (*batch)(struct weir_rt *rt); /* instead of a driver */

	unsigned count;			/* children, of those that spawn one kind */
	struct micro_body child;
	void (*setup)(void);		/* at the start of the batch; or NULL */
};

WEIR_BEGIN_DECLS

/* The tables, one per file. */
extern const struct micro_def micro_spawn_defs[], micro_sync_defs[], micro_mpsc_defs[],
	micro_select_defs[], micro_time_defs[], micro_steal_defs[];
extern const struct micro_def *const micro_tables[];	/* all of them; NULL ends */

extern bool micro_fibers;		/* bodies are fibers */
extern bool micro_current;		/* the scheduler is the current-thread one */

/* Run one batch. */
void micro_run(struct weir_rt *rt, const struct micro_def *def);

/* Spawn a body: a stackless one with a copy of state (NULL: zeros), a fiber with arg. */
int micro_spawn(struct weir_rt *rt, const struct micro_body *body, const void *state, void *arg,
		struct weir_task **ret_task);

/* Give up with a message unless rc is a success. */
void micro_must(int rc, const char *what);

/* The driver that spawns def->count children def->child and joins each. */
int micro_join_many_poll(void *state, struct weir_cx *cx);
int micro_join_many_fn(void *arg);
struct micro_join_many {
	const struct micro_def *def;
	struct weir_task **tasks;
	unsigned at;
	bool waiting;
	struct weir_join_future join;
};
#define MICRO_JOIN_MANY \
	{ micro_join_many_poll, sizeof(struct micro_join_many), micro_join_many_fn }

/* Figures that are no batch: one run, lines of their own. tasks: how many for mem_*. */
struct micro_timer_1m {
	double create_ns, cancel_ns, bytes;
};
struct micro_timer_fire {
	double cpu_ns, late_us[3];	/* p50, p99, max; an early one is huge */
};
void micro_timer_1m(struct weir_rt *rt, struct micro_timer_1m *ret);
void micro_timer_fire(struct weir_rt *rt, struct micro_timer_fire *ret);
double micro_mem_tasks(struct weir_rt *rt, size_t tasks, bool sleeping);

uint64_t micro_now_ns(void);		/* the system's monotonic clock, read anew */
uint64_t micro_cpu_ns(void);		/* of the whole process */

WEIR_END_DECLS

#endif
