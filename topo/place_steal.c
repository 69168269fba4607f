/* SPDX-License-Identifier: MIT */
/*
 * place_steal.c: the order in which a worker tries to steal from the others, and
 * in which a group looks at other groups.
 *
 * The other workers are sorted by tier, and within a tier by what they share.
 * Workers that are equally near are a class. A worker begins with the next one of
 * a class of its own neighbours. In a class elsewhere each neighbour begins at
 * another worker, so that a group without work does not attack a single victim.
 */
#include <stdlib.h>

#include "topo/place.h"

/* Sort keys: the tier, the distance of the nodes, what is not shared, the position in the ring. */
#define KEY(tier, distance, apart, ring) \
	((uint64_t)(tier) << 48 | (uint64_t)(distance) << 24 | (uint64_t)(apart) << 16 | (ring))
#define KEY_CLASS(key) ((key) >> 16)
#define KEY_TIER(key) ((unsigned)((key) >> 48))
#define KEY_RING(key) ((unsigned)((key) & 0xffff))

static const struct weir_topo_cpu *cpu_of(const struct place *p, unsigned worker)
{
	return &p->topo->cpus[p->plan->workers[worker].cpu];
}

/* Without distances, nodes of the same package are nearer, and then nodes with near numbers. */
static unsigned node_distance(const struct place *p, const struct weir_topo_cpu *a,
			      const struct weir_topo_cpu *b)
{
	unsigned apart = a->node > b->node ? a->node - b->node : b->node - a->node;

	if (!apart)
		return 0;
	if (p->topo->distances)
		return p->topo->distances[a->node * p->topo->nodes_len + b->node];
	return a->package == b->package ? apart : 1024 + apart;
}

static unsigned apart(const struct weir_topo_cpu *a, const struct weir_topo_cpu *b)
{
	if (a->package != b->package)
		return 3;
	if (a->l3 != b->l3)
		return 2;
	return a->cluster != b->cluster;
}

static enum weir_tier tier_of(const struct place *p, unsigned a, unsigned b)
{
	if (cpu_of(p, a)->core == cpu_of(p, b)->core)
		return WEIR_TIER_SMT;
	if (p->plan->workers[a].group == p->plan->workers[b].group)
		return WEIR_TIER_GROUP;
	return cpu_of(p, a)->node == cpu_of(p, b)->node ? WEIR_TIER_NODE : WEIR_TIER_REMOTE;
}

static uint64_t key_of(const struct place *p, unsigned a, unsigned b)
{
	const struct weir_topo_cpu *x = cpu_of(p, a), *y = cpu_of(p, b);
	unsigned workers = p->plan->workers_len;

	return KEY(tier_of(p, a, b), node_distance(p, x, y), apart(x, y),
		   (b + workers - a) % workers);
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* True if two workers are neighbours: in one group, and sharing everything that can be shared. */
static bool beside(const struct place *p, unsigned a, unsigned b)
{
	return p->plan->workers[a].group == p->plan->workers[b].group &&
	       node_distance(p, cpu_of(p, a), cpu_of(p, b)) == 0 &&
	       apart(cpu_of(p, a), cpu_of(p, b)) == 0;
}

/*
 * Returns how many neighbours of a worker come before it. *ret_neighbours is the number of all,
 * including itself.
 */
static unsigned position(const struct place *p, unsigned worker, unsigned *ret_neighbours)
{
	const struct weir_plan_group *group = &p->plan->groups[p->plan->workers[worker].group];
	unsigned i, before = 0, all = 0;

	for (i = group->first; i < (unsigned)group->first + group->workers; i++)
		if (beside(p, worker, i)) {
			all++;
			before += i < worker;
		}
	*ret_neighbours = all;
	return before;
}

/* Returns how many workers on the same core come before. */
static unsigned siblings_before(const struct place *p, unsigned a)
{
	unsigned i, n = 0;

	for (i = 0; i < a; i++)
		n += cpu_of(p, i)->core == cpu_of(p, a)->core;
	return n;
}

/* The index in a class at which worker a begins. */
static unsigned start_in(const struct place *p, unsigned a, const uint64_t *keys, unsigned len)
{
	unsigned neighbours, before;

	if (KEY_TIER(keys[0]) == WEIR_TIER_SMT)
		return 0;
	if (beside(p, a, (a + KEY_RING(keys[0])) % p->plan->workers_len))
		return siblings_before(p, a);
	before = position(p, a, &neighbours);
	return before * len / neighbours;
}

/* Appends the workers of a class to the victims of worker a. */
static void append_class(const struct place *p, unsigned a, const uint64_t *keys, unsigned len,
			 uint16_t *victims)
{
	unsigned i, start = start_in(p, a, keys, len), workers = p->plan->workers_len;

	for (i = 0; i < len; i++)
		victims[i] = (uint16_t)((a + KEY_RING(keys[(start + i) % len])) % workers);
}

static void order_victims(const struct place *p, unsigned a, uint64_t *keys)
{
	struct weir_plan_worker *w = &p->plan->workers[a];
	unsigned i, end, tier, others = p->plan->workers_len - 1;

	for (i = 0; i < others; i++)
		keys[i] = key_of(p, a, i < a ? i : i + 1);
	qsort(keys, others, sizeof *keys, compare_keys);
	for (i = 0; i < others; i = end) {
		for (end = i + 1; end < others && KEY_CLASS(keys[end]) == KEY_CLASS(keys[i]); end++)
			;
		append_class(p, a, keys + i, end - i, w->steal + i);
		for (tier = KEY_TIER(keys[i]); tier < WEIR_TIERS; tier++)
			w->tier_end[tier] = (uint16_t)end;
	}
}

/* The distance of a group is that of its first worker. */
static void order_groups(const struct place *p, unsigned a, uint64_t *keys)
{
	struct weir_plan_group *group = &p->plan->groups[a];
	unsigned i, groups = p->plan->groups_len;

	for (i = 0; i < groups; i++) {
		unsigned other = (a + i) % groups, far = other != a;
		const struct weir_topo_cpu *x = cpu_of(p, group->first),
					   *y = cpu_of(p, p->plan->groups[other].first);

		keys[i] = KEY(far, node_distance(p, x, y), apart(x, y), i);
	}
	qsort(keys, groups, sizeof *keys, compare_keys);
	for (i = 0; i < groups; i++)
		group->near[i] = (uint16_t)((a + KEY_RING(keys[i])) % groups);
}

int weir__place_steal(struct place *p)
{
	struct weir_plan *plan = p->plan;
	uint64_t keys[PLACE_WORKERS_MAX];
	unsigned i;

	for (i = 0; i < plan->workers_len; i++) {
		plan->workers[i].steal = calloc(plan->workers_len, sizeof(uint16_t));
		if (!plan->workers[i].steal)
			return -ENOMEM;
		order_victims(p, i, keys);
	}
	for (i = 0; i < plan->groups_len; i++) {
		plan->groups[i].near = calloc(plan->groups_len, sizeof(uint16_t));
		if (!plan->groups[i].near)
			return -ENOMEM;
		order_groups(p, i, keys);
	}
	return 0;
}
