/* SPDX-License-Identifier: MIT */
/*
 * place.c: makes a plan from a topology, step by step (place.h). It is a pure
 * function that asks the system nothing, so any machine's plan can be tested on
 * any other machine.
 */
#include "topo/place.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/sized.h"

/* ---- checking the input ---- */

static int check_config(struct place *p)
{
	struct weir_place_config *cfg = &p->cfg;

	if ((unsigned)cfg->policy >= WEIR_PLACE_LEN)
		return weir__place_refuse(p, "policy %u is out of range: 0 to %u",
					  (unsigned)cfg->policy, WEIR_PLACE_LEN - 1);
	if ((unsigned)cfg->bind > WEIR_BIND_CPU)
		return weir__place_refuse(p, "bind %u is out of range: 0 to %u",
					  (unsigned)cfg->bind, WEIR_BIND_CPU);
	if (cfg->workers > PLACE_WORKERS_MAX)
		return weir__place_refuse(
			p, "workers %u is out of range: 1 to %u, or 0 for the default",
			cfg->workers, PLACE_WORKERS_MAX);
	if (cfg->group_workers > 64)
		return weir__place_refuse(
			p, "group_workers %u is out of range: 1 to 64, or 0 for the default",
			cfg->group_workers);
	cfg->group_workers = cfg->group_workers ? cfg->group_workers : 16;
	return 0;
}

/* A topology may be made by hand, so everything used as an index here is checked. */
static int check_topo(struct place *p)
{
	const struct weir_topo *topo = p->topo;
	unsigned i;

	if (!topo->cpus_len || topo->cpus_len > WEIR_CPUS_MAX || !topo->nodes_len)
		return weir__place_refuse(
			p,
			"the topology has %u CPUs and %u nodes; expected 1 to %u CPUs and at least "
			"1 node",
			topo->cpus_len, topo->nodes_len, WEIR_CPUS_MAX);
	for (i = 0; i < topo->cpus_len; i++) {
		if (topo->cpus[i].os >= WEIR_CPUS_MAX || topo->cpus[i].node >= topo->nodes_len)
			return weir__place_refuse(
				p,
				"CPU L#%u of the topology is P#%u on node %u; expected P# below %u "
				"and node below %u",
				i, topo->cpus[i].os, topo->cpus[i].node, WEIR_CPUS_MAX,
				topo->nodes_len);
		p->usable += topo->cpus[i].out == WEIR_CPU_USABLE;
	}
	return 0;
}

/* ---- the steps ---- */

static int walk(struct place *p)
{
	struct weir_plan *plan = p->plan;
	unsigned i;
	int rc;

	plan->policy = p->cfg.policy;
	plan->out = calloc(p->topo->cpus_len, 1);
	if (!plan->out)
		return -ENOMEM;
	for (i = 0; i < p->topo->cpus_len; i++)
		plan->out[i] = p->topo->cpus[i].out;
	if ((rc = weir__place_set_apply(p)) < 0 || (rc = weir__place_policy_apply(p)) < 0 ||
	    (rc = weir__place_groups(p)) < 0)
		return rc;
	weir__place_bind(p);
	return weir__place_steal(p);
}

int weir_plan_new(const struct weir_topo *topo, const struct weir_place_config *cfg,
		  struct weir_plan **ret_plan, struct weir_why *ret_why)
{
	struct weir_why unused;
	struct place p = { .topo = topo,
			   .cfg = WEIR_PLACE_CONFIG_INIT,
			   .why = ret_why ? ret_why : &unused };
	int rc;

	snprintf(p.why->text, sizeof p.why->text,
		 "expected a topology, a configuration and a pointer for "
		 "the plan");
	if (!topo || !cfg || !ret_plan)
		return -EINVAL;
	rc = weir__sized_read(&p.cfg, cfg);
	if (rc < 0) {
		weir__sized_why(cfg, rc, "WEIR_PLACE_CONFIG_INIT", p.why->text, sizeof p.why->text);
		return rc;
	}
	if ((rc = check_config(&p)) < 0 || (rc = check_topo(&p)) < 0)
		return rc;
	p.plan = calloc(1, sizeof *p.plan);
	rc = p.plan ? walk(&p) : -ENOMEM;
	free(p.slots);
	if (rc == -ENOMEM)
		snprintf(p.why->text, sizeof p.why->text, "out of memory for a plan");
	if (rc < 0) {
		weir_plan_free(p.plan);
		return rc;
	}
	p.why->text[0] = '\0';
	*ret_plan = p.plan;
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
