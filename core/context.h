/* SPDX-License-Identifier: MIT */
/*
 * context.h: what the calling thread is doing for weir: which worker it is,
 * which runtime it has entered.
 *
 * A fiber may resume on another thread, so the address of this thread-local
 * must never live across a switch: weir__context is not inlined, and its result
 * is fetched again after every await.
 */
#ifndef WEIR_CORE_CONTEXT_H
#define WEIR_CORE_CONTEXT_H

#include "weir/base.h"

struct weir_rt;
struct weir_task;
struct weir__worker;

struct weir__context {
	struct weir__worker *worker;	/* NULL on other threads, and while blocking in place */
	struct weir_rt *rt;		/* the worker's runtime, or the one entered */
	/* in a child that a task has forked: the code here was that task, and no worker exists */
	bool forked;
	/* the task that blocks in place on this thread, off its worker; or NULL */
	struct weir_task *task;
	const struct weir_rt *part_of;	/* a runtime whose shutdown would wait for what runs here */
	/* for the scheduler: 1 + the index of the group that it pushes to; 0: none yet */
	uint16_t home;
};

/* This thread's context. [any] */
WEIR_NOINLINE struct weir__context *weir__context(void);

/* This thread's worker, or NULL. [any] */
WEIR_NOINLINE struct weir__worker *weir__worker_current(void);

#endif
