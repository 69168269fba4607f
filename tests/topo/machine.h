/* SPDX-License-Identifier: MIT */
/*
 * machine.h: machines that are not here, from a line of text each.
 *
 *	package:2 node:4 l3:3 core:8 pu:2
 *
 * is two packages of four nodes of three L3s of eight cores of two threads. A level
 * that is not named does not begin anew, and clusters do with each L3. Behind ';' the
 * machine goes on inside what is open, "@640" says how fast the cores are that come
 * ("@0": not known):
 *
 *	package:1 node:1 l3:1 cluster:1 core:6 pu:2 @1024; cluster:2 core:4 pu:1 @640
 *
 * P# are given as Linux does on x86, first all first threads; "adjacent" as the first
 * word numbers the threads of a core one after the other.
 *
 * What this process may use, and distances, are set by further lines (machine_set).
 */
#ifndef WEIR_TESTS_TOPO_MACHINE_H
#define WEIR_TESTS_TOPO_MACHINE_H

#include "weir/topo.h"

/* NULL for a line that is none. The caller frees it with weir_topo_free. */
struct weir_topo *machine_new(const char *line);

/*
 * offline, cpuset, affinity LIST: take these CPUs away, or all but these; isolated LIST; quota
 * MILLI; flat; os-nodes "0 8" (the kernel's numbers); distances "10 21 21 10". False for anything
 * else.
 */
bool machine_set(struct weir_topo *topo, const char *key, const char *value);

/* One setting of a placement: policy, bind, workers, group_workers, threads_per_core, cpus. */
bool machine_configure(struct weir_place_config *cfg, const char *key, const char *value);

/* The plan as text, as the golden files have it; the caller frees it. */
char *machine_print_plan(const struct weir_topo *topo, const struct weir_plan *plan);

#endif
