/* SPDX-License-Identifier: MIT */
/*
 * place_group.c: how many workers, in which groups, on which CPUs.
 *
 * The slots are sorted by nearness. Each domain (an L3, several L3s, or clusters)
 * is cut evenly into groups of at most group_workers slots, without splitting
 * cores. Then workers take slots: first one on each core, then the siblings, then
 * the next round. If there are fewer workers than cores, they take as few groups
 * as have enough cores, in equal shares, because a listener also deals out
 * connections to the groups in equal shares. Groups without a worker are dropped.
 */
#include "topo/place.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/assert.h"

static unsigned up(unsigned n, unsigned by)
{
	return (n + by - 1) / by;
}

/* ---- how many ---- */

static void count_workers(struct place *p)
{
	unsigned cpus = p->slots_len, quota = p->topo->quota_milli, asked = p->cfg.workers;
	unsigned most = cpus < PLACE_WORKERS_MAX ? cpus : PLACE_WORKERS_MAX;
	struct weir_plan *plan = p->plan;
	char text[24];

	plan->throttled = quota && quota < cpus * 1000;
	plan->workers_len = asked					? asked
			    : plan->throttled && up(quota, 1000) < most ? up(quota, 1000)
									: most;
	weir__place_print_quota(quota, text, sizeof text);
	if (asked && plan->throttled)
		weir__place_say(p, "workers: %u, as asked for; the quota is %s CPUs", asked, text);
	else if (asked > cpus)
		weir__place_say(p, "workers: %u, as asked for, sharing %u CPU%s", asked,
				cpus, cpus == 1 ? "" : "s");
	else if (asked)
		weir__place_say(p, "workers: %u, as asked for, on %u CPU%s", asked, cpus,
				cpus == 1 ? "" : "s");
	else if (plan->throttled)
		weir__place_say(p, "a quota of %s CPUs: %u worker%s", text, plan->workers_len,
				plan->workers_len == 1 ? "" : "s");
	else if (cpus > most)
		weir__place_say(p, "%u CPUs, but %u workers are the most that a runtime can have",
				cpus, most);
	else
		weir__place_say(p, "%u CPU%s, so %u worker%s", cpus, cpus == 1 ? "" : "s", most,
				most == 1 ? "" : "s");
}

/* ---- domains and groups ---- */

static unsigned unit_end(const struct place *p, unsigned at, unsigned end, bool whole_cores)
{
	unsigned core = p->slots[at].core;

	for (at++; whole_cores && at < end && p->slots[at].core == core; at++)
		;
	return at;
}

static unsigned largest_core(const struct place *p, unsigned first, unsigned end)
{
	unsigned at, next, most = 1;

	for (at = first; at < end; at = next) {
		next = unit_end(p, at, end, true);
		most = next - at > most ? next - at : most;
	}
	return most;
}

/*
 * Cuts the first of parts groups of equal size, from at on, without splitting cores if
 * whole_cores. Returns where it ends.
 */
static unsigned cut_group(struct place *p, unsigned at, unsigned end, unsigned parts,
			  bool whole_cores)
{
	unsigned all = end - at, next, size = 0, len;

	do {
		next = unit_end(p, at, end, whole_cores);
		len = next - at;
		/* The group is full, or its size is nearer to all / parts without the next core. */
		if (size &&
		    (size + len > p->cfg.group_workers || (2 * size + len) * parts > 2 * all))
			break;
		size += len;
		for (; at < next; at++)
			p->slots[at].group = (uint16_t)p->plan->groups_len;
	} while (at < end);
	p->plan->groups_len++;
	return at;
}

/* Cores are not split unless one alone is larger than a group. */
static void cut_domain(struct place *p, unsigned at, unsigned end)
{
	unsigned limit = p->cfg.group_workers, core = largest_core(p, at, end);
	bool whole_cores = core <= limit;
	unsigned parts = up(end - at, whole_cores ? limit - limit % core : limit);

	for (; at<end; parts -= parts> 1)
		at = cut_group(p, at, end, parts, whole_cores);
}

static bool new_piece(const struct place_grouping *by, const struct place_slot *a,
		      const struct place_slot *b)
{
	return by->clusters ? weir__place_new_cluster(a, b) : a->node != b->node || a->l3 != b->l3;
}

static void say_groups(struct place *p, const struct place_grouping *by, unsigned pieces,
		       unsigned domains)
{
	unsigned groups = p->plan->groups_len;
	const char *name = by->clusters ? "cluster" : "L3 domain";
	char how[80] = "";

	if (by->count == 1 && !by->clusters && pieces > p->topo->l3s_len)
		snprintf(how, sizeof how, " (an L3 counts once for each of its nodes)");
	if (by->count > 1)
		snprintf(how, sizeof how, ", up to %u to a group", by->count);
	if (by->count == 0)
		weir__place_say(p, "policy none: all CPUs in %u group%s of at most %u workers",
				groups, groups == 1 ? "" : "s", p->cfg.group_workers);
	else if (groups > domains)
		weir__place_say(p, "%u %s%s%s, cut into %u groups of at most %u workers", pieces,
				name, pieces == 1 ? "" : "s", how, groups, p->cfg.group_workers);
	else
		weir__place_say(p, "%u %s%s%s, so %u group%s", pieces, name, pieces == 1 ? "" : "s",
				how, groups, groups == 1 ? "" : "s");
}

static void cut(struct place *p)
{
	struct place_grouping by = weir__place_grouping_of(p->cfg.policy);
	unsigned i, first = 0, pieces = 1, domains = 1, in_domain = 1;

	for (i = 1; by.count && i < p->slots_len; i++) {
		const struct place_slot *a = &p->slots[i - 1], *b = &p->slots[i];

		if (!new_piece(&by, a, b))
			continue;
		pieces++;
		if (in_domain++ < by.count && a->node == b->node && a->package == b->package)
			continue;
		cut_domain(p, first, i);
		domains++;
		first = i;
		in_domain = 1;
	}
	cut_domain(p, first, p->slots_len);
	say_groups(p, &by, pieces, domains);
}

/* ---- workers on slots ---- */

/* Returns how many of the first slots make up the groups that together have this many cores. */
static unsigned groups_with_cores(const struct place *p, unsigned cores)
{
	unsigned i;

	for (i = 0; i < p->slots_len; i++) {
		if (cores == 0 && p->slots[i].group != p->slots[i - 1].group)
			break;
		cores -= cores > 0 && p->slots[i].rank == 0;
	}
	return i;
}

/*
 * Puts up to want workers on the slots of one round and rank among the first len, spread evenly.
 * Returns how many it put there.
 */
static unsigned take_level(struct place *p, unsigned len, unsigned round, unsigned rank,
			   unsigned want)
{
	unsigned i, total = 0, nth = 0;

	for (i = 0; i < len; i++)
		total += p->slots[i].round == round && p->slots[i].rank == rank;
	want = want < total ? want : total;
	for (i = 0; i < len; i++)
		if (p->slots[i].round == round && p->slots[i].rank == rank) {
			p->slots[i].taken = up(nth * want, total) != up((nth + 1) * want, total);
			nth++;
		}
	return want;
}

/* Takes slots for all workers among the first len. */
static void take_slots(struct place *p, unsigned len)
{
	unsigned i, round, rank, ranks = 0, left = p->plan->workers_len;

	for (i = 0; i < p->slots_len; i++)
		ranks = p->slots[i].rank >= ranks ? p->slots[i].rank + 1u : ranks;
	for (round = 0; round < p->rounds; round++)
		for (rank = 0; rank < ranks; rank++)
			left -= take_level(p, len, round, rank, left);
	WEIR_ASSERT(left == 0);
}

static void drop_untaken(struct place *p)
{
	unsigned i, kept = 0;

	for (i = 0; i < p->slots_len; i++)
		if (p->slots[i].taken)
			p->slots[kept++] = p->slots[i];
	p->slots_len = kept;
}

/* Returns where the slots of a group end. */
static unsigned group_end(const struct place *p, unsigned first)
{
	unsigned end = first;

	while (end < p->slots_len && p->slots[end].group == p->slots[first].group)
		end++;
	return end;
}

static bool any_taken(const struct place *p, unsigned first, unsigned end)
{
	while (first < end && !p->slots[first].taken)
		first++;
	return first < end;
}

/* Renumbers the groups that have workers. Drops the slots of the others; their CPUs are spare. */
static void drop_empty_groups(struct place *p)
{
	unsigned first, end, at, kept = 0, groups = 0;

	for (first = 0; first < p->slots_len; first = end) {
		end = group_end(p, first);
		if (any_taken(p, first, end)) {
			for (at = first; at < end; at++) {
				p->slots[kept] = p->slots[at];
				p->slots[kept++].group = (uint16_t)groups;
			}
			groups++;
			continue;
		}
		for (at = first; at < end; at++)
			p->plan->out[p->slots[at].cpu] = WEIR_CPU_SPARE;
	}
	if (groups < p->plan->groups_len)
		weir__place_say(p, "%u of %u groups %s enough for so few workers", groups,
				p->plan->groups_len, groups == 1 ? "is" : "are");
	p->slots_len = kept;
	p->plan->groups_len = groups;
}

/* ---- the plan's arrays ---- */

static void fill_group(struct place *p, unsigned first, unsigned end, unsigned *worker)
{
	unsigned at, round, index = p->slots[first].group;
	struct weir_plan_group *group = &p->plan->groups[index];

	group->first = (uint16_t)*worker;
	group->node = p->slots[first].node;
	for (at = first; at < end; at++)
		weir_cpuset_add(&group->cpus, p->topo->cpus[p->slots[at].cpu].os);
	for (round = 0; round < p->rounds; round++)
		for (at = first; at < end; at++)
			if (p->slots[at].round == round && p->slots[at].taken)
				p->plan->workers[(*worker)++] = (struct weir_plan_worker){
					.group = (uint16_t)index,
					.cpu = p->slots[at].cpu,
					.node = p->slots[at].node,
				};
	group->workers = (uint16_t)(*worker - group->first);
}

static void count_used(struct place *p)
{
	struct weir_plan *plan = p->plan;
	unsigned i, k;

	for (i = 0; i < p->topo->cpus_len; i++)
		plan->cpus_used += plan->out[i] == WEIR_CPU_USABLE;
	for (i = 0; i < plan->workers_len; i++) {
		for (k = 0; k < i && plan->workers[k].node != plan->workers[i].node; k++)
			;
		plan->nodes_used += k == i;
	}
}

static void say_shards(struct place *p)
{
	const struct weir_plan *plan = p->plan;
	unsigned i, least = plan->groups[0].workers, most = least;

	for (i = 1; i < plan->groups_len; i++) {
		least = plan->groups[i].workers < least ? plan->groups[i].workers : least;
		most = plan->groups[i].workers > most ? plan->groups[i].workers : most;
	}
	if (least == most)
		weir__place_say(p, "listener shards: %u, one per group", plan->groups_len);
	else
		weir__place_say(p,
			  "listener shards: %u, one per group, weighted by their %u to %u "
			  "workers",
			  plan->groups_len, least, most);
}

int weir__place_groups(struct place *p)
{
	struct weir_plan *plan = p->plan;
	unsigned first, end, worker = 0;
	int rc = weir__place_order(p, 1);

	if (rc < 0)
		return rc;
	count_workers(p);
	if (plan->workers_len > p->slots_len)
		rc = weir__place_order(p, up(plan->workers_len, p->slots_len));
	if (rc < 0)
		return rc;
	if (p->rounds > 1) {
		/*
		 * Every CPU has a worker, so slots are dropped first: no group is cut for a slot
		 * without a worker.
		 */
		take_slots(p, p->slots_len);
		drop_untaken(p);
		cut(p);
	} else {
		cut(p);
		take_slots(p, groups_with_cores(p, plan->workers_len));
		drop_empty_groups(p);
	}
	plan->groups = calloc(plan->groups_len, sizeof *plan->groups);
	plan->workers = calloc(plan->workers_len, sizeof *plan->workers);
	if (!plan->groups || !plan->workers)
		return -ENOMEM;
	for (first = 0; first < p->slots_len; first = end) {
		end = group_end(p, first);
		fill_group(p, first, end, &worker);
	}
	WEIR_ASSERT(worker == plan->workers_len);
	count_used(p);
	say_shards(p);
	return 0;
}
