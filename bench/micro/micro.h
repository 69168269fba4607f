/* SPDX-License-Identifier: MIT */
/*
 * micro.h: the micro-benchmarks of peers/MICRO.md as batches. Two programs run them: weir-micro,
 * whose JSON lines are compared with the other runtimes' programs, and gbench.cc, under Google
 * Benchmark.
 *
 * Most batches have a driver, a task that the root of block_on spawns and joins; the others are a
 * function on the main thread (batch). Drivers and their children are stackless tasks, or fibers if
 * micro_fibers is set. A definition that polls futures by hand has no fiber form: its fn is NULL.
 *
 * Only one batch runs at a time, so the tasks of a batch share their data in static variables.
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
	uint64_t ops;			/* operations per batch */
	struct micro_body driver;	/* gets the def as fn's arg, or first in its state */
	int (*batch)(struct weir_rt *rt); /* instead of a driver */

	unsigned count;			/* children to spawn, if all are of one kind */
	struct micro_body child;
	void (*setup)(void);		/* called at the start of the batch; or NULL */
};

WEIR_BEGIN_DECLS

/* The tables of definitions, one per file. */
extern const struct micro_def micro_spawn_defs[], micro_sync_defs[], micro_mpsc_defs[],
	micro_select_defs[], micro_time_defs[], micro_steal_defs[];
extern const struct micro_def *const micro_tables[];	/* all of them; ends with NULL */

extern bool micro_fibers;		/* run bodies as fibers where they have that form */
extern bool micro_current;		/* the runtime has the current-thread scheduler */

/* Runs one batch. */
void micro_run(struct weir_rt *rt, const struct micro_def *def);

/* Spawns a body: a stackless task gets a copy of state (zeros if NULL), a fiber gets arg. */
int micro_spawn(struct weir_rt *rt, const struct micro_body *body, const void *state, void *arg,
		struct weir_task **ret_task);

/* Exits with a message if rc is an error. */
void micro_must(int rc, const char *what);

/* A driver that spawns def->child def->count times, and joins each child. */
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

/* Benchmarks that are not batches: each runs once and yields several figures. */
struct micro_timer_1m {
	double create_ns, cancel_ns, bytes;
};
struct micro_timer_fire {
	double cpu_ns, late_us[3];	/* p50, p99, max; huge if a task woke too early */
};
void micro_timer_1m(struct weir_rt *rt, struct micro_timer_1m *ret);
void micro_timer_fire(struct weir_rt *rt, struct micro_timer_fire *ret);
double micro_mem_tasks(struct weir_rt *rt, size_t tasks, bool sleeping);	/* bytes per task */

uint64_t micro_now_ns(void);		/* the monotonic clock of the system, not weir_now() */
uint64_t micro_cpu_ns(void);		/* CPU time of the whole process */

WEIR_END_DECLS

#endif
