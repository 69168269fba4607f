/* SPDX-License-Identifier: MIT */
/* no_hwloc.c: stands for hwloc.c in a build without hwloc. */
#include <stdio.h>

#include "topo/topo.h"

int weir__topo_read_machine(struct weir_topo *topo, struct weir_why *why)
{
	(void)topo;
	snprintf(why->text, sizeof why->text, "hwloc is not in this build");
	return -EOPNOTSUPP;
}

int weir__topo_read_input(const char *input, struct weir_topo *topo, struct weir_why *why)
{
	(void)topo;
	snprintf(why->text, sizeof why->text,
		 "'%s': this build has no hwloc (-Dhwloc), and knows this machine alone", input);
	return -EOPNOTSUPP;
}
