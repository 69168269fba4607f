/* SPDX-License-Identifier: MIT */
/*
 * plan.c: the plan that a runtime would make here, for the checks that need the number of
 * workers, their CPUs, and whether they are bound.
 */
#include "tools/doctor/doctor.h"
#include "weir/topo.h"

void doctor_plan(struct doctor *doctor)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	const char *workers = doctor->machine->env("WEIR_WORKERS");

	if (workers && *workers && doctor->start.err == 0)
		place.workers = doctor->start.workers;
	if (doctor->machine->topo(&doctor->topo) < 0 ||
	    weir_plan_new(doctor->topo, &place, &doctor->plan, NULL) < 0)
		doctor->plan = NULL;
}

unsigned doctor_workers(const struct doctor *doctor)
{
	return doctor->plan ? doctor->plan->workers_len : 1;
}

bool doctor_is_bound(const struct doctor *doctor)
{
	return doctor->plan && doctor->plan->bind != WEIR_BIND_NONE;
}
