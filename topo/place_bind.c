/* SPDX-License-Identifier: MIT */
/*
 * place_bind.c: over which CPUs each worker may move.
 *
 * A worker that may use its whole group can dodge an interrupt or a neighbour on one
 * CPU, and still finds its cache wherever it goes: that is the default. With fewer
 * workers than CPUs nothing says that this process is the only one, and several that
 * all bind themselves to the first CPUs would leave the rest idle: then the kernel
 * chooses. A quota is spent by whoever runs, so that a worker tied to one CPU gains
 * nothing, and loses whenever that CPU is another's.
 */
#include "topo/place.h"

static bool fewer_workers_than_cpus(const struct place *p)
{
	unsigned i, cpus = 0;

	for (i = 0; i < p->topo->cpus_len; i++)
		cpus += p->plan->out[i] == WEIR_CPU_USABLE || p->plan->out[i] == WEIR_CPU_SPARE;
	return p->plan->workers_len < cpus && p->plan->workers_len < PLACE_WORKERS_MAX;
}

static unsigned count_isolated(const struct place *p)
{
	unsigned i, n = 0;

	for (i = 0; i < p->plan->workers_len; i++)
		n += p->topo->cpus[p->plan->workers[i].cpu].isolated;
	return n;
}

static bool all_isolated(const struct place *p)
{
	return count_isolated(p) == p->plan->workers_len;
}

/* ---- the sets ---- */

static struct weir_cpuset cpus_with(const struct place *p, unsigned first_out, unsigned other_out,
				    int core)
{
	struct weir_cpuset set = { { 0 } };
	unsigned i;

	for (i = 0; i < p->topo->cpus_len; i++)
		if ((p->plan->out[i] == first_out || p->plan->out[i] == other_out) &&
		    (core < 0 || p->topo->cpus[i].core == core))
			weir_cpuset_add(&set, p->topo->cpus[i].os);
	return set;
}

static struct weir_cpuset usable_mask(const struct place *p)
{
	struct weir_cpuset set = { { 0 } };
	unsigned i;

	for (i = 0; i < p->topo->cpus_len; i++)
		if (p->topo->cpus[i].out == WEIR_CPU_USABLE)
			weir_cpuset_add(&set, p->topo->cpus[i].os);
	return set;
}

static struct weir_cpuset set_for(const struct place *p, const struct weir_plan_worker *w,
				  enum weir_bind bind)
{
	const struct weir_topo_cpu *cpu = &p->topo->cpus[w->cpu];
	struct weir_cpuset one = { { 0 } };

	switch (bind) {
	case WEIR_BIND_CPU:
		weir_cpuset_add(&one, cpu->os);
		return one;
	case WEIR_BIND_CORE:
		/* A sibling without a worker is there to be moved to. */
		return cpus_with(p, WEIR_CPU_USABLE, WEIR_CPU_SIBLING, cpu->core);
	case WEIR_BIND_GROUP:
		return p->plan->groups[w->group].cpus;
	default:
		return cpus_with(p, WEIR_CPU_USABLE, WEIR_CPU_SPARE, -1);
	}
}

static bool equal(const struct weir_cpuset *a, const struct weir_cpuset *b)
{
	unsigned i;

	for (i = 0; i < WEIR_CPUS_MAX / 64; i++)
		if (a->word[i] != b->word[i])
			return false;
	return true;
}

/* Where others are, isolated CPUs are no place to move to. */
static void take_out_isolated(const struct place *p, struct weir_cpuset *set)
{
	unsigned i, os;

	for (i = 0; i < p->topo->cpus_len; i++) {
		os = p->topo->cpus[i].os;
		if (p->topo->cpus[i].isolated)
			set->word[os / 64] &= ~((uint64_t)1 << os % 64);
	}
}

static void bind_worker(const struct place *p, struct weir_plan_worker *w)
{
	bool automatic = p->cfg.bind == WEIR_BIND_AUTO;

	/* Nothing balances isolated CPUs: on several of them a worker would stay on the first. */
	if (automatic && p->topo->cpus[w->cpu].isolated) {
		w->cpus = set_for(p, w, WEIR_BIND_CPU);
		return;
	}
	w->cpus = set_for(p, w, p->plan->bind);
	if (automatic)
		take_out_isolated(p, &w->cpus);
}

/* ---- the decision ---- */

static enum weir_bind choose(const struct place *p, bool few)
{
	if (p->cfg.bind != WEIR_BIND_AUTO)
		return p->cfg.bind;
	if (all_isolated(p))
		return WEIR_BIND_CPU;
	if (few)
		return WEIR_BIND_NONE;
	return p->cfg.threads_per_core == 1 ? WEIR_BIND_CORE : WEIR_BIND_GROUP;
}

static void say_bind(struct place *p, enum weir_bind wanted, bool few, unsigned bound)
{
	static const char *const to[] = {
		[WEIR_BIND_AUTO] = "",
		[WEIR_BIND_NONE] = "the CPUs that are used",
		[WEIR_BIND_GROUP] = "the CPUs of its group",
		[WEIR_BIND_CORE] = "its core",
		[WEIR_BIND_CPU] = "its CPU",
	};
	const char *because = "";

	if (p->cfg.bind == WEIR_BIND_AUTO && p->plan->bind == WEIR_BIND_NONE && few)
		because = ": for fewer workers than CPUs the kernel knows best which are free";
	else if (wanted != p->plan->bind)
		because = wanted > WEIR_BIND_GROUP ? ": with a quota a worker must be able to move"
						   : ": its group has all of them";
	else if (p->cfg.bind == WEIR_BIND_AUTO && !all_isolated(p) && count_isolated(p))
		because = ", or to its own where that is isolated";
	if (!bound)
		weir__place_say(p, "no worker is bound, each may run on every CPU%s", because);
	else
		weir__place_say(p, "%s worker%s bound to %s%s",
			  bound == p->plan->workers_len ? "each" : "some",
			  bound == p->plan->workers_len ? " is" : "s are", to[p->plan->bind],
			  because);
}

void weir__place_bind(struct place *p)
{
	struct weir_plan *plan = p->plan;
	struct weir_cpuset mask = usable_mask(p);
	bool few = fewer_workers_than_cpus(p), isolated = all_isolated(p);
	enum weir_bind wanted = choose(p, few);
	unsigned i, bound = 0;

	plan->bind = wanted;
	if (plan->throttled && wanted > WEIR_BIND_GROUP && !isolated)
		plan->bind = WEIR_BIND_GROUP;
	for (i = 0; i < plan->workers_len; i++) {
		bind_worker(p, &plan->workers[i]);
		plan->workers[i].bound = !equal(&plan->workers[i].cpus, &mask);
		bound += plan->workers[i].bound;
	}
	if (!bound && plan->bind != p->cfg.bind)
		plan->bind = WEIR_BIND_NONE;
	say_bind(p, wanted, few, bound);
}
