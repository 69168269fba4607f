/* SPDX-License-Identifier: MIT */
/*
 * flat.c: the topology of this machine when only its CPUs are known: one node,
 * one cache, and a core for each CPU.
 */
#include <stdio.h>
#include <stdlib.h>

#include "topo/cpus.h"
#include "topo/topo.h"

int weir__topo_read_flat(const struct cpu_limits *limits, const char *reason,
			 struct weir_topo *topo)
{
	struct weir_cpuset all = limits->mask, present = weir__cpus_present("");
	unsigned i, cpu, n = 0;

	for (i = 0; i < WEIR_CPUS_MAX / 64; i++)
		all.word[i] |= limits->online.word[i] | present.word[i];
	topo->cpus_len = weir_cpuset_count(&all);
	topo->cpus = calloc(topo->cpus_len, sizeof *topo->cpus);
	topo->l3s = calloc(1, sizeof *topo->l3s);
	topo->nodes = calloc(1, sizeof *topo->nodes);
	if (!topo->cpus || !topo->l3s || !topo->nodes)
		return -ENOMEM;
	for (cpu = 0; cpu < WEIR_CPUS_MAX; cpu++) {
		if (!weir_cpuset_has(&all, cpu))
			continue;
		topo->cpus[n].os = (uint16_t)cpu;
		topo->cpus[n].core = (uint16_t)n;
		n++;
	}
	snprintf(topo->source, sizeof topo->source, "this machine, without its topology: %s",
		 reason);
	topo->here = topo->flat = true;
	topo->cores = n;
	topo->clusters = topo->packages = topo->kinds = topo->l3s_len = topo->nodes_len = 1;
	return 0;
}
