/* SPDX-License-Identifier: MIT */
/*
 * topo.c: makes a topology: reads it, marks what this process may use, copies and
 * frees it.
 *
 * Every runtime that starts needs this machine's topology, so it is read once,
 * and again only if the mask has a CPU that the reading lacks. A reading never
 * changes once it is published and is never freed. So there is no lock, which a
 * fork could leave held, and no count of those who copy from it. The mask, the
 * cpuset and the quota are read each time.
 */
#include "topo/topo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/atomic.h"
#include "core/os.h"
#include "topo/cpus.h"
#include "weir/rt.h"

static WEIR_ATOMIC(const struct weir_topo *) machine;

static const char *const out_text[WEIR_CPU_OUT_LEN] = {
	[WEIR_CPU_USABLE] = "",
	[WEIR_CPU_OFFLINE] = "offline",
	[WEIR_CPU_CPUSET] = "outside the cgroup's cpuset",
	[WEIR_CPU_AFFINITY] = "outside the affinity mask",
	[WEIR_CPU_ISOLATED] = "isolated, and not named",
	[WEIR_CPU_UNNAMED] = "not among the CPUs that were named",
	[WEIR_CPU_OTHER_NODE] = "on another node than the first usable one",
	[WEIR_CPU_SLOWER] = "slower than the rest",
	[WEIR_CPU_FASTER] = "faster than the rest",
	[WEIR_CPU_LARGER] = "not of the smallest cluster",
	[WEIR_CPU_SIBLING] = "beyond the threads used per core",
	[WEIR_CPU_SPARE] = "not needed for so few workers",
};

const char *weir_cpu_out_text(unsigned out)
{
	return out < WEIR_CPU_OUT_LEN ? out_text[out] : "";
}

int weir_topo_cut(struct weir_topo *topo, const struct weir_cpuset *mask, unsigned quota_milli)
{
	unsigned i, left = 0;

	if (!topo)
		return -EINVAL;
	for (i = 0; i < topo->cpus_len; i++)
		left += topo->cpus[i].out == WEIR_CPU_USABLE &&
			(!mask || weir_cpuset_has(mask, topo->cpus[i].os));
	if (!left)
		return -EINVAL;
	for (i = 0; mask && i < topo->cpus_len; i++)
		if (topo->cpus[i].out == WEIR_CPU_USABLE &&
		    !weir_cpuset_has(mask, topo->cpus[i].os))
			topo->cpus[i].out = WEIR_CPU_AFFINITY;
	topo->quota_milli = quota_milli;
	return 0;
}

/* ---- limiting it to this process ---- */

static unsigned why_out(const struct cpu_limits *limits, const struct weir_topo_cpu *cpu)
{
	if (weir_cpuset_has(&limits->mask, cpu->os))
		return WEIR_CPU_USABLE;
	if (cpu->out == WEIR_CPU_OFFLINE || (weir_cpuset_count(&limits->online) &&
					     !weir_cpuset_has(&limits->online, cpu->os)))
		return WEIR_CPU_OFFLINE;
	if (weir_cpuset_count(&limits->cpuset) && !weir_cpuset_has(&limits->cpuset, cpu->os))
		return WEIR_CPU_CPUSET;
	return WEIR_CPU_AFFINITY;
}

static unsigned count_out(const struct weir_topo *topo, bool isolated, unsigned out)
{
	unsigned i, n = 0;

	for (i = 0; i < topo->cpus_len; i++)
		n += topo->cpus[i].isolated == isolated && topo->cpus[i].out == out;
	return n;
}

static void isolate(struct weir_topo *topo, unsigned out)
{
	for (unsigned i = 0; i < topo->cpus_len; i++)
		if (topo->cpus[i].isolated && topo->cpus[i].out == out)
			topo->cpus[i].out = WEIR_CPU_ISOLATED;
}

void weir__topo_cut_to(const struct cpu_limits *limits, struct weir_topo *topo)
{
	unsigned i;

	for (i = 0; i < topo->cpus_len; i++) {
		topo->cpus[i].isolated = weir_cpuset_has(&limits->isolated, topo->cpus[i].os);
		topo->cpus[i].out = (uint8_t)why_out(limits, &topo->cpus[i]);
	}
	/* A process with only isolated CPUs was given them on purpose. */
	if (!count_out(topo, false, WEIR_CPU_USABLE))
		return;
	isolate(topo, WEIR_CPU_USABLE);
	/*
	 * If all CPUs outside the mask are isolated, nobody chose the mask: processes start with
	 * such a mask.
	 */
	if (!count_out(topo, false, WEIR_CPU_AFFINITY) && !count_out(topo, true, WEIR_CPU_ISOLATED))
		isolate(topo, WEIR_CPU_AFFINITY);
}

/* ---- copies ---- */

struct sizes {
	size_t l3s, nodes, nics, cpus, distances;
};

static struct sizes sizes_of(const struct weir_topo *topo)
{
	return (struct sizes){
		.l3s = topo->l3s_len * sizeof *topo->l3s,
		.nodes = topo->nodes_len * sizeof *topo->nodes,
		.nics = topo->nics_len * sizeof *topo->nics,
		.cpus = topo->cpus_len * sizeof *topo->cpus,
		.distances = sizeof *topo->distances * topo->nodes_len * topo->nodes_len,
	};
}

static void *move_in(char **at, const void *from, size_t bytes)
{
	void *to = *at;

	if (!from)
		return NULL;
	memcpy(to, from, bytes);
	*at += bytes;
	return to;
}

/*
 * Copies a topology into a mapping that is never freed, so that leak checkers do not report it.
 * NULL without memory.
 */
static const struct weir_topo *keep(const struct weir_topo *from)
{
	struct sizes n = sizes_of(from);
	struct weir_topo *to = weir__os_map_sparse(sizeof *to + n.l3s + n.nodes + n.nics + n.cpus +
						   n.distances);
	char *at = (char *)(to + 1);

	if (!to)
		return NULL;
	*to = *from;
	/* Arrays with stricter alignment come first. */
	to->l3s = move_in(&at, from->l3s, n.l3s);
	to->nodes = move_in(&at, from->nodes, n.nodes);
	to->nics = move_in(&at, from->nics, n.nics);
	to->cpus = move_in(&at, from->cpus, n.cpus);
	to->distances = move_in(&at, from->distances, n.distances);
	return to;
}

static void *duplicate(const void *from, size_t bytes, bool *all)
{
	void *to = from ? malloc(bytes) : NULL;

	if (to)
		memcpy(to, from, bytes);
	*all = *all && (to || !from);
	return to;
}

static struct weir_topo *copy(const struct weir_topo *from)
{
	struct weir_topo *to = malloc(sizeof *to);
	struct sizes n = sizes_of(from);
	bool all = true;

	if (!to)
		return NULL;
	*to = *from;
	to->l3s = duplicate(from->l3s, n.l3s, &all);
	to->nodes = duplicate(from->nodes, n.nodes, &all);
	to->nics = duplicate(from->nics, n.nics, &all);
	to->cpus = duplicate(from->cpus, n.cpus, &all);
	to->distances = duplicate(from->distances, n.distances, &all);
	if (all)
		return to;
	weir_topo_free(to);
	return NULL;
}

/* Frees what a reader has filled in; a reader may then start again. */
static void discard(struct weir_topo *topo)
{
	free(topo->cpus);
	free(topo->l3s);
	free(topo->nodes);
	free(topo->nics);
	free(topo->distances);
	memset(topo, 0, sizeof *topo);
}

void weir_topo_free(struct weir_topo *topo)
{
	if (topo)
		discard(topo);
	free(topo);
}

/* ---- this machine ---- */

/* True if the topology knows every CPU of the mask. */
static bool knows(const struct weir_topo *topo, const struct weir_cpuset *mask)
{
	struct weir_cpuset placed = { { 0 } };
	unsigned i;

	for (i = 0; i < topo->cpus_len; i++)
		if (topo->cpus[i].out != WEIR_CPU_OFFLINE)
			weir_cpuset_add(&placed, topo->cpus[i].os);
	for (i = 0; i < WEIR_CPUS_MAX / 64; i++)
		if (mask->word[i] & ~placed.word[i])
			return false;
	return true;
}

static int read_machine(const struct cpu_limits *limits, struct weir_topo *topo)
{
	struct weir_why why = { "" };
	int rc;

	/* Without this set hwloc would guess, and print a warning to stderr. */
	if (!weir_cpuset_count(&limits->online))
		return weir__topo_read_flat(limits, "the system does not say which CPUs it has",
					    topo);
	rc = weir__topo_read_machine(topo, &why);
	if (rc == -ENOMEM || (rc == 0 && knows(topo, &limits->mask)))
		return rc;
	discard(topo);
	return weir__topo_read_flat(limits, rc < 0 ? why.text : "hwloc does not see every CPU",
				    topo);
}

/* Two threads may do this at once: the later reading stays, and both are equally good. */
static int publish_machine(const struct cpu_limits *limits, const struct weir_topo **ret_topo)
{
	struct weir_topo topo = { .here = true };
	const struct weir_topo *kept = NULL;
	int rc = read_machine(limits, &topo);

	if (rc == 0)
		kept = keep(&topo);
	discard(&topo);
	if (!kept)
		return rc < 0 ? rc : -ENOMEM;
	/* Pairs with the load in topo_here. */
	weir__store(&machine, kept, WEIR_RELEASE);
	*ret_topo = kept;
	return 0;
}

static int topo_here(struct weir_topo **ret_topo, struct weir_why *why)
{
	const struct weir_topo *read = weir__load(&machine, WEIR_ACQUIRE);
	struct weir_cpu_allowance allowance;
	struct cpu_limits limits;
	struct weir_topo *topo;
	int rc = weir__cpus_limits("", &limits);

	if (rc < 0) {
		snprintf(why->text, sizeof why->text, "the affinity mask cannot be read: %s",
			 rc == -E2BIG ? "the machine has too many CPUs" : strerror(-rc));
		return rc;
	}
	if (!read || !knows(read, &limits.mask))
		rc = publish_machine(&limits, &read);
	if (rc < 0)
		return rc;
	topo = copy(read);
	if (!topo)
		return -ENOMEM;
	weir__topo_cut_to(&limits, topo);
	weir__cpus_quota("", &allowance);
	topo->quota_milli = allowance.quota_milli;
	memcpy(topo->quota_file, allowance.quota_file, sizeof topo->quota_file);
	*ret_topo = topo;
	return 0;
}

static int topo_of(const char *input, struct weir_topo **ret_topo, struct weir_why *why)
{
	struct weir_topo *topo = calloc(1, sizeof *topo);
	int rc = topo ? weir__topo_read_input(input, topo, why) : -ENOMEM;

	if (rc == 0)
		*ret_topo = topo;
	else
		weir_topo_free(topo);
	return rc;
}

int weir_topo_new(const char *input, struct weir_topo **ret_topo, struct weir_why *ret_why)
{
	struct weir_why why = { "" };
	int rc;

	if (!ret_topo)
		return -EINVAL;
	rc = input ? topo_of(input, ret_topo, &why) : topo_here(ret_topo, &why);
	if (rc < 0 && !why.text[0])
		snprintf(why.text, sizeof why.text, "%s", weir_strerror(rc));
	if (ret_why)
		*ret_why = why;
	return rc;
}
