/* SPDX-License-Identifier: MIT */
/*
 * place.c: makes a plan from a topology, step by step (place.h). It is a pure
 * function that asks the system nothing, so any machine's plan can be tested on
 * any other machine.
 */
#include "topo/place.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/sized.h"

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

void weir__place_say(struct place *p, const char *fmt, ...)
{
	struct weir_plan *plan = p->plan;
	va_list ap;

	WEIR_ASSERT(plan->why_len < WEIR_PLAN_WHY_MAX);
	va_start(ap, fmt);
	vsnprintf(plan->why[plan->why_len++], sizeof plan->why[0], fmt, ap);
	va_end(ap);
}

/* Written without printf's %f, whose decimal point depends on the locale. */
void weir__place_print_quota(unsigned milli, char *buf, size_t len)
{
	unsigned rest = milli % 1000, digits = 3;

	for (; rest && rest % 10 == 0; digits--)
		rest /= 10;
	if (rest)
		snprintf(buf, len, "%u.%0*u", milli / 1000, (int)digits, rest);
	else
		snprintf(buf, len, "%u", milli / 1000);
}

int weir__place_refuse(struct place *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why->text, sizeof p->why->text, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

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

/* ---- sorting CPUs by nearness ---- */

static int compare_slots(const void *a, const void *b)
{
	const struct place_slot *x = a, *y = b;
	int by = x->node - y->node;

	by = by ? by : x->package - y->package;
	by = by ? by : x->l3 - y->l3;
	by = by ? by : x->slowness - y->slowness;
	by = by ? by : x->cluster - y->cluster;
	by = by ? by : x->core - y->core;
	by = by ? by : x->cpu - y->cpu;
	return by ? by : x->round - y->round;
}

bool weir__place_new_cluster(const struct place_slot *a, const struct place_slot *b)
{
	return a->node != b->node || a->l3 != b->l3 || a->slowness != b->slowness ||
	       a->cluster != b->cluster;
}

static void rank_in_cores(struct place_slot *slots, unsigned len)
{
	unsigned i;

	for (i = 1; i < len; i++)
		if (slots[i].core == slots[i - 1].core)
			slots[i].rank = (uint16_t)(slots[i - 1].rank +
						   (slots[i].cpu != slots[i - 1].cpu));
}

int weir__place_order(struct place *p, unsigned rounds)
{
	const struct weir_topo *topo = p->topo;
	unsigned i, round, n = 0;
	struct place_slot *slots = calloc((size_t)topo->cpus_len * rounds, sizeof *slots);

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < topo->cpus_len; i++) {
		const struct weir_topo_cpu *cpu = &topo->cpus[i];

		for (round = 0; round < rounds && p->plan->out[i] == WEIR_CPU_USABLE; round++)
			slots[n++] = (struct place_slot){
				.node = cpu->node,
				.package = cpu->package,
				.l3 = cpu->l3,
				.slowness = (uint16_t)(UINT8_MAX - cpu->kind),
				.cluster = cpu->cluster,
				.core = cpu->core,
				.cpu = (uint16_t)i,
				.round = (uint16_t)round,
			};
	}
	qsort(slots, n, sizeof *slots, compare_slots);
	rank_in_cores(slots, n);
	free(p->slots);
	p->slots = slots;
	p->slots_len = n;
	p->rounds = rounds;
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
