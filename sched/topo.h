/* SPDX-License-Identifier: MIT */
/*
 * topo.h (sched): how a topology comes about. A reader (topo_hwloc.c, topo_flat.c)
 * fills in what the machine has, with every CPU usable that is online; topo.c cuts
 * that by what this process may use.
 */
#ifndef WEIR_SCHED_TOPO_H
#define WEIR_SCHED_TOPO_H

#include "weir/topo.h"

/*
 * Fill in a zeroed topology; what it holds when this fails is freed all the same. 0 or a negative
 * errno, with *why filled in.
 */
int topo_read_hwloc(const char *input, struct weir_topo *topo, struct weir_why *why);
int topo_read_flat(struct weir_topo *topo, struct weir_why *why);

#endif
