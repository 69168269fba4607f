/* SPDX-License-Identifier: MIT */
/*
 * properties.c: checks properties of every plan, for random machines and configurations. A failure
 * prints both in the format of a golden file, for topo_golden.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "tests/support/testing.h"

#define SEEDS 120

/* ---- random machines and configurations ---- */

static unsigned minimum(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

struct made {
	uint64_t seed;
	struct weir_topo *topo;
	struct weir_place_config cfg;
	char cpus[64];
	char text[4096];	/* the head of a golden file */
	struct weir_plan *plan;
};

static unsigned pick(struct made *m, unsigned below)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return (unsigned)((m->seed >> 20) % below);
}

static bool one_in(struct made *m, unsigned n)
{
	return pick(m, n) == 0;
}

static void note(struct made *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct made *m, const char *fmt, ...)
{
	size_t len = strlen(m->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->text + len, sizeof m->text - len, fmt, ap);
	va_end(ap);
}

static void set(struct made *m, const char *key, const char *value)
{
	note(m, "%s: %s\n", key, value);
	ck_assert_msg(machine_set(m->topo, key, value) ||
			      machine_configure(&m->cfg, key, value),
		      "bad setting %s: %s", key, value);
}

static void set_number(struct made *m, const char *key, unsigned value)
{
	char text[16];

	snprintf(text, sizeof text, "%u", value);
	set(m, key, text);
}

static void make_machine(struct made *m)
{
	char line[256], clusters[32] = "", more[64] = "";

	if (one_in(m, 2))
		snprintf(clusters, sizeof clusters, " cluster:%u", 1 + pick(m, 3));
	if (one_in(m, 3))
		snprintf(more, sizeof more, "; cluster:%u core:%u pu:1 @%u", 1 + pick(m, 2),
			 1 + pick(m, 6), pick(m, 1025));
	snprintf(line, sizeof line, "%spackage:%u node:%u l3:%u%s core:%u pu:%u%s",
		 one_in(m, 3) ? "adjacent " : "", 1 + pick(m, 3), 1 + pick(m, 3), 1 + pick(m, 3),
		 clusters, 1 + pick(m, one_in(m, 4) ? 20 : 6), 1 + pick(m, one_in(m, 8) ? 8 : 2),
		 more);
	note(m, "machine: %s\n", line);
	m->topo = machine_new(line);
	ck_assert_msg(m->topo != NULL, "%s", m->text);
}

/* Applies a setting to some CPUs of the machine, never to all of them. */
static void set_some_cpus(struct made *m, const char *key)
{
	struct weir_cpuset some = { { 0 } };
	char text[1024];
	unsigned i;

	for (i = 0; i < m->topo->cpus_len; i++)
		if (one_in(m, 3) && weir_cpuset_count(&some) + 1 < m->topo->cpus_len)
			weir_cpuset_add(&some, m->topo->cpus[i].os);
	weir_cpuset_print(&some, text, sizeof text);
	if (text[0])
		set(m, key, text);
}

static void set_distances(struct made *m)
{
	unsigned i, k, n = m->topo->nodes_len;
	char text[1024] = "", row[16];

	for (i = 0; i < n; i++)
		for (k = 0; k < n; k++) {
			snprintf(row, sizeof row, "%u ", i == k ? 10 : 11 + pick(m, 4) * 10);
			strcat(text, row);
		}
	text[strlen(text) - 1] = '\0';
	set(m, "distances", text);
}

static void make_limits(struct made *m)
{
	static const char *const lists[] = { "offline", "cpuset", "affinity", "isolated" };

	if (one_in(m, 2))
		set_some_cpus(m, lists[pick(m, 4)]);
	if (one_in(m, 4))
		set_number(m, "quota", 100 + pick(m, 1000 * m->topo->cpus_len + 2000));
	if (one_in(m, 2))
		set_distances(m);
}

static void make_config(struct made *m)
{
	static const char *const binds[] = { "auto", "none", "group", "core", "cpu" };
	static const char *const names[] = { "drop-smt",	   "only-node 0",
					     "only-package 0",	   "drop-thread 1-7",
					     "only-l3 0,drop-smt", "0" };

	m->cfg = (struct weir_place_config)WEIR_PLACE_CONFIG_INIT;
	set(m, "policy", weir_place_policy_name(pick(m, WEIR_PLACE_LEN)));
	set(m, "bind", binds[pick(m, 5)]);
	if (one_in(m, 3))
		set_number(m, "workers",
			   1 + pick(m, one_in(m, 2) ? 256 : minimum(m->topo->cpus_len, 256)));
	if (one_in(m, 3))
		set_number(m, "group-workers", 1 + pick(m, 64));
	if (one_in(m, 4))
		set_number(m, "threads-per-core", 1 + pick(m, 3));
	if (one_in(m, 4)) {
		snprintf(m->cpus, sizeof m->cpus, "%s", names[pick(m, TESTING_COUNT(names))]);
		set(m, "cpus", m->cpus);
	}
}

/*
 * Returns false if the configuration names CPUs that do not exist: then there is an error and no
 * plan.
 */
static bool make(struct made *m, unsigned seed)
{
	struct weir_plan *const untouched = (struct weir_plan *)m;
	struct weir_why why;
	int rc;

	memset(m, 0, sizeof *m);
	m->seed = (seed + 1) * 0x9e3779b97f4a7c15ull;
	make_machine(m);
	make_limits(m);
	make_config(m);
	m->plan = untouched;
	rc = weir_plan_new(m->topo, &m->cfg, &m->plan, &why);
	if (rc == 0)
		return true;
	ck_assert_msg(rc == -EINVAL && why.text[0] && m->plan == untouched && m->cfg.cpus,
		      "%d (%s) for\n%s", rc, why.text, m->text);
	weir_topo_free(m->topo);
	return false;
}

static void unmake(struct made *m)
{
	weir_plan_free(m->plan);
	weir_topo_free(m->topo);
}

/* ---- the properties ---- */

/* Not ck_assert: Check writes to a file for each assertion, and there are millions here. */
#define HOLDS(m, cond) ((cond) ? (void)0 : broken(m, __LINE__, #cond))

static void broken(const struct made *m, int line, const char *cond)
{
	ck_abort_msg("line %d: %s does not hold of\n%s", line, cond, m->text);
}

static unsigned count_out(const struct made *m, unsigned out)
{
	unsigned i, n = 0;

	for (i = 0; i < m->topo->cpus_len; i++)
		n += m->plan->out[i] == out;
	return n;
}

static const struct weir_topo_cpu *cpu_of(const struct made *m, unsigned worker)
{
	return &m->topo->cpus[m->plan->workers[worker].cpu];
}

static unsigned largest_core(const struct made *m)
{
	unsigned i, most = 0;

	for (i = 0; i < m->topo->cpus_len; i++)
		most = m->topo->cpus[i].thread > most ? m->topo->cpus[i].thread : most;
	return most + 1;
}

static void the_number_of_workers(const struct made *m)
{
	unsigned cpus = count_out(m, WEIR_CPU_USABLE) + count_out(m, WEIR_CPU_SPARE);
	unsigned quota = m->topo->quota_milli ? (m->topo->quota_milli + 999) / 1000 : cpus;

	HOLDS(m, m->plan->workers_len ==
			 (m->cfg.workers ? m->cfg.workers : minimum(minimum(cpus, quota), 256)));
	HOLDS(m, m->plan->cpus_used == count_out(m, WEIR_CPU_USABLE));
	HOLDS(m, m->plan->throttled ==
			 (m->topo->quota_milli && m->topo->quota_milli < cpus * 1000));
	HOLDS(m, m->plan->why_len > 0 && m->plan->why_len <= WEIR_PLAN_WHY_MAX);
}

/* A CPU that the topology excludes stays excluded, except that isolated ones may be used. */
static void what_is_out_stays_out(const struct made *m)
{
	unsigned i;

	for (i = 0; i < m->topo->cpus_len; i++) {
		unsigned before = m->topo->cpus[i].out, after = m->plan->out[i];

		if (before == WEIR_CPU_ISOLATED && m->cfg.cpus)
			continue;
		HOLDS(m, before == WEIR_CPU_USABLE ? after == WEIR_CPU_USABLE ||
							     after >= WEIR_CPU_UNNAMED
						   : after == before);
	}
}

static void every_used_cpu_is_in_one_group(const struct made *m)
{
	unsigned i, g, groups;

	for (i = 0; i < m->topo->cpus_len; i++) {
		for (groups = g = 0; g < m->plan->groups_len; g++)
			groups += weir_cpuset_has(&m->plan->groups[g].cpus, m->topo->cpus[i].os);
		if (m->plan->out[i] != WEIR_CPU_USABLE)
			HOLDS(m, groups == 0);
		else if (m->plan->workers_len <= m->plan->cpus_used)
			HOLDS(m, groups == 1);
		else
			HOLDS(m, groups >= 1);
	}
}

static void groups_hold_their_workers(const struct made *m)
{
	unsigned g, i, first = 0, limit = m->cfg.group_workers ? m->cfg.group_workers : 16;

	for (g = 0; g < m->plan->groups_len; g++) {
		const struct weir_plan_group *group = &m->plan->groups[g];

		HOLDS(m, group->first == first && group->workers > 0 && group->workers <= limit);
		for (i = first; i < first + group->workers; i++) {
			HOLDS(m, m->plan->workers[i].group == g);
			HOLDS(m, weir_cpuset_has(&group->cpus, cpu_of(m, i)->os));
			HOLDS(m, m->plan->workers[i].node == cpu_of(m, i)->node);
		}
		first += group->workers;
	}
	HOLDS(m, first == m->plan->workers_len);
}

/* With as many workers as CPUs, the groups of one L3 differ in size by one core at most. */
static void groups_of_a_domain_are_even(const struct made *m)
{
	unsigned g, k;

	if (m->plan->workers_len != m->plan->cpus_used ||
	    (m->cfg.policy != WEIR_PLACE_PERFORMANCE && m->cfg.policy != WEIR_PLACE_GROUP_BY_CCX))
		return;
	for (g = 0; g < m->plan->groups_len; g++)
		for (k = 0; k < g; k++) {
			const struct weir_plan_group *a = &m->plan->groups[g],
						     *b = &m->plan->groups[k];

			if (cpu_of(m, a->first)->l3 == cpu_of(m, b->first)->l3)
				HOLDS(m, abs(a->workers - b->workers) <= (int)largest_core(m));
		}
}

static void siblings_stay_together(const struct made *m)
{
	unsigned i, k, limit = m->cfg.group_workers ? m->cfg.group_workers : 16;

	if (m->plan->workers_len > m->plan->cpus_used || largest_core(m) > limit)
		return;
	for (i = 0; i < m->plan->workers_len; i++)
		for (k = 0; k < i; k++)
			if (cpu_of(m, i)->core == cpu_of(m, k)->core)
				HOLDS(m, m->plan->workers[i].group == m->plan->workers[k].group);
}

/* No core has two workers while another core of the groups has none. */
static void cores_come_before_siblings(const struct made *m)
{
	unsigned i, per_core[WEIR_CPUS_MAX] = { 0 }, most = 0;

	for (i = 0; i < m->plan->workers_len; i++) {
		per_core[cpu_of(m, i)->core]++;
		most = per_core[cpu_of(m, i)->core] > most ? per_core[cpu_of(m, i)->core] : most;
	}
	for (i = 0; most > 1 && i < m->topo->cpus_len; i++)
		if (m->plan->out[i] == WEIR_CPU_USABLE)
			HOLDS(m, per_core[m->topo->cpus[i].core] > 0);
}

static unsigned tier_of(const struct made *m, unsigned a, unsigned b)
{
	if (cpu_of(m, a)->core == cpu_of(m, b)->core)
		return WEIR_TIER_SMT;
	if (m->plan->workers[a].group == m->plan->workers[b].group)
		return WEIR_TIER_GROUP;
	return cpu_of(m, a)->node == cpu_of(m, b)->node ? WEIR_TIER_NODE : WEIR_TIER_REMOTE;
}

static unsigned distance(const struct made *m, unsigned a, unsigned b)
{
	unsigned x = cpu_of(m, a)->node, y = cpu_of(m, b)->node;

	return m->topo->distances && x != y ? m->topo->distances[x * m->topo->nodes_len + y] : 0;
}

static void victims_are_all_others_by_tier(const struct made *m)
{
	unsigned a, i, tier, others = m->plan->workers_len - 1;

	for (a = 0; a <= others; a++) {
		const struct weir_plan_worker *w = &m->plan->workers[a];
		bool seen[256] = { false };

		HOLDS(m, w->tier_end[WEIR_TIER_REMOTE] == others);
		for (tier = i = 0; tier < WEIR_TIERS; tier++)
			for (; i < w->tier_end[tier]; i++) {
				HOLDS(m, w->steal[i] <= others && w->steal[i] != a);
				HOLDS(m, !seen[w->steal[i]]);
				seen[w->steal[i]] = true;
				HOLDS(m, tier_of(m, a, w->steal[i]) == tier);
				if (i > 0 && tier_of(m, a, w->steal[i - 1]) == tier)
					HOLDS(m, distance(m, a, w->steal[i - 1]) <=
							 distance(m, a, w->steal[i]));
			}
		HOLDS(m, i == others);
	}
}

static void near_groups_are_all_groups(const struct made *m)
{
	unsigned g, i;

	for (g = 0; g < m->plan->groups_len; g++) {
		bool seen[256] = { false };

		HOLDS(m, m->plan->groups[g].near[0] == g);
		for (i = 0; i < m->plan->groups_len; i++) {
			HOLDS(m, m->plan->groups[g].near[i] < m->plan->groups_len);
			HOLDS(m, !seen[m->plan->groups[g].near[i]]);
			seen[m->plan->groups[g].near[i]] = true;
		}
	}
}

/* A worker's mask holds its own CPU, and no CPU that this process may not use. */
static void workers_are_bound_to_what_is_theirs(const struct made *m)
{
	unsigned a, i;

	for (a = 0; a < m->plan->workers_len; a++) {
		const struct weir_plan_worker *w = &m->plan->workers[a];

		HOLDS(m, weir_cpuset_has(&w->cpus, cpu_of(m, a)->os));
		for (i = 0; i < m->topo->cpus_len; i++) {
			bool has = weir_cpuset_has(&w->cpus, m->topo->cpus[i].os);
			unsigned out = m->plan->out[i];

			if (!w->bound)
				HOLDS(m, has == (m->topo->cpus[i].out == WEIR_CPU_USABLE));
			else if (has)
				HOLDS(m, out == WEIR_CPU_USABLE || out == WEIR_CPU_SPARE ||
						 (out == WEIR_CPU_SIBLING &&
						  m->plan->bind == WEIR_BIND_CORE));
		}
	}
}

/* The same inputs give the same plan. The text of a plan contains everything in it. */
static void a_plan_is_a_pure_function(const struct made *m)
{
	char *once = machine_print_plan(m->topo, m->plan), *twice;
	struct weir_plan *again;

	ck_assert_int_eq(weir_plan_new(m->topo, &m->cfg, &again, NULL), 0);
	twice = machine_print_plan(m->topo, again);
	HOLDS(m, once && twice && strcmp(once, twice) == 0);
	free(once);
	free(twice);
	weir_plan_free(again);
}

START_TEST(every_plan_holds)
{
	static struct made made;
	unsigned i, plans = 0;

	for (i = 0; i < SEEDS; i++) {
		if (!make(&made, (unsigned)_i * SEEDS + i))
			continue;
		plans++;
		the_number_of_workers(&made);
		what_is_out_stays_out(&made);
		every_used_cpu_is_in_one_group(&made);
		groups_hold_their_workers(&made);
		groups_of_a_domain_are_even(&made);
		siblings_stay_together(&made);
		cores_come_before_siblings(&made);
		victims_are_all_others_by_tier(&made);
		near_groups_are_all_groups(&made);
		workers_are_bound_to_what_is_theirs(&made);
		a_plan_is_a_pure_function(&made);
		unmake(&made);
	}
	ck_assert_uint_gt(plans, SEEDS * 3 / 4);
}
END_TEST

/* The largest machine there can be, whose every level is used. */
START_TEST(a_machine_of_1024_cpus)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	struct weir_topo *topo = machine_new("package:4 node:2 l3:4 core:16 pu:2");
	struct weir_plan *plan;

	ck_assert_uint_eq(topo->cpus_len, WEIR_CPUS_MAX);
	ck_assert_int_eq(weir_plan_new(topo, &cfg, &plan, NULL), 0);
	ck_assert_uint_eq(plan->workers_len, 256);
	ck_assert_uint_eq(plan->groups_len, 32);
	ck_assert_uint_eq(plan->nodes_used, 4);
	weir_plan_free(plan);
	weir_topo_free(topo);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(every_plan_holds, .rounds = 8),
		TESTING(a_machine_of_1024_cpus),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
