/* SPDX-License-Identifier: MIT */
/*
 * domain.h: who shares what with whom. The plan (weir/topo.h) puts workers into
 * groups; weir_rt_config.steal puts groups into domains.
 *
 *	group	workers that share a cache: an inject queue, a word of sleepers
 *	domain	workers that steal from each other: all, those of a node, those of a group;
 *		the idle protocol (sched/idle.h), the watch (sched/watch.h)
 *
 * What is ready in a domain is run there, and announced to its sleepers only. A task
 * changes domains in one way: whoever wakes it is on a worker of another one, or is no
 * worker and pushes to the group that is near.
 */
#ifndef WEIR_SCHED_DOMAIN_H
#define WEIR_SCHED_DOMAIN_H

#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/watch_state.h"

struct runtime;

struct domain {
	struct idle idle;
	struct watch watch;
	unsigned workers;
	bool stealing;			/* it has several workers, which steal */
};

struct group {
	struct inject inject;		/* what other threads made ready */
	struct idle_group idle;		/* also says which groups of the domain are near */
	struct domain *domain;
	uint16_t node;
	uint16_t on_node;		/* so many of idle.near, the first ones, are on this node */
};

static inline struct group *group_near(struct group *g, unsigned k)
{
	return WEIR_CONTAINER_OF(g->idle.near[k], struct group, idle);
}

/* Make them by the plan. 0 or -ENOMEM; weir__domains_fini frees what there is all the same. [setup] */
int weir__domains_init(struct runtime *rt);
void weir__domains_fini(struct runtime *rt);

/* The group of a worker. [setup] */
struct group *weir__domains_group_of(struct runtime *rt, unsigned worker);

/*
 * Where a thread that is no worker puts what it makes ready: to the group of the CPU that it
 * runs on; where that says nothing, to the same one each time. [any]
 */
struct group *weir__domains_group_here(struct runtime *rt);

/* This thread was a worker of the group, and what it makes ready goes there; NULL: no more. */
void weir__domains_stay_near(struct runtime *rt, struct group *group);

#endif
