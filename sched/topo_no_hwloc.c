/* SPDX-License-Identifier: MIT */
/* topo_no_hwloc.c: stands for topo_hwloc.c in a build without hwloc: a machine is flat, and is here. */
#include <stdio.h>

#include "sched/topo.h"

int topo_read_machine(const struct cpu_limits *limits, struct weir_topo *topo, struct weir_why *why)
{
	(void)why;
	return topo_read_flat(limits, "hwloc is not in this build", topo);
}

int topo_read_input(const char *input, struct weir_topo *topo, struct weir_why *why)
{
	(void)topo;
	snprintf(why->text, sizeof why->text,
		 "'%s': this build has no hwloc (-Dhwloc), and knows this machine alone", input);
	return -EOPNOTSUPP;
}
