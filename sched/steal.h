/* SPDX-License-Identifier: MIT */
/*
 * steal.h: where a worker looks for work when it has none: in the queues of the
 * other workers of its domain, nearest first, and in the inject queues of the
 * groups.
 */
#ifndef WEIR_SCHED_STEAL_H
#define WEIR_SCHED_STEAL_H

#include <stdbool.h>
#include <stdint.h>

struct weir_task;
struct worker;

/* Victims that are equally near, up to victims[end - 1]; a search begins at a random one. */
struct steal_run {
	uint16_t end;
	uint8_t tier;			/* enum weir_tier */
};

struct steal_order {
	uint16_t *victims;		/* the other workers of the domain, the nearest first */
	struct steal_run *runs;
	uint16_t len, runs_len;
	uint16_t near_runs;		/* how many runs, from the first on, are not remote */
	bool remote;			/* a victim or a group's queue is remote */
};

/* What a busy worker remembers of another group's queue, which it checks from time to time. */
struct steal_neglect {
	uint32_t taken;			/* inject_taken at the first check */
	uint16_t at;			/* index into the group's near */
	uint16_t looks;
};

/* steal_order.c: makes the order from the plan. 0 or -ENOMEM. [setup] */
int weir__steal_order_init(struct worker *w);
void weir__steal_order_fini(struct worker *w);

/* Searches for work, if not too many workers do. NULL: found nothing, or did not search. [owner] */
struct weir_task *weir__steal_work(struct worker *w);
/* A searcher has found work; the last searcher wakes the next worker. [owner] */
void weir__steal_end_search(struct worker *w);
/* True if any queue of the domain holds something that this worker could take. [owner] */
bool weir__steal_anything(struct worker *w);
/*
 * A busy worker checks another group's queue. If tasks have been there for a while and nobody took
 * any, it takes some. [owner]
 */
struct weir_task *weir__steal_neglected(struct worker *w);

#endif
