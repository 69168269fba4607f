/* SPDX-License-Identifier: MIT */
/*
 * steal_order.c: cuts the plan's order of victims for one worker down to its domain,
 * and into runs of equally near ones. steal.c searches in that order.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/assert.h"
#include "sched/worker.h"
#include "weir/topo.h"

static unsigned tier_of(const struct weir_plan_worker *plan, unsigned k)
{
	unsigned tier = 0;

	while (tier < WEIR_TIER_REMOTE && k >= plan->tier_end[tier])
		tier++;
	return tier;
}

/* A run ends where the tier ends; in the remote tier also where the node ends. */
static bool begins_run(struct worker *w, unsigned tier, unsigned victim)
{
	const struct steal_order *order = &w->order;
	const struct weir_plan_worker *plan = w->rt->base.plan->workers;

	if (order->runs_len == 0 || order->runs[order->runs_len - 1].tier != tier)
		return true;
	return tier == WEIR_TIER_REMOTE &&
	       plan[order->victims[order->len - 1]].node != plan[victim].node;
}

int weir__steal_order_init(struct worker *w)
{
	const struct weir_plan_worker *plan = &w->rt->base.plan->workers[w->base.index];
	struct steal_order *order = &w->order;
	unsigned n = w->rt->base.workers, k, tier;

	order->victims = calloc(n, sizeof(*order->victims));
	order->runs = calloc(n, sizeof(*order->runs));
	if (!order->victims || !order->runs)
		return -ENOMEM;
	for (k = 0; k + 1 < n; k++) {
		if (weir__domains_group_of(w->rt, plan->steal[k])->domain != w->group->domain)
			continue;
		tier = tier_of(plan, k);
		if (begins_run(w, tier, plan->steal[k]))
			order->runs[order->runs_len++].tier = (uint8_t)tier;
		order->victims[order->len++] = plan->steal[k];
		order->runs[order->runs_len - 1].end = order->len;
		if (tier < WEIR_TIER_REMOTE)
			order->near_runs = order->runs_len;
	}
	WEIR_ASSERT(order->len + 1u == w->group->domain->workers);
	order->remote = order->near_runs < order->runs_len ||
			w->group->on_node < w->group->idle.near_len;
	return 0;
}

void weir__steal_order_fini(struct worker *w)
{
	free(w->order.victims);
	free(w->order.runs);
}
