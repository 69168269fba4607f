/* SPDX-License-Identifier: MIT */
/*
 * domain.c: see domain.h. Makes groups and domains from the plan, and finds the
 * group of a thread that is no worker.
 */
#include "sched/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/context.h"
#include "topo/cpus.h"
#include "sched/runtime.h"
#include "weir/topo.h"

#define NO_GROUP UINT16_MAX

/* ---- groups and domains ---- */

/* Groups with the same key are in one domain. */
static unsigned domain_key(const struct runtime *rt, unsigned group)
{
	switch (rt->cfg.steal) {
	case WEIR_STEAL_ALL:
		return 0;
	case WEIR_STEAL_NODE:
		return rt->base.plan->groups[group].node;
	default:
		return group;
	}
}

static struct domain *domain_of(struct runtime *rt, unsigned group)
{
	unsigned k;

	for (k = 0; k < group; k++)
		if (domain_key(rt, k) == domain_key(rt, group))
			return rt->groups[k].domain;
	return &rt->domains[rt->domains_len++];
}

/* Takes the plan's near groups that are in the group's domain. */
static int find_near(struct runtime *rt, struct group *g, const struct weir_plan_group *plan)
{
	unsigned k;

	g->idle.near = calloc(rt->groups_len, sizeof(*g->idle.near));
	if (!g->idle.near)
		return -ENOMEM;
	for (k = 0; k < rt->groups_len; k++) {
		struct group *other = &rt->groups[plan->near[k]];

		if (other->domain != g->domain)
			continue;
		if (g->on_node == g->idle.near_len && other->node == g->node)
			g->on_node++;
		g->idle.near[g->idle.near_len++] = &other->idle;
	}
	WEIR_ASSERT(group_near(g, 0) == g);
	return 0;
}

/* Maps CPUs, by the kernel's number, to groups, for threads that are no workers. */
static int map_cpus(struct runtime *rt)
{
	unsigned cpu, k;

	rt->group_of_cpu = malloc(WEIR_CPUS_MAX * sizeof(*rt->group_of_cpu));
	if (!rt->group_of_cpu)
		return -ENOMEM;
	for (cpu = 0; cpu < WEIR_CPUS_MAX; cpu++) {
		rt->group_of_cpu[cpu] = NO_GROUP;
		for (k = rt->groups_len; k-- > 0;)
			if (weir_cpuset_has(&rt->base.plan->groups[k].cpus, cpu))
				rt->group_of_cpu[cpu] = (uint16_t)k;
	}
	return 0;
}

static void init_group(struct runtime *rt, unsigned k)
{
	const struct weir_plan_group *plan = &rt->base.plan->groups[k];
	struct group *g = &rt->groups[k];

	weir__inject_init(&g->inject);
	idle_group_init(&g->idle, plan->first, plan->workers);
	g->node = plan->node;
	g->domain = domain_of(rt, k);
	g->domain->workers += plan->workers;
}

static void init_domain(struct runtime *rt, struct domain *d)
{
	idle_init(&d->idle, d->workers);
	if (rt->cfg.searchers)
		d->idle.searchers = rt->cfg.searchers;
	d->stealing = d->workers > 1 && rt->cfg.steal != WEIR_STEAL_OFF;
}

static void *zeroed(size_t n, size_t bytes)
{
	void *p = aligned_alloc(64, n * bytes);

	WEIR_ASSERT(bytes % 64 == 0);
	return p ? memset(p, 0, n * bytes) : NULL;
}

int weir__domains_init(struct runtime *rt)
{
	const struct weir_plan *plan = rt->base.plan;
	unsigned k;
	int rc = 0;

	rt->groups = zeroed(plan->groups_len, sizeof(*rt->groups));
	rt->domains = zeroed(plan->groups_len, sizeof(*rt->domains));
	if (!rt->groups || !rt->domains)
		return -ENOMEM;
	rt->groups_len = plan->groups_len;
	for (k = 0; k < rt->groups_len; k++)
		init_group(rt, k);
	for (k = 0; k < rt->domains_len; k++)
		init_domain(rt, &rt->domains[k]);
	for (k = 0; k < rt->groups_len && rc == 0; k++)
		rc = find_near(rt, &rt->groups[k], &plan->groups[k]);
	if (rc == 0 && rt->groups_len > 1 && rt->here)
		rc = map_cpus(rt);
	return rc;
}

void weir__domains_fini(struct runtime *rt)
{
	unsigned k;

	for (k = 0; k < rt->groups_len; k++)
		free(rt->groups[k].idle.near);
	free(rt->groups);
	free(rt->domains);
	free(rt->group_of_cpu);
}

struct group *weir__domains_group_of(struct runtime *rt, unsigned worker)
{
	return &rt->groups[rt->base.plan->workers[worker].group];
}

/* ---- threads that are no workers ---- */

/* Gives threads their home groups in turn, so that many producers spread over all groups. */
static unsigned next_home(void)
{
	static uint32_t last;

	return weir__fetch_add(&last, 1u, WEIR_RELAXED) % UINT16_MAX;
}

struct group *weir__domains_group_here(struct runtime *rt)
{
	struct weir__context *c;
	int cpu;

	if (WEIR_LIKELY(rt->groups_len == 1))
		return rt->groups;
	c = weir__context();
	if (!c->home && rt->group_of_cpu) {
		cpu = weir__cpus_current();
		if (cpu >= 0 && cpu < (int)WEIR_CPUS_MAX && rt->group_of_cpu[cpu] != NO_GROUP)
			return &rt->groups[rt->group_of_cpu[cpu]];
	}
	if (!c->home)
		c->home = (uint16_t)(next_home() + 1);
	return &rt->groups[(c->home - 1u) % rt->groups_len];
}

void weir__domains_stay_near(struct runtime *rt, struct group *group)
{
	weir__context()->home = group ? (uint16_t)(group - rt->groups + 1) : 0;
}
