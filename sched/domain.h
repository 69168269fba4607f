/* SPDX-License-Identifier: MIT */
/*
 * domain.h: which workers share what. The plan (weir/topo.h) puts workers into
 * groups; weir_rt_config.steal puts groups into domains.
 *
 *	group	workers that share a cache: an inject queue, a word of sleepers
 *	domain	workers that steal from each other: all, those of a node, or those of a
 *		group; the idle protocol (sched/idle.h), the watch (sched/watch.h)
 *
 * A task that is ready in a domain runs there, and is announced only to the
 * domain's sleepers. It changes its domain only through its waker: a worker of
 * another domain, or a thread that is no worker and pushes to its nearest group.
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
	bool stealing;			/* it has several workers, and they steal */
};

struct group {
	struct inject inject;		/* tasks that other threads made ready */
	struct idle_group idle;		/* also lists the near groups of the domain */
	struct domain *domain;
	uint16_t node;
	/* how many of idle.near, from the first on, are on this node */
	uint16_t on_node;
};

static inline struct group *group_near(struct group *g, unsigned k)
{
	return WEIR_CONTAINER_OF(g->idle.near[k], struct group, idle);
}

/*
 * Makes groups and domains by the plan. 0 or -ENOMEM; weir__domains_fini frees them even then.
 * [setup]
 */
int weir__domains_init(struct runtime *rt);
void weir__domains_fini(struct runtime *rt);

/* The group of a worker. [setup] */
struct group *weir__domains_group_of(struct runtime *rt, unsigned worker);

/*
 * The group to which a thread that is no worker pushes ready tasks: the group of its CPU; if that
 * is unknown, the same group each time. [any]
 */
struct group *weir__domains_group_here(struct runtime *rt);

/* This thread was a worker of the group, and pushes to it from now on; NULL: not any longer. */
void weir__domains_stay_near(struct runtime *rt, struct group *group);

#endif
