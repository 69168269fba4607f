/* SPDX-License-Identifier: MIT */
/*
 * place_policy.c: which CPUs a policy keeps, and which domains it makes one group
 * of.
 *
 * A policy that depends on speed sorts the clusters by the speed of their cores
 * and looks for the first gap: all clusters beyond it are left out. An unknown
 * speed makes no gap, so a machine that does not report speeds keeps all its
 * CPUs.
 */
#include "topo/place.h"

#include <stdlib.h>

struct cluster {
	unsigned first, len;	/* its slots */
	unsigned cores;
	unsigned speed;		/* mean capacity of its CPUs, in thousandths; 0: unknown */
};

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

struct place_grouping weir__place_grouping_of(enum weir_place_policy policy)
{
	switch (policy) {
	case WEIR_PLACE_NONE:
		return (struct place_grouping){ 0, false };
	case WEIR_PLACE_GROUP_BY_2_CCX:
	case WEIR_PLACE_GROUP_BY_3_CCX:
	case WEIR_PLACE_GROUP_BY_4_CCX:
		return (struct place_grouping){ policy - WEIR_PLACE_GROUP_BY_CCX + 1, false };
	case WEIR_PLACE_GROUP_BY_CLUSTER:
	case WEIR_PLACE_GROUP_BY_2_CLUSTER:
	case WEIR_PLACE_GROUP_BY_3_CLUSTER:
	case WEIR_PLACE_GROUP_BY_4_CLUSTER:
		return (struct place_grouping){ policy - WEIR_PLACE_GROUP_BY_CLUSTER + 1, true };
	default:
		return (struct place_grouping){ 1, false };
	}
}

/* ---- clusters ---- */

static void measure(const struct place *p, struct cluster *c)
{
	unsigned i, capacity, sum = 0;
	bool known = true;

	for (i = c->first; i < c->first + c->len; i++) {
		capacity = p->topo->cpus[p->slots[i].cpu].capacity;
		known = known && capacity;
		sum += capacity;
		c->cores += p->slots[i].rank == 0;
	}
	c->speed = known ? (unsigned)((uint64_t)sum * 1000 / c->len) : 0;
}

/* Returns the clusters of the usable CPUs in the order of the slots; NULL without memory. */
static struct cluster *find_clusters(const struct place *p, unsigned *ret_len)
{
	struct cluster *clusters = calloc(p->slots_len, sizeof *clusters);
	unsigned i, n = 0;

	for (i = 0; clusters && i < p->slots_len; i++) {
		if (i == 0 || weir__place_new_cluster(&p->slots[i - 1], &p->slots[i]))
			clusters[n++].first = i;
		clusters[n - 1].len++;
	}
	for (i = 0; clusters && i < n; i++)
		measure(p, &clusters[i]);
	*ret_len = n;
	return clusters;
}

static unsigned leave_out(struct place *p, const struct cluster *c, enum weir_cpu_out out)
{
	unsigned i;

	for (i = c->first; i < c->first + c->len; i++)
		p->plan->out[p->slots[i].cpu] = (uint8_t)out;
	return c->cores;
}

static int by_speed(const void *a, const void *b)
{
	const struct cluster *x = a, *y = b;

	if (x->speed != y->speed)
		return x->speed < y->speed ? -1 : 1;
	return x->first < y->first ? -1 : 1;
}

static void say_left_out(struct place *p, unsigned cores, const char *how, unsigned percent)
{
	weir__place_say(p, "%u %s core%s left out (%u %% of the speed of the next): policy %s",
			cores, how, cores == 1 ? " is" : "s are", percent,
			weir_place_policy_name(p->cfg.policy));
}

/* Leaves out clusters that have less than 80 % of the speed of the next, and all slower ones. */
static void leave_out_slow(struct place *p, struct cluster *clusters, unsigned len)
{
	unsigned i, k, cores = 0;

	for (i = len - 1; i > 0 && clusters[i - 1].speed; i--)
		if ((uint64_t)clusters[i - 1].speed * 10 < (uint64_t)clusters[i].speed * 8)
			break;
	if (i == 0 || !clusters[i - 1].speed)
		return;
	for (k = 0; k < i; k++)
		if (clusters[k].speed)
			cores += leave_out(p, &clusters[k], WEIR_CPU_SLOWER);
	say_left_out(p, cores, "slower", clusters[i - 1].speed * 100 / clusters[i].speed);
}

/* Leaves out clusters that are more than 25 % faster than the next, and all faster ones. */
static void leave_out_fast(struct place *p, struct cluster *clusters, unsigned len)
{
	unsigned i, k, cores = 0;

	for (i = 1; i < len; i++)
		if (clusters[i - 1].speed &&
		    (uint64_t)clusters[i].speed * 4 > (uint64_t)clusters[i - 1].speed * 5)
			break;
	if (i == len)
		return;
	for (k = i; k < len; k++)
		cores += leave_out(p, &clusters[k], WEIR_CPU_FASTER);
	say_left_out(p, cores, "faster", clusters[i].speed * 100 / clusters[i - 1].speed);
}

/*
 * Leaves out all but the cluster with the least computing power; of equal ones it keeps the first.
 */
static void leave_out_larger(struct place *p, struct cluster *clusters, unsigned len)
{
	uint64_t size, least = UINT64_MAX;
	unsigned i, smallest = 0, cores = 0;

	for (i = 0; i < len; i++) {
		size = (uint64_t)clusters[i].len *
		       (clusters[i].speed ? clusters[i].speed : 1024000);
		if (size < least) {
			least = size;
			smallest = i;
		}
	}
	for (i = 0; i < len; i++)
		if (i != smallest)
			cores += leave_out(p, &clusters[i], WEIR_CPU_LARGER);
	if (cores)
		weir__place_say(
			p, "of %u clusters the smallest is used: %u of %u cores, policy resource",
			len, clusters[smallest].cores, clusters[smallest].cores + cores);
}

static void say_unknown_speeds(struct place *p, const struct cluster *clusters, unsigned len)
{
	unsigned i, unknown = 0;

	for (i = 0; i < len; i++)
		unknown += clusters[i].speed == 0;
	if (unknown && p->topo->kinds > 1)
		weir__place_say(p,
				"there are %u kinds of core, but not all speeds are known: cores "
				"of unknown speed are kept",
				p->topo->kinds);
}

static int choose_clusters(struct place *p)
{
	unsigned len;
	struct cluster *clusters = find_clusters(p, &len);

	if (!clusters)
		return -ENOMEM;
	if (p->cfg.policy == WEIR_PLACE_RESOURCE) {
		leave_out_larger(p, clusters, len);
	} else {
		say_unknown_speeds(p, clusters, len);
		qsort(clusters, len, sizeof *clusters, by_speed);
		if (p->cfg.policy == WEIR_PLACE_PERFORMANCE)
			leave_out_slow(p, clusters, len);
		else
			leave_out_fast(p, clusters, len);
	}
	free(clusters);
	return 0;
}

/* ---- nodes and threads ---- */

static void choose_first_node(struct place *p)
{
	unsigned i, out = 0;

	for (i = 0; i < p->slots_len; i++)
		if (p->slots[i].node != p->slots[0].node) {
			p->plan->out[p->slots[i].cpu] = WEIR_CPU_OTHER_NODE;
			out++;
		}
	if (out)
		weir__place_say(p,
				"%u CPUs are not on node %u and left out: policy first-usable-node",
				out, p->topo->nodes[p->slots[0].node].os);
}

static unsigned threads_per_core(const struct weir_topo *topo)
{
	unsigned i, threads = 1;

	for (i = 0; i < topo->cpus_len; i++)
		threads = topo->cpus[i].thread >= threads ? topo->cpus[i].thread + 1u : threads;
	return threads;
}

static void choose_threads(struct place *p)
{
	unsigned i, out = 0, threads = threads_per_core(p->topo), want = p->cfg.threads_per_core;

	for (i = 0; want && i < p->slots_len; i++)
		if (p->slots[i].rank >= want) {
			p->plan->out[p->slots[i].cpu] = WEIR_CPU_SIBLING;
			out++;
		}
	if (p->topo->flat)
		weir__place_say(
			p,
			"only the CPUs are known: each counts as a core, and all share one cache "
			"and one node");
	else if (threads == 1)
		weir__place_say(p, "SMT off: a core has 1 thread");
	else if (out)
		weir__place_say(p, "SMT: at most %u of the %u threads of a core %s used", want,
				threads, want == 1 ? "is" : "are");
	else
		weir__place_say(p, "SMT: a core has up to %u threads, each counts as a CPU",
				threads);
}

int weir__place_policy_apply(struct place *p)
{
	int rc = weir__place_order(p, 1);

	if (rc < 0)
		return rc;
	switch (p->cfg.policy) {
	case WEIR_PLACE_FIRST_USABLE_NODE:
		choose_first_node(p);
		break;
	case WEIR_PLACE_PERFORMANCE:
	case WEIR_PLACE_EFFICIENCY:
	case WEIR_PLACE_RESOURCE:
		rc = choose_clusters(p);
		break;
	default:
		break;
	}
	/* Ranks within cores count only what the policy has kept. */
	rc = rc < 0 ? rc : weir__place_order(p, 1);
	if (rc == 0)
		choose_threads(p);
	return rc;
}
