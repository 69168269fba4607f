/* SPDX-License-Identifier: MIT */
/*
 * tools_topo_rig.h: a made-up machine for the tests of `weir topo`, and the library's plan for
 * it. The machine has packages of nodes of L3s of cores of threads. CPUs are numbered (P#) as
 * on most machines: the first threads of all cores, then the second ones.
 */
#ifndef TESTS_UNIT_TOOLS_TOPO_RIG_H
#define TESTS_UNIT_TOOLS_TOPO_RIG_H

#include "tools/topo/topo.h"

struct topo_rig {
	unsigned packages, nodes, l3s, cores, threads; /* each per object of the level before */
};

extern struct weir_topo topo;
extern struct weir_plan *plan;
extern struct topo_view view;

/* Topology and plan exist until rig_fini. A test may change the topology before rig_plan. */
void rig_topo(struct topo_rig shape);
void rig_plan(const struct weir_place_config *cfg);
void rig_fini(void);

/* Returns what the function prints; valid until the next call. */
char *rig_printed(void (*print)(const struct topo_view *, FILE *));

#endif
