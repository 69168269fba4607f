/* SPDX-License-Identifier: MIT */
/* view.c: derived data about a topology and a plan that all output formats use; see topo.h. */
#include "tools/topo/topo.h"

#include <stdlib.h>
#include <string.h>

#include "tools/common/place_options.h"

const char *topo_bind_name(unsigned bind)
{
	return place_binds[bind];
}

const char *topo_describe_binding(const struct weir_plan *plan)
{
	static const char *const to[] = {
		[WEIR_BIND_AUTO] = "",
		[WEIR_BIND_NONE] = "bound to the CPUs in use",
		[WEIR_BIND_GROUP] = "bound to the CPUs of their group",
		[WEIR_BIND_CORE] = "each bound to a core",
		[WEIR_BIND_CPU] = "each bound to a CPU",
	};
	unsigned i = 0;

	while (i < plan->workers_len && !plan->workers[i].bound)
		i++;
	return i < plan->workers_len ? to[plan->bind] : "not bound";
}

void topo_describe_quota(unsigned milli, char *buf, size_t len)
{
	if (milli)
		snprintf(buf, len, "quota %.7g CPUs", milli / 1000.0);
	else
		snprintf(buf, len, "no quota");
}

static const char *plural(unsigned count)
{
	return count == 1 ? "" : "s";
}

void topo_describe_machine(const struct topo_view *view, char *buf, size_t len)
{
	const struct weir_topo *topo = view->topo;
	char smt[32] = "no SMT", kinds[32] = "";

	if (view->threads_max > 1)
		snprintf(smt, sizeof(smt), "SMT %u", view->threads_max);
	if (topo->kinds > 1)
		snprintf(kinds, sizeof(kinds), " of %u kinds", topo->kinds);
	snprintf(buf, len, "%u package%s, %u node%s, %u L3%s, %u core%s%s, %u CPU%s, %s",
		 topo->packages, plural(topo->packages), topo->nodes_len, plural(topo->nodes_len),
		 topo->l3s_len, plural(topo->l3s_len), topo->cores, plural(topo->cores), kinds,
		 topo->cpus_len, plural(topo->cpus_len), smt);
}

/* ---- CPUs ---- */

unsigned topo_workers_on(const struct topo_view *view, unsigned cpu, unsigned *ret_worker)
{
	unsigned count = 0;

	for (unsigned i = 0; i < view->plan->workers_len; i++) {
		if (view->plan->workers[i].cpu != cpu)
			continue;
		if (!count++)
			*ret_worker = i;
	}
	return count;
}

void topo_cpus_out(const struct topo_view *view, unsigned out, struct weir_cpuset *ret_set)
{
	memset(ret_set, 0, sizeof(*ret_set));
	for (unsigned i = 0; i < view->topo->cpus_len; i++)
		if (view->plan->out[i] == out)
			weir_cpuset_add(ret_set, view->topo->cpus[i].os);
}

void topo_cpus_usable(const struct topo_view *view, struct weir_cpuset *ret_set)
{
	memset(ret_set, 0, sizeof(*ret_set));
	for (unsigned i = 0; i < view->topo->cpus_len; i++)
		if (view->topo->cpus[i].out == WEIR_CPU_USABLE)
			weir_cpuset_add(ret_set, view->topo->cpus[i].os);
}

static struct weir_cpuset worker_cpus(const struct weir_topo *topo, const struct weir_plan *plan)
{
	struct weir_cpuset set = { { 0 } };

	for (unsigned i = 0; i < plan->workers_len; i++)
		weir_cpuset_add(&set, topo->cpus[plan->workers[i].cpu].os);
	return set;
}

void topo_cpus_changed(const struct topo_view *view, struct weir_cpuset *ret_gained,
		       struct weir_cpuset *ret_lost)
{
	struct weir_cpuset now = worker_cpus(view->topo, view->now);
	struct weir_cpuset then = worker_cpus(view->topo, view->plan);

	for (size_t i = 0; i < sizeof(now.word) / sizeof(now.word[0]); i++) {
		ret_gained->word[i] = then.word[i] & ~now.word[i];
		ret_lost->word[i] = now.word[i] & ~then.word[i];
	}
}

void topo_cpus_isolated(const struct topo_view *view, struct weir_cpuset *ret_set)
{
	memset(ret_set, 0, sizeof(*ret_set));
	for (unsigned i = 0; i < view->topo->cpus_len; i++)
		if (view->topo->cpus[i].isolated)
			weir_cpuset_add(ret_set, view->topo->cpus[i].os);
}

/* ---- domains ---- */

static bool is_in(const struct topo_domain *domain, const struct weir_topo_cpu *cpu)
{
	return domain->package == cpu->package && domain->node == cpu->node &&
	       domain->l3 == cpu->l3;
}

static void add_worker(const struct topo_view *view, struct topo_domain *domain, unsigned worker)
{
	unsigned group = view->plan->workers[worker].group;

	if (!domain->workers) {
		domain->worker_first = worker;
		domain->group_first = group;
	} else {
		domain->in_order &= worker == domain->worker_first + domain->workers;
	}
	domain->workers++;
	if (group >= domain->group_first + domain->groups)
		domain->groups = group - domain->group_first + 1;
}

static bool is_known(const struct topo_view *view, const struct weir_topo_cpu *cpu)
{
	for (unsigned d = 0; d < view->domains_len; d++)
		if (is_in(&view->domains[d], cpu))
			return true;
	return false;
}

/* Add the domain that begins with this CPU, and all of its CPUs. */
static void add_domain(struct topo_view *view, unsigned begin, unsigned *order_len)
{
	const struct weir_topo_cpu *first = &view->topo->cpus[begin], *cpu, *previous = NULL;
	struct topo_domain *domain = &view->domains[view->domains_len++];

	*domain = (struct topo_domain){ .first = *order_len,
					.package = first->package,
					.node = first->node,
					.l3 = first->l3,
					.in_order = true };
	for (unsigned i = begin; i < view->topo->cpus_len; i++) {
		cpu = &view->topo->cpus[i];
		if (!is_in(domain, cpu))
			continue;
		domain->cores += !previous || cpu->core != previous->core;
		domain->out[view->plan->out[i]]++;
		domain->len++;
		view->order[(*order_len)++] = (uint16_t)i;
		previous = cpu;
	}
}

static int find_domains(struct topo_view *view)
{
	const struct weir_topo *topo = view->topo;
	unsigned order_len = 0;

	view->domains = calloc(topo->cpus_len, sizeof(*view->domains));
	view->order = calloc(topo->cpus_len, sizeof(*view->order));
	if (!view->domains || !view->order)
		return -ENOMEM;
	for (unsigned i = 0; i < topo->cpus_len; i++) {
		if (!is_known(view, &topo->cpus[i]))
			add_domain(view, i, &order_len);
		if (topo->cpus[i].thread >= view->threads_max)
			view->threads_max = topo->cpus[i].thread + 1u;
	}
	for (unsigned i = 0; i < view->plan->workers_len; i++)
		for (unsigned d = 0; d < view->domains_len; d++)
			if (is_in(&view->domains[d], &topo->cpus[view->plan->workers[i].cpu]))
				add_worker(view, &view->domains[d], i);
	return 0;
}

int topo_view_init(struct topo_view *view, const struct weir_topo *topo,
		   const struct weir_plan *plan)
{
	int rc;

	*view = (struct topo_view){ .topo = topo, .plan = plan };
	rc = find_domains(view);
	if (rc < 0)
		topo_view_fini(view);
	return rc;
}

void topo_view_fini(struct topo_view *view)
{
	free(view->domains);
	free(view->order);
	view->domains = NULL;
	view->order = NULL;
}

bool topo_domains_alike(const struct topo_view *view, const struct topo_domain *a,
			const struct topo_domain *b)
{
	const struct weir_topo *topo = view->topo;

	return a->package == b->package && a->node == b->node && b->l3 == a->l3 + 1 &&
	       a->len == b->len && a->cores == b->cores && a->workers == b->workers &&
	       a->groups == b->groups && a->in_order && b->in_order &&
	       (!a->workers || (b->worker_first == a->worker_first + a->workers &&
				b->group_first - a->group_first <= a->groups)) &&
	       memcmp(a->out, b->out, sizeof(a->out)) == 0 &&
	       topo->l3s[a->l3].bytes == topo->l3s[b->l3].bytes &&
	       topo->cpus[view->order[a->first]].kind ==
		       topo->cpus[view->order[b->first]].kind;
}
