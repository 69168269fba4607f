/* SPDX-License-Identifier: MIT */
/*
 * text.c: prints a topology and a plan as text, 80 columns wide: the machine, the usable
 * CPUs, the workers, then the CPUs of each node. On a large machine, identical L3 domains
 * are combined into one entry.
 */
#include <stdarg.h>
#include <string.h>

#include "tools/common/quantity.h"
#include "tools/common/text.h"
#include "tools/topo/topo.h"

/* A machine with more CPUs than this is folded, unless --all is given. */
#define CPUS_LISTED 32
#define IRQS_LISTED 8
#define SET_LEN 1024

static const char *plural(unsigned count)
{
	return count == 1 ? "" : "s";
}

static const char *print_set(const struct weir_cpuset *set, char *buf)
{
	return weir_cpuset_print(set, buf, SET_LEN) ? buf : "none";
}

/* "3", or "3-7" */
static const char *range(unsigned first, unsigned count, char *buf, size_t len)
{
	if (count == 1)
		snprintf(buf, len, "%u", first);
	else
		snprintf(buf, len, "%u-%u", first, first + count - 1);
	return buf;
}

static const char *bytes(uint64_t value, char *buf, size_t len)
{
	quantity_format(QUANTITY_BYTES, (double)value, 3, buf, len);
	return buf;
}

/* Caches have round sizes, so two digits are enough. */
static const char *cache_bytes(uint64_t value, char *buf, size_t len)
{
	quantity_format(QUANTITY_BYTES, (double)value, 2, buf, len);
	return buf;
}

/* ---- the head ---- */

static void print_machine(const struct topo_view *view, FILE *out)
{
	const struct topo_host *host = view->host;
	char machine[160];

	topo_describe_machine(view, machine, sizeof(machine));
	text_entry(out, "machine", "%s%s%s%s%s", host ? host->name : "", host ? ": " : "", machine,
		   host && *host->guest ? "; " : "", host ? host->guest : "");
	text_entry(out, "source", "%s", view->topo->source);
}

static void print_usable(const struct topo_view *view, FILE *out)
{
	const char *file = view->topo->quota_milli ? view->topo->quota_file : "";
	char cpus[SET_LEN], isolated[SET_LEN], quota[32];
	struct weir_cpuset usable, apart;

	topo_cpus_usable(view, &usable);
	topo_cpus_isolated(view, &apart);
	topo_describe_quota(view->topo->quota_milli, quota, sizeof(quota));
	text_entry(out, "usable", "%u of %u CPUs: %s; %s%s%s%s; isolated: %s",
		   weir_cpuset_count(&usable), view->topo->cpus_len, print_set(&usable, cpus),
		   quota, *file ? " (" : "", file, *file ? ")" : "", print_set(&apart, isolated));
}

static void print_workers(const struct weir_plan *plan, const char *label, FILE *out)
{
	text_entry(out, label, "%u in %u group%s; policy %s; %s%s", plan->workers_len,
		   plan->groups_len, plural(plan->groups_len), weir_place_policy_name(plan->policy),
		   topo_describe_binding(plan),
		   plan->throttled ? "; throttled by a quota, so no busy polling" : "");
}

/* ---- --what-if ---- */

static void print_change(const struct topo_view *view, FILE *out)
{
	struct weir_cpuset more, less;
	char gained[SET_LEN], lost[SET_LEN];

	if (!view->now)
		return;
	topo_cpus_changed(view, &more, &less);
	print_workers(view->now, "now", out);
	text_entry(out, "change", "CPUs that get a worker: %s; that lose it: %s",
		   print_set(&more, gained), print_set(&less, lost));
}

/* ---- the tree ---- */

static void print_head_of_columns(const struct topo_view *view, FILE *out)
{
	fprintf(out, "%18s %5s %5s  %6s %5s  %sbound to\n", "", "P#", "L#", "worker", "group",
		view->topo->kinds > 1 ? "speed   " : "");
}

static void print_speed(const struct weir_topo_cpu *cpu, FILE *out)
{
	if (cpu->capacity)
		fprintf(out, "%4u %%  ", (cpu->capacity * 100u + 512) / 1024);
	else
		fprintf(out, "kind %-2u ", cpu->kind);
}

/* begins: whether it is the first CPU of its core. */
static void print_cpu(const struct topo_view *view, unsigned i, bool begins, FILE *out)
{
	const struct weir_topo_cpu *cpu = &view->topo->cpus[i];
	unsigned worker = 0, count = topo_workers_on(view, i, &worker);
	char label[24] = "", set[SET_LEN + 32] = "-", number[8] = "-", group[8] = "-";
	const struct weir_plan_worker *first = &view->plan->workers[worker];
	const char *last = set;

	if (begins)
		snprintf(label, sizeof(label), "core %u", cpu->core);
	if (count) {
		snprintf(number, sizeof(number), "%u", worker);
		snprintf(group, sizeof(group), "%u", first->group);
		if (first->bound)
			print_set(&first->cpus, set);
		if (count > 1)
			snprintf(set + strlen(set), 32, " (and %u more)", count - 1);
	} else if (view->plan->out[i] != WEIR_CPU_USABLE) {
		last = weir_cpu_out_text(view->plan->out[i]);
	} else {
		last = "no worker is counted on it";
	}
	fprintf(out, "    %-14s %5u %5u  %6s %5s  ", label, cpu->os, i, number, group);
	if (view->topo->kinds > 1)
		print_speed(cpu, out);
	text_rest(out, view->topo->kinds > 1 ? 54 : 46, last);
}

static void print_cpus(const struct topo_view *view, const struct topo_domain *domain, FILE *out)
{
	const uint16_t *order = &view->order[domain->first];
	const struct weir_topo_cpu *cpus = view->topo->cpus;

	for (unsigned i = 0; i < domain->len; i++)
		print_cpu(view, order[i],
			  i == 0 || cpus[order[i]].core != cpus[order[i - 1]].core, out);
}

static void print_l3_name(const struct topo_view *view, const struct topo_domain *domain,
			  unsigned count, FILE *out)
{
	uint64_t size = view->topo->l3s[domain->l3].bytes;
	char numbers[32], amount[QUANTITY_LEN];

	fprintf(out, "  L3 %s", range(domain->l3, count, numbers, sizeof(numbers)));
	if (size)
		fprintf(out, "  %s%s", cache_bytes(size, amount, sizeof(amount)),
			count > 1 ? " each" : "");
	fprintf(out, ", %u core%s, %u CPU%s%s\n", domain->cores, plural(domain->cores), domain->len,
		plural(domain->len), count > 1 ? " each" : "");
}

/* Why CPUs of a domain have no worker. */
static void print_reasons(const struct topo_view *view, const struct topo_domain *domain,
			  const char *each, FILE *out)
{
	unsigned spare = domain->out[WEIR_CPU_USABLE];

	if (spare > domain->workers && !view->plan->throttled)
		text_item(out, 6, "%u CPUs%s without a worker of their own",
			  spare - domain->workers, each);
	for (unsigned why = 1; why < WEIR_CPU_OUT_LEN; why++)
		if (domain->out[why])
			text_item(out, 6, "%u CPU%s%s left out: %s", domain->out[why],
				  plural(domain->out[why]), each, weir_cpu_out_text(why));
}

/* Print a number of identical domains as one entry. */
static void print_folded(const struct topo_view *view, const struct topo_domain *domain,
			 unsigned count, FILE *out)
{
	const struct topo_domain *last = domain + count - 1;
	const char *each = count > 1 ? " each" : "";
	struct weir_cpuset set = { { 0 } };
	char cpus[SET_LEN], workers[32], groups[32], share[32];
	unsigned groups_len = last->group_first + last->groups - domain->group_first;

	for (unsigned i = domain->first; i < last->first + last->len; i++)
		weir_cpuset_add(&set, view->topo->cpus[view->order[i]].os);
	snprintf(share, sizeof(share), ", %u each", domain->workers);
	print_l3_name(view, domain, count, out);
	text_item(out, 6, "P# %s", print_set(&set, cpus));
	if (domain->workers)
		text_item(out, 6, "worker%s %s in group%s %s%s",
			  plural(domain->workers * count),
			  range(domain->worker_first, domain->workers * count, workers,
				sizeof(workers)),
			  plural(groups_len),
			  range(domain->group_first, groups_len, groups, sizeof(groups)),
			  count > 1 ? share : "");
	print_reasons(view, domain, each, out);
}

static void print_pages(const struct topo_view *view, unsigned node, FILE *out)
{
	const struct topo_host *host = view->host;
	char size[QUANTITY_LEN];

	if (!host || !host->pages || !host->pages_len)
		return;
	for (unsigned i = 0; i < host->pages_len[node]; i++)
		if (host->pages[node][i].total)
			fprintf(out, ", %s pages: %llu of %llu free",
				bytes(host->pages[node][i].bytes, size, sizeof(size)),
				(unsigned long long)host->pages[node][i].free,
				(unsigned long long)host->pages[node][i].total);
}

/* fresh: this is a new node, and not only another package of the previous one. */
static void print_node(const struct topo_view *view, const struct topo_domain *domain, bool fresh,
		       FILE *out)
{
	const struct weir_topo_node *node = &view->topo->nodes[domain->node];
	char amount[QUANTITY_LEN] = "memory unknown";

	if (node->memory_bytes)
		bytes(node->memory_bytes, amount, sizeof(amount));
	fputc('\n', out);
	if (view->topo->packages > 1)
		fprintf(out, "package %u, ", domain->package);
	fprintf(out, "node %u", node->os);
	if (fresh) {
		fprintf(out, "  %s", amount);
		print_pages(view, domain->node, out);
	}
	fputc('\n', out);
}

/* The nodes' memory and MemTotal come from different files and may disagree. */
static void print_memory_mismatch(const struct topo_view *view, FILE *out)
{
	uint64_t total = 0, mine = view->host ? view->host->memory_bytes : 0;
	char nodes[QUANTITY_LEN], machine[QUANTITY_LEN];

	for (unsigned i = 0; i < view->topo->nodes_len; i++)
		total += view->topo->nodes[i].memory_bytes;
	if (!total || !mine || (total < mine + mine / 8 && mine < total + total / 8))
		return;
	text_entry(out, "memory", "the nodes have %s, but MemTotal is %s",
		   bytes(total, nodes, sizeof(nodes)), bytes(mine, machine, sizeof(machine)));
}

static unsigned alike_from(const struct topo_view *view, unsigned first)
{
	unsigned count = 1;

	while (first + count < view->domains_len &&
	       topo_domains_alike(view, &view->domains[first + count - 1],
				  &view->domains[first + count]))
		count++;
	return count;
}

static void print_tree(const struct topo_view *view, FILE *out)
{
	bool listed = view->all || view->topo->cpus_len <= CPUS_LISTED;
	const struct topo_domain *previous = NULL, *domain;

	for (unsigned i = 0, count; i < view->domains_len; i += count, previous = domain) {
		domain = &view->domains[i];
		count = listed ? 1 : alike_from(view, i);
		if (!previous || previous->node != domain->node ||
		    previous->package != domain->package)
			print_node(view, domain, !previous || previous->node != domain->node,
				   out);
		if (!listed) {
			print_folded(view, domain, count, out);
			continue;
		}
		print_l3_name(view, domain, 1, out);
		print_head_of_columns(view, out);
		print_cpus(view, domain, out);
	}
	if (!listed)
		fputs("\n(--all lists every CPU)\n", out);
}

static void print_distances(const struct topo_view *view, FILE *out)
{
	const struct weir_topo *topo = view->topo;

	if (!topo->distances || topo->nodes_len < 2)
		return;
	fputs("\ndistances", out);
	for (unsigned i = 0; i < topo->nodes_len; i++)
		fprintf(out, " %4u", topo->nodes[i].os);
	for (unsigned i = 0; i < topo->nodes_len; i++) {
		fprintf(out, "\n  node %2u", topo->nodes[i].os);
		for (unsigned k = 0; k < topo->nodes_len; k++)
			fprintf(out, " %4u", topo->distances[i * topo->nodes_len + k]);
	}
	fputc('\n', out);
}

/* ---- network cards ---- */

static bool meet(const struct weir_cpuset *a, const struct weir_cpuset *b)
{
	for (size_t i = 0; i < sizeof(a->word) / sizeof(a->word[0]); i++)
		if (a->word[i] & b->word[i])
			return true;
	return false;
}

/* The groups whose CPUs handle an interrupt: "0,2", or "-". */
static void groups_of(const struct topo_view *view, const struct weir_cpuset *cpus, char *buf)
{
	struct weir_cpuset groups = { { 0 } };

	for (unsigned i = 0; i < view->plan->groups_len; i++)
		if (meet(&view->plan->groups[i].cpus, cpus))
			weir_cpuset_add(&groups, i);
	snprintf(buf, SET_LEN, "-");
	if (weir_cpuset_count(&groups))
		print_set(&groups, buf);
}

static void print_irq(const struct topo_view *view, const struct nic_irq *irq, FILE *out)
{
	static const char *const uses[] = { "-", "rx", "tx", "rx+tx" };
	bool known = weir_cpuset_count(&irq->effective) > 0;
	char use[24], allowed[SET_LEN], effective[SET_LEN] = "?", groups[SET_LEN];

	snprintf(use, sizeof(use), irq->use ? "%s %u" : "%s", uses[irq->use], irq->queue);
	if (known)
		print_set(&irq->effective, effective);
	groups_of(view, known ? &irq->effective : &irq->allowed, groups);
	fprintf(out, "  %-9s %5u  %-20s %-16s %-8s %s\n", use, irq->interrupt.number,
		irq->interrupt.name, print_set(&irq->allowed, allowed), effective, groups);
}

static void print_nic(const struct topo_view *view, const struct nic *nic, FILE *out)
{
	unsigned listed = view->all || nic->irqs_len <= IRQS_LISTED ? nic->irqs_len : IRQS_LISTED;
	char node[32] = "node unknown", rps[SET_LEN] = "off", xps[SET_LEN] = "off";

	if (nic->node >= 0)
		snprintf(node, sizeof(node), "node %d", nic->node);
	if (nic->rps_queues)
		print_set(&nic->rps, rps);
	if (nic->xps_queues)
		print_set(&nic->xps, xps);
	fputc('\n', out);
	text_entry(out, "nic", "%s: %s, %u rx and %u tx queue%s, %s, RPS %s, XPS %s", nic->name,
		   *nic->driver ? nic->driver : "driver unknown", nic->rx, nic->tx,
		   plural(nic->tx), node, rps, xps);
	if (nic->irqs_len)
		fprintf(out, "  %-9s %5s  %-20s %-16s %-8s %s\n", "queue", "irq", "name",
			"may run on", "runs on", "group");
	else
		fputs("  its interrupts are not visible here\n", out);
	for (unsigned i = 0; i < listed; i++)
		print_irq(view, &nic->irqs[i], out);
	if (listed < nic->irqs_len)
		fprintf(out, "  and %u more (--all)\n", nic->irqs_len - listed);
}

/* ---- the end ---- */

static void print_left_out(const struct topo_view *view, FILE *out)
{
	struct weir_cpuset set;
	char cpus[SET_LEN];
	bool any = false;

	for (unsigned why = 1; why < WEIR_CPU_OUT_LEN; why++) {
		topo_cpus_out(view, why, &set);
		if (!weir_cpuset_count(&set))
			continue;
		if (!any)
			fputs("\nleft out\n", out);
		any = true;
		text_item(out, 2, "P# %s: %s", print_set(&set, cpus), weir_cpu_out_text(why));
	}
}

static void print_why(const struct topo_view *view, FILE *out)
{
	if (view->plan->why_len)
		fputs("\nwhy\n", out);
	for (unsigned i = 0; i < view->plan->why_len; i++)
		text_item(out, 2, "%s", view->plan->why[i]);
}

/* The network cards of another machine: only their nodes are known. */
static void print_nic_places(const struct weir_topo *topo, FILE *out)
{
	if (topo->nics_len)
		fputs("\nnetwork cards\n", out);
	for (unsigned i = 0; i < topo->nics_len; i++)
		if (topo->nics[i].node >= 0)
			text_item(out, 2, "%s: node %u", topo->nics[i].name,
				  topo->nodes[topo->nics[i].node].os);
		else
			text_item(out, 2, "%s: node unknown", topo->nics[i].name);
}

void topo_print_text(const struct topo_view *view, FILE *out)
{
	print_machine(view, out);
	print_usable(view, out);
	print_memory_mismatch(view, out);
	print_workers(view->plan, view->now ? "then" : "workers", out);
	print_change(view, out);
	print_tree(view, out);
	print_distances(view, out);
	for (unsigned i = 0; view->host && i < view->host->nics.len; i++)
		print_nic(view, &view->host->nics.list[i], out);
	if (!view->host)
		print_nic_places(view->topo, out);
	print_left_out(view, out);
	print_why(view, out);
}
