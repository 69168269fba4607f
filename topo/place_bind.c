/* SPDX-License-Identifier: MIT */
/*
 * place_bind.c: chooses the CPUs that each worker may run on.
 *
 * By default a worker may run on all CPUs of its group. It can avoid an interrupt
 * or a neighbour on one CPU, and still finds its data in the shared cache. With
 * fewer workers than CPUs other processes may be there, too. If several of them
 * bound themselves to the first CPUs, the rest would be idle, so the kernel
 * chooses. With a quota a worker gains nothing from a CPU of its own, and loses
 * whenever another process runs there.
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
		/* A sibling without a worker is a CPU that the worker can move to. */
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

/* Workers that may move must not move to isolated CPUs. */
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

	/*
	 * The kernel does not balance isolated CPUs: a worker with several would stay on the
	 * first.
	 */
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

static void say_bind(struct place *p, enum weir_bind chosen, bool few, unsigned bound)
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
		because = ": with fewer workers than CPUs, the kernel chooses free ones";
	else if (chosen != p->plan->bind)
		because = chosen > WEIR_BIND_GROUP
				  ? ": with a quota, a worker must be able to change CPUs"
				  : ": its group has all CPUs";
	else if (p->cfg.bind == WEIR_BIND_AUTO && !all_isolated(p) && count_isolated(p))
		because = ", or to its own CPU if that is isolated";
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
	enum weir_bind chosen = choose(p, few);
	unsigned i, bound = 0;

	plan->bind = chosen;
	if (plan->throttled && chosen > WEIR_BIND_GROUP && !isolated)
		plan->bind = WEIR_BIND_GROUP;
	for (i = 0; i < plan->workers_len; i++) {
		bind_worker(p, &plan->workers[i]);
		plan->workers[i].bound = !equal(&plan->workers[i].cpus, &mask);
		bound += plan->workers[i].bound;
	}
	if (!bound && plan->bind != p->cfg.bind)
		plan->bind = WEIR_BIND_NONE;
	say_bind(p, chosen, few, bound);
}
