/* SPDX-License-Identifier: MIT */
/*
 * machine.h: makes topologies of machines that are described in a line of text.
 *
 *	package:2 node:4 l3:3 core:8 pu:2
 *
 * is two packages with four nodes each, with three L3 caches per node, eight cores per
 * L3 and two hardware threads per core. A level that is not named has one object for the
 * whole machine; a cluster, if not named, is the L3. After ';' the description goes on
 * inside the objects that are open. "@640" is the capacity of the cores ("@0": unknown):
 *
 *	package:1 node:1 l3:1 cluster:1 core:6 pu:2 @1024; cluster:2 core:4 pu:1 @640
 *
 * CPUs are numbered (P#) as Linux does on x86: the first threads of all cores, then the
 * second ones. With "adjacent" as the first word, the threads of a core are consecutive.
 *
 * machine_set sets which CPUs this process may use, distances, and the like.
 */
#ifndef WEIR_TESTS_TOPO_MACHINE_H
#define WEIR_TESTS_TOPO_MACHINE_H

#include "weir/topo.h"

/* Returns NULL if the line is no description. The caller frees the topology with weir_topo_free. */
struct weir_topo *machine_new(const char *line);

/*
 * Settings: offline LIST removes these CPUs; cpuset LIST and affinity LIST remove all others;
 * isolated LIST; quota MILLI; flat; os-nodes "0 8" (the kernel's node numbers); distances "10 21 21
 * 10". Returns false for anything else.
 */
bool machine_set(struct weir_topo *topo, const char *key, const char *value);

/* Sets one field: policy, bind, workers, group_workers, threads_per_core or cpus. */
bool machine_configure(struct weir_place_config *cfg, const char *key, const char *value);

/* Returns the plan as text, as in the golden files. The caller frees it. */
char *machine_print_plan(const struct weir_topo *topo, const struct weir_plan *plan);

#endif
