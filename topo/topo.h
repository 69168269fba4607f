/* SPDX-License-Identifier: MIT */
/*
 * topo/topo.h: how a topology is made. A reader fills in what the machine has,
 * with every online CPU usable. topo.c keeps one reading of this machine, copies
 * it and marks the CPUs that the process may not use at that moment.
 *
 *	weir__topo_read_machine ─► the reading ─► copy ─► weir__topo_cut_to ─► weir_topo_new(NULL)
 *	weir__topo_read_input   ──────────────────────────────────────► weir_topo_new(input)
 */
#ifndef WEIR_TOPO_TOPO_H
#define WEIR_TOPO_TOPO_H

#include "weir/topo.h"

struct cpu_limits;

/*
 * Fills in a zeroed topology, with arrays from malloc. The caller frees them even if this fails. 0
 * or a negative errno, with the reason in *why (except for -ENOMEM).
 */
int weir__topo_read_machine(struct weir_topo *topo, struct weir_why *why);
int weir__topo_read_input(const char *input, struct weir_topo *topo, struct weir_why *why);
/* Only the CPUs, without structure; reason says why no more is known. */
int weir__topo_read_flat(const struct cpu_limits *limits, const char *reason,
			 struct weir_topo *topo);
/*
 * Adds this machine's NICs to a topology that has its nodes; root is the folder with /sys: ""
 * except in tests.
 */
int weir__topo_read_nics(const char *root, struct weir_topo *topo);

/* Marks the CPUs of this machine that are left out, and why; and those that are isolated. */
void weir__topo_cut_to(const struct cpu_limits *limits, struct weir_topo *topo);

#endif
