/* SPDX-License-Identifier: MIT */
/*
 * memory.c: the memory of a runtime: chooses the NUMA node on which each worker's is
 * placed, if any, and frees what a stopped runtime still has.
 *
 * Memory is placed if the machine has several nodes and the thread is bound to
 * CPUs of one node, so that it stays near its memory. For other threads the
 * kernel decides; it moves pages to threads as long as no policy is set. The
 * kernel also decides if the process was started with a memory policy of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "core/node.h"
#include "core/slab.h"
#include "sched/worker.h"
#include "weir/topo.h"

static bool stays_on_its_node(const struct weir_plan_worker *w, const struct weir_topo *topo)
{
	for (unsigned i = 0; i < topo->cpus_len; i++)
		if (weir_cpuset_has(&w->cpus, topo->cpus[i].os) && topo->cpus[i].node != w->node)
			return false;
	return w->bound;
}

static bool any_stays(const struct weir_plan *plan, const struct weir_topo *topo)
{
	for (unsigned i = 0; i < plan->workers_len; i++)
		if (stays_on_its_node(&plan->workers[i], topo))
			return true;
	return false;
}

/*
 * Workers of one node are adjacent in a plan, so each node is tried once. Only the first refusal
 * is noted.
 */
static void choose_nodes(struct runtime *rt, const struct weir_topo *topo)
{
	int tried = -1, rc = 0;
	bool noted = false;

	for (unsigned i = 0; i < rt->cfg.workers; i++) {
		const struct weir_plan_worker *w = &rt->base.plan->workers[i];
		int node = topo->nodes[w->node].os;

		if (!stays_on_its_node(w, topo))
			continue;
		if (node != tried)
			rc = weir__node_check(node);
		tried = node;
		if (rc == 0) {
			rt->node[i] = node;
		} else if (!noted) {
			weir__runtime_note(rt,
					   "memory is not placed on node %d: the kernel says %s",
					   node, strerror(-rc));
			noted = true;
		}
	}
}

int weir__runtime_place_memory(struct runtime *rt, const struct weir_topo *topo)
{
	rt->node = malloc(rt->cfg.workers * sizeof *rt->node);
	if (!rt->node)
		return weir__runtime_refuse(-ENOMEM, "out of memory for %u workers",
					    rt->cfg.workers);
	for (unsigned i = 0; i < rt->cfg.workers; i++)
		rt->node[i] = -1;
	if (!topo->here || topo->nodes_len < 2 || rt->cfg.sched == WEIR_SCHED_CURRENT)
		return 0;
	if (!any_stays(rt->base.plan, topo))
		return 0;
	if (weir__os_node_has_policy())
		weir__runtime_note(rt,
				   "memory is not placed: the process has a memory policy already");
	else
		choose_nodes(rt, topo);
	return 0;
}

/* ---- freeing ---- */

void weir__workers_free(struct runtime *rt)
{
	for (unsigned i = 0; rt->base.worker && i < rt->base.workers; i++) {
		if (rt->base.worker[i])
			weir__worker_free(worker_at(rt, i));
		rt->base.worker[i] = NULL;
	}
}

void weir__runtime_free_memory(struct weir_rt *base)
{
	struct runtime *rt = runtime_of(base);

	weir__workers_free(rt);
	weir__slab_fini(&base->foreign);
	free(base->worker);
	free(rt->node);
	free(rt);
}
