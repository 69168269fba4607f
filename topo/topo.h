/* SPDX-License-Identifier: MIT */
/*
 * topo/topo.h: how a topology comes about. A reader fills in what the machine
 * has, with every CPU usable that is online; topo.c keeps one reading of this
 * machine, and cuts copies of it by what the process may use at that moment.
 *
 *	weir__topo_read_machine ─► the reading ─► copy ─► weir__topo_cut_to ─► weir_topo_new(NULL)
 *	weir__topo_read_input   ──────────────────────────────────────► weir_topo_new(input)
 */
#ifndef WEIR_TOPO_TOPO_H
#define WEIR_TOPO_TOPO_H

#include "weir/topo.h"

struct cpu_limits;

/*
 * Fill in a zeroed topology, its arrays from malloc; what it holds when this fails is freed all
 * the same. 0 or a negative errno,
 * and (but for -ENOMEM) why.
 */
int weir__topo_read_machine(struct weir_topo *topo, struct weir_why *why);
int weir__topo_read_input(const char *input, struct weir_topo *topo, struct weir_why *why);
/* The CPUs alone, side by side; reason says why no more is known. */
int weir__topo_read_flat(const struct cpu_limits *limits, const char *reason,
			 struct weir_topo *topo);
/* This machine's, to a topology that has its nodes; root is where /sys is, "" but in tests. */
int weir__topo_read_nics(const char *root, struct weir_topo *topo);

/* Which CPUs of this machine are out, and why; which are isolated. */
void weir__topo_cut_to(const struct cpu_limits *limits, struct weir_topo *topo);

#endif
