/* SPDX-License-Identifier: MIT */
/* topo_flat.c: the topology of this machine without hwloc: the CPUs of the mask, side by side. */
#include <stdio.h>
#include <stdlib.h>

#include "sched/cpus.h"
#include "sched/topo.h"

int topo_read_flat(struct weir_topo *topo, struct weir_why *why)
{
	struct weir_cpuset mask;
	unsigned cpu, n = 0;
	int rc = cpus_mask(&mask);

	if (rc < 0) {
		snprintf(why->text, sizeof why->text, "the affinity mask cannot be read: %s",
			 weir_strerror(rc));
		return rc;
	}
	topo->cpus_len = weir_cpuset_count(&mask);
	topo->cpus = calloc(topo->cpus_len, sizeof *topo->cpus);
	topo->l3s = calloc(1, sizeof *topo->l3s);
	topo->nodes = calloc(1, sizeof *topo->nodes);
	if (!topo->cpus || !topo->l3s || !topo->nodes)
		return -ENOMEM;
	for (cpu = 0; cpu < WEIR_CPUS_MAX; cpu++) {
		if (!weir_cpuset_has(&mask, cpu))
			continue;
		topo->cpus[n].os = (uint16_t)cpu;
		topo->cpus[n].core = (uint16_t)n;
		n++;
	}
	snprintf(topo->source, sizeof topo->source, "this machine, without hwloc");
	topo->here = topo->flat = true;
	topo->cores = n;
	topo->clusters = topo->packages = topo->kinds = topo->l3s_len = topo->nodes_len = 1;
	return 0;
}
