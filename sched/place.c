/* SPDX-License-Identifier: MIT */
/* place.c: from a topology to a plan: a pure function, so any machine can be tested on any other. */
#include <stdlib.h>

#include "core/assert.h"
#include "weir/topo.h"

const char *weir_place_policy_name(unsigned policy)
{
	static const char *const names[WEIR_PLACE_LEN] = {
		"performance",		"none",
		"first-usable-node",	"group-by-ccx",
		"group-by-2-ccx",	"group-by-3-ccx",
		"group-by-4-ccx",	"group-by-cluster",
		"group-by-2-cluster",	"group-by-3-cluster",
		"group-by-4-cluster",	"efficiency",
		"resource",
	};

	return policy < WEIR_PLACE_LEN ? names[policy] : NULL;
}

static int fill(struct weir_plan *plan, const struct weir_topo *topo)
{
	unsigned i, k, n = plan->workers_len;
	uint16_t cpu = 0;

	plan->workers = calloc(n, sizeof *plan->workers);
	plan->groups = calloc(1, sizeof *plan->groups);
	plan->out = calloc(topo->cpus_len, 1);
	if (!plan->workers || !plan->groups || !plan->out)
		return -ENOMEM;
	plan->groups_len = 1;
	plan->groups[0].workers = (uint16_t)n;
	plan->groups[0].near = calloc(1, sizeof *plan->groups[0].near);
	if (!plan->groups[0].near)
		return -ENOMEM;
	for (i = 0; i < topo->cpus_len; i++) {
		plan->out[i] = topo->cpus[i].out;
		if (topo->cpus[i].out == WEIR_CPU_USABLE)
			weir_cpuset_add(&plan->groups[0].cpus, topo->cpus[i].os);
	}
	for (i = 0; i < n; i++) {
		struct weir_plan_worker *w = &plan->workers[i];

		while (topo->cpus[cpu].out != WEIR_CPU_USABLE)
			cpu = (uint16_t)((cpu + 1) % topo->cpus_len);
		w->cpu = cpu;
		cpu = (uint16_t)((cpu + 1) % topo->cpus_len);
		weir_cpuset_add(&w->cpus, topo->cpus[w->cpu].os);
		w->bound = plan->bind == WEIR_BIND_CPU;
		w->steal = calloc(n, sizeof *w->steal);
		if (!w->steal)
			return -ENOMEM;
		for (k = 1; k < n; k++)
			w->steal[k - 1] = (uint16_t)((i + k) % n);
		for (k = WEIR_TIER_GROUP; k < WEIR_TIERS; k++)
			w->tier_end[k] = (uint16_t)(n - 1);
	}
	return 0;
}

int weir_plan_new(const struct weir_topo *topo, const struct weir_place_config *cfg,
		  struct weir_plan **ret_plan, struct weir_why *ret_why)
{
	struct weir_plan *plan;
	unsigned i, cpus = 0;
	int rc;

	(void)ret_why;
	if (!topo || !cfg || !ret_plan)
		return -EINVAL;
	plan = calloc(1, sizeof *plan);
	if (!plan)
		return -ENOMEM;
	for (i = 0; i < topo->cpus_len; i++)
		cpus += topo->cpus[i].out == WEIR_CPU_USABLE;
	plan->cpus_used = cpus;
	plan->throttled = topo->quota_milli && topo->quota_milli < cpus * 1000;
	plan->workers_len = cfg->workers      ? cfg->workers
			    : plan->throttled ? (topo->quota_milli + 999) / 1000
					      : cpus;
	plan->bind = cfg->bind == WEIR_BIND_AUTO ? WEIR_BIND_NONE : cfg->bind;
	rc = fill(plan, topo);
	if (rc < 0) {
		weir_plan_free(plan);
		return rc;
	}
	*ret_plan = plan;
	return 0;
}

void weir_plan_free(struct weir_plan *plan)
{
	unsigned i;

	if (!plan)
		return;
	for (i = 0; plan->workers && i < plan->workers_len; i++)
		free(plan->workers[i].steal);
	for (i = 0; plan->groups && i < plan->groups_len; i++)
		free(plan->groups[i].near);
	free(plan->workers);
	free(plan->groups);
	free(plan->out);
	free(plan);
}
