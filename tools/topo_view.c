/* SPDX-License-Identifier: MIT */
/* topo_view.c: what every way to show a topology and a plan needs to know of them; see topo.h. */
#include "tools/topo.h"

#include <stdlib.h>
#include <string.h>

#include "tools/place_options.h"

const char *topo_bind_name(unsigned bind)
{
	return place_binds[bind];
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

static void add_cpu(const struct topo_view *view, struct topo_domain *domain, unsigned i)
{
	const struct weir_topo_cpu *cpu = &view->topo->cpus[i];

	domain->cores += !domain->len || cpu->core != view->topo->cpus[i - 1].core;
	domain->len++;
	domain->out[view->plan->out[i]]++;
}

static int find_domains(struct topo_view *view)
{
	const struct weir_topo *topo = view->topo;
	struct topo_domain *domain = NULL;

	view->domains = calloc(topo->cpus_len, sizeof(*view->domains));
	if (!view->domains)
		return -ENOMEM;
	for (unsigned i = 0; i < topo->cpus_len; i++) {
		const struct weir_topo_cpu *cpu = &topo->cpus[i];

		if (!domain || !is_in(domain, cpu)) {
			domain = &view->domains[view->domains_len++];
			*domain = (struct topo_domain){ .first = i,
							.package = cpu->package,
							.node = cpu->node,
							.l3 = cpu->l3,
							.in_order = true };
		}
		add_cpu(view, domain, i);
		if (cpu->thread >= view->threads_max)
			view->threads_max = cpu->thread + 1u;
	}
	for (unsigned i = 0; i < view->plan->workers_len; i++)
		for (unsigned d = 0; d < view->domains_len; d++)
			if (view->plan->workers[i].cpu - view->domains[d].first <
			    view->domains[d].len)
				add_worker(view, &view->domains[d], i);
	return 0;
}

int topo_view_init(struct topo_view *view, const struct weir_topo *topo,
		   const struct weir_plan *plan)
{
	*view = (struct topo_view){ .topo = topo, .plan = plan };
	return find_domains(view);
}

void topo_view_fini(struct topo_view *view)
{
	free(view->domains);
	view->domains = NULL;
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
	       topo->cpus[a->first].kind == topo->cpus[b->first].kind;
}
