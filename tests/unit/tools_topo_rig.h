/* SPDX-License-Identifier: MIT */
/*
 * tools_topo_rig.h: a machine made by hand for the tests of `weir topo`, with the plan
 * that the library makes for it: packages of nodes of L3s of cores of threads, P# as
 * most machines count them: the first threads of all cores, then the second ones.
 */
#ifndef TESTS_UNIT_TOOLS_TOPO_RIG_H
#define TESTS_UNIT_TOOLS_TOPO_RIG_H

#include "tools/topo/topo.h"

struct topo_rig {
	unsigned packages, nodes, l3s, cores, threads; /* each in one of what stands before it */
};

extern struct weir_topo topo;
extern struct weir_plan *plan;
extern struct topo_view view;

/* Both are there until rig_fini. A test may change the topology before it plans. */
void rig_topo(struct topo_rig shape);
void rig_plan(const struct weir_place_config *cfg);
void rig_fini(void);

/* What a printer prints, until the next call. */
char *rig_printed(void (*print)(const struct topo_view *, FILE *));

#endif
