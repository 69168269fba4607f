/* SPDX-License-Identifier: MIT */
/*
 * json.c: prints a topology and a plan as JSON. weir-topo(1) documents the names, which
 * must not change. Sets of CPUs, which are strings, use P#; indices use L#.
 */
#include <string.h>

#include "tools/common/json_out.h"
#include "tools/topo/topo.h"

#define SET_LEN 4096
#define WORKERS_MAX 256

static void put_set(struct json_out *j, const char *key, const struct weir_cpuset *set)
{
	char text[SET_LEN];

	weir_cpuset_print(set, text, sizeof(text));
	json_out_text(j, key, text);
}

static void put_indices(struct json_out *j, const char *key, const uint16_t *indices, unsigned len)
{
	double values[WEIR_CPUS_MAX];

	len = len < WEIR_CPUS_MAX ? len : WEIR_CPUS_MAX;
	for (unsigned i = 0; i < len; i++)
		values[i] = indices[i];
	json_out_numbers(j, key, values, len);
}

/* ---- the machine ---- */

static void put_machine(struct json_out *j, const struct topo_view *view)
{
	const struct weir_topo *topo = view->topo;

	json_out_open(j, "machine", '{');
	if (view->host) {
		json_out_text(j, "host", view->host->name);
		json_out_text(j, "guest", view->host->guest);
		json_out_number(j, "memory_bytes", (double)view->host->memory_bytes);
	}
	json_out_number(j, "packages", topo->packages);
	json_out_number(j, "nodes", topo->nodes_len);
	json_out_number(j, "l3s", topo->l3s_len);
	json_out_number(j, "clusters", topo->clusters);
	json_out_number(j, "cores", topo->cores);
	json_out_number(j, "cpus", topo->cpus_len);
	json_out_number(j, "kinds", topo->kinds);
	json_out_number(j, "threads_per_core", view->threads_max);
	json_out_close(j, '}');
}

static void put_usable(struct json_out *j, const struct topo_view *view)
{
	struct weir_cpuset set;

	json_out_open(j, "usable", '{');
	topo_cpus_usable(view, &set);
	put_set(j, "cpus", &set);
	json_out_number(j, "count", weir_cpuset_count(&set));
	topo_cpus_isolated(view, &set);
	put_set(j, "isolated", &set);
	if (view->topo->quota_milli)
		json_out_number(j, "quota", view->topo->quota_milli / 1000.0);
	json_out_text(j, "quota_file", view->topo->quota_file);
	json_out_close(j, '}');
}

static void put_pages(struct json_out *j, const struct topo_view *view, unsigned node)
{
	const struct topo_host *host = view->host;

	if (!host || !host->pages || !host->pages_len)
		return;
	json_out_open(j, "huge_pages", '[');
	for (unsigned i = 0; i < host->pages_len[node]; i++) {
		json_out_open_line(j, NULL, '{');
		json_out_number(j, "bytes", (double)host->pages[node][i].bytes);
		json_out_number(j, "total", (double)host->pages[node][i].total);
		json_out_number(j, "free", (double)host->pages[node][i].free);
		json_out_close_line(j, '}');
	}
	json_out_close(j, ']');
}

static void put_nodes(struct json_out *j, const struct topo_view *view)
{
	const struct weir_topo *topo = view->topo;

	json_out_open(j, "nodes", '[');
	for (unsigned i = 0; i < topo->nodes_len; i++) {
		json_out_open(j, NULL, '{');
		json_out_number(j, "os", topo->nodes[i].os);
		json_out_number(j, "memory_bytes", (double)topo->nodes[i].memory_bytes);
		if (topo->distances)
			put_indices(j, "distances", &topo->distances[i * topo->nodes_len],
				    topo->nodes_len);
		put_pages(j, view, i);
		json_out_close(j, '}');
	}
	json_out_close(j, ']');
	json_out_open(j, "l3s", '[');
	for (unsigned i = 0; i < topo->l3s_len; i++) {
		json_out_open_line(j, NULL, '{');
		json_out_number(j, "bytes", (double)topo->l3s[i].bytes);
		json_out_close_line(j, '}');
	}
	json_out_close(j, ']');
}

static void put_cpu(struct json_out *j, const struct topo_view *view, unsigned i)
{
	const struct weir_topo_cpu *cpu = &view->topo->cpus[i];
	uint16_t workers[WORKERS_MAX];
	unsigned len = 0;

	for (unsigned k = 0; k < view->plan->workers_len && len < WORKERS_MAX; k++)
		if (view->plan->workers[k].cpu == i)
			workers[len++] = (uint16_t)k;
	json_out_open_line(j, NULL, '{');
	json_out_number(j, "os", cpu->os);
	json_out_number(j, "logical", i);
	json_out_number(j, "core", cpu->core);
	json_out_number(j, "thread", cpu->thread);
	json_out_number(j, "cluster", cpu->cluster);
	json_out_number(j, "l3", cpu->l3);
	json_out_number(j, "node", cpu->node);
	json_out_number(j, "package", cpu->package);
	json_out_number(j, "kind", cpu->kind);
	json_out_number(j, "capacity", cpu->capacity);
	json_out_bool(j, "isolated", cpu->isolated);
	put_indices(j, "workers", workers, len);
	json_out_text(j, "out", weir_cpu_out_text(view->plan->out[i]));
	json_out_close_line(j, '}');
}

/* ---- the plan ---- */

static void put_worker(struct json_out *j, const struct weir_plan *plan, unsigned i)
{
	static const char *const tiers[WEIR_TIERS] = { "smt", "group", "node", "remote" };
	const struct weir_plan_worker *worker = &plan->workers[i];
	unsigned begin = 0;

	json_out_open(j, NULL, '{');
	json_out_number(j, "group", worker->group);
	json_out_number(j, "cpu", worker->cpu);
	json_out_number(j, "node", worker->node);
	json_out_bool(j, "bound", worker->bound);
	put_set(j, "cpus", &worker->cpus);
	json_out_open(j, "steal", '{');
	for (unsigned t = 0; t < WEIR_TIERS; t++) {
		put_indices(j, tiers[t], worker->steal + begin, worker->tier_end[t] - begin);
		begin = worker->tier_end[t];
	}
	json_out_close(j, '}');
	json_out_close(j, '}');
}

static void put_group(struct json_out *j, const struct weir_plan *plan, unsigned i)
{
	const struct weir_plan_group *group = &plan->groups[i];

	json_out_open(j, NULL, '{');
	json_out_number(j, "first", group->first);
	json_out_number(j, "workers", group->workers);
	json_out_number(j, "node", group->node);
	put_set(j, "cpus", &group->cpus);
	put_indices(j, "near", group->near, plan->groups_len);
	json_out_close(j, '}');
}

static void put_plan(struct json_out *j, const char *key, const struct weir_plan *plan)
{
	json_out_open(j, key, '{');
	json_out_text(j, "policy", weir_place_policy_name(plan->policy));
	json_out_text(j, "bind", topo_bind_name(plan->bind));
	json_out_number(j, "nodes_used", plan->nodes_used);
	json_out_number(j, "cpus_used", plan->cpus_used);
	json_out_bool(j, "throttled", plan->throttled);
	json_out_open(j, "why", '[');
	for (unsigned i = 0; i < plan->why_len; i++)
		json_out_text(j, NULL, plan->why[i]);
	json_out_close(j, ']');
	json_out_open(j, "groups", '[');
	for (unsigned i = 0; i < plan->groups_len; i++)
		put_group(j, plan, i);
	json_out_close(j, ']');
	json_out_open(j, "workers", '[');
	for (unsigned i = 0; i < plan->workers_len; i++)
		put_worker(j, plan, i);
	json_out_close(j, ']');
	json_out_close(j, '}');
}

/* ---- network cards ---- */

static void put_irq(struct json_out *j, const struct nic_irq *irq)
{
	static const char *const uses[] = { "other", "rx", "tx", "both" };

	json_out_open_line(j, NULL, '{');
	json_out_number(j, "irq", irq->interrupt.number);
	json_out_text(j, "name", irq->interrupt.name);
	json_out_text(j, "use", uses[irq->use]);
	if (irq->use)
		json_out_number(j, "queue", irq->queue);
	put_set(j, "allowed", &irq->allowed);
	put_set(j, "effective", &irq->effective);
	json_out_number(j, "count", (double)irq->interrupt.count);
	json_out_close_line(j, '}');
}

static void put_nics(struct json_out *j, const struct nics *nics)
{
	json_out_open(j, "nics", '[');
	for (unsigned i = 0; i < nics->len; i++) {
		const struct nic *nic = &nics->list[i];

		json_out_open(j, NULL, '{');
		json_out_text(j, "name", nic->name);
		json_out_text(j, "driver", nic->driver);
		if (nic->node >= 0)
			json_out_number(j, "node", nic->node);
		json_out_number(j, "rx_queues", nic->rx);
		json_out_number(j, "tx_queues", nic->tx);
		put_set(j, "rps", &nic->rps);
		put_set(j, "xps", &nic->xps);
		json_out_open(j, "irqs", '[');
		for (unsigned k = 0; k < nic->irqs_len; k++)
			put_irq(j, &nic->irqs[k]);
		json_out_close(j, ']');
		json_out_close(j, '}');
	}
	json_out_close(j, ']');
}

void topo_print_json(const struct topo_view *view, FILE *out)
{
	struct json_out j = JSON_OUT_INIT(out);

	json_out_open(&j, NULL, '{');
	json_out_text(&j, "weir", weir_version());
	json_out_text(&j, "source", view->topo->source);
	json_out_bool(&j, "here", view->topo->here);
	json_out_bool(&j, "flat", view->topo->flat);
	put_machine(&j, view);
	put_usable(&j, view);
	put_nodes(&j, view);
	json_out_open(&j, "cpus", '[');
	for (unsigned i = 0; i < view->topo->cpus_len; i++)
		put_cpu(&j, view, i);
	json_out_close(&j, ']');
	put_plan(&j, "plan", view->plan);
	if (view->now)
		put_plan(&j, "now", view->now);
	if (view->host)
		put_nics(&j, &view->host->nics);
	json_out_close(&j, '}');
	fputc('\n', out);
}
