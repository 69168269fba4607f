/* SPDX-License-Identifier: MIT */
/* machine.c: machines and configurations from text, see machine.h. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum level {
	PACKAGE,
	NODE,
	L3,
	CLUSTER,
	CORE,
	PU,
	LEVELS
};

static const char *const level_names[LEVELS] = { "package", "node", "l3", "cluster", "core", "pu" };

/* One part of the line: levels in the order in which they nest. */
struct part {
	enum level level[LEVELS];
	unsigned times[LEVELS], len;
	unsigned capacity;
	bool has_clusters;
};

struct builder {
	struct weir_topo *topo;
	unsigned opened[LEVELS];	/* objects of each level so far; threads: of this core */
};

/* ---- building ---- */

static void add_cpu(struct builder *b, unsigned capacity)
{
	struct weir_topo *topo = b->topo;

	if (topo->cpus_len == WEIR_CPUS_MAX)
		return;
	topo->cpus[topo->cpus_len++] = (struct weir_topo_cpu){
		.core = (uint16_t)(b->opened[CORE] - 1),
		.cluster = (uint16_t)(b->opened[CLUSTER] - 1),
		.l3 = (uint16_t)(b->opened[L3] - 1),
		.package = (uint16_t)(b->opened[PACKAGE] - 1),
		.node = (uint16_t)(b->opened[NODE] - 1),
		.thread = (uint8_t)(b->opened[PU] - 1),
		.capacity = (uint16_t)capacity,
	};
}

static void build(struct builder *b, const struct part *part, unsigned depth)
{
	unsigned i;

	if (depth == part->len) {
		add_cpu(b, part->capacity);
		return;
	}
	for (i = 0; i < part->times[depth]; i++) {
		b->opened[part->level[depth]]++;
		if (part->level[depth] == CORE)
			b->opened[PU] = 0;
		if (part->level[depth] == L3 && !part->has_clusters)
			b->opened[CLUSTER]++;
		build(b, part, depth + 1);
	}
}

static bool read_part(char *text, struct part *part)
{
	char *word, *rest = NULL, name[16];
	unsigned level, times;

	for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		if (sscanf(word, "@%u", &part->capacity) == 1)
			continue;
		if (sscanf(word, "%15[a-z0-9]:%u", name, &times) != 2 || part->len == LEVELS)
			return false;
		for (level = 0; level < LEVELS && strcmp(level_names[level], name) != 0; level++)
			;
		if (level == LEVELS)
			return false;
		part->has_clusters = part->has_clusters || level == CLUSTER;
		part->level[part->len] = (enum level)level;
		part->times[part->len++] = times;
	}
	return part->len > 0;
}

static void number_cpus(struct weir_topo *topo, bool adjacent)
{
	unsigned i, thread, os = 0;

	for (i = 0; adjacent && i < topo->cpus_len; i++)
		topo->cpus[i].os = (uint16_t)i;
	for (thread = 0; !adjacent && os < topo->cpus_len; thread++)
		for (i = 0; i < topo->cpus_len; i++)
			if (topo->cpus[i].thread == thread)
				topo->cpus[i].os = (uint16_t)os++;
}

/* Each capacity is a kind of core. Kinds are numbered from the slowest. */
static void number_kinds(struct weir_topo *topo)
{
	unsigned i, capacity;

	for (capacity = 0; capacity <= 1024; capacity++) {
		bool any = false;

		for (i = 0; i < topo->cpus_len; i++)
			if (topo->cpus[i].capacity == capacity) {
				topo->cpus[i].kind = (uint8_t)topo->kinds;
				any = true;
			}
		topo->kinds += any;
	}
}

static bool finish(struct builder *b, bool adjacent)
{
	struct weir_topo *topo = b->topo;
	unsigned i;

	for (i = 0; i < CORE; i++)
		if (!b->opened[i])
			return false;
	topo->cores = b->opened[CORE];
	topo->clusters = b->opened[CLUSTER];
	topo->packages = b->opened[PACKAGE];
	topo->l3s_len = b->opened[L3];
	topo->nodes_len = b->opened[NODE];
	topo->l3s = calloc(topo->l3s_len, sizeof *topo->l3s);
	topo->nodes = calloc(topo->nodes_len, sizeof *topo->nodes);
	for (i = 0; topo->nodes && i < topo->nodes_len; i++)
		topo->nodes[i].os = (uint16_t)i;
	number_cpus(topo, adjacent);
	number_kinds(topo);
	return topo->l3s && topo->nodes && topo->cpus_len;
}

struct weir_topo *machine_new(const char *line)
{
	struct builder b = { .topo = calloc(1, sizeof *b.topo) };
	char *text = strdup(line), *at = text, *part_text;
	bool good = b.topo && text, adjacent = strncmp(line, "adjacent ", 9) == 0;

	at += adjacent ? 9 : 0;
	snprintf(b.topo->source, sizeof b.topo->source, "%.150s", line);
	b.topo->cpus = calloc(WEIR_CPUS_MAX, sizeof *b.topo->cpus);
	while (good && (part_text = strsep(&at, ";"))) {
		struct part part = { .capacity = 1024 };

		good = b.topo->cpus && read_part(part_text, &part);
		if (good)
			build(&b, &part, 0);
	}
	good = good && finish(&b, adjacent);
	free(text);
	if (!good) {
		weir_topo_free(b.topo);
		return NULL;
	}
	return b.topo;
}

/* ---- settings ---- */

static void take_away(struct weir_topo *topo, const struct weir_cpuset *list, bool those,
		      enum weir_cpu_out out)
{
	unsigned i;

	for (i = 0; i < topo->cpus_len; i++)
		if (topo->cpus[i].out == WEIR_CPU_USABLE &&
		    weir_cpuset_has(list, topo->cpus[i].os) == those)
			topo->cpus[i].out = (uint8_t)out;
}

static bool set_numbers(const char *value, unsigned len, uint16_t *numbers, unsigned step)
{
	unsigned i;
	char *end;

	for (i = 0; i < len; i++, value = end) {
		numbers[i * step] = (uint16_t)strtoul(value, &end, 10);
		if (end == value)
			return false;
	}
	return *value == '\0';
}

static bool set_distances(struct weir_topo *topo, const char *value)
{
	free(topo->distances);
	topo->distances =
		calloc((size_t)topo->nodes_len * topo->nodes_len, sizeof *topo->distances);
	return topo->distances &&
	       set_numbers(value, topo->nodes_len * topo->nodes_len, topo->distances, 1);
}

static bool set_isolated(struct weir_topo *topo, const struct weir_cpuset *list)
{
	unsigned i;

	for (i = 0; i < topo->cpus_len; i++)
		topo->cpus[i].isolated = weir_cpuset_has(list, topo->cpus[i].os);
	take_away(topo, list, true, WEIR_CPU_ISOLATED);
	return true;
}

bool machine_set(struct weir_topo *topo, const char *key, const char *value)
{
	struct weir_cpuset list;

	if (strcmp(key, "quota") == 0)
		return (topo->quota_milli = (unsigned)strtoul(value, NULL, 10)) > 0;
	if (strcmp(key, "distances") == 0)
		return set_distances(topo, value);
	if (strcmp(key, "os-nodes") == 0)
		return set_numbers(value, topo->nodes_len, &topo->nodes[0].os,
				   sizeof topo->nodes[0] / sizeof(uint16_t));
	if (strcmp(key, "flat") == 0)
		return (topo->flat = true);
	if (weir_cpuset_parse(value, &list, NULL) < 0)
		return false;
	if (strcmp(key, "isolated") == 0)
		return set_isolated(topo, &list);
	if (strcmp(key, "offline") == 0)
		take_away(topo, &list, true, WEIR_CPU_OFFLINE);
	else if (strcmp(key, "cpuset") == 0)
		take_away(topo, &list, false, WEIR_CPU_CPUSET);
	else if (strcmp(key, "affinity") == 0)
		take_away(topo, &list, false, WEIR_CPU_AFFINITY);
	else
		return false;
	return true;
}

static bool set_unsigned(unsigned *field, const char *value)
{
	char *end;

	*field = (unsigned)strtoul(value, &end, 10);
	return end != value && *end == '\0';
}

static const char *const bind_names[] = { "auto", "none", "group", "core", "cpu" };

static bool set_bind(struct weir_place_config *cfg, const char *value)
{
	unsigned i;

	for (i = 0; i <= WEIR_BIND_CPU; i++)
		if (strcmp(value, bind_names[i]) == 0) {
			cfg->bind = (enum weir_bind)i;
			return true;
		}
	return false;
}

static bool set_policy(struct weir_place_config *cfg, const char *value)
{
	unsigned i;

	for (i = 0; i < WEIR_PLACE_LEN; i++)
		if (strcmp(value, weir_place_policy_name(i)) == 0) {
			cfg->policy = (enum weir_place_policy)i;
			return true;
		}
	return false;
}

bool machine_configure(struct weir_place_config *cfg, const char *key, const char *value)
{
	if (strcmp(key, "policy") == 0)
		return set_policy(cfg, value);
	if (strcmp(key, "bind") == 0)
		return set_bind(cfg, value);
	if (strcmp(key, "workers") == 0)
		return set_unsigned(&cfg->workers, value);
	if (strcmp(key, "group-workers") == 0)
		return set_unsigned(&cfg->group_workers, value);
	if (strcmp(key, "threads-per-core") == 0)
		return set_unsigned(&cfg->threads_per_core, value);
	if (strcmp(key, "cpus") == 0)
		cfg->cpus = value;
	return strcmp(key, "cpus") == 0;
}

/* ---- a plan as text ---- */

static void print_set(FILE *out, const struct weir_cpuset *set)
{
	char text[512];

	weir_cpuset_print(set, text, sizeof text);
	fputs(text, out);
}

/* Prints "3-5 1": consecutive numbers become a range. */
static void print_order(FILE *out, const uint16_t *numbers, unsigned len)
{
	unsigned i, last;

	for (i = 0; i < len; i = last + 1) {
		for (last = i; last + 1 < len && numbers[last + 1] == numbers[last] + 1; last++)
			;
		fprintf(out, last > i ? " %u-%u" : " %u", numbers[i], numbers[last]);
	}
	if (!len)
		fputs(" -", out);
}

static void print_worker(FILE *out, const struct weir_topo *topo, const struct weir_plan *plan,
			 unsigned i)
{
	static const char *const tiers[] = { "smt", "group", "node", "remote" };
	const struct weir_plan_worker *w = &plan->workers[i];
	unsigned tier, at = 0;

	fprintf(out, "  worker %u on CPU %u, %s ", i, topo->cpus[w->cpu].os,
		w->bound ? "bound to" : "may use");
	print_set(out, &w->cpus);
	fprintf(out, "; steals:");
	for (tier = 0; tier < WEIR_TIERS; at = w->tier_end[tier++])
		if (w->tier_end[tier] > at) {
			fprintf(out, " %s", tiers[tier]);
			print_order(out, w->steal + at, w->tier_end[tier] - at);
		}
	fputs(plan->workers_len == 1 ? " nobody\n" : "\n", out);
}

static void print_group(FILE *out, const struct weir_topo *topo, const struct weir_plan *plan,
			unsigned g)
{
	const struct weir_plan_group *group = &plan->groups[g];
	unsigned i;

	fprintf(out, "group %u: node %u, CPUs ", g, group->node);
	print_set(out, &group->cpus);
	fprintf(out, "; near:");
	print_order(out, group->near, plan->groups_len);
	fputc('\n', out);
	for (i = 0; i < group->workers; i++)
		print_worker(out, topo, plan, group->first + i);
}

static void print_left_out(FILE *out, const struct weir_topo *topo, const struct weir_plan *plan)
{
	unsigned reason, i;

	for (reason = WEIR_CPU_USABLE + 1; reason < WEIR_CPU_OUT_LEN; reason++) {
		struct weir_cpuset set = { { 0 } };

		for (i = 0; i < topo->cpus_len; i++)
			if (plan->out[i] == reason)
				weir_cpuset_add(&set, topo->cpus[i].os);
		if (!weir_cpuset_count(&set))
			continue;
		fprintf(out, "left out: ");
		print_set(out, &set);
		fprintf(out, " (%s)\n", weir_cpu_out_text(reason));
	}
}

char *machine_print_plan(const struct weir_topo *topo, const struct weir_plan *plan)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	unsigned i;

	if (!out)
		return NULL;
	fprintf(out, "workers %u, groups %u, nodes %u, CPUs %u of %u, bind %s%s\n",
		plan->workers_len, plan->groups_len, plan->nodes_used, plan->cpus_used,
		topo->cpus_len, bind_names[plan->bind], plan->throttled ? ", throttled" : "");
	for (i = 0; i < plan->groups_len; i++)
		print_group(out, topo, plan, i);
	print_left_out(out, topo, plan);
	for (i = 0; i < plan->why_len; i++)
		fprintf(out, "why: %s\n", plan->why[i]);
	fclose(out);
	return text;
}
