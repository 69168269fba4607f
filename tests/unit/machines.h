/* SPDX-License-Identifier: MIT */
/*
 * machines.h: topologies of made-up machines, for tests of the scheduler. Their CPUs are numbered
 * node by node, L3 by L3 and core by core, so that L# and P# are the same.
 */
#ifndef WEIR_TESTS_MACHINES_H
#define WEIR_TESTS_MACHINES_H

#include <string.h>

#include "weir/topo.h"

#define MACHINE_CPUS 64

struct machine {
	struct weir_topo topo;
	struct weir_topo_cpu cpus[MACHINE_CPUS];
	struct weir_topo_node nodes[8];
	struct weir_topo_l3 l3s[MACHINE_CPUS];
	uint16_t distances[8 * 8];
};

/* Makes a machine: nodes in a ring, with L3s per node, cores per L3 and threads per core. */
static inline void machine_make(struct machine *m, unsigned nodes, unsigned l3s, unsigned cores,
				unsigned threads)
{
	unsigned cpu, a, b, len = nodes * l3s * cores * threads;

	memset(m, 0, sizeof *m);
	for (cpu = 0; cpu < len; cpu++) {
		struct weir_topo_cpu *c = &m->cpus[cpu];

		c->os = (uint16_t)cpu;
		c->thread = (uint8_t)(cpu % threads);
		c->core = (uint16_t)(cpu / threads);
		c->l3 = c->cluster = (uint16_t)(c->core / cores);
		c->node = c->package = (uint16_t)(c->l3 / l3s);
	}
	for (a = 0; a < nodes; a++)
		for (b = 0; b < nodes; b++) {
			unsigned apart = a > b ? a - b : b - a;

			apart = apart > nodes - apart ? nodes - apart : apart;
			m->distances[a * nodes + b] = (uint16_t)(10 + 10 * apart);
		}
	m->topo = (struct weir_topo){
		.source = "made by hand",
		.cpus_len = len,
		.cores = len / threads,
		.clusters = nodes * l3s,
		.packages = nodes,
		.kinds = 1,
		.l3s_len = nodes * l3s,
		.nodes_len = nodes,
		.cpus = m->cpus,
		.l3s = m->l3s,
		.nodes = m->nodes,
		.distances = m->distances,
	};
}

#endif
