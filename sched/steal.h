/* SPDX-License-Identifier: MIT */
/*
 * steal.h: where a worker looks for work when it has none: at the victims of its
 * domain, the nearest first, and in the inject queues of its groups.
 */
#ifndef WEIR_SCHED_STEAL_H
#define WEIR_SCHED_STEAL_H

#include <stdbool.h>
#include <stdint.h>

struct weir_task;
struct worker;

/* Victims that are equally near, up to victims[end - 1]: a search begins at any of them. */
struct steal_run {
	uint16_t end;
	uint8_t tier;			/* enum weir_tier */
};

struct steal_order {
	uint16_t *victims;		/* the other workers of the domain, the nearest first */
	struct steal_run *runs;
	uint16_t len, runs_len;
	uint16_t near_runs;		/* the first runs: those that are not remote */
	bool remote;			/* something is: a victim, or a group's queue */
};

/* What a busy worker knows of the queue of another group, which it looks at from time to time. */
struct steal_neglect {
	uint32_t taken;			/* at the first look */
	uint16_t at;			/* index into the group's near */
	uint16_t looks;
};

/* By the plan. 0 or -ENOMEM. [setup] */
int weir__steal_order_init(struct worker *w);
void weir__steal_order_fini(struct worker *w);

/* Search, if not too many do already. NULL: nothing found, or not asked to. [owner] */
struct weir_task *weir__steal_work(struct worker *w);
/* A searcher has work: the last one wakes the next. [owner] */
void weir__steal_end_search(struct worker *w);
/* Whether any queue of the domain holds something that this worker could take. [owner] */
bool weir__steal_anything(struct worker *w);
/*
 * A busy worker's look into the queue of another group: what has been there for a while, and
 * nobody took anything meanwhile, is taken here. [owner]
 */
struct weir_task *weir__steal_neglected(struct worker *w);

#endif
