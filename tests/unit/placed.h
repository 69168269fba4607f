/* SPDX-License-Identifier: MIT */
/*
 * placed.h: makes a plan with one line of code, for the tests of the placement:
 *
 *	struct placed on = placed("package:1 node:1 l3:2 core:4 pu:2", "workers 4; bind cpu");
 *
 * tests/topo/machine.h describes the machines and settings.
 */
#ifndef WEIR_TESTS_UNIT_PLACED_H
#define WEIR_TESTS_UNIT_PLACED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tests/topo/machine.h"

struct placed {
	struct weir_topo *topo;
	struct weir_place_config cfg;
	char settings[256];	/* cut into strings; cfg.cpus points into it */
	int rc;
	struct weir_plan *plan;	/* if rc is 0 */
	struct weir_why why;
};

static inline void placed_set(struct placed *on, const char *settings)
{
	char *at = on->settings, *setting, *value;

	snprintf(on->settings, sizeof on->settings, "%s", settings);
	while ((setting = strsep(&at, ";"))) {
		setting += strspn(setting, " ");
		if (!*setting)
			continue;
		value = setting + strcspn(setting, " ");
		if (*value)
			*value++ = '\0';
		ck_assert_msg(machine_set(on->topo, setting, value) ||
				      machine_configure(&on->cfg, setting, value),
			      "unknown setting or bad value: '%s' '%s'", setting, value);
	}
}

/* Fills *on in place, because cfg points into it. */
static inline void placed_on(struct placed *on, const char *machine, const char *settings)
{
	*on = (struct placed){ .cfg = WEIR_PLACE_CONFIG_INIT, .topo = machine_new(machine) };
	ck_assert_msg(on->topo != NULL, "no machine: %s", machine);
	placed_set(on, settings);
	on->rc = weir_plan_new(on->topo, &on->cfg, &on->plan, &on->why);
}

static inline void placed_end(struct placed *on)
{
	if (on->rc == 0)
		weir_plan_free(on->plan);
	weir_topo_free(on->topo);
}

/* Asserts that there is no plan, and that the reason contains these words. */
static inline void refused(const char *machine, const char *settings, const char *words)
{
	struct placed on;

	placed_on(&on, machine, settings);
	ck_assert_msg(on.rc == -EINVAL && strstr(on.why.text, words), "%s: %d, '%s', not '%s'",
		      settings, on.rc, on.why.text, words);
	placed_end(&on);
}

/* Asserts which CPUs (P#) are out for this reason. */
static inline void left_out(const struct placed *on, enum weir_cpu_out out, const char *cpus)
{
	struct weir_cpuset set = { { 0 } };
	char text[256];
	unsigned i;

	ck_assert_msg(on->rc == 0, "%s", on->why.text);
	for (i = 0; i < on->topo->cpus_len; i++)
		if (on->plan->out[i] == out)
			weir_cpuset_add(&set, on->topo->cpus[i].os);
	weir_cpuset_print(&set, text, sizeof text);
	ck_assert_str_eq(text, cpus);
}

/* Returns whether one of the plan's notes contains these words. */
static inline bool says(const struct placed *on, const char *words)
{
	unsigned i;

	for (i = 0; i < on->plan->why_len; i++)
		if (strstr(on->plan->why[i], words))
			return true;
	return false;
}

#endif
