/* SPDX-License-Identifier: MIT */
/* no_hwloc.c: replaces hwloc.c in a build without hwloc. */
#include <stdio.h>

#include "topo/topo.h"

int weir__topo_read_machine(struct weir_topo *topo, struct weir_why *why)
{
	(void)topo;
	snprintf(why->text, sizeof why->text, "this build has no hwloc");
	return -EOPNOTSUPP;
}

int weir__topo_read_input(const char *input, struct weir_topo *topo, struct weir_why *why)
{
	(void)topo;
	snprintf(why->text, sizeof why->text,
		 "'%s' cannot be read: this build has no hwloc (-Dhwloc) and knows only this "
		 "machine",
		 input);
	return -EOPNOTSUPP;
}
